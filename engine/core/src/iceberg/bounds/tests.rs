//! Random values -> bounds -> never prunes a match, and prunes where it provably can. Lends its generator and its
//! row-by-row evaluator to the tests of row filters and row groups.

use super::*;

/// A small generator of reproducible random numbers (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

pub(crate) const TYPES: [Type; 14] = [
    Type::Boolean,
    Type::Int,
    Type::Long,
    Type::Float,
    Type::Double,
    Type::Decimal(9, 2),
    Type::Decimal(38, 3),
    Type::Date,
    Type::Time,
    Type::Timestamp(true),
    Type::TimestampNs(false),
    Type::String,
    Type::Fixed(3),
    Type::Binary,
];

/// A value from so small a set that equal ones are frequent.
pub(crate) fn value(random: &mut Random, field_type: &Type) -> Literal {
    let small = random.below(21) as i64 - 10;
    match field_type {
        Type::Boolean => Literal::Boolean(random.below(2) == 1),
        Type::Int | Type::Date => {
            Literal::Integer(random.pick(&[small, small, small, i32::MIN.into(), i32::MAX.into()]))
        }
        Type::Time => Literal::Integer(small + 10),
        Type::Float | Type::Double => Literal::Float(random.pick(&[
            f64::NEG_INFINITY,
            -2.5,
            -1.0,
            -0.0,
            0.0,
            0.5,
            1.0,
            1e30_f32.into(),
            f64::INFINITY,
            f64::NAN,
        ])),
        Type::Decimal(38, _) => {
            Literal::Decimal(random.pick(&[small.into(), small.into(), 10_i128.pow(37), -(10_i128.pow(37))]))
        }
        Type::Decimal(_, _) => Literal::Decimal(small.into()),
        Type::String => {
            let length = random.pick(&[0, 1, 2, 3, 4, 5, 12, 13, 20]);
            let common = random.below(length + 1);
            Literal::String(
                (0..length).map(|at| if at < common { 'a' } else { random.pick(&['a', 'b', 'é', '\0']) }).collect(),
            )
        }
        Type::Fixed(length) => Literal::Bytes((0..*length).map(|_| random.pick(&[0, 1, 0x7f, 0x80, 0xff])).collect()),
        Type::Binary => {
            Literal::Bytes((0..random.pick(&[0, 1, 4, 5, 12, 13])).map(|_| random.pick(&[0, 1, 0x80, 0xff])).collect())
        }
        _ => Literal::Integer(random.pick(&[small, small, small, i64::MIN, i64::MAX])),
    }
}

/// Rows of a type, some null, sometimes only nulls or only one value.
pub(crate) fn rows(random: &mut Random, field_type: &Type, count: usize) -> Vec<Option<Literal>> {
    let nulls = random.pick(&[0, 0, 1, 3, 10]);
    let kept = (random.below(4) == 0).then(|| value(random, field_type));
    (0..count)
        .map(|_| (random.below(10) >= nulls).then(|| kept.clone().unwrap_or_else(|| value(random, field_type))))
        .collect()
}

/// A random test that fits the type.
pub(crate) fn leaf(random: &mut Random, field: i32, field_type: &Type) -> Leaf {
    let mut ops = vec![Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Eq, Op::Ne, Op::In, Op::NotIn, Op::IsNull, Op::NotNull];
    if matches!(field_type, Type::Float | Type::Double) {
        ops.extend([Op::IsNan, Op::NotNan]);
    }
    if matches!(field_type, Type::String | Type::Binary) {
        ops.extend([Op::StartsWith, Op::NotStartsWith, Op::StartsWith, Op::NotStartsWith]);
    }
    let op = random.pick(&ops);
    let count = match op {
        Op::IsNull | Op::NotNull | Op::IsNan | Op::NotNan => 0,
        Op::In | Op::NotIn => 1 + random.below(9),
        _ => 1,
    };
    let mut values: Vec<_> = (0..count).map(|_| value(random, field_type)).collect();
    if let (Op::StartsWith | Op::NotStartsWith, Some(first)) = (op, values.first_mut()) {
        *first = match first.clone() {
            Literal::String(text) => Literal::String(text.chars().take(random.below(7)).collect()),
            Literal::Bytes(bytes) => Literal::Bytes(bytes[..random.below(bytes.len() + 1)].to_vec()),
            other => other,
        };
    }
    Leaf { op, field, field_type: field_type.clone(), values }
}

/// The meaning of a test, row by row, written apart from what is tested.
pub(crate) fn passes(leaf: &Leaf, row: Option<&Literal>) -> bool {
    let Some(row) = row else { return leaf.op == Op::IsNull };
    let below = |other: &Literal| match (row, other) {
        (Literal::Boolean(a), Literal::Boolean(b)) => !a & b,
        (Literal::Integer(a), Literal::Integer(b)) => a < b,
        (Literal::Decimal(a), Literal::Decimal(b)) => a < b,
        (Literal::Float(a), Literal::Float(b)) => a < b || (!a.is_nan() && b.is_nan()),
        (Literal::String(a), Literal::String(b)) => a < b,
        (Literal::Bytes(a), Literal::Bytes(b)) => a < b,
        _ => unreachable!(),
    };
    let nan = |each: &Literal| matches!(each, Literal::Float(each) if each.is_nan());
    let equal = |other: &Literal| row == other || (nan(row) && nan(other));
    let starts = |prefix: &Literal| match (row, prefix) {
        (Literal::String(text), Literal::String(prefix)) => text.starts_with(prefix),
        (Literal::Bytes(bytes), Literal::Bytes(prefix)) => bytes.starts_with(prefix),
        _ => unreachable!(),
    };
    match leaf.op {
        Op::Lt => below(&leaf.values[0]),
        Op::Le => below(&leaf.values[0]) || equal(&leaf.values[0]),
        Op::Gt => !below(&leaf.values[0]) && !equal(&leaf.values[0]),
        Op::Ge => !below(&leaf.values[0]),
        Op::Eq => equal(&leaf.values[0]),
        Op::Ne => !equal(&leaf.values[0]),
        Op::In => leaf.values.iter().any(equal),
        Op::NotIn => !leaf.values.iter().any(equal),
        Op::IsNull => false,
        Op::NotNull => true,
        Op::IsNan => nan(row),
        Op::NotNan => !nan(row),
        Op::StartsWith => starts(&leaf.values[0]),
        Op::NotStartsWith => !starts(&leaf.values[0]),
    }
}

fn exact(rows: &[Option<Literal>]) -> Bounds {
    let nan = |each: &Literal| matches!(each, Literal::Float(each) if each.is_nan());
    let numbers: Vec<&Literal> = rows.iter().flatten().filter(|each| !nan(each)).collect();
    let extreme = |wanted: Op| {
        let beyond = |a: &Literal, b: &Literal| {
            passes(&Leaf { op: wanted, field: 1, field_type: Type::Long, values: vec![b.clone()] }, Some(a))
        };
        numbers.iter().copied().reduce(|a, b| if beyond(b, a) { b } else { a }).cloned()
    };
    Bounds {
        lower: extreme(Op::Lt),
        upper: extreme(Op::Gt),
        null_count: Some(rows.iter().filter(|row| row.is_none()).count() as u64),
        nan_count: Some(rows.iter().flatten().filter(|each| nan(each)).count() as u64),
        value_count: Some(rows.len() as u64),
    }
}

/// Bounds that say less, as writers may.
fn loosened(random: &mut Random, mut bounds: Bounds) -> Bounds {
    if random.below(3) == 0 {
        bounds.null_count = None;
    }
    if random.below(2) == 0 {
        bounds.nan_count = None;
    }
    if random.below(3) == 0 {
        bounds.value_count = None;
    }
    if random.below(4) == 0 {
        bounds.upper = None;
    }
    bounds.lower = match (bounds.lower, random.below(4)) {
        (_, 0) => None,
        (Some(Literal::String(text)), _) => Some(Literal::Bytes(text.as_bytes()[..text.len().min(3)].to_vec())),
        (Some(Literal::Integer(least)), 1) => Some(Literal::Integer(least.saturating_sub(3))),
        (lower, _) => lower,
    };
    bounds
}

#[test]
fn never_prunes_a_row_that_passes() {
    let mut random = Random(0x5eed_0001);
    let mut pruned = 0;
    for round in 0..60_000 {
        let field_type = random.pick(&TYPES);
        let count = random.below(6);
        let rows = rows(&mut random, &field_type, count);
        let leaf = leaf(&mut random, 1, &field_type);
        let tight = exact(&rows);
        let bounds = loosened(&mut random, tight);
        let kept = leaf_may_match(&leaf, &bounds);
        pruned += usize::from(!kept);
        let wanted = rows.iter().any(|row| passes(&leaf, row.as_ref()));
        assert!(kept || !wanted, "round {round}: {leaf:?} pruned {rows:?} by {bounds:?}");
    }
    assert!(pruned > 10_000, "{pruned}");
}

#[test]
fn prunes_whatever_exact_bounds_prove() {
    let mut random = Random(0x5eed_0002);
    for round in 0..60_000 {
        let field_type = random.pick(&TYPES);
        let count = random.below(6);
        let rows = rows(&mut random, &field_type, count);
        let leaf = leaf(&mut random, 1, &field_type);
        let bounds = exact(&rows);
        // Equality and prefixes can be missing between the bounds; everything else the bounds settle.
        let settled = match leaf.op {
            Op::Eq | Op::In | Op::StartsWith => {
                rows.iter().flatten().all(|row| rows.iter().flatten().all(|other| row == other))
            }
            Op::NotIn => leaf.values.len() == 1,
            _ => true,
        };
        let wanted = rows.iter().any(|row| passes(&leaf, row.as_ref()));
        assert!(
            !settled || leaf_may_match(&leaf, &bounds) == wanted,
            "round {round}: {leaf:?} of {rows:?} by {bounds:?}"
        );
    }
}

fn test_of(op: Op, field_type: Type, values: &[Literal]) -> Leaf {
    Leaf { op, field: 1, field_type, values: values.to_vec() }
}

#[test]
fn equality_and_prefixes_outside_the_bounds_are_pruned() {
    let text = |text: &str| Literal::String(text.to_string());
    let bounds = Bounds { lower: Some(text("b")), upper: Some(text("bcd")), ..Bounds::default() };
    for (op, value, kept) in [
        (Op::Eq, "a", false),
        (Op::Eq, "b", true),
        (Op::Eq, "bce", false),
        (Op::StartsWith, "a", false),
        (Op::StartsWith, "bc", true),
        (Op::StartsWith, "bd", false),
        (Op::StartsWith, "bcdx", false),
        (Op::NotStartsWith, "b", false),
        (Op::NotStartsWith, "bc", true),
    ] {
        assert_eq!(leaf_may_match(&test_of(op, Type::String, &[text(value)]), &bounds), kept, "{op:?} {value}");
    }
    let outside = test_of(Op::In, Type::String, &[text("a"), text("c")]);
    assert!(!leaf_may_match(&outside, &bounds));
}

#[test]
fn unknown_nan_counts_keep_what_nan_would_pass() {
    let bounds = Bounds { lower: Some(Literal::Float(1.0)), upper: Some(Literal::Float(1.0)), ..Bounds::default() };
    let known = Bounds { nan_count: Some(0), ..bounds.clone() };
    for op in [Op::Gt, Op::Ge, Op::Ne, Op::NotIn] {
        let values = if op == Op::Ge { vec![Literal::Float(2.0)] } else { vec![Literal::Float(1.0)] };
        assert!(leaf_may_match(&test_of(op, Type::Double, &values), &bounds), "{op:?}");
        assert!(!leaf_may_match(&test_of(op, Type::Double, &values), &known), "{op:?}");
    }
    let is_nan = test_of(Op::Eq, Type::Float, &[Literal::Float(f64::NAN)]);
    assert!(leaf_may_match(&is_nan, &bounds) && !leaf_may_match(&is_nan, &known));
}

#[test]
fn statistics_that_contradict_themselves_prove_nothing() {
    let one = Literal::Integer(1);
    let crossed = Bounds { lower: Some(Literal::Integer(9)), upper: Some(Literal::Integer(3)), ..Bounds::default() };
    let counts = Bounds { null_count: Some(9), value_count: Some(3), ..Bounds::default() };
    let mistyped =
        Bounds { lower: Some(Literal::Float(f64::NAN)), upper: Some(Literal::Boolean(true)), ..Bounds::default() };
    for bounds in [crossed, counts, mistyped] {
        for op in [Op::Lt, Op::Gt, Op::Eq, Op::Ne] {
            assert!(leaf_may_match(&test_of(op, Type::Long, std::slice::from_ref(&one)), &bounds), "{op:?} {bounds:?}");
        }
        assert!(leaf_may_match(&test_of(Op::IsNull, Type::Long, &[]), &bounds));
        assert!(leaf_may_match(&test_of(Op::NotNull, Type::Long, &[]), &bounds));
    }
}

#[test]
fn and_or_and_constants() {
    let leaf = |field| Predicate::Leaf(Leaf { op: Op::IsNull, field, field_type: Type::Int, values: vec![] });
    let mut only_first = |leaf: &Leaf| leaf.field == 1;
    assert!(!may_match(&Predicate::And(vec![leaf(1), leaf(2)]), &mut only_first));
    assert!(may_match(&Predicate::Or(vec![leaf(2), leaf(1)]), &mut only_first));
    assert!(may_match(&Predicate::True, &mut only_first) && !may_match(&Predicate::False, &mut only_first));
}

#[test]
fn floats_arrive_with_their_last_bit() {
    for text in ["0.1", "1.7976931348623157e+308", "5e-324", "9007199254740993", "-0.0", "3.0000000000000004e-100"] {
        let json = format!(r#"{{"op":"eq","field":1,"type":"double","values":["{text}"]}}"#);
        let Ok(Predicate::Leaf(leaf)) = Predicate::from_json(&json) else { panic!("{json}") };
        let expected: f64 = text.parse().unwrap();
        assert!(matches!(leaf.values[0], Literal::Float(found) if found.to_bits() == expected.to_bits()), "{text}");
    }
}
