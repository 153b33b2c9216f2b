//! Records of a data file -> an Arrow batch of every field, typed as the writer's schema says.
//!
//! Arrow fields carry Iceberg's ids where the writer gave them. Correct rather than fast: a value is read by walking the
//! schema. Must not know: the table's schema, files. Neighbours: [`super::values`] holds what was read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};

use super::cursor::{Cursor, invalid};
use super::schema::{Node, NodeId, Note, WriterSchema};
use super::values::{Store, Values};
use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::FIELD_ID;

/// Most rows of one file: what takes no bytes could be claimed without end.
const MAX_ROWS: usize = 1 << 30;
const MAX_DEPTH: usize = 64;

/// Records being read.
pub(super) struct Records {
    fields: Vec<FieldRef>,
    columns: Vec<Values>,
    rows: usize,
}

impl Records {
    pub(super) fn new(schema: &WriterSchema) -> Result<Records> {
        let Node::Record(fields) = &schema.nodes[schema.root] else {
            return Err(invalid("Avro: a data file does not hold records"));
        };
        let (mut made, mut columns) = (Vec::new(), Vec::new());
        for field in fields {
            let (of, values) = typed(schema, &field.name, field.id, field.node, 0)
                .map_err(|e| Error::new(e.kind(), format!("Avro: field {:?}: {}", field.name, e.message())))?;
            made.push(Arc::new(of));
            columns.push(values);
        }
        Ok(Records { fields: made, columns, rows: 0 })
    }

    /// Reads the records of a block.
    pub(super) fn add(&mut self, bytes: &[u8], records: usize) -> Result<()> {
        let takes_bytes = self.columns.iter().any(|column| !matches!(column.store, Store::Nothing));
        if self.rows.saturating_add(records) > MAX_ROWS || (takes_bytes && records > bytes.len()) {
            return Err(invalid(format!("Avro: {records} records in a block of {} bytes", bytes.len())));
        }
        let mut cursor = Cursor::new(bytes);
        for _ in 0..records {
            self.columns.iter_mut().try_for_each(|column| column.read(&mut cursor))?;
        }
        self.rows += records;
        match cursor.remaining() {
            0 => Ok(()),
            left => Err(invalid(format!("Avro: {left} bytes follow the {records} records of a block"))),
        }
    }

    pub(super) fn finish(self) -> Result<RecordBatch> {
        let arrays = self.columns.into_iter().map(Values::finish).collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(self.fields)), arrays, &options);
        batch.map_err(|e| invalid(format!("Avro: {e}")))
    }
}

/// The Arrow field of a node, and where its values go.
fn typed(schema: &WriterSchema, name: &str, id: Option<i32>, node: NodeId, depth: usize) -> Result<(Field, Values)> {
    if depth > MAX_DEPTH {
        return Err(invalid(format!("records within records, deeper than {MAX_DEPTH}")));
    }
    let (node, null_branch) = optional(schema, node)?;
    let store = store(schema, node, depth)?;
    let data_type = store.data_type();
    let is_nullable = null_branch.is_some() || data_type == DataType::Null;
    let metadata = id.map(|id| (FIELD_ID.to_string(), id.to_string())).into_iter().collect::<HashMap<_, _>>();
    Ok((Field::new(name, data_type, is_nullable).with_metadata(metadata), Values::new(null_branch, store)))
}

/// The branch of a union that is not null, and which one is.
fn optional(schema: &WriterSchema, node: NodeId) -> Result<(NodeId, Option<i64>)> {
    let Node::Union(branches) = &schema.nodes[node] else { return Ok((node, None)) };
    let is_null = |node: &NodeId| matches!(schema.nodes[*node], Node::Null);
    match branches.as_slice() {
        [null, other] if is_null(null) && !is_null(other) => Ok((*other, Some(0))),
        [other, null] if is_null(null) && !is_null(other) => Ok((*other, Some(1))),
        _ => Err(unread("a union of other than null and one type")),
    }
}

fn store(schema: &WriterSchema, node: NodeId, depth: usize) -> Result<Store> {
    let plain = Note::default();
    let note = schema.notes.get(&node).unwrap_or(&plain);
    let logical = note.logical.as_deref();
    let child = |name: &str, id: Option<i32>, node: NodeId| {
        let (field, values) = typed(schema, name, id, node, depth + 1)?;
        Ok::<_, Error>((Arc::new(field), values))
    };
    Ok(match &schema.nodes[node] {
        Node::Null => Store::Nothing,
        Node::Boolean => Store::Booleans(Vec::new()),
        Node::Integer if note.name == "int" => Store::Ints(Vec::new(), int_type(logical)),
        Node::Integer => Store::Longs(Vec::new(), long_type(logical, note.is_utc)),
        Node::Float => Store::Floats(Vec::new()),
        Node::Double => Store::Doubles(Vec::new()),
        Node::Bytes if logical == Some("decimal") => decimal(None, note)?,
        Node::Bytes if note.name == "string" => Store::bytes(DataType::LargeUtf8),
        Node::Bytes => Store::bytes(DataType::LargeBinary),
        Node::Fixed(size) if logical == Some("decimal") => decimal(Some(*size), note)?,
        Node::Fixed(size) => Store::Fixed(Vec::new(), *size),
        Node::Record(fields) => {
            let made = fields.iter().map(|field| child(&field.name, field.id, field.node));
            let (fields, columns): (Vec<_>, Vec<_>) = made.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            Store::Struct(Fields::from(fields), columns)
        }
        Node::Array(items) => match (&schema.nodes[*items], logical) {
            (Node::Record(pair), Some("map")) if pair.len() == 2 => {
                let key = child("key", pair[0].id, pair[0].node)?;
                let value = child("value", pair[1].id, pair[1].node)?;
                Store::map(key, value)
            }
            _ => {
                let (element, values) = child("element", note.element_id, *items)?;
                Store::List(vec![0], element, Box::new(values))
            }
        },
        Node::Map(values) => {
            let id = |id: Option<i32>| id.map(|id| (FIELD_ID.to_string(), id.to_string())).into_iter().collect();
            let key: HashMap<String, String> = id(note.key_id);
            let key = Field::new("key", DataType::LargeUtf8, false).with_metadata(key);
            let keys = Values::new(None, Store::bytes(DataType::LargeUtf8));
            Store::map((Arc::new(key), keys), child("value", note.value_id, *values)?)
        }
        Node::Enum => return Err(unread("an enum")),
        Node::Union(_) => return Err(unread("a union within a union")),
    })
}

fn int_type(logical: Option<&str>) -> DataType {
    match logical {
        Some("date") => DataType::Date32,
        Some("time-millis") => DataType::Time32(TimeUnit::Millisecond),
        _ => DataType::Int32,
    }
}

/// Moments are in UTC unless Iceberg's attribute or a local type says otherwise.
fn long_type(logical: Option<&str>, is_utc: Option<bool>) -> DataType {
    let moment = |unit: TimeUnit, is_utc: bool| DataType::Timestamp(unit, is_utc.then(|| "UTC".into()));
    let name = logical.unwrap_or_default();
    let (kind, is_utc) = match name.strip_prefix("local-") {
        Some(kind) => (kind, false),
        None => (name, is_utc.unwrap_or(true)),
    };
    match kind {
        "time-micros" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp-millis" => moment(TimeUnit::Millisecond, is_utc),
        "timestamp-micros" => moment(TimeUnit::Microsecond, is_utc),
        "timestamp-nanos" => moment(TimeUnit::Nanosecond, is_utc),
        _ => DataType::Int64,
    }
}

fn decimal(size: Option<usize>, note: &Note) -> Result<Store> {
    match note.precision {
        Some(precision @ 1..=38) if (0..=precision as i8).contains(&note.scale) && size.unwrap_or(0) <= 16 => {
            Ok(Store::Decimals(Vec::new(), size, precision, note.scale))
        }
        _ => Err(unread("a decimal of over 38 digits, or of no scale")),
    }
}

fn unread(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{what} is no column of a table"))
}
