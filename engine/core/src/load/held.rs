//! Row groups that are decoded in several parts: their chunks are fetched once and held until the last part is done.
//!
//! Must not know: how windows are planned, how bytes travel.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::fetch::{Budget, Permit};
use crate::load::Context;
use crate::load::open::Group;
use crate::parquet::decode::SharedPages;
use crate::parquet::reader::Chunks;

/// The chunks of a row group's wanted columns.
pub(crate) struct Held {
    pub chunks: Chunks,
    /// What its parts need of each other
    pub pages: Arc<SharedPages>,
    _room: Permit,
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
    Ok(Group { held: Some(Arc::new(Held { chunks, pages, _room: room })), ..group })
}
