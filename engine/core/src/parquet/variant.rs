//! Variants as Parquet files hold them -> the two binaries of a variant, `metadata` and `value`.
//!
//! A file may keep parts of a variant as typed columns ("shredded"): they are put back into the value, so that a frame has
//! one form. Specs: Parquet's VariantEncoding.md and VariantShredding.md. Must not know: row groups, the table.
//! Neighbour: [`super::adapt`] calls in here.

use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::TYPE;

/// The value of a variant that is null, which is not a row without a variant.
const NULL: &[u8] = &[0];
/// Strings shorter than this have their length in the header.
const SHORT_STRING_BYTES: usize = 64;
/// Variants within variants. Every level takes a level of the file's schema, too.
const MAX_DEPTH: usize = 64;

/// Whether a field of a frame is a variant.
pub fn is_variant(field: &Field) -> bool {
    field.metadata().get(TYPE).is_some_and(|name| name == "variant")
}

/// A column of variants in the form of a frame.
pub(crate) fn whole(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let (Some(found), DataType::Struct(fields)) = (array.as_struct_opt(), target) else {
        return Err(damaged("a variant that is no group"));
    };
    let metadata = found.column_by_name("metadata").ok_or_else(|| damaged("a variant without metadata"))?;
    let value = match (found.column_by_name("typed_value"), found.column_by_name("value")) {
        (None, Some(value)) => Arc::clone(value),
        (None, None) => return Err(damaged("a variant without a value")),
        (Some(_), _) => unshredded(found, metadata)?,
    };
    let made = StructArray::try_new(fields.clone(), vec![Arc::clone(metadata), value], found.nulls().cloned());
    made.map(|made| Arc::new(made) as ArrayRef).map_err(damaged)
}

fn unshredded(found: &StructArray, metadata: &ArrayRef) -> Result<ArrayRef> {
    let metadata = metadata.as_binary_view_opt().ok_or_else(|| damaged("metadata that is not binary"))?;
    let (mut values, mut value) = (BinaryViewBuilder::new(), Vec::new());
    for row in 0..found.len() {
        value.clear();
        if found.is_valid(row) {
            let names = Names::parse(metadata.value(row))?;
            if !append(found, row, &names, &mut value, 0)? {
                value.extend_from_slice(NULL);
            }
        }
        values.append_value(&value);
    }
    Ok(Arc::new(values.finish()))
}

/// Appends the value that a group of `value` and `typed_value` holds; false if it holds none.
fn append(group: &StructArray, row: usize, names: &Names, to: &mut Vec<u8>, depth: usize) -> Result<bool> {
    if depth > MAX_DEPTH {
        return Err(damaged(format!("variants within variants, deeper than {MAX_DEPTH}")));
    }
    let value = match group.column_by_name("value").filter(|value| value.is_valid(row)) {
        Some(value) => {
            Some(value.as_binary_view_opt().ok_or_else(|| damaged("a value that is not binary"))?.value(row))
        }
        None => None,
    };
    let Some(typed) = group.column_by_name("typed_value").filter(|typed| typed.is_valid(row)) else {
        to.extend_from_slice(value.unwrap_or_default());
        return Ok(value.is_some());
    };
    match typed.data_type() {
        DataType::Struct(_) => object(typed.as_struct(), row, value, names, to, depth)?,
        _ if value.is_some() => return Err(damaged("a value beside a typed value that is no object")),
        DataType::LargeList(_) => {
            let elements = typed.as_list::<i64>().value(row);
            let elements = elements.as_struct_opt().ok_or_else(|| damaged("an array of other than groups"))?;
            let mut parts = Vec::with_capacity(elements.len());
            for at in 0..elements.len() {
                let mut part = Vec::new();
                if !append(elements, at, names, &mut part, depth + 1)? {
                    part.extend_from_slice(NULL);
                }
                parts.push(part);
            }
            container(None, &parts, to)?;
        }
        _ => primitive(typed, row, to)?,
    }
    Ok(true)
}

/// An object: the fields that are typed, and those of `rest` beside them.
fn object(
    typed: &StructArray,
    row: usize,
    rest: Option<&[u8]>,
    names: &Names,
    to: &mut Vec<u8>,
    depth: usize,
) -> Result<()> {
    let mut found: Vec<(&[u8], u32, Vec<u8>)> = Vec::new();
    for (field, column) in typed.fields().iter().zip(typed.columns()) {
        let group = column.as_struct_opt().ok_or_else(|| damaged("a typed field that is no group"))?;
        let mut value = Vec::new();
        if group.is_valid(row) && append(group, row, names, &mut value, depth + 1)? {
            let name = field.name().as_bytes();
            let id =
                names.id(name).ok_or_else(|| damaged(format!("field {:?} is not in the metadata", field.name())))?;
            found.push((name, id, value));
        }
    }
    for (id, value) in rest.map(fields).transpose()?.unwrap_or_default() {
        let name = names.0.get(id as usize).ok_or_else(|| damaged(format!("no name of number {id}")))?;
        found.push((name, id, value.to_vec()));
    }
    found.sort_by_key(|(name, _, _)| *name);
    if found.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(damaged("an object that has a field twice"));
    }
    let (ids, values): (Vec<u32>, Vec<Vec<u8>>) = found.into_iter().map(|(_, id, value)| (id, value)).unzip();
    container(Some(&ids), &values, to)
}

/// An object of fields with these ids, or an array.
fn container(ids: Option<&[u32]>, values: &[Vec<u8>], to: &mut Vec<u8>) -> Result<()> {
    let total: usize = values.iter().map(Vec::len).sum();
    let (count, total) = (narrow(values.len())?, narrow(total)?);
    let (is_large, offset) = (count > 255, width(total));
    let id = width(ids.and_then(|ids| ids.iter().max()).copied().unwrap_or(0));
    let header = match ids {
        Some(_) => (u8::from(is_large) << 6) | ((id - 1) << 4) | ((offset - 1) << 2) | 2,
        None => (u8::from(is_large) << 4) | ((offset - 1) << 2) | 3,
    };
    to.push(header);
    put(to, count, if is_large { 4 } else { 1 });
    ids.unwrap_or_default().iter().for_each(|each| put(to, *each, id));
    let mut end = 0;
    put(to, end, offset);
    for value in values {
        end += narrow(value.len())?;
        put(to, end, offset);
    }
    values.iter().for_each(|value| to.extend_from_slice(value));
    Ok(())
}

fn narrow(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| damaged("a variant of over 4 GiB"))
}

/// Bytes that a number takes.
fn width(number: u32) -> u8 {
    match number {
        0..0x100 => 1,
        0x100..0x1_0000 => 2,
        0x1_0000..0x100_0000 => 3,
        _ => 4,
    }
}

fn put(to: &mut Vec<u8>, number: u32, width: u8) {
    to.extend_from_slice(&number.to_le_bytes()[..usize::from(width)]);
}

fn primitive(typed: &ArrayRef, row: usize, to: &mut Vec<u8>) -> Result<()> {
    let mut scalar = |code: u8, bytes: &[u8]| {
        to.push(code << 2);
        to.extend_from_slice(bytes);
    };
    match typed.data_type() {
        DataType::Boolean => scalar(if typed.as_boolean().value(row) { 1 } else { 2 }, &[]),
        DataType::Int8 => scalar(3, &typed.as_primitive::<Int8Type>().value(row).to_le_bytes()),
        DataType::Int16 => scalar(4, &typed.as_primitive::<Int16Type>().value(row).to_le_bytes()),
        DataType::Int32 => scalar(5, &typed.as_primitive::<Int32Type>().value(row).to_le_bytes()),
        DataType::Int64 => scalar(6, &typed.as_primitive::<Int64Type>().value(row).to_le_bytes()),
        DataType::Float64 => scalar(7, &typed.as_primitive::<Float64Type>().value(row).to_le_bytes()),
        DataType::Float32 => scalar(14, &typed.as_primitive::<Float32Type>().value(row).to_le_bytes()),
        DataType::Decimal128(precision, scale) => {
            let (code, bytes) = match precision {
                0..=9 => (8, 4),
                10..=18 => (9, 8),
                _ => (10, 16),
            };
            let unscaled = typed.as_primitive::<Decimal128Type>().value(row).to_le_bytes();
            scalar(code, &[scale.to_le_bytes().as_slice(), &unscaled[..bytes]].concat());
        }
        DataType::Date32 => scalar(11, &typed.as_primitive::<Date32Type>().value(row).to_le_bytes()),
        DataType::Time64(TimeUnit::Microsecond) => {
            scalar(17, &typed.as_primitive::<Time64MicrosecondType>().value(row).to_le_bytes());
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let code = if zone.is_some() { 12 } else { 13 };
            scalar(code, &typed.as_primitive::<TimestampMicrosecondType>().value(row).to_le_bytes());
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let code = if zone.is_some() { 18 } else { 19 };
            scalar(code, &typed.as_primitive::<TimestampNanosecondType>().value(row).to_le_bytes());
        }
        DataType::FixedSizeBinary(16) => scalar(20, typed.as_fixed_size_binary().value(row)),
        DataType::BinaryView => {
            let bytes = typed.as_binary_view().value(row);
            scalar(15, &narrow(bytes.len())?.to_le_bytes());
            to.extend_from_slice(bytes);
        }
        DataType::Utf8View => {
            let text = typed.as_string_view().value(row).as_bytes();
            match u8::try_from(text.len()) {
                Ok(short) if text.len() < SHORT_STRING_BYTES => to.push((short << 2) | 1),
                _ => scalar(16, &narrow(text.len())?.to_le_bytes()),
            }
            to.extend_from_slice(text);
        }
        other => {
            let message = format!("a variant with typed values of {other}, which this version does not read");
            return Err(Error::new(Kind::Unsupported, message));
        }
    }
    Ok(())
}

/// The names that a variant's metadata lists.
struct Names<'a>(Vec<&'a [u8]>);

impl<'a> Names<'a> {
    fn parse(metadata: &'a [u8]) -> Result<Names<'a>> {
        let short = || damaged("metadata that ends early");
        let (header, rest) = metadata.split_first().ok_or_else(short)?;
        if header & 0xf != 1 {
            return Err(damaged(format!("metadata of version {}, expected 1", header & 0xf)));
        }
        let width = usize::from(header >> 6) + 1;
        let count = number(rest, 0, width)?;
        let texts = rest.get((count.checked_add(2).ok_or_else(short)?).saturating_mul(width)..).ok_or_else(short)?;
        let offset = |at: usize| number(rest, (at + 1) * width, width);
        let name = |at: usize| texts.get(offset(at)?..offset(at + 1)?).ok_or_else(short);
        Ok(Names((0..count).map(name).collect::<Result<_>>()?))
    }

    fn id(&self, name: &[u8]) -> Option<u32> {
        self.0.iter().position(|each| *each == name).and_then(|at| u32::try_from(at).ok())
    }
}

/// The fields of an object: ids, and bytes of values.
fn fields(value: &[u8]) -> Result<Vec<(u32, &[u8])>> {
    let short = || damaged("an object that ends early");
    let (header, rest) = value.split_first().ok_or_else(short)?;
    if header & 3 != 2 {
        return Err(damaged("a value beside typed fields that is no object"));
    }
    let (offset, id) = (usize::from(header >> 2 & 3) + 1, usize::from(header >> 4 & 3) + 1);
    let head = if header & 0x40 == 0 { 1 } else { 4 };
    let count = number(rest, 0, head)?;
    let ids = count.checked_mul(id).and_then(|bytes| bytes.checked_add(head)).ok_or_else(short)?;
    let values = (count + 1).checked_mul(offset).and_then(|bytes| bytes.checked_add(ids)).ok_or_else(short)?;
    let start = |at: usize| number(rest, ids + at * offset, offset);
    let total = start(count)?;
    let body = rest.get(values..).and_then(|body| body.get(..total)).ok_or_else(short)?;
    // Values need not lie in the order of names: each ends where the next one in the bytes begins.
    let starts = (0..count).map(start).collect::<Result<Vec<_>>>()?;
    let mut ends = starts.clone();
    ends.push(total);
    ends.sort_unstable();
    // Ever so many fields could be one long value, which is copied for each.
    if ends.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(damaged("fields of one object that share a value"));
    }
    let end = |start: usize| ends.get(ends.partition_point(|end| *end <= start)).copied().unwrap_or(total);
    let field = |(at, from): (usize, &usize)| {
        let number = number(rest, head + at * id, id)?;
        Ok((narrow(number)?, body.get(*from..end(*from)).ok_or_else(short)?))
    };
    starts.iter().enumerate().map(field).collect()
}

/// A little-endian number of one to four bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize> {
    let found = bytes.get(at..at.saturating_add(width)).ok_or_else(|| damaged("a number that ends early"))?;
    Ok(found.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidData, format!("variant: {what}"))
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn fields_lie_in_any_order_and_share_nothing() {
        let object = |starts: [u8; 2]| [&[0x02, 2, 0, 1], &starts[..], &[4, 0x0c, 7, 0x0c, 9]].concat();
        assert_eq!(fields(&object([2, 0])).ok(), Some(vec![(0, &[0x0c, 9][..]), (1, &[0x0c, 7])]));
        assert!(fields(&object([0, 0])).is_err());
        assert!(fields(&object([0, 4])).is_err());
        assert!(fields(&object([0, 5])).is_err());
    }
}
