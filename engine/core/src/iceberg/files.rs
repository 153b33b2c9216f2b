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
//! | `split_offsets` | list of int64, nullable | where the file's row groups begin, if the manifest says so |
//! | `partition` | struct | one nullable field a partition field of all the specs, named by its partition field id (text) |
//! | `change_type`, `commit_snapshot_id` | utf8, int64 | what which snapshot did to the file's rows, in lists of changes only |
//! | `deletes` | list of int32 | the row deletes that apply, as runs (start, end, start, end ...) of the list beside it |
//!
//! `deletes` and its list ([`crate::iceberg::deletes`]) are there only where there are any. `record_count` is before them.
//!
//! The schema's metadata holds `partition-specs`: the JSON list of the table's specs. `[start, start + length)` is
//! Iceberg's own way to split a file (spec: `split_offsets`), so a part means the same rows to everyone.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_cast::cast;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Kind, Result};
use crate::iceberg::deletes::{Applied, DeleteFile, DeleteList, positions, runs, runs_type};

/// Key in the schema's metadata: the table's partition specs as JSON.
pub const SPECS: &str = "partition-specs";
/// The column that names the deletes of every entry.
pub(crate) const DELETES: &str = "deletes";
/// The column that says what a snapshot did to the file's rows, in lists of changes only.
pub(crate) const CHANGE: &str = "change_type";
/// The column of that snapshot's id.
pub(crate) const CHANGED_BY: &str = "commit_snapshot_id";
/// The column of row groups' beginnings.
pub const SPLIT_OFFSETS: &str = "split_offsets";

/// The files of a plan or shard. Cheap to clone: columns are shared.
#[derive(Clone, Debug)]
pub struct FileList {
    batch: RecordBatch,
    deletes: Option<DeleteList>,
}

impl FileList {
    /// Wraps a batch without row deletes, checking that the columns named above are there with their types.
    pub fn new(batch: RecordBatch) -> Result<FileList> {
        match batch.column_by_name(DELETES) {
            None => FileList::checked(batch),
            Some(_) => Err(Error::new(Kind::InvalidData, "not a file list: deletes without the list that they are of")),
        }
    }

    fn checked(batch: RecordBatch) -> Result<FileList> {
        let list = FileList { batch, deletes: None };
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

    /// Wraps a batch with the column `deletes`, and the list that it is about.
    pub(crate) fn with_deletes(batch: RecordBatch, deletes: DeleteList) -> Result<FileList> {
        let list = FileList { deletes: Some(deletes), ..FileList::checked(batch)? };
        let most = list.deletes.as_ref().map_or(0, |deletes| deletes.files().len());
        let fits = |end: &i32| usize::try_from(*end).is_ok_and(|end| end <= most);
        let runs = list.runs()?.values().as_primitive_opt::<Int32Type>().filter(|runs| runs.null_count() == 0);
        if !runs.is_some_and(|runs| runs.values().iter().all(fits)) {
            return Err(Error::new(Kind::InvalidData, "not a file list: deletes that are not in its list"));
        }
        Ok(list)
    }

    /// Wraps a batch made from this list's: entries keep their deletes.
    pub(crate) fn with_batch(&self, batch: RecordBatch) -> Result<FileList> {
        match &self.deletes {
            Some(deletes) => FileList::with_deletes(batch, deletes.clone()),
            None => FileList::new(batch),
        }
    }

    /// The row deletes of an entry.
    pub fn deletes(&self, row: usize) -> Result<Applied> {
        let Some(list) = &self.deletes else { return Ok(Applied::default()) };
        Ok(Applied::new(list, self.runs()?.value(row).as_primitive::<Int32Type>().values()))
    }

    /// The row deletes of all entries, each once.
    pub fn all_deletes(&self) -> Result<Vec<Arc<DeleteFile>>> {
        let Some(list) = &self.deletes else { return Ok(Vec::new()) };
        let used = self.used(list)?;
        let files = list.files().iter().zip(used).filter(|(_, used)| *used);
        Ok(files.map(|(file, _)| Arc::clone(file)).collect())
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

    /// A text column by name.
    pub(crate) fn text(&self, name: &str) -> Result<&StringArray> {
        self.typed(name)
    }

    /// Whether the list says what happened to its files.
    pub(crate) fn is_of_changes(&self) -> bool {
        self.batch.schema_ref().index_of(CHANGE).is_ok()
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
        FileList { batch: self.batch.slice(offset, length.min(self.len() - offset)), deletes: self.deletes.clone() }
    }

    /// The entries at these positions, a copy.
    pub fn take(&self, positions: &[u32]) -> Result<FileList> {
        let positions: ArrayRef = Arc::new(arrow_array::UInt32Array::from(positions.to_vec()));
        let batch = arrow_select::take::take_record_batch(&self.batch, &positions);
        let batch = batch.map_err(|e| Error::new(Kind::InvalidArgument, e.to_string()))?;
        Ok(FileList { batch, deletes: self.deletes.clone() })
    }

    /// The list as one Arrow IPC stream, and those of its deletes that it needs as another: what a pickle holds.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let Some(deletes) = &self.deletes else { return write(&self.batch, Vec::new()) };
        let used = self.used(deletes)?;
        let kept = DeleteList::new(self.all_deletes()?);
        if kept.files().is_empty() {
            return write(&self.without_deletes()?, Vec::new());
        }
        let places = used.iter().scan(0, |next, used| {
            let place = *next;
            *next += usize::from(*used);
            Some(place)
        });
        let batch = self.renumbered(&places.collect::<Vec<_>>())?;
        write(&kept.to_batch()?, write(&batch, Vec::new())?)
    }

    /// Reads what [`FileList::to_bytes`] wrote.
    pub fn from_bytes(data: &[u8]) -> Result<FileList> {
        let mut data = Cursor::new(data);
        let batch = read(&mut data)?;
        match batch.schema_ref().index_of(DELETES) {
            Ok(_) => FileList::with_deletes(batch, DeleteList::from_batch(&read(&mut data)?)?),
            Err(_) => FileList::new(batch),
        }
    }

    /// Which deletes some entry needs.
    fn used(&self, deletes: &DeleteList) -> Result<Vec<bool>> {
        let mut used = vec![false; deletes.files().len()];
        let mut done: Option<ArrayRef> = None;
        for row in 0..self.len() {
            let runs = self.runs()?.value(row);
            if done.as_ref().is_some_and(|done| done == &runs) {
                continue; // most files of a table share their equality deletes
            }
            for at in positions(runs.as_primitive::<Int32Type>().values()) {
                used.get_mut(at).into_iter().for_each(|used| *used = true);
            }
            done = Some(runs);
        }
        Ok(used)
    }

    /// The batch with other numbers for its deletes.
    fn renumbered(&self, places: &[usize]) -> Result<RecordBatch> {
        let mut column = ListBuilder::new(Int32Builder::new());
        for row in 0..self.len() {
            let old = self.runs()?.value(row);
            let new = positions(old.as_primitive::<Int32Type>().values()).filter_map(|at| places.get(at).copied());
            column.values().append_slice(&runs(new)?);
            column.append(true);
        }
        let mut columns = self.batch.columns().to_vec();
        let at = self.batch.schema_ref().index_of(DELETES).map_err(internal)?;
        columns[at] = Arc::new(column.finish());
        RecordBatch::try_new(self.batch.schema(), columns).map_err(internal)
    }

    fn without_deletes(&self) -> Result<RecordBatch> {
        let columns = self.batch.schema_ref().fields().iter().enumerate();
        let kept: Vec<usize> = columns.filter(|(_, field)| field.name() != DELETES).map(|(at, _)| at).collect();
        self.batch.project(&kept).map_err(internal)
    }

    fn runs(&self) -> Result<&ListArray> {
        let runs: &ListArray = self.typed(DELETES)?;
        if runs.data_type() == &runs_type() && runs.null_count() == 0 {
            return Ok(runs);
        }
        Err(Error::new(Kind::InvalidData, "not a file list: column \"deletes\" is mistyped"))
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

fn write(batch: &RecordBatch, to: Vec<u8>) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(to, batch.schema_ref()).map_err(internal)?;
    writer.write(batch).map_err(internal)?;
    writer.into_inner().map_err(internal)
}

fn read(data: &mut Cursor<&[u8]>) -> Result<RecordBatch> {
    let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidData, format!("not a file list: {e}"));
    let mut reader = StreamReader::try_new(data, None).map_err(wrong)?;
    let schema = reader.schema();
    let batch = reader.next().transpose().map_err(wrong)?;
    match reader.next().transpose().map_err(wrong)? {
        None => Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(schema))),
        Some(_) => Err(Error::new(Kind::InvalidData, "not a file list: more than one batch")),
    }
}

fn internal(e: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, format!("file list: {e}"))
}
