//! Row groups that are decoded in several parts: their chunks are fetched once and held until the last part is done.
//!
//! Must not know: how windows are planned, how bytes travel.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::fetch::{Budget, Permit};
use crate::load::Context;
use crate::load::open::Group;
use crate::parquet::decode::{PageStarts, SharedPages};
use crate::parquet::reader::{Chunks, Part, chunk_range};

/// The chunks of a row group's wanted columns.
pub(crate) struct Held {
    pub chunks: Chunks,
    /// What its parts need of each other
    pages: Arc<SharedPages>,
    /// The pages of every leaf that has no lists
    starts: HashMap<usize, PageStarts>,
    /// Where pages begin: row -> bytes of the chunks of which one begins there
    begins: BTreeMap<usize, u64>,
    _room: Permit,
}

impl Held {
    /// What the part with these rows has of the others, in a column that is made of `leaves`.
    pub fn part(&self, leaves: &[usize], rows: Range<usize>) -> Part<'_> {
        let starts = leaves.first().filter(|_| leaves.len() == 1).and_then(|leaf| self.starts.get(leaf));
        Part { shared: &self.pages, starts, rows }
    }
}

impl Group {
    /// Where pages begin, if its chunks are held: how many rows it keeps before them -> bytes of the chunks of which one
    /// begins there.
    pub fn page_begins(&self) -> BTreeMap<usize, u64> {
        let (mut begins, mut row, mut before) = (BTreeMap::new(), 0, 0);
        for (begin, bytes) in self.held.iter().flat_map(|held| &held.begins) {
            before += match &self.kept {
                Some(kept) => kept.mask.slice(row, begin - row).count_set_bits(),
                None => begin - row,
            };
            row = *begin;
            *begins.entry(before).or_default() += bytes;
        }
        begins
    }
}

/// Bytes of a group's wanted columns in its file.
pub(crate) fn encoded_bytes(group: &Group) -> u64 {
    let columns = 0..group.file.mapping.columns.len();
    columns.flat_map(|column| group.leaves(column)).map(|leaf| group.chunk_bytes(*leaf)).sum()
}

/// Waits for room to hold a group's chunks. None where they are not to be held: its file is in memory, or they are longer
/// than `longest`, and every part fetches what it needs of them.
pub(crate) async fn reserve(group: &Group, budget: &Budget, longest: u64) -> Result<Option<Permit>> {
    match encoded_bytes(group) {
        0 => Ok(None),
        _ if group.file.whole.is_some() => Ok(None),
        bytes if bytes > longest => Ok(None),
        bytes => budget.acquire(bytes).await.map(Some),
    }
}

/// Refuses a column that can only be decoded from memory and is longer than `most` bytes.
pub(crate) fn check(context: &Context, group: &Group, most: u64) -> Result<()> {
    for (index, field) in context.request.wanted.schema.fields().iter().enumerate() {
        let leaves = group.leaves(index);
        let chunk: u64 = leaves.iter().map(|leaf| group.chunk_bytes(*leaf)).sum();
        if chunk <= most || (leaves.len() == 1 && !field.data_type().is_nested()) {
            continue;
        }
        let limit = context.request.memory_limit;
        let message = format!(
            "row group {} holds {} MiB of column {:?}, which is decoded from memory, the limit is {} MiB",
            group.index,
            chunk >> 20,
            field.name(),
            limit >> 20
        );
        let needed = ((u128::from(chunk) * u128::from(limit) / u128::from(most.max(1))) >> 20) + 1;
        let error = Error::new(Kind::MemoryLimit, message).at(&group.file.task.location);
        return Err(error.hint(format!("memory_limit={needed} << 20 works, or leave the column out")));
    }
    Ok(())
}

/// The group with its chunks, for which there is room, and at most `shared_bytes` of pages that its parts share.
pub(crate) async fn hold(group: Group, room: Permit, shared_bytes: usize) -> Result<Group> {
    let mut leaves: Vec<usize> =
        (0..group.file.mapping.columns.len()).flat_map(|column| group.leaves(column)).copied().collect();
    leaves.sort_unstable();
    let chunks = group.file.chunks(group.index, &leaves).await?;
    let pages = Arc::new(SharedPages::new(shared_bytes));
    let (mut starts, mut begins) = (HashMap::new(), BTreeMap::new());
    for leaf in leaves {
        if let Some(found) = page_starts(&group, leaf, &chunks) {
            for row in found.rows().filter(|row| *row < group.total) {
                *begins.entry(row).or_default() += group.chunk_bytes(leaf);
            }
            starts.insert(leaf, found);
        }
    }
    Ok(Group { held: Some(Arc::new(Held { chunks, pages, starts, begins, _room: room })), ..group })
}

/// None where a page may end within a list, and where a header cannot be read.
fn page_starts(group: &Group, leaf: usize, chunks: &Chunks) -> Option<PageStarts> {
    let reader = &group.file.mapping.reader;
    if reader.parquet_schema().column(leaf).max_rep_level() > 0 {
        return None;
    }
    let range = chunk_range(reader, group.index, leaf, group.file.file_size).ok()?;
    PageStarts::of(&chunks.bytes(&range).ok()?)
}
