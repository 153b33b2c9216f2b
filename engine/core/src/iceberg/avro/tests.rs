//! The reader on hand-built files: every codec and type, schema resolution, damage.

use super::testing::{Encoder, SYNC, compress, file, header};
use super::*;

const SIMPLE: &str = r#"{"type": "record", "name": "r", "fields": [
    {"name": "a", "type": ["null", "long"], "field-id": 1},
    {"name": "b", "type": "string", "field-id": 2}]}"#;

fn row(number: Option<i64>, text: &str) -> Encoder {
    let start = Encoder::default();
    number.map_or_else(|| start.clone().long(0), |number| start.clone().long(1).long(number)).bytes(text)
}

fn want(id: i32, slot: usize, kind: ColumnKind) -> WantField {
    WantField { id, name: format!("field{id}"), required: false, want: Want::Column(slot, kind) }
}

fn simple(bytes: &[u8]) -> Result<Columns> {
    let wanted = [want(1, 0, ColumnKind::Integer), want(2, 1, ColumnKind::Bytes)];
    AvroFile::open(bytes)?.decode(&wanted, &[ColumnKind::Integer, ColumnKind::Bytes], &Cancel::default())
}

fn fails(bytes: &[u8]) -> Error {
    let error = simple(bytes).expect_err("damage must be noticed");
    assert!(matches!(error.kind(), Kind::InvalidData | Kind::MemoryLimit), "{error}");
    error
}

#[test]
fn every_codec() {
    let long_text = "text ".repeat(5000);
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let first = [row(Some(-7), "x"), row(None, &long_text)];
        let second = [row(Some(i64::MIN), "")];
        let decoded = simple(&file(SIMPLE, codec, &[&first, &second, &[]])).unwrap();
        assert_eq!(decoded.records, 3, "{codec}");
        let numbers: Vec<_> = (0..3).map(|row| decoded.columns[0].integer(row)).collect();
        assert_eq!(numbers, [Some(-7), None, Some(i64::MIN)], "{codec}");
        assert_eq!(decoded.columns[1].bytes(1), Some(long_text.as_bytes()), "{codec}");
        assert_eq!(decoded.columns[1].bytes(2), Some(&b""[..]), "{codec}");
    }
}

#[test]
fn every_truncation_of_every_codec_is_an_error() {
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let whole = file(SIMPLE, codec, &[&[row(Some(1), "one"), row(None, "two")]]);
        let empty = header(SIMPLE, codec).0.len();
        for length in (0..whole.len()).filter(|length| *length != empty) {
            fails(&whole[..length]);
        }
    }
}

#[test]
fn random_damage_never_panics() {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let mut random = StdRng::seed_from_u64(1);
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let whole = file(SIMPLE, codec, &[&[row(Some(1), "one"), row(None, "two")]]);
        for _ in 0..2000 {
            let mut damaged = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..damaged.len());
                damaged[at] = random.random();
            }
            drop(simple(&damaged));
        }
    }
}

#[test]
fn damage_is_named() {
    let mut whole = file(SIMPLE, "null", &[&[row(Some(1), "one")]]);
    let last = whole.len() - 1;
    whole[last] ^= 1;
    let error = fails(&whole);
    assert!(error.message().contains("sync marker"), "{error}");
    assert_eq!(error.byte_range().unwrap().end, whole.len() as u64);

    assert!(fails(b"PAR1 and so on").message().contains("not an Avro file"));
    assert!(fails(&header("{", "null").long(1).bytes("").raw(SYNC).0).message().contains("not JSON"));

    let mut snappy = compress("snappy", &row(Some(1), "one").0);
    let last = snappy.len() - 1;
    snappy[last] ^= 1;
    assert!(fails(&header(SIMPLE, "snappy").long(1).bytes(snappy).raw(SYNC).0).message().contains("CRC"));

    let left_over = header(SIMPLE, "null").long(1).bytes(row(Some(1), "one").raw("more").0).raw(SYNC);
    assert!(fails(&left_over.0).message().contains("4 bytes follow"));

    let unknown = simple(&file(SIMPLE, "lzma", &[])).unwrap_err();
    assert_eq!(unknown.kind(), Kind::Unsupported);
}

#[test]
fn huge_lengths_are_refused_before_anything_is_allocated() {
    let huge = i64::MAX;
    let block = |records: i64, body: Vec<u8>| header(SIMPLE, "null").long(records).bytes(body).raw(SYNC).0;
    fails(&header(SIMPLE, "null").long(1).long(huge).0); // a block's length
    fails(&block(huge, row(None, "x").0)); // its records
    fails(&block(1, Encoder::default().long(0).long(huge).0)); // a string's length
    fails(&block(1, Encoder::default().long(0).long(-1).0));
    fails(&block(1, Encoder::default().long(2).0)); // a union's branch
    fails(&Encoder::default().raw(b"Obj\x01").long(huge).0); // header entries
    fails(&Encoder::default().raw(b"Obj\x01").long(i64::MIN).long(1).0);
    let claimed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0]; // snappy, 4 GiB
    fails(&header(SIMPLE, "snappy").long(1).bytes(claimed).raw(SYNC).0);
}

#[test]
fn a_bomb_is_stopped() {
    let zeros = vec![0u8; codec::MAX_BLOCK_BYTES + 1];
    for codec in ["deflate", "zstandard"] {
        let bomb = header(SIMPLE, codec).long(1).bytes(compress(codec, &zeros)).raw(SYNC).0;
        assert_eq!(fails(&bomb).kind(), Kind::MemoryLimit, "{codec}");
    }
}

#[test]
fn many_blocks_together_are_bounded() {
    let zeros = vec![0u8; 200 << 20];
    let block = compress("deflate", &zeros);
    let one = |file: Encoder| file.long(1).bytes(&block).raw(SYNC);
    let bomb =
        (0..6).fold(header(r#"{"type": "fixed", "name": "f", "size": 209715200}"#, "deflate"), |file, _| one(file));
    let records = header(
        r#"{"type": "record", "name": "r", "fields": [
        {"name": "f", "type": {"type": "fixed", "name": "f", "size": 209715200}}]}"#,
        "deflate",
    );
    let records = (0..6).fold(records, |file, _| one(file));
    for parts in [1, 2] {
        let decoded = AvroFile::open(&records.0).unwrap().decode_parts(parts, &[], &[], &Cancel::default());
        assert_eq!(decoded.unwrap_err().kind(), Kind::MemoryLimit);
    }
    assert_eq!(fails(&bomb.0).kind(), Kind::InvalidData); // no records
}

#[test]
fn parts_of_a_file_are_the_file() {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let mut random = StdRng::seed_from_u64(2);
    let wanted = [
        want(2, 0, ColumnKind::Float),
        WantField { want: Want::List(1, vec![want(21, 2, ColumnKind::Bytes)]), ..want(6, 0, ColumnKind::List) },
        want(7, 3, ColumnKind::Integer),
        want(99, 4, ColumnKind::Integer),
        WantField {
            want: Want::Pick(vec![(200, Want::Column(5, ColumnKind::Integer))]),
            ..want(5, 0, ColumnKind::Integer)
        },
    ];
    use ColumnKind::{Bytes, Float, Integer, List};
    let kinds = [Float, List, Bytes, Integer, Integer, Integer];
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let blocks: Vec<Vec<Encoder>> = (0..random.random_range(1..30))
            .map(|_| (0..random.random_range(0..4)).map(|_| wide_row(random.random())).collect())
            .collect();
        let blocks: Vec<&[Encoder]> = blocks.iter().map(Vec::as_slice).collect();
        let bytes = file(WIDE, codec, &blocks);
        let avro = AvroFile::open(&bytes).unwrap();
        let decode = |parts: usize| avro.decode_parts(parts, &wanted, &kinds, &Cancel::default()).unwrap();
        let whole = decode(1);
        for parts in [2, 3, 40] {
            assert_eq!(decode(parts), whole, "{codec}, {parts} parts");
        }
    }
}

/// Every type before, between and after what is wanted; named types referred to again, one within itself.
const WIDE: &str = r#"{"type": "record", "name": "wide", "namespace": "x.y", "fields": [
    {"name": "flag", "type": "boolean", "field-id": 1},
    {"name": "skipped_enum", "type": {"type": "enum", "name": "e", "symbols": ["A", "B"]}},
    {"name": "single", "type": ["null", "float"], "field-id": 2},
    {"name": "skipped_map", "type": {"type": "map", "values": "long"}},
    {"name": "double", "type": ["double", "null"], "field-id": 3},
    {"name": "skipped_tree", "type": ["null", {"type": "record", "name": "tree", "fields": [
        {"name": "v", "type": "x.y.e"}, {"name": "children", "type": {"type": "array", "items": "tree"}}]}]},
    {"name": "amount", "type": {"type": "fixed", "name": "dec", "size": 3, "logicalType": "decimal",
        "precision": 5, "scale": 2}, "field-id": 4},
    {"name": "skipped_fixed", "type": "dec"},
    {"name": "skipped_null", "type": "null"},
    {"name": "skipped_nothing", "type": {"type": "array", "items": "null"}},
    {"name": "counts", "type": ["null", {"type": "array", "logicalType": "map", "items": {"type": "record",
        "name": "k1_v2", "fields": [{"name": "key", "type": "int", "field-id": 10},
        {"name": "value", "type": "long", "field-id": 11}]}}], "field-id": 5},
    {"name": "skipped_counts", "type": {"type": "array", "items": "k1_v2"}},
    {"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "item", "fields": [
        {"name": "s", "type": ["null", "bytes"], "field-id": 21}, {"name": "t", "type": "tree"}]}}, "field-id": 6},
    {"name": "last", "type": "int", "field-id": 7}]}"#;

fn wide_row(last: i64) -> Encoder {
    let tree = |encoder: Encoder| encoder.long(1).long(2).long(0).long(0).long(1).long(0).long(0); // two leaves below
    let row = Encoder::default().raw([1]).long(1).long(1).raw(1.5f32.to_le_bytes());
    let row = row.long(1).bytes("k").long(-300).long(-1).long(3).bytes("z").long(5).long(0); // both forms of map blocks
    let row = tree(row.long(0).raw((-2.5f64).to_le_bytes()).long(1)).raw([0xff, 0xff, 0x01]).raw([9, 9, 9]);
    let row = row.long(1 << 40).long(0); // that many nulls take no bytes
    let row = row.long(1).long(2).long(100).long(7).long(200).long(-8).long(1).long(300).long(9).long(0);
    let row = row.long(-2).long(4).long(1).long(1).long(2).long(2).long(9);
    let row = (1..=9).fold(row, |row, key| row.long(key).long(1 << (7 * key))).long(0);
    let row = tree(row.long(2).long(1).bytes("first")).long(0);
    tree(Encoder(row.0[..row.0.len() - 1].to_vec()).long(0)).long(0).long(last)
}

#[test]
fn every_type_is_skipped_or_kept() {
    let wanted = [
        want(1, 0, ColumnKind::Integer),
        want(2, 1, ColumnKind::Float),
        want(3, 2, ColumnKind::Float),
        want(4, 3, ColumnKind::Bytes),
        WantField {
            want: Want::Pick(vec![
                (200, Want::Column(4, ColumnKind::Integer)),
                (999, Want::Column(5, ColumnKind::Integer)),
            ]),
            ..want(5, 0, ColumnKind::Integer)
        },
        WantField { want: Want::List(6, vec![want(21, 7, ColumnKind::Bytes)]), ..want(6, 0, ColumnKind::List) },
        want(7, 8, ColumnKind::Integer),
    ];
    use ColumnKind::{Bytes, Float, Integer, List};
    let kinds = [Integer, Float, Float, Bytes, Integer, Integer, List, Bytes, Integer];
    let bytes = file(WIDE, "null", &[&[wide_row(5), wide_row(6)]]);
    let decoded = AvroFile::open(&bytes).unwrap().decode(&wanted, &kinds, &Cancel::default()).unwrap();
    let columns = &decoded.columns;
    for row in 0..2 {
        assert_eq!(columns[0].integer(row), Some(1));
        assert_eq!(columns[1].float(row), Some(1.5));
        assert_eq!(columns[2].float(row), Some(-2.5));
        assert_eq!(columns[3].bytes(row), Some(&[0xff, 0xff, 0x01][..]));
        assert_eq!(columns[4].integer(row), Some(-8));
        assert_eq!(columns[5].integer(row), None);
        let items = columns[6].items(row).unwrap();
        assert_eq!(items, 2 * row..2 * row + 2);
        assert_eq!(columns[7].bytes(items.start), Some(&b"first"[..]));
        assert_eq!(columns[7].bytes(items.start + 1), None);
        assert_eq!(columns[8].integer(row), Some(5 + row as i64));
    }
}

#[test]
fn nothing_wanted_skips_everything() {
    let bytes = file(WIDE, "deflate", &[&[wide_row(5), wide_row(6)]]);
    assert_eq!(AvroFile::open(&bytes).unwrap().decode(&[], &[], &Cancel::default()).unwrap().records, 2);
}

#[test]
fn names_serve_only_where_there_are_no_ids() {
    let by_name = |schema: &str| {
        let bytes = file(schema, "null", &[&[Encoder::default().long(3)]]);
        let wanted = [WantField { name: "a".into(), required: true, ..want(1, 0, ColumnKind::Integer) }];
        AvroFile::open(&bytes).unwrap().decode(&wanted, &[ColumnKind::Integer], &Cancel::default())
    };
    let schema = |id: &str| format!(r#"{{"type":"record","name":"r","fields":[{{"name":"a","type":"int"{id}}}]}}"#);
    assert_eq!(by_name(&schema("")).unwrap().columns[0].integer(0), Some(3));
    assert!(by_name(&schema(r#","field-id":9"#)).unwrap_err().message().contains("missing"));
}

#[test]
fn a_field_of_another_type_is_refused() {
    let bytes = file(SIMPLE, "null", &[&[row(None, "x")]]);
    let wanted = [want(2, 0, ColumnKind::Integer)];
    let error = AvroFile::open(&bytes).unwrap().decode(&wanted, &[ColumnKind::Integer], &Cancel::default());
    assert!(error.unwrap_err().message().contains("expected a boolean, int or long, found bytes or a string"));
}

#[test]
fn endless_recursion_is_stopped() {
    let endless = r#"{"type": "record", "name": "r", "fields": [{"name": "again", "type": "r"}]}"#;
    fails(&file(endless, "null", &[&[Encoder::default().long(0)]]));
    let chain = r#"{"type": "record", "name": "r", "fields": [{"name": "next", "type": ["null", "r"]}]}"#;
    let long_chain = (0..1000).fold(Encoder::default(), |chain, _| chain.long(1)).long(0);
    fails(&file(chain, "null", &[&[long_chain]]));
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(100), "}".repeat(100));
    fails(&file(&deep, "null", &[&[Encoder::default().long(0)]]));
}

#[test]
fn a_schema_that_grows_exponentially_compiles_at_once() {
    let fields = |name: &str| format!(r#"[{{"name":"a","type":{name}}},{{"name":"b","type":{name}}}]"#);
    let mut schema = r#""int""#.to_string();
    for level in 0..25 {
        let inner = format!(r#"{{"name":"a","type":{schema}}},{{"name":"b","type":"n{}"}}"#, level - 1);
        let fields = if level == 0 { fields(r#""int""#) } else { format!("[{inner}]") };
        schema = format!(r#"{{"type":"record","name":"n{level}","fields":{fields}}}"#);
    }
    fails(&file(&schema, "null", &[&[Encoder::default().long(0)]]));
}

#[test]
fn cancelling_ends_decoding() {
    let bytes = file(SIMPLE, "null", &[&[row(None, "x")]]);
    let cancel = Cancel::default();
    cancel.cancel();
    let error = AvroFile::open(&bytes).unwrap().decode(&[], &[], &cancel).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}
