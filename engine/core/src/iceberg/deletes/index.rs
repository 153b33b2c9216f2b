//! The delete files of a snapshot, by what they apply to: which of them a data file needs.
//!
//! Spec: <https://iceberg.apache.org/spec/#scan-planning>. An equality delete is about rows of smaller sequence numbers in
//! its own partition, or everywhere if its spec has no partitions; a position delete about rows of its own partition up to
//! its own number; a deletion vector about one file, whose position deletes it replaces. A position delete or vector that
//! names its one data file is found by that name alone, as Iceberg's Java does. Must not know: manifests, Parquet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Field;

use super::{DeleteFile, DeleteKind, DeleteList, runs, runs_type};
use crate::error::{Error, Kind, Result};
use crate::iceberg::files::{DELETES, FileList};
use crate::iceberg::values::tuple_key;

/// Everything.
const GLOBAL: i32 = 0;

/// A live entry of a delete manifest.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) file: DeleteFile,
    /// None: the whole table
    pub(crate) partition: Option<Partition>,
    pub(crate) paths: Paths,
}

/// Spec and partition values, in a form that compares.
pub(crate) type Partition = (i32, Vec<u8>);

/// The data files that positions may be about.
#[derive(Clone, Debug)]
pub(crate) enum Paths {
    /// One, or those whose name starts so: bounds may be cut short
    One(Vec<u8>),
    /// Those between two bounds, where known
    Between(Option<Vec<u8>>, Option<Vec<u8>>),
}

impl Paths {
    fn may_hold(&self, path: &[u8]) -> bool {
        match self {
            Paths::One(only) => path.starts_with(only),
            Paths::Between(lower, upper) => {
                let above = lower.as_ref().is_none_or(|lower| path >= lower.as_slice());
                let below = |upper: &Vec<u8>| path <= upper.as_slice() || path.starts_with(upper);
                above && upper.as_ref().is_none_or(below)
            }
        }
    }
}

/// Delete files in order, and where to find those of a data file.
pub(crate) struct DeleteIndex {
    list: DeleteList,
    planned: Vec<Planned>,
    /// Equality deletes of the whole table and of partitions, each a run in order of sequence numbers
    equality: HashMap<Option<Partition>, std::ops::Range<usize>>,
    /// Position deletes of partitions, the same
    positions: HashMap<Option<Partition>, std::ops::Range<usize>>,
    /// Those of one path
    by_path: HashMap<Vec<u8>, Vec<usize>>,
    vectors: HashMap<Vec<u8>, usize>,
    /// Lengths of the names in `by_path`
    lengths: BTreeSet<usize>,
}

impl DeleteIndex {
    /// Puts delete files in order.
    pub(crate) fn new(mut planned: Vec<Planned>) -> Result<DeleteIndex> {
        let class = |each: &Planned| match (each.file.kind, &each.paths) {
            (DeleteKind::Equality, _) => 0,
            (DeleteKind::Positions, Paths::Between(_, _)) => 1,
            _ => 2,
        };
        let path = |each: &Planned| match &each.paths {
            Paths::One(path) => path.clone(),
            Paths::Between(_, _) => Vec::new(),
        };
        planned.sort_by_cached_key(|each| {
            let by_partition = if class(each) < 2 { each.partition.clone() } else { None };
            (class(each), by_partition, path(each), each.file.sequence_number, each.file.location.clone())
        });
        let mut index = DeleteIndex {
            list: DeleteList::new(Vec::new()),
            equality: runs_of(&planned, |each| class(each) == 0),
            positions: runs_of(&planned, |each| class(each) == 1),
            planned,
            by_path: HashMap::new(),
            vectors: HashMap::new(),
            lengths: BTreeSet::new(),
        };
        index.number_scopes();
        index.add_paths()?;
        index.list = DeleteList::new(index.planned.iter().map(|each| Arc::new(each.file.clone())).collect());
        Ok(index)
    }

    fn number_scopes(&mut self) {
        let mut scopes: BTreeMap<&Option<Partition>, i32> = BTreeMap::from([(&None, GLOBAL)]);
        for partition in self.equality.keys() {
            let next = i32::try_from(scopes.len()).unwrap_or(i32::MAX);
            scopes.entry(partition).or_insert(next);
        }
        for each in &mut self.planned {
            each.file.scope = scopes.get(&each.partition).copied().unwrap_or(GLOBAL);
        }
    }

    fn add_paths(&mut self) -> Result<()> {
        for (at, each) in self.planned.iter().enumerate() {
            let Paths::One(path) = &each.paths else { continue };
            if each.file.kind == DeleteKind::Vector {
                if let Some(other) = self.vectors.insert(path.clone(), at) {
                    let other = &self.planned[other].file.location;
                    let message = format!("two deletion vectors of one data file; the other one is in {other}");
                    return Err(Error::new(Kind::InvalidData, message).at(&each.file.location));
                }
            } else {
                self.lengths.insert(path.len());
                self.by_path.entry(path.clone()).or_default().push(at);
            }
        }
        Ok(())
    }

    /// Delete files in all.
    pub(crate) fn list(&self) -> &DeleteList {
        &self.list
    }

    /// The file list of these data files, each with its deletes.
    pub(crate) fn assign(&self, batch: RecordBatch) -> Result<FileList> {
        let files = FileList::new(batch)?;
        let (locations, specs, partitions) = (files.locations()?, files.spec_ids()?, files.partitions()?);
        let sequence = files.int64("sequence_number")?;
        let mut column = ListBuilder::new(Int32Builder::new());
        let by_partition = !self.equality.is_empty() || !self.positions.is_empty();
        for row in 0..files.len() {
            let partition = match by_partition {
                true => Some((specs.value(row), tuple_key(partitions, row)?)),
                false => None, // nobody asks
            };
            let found = self.of_file(locations.value(row).as_bytes(), &partition, sequence.value(row));
            column.values().append_slice(&runs(found)?);
            column.append(true);
        }
        let column: ArrayRef = Arc::new(column.finish());
        let batch = files.batch();
        let mut fields = batch.schema().fields().to_vec();
        fields.push(Arc::new(Field::new(DELETES, runs_type(), false)));
        let schema = arrow_schema::Schema::new_with_metadata(fields, batch.schema().metadata().clone());
        let columns = batch.columns().iter().cloned().chain([column]).collect();
        let batch = RecordBatch::try_new(Arc::new(schema), columns);
        let batch = batch.map_err(|e| Error::new(Kind::Internal, format!("the file list could not be built: {e}")))?;
        FileList::with_deletes(batch, self.list.clone())
    }

    /// Positions in the list, ascending.
    fn of_file(&self, path: &[u8], partition: &Option<Partition>, sequence: i64) -> Vec<usize> {
        let number = |at: usize| self.planned[at].file.sequence_number;
        let from = |run: &std::ops::Range<usize>, first: i64| {
            let skipped = self.planned[run.clone()].partition_point(|each| each.file.sequence_number < first);
            run.start + skipped..run.end
        };
        let mut found = Vec::new();
        for scope in [&None, partition] {
            if let Some(run) = self.equality.get(scope) {
                found.extend(from(run, sequence.saturating_add(1)));
            }
        }
        match self.vectors.get(path).filter(|at| number(**at) >= sequence) {
            Some(vector) => found.push(*vector),
            None => {
                if let Some(run) = self.positions.get(partition) {
                    found.extend(from(run, sequence).filter(|at| self.planned[*at].paths.may_hold(path)));
                }
                let named = self.lengths.iter().filter_map(|length| self.by_path.get(path.get(..*length)?));
                found.extend(named.flatten().filter(|at| number(**at) >= sequence));
            }
        }
        found.sort_unstable();
        found
    }
}

/// Runs of those of a class that are of one partition.
fn runs_of(planned: &[Planned], of: impl Fn(&Planned) -> bool) -> HashMap<Option<Partition>, std::ops::Range<usize>> {
    let mut found: HashMap<Option<Partition>, std::ops::Range<usize>> = HashMap::new();
    for (at, each) in planned.iter().enumerate().filter(|(_, each)| of(each)) {
        found.entry(each.partition.clone()).or_insert(at..at).end = at + 1;
    }
    found
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
