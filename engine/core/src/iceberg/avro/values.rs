//! Values of a data file on their way to Arrow: one store a column, at any depth.
//!
//! A null takes a place in its store, so that stores are as long as what is around them. Must not know: schema JSON.
//! Neighbour: [`super::records`].

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, LargeBinaryArray, LargeListArray, LargeStringArray, MapArray, NullArray, StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};

use super::cursor::{Cursor, invalid};
use crate::error::Result;
use crate::iceberg::scalar;

/// Items of arrays that take no bytes, at most: they could be claimed without end.
const MAX_EMPTY_ITEMS: usize = 1 << 20;

/// A column being filled.
pub(super) struct Values {
    /// Which branch of the union is null; None: there is none
    null_branch: Option<i64>,
    valid: Vec<bool>,
    pub(super) store: Store,
}

/// Where values go. Of variable length: ends, from 0.
pub(super) enum Store {
    Nothing,
    Booleans(Vec<bool>),
    Ints(Vec<i32>, DataType),
    Longs(Vec<i64>, DataType),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    /// Of a fixed size, or bytes; precision and scale
    Decimals(Vec<i128>, Option<usize>, u8, i8),
    Bytes(Vec<i64>, Vec<u8>, DataType),
    Fixed(Vec<u8>, usize),
    Struct(Fields, Vec<Values>),
    List(Vec<i64>, FieldRef, Box<Values>),
    Map(Vec<i32>, [FieldRef; 2], Box<[Values; 2]>),
}

impl Store {
    pub(super) fn bytes(data_type: DataType) -> Store {
        Store::Bytes(vec![0], Vec::new(), data_type)
    }

    pub(super) fn map(key: (FieldRef, Values), value: (FieldRef, Values)) -> Store {
        let required = Arc::new(key.0.as_ref().clone().with_nullable(false));
        Store::Map(vec![0], [required, value.0], Box::new([key.1, value.1]))
    }

    pub(super) fn data_type(&self) -> DataType {
        match self {
            Store::Nothing => DataType::Null,
            Store::Booleans(_) => DataType::Boolean,
            Store::Ints(_, data_type) | Store::Longs(_, data_type) | Store::Bytes(_, _, data_type) => data_type.clone(),
            Store::Floats(_) => DataType::Float32,
            Store::Doubles(_) => DataType::Float64,
            Store::Decimals(_, _, precision, scale) => DataType::Decimal128(*precision, *scale),
            Store::Fixed(_, size) => DataType::FixedSizeBinary(i32::try_from(*size).unwrap_or(i32::MAX)),
            Store::Struct(fields, _) => DataType::Struct(fields.clone()),
            Store::List(_, element, _) => DataType::LargeList(Arc::clone(element)),
            Store::Map(_, pair, _) => DataType::Map(Arc::new(entries(pair)), false),
        }
    }
}

fn entries(pair: &[FieldRef; 2]) -> Field {
    Field::new("key_value", DataType::Struct(Fields::from(pair.to_vec())), false)
}

impl Values {
    pub(super) fn new(null_branch: Option<i64>, store: Store) -> Values {
        Values { null_branch, valid: Vec::new(), store }
    }

    /// Reads the next value.
    pub(super) fn read(&mut self, cursor: &mut Cursor) -> Result<()> {
        if let Some(null) = self.null_branch {
            match cursor.varint()? {
                branch if branch == null => return self.null(),
                0 | 1 => {}
                other => return Err(invalid(format!("Avro: branch {other} of a union of two"))),
            }
        }
        self.valid.push(true);
        match &mut self.store {
            Store::Nothing => {}
            Store::Booleans(values) => values.push(cursor.boolean()?),
            Store::Ints(values, _) => {
                let value = cursor.varint()?;
                values.push(i32::try_from(value).map_err(|_| invalid(format!("Avro: an int of {value}")))?);
            }
            Store::Longs(values, _) => values.push(cursor.varint()?),
            Store::Floats(values) => values.push(cursor.float()?),
            Store::Doubles(values) => values.push(cursor.double()?),
            Store::Decimals(values, size, precision, _) => {
                let bytes = match size {
                    Some(size) => cursor.take(*size)?,
                    None => cursor.bytes()?,
                };
                let value =
                    scalar::decimal(bytes).filter(|value| value.unsigned_abs() < 10u128.pow((*precision).into()));
                values.push(value.ok_or_else(|| invalid("Avro: a decimal of more digits than its precision"))?);
            }
            Store::Bytes(ends, bytes, _) => {
                bytes.extend_from_slice(cursor.bytes()?);
                ends.push(bytes.len() as i64);
            }
            Store::Fixed(values, size) => values.extend_from_slice(cursor.take(*size)?),
            Store::Struct(_, columns) => columns.iter_mut().try_for_each(|column| column.read(cursor))?,
            Store::List(ends, _, element) => {
                each_item(cursor, |cursor| element.read(cursor))?;
                ends.push(element.valid.len() as i64);
            }
            Store::Map(ends, _, pair) => {
                each_item(cursor, |cursor| pair.iter_mut().try_for_each(|column| column.read(cursor)))?;
                ends.push(i32::try_from(pair[0].valid.len()).map_err(|_| invalid("Avro: over 2^31 entries of maps"))?);
            }
        }
        Ok(())
    }

    /// A null, or what is below one.
    fn null(&mut self) -> Result<()> {
        self.valid.push(false);
        match &mut self.store {
            Store::Nothing => {}
            Store::Booleans(values) => values.push(false),
            Store::Ints(values, _) => values.push(0),
            Store::Longs(values, _) => values.push(0),
            Store::Floats(values) => values.push(0.0),
            Store::Doubles(values) => values.push(0.0),
            Store::Decimals(values, _, _, _) => values.push(0),
            Store::Bytes(ends, bytes, _) => ends.push(bytes.len() as i64),
            Store::Fixed(values, size) => values.resize(values.len() + *size, 0),
            Store::Struct(_, columns) => columns.iter_mut().try_for_each(Values::null)?,
            Store::List(ends, _, element) => ends.push(element.valid.len() as i64),
            Store::Map(ends, _, _) => ends.push(ends.last().copied().unwrap_or(0)),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<ArrayRef> {
        let rows = self.valid.len();
        let nulls = self.valid.iter().any(|valid| !valid).then(|| NullBuffer::from(self.valid));
        let made = match self.store {
            Store::Nothing => Ok(Arc::new(NullArray::new(rows)) as ArrayRef),
            Store::Booleans(values) => Ok(Arc::new(BooleanArray::new(values.into(), nulls)) as ArrayRef),
            Store::Ints(values, to) => Int32Array::try_new(values.into(), nulls).and_then(|made| cast(&made, &to)),
            Store::Longs(values, to) => Int64Array::try_new(values.into(), nulls).and_then(|made| cast(&made, &to)),
            Store::Floats(values) => Float32Array::try_new(values.into(), nulls).map(shared),
            Store::Doubles(values) => Float64Array::try_new(values.into(), nulls).map(shared),
            Store::Decimals(values, _, precision, scale) => {
                let made = Decimal128Array::try_new(values.into(), nulls);
                made.and_then(|made| made.with_precision_and_scale(precision, scale)).map(shared)
            }
            Store::Bytes(ends, bytes, to) => {
                let (ends, bytes) = (OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes));
                match to {
                    DataType::LargeUtf8 => LargeStringArray::try_new(ends, bytes, nulls).map(shared),
                    _ => LargeBinaryArray::try_new(ends, bytes, nulls).map(shared),
                }
            }
            Store::Fixed(values, size) => {
                let size = i32::try_from(size).map_err(|_| invalid("Avro: a fixed of over 2 GiB"))?;
                FixedSizeBinaryArray::try_new(size, Buffer::from_vec(values), nulls).map(shared)
            }
            Store::Struct(fields, columns) => {
                let columns = columns.into_iter().map(Values::finish).collect::<Result<Vec<_>>>()?;
                StructArray::try_new_with_length(fields, columns, nulls, rows).map(shared)
            }
            Store::List(ends, element, values) => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                LargeListArray::try_new(element, ends, values.finish()?, nulls).map(shared)
            }
            Store::Map(ends, pair, columns) => {
                let columns = columns.into_iter().map(Values::finish).collect::<Result<Vec<_>>>()?;
                let field = Arc::new(entries(&pair));
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                let inner = StructArray::try_new(Fields::from(pair.to_vec()), columns, None);
                inner.and_then(|inner| MapArray::try_new(field, ends, inner, nulls, false)).map(shared)
            }
        };
        made.map_err(|e: ArrowError| invalid(format!("Avro: {e}")))
    }
}

fn shared<T: Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}

/// Reads the items of an array or map.
fn each_item(cursor: &mut Cursor, mut read: impl FnMut(&mut Cursor) -> Result<()>) -> Result<()> {
    let mut empty = 0;
    loop {
        let (count, _) = cursor.items(0)?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            let before = cursor.remaining();
            read(cursor)?;
            empty += usize::from(cursor.remaining() == before);
            if empty > MAX_EMPTY_ITEMS {
                return Err(invalid("Avro: an array of items without end that take no bytes"));
            }
        }
    }
}
