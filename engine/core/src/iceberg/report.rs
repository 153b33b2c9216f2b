//! What a plan read, kept and pruned, and why: the numbers behind `explain`.
//!
//! Serialises to JSON, for example:
//!
//! ```json
//! {"manifests": {"total": 3, "read": 2, "cached": 1, "pruned": 1, "bytes_read": 21034},
//!  "files": {"total": 9, "kept": 4, "pruned_by_partition": 3, "pruned_by_statistics": 2},
//!  "rows": {"kept": 400, "pruned": 500}, "bytes": {"kept": 81920, "pruned": null},
//!  "deletes": {"files": 3, "apply": 2, "position": 1, "equality": 1, "vectors": 0, "records": 12},
//!  "reasons": [{"reason": "partition ds", "of": "manifests", "count": 1}, ...]}
//! ```
//!
//! A number is null where a manifest was pruned whose list does not say it. Must not know: how anything is pruned.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::iceberg::deletes::{DeleteFile, DeleteKind};
use crate::iceberg::manifest_list::ManifestFile;
use crate::iceberg::pruning::Reason;

/// The report of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlanReport {
    /// Manifests of data files
    pub manifests: ManifestCounts,
    /// Live data files
    pub files: FileCounts,
    /// Live delete files
    pub deletes: DeleteCounts,
    /// Rows of live data files, before row deletes
    pub rows: Amount,
    /// Bytes of live data files
    pub bytes: Amount,
    /// Why, the most frequent first
    pub reasons: Vec<ReasonCount>,
}

impl PlanReport {
    /// The JSON form.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// How many manifests of data files there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ManifestCounts {
    pub total: u64,
    /// Those whose entries were looked at
    pub read: u64,
    /// Those of them that an earlier plan of this process had read
    pub cached: u64,
    pub pruned: u64,
    /// From the store, of manifests only, without their list
    pub bytes_read: u64,
}

/// How many live data files there are. Files of pruned manifests count as pruned by partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct FileCounts {
    pub total: Option<u64>,
    pub kept: u64,
    pub pruned_by_partition: Option<u64>,
    pub pruned_by_statistics: u64,
}

/// How many live delete files and deletion vectors there are, and of what kind those are that apply to files kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct DeleteCounts {
    pub files: u64,
    pub apply: u64,
    pub position: u64,
    pub equality: u64,
    pub vectors: u64,
    /// Deletes in those that apply
    pub records: u64,
}

impl DeleteCounts {
    /// Of `files` in all these apply.
    pub(crate) fn of(files: usize, apply: &[Arc<DeleteFile>]) -> DeleteCounts {
        let count = |kind: DeleteKind| apply.iter().filter(|file| file.kind == kind).count() as u64;
        DeleteCounts {
            files: files as u64,
            apply: apply.len() as u64,
            position: count(DeleteKind::Positions),
            equality: count(DeleteKind::Equality),
            vectors: count(DeleteKind::Vector),
            records: apply.iter().fold(0, |sum, file| sum.saturating_add(file.record_count)),
        }
    }
}

/// Rows or bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Amount {
    pub kept: u64,
    pub pruned: Option<u64>,
}

/// How often a reason pruned something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReasonCount {
    /// `partition ds`, `bounds of l_shipdate`; several, joined by "and", for the parts of an `or`
    pub reason: String,
    /// "manifests" or "files"
    pub of: &'static str,
    /// How many
    pub count: u64,
}

/// Counts of one manifest's files, and their sum over manifests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kept: Sum,
    pub(crate) by_partition: Sum,
    pub(crate) by_statistics: Sum,
    reasons: BTreeMap<(String, &'static str), u64>,
    manifests: ManifestCounts,
    /// Some pruned manifest did not say how many (files, rows)
    unknown: (bool, bool),
}

/// Files, their rows and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Sum {
    /// One more file.
    pub(crate) fn add(&mut self, rows: u64, bytes: u64) {
        self.merge(Sum { files: 1, rows, bytes });
    }

    fn merge(&mut self, other: Sum) {
        self.files = self.files.saturating_add(other.files);
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Tally {
    /// A file was pruned for these reasons.
    pub(crate) fn file_pruned(&mut self, reasons: &[Reason]) {
        self.count(reasons, "files", 1);
    }

    /// A manifest was read, so many bytes of it from the store; None: an earlier plan's cache had it.
    pub(crate) fn manifest_read(&mut self, bytes: Option<usize>) {
        self.manifests.total += 1;
        self.manifests.read += 1;
        self.manifests.cached += u64::from(bytes.is_none());
        self.manifests.bytes_read += bytes.unwrap_or(0) as u64;
    }

    /// A manifest was not read for these reasons.
    pub(crate) fn manifest_pruned(&mut self, manifest: &ManifestFile, reasons: &[Reason]) {
        self.manifests.total += 1;
        self.manifests.pruned += 1;
        self.count(reasons, "manifests", 1);
        let (files, rows) = (manifest.live_files(), manifest.live_rows());
        self.unknown.0 |= files.is_none();
        self.unknown.1 |= rows.is_none();
        self.by_partition.merge(Sum { files: files.unwrap_or(0), rows: rows.unwrap_or(0), bytes: 0 });
    }

    /// Adds another manifest's counts.
    pub(crate) fn merge(&mut self, other: Tally) {
        self.kept.merge(other.kept);
        self.by_partition.merge(other.by_partition);
        self.by_statistics.merge(other.by_statistics);
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self.manifests.total += other.manifests.total;
        self.manifests.read += other.manifests.read;
        self.manifests.cached += other.manifests.cached;
        self.manifests.pruned += other.manifests.pruned;
        self.manifests.bytes_read += other.manifests.bytes_read;
        self.unknown = (self.unknown.0 | other.unknown.0, self.unknown.1 | other.unknown.1);
    }

    /// The report of all that was counted. `live_manifests_pruned`: bytes in them are not known.
    pub(crate) fn report(self, live_manifests_pruned: bool) -> PlanReport {
        let known = |unknown: bool, number: u64| (!unknown).then_some(number);
        let pruned = |of: fn(&Sum) -> u64| of(&self.by_partition).saturating_add(of(&self.by_statistics));
        let total = self.kept.files.saturating_add(pruned(|sum| sum.files));
        let mut reasons: Vec<_> = self
            .reasons
            .iter()
            .map(|((reason, of), count)| ReasonCount { reason: reason.clone(), of, count: *count })
            .collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        PlanReport {
            files: FileCounts {
                total: known(self.unknown.0, total),
                kept: self.kept.files,
                pruned_by_partition: known(self.unknown.0, self.by_partition.files),
                pruned_by_statistics: self.by_statistics.files,
            },
            rows: Amount { kept: self.kept.rows, pruned: known(self.unknown.1, pruned(|sum| sum.rows)) },
            bytes: Amount { kept: self.kept.bytes, pruned: known(live_manifests_pruned, pruned(|sum| sum.bytes)) },
            manifests: self.manifests,
            deletes: DeleteCounts::default(),
            reasons,
        }
    }

    fn count(&mut self, reasons: &[Reason], of: &'static str, by: u64) {
        let text = match reasons {
            [only] => only.to_string(),
            several => several.join(" and "),
        };
        *self.reasons.entry((text, of)).or_default() += by;
    }
}
