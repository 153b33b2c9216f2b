//! Single values for pruning: compared without allocation, read from Iceberg's binary form (spec, Appendix D).
//!
//! Must not know: manifests, predicates' trees. Neighbours: `transforms` and `pruning`, which compare them.

use std::cmp::Ordering;

use crate::iceberg::predicate::Literal;
use crate::iceberg::schema::Type;

/// A value of a primitive type, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// boolean (0, 1), int, long, date, time, timestamps
    Integer(i64),
    /// float, double
    Float(f64),
    /// decimal, unscaled
    Decimal(i128),
    /// string, uuid, fixed, binary
    Bytes(&'a [u8]),
}

impl<'a> Scalar<'a> {
    /// A literal's value.
    pub(crate) fn of(literal: &'a Literal) -> Scalar<'a> {
        match literal {
            Literal::Boolean(value) => Scalar::Integer(i64::from(*value)),
            Literal::Integer(value) => Scalar::Integer(*value),
            Literal::Float(value) => Scalar::Float(*value),
            Literal::Decimal(value) => Scalar::Decimal(*value),
            Literal::String(value) => Scalar::Bytes(value.as_bytes()),
            Literal::Bytes(value) => Scalar::Bytes(value),
        }
    }

    /// Reads a bound of a field that has this type now. A file written before a promotion holds the narrower form, so
    /// the length decides: int for long, float for double, date for timestamp. None: not a value of that type.
    pub(crate) fn from_bound(field_type: &Type, bytes: &'a [u8]) -> Option<Scalar<'a>> {
        match field_type {
            Type::Boolean => match bytes {
                [0] => Some(Scalar::Integer(0)),
                [_] => Some(Scalar::Integer(1)),
                _ => None,
            },
            Type::Int | Type::Long | Type::Date | Type::Time => integer(bytes),
            Type::Timestamp(_) => timestamp(bytes, 86_400_000_000),
            Type::TimestampNs(_) => timestamp(bytes, 86_400_000_000_000),
            Type::Float | Type::Double => match bytes.len() {
                4 => Some(Scalar::Float(f64::from(f32::from_le_bytes(*bytes.first_chunk()?)))),
                8 => Some(Scalar::Float(f64::from_le_bytes(*bytes.first_chunk()?))),
                _ => None,
            },
            Type::Decimal(_, _) => decimal(bytes).map(Scalar::Decimal),
            Type::String | Type::Uuid | Type::Fixed(_) | Type::Binary => Some(Scalar::Bytes(bytes)),
            Type::Unknown | Type::Variant | Type::Spatial(_) | Type::Struct(_) | Type::List(_) | Type::Map(_, _) => {
                None
            }
        }
    }

    /// Not a number.
    pub(crate) fn is_nan(self) -> bool {
        matches!(self, Scalar::Float(value) if value.is_nan())
    }

    /// The order of the filter's meaning: NaN equals itself and is larger than every number, -0.0 equals 0.0.
    /// None: values of different kinds, which nothing is known of.
    pub(crate) fn order(self, other: Scalar) -> Option<Ordering> {
        match (self, other) {
            (Scalar::Integer(left), Scalar::Integer(right)) => Some(left.cmp(&right)),
            (Scalar::Decimal(left), Scalar::Decimal(right)) => Some(left.cmp(&right)),
            (Scalar::Bytes(left), Scalar::Bytes(right)) => Some(left.cmp(right)),
            (Scalar::Float(left), Scalar::Float(right)) => {
                Some(left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())))
            }
            _ => None,
        }
    }

    /// Whether a string or binary starts with this one.
    pub(crate) fn starts_with(self, prefix: Scalar) -> Option<bool> {
        match (self, prefix) {
            (Scalar::Bytes(value), Scalar::Bytes(prefix)) => Some(value.starts_with(prefix)),
            _ => None,
        }
    }
}

fn integer<'a>(bytes: &[u8]) -> Option<Scalar<'a>> {
    match bytes.len() {
        4 => Some(Scalar::Integer(i64::from(i32::from_le_bytes(*bytes.first_chunk()?)))),
        8 => Some(Scalar::Integer(i64::from_le_bytes(*bytes.first_chunk()?))),
        _ => None,
    }
}

fn timestamp<'a>(bytes: &[u8], units_of_a_day: i64) -> Option<Scalar<'a>> {
    match integer(bytes)? {
        Scalar::Integer(days) if bytes.len() == 4 => days.checked_mul(units_of_a_day).map(Scalar::Integer),
        other => Some(other),
    }
}

/// A decimal's unscaled value, two's complement, big-endian, of any length that fits 128 bits.
pub(crate) fn decimal(bytes: &[u8]) -> Option<i128> {
    let negative = *bytes.first()? >= 0x80;
    let sign = if negative { 0xff } else { 0 };
    let redundant = bytes.len().saturating_sub(16);
    if bytes[..redundant].iter().any(|byte| *byte != sign) {
        return None;
    }
    let kept = &bytes[redundant..];
    let mut wide = [sign; 16];
    wide[16 - kept.len()..].copy_from_slice(kept);
    let value = i128::from_be_bytes(wide);
    ((value < 0) == negative).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_promoted_types() {
        let at = |field_type, bytes: &'static [u8]| Scalar::from_bound(&field_type, bytes);
        assert_eq!(at(Type::Long, &[0xfe, 0xff, 0xff, 0xff]), Some(Scalar::Integer(-2)));
        assert_eq!(at(Type::Long, &[1, 0, 0, 0, 0, 0, 0, 0x80]), Some(Scalar::Integer(i64::MIN + 1)));
        assert_eq!(at(Type::Double, &[0, 0, 0x80, 0x3f]), Some(Scalar::Float(1.0)));
        assert_eq!(at(Type::Timestamp(false), &[1, 0, 0, 0]), Some(Scalar::Integer(86_400_000_000)));
        assert_eq!(at(Type::Decimal(9, 2), &[0x05, 0x8c]), Some(Scalar::Decimal(1420)));
        assert_eq!(at(Type::Boolean, &[1]), Some(Scalar::Integer(1)));
        assert_eq!(at(Type::Long, &[1, 2, 3]), None);
        assert_eq!(at(Type::Double, &[]), None);
    }

    #[test]
    fn decimals_of_any_length() {
        assert_eq!(decimal(&[0xff]), Some(-1));
        assert_eq!(decimal(&[0x00, 0x80]), Some(128));
        assert_eq!(decimal(&[0xff; 20]), Some(-1));
        assert_eq!(decimal(&[0x01; 17]), None);
        let mut too_wide = [0xff; 17];
        too_wide[1] = 0x7f;
        assert_eq!(decimal(&too_wide), None);
        assert_eq!(decimal(&[]), None);
    }

    #[test]
    fn nan_is_the_largest_and_equal_to_itself() {
        let nan = Scalar::Float(f64::NAN);
        assert_eq!(nan.order(Scalar::Float(f64::INFINITY)), Some(Ordering::Greater));
        assert_eq!(Scalar::Float(0.0).order(nan), Some(Ordering::Less));
        assert_eq!(nan.order(nan), Some(Ordering::Equal));
        assert_eq!(Scalar::Float(-0.0).order(Scalar::Float(0.0)), Some(Ordering::Equal));
        assert_eq!(Scalar::Integer(1).order(Scalar::Float(1.0)), None);
    }
}
