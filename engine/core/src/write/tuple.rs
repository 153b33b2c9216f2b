//! Partition values as text: in the path of a file, as Hive and Iceberg's Java write them, and as JSON (spec, Appendix D).
//!
//! Must not know: rows, files' content.

use arrow_array::StructArray;
use serde_json::{Value, json};

use crate::error::Result;
use crate::iceberg::schema::Type;
use crate::iceberg::specs::{PartitionField, PartitionSpec};
use crate::iceberg::transforms::Transform;
use crate::write::fanout::Tuple;
use crate::write::keys::{Key, Values};

const DAY_US: i64 = 86_400_000_000;

/// `name=value/name=value`, empty for an unpartitioned table.
pub(crate) fn path(spec: &PartitionSpec, tuple: &Tuple) -> String {
    let part = |(field, key): (&PartitionField, &Option<Key>)| {
        let value = key.as_ref().map_or_else(|| "null".to_owned(), |key| human(field, key));
        format!("{}={}", url_encoded(&field.name), url_encoded(&value))
    };
    spec.fields.iter().zip(tuple).map(part).collect::<Vec<_>>().join("/")
}

/// The values in the order of the spec's fields.
pub(crate) fn json(spec: &PartitionSpec, tuple: &Tuple) -> Vec<Value> {
    let value = |(field, key): (&PartitionField, &Option<Key>)| match (key, &field.value_type) {
        (Some(key), Some(value_type)) => single_value(key, value_type),
        _ => Value::Null,
    };
    spec.fields.iter().zip(tuple).map(value).collect()
}

/// The same from a file list: the partition of one of its rows under its spec.
pub fn of_row(spec: &PartitionSpec, partitions: &StructArray, row: usize) -> Result<Vec<Value>> {
    let value = |field: &PartitionField| {
        let column = partitions.column_by_name(&field.id.to_string());
        let (Some(column), Some(value_type)) = (column, &field.value_type) else { return Ok(Value::Null) };
        let values = Values::new(&column.slice(row, 1), value_type)?;
        let key = values.get(0).map(Key::of);
        Ok(key.map_or(Value::Null, |key| single_value(&key, value_type)))
    };
    spec.fields.iter().map(value).collect()
}

/// `java.net.URLEncoder` in UTF-8.
fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            _ if byte.is_ascii_alphanumeric() || b".-*_".contains(&byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn human(field: &PartitionField, key: &Key) -> String {
    let value_type = field.value_type.as_ref().unwrap_or(&Type::Unknown);
    match (&field.transform, key) {
        (Transform::Year, Key::Integer(years)) => format!("{:04}", 1970 + years),
        (Transform::Month, Key::Integer(months)) => {
            format!("{:04}-{:02}", 1970 + months.div_euclid(12), months.rem_euclid(12) + 1)
        }
        (Transform::Hour, Key::Integer(hours)) => {
            format!("{}-{:02}", date(hours.div_euclid(24)), hours.rem_euclid(24))
        }
        _ => match (value_type, key) {
            (Type::Fixed(_) | Type::Binary, Key::Bytes(bytes)) => base64(bytes),
            (Type::Timestamp(zoned), Key::Integer(value)) => java_time(*value, 1_000_000, *zoned),
            (Type::TimestampNs(zoned), Key::Integer(value)) => java_time(*value, 1_000_000_000, *zoned),
            (Type::Float | Type::Double, Key::Float(bits)) => float_text(f64::from_bits(*bits)),
            _ => match single_value(key, value_type) {
                Value::String(text) => text,
                other => other.to_string(),
            },
        },
    }
}

/// The JSON single-value form.
pub(crate) fn single_value(key: &Key, value_type: &Type) -> Value {
    match (value_type, key) {
        (Type::Boolean, Key::Integer(value)) => json!(*value != 0),
        (Type::Date, Key::Integer(days)) => json!(date(*days)),
        (Type::Time, Key::Integer(value)) => json!(clock(*value, 1_000_000)),
        (Type::Timestamp(zoned), Key::Integer(value)) => json!(instant(*value, 1_000_000, *zoned)),
        (Type::TimestampNs(zoned), Key::Integer(value)) => json!(instant(*value, 1_000_000_000, *zoned)),
        (_, Key::Integer(value)) => json!(value),
        (Type::Decimal(_, scale), Key::Decimal(value)) => json!(decimal(*value, *scale)),
        (_, Key::Decimal(value)) => json!(value.to_string()),
        // Not a number of JSON's: as text, which Java's Double.parseDouble reads.
        (_, Key::Float(bits)) => {
            let value = f64::from_bits(*bits);
            if value.is_finite() { json!(value) } else { json!(float_text(value)) }
        }
        (Type::String, Key::Bytes(bytes)) => json!(String::from_utf8_lossy(bytes)),
        (Type::Uuid, Key::Bytes(bytes)) => {
            let text = hex(bytes).to_lowercase();
            let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
            json!([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
        }
        (_, Key::Bytes(bytes)) => json!(hex(bytes)),
    }
}

fn float_text(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => format!("{value:?}"),
    }
}

/// Upper-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().enumerate().fold(0u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decimal(unscaled: i128, scale: i8) -> String {
    let (sign, digits) = (if unscaled < 0 { "-" } else { "" }, unscaled.unsigned_abs().to_string());
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{part}")
}

/// ISO date of a day since 1970-01-01, proleptic Gregorian.
fn date(days: i64) -> String {
    let days = days + 719_468; // from 0000-03-01, in eras of 400 years
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

/// `HH:MM:SS`, with the fraction where there is one.
fn clock(value: i64, per_second: i64) -> String {
    let (seconds, part) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match part {
        0 => text,
        _ if per_second == 1_000_000 => format!("{text}.{part:06}"),
        _ => format!("{text}.{part:09}"),
    }
}

fn instant(value: i64, per_second: i64, zoned: bool) -> String {
    let per_day = per_second * (DAY_US / 1_000_000);
    let zone = if zoned { "+00:00" } else { "" };
    format!("{}T{}{zone}", date(value.div_euclid(per_day)), clock(value.rem_euclid(per_day), per_second))
}

/// As `java.time` prints it: seconds only where there are any, fractions of 3, 6 or 9 digits.
fn java_time(value: i64, per_second: i64, zoned: bool) -> String {
    let zone = if zoned { "Z" } else { "" };
    let text = instant(value, per_second, false);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let short = match (fraction, whole.strip_suffix(":00")) {
        ("", Some(minutes)) => minutes.to_owned(),
        ("", None) => whole.to_owned(),
        _ => {
            let nine = format!("{fraction:0<9}");
            let kept = [3, 6].into_iter().find(|kept| nine[*kept..].bytes().all(|digit| digit == b'0')).unwrap_or(9);
            format!("{whole}.{}", &nine[..kept])
        }
    };
    format!("{short}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(transform: Transform, value_type: Type) -> PartitionField {
        PartitionField { id: 1000, name: "a b".into(), source: Some(1), transform, value_type: Some(value_type) }
    }

    #[test]
    fn paths_are_java_s() {
        let cases = [
            (Transform::Year, Type::Int, Key::Integer(-1), "a+b=1969"),
            (Transform::Month, Type::Int, Key::Integer(-1), "a+b=1969-12"),
            (Transform::Day, Type::Date, Key::Integer(17_501), "a+b=2017-12-01"),
            (Transform::Hour, Type::Int, Key::Integer(420_034), "a+b=2017-12-01-10"),
            (
                Transform::Identity,
                Type::String,
                Key::Bytes(b"a/b=\xc3\xbc %".as_slice().into()),
                "a+b=a%2Fb%3D%C3%BC+%25",
            ),
            (
                Transform::Identity,
                Type::Timestamp(false),
                Key::Integer(1_512_151_975_038_194),
                "a+b=2017-12-01T18%3A12%3A55.038194",
            ),
            (Transform::Identity, Type::Timestamp(true), Key::Integer(0), "a+b=1970-01-01T00%3A00Z"),
            (Transform::Identity, Type::Decimal(9, 2), Key::Decimal(-5), "a+b=-0.05"),
            (Transform::Truncate(2), Type::Binary, Key::Bytes([1, 2, 3, 4].into()), "a+b=AQIDBA%3D%3D"),
            (Transform::Bucket(4), Type::Int, Key::Integer(3), "a+b=3"),
            (Transform::Identity, Type::Boolean, Key::Integer(1), "a+b=true"),
        ];
        for (transform, value_type, key, expected) in cases {
            let spec = PartitionSpec { id: 0, fields: vec![field(transform, value_type)] };
            assert_eq!(path(&spec, &vec![Some(key)]), expected);
        }
        let spec = PartitionSpec { id: 0, fields: vec![field(Transform::Void, Type::Int)] };
        assert_eq!(path(&spec, &vec![None]), "a+b=null");
    }

    #[test]
    fn values_as_json() {
        let uuid: Vec<u8> = (0..16).collect();
        for (value_type, key, expected) in [
            (Type::Date, Key::Integer(-1), json!("1969-12-31")),
            (Type::Time, Key::Integer(81_068_123_456), json!("22:31:08.123456")),
            (Type::Timestamp(false), Key::Integer(-1), json!("1969-12-31T23:59:59.999999")),
            (Type::TimestampNs(true), Key::Integer(1), json!("1970-01-01T00:00:00.000000001+00:00")),
            (Type::Decimal(4, 2), Key::Decimal(1420), json!("14.20")),
            (Type::Uuid, Key::Bytes(uuid.into()), json!("00010203-0405-0607-0809-0a0b0c0d0e0f")),
            (Type::Fixed(2), Key::Bytes([0, 255].into()), json!("00FF")),
            (Type::Long, Key::Integer(i64::MIN), json!(i64::MIN)),
            (Type::Double, Key::Float(f64::NAN.to_bits()), json!("NaN")),
        ] {
            assert_eq!(single_value(&key, &value_type), expected);
        }
    }
}
