//! Lists of numbers: levels to the ends of rows and the nulls of lists and elements; elements as any fixed values.
//!
//! Format: the Dremel encoding (parquet-format, "Nested Encoding") with one repeated level. Must not know: pages' headers.

use super::bits::{Bits, word_at};
use super::fixed::{Convert, dense};
use super::levels::{read_bits, read_bytes};
use super::page::Encoding;
use super::scratch::Scratch;
use super::spread::expand;
use super::{Opened, Refusal};
use crate::error::{Error, Kind};
use crate::parquet::columns::ends::EndsPart;
use crate::parquet::columns::validity::Validity;

/// Rows of one column chunk so far; a row may continue on the next page.
#[derive(Default)]
pub struct Lists {
    /// Rows that have begun
    begun: usize,
}

/// Levels of a list column.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Definition level of an empty list
    pub empty: u8,
    /// Definition level of an element that holds a value
    pub full: u8,
    /// Of an element
    pub element: Convert,
}

/// What the levels of a page say.
#[derive(Default)]
struct Entries {
    /// Entries that begin a row
    firsts: Bits,
    /// Entries that are elements; unused where all are
    elements: Bits,
    /// Elements that hold a value; unused where all do
    values: Bits,
    /// Rows that are lists; unused where all are
    lists: Bits,
}

impl Lists {
    /// Appends a page of `entries` levels to the part, which has `rows` rows.
    #[allow(clippy::too_many_arguments)]
    pub fn page(
        &mut self,
        shape: Shape,
        encoding: Encoding,
        opened: &Opened<'_>,
        entries: usize,
        (part, validity, rows): (&mut EndsPart, &mut Validity, usize),
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        if entries == 0 {
            return Ok(());
        }
        let mut found = Entries::default();
        // A repetition level of 1 continues a row.
        let continued = read_bits(opened.repetition, entries, &mut scratch.bits)?;
        match scratch.bits.len() {
            0 => found.firsts.append_run(entries, false),
            _ => scratch.bits.words().iter().for_each(|word| found.firsts.append_word(!word, 64)),
        }
        let begins = entries - continued;
        if self.begun == 0 && word_at(found.firsts.words(), 0) & 1 == 0 {
            return Err(Refusal::damaged("a column of lists begins within one"));
        }
        if self.begun + begins > rows {
            return Err(Refusal::damaged("a row group holds more lists than its footer states rows"));
        }
        let all_full = read_bytes(opened.definition, entries, shape.full, &mut scratch.levels)?;
        let (elements, present) = match all_full {
            true => (entries, entries),
            false => found.sort(shape, &scratch.levels, begins),
        };
        match all_full || found.lists.len() == 0 {
            true => validity.append_valid(begins),
            false => validity.append_words(found.lists.words(), begins),
        }
        self.end_rows(&found, entries, part);
        let width = shape.element.width();
        let length = elements.checked_mul(width).ok_or_else(too_long)?;
        let room = part.room(length)?;
        let given = room.len();
        let out = room.get_mut(..length).unwrap_or_default();
        let front = out.get_mut(..present * width).unwrap_or_default();
        dense(shape.element, encoding, opened.values, front, scratch)?;
        if present < elements {
            expand(width, out, found.values.words(), present);
        }
        part.commit(given, length);
        match present < elements {
            true => part.elements.append_words(found.values.words(), elements),
            false => part.elements.append_valid(elements),
        }
        self.begun += begins;
        Ok(())
    }

    /// Ends every row that another one of this page follows. Before the page's elements are counted.
    fn end_rows(&self, found: &Entries, entries: usize, part: &mut EndsPart) {
        let base = part.end();
        let mut row = self.begun;
        let words = entries.div_ceil(64);
        let mut before = 0u64; // elements before the word
        for word in 0..words {
            let firsts = found.firsts.words().get(word).copied().unwrap_or(0);
            let within = entries - word * 64;
            let mask = if within >= 64 { u64::MAX } else { (1 << within) - 1 };
            let elements = match found.elements.len() {
                0 => mask,
                _ => found.elements.words().get(word).copied().unwrap_or(0),
            };
            let mut left = firsts & mask;
            while left != 0 {
                let place = left.trailing_zeros();
                if row > 0 {
                    let end = base + before + u64::from((elements & ((1 << place) - 1)).count_ones());
                    part.ends(row - 1, 1).copy_from_slice(&end.to_ne_bytes());
                }
                row += 1;
                left &= left - 1;
            }
            before += u64::from(elements.count_ones());
        }
    }

    /// Ends the last row. Returns how many there are.
    pub fn finish(&self, part: &mut EndsPart) -> Result<usize, Refusal> {
        if let Some(last) = self.begun.checked_sub(1) {
            let end = part.end();
            part.ends(last, 1).copy_from_slice(&end.to_ne_bytes());
        }
        Ok(self.begun)
    }
}

impl Entries {
    /// Sorts entries by definition level. Returns (elements, elements that hold a value).
    fn sort(&mut self, shape: Shape, levels: &[u8], begins: usize) -> (usize, usize) {
        let (mut elements, mut present) = (0, 0);
        for (word, levels) in levels.chunks(64).enumerate() {
            let bits = |test: &dyn Fn(u8) -> bool| {
                levels.iter().enumerate().fold(0u64, |bits, (at, level)| bits | u64::from(test(*level)) << at)
            };
            let are_elements = bits(&|level| level > shape.empty);
            let are_full = bits(&|level| level == shape.full);
            let are_lists = bits(&|level| level >= shape.empty);
            let firsts = self.firsts.words().get(word).copied().unwrap_or(0);
            self.elements.append_word(are_elements, levels.len());
            let count = are_elements.count_ones() as usize;
            self.values.append_word(super::bits::extract(are_full, are_elements), count);
            let firsts = if levels.len() == 64 { firsts } else { firsts & ((1 << levels.len()) - 1) };
            self.lists.append_word(super::bits::extract(are_lists, firsts), firsts.count_ones() as usize);
            elements += count;
            present += are_full.count_ones() as usize;
        }
        if self.lists.ones() == begins {
            self.lists.clear();
        }
        (elements, present)
    }
}

fn too_long() -> Error {
    Error::new(Kind::MemoryLimit, "a column larger than the address space")
}
