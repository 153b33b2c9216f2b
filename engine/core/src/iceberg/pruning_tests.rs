//! Refutations at their edges, and random files and filters: a file with a matching row is never pruned.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::*;
use crate::iceberg::bounds::tests::passes;
use crate::iceberg::predicate::{Literal, Op};
use crate::iceberg::scalar::Scalar::{Bytes, Float, Integer};
use crate::iceberg::schema::Type;

fn leaf(op: Op, field_type: Type, values: Vec<Literal>) -> Leaf {
    sorted(Leaf { op, field: 1, field_type, values })
}

fn refuted(op: Op, field_type: Type, values: Vec<Literal>, facts: Facts) -> Option<Cause> {
    refute(&leaf(op, field_type, values), &facts)
}

const COMPARISONS: [Op; 8] = [Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Eq, Op::Ne, Op::In, Op::NotIn];

#[test]
fn nothing_known_keeps_everything() {
    for op in COMPARISONS {
        for value in [1.0, f64::NAN] {
            let found = refuted(op, Type::Double, vec![Literal::Float(value)], Facts::default());
            let impossible = op == Op::Gt && value.is_nan(); // nothing is larger than NaN
            assert_eq!(found.is_some(), impossible, "{op:?} {value}");
        }
        assert_eq!(refuted(op, Type::Long, vec![Literal::Integer(5)], Facts::default()), None, "{op:?}");
    }
    for op in [Op::IsNull, Op::NotNull, Op::IsNan, Op::NotNan] {
        assert_eq!(refuted(op, Type::Double, vec![], Facts::default()), None, "{op:?}");
    }
}

#[test]
fn nan_counts_decide_what_the_upper_bound_means() {
    let bounds = Facts { lower: Some(Float(1.0)), upper: Some(Float(5.0)), ..Facts::default() };
    let without = Facts { no_nans: true, ..bounds };
    let test = |op, value, facts| refuted(op, Type::Double, vec![Literal::Float(value)], facts).is_some();
    for (op, value, unknown, none) in [
        (Op::Gt, 7.0, false, true),
        (Op::Ge, 7.0, false, true),
        (Op::Eq, 7.0, true, true),
        (Op::In, 3.0, false, false),
        (Op::Ne, 7.0, false, false),
        (Op::Lt, 1.0, true, true),
        (Op::Le, 0.5, true, true),
        (Op::Eq, f64::NAN, false, true),
        (Op::In, f64::NAN, false, true),
        (Op::Ge, f64::NAN, false, true),
        (Op::Gt, f64::NAN, true, true),
        (Op::Ne, f64::NAN, false, false),
        (Op::Lt, f64::NAN, false, false),
    ] {
        assert_eq!(test(op, value, bounds), unknown, "{op:?} {value}, NaN count unknown");
        assert_eq!(test(op, value, without), none, "{op:?} {value}, no NaN");
    }
    let one_value = Facts { lower: Some(Float(2.0)), upper: Some(Float(2.0)), ..Facts::default() };
    assert!(!test(Op::Ne, 2.0, one_value));
    assert!(test(Op::Ne, 2.0, Facts { no_nans: true, ..one_value }));
    let nan_bounds = Facts { lower: Some(Float(f64::NAN)), upper: Some(Float(f64::NAN)), ..Facts::default() };
    assert!(!test(Op::Eq, 2.0, nan_bounds));
    let only_nans = Facts { only_nans: true, ..Facts::default() };
    assert!(test(Op::Eq, 2.0, only_nans) && test(Op::Lt, 2.0, only_nans) && test(Op::Ne, f64::NAN, only_nans));
    assert!(!test(Op::Ge, 2.0, only_nans));
}

#[test]
fn zeros_are_equal() {
    let facts = Facts { lower: Some(Float(0.0)), upper: Some(Float(0.0)), no_nans: true, ..Facts::default() };
    assert_eq!(refuted(Op::Eq, Type::Double, vec![Literal::Float(-0.0)], facts), None);
    assert_eq!(refuted(Op::Ne, Type::Double, vec![Literal::Float(-0.0)], facts), Some(Cause::Bounds));
}

#[test]
fn truncated_string_bounds() {
    // Values from "applepie" to "banana", bounds cut to three characters, the upper one rounded up
    let facts = Facts { lower: Some(Bytes(b"app")), upper: Some(Bytes(b"bao")), ..Facts::default() };
    let test = |op, text: &str| refuted(op, Type::String, vec![Literal::String(text.into())], facts).is_some();
    assert!(!test(Op::Eq, "applepie") && !test(Op::Eq, "banana") && test(Op::Eq, "ape") && test(Op::Eq, "bb"));
    assert!(!test(Op::StartsWith, "applepies") && !test(Op::StartsWith, "b") && !test(Op::StartsWith, "a"));
    assert!(test(Op::StartsWith, "c") && test(Op::StartsWith, "an") && test(Op::StartsWith, "ap0"));
    assert!(!test(Op::NotStartsWith, "app") && !test(Op::Ne, "app"));
    let within = Facts { lower: Some(Bytes(b"app")), upper: Some(Bytes(b"apq")), ..Facts::default() };
    let literal = vec![Literal::String("ap".into())];
    assert_eq!(refuted(Op::NotStartsWith, Type::String, literal, within), Some(Cause::Bounds));
}

#[test]
fn reversed_bounds_are_not_trusted() {
    let facts = Facts { lower: Some(Bytes(&[0x90; 16])), upper: Some(Bytes(&[0x10; 16])), ..Facts::default() };
    assert_eq!(refuted(Op::Eq, Type::Uuid, vec![Literal::Bytes(vec![0x50; 16])], facts), None);
    assert_eq!(refuted(Op::Lt, Type::Uuid, vec![Literal::Bytes(vec![0x05; 16])], facts), None);
}

#[test]
fn nulls() {
    let none = Facts { no_nulls: true, ..Facts::default() };
    let only = Facts { only_nulls: true, ..Facts::default() };
    assert_eq!(refuted(Op::IsNull, Type::Int, vec![], none), Some(Cause::Nulls));
    assert_eq!(refuted(Op::IsNull, Type::Int, vec![], only), None);
    assert_eq!(refuted(Op::NotNull, Type::Int, vec![], only), Some(Cause::Nulls));
    assert_eq!(refuted(Op::Ne, Type::Int, vec![Literal::Integer(1)], only), Some(Cause::Nulls));
    assert_eq!(refuted(Op::NotIn, Type::Int, vec![], only), Some(Cause::Nulls));
    assert_eq!(refuted(Op::In, Type::Int, vec![], none), Some(Cause::Bounds));
    assert_eq!(refuted(Op::NotIn, Type::Int, vec![], none), None);
}

#[test]
fn both_sides_of_an_or_and_the_reason() {
    let filter = json!({"or": [{"op": "eq", "field": 1, "type": "int", "values": [3]},
        {"and": [{"op": "lt", "field": 2, "type": "int", "values": [0]}, {"op": "true"}]}]});
    let schema = r#"{"type":"struct","fields":[{"id":1,"name":"a","type":"int"},{"id":2,"name":"b","type":"int"}]}"#;
    let schema = Schema::from_json(schema).unwrap();
    let filter = Filter::new(&Predicate::from_json(&filter.to_string()).unwrap(), &schema);
    assert_eq!(filter.refuted(&|leaf| (leaf == 0).then(|| filter.reason(0, Cause::Bounds))), None);
    let both = filter.refuted(&|leaf| Some(filter.reason(leaf, Cause::Bounds))).unwrap();
    assert_eq!(both, ["bounds of a".into(), "bounds of b".into()]);
    assert!(Filter::new(&Predicate::Or(vec![]), &schema).refuted(&|_| None).is_some());
    assert!(Filter::new(&Predicate::And(vec![]), &schema).refuted(&|_| None).is_none());
}

fn random_value(random: &mut StdRng, field_type: &Type) -> Literal {
    match field_type {
        Type::Double => Literal::Float(match random.random_range(0..8) {
            0 => f64::NAN,
            1 => -0.0,
            2 => f64::INFINITY,
            3 => f64::NEG_INFINITY,
            _ => f64::from(random.random_range(-4i8..5)) / 2.0,
        }),
        Type::Decimal(_, _) => Literal::Decimal(random.random_range(-300..300)),
        Type::String => {
            let letters = ["a", "b", "é", "\u{10ffff}", "0"];
            let length = random.random_range(0..5);
            Literal::String((0..length).map(|_| letters[random.random_range(0..letters.len())]).collect())
        }
        Type::Binary => {
            Literal::Bytes((0..random.random_range(0..4)).map(|_| [0, 1, 0xff][random.random_range(0..3)]).collect())
        }
        Type::Date => Literal::Integer(random.random_range(-500..500)),
        Type::Timestamp(_) => Literal::Integer(random.random_range(-60i64..60) * 43_199_999_999),
        Type::TimestampNs(_) => Literal::Integer(random.random_range(-60i64..60) * 43_199_999_999_999),
        Type::Boolean => Literal::Boolean(random.random()),
        _ => Literal::Integer(random.random_range(-20..20)),
    }
}

fn random_leaf(random: &mut StdRng, field_type: &Type) -> Leaf {
    let prefixes = matches!(field_type, Type::String | Type::Binary);
    let ops = [Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Eq, Op::Ne, Op::In, Op::NotIn, Op::IsNull, Op::NotNull];
    let op = match random.random_range(0..12) {
        10 if prefixes => Op::StartsWith,
        11 if prefixes => Op::NotStartsWith,
        10 if *field_type == Type::Double => Op::IsNan,
        11 if *field_type == Type::Double => Op::NotNan,
        number => ops[number % ops.len()],
    };
    let count = match op {
        Op::IsNull | Op::NotNull | Op::IsNan | Op::NotNan => 0,
        Op::In | Op::NotIn => random.random_range(0..4),
        _ => 1,
    };
    leaf(op, field_type.clone(), (0..count).map(|_| random_value(random, field_type)).collect())
}

fn random_rows(random: &mut StdRng, field_type: &Type) -> Vec<Option<Literal>> {
    let nulls = random.random_range(0..3);
    let rows = random.random_range(1..5);
    (0..rows).map(|_| (random.random_range(0..4) >= nulls).then(|| random_value(random, field_type))).collect()
}

/// Metrics as a writer would make them, some left out, strings cut.
fn metrics(random: &mut StdRng, rows: &[Option<Literal>], cut: &mut [Vec<u8>; 2]) -> Facts<'static> {
    let values: Vec<Scalar> = rows.iter().flatten().map(Scalar::of).collect();
    let nans = values.iter().filter(|value| value.is_nan()).count();
    let mut numbers: Vec<Scalar> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    numbers.sort_by(|left, right| left.order(*right).unwrap());
    let known = |random: &mut StdRng| random.random_range(0..5) > 0;
    let keep = |value: Option<&Scalar>, cut: &mut Vec<u8>, up: bool| -> Option<Scalar<'static>> {
        match value? {
            Scalar::Bytes(bytes) => {
                *cut = bytes[..bytes.len().min(2)].to_vec();
                if up && bytes.len() > 2 {
                    while cut.last() == Some(&0xff) {
                        cut.pop();
                    }
                    *cut.last_mut()? += 1;
                }
                Some(Scalar::Bytes(cut.clone().leak()))
            }
            Scalar::Integer(value) => Some(Integer(*value)),
            Scalar::Float(value) => Some(Float(*value)),
            Scalar::Decimal(value) => Some(Scalar::Decimal(*value)),
        }
    };
    let [lower, upper] = cut;
    Facts {
        lower: keep(numbers.first(), lower, false).filter(|_| known(random)),
        upper: keep(numbers.last(), upper, true).filter(|_| known(random)),
        no_nulls: values.len() == rows.len() && known(random),
        only_nulls: values.is_empty() && known(random),
        no_nans: nans == 0 && known(random),
        only_nans: nans > 0 && nans == values.len() && known(random),
    }
}

fn types() -> [Type; 10] {
    use Type::{Binary, Boolean, Date, Decimal, Double, Int, Long, String, Timestamp, TimestampNs};
    [Double, Decimal(9, 2), String, Binary, Date, Timestamp(true), TimestampNs(false), Boolean, Long, Int]
}

#[test]
fn statistics_never_prune_a_match() {
    let mut random = StdRng::seed_from_u64(3);
    let (mut pruned, mut kept) = (0, 0);
    for round in 0..60_000 {
        let field_type = &types()[round % 10];
        let rows = random_rows(&mut random, field_type);
        let facts = metrics(&mut random, &rows, &mut Default::default());
        let test = random_leaf(&mut random, field_type);
        let matches = rows.iter().any(|row| passes(&test, row.as_ref()));
        let found = refute(&test, &facts);
        assert!(!(matches && found.is_some()), "{test:?} on {rows:?} with {facts:?}");
        pruned += usize::from(found.is_some());
        kept += usize::from(found.is_none() && !matches);
    }
    assert!(pruned > kept, "{pruned} pruned, {kept} kept without need: it hardly prunes");
}

#[test]
fn partitions_never_prune_a_match() {
    let mut random = StdRng::seed_from_u64(4);
    let names = ["identity", "bucket[3]", "truncate[2]", "year", "month", "day", "hour", "void", "zorder[2]"];
    let mut pruned = std::collections::HashMap::<&str, usize>::new();
    for round in 0..60_000 {
        let field_type = &types()[round % 10];
        let name = names[random.random_range(0..names.len())];
        let time = matches!(field_type, Type::Date | Type::Timestamp(_) | Type::TimestampNs(_));
        let fits = match name {
            "year" | "month" | "day" | "hour" => time && !(name == "hour" && *field_type == Type::Date),
            "bucket[3]" => !matches!(field_type, Type::Double | Type::Boolean),
            "truncate[2]" => !time && !matches!(field_type, Type::Double | Type::Boolean),
            _ => true,
        };
        if !fits {
            continue;
        }
        let value = (random.random_range(0..6) > 0).then(|| random_value(&mut random, field_type));
        let test = random_leaf(&mut random, field_type);
        let projected = projected(&test, field_type, name);
        let transform = crate::iceberg::transforms::Transform::parse(name);
        let partition = value.as_ref().map(Scalar::of).and_then(|value| transform.apply(value, field_type));
        let facts = Facts::of_value(partition);
        let found = projected.refuted(0, &|_| facts);
        let matches = passes(&test, value.as_ref());
        assert!(!(matches && found.is_some()), "{test:?} on {value:?} in {name} {partition:?}");
        assert!(name != "identity" || matches || found.is_some(), "{test:?} on {value:?}");
        *pruned.entry(name).or_default() += usize::from(found.is_some());
    }
    for name in &names[..7] {
        assert!(pruned[name] > 100, "{name}: {pruned:?}");
    }
    assert_eq!((pruned["void"], pruned["zorder[2]"]), (0, 0));
}

fn projected(test: &Leaf, field_type: &Type, transform: &str) -> SpecFilter {
    let field = crate::iceberg::schema::NestedField {
        id: 1,
        name: "a".into(),
        required: false,
        field_type: field_type.clone(),
        initial_default: None,
    };
    let schema = Schema { fields: vec![field] };
    let spec =
        json!({"spec-id": 0, "fields": [{"source-id": 1, "field-id": 1000, "name": "p", "transform": transform}]});
    let spec = PartitionSpec::from_value(&spec, &schema).unwrap();
    Filter::new(&Predicate::Leaf(test.clone()), &schema).project(&spec)
}

#[test]
fn times_that_old_writers_rounded_up_are_kept() {
    // 1969-12-31T12:00 is in day -1; Java writers before 0.11 put it into day 0
    let noon = -43_200_000_000;
    for op in [Op::Eq, Op::Le, Op::Lt, Op::Ge] {
        let value = if op == Op::Lt { noon + 1 } else { noon };
        let test = leaf(op, Type::Timestamp(false), vec![Literal::Integer(value)]);
        for day in [-1, 0] {
            let facts = Facts::of_value(Some(Integer(day)));
            let found = projected(&test, &Type::Timestamp(false), "day").refuted(0, &|_| facts);
            assert_eq!(found, None, "{op:?} in day {day}");
        }
    }
}
