//! What is written is read back: by this folder's own whole reader, and by the one that planning uses.

use serde_json::{Value, json};

use super::data_file::{DataFile, Entry, Status};
use super::descriptor::Descriptor;
use super::manifest::{Layout, ManifestWriter};
use super::{existing, list};
use crate::iceberg::decoded::Decoded;
use crate::iceberg::manifest_list::{self, Content};
use crate::iceberg::manifests::Entries;
use crate::iceberg::predicate::Literal;
use crate::runtime::Cancel;

/// A column of every type that can be partitioned by, and a value of it in JSON.
const COLUMNS: [(&str, &str); 16] = [
    ("boolean", "true"),
    ("int", "-7"),
    ("long", "1099511627776"),
    ("float", "0.5"),
    ("double", "\"NaN\""),
    ("decimal(9, 2)", "\"-14.20\""),
    ("decimal(38, 10)", "\"1234567890123456789012345678.0123456789\""),
    ("date", "\"2017-11-16\""),
    ("time", "\"22:31:08.123456\""),
    ("timestamp", "\"2017-11-16T22:31:08.123456\""),
    ("timestamptz", "\"1969-12-31T23:59:59.999999+00:00\""),
    ("string", "\"Grüße\""),
    ("uuid", "\"f79c3e09-677c-4bbd-a479-3f349cb785e7\""),
    ("fixed[3]", "\"00ff10\""),
    ("binary", "\"\""),
    ("decimal(9, 2)", "null"),
];

fn schema() -> Value {
    let fields = COLUMNS.iter().enumerate();
    let fields: Vec<_> = fields
        .map(|(at, (kind, _))| json!({"id": at + 1, "name": format!("c.{at}"), "required": false, "type": kind}))
        .collect();
    json!({"type": "struct", "schema-id": 3, "fields": fields})
}

fn spec() -> Value {
    let fields = (0..COLUMNS.len()).map(
        |at| json!({"source-id": at + 1, "field-id": 1000 + at, "name": format!("c.{at}"), "transform": "identity"}),
    );
    json!({"spec-id": 5, "fields": fields.collect::<Vec<_>>()})
}

fn file(name: &str) -> String {
    let partition: Vec<Value> = COLUMNS.iter().map(|(_, value)| serde_json::from_str(value).unwrap()).collect();
    json!({
        "content": "data", "file-path": name, "file-format": "parquet", "spec-id": 5, "partition": partition,
        "file-size-in-bytes": 100, "record-count": 10, "column-sizes": {"keys": [1, 2], "values": [30, 40]},
        "value-counts": {"keys": [1], "values": [10]}, "null-value-counts": {"keys": [1], "values": [0]},
        "nan-value-counts": {"keys": [], "values": []}, "lower-bounds": {"keys": [2], "values": ["F9FFFFFF"]},
        "upper-bounds": {"keys": [2], "values": ["00000000"]}, "split-offsets": [4, 50], "sort-order-id": 0,
    })
    .to_string()
}

fn added(layout: &Layout, name: &str) -> Entry {
    let file = DataFile::from_json(&file(name), 5, &layout.types).unwrap();
    Entry { status: Status::Added, snapshot_id: Some(8), sequence_number: None, file_sequence_number: None, file }
}

fn written(version: i64, entries: &[Entry]) -> (Layout, Descriptor, Vec<u8>) {
    let layout = Layout::new(version, &schema(), &spec()).unwrap();
    let mut writer = ManifestWriter::new(&layout);
    entries.iter().for_each(|entry| writer.add(entry).unwrap());
    let (descriptor, bytes) = writer.finish("m.avro".to_string(), 8).unwrap();
    (layout, descriptor, bytes)
}

#[test]
fn entries_come_back_whole() {
    for version in [1, 2, 3] {
        let layout = Layout::new(version, &schema(), &spec()).unwrap();
        let entries: Vec<Entry> = (0..500).map(|at| added(&layout, &format!("f{at}.parquet"))).collect();
        let (layout, descriptor, bytes) = written(version, &entries);
        assert_eq!(
            (descriptor.files, descriptor.rows),
            ([Some(500), Some(0), Some(0)], [Some(5000), Some(0), Some(0)])
        );
        let read = existing::entries(&bytes, &descriptor, &layout.spec, &layout.types, &Cancel::default()).unwrap();
        assert_eq!(read.len(), entries.len());
        for (read, entry) in read.iter().zip(&entries) {
            assert_eq!(format!("{:?}", read.file), format!("{:?}", entry.file), "v{version}");
            assert_eq!((read.status, read.snapshot_id), (Status::Added, Some(8)));
        }
    }
}

#[test]
fn planning_reads_the_same() {
    for version in [1, 2, 3] {
        let layout = Layout::new(version, &schema(), &spec()).unwrap();
        let (_, mut descriptor, bytes) = written(version, &[added(&layout, "a"), added(&layout, "b")]);
        descriptor.sequence_number = Some(4);
        let listed = list::encode(&[descriptor.clone()], version, &[], 4).unwrap();
        let planned = manifest_list::decode(&listed, &Cancel::default()).unwrap();
        assert_eq!(
            (planned[0].content, planned[0].spec_id, planned[0].live_rows()),
            (Content::Data, Some(5), Some(20))
        );
        assert_eq!(planned[0].sequence_number, if version == 1 { 0 } else { 4 });
        assert_eq!(planned[0].partitions.len(), COLUMNS.len());
        assert_eq!(planned[0].partitions[4].contains_nan, Some(true));
        assert_eq!(planned[0].partitions[15].contains_null, Some(true));
        assert_eq!(planned[0].partitions[5].lower.as_deref(), Some([0xfa, 0x74].as_slice()));
        let decoded = Decoded::new(&bytes, planned[0].content, &layout.spec, &[2], 1, &Cancel::default()).unwrap();
        let mut entries = Entries::new(&decoded, &planned[0], &layout.spec, &[2]).unwrap();
        let entry = entries.live(1).unwrap().unwrap();
        assert_eq!((entry.record_count, entry.file_size, entries.path(1)), (10, 100, "b"));
        assert_eq!(entries.partition(11).bytes(1), Some("Grüße".as_bytes()));
        assert_eq!(entries.partition(15).bytes(1), None);
    }
}

#[test]
fn lists_come_back_whole() {
    let layout = Layout::new(2, &schema(), &spec()).unwrap();
    let (_, mut descriptor, _) = written(2, &[added(&layout, "a")]);
    descriptor.first_row_id = Some(70);
    let old =
        Descriptor { path: "old".into(), sequence_number: Some(1), min_sequence_number: Some(1), ..descriptor.clone() };
    for version in [1, 2, 3] {
        let bytes = list::encode(&[descriptor.clone(), old.clone()], version, &[], 9).unwrap();
        let read = list::decode(&bytes, &Cancel::default()).unwrap();
        assert_eq!((read[0].path.as_str(), read[1].path.as_str()), ("m.avro", "old"));
        assert_eq!(read[0].partitions, descriptor.partitions);
        assert_eq!(
            (read[0].files, read[0].rows, read[0].length),
            (descriptor.files, descriptor.rows, descriptor.length)
        );
        assert_eq!(read[0].first_row_id, if version == 3 { Some(70) } else { None });
        let numbers = [&read[0], &read[1]].map(|each| (each.sequence_number, each.min_sequence_number));
        let expected = if version == 1 { [(Some(0), Some(0)); 2] } else { [(Some(9), Some(9)), (Some(1), Some(1))] };
        assert_eq!(numbers, expected);
    }
}

#[test]
fn carried_entries_keep_what_they_inherited() {
    let layout = Layout::new(3, &schema(), &spec()).unwrap();
    let (layout, mut descriptor, bytes) = written(3, &[added(&layout, "a"), added(&layout, "b")]);
    (descriptor.sequence_number, descriptor.first_row_id) = (Some(6), Some(100));
    let read = existing::entries(&bytes, &descriptor, &layout.spec, &layout.types, &Cancel::default()).unwrap();
    let numbers: Vec<_> = read.iter().map(|each| (each.sequence_number, each.file_sequence_number)).collect();
    assert_eq!(numbers, [(Some(6), Some(6)); 2]);
    assert_eq!(read.iter().map(|each| each.file.first_row_id).collect::<Vec<_>>(), [Some(100), Some(110)]);
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let layout = Layout::new(2, &schema(), &spec()).unwrap();
    for change in [
        ("spec-id", json!(4)),
        ("partition", json!([])),
        ("record-count", json!(-1)),
        ("lower-bounds", json!({"keys": [1], "values": []})),
        ("lower-bounds", json!({"keys": [1], "values": ["0g"]})),
        ("content", json!("position-deletes")),
        ("file-path", json!(null)),
    ] {
        let mut text: Value = serde_json::from_str(&file("a")).unwrap();
        text[change.0] = change.1.clone();
        assert!(DataFile::from_json(&text.to_string(), 5, &layout.types).is_err(), "{change:?}");
    }
    let parsed = DataFile::from_json(&file("a"), 5, &layout.types).unwrap();
    assert_eq!(parsed.partition[7], Some(Literal::Integer(17486)));
}
