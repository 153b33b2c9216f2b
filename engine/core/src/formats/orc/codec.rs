//! Streams of compressed chunks -> plain bytes. Sizes are capped while decompressing.
//!
//! Spec: "Compression": three bytes before each chunk hold its length and whether it is compressed at all. Must not know:
//! what is in a stream.

use std::io::Read;

use orc_rust::proto::CompressionKind;

use super::{Room, damaged, unread};
use crate::error::Result;

const HEADER_BYTES: usize = 3;
const DEFAULT_BLOCK_BYTES: u64 = 256 << 10;
/// Headers have 23 bits for a chunk's length.
const MAX_BLOCK_BYTES: u64 = 1 << MAX_BLOCK_BITS;
const MAX_BLOCK_BITS: u32 = 23;
/// A byte of LZ4 is as many at most: one more of a match's length.
const MAX_LZ4_GROWTH: usize = 255;

/// How the streams of a file are compressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codec {
    kind: CompressionKind,
    /// Most bytes of a chunk, decompressed
    block_bytes: usize,
}

impl Codec {
    /// By what the postscript says.
    pub(super) fn new(kind: CompressionKind, block_bytes: Option<u64>) -> Result<Codec> {
        if kind == CompressionKind::Lzo {
            return Err(unread("LZO compression").hint("write the table again with zlib, zstd, snappy or lz4"));
        }
        let block_bytes = block_bytes.unwrap_or(DEFAULT_BLOCK_BYTES).max(DEFAULT_BLOCK_BYTES);
        match usize::try_from(block_bytes) {
            Ok(bytes) if block_bytes <= MAX_BLOCK_BYTES || kind == CompressionKind::None => {
                Ok(Codec { kind, block_bytes: bytes })
            }
            _ => Err(damaged(format!("compression blocks of {block_bytes} bytes, {MAX_BLOCK_BYTES} at most"))),
        }
    }

    /// Appends a stream's plain bytes.
    pub(super) fn plain(&self, mut stream: &[u8], output: &mut Vec<u8>, room: &mut Room<'_>) -> Result<()> {
        if self.kind == CompressionKind::None {
            room.take(stream.len() as u64)?;
            output.extend_from_slice(stream);
            return Ok(());
        }
        while !stream.is_empty() {
            let (header, rest) = stream.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| damaged("a cut chunk"))?;
            let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
            let (chunk, rest) = rest.split_at_checked((header >> 1) as usize).ok_or_else(|| damaged("a cut chunk"))?;
            let before = output.len();
            if header & 1 == 1 {
                output.extend_from_slice(chunk);
            } else {
                self.decompress(chunk, output)?;
            }
            room.take((output.len() - before) as u64)?;
            stream = rest;
        }
        Ok(())
    }

    fn decompress(&self, chunk: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let (start, most) = (output.len(), self.block_bytes);
        let failed = |e: &dyn std::fmt::Display| damaged(format!("a chunk that cannot be decompressed: {e}"));
        match self.kind {
            CompressionKind::Zlib => {
                let decoder = flate2::read::DeflateDecoder::new(chunk);
                decoder.take(most as u64 + 1).read_to_end(output).map_err(|e| failed(&e))?;
            }
            CompressionKind::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(chunk).map_err(|e| failed(&e))?;
                decoder.window_log_max(MAX_BLOCK_BITS).map_err(|e| failed(&e))?; // else 128 MiB
                decoder.take(most as u64 + 1).read_to_end(output).map_err(|e| failed(&e))?;
            }
            CompressionKind::Snappy => {
                let length = snap::raw::decompress_len(chunk).map_err(|e| failed(&e))?;
                if length <= most {
                    output.resize(start + length, 0);
                    let into = output.get_mut(start..).unwrap_or_default();
                    snap::raw::Decoder::new().decompress(chunk, into).map_err(|e| failed(&e))?;
                } else {
                    return Err(too_large(most));
                }
            }
            CompressionKind::Lz4 => {
                output.resize(start + most.min(chunk.len().saturating_mul(MAX_LZ4_GROWTH)), 0);
                let into = output.get_mut(start..).unwrap_or_default();
                let length = lz4_flex::block::decompress_into(chunk, into).map_err(|e| failed(&e))?;
                output.truncate(start + length);
            }
            CompressionKind::None | CompressionKind::Lzo => return Err(unread("this compression")),
        }
        if output.len() - start > most { Err(too_large(most)) } else { Ok(()) }
    }
}

fn too_large(most: usize) -> crate::error::Error {
    damaged(format!("a chunk that decompresses to more than {most} bytes"))
}
