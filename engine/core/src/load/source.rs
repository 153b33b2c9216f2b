//! What is loaded: a plan's files, or Parquet files without a table, as one list of tasks.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StructArray, new_null_array,
};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::fetch::PinnedObject;
use crate::iceberg::deletes::Applied;
use crate::iceberg::files::{CHANGE, CHANGED_BY, FileList, as_views};
use crate::iceberg::predicate::Literal;
use crate::iceberg::schema::FIELD_ID;
use crate::parquet::mapping::{Matching, NameMapping, Wanted};
use crate::parquet::{footer, layout};
use crate::store::Store;

/// A file, or a part of one.
#[derive(Clone, Debug, Default)]
pub struct FileTask {
    /// Where it is
    pub location: String,
    /// Its size in bytes, where known
    pub size: Option<u64>,
    /// Its rows, as the table's metadata counts them
    pub rows: Option<usize>,
    /// Only row groups that begin in this range of bytes; None for all
    pub part: Option<std::ops::Range<u64>>,
    /// Identity partition values by source field id, one row each
    pub partition: HashMap<i32, ArrayRef>,
    /// Its partition values, a field each by partition field id, in one row
    pub tuple: Option<StructArray>,
    /// Its partition spec
    pub spec_id: i32,
    /// What which snapshot did to its rows, in lists of changes
    pub change: Option<(String, i64)>,
    /// Row id of its first row (v3)
    pub first_row_id: Option<i64>,
    /// Data sequence number: an equality delete is about smaller ones
    pub sequence_number: i64,
    /// Row deletes that apply
    pub deletes: Applied,
}

impl FileTask {
    /// Whether the row group that begins at this byte belongs to the task.
    pub fn holds(&self, start: u64) -> bool {
        self.part.as_ref().is_none_or(|part| part.contains(&start))
    }

    /// Whole files, with a value a file of each column that folders stand for.
    pub fn of_folders(locations: Vec<String>, folders: &[(String, ArrayRef)]) -> Result<Vec<FileTask>> {
        if let Some((name, values)) = folders.iter().find(|(_, values)| values.len() != locations.len()) {
            let message = format!("column {name:?} has {} values for {} files", values.len(), locations.len());
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        let partition = |row: usize| {
            let values = folders.iter().map(|(_, values)| values.slice(row, 1));
            (FIRST_FOLDER_ID..).zip(values).collect::<HashMap<i32, ArrayRef>>()
        };
        let task = |(row, location)| FileTask { location, partition: partition(row), ..FileTask::default() };
        Ok(locations.into_iter().enumerate().map(task).collect())
    }

    /// The tasks of a file list.
    pub fn of_list(list: &FileList) -> Result<Vec<FileTask>> {
        let identity = identity_fields(list.specs_json())?;
        let (locations, spec_ids, partitions) = (list.locations()?, list.spec_ids()?, list.partitions()?);
        let (sizes, starts, lengths) = (list.int64("file_size")?, list.int64("start")?, list.int64("length")?);
        let (counts, sequence) = (list.int64("record_count")?, list.int64("sequence_number")?);
        let first_row_ids = list.int64("first_row_id")?;
        let changes = if list.is_of_changes() { Some((list.text(CHANGE)?, list.int64(CHANGED_BY)?)) } else { None };
        let mut tasks = Vec::with_capacity(list.len());
        for row in 0..list.len() {
            let mut partition = HashMap::new();
            for (source, field) in identity.get(&spec_ids.value(row)).into_iter().flatten() {
                if let Some(column) = partitions.column_by_name(field) {
                    partition.insert(*source, column.slice(row, 1));
                }
            }
            let size = u64::try_from(sizes.value(row)).ok().filter(|size| *size > 0);
            let start = u64::try_from(starts.value(row)).unwrap_or(0);
            let length = u64::try_from(lengths.value(row)).unwrap_or(u64::MAX);
            let whole = start == 0 && size.is_some_and(|size| length >= size);
            let part = (!whole).then(|| start..start.saturating_add(length));
            tasks.push(FileTask {
                location: locations.value(row).to_string(),
                size,
                rows: counts.is_valid(row).then(|| counts.value(row)).and_then(|rows| usize::try_from(rows).ok()),
                part,
                partition,
                tuple: Some(partitions.slice(row, 1)),
                first_row_id: first_row_ids.is_valid(row).then(|| first_row_ids.value(row)),
                spec_id: spec_ids.value(row),
                change: changes.map(|(change, by)| (change.value(row).to_string(), by.value(row))),
                sequence_number: sequence.value(row),
                deletes: list.deletes(row)?,
            });
        }
        Ok(tasks)
    }
}

/// Spec id -> (source field id, partition field id as text) of its identity fields.
fn identity_fields(specs: &str) -> Result<HashMap<i32, Vec<(i32, String)>>> {
    let bad = || Error::new(Kind::InvalidData, "the file list's partition specs are not JSON of specs");
    let specs: Value = serde_json::from_str(specs).map_err(|_| bad())?;
    let id = |value: &Value, key: &str| value.get(key).and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
    let mut found = HashMap::new();
    for spec in specs.as_array().ok_or_else(bad)? {
        let fields = spec.get("fields").and_then(Value::as_array).ok_or_else(bad)?;
        let identity = fields.iter().filter(|field| field.get("transform").and_then(Value::as_str) == Some("identity"));
        let pairs = identity.map(|field| Some((id(field, "source-id")?, id(field, "field-id")?.to_string())));
        found.insert(id(spec, "spec-id").ok_or_else(bad)?, pairs.collect::<Option<Vec<_>>>().ok_or_else(bad)?);
    }
    Ok(found)
}

/// The schema of files without a table.
pub struct SchemaSource {
    /// As a frame shows it
    pub output: Schema,
    /// With ids of our own, one a column at any depth, so that columns are matched by name
    pub numbered: Schema,
    /// The names in files
    names: NameMapping,
}

/// Id of the first column that folders stand for; the columns of a file have theirs from 1.
const FIRST_FOLDER_ID: i32 = 1 << 20;

/// Values that folders stand for, strings as a frame has them.
pub fn views(folders: Vec<(String, ArrayRef)>) -> Result<Vec<(String, ArrayRef)>> {
    let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidArgument, e.to_string());
    let view =
        |(name, values): (String, ArrayRef)| Ok((name, cast(&values, &as_views(values.data_type())).map_err(wrong)?));
    folders.into_iter().map(view).collect()
}

/// Reads the schema of a Parquet file: its embedded Arrow schema where it has one, in the frame's layout.
pub async fn schema_of(store: &Store, location: &str) -> Result<SchemaSource> {
    let object = PinnedObject::new(store.clone(), location, None);
    let footer = footer::read(&object).await?;
    let reader = layout::reader_metadata(footer.metadata, true).map_err(|error| error.at(location))?;
    let output = Schema::new(reader.schema().fields().clone());
    let mut next = 0;
    let numbered = output.fields().iter().map(|field| number(field, &mut next)).collect::<Vec<_>>();
    let numbered = Schema::new(numbered);
    let names = NameMapping::of_fields(numbered.fields());
    Ok(SchemaSource { output, numbered, names })
}

impl SchemaSource {
    /// The same with columns that folders stand for (`ds=2026-01-01/`) at its end; they replace columns of their names.
    #[must_use]
    pub fn with_folders(mut self, folders: &[(String, ArrayRef)]) -> SchemaSource {
        let of_files = |field: &&Arc<Field>| folders.iter().all(|(name, _)| name != field.name());
        let mut output: Vec<Arc<Field>> = self.output.fields().iter().filter(of_files).cloned().collect();
        let mut numbered: Vec<Arc<Field>> = self.numbered.fields().iter().filter(of_files).cloned().collect();
        self.names = NameMapping::of_fields(&numbered.iter().cloned().collect());
        for (id, (name, values)) in (FIRST_FOLDER_ID..).zip(folders) {
            let field = Field::new(name, values.data_type().clone(), true);
            let metadata = HashMap::from([(FIELD_ID.to_string(), id.to_string())]);
            output.push(Arc::new(field.clone()));
            numbered.push(Arc::new(field.with_metadata(metadata)));
        }
        self.output = Schema::new(output);
        self.numbered = Schema::new(numbered);
        self
    }

    /// The columns at these positions, in this order.
    pub fn wanted(&self, columns: Option<&[usize]>) -> Result<(Wanted, Schema)> {
        let all: Vec<usize> = (0..self.output.fields().len()).collect();
        let columns = columns.unwrap_or(&all);
        let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidArgument, e.to_string());
        let names = self.names.clone();
        let schema = self.numbered.project(columns).map_err(wrong)?;
        let output = self.output.project(columns).map_err(wrong)?;
        let nullable = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let output = Schema::new(output.fields().iter().map(nullable).collect::<Vec<_>>());
        Ok((Wanted { schema, defaults: Arc::new(HashMap::new()), names, matching: Matching::Names }, output))
    }
}

impl SchemaSource {
    /// The columns as an Iceberg schema (Appendix C) with the ids of `numbered`, for binding a filter. A type that
    /// Iceberg does not have, and lists and maps, are `unknown`: a filter on them is refused by whoever binds it.
    pub fn to_iceberg_json(&self) -> String {
        let fields: Vec<Value> = self.numbered.fields().iter().map(|field| field_json(field)).collect();
        serde_json::json!({"type": "struct", "schema-id": 0, "fields": fields}).to_string()
    }
}

fn field_json(field: &Field) -> Value {
    let id = crate::parquet::mapping::field_id(field).unwrap_or(0);
    serde_json::json!({"id": id, "name": field.name(), "required": false, "type": type_json(field.data_type())})
}

fn type_json(data_type: &DataType) -> Value {
    let name = match data_type {
        DataType::Boolean => "boolean".to_string(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => "int".to_string(),
        DataType::Int64 | DataType::UInt32 => "long".to_string(),
        DataType::Float16 | DataType::Float32 => "float".to_string(),
        DataType::Float64 => "double".to_string(),
        DataType::Decimal128(precision, scale) if *scale >= 0 => format!("decimal({precision}, {scale})"),
        DataType::Date32 => "date".to_string(),
        DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond) => "time".to_string(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns".to_string(),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => "timestamptz_ns".to_string(),
        DataType::Timestamp(_, None) => "timestamp".to_string(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_string(),
        DataType::Utf8View => "string".to_string(),
        DataType::BinaryView => "binary".to_string(),
        DataType::FixedSizeBinary(width) => format!("fixed[{width}]"),
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|field| field_json(field)).collect();
            return serde_json::json!({"type": "struct", "fields": fields});
        }
        _ => "unknown".to_string(),
    };
    Value::String(name)
}

fn number(field: &Field, next: &mut i32) -> Field {
    *next += 1;
    let mut metadata = field.metadata().clone();
    metadata.insert(FIELD_ID.to_string(), next.to_string());
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|inner| number(inner, next)).collect()),
        DataType::LargeList(element) => DataType::LargeList(Arc::new(number(element, next))),
        DataType::Map(entries, sorted) => {
            let inner = match entries.data_type() {
                // A key is never null (Arrow columnar format, "Map type").
                DataType::Struct(fields) => {
                    let numbered = |(at, inner): (usize, &Arc<Field>)| number(inner, next).with_nullable(at > 0);
                    fields.iter().enumerate().map(numbered).collect()
                }
                _ => arrow_schema::Fields::empty(),
            };
            DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(DataType::Struct(inner))), *sorted)
        }
        other => other.clone(),
    };
    field.clone().with_data_type(data_type).with_nullable(true).with_metadata(metadata)
}

/// One row holding a literal.
pub fn literal_array(literal: &Literal, data_type: &DataType) -> Result<ArrayRef> {
    let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidData, e.to_string());
    let array: ArrayRef = match literal {
        Literal::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
        Literal::Integer(value) => Arc::new(Int64Array::from(vec![*value])),
        Literal::Float(value) => Arc::new(Float64Array::from(vec![*value])),
        Literal::Decimal(value) => match data_type {
            DataType::Decimal128(precision, scale) => {
                let array = Decimal128Array::from(vec![*value]).with_precision_and_scale(*precision, *scale);
                Arc::new(array.map_err(wrong)?)
            }
            _ => new_null_array(data_type, 1),
        },
        Literal::String(value) => {
            let mut builder = StringViewBuilder::new();
            builder.append_value(value);
            Arc::new(builder.finish())
        }
        Literal::Bytes(value) => match data_type {
            DataType::FixedSizeBinary(width) => {
                let mut builder = FixedSizeBinaryBuilder::new(*width);
                builder.append_value(value).map_err(wrong)?;
                Arc::new(builder.finish())
            }
            _ => {
                let mut builder = BinaryViewBuilder::new();
                builder.append_value(value);
                Arc::new(builder.finish())
            }
        },
    };
    match (array.data_type(), data_type) {
        (from, to) if from == to => Ok(array),
        (DataType::Int64, DataType::Date32) => {
            let days = cast(&array, &DataType::Int32).map_err(wrong)?;
            cast(&days, data_type).map_err(wrong)
        }
        _ => cast(&array, data_type).map_err(wrong),
    }
}
