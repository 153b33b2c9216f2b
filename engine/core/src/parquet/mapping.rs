//! Which column of a file is which column of the table, and what must be done to it.
//!
//! Columns are matched by Iceberg field id; a file without ids by the table's name mapping
//! (`schema.name-mapping.default`), and without that by name. Files of Hive tables have no ids: theirs are matched by
//! name whatever its case, or by position. A column that the file lacks is a constant: the partition value, the initial
//! default, or null (spec: "Column Projection"). Must not know: row groups, bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{FIELD_ID, NestedField, Type};
use crate::parquet::adapt::{Adapt, Source};
use crate::parquet::layout::FileNode;
use crate::parquet::variant::is_variant;

/// What a load wants from every file.
pub struct Wanted {
    /// Columns of the result: Arrow fields with their ids in the metadata
    pub schema: Schema,
    /// Initial defaults by field id, one row each
    pub defaults: Arc<HashMap<i32, ArrayRef>>,
    /// Names to ids, for files without field ids: the table's name mapping, else its schema's own names
    pub names: NameMapping,
    /// What tells which column is which
    pub matching: Matching,
}

/// What tells which column of a file is which column of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// Field ids; names in files that have none (Iceberg tables)
    #[default]
    FieldIds,
    /// Names, even where files have ids (files without a table)
    Names,
    /// Names in any case, even where files have ids (Hive tables: a metastore knows lower case only)
    NamesIgnoringCase,
    /// The same; the ids by position of files whose columns are all called `_col0`, `_col1` and so on, as Hive once did
    NamesOrPositions(Vec<i32>),
    /// Positions: the id of each column of a file, in order (Hive's `parquet.column.index.access`); names in any case
    /// inside structs
    Positions(Vec<i32>),
}

/// A name mapping: names -> field id, level by level.
#[derive(Clone, Debug, Default)]
pub struct NameMapping {
    by_name: HashMap<String, (Option<i32>, NameMapping)>,
    /// Names are in lower case, and so are those that are looked up
    ignores_case: bool,
}

/// One file seen through the table's schema.
pub struct FileMapping {
    /// What the crate's reader needs
    pub reader: ArrowReaderMetadata,
    /// One a wanted column
    pub columns: Vec<ColumnSource>,
    /// The file's columns, for whoever needs a leaf by id
    pub root: FileNode,
}

/// Where a wanted column comes from.
#[derive(Clone, Debug)]
pub enum ColumnSource {
    /// Leaves of the file, and what to do with what they decode to
    Leaves {
        /// Leaf columns to decode, ascending
        leaves: Vec<usize>,
        /// What makes the table's column of it
        adapt: Adapt,
    },
    /// The same value in every row
    Constant(ArrayRef),
}

impl NameMapping {
    /// Parses the JSON of the table property (spec: "Name Mapping Serialization").
    pub fn from_json(value: &serde_json::Value) -> Result<NameMapping> {
        let bad = || Error::new(Kind::InvalidData, "schema.name-mapping.default is not a name mapping");
        let mut by_name = HashMap::new();
        for entry in value.as_array().ok_or_else(bad)? {
            let id = entry.get("field-id").and_then(serde_json::Value::as_i64).and_then(|id| i32::try_from(id).ok());
            let inner = entry.get("fields").map_or_else(|| Ok(NameMapping::default()), NameMapping::from_json)?;
            for name in entry.get("names").and_then(serde_json::Value::as_array).ok_or_else(bad)? {
                by_name.insert(name.as_str().ok_or_else(bad)?.to_string(), (id, inner.clone()));
            }
        }
        Ok(NameMapping { by_name, ignores_case: false })
    }

    /// The names of an Arrow schema whose fields carry ids.
    pub fn of_fields(fields: &Fields) -> NameMapping {
        let entry = |field: &FieldRef| {
            let inner = match field.data_type() {
                DataType::Struct(inner) => NameMapping::of_fields(inner),
                DataType::LargeList(element) => NameMapping::of_fields(&Fields::from(vec![Arc::clone(element)])),
                DataType::Map(entries, _) => match entries.data_type() {
                    DataType::Struct(inner) => NameMapping::of_fields(inner),
                    _ => NameMapping::default(),
                },
                _ => NameMapping::default(),
            };
            (field.name().clone(), (field_id(field), inner))
        };
        NameMapping { by_name: fields.iter().map(entry).collect(), ignores_case: false }
    }

    /// The names of a table's schema.
    pub fn of_schema(fields: &[NestedField]) -> NameMapping {
        let entry = |field: &NestedField| {
            let inner = match &field.field_type {
                Type::Struct(inner) => NameMapping::of_schema(inner),
                Type::List(element) => NameMapping::of_schema(std::slice::from_ref(element)),
                Type::Map(key, value) => NameMapping::of_schema(&[(**key).clone(), (**value).clone()]),
                _ => NameMapping::default(),
            };
            (field.name.clone(), (Some(field.id), inner))
        };
        NameMapping { by_name: fields.iter().map(entry).collect(), ignores_case: false }
    }

    /// The same names in any case.
    pub fn ignoring_case(self) -> NameMapping {
        let entry = |(name, (id, inner)): (String, (Option<i32>, NameMapping))| {
            (name.to_lowercase(), (id, inner.ignoring_case()))
        };
        NameMapping { by_name: self.by_name.into_iter().map(entry).collect(), ignores_case: true }
    }

    fn get(&self, name: &str) -> Option<&(Option<i32>, NameMapping)> {
        if self.ignores_case { self.by_name.get(&name.to_lowercase()) } else { self.by_name.get(name) }
    }

    /// The one name of a list's element, whatever this writer or that calls it.
    fn only_name(&self) -> Option<&str> {
        self.by_name.keys().next().map(String::as_str)
    }

    fn assign(&self, nodes: &mut [FileNode], only: Option<&str>) {
        for node in nodes {
            if let Some((id, inner)) = self.get(only.unwrap_or(&node.name)) {
                node.id = *id;
                inner.assign_inside(node);
            }
        }
    }

    /// Names inside a column that these are the names of.
    fn assign_inside(&self, node: &mut FileNode) {
        match (&node.data_type, node.children.as_mut_slice()) {
            (DataType::LargeList(_), elements) => self.assign(elements, self.only_name()),
            (DataType::Map(_, _), [key, value]) => {
                self.assign(std::slice::from_mut(key), Some("key"));
                self.assign(std::slice::from_mut(value), Some("value"));
            }
            (_, children) => self.assign(children, None),
        }
    }

    fn assign_positions(&self, nodes: &mut [FileNode], ids: &[i32]) {
        for (node, id) in nodes.iter_mut().zip(ids) {
            node.id = Some(*id);
            if let Some((_, inner)) = self.by_name.values().find(|(other, _)| *other == Some(*id)) {
                inner.assign_inside(node);
            }
        }
    }
}

impl FileMapping {
    /// Matches a file's columns to the wanted ones. `partition` holds identity partition values by source field id.
    pub fn new(
        reader: ArrowReaderMetadata,
        wanted: &Wanted,
        partition: &HashMap<i32, ArrayRef>,
    ) -> Result<FileMapping> {
        let mut root = FileNode::of_file(&reader)?;
        if wanted.matching != Matching::FieldIds || !root.any_id() {
            root.forget_ids();
            match &wanted.matching {
                Matching::Positions(ids) => wanted.names.assign_positions(&mut root.children, ids),
                Matching::NamesOrPositions(ids) if is_unnamed(&root.children) => {
                    wanted.names.assign_positions(&mut root.children, ids);
                }
                _ => wanted.names.assign(&mut root.children, None),
            }
        }
        if wanted.names.ignores_case {
            refuse_ambiguous(&root.children)?;
        }
        let matcher = Matcher { defaults: &wanted.defaults };
        let columns = wanted.schema.fields().iter().map(|field| matcher.column(&root, field, partition));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(FileMapping { reader, columns, root })
    }
}

struct Matcher<'a> {
    defaults: &'a HashMap<i32, ArrayRef>,
}

impl Matcher<'_> {
    fn column(&self, root: &FileNode, field: &FieldRef, partition: &HashMap<i32, ArrayRef>) -> Result<ColumnSource> {
        if let Some((_, node)) = self.find(&root.children, field) {
            let (adapt, mut leaves) = self.bind(node, field)?;
            if *field.data_type() == DataType::Null || node.data_type == DataType::Null {
                return self.missing(field).map(ColumnSource::Constant);
            }
            leaves.sort_unstable();
            leaves.dedup();
            return Ok(ColumnSource::Leaves { leaves, adapt });
        }
        match field_id(field).and_then(|id| partition.get(&id)) {
            Some(value) => Ok(ColumnSource::Constant(Arc::clone(value))),
            None => self.missing(field).map(ColumnSource::Constant),
        }
    }

    fn find<'n>(&self, nodes: &'n [FileNode], field: &Field) -> Option<(usize, &'n FileNode)> {
        let id = field_id(field)?;
        nodes.iter().enumerate().find(|(_, node)| node.id == Some(id))
    }

    fn missing(&self, field: &Field) -> Result<ArrayRef> {
        if let Some(value) = field_id(field).and_then(|id| self.defaults.get(&id)) {
            return Ok(Arc::clone(value));
        }
        if field.is_nullable() {
            return Ok(new_null_array(field.data_type(), 1));
        }
        let message = format!("required column {:?} is not in the file and has no default", field.name());
        Err(Error::new(Kind::TypeMismatch, message).hint("the file was not written for this table"))
    }

    fn bind(&self, node: &FileNode, field: &Field) -> Result<(Adapt, Vec<usize>)> {
        match (&node.data_type, field.data_type()) {
            (DataType::Struct(_), _) if is_variant(field) => Ok((Adapt::Variant, node.leaves().collect())),
            (DataType::Struct(_), DataType::Struct(fields)) => self.bind_struct(node, fields),
            (DataType::LargeList(_), DataType::LargeList(element)) => {
                let (adapt, leaves) = self.bind(only_child(node)?, element)?;
                Ok((
                    if node.data_type == *field.data_type() && adapt.is_same() {
                        Adapt::Same
                    } else {
                        Adapt::List(adapt.into())
                    },
                    leaves,
                ))
            }
            (DataType::Map(_, _), DataType::Map(entries, _)) => self.bind_map(node, entries, field),
            (from, to) if from == to => Ok((Adapt::Same, node.leaves().collect())),
            (from, to) if promotes(from, to) => Ok((Adapt::Cast(to.clone()), node.leaves().collect())),
            (from, to) => {
                let message = format!("column {:?} is {from} in the file, and the table's {to}", field.name());
                Err(Error::new(Kind::TypeMismatch, message)
                    .hint("no promotion of the format leads from one to the other"))
            }
        }
    }

    fn bind_struct(&self, node: &FileNode, fields: &Fields) -> Result<(Adapt, Vec<usize>)> {
        let found: Vec<_> = fields.iter().map(|field| self.find(&node.children, field)).collect();
        let mut selected: Vec<usize> = found.iter().flatten().map(|(index, _)| *index).collect();
        selected.sort_unstable();
        selected.dedup();
        let mut leaves = Vec::new();
        if selected.is_empty() {
            leaves.extend(node.leaves().take(1)); // only to learn which rows are null
        }
        let mut sources = Vec::new();
        for (field, found) in fields.iter().zip(found) {
            sources.push(match found {
                Some((index, child)) => {
                    let (adapt, inner) = self.bind(child, field)?;
                    leaves.extend(inner);
                    Source::Child(selected.iter().position(|each| *each == index).unwrap_or(0), adapt)
                }
                None => Source::Constant(self.missing(field)?),
            });
        }
        let whole = selected.len() == node.children.len() && fields.len() == selected.len();
        let in_order = sources
            .iter()
            .enumerate()
            .all(|(place, source)| matches!(source, Source::Child(index, Adapt::Same) if *index == place));
        let same_names = node.data_type == DataType::Struct(fields.clone());
        Ok((if whole && in_order && same_names { Adapt::Same } else { Adapt::Struct(sources) }, leaves))
    }

    fn bind_map(&self, node: &FileNode, entries: &Field, field: &Field) -> Result<(Adapt, Vec<usize>)> {
        let (DataType::Struct(fields), [key_node, value_node]) = (entries.data_type(), node.children.as_slice()) else {
            return Err(Error::new(
                Kind::TypeMismatch,
                format!("column {:?} is not a map with values in the file", field.name()),
            ));
        };
        let [key_field, value_field] = <&[FieldRef; 2]>::try_from(&fields[..])
            .map_err(|_| Error::new(Kind::Internal, "a map type without key and value"))?;
        let (key, mut leaves) = self.bind(key_node, key_field)?;
        let (value, value_leaves) = self.bind(value_node, value_field)?;
        leaves.extend(value_leaves);
        let same = key.is_same() && value.is_same() && node.data_type == *field.data_type();
        Ok((if same { Adapt::Same } else { Adapt::Map(key.into(), value.into()) }, leaves))
    }
}

/// Whether columns were called by their numbers, for want of names.
fn is_unnamed(nodes: &[FileNode]) -> bool {
    nodes.iter().enumerate().all(|(at, node)| node.name.strip_prefix("_col") == Some(at.to_string().as_str()))
}

/// Refuses a file with two columns whose names differ only in case: either may be the table's.
fn refuse_ambiguous(nodes: &[FileNode]) -> Result<()> {
    let mut seen: HashMap<i32, &str> = HashMap::new();
    for node in nodes {
        if let Some(other) = node.id.and_then(|id| seen.insert(id, &node.name)) {
            let message = format!("columns {other:?} and {:?} of the file differ only in case", node.name);
            return Err(Error::new(Kind::TypeMismatch, message).hint("the table's column could be either of them"));
        }
        refuse_ambiguous(&node.children)?;
    }
    Ok(())
}

fn only_child(node: &FileNode) -> Result<&FileNode> {
    node.children.first().ok_or_else(|| Error::new(Kind::Internal, "a list without an element"))
}

/// The field id in an Arrow field's metadata.
pub fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(FIELD_ID).and_then(|id| id.parse().ok())
}

/// Promotes a column to another type of the same values; refused where no promotion leads there.
pub fn promote(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    if !promotes(array.data_type(), to) {
        let message = format!("a column of {} where {to} is expected", array.data_type());
        return Err(Error::new(Kind::TypeMismatch, message));
    }
    Adapt::Cast(to.clone()).apply(Arc::clone(array), to)
}

/// Whether every value of `from` has an exact counterpart in `to` (spec: "Schema Evolution", and what other writers
/// put in files that tables later took over: small and unsigned integers, milliseconds, unannotated bytes).
pub fn promotes(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        BinaryView, Date32, Decimal128, FixedSizeBinary, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Null,
        Time32, Time64, Timestamp, UInt8, UInt16, UInt32, Utf8View,
    };
    use arrow_schema::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match (from, to) {
        (Int8 | Int16 | UInt8 | UInt16, Int32 | Int64) | (Int32 | UInt32, Int64) => true,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Decimal128(from, scale), Decimal128(to, same)) => to >= from && scale == same,
        (Timestamp(Second | Millisecond | Microsecond, _), Timestamp(Microsecond | Nanosecond, _)) => true,
        (Timestamp(Nanosecond, _), Timestamp(Nanosecond, _)) => true,
        (Date32, Timestamp(_, None)) => true,
        (Time32(_), Time64(Microsecond)) => true,
        (Time64(from), Time64(to)) => from == to,
        (BinaryView, Utf8View) | (Utf8View | FixedSizeBinary(_), BinaryView) => true,
        (Null, _) => true,
        _ => false,
    }
}
