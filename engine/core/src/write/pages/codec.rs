//! A page's body compressed. Contexts are kept by each thread.
//!
//! Must not know: pages.

use std::cell::RefCell;

use parquet::basic::Compression;

use crate::error::{Error, Kind, Result};

thread_local! {
    /// The level, and a context for it
    static ZSTD: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
}

/// Whether [`compress`] knows the codec.
pub(super) fn is_known(codec: Compression) -> bool {
    matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::LZ4_RAW | Compression::ZSTD(_))
}

/// The compressed `body`, in `scratch` unless it is the body itself.
pub(super) fn compress<'a>(codec: Compression, body: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    match codec {
        Compression::UNCOMPRESSED => Ok(body),
        Compression::SNAPPY => {
            let room = snap::raw::max_compress_len(body.len());
            within(scratch, room, |room| snap::raw::Encoder::new().compress(body, room).map_err(|e| failed(&e)))
        }
        Compression::LZ4_RAW => {
            let room = lz4_flex::block::get_maximum_output_size(body.len());
            within(scratch, room, |room| lz4_flex::block::compress_into(body, room).map_err(|e| failed(&e)))
        }
        Compression::ZSTD(level) => {
            let room = zstd::zstd_safe::compress_bound(body.len());
            within(scratch, room, |room| zstd(level.compression_level(), body, room).map_err(|e| failed(&e)))
        }
        _ => Err(failed(&"a codec that is not known here")),
    }
}

/// What `fill` leaves in the first `room` bytes of `scratch`, which keeps its length: it is zeroed once, not for each page.
fn within(scratch: &mut Vec<u8>, room: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<&[u8]> {
    if scratch.len() < room {
        scratch.resize(room, 0);
    }
    let filled = fill(&mut scratch[..room])?;
    Ok(&scratch[..filled])
}

fn zstd(level: i32, body: &[u8], room: &mut [u8]) -> std::io::Result<usize> {
    ZSTD.with(|kept| {
        let mut kept = kept.try_borrow_mut().map_err(std::io::Error::other)?;
        let context = match kept.take_if(|(of, _)| *of == level) {
            Some((_, context)) => context,
            None => zstd::bulk::Compressor::new(level)?,
        };
        kept.insert((level, context)).1.compress_to_buffer(body, room)
    })
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::ParquetEncoding, format!("a page cannot be compressed: {why}"))
}
