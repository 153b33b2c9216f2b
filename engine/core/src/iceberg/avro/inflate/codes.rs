//! The codes of a block: their lengths read, their tables built.
//!
//! Must not know: what the symbols do ([`super::items`]).

use super::{Bits, Fault};

/// Bits that the tables are indexed by at most, and entries with those of longer codes (`enough` of zlib's examples)
const LITLEN_BITS: u32 = 11;
const LITLEN_ENTRIES: usize = 2342;
pub(super) const OFFSET_BITS: u32 = 8;
const OFFSET_ENTRIES: usize = 402;
const PRECODE_ENTRIES: usize = 128;
/// Precodes kept. 16 to 64 are alike: they spare 0.11 of 1.46 us a block of one table, 0.06 of 1.95 us of another.
const SLOTS: usize = 32;

// Of entries that tell what to do: bits 0-5 are the bits to skip, with those of lengths and offsets that follow the code,
// 8-11 those of the code alone, 16-30 a literal, or the base of a length or an offset.
pub(super) const LITERAL: u32 = 1 << 31;
/// End of the block, or a pointer to a subtable: bits 16-30 are where it starts, 8-11 the bits it is indexed by.
pub(super) const EXCEPTIONAL: u32 = 1 << 15;
pub(super) const END: u32 = 1 << 13;
/// Of the precode's entries: bits 0-5 as above, 8-13 those of the code alone, 16-19 a length of code, 20-23 how often, and
/// 24-31 the mask of what follows, to be added. With this, the length is the last one.
const REPEAT_LAST: u32 = 1 << 6;

/// Room for the symbols of one length of code: 320, and as many as a run may go too far
const ROW: usize = 512;
const ROWS: usize = 16 * ROW;
/// Symbols written at once. A run of a length is of 6 at most.
const RUN: usize = 8;

/// Symbols by the length of their code, then by number; those of offsets behind the others
pub(super) type Rows = [u16; ROWS + RUN];
type Precode = [u32; PRECODE_ENTRIES];

/// Rows without a symbol
pub(super) fn rows() -> Box<Rows> {
    Box::new([0; ROWS + RUN])
}

/// Tables of the codes that the lengths of other codes come in, by the lengths of their own
pub(super) struct Precodes {
    keys: [u64; SLOTS],
    tables: [Precode; SLOTS],
}

impl Precodes {
    pub fn new() -> Precodes {
        Precodes { keys: [u64::MAX; SLOTS], tables: [[0; PRECODE_ENTRIES]; SLOTS] }
    }

    /// The key: 3 bits a length, in the stream's order.
    #[inline(always)]
    fn of(&mut self, key: u64) -> Result<&Precode, Fault> {
        let slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as usize & (SLOTS - 1);
        let table = &mut self.tables[slot];
        if self.keys[slot] != key {
            self.keys[slot] = u64::MAX;
            build_precode(table, key)?;
            self.keys[slot] = key;
        }
        Ok(table)
    }
}

#[inline(never)]
fn build_precode(table: &mut Precode, mut key: u64) -> Result<(), Fault> {
    let mut lengths = [0u8; 19];
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
        lengths[symbol] = (key & 7) as u8;
        key >>= 3;
    }
    // A byte for each length: how many codes have it, then where their symbols start in `sorted`; those without come last.
    let shift = |length: u8| u32::from(length & 7) * 8;
    let counts = lengths.iter().map(|&length| 1u64 << shift(length)).sum::<u64>();
    let count = |length: u32| (counts >> (length * 8)) as u8;
    let sums = (counts & !0xff).wrapping_mul(0x0101_0101_0101_0101);
    let mut places = sums.rotate_left(8);
    let mut sorted = [0u8; 64];
    for (symbol, &length) in lengths.iter().enumerate() {
        sorted[(places >> shift(length)) as usize & 63] = symbol as u8;
        places += 1 << shift(length);
    }
    let space = (1..8).map(|length| u32::from(count(length)) << (7 - length)).sum::<u32>();
    if space != 128 {
        let symbol = if one_code(space, 128, u32::from(count(1)))? { sorted[0] } else { 0 };
        table.fill(PRECODE_RESULTS[symbol as usize & 31] + 0x101);
        return Ok(());
    }
    let mut symbols = sorted.iter();
    let mut code = 0u32;
    for length in 1..8 {
        let half = 1usize << (length - 1);
        table.copy_within(..half, half);
        for &symbol in symbols.by_ref().take(count(length) as usize) {
            let place = REVERSED[(code << (8 - length)) as usize & 255] as usize;
            table[place & 127] = PRECODE_RESULTS[symbol as usize & 31] + length * 0x101;
            code += 1;
        }
        code <<= 1;
    }
    Ok(())
}

/// Codes that leave some of the `whole` space are allowed if there is one of length 1, or (false) none: as libdeflate has it.
#[cold]
fn one_code(space: u32, whole: u32, of_length_1: u32) -> Result<bool, Fault> {
    match space {
        0 => Ok(false),
        _ if space == whole / 2 && of_length_1 == 1 => Ok(true),
        _ => Err(Fault::Damaged),
    }
}

/// The decode tables of a block
pub(super) struct Codes {
    pub litlen: [u32; LITLEN_ENTRIES],
    pub offset: [u32; OFFSET_ENTRIES],
    pub litlen_bits: u32,
    pub offset_bits: u32,
    /// Bits that an offset and the index of the entry behind it take at most
    pub offset_need: u32,
}

impl Codes {
    pub fn new() -> Codes {
        let (litlen, offset) = ([0; LITLEN_ENTRIES], [0; OFFSET_ENTRIES]);
        Codes { litlen, offset, litlen_bits: 1, offset_bits: 1, offset_need: 0 }
    }

    pub fn fixed(rows: &mut Rows) -> Codes {
        let (mut litlen, mut offset) = ([0u16; 16], [0u16; 16]);
        for (length, symbols) in [(8, 0..144), (9, 144..256), (7, 256..280), (8, 280..288u16), (5, 288..320)] {
            let counts = if length == 5 { &mut offset } else { &mut litlen };
            for symbol in symbols {
                rows[length * ROW + counts[length] as usize] = symbol;
                counts[length] += 1;
            }
        }
        let mut codes = Codes::new();
        let built = codes.build(rows, &litlen, &offset, 288);
        debug_assert!(built.is_ok());
        codes
    }

    /// A dynamic block's header: the lengths of its codes. Every symbol of the precode does the same, without a branch: its
    /// length's row gets a run of symbols, of which as many count as it says. Row 0, of those without a code, is never read.
    pub fn read(&mut self, bits: &mut Bits, rows: &mut Rows, precodes: &mut Precodes) -> Result<(), Fault> {
        let head = bits.buffer;
        let litlens = 257 + (head >> 3 & 31) as usize;
        let total = litlens + 1 + (head >> 8 & 31) as usize;
        let explicit = 4 + (head >> 13 & 15) as u32;
        let first = (head >> 17) & 7;
        bits.skip(20);
        bits.refill();
        let precode = precodes.of(((bits.buffer & !(u64::MAX << (3 * (explicit - 1)))) << 3) | first)?;
        bits.skip(3 * (explicit - 1));

        let mut places: [u16; 16] = core::array::from_fn(|length| (length * ROW) as u16);
        bits.refill();
        let mut entry = precode[bits.low(7)];
        if entry & REPEAT_LAST != 0 {
            return Err(Fault::Damaged); // nothing to repeat
        }
        let (mut at, mut last) = (0usize, 0usize);
        let mut litlen = places;
        let mut stop = litlens;
        'all: loop {
            bits.refill(); // 4 of 14 bits each
            for _ in 0..4 {
                let extra = (bits.buffer >> (entry >> 8 & 63)) as usize & (entry >> 24) as usize;
                bits.skip(entry);
                let value = if entry & REPEAT_LAST != 0 { last } else { (entry >> 16 & 15) as usize };
                let count = (entry >> 20 & 15) as usize + extra;
                entry = precode[bits.low(7)];
                let place = &mut places[value];
                let run: [u16; RUN] = core::array::from_fn(|k| (at + k) as u16);
                if let Some(row) = rows.get_mut(*place as usize & (ROWS - 1)..).and_then(|rest| rest.first_chunk_mut())
                {
                    *row = run;
                }
                *place = place.wrapping_add(count as u16);
                at += count;
                last = value;
                if at >= stop {
                    if stop == total {
                        break 'all;
                    }
                    litlen = places; // less what a run has of the offsets
                    litlen[last] = litlen[last].wrapping_sub((at - litlens) as u16);
                    stop = total;
                    if at >= total {
                        break 'all;
                    }
                }
            }
        }
        if at != total {
            return Err(Fault::Damaged);
        }
        let mut offset = [0u16; 16];
        for length in 0..16 {
            offset[length] = places[length].wrapping_sub(litlen[length]);
            litlen[length] = litlen[length].wrapping_sub((length * ROW) as u16);
        }
        self.build(rows, &litlen, &offset, litlens)
    }

    /// Both tables, out of the rows: so many of each length are of the literals and lengths, and so many behind them of the
    /// offsets, whose numbers start at `litlens`.
    fn build(&mut self, rows: &Rows, litlen: &[u16; 16], offset: &[u16; 16], litlens: usize) -> Result<(), Fault> {
        self.litlen_bits = build(&mut self.litlen, rows, litlen, &[0; 16], 0, &LITLEN_RESULTS, LITLEN_BITS)?;
        self.offset_bits = build(&mut self.offset, rows, offset, litlen, litlens, &OFFSET_RESULTS, OFFSET_BITS)?;
        let longest = longest(offset);
        self.offset_need = longest.max(1) + 13 + self.litlen_bits;
        Ok(())
    }
}

fn longest(counts: &[u16; 16]) -> u32 {
    counts.iter().skip(1).rposition(|&count| count != 0).map_or(0, |place| place as u32 + 1)
}

#[inline(always)]
fn reversed(code: u32, length: u32) -> usize {
    let code = code << (16 - length);
    REVERSED[(code >> 8) as usize & 255] as usize | (REVERSED[code as usize & 255] as usize) << 8
}

/// The table of one code, whose symbols stand in the rows behind the `skip` of other codes and are numbered from `first`.
/// Returns how many bits it is indexed by. It grows by doubling: an entry of a code of n bits is there 2^(bits - n) times.
#[inline(always)]
fn build<const N: usize>(
    table: &mut [u32; N],
    rows: &Rows,
    counts: &[u16; 16],
    skip: &[u16; 16],
    first: usize,
    results: &[u32; 512],
    bits: u32,
) -> Result<u32, Fault> {
    let longest = longest(counts);
    let bits = longest.clamp(1, bits);
    let space = (1..16).map(|length| u32::from(counts[length]) << (15 - length)).sum::<u32>();
    let result = |length: u32, k: usize| {
        let place = (length as usize) << 9 | (k + skip[length as usize & 15] as usize) & (ROW - 1);
        results[(rows[place & (ROWS - 1)] as usize).wrapping_sub(first) & 511]
    };
    if space != 1 << 15 {
        let result = if one_code(space, 1 << 15, u32::from(counts[1]))? { result(1, 0) } else { results[0] };
        table.get_mut(..2).ok_or(Fault::Damaged)?.fill(result + 0x101);
        return Ok(1);
    }
    let mask = N.next_power_of_two() / 2 - 1; // elides the bounds' check; codes fit anyway
    let mut code = 0u32;
    for length in 1..=bits {
        let half = 1usize << (length - 1);
        if code != 0 {
            table.copy_within(..half, half);
        }
        let (count, skip) = (counts[length as usize & 15] as usize, skip[length as usize & 15] as usize);
        let start = (length as usize) << 9 | skip & (ROW - 1);
        let row = rows.get(start..start + count).ok_or(Fault::Damaged)?;
        let more = length * 0x101;
        if length <= 8 {
            for &symbol in row {
                let entry = results[(symbol as usize).wrapping_sub(first) & 511] + more;
                table[REVERSED[(code << (8 - length)) as usize & 255] as usize & mask] = entry;
                code += 1;
            }
        } else {
            for &symbol in row {
                let entry = results[(symbol as usize).wrapping_sub(first) & 511] + more;
                table[reversed(code, length) & mask] = entry;
                code += 1;
            }
        }
        code <<= 1;
    }
    if longest > bits {
        build_subtables(table, counts, bits, longest, code, result)?;
    }
    Ok(bits)
}

#[cold]
fn build_subtables<const N: usize>(
    table: &mut [u32; N],
    counts: &[u16; 16],
    bits: u32,
    longest: u32,
    mut code: u32,
    result: impl Fn(u32, usize) -> u32,
) -> Result<(), Fault> {
    let mut prefix = usize::MAX;
    let (mut start, mut end) = (0, 1usize << bits);
    for length in bits + 1..=longest {
        let count = counts[length as usize & 15] as usize;
        for k in 0..count {
            let place = reversed(code, length);
            if place & ((1 << bits) - 1) != prefix {
                prefix = place & ((1 << bits) - 1);
                start = end;
                let mut more = length - bits;
                let mut used = count - k;
                while used < 1 << more && bits + more < 15 {
                    more += 1;
                    used = (used << 1) + counts[(bits + more) as usize & 15] as usize;
                }
                end = start + (1 << more);
                *table.get_mut(prefix).ok_or(Fault::Damaged)? = (start as u32) << 16 | EXCEPTIONAL | more << 8 | bits;
            }
            let entry = result(length, k) + (length - bits) * 0x101;
            let mut at = start + (place >> bits);
            while at < end {
                *table.get_mut(at).ok_or(Fault::Damaged)? = entry;
                at += 1 << (length - bits);
            }
            code += 1;
        }
        code <<= 1;
    }
    Ok(())
}

static PRECODE_RESULTS: [u32; 32] = {
    let mut results = [0; 32];
    let mut symbol = 0;
    while symbol < 16 {
        results[symbol] = (symbol as u32) << 16 | 1 << 20;
        symbol += 1;
    }
    results[16] = REPEAT_LAST | 3 << 20 | 2 | 3 << 24;
    results[17] = 3 << 20 | 3 | 7 << 24;
    results[18] = 11 << 20 | 7 | 127 << 24;
    results
};

static LITLEN_RESULTS: [u32; 512] = {
    let bases = [
        3u32, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
        227, 258, 258, 258,
    ];
    let extras = [0u32, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0, 0, 0];
    let mut results = [0; 512];
    let mut symbol = 0;
    while symbol < 256 {
        results[symbol] = LITERAL | (symbol as u32) << 16;
        symbol += 1;
    }
    results[256] = EXCEPTIONAL | END;
    while symbol < 287 {
        results[symbol + 1] = bases[symbol - 256] << 16 | extras[symbol - 256];
        symbol += 1;
    }
    results
};

static OFFSET_RESULTS: [u32; 512] = {
    let mut results = [0; 512];
    let (mut symbol, mut base) = (0, 1u32);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 };
        results[symbol] = base << 16 | extra;
        base += 1 << extra;
        symbol += 1;
    }
    results[30] = 24577 << 16 | 13;
    results[31] = results[30];
    results
};

static REVERSED: [u8; 256] = {
    let mut reversed = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        reversed[byte] = (byte as u8).reverse_bits();
        byte += 1;
    }
    reversed
};
