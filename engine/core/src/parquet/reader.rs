//! One column of one row group, decoded by the crate's reader from bytes in memory, batch by batch into a sink.
//!
//! The reference path: every type and encoding that the `parquet` crate reads. Must not know: connections, files.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Kind, Result};
use crate::parquet::adapt::Adapt;
use crate::parquet::decode::{PageStarts, SharedPages};
use crate::parquet::decoding;
use crate::parquet::layout::FileNode;
use crate::runtime::Cancel;

/// Rows a batch: 8,192 views are 128 KiB, so a batch is still in the core's cache when it is copied to its place.
const BATCH_ROWS: usize = 8192;

/// Column chunks of a row group, in memory.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    parts: Vec<(u64, Bytes)>,
    file_size: u64,
}

impl Chunks {
    /// Chunks by their offset in a file of `file_size` bytes.
    pub fn new(mut parts: Vec<(u64, Bytes)>, file_size: u64) -> Chunks {
        parts.sort_by_key(|(offset, _)| *offset);
        Chunks { parts, file_size }
    }

    /// The bytes of a range that is a chunk of these, or inside one.
    pub fn bytes(&self, range: &Range<u64>) -> Result<Bytes> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        self.get_bytes(range.start, length).map_err(decoding)
    }

    /// Bytes of the file that the chunks are of.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    fn slice(&self, start: u64) -> parquet::errors::Result<Bytes> {
        let at = self.parts.partition_point(|(offset, _)| *offset <= start);
        let found = at.checked_sub(1).and_then(|at| self.parts.get(at)).and_then(|(offset, bytes)| {
            let skip = usize::try_from(start - offset).ok()?;
            (skip <= bytes.len()).then(|| bytes.slice(skip..))
        });
        found.ok_or_else(|| ParquetError::EOF(format!("byte {start} is outside the column chunk")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file_size
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(bytes::Buf::reader(self.slice(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.slice(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF(format!("{length} bytes at {start} end outside the column chunk"))),
        }
    }
}

/// Byte range of a leaf column's chunk.
pub fn chunk_range(reader: &ArrowReaderMetadata, row_group: usize, leaf: usize, file_size: u64) -> Result<Range<u64>> {
    let column = reader.metadata().row_group(row_group).column(leaf);
    let (start, length) = column.byte_range();
    let end = start.checked_add(length).filter(|end| *end <= file_size);
    end.map(|end| start..end).ok_or_else(|| {
        let message =
            format!("column chunk {} claims {length} bytes at {start} in a file of {file_size}", column.column_path());
        Error::new(Kind::ParquetDecoding, message).hint("the file is damaged, or its footer belongs to another file")
    })
}

/// What to decode.
pub struct ColumnTask<'a> {
    /// The file
    pub reader: &'a ArrowReaderMetadata,
    /// Row group in the file
    pub row_group: usize,
    /// Leaves of one top-level column
    pub leaves: &'a [usize],
    /// That column, if it is a leaf or a list of one
    pub node: Option<&'a FileNode>,
    /// What makes the table's column of it
    pub adapt: &'a Adapt,
    /// The table's column
    pub target: &'a DataType,
    /// Rows to keep, None for all
    pub wanted: Option<&'a BooleanBuffer>,
    /// Where other parts of the row group, whose chunks are in memory, are decoded too
    pub part: Option<Part<'a>>,
}

/// What a part of a row group has of those who decode the others.
pub struct Part<'a> {
    /// Where pages are found that others need too
    pub shared: &'a Arc<SharedPages>,
    /// The pages of the leaf's chunk, where they were looked at
    pub starts: Option<&'a PageStarts>,
    /// The rows that it is of: no others are wanted
    pub rows: Range<usize>,
}

/// Decodes one column of one row group; `sink` takes the batches in order.
pub fn decode_column(
    task: &ColumnTask<'_>,
    chunks: &Chunks,
    cancel: &Cancel,
    mut sink: impl FnMut(&ArrayRef) -> Result<()>,
) -> Result<()> {
    let mask = ProjectionMask::leaves(task.reader.parquet_schema(), task.leaves.iter().copied());
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), task.reader.clone())
        .with_row_groups(vec![task.row_group])
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS);
    let filter = task.wanted.map(|wanted| BooleanArray::new(wanted.clone(), None));
    // The crate's reader never ends where the levels of a nested column do so early and rows are to be passed over:
    // such columns are decoded whole.
    let is_flat = task.leaves.iter().all(|leaf| is_flat(task, *leaf));
    if let (Some(filter), true) = (&filter, is_flat) {
        builder = builder.with_row_selection(RowSelection::from_filters(std::slice::from_ref(filter)));
    }
    let mut row = 0;
    for batch in builder.build().map_err(decoding)? {
        cancel.check()?;
        let batch = batch.map_err(|e| decoding(ParquetError::from(e)))?;
        let Some(column) = batch.columns().first() else {
            return Err(Error::new(Kind::Internal, "the projection of one column decoded to none"));
        };
        check_text(column.as_ref())?;
        let column = match &filter {
            Some(filter) if !is_flat => {
                let rows = column.len().min(filter.len().saturating_sub(row));
                row += rows;
                arrow_select::filter::filter(&column.slice(0, rows), &filter.slice(row - rows, rows))
                    .map_err(|e| decoding(ParquetError::from(e)))?
            }
            _ => column.clone(),
        };
        sink(&task.adapt.apply(column, task.target)?)?;
    }
    Ok(())
}

fn is_flat(task: &ColumnTask<'_>, leaf: usize) -> bool {
    let column = task.reader.parquet_schema().column(leaf);
    column.max_rep_level() == 0 && column.path().parts().len() == 1
}

/// Refuses strings that are not UTF-8, at any depth: the crate's reader looks only at columns that Parquet itself calls
/// UTF8, and there not at a character that two values share.
fn check_text(array: &dyn Array) -> Result<()> {
    match array.data_type() {
        DataType::Utf8View => {
            let strings = array.as_string_view();
            let bytes = strings.clone().to_binary_view();
            let is_text = |at: usize| bytes.is_null(at) || simdutf8::basic::from_utf8(bytes.value(at)).is_ok();
            match (0..bytes.len()).all(is_text) {
                true => Ok(()),
                false => Err(decoding(ParquetError::General("a string is not UTF-8".into()))),
            }
        }
        DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|column| check_text(column.as_ref())),
        DataType::LargeList(_) => check_text(array.as_list::<i64>().values().as_ref()),
        DataType::Map(_, _) => check_text(array.as_map().entries()),
        _ => Ok(()),
    }
}
