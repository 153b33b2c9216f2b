//! Row deletes as planning knows them: delete files as values, and the list of those that a file list's files need.
//!
//! A list is kept in the order in which [`index`] made it, so that what applies to a data file is a few runs of it. It is
//! small and picklable: an Arrow batch of its own beside the files'. [`vector`] reads and writes the bytes of
//! deletion vectors, [`puffin`] the files that hold them. Spec:
//! <https://iceberg.apache.org/spec/#row-level-deletes>. Must not know: how delete files are read, Parquet.
//! Neighbours: `listing` reads the manifests, `files` carries the list, `load` applies it.

pub(crate) mod index;
pub mod puffin;
pub mod vector;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use serde_json::json;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{NestedField, Schema};

/// Field id of `file_path` in position delete files (spec: "Reserved Field IDs").
pub const PATH_ID: i32 = 2_147_483_546;
/// Field id of `pos`.
pub const POSITION_ID: i32 = 2_147_483_545;
/// Key in the metadata of the list's batch: the fields that equality deletes compare, as JSON.
const FIELDS: &str = "delete-fields";

/// How a delete file names rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteKind {
    /// By file and position, in a Parquet file
    Positions,
    /// By the values of some columns, in a Parquet file
    Equality,
    /// By position in one data file: a bitmap in a Puffin file
    Vector,
}

/// A delete file, or a deletion vector in one.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteFile {
    /// How it names rows
    pub kind: DeleteKind,
    /// Where it is, as the manifest has it
    pub location: String,
    /// Bytes of the object; 0: not known
    pub file_size: u64,
    /// Deletes in it
    pub record_count: u64,
    /// The bytes of a vector
    pub range: Range<u64>,
    /// Data sequence number: an equality delete is about rows of smaller ones
    pub sequence_number: i64,
    /// Equality deletes of one number are about the same partition, or all
    pub scope: i32,
    /// The fields that an equality delete compares, in the order of their ids
    pub fields: Vec<Arc<NestedField>>,
}

/// Delete files in order. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeleteList {
    files: Arc<[Arc<DeleteFile>]>,
}

impl DeleteList {
    /// Takes the files as they are.
    pub(crate) fn new(files: Vec<Arc<DeleteFile>>) -> DeleteList {
        DeleteList { files: files.into() }
    }

    /// The files.
    pub fn files(&self) -> &[Arc<DeleteFile>] {
        &self.files
    }

    /// As a batch, a row a file.
    pub(crate) fn to_batch(&self) -> Result<RecordBatch> {
        let int64 = |of: &dyn Fn(&DeleteFile) -> u64| -> ArrayRef {
            let values = self.files.iter().map(|file| i64::try_from(of(file)).unwrap_or(i64::MAX));
            Arc::new(Int64Array::from_iter_values(values))
        };
        let int32 = |of: &dyn Fn(&DeleteFile) -> i32| -> ArrayRef {
            Arc::new(Int32Array::from_iter_values(self.files.iter().map(|file| of(file))))
        };
        let (mut ids, mut fields) = (ListBuilder::new(Int32Builder::new()), BTreeMap::new());
        for file in self.files.iter() {
            file.fields.iter().for_each(|field| ids.values().append_value(field.id));
            ids.append(true);
            fields.extend(file.fields.iter().map(|field| (field.id, Arc::clone(field))));
        }
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("kind", int32(&|file| file.kind as i32)),
            ("location", Arc::new(StringArray::from_iter_values(self.files.iter().map(|file| &file.location)))),
            ("file_size", int64(&|file| file.file_size)),
            ("record_count", int64(&|file| file.record_count)),
            ("start", int64(&|file| file.range.start)),
            ("end", int64(&|file| file.range.end)),
            (
                "sequence_number",
                Arc::new(Int64Array::from_iter_values(self.files.iter().map(|file| file.sequence_number))),
            ),
            ("scope", int32(&|file| file.scope)),
            ("fields", Arc::new(ids.finish())),
        ];
        let types = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), false));
        let metadata = HashMap::from([(FIELDS.to_string(), fields_json(fields.values()))]);
        let schema = ArrowSchema::new(types.collect::<Vec<_>>()).with_metadata(metadata);
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(|e| Error::new(Kind::Internal, e.to_string()))
    }

    /// What [`DeleteList::to_batch`] gave, checked.
    pub(crate) fn from_batch(batch: &RecordBatch) -> Result<DeleteList> {
        let fields = batch.schema_ref().metadata().get(FIELDS).map_or("[]", String::as_str);
        let fields = Schema::from_json(&format!(r#"{{"type": "struct", "fields": {fields}}}"#))?.fields;
        let fields: HashMap<i32, Arc<NestedField>> =
            fields.into_iter().map(|field| (field.id, Arc::new(field))).collect();
        let int64 = |name: &str| column(batch, name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| bad(name));
        let int32 = |name: &str| column(batch, name)?.as_primitive_opt::<Int32Type>().ok_or_else(|| bad(name));
        let locations = column(batch, "location")?.as_string_opt::<i32>().ok_or_else(|| bad("location"))?;
        let (kinds, scopes, sequence) = (int32("kind")?, int32("scope")?, int64("sequence_number")?);
        let counts = [int64("file_size")?, int64("record_count")?, int64("start")?, int64("end")?];
        let ids = column(batch, "fields")?.as_list_opt::<i32>().ok_or_else(|| bad("fields"))?;
        let file = |row: usize| {
            let kind = match kinds.value(row) {
                0 => DeleteKind::Positions,
                1 => DeleteKind::Equality,
                2 => DeleteKind::Vector,
                _ => return Err(bad("kind")),
            };
            let count = |at: usize| u64::try_from(counts[at].value(row)).map_err(|_| bad("count"));
            let compared = ids.value(row);
            let compared = compared.as_primitive_opt::<Int32Type>().ok_or_else(|| bad("fields"))?;
            let known = |id: &i32| fields.get(id).cloned().ok_or_else(|| bad("fields"));
            Ok(Arc::new(DeleteFile {
                kind,
                location: locations.value(row).to_string(),
                file_size: count(0)?,
                record_count: count(1)?,
                range: count(2)?..count(3)?,
                sequence_number: sequence.value(row),
                scope: scopes.value(row),
                fields: compared.values().iter().map(known).collect::<Result<_>>()?,
            }))
        };
        Ok(DeleteList::new((0..batch.num_rows()).map(file).collect::<Result<_>>()?))
    }
}

/// The deletes of one data file: some runs of a list. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    list: Option<DeleteList>,
    runs: Arc<[i32]>,
}

impl Applied {
    pub(crate) fn new(list: &DeleteList, runs: &[i32]) -> Applied {
        Applied { list: Some(list.clone()), runs: runs.into() }
    }

    /// The delete files in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<DeleteFile>> {
        let files = self.list.as_ref().map_or(&[][..], DeleteList::files);
        positions(&self.runs).filter_map(|at| files.get(at))
    }

    /// No deletes.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

/// The type of the files' column that names their deletes: ends of runs, two a run.
pub(crate) fn runs_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)))
}

/// Positions in a list that runs name.
pub(crate) fn positions(runs: &[i32]) -> impl Iterator<Item = usize> + '_ {
    let run = |run: &[i32]| match run {
        [start, end] => usize::try_from(*start).unwrap_or(0)..usize::try_from(*end).unwrap_or(0),
        _ => 0..0,
    };
    runs.chunks(2).flat_map(run)
}

/// Runs of ascending positions.
pub(crate) fn runs(positions: impl IntoIterator<Item = usize>) -> Result<Vec<i32>> {
    let mut runs: Vec<i32> = Vec::new();
    for position in positions {
        let position = i32::try_from(position).ok().filter(|at| *at < i32::MAX);
        let position = position.ok_or_else(|| Error::new(Kind::MemoryLimit, "more than 2^31 delete files"))?;
        match runs.last_mut() {
            Some(end) if *end == position => *end += 1,
            _ => runs.extend([position, position + 1]),
        }
    }
    Ok(runs)
}

fn fields_json<'a>(fields: impl Iterator<Item = &'a Arc<NestedField>>) -> String {
    let field = |field: &Arc<NestedField>| {
        json!({"id": field.id, "name": field.name, "required": field.required, "type": field.field_type.name(),
            "initial-default": field.initial_default})
    };
    serde_json::Value::from(fields.map(field).collect::<Vec<_>>()).to_string()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let found = batch.column_by_name(name).filter(|column| column.null_count() == 0);
    found.ok_or_else(|| bad(name))
}

fn bad(name: &str) -> Error {
    Error::new(Kind::InvalidData, format!("not a file list: the delete files' {name:?} is missing or wrong"))
}
