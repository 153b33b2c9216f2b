//! Strings as views: the views in the column's memory, their bytes wherever they were decoded to.
//!
//! A whole page of long strings is one piece of a [`Space`], and its views point into it: no value is copied. In parts
//! of which only some rows are wanted the long strings of such pages are copied instead ([`Pages::Copied`]), since a few
//! rows must not keep whole pages alive. Must not know: encodings, files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::GenericByteViewArray;
use arrow_array::types::ByteViewType;
use arrow_buffer::Buffer;

use crate::arena::{Account, Frozen, Region, Slot};
use crate::error::{Error, Kind, Result};

/// A view: 16 bytes (Arrow columnar format, "Variable-size Binary View Layout").
pub const VIEW_BYTES: usize = 16;
/// Values of at most this many bytes live inside their view.
pub const INLINE_BYTES: u32 = 12;

/// Length and prefix of a long view (its low 64 bits).
const SHORT_PART: u128 = u64::MAX as u128;
/// Copied strings go to buffers of this length at first, each of the next twice as long as the one before,
const FIRST_COPIES_BYTES: usize = 16 << 10;
/// up to this: what the next part can use again when a frame is gone.
const MOST_COPIES_BYTES: usize = 1 << 20;
/// A view's offset has 32 bits, signed in some consumers.
const LARGEST_BUFFER_BYTES: usize = 1 << 30;

/// The buffers that the views of one column point into, by place.
#[derive(Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Buffer>>>);

/// A part's views and what they point into.
pub struct ViewPart {
    /// The rows' views
    pub slot: Slot,
    pub(super) pages: Pages,
    space: Option<Space>,
    /// Where bytes go
    pub buffers: Buffers,
    account: Account,
}

/// Where the bytes of a part's long strings are kept.
pub(super) enum Pages {
    /// In the decoded pages themselves, nothing copied: address of each buffer -> its place in the column
    Shared(HashMap<usize, u32>),
    /// In buffers of the part's own where a page holds rows that are not wanted; this is the last of them
    Copied(Option<Space>),
}

/// Memory for the pages of a part, or for strings copied out of them, one after another.
pub struct Space {
    frozen: Frozen,
    slot: Slot,
    used: usize,
    place: u32,
}

impl Space {
    fn new(length: usize, buffers: &Buffers, account: &Account) -> Result<Space> {
        if length > i32::MAX as usize {
            return Err(Error::new(Kind::Unsupported, "a page of strings of more than 2 GiB"));
        }
        let (frozen, slot) = Region::counted(length, account)?.whole()?;
        Ok(Space { frozen, slot, used: 0, place: buffers.reserve(Buffer::default())? })
    }

    /// Hands in what views point into; nothing if none does.
    fn close(self, buffers: &Buffers) -> Result<()> {
        let Space { frozen, slot, used, place } = self;
        drop(slot);
        if used > 0 {
            buffers.put(place, frozen.freeze()?.slice_with_length(0, used));
        }
        Ok(())
    }

    /// Memory of the page: all that follows the pages before.
    pub fn page(&self) -> &[u8] {
        self.slot.get(self.used..).unwrap_or_default()
    }

    /// The first `length` bytes of it, to be written.
    pub fn page_mut(&mut self, length: usize) -> &mut [u8] {
        self.slot.get_mut(self.used..self.used + length).unwrap_or_default()
    }

    /// The place of the buffer.
    pub fn place(&self) -> u32 {
        self.place
    }

    /// Where the page begins in it.
    pub fn offset(&self) -> u32 {
        self.used as u32
    }
}

impl Buffers {
    /// A place for a buffer that may come later.
    pub fn reserve(&self, buffer: Buffer) -> Result<u32> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = i32::try_from(buffers.len());
        let place = place.map_err(|_| Error::new(Kind::MemoryLimit, "too many string buffers"))?;
        buffers.push(buffer);
        Ok(place as u32)
    }

    fn put(&self, place: u32, buffer: Buffer) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reserved) = buffers.get_mut(place as usize) {
            *reserved = buffer;
        }
    }

    /// All of them; the parts are done.
    pub fn take(&self) -> Vec<Buffer> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ViewPart {
    pub(super) fn new(slot: Slot, buffers: Buffers, account: Account) -> ViewPart {
        ViewPart { slot, pages: Pages::Shared(HashMap::new()), space: None, buffers, account }
    }

    /// Copies long strings of pages that hold other rows too, from now on. Before the first row, or not at all.
    pub(super) fn copy_strings(&mut self) {
        self.pages = Pages::Copied(None);
    }

    /// Whether such strings are copied, so that their pages need not outlive their decoding.
    pub fn copies(&self) -> bool {
        matches!(self.pages, Pages::Copied(_))
    }

    /// A long string copied: (place of its buffer, offset in it).
    fn copy(&mut self, value: &[u8]) -> Result<(u32, u32)> {
        let Pages::Copied(last) = &mut self.pages else {
            return Err(Error::new(Kind::Internal, "strings of this part are not copied"));
        };
        let space = match last {
            Some(space) if space.slot.len() - space.used >= value.len() => space,
            last => {
                let before = last.as_ref().map_or(0, |space| space.slot.len());
                let size = (2 * before).clamp(FIRST_COPIES_BYTES, MOST_COPIES_BYTES).max(value.len());
                if let Some(full) = last.take() {
                    full.close(&self.buffers)?;
                }
                last.insert(Space::new(size, &self.buffers, &self.account)?)
            }
        };
        let offset = space.offset();
        space.page_mut(value.len()).copy_from_slice(value);
        space.used += value.len();
        Ok((space.place, offset))
    }

    /// Memory for a page of `length` bytes; `rest` is about how many bytes of the chunk's pages are still to come. To be
    /// given back by [`ViewPart::put`] before the next is asked for.
    pub fn space(&mut self, length: usize, rest: usize) -> Result<Space> {
        if let Some(space) = self.space.take_if(|space| space.slot.len() - space.used >= length) {
            return Ok(space);
        }
        self.close_space()?;
        let rest = if self.copies() { 0 } else { rest }; // the part ends before the chunk does
        Space::new(rest.min(LARGEST_BUFFER_BYTES).max(length), &self.buffers, &self.account)
    }

    /// Takes memory back, the first `length` bytes of its page kept: views point into them.
    pub fn put(&mut self, mut space: Space, length: usize) {
        space.used = (space.used + length).min(space.slot.len());
        self.space = Some(space);
    }

    /// Copies the long strings of rows whose views point into `source`, and points the views at the copies.
    pub fn copy_long(&mut self, row: usize, rows: usize, source: &[u8]) -> Result<()> {
        let missing = || Error::new(Kind::Internal, "a view outside its page");
        for at in row..row + rows {
            let place = at * VIEW_BYTES..(at + 1) * VIEW_BYTES;
            let view = self.slot.get(place.clone()).and_then(|view| view.try_into().ok()).ok_or_else(missing)?;
            let view = u128::from_ne_bytes(view);
            let (length, offset) = (view as u32, (view >> 96) as usize);
            if length > INLINE_BYTES {
                let value = source.get(offset..offset + length as usize).ok_or_else(missing)?;
                let (buffer, offset) = self.copy(value)?;
                let view = (view & SHORT_PART) | (u128::from(buffer) << 64) | (u128::from(offset) << 96);
                self.slot.get_mut(place).ok_or_else(missing)?.copy_from_slice(&view.to_ne_bytes());
            }
        }
        Ok(())
    }

    fn close_space(&mut self) -> Result<()> {
        self.space.take().map_or(Ok(()), |space| space.close(&self.buffers))
    }

    /// Forgets every row so far.
    pub(super) fn reset(&mut self) -> Result<()> {
        self.close_space()?;
        if let Pages::Copied(last) = &mut self.pages {
            *last = None;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.close_space()?;
        match self.pages {
            Pages::Copied(Some(last)) => last.close(&self.buffers),
            _ => Ok(()),
        }
    }

    /// Copies an array's views to rows from `row` on, pointing those that refer to a buffer at that buffer's place in
    /// the whole column. Only buffers that a view refers to are kept.
    pub(super) fn append<T: ByteViewType>(&mut self, row: usize, array: &GenericByteViewArray<T>) -> Result<()> {
        let missing = || Error::new(Kind::Internal, "a view without its buffer");
        let mut places: Vec<Option<u32>> = vec![None; array.data_buffers().len()];
        for (at, view) in array.views().iter().enumerate() {
            let mut view = *view;
            let length = view as u32;
            if length > INLINE_BYTES {
                let (index, offset) = ((view >> 64) as u32 as usize, (view >> 96) as u32 as usize);
                let buffer = array.data_buffers().get(index).ok_or_else(missing)?;
                if self.copies() {
                    let value = buffer.get(offset..offset + length as usize).ok_or_else(missing)?;
                    let (place, offset) = self.copy(value)?;
                    view = (view & SHORT_PART) | (u128::from(place) << 64) | (u128::from(offset) << 96);
                } else {
                    let place = match places.get(index).copied().flatten() {
                        Some(place) => place,
                        None => self.share(buffer)?,
                    };
                    places[index] = Some(place);
                    view = (view & !(u128::from(u32::MAX) << 64)) | (u128::from(place) << 64);
                }
            }
            let start = (row + at) * VIEW_BYTES;
            let target = self.slot.get_mut(start..start + VIEW_BYTES).ok_or_else(missing)?;
            target.copy_from_slice(&view.to_ne_bytes());
        }
        Ok(())
    }

    fn share(&mut self, buffer: &Buffer) -> Result<u32> {
        let Pages::Shared(known) = &mut self.pages else {
            return Err(Error::new(Kind::Internal, "strings of this part are copied"));
        };
        let address = buffer.as_ptr() as usize;
        if let Some(place) = known.get(&address) {
            return Ok(*place);
        }
        let place = self.buffers.reserve(buffer.clone())?;
        known.insert(address, place);
        Ok(place)
    }
}
