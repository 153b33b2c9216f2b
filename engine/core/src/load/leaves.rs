//! Primitive columns of a row group by field id, whole, at any depth in structs: what filters and deletes compare.
//!
//! A column that the file lacks is a constant, as in the result itself. Must not know: what is compared.
//! Neighbours: [`super::select`], [`super::deletes`].

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};

use crate::error::{Error, Kind, Result};
use crate::load::Context;
use crate::load::column::constant;
use crate::load::open::{Group, OpenFile};
use crate::parquet::adapt::Adapt;
use crate::parquet::columns::{ColumnTarget, PartShape};
use crate::parquet::fill::fill;
use crate::parquet::mapping::{promote, promotes};
use crate::parquet::reader::{Chunks, ColumnTask};

/// A primitive column: its id, and its type as it is compared.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub id: i32,
    data_type: DataType,
    /// Its value in files that lack it, where the load's own defaults do not have it
    default: Option<ArrayRef>,
}

impl Wanted {
    /// A column of the table.
    pub fn new(id: i32, data_type: DataType) -> Wanted {
        Wanted { id, data_type, default: None }
    }

    /// Its type as it is compared.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The same, with an initial default of its own: the column may be dropped since.
    #[must_use]
    pub fn with_default(self, default: Option<ArrayRef>) -> Wanted {
        Wanted { default, ..self }
    }

    /// Its values in every row of the group.
    pub fn values(&self, context: &Context, group: &Group, chunks: &Chunks) -> Result<ArrayRef> {
        let rows = group.total_rows();
        match leaf(&group.file, self.id) {
            Some(leaf) => decode(context, group, self, leaf, chunks),
            None => match group.file.constant(self.id).or(self.default.as_ref()) {
                Some(value) => constant(&promote(value, &self.data_type)?, rows, &self.data_type),
                None => Ok(new_null_array(&self.data_type, rows)),
            },
        }
    }
}

/// The bytes of these columns of a row group.
pub(crate) async fn chunks(group: &Group, wanted: &[Wanted]) -> Result<Chunks> {
    let leaves: Vec<usize> = wanted.iter().filter_map(|column| leaf(&group.file, column.id)).collect();
    if leaves.is_empty() { Ok(Chunks::default()) } else { group.file.chunks(group.index, &leaves).await }
}

/// The leaf column of a file that a field is.
pub(crate) fn leaf(file: &OpenFile, id: i32) -> Option<usize> {
    file.mapping.root.path(id).and_then(|path| path.last().map(|node| node.first_leaf))
}

fn decode(context: &Context, group: &Group, column: &Wanted, leaf: usize, chunks: &Chunks) -> Result<ArrayRef> {
    let mapping = &group.file.mapping;
    let path = mapping.root.path(column.id).unwrap_or_default();
    let (Some(top), Some(node)) = (path.first(), path.last()) else {
        return Err(Error::new(Kind::Internal, "a column without a path"));
    };
    if !node.children.is_empty() || node.data_type.is_nested() {
        let message = format!("field {} is compared, and {} in the file", column.id, node.data_type);
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
        part: None,
    };
    let field = Arc::new(Field::new("", target.clone(), true));
    let shape = PartShape { rows: group.total_rows(), elements: None };
    let (whole, parts) = ColumnTarget::new(field, &[shape], &context.account)?;
    for part in parts {
        let (part, direct) = fill(&task, chunks, part, context.limits(), &context.cancel)?;
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
