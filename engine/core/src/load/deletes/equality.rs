//! Equality delete files -> tables of keys, and the rows of a row group that no key names.
//!
//! Deletes of the same columns and the same partition (or of none) are one table: a key, and the largest sequence number
//! of those that delete it. So a row is looked up once however many files delete rows like it. Must not know: positions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_buffer::BooleanBuffer;
use futures::{StreamExt, TryStreamExt};

use super::keys::{KeyColumns, KeyTable};
use super::{CONCURRENT_FILES, Deletes, Needed, damaged, task};
use crate::arena::Share;
use crate::error::{Error, Kind, Result};
use crate::iceberg::deletes::{DeleteFile, DeleteKind};
use crate::iceberg::predicate::Predicate;
use crate::iceberg::schema::NestedField;
use crate::load::defaults::default_value;
use crate::load::leaves::{Wanted, chunks, leaf};
use crate::load::open::Group;
use crate::load::{Context, open};
use crate::parquet::reader::Chunks;

/// Row groups under way at once.
const CONCURRENT_GROUPS: usize = 12;

/// Which table: the partition's number, and the ids of the columns.
type TableKey = (i32, Vec<i32>);

/// The equality deletes of a load.
pub(super) type Tables = BTreeMap<TableKey, Table>;

/// Deletes by the same columns in the same partition.
pub(super) struct Table {
    wanted: Vec<Wanted>,
    keys: KeyTable,
    _held: Share,
}

fn table_of(file: &DeleteFile) -> TableKey {
    (file.scope, file.fields.iter().map(|field| field.id).collect())
}

/// Reads equality delete files.
pub(super) async fn read(context: &Arc<Context>, needed: Vec<Needed>) -> Result<Tables> {
    let mut by_table: BTreeMap<TableKey, Vec<Arc<DeleteFile>>> = BTreeMap::new();
    for each in needed {
        by_table.entry(table_of(&each.file)).or_default().push(each.file);
    }
    let mut tables = Tables::new();
    for (key, files) in by_table {
        tables.insert(key, read_table(context, files).await?);
    }
    Ok(tables)
}

/// Reads the files of one table: several at once, their keys added one after the other.
async fn read_table(context: &Arc<Context>, files: Vec<Arc<DeleteFile>>) -> Result<Table> {
    let wanted = files.first().map_or(Ok(Vec::new()), |file| wanted(&file.fields))?;
    let (columns, loading) = (wanted.clone(), Arc::clone(context));
    let reads = files.into_iter().map(move |file| {
        let (context, wanted) = (Arc::clone(&loading), columns.clone());
        crate::runtime::spawn(async move {
            let read = read_file(&context, &file, &wanted).await.map_err(|e| e.at(&file.location));
            read.map(|keys| (keys, file))
        })
    });
    let mut reads = futures::stream::iter(reads).buffered(CONCURRENT_FILES);
    let mut keys = KeyTable::default();
    while let Some((columns, file)) = reads.try_next().await? {
        context.metrics.deletes.records.add(file.record_count);
        let limit = context.account.limit();
        let add = move || {
            let mut key = Vec::new();
            for (columns, rows) in &columns {
                for row in 0..*rows {
                    columns.write(row, &mut key);
                    keys.insert(&key, file.sequence_number)?;
                }
                if keys.size() > limit {
                    let message = format!("equality deletes that take more than the {} MiB of the limit", limit >> 20);
                    let error = Error::new(Kind::MemoryLimit, message);
                    return Err(error.hint("compact the table, or raise memory_limit"));
                }
            }
            Ok(keys)
        };
        keys = context.compute(add).await?;
    }
    let held = context.account.take(keys.size())?;
    Ok(Table { wanted, keys, _held: held })
}

/// The keys of a file, a row group at a time.
async fn read_file(
    context: &Arc<Context>,
    file: &Arc<DeleteFile>,
    wanted: &[Wanted],
) -> Result<Vec<(KeyColumns, usize)>> {
    let fields: Vec<NestedField> = file.fields.iter().map(|field| field.as_ref().clone()).collect();
    let reader = context.for_deletes(&fields, Predicate::True)?;
    let mut read = Vec::new();
    for group in open::open(&reader, &[task(file)]).await? {
        if let Some(missing) = wanted.iter().find(|column| leaf(&group.file, column.id).is_none()) {
            return Err(damaged(format!("an equality delete file without the column of field id {}", missing.id)));
        }
        let (chunks, reading, wanted) = (chunks(&group, wanted).await?, Arc::clone(&reader), wanted.to_vec());
        let decode = move || Ok((columns(&reading, &group, &wanted, &chunks)?, group.total));
        read.push(context.decode(decode).await?);
    }
    Ok(read)
}

/// The columns of some fields, as they are decoded from any file of the table.
fn wanted(fields: &[Arc<NestedField>]) -> Result<Vec<Wanted>> {
    let one = |field: &Arc<NestedField>| {
        let default = field.initial_default.as_ref();
        let default = default.map(|value| default_value(value, &field.field_type)).transpose()?;
        Ok(Wanted::new(field.id, field.field_type.to_arrow()?).with_default(default))
    };
    fields.iter().map(one).collect()
}

fn columns(context: &Context, group: &Group, wanted: &[Wanted], chunks: &Chunks) -> Result<KeyColumns> {
    KeyColumns::new(wanted.iter().map(|column| column.values(context, group, chunks)).collect::<Result<_>>()?)
}

/// Leaves only groups with rows that no equality delete names, each with its selection.
pub(crate) async fn apply(context: &Arc<Context>, deletes: Arc<Deletes>, groups: Vec<Group>) -> Result<Vec<Group>> {
    if deletes.equality.is_empty() {
        return Ok(groups);
    }
    let work = groups.into_iter().map(|group| {
        let (context, deletes) = (Arc::clone(context), Arc::clone(&deletes));
        crate::runtime::spawn(async move { apply_to(&context, deletes, group).await })
    });
    let groups: Vec<Option<Group>> = futures::stream::iter(work).buffered(CONCURRENT_GROUPS).try_collect().await?;
    Ok(groups.into_iter().flatten().collect())
}

async fn apply_to(context: &Arc<Context>, deletes: Arc<Deletes>, group: Group) -> Result<Option<Group>> {
    context.cancel.check()?;
    let place = group.file.task.location.clone();
    let keys = tables_of(&group);
    if keys.is_empty() {
        return Ok(Some(group));
    }
    let tables = keys.iter().filter_map(|key| deletes.equality.get(key));
    let compared: HashMap<i32, Wanted> =
        tables.flat_map(|table| &table.wanted).map(|column| (column.id, column.clone())).collect();
    let compared: Vec<Wanted> = compared.into_values().collect();
    let chunks = chunks(&group, &compared).await?;
    let counted = Arc::clone(context);
    let work = move || {
        let mut left = Some(group);
        for table in keys.iter().filter_map(|key| deletes.equality.get(key)) {
            let Some(group) = left else { return Ok(None) };
            let columns = counted.metrics.decode.time(|| columns(&counted, &group, &table.wanted, &chunks))?;
            let before = group.rows();
            let mask = survivors(&columns, &group, &table.keys);
            left = group.keeping(&mask);
            let after = left.as_ref().map_or(0, Group::rows);
            counted.metrics.deletes.rows_by_value.add((before - after) as u64);
        }
        Ok(left)
    };
    context.decode(work).await.map_err(|e| e.at(place))
}

/// The tables that apply to a row group's file.
fn tables_of(group: &Group) -> Vec<TableKey> {
    let mut keys: Vec<TableKey> = Vec::new();
    for file in group.file.task.deletes.iter().filter(|file| file.kind == DeleteKind::Equality) {
        let ids = || file.fields.iter().map(|field| &field.id);
        if !keys.iter().any(|(scope, known)| *scope == file.scope && known.iter().eq(ids())) {
            keys.push(table_of(file));
        }
    }
    keys
}

/// Rows, of those that are there yet, whose key no later delete names.
fn survivors(columns: &KeyColumns, group: &Group, keys: &KeyTable) -> BooleanBuffer {
    let sequence = group.file.task.sequence_number;
    let mut key = Vec::new();
    BooleanBuffer::collect_bool(group.total, |row| {
        if group.kept.as_ref().is_some_and(|kept| !kept.mask.value(row)) {
            return false;
        }
        columns.write(row, &mut key);
        keys.get(&key).is_none_or(|deleted| deleted <= sequence)
    })
}
