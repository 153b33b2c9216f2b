//! Block codecs of Avro files: null, deflate, snappy, zstandard. Sizes are capped while decompressing.
//!
//! Must not know: what is in a block. Contexts and the output buffer are kept from block to block, since some writers
//! put every record into a block of its own.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

use super::cursor::invalid;
use crate::error::{Error, Kind, Result};

/// Most bytes that one block may decompress to. Writers close blocks at 16 to 64 KiB.
pub(super) const MAX_BLOCK_BYTES: usize = 256 << 20;

/// Decompresses the blocks of one file.
pub(super) struct Decompressor {
    codec: Codec,
    output: Vec<u8>,
}

enum Codec {
    Null,
    Deflate(Decompress),
    Snappy(snap::raw::Decoder),
    Zstandard(Box<zstd::zstd_safe::DCtx<'static>>),
}

impl Decompressor {
    /// For the codec that the file's `avro.codec` names.
    pub(super) fn new(name: &[u8]) -> Result<Decompressor> {
        let codec = match name {
            b"null" => Codec::Null,
            b"deflate" => Codec::Deflate(Decompress::new(false)),
            b"snappy" => Codec::Snappy(snap::raw::Decoder::new()),
            b"zstandard" => Codec::Zstandard(Box::new(zstd::zstd_safe::DCtx::create())),
            other => {
                let name = String::from_utf8_lossy(&other[..other.len().min(32)]).into_owned();
                let expected = "expected null, deflate, snappy or zstandard";
                return Err(Error::new(Kind::Unsupported, format!("Avro codec {name:?}: {expected}")));
            }
        };
        Ok(Decompressor { codec, output: Vec::new() })
    }

    /// The block's bytes, decompressed; refuses more than `limit`.
    pub(super) fn block<'a>(&'a mut self, input: &'a [u8], limit: usize) -> Result<&'a [u8]> {
        let limit = limit.min(MAX_BLOCK_BYTES);
        self.output.clear();
        match &mut self.codec {
            Codec::Null if input.len() > limit => return Err(too_large(limit)),
            Codec::Null => return Ok(input),
            Codec::Deflate(context) => inflate(context, input, &mut self.output, limit)?,
            Codec::Snappy(context) => unsnap(context, input, &mut self.output, limit)?,
            Codec::Zstandard(context) => unzstd(context, input, &mut self.output, limit)?,
        }
        Ok(&self.output)
    }
}

fn inflate(context: &mut Decompress, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<()> {
    context.reset(false);
    let most = limit.saturating_add(1);
    loop {
        if output.len() == output.capacity() {
            let more = output.len().max(4 * input.len()).max(4096);
            output.reserve_exact(more.min(most - output.len()));
        }
        let rest = usize::try_from(context.total_in()).ok().and_then(|at| input.get(at..)).unwrap_or_default();
        let before = (context.total_in(), output.len());
        let status = context
            .decompress_vec(rest, output, FlushDecompress::Finish)
            .map_err(|e| invalid(format!("Avro: a deflate block is damaged: {e}")))?;
        if output.len() > limit {
            return Err(too_large(limit));
        }
        let stuck = before == (context.total_in(), output.len()) && output.len() < output.capacity();
        match status {
            Status::StreamEnd => return Ok(()),
            _ if stuck => return Err(invalid("Avro: a deflate block ends early")),
            _ => {}
        }
    }
}

fn unsnap(context: &mut snap::raw::Decoder, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<()> {
    let damaged = |e: snap::Error| invalid(format!("Avro: a snappy block is damaged: {e}"));
    let (body, stored) = input.split_last_chunk::<4>().ok_or_else(|| invalid("Avro: a snappy block without CRC"))?;
    let length = snap::raw::decompress_len(body).map_err(damaged)?;
    if length > limit {
        return Err(too_large(limit));
    }
    if length / 64 > body.len() {
        return Err(invalid(format!("Avro: {} bytes of snappy cannot hold {length}", body.len())));
    }
    output.resize(length, 0);
    context.decompress(body, output).map_err(damaged)?;
    let (found, expected) = (crc32fast::hash(output), u32::from_be_bytes(*stored));
    if found == expected {
        Ok(())
    } else {
        Err(invalid(format!("Avro: a snappy block has CRC {found:08x}, expected {expected:08x}")))
    }
}

fn unzstd(
    context: &mut zstd::zstd_safe::DCtx<'static>,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<()> {
    let damaged = |e: std::io::Error| invalid(format!("Avro: a zstandard block is damaged: {e}"));
    let decoder = zstd::stream::read::Decoder::with_context(input, context);
    decoder.take(limit as u64 + 1).read_to_end(output).map_err(damaged)?;
    if output.len() > limit { Err(too_large(limit)) } else { Ok(()) }
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::MemoryLimit, format!("Avro: a block decompresses to more than {limit} bytes"))
}
