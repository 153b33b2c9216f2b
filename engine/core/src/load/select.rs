//! Stage 2: the filter's columns decoded first, so that rows it removes are never materialised.
//!
//! Exact: row-level, whatever statistics and partitions promised before. Must not know: how a predicate is evaluated
//! ([`crate::frame::filter`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Kind, Result};
use crate::frame::filter::evaluate;
use crate::load::Context;
use crate::load::columns::constant;
use crate::load::open::{Group, Kept, OpenFile};
use crate::parquet::adapt::Adapt;
use crate::parquet::columns::{ColumnTarget, PartShape};
use crate::parquet::fill::fill;
use crate::parquet::mapping::{promote, promotes};
use crate::parquet::reader::{Chunks, ColumnTask};

/// Row groups under way at once.
const CONCURRENT_GROUPS: usize = 12;

/// A primitive column that the filter names: its id and type in the schema that the filter was bound to.
#[derive(Clone)]
struct Wanted {
    id: i32,
    data_type: DataType,
}

/// Leaves only groups with surviving rows, each with its selection.
pub(crate) async fn select(context: &Arc<Context>, groups: Vec<Group>) -> Result<Vec<Group>> {
    let wanted: Arc<[Wanted]> = wanted(context)?.into();
    let work = groups.into_iter().map(|group| {
        let (context, wanted) = (Arc::clone(context), Arc::clone(&wanted));
        let task = async move { select_group(&context, group, &wanted).await };
        crate::runtime::spawn(task)
    });
    let groups: Vec<Option<Group>> = futures::stream::iter(work).buffered(CONCURRENT_GROUPS).try_collect().await?;
    Ok(groups.into_iter().flatten().collect())
}

fn wanted(context: &Context) -> Result<Vec<Wanted>> {
    let leaves = context.predicate.leaves();
    let of = |id: i32| leaves.iter().find(|leaf| leaf.field == id);
    let fields = context.predicate.fields();
    let typed = fields.into_iter().filter_map(|id| of(id).map(|leaf| (id, leaf.field_type.to_arrow())));
    typed.map(|(id, data_type)| data_type.map(|data_type| Wanted { id, data_type })).collect()
}

async fn select_group(context: &Arc<Context>, group: Group, wanted: &Arc<[Wanted]>) -> Result<Option<Group>> {
    context.cancel.check()?;
    let place = group.file.task.location.clone();
    let leaves: Vec<usize> = wanted.iter().filter_map(|column| leaf(&group.file, column.id)).collect();
    let chunks = if leaves.is_empty() { Chunks::default() } else { group.file.chunks(group.index, &leaves).await? };
    let (counted, wanted) = (Arc::clone(context), Arc::clone(wanted));
    let work = move || {
        let mask = counted.metrics.decode.time(|| mask(&counted, &group, &wanted, &chunks))?;
        let rows = mask.true_count();
        let kept = match rows {
            0 => return Ok(None),
            all if all == group.total_rows() => None,
            _ => Some(Kept { mask: mask.values().clone(), rows }),
        };
        Ok(Some(Group { kept, ..group }))
    };
    context.decode(work).await.map_err(|error| error.at(place))
}

fn leaf(file: &OpenFile, id: i32) -> Option<usize> {
    file.mapping.root.path(id).and_then(|path| path.last().map(|node| node.first_leaf))
}

fn mask(context: &Context, group: &Group, wanted: &[Wanted], chunks: &Chunks) -> Result<BooleanArray> {
    let rows = group.total_rows();
    let mut columns: HashMap<i32, ArrayRef> = HashMap::new();
    for column in wanted {
        let array = match leaf(&group.file, column.id) {
            Some(leaf) => decode_leaf(context, group, column, leaf, chunks)?,
            None => match group.file.constant(column.id) {
                Some(value) => constant(&promote(value, &column.data_type)?, rows, &column.data_type)?,
                None => new_null_array(&column.data_type, rows),
            },
        };
        columns.insert(column.id, array);
    }
    let resolve = |id: i32| {
        let missing = || Error::new(Kind::Internal, format!("the filter names field {id}, which was not decoded"));
        columns.get(&id).cloned().ok_or_else(missing)
    };
    evaluate(&context.predicate, &resolve, rows)
}

fn decode_leaf(context: &Context, group: &Group, column: &Wanted, leaf: usize, chunks: &Chunks) -> Result<ArrayRef> {
    let mapping = &group.file.mapping;
    let path = mapping.root.path(column.id).unwrap_or_default();
    let (Some(top), Some(node)) = (path.first(), path.last()) else {
        return Err(Error::new(Kind::Internal, "a filter column without a path"));
    };
    if !node.children.is_empty() || node.data_type.is_nested() {
        let message = format!("the filter tests field {}, which is {} in the file", column.id, node.data_type);
        return Err(Error::new(Kind::TypeMismatch, message));
    }
    let decoded = narrowed(top, &path[1..]);
    let flat = path.len() == 1;
    let target = if flat { &column.data_type } else { &decoded };
    let adapt =
        if flat && node.data_type != column.data_type { Adapt::Cast(column.data_type.clone()) } else { Adapt::Same };
    if flat && !promotes(&node.data_type, &column.data_type) && node.data_type != column.data_type {
        let message = format!("a column of {} where {} is expected", node.data_type, column.data_type);
        return Err(Error::new(Kind::TypeMismatch, message));
    }
    let task = ColumnTask {
        reader: &mapping.reader,
        row_group: group.index,
        leaves: &[leaf],
        node: Some(*top).filter(|_| flat),
        adapt: &adapt,
        target,
        wanted: None,
    };
    let field = Arc::new(Field::new("", target.clone(), true));
    let shape = PartShape { rows: group.total_rows(), elements: None };
    let (whole, parts) = ColumnTarget::new(field, &[shape], &context.account)?;
    for mut part in parts {
        let direct = fill(&task, chunks, &mut part, context.limits(), &context.cancel)?;
        let chunk = mapping.reader.metadata().row_group(group.index).column(leaf);
        context.metrics.decoded(direct, chunk.byte_range().1);
        part.finish()?;
    }
    let array = whole.finish(1)?;
    if flat { Ok(array) } else { promote(&innermost(&array, path.len() - 1), &column.data_type) }
}

/// The type that a top-level column decodes to when only one leaf below it is selected.
fn narrowed(top: &crate::parquet::layout::FileNode, rest: &[&crate::parquet::layout::FileNode]) -> DataType {
    match (&top.data_type, rest.split_first()) {
        (DataType::Struct(fields), Some((next, rest))) => {
            let inner = narrowed(next, rest);
            let field = fields.iter().find(|field| field.name() == &next.name);
            DataType::Struct(field.map(|field| field.as_ref().clone().with_data_type(inner)).into_iter().collect())
        }
        (other, _) => other.clone(),
    }
}

/// The leaf inside `depth` structs of one field each; a null struct makes a null leaf.
fn innermost(array: &ArrayRef, depth: usize) -> ArrayRef {
    let mut array = Arc::clone(array);
    for _ in 0..depth {
        let Some(parent) = array.as_struct_opt() else { return array };
        let Some(child) = parent.columns().first() else { return array };
        let nulls = NullBuffer::union(parent.nulls(), child.logical_nulls().as_ref());
        let data = child.to_data().into_builder().nulls(nulls);
        array = match data.build() {
            Ok(data) => arrow_array::make_array(data),
            Err(_) => return array,
        };
    }
    array
}
