//! The walk over the pages of one column chunk, each into the rows it holds.
//!
//! Must not know: how strings lie in pages ([`super::text`]), how encodings work.

use arrow_buffer::BooleanBuffer;
use parquet::basic::Compression;

use super::bits::{self, Bits, extract};
use super::fixed::{self, Convert};
use super::page::{Encoding, Kind as PageKind, Page, Pages};
use super::scratch::{Scratch, sized};
use super::{Chunk, Opened, Plan, Refusal, Values, codec, levels, lists, spread, too_many};
use crate::parquet::columns::{ColumnPart, PartStore};
use crate::runtime::Cancel;

/// One column chunk on its way into its part.
pub struct Decoder<'a> {
    plan: Plan,
    pub(super) chunk: &'a Chunk<'a>,
    wanted: Option<&'a BooleanBuffer>,
    pub(super) part: &'a mut ColumnPart,
    pub(super) scratch: &'a mut Scratch,
    /// Rows of the row group so far, wanted or not
    row: usize,
    total: usize,
    /// Bytes of pages that are still to come, about
    pub(super) rest: usize,
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

impl<'a> Decoder<'a> {
    /// Before the first page.
    pub fn new(
        plan: Plan,
        chunk: &'a Chunk<'a>,
        wanted: Option<&'a BooleanBuffer>,
        part: &'a mut ColumnPart,
        scratch: &'a mut Scratch,
    ) -> Decoder<'a> {
        let total = wanted.map_or(part.missing(), BooleanBuffer::len);
        Decoder { plan, chunk, wanted, part, scratch, row: 0, total, rest: chunk.uncompressed }
    }

    /// Every page of a flat column.
    pub fn rows(&mut self, cancel: &Cancel) -> Result<(), Refusal> {
        let mut pages = Pages::new(self.chunk.bytes);
        while self.row < self.total
            && let Some(page) = pages.next_page()?
        {
            cancel.check()?;
            match page.kind {
                PageKind::Other => {}
                PageKind::Dictionary => self.dictionary(&page)?,
                PageKind::Data { .. } | PageKind::DataV2 { .. } => self.data(&page)?,
            }
            self.rest = self.rest.saturating_sub(page.uncompressed);
        }
        Ok(())
    }

    /// Every page of a column of lists.
    pub fn lists(&mut self, cancel: &Cancel) -> Result<(), Refusal> {
        let Values::List { element, empty, full } = self.plan.values else { return Err(Refusal::Unsupported) };
        let shape = lists::Shape { empty, full, element };
        let mut lists = lists::Lists::default();
        let mut pages = Pages::new(self.chunk.bytes);
        while let Some(page) = pages.next_page()? {
            cancel.check()?;
            match page.kind {
                PageKind::Other => {}
                PageKind::Dictionary => self.dictionary(&page)?,
                PageKind::Data { .. } | PageKind::DataV2 { .. } => {
                    let mut memory = std::mem::take(&mut self.scratch.page);
                    let opened = self.open(&page, true, &mut memory)?;
                    let PartStore::Ends(ends) = &mut self.part.store else { return Err(Refusal::Unsupported) };
                    let target = (ends, &mut self.part.validity, self.total);
                    lists.page(shape, page.encoding, &opened, page.values, target, self.scratch)?;
                    self.scratch.page = memory;
                }
            }
        }
        let PartStore::Ends(ends) = &mut self.part.store else { return Err(Refusal::Unsupported) };
        let rows = lists.finish(ends)?;
        Ok(self.part.advance(rows)?)
    }

    fn dictionary(&mut self, page: &Page<'_>) -> Result<(), Refusal> {
        if !matches!(page.encoding, Encoding::Plain | Encoding::Dictionary) {
            return Err(Refusal::Unsupported);
        }
        self.check_size(page.uncompressed)?;
        let convert = match self.plan.values {
            Values::Fixed(convert) | Values::List { element: convert, .. } => convert,
            Values::Strings { utf8 } => return self.words(page, utf8),
            Values::Boolean => return Err(Refusal::Unsupported),
        };
        let mut memory = std::mem::take(&mut self.scratch.page);
        let bytes = sized(&mut memory, page.uncompressed)?;
        codec::decompress(self.chunk.codec, page.body, bytes)?;
        fixed::dictionary(convert, bytes, page.values, &mut self.scratch.dictionary)?;
        self.scratch.page = memory;
        self.scratch.has_dictionary = true;
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
            _ => return Err(Refusal::Unsupported),
        }
        Ok(self.part.advance(rows.kept())?)
    }

    fn wanted_of(&self, rows: usize) -> Option<(Vec<u64>, usize)> {
        let mask = self.wanted?.slice(self.row, rows);
        let count = mask.count_set_bits();
        if count == rows {
            return None;
        }
        let chunks = mask.inner().bit_chunks(mask.offset(), rows);
        let words = if count == 0 { Vec::new() } else { chunks.iter_padded().take(rows.div_ceil(64)).collect() };
        Some((words, count))
    }

    pub(super) fn check_size(&self, bytes: usize) -> Result<(), Refusal> {
        self.chunk.check(bytes)
    }

    /// Decompresses a data page into `memory`; one that is not compressed is used where it is.
    fn open<'p>(&self, page: &Page<'p>, repeated: bool, memory: &'p mut Vec<u8>) -> Result<Opened<'p>, Refusal> {
        if self.chunk.codec == Compression::UNCOMPRESSED {
            return self.split(page, repeated, page.body, true);
        }
        let length = body_length(page);
        self.check_size(length)?;
        let bytes = sized(memory, length)?;
        self.decompress(page, bytes)?;
        self.split(page, repeated, bytes, false)
    }

    /// Decompresses what is compressed of a data page, all but a v2 page's levels.
    pub(super) fn decompress(&self, page: &Page<'_>, bytes: &mut [u8]) -> Result<(), Refusal> {
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
        let width = convert.width();
        let mut aside = std::mem::take(&mut self.scratch.rows);
        let row = self.part.written();
        let PartStore::Fixed { slot, width: ours } = &mut self.part.store else { return Err(Refusal::Unsupported) };
        if *ours != width {
            return Err(Refusal::Unsupported);
        }
        let target = slot.get_mut(row * width..(row + rows.kept()) * width).ok_or_else(too_many)?;
        match &rows.wanted {
            None => {
                dense_rows(convert, page.encoding, opened.values, target, present, self.scratch)?;
            }
            Some((wanted, _)) => {
                let all = sized(&mut aside, rows.all * width)?;
                dense_rows(convert, page.encoding, opened.values, all, present, self.scratch)?;
                spread::compact(width, all, wanted, target);
            }
        }
        self.append_validity(rows, present);
        (self.scratch.page, self.scratch.rows) = (memory, aside);
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
                    return Err(Refusal::damaged("a page is shorter than its values"));
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
