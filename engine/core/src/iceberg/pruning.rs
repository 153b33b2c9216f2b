//! A filter made ready to prune manifests and files with: seen through every spec's transforms, its reasons worded.
//!
//! What facts prove is settled in [`crate::iceberg::bounds`]. Must not know: Avro, Arrow, stores.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::iceberg::bounds::{Cause, Facts, refute};
use crate::iceberg::predicate::{Leaf, Predicate};
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Schema;
use crate::iceberg::specs::PartitionSpec;

/// Why something was pruned, as `explain` shows it: `partition ds`, `bounds of l_shipdate`.
pub(crate) type Reason = Arc<str>;

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

    /// Whether every row passes, given a test that proves leaves by their number.
    pub(crate) fn proven(&self, test: &impl Fn(usize) -> bool) -> bool {
        self.root.proven(test)
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
    fn proven(&self, test: &impl Fn(usize) -> bool) -> bool {
        match self {
            Node::True => true,
            Node::False => false,
            Node::Leaf(leaf) => test(*leaf),
            Node::And(parts) => parts.iter().all(|part| part.proven(test)),
            Node::Or(parts) => parts.iter().any(|part| part.proven(test)),
        }
    }

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
