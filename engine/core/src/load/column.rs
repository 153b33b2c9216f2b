//! One column of one row group: from its chunks, when they are all there, or piece by piece while they come.
//!
//! Must not know: other columns, how bytes travel.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::DataType;
use bytes::Bytes;
use futures::StreamExt;

use crate::error::{Error, Kind, Result};
use crate::load::leaves::Wanted;
use crate::load::open::Group;
use crate::load::{Context, metadata};
use crate::parquet::columns::{ColumnPart, repeat};
use crate::parquet::decode::Refusal;
use crate::parquet::fill::{self, direct, finish, give_up};
use crate::parquet::index::{Piece, pieces};
use crate::parquet::mapping::ColumnSource;
use crate::parquet::reader::{Chunks, ColumnTask, chunk_range};

/// A column chunk larger than this is decoded while it comes: it and its values would be in memory together else.
const STREAMED_FROM_BYTES: u64 = 24 << 20;
/// The index of a chunk's pages is asked for if the chunk is at least so long,
const INDEXED_FROM_BYTES: u64 = 1 << 20;
/// and the index not longer than this.
const LONGEST_INDEX_BYTES: u64 = 16 << 20;
/// Bytes of a long chunk's pieces,
const PIECE_BYTES: u64 = 8 << 20;
/// and how many are under way while one is decoded. Where few bytes may be in flight both are less,
const PIECES_AHEAD: u64 = 4;
/// but pieces are not shorter than this.
const LEAST_PIECE_BYTES: u64 = 1 << 20;
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

    /// Bytes of it that are in memory at once, at most.
    pub fn bytes_in_flight(&self) -> u64 {
        let (bytes, ahead) = pieces_of(&self.context);
        let pieces = (ahead + 1) * bytes;
        if self.is_streamed() { self.bytes().min(pieces) } else { self.bytes() }
    }

    /// Whether it is to be decoded while it comes: it is long, or only some of its pages are wanted.
    pub fn is_streamed(&self) -> bool {
        let whole = self.group.file.whole.is_some() || self.group.held.is_some();
        let one = self.leaves().len() == 1 && self.lineage().is_none();
        let long = STREAMED_FROM_BYTES.min(self.context.request.in_flight.max(LEAST_PIECE_BYTES));
        one && !whole && (self.bytes() >= long || self.offset_index().is_some())
    }

    /// Where the index of its pages is, if it tells which of them to read.
    pub fn offset_index(&self) -> Option<Range<u64>> {
        let kept = self.group.kept.as_ref().filter(|kept| kept.is_sparse)?;
        let ([leaf], true) = (self.leaves(), self.bytes() >= INDEXED_FROM_BYTES) else { return None };
        let chunk = self.group.file.mapping.reader.metadata().row_group(self.group.index).column(*leaf);
        let start = u64::try_from(chunk.offset_index_offset()?).ok()?;
        let end = start.checked_add(u64::try_from(chunk.offset_index_length()?).ok()?)?;
        let is_plausible = kept.rows > 0 && end <= self.group.file.file_size && end - start <= LONGEST_INDEX_BYTES;
        is_plausible.then_some(start..end)
    }

    /// Its id, if it is a column of row lineage.
    fn lineage(&self) -> Option<i32> {
        metadata::lineage(&self.context.request.wanted.schema, self.index)
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

    /// Fetches the chunk in pieces and decodes each when it is there. `index`: the index of its pages.
    pub async fn stream(mut self, index: Option<Bytes>) -> Result<()> {
        let (context, group, column, place) =
            (Arc::clone(&self.context), Arc::clone(&self.group), self.index, self.place());
        let named = |error: Error| error.context(label(&context, &group, column)).at(&place);
        self.copy_strings();
        let mut decoder = match task(&context, &group, column).map(|task| direct(&task, self.part, context.limits())) {
            Some(Ok(decoder)) => decoder,
            Some(Err(part)) => return Column { part: *part, context, group, index: column }.whole().await,
            None => return Err(Error::new(Kind::Internal, "a column without a source")),
        };
        let leaf = group.leaves(column).first().copied().unwrap_or(0);
        let range = chunk_range(&group.file.mapping.reader, group.index, leaf, group.file.file_size).map_err(named)?;
        let sparse = index.zip(group.kept.as_ref()).and_then(|(index, kept)| pieces(&index, &range, &kept.mask));
        let is_sparse = sparse.is_some();
        let pieces = sparse.unwrap_or_else(|| vec![Piece { rows: 0..group.total, range: range.clone() }]);
        let fetched: u64 = pieces.iter().map(|piece| piece.range.end - piece.range.start).sum();
        context.progress.add((range.end - range.start).saturating_sub(fetched));
        let last = pieces.last().map_or(range.end, |piece| piece.range.end);
        let (piece_bytes, ahead) = pieces_of(&context);
        let fetches = pieces.into_iter().flat_map(|piece| cut(piece, piece_bytes)).map(|part| {
            let object = group.file.object.clone();
            crate::runtime::spawn(async move { Ok((object.read_range(part.range.clone()).await?, part)) })
        });
        let mut fetches = futures::stream::iter(fetches).buffered(usize::try_from(ahead).unwrap_or(1));
        while let Some(piece) = fetches.next().await {
            let (bytes, part) = piece.map_err(named)?;
            let (length, counted) = (bytes.len() as u64, Arc::clone(&context));
            let work = move || {
                if let Some(first) = part.first_row {
                    decoder.skip_to(first);
                }
                let is_last = part.range.end == last;
                let fed = counted.metrics.decode.time(|| decoder.feed(&bytes, is_last, &counted.cancel));
                let is_lost = is_sparse && fed.is_ok() && part.end_row.is_some_and(|end| !decoder.is_at(end));
                Ok((decoder, if is_lost { Err(lost()) } else { fed }))
            };
            let (back, fed) = context.decode(work).await.map_err(named)?;
            match fed {
                Ok(()) => context.progress.add(length),
                Err(Refusal::Unsupported) => {
                    drop(fetches);
                    let part = give_up(back, Refusal::Unsupported)?;
                    return Column { context, group, index: column, part }.whole().await;
                }
                Err(refusal) => return Err(named(refusal.into_error())),
            }
            decoder = back;
        }
        context.metrics.decoded(true, fetched);
        finish(decoder).and_then(ColumnPart::finish).map_err(named)
    }

    async fn whole(self) -> Result<()> {
        let chunks = self.group.chunks(self.leaves()).await?;
        self.fill(chunks).await
    }

    fn fill_now(mut self, chunks: &Chunks) -> Result<()> {
        self.copy_strings();
        let lineage = self.lineage();
        let Column { context, group, index, mut part } = self;
        let named = |error: Error| error.context(label(&context, &group, index));
        if let Some(id) = lineage {
            let stored = Wanted::new(id, DataType::Int64).values(&context, &group, chunks).map_err(named)?;
            part.append(&metadata::inherited(id, &stored, &group).map_err(named)?)?;
            return part.finish().map_err(named);
        }
        let part = match (group.file.mapping.columns.get(index), task(&context, &group, index)) {
            (Some(ColumnSource::Leaves { leaves, .. }), Some(task)) => {
                let filled = fill::fill(&task, chunks, part, context.limits(), &context.cancel);
                let (part, direct) = filled.map_err(named)?;
                context.metrics.decoded(direct, leaves.iter().map(|leaf| group.chunk_bytes(*leaf)).sum());
                part
            }
            (Some(ColumnSource::Constant(value)), _) => {
                let schema = &context.request.wanted.schema;
                match metadata::positions(schema, index, &group) {
                    Some(positions) => part.append(&positions)?,
                    None => part.append(&constant(value, part.missing(), schema.field(index).data_type())?)?,
                }
                part
            }
            _ => return Err(Error::new(Kind::Internal, "a column without a source")),
        };
        part.finish().map_err(named)
    }

    fn copy_strings(&mut self) {
        if let Some(kept) = &self.group.kept
            && (kept.part.is_some() || kept.rows < self.group.total / COPY_STRINGS_BELOW)
        {
            self.part.copy_strings();
        }
    }

    fn place(&self) -> String {
        self.group.file.task.location.clone()
    }
}

/// A part of a piece that is fetched in one request.
struct Part {
    range: Range<u64>,
    /// The piece's first row, if this is its first part
    first_row: Option<usize>,
    /// The row after its last one, if this is its last part
    end_row: Option<usize>,
}

/// Bytes of pieces, and how many are under way while one is decoded.
fn pieces_of(context: &Context) -> (u64, u64) {
    let in_flight = context.request.in_flight;
    let bytes = (in_flight / 2).clamp(LEAST_PIECE_BYTES, PIECE_BYTES);
    (bytes, (in_flight / bytes).clamp(1, PIECES_AHEAD))
}

/// A piece in parts of so many bytes.
fn cut(piece: Piece, part_bytes: u64) -> impl Iterator<Item = Part> {
    let Range { start, end } = piece.range;
    (0..(end - start).div_ceil(part_bytes)).map(move |at| {
        let range = start + at * part_bytes..(start + (at + 1) * part_bytes).min(end);
        let (first_row, end_row) =
            ((at == 0).then_some(piece.rows.start), (range.end == end).then_some(piece.rows.end));
        Part { range, first_row, end_row }
    })
}

fn lost() -> Refusal {
    let error = Error::new(Kind::ParquetDecoding, "the pages of a column chunk are not where their index says");
    Refusal::Failed(error.hint("write the file again; its offset index is wrong"))
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
        part: group.held.as_ref().map(|held| held.part(leaves, group.rows_between())),
    })
}

fn label(context: &Context, group: &Group, index: usize) -> String {
    format!("column {:?}, row group {}", context.request.wanted.schema.field(index).name(), group.index)
}

/// `value` (one row) in every row.
pub(crate) fn constant(value: &ArrayRef, rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    if value.is_null(0) { Ok(new_null_array(data_type, rows)) } else { repeat(value, rows) }
}
