//! Fan-out against a plain model: every row by itself, on random frames, with chunks of a hundred rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use serde_json::json;

use super::*;
use crate::iceberg::schema::Schema;

fn schema() -> Schema {
    let json = json!({"type": "struct", "fields": [
        {"id": 1, "name": "n", "type": "long", "required": false},
        {"id": 2, "name": "s", "type": "string", "required": false},
        {"id": 3, "name": "d", "type": "date", "required": false},
        {"id": 4, "name": "f", "type": "double", "required": false},
        {"id": 5, "name": "inner", "required": false, "type": {"type": "struct", "fields": [
            {"id": 6, "name": "x", "type": "long", "required": false}]}},
    ]});
    Schema::from_json(&json.to_string()).unwrap()
}

fn spec(fields: &[(i32, &str)]) -> PartitionSpec {
    let fields = fields.iter().enumerate().map(|(at, (source, transform))| {
        json!({"source-id": source, "field-id": 1000 + at, "name": format!("p{at}"), "transform": transform})
    });
    let spec = json!({"spec-id": 1, "fields": fields.collect::<Vec<_>>()});
    PartitionSpec::from_value(&spec, &schema()).unwrap()
}

/// Values that repeat, in runs now and then.
fn frame(rows: usize, clustered: bool) -> RecordBatch {
    let kinds = 9;
    let mut picks: Vec<usize> = (0..rows).map(|_| rand::random_range(0..kinds)).collect();
    if clustered {
        picks.sort_unstable();
    }
    let some = |at: usize| picks[at] > 0;
    let each = 0..rows;
    let numbers = Int64Array::from_iter(each.clone().map(|at| some(at).then_some(picks[at] as i64 * 1000 - 3000)));
    let texts = StringArray::from_iter(each.clone().map(|at| some(at).then(|| "äbc".repeat(picks[at] % 3))));
    let days = Date32Array::from_iter(each.clone().map(|at| some(at).then_some(picks[at] as i32 * 40 - 200)));
    let floats = [0.0, -0.0, f64::NAN, f64::INFINITY, 1.5, -f64::NAN, 2.0, 3.0, 4.0];
    let floats = Float64Array::from_iter(each.clone().map(|at| some(at).then_some(floats[picks[at]])));
    let x: ArrayRef = Arc::new(Int64Array::from_iter(each.map(|at| (picks[at] != 2).then_some(picks[at] as i64))));
    let nulls = arrow_buffer::NullBuffer::from_iter((0..rows).map(some));
    let inner = StructArray::new(vec![Field::new("x", DataType::Int64, true)].into(), vec![x], Some(nulls));
    RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(numbers) as ArrayRef, true),
        ("s", Arc::new(texts), true),
        ("d", Arc::new(days), true),
        ("f", Arc::new(floats), true),
        ("inner", Arc::new(inner), true),
    ])
    .unwrap()
}

fn conform(frame: &RecordBatch) -> Conform {
    let fields = schema().fields;
    Conform::new(frame, fields.clone(), &fields, &HashMap::new()).unwrap()
}

/// The tuple of one row.
fn tuple_of(frame: &RecordBatch, spec: &PartitionSpec, row: usize) -> Tuple {
    let schema = schema();
    let value = |field: &crate::iceberg::specs::PartitionField| {
        let place = Place::find(&schema.fields, field.source.unwrap()).unwrap();
        let column = place.of(frame.column(place.column)).unwrap();
        let values = Values::new(&column, &place.field_type).unwrap();
        values.get(row).and_then(|value| field.transform.apply(value, &place.field_type)).map(Key::of)
    };
    spec.fields.iter().map(value).collect()
}

#[test]
fn rows_are_split_as_one_by_one() {
    let specs = [
        spec(&[(1, "identity")]),
        spec(&[(2, "truncate[1]"), (3, "month")]),
        spec(&[(1, "bucket[3]"), (2, "identity"), (3, "year")]),
        spec(&[(4, "identity")]),
        spec(&[(6, "identity"), (3, "day")]),
        spec(&[(3, "void"), (1, "truncate[5000]")]),
    ];
    for spec in &specs {
        for (rows, clustered) in [(0, false), (1, false), (257, false), (1000, true), (1003, false)] {
            let frame = frame(rows, clustered);
            let partitions = split(&frame, &conform(&frame), spec, 3, &Cancel::default()).unwrap();
            let mut expected: Vec<(Tuple, Vec<usize>)> = Vec::new();
            for row in 0..rows {
                let tuple = tuple_of(&frame, spec, row);
                match expected.iter_mut().find(|(known, _)| *known == tuple) {
                    Some((_, rows)) => rows.push(row),
                    None => expected.push((tuple, vec![row])),
                }
            }
            let found = partitions.iter().map(|Partition { tuple, rows }| {
                (tuple.clone(), (0..rows.len()).map(|at| rows.row(at)).collect::<Vec<_>>())
            });
            assert_eq!(found.collect::<Vec<_>>(), expected, "{spec:?}, {rows} rows");
        }
    }
}

#[test]
fn rows_that_lie_together_are_views() {
    let frame = frame(1000, true);
    let partitions = split(&frame, &conform(&frame), &spec(&[(1, "identity")]), 2, &Cancel::default()).unwrap();
    assert!(partitions.iter().all(|partition| matches!(partition.rows, Rows::Range(_))));
}

#[test]
fn no_fields_are_one_partition() {
    let frame = frame(10, false);
    let partitions = split(&frame, &conform(&frame), &spec(&[]), 2, &Cancel::default()).unwrap();
    assert_eq!((partitions.len(), partitions[0].tuple.len(), partitions[0].rows.len()), (1, 0, 10));
}

#[test]
fn what_a_transform_cannot_say_is_an_error() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![5, i64::MIN]));
    let frame = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let error = split(&frame, &conform(&frame), &spec(&[(1, "truncate[10]")]), 1, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::TypeMismatch);
    assert!(error.message().contains("row 1"), "{error}");
    let error = split(&frame, &conform(&frame), &spec(&[(1, "zorder")]), 1, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn a_cancelled_split_ends() {
    let frame = frame(1000, false);
    let cancel = Cancel::default();
    cancel.cancel();
    let error = split(&frame, &conform(&frame), &spec(&[(1, "identity")]), 1, &cancel).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}
