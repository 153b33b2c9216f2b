//! Memory that is used again for every page.
//!
//! Must not know: what lies in it.

use std::sync::{Arc, Mutex};

use super::Refusal;
use super::bits::Bits;
use super::spread::{compact_values, expand_values};
use super::strings::Span;
use super::walk::PageRows;
use crate::error::{Error, Kind};
use crate::parquet::columns::views::VIEW_BYTES;

/// More than this is given back after a column chunk.
const LARGEST_KEPT_BYTES: usize = 16 << 20;

/// Buffers whose contents mean nothing from one page to the next, but for the dictionary's.
#[derive(Default)]
pub struct Scratch {
    /// A page, decompressed: there while pages are decoded, not while their decoder waits for bytes
    pub page: Vec<u8>,
    /// Dense values on their way
    pub values: Vec<u8>,
    /// Rows before the wanted ones are moved together
    pub rows: Vec<u8>,
    /// Whether this chunk's dictionary page came
    pub has_dictionary: bool,
    /// Views of its strings point into memory that stays
    pub are_words_kept: bool,
    /// The dictionary's values as the column holds them: of fixed width, perhaps those that an earlier part made,
    pub dictionary: Arc<Vec<u8>>,
    /// as views,
    pub views: Vec<[u8; VIEW_BYTES]>,
    /// or as places in its page,
    pub dictionary_spans: Vec<Span>,
    /// whose bytes are these
    pub words: Vec<u8>,
    /// Positions in the dictionary of the column's categories
    pub codes: Vec<u8>,
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

/// Few: threads come and go, decoders at once are as many as cores.
#[allow(clippy::vec_box)] // a box is moved, not the buffers' headers
static KEPT: Mutex<Vec<Box<Scratch>>> = Mutex::new(Vec::new());
const MOST_KEPT: usize = 8;
/// Memory for a page, of which no more are needed than there are cores.
static PAGES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

impl Scratch {
    /// Buffers that were used before, or new ones.
    pub fn take() -> Box<Scratch> {
        // Not waited for: a thread of a parent process may have held the lock when it forked.
        let kept = KEPT.try_lock().ok().and_then(|mut kept| kept.pop());
        let mut scratch = kept.unwrap_or_default();
        scratch.has_dictionary = false;
        scratch
    }

    /// Has memory for a page from now on.
    pub fn take_page(&mut self) {
        self.page = PAGES.try_lock().ok().and_then(|mut pages| pages.pop()).unwrap_or_default();
    }

    /// Gives it to the next decoder that has bytes.
    pub fn give_page(&mut self) {
        let page = std::mem::take(&mut self.page);
        if page.capacity() <= LARGEST_KEPT_BYTES
            && let Ok(mut pages) = PAGES.try_lock()
            && pages.len() < MOST_KEPT
        {
            pages.push(page);
        }
    }

    /// Dense spans, `present` of them, to those of the wanted rows; a null's is empty.
    pub fn place_spans(&mut self, rows: &PageRows, present: usize) {
        if present < rows.all {
            self.spans.resize(rows.all, Span::default());
            expand_values(&mut self.spans, self.valid.words(), present);
        }
        if let Some((wanted, count)) = &rows.wanted {
            self.wanted_spans.resize(*count, Span::default());
            compact_values(&self.spans, wanted, &mut self.wanted_spans);
            std::mem::swap(&mut self.spans, &mut self.wanted_spans);
        }
    }

    /// Keeps the buffers for another chunk.
    pub fn give_back(mut self: Box<Self>) {
        unshared(&mut self.dictionary);
        for buffer in [&mut self.values, &mut self.rows, &mut self.words] {
            if buffer.capacity() > LARGEST_KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        if let Ok(mut kept) = KEPT.try_lock()
            && kept.len() < MOST_KEPT
        {
            kept.push(self);
        }
    }
}

/// A dictionary's memory, to be written: new memory where other parts read what is there.
pub fn unshared(dictionary: &mut Arc<Vec<u8>>) -> &mut Vec<u8> {
    if Arc::get_mut(dictionary).is_none() {
        *dictionary = Arc::default();
    }
    Arc::make_mut(dictionary)
}

/// The first `length` bytes of a buffer that grows where it is too small; what they hold means nothing.
pub fn sized(buffer: &mut Vec<u8>, length: usize) -> Result<&mut [u8], Refusal> {
    if buffer.len() < length {
        let refused = |_| Error::new(Kind::MemoryLimit, format!("the system refused {length} bytes for a page"));
        buffer.try_reserve_exact(length - buffer.len()).map_err(refused)?;
        buffer.resize(length, 0);
    }
    Ok(buffer.get_mut(..length).unwrap_or_default())
}
