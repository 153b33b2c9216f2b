//! Variants of a Parquet file, whose parts may be typed columns. The first byte chooses which parts are; the others are
//! the values of all columns, so that mutations hit variants instead of pages.

#![no_main]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, BinaryArray, Int32Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use libfuzzer_sys::fuzz_target;
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use serde_json::{Value, json};

const MOST_ROWS: usize = 3;
const MOST_ELEMENTS: usize = 4;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let field = json!({"id": 1, "name": "v", "required": false, "type": "variant"});
    json!({"type": "struct", "schema-id": 0, "fields": [field]})
});

fuzz_target!(init: headrace_fuzz::prepare(), |data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut input = Input(rest);
    let rows = 1 + usize::from(input.byte()) % MOST_ROWS;
    if let Some(file) = array(&variant(choice >> 1), rows, &mut input).and_then(|column| parquet(&column)) {
        headrace_fuzz::load_table(&file, &SCHEMA, choice & 1);
    }
});

/// A variant's group, with parts that are typed.
fn variant(choice: u8) -> DataType {
    let typed = match choice % 6 {
        0 => None,
        1 => Some(DataType::Int32),
        2 => Some(DataType::Utf8),
        3 => Some(list(part(DataType::Int32))),
        4 => Some(object(part(DataType::Int32), part(DataType::Utf8))),
        _ => {
            Some(object(part(list(part(object(part(DataType::Int32), part(DataType::Binary))))), part(DataType::Int32)))
        }
    };
    let typed = typed.map(|typed| Field::new("typed_value", typed, true));
    let plain = ["metadata", "value"].map(|name| Field::new(name, DataType::Binary, true));
    DataType::Struct(plain.into_iter().chain(typed).collect())
}

fn part(typed: DataType) -> DataType {
    let fields = [Field::new("value", DataType::Binary, true), Field::new("typed_value", typed, true)];
    DataType::Struct(fields.into_iter().collect())
}

fn object(a: DataType, b: DataType) -> DataType {
    DataType::Struct([Field::new("a", a, true), Field::new("b", b, true)].into_iter().collect())
}

fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

/// What is left of the bytes; zeros follow them.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A length and as many bytes; None: no value.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.byte();
        length.checked_sub(1).map(|length| self.take(usize::from(length)))
    }
}

fn array(data_type: &DataType, rows: usize, input: &mut Input<'_>) -> Option<ArrayRef> {
    let made: ArrayRef = match data_type {
        DataType::Int32 => Arc::new((0..rows).map(|_| input.bytes().map(number)).collect::<Int32Array>()),
        DataType::Binary => Arc::new((0..rows).map(|_| input.bytes()).collect::<BinaryArray>()),
        DataType::Utf8 => {
            Arc::new((0..rows).map(|_| input.bytes().map(String::from_utf8_lossy)).collect::<StringArray>())
        }
        DataType::List(element) => {
            let lengths: Vec<usize> = (0..rows).map(|_| usize::from(input.byte()) % MOST_ELEMENTS).collect();
            let values = array(element.data_type(), lengths.iter().sum(), input)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, nulls(rows, input)).ok()?)
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| array(field.data_type(), rows, input)).collect::<Option<_>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, nulls(rows, input)).ok()?)
        }
        _ => return None,
    };
    Some(made)
}

fn number(bytes: &[u8]) -> i32 {
    bytes.iter().fold(0, |number, byte| number << 8 | i32::from(*byte))
}

/// Values are there unless a bit says otherwise, which is so where the input is at its end.
fn nulls(rows: usize, input: &mut Input<'_>) -> Option<NullBuffer> {
    let bits = input.byte();
    Some((0..rows).map(|row| bits >> (row % 8) & 1 == 0).collect())
}

fn parquet(column: &ArrayRef) -> Option<Vec<u8>> {
    let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_string(), "1".to_string())]);
    let field = Field::new("v", column.data_type().clone(), true).with_metadata(id);
    let schema = Arc::new(Schema::new(Fields::from(vec![field])));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(column)]).ok()?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).ok()?;
    writer.write(&batch).ok()?;
    writer.into_inner().ok()
}
