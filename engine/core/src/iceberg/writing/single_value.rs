//! Partition values: from JSON's single-value form (spec, Appendix D), into Avro and into Appendix D's binary form.
//!
//! Must not know: specs, entries. Neighbour: `scalar` compares values, `predicate::Literal` holds them.

use serde_json::Value;

use super::avro_schema::decimal_bytes;
use super::encoder::Encoder;
use crate::error::{Error, Kind, Result};
use crate::iceberg::predicate::Literal;
use crate::iceberg::schema::Type;

const DAY_US: i64 = 86_400_000_000;

/// Parses a value; dates and times may be numbers too, as the binary form counts them. None: null.
pub(super) fn parse(value: &Value, value_type: &Type) -> Result<Option<Literal>> {
    if value.is_null() {
        return Ok(None);
    }
    let parsed = match (value_type, value) {
        (Type::Boolean, Value::Bool(value)) => Some(Literal::Boolean(*value)),
        (_, Value::Number(number)) if is_whole(value_type) => number.as_i64().map(Literal::Integer),
        (Type::Float | Type::Double, Value::Number(number)) => number.as_f64().map(Literal::Float),
        (Type::Float | Type::Double, Value::String(text)) => text.parse().ok().map(Literal::Float),
        (Type::Decimal(_, scale), Value::String(text)) => unscaled(text, *scale).map(Literal::Decimal),
        (Type::Date, Value::String(text)) => days(text).map(Literal::Integer),
        (Type::Time, Value::String(text)) => nanoseconds(text).map(|time| Literal::Integer(time / 1000)),
        (Type::Timestamp(_), Value::String(text)) => {
            timestamp(text).map(|(day, time)| (day, time / 1000, DAY_US)).and_then(joined)
        }
        (Type::TimestampNs(_), Value::String(text)) => {
            timestamp(text).map(|(day, time)| (day, time, DAY_US * 1000)).and_then(joined)
        }
        (Type::String, Value::String(text)) => Some(Literal::String(text.clone())),
        (Type::Uuid, Value::String(text)) => from_hex(&text.replace('-', "")).map(Literal::Bytes),
        (Type::Fixed(_) | Type::Binary, Value::String(text)) => from_hex(text).map(Literal::Bytes),
        _ => None,
    };
    let wrong = || Error::new(Kind::InvalidArgument, format!("{value} is not a partition value of {value_type:?}"));
    parsed.map(Some).ok_or_else(wrong)
}

fn is_whole(value_type: &Type) -> bool {
    use Type::{Date, Int, Long, Time, Timestamp, TimestampNs};
    matches!(value_type, Int | Long | Date | Time | Timestamp(_) | TimestampNs(_))
}

fn joined((day, time, units): (i64, i64, i64)) -> Option<Literal> {
    day.checked_mul(units)?.checked_add(time).map(Literal::Integer)
}

/// The value in Avro, as `avro_schema` gives its type.
pub(super) fn encode(encoder: &mut Encoder, value: &Literal, value_type: &Type) {
    match (value, value_type) {
        (Literal::Boolean(value), _) => encoder.boolean(*value),
        (Literal::Integer(value), Type::Boolean) => encoder.boolean(*value != 0),
        (Literal::Integer(value), _) => encoder.long(*value),
        (Literal::Float(value), Type::Float) => encoder.float(*value as f32),
        (Literal::Float(value), _) => encoder.double(*value),
        (Literal::Decimal(value), Type::Decimal(precision, _)) => {
            encoder.raw(&value.to_be_bytes()[16 - decimal_bytes(*precision)..]);
        }
        (Literal::Decimal(value), _) => encoder.bytes(&value.to_be_bytes()),
        (Literal::String(value), _) => encoder.bytes(value.as_bytes()),
        (Literal::Bytes(value), Type::Uuid | Type::Fixed(_)) => encoder.raw(value),
        (Literal::Bytes(value), _) => encoder.bytes(value),
    }
}

/// The value in the binary form of Appendix D, as bounds hold it.
pub(super) fn to_binary(value: &Literal, value_type: &Type) -> Vec<u8> {
    match (value, value_type) {
        (Literal::Boolean(value), _) => vec![u8::from(*value)],
        (Literal::Integer(value), Type::Boolean) => vec![u8::from(*value != 0)],
        (Literal::Integer(value), Type::Int | Type::Date) => (*value as i32).to_le_bytes().to_vec(),
        (Literal::Integer(value), _) => value.to_le_bytes().to_vec(),
        (Literal::Float(value), Type::Float) => (*value as f32).to_le_bytes().to_vec(),
        (Literal::Float(value), _) => value.to_le_bytes().to_vec(),
        (Literal::Decimal(value), _) => least_bytes(*value),
        (Literal::String(value), _) => value.as_bytes().to_vec(),
        (Literal::Bytes(value), _) => value.clone(),
    }
}

/// Two's complement, big-endian, no byte more than needed.
fn least_bytes(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let redundant = |at: usize| {
        let sign = if bytes[at + 1] >= 0x80 { 0xff } else { 0 };
        bytes[at] == sign
    };
    let start = (0..15).find(|at| !redundant(*at)).unwrap_or(15);
    bytes[start..].to_vec()
}

/// Bytes of hexadecimal text.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Upper-case hexadecimal text.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// "14.20" at scale 2 -> 1420.
fn unscaled(text: &str, scale: i8) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = usize::try_from(scale).ok()?;
    if fraction.len() > scale || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{fraction}{}", "0".repeat(scale - fraction.len())).parse().ok()
}

/// Days since 1970-01-01 of "2017-11-16"; years may have a sign and more digits.
fn days(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = rest.splitn(3, '-').map(|part| part.parse::<u32>().ok().map(i64::from));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| days_from_civil(sign * year, month, day))
}

/// Howard Hinnant's algorithm: years start in March, so that the leap day is their last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Nanoseconds since midnight of "22:31:08.123456".
fn nanoseconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.splitn(3, ':').map(|part| part.parse::<u32>().ok().map(i64::from));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if fraction.len() > 9 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<9}").parse().ok()?;
    Some((hour * 3600 + minute * 60 + second) * 1_000_000_000 + i64::from(fraction))
}

/// (days, nanoseconds of the day) of "2017-11-16T22:31:08.123456", in UTC where a zone is given.
fn timestamp(text: &str) -> Option<(i64, i64)> {
    let text = ["+00:00", "-00:00", "Z"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text);
    let (date, time) = text.split_once('T')?;
    Some((days(date)?, nanoseconds(time)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole(value: Value, value_type: Type) -> i64 {
        match parse(&value, &value_type) {
            Ok(Some(Literal::Integer(value))) => value,
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn dates_and_times_of_the_specification() {
        assert_eq!(whole(json!("2017-11-16"), Type::Date), 17486);
        assert_eq!(whole(json!("1969-12-31"), Type::Date), -1);
        assert_eq!(whole(json!("0000-02-29"), Type::Date), -719_469);
        assert_eq!(whole(json!("22:31:08.123456"), Type::Time), 81_068_123_456);
        assert_eq!(whole(json!("2017-11-16T22:31:08.123456"), Type::Timestamp(false)), 1_510_871_468_123_456);
        assert_eq!(whole(json!("2017-11-16T22:31:08.123456+00:00"), Type::Timestamp(true)), 1_510_871_468_123_456);
        assert_eq!(whole(json!("1969-12-31T23:59:59.999999999"), Type::TimestampNs(false)), -1);
        assert_eq!(whole(json!(17486), Type::Date), 17486);
    }

    #[test]
    fn decimals() {
        assert_eq!(parse(&json!("-14.2"), &Type::Decimal(9, 2)).unwrap(), Some(Literal::Decimal(-1420)));
        assert_eq!(parse(&json!("-0.05"), &Type::Decimal(9, 2)).unwrap(), Some(Literal::Decimal(-5)));
        assert!(parse(&json!("1.234"), &Type::Decimal(9, 2)).is_err());
        let binary = |value| to_binary(&Literal::Decimal(value), &Type::Decimal(9, 2));
        assert_eq!(binary(1420), [0x05, 0x8c]);
        assert_eq!(binary(-1), [0xff]);
        assert_eq!(binary(128), [0x00, 0x80]);
        assert_eq!(binary(0), [0]);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (value, value_type) in [
            (json!("x"), Type::Int),
            (json!(1.5), Type::Long),
            (json!("2017-13-01"), Type::Date),
            (json!("abc"), Type::Binary),
            (json!([1]), Type::String),
        ] {
            assert!(parse(&value, &value_type).is_err(), "{value}");
        }
    }
}
