//! Whether any value of a column may pass a test, given what statistics say of the column.
//!
//! The one place of this logic: manifests, data files and row groups all come down to [`Bounds`]. Pure: it must not know
//! where statistics come from. Meaning of the tests: header of [`crate::iceberg::predicate`]. Inclusive: `false` proves
//! that no row passes, `true` proves nothing, so whatever is unknown or contradicts itself answers `true`.

use std::cmp::Ordering;

use crate::iceberg::predicate::{Leaf, Literal, Op, Predicate};
use crate::iceberg::schema::Type;

/// What is known of the values of one column in a set of rows. The default knows nothing.
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
        let nan = is_nan(&value);
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

/// Whether any value within these bounds may pass the test.
pub fn leaf_may_match(leaf: &Leaf, bounds: &Bounds) -> bool {
    let facts = Facts::of(leaf, bounds);
    let value = leaf.values.first();
    match leaf.op {
        Op::IsNull => facts.nulls,
        Op::NotNull => facts.numbers || facts.nans,
        Op::IsNan => facts.nans,
        Op::NotNan => facts.numbers,
        Op::In => leaf.values.iter().any(|value| facts.equal(value)),
        Op::NotIn => facts.outside(&leaf.values),
        Op::Eq => value.is_none_or(|value| facts.equal(value)),
        Op::Ne => facts.outside(&leaf.values),
        Op::Lt | Op::Le | Op::Gt | Op::Ge => value.is_none_or(|value| facts.beyond(leaf.op, value)),
        Op::StartsWith => value.is_none_or(|value| facts.starts_with(value)),
        Op::NotStartsWith => value.is_none_or(|value| facts.starts_otherwise(value)),
    }
}

/// Compares two values of one type; NaN equals itself and is larger than every number, -0.0 equals 0.0. None for
/// values that have no common order. Text and bytes compare bytewise, also with each other.
pub fn compare(left: &Literal, right: &Literal) -> Option<Ordering> {
    match (left, right) {
        (Literal::Boolean(left), Literal::Boolean(right)) => Some(left.cmp(right)),
        (Literal::Integer(left), Literal::Integer(right)) => Some(left.cmp(right)),
        (Literal::Decimal(left), Literal::Decimal(right)) => Some(left.cmp(right)),
        (Literal::Float(left), Literal::Float(right)) => {
            Some(left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())))
        }
        _ => Some(bytes(left)?.cmp(bytes(right)?)),
    }
}

/// What bounds say, made safe to reason with. "Numbers" are the values that are neither null nor NaN.
struct Facts<'a> {
    lower: Option<&'a Literal>,
    upper: Option<&'a Literal>,
    nulls: bool,
    nans: bool,
    numbers: bool,
}

impl<'a> Facts<'a> {
    fn of(leaf: &Leaf, bounds: &'a Bounds) -> Facts<'a> {
        let may_be_nan = matches!(leaf.field_type, Type::Float | Type::Double);
        let nan_count = if may_be_nan { bounds.nan_count } else { Some(0) };
        let (mut nulls, mut nans, mut numbers) = (bounds.null_count != Some(0), nan_count != Some(0), true);
        if let Some(rows) = bounds.value_count {
            let counted = bounds.null_count.unwrap_or(0).saturating_add(nan_count.unwrap_or(0));
            // Counts that exceed the rows are somebody's mistake, and prove nothing.
            let sane = counted <= rows;
            numbers = !sane || counted < rows;
            nans &= !sane || bounds.null_count.is_none_or(|nulls| nulls < rows);
            nulls &= !sane || nan_count.is_none_or(|nans| nans < rows);
            if !sane {
                (nulls, nans) = (true, may_be_nan);
            }
        }
        let usable = |bound: &'a Option<Literal>| bound.as_ref().filter(|bound| !is_nan(bound));
        let (mut lower, mut upper) = (usable(&bounds.lower), usable(&bounds.upper));
        if let (Some(low), Some(high)) = (lower, upper)
            && compare(low, high).is_none_or(Ordering::is_gt)
        {
            (lower, upper) = (None, None);
        }
        Facts { lower, upper, nulls, nans, numbers }
    }

    fn equal(&self, value: &Literal) -> bool {
        if is_nan(value) {
            return self.nans;
        }
        let below = self.upper.is_some_and(|upper| compare(upper, value) == Some(Ordering::Less));
        let above = self.lower.is_some_and(|lower| compare(lower, value) == Some(Ordering::Greater));
        self.numbers && !below && !above
    }

    /// Whether a value may differ from all of these.
    fn outside(&self, values: &[Literal]) -> bool {
        let other_nan = self.nans && !values.iter().any(is_nan);
        let only = match (self.lower, self.upper) {
            (Some(lower), Some(upper)) if compare(lower, upper) == Some(Ordering::Equal) => Some(lower),
            _ => None,
        };
        let excluded = only.is_some_and(|only| values.iter().any(|v| compare(only, v) == Some(Ordering::Equal)));
        other_nan || (self.numbers && !excluded)
    }

    fn beyond(&self, op: Op, value: &Literal) -> bool {
        if is_nan(value) {
            return match op {
                Op::Lt => self.numbers,
                Op::Le => self.numbers || self.nans,
                Op::Ge => self.nans,
                _ => false,
            };
        }
        let reaches = |bound: Option<&Literal>, holds: fn(Ordering) -> bool| {
            self.numbers && bound.and_then(|bound| compare(bound, value)).is_none_or(holds)
        };
        match op {
            Op::Lt => reaches(self.lower, Ordering::is_lt),
            Op::Le => reaches(self.lower, Ordering::is_le),
            Op::Gt => self.nans || reaches(self.upper, Ordering::is_gt),
            _ => self.nans || reaches(self.upper, Ordering::is_ge),
        }
    }

    fn starts_with(&self, prefix: &Literal) -> bool {
        let Some(prefix) = bytes(prefix) else { return true };
        // What starts with the prefix is not below it, and not above everything of the prefix's length.
        let below = self.upper.and_then(bytes).is_some_and(|upper| upper < prefix);
        let above = self.lower.and_then(bytes).is_some_and(|lower| &lower[..lower.len().min(prefix.len())] > prefix);
        self.numbers && !below && !above
    }

    /// Whether a value may lack the prefix: not if both ends have it, as then all in between have it.
    fn starts_otherwise(&self, prefix: &Literal) -> bool {
        let has = |bound: &Literal| bytes(bound).zip(bytes(prefix)).is_some_and(|(b, prefix)| b.starts_with(prefix));
        self.numbers && !(self.lower.is_some_and(has) && self.upper.is_some_and(has))
    }
}

fn is_nan(value: &Literal) -> bool {
    matches!(value, Literal::Float(value) if value.is_nan())
}

fn bytes(value: &Literal) -> Option<&[u8]> {
    match value {
        Literal::String(text) => Some(text.as_bytes()),
        Literal::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
