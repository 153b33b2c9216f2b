//! Block codecs of Avro files: null, deflate, snappy, zstandard. Sizes are capped while decompressing.
//!
//! Must not know: what is in a block. Contexts and the output buffer are kept from block to block, since some writers
//! put every record into a block of its own. Deflate is libdeflate's where blocks are long: of zlib-rs's time it takes 0.58
//! on blocks of 64 KiB, as Java writes them (0.20 us an entry of 16 columns' statistics). On blocks of one entry, as
//! PyIceberg writes them, half of its 2.4 us go into each block's own Huffman tables: those have [`inflate`] (1.4 us).

use libdeflater::{DecompressionError, Decompressor as LongInflater};

use super::cursor::invalid;
use super::inflate::{Fault, Inflater};
use crate::error::{Error, Kind, Result};

/// Most bytes that one block may decompress to. Writers close blocks at 16 to 64 KiB.
pub(super) const MAX_BLOCK_BYTES: usize = 256 << 20;
/// Room for a block of unknown size at first. Much more than a block of one entry takes: libdeflate's fast loop needs 300
/// bytes of room behind what it writes.
const FIRST_ROOM_BYTES: usize = 128 << 10;
/// Deflate's largest expansion: a block that is said to hold more is refused before it gets the room.
const MOST_EXPANSION: usize = 1032;

/// Blocks of deflate that are no longer than this are short: on 1 to 2 KiB both decoders are alike.
const SHORT_BLOCK_BYTES: usize = 1 << 10;
/// The decoder of short blocks takes 20 us to begin, which 20 of them win back.
const FEW_SHORT_BLOCKS: usize = 20;

/// Decompresses the blocks of one file.
pub(super) struct Decompressor {
    codec: Codec,
    /// Longer than the block in it: what lies beyond is left over
    output: Vec<u8>,
}

enum Codec {
    Null,
    Deflate(Deflate),
    Snappy(snap::raw::Decoder),
    Zstandard(Box<zstd::zstd_safe::DCtx<'static>>),
}

/// Both decoders of deflate.
struct Deflate {
    long: LongInflater,
    short: Option<Inflater>,
    /// Short blocks so far
    shorts: usize,
}

impl Decompressor {
    /// For the codec that the file's `avro.codec` names.
    pub(super) fn new(name: &[u8]) -> Result<Decompressor> {
        let codec = match name {
            b"null" => Codec::Null,
            b"deflate" => Codec::Deflate(Deflate { long: LongInflater::new(), short: None, shorts: 0 }),
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
        let output = &mut self.output;
        let length = match &mut self.codec {
            Codec::Null if input.len() > limit => return Err(too_large(limit)),
            Codec::Null => return Ok(input),
            Codec::Deflate(context) => context.inflate(input, output, limit)?,
            Codec::Snappy(context) => unsnap(context, input, output, limit)?,
            Codec::Zstandard(context) => unzstd(context, input, output, limit)?,
        };
        self.output.get(..length).ok_or_else(|| invalid("Avro: a block is longer than its room"))
    }
}

/// Room for so many bytes. What is in it means nothing.
fn grow(output: &mut Vec<u8>, length: usize) {
    if output.len() < length {
        output.clear(); // nothing to carry over
        output.resize(length, 0);
    }
}

impl Deflate {
    fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<usize> {
        if input.len() > SHORT_BLOCK_BYTES {
            return inflate_long(&mut self.long, input, output, limit);
        }
        self.shorts += 1;
        if self.shorts <= FEW_SHORT_BLOCKS {
            return inflate_long(&mut self.long, input, output, limit);
        }
        match self.short.get_or_insert_with(Inflater::new).inflate(input, output, limit) {
            Ok(()) => Ok(output.len()),
            Err(Fault::TooLong) => Err(too_large(limit)),
            Err(Fault::Damaged) => Err(damaged_deflate()),
        }
    }
}

fn damaged_deflate() -> Error {
    invalid("Avro: a deflate block is damaged, or ends early")
}

/// Tries ever larger room, since a block does not say what it holds: at most twice the work of the last try.
fn inflate_long(context: &mut LongInflater, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<usize> {
    let most = limit.min(input.len().saturating_mul(MOST_EXPANSION));
    let mut room = FIRST_ROOM_BYTES.max(8 * input.len()).max(output.len()).min(MAX_BLOCK_BYTES);
    loop {
        grow(output, room);
        match context.deflate_decompress(input, output) {
            Ok(length) if length <= limit => return Ok(length),
            Ok(_) => return Err(too_large(limit)),
            Err(DecompressionError::BadData) => return Err(damaged_deflate()),
            Err(DecompressionError::InsufficientSpace) if room >= most => return Err(too_large(limit)),
            Err(DecompressionError::InsufficientSpace) => room = room.saturating_mul(4).min(most),
        }
    }
}

fn unsnap(context: &mut snap::raw::Decoder, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<usize> {
    let damaged = |e: snap::Error| invalid(format!("Avro: a snappy block is damaged: {e}"));
    let (body, stored) = input.split_last_chunk::<4>().ok_or_else(|| invalid("Avro: a snappy block without CRC"))?;
    let length = snap::raw::decompress_len(body).map_err(damaged)?;
    if length > limit {
        return Err(too_large(limit));
    }
    if length / 64 > body.len() {
        return Err(invalid(format!("Avro: {} bytes of snappy cannot hold {length}", body.len())));
    }
    grow(output, length);
    let length = context.decompress(body, output).map_err(damaged)?;
    let (found, expected) = (crc32fast::hash(&output[..length]), u32::from_be_bytes(*stored));
    if found == expected {
        Ok(length)
    } else {
        Err(invalid(format!("Avro: a snappy block has CRC {found:08x}, expected {expected:08x}")))
    }
}

/// As [`inflate_long`]. A block says what it holds, if at all, of its first frame only: what is said is not asked.
fn unzstd(
    context: &mut zstd::zstd_safe::DCtx<'static>,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<usize> {
    let mut room = FIRST_ROOM_BYTES.max(8 * input.len()).max(output.len()).min(MAX_BLOCK_BYTES);
    loop {
        grow(output, room);
        match context.decompress(&mut output[..], input).map_err(zstd::zstd_safe::get_error_name) {
            Ok(length) if length <= limit => return Ok(length),
            Ok(_) => return Err(too_large(limit)),
            Err("Destination buffer is too small") if room < limit => room = room.saturating_mul(4).min(limit),
            Err("Destination buffer is too small") => return Err(too_large(limit)),
            Err(why) => return Err(invalid(format!("Avro: a zstandard block is damaged: {why}"))),
        }
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::MemoryLimit, format!("Avro: a block decompresses to more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iceberg::avro::testing::compress;

    #[test]
    fn short_blocks_of_deflate_are_as_those_before_them() {
        let mut decompressor = Decompressor::new(b"deflate").unwrap();
        for at in 0..3 * FEW_SHORT_BLOCKS {
            let body = format!("block {at} ").repeat(1 + at % 90);
            let packed = compress("deflate", body.as_bytes());
            assert_eq!(decompressor.block(&packed, body.len()).unwrap(), body.as_bytes());
            assert_eq!(decompressor.block(&packed, body.len() - 1).unwrap_err().kind(), Kind::MemoryLimit);
            let error = decompressor.block(&packed[..packed.len() - 1], body.len()).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidData);
        }
        let long: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(decompressor.block(&compress("deflate", &long), long.len()).unwrap(), long);
    }
}
