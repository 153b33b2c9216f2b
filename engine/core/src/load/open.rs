//! Stage 1: footers of all files, columns matched, row groups that cannot match the filter dropped.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::BooleanBuffer;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use crate::arena::Share;
use crate::error::{Error, Kind, Result};
use crate::fetch::PinnedObject;
use crate::iceberg::predicate::Predicate;
use crate::load::foreign;
use crate::load::held::Held;
use crate::load::metadata::add_constants;
use crate::load::source::FileTask;
use crate::load::{Context, columns};
use crate::parquet::index::is_sparse;
use crate::parquet::layout;
use crate::parquet::mapping::{ColumnSource, FileMapping};
use crate::parquet::pruning::{LeafSource, may_match};

/// A file of which all is wanted comes in one request up to this size: a second one costs more than its transfer.
const WHOLE_FILE_BYTES: u64 = 4 << 20;
/// Footers under way at once. Each is one small request: latency, not bytes.
const CONCURRENT_FOOTERS: usize = 32;

/// A file whose footer was read.
pub(crate) struct OpenFile {
    pub object: PinnedObject,
    pub file_size: u64,
    pub mapping: FileMapping,
    pub whole: Option<Bytes>,
    /// It is no Parquet file: `whole` was made of it, and this accounts for that
    pub made: Option<Share>,
    pub task: FileTask,
    pub defaults: Arc<HashMap<i32, ArrayRef>>,
}

/// A row group that is to be loaded, or the rows of it that a filter left.
pub(crate) struct Group {
    pub file: Arc<OpenFile>,
    pub index: usize,
    /// Position of its first row in the file
    pub first_row: u64,
    pub kept: Option<Kept>,
    pub total: usize,
    /// Its chunks, where several parts of it are decoded from the same bytes
    pub held: Option<Arc<Held>>,
}

/// Rows of a group that survive.
pub(crate) struct Kept {
    pub mask: BooleanBuffer,
    pub rows: usize,
    /// Whether pages may be expected that hold none of them
    pub is_sparse: bool,
    /// The rows that they lie between, where the others are wanted too, by others: long strings are copied, so that no
    /// page is kept twice
    pub part: Option<Range<usize>>,
}

impl Kept {
    pub fn new(mask: BooleanBuffer, rows: usize) -> Kept {
        let is_sparse = is_sparse(&mask);
        Kept { mask, rows, is_sparse, part: None }
    }
}

impl Group {
    /// Rows it adds to the frame.
    pub fn rows(&self) -> usize {
        self.kept.as_ref().map_or(self.total, |kept| kept.rows)
    }

    /// The same group without the rows that the mask leaves out; None if none is left.
    pub fn keeping(mut self, mask: &BooleanBuffer) -> Option<Group> {
        let mask = self.kept.take().map_or_else(|| mask.clone(), |kept| &kept.mask & mask);
        let rows = mask.count_set_bits();
        self.kept = (rows < self.total).then(|| Kept::new(mask, rows));
        (rows > 0).then_some(self)
    }

    /// Leaf columns of the file that a wanted column is made of.
    pub fn leaves(&self, column: usize) -> &[usize] {
        match self.file.mapping.columns.get(column) {
            Some(ColumnSource::Leaves { leaves, .. }) => leaves,
            _ => &[],
        }
    }

    /// Bytes of a leaf column's chunk.
    pub fn chunk_bytes(&self, leaf: usize) -> u64 {
        self.file.mapping.reader.metadata().row_group(self.index).column(leaf).byte_range().1
    }

    /// The bytes of these leaves.
    pub async fn chunks(&self, leaves: &[usize]) -> Result<crate::parquet::reader::Chunks> {
        match &self.held {
            Some(held) => Ok(held.chunks.clone()),
            None => self.file.chunks(self.index, leaves).await,
        }
    }

    /// The rows of the row group that it may keep.
    pub fn rows_between(&self) -> Range<usize> {
        self.kept.as_ref().and_then(|kept| kept.part.clone()).unwrap_or(0..self.total)
    }

    /// Rows of the row group in the file.
    pub fn total_rows(&self) -> usize {
        self.total
    }
}

/// Opens every file; the row groups come in the files' order.
pub(crate) async fn open(context: &Arc<Context>, files: &[FileTask]) -> Result<Vec<Group>> {
    Ok(by_file(context, files).await?.into_iter().flatten().collect())
}

/// The same, each file's row groups apart.
pub(crate) async fn by_file(context: &Arc<Context>, files: &[FileTask]) -> Result<Vec<Vec<Group>>> {
    let opened: Vec<_> = files.iter().map(|task| open_one(context, task.clone())).collect();
    let opened = futures::stream::iter(opened);
    let opened: Vec<OpenFile> = opened.buffered(CONCURRENT_FOOTERS).try_collect().await?;
    context.metrics.files.add(opened.len() as u64);
    opened.into_iter().map(|file| groups(context, &Arc::new(file))).collect()
}

/// Bytes that a file has at most of which all is wanted, to come in one request.
pub(crate) fn whole_bytes(context: &Context) -> u64 {
    WHOLE_FILE_BYTES.min(context.request.in_flight / CONCURRENT_FOOTERS as u64)
}

async fn open_one(context: &Arc<Context>, mut task: FileTask) -> Result<OpenFile> {
    add_constants(&context.request.wanted.schema, &mut task)?;
    context.cancel.check()?;
    let object = PinnedObject::new(context.store.clone(), task.location.as_str(), task.size);
    let mut object = object.with_fetcher(context.fetcher.clone());
    if context.request.all_columns && context.request.limit.is_none() && context.predicate == Predicate::True {
        object = object.with_whole_bytes(whole_bytes(context));
    }
    let foreign::Opened { footer, made } = foreign::open(context, &object).await?;
    let place = |error: Error| error.at(&task.location);
    let reader = layout::reader_metadata(footer.metadata, context.request.embedded_schema).map_err(place)?;
    let mapping = FileMapping::new(reader, &context.request.wanted, &task.partition).map_err(place)?;
    Ok(OpenFile {
        object,
        file_size: footer.file_size,
        mapping,
        whole: footer.whole,
        made,
        task,
        defaults: Arc::clone(&context.request.wanted.defaults),
    })
}

fn groups(context: &Context, file: &Arc<OpenFile>) -> Result<Vec<Group>> {
    let metadata = file.mapping.reader.metadata();
    let mut groups = Vec::new();
    let mut next_row = 0;
    for (index, row_group) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(row_group.num_rows()).map_err(|_| {
            Error::new(Kind::ParquetDecoding, "a row group with a negative number of rows").at(&file.task.location)
        })?;
        let first_row = next_row;
        next_row += rows as u64;
        // Of a file that was made there is one row group, which begins where the file does.
        let starts = match &file.made {
            Some(_) => 0,
            None => row_group.columns().first().map_or(0, |column| column.byte_range().0),
        };
        if rows == 0 || !file.task.holds(starts) {
            continue;
        }
        let leaf = |id: i32| leaf_source(file, id);
        if context.predicate != Predicate::True
            && !may_match(&context.predicate, metadata.file_metadata(), row_group, &leaf)
        {
            context.metrics.row_groups_pruned.add(1);
            continue;
        }
        context.metrics.row_groups.add(1);
        groups.push(Group { file: Arc::clone(file), index, first_row, kept: None, total: rows, held: None });
    }
    Ok(groups)
}

pub(crate) fn leaf_source(file: &OpenFile, id: i32) -> LeafSource {
    match file.mapping.root.path(id).as_deref() {
        Some([.., node]) if node.leaf_count == 1 && node.children.is_empty() => LeafSource::Column(node.first_leaf),
        Some(_) => LeafSource::Unknown,
        None if file.constant(id).is_some() => LeafSource::Unknown,
        None => LeafSource::Missing,
    }
}

/// Keeps the first `limit` rows.
pub(crate) fn cut(groups: &mut Vec<Group>, limit: usize) {
    let mut left = limit;
    groups.retain_mut(|group| {
        if left == 0 {
            return false;
        }
        let rows = group.rows();
        if rows > left {
            let mask = group.kept.take().map_or_else(|| BooleanBuffer::new_set(rows), |kept| kept.mask);
            group.kept = Some(Kept::new(keep_first(&mask, left), left));
        }
        left -= group.rows();
        true
    });
}

fn keep_first(mask: &BooleanBuffer, keep: usize) -> BooleanBuffer {
    let mut left = keep;
    BooleanBuffer::collect_bool(mask.len(), |row| {
        let kept = left > 0 && mask.value(row);
        left -= usize::from(kept);
        kept
    })
}

impl OpenFile {
    /// The value of every row in a column that the file lacks: its partition value, else its initial default.
    pub fn constant(&self, id: i32) -> Option<&ArrayRef> {
        self.task.partition.get(&id).or_else(|| self.defaults.get(&id))
    }

    /// The bytes of these leaves of one row group, from the whole file where it is there.
    pub async fn chunks(&self, row_group: usize, leaves: &[usize]) -> Result<crate::parquet::reader::Chunks> {
        columns::read_chunks(self, row_group, leaves).await.map_err(|error| error.at(&self.task.location))
    }
}
