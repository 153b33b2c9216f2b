//! The Arrow layout that a file's columns decode to, and the tree of them.
//!
//! The crate's reader would give contiguous strings, 32-bit lists, dictionaries where the writer had them, and INT96
//! as nanoseconds. A frame wants views, 64-bit lists (a joined column outgrows 2^31 elements), plain values, and
//! microseconds (nanoseconds end in 2262, and Iceberg's timestamps are microseconds).

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Kind, Result};
use crate::parquet::decoding;
use crate::parquet::mapping::field_id;

/// A column of a file, or a part of a nested one.
#[derive(Clone, Debug)]
pub struct FileNode {
    /// Name in the file
    pub name: String,
    /// Field id in the file, or by name mapping
    pub id: Option<i32>,
    /// What it decodes to
    pub data_type: DataType,
    /// First leaf column
    pub first_leaf: usize,
    /// Number of leaf columns
    pub leaf_count: usize,
    /// Struct fields; a list's element; a map's key and value
    pub children: Vec<FileNode>,
}

/// Prepares the crate's reader for a file. `embedded`: believe the Arrow schema that some writers embed (files without
/// a table: unsigned integers, zones and durations survive), else read what Parquet itself says (Iceberg).
pub fn reader_metadata(metadata: Arc<ParquetMetaData>, embedded: bool) -> Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(!embedded);
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options).map_err(decoding)?;
    let mut leaf = 0;
    let descriptor = metadata.file_metadata().schema_descr();
    let mut int96 = |_: &DataType| {
        leaf += 1;
        leaf <= descriptor.num_columns() && descriptor.column(leaf - 1).physical_type() == PhysicalType::INT96
    };
    let fields: Vec<FieldRef> = plain.schema().fields().iter().map(|field| rewrite_field(field, &mut int96)).collect();
    let schema = Schema::new_with_metadata(fields, plain.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(metadata, options).map_err(decoding)
}

fn rewrite_field(field: &FieldRef, int96: &mut dyn FnMut(&DataType) -> bool) -> FieldRef {
    let data_type = rewrite(field.data_type(), int96);
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

fn rewrite(data_type: &DataType, int96: &mut dyn FnMut(&DataType) -> bool) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| rewrite_field(field, int96)).collect()),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => DataType::LargeList(rewrite_field(element, int96)),
        DataType::Map(entries, sorted) => DataType::Map(rewrite_field(entries, int96), *sorted),
        DataType::Dictionary(_, values) => rewrite(values, int96),
        DataType::RunEndEncoded(_, values) => rewrite(values.data_type(), int96),
        leaf if int96(leaf) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

impl FileNode {
    /// The root of a file: its top-level columns are the children.
    pub fn of_file(reader: &ArrowReaderMetadata) -> Result<FileNode> {
        let mut next = 0;
        let children: Vec<FileNode> = reader.schema().fields().iter().map(|field| node(field, &mut next)).collect();
        if next != reader.parquet_schema().num_columns() {
            let message =
                format!("{} leaf columns in Arrow, {} in Parquet", next, reader.parquet_schema().num_columns());
            return Err(Error::new(Kind::Unsupported, message));
        }
        let root = FileNode {
            name: String::new(),
            id: None,
            data_type: DataType::Struct(reader.schema().fields().clone()),
            first_leaf: 0,
            leaf_count: next,
            children,
        };
        Ok(root)
    }

    /// Leaf columns below this node.
    pub fn leaves(&self) -> std::ops::Range<usize> {
        self.first_leaf..self.first_leaf + self.leaf_count
    }

    /// The top-level column that is this leaf, or a list of it.
    pub fn top(&self, leaf: usize) -> Option<&FileNode> {
        self.children.iter().find(|child| child.first_leaf == leaf && child.leaf_count == 1)
    }

    /// Whether any column has a field id.
    pub fn any_id(&self) -> bool {
        self.id.is_some() || self.children.iter().any(FileNode::any_id)
    }

    /// Takes every id away.
    pub fn forget_ids(&mut self) {
        self.id = None;
        self.children.iter_mut().for_each(FileNode::forget_ids);
    }

    /// Struct fields from the root down to the node with this id, None where there is none outside lists and maps.
    pub fn path(&self, id: i32) -> Option<Vec<&FileNode>> {
        self.children.iter().find_map(|child| {
            if child.id == Some(id) {
                return Some(vec![child]);
            }
            let inner = matches!(child.data_type, DataType::Struct(_)).then(|| child.path(id))??;
            Some(std::iter::once(child).chain(inner).collect())
        })
    }
}

fn node(field: &Field, next: &mut usize) -> FileNode {
    let first_leaf = *next;
    let inner: Vec<&FieldRef> = match field.data_type() {
        DataType::Struct(fields) => fields.iter().collect(),
        DataType::LargeList(element) => vec![element],
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().collect(),
            _ => vec![],
        },
        _ => vec![],
    };
    let children: Vec<FileNode> = inner.into_iter().map(|field| node(field, next)).collect();
    if !field.data_type().is_nested() {
        *next += 1;
    }
    FileNode {
        name: field.name().clone(),
        id: field_id(field),
        data_type: field.data_type().clone(),
        first_leaf,
        leaf_count: *next - first_leaf,
        children,
    }
}
