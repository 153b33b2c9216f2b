//! Small files that need not be opened before the result has its memory: each is opened where it is decoded.
//!
//! A small file comes in one request, footer and all. Were all of them opened first, either all their bytes would have to
//! wait in memory or each would be asked for twice. Where the table's metadata counts their rows, nothing else of their
//! footers is needed to lay the result out ([`Portion::Later`]). A file that is not as counted or has several row groups,
//! or counts that no memory is enough for, end the attempt; the load begins again and opens every file first ([`Counts`]).
//!
//! Must not know: columns, how bytes travel. Neighbours: [`super::open`] opens, [`super::columns`] decodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Kind, Result};
use crate::iceberg::predicate::Predicate;
use crate::load::open::{self, Group};
use crate::load::source::FileTask;
use crate::load::{Context, LoadRequest, laid_out};
use crate::parquet::columns::is_laid_out_by_rows;

/// Rows of the result, in its order.
pub(crate) enum Portion {
    /// A row group, or the rows of it that are left
    Group(Arc<Group>),
    /// A file that is yet to be opened
    Later(Box<Later>),
}

/// A file that comes whole, and the rows that the table's metadata counts in it.
pub(crate) struct Later {
    pub task: FileTask,
    pub rows: usize,
    pub bytes: u64,
}

/// Whether what the table's metadata counts is taken for true.
pub(crate) struct Counts(AtomicBool);

impl Counts {
    /// For a load of these files: only where every row of them is wanted, and memory follows from rows alone.
    pub fn of(request: &LoadRequest, predicate: &Predicate, files: &[FileTask]) -> Counts {
        let all = request.all_columns && request.limit.is_none() && *predicate == Predicate::True;
        let by_rows =
            || laid_out(&request.wanted.schema, request).fields().iter().all(|f| is_laid_out_by_rows(f.data_type()));
        Counts(AtomicBool::new(all && files.iter().all(|file| file.deletes.is_empty()) && by_rows()))
    }

    /// For loads that open every file first.
    pub fn unused() -> Counts {
        Counts(AtomicBool::new(false))
    }

    /// Whether they are.
    pub fn are_believed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// They are not any more: a file or the memory there is says otherwise.
    pub fn doubt(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Portion {
    /// Rows it adds to the frame.
    pub fn rows(&self) -> usize {
        match self {
            Portion::Group(group) => group.rows(),
            Portion::Later(later) => later.rows,
        }
    }
}

/// Row groups as portions.
pub(crate) fn portions(groups: Vec<Group>) -> Vec<Portion> {
    groups.into_iter().map(|group| Portion::Group(Arc::new(group))).collect()
}

/// All of these files, in order: the small ones later, the others opened.
pub(crate) async fn split(context: &Arc<Context>, files: &[FileTask]) -> Result<Vec<Portion>> {
    let later: Vec<Option<Box<Later>>> = files.iter().map(|task| Later::of(context, task)).collect();
    let first = files.iter().zip(&later).filter(|(_, later)| later.is_none());
    let first: Vec<FileTask> = first.map(|(task, _)| task.clone()).collect();
    let mut opened = open::by_file(context, &first).await?.into_iter();
    let portions = later.into_iter().flat_map(|later| match later {
        Some(later) => vec![Portion::Later(later)],
        None => portions(opened.next().unwrap_or_default()),
    });
    Ok(portions.collect())
}

impl Later {
    /// The task, if it can wait.
    fn of(context: &Context, task: &FileTask) -> Option<Box<Later>> {
        let (rows, bytes) = (task.rows?, task.size?);
        let is_small = bytes <= open::whole_bytes(context) && task.part.is_none();
        let waits = context.counts.are_believed() && is_small && rows > 0;
        waits.then(|| Box::new(Later { task: task.clone(), rows, bytes }))
    }

    /// Opens it. An error, after which counts are not believed, if it is not as counted.
    pub async fn open(&self, context: &Arc<Context>) -> Result<Arc<Group>> {
        let mut groups = open::open(context, std::slice::from_ref(&self.task)).await?;
        match groups.pop() {
            Some(group) if groups.is_empty() && group.rows() == self.rows => Ok(Arc::new(group)),
            _ => {
                context.counts.doubt();
                let message = format!("not the one row group of {} rows that the table's metadata counts", self.rows);
                Err(Error::new(Kind::ParquetDecoding, message).at(&self.task.location))
            }
        }
    }
}
