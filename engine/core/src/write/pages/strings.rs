//! Strings and binary, compared as unsigned bytes.
//!
//! With a dictionary a page's extremes are found among the different strings of the page, not among all of its rows, and
//! string views that were just looked up are known by their sixteen bytes. Must not know: levels, codecs.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::table::{FACTOR, Table, hash_bytes};
use super::{Extremes, Page, Values, hybrid};
use crate::error::{Error, Kind, Result};
use crate::write::bounds::{shortened_max, shortened_min};

const LENGTH_BYTES: usize = 4;
const RECENT: usize = 256;
/// No position
const UNKNOWN: u32 = u32::MAX;
/// Of a page, or a dictionary, with room for the string's length.
const LONGEST: usize = i32::MAX as usize - LENGTH_BYTES - 64;

/// Whether strings in this layout are known here.
pub(super) fn is_known(layout: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, LargeUtf8, Utf8, Utf8View};
    matches!(layout, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView)
}

/// The strings of a chunk.
pub(super) struct Strings {
    is_text: bool,
    dictionary: Option<Dictionary>,
    recent: Recent,
    /// Of the page, with a dictionary
    positions: Vec<u32>,
    values: usize,
    /// Bytes of the page's strings
    bytes: usize,
    page: Between,
    all: Between,
}

/// Lengths and bytes one after another, which is a dictionary page.
struct Dictionary {
    table: Table,
    words: Vec<Word>,
    plain: Vec<u8>,
    limit: usize,
    /// No page more is of positions
    is_closed: bool,
    page: u32,
}

#[derive(Clone, Copy)]
struct Word {
    hash: u64,
    /// Its first eight bytes: most words are told apart, or are whole, by them and the length
    prefix: u64,
    start: u32,
    length: u32,
    /// The last page that it is in
    page: u32,
}

/// Positions of string views of one array and one page: equal views are equal strings, whatever they look like.
struct Recent {
    views: [u128; RECENT],
    positions: [u32; RECENT],
}

impl Recent {
    fn new() -> Recent {
        Recent { views: [0; RECENT], positions: [UNKNOWN; RECENT] }
    }

    fn forget(&mut self) {
        self.positions = [UNKNOWN; RECENT];
    }

    fn get(&self, view: u128) -> Option<u32> {
        let place = Recent::place(view);
        (self.views[place] == view && self.positions[place] != UNKNOWN).then(|| self.positions[place])
    }

    fn put(&mut self, view: u128, position: u32) {
        let place = Recent::place(view);
        (self.views[place], self.positions[place]) = (view, position);
    }

    fn place(view: u128) -> usize {
        let folded = (view as u64 ^ (view >> 64) as u64).wrapping_mul(FACTOR);
        (folded >> (u64::BITS - RECENT.ilog2())) as usize
    }
}

/// The least and the greatest of some strings.
#[derive(Default)]
struct Between {
    ends: Option<(Vec<u8>, Vec<u8>)>,
    /// The first eight bytes of either
    prefixes: (u64, u64),
}

impl Between {
    fn add(&mut self, text: &[u8]) {
        let prefix = prefix(text);
        match &mut self.ends {
            None => {
                self.ends = Some((text.to_vec(), text.to_vec()));
                self.prefixes = (prefix, prefix);
            }
            Some((min, max)) => {
                if prefix <= self.prefixes.0 && text < min.as_slice() {
                    text.clone_into(min);
                    self.prefixes.0 = prefix;
                } else if prefix >= self.prefixes.1 && text > max.as_slice() {
                    text.clone_into(max);
                    self.prefixes.1 = prefix;
                }
            }
        }
    }

    fn take(&mut self) -> Option<Extremes> {
        self.ends.take().map(|(min, max)| Extremes { min, max })
    }
}

/// Eight bytes that compare as the strings do, or are equal.
fn prefix(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first[..text.len()].copy_from_slice(text);
            u64::from_be_bytes(first)
        }
    }
}

impl Dictionary {
    /// It is larger than it may be: the page that filled it is the last one of positions.
    fn is_outgrown(&self) -> bool {
        self.plain.len() > self.limit
    }

    /// The position of a string, and whether the page had it before.
    fn position(&mut self, text: &[u8]) -> (u32, bool) {
        let (hash, prefix) = (hash_bytes(text), prefix(text));
        let Dictionary { table, words, plain, .. } = self;
        let known = |at: u32| {
            words.get(at as usize).is_some_and(|word| {
                let (start, length) = (word.start as usize, word.length as usize);
                let may_be = word.prefix == prefix && length == text.len();
                may_be && (length <= 8 || plain.get(start..start + length) == Some(text))
            })
        };
        let found = table.find(hash, known, |at| words.get(at as usize).map_or(0, |word| word.hash));
        let position = found.unwrap_or(words.len() as u32);
        if found.is_none() {
            plain.extend_from_slice(&(text.len() as u32).to_le_bytes());
            words.push(Word { hash, prefix, start: plain.len() as u32, length: text.len() as u32, page: u32::MAX });
            plain.extend_from_slice(text);
        }
        let page = self.page;
        let before = words.get_mut(position as usize).map(|word| std::mem::replace(&mut word.page, page));
        (position, before == Some(page))
    }
}

impl Strings {
    /// `limit`: bytes of the dictionary, None for no dictionary.
    pub(super) fn new(limit: Option<usize>, is_text: bool) -> Strings {
        let dictionary = |limit: usize| Dictionary {
            table: Table::default(),
            words: Vec::new(),
            plain: Vec::new(),
            limit,
            is_closed: false,
            page: 0,
        };
        Strings {
            is_text,
            dictionary: limit.map(dictionary),
            recent: Recent::new(),
            positions: Vec::new(),
            values: 0,
            bytes: 0,
            page: Between::default(),
            all: Between::default(),
        }
    }

    /// Adds strings until the page or its dictionary is full; how many.
    fn add_all<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a [u8]>,
        most_bytes: usize,
        body: &mut Vec<u8>,
    ) -> Result<usize> {
        self.add_seen(texts.map(|text| (None, text)), most_bytes, body)
    }

    /// The same of strings with their views.
    fn add_seen<'a>(
        &mut self,
        texts: impl Iterator<Item = (Option<u128>, &'a [u8])>,
        most_bytes: usize,
        body: &mut Vec<u8>,
    ) -> Result<usize> {
        let before = self.values;
        match self.dictionary.as_ref().is_some_and(|dictionary| !dictionary.is_closed) {
            true => self.add_positions(texts, most_bytes)?,
            false => self.add_plain(texts.map(|(_, text)| text), most_bytes, body)?,
        }
        Ok(self.values - before)
    }

    fn add_positions<'a>(
        &mut self,
        texts: impl Iterator<Item = (Option<u128>, &'a [u8])>,
        most_bytes: usize,
    ) -> Result<()> {
        let Some(dictionary) = &mut self.dictionary else { return Ok(()) };
        let mut last: Option<(&[u8], u32)> = None;
        for (view, text) in texts {
            self.values += 1;
            self.bytes += text.len();
            if let Some(position) = view.and_then(|view| self.recent.get(view)) {
                self.positions.push(position);
            } else if let Some((same, position)) = last
                && same == text
            {
                self.positions.push(position);
            } else {
                if dictionary.plain.len() + text.len() > LONGEST {
                    return Err(too_long());
                }
                let (position, is_in_page) = dictionary.position(text);
                if !is_in_page {
                    self.page.add(text);
                }
                match view {
                    Some(view) => self.recent.put(view, position),
                    None => last = Some((text, position)),
                }
                self.positions.push(position);
            }
            if dictionary.is_outgrown() || self.positions.len() * LENGTH_BYTES >= most_bytes {
                break;
            }
        }
        Ok(())
    }

    fn add_plain<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a [u8]>,
        most_bytes: usize,
        body: &mut Vec<u8>,
    ) -> Result<()> {
        for text in texts {
            if self.plain_bytes() + text.len() > LONGEST {
                return Err(too_long());
            }
            self.values += 1;
            self.bytes += text.len();
            body.extend_from_slice(&(text.len() as u32).to_le_bytes());
            body.extend_from_slice(text);
            self.page.add(text);
            if self.plain_bytes() >= most_bytes {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of the page's strings with their lengths.
    fn plain_bytes(&self) -> usize {
        self.bytes + LENGTH_BYTES * self.values
    }
}

impl Values for Strings {
    fn begin(&mut self) {
        self.recent.forget();
    }

    fn add(&mut self, array: &ArrayRef, rows: Range<usize>, most_bytes: usize, body: &mut Vec<u8>) -> Result<usize> {
        match array.data_type() {
            DataType::Utf8View => {
                let array = array.as_string_view();
                let views = array.views();
                self.add_seen(rows.map(|row| (Some(views[row]), array.value(row).as_bytes())), most_bytes, body)
            }
            DataType::BinaryView => {
                let array = array.as_binary_view();
                let views = array.views();
                self.add_seen(rows.map(|row| (Some(views[row]), array.value(row))), most_bytes, body)
            }
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                self.add_all(rows.map(|row| array.value(row).as_bytes()), most_bytes, body)
            }
            DataType::LargeUtf8 => {
                let array = array.as_string::<i64>();
                self.add_all(rows.map(|row| array.value(row).as_bytes()), most_bytes, body)
            }
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                self.add_all(rows.map(|row| array.value(row)), most_bytes, body)
            }
            DataType::LargeBinary => {
                let array = array.as_binary::<i64>();
                self.add_all(rows.map(|row| array.value(row)), most_bytes, body)
            }
            other => Err(Error::new(Kind::Internal, format!("{other} is no layout of strings"))),
        }
    }

    fn is_full(&self, most_bytes: usize) -> bool {
        match self.dictionary.as_ref().filter(|dictionary| !dictionary.is_closed) {
            Some(dictionary) => dictionary.is_outgrown() || self.positions.len() * LENGTH_BYTES >= most_bytes,
            None => self.plain_bytes() >= most_bytes,
        }
    }

    fn finish_page(&mut self, body: &mut Vec<u8>) -> Page {
        let encoding = match self.dictionary.as_mut().filter(|dictionary| !dictionary.is_closed) {
            Some(dictionary) => {
                let highest = dictionary.words.len().saturating_sub(1) as u32;
                hybrid::positions(&self.positions, hybrid::width_of(highest), body);
                dictionary.is_closed = dictionary.is_outgrown();
                dictionary.page += 1;
                Encoding::RLE_DICTIONARY
            }
            None => Encoding::PLAIN,
        };
        let extremes = self.page.take();
        for text in extremes.iter().flat_map(|page| [&page.min, &page.max]) {
            self.all.add(text);
        }
        self.positions.clear();
        self.recent.forget();
        let (values, bytes) = (std::mem::take(&mut self.values), std::mem::take(&mut self.bytes));
        Page { encoding, values, nans: None, extremes, text_bytes: Some(bytes as u64) }
    }

    fn dictionary(&self) -> Option<(Vec<u8>, usize)> {
        let dictionary = self.dictionary.as_ref()?;
        Some((dictionary.plain.clone(), dictionary.words.len()))
    }

    fn statistics(&self, nulls: u64, longest_bytes: Option<usize>) -> Statistics {
        let Some((min, max)) = &self.all.ends else {
            return ValueStatistics::<ByteArray>::new(None, None, None, Some(nulls), false).into();
        };
        let (min, is_min_cut) = shortened_min(min, longest_bytes, self.is_text);
        let (max, is_max_cut) = shortened_max(max, longest_bytes, self.is_text);
        let statistics =
            ValueStatistics::<ByteArray>::new(Some(min.into()), Some(max.into()), None, Some(nulls), false);
        statistics.with_min_is_exact(!is_min_cut).with_max_is_exact(!is_max_cut).into()
    }

    fn is_larger(&self, one: &[u8], other: &[u8]) -> bool {
        one > other
    }

    fn shortened(&self, extreme: Vec<u8>, longest_bytes: Option<usize>, is_max: bool) -> Vec<u8> {
        match is_max {
            true => shortened_max(&extreme, longest_bytes, self.is_text).0,
            false => shortened_min(&extreme, longest_bytes, self.is_text).0,
        }
    }
}

fn too_long() -> Error {
    Error::new(Kind::InvalidArgument, "a string is longer than 2 GiB, which Parquet cannot hold")
        .hint("split it, or keep it outside the table")
}
