//! One page decompressed into memory of exactly its size. Contexts are kept by each thread.
//!
//! Must not know: pages' contents. The old framed LZ4, LZO and whatever comes later are left to the crate's reader.

use std::cell::RefCell;
use std::io::Read;

use parquet::basic::Compression;

use super::Refusal;

thread_local! {
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Whether [`decompress`] knows the codec.
pub fn is_known(codec: Compression) -> bool {
    use Compression::{BROTLI, GZIP, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    matches!(codec, UNCOMPRESSED | SNAPPY | GZIP(_) | BROTLI(_) | ZSTD(_) | LZ4_RAW)
}

/// Fills `output` from `input`. Fewer or more bytes than that are damage.
pub fn decompress(codec: Compression, input: &[u8], output: &mut [u8]) -> Result<(), Refusal> {
    let failed = |what: &dyn std::fmt::Display| Refusal::damaged(&format!("a page cannot be decompressed: {what}"));
    let filled = match codec {
        _ if output.is_empty() => 0, // some writers compress nothing to nothing
        Compression::UNCOMPRESSED => {
            let fits = input.len() == output.len();
            if fits {
                output.copy_from_slice(input);
            }
            input.len()
        }
        Compression::ZSTD(_) => unzstd(input, output).map_err(|e| failed(&e))?,
        Compression::SNAPPY => {
            let length = snap::raw::decompress_len(input).map_err(|e| failed(&e))?;
            match length == output.len() {
                true => snap::raw::Decoder::new().decompress(input, output).map_err(|e| failed(&e))?,
                false => length,
            }
        }
        Compression::LZ4_RAW => lz4_flex::block::decompress_into(input, output).map_err(|e| failed(&e))?,
        // Several members one after another are one stream (RFC 1952, 2.2).
        Compression::GZIP(_) => read(flate2::read::MultiGzDecoder::new(input), output).map_err(|e| failed(&e))?,
        Compression::BROTLI(_) => read(brotli::Decompressor::new(input, 4096), output).map_err(|e| failed(&e))?,
        _ => return Err(Refusal::Unsupported),
    };
    if filled == output.len() {
        return Ok(());
    }
    Err(Refusal::damaged(&format!("a page of {} bytes decompresses to {filled}", output.len())))
}

fn unzstd(input: &[u8], output: &mut [u8]) -> std::io::Result<usize> {
    ZSTD.with(|context| {
        let mut context = context.try_borrow_mut().map_err(std::io::Error::other)?;
        if context.is_none() {
            *context = Some(zstd::bulk::Decompressor::new()?);
        }
        match context.as_mut() {
            Some(context) => context.decompress_to_buffer(input, output),
            None => Err(std::io::Error::other("no context")),
        }
    })
}

/// Reads until `output` is full and one byte more, so that too long a stream is noticed.
fn read(mut stream: impl Read, output: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < output.len() {
        match stream.read(output.get_mut(filled..).unwrap_or_default())? {
            0 => return Ok(filled),
            count => filled += count,
        }
    }
    Ok(filled + stream.read(&mut [0])?)
}
