//! The walk over the pages of one column chunk, each into the rows it holds.
//!
//! Must not know: how strings lie in pages ([`super::text`]), how encodings work.

use std::sync::Arc;

use arrow_buffer::BooleanBuffer;
use parquet::basic::Compression;

use super::bits::{self, Bits, extract};
use super::fixed::{self, Convert};
use super::lists::{self, Lists};
use super::page::{self, Encoding, Found, Kind as PageKind, Page};
use super::scratch::{Scratch, sized, unshared};
use super::shared::{DICTIONARY, SharedPages};
use super::{Chunk, Opened, Plan, Refusal, Values, codec, levels, short, spread, too_many};
use crate::parquet::columns::categories::CODE_BYTES;
use crate::parquet::columns::{ColumnPart, PartStore};
use crate::runtime::Cancel;

/// Positions in a dictionary of strings are numbers as they are.
pub(super) const CODES: Convert = Convert::Copy(CODE_BYTES);

/// One column chunk on its way into its part.
pub struct Decoder {
    plan: Plan,
    pub(super) chunk: Chunk,
    wanted: Option<BooleanBuffer>,
    pub(super) part: ColumnPart,
    pub(super) scratch: Box<Scratch>,
    lists: Lists,
    /// The beginning of a page whose end has not come
    carry: Vec<u8>,
    /// Rows of the row group so far, wanted or not
    row: usize,
    total: usize,
    /// Bytes of pages that are still to come, about
    pub(super) rest: usize,
    /// Where the leaf column's other parts find pages
    shared: Option<(Arc<SharedPages>, usize)>,
}

/// The rows of one page.
pub struct PageRows {
    /// Wanted or not
    pub all: usize,
    /// Which are wanted, and how many; None for all
    pub wanted: Option<(Vec<u64>, usize)>,
}

impl PageRows {
    /// Rows that are wanted.
    pub fn kept(&self) -> usize {
        self.wanted.as_ref().map_or(self.all, |(_, count)| *count)
    }
}

impl Decoder {
    /// A decoder of a chunk into a part whose type the plan was made for; rows whose bit in `wanted` is 0 are left out.
    /// None, and the part back, where the codec is not known, or rows of lists are to be left out.
    pub fn new(
        plan: Plan,
        chunk: Chunk,
        wanted: Option<BooleanBuffer>,
        part: ColumnPart,
    ) -> Result<Decoder, Box<ColumnPart>> {
        let is_list = matches!(plan.values, Values::List { .. });
        if !codec::is_known(chunk.codec) || (is_list && wanted.is_some()) {
            return Err(Box::new(part));
        }
        let total = wanted.as_ref().map_or(part.missing(), BooleanBuffer::len);
        let (scratch, rest) = (Scratch::take(), chunk.uncompressed);
        let (lists, carry) = (Lists::default(), Vec::new());
        Ok(Decoder { plan, chunk, wanted, part, scratch, lists, carry, row: 0, total, rest, shared: None })
    }

    /// Shares pages with the decoders of the chunk's other parts; `leaf`: which column's chunk it is.
    pub fn sharing(self, pages: &Arc<SharedPages>, leaf: usize) -> Decoder {
        Decoder { shared: Some((Arc::clone(pages), leaf)), ..self }
    }

    /// Decodes what is whole in the next bytes of the chunk, and keeps the beginning of what is not.
    pub fn feed(&mut self, bytes: &[u8], is_last: bool, cancel: &Cancel) -> Result<(), Refusal> {
        self.scratch.take_page();
        let fed = self.pages(bytes, is_last, cancel);
        self.scratch.give_page();
        fed
    }

    fn pages(&mut self, mut bytes: &[u8], is_last: bool, cancel: &Cancel) -> Result<(), Refusal> {
        let mut carry = std::mem::take(&mut self.carry);
        while !carry.is_empty() {
            let needed = match page::first(&carry, is_last && bytes.is_empty())? {
                Found::Page(page, length) => {
                    self.page(&page, cancel)?;
                    carry.drain(..length); // looking for the end of its header may have brought more than the page
                    continue;
                }
                Found::More(needed) => needed,
                Found::End => break,
            };
            let (now, later) = bytes.split_at((needed - carry.len()).min(bytes.len()));
            if now.is_empty() {
                break;
            }
            carry.extend_from_slice(now);
            bytes = later;
        }
        while carry.is_empty() && !self.is_done() {
            match page::first(bytes, is_last)? {
                Found::Page(page, length) => {
                    self.page(&page, cancel)?;
                    bytes = bytes.get(length..).unwrap_or_default();
                }
                Found::More(_) => carry.extend_from_slice(bytes),
                Found::End => break,
            }
        }
        self.carry = carry;
        Ok(())
    }

    /// Passes over rows of which none is wanted, and whose pages will not be fed: the next page holds row `row`.
    pub fn skip_to(&mut self, row: usize) {
        self.row = row.min(self.total);
    }

    /// Whether the pages so far end where their index says.
    pub fn is_at(&self, row: usize) -> bool {
        self.row == row && self.carry.is_empty()
    }

    /// The part, once all bytes were fed.
    pub fn finish(mut self) -> Result<ColumnPart, Refusal> {
        if let (Values::List { .. }, PartStore::Ends(ends)) = (self.plan.values, &mut self.part.store) {
            let rows = self.lists.finish(ends);
            self.part.advance(rows)?;
        }
        self.scratch.give_back();
        Ok(self.part)
    }

    /// The part without any of the rows so far, for another reader.
    pub fn give_up(mut self) -> Result<ColumnPart, Refusal> {
        self.part.reset()?;
        self.scratch.give_back();
        Ok(self.part)
    }

    /// Bytes after the last row are of no use. Where lists end is only known at the end of the chunk.
    fn is_done(&self) -> bool {
        self.row >= self.total && !matches!(self.plan.values, Values::List { .. })
    }

    fn page(&mut self, page: &Page<'_>, cancel: &Cancel) -> Result<(), Refusal> {
        cancel.check()?;
        match (page.kind, self.plan.values) {
            (PageKind::Other, _) => {}
            (PageKind::Dictionary, _) => self.dictionary(page)?,
            (_, Values::List { element, empty, full }) => self.list(page, lists::Shape { empty, full, element })?,
            _ if self.is_done() => {}
            _ => self.data(page)?,
        }
        self.rest = self.rest.saturating_sub(page.uncompressed);
        Ok(())
    }

    fn list(&mut self, page: &Page<'_>, shape: lists::Shape) -> Result<(), Refusal> {
        let mut memory = std::mem::take(&mut self.scratch.page);
        let opened = self.open(page, true, &mut memory)?;
        let PartStore::Ends(ends) = &mut self.part.store else { return Err(Refusal::Unsupported) };
        let target = (ends, &mut self.part.validity, self.total);
        self.lists.page(shape, page.encoding, &opened, page.values, target, &mut self.scratch)?;
        self.scratch.page = memory;
        Ok(())
    }

    fn dictionary(&mut self, page: &Page<'_>) -> Result<(), Refusal> {
        if !matches!(page.encoding, Encoding::Plain | Encoding::Dictionary) {
            return Err(Refusal::Unsupported);
        }
        self.chunk.check(page.uncompressed)?;
        let convert = match self.plan.values {
            Values::Fixed(convert) | Values::List { element: convert, .. } => convert,
            Values::Strings { utf8 } => return self.words(page, utf8),
            Values::Boolean => return Err(Refusal::Unsupported),
        };
        if let Some(table) = self.shared.as_ref().and_then(|(pages, leaf)| pages.table(*leaf)) {
            (self.scratch.dictionary, self.scratch.has_dictionary) = (table, true);
            return Ok(());
        }
        let mut memory = std::mem::take(&mut self.scratch.page);
        let bytes = sized(&mut memory, page.uncompressed)?;
        codec::decompress(self.chunk.codec, page.body, bytes)?;
        fixed::dictionary(convert, bytes, page.values, unshared(&mut self.scratch.dictionary))?;
        self.scratch.page = memory;
        self.scratch.has_dictionary = true;
        if let Some((pages, leaf)) = &self.shared {
            pages.keep_table(*leaf, &self.scratch.dictionary);
        }
        Ok(())
    }

    fn data(&mut self, page: &Page<'_>) -> Result<(), Refusal> {
        let all = page.values;
        if all > self.total - self.row {
            return Err(Refusal::damaged("a row group holds more rows than its footer states"));
        }
        let rows = PageRows { all, wanted: self.wanted_of(all) };
        self.row += all;
        if rows.kept() == 0 {
            return Ok(()); // not even decompressed
        }
        self.part.check(rows.kept())?;
        match (&self.part.store, self.plan.values) {
            (PartStore::Fixed { .. }, Values::Fixed(convert)) => self.fixed(page, &rows, convert)?,
            (PartStore::Bits(_), Values::Boolean) => self.booleans(page, &rows)?,
            (PartStore::Views(_), Values::Strings { utf8 }) => self.views(page, &rows, utf8)?,
            (PartStore::Ends(_), Values::Strings { utf8 }) => self.contiguous(page, &rows, utf8)?,
            (PartStore::Codes { .. }, Values::Strings { .. }) if page.encoding == Encoding::Dictionary => {
                self.fixed(page, &rows, CODES)?;
            }
            (PartStore::Codes { .. }, Values::Strings { utf8 }) => self.codes(page, &rows, utf8)?,
            _ => return Err(Refusal::Unsupported),
        }
        Ok(self.part.advance(rows.kept())?)
    }

    fn wanted_of(&self, rows: usize) -> Option<(Vec<u64>, usize)> {
        let mask = self.wanted.as_ref()?.slice(self.row, rows);
        let count = mask.count_set_bits();
        if count == rows {
            return None;
        }
        let chunks = mask.inner().bit_chunks(mask.offset(), rows);
        let words = if count == 0 { Vec::new() } else { chunks.iter_padded().take(rows.div_ceil(64)).collect() };
        Some((words, count))
    }

    /// Decompresses a data page into `memory`; one that is not compressed is used where it is.
    fn open<'p>(&self, page: &Page<'p>, repeated: bool, memory: &'p mut Vec<u8>) -> Result<Opened<'p>, Refusal> {
        if self.chunk.codec == Compression::UNCOMPRESSED {
            return self.split(page, repeated, page.body, true);
        }
        let length = body_length(page);
        self.chunk.check(length)?;
        let bytes = sized(memory, length)?;
        self.decompress(page, bytes)?;
        self.split(page, repeated, bytes, false)
    }

    /// Decompresses what is compressed of a data page, all but a v2 page's levels.
    pub(super) fn decompress(&self, page: &Page<'_>, bytes: &mut [u8]) -> Result<(), Refusal> {
        let Some((pages, leaf)) = &self.shared else { return self.decompress_body(page, bytes) };
        // An earlier part has rows of a page whose first row is not this one's, a later part where its last row is not.
        let first_row = self.row.saturating_sub(page.values);
        let is_other = |row: usize| self.wanted.as_ref().is_some_and(|wanted| row < wanted.len() && !wanted.value(row));
        let is_last = !is_other(self.row.saturating_sub(1));
        if is_other(first_row) && pages.copy(*leaf, first_row, bytes, is_last) {
            return Ok(());
        }
        self.decompress_body(page, bytes)?;
        if !is_last {
            pages.keep(*leaf, first_row, bytes);
        }
        Ok(())
    }

    /// Decompresses a dictionary page of strings, which other parts need too.
    pub(super) fn decompress_dictionary(&self, page: &Page<'_>, bytes: &mut [u8]) -> Result<(), Refusal> {
        let Some((pages, leaf)) = &self.shared else { return codec::decompress(self.chunk.codec, page.body, bytes) };
        if !pages.copy(*leaf, DICTIONARY, bytes, false) {
            codec::decompress(self.chunk.codec, page.body, bytes)?;
            pages.keep(*leaf, DICTIONARY, bytes);
        }
        Ok(())
    }

    fn decompress_body(&self, page: &Page<'_>, bytes: &mut [u8]) -> Result<(), Refusal> {
        match page.kind {
            PageKind::DataV2 { repetition, definition, compressed, .. } => {
                let body = page.body.get(repetition + definition..).unwrap_or_default();
                let codec = if compressed { self.chunk.codec } else { Compression::UNCOMPRESSED };
                codec::decompress(codec, body, bytes)
            }
            _ => codec::decompress(self.chunk.codec, page.body, bytes),
        }
    }

    /// The levels and values of a page: `bytes` is what was decompressed of it, or its body as it is in the file.
    pub(super) fn split<'p>(
        &self,
        page: &Page<'p>,
        repeated: bool,
        bytes: &'p [u8],
        is_body: bool,
    ) -> Result<Opened<'p>, Refusal> {
        if let PageKind::DataV2 { repetition, definition, .. } = page.kind {
            let levels = repetition + definition;
            let start = if is_body { levels } else { 0 };
            return Ok(Opened {
                repetition: page.body.get(..repetition).unwrap_or_default(),
                definition: page.body.get(repetition..levels).unwrap_or_default(),
                values: bytes.get(start..).unwrap_or_default(),
                start,
            });
        }
        if page.kind != (PageKind::Data { rle_levels: true }) && (repeated || self.plan.nullable) {
            return Err(Refusal::Unsupported);
        }
        let mut at = 0;
        let mut level = |there: bool| -> Result<&'p [u8], Refusal> {
            if !there {
                return Ok(&[]);
            }
            let ended = || Refusal::damaged("a page ends within its levels");
            let length = bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).ok_or_else(ended)?;
            let start = at + 4;
            at = start + u32::from_le_bytes(length) as usize;
            bytes.get(start..at).ok_or_else(ended)
        };
        let (repetition, definition) = (level(repeated)?, level(self.plan.nullable)?);
        Ok(Opened { repetition, definition, values: bytes.get(at..).unwrap_or_default(), start: at })
    }

    /// How many rows of the page hold a value; which ones is in `scratch.valid` unless all do.
    pub(super) fn present(&mut self, opened: &Opened<'_>, rows: usize) -> Result<usize, Refusal> {
        if !self.plan.nullable {
            self.scratch.valid.clear();
            return Ok(rows);
        }
        levels::read_bits(opened.definition, rows, &mut self.scratch.valid)
    }

    pub(super) fn append_validity(&mut self, rows: &PageRows, present: usize) {
        match (&rows.wanted, present == rows.all) {
            (_, true) => self.part.validity.append_valid(rows.kept()),
            (None, false) => self.part.validity.append_words(self.scratch.valid.words(), rows.all),
            (Some((wanted, count)), false) => {
                extract_bits(self.scratch.valid.words(), wanted, &mut self.scratch.bits);
                self.part.validity.append_words(self.scratch.bits.words(), *count);
            }
        }
    }

    fn fixed(&mut self, page: &Page<'_>, rows: &PageRows, convert: Convert) -> Result<(), Refusal> {
        let mut memory = std::mem::take(&mut self.scratch.page);
        let opened = self.open(page, false, &mut memory)?;
        let present = self.present(&opened, rows.all)?;
        self.place(convert, page.encoding, opened.values, rows, present)?;
        self.scratch.page = memory;
        Ok(())
    }

    /// Values of fixed width to the rows of the page that hold one, `present` of them.
    pub(super) fn place(
        &mut self,
        convert: Convert,
        encoding: Encoding,
        values: &[u8],
        rows: &PageRows,
        present: usize,
    ) -> Result<(), Refusal> {
        let width = convert.width();
        let mut aside = std::mem::take(&mut self.scratch.rows);
        let row = self.part.written();
        let slot = match &mut self.part.store {
            PartStore::Fixed { slot, width: ours } if *ours == width => slot,
            PartStore::Codes { slot, .. } if width == CODE_BYTES => slot,
            _ => return Err(Refusal::Unsupported),
        };
        let target = slot.get_mut(row * width..(row + rows.kept()) * width).ok_or_else(too_many)?;
        match &rows.wanted {
            None => {
                dense_rows(convert, encoding, values, target, present, &mut self.scratch)?;
            }
            Some((wanted, _)) => {
                let chosen = (rows.all, wanted.as_slice());
                let all_present = present == rows.all;
                if !all_present || !fixed::wanted(convert, encoding, values, chosen, target, &mut self.scratch)? {
                    let all = sized(&mut aside, rows.all * width)?;
                    dense_rows(convert, encoding, values, all, present, &mut self.scratch)?;
                    spread::compact(width, all, wanted, target);
                }
            }
        }
        self.append_validity(rows, present);
        self.scratch.rows = aside;
        Ok(())
    }

    fn booleans(&mut self, page: &Page<'_>, rows: &PageRows) -> Result<(), Refusal> {
        let mut memory = std::mem::take(&mut self.scratch.page);
        let opened = self.open(page, false, &mut memory)?;
        let present = self.present(&opened, rows.all)?;
        let bits = &mut self.scratch.bits;
        bits.clear();
        match page.encoding {
            Encoding::Plain => {
                if opened.values.len() < present.div_ceil(8) {
                    return Err(short());
                }
                bits.append_packed(opened.values, present);
            }
            Encoding::Rle => {
                // Their length in four bytes comes first, in pages of either version.
                let runs = opened.values.get(4..).unwrap_or_default();
                levels::read_bits(runs, present, bits)?;
                if bits.len() == 0 {
                    bits.append_run(present, true);
                }
            }
            _ => return Err(Refusal::Unsupported),
        }
        let mut spread = Bits::default();
        if present < rows.all {
            let mut at = 0;
            for word in self.scratch.valid.words() {
                spread.append_word(bits::deposit(bits::word_at(bits.words(), at), *word), 64);
                at += word.count_ones() as usize;
            }
            std::mem::swap(bits, &mut spread);
        }
        if let Some((wanted, _)) = &rows.wanted {
            extract_bits(bits.words(), wanted, &mut spread);
            std::mem::swap(bits, &mut spread);
        }
        let PartStore::Bits(target) = &mut self.part.store else { return Err(Refusal::Unsupported) };
        target.append_packed_range(0..rows.kept(), arrow_buffer::ToByteSlice::to_byte_slice(bits.words()));
        self.append_validity(rows, present);
        self.scratch.page = memory;
        Ok(())
    }
}

/// Bytes of a page once decompressed, without the levels that are not compressed.
pub fn body_length(page: &Page<'_>) -> usize {
    match page.kind {
        PageKind::DataV2 { repetition, definition, .. } => page.uncompressed - repetition - definition,
        _ => page.uncompressed,
    }
}

/// Dense values at the front of their rows, then in their places.
fn dense_rows(
    convert: Convert,
    encoding: Encoding,
    values: &[u8],
    rows: &mut [u8],
    present: usize,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let front = rows.get_mut(..present * convert.width()).unwrap_or_default();
    fixed::dense(convert, encoding, values, front, scratch)?;
    if present * convert.width() < rows.len() {
        spread::expand(convert.width(), rows, scratch.valid.words(), present);
    }
    Ok(())
}

fn extract_bits(words: &[u64], wanted: &[u64], out: &mut Bits) {
    out.clear();
    for (word, wanted) in words.iter().zip(wanted) {
        out.append_word(extract(*word, *wanted), wanted.count_ones() as usize);
    }
}
