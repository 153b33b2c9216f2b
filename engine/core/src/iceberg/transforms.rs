//! Partition transforms: parsed, applied to a value, and the inclusive projection of a test through them.
//!
//! Spec: <https://iceberg.apache.org/spec/#partition-transforms>, hashes in Appendix B. A projection is a test of the
//! partition value that holds whenever the test holds for a row of that partition; where nothing can be said of a
//! transform there is none. Must not know: manifests, files. Neighbours: `specs`, `pruning`.

use crate::iceberg::predicate::{Leaf, Literal, Op};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Type;

/// A transform from a column's value to a partition value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The value itself
    Identity,
    /// Hash modulo this number
    Bucket(u32),
    /// Down to a multiple of the width, or this many characters or bytes
    Truncate(u32),
    /// Years since 1970
    Year,
    /// Months since 1970-01
    Month,
    /// Days since 1970-01-01
    Day,
    /// Hours since 1970-01-01 00:00
    Hour,
    /// Always null
    Void,
    /// One that this version does not know, by name: never prunes
    Unknown(String),
}

impl Transform {
    /// Parses the name of a spec, such as `bucket[16]`.
    pub fn parse(name: &str) -> Transform {
        let parameter = |prefix: &str| {
            let inner = name.strip_prefix(prefix)?.strip_prefix('[')?.strip_suffix(']')?;
            inner.trim().parse().ok().filter(|number| (1..=i32::MAX as u32).contains(number))
        };
        match name {
            "identity" => Transform::Identity,
            "year" => Transform::Year,
            "month" => Transform::Month,
            "day" => Transform::Day,
            "hour" => Transform::Hour,
            "void" => Transform::Void,
            _ => match (parameter("bucket"), parameter("truncate")) {
                (Some(buckets), _) => Transform::Bucket(buckets),
                (_, Some(width)) => Transform::Truncate(width),
                _ => Transform::Unknown(name.to_string()),
            },
        }
    }

    /// Type of the partition value for a column of type `source`; None where it is not known.
    pub fn result_type(&self, source: &Type) -> Option<Type> {
        match self {
            Transform::Identity | Transform::Truncate(_) => Some(source.clone()),
            Transform::Bucket(_) | Transform::Year | Transform::Month | Transform::Hour => Some(Type::Int),
            Transform::Day => Some(Type::Date),
            Transform::Void | Transform::Unknown(_) => None,
        }
    }

    /// The partition value of a value of type `source`; None if the transform does not take it.
    pub(crate) fn apply<'a>(&self, value: Scalar<'a>, source: &Type) -> Option<Scalar<'a>> {
        match self {
            Transform::Identity => Some(value),
            Transform::Bucket(buckets) => {
                let hash = hash(value, source)? & i32::MAX;
                Some(Scalar::Integer(i64::from(hash) % i64::from(*buckets)))
            }
            Transform::Truncate(width) => truncate(value, *width, source),
            Transform::Year => Some(Scalar::Integer(year_and_month(value, source)?.0 - 1970)),
            Transform::Month => {
                let (year, month) = year_and_month(value, source)?;
                Some(Scalar::Integer((year - 1970) * 12 + month - 1))
            }
            Transform::Day => in_units(value, source, 86_400).map(Scalar::Integer),
            Transform::Hour => in_units(value, source, 3_600).map(Scalar::Integer),
            Transform::Void | Transform::Unknown(_) => None,
        }
    }

    /// The test of the partition value that every row passing `leaf` implies. None: nothing can be said.
    pub(crate) fn project(&self, leaf: &Leaf) -> Option<Leaf> {
        let test = |op, values| Some(Leaf { op, field: leaf.field, field_type: leaf.field_type.clone(), values });
        match (self, leaf.op) {
            (Transform::Void | Transform::Unknown(_), _) => None,
            (Transform::Identity, _) => Some(leaf.clone()),
            (_, Op::IsNull) => test(Op::IsNull, Vec::new()),
            (_, Op::NotNan) => None, // holds for null or not, depending on whom one asks
            _ => match self.project_comparison(leaf) {
                Some((op, values)) => test(op, values),
                None => test(Op::NotNull, Vec::new()), // all other tests drop null, and only null becomes null
            },
        }
    }

    fn project_comparison(&self, leaf: &Leaf) -> Option<(Op, Vec<Literal>)> {
        let source = &leaf.field_type;
        let image = |literal: &Literal| self.apply(Scalar::of(literal), source).map(owned);
        let first = leaf.values.first();
        match leaf.op {
            Op::Eq | Op::In => {
                let images = leaf.values.iter().map(image).collect::<Option<Vec<_>>>()?;
                Some((Op::In, images.into_iter().flat_map(|value| self.as_written(value)).collect()))
            }
            _ if matches!(self, Transform::Bucket(_)) => None,
            Op::Lt => Some((Op::Le, vec![self.upper(image(&neighbour(first?, -1)?)?)])),
            Op::Le => Some((Op::Le, vec![self.upper(image(first?)?)])),
            Op::Gt => Some((Op::Ge, vec![image(&neighbour(first?, 1)?)?])),
            Op::Ge => Some((Op::Ge, vec![image(first?)?])),
            Op::StartsWith => match self.keeps(first?, source)? {
                true => Some((Op::StartsWith, leaf.values.clone())),
                false => Some((Op::Eq, vec![image(first?)?])),
            },
            Op::NotStartsWith if self.keeps(first?, source)? => Some((Op::NotStartsWith, leaf.values.clone())),
            _ => None,
        }
    }

    /// Whether truncation leaves a string or binary as it is.
    fn keeps(&self, literal: &Literal, source: &Type) -> Option<bool> {
        match (self, Scalar::of(literal)) {
            (Transform::Truncate(_), value @ Scalar::Bytes(_)) => Some(self.apply(value, source)? == value),
            _ => None,
        }
    }

    /// A partition value and what writers made of it: old Java writers rounded times before 1970 up, not down.
    /// <https://github.com/apache/iceberg/issues/1680>
    fn as_written(&self, value: Literal) -> Vec<Literal> {
        let upper = self.upper(value.clone());
        if upper == value { vec![value] } else { vec![value, upper] }
    }

    fn upper(&self, value: Literal) -> Literal {
        match (self, value) {
            (Transform::Truncate(_) | Transform::Bucket(_), value) => value,
            (_, Literal::Integer(number)) if number < 0 => Literal::Integer(number + 1),
            (_, value) => value,
        }
    }
}

fn owned(value: Scalar) -> Literal {
    match value {
        Scalar::Integer(value) => Literal::Integer(value),
        Scalar::Float(value) => Literal::Float(value),
        Scalar::Decimal(value) => Literal::Decimal(value),
        Scalar::Bytes(value) => Literal::Bytes(value.to_vec()),
    }
}

/// The next smaller or larger value where the type has one, else the value itself (strings: not the tightest, but right).
fn neighbour(literal: &Literal, step: i64) -> Option<Literal> {
    match literal {
        Literal::Integer(value) => value.checked_add(step).map(Literal::Integer),
        Literal::Decimal(value) => value.checked_add(i128::from(step)).map(Literal::Decimal),
        other => Some(other.clone()),
    }
}

fn truncate<'a>(value: Scalar<'a>, width: u32, source: &Type) -> Option<Scalar<'a>> {
    match value {
        Scalar::Integer(value) => {
            let image = value.checked_sub(value.rem_euclid(i64::from(width)))?;
            let fits = *source != Type::Int || i32::try_from(image).is_ok();
            fits.then_some(Scalar::Integer(image))
        }
        Scalar::Decimal(value) => value.checked_sub(value.rem_euclid(i128::from(width))).map(Scalar::Decimal),
        Scalar::Bytes(bytes) if *source == Type::String => {
            let text = std::str::from_utf8(bytes).ok()?;
            let end = text.char_indices().nth(width as usize).map_or(bytes.len(), |(at, _)| at);
            Some(Scalar::Bytes(&bytes[..end]))
        }
        Scalar::Bytes(bytes) => Some(Scalar::Bytes(&bytes[..bytes.len().min(width as usize)])),
        Scalar::Float(_) => None,
    }
}

/// Whole units of `seconds` since 1970, rounded down.
fn in_units(value: Scalar, source: &Type, seconds: i64) -> Option<i64> {
    let Scalar::Integer(value) = value else { return None };
    match source {
        Type::Date => value.checked_mul(86_400 / seconds),
        Type::Timestamp(_) => Some(value.div_euclid(seconds * 1_000_000)),
        Type::TimestampNs(_) => Some(value.div_euclid(seconds * 1_000_000_000)),
        _ => None,
    }
}

/// Year and month (1 to 12) in the proleptic Gregorian calendar.
fn year_and_month(value: Scalar, source: &Type) -> Option<(i64, i64)> {
    // Years are counted from 1 March, so that the leap day is a year's last; an era is 400 years, 146,097 days.
    let days = in_units(value, source, 86_400)?.checked_add(719_468)?; // from 0000-03-01
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    Some((era * 400 + year_of_era + i64::from(month <= 2), month))
}

/// The 32-bit hash of Appendix B.
pub(crate) fn hash(value: Scalar, source: &Type) -> Option<i32> {
    match (value, source) {
        (Scalar::Integer(nanoseconds), Type::TimestampNs(_)) => {
            Some(murmur3(&nanoseconds.div_euclid(1_000).to_le_bytes()))
        }
        (Scalar::Integer(value), _) => Some(murmur3(&value.to_le_bytes())),
        (Scalar::Float(value), _) => {
            let value = if value == 0.0 { 0.0 } else { value }; // -0.0 hashes as 0.0
            let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
            Some(murmur3(&bits.to_le_bytes()))
        }
        (Scalar::Decimal(value), _) => {
            let bytes = value.to_be_bytes();
            let same_sign = |at: usize| (bytes[at] == 0 && value >= 0) || (bytes[at] == 0xff && value < 0);
            let redundant = |at: &usize| same_sign(*at) && (bytes[*at + 1] >= 0x80) == (value < 0);
            let start = (0..15).take_while(redundant).count();
            Some(murmur3(&bytes[start..]))
        }
        (Scalar::Bytes(bytes), _) => Some(murmur3(bytes)),
    }
}

/// Murmur3, x86 variant, 32 bits, seed 0.
fn murmur3(bytes: &[u8]) -> i32 {
    let mix = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, tail) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for word in words {
        hash = (hash ^ mix(u32::from_le_bytes(*word))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let last = tail.iter().rev().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
    hash ^= mix(last) ^ bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) as i32
}

#[cfg(test)]
#[path = "transforms_tests.rs"]
mod tests;
