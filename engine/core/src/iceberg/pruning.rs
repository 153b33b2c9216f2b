//! Which manifests and files cannot hold a row that passes the filter: the inclusive evaluators.
//!
//! One function, [`refute`], compares a test with what is known of a field's values; the facts come from a manifest's
//! partition summaries, a file's partition tuple or a file's statistics. It refutes only what is certain: missing
//! facts keep, bounds may be truncated, and bounds do not cover NaN, which is larger than every number. Must not
//! know: Avro, Arrow, stores.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::iceberg::predicate::{Leaf, Literal, Op, Predicate};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::{Schema, Type};
use crate::iceberg::specs::PartitionSpec;

/// Why something was pruned, as `explain` shows it: `partition ds`, `bounds of l_shipdate`.
pub(crate) type Reason = Arc<str>;

/// What is known of a field's values in a file, or of a partition field's in a manifest. Default: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts<'a> {
    /// No value that is neither null nor NaN is smaller
    pub(crate) lower: Option<Scalar<'a>>,
    /// No value that is neither null nor NaN is larger
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

impl<'a> Facts<'a> {
    /// Of a field that holds one value, or null, in all rows.
    pub(crate) fn of_value(value: Option<Scalar<'a>>) -> Facts<'a> {
        let nan = value.is_some_and(Scalar::is_nan);
        let known = Facts { no_nulls: value.is_some(), only_nulls: value.is_none(), ..Facts::default() };
        Facts { lower: value, upper: value, no_nans: !nan, only_nans: nan, ..known }
    }

    /// Bounds of the values that are neither null nor NaN, where they can be trusted.
    fn number_bounds(&self) -> (Option<Scalar<'a>>, Option<Scalar<'a>>) {
        let number = |bound: &Scalar| !bound.is_nan(); // some writers put NaN there: it says nothing
        match (self.lower.filter(number), self.upper.filter(number)) {
            // The wrong way round: written in another order (UUIDs as signed numbers)
            (Some(lower), Some(upper)) if lower.order(upper).is_none_or(Ordering::is_gt) => (None, None),
            bounds => bounds,
        }
    }

    /// Bounds of the values that are not null: NaN is the upper one where it cannot be ruled out.
    fn full_bounds(&self, field_type: &Type) -> (Option<Scalar<'a>>, Option<Scalar<'a>>) {
        const NAN: Option<Scalar> = Some(Scalar::Float(f64::NAN));
        let (lower, upper) = self.number_bounds();
        match field_type {
            Type::Float | Type::Double if self.only_nans => (NAN, NAN),
            Type::Float | Type::Double if self.no_nans => (lower, upper.or(Some(Scalar::Float(f64::INFINITY)))),
            Type::Float | Type::Double => (lower, NAN),
            _ => (lower, upper),
        }
    }
}

/// What a test was refuted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Bounds,
    Nulls,
    Nans,
}

/// Whether no row with these facts can pass the test. Values of `in` must be sorted.
pub(crate) fn refute(leaf: &Leaf, facts: &Facts) -> Option<Cause> {
    let because = |holds: bool, cause: Cause| holds.then_some(cause);
    match leaf.op {
        Op::IsNull => because(facts.no_nulls, Cause::Nulls),
        Op::NotNan => because(facts.no_nulls && facts.only_nans, Cause::Nans),
        _ if facts.only_nulls => Some(Cause::Nulls),
        Op::NotNull => None,
        Op::IsNan => because(facts.no_nans, Cause::Nans),
        Op::Eq | Op::In => because(none_of(&leaf.values, facts, &leaf.field_type), Cause::Bounds),
        _ => because(outside(leaf, facts.full_bounds(&leaf.field_type)), Cause::Bounds),
    }
}

/// Whether none of the sorted values, NaN the last, is among the facts' values.
fn none_of(values: &[Literal], facts: &Facts, field_type: &Type) -> bool {
    let numbers = values.partition_point(|value| !Scalar::of(value).is_nan());
    let (lower, upper) = if facts.only_nans { facts.full_bounds(field_type) } else { facts.number_bounds() };
    none_within(&values[..numbers], lower, upper) && (numbers == values.len() || facts.no_nans)
}

fn outside(leaf: &Leaf, (lower, upper): (Option<Scalar>, Option<Scalar>)) -> bool {
    use Ordering::{Equal, Greater, Less};
    let first = leaf.values.first().map(Scalar::of);
    let is = |left: Option<Scalar>, right: Option<Scalar>, orders: &[Ordering]| {
        let order = left.zip(right).and_then(|(left, right)| left.order(right));
        order.is_some_and(|order| orders.contains(&order))
    };
    let same = is(lower, upper, &[Equal]);
    match leaf.op {
        Op::Lt => is(lower, first, &[Greater, Equal]),
        Op::Le => is(lower, first, &[Greater]),
        Op::Gt => is(upper, first, &[Less, Equal]),
        Op::Ge => is(upper, first, &[Less]),
        Op::Ne | Op::NotIn => same && !none_within(&leaf.values, lower, upper),
        Op::StartsWith => no_prefix(lower, upper, first),
        Op::NotStartsWith => {
            let starts = |bound: Option<Scalar>| {
                bound.zip(first).is_some_and(|(bound, prefix)| bound.starts_with(prefix) == Some(true))
            };
            starts(lower) && starts(upper)
        }
        Op::Eq | Op::In | Op::IsNull | Op::NotNull | Op::IsNan | Op::NotNan => false, // by their own rules
    }
}

/// Whether none of the sorted values lies within the bounds.
fn none_within(values: &[Literal], lower: Option<Scalar>, upper: Option<Scalar>) -> bool {
    let below = |value: &Literal| lower.is_some_and(|lower| Scalar::of(value).order(lower) == Some(Ordering::Less));
    let candidate = values.get(values.partition_point(below)).map(Scalar::of);
    match (candidate, upper) {
        (None, _) => true,
        (Some(candidate), Some(upper)) => candidate.order(upper) == Some(Ordering::Greater),
        (Some(_), None) => false,
    }
}

/// Whether no string between the bounds starts with `prefix`.
fn no_prefix(lower: Option<Scalar>, upper: Option<Scalar>, prefix: Option<Scalar>) -> bool {
    let Some(Scalar::Bytes(prefix)) = prefix else { return false };
    let below = matches!(upper, Some(Scalar::Bytes(upper)) if upper < prefix);
    let above = matches!(lower, Some(Scalar::Bytes(lower)) if lower > prefix && !lower.starts_with(prefix));
    below || above
}

/// A filter made ready to prune with: leaves numbered, their values sorted, reasons worded.
#[derive(Debug)]
pub(crate) struct Filter {
    root: Node,
    pub(crate) leaves: Vec<NamedLeaf>,
}

/// A leaf and the column that it tests.
#[derive(Debug)]
pub(crate) struct NamedLeaf {
    pub(crate) leaf: Leaf,
    bounds: Reason,
    nulls: Reason,
    nans: Reason,
}

#[derive(Debug)]
enum Node {
    True,
    False,
    And(Vec<Node>),
    Or(Vec<Node>),
    Leaf(usize),
}

/// A filter seen through the transforms of one spec.
#[derive(Debug)]
pub(crate) struct SpecFilter {
    /// For every leaf of the filter its projections
    projections: Vec<Vec<Projection>>,
}

#[derive(Debug)]
struct Projection {
    /// Position of the field in the spec
    position: usize,
    leaf: Leaf,
    reason: Reason,
}

impl Filter {
    /// Prepares a bound filter; the schema gives names for the reasons.
    pub(crate) fn new(predicate: &Predicate, schema: &Schema) -> Filter {
        let mut leaves = Vec::new();
        let root = number(predicate, schema, &mut leaves);
        Filter { root, leaves }
    }

    /// Whether no row can pass, given a test that refutes leaves by their number; with the reasons.
    pub(crate) fn refuted(&self, test: &impl Fn(usize) -> Option<Reason>) -> Option<Vec<Reason>> {
        self.root.refuted(test)
    }

    /// The reason that goes with a leaf refuted by a file's statistics.
    pub(crate) fn reason(&self, leaf: usize, cause: Cause) -> Reason {
        let named = &self.leaves[leaf];
        Arc::clone(match cause {
            Cause::Bounds => &named.bounds,
            Cause::Nulls => &named.nulls,
            Cause::Nans => &named.nans,
        })
    }

    /// The filter through a spec's transforms.
    pub(crate) fn project(&self, spec: &PartitionSpec) -> SpecFilter {
        let project = |named: &NamedLeaf| {
            let fields = spec.fields.iter().enumerate();
            let fields =
                fields.filter(|(_, field)| field.source == Some(named.leaf.field) && field.value_type.is_some());
            let projections = fields.filter_map(|(position, field)| {
                let leaf = sorted(field.transform.project(&named.leaf)?);
                Some(Projection { position, leaf, reason: format!("partition {}", field.name).into() })
            });
            projections.collect()
        };
        SpecFilter { projections: self.leaves.iter().map(project).collect() }
    }
}

impl SpecFilter {
    /// Whether a leaf is refuted by what is known of the partition fields, by their position in the spec.
    pub(crate) fn refuted<'a>(&self, leaf: usize, facts: &impl Fn(usize) -> Facts<'a>) -> Option<Reason> {
        let refuted = |projection: &&Projection| refute(&projection.leaf, &facts(projection.position)).is_some();
        self.projections[leaf].iter().find(refuted).map(|projection| Arc::clone(&projection.reason))
    }
}

impl Node {
    fn refuted(&self, test: &impl Fn(usize) -> Option<Reason>) -> Option<Vec<Reason>> {
        match self {
            Node::True => None,
            Node::False => Some(vec!["the filter is never true".into()]),
            Node::Leaf(leaf) => test(*leaf).map(|reason| vec![reason]),
            Node::And(parts) => parts.iter().find_map(|part| part.refuted(test)),
            Node::Or(parts) if parts.is_empty() => Node::False.refuted(test),
            Node::Or(parts) => {
                let mut reasons = Vec::new();
                for part in parts {
                    for reason in part.refuted(test)? {
                        if !reasons.contains(&reason) {
                            reasons.push(reason);
                        }
                    }
                }
                Some(reasons)
            }
        }
    }
}

fn number(predicate: &Predicate, schema: &Schema, leaves: &mut Vec<NamedLeaf>) -> Node {
    match predicate {
        Predicate::True => Node::True,
        Predicate::False => Node::False,
        Predicate::And(parts) => Node::And(parts.iter().map(|part| number(part, schema, leaves)).collect()),
        Predicate::Or(parts) => Node::Or(parts.iter().map(|part| number(part, schema, leaves)).collect()),
        Predicate::Leaf(leaf) => {
            let name = schema.field(leaf.field).map_or_else(|| leaf.field.to_string(), |field| field.name.clone());
            leaves.push(NamedLeaf {
                leaf: sorted(leaf.clone()),
                bounds: format!("bounds of {name}").into(),
                nulls: format!("null counts of {name}").into(),
                nans: format!("NaN counts of {name}").into(),
            });
            Node::Leaf(leaves.len() - 1)
        }
    }
}

fn sorted(mut leaf: Leaf) -> Leaf {
    leaf.values.sort_by(|left, right| Scalar::of(left).order(Scalar::of(right)).unwrap_or(Ordering::Equal));
    leaf
}

#[cfg(test)]
#[path = "pruning_tests.rs"]
mod tests;
