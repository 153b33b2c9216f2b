//! One column of one row group: from its chunks, when they are all there, or piece by piece while they come.
//!
//! Must not know: other columns, how bytes travel.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::DataType;
use futures::StreamExt;

use crate::error::{Error, Kind, Result};
use crate::load::Context;
use crate::load::open::Group;
use crate::parquet::columns::{ColumnPart, repeat};
use crate::parquet::decode::Refusal;
use crate::parquet::fill::{self, direct, finish, give_up};
use crate::parquet::mapping::ColumnSource;
use crate::parquet::reader::{Chunks, ColumnTask, chunk_range};

/// A column chunk larger than this is decoded while it comes: it and its values would be in memory together else.
const STREAMED_FROM_BYTES: u64 = 24 << 20;
/// Bytes of its pieces,
const PIECE_BYTES: u64 = 8 << 20;
/// and how many are under way while one is decoded.
const PIECES_AHEAD: usize = 4;
/// Strings are copied out of their pages where less than one row in this many is wanted.
const COPY_STRINGS_BELOW: usize = 2;

/// A column of a row group, and the part that it is to fill.
pub(crate) struct Column {
    pub context: Arc<Context>,
    pub group: Arc<Group>,
    pub index: usize,
    pub part: ColumnPart,
}

impl Column {
    /// Leaf columns of the file that it is made of.
    pub fn leaves(&self) -> &[usize] {
        self.group.leaves(self.index)
    }

    /// Bytes of its chunks.
    pub fn bytes(&self) -> u64 {
        self.leaves().iter().map(|leaf| self.group.chunk_bytes(*leaf)).sum()
    }

    /// Whether it is to be decoded while it comes.
    pub fn is_streamed(&self) -> bool {
        self.leaves().len() == 1 && self.group.file.whole.is_none() && self.bytes() >= STREAMED_FROM_BYTES
    }

    /// Decodes chunks that are there.
    pub async fn fill(self, chunks: Chunks) -> Result<()> {
        let (context, place) = (Arc::clone(&self.context), self.place());
        let work = move || {
            let counted = Arc::clone(&self.context);
            counted.metrics.decode.time(|| self.fill_now(&chunks))
        };
        context.decode(work).await.map_err(|error| error.at(place))
    }

    /// Fetches the chunk in pieces and decodes each when it is there.
    pub async fn stream(mut self) -> Result<()> {
        let (context, group, index, place) =
            (Arc::clone(&self.context), Arc::clone(&self.group), self.index, self.place());
        let named = |error: Error| error.context(label(&context, &group, index)).at(&place);
        self.copy_strings()?;
        let mut decoder = match task(&context, &group, index).map(|task| direct(&task, self.part, context.limits())) {
            Some(Ok(decoder)) => decoder,
            Some(Err(part)) => return Column { part: *part, context, group, index }.whole().await,
            None => return Err(Error::new(Kind::Internal, "a column without a source")),
        };
        let leaf = group.leaves(index).first().copied().unwrap_or(0);
        let range = chunk_range(&group.file.mapping.reader, group.index, leaf, group.file.file_size).map_err(named)?;
        let (start, end) = (range.start, range.end);
        let starts = (0..(end - start).div_ceil(PIECE_BYTES)).map(|at| start + at * PIECE_BYTES);
        let fetches = starts.map(|start| {
            let (object, piece) = (group.file.object.clone(), start..(start + PIECE_BYTES).min(end));
            let is_last = piece.end == end;
            crate::runtime::spawn(async move { Ok((object.read_range(piece).await?, is_last)) })
        });
        let mut fetches = futures::stream::iter(fetches).buffered(PIECES_AHEAD);
        while let Some(piece) = fetches.next().await {
            let (bytes, is_last) = piece.map_err(named)?;
            let (length, counted) = (bytes.len() as u64, Arc::clone(&context));
            let work = move || {
                let fed = counted.metrics.decode.time(|| decoder.feed(&bytes, is_last, &counted.cancel));
                Ok((decoder, fed))
            };
            let (back, fed) = context.decode(work).await.map_err(named)?;
            match fed {
                Ok(()) => context.progress.add(length),
                Err(Refusal::Unsupported) => {
                    drop(fetches);
                    let part = give_up(back, Refusal::Unsupported)?;
                    return Column { context, group, index, part }.whole().await;
                }
                Err(refusal) => return Err(named(refusal.into_error())),
            }
            decoder = back;
        }
        context.metrics.decoded(true, end - start);
        finish(decoder).and_then(ColumnPart::finish).map_err(named)
    }

    async fn whole(self) -> Result<()> {
        let chunks = self.group.file.chunks(self.group.index, self.leaves()).await?;
        self.fill(chunks).await
    }

    fn fill_now(mut self, chunks: &Chunks) -> Result<()> {
        self.copy_strings()?;
        let Column { context, group, index, mut part } = self;
        let named = |error: Error| error.context(label(&context, &group, index));
        let part = match (group.file.mapping.columns.get(index), task(&context, &group, index)) {
            (Some(ColumnSource::Leaves { leaves, .. }), Some(task)) => {
                let filled = fill::fill(&task, chunks, part, context.limits(), &context.cancel);
                let (part, direct) = filled.map_err(named)?;
                context.metrics.decoded(direct, leaves.iter().map(|leaf| group.chunk_bytes(*leaf)).sum());
                part
            }
            (Some(ColumnSource::Constant(value)), _) => {
                let data_type = context.request.wanted.schema.field(index).data_type();
                part.append(&constant(value, part.missing(), data_type)?)?;
                part
            }
            _ => return Err(Error::new(Kind::Internal, "a column without a source")),
        };
        part.finish().map_err(named)
    }

    fn copy_strings(&mut self) -> Result<()> {
        match &self.group.kept {
            Some(kept) if kept.rows < self.group.total / COPY_STRINGS_BELOW => self.part.copy_strings(),
            _ => Ok(()),
        }
    }

    fn place(&self) -> String {
        self.group.file.task.location.clone()
    }
}

fn task<'a>(context: &'a Context, group: &'a Group, index: usize) -> Option<ColumnTask<'a>> {
    let Some(ColumnSource::Leaves { leaves, adapt }) = group.file.mapping.columns.get(index) else { return None };
    Some(ColumnTask {
        reader: &group.file.mapping.reader,
        row_group: group.index,
        leaves,
        node: leaves.first().and_then(|leaf| group.file.mapping.root.top(*leaf)),
        adapt,
        target: context.request.wanted.schema.field(index).data_type(),
        wanted: group.kept.as_ref().map(|kept| &kept.mask),
    })
}

fn label(context: &Context, group: &Group, index: usize) -> String {
    format!("column {:?}, row group {}", context.request.wanted.schema.field(index).name(), group.index)
}

/// `value` (one row) in every row.
pub(crate) fn constant(value: &ArrayRef, rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    if value.is_null(0) { Ok(new_null_array(data_type, rows)) } else { repeat(value, rows) }
}
