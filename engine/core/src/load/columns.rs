//! Stage 4: column chunks fetched in units, each column decoded into its part as soon as its unit is there.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::DataType;
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Kind, Result};
use crate::load::Context;
use crate::load::open::{Group, OpenFile};
use crate::metrics::Fetched;
use crate::parquet::columns::{ColumnPart, PartShape, fixed_width, repeat};
use crate::parquet::fill;
use crate::parquet::mapping::ColumnSource;
use crate::parquet::reader::{Chunks, ColumnTask, chunk_range};

/// Columns of a row group are fetched together up to this size: large enough that a request's latency is nothing beside
/// its bytes.
const UNIT_BYTES: u64 = 16 << 20;
/// The first units are smaller, each four twice as large as the four before: units under way share the bandwidth, so
/// with equal ones the first is decoded when nearly all have come, and the cores wait until then.
const FIRST_UNIT_BYTES: u64 = 1 << 20;
const UNITS_A_SIZE: usize = 4;
/// Units under way at once, beside the budget of bytes in flight.
const CONCURRENT_UNITS: usize = 12;
/// Memory a nested value takes beside its encoded size, a guess for the limit only.
const NESTED_FACTOR: u64 = 3;

/// Strings are copied out of their pages where less than one row in this many is wanted.
const COPY_STRINGS_BELOW: usize = 2;

/// Some columns of one row group, fetched together.
struct Unit {
    group: Arc<Group>,
    columns: Vec<UnitColumn>,
    bytes: u64,
}

struct UnitColumn {
    index: usize,
    part: ColumnPart,
}

/// Fills every part: `parts[column][group]`.
pub(crate) async fn fill(context: &Arc<Context>, groups: Vec<Group>, parts: Vec<Vec<ColumnPart>>) -> Result<()> {
    let groups: Vec<Arc<Group>> = groups.into_iter().map(Arc::new).collect();
    let mut by_column: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    let mut units = Vec::new();
    for group in &groups {
        let row = by_column.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>();
        let row = row.ok_or_else(|| Error::new(Kind::Internal, "a row group without its column parts"))?;
        plan_units(group, row, &mut units)?;
    }
    context.progress.announce(units.iter().map(|unit| unit.bytes).sum());
    let work = units.into_iter().map(|unit| crate::runtime::spawn(run_unit(Arc::clone(context), unit)));
    futures::stream::iter(work).buffer_unordered(CONCURRENT_UNITS).try_collect::<Vec<()>>().await?;
    Ok(())
}

fn plan_units(group: &Arc<Group>, row: Vec<ColumnPart>, units: &mut Vec<Unit>) -> Result<()> {
    let mapping = &group.file.mapping;
    let mut unit = Unit { group: Arc::clone(group), columns: Vec::new(), bytes: 0 };
    for (index, part) in row.into_iter().enumerate() {
        let bytes = match mapping.columns.get(index) {
            Some(ColumnSource::Leaves { leaves, .. }) => leaves.iter().map(|leaf| chunk_bytes(group, *leaf)).sum(),
            _ => 0,
        };
        if unit.bytes > 0 && unit.bytes + bytes > unit_bytes(units.len()) {
            let next = Unit { group: Arc::clone(group), columns: Vec::new(), bytes: 0 };
            units.push(std::mem::replace(&mut unit, next));
        }
        unit.bytes += bytes;
        unit.columns.push(UnitColumn { index, part });
    }
    units.push(unit);
    Ok(())
}

fn unit_bytes(position: usize) -> u64 {
    let doublings = u32::try_from(position / UNITS_A_SIZE).unwrap_or(u32::MAX).min(10);
    (FIRST_UNIT_BYTES << doublings).min(UNIT_BYTES)
}

async fn run_unit(context: Arc<Context>, unit: Unit) -> Result<()> {
    context.cancel.check()?;
    let Unit { group, columns, bytes } = unit;
    let leaves: Vec<usize> = columns.iter().flat_map(|column| leaves_of(&group, column.index)).copied().collect();
    let chunks = group.file.chunks(group.index, &leaves).await?;
    let work = columns.into_iter().map(|column| {
        let (group, chunks, cancel) = (Arc::clone(&group), chunks.clone(), context.cancel.clone());
        let (context, counted) = (Arc::clone(&context), Arc::clone(&context));
        async move {
            let place = group.file.task.location.clone();
            let work = move || counted.metrics.decode.time(|| fill_column(&counted, &group, column, chunks, &cancel));
            context.decode(work).await.map_err(|error| error.at(place))
        }
    });
    // Chunks are shared slices of the unit's bytes: they are freed when the last column of the unit is decoded.
    futures::future::try_join_all(work).await?;
    context.progress.add(bytes);
    Ok(())
}

fn chunk_bytes(group: &Group, leaf: usize) -> u64 {
    group.file.mapping.reader.metadata().row_group(group.index).column(leaf).byte_range().1
}

fn leaves_of(group: &Group, column: usize) -> &[usize] {
    match group.file.mapping.columns.get(column) {
        Some(ColumnSource::Leaves { leaves, .. }) => leaves,
        _ => &[],
    }
}

fn fill_column(
    context: &Context,
    group: &Group,
    column: UnitColumn,
    chunks: Chunks,
    cancel: &crate::runtime::Cancel,
) -> Result<()> {
    let UnitColumn { index, mut part } = column;
    let field = context.request.wanted.schema.field(index);
    if group.kept.as_ref().is_some_and(|kept| kept.rows < group.total / COPY_STRINGS_BELOW) {
        part.copy_strings()?;
    }
    let named = |error: Error| error.context(format!("column {:?}, row group {}", field.name(), group.index));
    match group.file.mapping.columns.get(index) {
        Some(ColumnSource::Leaves { leaves, adapt }) => {
            let task = ColumnTask {
                reader: &group.file.mapping.reader,
                row_group: group.index,
                leaves,
                node: leaves.first().and_then(|leaf| group.file.mapping.root.top(*leaf)),
                adapt,
                target: field.data_type(),
                wanted: group.kept.as_ref().map(|kept| &kept.mask),
            };
            let direct = fill::fill(&task, &chunks, &mut part, context.limits(), cancel).map_err(named)?;
            context.metrics.decoded(direct, leaves.iter().map(|leaf| chunk_bytes(group, *leaf)).sum());
        }
        Some(ColumnSource::Constant(value)) => part.append(&constant(value, part.missing(), field.data_type())?)?,
        None => return Err(Error::new(Kind::Internal, "a column without a source")),
    }
    part.finish().map_err(named)
}

/// What is known of the parts of a column whose type in the result is `target`.
pub(crate) fn shapes(context: &Context, groups: &[Group], column: usize, target: &DataType) -> Vec<PartShape> {
    let shape = |group: &Group| {
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
    groups.iter().map(shape).collect()
}

/// `value` (one row) in every row.
pub(crate) fn constant(value: &ArrayRef, rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    if value.is_null(0) { Ok(new_null_array(data_type, rows)) } else { repeat(value, rows) }
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
pub(crate) fn check_memory(context: &Context, groups: &[Group]) -> Result<()> {
    let fields = context.request.wanted.schema.fields();
    let mut needed: u64 = 0;
    for group in groups {
        let rows = group.rows() as u64;
        let share = |bytes: u64| if group.kept.is_some() { 0 } else { bytes };
        for (index, field) in fields.iter().enumerate() {
            let encoded: u64 = leaves_of(group, index)
                .iter()
                .map(|leaf| {
                    let column = group.file.mapping.reader.metadata().row_group(group.index).column(*leaf);
                    u64::try_from(column.uncompressed_size()).unwrap_or(0)
                })
                .sum();
            let bytes = match fixed_width(field.data_type()) {
                Some(width) => rows.saturating_mul(width as u64),
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
