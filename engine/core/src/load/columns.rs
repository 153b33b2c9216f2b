//! Stage 4: column chunks fetched in units, each column decoded into its part as soon as its unit is there.

use std::sync::Arc;

use arrow_schema::DataType;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Kind, Result};
use crate::fetch::Budget;
use crate::load::column::Column;
use crate::load::later::{Later, Portion};
use crate::load::open::{Group, OpenFile};
use crate::load::{Context, laid_out};
use crate::metrics::Fetched;
use crate::parquet::columns::categories::CODE_BYTES;
use crate::parquet::columns::{ColumnPart, PartShape, fixed_width};
use crate::parquet::fill;
use crate::parquet::mapping::ColumnSource;
use crate::parquet::reader::{Chunks, chunk_range};

/// Columns of a row group are fetched together up to this size: large enough that a request's latency is nothing beside
/// its bytes.
const UNIT_BYTES: u64 = 16 << 20;
/// The first units are smaller, each four twice as large as the four before: units under way share the bandwidth, so
/// with equal ones the first is decoded when nearly all have come, and the cores wait until then.
const FIRST_UNIT_BYTES: u64 = 1 << 20;
const UNITS_A_SIZE: usize = 4;
/// Units under way at once are as many as the budget of bytes in flight holds, but not fewer than this
const LEAST_UNITS: u64 = 12;
/// and not more.
const MOST_UNITS: u64 = 64;
/// Memory a nested value takes beside its encoded size, a guess for the limit only.
const NESTED_FACTOR: u64 = 3;

/// Bytes that were asked for and are not decoded yet are at most this part of all: they are in memory beside the result,
const IN_FLIGHT_SHARE: u64 = 8;
/// but not less than this: they keep the network busy.
const LEAST_IN_FLIGHT_BYTES: u64 = 64 << 20;

/// What is fetched together.
enum Unit {
    Columns(Columns),
    File(Box<Later>, Vec<ColumnPart>),
}

/// Some columns of one row group.
struct Columns {
    group: Arc<Group>,
    columns: Vec<Column>,
    bytes: u64,
}

impl Unit {
    fn bytes(&self) -> u64 {
        match self {
            Unit::Columns(unit) => unit.bytes,
            Unit::File(later, _) => later.bytes,
        }
    }

    fn bytes_in_flight(&self) -> u64 {
        match self {
            Unit::Columns(unit) => unit.columns.iter().map(Column::bytes_in_flight).sum(),
            Unit::File(later, _) => later.bytes,
        }
    }

    async fn run(self, context: &Arc<Context>) -> Result<()> {
        context.cancel.check()?;
        match self {
            Unit::Columns(unit) => run_columns(context, unit).await,
            Unit::File(later, parts) => {
                let group = later.open(context).await?;
                let columns: Vec<Column> = columns_of(context, &group, parts).collect();
                let bytes = columns.iter().map(Column::bytes).sum();
                context.progress.add(later.bytes.saturating_sub(bytes));
                run_columns(context, Columns { group, columns, bytes }).await
            }
        }
    }
}

/// Fills every part: `parts[column][portion]`.
pub(crate) async fn fill(context: &Arc<Context>, portions: Vec<Portion>, parts: Vec<Vec<ColumnPart>>) -> Result<()> {
    let mut by_column: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    let mut units = Vec::new();
    for portion in portions {
        let row = by_column.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>();
        let row = row.ok_or_else(|| Error::new(Kind::Internal, "a row group without its column parts"))?;
        match portion {
            Portion::Group(group) => plan_units(&group, columns_of(context, &group, row), &mut units),
            Portion::Later(later) => units.push(Unit::File(later, row)),
        }
    }
    let bytes: u64 = units.iter().map(Unit::bytes).sum();
    context.progress.announce(bytes);
    let in_flight = (bytes / IN_FLIGHT_SHARE).max(LEAST_IN_FLIGHT_BYTES).min(context.request.in_flight);
    let at_once = (in_flight * units.len() as u64 / bytes.max(1)).clamp(LEAST_UNITS, MOST_UNITS);
    let in_flight = Budget::new(in_flight);
    let work = units.into_iter().map(|unit| {
        let (context, in_flight) = (Arc::clone(context), in_flight.clone());
        crate::runtime::spawn(async move {
            let _held = in_flight.acquire(unit.bytes_in_flight()).await?;
            unit.run(&context).await
        })
    });
    futures::stream::iter(work).buffer_unordered(at_once as usize).try_collect::<Vec<()>>().await?;
    Ok(())
}

fn columns_of(context: &Arc<Context>, group: &Arc<Group>, parts: Vec<ColumnPart>) -> impl Iterator<Item = Column> {
    let column = move |(index, part)| Column { context: Arc::clone(context), group: Arc::clone(group), index, part };
    parts.into_iter().enumerate().map(column)
}

fn plan_units(group: &Arc<Group>, columns: impl Iterator<Item = Column>, units: &mut Vec<Unit>) {
    let empty = || Columns { group: Arc::clone(group), columns: Vec::new(), bytes: 0 };
    let mut unit = empty();
    for column in columns {
        let bytes = column.bytes();
        if unit.bytes > 0 && unit.bytes + bytes > unit_bytes(units.len()).min(column.context.request.in_flight) {
            units.push(Unit::Columns(std::mem::replace(&mut unit, empty())));
        }
        unit.bytes += bytes;
        unit.columns.push(column);
    }
    units.push(Unit::Columns(unit));
}

fn unit_bytes(position: usize) -> u64 {
    let doublings = u32::try_from(position / UNITS_A_SIZE).unwrap_or(u32::MAX).min(10);
    (FIRST_UNIT_BYTES << doublings).min(UNIT_BYTES)
}

async fn run_columns(context: &Context, unit: Columns) -> Result<()> {
    let Columns { group, columns, bytes } = unit;
    let (streamed, together): (Vec<Column>, Vec<Column>) = columns.into_iter().partition(Column::is_streamed);
    let streamed_bytes: u64 = streamed.iter().map(Column::bytes).sum();
    let indexes = read_indexes(&group, &streamed).await?;
    futures::future::try_join_all(streamed.into_iter().zip(indexes).map(|(column, index)| column.stream(index)))
        .await?;
    let leaves: Vec<usize> = together.iter().flat_map(Column::leaves).copied().collect();
    let chunks = group.chunks(&leaves).await?;
    // Chunks are shared slices of the unit's bytes: they are freed when the last column of the unit is decoded.
    futures::future::try_join_all(together.into_iter().map(|column| column.fill(chunks.clone()))).await?;
    context.progress.add(bytes - streamed_bytes);
    Ok(())
}

/// The indexes of the columns' pages, in one request where they lie together; None for those that are read whole.
async fn read_indexes(group: &Group, columns: &[Column]) -> Result<Vec<Option<Bytes>>> {
    let places: Vec<_> = columns.iter().map(Column::offset_index).collect();
    let ranges: Vec<_> = places.iter().flatten().cloned().collect();
    let mut read = group.file.object.read_ranges(&ranges).await?.into_iter();
    Ok(places.into_iter().map(|place| place.and_then(|_| read.next())).collect())
}

/// What is known of the parts of a column whose type in the result is `target`.
pub(crate) fn shapes(context: &Context, portions: &[Portion], column: usize, target: &DataType) -> Vec<PartShape> {
    let shape = |portion: &Portion| {
        let Portion::Group(group) = portion else { return PartShape { rows: portion.rows(), elements: None } };
        let mapping = &group.file.mapping;
        let elements = match mapping.columns.get(column) {
            _ if context.request.reference || group.kept.is_some() => None,
            Some(ColumnSource::Leaves { leaves, .. }) => match leaves.as_slice() {
                [leaf] => fill::elements(mapping, group.index, *leaf, target),
                _ => None,
            },
            _ => None,
        };
        PartShape { rows: group.rows(), elements }
    };
    portions.iter().map(shape).collect()
}

/// Reads the chunks of some leaves of a row group.
pub(crate) async fn read_chunks(file: &OpenFile, row_group: usize, leaves: &[usize]) -> Result<Chunks> {
    if let Some(whole) = &file.whole {
        return Ok(Chunks::new(vec![(0, whole.clone())], file.file_size));
    }
    let range = |leaf: &usize| chunk_range(&file.mapping.reader, row_group, *leaf, file.file_size);
    let ranges = leaves.iter().map(range).collect::<Result<Vec<_>>>()?;
    let parts = file.object.read_ranges(&ranges).await?;
    let starts = ranges.iter().map(|range| range.start);
    Ok(Chunks::new(starts.zip(parts).collect(), file.file_size))
}

/// Refuses a load whose columns would not fit the memory limit, before anything is allocated.
pub(crate) fn check_memory(context: &Context, portions: &[Portion]) -> Result<()> {
    let schema = laid_out(&context.request.wanted.schema, &context.request);
    let mut needed: u64 = 0;
    for portion in portions {
        let rows = portion.rows() as u64;
        let is_part = matches!(portion, Portion::Group(group) if group.kept.is_some());
        let share = |bytes: u64| if is_part { 0 } else { bytes };
        for (index, field) in schema.fields().iter().enumerate() {
            let encoded = encoded_bytes(portion, index);
            let bytes = match fixed_width(field.data_type()) {
                Some(width) => rows.saturating_mul(width as u64),
                None if matches!(field.data_type(), DataType::Dictionary(_, _)) => {
                    rows.saturating_mul(CODE_BYTES as u64)
                }
                None if field.data_type().is_nested() => share(encoded.saturating_mul(NESTED_FACTOR)),
                None => rows.saturating_mul(16).saturating_add(share(encoded)),
            };
            needed = needed.saturating_add(bytes).saturating_add(rows / 8);
        }
    }
    let limit = context.request.memory_limit;
    if needed <= limit {
        return Ok(());
    }
    let message = format!("the result needs about {} MiB, the limit is {} MiB", needed >> 20, limit >> 20);
    Err(Error::new(Kind::MemoryLimit, message)
        .hint("name fewer columns, filter, load in shards, or raise memory_limit"))
}

/// Bytes of a column's pages; of a file that is not open yet nothing is known of them.
fn encoded_bytes(portion: &Portion, column: usize) -> u64 {
    let Portion::Group(group) = portion else { return 0 };
    let row_group = group.file.mapping.reader.metadata().row_group(group.index);
    let bytes = |leaf: &usize| u64::try_from(row_group.column(*leaf).uncompressed_size()).unwrap_or(0);
    group.leaves(column).iter().map(bytes).sum()
}

/// What a load's fetcher counted.
pub(crate) fn fetched(fetcher: &crate::fetch::Fetcher) -> Fetched {
    let counters = &fetcher.counters;
    Fetched {
        requests: counters.requests(),
        retries: counters.retries(),
        bytes: counters.bytes(),
        busy: counters.wall(),
    }
}
