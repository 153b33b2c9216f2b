//! Values of a column as transforms take them, and what transforms make of them as keys that can be compared and hashed.
//!
//! Must not know: partitions, files. Neighbours: `fanout` groups by keys, `sort` orders by them, `tuple` writes them out.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int64Array, StringViewArray,
    make_array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use crate::error::{Error, Kind, Result};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::{NestedField, Type};

/// A partition value that is not null.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Integer(i64),
    /// By its bits, all NaNs one: -0.0 and 0.0 are two values to Iceberg's identity.
    Float(u64),
    Decimal(i128),
    Bytes(Box<[u8]>),
}

impl Key {
    pub(crate) fn of(value: Scalar) -> Key {
        match value {
            Scalar::Integer(value) => Key::Integer(value),
            Scalar::Float(value) => Key::Float(if value.is_nan() { f64::NAN } else { value }.to_bits()),
            Scalar::Decimal(value) => Key::Decimal(value),
            Scalar::Bytes(value) => Key::Bytes(value.into()),
        }
    }

    /// Whether it is of this value.
    pub(crate) fn is(&self, value: Scalar) -> bool {
        match (self, value) {
            (Key::Integer(key), Scalar::Integer(value)) => *key == value,
            (Key::Decimal(key), Scalar::Decimal(value)) => *key == value,
            (Key::Bytes(key), Scalar::Bytes(value)) => **key == *value,
            (Key::Float(_), Scalar::Float(_)) => *self == Key::of(value),
            _ => false,
        }
    }
}

/// A column whose values can be had one by one.
pub(crate) enum Values {
    Integers(Int64Array),
    Floats(Float64Array),
    Decimals(Decimal128Array),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
}

impl Values {
    /// Of a column that conforms to a field of this type.
    pub(crate) fn new(column: &ArrayRef, field_type: &Type) -> Result<Values> {
        let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::Internal, format!("values of a key: {e}"));
        let cast = |to: &DataType| arrow_cast::cast(column, to).map_err(wrong);
        Ok(match field_type {
            Type::Float | Type::Double => Values::Floats(cast(&DataType::Float64)?.as_primitive().clone()),
            Type::Decimal(..) => Values::Decimals(column.as_primitive().clone()),
            Type::String => Values::Text(cast(&DataType::Utf8View)?.as_string_view().clone()),
            Type::Binary => Values::Bytes(cast(&DataType::BinaryView)?.as_binary_view().clone()),
            Type::Uuid | Type::Fixed(_) => Values::Fixed(column.as_fixed_size_binary().clone()),
            Type::Date => {
                let days = cast(&DataType::Int32)?;
                let days = arrow_cast::cast(&days, &DataType::Int64).map_err(wrong)?;
                Values::Integers(days.as_primitive::<Int64Type>().clone())
            }
            Type::Struct(_) | Type::List(_) | Type::Map(_, _) | Type::Unknown | Type::Variant | Type::Spatial(_) => {
                return Err(Error::new(Kind::InvalidData, format!("a transform of a column of type {field_type:?}")));
            }
            _ => Values::Integers(cast(&DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.array().len()
    }

    fn array(&self) -> &dyn Array {
        match self {
            Values::Integers(array) => array,
            Values::Floats(array) => array,
            Values::Decimals(array) => array,
            Values::Text(array) => array,
            Values::Bytes(array) => array,
            Values::Fixed(array) => array,
        }
    }

    /// The value of a row; None for null.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<Scalar<'_>> {
        if self.array().is_null(row) {
            return None;
        }
        Some(match self {
            Values::Integers(array) => Scalar::Integer(array.value(row)),
            Values::Floats(array) => Scalar::Float(array.value(row)),
            Values::Decimals(array) => Scalar::Decimal(array.value(row)),
            Values::Text(array) => Scalar::Bytes(array.value(row).as_bytes()),
            Values::Bytes(array) => Scalar::Bytes(array.value(row)),
            Values::Fixed(array) => Scalar::Bytes(array.value(row)),
        })
    }
}

/// Where a field lies: a top-level column, and positions in the structs below it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) column: usize,
    inner: Vec<usize>,
    pub(crate) field_type: Type,
    pub(crate) name: String,
}

impl Place {
    /// Of the field with this id; None if there is none, or it lies in a list or map.
    pub(crate) fn find(fields: &[NestedField], id: i32) -> Option<Place> {
        fields.iter().enumerate().find_map(|(at, field)| {
            if field.id == id {
                let (field_type, name) = (field.field_type.clone(), field.name.clone());
                return Some(Place { column: at, inner: Vec::new(), field_type, name });
            }
            let Type::Struct(inner) = &field.field_type else { return None };
            let below = Place::find(inner, id)?;
            let inner = [below.column].into_iter().chain(below.inner).collect();
            let name = format!("{}.{}", field.name, below.name);
            Some(Place { column: at, inner, field_type: below.field_type, name })
        })
    }

    /// The field's values in its top-level column; null where a struct around it is.
    pub(crate) fn of(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let mut found = Arc::clone(column);
        for at in &self.inner {
            let around = found.as_struct();
            let (child, nulls) = (Arc::clone(around.column(*at)), around.nulls().cloned());
            found = match nulls {
                None => child,
                Some(nulls) => {
                    let nulls = NullBuffer::union(Some(&nulls), child.nulls());
                    let made = child.to_data().into_builder().nulls(nulls).build();
                    make_array(made.map_err(|e| Error::new(Kind::Internal, format!("a struct's field: {e}")))?)
                }
            };
        }
        Ok(found)
    }
}

/// A hash for tables that live as long as a call and whose keys nobody chose to collide: multiply and rotate.
#[derive(Default)]
pub(crate) struct Quick(u64);

/// Of a hash map with [`Quick`].
pub(crate) type QuickBuild = BuildHasherDefault<Quick>;

impl Quick {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let last = rest.iter().fold(rest.len() as u64, |word, byte| (word << 8) | u64::from(*byte));
        self.mix(last);
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_i64(&mut self, value: i64) {
        self.mix(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32) // the table takes its bits from both ends
    }
}
