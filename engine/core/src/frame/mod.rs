//! A frame: immutable columns of equal length, each one contiguous Arrow array, shared by whoever holds it.
//!
//! Must not know: files, tables, Python. A column's memory is lent, never copied, unless a function says that it copies.

mod contiguous;
pub mod dense;
pub mod filter;
pub mod format;
pub mod ipc;
pub mod keys;
pub mod nested;
mod relabel;
mod size;
pub mod strings;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};

use crate::error::{Error, Kind, Result};
use crate::parallel;

pub use relabel::relabel;
pub use size::array_bytes;
pub use strings::StringLayout;

/// Columns of equal length. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Frame {
    batch: RecordBatch,
    metrics: Arc<str>,
}

impl Frame {
    /// Columns under a schema of the same types (names and metadata of nested fields may differ; the schema's stand).
    pub fn new(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<Frame> {
        let columns = columns.into_iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| relabel(column, field.data_type())).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options).map_err(|e| {
            Error::new(Kind::TypeMismatch, format!("the columns do not fit their schema: {e}"))
                .hint("a required field may hold nulls")
        })?;
        Ok(Frame { batch, metrics: Arc::from("{}") })
    }

    /// Batches of one schema, joined: one batch is taken as it is, more are copied into contiguous columns.
    pub fn of_batches(schema: SchemaRef, batches: &[RecordBatch]) -> Result<Frame> {
        let schema = without_pandas(schema);
        let batch = match batches {
            [only] => {
                let options = RecordBatchOptions::new().with_row_count(Some(only.num_rows()));
                RecordBatch::try_new_with_options(schema, only.columns().to_vec(), &options).map_err(wrong)?
            }
            _ => arrow_select::concat::concat_batches(&schema, batches).map_err(wrong)?,
        };
        Ok(Frame { batch, metrics: Arc::from("{}") })
    }

    /// The same frame with what its load measured.
    #[must_use]
    pub fn with_metrics(mut self, metrics: String) -> Frame {
        self.metrics = Arc::from(metrics);
        self
    }

    /// JSON of what the load measured, `{}` for a frame that was not loaded.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// The columns as one Arrow batch, shared.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Bytes of memory that the columns hold, string pages that they share counted once.
    pub fn nbytes(&self) -> usize {
        size::bytes_of(self.batch.columns())
    }

    /// Columns by position, shared.
    pub fn select(&self, positions: &[usize]) -> Result<Frame> {
        self.derived(self.batch.project(positions))
    }

    /// The same columns under other names, shared.
    pub fn rename(&self, names: &[String]) -> Result<Frame> {
        let fields = self.batch.schema();
        if names.len() != fields.fields().len() {
            let message = format!("{} names for {} columns", names.len(), fields.fields().len());
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        let renamed = fields.fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name));
        let schema = Schema::new_with_metadata(renamed.collect::<Vec<_>>(), fields.metadata().clone());
        let options = RecordBatchOptions::new().with_row_count(Some(self.num_rows()));
        self.derived(RecordBatch::try_new_with_options(Arc::new(schema), self.batch.columns().to_vec(), &options))
    }

    /// Rows `offset .. offset + length`, a view.
    pub fn slice(&self, offset: usize, length: usize) -> Frame {
        let offset = offset.min(self.num_rows());
        Frame { batch: self.batch.slice(offset, length.min(self.num_rows() - offset)), metrics: Arc::from("{}") }
    }

    /// Rows at these positions, a copy.
    pub fn take(&self, positions: &UInt64Array) -> Result<Frame> {
        let rows = self.num_rows() as u64;
        if let Some(outside) = positions.values().iter().find(|position| **position >= rows) {
            let message = format!("row {outside} of a frame of {rows} rows");
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        self.derived(arrow_select::take::take_record_batch(&self.batch, positions))
    }

    /// Rows where the mask is true (nulls are false), a copy.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Frame> {
        if mask.len() != self.num_rows() {
            let message = format!("a mask of {} values for {} rows", mask.len(), self.num_rows());
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        self.derived(arrow_select::filter::filter_record_batch(&self.batch, mask))
    }

    /// Frames below one another, a copy; all must have the first one's column names and types.
    pub fn concat(frames: &[Frame]) -> Result<Frame> {
        let Some(first) = frames.first() else {
            return Err(Error::new(Kind::InvalidArgument, "no frames to stack"));
        };
        let schema = first.batch.schema();
        let mut batches = Vec::with_capacity(frames.len());
        for frame in frames {
            for (ours, theirs) in schema.fields().iter().zip(frame.batch.schema().fields()) {
                if ours.name() != theirs.name() || ours.data_type() != theirs.data_type() {
                    let message = format!(
                        "column {:?} ({}) over {:?} ({})",
                        ours.name(),
                        ours.data_type(),
                        theirs.name(),
                        theirs.data_type()
                    );
                    return Err(Error::new(Kind::InvalidArgument, message)
                        .hint("frames that are stacked have the same columns"));
                }
            }
            if schema.fields().len() != frame.batch.num_columns() {
                return Err(Error::new(Kind::InvalidArgument, "frames that are stacked have the same columns"));
            }
            let nullable = frame.batch.columns().to_vec();
            let options = RecordBatchOptions::new().with_row_count(Some(frame.num_rows()));
            batches.push(RecordBatch::try_new_with_options(widest(&schema), nullable, &options).map_err(wrong)?);
        }
        Frame::of_batches(widest(&schema), &batches)
    }

    /// Strings and binary in another layout, in parallel; what has it already is shared.
    pub fn cast_strings(&self, layout: StringLayout, threads: usize) -> Result<Frame> {
        self.recast(strings::convert(self.batch.columns(), layout, threads)?)
    }

    /// Columns as pandas holds them: see [`dense::dense`] for what NumPy has a dtype for, strings contiguous, all else
    /// as it is; decimals as `float64` if wished. Columns in parallel, strings by ranges of rows too.
    pub fn for_pandas(&self, float_decimals: bool, threads: usize) -> Result<Vec<ArrayRef>> {
        let columns = strings::convert(self.batch.columns(), StringLayout::LargeString, threads)?;
        let made = parallel::map(columns, threads, |column| match column.data_type() {
            data_type if data_type.is_decimal() && float_decimals => {
                let float = arrow_cast::cast(&column, &DataType::Float64).map_err(wrong)?;
                dense::dense(&float)
            }
            data_type if data_type.is_decimal() => Ok(column),
            data_type if data_type.is_integer() && column.null_count() > 0 => Ok(column),
            DataType::Boolean if column.null_count() > 0 => Ok(column),
            DataType::Boolean | DataType::Date32 => dense::dense(&column),
            data_type if dense::is_plain(data_type) => dense::dense(&column),
            _ => Ok(column),
        });
        made.into_iter().collect()
    }

    /// The batch as a consumer asked for it: each column cast where that is possible, as it is where not
    /// (PyCapsule interface: a requested schema is best effort).
    pub fn requested(&self, schema: &Schema, threads: usize) -> RecordBatch {
        if schema.fields().len() != self.batch.num_columns() {
            return self.batch.clone();
        }
        let ours = self.batch.schema();
        let pairs = ours.fields().iter().zip(schema.fields());
        let types: Vec<DataType> = pairs
            .map(|(ours, theirs)| match arrow_cast::can_cast_types(ours.data_type(), theirs.data_type()) {
                true => theirs.data_type().clone(),
                false => ours.data_type().clone(),
            })
            .collect();
        match strings::to_types(self.batch.columns(), &types, threads) {
            Ok(columns) => self.recast(columns).map_or_else(|_| self.batch.clone(), |frame| frame.batch),
            Err(_) => self.batch.clone(),
        }
    }

    /// The same names over columns of other types.
    fn recast(&self, columns: Vec<ArrayRef>) -> Result<Frame> {
        let ours = self.batch.schema();
        let fields = ours.fields().iter().zip(&columns);
        let fields: Vec<_> =
            fields.map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone())).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, ours.metadata().clone()));
        let options = RecordBatchOptions::new().with_row_count(Some(self.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options).map_err(wrong)?;
        Ok(Frame { batch, metrics: Arc::clone(&self.metrics) })
    }

    fn derived(&self, batch: std::result::Result<RecordBatch, ArrowError>) -> Result<Frame> {
        Ok(Frame { batch: batch.map_err(wrong)?, metrics: Arc::from("{}") })
    }
}

fn widest(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Without the note about its index that pandas leaves in a schema: a frame has none.
fn without_pandas(schema: SchemaRef) -> SchemaRef {
    if !schema.metadata().contains_key("pandas") {
        return schema;
    }
    let mut metadata = schema.metadata().clone();
    metadata.remove("pandas");
    Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata))
}

fn wrong(error: ArrowError) -> Error {
    Error::new(Kind::InvalidArgument, error.to_string())
}
