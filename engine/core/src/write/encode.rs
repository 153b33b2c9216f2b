//! Rows of one column -> an encoded column chunk, whichever file it will be of.
//!
//! Every column of every row group is work of its own, so all threads are busy with one file or with many. Values go
//! through in steps that stay in a core's cache. Flat columns are encoded by `pages`, the others by the crate's writer.
//! Must not know: files, partitions, stores.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, TypePtr};

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{NestedField, Type};
use crate::runtime::Cancel;
use crate::write::conform::{Column, Conform};
use crate::write::pages;
use crate::write::properties::Settings;
use crate::write::rows::Rows;
use crate::write::sample::dictionary_pays;
use crate::write::shape::parquet_schema;

/// Rows that go through at a time.
const STEP_ROWS: usize = 1 << 15;
const CREATED_BY: &str = concat!("headrace ", env!("CARGO_PKG_VERSION"));

/// What the files of one write have in common.
pub(crate) struct Encoder {
    pub(crate) root: TypePtr,
    pub(crate) properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
    /// Of writers that do not try a dictionary.
    plain: ArrowRowGroupWriterFactory,
    /// What is told of each column.
    columns: Vec<Leaves>,
    dictionary_bytes: usize,
}

/// The leaf columns of a column.
struct Leaves {
    count: usize,
    /// The only one, if its pages are encoded here
    direct: Option<ColumnDescPtr>,
}

/// Writers of the leaves of one column of a row group, of which one kind is used; none where pages are encoded here.
#[derive(Default)]
pub(crate) struct Writers {
    dictionary: Vec<ArrowColumnWriter>,
    plain: Vec<ArrowColumnWriter>,
}

/// The chunks of one column of a row group, one a leaf.
pub(crate) struct Encoded {
    pub(crate) chunks: Vec<Chunk>,
    /// NaNs by field id.
    pub(crate) nans: Vec<(i32, u64)>,
}

/// A column chunk, by who encoded it.
pub(crate) enum Chunk {
    Own(pages::Chunk),
    Crate(ArrowColumnChunk),
}

impl Chunk {
    /// Bytes that it takes in a file.
    pub(crate) fn bytes(&self) -> u64 {
        let close = match self {
            Chunk::Own(chunk) => &chunk.close,
            Chunk::Crate(chunk) => chunk.close(),
        };
        close.metadata.compressed_size().unsigned_abs()
    }
}

impl Encoded {
    /// Bytes that it takes in a file.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(Chunk::bytes).sum()
    }
}

impl Encoder {
    /// For files of these columns.
    pub(crate) fn new(conform: &Conform, settings: &Settings) -> Result<Encoder> {
        let fields: Vec<NestedField> = conform.columns.iter().map(|column| column.field.clone()).collect();
        let root = parquet_schema(&fields)?;
        let descriptor = SchemaDescriptor::new(Arc::clone(&root));
        let properties = Arc::new(properties(settings, &descriptor));
        let arrow: Vec<Field> = conform.columns.iter().map(|column| column.output.clone()).collect();
        let columns = leaves(conform, &descriptor, &properties);
        let arrow = Arc::new(ArrowSchema::new(arrow));
        // The factory wants a file; what it takes of it is the schema and the properties.
        let factory = |properties: &WriterPropertiesPtr| {
            let model = SerializedFileWriter::new(std::io::sink(), Arc::clone(&root), Arc::clone(properties));
            Ok::<_, Error>(ArrowRowGroupWriterFactory::new(&model.map_err(encoding)?, Arc::clone(&arrow)))
        };
        let without = properties.as_ref().clone().into_builder().set_dictionary_enabled(false).build();
        let (with, plain) = (factory(&properties)?, factory(&Arc::new(without))?);
        let dictionary_bytes = settings.dictionary_bytes;
        Ok(Encoder { factory: with, plain, root, properties, columns, dictionary_bytes })
    }

    /// Writers of a row group, by column.
    pub(crate) fn writers(&self) -> Result<Vec<Writers>> {
        if self.columns.iter().all(|column| column.direct.is_some()) {
            return Ok(self.columns.iter().map(|_| Writers::default()).collect());
        }
        let mut with = self.factory.create_column_writers(0).map_err(encoding)?.into_iter();
        let mut plain = self.plain.create_column_writers(0).map_err(encoding)?.into_iter();
        let column = |column: &Leaves| Writers {
            dictionary: with.by_ref().take(column.count).collect(),
            plain: plain.by_ref().take(column.count).collect(),
        };
        Ok(self.columns.iter().map(column).collect())
    }

    /// Encodes these rows of the column at `index`.
    pub(crate) fn encode(
        &self,
        frame: &RecordBatch,
        (index, column): (usize, &Column),
        writers: Writers,
        rows: &Rows,
        cancel: &Cancel,
    ) -> Result<Encoded> {
        let pays = dictionary_pays(frame, column, rows, self.dictionary_bytes)?;
        let direct = self.columns.get(index).and_then(|column| column.direct.as_ref());
        let (field, layout) = (&column.field.field_type, column.output.data_type());
        let direct = direct.and_then(|leaf| pages::Column::new(leaf, field, layout, &self.properties, pays));
        let mut nans = Vec::new();
        let chunks = match direct {
            Some(mut chunk) => {
                each_step(frame, column, rows, cancel, &mut nans, |fitted| chunk.write(fitted))?;
                vec![Chunk::Own(chunk.close()?)]
            }
            None => {
                let mut writers = if pays { writers.dictionary } else { writers.plain };
                each_step(frame, column, rows, cancel, &mut nans, |fitted| {
                    let leaves = compute_leaves(&column.output, fitted).map_err(encoding)?;
                    let mut both = writers.iter_mut().zip(&leaves);
                    both.try_for_each(|(writer, leaf)| writer.write(leaf).map_err(encoding))
                })?;
                let chunk = |writer: ArrowColumnWriter| writer.close().map(Chunk::Crate).map_err(encoding);
                writers.into_iter().map(chunk).collect::<Result<_>>()?
            }
        };
        Ok(Encoded { chunks, nans })
    }
}

/// Gives `write` the rows of a column some at a time, as they are to be written, and counts NaNs.
fn each_step(
    frame: &RecordBatch,
    column: &Column,
    rows: &Rows,
    cancel: &Cancel,
    nans: &mut Vec<(i32, u64)>,
    mut write: impl FnMut(&ArrayRef) -> Result<()>,
) -> Result<()> {
    for start in (0..rows.len()).step_by(STEP_ROWS) {
        cancel.check()?;
        let step = rows.part(start, STEP_ROWS);
        let values = column.source().map(|at| step.of(frame.column(at))).transpose()?;
        let fitted = column.fit(values.as_ref(), step.len(), |at| step.row(at))?;
        count_nans(&fitted, &column.field, nans);
        write(&fitted)?;
    }
    Ok(())
}

fn leaves(conform: &Conform, descriptor: &SchemaDescriptor, properties: &WriterPropertiesPtr) -> Vec<Leaves> {
    let mut first = 0;
    let of = |column: &Column| {
        let (layout, count) = (column.output.data_type(), leaf_count(column.output.data_type()));
        let only = (count == 1).then(|| descriptor.column(first));
        first += count;
        let direct = only.filter(|leaf| pages::is_known(leaf, &column.field.field_type, layout, properties));
        Leaves { count, direct }
    };
    conform.columns.iter().map(of).collect()
}

/// A Parquet error as ours.
pub(crate) fn encoding(error: ParquetError) -> Error {
    Error::new(Kind::ParquetEncoding, format!("the Parquet file cannot be encoded: {error}"))
}

fn properties(settings: &Settings, schema: &SchemaDescriptor) -> WriterProperties {
    let mut made = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(settings.compression)
        .set_data_page_size_limit(settings.page_bytes)
        .set_data_page_row_count_limit(settings.page_rows)
        .set_dictionary_page_size_limit(settings.dictionary_bytes)
        .set_max_row_group_row_count(None)
        .set_statistics_truncate_length(settings.longest_bound_bytes());
    for column in schema.columns() {
        let info = column.self_type().get_basic_info();
        let bloom = info.has_id().then(|| settings.blooms.get(&info.id())).flatten();
        if let Some(bloom) = bloom {
            made = made
                .set_column_bloom_filter_enabled(column.path().clone(), true)
                .set_column_bloom_filter_fpp(column.path().clone(), bloom.false_positives)
                .set_column_bloom_filter_max_ndv(column.path().clone(), bloom.distinct);
        }
    }
    made.build()
}

fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => leaf_count(field.data_type()),
        _ => 1,
    }
}

/// Adds up the NaNs of every float in a column, at any depth.
fn count_nans(values: &ArrayRef, field: &NestedField, found: &mut Vec<(i32, u64)>) {
    let valid = |row: usize| values.is_valid(row);
    let count = match (&field.field_type, values.data_type()) {
        (Type::Float, DataType::Float32) => {
            let numbers = values.as_primitive::<Float32Type>().values().iter().enumerate();
            numbers.filter(|(row, number)| number.is_nan() && valid(*row)).count()
        }
        (Type::Double, DataType::Float64) => {
            let numbers = values.as_primitive::<Float64Type>().values().iter().enumerate();
            numbers.filter(|(row, number)| number.is_nan() && valid(*row)).count()
        }
        (Type::Struct(fields), DataType::Struct(_)) => {
            let inner = values.as_struct();
            return inner.columns().iter().zip(fields).for_each(|(column, field)| count_nans(column, field, found));
        }
        (Type::List(element), DataType::List(_)) => {
            return count_nans(values.as_list::<i32>().values(), element, found);
        }
        (Type::List(element), DataType::LargeList(_)) => {
            return count_nans(values.as_list::<i64>().values(), element, found);
        }
        (Type::Map(key, value), DataType::Map(..)) => {
            count_nans(values.as_map().keys(), key, found);
            return count_nans(values.as_map().values(), value, found);
        }
        _ => return,
    };
    match found.iter_mut().find(|(id, _)| *id == field.id) {
        Some((_, sum)) => *sum += count as u64,
        None => found.push((field.id, count as u64)),
    }
}
