//! Memory that one thread uses again for every page it decodes.
//!
//! Must not know: what lies in it.

use std::cell::Cell;

use super::Refusal;
use super::bits::Bits;
use super::strings::Span;
use crate::error::{Error, Kind};
use crate::parquet::columns::views::VIEW_BYTES;

/// More than this is given back after a column chunk.
const LARGEST_KEPT_BYTES: usize = 16 << 20;

/// Buffers whose contents mean nothing from one page to the next, but for the dictionary's.
#[derive(Default)]
pub struct Scratch {
    /// A page, decompressed
    pub page: Vec<u8>,
    /// Dense values on their way
    pub values: Vec<u8>,
    /// Rows before the wanted ones are moved together
    pub rows: Vec<u8>,
    /// Whether this chunk's dictionary page came
    pub has_dictionary: bool,
    /// The dictionary's values as the column holds them: of fixed width,
    pub dictionary: Vec<u8>,
    /// as views,
    pub views: Vec<[u8; VIEW_BYTES]>,
    /// or as places in its page,
    pub dictionary_spans: Vec<Span>,
    /// whose bytes are these
    pub words: Vec<u8>,
    /// Integers of differences
    pub numbers: Vec<i64>,
    /// Strings within a page
    pub spans: Vec<Span>,
    /// Those that are wanted
    pub wanted_spans: Vec<Span>,
    /// Which rows hold a value
    pub valid: Bits,
    /// Bits on their way
    pub bits: Bits,
    /// Levels
    pub levels: Vec<u8>,
}

thread_local! {
    static KEPT: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// Runs `work` with this thread's buffers.
    pub fn with<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = KEPT.take().unwrap_or_default();
        scratch.has_dictionary = false;
        let done = work(&mut scratch);
        for buffer in [&mut scratch.page, &mut scratch.values, &mut scratch.rows, &mut scratch.words] {
            if buffer.capacity() > LARGEST_KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        KEPT.set(Some(scratch));
        done
    }
}

/// The first `length` bytes of a buffer that grows where it is too small; what they hold means nothing.
pub fn sized(buffer: &mut Vec<u8>, length: usize) -> Result<&mut [u8], Refusal> {
    if buffer.len() < length {
        let refused = |_| Error::new(Kind::MemoryLimit, format!("the system refused {length} bytes for a page"));
        buffer.try_reserve(length - buffer.len()).map_err(refused)?;
        buffer.resize(length, 0);
    }
    Ok(buffer.get_mut(..length).unwrap_or_default())
}
