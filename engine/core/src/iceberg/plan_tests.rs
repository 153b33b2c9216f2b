//! Plans over metadata that PyIceberg 0.12 wrote (testdata/iceberg) and over hand-built lists and manifests.
//!
//! testdata: four appends of 5, 6, 7 and 4 rows; ds = '2026-01-01', '2026-01-02', null under spec 0 (identity ds), then
//! spec 1 (day of ts, bucket[4] of id); ids 100.., 200.., 300.., 400..; x of the second append is NaN but for one row.

use std::path::{Path, PathBuf};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type};
use serde_json::{Value, json};

use super::*;
use crate::iceberg::avro::testing::{Encoder, file};
use crate::iceberg::decoded::Decoded;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/iceberg").join(name)
}

fn store() -> Store {
    Store::new(std::collections::HashMap::new()).unwrap()
}

fn filter(value: &Value) -> Predicate {
    Predicate::from_json(&value.to_string()).unwrap()
}

fn all() -> Value {
    json!({"op": "true"})
}

fn leaf(op: &str, field: i32, field_type: &str, values: Value) -> Value {
    json!({"op": op, "field": field, "type": field_type, "values": values})
}

fn plan_now(request: &Value, test: &Value) -> Result<(FileList, PlanReport)> {
    let request = PlanRequest::from_json(&request.to_string())?;
    let runtime = crate::runtime::runtime().unwrap();
    runtime.block_on(plan(&store(), &request, &filter(test), &Cancel::default()))
}

/// The request of a fixture, its manifests by location; what its manifest list says; both in the list's order.
fn fixture(name: &str) -> (Value, Vec<ManifestFile>) {
    let folder = testdata(name);
    let mut request: Value = serde_json::from_slice(&std::fs::read(folder.join("request.json")).unwrap()).unwrap();
    let list = std::fs::read(folder.join(request["manifest_list"].as_str().unwrap())).unwrap();
    let mut manifests = manifest_list::decode(&list, &Cancel::default()).unwrap();
    for manifest in &mut manifests {
        let base = manifest.path.rsplit('/').next().unwrap();
        manifest.path = folder.join(base).to_str().unwrap().to_string();
    }
    request["manifest_list"] = Value::Null;
    request["manifests"] = manifests.iter().map(|manifest| manifest.path.clone()).collect();
    (request, manifests)
}

fn record_counts(list: &FileList) -> Vec<i64> {
    let mut counts = list.int64("record_count").unwrap().values().to_vec();
    counts.sort_unstable();
    counts
}

/// Plans a fixture with its list's summaries; returns record counts of the files kept and manifests pruned.
fn kept(name: &str, test: &Value) -> (Vec<i64>, usize) {
    let (request, manifests) = fixture(name);
    let request = PlanRequest::from_json(&request.to_string()).unwrap();
    let judge = Judge::new(&request, &filter(test)).unwrap();
    let (mut counts, mut pruned) = (Vec::new(), 0);
    for manifest in &manifests {
        if judge.prune_manifest(manifest).unwrap().is_some() {
            pruned += 1;
            continue;
        }
        let bytes = std::fs::read(&manifest.path).unwrap();
        let (spec, fields) = (judge.spec_of(manifest).unwrap(), judge.fields_of(manifest));
        let decoded = Decoded::new(&bytes, manifest.content, spec, fields, 1, &Cancel::default()).unwrap();
        let (batch, _) = judge.list(&decoded, manifest, &Cancel::default()).unwrap();
        counts.extend(record_counts(&FileList::new(batch).unwrap()));
    }
    counts.sort_unstable();
    (counts, pruned)
}

#[test]
fn a_manifest_list_of_pyiceberg() {
    let (_, manifests) = fixture("evolved_v2");
    let sequence: Vec<_> = manifests.iter().map(|manifest| manifest.sequence_number).collect();
    assert_eq!(sequence, [4, 3, 2, 1]);
    let specs: Vec<_> = manifests.iter().map(|manifest| manifest.spec_id).collect();
    assert_eq!(specs, [Some(1), Some(0), Some(0), Some(0)]);
    assert_eq!(manifests[3].live_files(), Some(1));
    assert_eq!(manifests[3].live_rows(), Some(5));
    let day = manifests[3].partitions[0].clone();
    assert_eq!((day.contains_null, day.lower.as_deref()), (Some(false), Some(&b"2026-01-01"[..])));
    assert_eq!(manifests[1].partitions[0].contains_null, Some(true));
    assert_eq!(manifests[1].partitions[0].lower, None);
}

#[test]
fn a_whole_plan_of_pyiceberg_manifests() {
    let (request, _) = fixture("evolved_v1");
    let (list, report) = plan_now(&request, &all()).unwrap();
    let counts = record_counts(&list);
    assert_eq!(counts.iter().sum::<i64>(), 22);
    assert_eq!(list.len() as u64, report.files.kept);
    assert_eq!((report.manifests.total, report.manifests.read), (4, 4));
    assert_eq!(report.files.total, Some(list.len() as u64));
    assert_eq!(report.bytes.pruned, Some(0));
    assert_eq!(list.specs_json(), request["specs"].to_string());
    assert_eq!(list.int64("length").unwrap(), list.int64("file_size").unwrap());
    for location in list.locations().unwrap() {
        assert!(location.unwrap().ends_with(".parquet"), "{location:?}");
    }
    let partitions = list.partitions().unwrap();
    assert_eq!(partitions.column_names(), ["1000", "1001", "1002"]);
    let specs = list.spec_ids().unwrap();
    for row in 0..list.len() {
        let ds = partitions.column(0).as_string_view();
        let (day, bucket) =
            (partitions.column(1).as_primitive::<Date32Type>(), partitions.column(2).as_primitive::<Int32Type>());
        if specs.value(row) == 0 {
            assert!(day.is_null(row) && bucket.is_null(row));
            assert!(ds.is_null(row) || ds.value(row).starts_with("2026-01-0"));
        } else {
            assert!(ds.is_null(row));
            assert_eq!(day.value(row), 20_457); // 2026-01-04
            assert!((0..4).contains(&bucket.value(row)));
        }
    }
}

#[test]
fn pyiceberg_files_are_pruned() {
    let last = kept("evolved_v2", &leaf("ge", 1, "long", json!([400]))).0; // one or more files of 4 rows in buckets
    assert_eq!(last.iter().sum::<i64>(), 4);
    let with = |counts: &[i64]| {
        let mut joined = [counts, &last].concat();
        joined.sort_unstable();
        joined
    };
    for name in ["evolved_v1", "evolved_v2"] {
        let test = |test: Value| kept(name, &test);
        let ds = |op, value| test(leaf(op, 2, "string", json!([value])));
        // the last append has ds = '2026-01-04' in its statistics only
        assert_eq!(ds("eq", "2026-01-02"), (vec![6], 2), "{name}");
        assert_eq!(ds("gt", "2026-01-01"), (with(&[6]), 2), "{name}");
        assert_eq!(ds("starts_with", "2026-01"), (with(&[5, 6]), 1), "{name}");
        assert_eq!(test(leaf("is_null", 2, "string", json!([]))), (vec![7], 2), "{name}");
        assert_eq!(test(leaf("lt", 3, "timestamp", json!([1_767_312_000_000_000i64]))).0, [5], "{name}"); // 2026-01-02
        assert_eq!(test(leaf("eq", 1, "long", json!([302]))).0, [7], "{name}");
        assert_eq!(test(leaf("eq", 1, "long", json!([499]))).0, Vec::<i64>::new(), "{name}");
        assert_eq!(test(leaf("lt", 4, "decimal(12, 2)", json!(["150"]))).0, [5], "{name}");
        assert_eq!(
            test(leaf("gt", 5, "double", json!([100.0]))).0,
            with(&[5, 6, 7]),
            "{name}: NaN counts are not there"
        );
        assert_eq!(test(leaf("eq", 5, "double", json!([3.5]))).0, [7], "{name}");
        assert_eq!(test(json!({"op": "false"})), (vec![], 4), "{name}");
        let either =
            json!({"or": [leaf("eq", 2, "string", json!(["2026-01-01"])), leaf("eq", 1, "long", json!([305]))]});
        assert_eq!(test(either).0, [5, 7], "{name}");
    }
}

#[test]
fn the_report_counts_reasons() {
    let (request, _) = fixture("evolved_v1");
    let (list, report) = plan_now(&request, &leaf("lt", 2, "string", json!(["2026-01-02"]))).unwrap();
    assert_eq!(record_counts(&list), [5]);
    let last = report.files.total.unwrap() - 3; // files of the last append
    assert_eq!((report.files.pruned_by_partition, report.files.pruned_by_statistics), (Some(2), last));
    assert_eq!((report.rows.kept, report.rows.pruned), (5, Some(17)));
    let json: Value = serde_json::to_value(&report).unwrap();
    let reasons: Vec<_> = json["reasons"].as_array().unwrap().iter().map(|each| each["reason"].as_str()).collect();
    assert!(last > 2);
    assert_eq!(reasons, [Some("bounds of ds"), Some("partition ds")]); // the most frequent first
    assert_eq!(json["reasons"][1], json!({"reason": "partition ds", "of": "files", "count": 2}));
}

#[test]
fn damaged_manifests_are_errors_that_name_the_file() {
    let (mut request, manifests) = fixture("evolved_v2");
    let whole = std::fs::read(&manifests[0].path).unwrap();
    let folder = Folder::new("damaged");
    for length in (0..whole.len()).step_by(97) {
        let path = folder.write("m.avro", &whole[..length]);
        request["manifests"] = json!([path]);
        let Err(error) = plan_now(&request, &all()) else { panic!("{length} of {} bytes were taken", whole.len()) };
        assert_eq!((error.kind(), error.location()), (Kind::InvalidData, Some(path.as_str())), "{error}");
    }
    request["manifests"] = json!(["/nowhere/m.avro"]);
    assert_eq!(plan_now(&request, &all()).unwrap_err().kind(), Kind::ObjectNotFound);
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("headrace-plan-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const LIST: &str = r#"{"type": "record", "name": "manifest_file", "fields": [
    {"name": "manifest_path", "type": "string", "field-id": 500},
    {"name": "manifest_length", "type": "long", "field-id": 501},
    {"name": "partition_spec_id", "type": "int", "field-id": 502},
    {"name": "content", "type": "int", "field-id": 517},
    {"name": "sequence_number", "type": "long", "field-id": 515},
    {"name": "added_files_count", "type": ["null", "int"], "field-id": 504},
    {"name": "existing_files_count", "type": ["null", "int"], "field-id": 505},
    {"name": "first_row_id", "type": ["null", "long"], "field-id": 520}]}"#;

const MANIFEST: &str = r#"{"type": "record", "name": "manifest_entry", "fields": [
    {"name": "status", "type": "int", "field-id": 0},
    {"name": "sequence_number", "type": ["null", "long"], "field-id": 3},
    {"name": "data_file", "field-id": 2, "type": {"type": "record", "name": "r2", "fields": [
        {"name": "content", "type": "int", "field-id": 134},
        {"name": "file_path", "type": "string", "field-id": 100},
        {"name": "file_format", "type": "string", "field-id": 101},
        {"name": "record_count", "type": "long", "field-id": 103},
        {"name": "file_size_in_bytes", "type": "long", "field-id": 104},
        {"name": "key_metadata", "type": ["null", "bytes"], "field-id": 131},
        {"name": "first_row_id", "type": ["null", "long"], "field-id": 142}]}}]}"#;

struct Listed<'a> {
    path: &'a str,
    content: i64,
    sequence_number: i64,
    counts: Option<(i64, i64)>,
    first_row_id: Option<i64>,
}

fn optional(encoder: Encoder, value: Option<i64>) -> Encoder {
    value.map_or_else(|| encoder.clone().long(0), |value| encoder.clone().long(1).long(value))
}

fn list_file(manifests: &[Listed]) -> Vec<u8> {
    let entry = |manifest: &Listed| {
        let entry = Encoder::default().bytes(manifest.path).long(1).long(0).long(manifest.content);
        let entry = entry.long(manifest.sequence_number);
        let entry = optional(entry, manifest.counts.map(|counts| counts.0));
        optional(optional(entry, manifest.counts.map(|counts| counts.1)), manifest.first_row_id)
    };
    let entries: Vec<_> = manifests.iter().map(entry).collect();
    file(LIST, "deflate", &[&entries])
}

#[derive(Clone)]
struct File {
    status: i64,
    sequence_number: Option<i64>,
    content: i64,
    format: &'static str,
    records: i64,
    key: bool,
    first_row_id: Option<i64>,
}

const FILE: File = File {
    status: 1,
    sequence_number: None,
    content: 0,
    format: "PARQUET",
    records: 10,
    key: false,
    first_row_id: None,
};

fn manifest_file(files: &[File]) -> Vec<u8> {
    let entry = |(at, each): (usize, &File)| {
        let entry = optional(Encoder::default().long(each.status), each.sequence_number).long(each.content);
        let entry = entry.bytes(format!("s3://lake/{at}.parquet")).bytes(each.format).long(each.records).long(1000);
        let entry = if each.key { entry.long(1).bytes("key") } else { entry.long(0) };
        optional(entry, each.first_row_id)
    };
    let entries: Vec<_> = files.iter().enumerate().map(entry).collect();
    file(MANIFEST, "snappy", &[&entries])
}

fn request(manifest_list: &str) -> Value {
    json!({"table": "db.t", "format_version": 3, "snapshot_id": 1, "manifest_list": manifest_list, "manifests": [],
        "schema": {"type": "struct", "fields": []}, "specs": [{"spec-id": 0, "fields": []}]})
}

/// Plans one manifest of these files, its list entry changed by `change`.
fn plan_files(name: &str, files: &[File], change: impl Fn(&mut Listed)) -> Result<FileList> {
    let folder = Folder::new(name);
    let path = folder.write("m.avro", &manifest_file(files));
    let mut listed = Listed { path: &path, content: 0, sequence_number: 7, counts: None, first_row_id: None };
    change(&mut listed);
    let list = folder.write("list.avro", &list_file(&[listed]));
    plan_now(&request(&list), &all()).map(|(files, _)| files)
}

#[test]
fn sequence_numbers_and_row_ids_are_inherited() {
    let files = [
        File { records: 3, ..FILE },
        File { status: 2, records: 100, ..FILE },
        File { status: 0, sequence_number: Some(2), records: 4, first_row_id: Some(5000), ..FILE },
        File { status: 0, sequence_number: Some(3), records: 5, ..FILE },
        File { sequence_number: Some(6), ..FILE },
    ];
    let list = plan_files("inherit", &files, |listed| listed.first_row_id = Some(1000)).unwrap();
    assert_eq!(list.int64("sequence_number").unwrap().values(), &[7, 2, 3, 6]);
    assert_eq!(list.int64("first_row_id").unwrap().values(), &[1000, 5000, 1003, 1008]);
    let list = plan_files("inherit2", &files, |_| ()).unwrap();
    assert_eq!(list.int64("first_row_id").unwrap().null_count(), 4);

    let orphan = [File { status: 0, ..FILE }];
    assert_eq!(plan_files("inherit3", &orphan, |_| ()).unwrap_err().kind(), Kind::InvalidData);
    let v1 = plan_files("inherit4", &orphan, |listed| listed.sequence_number = 0).unwrap();
    assert_eq!(v1.int64("sequence_number").unwrap().values(), &[0]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let refused = |name, file: File| plan_files(name, &[FILE, file], |_| ()).unwrap_err();
    let unheard = refused("unheard", File { format: "unheard", ..FILE });
    assert_eq!((unheard.kind(), unheard.location()), (Kind::Unsupported, Some("s3://lake/1.parquet")));
    let encrypted = refused("key", File { key: true, ..FILE });
    assert_eq!((encrypted.kind(), encrypted.location()), (Kind::Unsupported, Some("s3://lake/1.parquet")));
    for damaged in [
        File { records: -1, ..FILE },
        File { records: i64::MAX, ..FILE },
        File { status: 3, ..FILE },
        File { content: 1, ..FILE },
    ] {
        assert_eq!(refused("damage", damaged).kind(), Kind::InvalidData);
    }
    plan_files("lower", &[File { format: "parquet", ..FILE }], |_| ()).unwrap();
    let dropped = [File { status: 2, format: "unheard", key: true, ..FILE }];
    assert_eq!(plan_files("dropped", &dropped, |_| ()).unwrap().len(), 0);
}

#[test]
fn manifests_of_deletes_are_checked() {
    let deletes =
        |name, files: &[File], counts| plan_files(name, files, |listed| (listed.content, listed.counts) = (1, counts));
    let dropped = [File { content: 1, status: 2, ..FILE }];
    assert_eq!(deletes("dropped_deletes", &dropped, None).unwrap().len(), 0);
    assert_eq!(deletes("no_deletes", &dropped, Some((0, 0))).unwrap().len(), 0);
    let refused = |name, file: File| deletes(name, &[file], None).unwrap_err();
    let data = refused("data_as_deletes", FILE);
    assert!(data.message().contains("content is 0 in a manifest of deletes"), "{data}");
    let unheard = refused("unheard_deletes", File { content: 1, format: "UNHEARD", ..FILE });
    assert_eq!((unheard.kind(), unheard.location()), (Kind::Unsupported, Some("s3://lake/0.parquet")));
    assert!(unheard.message().contains("a delete file in UNHEARD format"), "{unheard}");
    let nothing = refused("nothing_compared", File { content: 2, ..FILE });
    assert!(nothing.message().contains("without equality_ids"), "{nothing}");
    let vector = refused("vector_nowhere", File { content: 1, format: "puffin", ..FILE });
    assert!(vector.message().contains("content_offset"), "{vector}");
}

#[test]
fn an_empty_table_and_a_manifest_without_live_files() {
    let mut nothing = request("");
    nothing["manifest_list"] = Value::Null;
    let (list, report) = plan_now(&nothing, &all()).unwrap();
    assert!(list.is_empty() && report.files.total == Some(0));
    let unread = plan_files("unread", &[FILE], |listed| listed.counts = Some((0, 0))).unwrap();
    assert!(unread.is_empty());
}

#[test]
fn requests_are_checked() {
    let kind = |request: &Value| PlanRequest::from_json(&request.to_string()).unwrap_err().kind();
    let mut bad = request("x");
    bad["format_version"] = json!(4);
    assert_eq!(kind(&bad), Kind::Unsupported);
    bad = request("x");
    bad["specs"] = json!([{"spec-id": 0, "fields": [{"name": "a"}]}]);
    assert_eq!(kind(&bad), Kind::InvalidData);
    assert_eq!(kind(&json!({"table": "t"})), Kind::InvalidArgument);
    let mut elsewhere = fixture("evolved_v2").0;
    elsewhere["specs"] = json!([{"spec-id": 9, "fields": []}]);
    let error = plan_now(&elsewhere, &all()).unwrap_err();
    assert!(error.message().contains("[9]") && error.kind() == Kind::InvalidData, "{error}");
}

#[test]
fn cancelling_ends_a_plan() {
    let (request, _) = fixture("evolved_v1");
    let request = PlanRequest::from_json(&request.to_string()).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let runtime = crate::runtime::runtime().unwrap();
    let error = runtime.block_on(plan(&store(), &request, &Predicate::True, &cancel)).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}
