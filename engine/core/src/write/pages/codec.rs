//! The pages of a chunk compressed. Contexts are kept by each thread.
//!
//! No setting of Zstandard is best for all numbers: a quick one, without Huffman coding and with long matches only, makes
//! integers that use few of their bytes smaller than any level up to 3, in two thirds of the time, and floats larger. So
//! the second page of each encoding, and some after it, are compressed both ways, and the chunk goes on as was better.
//! Must not know: what pages hold.

use std::cell::RefCell;

use parquet::basic::{Compression, Encoding};

use crate::error::{Error, Kind, Result};

/// The level of the quick setting: negative ones do without Huffman coding.
const QUICK: i32 = -2;
/// Of so many pages one is compressed both ways.
const TRY_EVERY: usize = 32;

thread_local! {
    /// Levels, and a context for each
    static ZSTD: RefCell<Vec<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(Vec::new()) };
}

/// What compresses the pages of a chunk.
pub(super) struct Compressor {
    pub(super) codec: Compression,
    /// Whether the quick setting may be better; it never is for strings
    tries: bool,
    /// The encoding of the last page, and how many before it had it
    last: Option<(Encoding, usize)>,
    is_quick: bool,
    scratch: Vec<u8>,
    other: Vec<u8>,
}

impl Compressor {
    pub(super) fn new(codec: Compression, is_text: bool) -> Compressor {
        Compressor {
            codec,
            tries: !is_text && matches!(codec, Compression::ZSTD(_)),
            last: None,
            is_quick: false,
            scratch: Vec::new(),
            other: Vec::new(),
        }
    }

    /// The compressed body of the next page.
    pub(super) fn next<'a>(&'a mut self, encoding: Encoding, body: &'a [u8]) -> Result<&'a [u8]> {
        let before = self.last.filter(|(last, _)| *last == encoding).map_or(0, |(_, before)| before + 1);
        self.last = Some((encoding, before));
        self.is_quick &= before > 0;
        if !self.tries || before % TRY_EVERY != 1 {
            return match self.is_quick {
                true => zstd(QUICK, body, &mut self.scratch),
                false => compress(self.codec, body, &mut self.scratch),
            };
        }
        let asked = compress(self.codec, body, &mut self.scratch)?;
        let quick = zstd(QUICK, body, &mut self.other)?;
        self.is_quick = quick.len() <= asked.len();
        Ok(if self.is_quick { quick } else { asked })
    }

    /// The compressed body of a page that is like no other.
    pub(super) fn once<'a>(&'a mut self, body: &'a [u8]) -> Result<&'a [u8]> {
        compress(self.codec, body, &mut self.scratch)
    }
}

/// Whether [`compress`] knows the codec.
pub(super) fn is_known(codec: Compression) -> bool {
    matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::LZ4_RAW | Compression::ZSTD(_))
}

/// The compressed `body`, in `scratch` unless it is the body itself.
fn compress<'a>(codec: Compression, body: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
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
        Compression::ZSTD(level) => zstd(level.compression_level(), body, scratch),
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

fn zstd<'a>(level: i32, body: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    let room = zstd::zstd_safe::compress_bound(body.len());
    within(scratch, room, |room| {
        with_context(level, |context| context.compress_to_buffer(body, room)).map_err(|e| failed(&e))
    })
}

fn with_context<T>(
    level: i32,
    work: impl FnOnce(&mut zstd::bulk::Compressor<'static>) -> std::io::Result<T>,
) -> std::io::Result<T> {
    ZSTD.with(|kept| {
        let mut kept = kept.try_borrow_mut().map_err(std::io::Error::other)?;
        let at = match kept.iter().position(|(of, _)| *of == level) {
            Some(at) => at,
            None => {
                kept.retain(|(of, _)| *of == QUICK); // one besides: another table may want another level
                kept.push((level, zstd::bulk::Compressor::new(level)?));
                kept.len() - 1
            }
        };
        work(&mut kept[at].1)
    })
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::ParquetEncoding, format!("a page cannot be compressed: {why}"))
}

#[cfg(test)]
mod tests {
    use parquet::basic::ZstdLevel;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    /// Bytes of 40 pages of 20,000 values, all of them with `compressor`, and what they hold.
    fn sizes(compressor: &mut Compressor, mut value: impl FnMut(usize) -> [u8; 8]) -> usize {
        let mut compressed_bytes = 0;
        for page in 0..40 {
            let body: Vec<u8> = (0..20_000).flat_map(|row| value(20_000 * page + row)).collect();
            let compressed = compressor.next(Encoding::PLAIN, &body).unwrap();
            assert!(zstd::bulk::decompress(compressed, body.len()).unwrap() == body);
            compressed_bytes += compressed.len();
        }
        compressed_bytes
    }

    #[test]
    fn the_quick_setting_is_taken_where_it_is_no_worse() {
        let codec = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
        let both = |value: fn(usize, &mut StdRng) -> [u8; 8]| {
            let run = |is_text| {
                let mut random = StdRng::seed_from_u64(7);
                let mut compressor = Compressor::new(codec, is_text);
                let bytes = sizes(&mut compressor, |row| value(row, &mut random));
                (bytes, compressor.is_quick)
            };
            (run(false), run(true).0)
        };
        let ((bytes, is_quick), asked) = both(|_, random| random.random_range(0..800_000i64).to_le_bytes());
        assert!(is_quick && bytes * 100 < asked * 93, "{bytes} {asked}");
        let ((bytes, is_quick), asked) = both(|_, random| random.random::<f64>().to_le_bytes());
        assert!(!is_quick && bytes == asked, "{bytes} {asked}");
        // What changes on its way is noticed.
        let ((bytes, is_quick), asked) = both(|row, random| match row {
            0..400_000 => random.random_range(0..800_000i64).to_le_bytes(),
            _ => random.random::<f64>().to_le_bytes(),
        });
        assert!(!is_quick && bytes < asked * 105 / 100, "{bytes} {asked}");
    }
}
