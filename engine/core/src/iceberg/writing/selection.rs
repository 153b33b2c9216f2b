//! Which files of a table a change removes: all, those a filter selects, those in the partitions of new files, those named.
//!
//! Must not know: what becomes of them, stores. Neighbours: `listing` judges by filters, `rewrite` asks.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::data_file::{DataFile, Entry, Status};
use super::descriptor::Descriptor;
use super::manifest::Layout;
use super::single_value::to_binary;
use crate::error::Result;
use crate::iceberg::listing::{Fate, Judge};
use crate::iceberg::predicate::{Literal, Predicate};
use crate::iceberg::request::PlanRequest;
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Type;
use crate::runtime::Cancel;

/// How files are selected, as a request says it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rule {
    /// Every file
    All,
    /// By the request's filter
    Filter,
    /// By the partitions of the request's files
    Partitions,
    /// The files that were rewritten, and no others
    Listed,
}

pub(super) type Tuple = Vec<Option<Vec<u8>>>;

/// A rule made ready.
pub(super) enum Selection {
    All,
    Filter(Box<Judge>),
    Partitions(HashMap<i32, Partitions>),
    Listed(HashSet<String>),
}

/// Partitions of one spec.
#[derive(Default)]
pub(super) struct Partitions {
    tuples: HashSet<Tuple>,
    values: Vec<Vec<Option<Literal>>>,
}

impl Selection {
    pub(super) fn new(
        rule: Rule,
        request: &PlanRequest,
        filter: &Predicate,
        files: &[String],
        layouts: &HashMap<i32, Layout>,
        files_spec: i32,
        listed: &HashSet<String>,
    ) -> Result<Selection> {
        Ok(match rule {
            Rule::All => Selection::All,
            Rule::Listed => Selection::Listed(listed.clone()),
            Rule::Filter => Selection::Filter(Box::new(Judge::new(request, filter)?)),
            Rule::Partitions => {
                let mut chosen = Partitions::default();
                if let Some(layout) = layouts.get(&files_spec) {
                    for text in files {
                        let file = DataFile::from_json(text, files_spec, &layout.types)?;
                        if chosen.tuples.insert(tuple(&file.partition, &layout.types)) {
                            chosen.values.push(file.partition);
                        }
                    }
                }
                Selection::Partitions(HashMap::from([(files_spec, chosen)]))
            }
        })
    }

    /// Whether a manifest holds nothing that is selected, by what its list says.
    pub(super) fn passes_over(&self, manifest: &Descriptor, types: &[Option<Type>]) -> Result<bool> {
        match self {
            Selection::All | Selection::Listed(_) => Ok(false),
            Selection::Filter(judge) => Ok(judge.prune_manifest(&manifest.as_planned())?.is_some()),
            Selection::Partitions(chosen) => Ok(match chosen.get(&manifest.spec_id) {
                Some(chosen) => !chosen.values.iter().any(|tuple| may_hold(manifest, tuple, types)),
                None => true,
            }),
        }
    }

    /// What is selected of each entry's file. `bytes` is the manifest that the entries come from.
    pub(super) fn fates(
        &self,
        bytes: &[u8],
        manifest: &Descriptor,
        entries: &dyn Fn() -> Result<Vec<Entry>>,
        types: &[Option<Type>],
        cancel: &Cancel,
    ) -> Result<Vec<Fate>> {
        let by = |chosen: &dyn Fn(&Entry) -> bool| -> Result<Vec<Fate>> {
            let is = |entry: &Entry| entry.status != Status::Deleted && chosen(entry);
            Ok(entries()?.iter().map(|entry| if is(entry) { Fate::Whole } else { Fate::Kept }).collect())
        };
        match self {
            Selection::All => by(&|_| true),
            Selection::Listed(paths) => by(&|entry| paths.contains(&entry.file.path)),
            Selection::Filter(judge) => judge.fates(bytes, &manifest.as_planned(), cancel),
            Selection::Partitions(chosen) => by(&|entry| {
                let chosen = chosen.get(&manifest.spec_id);
                chosen.is_some_and(|chosen| chosen.tuples.contains(&tuple(&entry.file.partition, types)))
            }),
        }
    }
}

/// A partition in a form that compares: values as their binary form, so that NaN equals itself.
pub(super) fn tuple(partition: &[Option<Literal>], types: &[Option<Type>]) -> Tuple {
    let binary = |(value, value_type): (&Option<Literal>, &Option<Type>)| {
        value.as_ref().zip(value_type.as_ref()).map(|(value, value_type)| to_binary(value, value_type))
    };
    partition.iter().zip(types).map(binary).collect()
}

/// Whether a manifest may hold a partition, by the summaries of its fields.
fn may_hold(manifest: &Descriptor, partition: &[Option<Literal>], types: &[Option<Type>]) -> bool {
    let Some(summaries) = manifest.partitions.as_ref().filter(|all| all.len() == partition.len()) else { return true };
    summaries.iter().zip(partition).zip(types).all(|((summary, value), value_type)| {
        let (Some(value), Some(value_type)) = (value, value_type) else { return summary.contains_null };
        let value = Scalar::of(value);
        if value.is_nan() {
            return summary.contains_nan != Some(false);
        }
        let bound = |bound: &Option<super::descriptor::Hex>| {
            let bytes = &bound.as_ref()?.0;
            Scalar::from_bound(value_type, bytes).and_then(|bound| value.order(bound))
        };
        let (below, above) = (bound(&summary.lower), bound(&summary.upper));
        !below.is_some_and(|order| order.is_lt()) && !above.is_some_and(|order| order.is_gt())
    })
}
