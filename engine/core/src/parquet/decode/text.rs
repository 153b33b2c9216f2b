//! Pages of strings into a part: views of bytes that stay where they were decompressed, contiguous bytes, or positions
//! in a dictionary of the column's.
//!
//! A page's strings are first found ([`Text`]), dense, in memory that views may point into or in memory of the thread's.
//! Must not know: how columns are joined.

use super::delta::Prefixed;
use super::page::{Encoding, Page};
use super::positions::{look_up_values, pick};
use super::scratch::{sized, unshared};
use super::strings::{self, PADDING, Span};
use super::walk::{CODES, Decoder, PageRows, body_length};
use super::{Refusal, no_dictionary, spread, too_many};
use crate::parquet::columns::PartStore;
use crate::parquet::columns::views::{Space, VIEW_BYTES};

/// The strings of a page: their dense spans are in the scratch, but for positions in a dictionary.
struct Text {
    /// Memory that views point into
    space: Option<Space>,
    /// Or the thread's
    memory: Vec<u8>,
    /// The values, within either
    start: usize,
    end: usize,
    /// Rows that hold a string
    present: usize,
}

impl Text {
    /// The values and [`PADDING`] bytes more.
    fn padded(&self) -> &[u8] {
        let bytes = self.space.as_ref().map_or(self.memory.as_slice(), Space::page);
        bytes.get(self.start..self.end + PADDING).unwrap_or_default()
    }

    fn values(&self) -> &[u8] {
        let padded = self.padded();
        padded.get(..padded.len().saturating_sub(PADDING)).unwrap_or_default()
    }

    /// The place of the buffer that views point into, and where the values begin in it.
    fn place(&self) -> (u32, u32) {
        self.space.as_ref().map_or((0, 0), |space| (space.place(), space.offset() + self.start as u32))
    }
}

impl Decoder {
    /// A dictionary of strings: as views where the column is views, else as places in the dictionary page. A part that
    /// copies strings keeps a dictionary too that is no longer than the part's views: many rows may share a few strings.
    pub fn words(&mut self, page: &Page<'_>, utf8: bool) -> Result<(), Refusal> {
        let (length, count) = (page.uncompressed, page.values);
        let mut memory = std::mem::take(&mut self.scratch.words);
        let missing = self.part.missing();
        let mut space = match &mut self.part.store {
            PartStore::Views(part) if !part.copies() || length <= missing * VIEW_BYTES => {
                Some(part.space(length + PADDING, self.rest + PADDING)?)
            }
            _ => None,
        };
        let bytes = match &mut space {
            Some(space) => space.page_mut(length + PADDING),
            None => sized(&mut memory, length + PADDING)?,
        };
        self.decompress_dictionary(page, bytes.get_mut(..length).unwrap_or_default())?;
        let values = bytes.get(..length).unwrap_or_default();
        strings::find(Encoding::Plain, values, count, utf8, &mut self.scratch)?;
        match &mut self.part.store {
            PartStore::Views(part) => {
                let (place, base) = space.as_ref().map_or((0, 0), |space| (space.place(), space.offset()));
                let bytes = space.as_ref().map_or(memory.as_slice(), Space::page);
                self.scratch.are_words_kept = space.is_some();
                self.scratch.views.resize(count, [0; VIEW_BYTES]);
                let long = strings::views(&self.scratch.spans, bytes, place, base, &mut self.scratch.views)?;
                if let Some(space) = space {
                    part.put(space, if long { length } else { 0 });
                }
            }
            PartStore::Codes { categories, .. } => {
                let codes = unshared(&mut self.scratch.dictionary);
                codes.clear();
                categories.encode(self.scratch.spans.iter().map(|span| span.of(&memory)), codes)?;
            }
            _ => self.scratch.dictionary_spans.clone_from(&self.scratch.spans),
        }
        self.scratch.words = memory;
        self.scratch.has_dictionary = true;
        Ok(())
    }

    /// Decompresses a page, reads its levels and finds its strings; `shared`: in memory that views may point into.
    fn text(&mut self, page: &Page<'_>, rows: &PageRows, utf8: bool, shared: bool) -> Result<Text, Refusal> {
        if page.encoding == Encoding::Dictionary && !self.scratch.has_dictionary {
            return Err(no_dictionary());
        }
        let length = body_length(page);
        self.chunk.check(length)?;
        let mut memory = std::mem::take(&mut self.scratch.page);
        let mut space = match strings::is_in_page(page.encoding) && shared {
            true => Some(self.space(length)?),
            false => None,
        };
        let bytes = match &mut space {
            Some(space) => space.page_mut(length + PADDING),
            None => sized(&mut memory, length + PADDING)?,
        };
        self.decompress(page, bytes.get_mut(..length).unwrap_or_default())?;
        let opened = self.split(page, false, bytes.get(..length).unwrap_or_default(), false)?;
        let present = self.present(&opened, rows.all)?;
        let (start, end) = (opened.start, length);
        match page.encoding {
            Encoding::Dictionary => {}
            Encoding::DeltaByteArray => {
                let found = self.prefixed(opened.values, present, utf8, shared)?;
                self.scratch.values = memory;
                return Ok(found);
            }
            encoding => strings::find(encoding, opened.values, present, utf8, &mut self.scratch)?,
        }
        Ok(Text { space, memory, start, end, present })
    }

    fn prefixed(&mut self, values: &[u8], present: usize, utf8: bool, shared: bool) -> Result<Text, Refusal> {
        let mut memory = std::mem::take(&mut self.scratch.values);
        let strings = Prefixed::new(values, present)?;
        let end = strings.total();
        self.chunk.check(end)?;
        let mut space = if shared { Some(self.space(end)?) } else { None };
        let bytes = match &mut space {
            Some(space) => space.page_mut(end + PADDING),
            None => sized(&mut memory, end + PADDING)?,
        };
        strings.write(bytes.get_mut(..end).unwrap_or_default(), &mut self.scratch.spans)?;
        if utf8 {
            strings::check_joined(bytes, &self.scratch.spans)?;
        }
        Ok(Text { space, memory, start: 0, end, present })
    }

    fn space(&mut self, length: usize) -> Result<Space, Refusal> {
        match &mut self.part.store {
            PartStore::Views(part) => Ok(part.space(length + PADDING, self.rest + PADDING)?),
            _ => Err(Refusal::Unsupported),
        }
    }

    /// Views of a page's strings.
    pub fn views(&mut self, page: &Page<'_>, rows: &PageRows, utf8: bool) -> Result<(), Refusal> {
        let (row, kept) = (self.part.written(), rows.kept());
        let is_dictionary = page.encoding == Encoding::Dictionary;
        let is_kept = if is_dictionary { self.scratch.are_words_kept } else { rows.wanted.is_none() };
        let copies = !is_kept && matches!(&self.part.store, PartStore::Views(part) if part.copies());
        let text = self.text(page, rows, utf8, !copies)?;
        let present = text.present;
        let scratch = &mut *self.scratch;
        let PartStore::Views(part) = &mut self.part.store else { return Err(Refusal::Unsupported) };
        let target = part.slot.get_mut(row * VIEW_BYTES..(row + kept) * VIEW_BYTES).ok_or_else(too_many)?;
        let mut long = false;
        if is_dictionary {
            let all_present = present == rows.all;
            let all = match rows.wanted {
                Some(_) if !all_present => sized(&mut scratch.rows, rows.all * VIEW_BYTES)?,
                _ => &mut *target,
            };
            match &rows.wanted {
                Some((wanted, _)) if all_present => {
                    let chosen = (rows.all, wanted.as_slice());
                    pick(text.values(), &scratch.views, chosen, all.as_chunks_mut().0)?;
                }
                wanted => {
                    let front = all.get_mut(..present * VIEW_BYTES).unwrap_or_default().as_chunks_mut().0;
                    look_up_values(text.values(), &scratch.views, front)?;
                    if present < rows.all {
                        spread::expand(VIEW_BYTES, all, scratch.valid.words(), present);
                    }
                    if let Some((wanted, _)) = wanted {
                        spread::compact(VIEW_BYTES, &scratch.rows, wanted, target);
                    }
                }
            }
        } else {
            let (place, base) = text.place();
            if rows.wanted.is_some() {
                // Only the wanted ones are made views of.
                scratch.place_spans(rows, present);
                long = strings::views(&scratch.spans, text.padded(), place, base, target.as_chunks_mut().0)?;
            } else {
                let front = target.get_mut(..present * VIEW_BYTES).unwrap_or_default().as_chunks_mut().0;
                long = strings::views(&scratch.spans, text.padded(), place, base, front)?;
                if present < rows.all {
                    spread::expand(VIEW_BYTES, target, scratch.valid.words(), present);
                }
            }
        }
        if copies {
            let source = if is_dictionary { scratch.words.as_slice() } else { text.padded() };
            part.copy_long(row, kept, source)?;
        }
        self.done(text, long);
        self.append_validity(rows, present);
        Ok(())
    }

    /// The bytes of a page's strings next to those before, and where each ends.
    pub fn contiguous(&mut self, page: &Page<'_>, rows: &PageRows, utf8: bool) -> Result<(), Refusal> {
        let row = self.part.written();
        let text = self.text(page, rows, utf8, false)?;
        let present = text.present;
        let scratch = &mut *self.scratch;
        let is_dictionary = page.encoding == Encoding::Dictionary;
        if is_dictionary {
            scratch.spans.resize(present, Span::default());
            look_up_values(text.values(), &scratch.dictionary_spans, &mut scratch.spans)?;
        }
        scratch.place_spans(rows, present);
        let bytes = if is_dictionary { scratch.words.as_slice() } else { text.padded() };
        let PartStore::Ends(part) = &mut self.part.store else { return Err(Refusal::Unsupported) };
        let mut end = part.end();
        let ends = part.ends(row, scratch.spans.len()).as_chunks_mut().0;
        let start = end;
        for (place, span) in ends.iter_mut().zip(&scratch.spans) {
            end += span.length() as u64;
            *place = end.to_ne_bytes();
        }
        let length = usize::try_from(end - start).map_err(|_| too_many())?;
        self.chunk.check(length)?;
        let room = part.room(length)?;
        let given = room.len();
        strings::copy(&scratch.spans, bytes, room)?;
        part.commit(given, length);
        self.done(text, false);
        self.append_validity(rows, present);
        Ok(())
    }

    /// The positions of a page's strings in the column's dictionary.
    pub fn codes(&mut self, page: &Page<'_>, rows: &PageRows, utf8: bool) -> Result<(), Refusal> {
        let text = self.text(page, rows, utf8, false)?;
        let mut codes = std::mem::take(&mut self.scratch.codes);
        codes.clear();
        let PartStore::Codes { categories, .. } = &self.part.store else { return Err(Refusal::Unsupported) };
        categories.encode(self.scratch.spans.iter().map(|span| span.of(text.values())), &mut codes)?;
        self.place(CODES, Encoding::Plain, &codes, rows, text.present)?;
        self.scratch.codes = codes;
        self.done(text, false);
        Ok(())
    }

    /// Gives memory back; that of a page with long strings is kept for the views that point into it.
    fn done(&mut self, text: Text, long: bool) {
        let used = text.end;
        if let (Some(space), PartStore::Views(part)) = (text.space, &mut self.part.store) {
            part.put(space, if long { used } else { 0 });
        }
        self.scratch.page = text.memory;
    }
}
