//! The columnar list of data files that a plan found: a value, small, sliceable, picklable through Arrow IPC.
//!
//! One Arrow batch, a row a file (or a part of one):
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `location` | utf8 | as the manifest has it |
//! | `file_size` | int64 | bytes of the object |
//! | `record_count` | int64, nullable | rows of the file; null where nobody counted them (Hive tables) |
//! | `start`, `length` | int64 | bytes of the file that this entry stands for: the row groups that begin in `[start, start + length)` |
//! | `spec_id` | int32 | partition spec of the file |
//! | `sequence_number` | int64 | data sequence number (0 in v1) |
//! | `first_row_id` | int64, nullable | v3 row lineage |
//! | `partition` | struct | one nullable field a partition field of all the specs, named by its partition field id (text) |
//!
//! The schema's metadata holds `partition-specs`: the JSON list of the table's specs. `[start, start + length)` is
//! Iceberg's own way to split a file (spec: `split_offsets`), so a part means the same rows to everyone.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_cast::cast;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Kind, Result};

/// Key in the schema's metadata: the table's partition specs as JSON.
pub const SPECS: &str = "partition-specs";

/// The files of a plan or shard. Cheap to clone: columns are shared.
#[derive(Clone, Debug)]
pub struct FileList {
    batch: RecordBatch,
}

impl FileList {
    /// Wraps a batch, checking that the columns named above are there with their types.
    pub fn new(batch: RecordBatch) -> Result<FileList> {
        let list = FileList { batch };
        list.locations()?;
        for name in ["file_size", "record_count", "start", "length", "sequence_number", "first_row_id"] {
            list.int64(name)?;
        }
        list.spec_ids()?;
        list.partitions()?;
        Ok(list)
    }

    /// Lists whole files that no manifest names: `partitions` holds a value a file for each partition field, by its id.
    pub fn of_files(
        locations: Vec<String>,
        sizes: Vec<i64>,
        partitions: Vec<(i32, ArrayRef)>,
        specs: &str,
    ) -> Result<FileList> {
        let count = locations.len();
        let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidArgument, format!("file list: {e}"));
        let mut values = Vec::with_capacity(partitions.len());
        for (id, array) in partitions {
            let array = cast(&array, &as_views(array.data_type())).map_err(wrong)?;
            values.push((Arc::new(Field::new(id.to_string(), array.data_type().clone(), true)), array));
        }
        let (fields, arrays): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let partition = StructArray::try_new_with_length(fields.into(), arrays, None, count).map_err(wrong)?;
        let sizes: ArrayRef = Arc::new(Int64Array::from(sizes));
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("location", Arc::new(StringArray::from(locations)), false),
            ("file_size", Arc::clone(&sizes), false),
            ("record_count", Arc::new(Int64Array::new_null(count)), true),
            ("start", Arc::new(Int64Array::from(vec![0; count])), false),
            ("length", sizes, false),
            ("spec_id", Arc::new(Int32Array::from(vec![0; count])), false),
            ("sequence_number", Arc::new(Int64Array::from(vec![0; count])), false),
            ("first_row_id", Arc::new(Int64Array::new_null(count)), true),
            ("partition", Arc::new(partition), false),
        ];
        let fields =
            columns.iter().map(|(name, array, nullable)| Field::new(*name, array.data_type().clone(), *nullable));
        let metadata: HashMap<String, String> = [(SPECS.to_string(), specs.to_string())].into();
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata);
        let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
        FileList::new(RecordBatch::try_new(Arc::new(schema), arrays).map_err(wrong)?)
    }

    /// The batch itself.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `location` of every entry.
    pub fn locations(&self) -> Result<&StringArray> {
        self.typed("location")
    }

    /// An int64 column by name.
    pub fn int64(&self, name: &str) -> Result<&Int64Array> {
        self.typed(name)
    }

    /// `spec_id` of every entry.
    pub fn spec_ids(&self) -> Result<&Int32Array> {
        self.typed("spec_id")
    }

    /// Partition values of every entry, a struct field a partition field.
    pub fn partitions(&self) -> Result<&StructArray> {
        self.typed("partition")
    }

    /// The table's partition specs, as the JSON the control plane gave.
    pub fn specs_json(&self) -> &str {
        self.batch.schema_ref().metadata().get(SPECS).map_or("[]", String::as_str)
    }

    /// Entries `offset .. offset + length`, a view.
    pub fn slice(&self, offset: usize, length: usize) -> FileList {
        let offset = offset.min(self.len());
        FileList { batch: self.batch.slice(offset, length.min(self.len() - offset)) }
    }

    /// The entries at these positions, a copy.
    pub fn take(&self, positions: &[u32]) -> Result<FileList> {
        let positions: ArrayRef = Arc::new(arrow_array::UInt32Array::from(positions.to_vec()));
        let batch = arrow_select::take::take_record_batch(&self.batch, &positions);
        batch.map(|batch| FileList { batch }).map_err(|e| Error::new(Kind::InvalidArgument, e.to_string()))
    }

    /// The list as one Arrow IPC stream: what a pickle holds.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::Internal, format!("file list: {e}"));
        let mut writer = StreamWriter::try_new(Vec::new(), self.batch.schema_ref()).map_err(wrong)?;
        writer.write(&self.batch).map_err(wrong)?;
        writer.into_inner().map_err(wrong)
    }

    /// Reads what [`FileList::to_bytes`] wrote.
    pub fn from_bytes(data: &[u8]) -> Result<FileList> {
        let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidData, format!("not a file list: {e}"));
        let mut reader = StreamReader::try_new(Cursor::new(data), None).map_err(wrong)?;
        let schema = reader.schema();
        match reader.next() {
            Some(batch) => FileList::new(batch.map_err(wrong)?),
            None => FileList::new(RecordBatch::new_empty(schema)),
        }
    }

    fn typed<T: Array + 'static>(&self, name: &str) -> Result<&T> {
        let column = self.batch.column_by_name(name);
        column.and_then(|column| column.as_any().downcast_ref()).ok_or_else(|| {
            Error::new(Kind::InvalidData, format!("not a file list: column {name:?} is missing or mistyped"))
        })
    }
}

/// Strings as a frame has them, which is what a partition's constant becomes.
pub(crate) fn as_views(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}
