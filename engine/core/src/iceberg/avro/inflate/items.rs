//! The literals and matches of a block.
//!
//! Must not know: how tables are built.

use super::codes::{Codes, END, EXCEPTIONAL, LITERAL, OFFSET_BITS};
use super::{Bits, Fault, Out, WINDOW_BYTES, WINDOW_STOP, Window};

impl Codes {
    #[inline(always)]
    fn litlen_at(&self, index: usize) -> Result<u32, Fault> {
        self.litlen.get(index).copied().ok_or(Fault::Damaged)
    }

    /// Everything up to the block's end
    #[inline(never)]
    pub fn items(&self, bits: &mut Bits, out: &mut Out) -> Result<(), Fault> {
        loop {
            if out.at > out.stop() {
                out.flush()?;
            }
            if bits.at > bits.stop {
                bits.fetch_or_fail()?;
            }
            if self.fast(bits, out)? {
                return Ok(());
            }
        }
    }

    /// Items while there is room and input for another. Whether the block ended.
    ///
    /// An item is up to three literals, or up to two and a match. The entry of the next is loaded before more bits are: those
    /// that it is found by are there. Nothing here but the tables' bounds and the distance is checked: all else follows from
    /// the loop's condition.
    #[inline(always)]
    fn fast(&self, shared: &mut Bits, out: &mut Out) -> Result<bool, Fault> {
        let Bits { ref mut input, rest, end, stop, at, buffer, left } = *shared;
        let mut bits = Bits { input, rest, end, stop, at, buffer, left };
        let end = out.stop().min(WINDOW_STOP);
        let window = &mut *out.window;
        let mut at = out.at;
        let mask = !(u64::MAX << (self.litlen_bits & 15));
        let offset_mask = !(u64::MAX << (self.offset_bits & 15));
        let mut done = false;
        bits.refill();
        let mut entry = self.litlen_at((bits.buffer & mask) as usize)?;
        while at <= end && bits.at <= bits.stop {
            bits.refill();
            let mut saved = bits.buffer;
            bits.skip(entry);
            if entry & LITERAL != 0 {
                window[at] = (entry >> 16) as u8;
                entry = self.litlen_at((bits.buffer & mask) as usize)?;
                saved = bits.buffer;
                bits.skip(entry);
                at += 1;
                if entry & LITERAL != 0 {
                    window[at] = (entry >> 16) as u8;
                    entry = self.litlen_at((bits.buffer & mask) as usize)?;
                    saved = bits.buffer;
                    bits.skip(entry);
                    at += 1;
                    if entry & LITERAL != 0 {
                        window[at] = (entry >> 16) as u8;
                        at += 1;
                        entry = self.litlen_at((bits.buffer & mask) as usize)?;
                        continue;
                    }
                }
            }
            if entry & EXCEPTIONAL != 0 {
                if entry & END != 0 {
                    done = true;
                    break;
                }
                let index = (entry >> 16) as usize + bits.low(entry >> 8 & 15);
                entry = self.litlen_at(index)?;
                saved = bits.buffer;
                bits.skip(entry);
                if entry & LITERAL != 0 {
                    window[at] = (entry >> 16) as u8;
                    at += 1;
                    entry = self.litlen_at((bits.buffer & mask) as usize)?;
                    continue;
                }
                if entry & END != 0 {
                    done = true;
                    break;
                }
            }
            let length = (entry >> 16) as usize + ((saved & !(u64::MAX << (entry & 63))) >> (entry >> 8 & 63)) as usize;
            if (bits.left & 63) < self.offset_need {
                bits.refill();
            }
            let mut offset = *self.offset.get((bits.buffer & offset_mask) as usize).ok_or(Fault::Damaged)?;
            if offset & EXCEPTIONAL != 0 {
                bits.skip(OFFSET_BITS);
                let index = (offset >> 16) as usize + bits.low(offset >> 8 & 15);
                offset = *self.offset.get(index).ok_or(Fault::Damaged)?;
            }
            let saved = bits.buffer;
            bits.skip(offset);
            let distance =
                (offset >> 16) as usize + ((saved & !(u64::MAX << (offset & 63))) >> (offset >> 8 & 63)) as usize;
            entry = self.litlen_at((bits.buffer & mask) as usize)?;
            if distance > at {
                return Err(Fault::Damaged);
            }
            copy_match(window, at, distance, length);
            at += length;
        }
        out.at = at;
        (shared.at, shared.buffer, shared.left) = (bits.at, bits.buffer, bits.left);
        Ok(done)
    }
}

#[inline(always)]
fn load(window: &Window, at: usize) -> u64 {
    window.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline(always)]
fn store(window: &mut Window, at: usize, word: u64) {
    if let Some(chunk) = window.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>()) {
        *chunk = word.to_le_bytes();
    }
}

/// Copies by words, and writes up to 31 bytes too many. Nearer than a word, what is to be repeated is spread over one.
#[inline(always)]
fn copy_match(window: &mut Window, at: usize, distance: usize, length: usize) {
    let source = at - distance;
    let kind = distance.min(8);
    let pattern = (load(window, source) & PATTERN_MASK[kind]).wrapping_mul(PATTERN_TIMES[kind]);
    store(window, at, pattern);
    if length > 8 {
        let end = at + length;
        if distance >= 8 {
            let (mut from, mut to) = (source + 8, at + 8);
            while from <= to && to <= WINDOW_BYTES - 40 {
                for k in [0, 8, 16, 24] {
                    let next = load(window, from + k);
                    store(window, to + k, next);
                }
                (from, to) = (from + 32, to + 32);
                if to >= end {
                    break;
                }
            }
        } else {
            let step = PATTERN_STEP[kind];
            let mut to = at + step;
            loop {
                store(window, to, pattern);
                store(window, to + step, pattern);
                to += 2 * step;
                if to >= end {
                    break;
                }
            }
        }
    }
}

static PATTERN_MASK: [u64; 9] =
    [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, (1 << 40) - 1, (1 << 48) - 1, (1 << 56) - 1, !0];
static PATTERN_TIMES: [u64; 9] = [
    0,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    1 | 1 << 24 | 1 << 48,
    1 | 1 << 32,
    1 | 1 << 40,
    1 | 1 << 48,
    1 | 1 << 56,
    1,
];
static PATTERN_STEP: [usize; 9] = [8, 8, 8, 6, 8, 5, 6, 7, 8];
