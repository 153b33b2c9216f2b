//! Columns of files matched to a table's: by id through renames, reorders, additions and drops at any depth, by name
//! mapping, promoted, from partition values and defaults; and parts of files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use headrace_core::error::Kind;
use headrace_core::iceberg::files::{FileList, SPECS};
use headrace_core::load::FileTask;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use common::{Folder, load_table, parquet_bytes, shown, task};

/// A field as a file of the table format has it; id 0 stands for none.
fn field(id: i32, name: &str, data_type: DataType) -> Field {
    let field = Field::new(name, data_type, true);
    match id {
        0 => field,
        id => field.with_metadata(HashMap::from([("PARQUET:field_id".to_string(), id.to_string())])),
    }
}

fn file(columns: Vec<(Field, ArrayRef)>) -> Vec<u8> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    parquet_bytes(&batch, WriterProperties::default())
}

fn schema(fields: &[Value]) -> Value {
    json!({"type": "struct", "schema-id": 0, "fields": fields})
}

fn member(id: i32, name: &str, data_type: impl Into<Value>) -> Value {
    json!({"id": id, "name": name, "required": false, "type": data_type.into()})
}

fn ints(values: Vec<Option<i32>>) -> ArrayRef {
    Arc::new(Int32Array::from(values))
}

fn longs(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn texts(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// Structs {1: a int, 2: b string, 3: c float}: the second is null, as is a field here and there.
fn old_struct() -> StructArray {
    let fields = Fields::from(vec![
        field(1, "a", DataType::Int32),
        field(2, "b", DataType::Utf8),
        field(3, "c", DataType::Float32),
    ]);
    let columns = vec![
        ints(vec![Some(10), None, Some(12), None]),
        texts(vec![Some("x"), None, None, Some("a text that is no inline view")]),
        Arc::new(Float32Array::from(vec![Some(0.5), None, Some(2.5), Some(3.5)])) as ArrayRef,
    ];
    StructArray::new(fields, columns, Some(NullBuffer::from(vec![true, false, true, true])))
}

/// The same struct later: b dropped, a renamed and promoted, c moved to the front and promoted, two fields added.
fn new_struct() -> Value {
    json!({"type": "struct", "fields": [
        member(3, "c", "double"),
        member(1, "alpha", "long"),
        {"id": 8, "name": "d", "required": false, "type": "string"},
        {"id": 9, "name": "b", "required": true, "type": "int", "initial-default": 7},
    ]})
}

const EVOLVED: [&str; 4] = [
    "{c: 0.5, alpha: 10, d: null, b: 7}",
    "null",
    "{c: 2.5, alpha: 12, d: null, b: 7}",
    "{c: 3.5, alpha: null, d: null, b: 7}",
];

/// Loads one column; its values as text.
fn one(files: Vec<FileTask>, request: &Value) -> Vec<String> {
    let batch = load_table(files, request, None).unwrap();
    assert_eq!(batch.num_columns(), 1);
    shown(batch.column(0))
}

#[test]
fn a_struct_whose_fields_were_added_dropped_renamed_and_reordered() {
    let folder = Folder::new("mapping");
    let array = old_struct();
    let location = folder.put("t", &file(vec![(field(20, "s", array.data_type().clone()), Arc::new(array))]));
    let request = json!({"schema": schema(&[member(20, "renamed", new_struct())])});
    assert_eq!(one(vec![task(location)], &request), EVOLVED);
}

#[test]
fn the_same_inside_a_list_a_map_and_a_struct() {
    let folder = Folder::new("mapping");
    let inner = old_struct();
    let offsets = OffsetBuffer::new(vec![0, 2, 2, 2, 4].into());
    let nulls = Some(NullBuffer::from(vec![true, true, false, true]));
    let element = Arc::new(field(21, "element", inner.data_type().clone()));
    let list = ListArray::new(element, offsets.clone(), Arc::new(inner.clone()), nulls.clone());
    let entries = Fields::from(vec![
        field(31, "key", DataType::Utf8).with_nullable(false),
        field(32, "value", inner.data_type().clone()),
    ]);
    let keys = texts(vec![Some("k0"), Some("k1"), Some("k2"), Some("k3")]);
    let pairs = StructArray::new(entries.clone(), vec![keys, Arc::new(inner.clone())], None);
    let map_field = Arc::new(Field::new("key_value", DataType::Struct(entries), false));
    let map = MapArray::new(map_field, offsets, pairs, nulls.clone(), false);
    let outer_fields = Fields::from(vec![field(41, "inner", inner.data_type().clone())]);
    let outer = StructArray::new(outer_fields, vec![Arc::new(inner)], nulls);
    let location = folder.put(
        "t",
        &file(vec![
            (field(20, "l", list.data_type().clone()), Arc::new(list)),
            (field(30, "m", map.data_type().clone()), Arc::new(map)),
            (field(40, "o", outer.data_type().clone()), Arc::new(outer)),
        ]),
    );
    let list = json!({"type": "list", "element-id": 21, "element-required": false, "element": new_struct()});
    let map = json!({"type": "map", "key-id": 31, "key": "string", "value-id": 32, "value-required": false,
        "value": new_struct()});
    let outer = json!({"type": "struct", "fields": [member(42, "new", "date"), member(41, "was_inner", new_struct())]});
    let request = json!({"schema": schema(&[member(40, "o", outer), member(20, "l", list), member(30, "m", map)])});
    let batch = load_table(vec![task(location)], &request, None).unwrap();
    let [first, _, third, fourth] = EVOLVED;
    let wrapped = |inner: &str| format!("{{new: null, was_inner: {inner}}}");
    assert_eq!(shown(batch.column(0)), [wrapped(first), wrapped("null"), "null".into(), wrapped(fourth)]);
    let listed = |texts: [&str; 2]| format!("[{}, {}]", texts[0], texts[1]);
    let rows = [listed([first, "null"]), "[]".into(), "null".into(), listed([third, fourth])];
    assert_eq!(shown(batch.column(1)), rows);
    let rows =
        [format!("{{k0: {first}, k1: null}}"), "{}".into(), "null".into(), format!("{{k2: {third}, k3: {fourth}}}")];
    assert_eq!(shown(batch.column(2)), rows);
}

#[test]
fn a_struct_of_which_no_field_is_left_still_knows_its_nulls() {
    let folder = Folder::new("mapping");
    let array = old_struct();
    let location = folder.put("t", &file(vec![(field(20, "s", array.data_type().clone()), Arc::new(array))]));
    let only_new = json!({"type": "struct", "fields": [member(9, "new", "int")]});
    let request = json!({"schema": schema(&[member(20, "s", only_new)])});
    assert_eq!(one(vec![task(location)], &request), ["{new: null}", "null", "{new: null}", "{new: null}"]);
}

#[test]
fn a_null_in_a_list_of_structs_that_hold_a_required_struct() {
    let folder = Folder::new("mapping");
    let number = Fields::from(vec![field(0, "x", DataType::Int32).with_nullable(false)]);
    let required = StructArray::new(number, vec![ints(vec![Some(1), Some(0)])], None);
    let outer = Fields::from(vec![field(0, "f", required.data_type().clone()).with_nullable(false)]);
    let nulls = Some(NullBuffer::from(vec![true, false]));
    let outer = StructArray::new(outer, vec![Arc::new(required)], nulls);
    let element = Arc::new(field(0, "element", outer.data_type().clone()));
    let list = ListArray::new(element, OffsetBuffer::from_lengths([2]), Arc::new(outer), None);
    let location = folder.put("t", &file(vec![(field(0, "l", list.data_type().clone()), Arc::new(list))]));
    let all = headrace_core::iceberg::predicate::Predicate::True;
    let batch = common::load_parquet(vec![location], &json!({}), all).unwrap();
    assert_eq!(shown(batch.column(0)), ["[{f: {x: 1}}, null]"]);
}

#[test]
fn names_that_changed_places() {
    let folder = Folder::new("mapping");
    let location = folder.put(
        "t",
        &file(vec![
            (field(1, "x", DataType::Int32), ints(vec![Some(1)])),
            (field(2, "y", DataType::Int32), ints(vec![Some(2)])),
            (field(0, "z", DataType::Int32), ints(vec![Some(3)])), // without an id, among others: not the table's
        ]),
    );
    let fields = [member(2, "x", "int"), member(1, "y", "int"), member(3, "z", "int")];
    let batch = load_table(vec![task(location)], &json!({"schema": schema(&fields)}), None).unwrap();
    let row: Vec<String> = batch.columns().iter().flat_map(|column| shown(column)).collect();
    assert_eq!(row, ["2", "1", "null"]);
}

#[test]
fn files_without_ids_go_by_the_name_mapping_or_by_their_names() {
    let folder = Folder::new("mapping");
    let fields = Fields::from(vec![field(0, "p", DataType::Int32), field(0, "q", DataType::Utf8)]);
    let pair = StructArray::new(fields, vec![ints(vec![Some(1)]), texts(vec![Some("one")])], None);
    let item = Arc::new(field(0, "item", pair.data_type().clone()));
    let list = ListArray::new(item, OffsetBuffer::from_lengths([1]), Arc::new(pair), None);
    let location = folder.put(
        "t",
        &file(vec![
            (field(0, "old", DataType::Int32), ints(vec![Some(5)])),
            (field(0, "stray", DataType::Int32), ints(vec![Some(6)])),
            (field(0, "list", list.data_type().clone()), Arc::new(list)),
        ]),
    );
    let inner = json!({"type": "struct", "fields": [member(12, "q", "string"), member(11, "p2", "long")]});
    let list = json!({"type": "list", "element-id": 10, "element-required": false, "element": inner});
    let schema = schema(&[member(1, "new", "int"), member(2, "stray", "int"), member(3, "list", list)]);
    let row = |request: Value| {
        let batch = load_table(vec![task(location.clone())], &request, None).unwrap();
        batch.columns().iter().flat_map(|column| shown(column)).collect::<Vec<String>>()
    };
    let mapping = json!([
        {"field-id": 1, "names": ["new", "old"]},
        {"names": ["stray"]},
        {"field-id": 3, "names": ["list"], "fields": [{"field-id": 10, "names": ["element"], "fields": [
            {"field-id": 11, "names": ["p", "p2"]}, {"field-id": 12, "names": ["q"]}]}]},
    ]);
    let mapped = row(json!({"schema": schema, "name_mapping": mapping}));
    assert_eq!(mapped, ["5", "null", "[{q: one, p2: 1}]"]);
    assert_eq!(row(json!({"schema": schema})), ["null", "6", "[{q: one, p2: null}]"]);
}

#[test]
fn every_promotion_keeps_its_values() {
    let second = 1_700_000_000_i64;
    let cases: Vec<(ArrayRef, &str, &str)> = vec![
        (ints(vec![Some(i32::MIN)]), "long", "-2147483648"),
        (Arc::new(Int8Array::from(vec![-128])), "int", "-128"),
        (Arc::new(UInt16Array::from(vec![65535])), "long", "65535"),
        (Arc::new(UInt32Array::from(vec![u32::MAX])), "long", "4294967295"),
        (Arc::new(Float32Array::from(vec![0.1])), "double", "0.10000000149011612"),
        (Arc::new(Float16Array::from(vec![half::f16::from_f32(1.5)])), "float", "1.5"),
        (
            Arc::new(Decimal128Array::from(vec![-12345]).with_precision_and_scale(5, 2).unwrap()),
            "decimal(38, 2)",
            "-123.45",
        ),
        (Arc::new(Date32Array::from(vec![19_000])), "date", "2022-01-08"),
        (Arc::new(Date32Array::from(vec![19_000])), "timestamp", "2022-01-08T00:00:00"),
        (Arc::new(TimestampMillisecondArray::from(vec![second * 1000 + 7])), "timestamp", "2023-11-14T22:13:20.007"),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![second * 1_000_000 + 1]).with_timezone("UTC")),
            "timestamptz_ns",
            "2023-11-14T22:13:20.000001",
        ),
        (Arc::new(Time32MillisecondArray::from(vec![1001])), "time", "00:00:01.001"),
        (Arc::new(BinaryArray::from(vec![b"text".as_slice()])), "string", "text"),
        (texts(vec![Some("text")]), "binary", "74657874"),
        (Arc::new(FixedSizeBinaryArray::try_from_iter([[1u8, 255]].into_iter()).unwrap()), "binary", "01ff"),
    ];
    let folder = Folder::new("mapping");
    for (at, (array, to, expected)) in cases.into_iter().enumerate() {
        let from = array.data_type().clone();
        let location = folder.put(&at.to_string(), &file(vec![(field(1, "a", from.clone()), array)]));
        let request = json!({"schema": schema(&[member(1, "a", to)])});
        assert_eq!(one(vec![task(location)], &request), [expected], "{from} to {to}");
    }
}

#[test]
fn what_is_no_promotion_is_refused() {
    let folder = Folder::new("mapping");
    let cases: Vec<(ArrayRef, &str)> = vec![
        (longs(vec![Some(1)]), "int"),
        (Arc::new(Float64Array::from(vec![1.0])), "float"),
        (texts(vec![Some("1")]), "int"),
        (ints(vec![Some(1)]), "double"),
        (Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(9, 3).unwrap()), "decimal(9, 2)"),
        (Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(9, 2).unwrap()), "decimal(8, 2)"),
        (Arc::new(old_struct()), "string"),
        (Arc::new(TimestampNanosecondArray::from(vec![1])), "timestamp"), // three digits would be lost
    ];
    for (at, (array, to)) in cases.into_iter().enumerate() {
        let from = array.data_type().clone();
        let location = folder.put(&at.to_string(), &file(vec![(field(1, "a", from.clone()), array)]));
        let request = json!({"schema": schema(&[member(1, "a", to)])});
        let error = load_table(vec![task(location)], &request, None).expect_err("no promotion");
        assert_eq!(error.kind(), Kind::TypeMismatch, "{from} to {to}: {error}");
    }
    let location = folder.put("required", &file(vec![(field(1, "a", DataType::Int32), ints(vec![Some(1)]))]));
    let required = json!({"id": 2, "name": "b", "required": true, "type": "int"});
    let error = load_table(vec![task(location)], &json!({"schema": schema(&[required])}), None).expect_err("required");
    assert_eq!(error.kind(), Kind::TypeMismatch, "{error}");
}

#[test]
fn files_of_all_generations_in_one_column() {
    let folder = Folder::new("mapping");
    let stamps = |values: Vec<i64>| Arc::new(TimestampMillisecondArray::from(values)) as ArrayRef;
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, None);
    let files = [
        file(vec![(field(1, "number", DataType::Int32), ints(vec![Some(-1), None]))]),
        file(vec![
            (field(2, "at", milliseconds), stamps(vec![1])),
            (field(1, "n", DataType::Int64), longs(vec![Some(1 << 40)])),
        ]),
        file(vec![(field(7, "gone", DataType::Utf8), texts(vec![Some("nothing of the table's"); 3]))]),
    ];
    let files: Vec<_> = files.iter().enumerate().map(|(at, bytes)| task(folder.put(&at.to_string(), bytes))).collect();
    let request = json!({"schema": schema(&[member(1, "n", "long"), member(2, "at", "timestamp")])});
    let batch = load_table(files.clone(), &request, None).unwrap();
    let numbers = batch.column(0).as_primitive::<Int64Type>();
    assert_eq!(numbers, &Int64Array::from(vec![Some(-1), None, Some(1 << 40), None, None, None]));
    assert_eq!(shown(batch.column(1)), ["null", "null", "1970-01-01T00:00:00.001", "null", "null", "null"]);
    let filter = json!({"op": "is_null", "field": 1, "type": "long"});
    let batch = load_table(files.clone(), &request, Some(&filter)).unwrap();
    assert_eq!(batch.num_rows(), 4);
    let filter = json!({"op": "lt", "field": 1, "type": "long", "values": [0]});
    let batch = load_table(files, &request, Some(&filter)).unwrap();
    assert_eq!(shown(batch.column(0)), ["-1"]);
}

#[test]
fn a_filter_on_a_field_of_a_struct() {
    let folder = Folder::new("mapping");
    let array = old_struct();
    let location = folder.put("t", &file(vec![(field(20, "s", array.data_type().clone()), Arc::new(array))]));
    let request = json!({"schema": schema(&[member(20, "s", new_struct())])});
    let rows = |filter: Value| {
        let batch = load_table(vec![task(location.clone())], &request, Some(&filter)).unwrap();
        shown(batch.column(0))
    };
    assert_eq!(rows(json!({"op": "gt", "field": 1, "type": "long", "values": [10]})), [EVOLVED[2]]);
    assert_eq!(rows(json!({"op": "is_null", "field": 1, "type": "long"})), [EVOLVED[1], EVOLVED[3]]);
    assert_eq!(rows(json!({"op": "is_null", "field": 8, "type": "string"})), EVOLVED);
}

#[test]
fn columns_that_only_the_partition_holds() {
    let folder = Folder::new("mapping");
    let location = folder.put("t", &file(vec![(field(1, "a", DataType::Int32), ints(vec![Some(1), Some(2)]))]));
    let of = |id: i32, value: ArrayRef| FileTask { partition: HashMap::from([(id, value)]), ..task(location.clone()) };
    let ds = |value: Option<&str>| Arc::new(StringViewArray::from(vec![value])) as ArrayRef;
    let files = vec![of(2, ds(Some("2026-01-01"))), of(2, ds(None)), of(2, ds(Some("a day that is no inline view")))];
    let mut with_default = member(3, "version", "long");
    with_default["initial-default"] = json!(4);
    let request = json!({"schema": schema(&[member(2, "ds", "string"), member(1, "a", "int"), with_default])});
    let batch = load_table(files.clone(), &request, None).unwrap();
    let days = ["2026-01-01", "2026-01-01", "null", "null"];
    assert_eq!(shown(batch.column(0))[..4], days);
    assert_eq!(shown(batch.column(0))[4..], ["a day that is no inline view"; 2]);
    assert_eq!(shown(batch.column(1)), ["1", "2", "1", "2", "1", "2"]);
    assert_eq!(shown(batch.column(2)), ["4"; 6]);
    let equal = |day: &str| json!({"op": "eq", "field": 2, "type": "string", "values": [day]});
    let kept = |filter: Value| load_table(files.clone(), &request, Some(&filter)).unwrap().num_rows();
    assert_eq!(kept(equal("2026-01-01")), 2);
    assert_eq!(kept(equal("2026-01-02")), 0);
    assert_eq!(kept(json!({"op": "is_null", "field": 2, "type": "string"})), 2);
    assert_eq!(kept(json!({"op": "eq", "field": 3, "type": "long", "values": [4]})), 6);
    assert_eq!(kept(json!({"and": [equal("2026-01-01"), {"op": "gt", "field": 1, "type": "int", "values": [1]}]})), 1);
    // What the file itself holds wins over the partition.
    let request = json!({"schema": schema(&[member(1, "a", "int")])});
    assert_eq!(one(vec![of(1, ints(vec![Some(9)]))], &request), ["1", "2"]);
}

#[test]
fn parts_of_a_file_hold_every_row_group_once() {
    let folder = Folder::new("mapping");
    let schema_of_file = Arc::new(Schema::new(vec![field(1, "a", DataType::Int64)]));
    let rows = RecordBatch::try_new(schema_of_file, vec![Arc::new(Int64Array::from_iter_values(0..1000))]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(130)).build();
    let bytes = parquet_bytes(&rows, properties);
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).unwrap();
    let groups = reader.metadata().row_groups();
    let starts: Vec<u64> = groups.iter().map(|group| group.column(0).byte_range().0).collect();
    assert_eq!(starts.len(), 8);
    let size = bytes.len() as u64;
    let location = folder.put("t", &bytes);
    let request = json!({"schema": schema(&[member(1, "a", "long")])});
    // At the beginnings of row groups, within them, and on either side of them
    let cuts = [vec![], starts[1..].to_vec(), vec![starts[3] + 1, starts[5] - 1], vec![1, 2, size / 2, size - 1]];
    for cuts in cuts {
        let edges: Vec<u64> = [&[0], cuts.as_slice(), &[size]].concat();
        let part =
            |range: &[u64]| FileTask { part: Some(range[0]..range[1]), size: Some(size), ..task(location.clone()) };
        let parts: Vec<FileTask> = edges.windows(2).map(part).collect();
        let mut apart = Vec::new();
        for part in &parts {
            apart.extend(one(vec![part.clone()], &request));
        }
        let expected: Vec<String> = (0..1000).map(|row| row.to_string()).collect();
        assert_eq!(apart, expected, "{edges:?}");
        assert_eq!(one(parts, &request), expected, "{edges:?} in one load");
    }
}

#[test]
fn a_file_list_gives_parts_and_identity_partitions() {
    let partition =
        Fields::from(vec![Field::new("1000", DataType::Utf8View, true), Field::new("1001", DataType::Int32, true)]);
    let days = Arc::new(StringViewArray::from(vec![Some("d1"), None])) as ArrayRef;
    let partitions = StructArray::new(partition.clone(), vec![days, ints(vec![Some(3), Some(4)])], None);
    let int64 = |name: &str| Field::new(name, DataType::Int64, true);
    let specs = json!([{"spec-id": 5, "fields": [
        {"source-id": 2, "field-id": 1000, "name": "ds", "transform": "identity"},
        {"source-id": 1, "field-id": 1001, "name": "a_bucket", "transform": "bucket[8]"}]}]);
    let schema = Schema::new(vec![
        Field::new("location", DataType::Utf8, false),
        int64("file_size"),
        int64("record_count"),
        int64("start"),
        int64("length"),
        Field::new("spec_id", DataType::Int32, false),
        int64("sequence_number"),
        int64("first_row_id"),
        Field::new("partition", DataType::Struct(partition), false),
    ]);
    let schema = schema.with_metadata(HashMap::from([(SPECS.to_string(), specs.to_string())]));
    let number = |values: [i64; 2]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["/a", "/b"])),
        number([100, 100]),
        number([1, 1]),
        number([0, 40]),
        number([100, 60]),
        ints(vec![Some(5), Some(5)]),
        number([0, 0]),
        number([0, 0]),
        Arc::new(partitions),
    ];
    let list = FileList::new(RecordBatch::try_new(Arc::new(schema), columns).unwrap()).unwrap();
    let [first, second] = <[FileTask; 2]>::try_from(FileTask::of_list(&list).unwrap()).unwrap();
    assert_eq!((first.location.as_str(), first.size, first.part), ("/a", Some(100), None));
    assert_eq!((second.location.as_str(), second.part), ("/b", Some(40..100)));
    assert_eq!(first.partition.keys().collect::<Vec<_>>(), [&2], "a bucket is no value of its source");
    assert_eq!(shown(&first.partition[&2]), ["d1"]);
    assert!(second.partition[&2].is_null(0));
}

#[test]
fn columns_of_hive_tables_by_name_in_any_case_and_by_position() {
    let folder = Folder::new("mapping");
    let inner = StructArray::new(
        Fields::from(vec![field(9, "X", DataType::Int32)]),
        vec![ints(vec![Some(1), Some(2)])],
        Some(NullBuffer::from(vec![true, false])),
    );
    let columns = vec![
        (field(5, "userId", DataType::Int32), ints(vec![Some(10), None])),
        (field(6, "S", inner.data_type().clone()), Arc::new(inner) as ArrayRef),
    ];
    let location = folder.put("t", &file(columns));
    let inside = json!({"type": "struct", "fields": [member(3, "x", "long")]});
    let fields = [member(2, "s", inside.clone()), member(1, "userid", "long")];
    let named = json!({"schema": schema(&fields), "ignore_case": true});
    let batch = load_table(vec![task(location.clone())], &named, None).unwrap();
    assert_eq!(shown(batch.column(0)), ["{x: 1}", "null"]);
    assert_eq!(shown(batch.column(1)), ["10", "null"]);
    let fields = [member(1, "first", "long"), member(2, "second", inside), member(4, "third", "string")];
    let placed = json!({"schema": schema(&fields), "positions": [1, 2, 4]});
    let batch = load_table(vec![task(location)], &placed, None).unwrap();
    assert_eq!(shown(batch.column(0)), ["10", "null"]);
    assert_eq!(shown(batch.column(1)), ["{x: 1}", "null"]);
    assert_eq!(shown(batch.column(2)), ["null", "null"]);
}

#[test]
fn a_file_whose_columns_differ_only_in_case_is_refused() {
    let folder = Folder::new("mapping");
    let columns = vec![
        (field(5, "ID", DataType::Int32), ints(vec![Some(1)])),
        (field(6, "id", DataType::Int32), ints(vec![Some(2)])),
    ];
    let location = folder.put("t", &file(columns));
    let request = json!({"schema": schema(&[member(1, "id", "int")]), "ignore_case": true});
    let error = load_table(vec![task(location)], &request, None).unwrap_err();
    assert!(error.message().contains("differ only in case"), "{error:?}");
}
