//! Appendix B's vectors, transforms around their edges, and projections against brute force.

use super::*;

fn integer(value: i64) -> Scalar<'static> {
    Scalar::Integer(value)
}

#[test]
fn hashes_of_appendix_b() {
    let uuid = [0xf7, 0x9c, 0x3e, 0x09, 0x67, 0x7c, 0x4b, 0xbd, 0xa4, 0x79, 0x3f, 0x34, 0x9c, 0xb7, 0x85, 0xe7];
    let second = 1_510_871_468; // 2017-11-16T22:31:08
    let cases = [
        (integer(34), Type::Int, 2_017_239_379),
        (integer(34), Type::Long, 2_017_239_379),
        (Scalar::Decimal(1420), Type::Decimal(4, 2), -500_754_589),
        (integer(17_486), Type::Date, -653_330_422),
        (integer(81_068_000_000), Type::Time, -662_762_989),
        (integer(second * 1_000_000), Type::Timestamp(false), -2_047_944_441),
        (integer(second * 1_000_000 + 1), Type::Timestamp(true), -1_207_196_810),
        (integer(second * 1_000_000_000), Type::TimestampNs(false), -2_047_944_441),
        (integer(second * 1_000_000_000 + 1_001), Type::TimestampNs(true), -1_207_196_810),
        (Scalar::Bytes(b"iceberg"), Type::String, 1_210_000_089),
        (Scalar::Bytes(&uuid), Type::Uuid, 1_488_055_340),
        (Scalar::Bytes(&[0, 1, 2, 3]), Type::Fixed(4), -188_683_207),
        (Scalar::Bytes(&[0, 1, 2, 3]), Type::Binary, -188_683_207),
        (integer(1), Type::Boolean, 1_392_991_556),
        (Scalar::Float(1.0), Type::Float, -142_385_009),
        (Scalar::Float(1.0), Type::Double, -142_385_009),
        (Scalar::Float(0.0), Type::Double, 1_669_671_676),
        (Scalar::Float(-0.0), Type::Double, 1_669_671_676),
    ];
    for (value, source, expected) in cases {
        assert_eq!(hash(value, &source), Some(expected), "{value:?} as {source:?}");
    }
}

#[test]
fn minimal_bytes_of_decimals() {
    for (value, bytes) in [(0i128, &[0u8][..]), (-1, &[0xff]), (127, &[0x7f]), (128, &[0, 0x80]), (-129, &[0xff, 0x7f])]
    {
        assert_eq!(hash(Scalar::Decimal(value), &Type::Decimal(9, 0)), Some(murmur3(bytes)), "{value}");
    }
}

#[test]
fn truncation() {
    let truncated = |value, width, source| Transform::Truncate(width).apply(value, &source);
    assert_eq!(truncated(integer(1), 10, Type::Int), Some(integer(0)));
    assert_eq!(truncated(integer(-1), 10, Type::Long), Some(integer(-10)));
    assert_eq!(truncated(Scalar::Decimal(1065), 50, Type::Decimal(9, 2)), Some(Scalar::Decimal(1050)));
    assert_eq!(truncated(Scalar::Bytes(b"iceberg"), 3, Type::String), Some(Scalar::Bytes(b"ice")));
    assert_eq!(truncated(Scalar::Bytes("näïve".as_bytes()), 2, Type::String), Some(Scalar::Bytes("nä".as_bytes())));
    assert_eq!(truncated(Scalar::Bytes(&[1, 2, 3, 4, 5]), 3, Type::Binary), Some(Scalar::Bytes(&[1, 2, 3])));
    assert_eq!(truncated(integer(i64::MIN), 10, Type::Long), None);
    assert_eq!(truncated(integer(i32::MIN.into()), 10, Type::Int), None);
    assert_eq!(truncated(integer(i32::MIN.into()), 10, Type::Long), Some(integer(-2_147_483_650)));
    assert_eq!(truncated(integer(i32::MIN.into()), 2, Type::Int), Some(integer(i32::MIN.into())));
}

#[test]
fn times_before_and_after_1970() {
    let cases = [
        // 2017-12-01T10:30 and 1969-12-31T23:59:59.999999
        (1_512_124_200_000_000, [47, 575, 17_501, 420_034]),
        (-1, [-1, -1, -1, -1]),
    ];
    for (value, expected) in cases {
        let transforms = [Transform::Year, Transform::Month, Transform::Day, Transform::Hour];
        for (transform, expected) in transforms.iter().zip(expected) {
            let found = transform.apply(integer(value), &Type::Timestamp(false));
            assert_eq!(found, Some(integer(expected)), "{transform:?} of {value}");
        }
    }
    assert_eq!(Transform::Month.apply(integer(59), &Type::Date), Some(integer(2))); // 1970-03-01 is day 59
    assert_eq!(Transform::Month.apply(integer(58), &Type::Date), Some(integer(1)));
    assert_eq!(Transform::Year.apply(integer(-719_528), &Type::Date), Some(integer(-1970)));
    assert_eq!(Transform::Year.apply(integer(5), &Type::Int), None);
}

#[test]
fn names() {
    assert_eq!(Transform::parse("bucket[16]"), Transform::Bucket(16));
    assert_eq!(Transform::parse("truncate[4]"), Transform::Truncate(4));
    for odd in ["bucket[0]", "bucket[-1]", "bucket", "zorder", "truncate[99999999999]"] {
        assert_eq!(Transform::parse(odd), Transform::Unknown(odd.to_string()));
    }
}
