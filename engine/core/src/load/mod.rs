//! A plan's files -> one frame: footers, row groups, filter, column memory, bytes, columns.
//!
//! The one room that calls fetch, parquet and frame in turn. Four stages, each concurrent inside:
//!
//! 1. [`open`]: footers of all files; columns matched; row groups that cannot match the filter dropped. [`deletes`]: the
//!    row deletes of those files, read at the same time. Small files of which all is wanted wait until stage 4 ([`later`]).
//! 2. [`select`]: with a filter, its columns decoded first: which rows survive (skipped without one); before it deletes
//!    by position, after it those by value. [`doubt`] asks Bloom filters, dictionaries and page indexes what need not be
//!    decoded, [`sparse`] decodes the pages that are left.
//! 3. memory for every column of the result, exactly as long as the rows that survive.
//! 4. [`columns`]: column chunks fetched in units of some 16 MiB under a budget of bytes in flight, each decoded as soon
//!    as it is there ([`column`]; longer ones while they come), on as many cores as allowed, straight into that memory.
//!
//! [`stream`] does the same for one window of rows after another, within a memory limit; [`estimate`] says beforehand
//! how large a frame will be. Must not know: catalogs, Python, how bytes travel.

mod column;
mod columns;
mod defaults;
mod deletes;
mod doubt;
mod estimate;
mod foreign;
mod held;
mod later;
mod leaves;
mod metadata;
mod open;
pub mod request;
mod select;
mod source;
mod sparse;
pub mod stream;
mod windows;

use std::sync::Arc;
use std::time::Instant;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, FieldRef, Schema, TimeUnit};
use tokio::sync::Semaphore;

use crate::arena::Account;
use crate::error::{Error, Kind, Result};
use crate::fetch::{Budget, Fetcher};
use crate::frame::{Frame, StringLayout, strings as layout};
use crate::iceberg::predicate::Predicate;
use crate::load::deletes::Deletes;
use crate::load::later::{Counts, Portion, portions};
use crate::metrics::{LoadMetrics, Progress};
use crate::parquet::columns::{ColumnPart, ColumnTarget};
use crate::parquet::fill::Limits;
use crate::runtime::Cancel;
use crate::store::Store;

pub use deletes::deleted_positions;
pub use estimate::estimate;
pub use request::LoadRequest;
pub use source::{FileTask, SchemaSource, schema_of};

/// Requests at a time at most; how many of them help is found by the fetcher. S3 gives 40 to 90 MB/s to each connection.
const CONCURRENT_REQUESTS: usize = 64;

/// What every stage of one load shares.
pub(crate) struct Context {
    store: Store,
    fetcher: Fetcher,
    request: Arc<LoadRequest>,
    predicate: Predicate,
    decoders: Arc<Semaphore>,
    cancel: Cancel,
    progress: Arc<Progress>,
    metrics: LoadMetrics,
    account: Account,
    counts: Counts,
}

impl Context {
    fn new(
        store: &Store,
        request: LoadRequest,
        predicate: Predicate,
        cancel: &Cancel,
        progress: &Arc<Progress>,
    ) -> Context {
        Context {
            store: store.clone(),
            account: Account::new(request.memory_limit),
            fetcher: Fetcher::new(Budget::new(request.in_flight), CONCURRENT_REQUESTS),
            decoders: Arc::new(Semaphore::new(request.threads.max(1))),
            request: Arc::new(request),
            predicate,
            cancel: cancel.clone(),
            progress: Arc::clone(progress),
            metrics: LoadMetrics::default(),
            counts: Counts::unused(),
        }
    }

    /// Of another load beside this one: all is shared but what is asked for, and the metrics.
    fn beside(&self, request: Arc<LoadRequest>, predicate: Predicate) -> Context {
        Context {
            store: self.store.clone(),
            account: self.account.clone(),
            fetcher: self.fetcher.clone(),
            decoders: Arc::clone(&self.decoders),
            request,
            predicate,
            cancel: self.cancel.clone(),
            progress: Arc::clone(&self.progress),
            metrics: LoadMetrics::default(),
            counts: Counts::unused(),
        }
    }

    fn limits(&self) -> Limits {
        Limits { reference: self.request.reference, memory: self.request.memory_limit }
    }

    /// Runs CPU work on a thread of its own, at most `threads` at once.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.run(work, Error::new(Kind::Internal, "a computation gave up: please report it")).await
    }

    /// The same for decoding. The crate's reader is known to panic on some damaged files: that is the file's fault.
    async fn decode<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let damaged = Error::new(Kind::ParquetDecoding, "the decoder gave up on a damaged file");
        self.run(work, damaged.hint("write the file again, or restore it")).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
        on_panic: Error,
    ) -> Result<T> {
        let stopped = |_| Error::new(Kind::Cancelled, "cancelled");
        let permit = Arc::clone(&self.decoders).acquire_owned().await.map_err(stopped)?;
        let cancel = self.cancel.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            cancel.check()?;
            work()
        });
        task.await.map_err(|e| if e.is_panic() { on_panic } else { Error::new(Kind::Cancelled, "cancelled") })?
    }
}

/// Loads Parquet files without a table: the first file's columns, matched by name in the others.
///
/// `options` is a request without a schema; `columns` in it holds positions of top-level columns.
pub async fn load_files(
    store: &Store,
    locations: Vec<String>,
    options: &serde_json::Value,
    predicate: Predicate,
    cancel: &Cancel,
    progress: &Arc<Progress>,
) -> Result<Frame> {
    load_folders(store, locations, Vec::new(), options, predicate, cancel, progress).await
}

/// The same with columns that the files' folders stand for: name, and a value a file.
pub async fn load_folders(
    store: &Store,
    locations: Vec<String>,
    folders: Vec<(String, ArrayRef)>,
    options: &serde_json::Value,
    predicate: Predicate,
    cancel: &Cancel,
    progress: &Arc<Progress>,
) -> Result<Frame> {
    let Some(first) = locations.first() else {
        return Err(Error::new(Kind::InvalidArgument, "no file to read"));
    };
    let folders = source::views(folders)?;
    let schema = schema_of(store, first).await?.with_folders(&folders);
    let positions = options.get("columns").and_then(serde_json::Value::as_array);
    let positions: Option<Vec<usize>> =
        positions.map(|positions| positions.iter().filter_map(|at| at.as_u64().map(|at| at as usize)).collect());
    let (wanted, output) = schema.wanted(positions.as_deref())?;
    let mut request = LoadRequest::with(wanted, Arc::new(output), options)?;
    request.embedded_schema = true;
    request.all_columns = positions.is_none();
    let files = FileTask::of_folders(locations, &folders)?;
    load(store, files, request, predicate, cancel, progress).await
}

/// Loads files into one frame.
pub async fn load(
    store: &Store,
    files: Vec<FileTask>,
    request: LoadRequest,
    predicate: Predicate,
    cancel: &Cancel,
    progress: &Arc<Progress>,
) -> Result<Frame> {
    let counts = Counts::of(&request, &predicate, &files);
    let believed = counts.are_believed();
    let mut context = Arc::new(Context { counts, ..Context::new(store, request, predicate, cancel, progress) });
    let mut loaded = attempt(&context, &files).await;
    if loaded.is_err() && believed && !context.counts.are_believed() {
        context = Arc::new(context.beside(Arc::clone(&context.request), Predicate::True));
        loaded = attempt(&context, &files).await;
    }
    let frame = loaded?;
    let metrics = context.metrics.to_json(&frame, columns::fetched(&context.fetcher), context.request.threads);
    Ok(frame.with_metrics(metrics))
}

/// One load. Where counts are believed it ends at a file that is not as counted.
async fn attempt(context: &Arc<Context>, files: &[FileTask]) -> Result<Frame> {
    if !context.counts.are_believed() {
        return assemble(context, portions(wanted_groups(context, files).await?)).await;
    }
    let started = Instant::now();
    let portions = later::split(context, files).await?;
    context.metrics.stage("open", started.elapsed());
    assemble(context, portions).await
}

/// Stages 1 and 2: the groups of these files, with the rows that are wanted.
async fn wanted_groups(context: &Arc<Context>, files: &[FileTask]) -> Result<Vec<open::Group>> {
    let started = Instant::now();
    let (mut groups, deletes) = futures::try_join!(open::open(context, files), deletes::read(context, files))?;
    context.metrics.stage("open", started.elapsed());
    if context.predicate != Predicate::True || !deletes.is_empty() {
        let selecting = Instant::now();
        groups = surviving(context, &Arc::new(deletes), groups).await?;
        context.metrics.stage("select", selecting.elapsed());
    }
    if let Some(limit) = context.request.limit {
        open::cut(&mut groups, limit);
    }
    Ok(groups)
}

/// Stage 2: the groups with the rows that row deletes and the filter leave.
async fn surviving(
    context: &Arc<Context>,
    deletes: &Arc<Deletes>,
    groups: Vec<open::Group>,
) -> Result<Vec<open::Group>> {
    let mut groups = deletes::apply_positions(context, deletes, groups);
    if context.predicate != Predicate::True {
        groups = select::select(context, groups).await?;
    }
    deletes::apply_values(context, Arc::clone(deletes), groups).await
}

/// Stages 3 and 4: the rows of these portions as one frame.
async fn assemble(context: &Arc<Context>, portions: Vec<Portion>) -> Result<Frame> {
    let decoding = Instant::now();
    let total = portions.iter().map(Portion::rows).sum();
    let (targets, parts) = room(context, &portions).inspect_err(|_| context.counts.doubt())?;
    columns::fill(context, portions, parts).await?;
    let threads = context.request.threads;
    let finish = move || targets.into_iter().map(|target| target.finish(threads)).collect::<Result<Vec<ArrayRef>>>();
    let arrays = context.compute(finish).await?;
    context.metrics.stage("decode", decoding.elapsed());
    let output = laid_out(&context.request.output, &context.request);
    let frame = Frame::new(Arc::new(output), arrays, total)?;
    match context.request.strings {
        StringLayout::View => Ok(frame),
        // Only strings inside of lists, structs and maps are left.
        StringLayout::LargeString => frame.cast_strings(StringLayout::LargeString, context.request.threads),
    }
}

/// Memory for every column of the result, and the parts of each: `parts[column][portion]`.
fn room(context: &Context, portions: &[Portion]) -> Result<(Vec<ColumnTarget>, Vec<Vec<ColumnPart>>)> {
    columns::check_memory(context, portions)?;
    let schema = laid_out(&context.request.wanted.schema, &context.request);
    let column = |(index, field): (usize, &FieldRef)| {
        let shapes = columns::shapes(context, portions, index, field.data_type());
        ColumnTarget::new(Arc::clone(field), &shapes, &context.account)
    };
    schema.fields().iter().enumerate().map(column).collect()
}

/// The schema that columns are decoded to: flat strings and dates in the layout that is wished. Dictionaries always hold
/// contiguous strings: there are few, and not every library knows dictionaries of views.
fn laid_out(schema: &Schema, request: &LoadRequest) -> Schema {
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let field = |field: &FieldRef| {
        let is_category = request.categories.contains(field.name());
        let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
        let data_type = match (field.data_type(), request.strings) {
            (DataType::Utf8View, _) if is_category => dictionary(DataType::LargeUtf8),
            (DataType::BinaryView, _) if is_category => dictionary(DataType::LargeBinary),
            (DataType::Utf8View | DataType::BinaryView, StringLayout::LargeString) => {
                layout::target(field.data_type(), request.strings)
            }
            (DataType::Date32, _) if request.seconds => seconds.clone(),
            _ => return Arc::clone(field),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    Schema::new_with_metadata(schema.fields().iter().map(field).collect::<Vec<_>>(), schema.metadata().clone())
}
