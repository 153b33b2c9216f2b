//! Against libdeflate, on what is well and what is not.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};
use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor};

use super::super::testing::{Encoder, compress};
use super::{Fault, Inflater};

const LIMIT: usize = 1 << 20;

struct Random(u64);

impl Random {
    fn new(test: &str) -> Random {
        let seed = rand::random::<u64>() | 1;
        println!("{test}: seed {seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize * end) >> 32
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

struct Both {
    ours: Inflater,
    theirs: Decompressor,
    output: Vec<u8>,
    room: Vec<u8>,
    /// Agreed: well, damaged, too long; and both faults, but not the same
    tally: [usize; 4],
}

impl Both {
    fn new() -> Both {
        Both {
            ours: Inflater::new(),
            theirs: Decompressor::new(),
            output: Vec::new(),
            room: vec![0; LIMIT],
            tally: [0; 4],
        }
    }

    /// Whether both say the same of it, as far as ok or not; and the same bytes
    fn agree(&mut self, input: &[u8], limit: usize) {
        let ours = self.ours.inflate(input, &mut self.output, limit);
        let theirs = self.theirs.deflate_decompress(input, &mut self.room[..limit]);
        match (ours, theirs) {
            (Ok(()), Ok(length)) => {
                assert!(self.output == self.room[..length], "other bytes of {input:02x?}");
                self.tally[0] += 1;
            }
            (Err(Fault::Damaged), Err(DecompressionError::BadData)) => self.tally[1] += 1,
            (Err(Fault::TooLong), Err(DecompressionError::InsufficientSpace)) => self.tally[2] += 1,
            (Err(_), Err(_)) => self.tally[3] += 1,
            (ours, theirs) => panic!("ours {ours:?}, theirs {theirs:?}, limit {limit}: {input:02x?}"),
        }
    }

    fn holds(&mut self, input: &[u8], expected: &[u8]) {
        self.ours.inflate(input, &mut self.output, expected.len()).unwrap();
        assert!(self.output == expected);
        if let Some(less) = expected.len().checked_sub(1) {
            assert_eq!(self.ours.inflate(input, &mut self.output, less), Err(Fault::TooLong));
        }
        self.agree(input, expected.len());
    }
}

/// Blocks like those of one manifest entry each: a path, counters, maps of small numbers and of bounds.
fn entries(random: &mut Random) -> Vec<Vec<u8>> {
    let entry = |random: &mut Random| {
        let place =
            format!("s3://bucket/warehouse/db/table/data/day={}/{:032x}.parquet", random.below(40), random.next());
        let mut bytes = Encoder::default().long(1).long(random.next() as i64 >> 8).bytes(place).bytes("PARQUET");
        for _ in 0..5 {
            bytes = bytes.long(16);
            for column in 0..16 {
                bytes = bytes.long(column).long(random.below(1 << (column + 4)) as i64);
            }
            bytes = bytes.long(0);
        }
        for column in 0..12 {
            bytes = bytes.long(column).bytes((random.below(1 << 20) as u64).to_le_bytes());
        }
        bytes.0
    };
    (0..500).map(|_| compress("deflate", &entry(random))).collect()
}

fn texts(random: &mut Random) -> Vec<Vec<u8>> {
    let words: Vec<Vec<u8>> =
        (0..500).map(|_| (0..2 + random.below(9)).map(|_| b'a' + random.below(26) as u8).collect()).collect();
    let mut texts = vec![vec![], vec![0], b"headrace ".repeat(40), vec![7; 300_000]];
    for length in [10, 100, 1000, 30_000, 200_000] {
        texts.push(random.bytes(length));
        texts.push((0..length).map(|_| b"0123456789abcdef"[random.below(16)]).collect());
        let text: Vec<u8> = (0..length / 6).flat_map(|_| [&words[random.below(500)][..], b" "].concat()).collect();
        texts.push(text);
        texts.push((0..length / 50).flat_map(|_| vec![random.next() as u8; random.below(100)]).collect());
    }
    texts.push(random.bytes(32_768).repeat(3));
    texts
}

#[test]
fn every_level() {
    let mut random = Random::new("every_level");
    let mut both = Both::new();
    for text in texts(&mut random) {
        for level in 0..=9 {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
            let (head, tail) = text.split_at(random.below(text.len() + 1));
            encoder.write_all(head).unwrap();
            if level % 2 == 0 {
                encoder.flush().unwrap();
            }
            encoder.write_all(tail).unwrap();
            both.holds(&encoder.finish().unwrap(), &text);
        }
        for level in 0..=12 {
            let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
            let mut packed = vec![0; compressor.deflate_compress_bound(text.len())];
            let length = compressor.deflate_compress(&text, &mut packed).unwrap();
            packed.truncate(length);
            packed.extend_from_slice(&random.bytes(level as usize)); // behind the end
            both.holds(&packed, &text);
        }
    }
}

/// Writes deflate bit by bit.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    bits: u32,
}

impl Writer {
    fn put(&mut self, value: u64, bits: u32) {
        for bit in 0..bits {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.bits % 8);
            self.bits += 1;
        }
    }

    fn code(&mut self, code: u64, bits: u32) {
        for bit in (0..bits).rev() {
            self.put(code >> bit & 1, 1);
        }
    }

    /// Of the fixed code
    fn symbol(&mut self, symbol: u64) {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }

    fn copy(&mut self, length: usize, distance: usize) {
        let bases = [
            3usize, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
            195, 227, 258,
        ];
        let place = bases.iter().rposition(|&base| base <= length).unwrap();
        self.symbol(257 + place as u64);
        let extra = if place < 8 || place == 28 { 0 } else { place as u32 / 4 - 1 };
        self.put((length - bases[place]) as u64, extra);
        let (mut base, mut symbol) = (1, 0);
        loop {
            let extra = if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 };
            if distance < base + (1 << extra) {
                self.code(symbol, 5);
                self.put((distance - base) as u64, extra);
                return;
            }
            base += 1 << extra;
            symbol += 1;
        }
    }
}

/// The canonical code of each symbol
fn codes(lengths: &[u32]) -> Vec<u64> {
    let mut codes = vec![0; lengths.len()];
    let mut code = 0;
    for length in 1..16 {
        code <<= 1;
        for (at, _) in lengths.iter().enumerate().filter(|(_, found)| **found == length) {
            codes[at] = code;
            code += 1;
        }
    }
    codes
}

impl Writer {
    /// Random ones, of a dynamic code, and the block's end
    fn items(&mut self, litlens: &[u32], offsets: &[u32], random: &mut Random) {
        let (litlen_codes, offset_codes) = (codes(litlens), codes(offsets));
        let used = |lengths: &[u32]| (0..lengths.len()).filter(|&at| lengths[at] != 0).collect::<Vec<_>>();
        let (litlens_used, offsets_used) = (used(litlens), used(offsets));
        let mut written = 0;
        for _ in 0..random.below(1500) {
            let symbol = litlens_used[random.below(litlens_used.len())];
            let short = offsets_used.iter().position(|&offset| offset < 30 && 1 << (offset / 2 + 1) > written);
            let near = short.unwrap_or(offsets_used.len());
            if symbol == 256 || symbol > 256 && near == 0 {
                continue;
            }
            self.code(litlen_codes[symbol], litlens[symbol]);
            written += 1;
            if symbol > 256 {
                let extra = if !(265..285).contains(&symbol) { 0 } else { (symbol as u32 - 261) / 4 };
                self.put(random.next(), extra);
                let offset = offsets_used[random.below(near)];
                self.code(offset_codes[offset], offsets[offset]);
                self.put(random.next(), if offset < 4 { 0 } else { (offset as u32 / 2 - 1).min(13) });
                written += 2;
            }
        }
        self.code(litlen_codes[256], litlens[256]);
    }
}

#[test]
fn every_distance_and_length() {
    let mut random = Random::new("every_distance_and_length");
    let mut both = Both::new();
    for distance in (1..=300).chain([1000, 4097, 32_767, 32_768]) {
        let mut writer = Writer::default();
        writer.put(0b011, 3);
        let mut text = random.bytes(distance);
        text.iter().for_each(|&byte| writer.symbol(byte as u64));
        let lengths: Vec<usize> =
            if distance <= 40 { (3..=258).collect() } else { vec![3, 4, 8, 9, 16, 17, 40, 41, 100, 257, 258] };
        for length in lengths {
            writer.copy(length, distance);
            (0..length).for_each(|_| text.push(text[text.len() - distance]));
            let byte = random.next() as u8;
            writer.symbol(byte as u64);
            text.push(byte);
        }
        writer.symbol(256);
        both.holds(&writer.bytes, &text);
    }
    // one byte too far back
    for distance in [1, 2, 9, 300] {
        for (extra, well) in [(0, true), (1, false)] {
            let mut writer = Writer::default();
            writer.put(0b011, 3);
            (0..distance).for_each(|_| writer.symbol(65));
            writer.copy(5, distance + extra);
            writer.symbol(256);
            both.agree(&writer.bytes, LIMIT);
            assert_eq!(both.ours.inflate(&writer.bytes, &mut both.output, LIMIT).is_ok(), well);
        }
    }
}

#[test]
fn truncated_everywhere() {
    let mut random = Random::new("truncated_everywhere");
    let mut both = Both::new();
    for block in entries(&mut random).iter().take(60) {
        (0..block.len()).for_each(|length| both.agree(&block[..length], LIMIT));
    }
    for text in texts(&mut random) {
        let packed = compress("deflate", &text);
        (0..20).for_each(|_| both.agree(&packed[..random.below(packed.len())], LIMIT));
    }
    println!("well, damaged, too long, differently: {:?}", both.tally);
}

#[test]
fn flipped_bits() {
    let mut random = Random::new("flipped_bits");
    let mut both = Both::new();
    let blocks = entries(&mut random);
    for round in 0..100_000 {
        let mut block = blocks[random.below(blocks.len())].clone();
        for _ in 0..1 + round % 3 {
            let bit = if round % 2 == 0 { random.below(block.len() * 8) } else { random.below(800) };
            block[bit / 8] ^= 1 << (bit % 8);
        }
        let limit = if round % 5 == 0 { random.below(2000) } else { 1 << 16 };
        both.agree(&block, limit);
    }
    println!("well, damaged, too long, differently: {:?}", both.tally);
}

#[test]
fn flipped_bits_of_long_streams() {
    let mut random = Random::new("flipped_bits_of_long_streams");
    let mut both = Both::new();
    for text in texts(&mut random) {
        let packed = compress("deflate", &text);
        for _ in 0..100 {
            let mut packed = packed.clone();
            let bit = random.below(packed.len() * 8);
            packed[bit / 8] ^= 1 << (bit % 8);
            both.agree(&packed, LIMIT);
        }
    }
    println!("well, damaged, too long, differently: {:?}", both.tally);
}

/// Lengths of a complete code of so many symbols, in any order
fn complete(random: &mut Random, symbols: usize, most: u32) -> Vec<u32> {
    let mut lengths = vec![0u32];
    while lengths.len() < symbols {
        // deep at times
        let place = if random.below(3) == 0 { lengths.len() - 1 } else { random.below(lengths.len()) };
        if lengths[place] < most {
            lengths[place] += 1;
            lengths.push(lengths[place]);
        }
    }
    lengths
}

#[test]
fn random_codes() {
    let mut random = Random::new("random_codes");
    let mut both = Both::new();
    for round in 0..40_000 {
        let (litlens, offsets) = (257 + random.below(32), 1 + random.below(32));
        let place = |symbols: usize, most_used: usize, random: &mut Random| {
            let used = (1 + random.below(most_used)).min(symbols);
            let mut lengths = vec![0; symbols];
            for length in complete(random, used, 15) {
                let mut at = if symbols > 256 && lengths[256] == 0 { 256 } else { random.below(symbols) };
                while lengths[at] != 0 {
                    at = (at + 1) % symbols;
                }
                lengths[at] = length;
            }
            lengths
        };
        let most = [2, 5, 40, 288][round % 4];
        let mut lengths = place(litlens, most, &mut random);
        let mut tail = place(offsets, most.min(32), &mut random);
        if round % 16 == 3 {
            tail = vec![0; offsets]; // no offsets at all
        }
        if round % 16 == 7 {
            tail = vec![0; offsets];
            tail[random.below(offsets)] = 1 + random.below(2) as u32; // one
        }
        if round % 16 == 12 {
            // one length, across the border of the two, where one run may stand for both
            let bits = 3 + random.below(3) as u32;
            let used = (1 << bits).min(litlens);
            lengths = vec![0; litlens];
            lengths[litlens - used..].fill(bits);
            tail = vec![0; offsets];
            tail.iter_mut().take(1 << bits).for_each(|length| *length = bits);
        }
        if round % 16 == 11 {
            lengths = vec![0; litlens];
            lengths[random.below(litlens)] = 1 + random.below(2) as u32;
        }
        lengths.append(&mut tail);
        if round % 6 == 0 {
            // spoilt
            let at = random.below(lengths.len());
            lengths[at] = random.below(16) as u32;
        }
        let mut writer = Writer::default();
        writer.put(0b101, 3);
        writer.put(litlens as u64 - 257, 5);
        writer.put(offsets as u64 - 1, 5);
        writer.put(15, 4);
        // 13 symbols of 4 bits, 6 of 5
        let bits = |symbol: u32| if symbol < 13 { 4 } else { 5 };
        for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
            writer.put(bits(symbol) as u64, 3);
        }
        let mut at = 0;
        while at < lengths.len() {
            let run = lengths[at..].iter().take_while(|&&length| length == lengths[at]).count();
            let symbol = match lengths[at] {
                0 if run >= 11 && random.below(2) == 0 => {
                    let run = run.min(138);
                    writer.code(13 * 2 + 18 - 13, 5);
                    writer.put(run as u64 - 11, 7);
                    at += run;
                    continue;
                }
                0 if run >= 3 && random.below(2) == 0 => {
                    let run = run.min(10);
                    writer.code(13 * 2 + 17 - 13, 5);
                    writer.put(run as u64 - 3, 3);
                    at += run;
                    continue;
                }
                length if at > 0 && lengths[at - 1] == length && run >= 3 && random.below(2) == 0 => {
                    let run = run.min(6);
                    writer.code(13 * 2 + 16 - 13, 5);
                    writer.put(run as u64 - 3, 2);
                    at += run;
                    continue;
                }
                length => length,
            };
            if symbol < 13 {
                writer.code(symbol as u64, 4);
            } else {
                writer.code(13 * 2 + symbol as u64 - 13, 5);
            }
            at += 1;
        }
        if round % 3 == 0 || lengths[256] == 0 {
            (0..random.below(3000)).for_each(|_| writer.put(random.next(), 1));
        } else {
            writer.items(&lengths[..litlens], &lengths[litlens..], &mut random);
        }
        writer.bytes.extend_from_slice(&random.bytes(random.0 as usize % 200));
        both.agree(&writer.bytes, [LIMIT, 1 << 17, 1 << 18, 500][round % 4]);
    }
    println!("well, damaged, too long, differently: {:?}", both.tally);
    assert!(both.tally[0] > 10_000, "{:?}", both.tally);
}

#[test]
fn random_bytes() {
    let mut random = Random::new("random_bytes");
    let mut both = Both::new();
    for _ in 0..100_000 {
        let length = random.below(120);
        let mut bytes = random.bytes(length);
        if let Some(first) = bytes.first_mut() {
            *first = *first & !6 | [0, 2, 4, 4, 4, 6][random.below(6)];
        }
        both.agree(&bytes, 5000);
    }
    println!("well, damaged, too long, differently: {:?}", both.tally);
}

#[test]
fn stored_blocks() {
    let mut random = Random::new("stored_blocks");
    let mut both = Both::new();
    for size in [0, 1, 5, 1000, 65_535] {
        let text = random.bytes(size);
        let stored =
            |last: u8| [&[last], &(size as u16).to_le_bytes()[..], &(!(size as u16)).to_le_bytes(), &text].concat();
        both.holds(&stored(1), &text);
        for times in [2, 5] {
            let mut input = stored(0).repeat(times);
            input.extend(stored(1));
            both.holds(&input, &text.repeat(times + 1));
            input.truncate(input.len() - 1);
            both.agree(&input, LIMIT);
        }
        let mut input = stored(1);
        input[2] ^= 1;
        both.agree(&input, LIMIT);
        assert_eq!(both.ours.inflate(&input, &mut both.output, LIMIT), Err(Fault::Damaged));
    }
}
