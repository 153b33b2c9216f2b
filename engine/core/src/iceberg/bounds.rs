//! Whether any value of a column may pass a test, given what statistics say of the column.
//!
//! The one place of this logic: partition summaries, partition values, statistics of data files and of row groups all
//! come down to [`Facts`], which [`refute`] compares with a test. Pure: it must not know where statistics come from.
//! Meaning of the tests: header of [`crate::iceberg::predicate`]. Inclusive: only what is certain is refuted, so
//! whatever is unknown or contradicts itself keeps.

use std::cmp::Ordering;
use std::slice;

use crate::iceberg::predicate::{Leaf, Literal, Op, Predicate};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Type;

/// What statistics say of the values of one column in a set of rows. The default knows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// No value is smaller, NaN and null aside. It need not occur: truncated text is fine
    pub lower: Option<Literal>,
    /// No value is larger, NaN and null aside. It need not occur
    pub upper: Option<Literal>,
    /// Nulls
    pub null_count: Option<u64>,
    /// NaNs
    pub nan_count: Option<u64>,
    /// Rows, nulls and NaNs included
    pub value_count: Option<u64>,
}

impl Bounds {
    /// `rows` nulls, as in a file from before the column was added.
    pub fn all_null(rows: u64) -> Bounds {
        Bounds { null_count: Some(rows), nan_count: Some(0), value_count: Some(rows), ..Bounds::default() }
    }

    /// The same value in every one of `rows` rows.
    pub fn constant(value: Literal, rows: u64) -> Bounds {
        let nan = Scalar::of(&value).is_nan();
        let bound = (!nan).then_some(value);
        let nan_count = if nan { rows } else { 0 };
        Bounds {
            lower: bound.clone(),
            upper: bound,
            null_count: Some(0),
            nan_count: Some(nan_count),
            value_count: Some(rows),
        }
    }
}

/// Whether any row may pass, where `leaf_may` answers for each test.
pub fn may_match(predicate: &Predicate, leaf_may: &mut dyn FnMut(&Leaf) -> bool) -> bool {
    match predicate {
        Predicate::True => true,
        Predicate::False => false,
        Predicate::And(parts) => parts.iter().all(|part| may_match(part, leaf_may)),
        Predicate::Or(parts) => parts.iter().any(|part| may_match(part, leaf_may)),
        Predicate::Leaf(leaf) => leaf_may(leaf),
    }
}

/// Whether any value within these bounds may pass the test. Values of `in` may come in any order.
pub fn leaf_may_match(leaf: &Leaf, bounds: &Bounds) -> bool {
    let facts = Facts::of(bounds, &leaf.field_type);
    match leaf.op {
        Op::In => leaf.values.iter().any(|value| facts.hold_any(slice::from_ref(value), &leaf.field_type)),
        _ => refute(leaf, &facts).is_none(),
    }
}

/// Compares two values of one type; NaN equals itself and is larger than every number, -0.0 equals 0.0. None for
/// values that have no common order. Text and bytes compare bytewise, also with each other.
pub fn compare(left: &Literal, right: &Literal) -> Option<Ordering> {
    Scalar::of(left).order(Scalar::of(right))
}

/// What is known of a field's values in a set of rows, made safe to reason with. "Numbers" are the values that are
/// neither null nor NaN, of whatever type. The default knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts<'a> {
    /// No number is smaller
    pub(crate) lower: Option<Scalar<'a>>,
    /// No number is larger
    pub(crate) upper: Option<Scalar<'a>>,
    /// There is no null
    pub(crate) no_nulls: bool,
    /// There is nothing but nulls
    pub(crate) only_nulls: bool,
    /// There is no NaN
    pub(crate) no_nans: bool,
    /// Every value that is not null is NaN
    pub(crate) only_nans: bool,
}

/// How many rows there are, and how many of them are null or NaN, where that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: Option<u64>,
    pub(crate) nulls: Option<u64>,
    pub(crate) nans: Option<u64>,
}

/// What a test was refuted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Bounds,
    Nulls,
    Nans,
}

/// Whether no row with these facts can pass the test. Values of `in` must be sorted, NaN last.
pub(crate) fn refute(leaf: &Leaf, facts: &Facts) -> Option<Cause> {
    let (numbers, nans) = (facts.may_hold_numbers(), facts.may_hold_nans(&leaf.field_type));
    let (possible, cause) = match leaf.op {
        Op::IsNull => (!facts.no_nulls, Cause::Nulls),
        _ if facts.only_nulls => (false, Cause::Nulls),
        Op::NotNull => (numbers || nans, Cause::Nulls),
        Op::IsNan => (nans, Cause::Nans),
        Op::NotNan => (numbers, Cause::Nans),
        Op::Eq | Op::In => (facts.hold_any(&leaf.values, &leaf.field_type), Cause::Bounds),
        Op::Ne | Op::NotIn => (facts.hold_others(&leaf.values, nans), Cause::Bounds),
        _ => {
            let value = leaf.values.first().map(Scalar::of);
            (value.is_none_or(|value| facts.hold_such(leaf.op, value, nans)), Cause::Bounds)
        }
    };
    (!possible).then_some(cause)
}

/// Whether every row with these facts passes the test: there is no null, and no value that passes the opposite test.
pub(crate) fn proves(leaf: &Leaf, facts: &Facts) -> bool {
    match leaf.op {
        Op::IsNull => facts.only_nulls,
        Op::NotNull => facts.no_nulls,
        _ => facts.no_nulls && refute(&Leaf { op: opposite(leaf.op), ..leaf.clone() }, facts).is_some(),
    }
}

/// The test that a value passes if and only if it fails this one; null fails both, but for the null tests.
fn opposite(op: Op) -> Op {
    match op {
        Op::Lt => Op::Ge,
        Op::Le => Op::Gt,
        Op::Gt => Op::Le,
        Op::Ge => Op::Lt,
        Op::Eq => Op::Ne,
        Op::Ne => Op::Eq,
        Op::In => Op::NotIn,
        Op::NotIn => Op::In,
        Op::IsNull => Op::NotNull,
        Op::NotNull => Op::IsNull,
        Op::IsNan => Op::NotNan,
        Op::NotNan => Op::IsNan,
        Op::StartsWith => Op::NotStartsWith,
        Op::NotStartsWith => Op::StartsWith,
    }
}

impl<'a> Facts<'a> {
    /// Of a field that holds one value, or null, in all rows.
    pub(crate) fn of_value(value: Option<Scalar<'a>>) -> Facts<'a> {
        let nan = value.is_some_and(Scalar::is_nan);
        let known = Facts { no_nulls: value.is_some(), only_nulls: value.is_none(), ..Facts::default() };
        Facts { lower: value, upper: value, no_nans: !nan, only_nans: nan, ..known }
    }

    /// Of a field with these counts. Counts that exceed the rows are somebody's mistake, and prove nothing.
    pub(crate) fn of_counts(counts: Counts, field_type: &Type) -> Facts<'a> {
        let Counts { rows, nulls, nans } = counts;
        let nans = if is_float(field_type) { nans } else { Some(0) };
        let counted = nulls.unwrap_or(0).saturating_add(nans.unwrap_or(0));
        if rows.is_some_and(|rows| counted > rows) {
            return Facts::default();
        }
        Facts {
            no_nulls: nulls == Some(0) || (nans.is_some() && nans == rows),
            only_nulls: nulls.is_some() && nulls == rows,
            no_nans: nans == Some(0),
            only_nans: rows == Some(counted),
            ..Facts::default()
        }
    }

    fn of(bounds: &'a Bounds, field_type: &Type) -> Facts<'a> {
        let counts = Counts { rows: bounds.value_count, nulls: bounds.null_count, nans: bounds.nan_count };
        // As scalars, booleans are integers.
        let typed = |bound: &&Literal| matches!(bound, Literal::Boolean(_)) == (*field_type == Type::Boolean);
        let bound = |bound: &'a Option<Literal>| bound.as_ref().filter(typed).map(Scalar::of);
        Facts { lower: bound(&bounds.lower), upper: bound(&bounds.upper), ..Facts::of_counts(counts, field_type) }
    }

    fn may_hold_numbers(&self) -> bool {
        !self.only_nulls && !self.only_nans
    }

    fn may_hold_nans(&self, field_type: &Type) -> bool {
        is_float(field_type) && !self.only_nulls && !self.no_nans
    }

    /// Bounds of the numbers, where they can be trusted.
    fn bounds(&self) -> (Option<Scalar<'a>>, Option<Scalar<'a>>) {
        let number = |bound: &Scalar| !bound.is_nan(); // some writers put NaN there: it says nothing
        match (self.lower.filter(number), self.upper.filter(number)) {
            // The wrong way round: written in another order (UUIDs as signed numbers)
            (Some(lower), Some(upper)) if lower.order(upper).is_none_or(Ordering::is_gt) => (None, None),
            bounds => bounds,
        }
    }

    /// Whether one of the sorted values may be there.
    fn hold_any(&self, values: &[Literal], field_type: &Type) -> bool {
        let (values, nans) = values.split_at(values.partition_point(|value| !Scalar::of(value).is_nan()));
        let (lower, upper) = self.bounds();
        let is = |value: &Literal, bound: Option<Scalar>, order| {
            bound.is_some_and(|bound| Scalar::of(value).order(bound) == Some(order))
        };
        // The smallest value that is not below the bounds
        let candidate = values.get(values.partition_point(|value| is(value, lower, Ordering::Less)));
        let number = candidate.is_some_and(|value| !is(value, upper, Ordering::Greater));
        (number && self.may_hold_numbers()) || (!nans.is_empty() && self.may_hold_nans(field_type))
    }

    /// Whether a value other than all of these may be there.
    fn hold_others(&self, values: &[Literal], nans: bool) -> bool {
        let mut values = values.iter().map(Scalar::of);
        let other_nan = nans && !values.clone().any(Scalar::is_nan);
        let excluded = match self.bounds() {
            (Some(only), Some(upper)) if only.order(upper) == Some(Ordering::Equal) => {
                values.any(|value| value.order(only) == Some(Ordering::Equal))
            }
            _ => false,
        };
        other_nan || (self.may_hold_numbers() && !excluded)
    }

    /// Whether a value on that side of this one, or one with or without this prefix, may be there.
    fn hold_such(&self, op: Op, value: Scalar, nans: bool) -> bool {
        let (lower, upper) = self.bounds();
        let numbers = self.may_hold_numbers();
        let reach = |bound: Option<Scalar>, holds: fn(Ordering) -> bool| {
            numbers && bound.and_then(|bound| bound.order(value)).is_none_or(holds)
        };
        match op {
            Op::Lt if value.is_nan() => numbers,
            Op::Gt if value.is_nan() => false,
            Op::Le if value.is_nan() => numbers || nans,
            Op::Ge if value.is_nan() => nans,
            Op::Lt => reach(lower, Ordering::is_lt),
            Op::Le => reach(lower, Ordering::is_le),
            Op::Gt => nans || reach(upper, Ordering::is_gt),
            Op::Ge => nans || reach(upper, Ordering::is_ge),
            Op::StartsWith => numbers && !no_prefix(lower, upper, value),
            // If both ends have the prefix, then all in between have it.
            Op::NotStartsWith => numbers && ![lower, upper].iter().all(|bound| starts_with(*bound, value)),
            _ => true, // by their own rules
        }
    }
}

fn is_float(field_type: &Type) -> bool {
    matches!(field_type, Type::Float | Type::Double)
}

fn starts_with(bound: Option<Scalar>, prefix: Scalar) -> bool {
    bound.and_then(|bound| bound.starts_with(prefix)) == Some(true)
}

/// Whether no text between the bounds starts with `prefix`.
fn no_prefix(lower: Option<Scalar>, upper: Option<Scalar>, prefix: Scalar) -> bool {
    let is = |bound: Option<Scalar>, order| bound.is_some_and(|bound| bound.order(prefix) == Some(order));
    is(upper, Ordering::Less) || (is(lower, Ordering::Greater) && !starts_with(lower, prefix))
}

#[cfg(test)]
pub(crate) mod tests;
