//! What a manifest tells of a file: counts, sizes and bounds of its columns, taken from the footer as it was written.
//!
//! Bounds are in the binary single-value form (spec, Appendix D), truncated as the table's metrics modes say. Fields in
//! lists and maps have counts only. Must not know: rows, stores.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use serde_json::{Value, json};

use crate::iceberg::scalar::decimal;
use crate::iceberg::schema::{Schema, Type};
use crate::write::bounds::larger_bytes;
use crate::write::properties::{Mode, Settings};
use crate::write::tuple::hex;

/// One leaf column over all row groups.
#[derive(Default)]
struct Leaf {
    bytes: i64,
    values: i64,
    nulls: Option<u64>,
    lower: Option<Bound>,
    upper: Option<Bound>,
}

#[derive(Clone, Debug, PartialEq)]
enum Bound {
    Integer(i64),
    Float(f64),
    Decimal(i128),
    Bytes(Vec<u8>),
}

/// The members of a data file's JSON that tell of its columns, and where its row groups begin.
pub(crate) fn figures(
    metadata: &ParquetMetaData,
    schema: &Schema,
    settings: &Settings,
    nans: &HashMap<i32, u64>,
) -> serde_json::Map<String, Value> {
    let leaves = leaves(metadata, schema);
    let mode = |id: &i32| settings.modes.get(id).copied().unwrap_or(Mode::None);
    let counted = || leaves.iter().filter(|(id, _)| mode(id) != Mode::None);
    let map = |pairs: Vec<(i32, Value)>| {
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        json!({"keys": keys, "values": values})
    };
    let bounds = |of: fn(&Leaf) -> Option<&Bound>, shorten: fn(&[u8], usize, bool) -> Option<Vec<u8>>| {
        let bound = |(id, leaf): (&i32, &Leaf)| {
            let field_type = &schema.field(*id)?.field_type;
            let binary = of(leaf)?.binary(field_type);
            let binary = match mode(id) {
                Mode::Truncate(length) if matches!(field_type, Type::String | Type::Binary) => {
                    shorten(&binary, length, *field_type == Type::String)?
                }
                Mode::Truncate(_) | Mode::Full => binary,
                Mode::None | Mode::Counts => return None,
            };
            Some((*id, json!(hex(&binary))))
        };
        map(leaves.iter().filter_map(bound).collect())
    };
    let mut offsets: Vec<i64> =
        metadata.row_groups().iter().filter_map(|group| group.columns().iter().map(start).min()).collect();
    offsets.sort_unstable();
    let made = json!({
        "column-sizes": map(leaves.iter().map(|(id, leaf)| (*id, json!(leaf.bytes))).collect()),
        "value-counts": map(counted().map(|(id, leaf)| (*id, json!(leaf.values))).collect()),
        "null-value-counts": map(counted().filter_map(|(id, leaf)| Some((*id, json!(leaf.nulls?)))).collect()),
        "nan-value-counts": map(counted().filter_map(|(id, _)| Some((*id, json!(nans.get(id)?)))).collect()),
        "lower-bounds": bounds(|leaf| leaf.lower.as_ref(), lower),
        "upper-bounds": bounds(|leaf| leaf.upper.as_ref(), upper),
        "split-offsets": offsets,
    });
    match made {
        Value::Object(made) => made,
        _ => serde_json::Map::new(),
    }
}

fn start(chunk: &ColumnChunkMetaData) -> i64 {
    let data = chunk.data_page_offset();
    chunk.dictionary_page_offset().map_or(data, |dictionary| dictionary.min(data))
}

fn leaves(metadata: &ParquetMetaData, schema: &Schema) -> BTreeMap<i32, Leaf> {
    let mut leaves: BTreeMap<i32, Leaf> = BTreeMap::new();
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let info = chunk.column_descr().self_type().get_basic_info();
        let Some(field) = info.has_id().then(|| schema.field(info.id())).flatten() else { continue };
        let first = !leaves.contains_key(&field.id);
        let leaf = leaves.entry(field.id).or_default();
        leaf.bytes += chunk.compressed_size();
        leaf.values += chunk.num_values();
        let Some(statistics) = chunk.statistics() else { continue };
        leaf.nulls = match (leaf.nulls, statistics.null_count_opt()) {
            (None, nulls) if first => nulls,
            (Some(sum), Some(nulls)) => Some(sum + nulls),
            _ => None,
        };
        if chunk.column_descr().max_rep_level() > 0 {
            continue;
        }
        let bound = |bytes: Option<&[u8]>| Bound::parse(bytes?, &field.field_type);
        let (lower, upper) = (bound(statistics.min_bytes_opt()), bound(statistics.max_bytes_opt()));
        // A chunk of nothing but NaN has them as its extremes.
        leaf.lower = extreme(leaf.lower.take(), lower, Ordering::Less);
        leaf.upper = extreme(leaf.upper.take(), upper, Ordering::Greater);
    }
    leaves
}

fn extreme(one: Option<Bound>, other: Option<Bound>, wanted: Ordering) -> Option<Bound> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.order(&one) == wanted { other } else { one }),
        (one, other) => one.or(other),
    }
}

impl Bound {
    /// From a footer's statistics. NaN is no bound (spec, manifests).
    fn parse(bytes: &[u8], field_type: &Type) -> Option<Bound> {
        let small = || bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes));
        let large = || bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes));
        let number = |value: f64| (!value.is_nan()).then_some(Bound::Float(value));
        Some(match field_type {
            Type::Boolean => Bound::Integer(i64::from(*bytes.first()?)),
            Type::Int | Type::Date => Bound::Integer(i64::from(small()?)),
            Type::Long | Type::Time | Type::Timestamp(_) | Type::TimestampNs(_) => Bound::Integer(large()?),
            Type::Float => number(f64::from(f32::from_le_bytes(*bytes.first_chunk()?)))?,
            Type::Double => number(f64::from_le_bytes(*bytes.first_chunk()?))?,
            Type::Decimal(..=9, _) => Bound::Decimal(i128::from(small()?)),
            Type::Decimal(..=18, _) => Bound::Decimal(i128::from(large()?)),
            Type::Decimal(..) => Bound::Decimal(decimal(bytes)?),
            Type::String | Type::Uuid | Type::Fixed(_) | Type::Binary => Bound::Bytes(bytes.to_vec()),
            _ => return None,
        })
    }

    fn order(&self, other: &Bound) -> Ordering {
        match (self, other) {
            (Bound::Integer(one), Bound::Integer(other)) => one.cmp(other),
            (Bound::Float(one), Bound::Float(other)) => one.total_cmp(other),
            (Bound::Decimal(one), Bound::Decimal(other)) => one.cmp(other),
            (Bound::Bytes(one), Bound::Bytes(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }

    /// The binary single-value form.
    fn binary(&self, field_type: &Type) -> Vec<u8> {
        match (self, field_type) {
            (Bound::Integer(value), Type::Boolean) => vec![u8::from(*value != 0)],
            (Bound::Integer(value), Type::Int | Type::Date) => (*value as i32).to_le_bytes().to_vec(),
            (Bound::Integer(value), _) => value.to_le_bytes().to_vec(),
            (Bound::Float(value), Type::Float) => (*value as f32).to_le_bytes().to_vec(),
            (Bound::Float(value), _) => value.to_le_bytes().to_vec(),
            (Bound::Decimal(value), _) => {
                let bytes = value.to_be_bytes();
                let sign = if *value < 0 { 0xff } else { 0 };
                let redundant = |at: &usize| bytes[*at] == sign && (bytes[*at + 1] >= 0x80) == (*value < 0);
                bytes[(0..15).take_while(redundant).count()..].to_vec()
            }
            (Bound::Bytes(bytes), _) => bytes.clone(),
        }
    }
}

/// The first characters or bytes.
fn lower(bytes: &[u8], length: usize, is_text: bool) -> Option<Vec<u8>> {
    let end = match is_text {
        true => std::str::from_utf8(bytes).ok()?.char_indices().nth(length).map_or(bytes.len(), |(at, _)| at),
        false => length.min(bytes.len()),
    };
    Some(bytes[..end].to_vec())
}

/// The least text or binary of so many characters or bytes that is above all that begin as this one; itself if it is
/// not longer. None if there is none.
fn upper(bytes: &[u8], length: usize, is_text: bool) -> Option<Vec<u8>> {
    let kept = lower(bytes, length, is_text)?;
    if kept.len() == bytes.len() {
        return Some(kept);
    }
    if !is_text {
        return larger_bytes(&kept);
    }
    let mut text = String::from_utf8(kept).ok()?;
    while let Some(last) = text.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text.into_bytes());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_shortened_as_java_does() {
        let text =
            |value: &str, length| upper(value.as_bytes(), length, true).map(|made| String::from_utf8(made).unwrap());
        assert_eq!(text("abc", 3).as_deref(), Some("abc"));
        assert_eq!(text("abcd", 3).as_deref(), Some("abd"));
        assert_eq!(text("ab\u{10ffff}x", 3).as_deref(), Some("ac"));
        assert_eq!(text("a\u{d7ff}x", 2).as_deref(), Some("a\u{e000}"));
        assert_eq!(text("\u{10ffff}\u{10ffff}x", 2), None);
        assert_eq!(upper(&[1, 255, 7], 2, false), Some(vec![2]));
        assert_eq!(upper(&[255, 255, 7], 2, false), None);
        assert_eq!(lower("näïve".as_bytes(), 2, true), Some("nä".as_bytes().to_vec()));
    }

    #[test]
    fn binary_forms() {
        for (value, bytes) in
            [(0, vec![0]), (-1, vec![0xff]), (128, vec![0, 0x80]), (-129, vec![0xff, 0x7f]), (1420, vec![5, 0x8c])]
        {
            assert_eq!(Bound::Decimal(value).binary(&Type::Decimal(38, 2)), bytes);
        }
        assert_eq!(Bound::Integer(-2).binary(&Type::Date), [0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(Bound::Integer(1).binary(&Type::Boolean), [1]);
        assert_eq!(Bound::Float(1.0).binary(&Type::Float), [0, 0, 0x80, 0x3f]);
        assert_eq!(Bound::parse(&[0xff; 16], &Type::Decimal(38, 0)), Some(Bound::Decimal(-1)));
    }
}
