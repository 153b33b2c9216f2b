//! Files that lie about themselves, put together by hand; examples of the spec. What good files hold is tested from
//! Python, with PyArrow and Spark as writers; the few of testdata/orc are for fuzzing to begin with.
//!
//! testdata: PyArrow 26 wrote 40 rows each (stripes.orc: 2500), with Iceberg's attributes: every type that it writes,
//! every encoding and codec. fuzz/targets/orc.rs has the table that they are of.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::r#type::Kind as TypeKind;
use orc_rust::proto::{
    ColumnEncoding, CompressionKind, Footer, PostScript, Stream, StringPair, StripeFooter, StripeInformation, Type,
};
use prost::Message;

use super::OrcFile;
use super::runs::{Coding, Lengths, each, measure};
use crate::arena::Account;
use crate::error::{Kind, Result};
use crate::runtime::Cancel;

const DIRECT_V2: i32 = 2;

/// One stripe.
struct Lie {
    types: Vec<Type>,
    streams: Vec<(u32, StreamKind, Vec<u8>)>,
    rows: u64,
    compression: CompressionKind,
    dictionary_size: Option<u32>,
    block_bytes: Option<u64>,
    /// At the end of the footer
    more: Vec<u8>,
}

impl Lie {
    fn of(kind: TypeKind, subtypes: &[u32]) -> Lie {
        let root = Type {
            kind: Some(TypeKind::Struct.into()),
            subtypes: vec![1],
            field_names: vec!["c".to_string()],
            ..Type::default()
        };
        let column = Type { kind: Some(kind.into()), subtypes: subtypes.to_vec(), ..Type::default() };
        let types = vec![root, column];
        let (compression, streams) = (CompressionKind::None, Vec::new());
        Lie { types, streams, rows: 1, compression, dictionary_size: None, block_bytes: None, more: Vec::new() }
    }

    fn with(mut self, column: u32, kind: StreamKind, bytes: &[u8]) -> Lie {
        self.streams.push((column, kind, bytes.to_vec()));
        self
    }

    fn and(mut self, kind: TypeKind) -> Lie {
        self.types.push(Type { kind: Some(kind.into()), ..Type::default() });
        self
    }

    fn file(&self) -> Bytes {
        let mut bytes = b"ORC".to_vec();
        let mut listed = Vec::new();
        for (column, kind, stream) in &self.streams {
            listed.push(Stream {
                kind: Some((*kind).into()),
                column: Some(*column),
                length: Some(stream.len() as u64),
            });
            bytes.extend_from_slice(stream);
        }
        let data_length = bytes.len() as u64 - 3;
        let kind = if self.dictionary_size.is_some() { 3 } else { DIRECT_V2 };
        let encoding = ColumnEncoding { kind: Some(kind), dictionary_size: self.dictionary_size, ..Default::default() };
        let footer =
            StripeFooter { streams: listed, columns: vec![encoding; self.types.len()], ..StripeFooter::default() };
        let footer = self.chunk(footer.encode_to_vec());
        let info = StripeInformation {
            offset: Some(3),
            data_length: Some(data_length),
            footer_length: Some(footer.len() as u64),
            number_of_rows: Some(self.rows),
            ..StripeInformation::default()
        };
        bytes.extend_from_slice(&footer);
        let tail = Footer {
            stripes: vec![info],
            types: self.types.clone(),
            number_of_rows: Some(self.rows),
            ..Footer::default()
        };
        let tail = self.chunk([tail.encode_to_vec(), self.more.clone()].concat());
        bytes.extend_from_slice(&tail);
        let postscript = PostScript {
            footer_length: Some(tail.len() as u64),
            compression: Some(self.compression.into()),
            compression_block_size: self.block_bytes,
            magic: Some("ORC".to_string()),
            ..PostScript::default()
        };
        let postscript = postscript.encode_to_vec();
        bytes.extend_from_slice(&postscript);
        bytes.push(postscript.len() as u8);
        Bytes::from(bytes)
    }

    /// As it is, which compressed files may say of a chunk.
    fn chunk(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.compression == CompressionKind::None {
            return bytes;
        }
        let header = (bytes.len() as u32) << 1 | 1;
        [&header.to_le_bytes()[..3], &bytes].concat()
    }

    fn refused(&self) -> Kind {
        rows(self.file()).expect_err("it was taken").kind()
    }
}

fn rows(file: Bytes) -> Result<usize> {
    let (account, cancel) = (Account::new(64 << 20), Cancel::default());
    let file = OrcFile::open(file, &account)?;
    let mut rows = 0;
    file.each_batch(&account, &cancel, |batch| {
        rows += batch.num_rows();
        Ok(())
    })?;
    Ok(rows)
}

/// One value of eight bytes, three times (a short repeat).
fn repeated(value: u64) -> Vec<u8> {
    [&[7 << 3][..], &value.to_be_bytes()].concat()
}

#[test]
fn lengths_of_the_specs_examples() {
    let sum =
        |stream: &[u8], is_version_2| measure(stream, is_version_2, u64::MAX).map(|found| (found.count, found.sum));
    assert_eq!(sum(&[0x61, 0x00, 0x07], false).ok(), Some((100, 700)));
    assert_eq!(sum(&[0x61, 0xff, 0x64], false).ok(), Some((100, 5050)));
    assert_eq!(sum(&[0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b], false).ok(), Some((5, 29)));
    assert_eq!(sum(&[0x0a, 0x27, 0x10], true).ok(), Some((5, 50_000)));
    let direct = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
    assert_eq!(sum(&direct, true).ok(), Some((4, 23_713 + 43_806 + 57_005 + 48_879)));
    let patched = [
        0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e,
        0x78, 0x82, 0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
    ];
    let found = measure(&patched, true, u64::MAX).ok();
    let tens: u64 = (204..220).map(|each| each * 10).sum();
    let sum_of_all = 2030 + 2000 + 2020 + 1_000_000 + tens;
    assert_eq!(found, Some(Lengths { count: 20, sum: sum_of_all, largest: 1_000_000 }));
    let primes = [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46];
    assert_eq!(sum(&primes, true).ok(), Some((10, 129)));
    assert_eq!(measure(&primes, true, 3).ok(), Some(Lengths { count: 3, sum: 10, largest: 5 }));
    assert!(sum(&direct[..6], true).is_err());
    assert!(sum(&repeated(1 << 62), true).is_err());
}

#[test]
fn numbers_with_a_sign() {
    let all = |stream: &[u8], is_version_2| {
        let mut found = Vec::new();
        let took = each(stream, Coding { is_version_2, is_signed: true }, |value| {
            found.push(value);
            Ok(())
        });
        took.map(|()| found).expect("numbers")
    };
    assert_eq!(all(&[0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b], false), [1, -2, 3, -4, -6]);
    assert_eq!(all(&[0x00, 0xff, 0x05], false), [-3, -4, -5]);
    assert_eq!(all(&[0x02, 0x05], true), [-3; 5]);
    assert_eq!(all(&[0xc0, 0x02, 0x05, 0x03], true), [-3, -5, -7]);
}

#[test]
fn a_small_file_is_read() {
    let longs = Lie { rows: 3, ..Lie::of(TypeKind::Long, &[]).with(1, StreamKind::Data, &repeated(4)) };
    assert_eq!(rows(longs.file()).ok(), Some(3));
    let empty = Lie { rows: 0, ..Lie::of(TypeKind::Long, &[]) };
    assert_eq!(rows(empty.file()).ok(), Some(0));
}

#[test]
fn claims_of_memory_are_refused_before_it_is_taken() {
    let list = Lie::of(TypeKind::List, &[2]).and(TypeKind::Long).with(1, StreamKind::Length, &repeated(1 << 38));
    assert_eq!(list.refused(), Kind::MemoryLimit);
    let string = Lie::of(TypeKind::String, &[]).with(1, StreamKind::Length, &repeated(1 << 38));
    assert_eq!(string.with(1, StreamKind::Data, b"abc").refused(), Kind::InvalidData);
    let dictionary = Lie { dictionary_size: Some(u32::MAX), ..Lie::of(TypeKind::String, &[]) };
    assert_eq!(dictionary.with(1, StreamKind::Length, &repeated(0)).refused(), Kind::InvalidData);
    let many = Lie { rows: 1 << 50, ..Lie::of(TypeKind::Long, &[]).with(1, StreamKind::Data, &repeated(4)) };
    assert_eq!(many.refused(), Kind::InvalidData);
    let zeros = zstd::bulk::compress(&vec![0; 100 << 20], 1).expect("compressed");
    let header = (zeros.len() as u32) << 1;
    let bomb = [&header.to_le_bytes()[..3], &zeros].concat();
    let bomb = Lie::of(TypeKind::Binary, &[]).with(1, StreamKind::Data, &bomb);
    assert_eq!(Lie { compression: CompressionKind::Zstd, ..bomb }.refused(), Kind::InvalidData);
}

/// Lengths as the decoder reads them, whatever the kind of their column and encoding.
#[test]
fn lengths_have_one_meaning() {
    // 65 lengths, 192 in all, as runs of version 1.
    let old = Lie { dictionary_size: Some(0), ..Lie::of(TypeKind::List, &[2]).and(TypeKind::Long) };
    assert_eq!(old.with(1, StreamKind::Length, &repeated(1 << 38)).refused(), Kind::MemoryLimit);
    // One length of 10, patched by nothing, on a base that is -5 or 2^39 + 5.
    let patched = [0x86, 0x00, 0x80, 0x01, 0x80, 0x00, 0x00, 0x00, 0x05, 0xa0, 0x80];
    let below = Lie::of(TypeKind::List, &[2]).and(TypeKind::Long).with(1, StreamKind::Length, &patched);
    assert_eq!(below.refused(), Kind::InvalidData);
    let binary = Lie { dictionary_size: Some(0), ..Lie::of(TypeKind::Binary, &[]) };
    let binary = binary.with(1, StreamKind::Length, &repeated(1 << 29)).with(1, StreamKind::Data, b"abc");
    let error = rows(binary.file()).expect_err("it was taken").to_string();
    assert!(error.contains("of 1610612736 bytes, where 3 are"), "{error}");
}

/// A list of one string of a dictionary, half a million times.
#[test]
fn strings_of_dictionaries_in_lists_are_counted() {
    let positions = [0xc1, 0xff, 0x00, 0x00].repeat(3 << 10); // runs of 512 zeros
    let list = Lie { dictionary_size: Some(1), rows: 3, ..Lie::of(TypeKind::List, &[2]).and(TypeKind::String) };
    let list = list.with(1, StreamKind::Length, &repeated(1 << 19)).with(2, StreamKind::Data, &positions);
    let list = list.with(2, StreamKind::Length, &[0x0a, 0x03, 0xe8]).with(2, StreamKind::DictionaryData, &[b'a'; 5000]);
    assert_eq!(list.refused(), Kind::MemoryLimit);
}

#[test]
fn binaries_of_one_length_are_counted_where_they_are_null() {
    let attribute = |key: &str, value: &str| StringPair { key: Some(key.into()), value: Some(value.into()) };
    let mut fixed = Lie::of(TypeKind::Binary, &[]).with(1, StreamKind::Present, &[0x00, 0x00]);
    fixed.types[1].attributes = vec![attribute("iceberg.binary-type", "FIXED"), attribute("iceberg.length", "8")];
    assert_eq!(rows(fixed.file()).ok(), Some(1));
    fixed.types[1].attributes[1] = attribute("iceberg.length", "1000000000");
    assert_eq!(fixed.refused(), Kind::MemoryLimit);
}

/// Room for a chunk's most bytes was made, and filled with zeros, for each of them.
#[test]
fn many_small_chunks_take_no_time() {
    let chunks = [0x02, 0x00, 0x00, 0x00].repeat(20_000); // of no bytes each
    let lie = Lie::of(TypeKind::Binary, &[]).with(1, StreamKind::Present, &[5, 0, 0, 0x00, 0x00]);
    let mut lie = Lie { compression: CompressionKind::Lz4, ..lie.with(1, StreamKind::Data, &chunks) };
    lie.block_bytes = Some(8 << 20);
    let started = Instant::now();
    assert_eq!(rows(lie.file()).ok(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// They take a thousandfold of their bytes and are of no use.
#[test]
fn statistics_of_a_footer_are_not_decoded() {
    let whole = Lie { rows: 3, ..Lie::of(TypeKind::Long, &[]).with(1, StreamKind::Data, &repeated(4)) };
    let broken = [0x3a, 0x02, 0x12, 0x7f]; // a message that ends early
    assert_eq!(rows(Lie { more: broken.to_vec(), ..whole }.file()).ok(), Some(3));
}

#[test]
fn types_that_are_no_tree_are_refused() {
    let mut cycle = Lie::of(TypeKind::List, &[0]);
    assert_eq!(cycle.refused(), Kind::InvalidData);
    cycle.types[1].subtypes = vec![1];
    assert_eq!(cycle.refused(), Kind::InvalidData);
    cycle.types[1].subtypes = vec![9];
    assert_eq!(cycle.refused(), Kind::InvalidData);
    let mut deep = Lie::of(TypeKind::List, &[2]);
    deep.types.extend((3..100).map(|next| Type {
        kind: Some(TypeKind::List.into()),
        subtypes: vec![next],
        ..Type::default()
    }));
    assert_eq!(deep.and(TypeKind::Long).refused(), Kind::InvalidData);
    assert_eq!(Lie::of(TypeKind::Union, &[]).refused(), Kind::Unsupported);
}

#[test]
fn what_the_decoder_panics_on_is_an_error() {
    let short = Lie::of(TypeKind::Long, &[]).with(1, StreamKind::Data, &[0x8e, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00]);
    assert_eq!(short.refused(), Kind::InvalidData);
}

#[test]
fn random_damage_never_panics() {
    let list = Lie { rows: 3, ..Lie::of(TypeKind::List, &[2]).and(TypeKind::String) };
    let list = list.with(1, StreamKind::Length, &repeated(1)).with(2, StreamKind::Length, &repeated(1));
    let whole = list.with(2, StreamKind::Data, b"abc").file();
    assert_eq!(rows(whole.clone()).ok(), Some(3));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1 << bit;
            let _ = rows(Bytes::from(bytes));
        }
        let _ = rows(whole.slice(..at));
    }
}

#[test]
fn files_of_testdata_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/orc");
    let names = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found = 0;
    for path in names {
        let expected = if path.ends_with("stripes.orc") { 2500 } else { 40 };
        assert_eq!(rows(std::fs::read(&path).expect("a file").into()).expect("rows"), expected, "{}", path.display());
        found += 1;
    }
    assert_eq!(found, 14);
}
