//! Row deletes: read once a load, beside the footers; then the rows that stay, a mask a row group.
//!
//! Positions and vectors mask rows before anything of a data file is fetched but its footer; equality deletes decode the
//! columns that they compare, of the row groups that are left after that and the filter. What applies to which file was
//! settled by planning ([`crate::iceberg::deletes`]). Must not know: manifests, sequence rules of positions.
//! Within: [`positions`] and [`equality`] read delete files, [`keys`] compares values.

mod equality;
mod keys;
mod positions;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::Schema;
use futures::{StreamExt, TryStreamExt};
use roaring::RoaringTreemap;
use serde_json::{Value, json};

use crate::arena::Share;
use crate::error::{Error, Kind, Result};
use crate::iceberg::deletes::{DeleteFile, DeleteKind};
use crate::iceberg::predicate::Predicate;
use crate::iceberg::schema::NestedField;
use crate::load::open::Group;
use crate::load::{Context, FileTask, LoadRequest};
use crate::parquet::mapping::{Matching, NameMapping, Wanted};
use crate::runtime::Cancel;
use crate::store::Store;

pub(crate) use equality::apply as apply_values;

/// Delete files read at once: each is a few small requests.
const CONCURRENT_FILES: usize = 32;

/// What a load's delete files say.
#[derive(Default)]
pub(crate) struct Deletes {
    /// Deleted positions by delete file and data file
    positions: HashMap<(usize, Arc<str>), RoaringTreemap>,
    equality: equality::Tables,
    /// Memory of all that
    _held: Vec<Share>,
}

impl Deletes {
    /// Nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.equality.is_empty()
    }
}

/// A delete file, and the data files of this load that need it.
struct Needed {
    file: Arc<DeleteFile>,
    by: BTreeSet<Arc<str>>,
}

/// Stands for a delete file within a load.
fn id_of(file: &Arc<DeleteFile>) -> usize {
    Arc::as_ptr(file) as usize
}

/// Reads the delete files that these data files need.
pub(crate) async fn read(context: &Arc<Context>, files: &[FileTask]) -> Result<Deletes> {
    let needed = needed(files);
    let mut deletes = Deletes::default();
    if needed.is_empty() {
        return Ok(deletes);
    }
    context.metrics.deletes.files.add(needed.len() as u64);
    let (by_value, by_position): (Vec<_>, Vec<_>) =
        needed.into_iter().partition(|each| each.file.kind == DeleteKind::Equality);
    let (found, tables) = futures::try_join!(read_positions(context, by_position), equality::read(context, by_value))?;
    for (key, positions) in found {
        let bytes = positions.serialized_size() as u64;
        deletes._held.push(context.account.take(bytes)?);
        deletes.positions.insert(key, positions);
    }
    deletes.equality = tables;
    Ok(deletes)
}

/// Reads position delete files and vectors.
async fn read_positions(context: &Arc<Context>, needed: Vec<Needed>) -> Result<positions::Found> {
    let (vectors, files): (Vec<_>, Vec<_>) = needed.into_iter().partition(|each| each.file.kind == DeleteKind::Vector);
    let mut read: Vec<_> = positions::of_vectors(context, vectors);
    read.extend(files.into_iter().map(|each| positions::of_file(context, each)));
    let found = futures::stream::iter(read).buffer_unordered(CONCURRENT_FILES).try_collect::<Vec<_>>().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The rows of data files that vectors and position deletes delete, by location; what equality deletes delete is not
/// looked at. `options`: threads and memory limit, as in a load's request.
pub async fn deleted_positions(
    store: &Store,
    files: &[FileTask],
    options: &Value,
    cancel: &Cancel,
) -> Result<HashMap<Arc<str>, RoaringTreemap>> {
    let request = nothing(&[], options)?;
    let context = Arc::new(Context::new(store, request, Predicate::True, cancel, &Arc::default()));
    let mut by_position = needed(files);
    by_position.retain(|each| each.file.kind != DeleteKind::Equality);
    let mut deleted: HashMap<Arc<str>, RoaringTreemap> = HashMap::new();
    let mut held = Vec::new();
    for ((_, path), positions) in read_positions(&context, by_position).await? {
        held.push(context.account.take(positions.serialized_size() as u64)?);
        *deleted.entry(path).or_default() |= positions;
    }
    Ok(deleted)
}

/// A request without columns, for reading delete files.
fn nothing(fields: &[NestedField], options: &Value) -> Result<LoadRequest> {
    let names = NameMapping::of_schema(fields);
    let wanted = Wanted { schema: Schema::empty(), defaults: Arc::default(), names, matching: Matching::FieldIds };
    LoadRequest::with(wanted, Arc::new(Schema::empty()), options)
}

fn needed(files: &[FileTask]) -> Vec<Needed> {
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut found: Vec<Needed> = Vec::new();
    for task in files.iter().filter(|task| !task.deletes.is_empty()) {
        let path: Arc<str> = task.location.as_str().into();
        for file in task.deletes.iter() {
            let place = *places.entry(id_of(file)).or_insert_with(|| {
                found.push(Needed { file: Arc::clone(file), by: BTreeSet::new() });
                found.len() - 1
            });
            if file.kind != DeleteKind::Equality {
                found[place].by.insert(Arc::clone(&path));
            }
        }
    }
    found
}

/// Leaves only groups of which positions leave rows, each with its selection.
pub(crate) fn apply_positions(context: &Context, deletes: &Deletes, groups: Vec<Group>) -> Vec<Group> {
    if deletes.positions.is_empty() {
        return groups;
    }
    let mut kept = Vec::with_capacity(groups.len());
    let mut counted = HashSet::new();
    for group in groups {
        let task = &group.file.task;
        let path: Arc<str> = task.location.as_str().into();
        let mut found = Vec::new();
        for file in task.deletes.iter().filter(|file| file.kind != DeleteKind::Equality) {
            let key = (id_of(file), Arc::clone(&path));
            let Some(positions) = deletes.positions.get(&key) else { continue };
            found.push(positions);
            if counted.insert(key) {
                let rows = group.file.mapping.reader.metadata().file_metadata().num_rows();
                let inside = u64::try_from(rows - 1).map_or(0, |last| positions.rank(last));
                context.metrics.deletes.unmatched_positions.add(positions.len() - inside);
            }
        }
        let Some(mask) = without(&found, group.first_row, group.total) else {
            kept.push(group);
            continue;
        };
        context.metrics.deletes.rows_by_position.add((group.total - mask.count_set_bits()) as u64);
        kept.extend(group.keeping(&mask));
    }
    kept
}

/// A mask of the rows from `first_row` on that none of the bitmaps holds; None if that is all of them.
fn without(bitmaps: &[&RoaringTreemap], first_row: u64, rows: usize) -> Option<BooleanBuffer> {
    let end = first_row + rows as u64;
    let mut mask: Option<BooleanBufferBuilder> = None;
    for (high, bitmap) in bitmaps.iter().flat_map(|bitmap| bitmap.bitmaps()) {
        let base = u64::from(high) << 32;
        let from = first_row.saturating_sub(base);
        let to = end.saturating_sub(base).min(1 << 32);
        let (Ok(from), true) = (u32::try_from(from), from < to) else { continue };
        for position in bitmap.range(from..=u32::try_from(to - 1).unwrap_or(u32::MAX)) {
            let mask = mask.get_or_insert_with(|| {
                let mut all = BooleanBufferBuilder::new(rows);
                all.append_n(rows, true);
                all
            });
            mask.set_bit((base + u64::from(position) - first_row) as usize, false);
        }
    }
    mask.map(|mut mask| mask.finish())
}

impl Context {
    /// A context for reading a delete file, within this load's bounds.
    fn for_deletes(&self, fields: &[NestedField], predicate: Predicate) -> Result<Arc<Context>> {
        let bounds = json!({"threads": self.request.threads, "memory_limit": self.request.memory_limit});
        let mut request = nothing(fields, &bounds)?;
        request.reference = self.request.reference;
        request.all_columns = true;
        Ok(Arc::new(self.beside(Arc::new(request), predicate)))
    }
}

/// The task of reading a delete file.
fn task(file: &DeleteFile) -> FileTask {
    let size = (file.file_size > 0).then_some(file.file_size);
    FileTask { location: file.location.clone(), size, ..FileTask::default() }
}

fn damaged(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message).hint("restore the delete file, or read a snapshot from before it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_row_groups_at_any_place() {
        let positions: RoaringTreemap = [0, 5, 99, 100, (1 << 32) - 1, 1 << 32, (1 << 32) + 7].into_iter().collect();
        let deleted = |first: u64, rows: usize| {
            let mask = without(&[&positions], first, rows)?;
            Some((0..rows).filter(|row| !mask.value(*row)).collect::<Vec<_>>())
        };
        assert_eq!(deleted(0, 100), Some(vec![0, 5, 99]));
        assert_eq!(deleted(100, 10), Some(vec![0]));
        assert_eq!(deleted(6, 50), None);
        assert_eq!(deleted((1 << 32) - 2, 12), Some(vec![1, 2, 9]));
        assert_eq!(deleted(1 << 32, 7), Some(vec![0]));
        assert_eq!(deleted(1 << 33, 7), None);
        let more: RoaringTreemap = [1, 5].into_iter().collect();
        let both = without(&[&positions, &more], 0, 8).unwrap();
        assert_eq!(both.count_set_bits(), 5);
    }
}
