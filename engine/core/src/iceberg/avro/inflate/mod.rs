//! Raw deflate (RFC 1951) for tiny streams: Avro blocks of one manifest entry, a few hundred bytes, by the 100,000.
//!
//! Must not know: Avro. There, half of libdeflate's time goes into each block's tables and its branches that are guessed
//! wrong. Here the lengths of the codes are read without any branch and are sorted while they are read; what decodes the
//! lengths is kept, as it often comes again (in 0.96, 0.57, 0.48 of PyIceberg's blocks of three tables; whole headers never
//! do); the fixed codes are there from the start. Input and output go through windows of constant size, so that one check
//! an item stands for all bounds. It takes 0.57 to 0.69 of libdeflate's time on blocks of one entry, the same on 1 to 2 KiB,
//! and 1.1 to 1.3 of it on blocks of 64 KB: those are not for this decoder. The formats of the entries are libdeflate's
//! (MIT, Eric Biggers), and so is what counts as damaged.

mod codes;
mod items;
#[cfg(test)]
mod tests;

use codes::{Codes, Precodes, Rows, rows};

/// Room behind where an item starts: two literals, a match of 258 bytes, and the 31 that its copy may write too much.
const ROOM_BYTES: usize = 320;
const WINDOW_BYTES: usize = 96 << 10;
/// The last place in the window for an item to start
const WINDOW_STOP: usize = WINDOW_BYTES - ROOM_BYTES;
/// How far back a match may reach
const HISTORY_BYTES: usize = 32 << 10;
const INPUT_BYTES: usize = 64 << 10;
/// Behind this, more input is fetched first: a block's header takes 571 bytes at most.
const INPUT_STOP: usize = INPUT_BYTES - 1024;
/// Zeros behind the input's end
const PADDING_BYTES: usize = 64;

type Input = [u8; INPUT_BYTES + 8];
type Window = [u8; WINDOW_BYTES];
/// Why a stream is refused
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no deflate, or ends early.
    Damaged,
    /// It holds more than allowed.
    TooLong,
}

/// Decompresses streams one after the other. Takes 214 KiB, of which the windows' 160 are touched by long streams only.
pub(super) struct Inflater {
    input: Box<Input>,
    window: Box<Window>,
    rows: Box<Rows>,
    precodes: Box<Precodes>,
    codes: Box<Codes>,
    fixed: Box<Codes>,
}

impl Inflater {
    /// With room for tiny streams; nothing more is allocated but `output`.
    pub fn new() -> Inflater {
        let mut rows = rows();
        let fixed = Box::new(Codes::fixed(&mut rows));
        let (precodes, codes) = (Box::new(Precodes::new()), Box::new(Codes::new()));
        Inflater { input: zeroed(), window: zeroed(), rows, precodes, codes, fixed }
    }

    /// The whole stream, into `output`, of which nothing stays; at most `limit` bytes. What comes behind the stream's end is
    /// ignored: PyIceberg leaves three bytes of zlib's checksum there. After a fault, what is in `output` means nothing.
    pub fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), Fault> {
        output.clear();
        let mut bits = Bits::new(input, &mut self.input);
        let mut out = Out { window: &mut self.window, at: 0, kept: 0, output, limit };
        loop {
            if bits.at > bits.stop {
                bits.fetch_or_fail()?;
            }
            bits.refill();
            let head = bits.buffer as u32;
            match (head >> 1) & 3 {
                0 => stored(&mut bits, &mut out)?,
                1 => {
                    bits.skip(3);
                    self.fixed.items(&mut bits, &mut out)?;
                }
                2 => {
                    self.codes.read(&mut bits, &mut self.rows, &mut self.precodes)?;
                    self.codes.items(&mut bits, &mut out)?;
                }
                _ => return Err(Fault::Damaged),
            }
            if head & 1 == 1 {
                break;
            }
        }
        if bits.position() > bits.end * 8 {
            return Err(Fault::Damaged);
        }
        out.finish()
    }
}

/// Not by way of the stack, and pages that are never touched cost nothing
fn zeroed<const N: usize>() -> Box<[u8; N]> {
    vec![0; N].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; N]))
}

/// The input, bit by bit. Behind its end come zeros, and that they were read is found later.
struct Bits<'a> {
    input: &'a mut Input,
    /// What is not in `input` yet
    rest: &'a [u8],
    /// Where `input` ends, and where it needs more: a little behind that if there is none
    end: usize,
    stop: usize,
    at: usize,
    buffer: u64,
    /// Bits in `buffer`: the low 6 bits of this
    left: u32,
}

impl<'a> Bits<'a> {
    fn new(whole: &'a [u8], input: &'a mut Input) -> Bits<'a> {
        let mut bits = Bits { input, rest: whole, end: 0, stop: 0, at: 0, buffer: 0, left: 0 };
        bits.fetch();
        bits
    }

    /// Moves what is left to the front and adds what has room.
    #[inline(always)]
    fn fetch(&mut self) {
        if self.at != 0 {
            let at = self.at.min(self.end);
            self.input.copy_within(at..self.end, 0);
            (self.end, self.at) = (self.end - at, self.at - at);
        }
        let (more, rest) = self.rest.split_at(self.rest.len().min(INPUT_BYTES - PADDING_BYTES - self.end));
        if let Some(room) = self.input.get_mut(self.end..self.end + more.len()) {
            room.copy_from_slice(more);
        }
        (self.end, self.rest) = (self.end + more.len(), rest);
        self.stop = INPUT_STOP;
        if rest.is_empty() {
            if let Some(padding) = self.input.get_mut(self.end..).and_then(|room| room.first_chunk_mut()) {
                *padding = [0u8; PADDING_BYTES];
            }
            self.stop = self.end + 8;
        }
    }

    #[cold]
    fn fetch_or_fail(&mut self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Err(Fault::Damaged);
        }
        self.fetch();
        Ok(())
    }

    /// At least 56 bits
    #[inline(always)]
    fn refill(&mut self) {
        let word = self.input.get(self.at & (INPUT_BYTES - 1)..).and_then(|rest| rest.first_chunk::<8>());
        self.buffer |= u64::from_le_bytes(*word.unwrap_or(&[0; 8])) << (self.left & 63);
        self.at += 7 - ((self.left >> 3) & 7) as usize;
        self.left |= 56;
    }

    /// So many as the low 6 bits say: the others only spoil bits of `left` that nobody reads.
    #[inline(always)]
    fn skip(&mut self, entry: u32) {
        self.buffer >>= entry & 63;
        self.left = self.left.wrapping_sub(entry);
    }

    #[inline(always)]
    fn low(&self, bits: u32) -> usize {
        low(self.buffer, bits)
    }

    /// Of the next bit, in bits
    fn position(&self) -> usize {
        (self.at * 8).wrapping_sub(self.left as usize & 63)
    }
}

#[inline(always)]
fn low(buffer: u64, bits: u32) -> usize {
    (buffer & !(u64::MAX << (bits & 63))) as usize
}

/// The output. Only what a match may reach stays in the window when that is full.
struct Out<'a> {
    window: &'a mut Window,
    at: usize,
    /// So much of the window is in `output` already
    kept: usize,
    output: &'a mut Vec<u8>,
    limit: usize,
}

impl Out<'_> {
    /// Where no item may start: behind it, either the window is full or the limit passed.
    #[inline(always)]
    fn stop(&self) -> usize {
        self.limit.saturating_sub(self.output.len()).saturating_add(self.kept).min(WINDOW_STOP)
    }

    #[cold]
    fn flush(&mut self) -> Result<(), Fault> {
        self.keep()?;
        let from = self.at.saturating_sub(HISTORY_BYTES);
        self.window.copy_within(from..self.at, 0);
        self.at -= from;
        self.kept = self.at;
        Ok(())
    }

    fn finish(mut self) -> Result<(), Fault> {
        self.keep()
    }

    #[inline(always)]
    fn keep(&mut self) -> Result<(), Fault> {
        if self.output.len() + self.at - self.kept > self.limit {
            return Err(Fault::TooLong);
        }
        self.output.extend_from_slice(self.window.get(self.kept..self.at).ok_or(Fault::Damaged)?);
        Ok(())
    }
}

#[cold]
fn stored(bits: &mut Bits, out: &mut Out) -> Result<(), Fault> {
    bits.skip(3);
    bits.at = bits.position().div_ceil(8);
    (bits.buffer, bits.left) = (0, 0);
    let head = bits.input.get(bits.at..bits.end).and_then(|input| input.first_chunk::<4>());
    let &[a, b, c, d] = head.ok_or(Fault::Damaged)?;
    if u16::from_le_bytes([a, b]) != !u16::from_le_bytes([c, d]) {
        return Err(Fault::Damaged);
    }
    bits.at += 4;
    let mut size = u16::from_le_bytes([a, b]) as usize;
    while size > 0 {
        if bits.at == bits.end {
            bits.fetch_or_fail()?;
        }
        if out.at > out.stop() {
            out.flush()?;
        }
        let step = size.min(bits.end - bits.at).min(WINDOW_BYTES - out.at);
        let from = bits.input.get(bits.at..bits.at + step).ok_or(Fault::Damaged)?;
        out.window.get_mut(out.at..out.at + step).ok_or(Fault::Damaged)?.copy_from_slice(from);
        (bits.at, out.at, size) = (bits.at + step, out.at + step, size - step);
    }
    Ok(())
}
