//! Rows' values in a form that compares, and a table of them: what equality deletes look up.
//!
//! Null equals null and NaN equals NaN, while -0.0 and 0.0 differ, as in Iceberg's Java (`Double.compare`). A key's bytes
//! lie in one buffer with all others: some 24 bytes a key beside its own. Must not know: which columns, which files.

use std::hash::{BuildHasher, RandomState};

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::error::{Error, Kind, Result};

/// Keys, each with the largest sequence number of the deletes that name it.
#[derive(Default)]
pub(super) struct KeyTable {
    hasher: RandomState,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    sequence: Vec<i64>,
    /// Position of a key plus one, 0 for none; open addressing, at most half full
    slots: Vec<u32>,
}

impl KeyTable {
    /// Adds a key.
    pub fn insert(&mut self, key: &[u8], sequence: i64) -> Result<()> {
        if (self.ends.len() + 1) * 2 > self.slots.len() {
            self.grow()?;
        }
        match self.find(key) {
            Ok(at) => self.sequence[at] = self.sequence[at].max(sequence),
            Err(slot) => {
                self.bytes.extend_from_slice(key);
                self.ends.push(self.bytes.len());
                self.sequence.push(sequence);
                self.slots[slot] = u32::try_from(self.ends.len()).map_err(|_| too_many())?;
            }
        }
        Ok(())
    }

    /// The largest sequence number of a key.
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        if self.slots.is_empty() {
            return None;
        }
        self.find(key).ok().map(|at| self.sequence[at])
    }

    /// Bytes that it takes.
    pub fn size(&self) -> u64 {
        let per_key = size_of::<usize>() + size_of::<i64>();
        (self.bytes.capacity() + self.ends.capacity() * per_key + self.slots.len() * size_of::<u32>()) as u64
    }

    /// The position of a key, or the slot that is free for it.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(key) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                filled if self.key(filled as usize - 1) == key => return Ok(filled as usize - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }

    fn grow(&mut self) -> Result<()> {
        let length = (self.slots.len() * 2).max(64);
        self.slots = vec![0; length];
        for at in 0..self.ends.len() {
            if let Err(slot) = self.find(self.key(at)) {
                self.slots[slot] = u32::try_from(at + 1).map_err(|_| too_many())?;
            }
        }
        Ok(())
    }
}

fn too_many() -> Error {
    Error::new(Kind::MemoryLimit, "more than 2^32 equality deletes of one partition").hint("load in shards")
}

/// Some columns of equal length, as keys.
pub(super) struct KeyColumns {
    columns: Vec<ArrayRef>,
}

impl KeyColumns {
    /// Takes columns of primitive types.
    pub fn new(columns: Vec<ArrayRef>) -> Result<KeyColumns> {
        let plain = |column: ArrayRef| match column.data_type() {
            DataType::Int32 | DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(_, _) => {
                let widened = cast(&column, &DataType::Int64)
                    .or_else(|_| cast(&column, &DataType::Int32).and_then(|narrow| cast(&narrow, &DataType::Int64)));
                widened.map_err(|e| Error::new(Kind::Internal, e.to_string()))
            }
            DataType::Boolean
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(_, _)
            | DataType::Utf8View
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::Null => Ok(column),
            other => Err(Error::new(Kind::Unsupported, format!("an equality delete that compares values of {other}"))),
        };
        Ok(KeyColumns { columns: columns.into_iter().map(plain).collect::<Result<_>>()? })
    }

    /// Puts the key of a row into `key`.
    pub fn write(&self, row: usize, key: &mut Vec<u8>) {
        key.clear();
        for column in &self.columns {
            if column.data_type() == &DataType::Null || column.is_null(row) {
                key.push(0);
                continue;
            }
            key.push(1);
            match column.data_type() {
                DataType::Boolean => key.push(u8::from(column.as_boolean().value(row))),
                DataType::Int64 => key.extend(column.as_primitive::<Int64Type>().value(row).to_le_bytes()),
                DataType::Float32 => float(key, f64::from(column.as_primitive::<Float32Type>().value(row))),
                DataType::Float64 => float(key, column.as_primitive::<Float64Type>().value(row)),
                DataType::Decimal128(_, _) => {
                    key.extend(column.as_primitive::<Decimal128Type>().value(row).to_le_bytes());
                }
                DataType::Utf8View => sized(key, column.as_string_view().value(row).as_bytes()),
                DataType::BinaryView => sized(key, column.as_binary_view().value(row)),
                _ => sized(key, column.as_fixed_size_binary().value(row)),
            }
        }
    }
}

fn float(key: &mut Vec<u8>, value: f64) {
    key.extend(if value.is_nan() { f64::NAN } else { value }.to_bits().to_le_bytes());
}

fn sized(key: &mut Vec<u8>, value: &[u8]) {
    key.extend((value.len() as u64).to_le_bytes());
    key.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::{Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, StringViewArray};

    use super::*;

    fn keys(columns: Vec<ArrayRef>) -> Vec<Vec<u8>> {
        let rows = columns[0].len();
        let columns = KeyColumns::new(columns).unwrap();
        let one = |row| {
            let mut key = vec![9];
            columns.write(row, &mut key);
            key
        };
        (0..rows).map(one).collect()
    }

    #[test]
    fn values_are_equal_as_in_java() {
        let wide = keys(vec![Arc::new(Int64Array::from(vec![Some(7), None, Some(-1)]))]);
        assert_eq!(wide, keys(vec![Arc::new(Int32Array::from(vec![Some(7), None, Some(-1)]))]));
        assert_eq!(wide, keys(vec![Arc::new(Date32Array::from(vec![Some(7), None, Some(-1)]))]));
        let negative_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63 | 3);
        let floats = keys(vec![Arc::new(Float64Array::from(vec![f64::NAN, negative_nan, 0.0, -0.0, 0.5]))]);
        assert_eq!(floats[0], floats[1]);
        assert_ne!(floats[2], floats[3]);
        assert_eq!(floats[4], keys(vec![Arc::new(Float32Array::from(vec![0.5]))])[0]);
        let text = |left, right| -> Vec<ArrayRef> {
            vec![Arc::new(StringViewArray::from(vec![left])), Arc::new(StringViewArray::from(vec![right]))]
        };
        assert_ne!(keys(text(Some("a"), Some("bc"))), keys(text(Some("ab"), Some("c"))));
        assert_ne!(keys(text(None, Some(""))), keys(text(Some(""), None)));
    }

    #[test]
    fn a_table_of_many_keys_keeps_the_largest_number() {
        let mut table = KeyTable::default();
        assert_eq!(table.get(b"a"), None);
        let mut model: HashMap<Vec<u8>, i64> = HashMap::new();
        for at in 0..20_000u64 {
            let key = (at * 7919 % 6007).to_string().into_bytes();
            let sequence = (at % 13) as i64;
            table.insert(&key, sequence).unwrap();
            let known = model.entry(key).or_insert(sequence);
            *known = sequence.max(*known);
        }
        for (key, sequence) in &model {
            assert_eq!(table.get(key), Some(*sequence));
        }
        assert_eq!((table.get(b"6007"), table.get(b"")), (None, None));
        assert!(table.size() < 6007 * 100);
    }
}
