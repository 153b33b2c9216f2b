//! Conforming: what is taken as it is, what is hidden under nulls, and rows as the frame counts them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Int64Array, LargeListArray, ListArray, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use serde_json::{Value, json};

use super::*;
use crate::iceberg::schema::Schema;

fn conform(frame: &RecordBatch, fields: Value) -> Result<Conform> {
    let fields = Schema::from_json(&json!({"type": "struct", "fields": fields}).to_string()).unwrap().fields;
    Conform::new(frame, fields.clone(), &fields, &HashMap::new())
}

fn frame(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap()
}

fn fitted(column: ArrayRef, field_type: Value) -> Result<ArrayRef> {
    let frame = frame(column);
    let conform = conform(&frame, json!([{"id": 1, "name": "c", "type": field_type, "required": false}]))?;
    conform.columns[0].fit(Some(frame.column(0)), frame.num_rows(), |row| row + 100)
}

#[test]
fn what_need_not_change_is_shared() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let made = fitted(Arc::clone(&column), json!("string")).unwrap();
    assert_eq!(made.data_type(), &DataType::Utf8);
    assert_eq!(made.to_data().buffers()[0].as_ptr(), column.to_data().buffers()[0].as_ptr());
}

#[test]
fn rows_are_the_frame_s() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(1 << 40)]));
    let error = fitted(column, json!("int")).unwrap_err();
    assert_eq!(error.kind(), Kind::TypeMismatch);
    assert!(error.message().contains("row 102: 1099511627776"), "{error}");
}

#[test]
fn what_lies_under_nulls_is_not_looked_at() {
    let field = |name: &str| Arc::new(Field::new(name, DataType::Int64, true));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1 << 40), None]));
    let nulls = NullBuffer::from(vec![true, false, true]);
    let inner = StructArray::new(vec![field("a")].into(), vec![Arc::clone(&values)], Some(nulls.clone()));
    let a = json!({"type": "struct", "fields": [{"id": 2, "name": "a", "type": "int", "required": false}]});
    let made = fitted(Arc::new(inner), a).unwrap();
    assert_eq!(made.as_struct().column(0).as_primitive::<Int32Type>().iter().next(), Some(Some(1)));

    // The null row reaches the second and the third element.
    let list = LargeListArray::new(field("item"), OffsetBuffer::from_lengths([1, 2, 0]), values, Some(nulls));
    let required = json!({"type": "list", "element-id": 2, "element": "int", "element-required": true});
    let made = fitted(Arc::new(list), required).unwrap();
    let made = made.as_list::<i64>();
    assert_eq!(made.value_offsets(), [0, 1, 1, 1]);
    assert_eq!(made.values().as_primitive::<Int32Type>().values(), &[1]);
}

#[test]
fn a_slice_of_a_list_has_its_own_elements_only() {
    let lists = [Some(vec![Some(1)]), Some(vec![Some(2), Some(3)]), None, Some(vec![Some(1 << 40)])];
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let kind = json!({"type": "list", "element-id": 2, "element": "int", "element-required": false});
    let made = fitted(Arc::new(list.slice(1, 2)), kind.clone()).unwrap();
    assert_eq!(made.as_list::<i32>().values().as_primitive::<Int32Type>().values(), &[2, 3]);
    let error = fitted(Arc::new(list), kind).unwrap_err();
    assert!(error.message().contains("column \"c.element\", row 103"), "{error}");
}

#[test]
fn columns_of_type_unknown_hold_nulls_only() {
    let fields = json!([{"id": 1, "name": "c", "type": "unknown", "required": false}]);
    let make = |column: ArrayRef| {
        let known = Schema::from_json(&json!({"type": "struct", "fields": fields}).to_string()).unwrap().fields;
        Conform::new(&frame(column), crate::write::request::written(&known), &known, &HashMap::new())
    };
    assert!(make(Arc::new(Int64Array::from(vec![None, None]))).unwrap().columns.is_empty());
    assert_eq!(make(Arc::new(Int64Array::from(vec![1]))).map(|_| ()).unwrap_err().kind(), Kind::TypeMismatch);
}
