//! A plan's files -> one frame: footers, row groups, filter, column memory, bytes, columns.
//!
//! The one room that calls fetch, parquet and frame in turn. Four stages, each concurrent inside:
//!
//! 1. [`open`]: footers of all files; columns matched; row groups that cannot match the filter dropped.
//! 2. [`select`]: with a filter, its columns decoded first: which rows survive (skipped without one).
//! 3. memory for every column of the result, exactly as long as the rows that survive.
//! 4. [`columns`]: column chunks fetched in units of some 16 MiB under a budget of bytes in flight, each decoded as soon
//!    as it is there ([`column`]; longer ones while they come), on as many cores as allowed, straight into that memory.
//!
//! Must not know: catalogs, Python, how bytes travel.

mod column;
mod columns;
mod open;
pub mod request;
mod select;
mod source;

use std::sync::Arc;
use std::time::Instant;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, FieldRef, Schema};
use tokio::sync::Semaphore;

use crate::arena::Account;
use crate::error::{Error, Kind, Result};
use crate::fetch::{Budget, Fetcher};
use crate::frame::{Frame, StringLayout, strings as layout};
use crate::iceberg::predicate::Predicate;
use crate::metrics::{LoadMetrics, Progress};
use crate::parquet::columns::ColumnTarget;
use crate::parquet::fill::Limits;
use crate::runtime::Cancel;
use crate::store::Store;

pub use request::LoadRequest;
pub use source::{FileTask, SchemaSource, schema_of};

/// Requests at a time at most; how many of them help is found by the fetcher. S3 gives 40 to 90 MB/s to each connection.
const CONCURRENT_REQUESTS: usize = 64;

/// What every stage of one load shares.
pub(crate) struct Context {
    store: Store,
    fetcher: Fetcher,
    request: LoadRequest,
    predicate: Predicate,
    decoders: Arc<Semaphore>,
    cancel: Cancel,
    progress: Arc<Progress>,
    metrics: LoadMetrics,
    account: Account,
}

impl Context {
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
    let started = Instant::now();
    let context = Arc::new(Context {
        store: store.clone(),
        account: Account::new(request.memory_limit),
        fetcher: Fetcher::new(Budget::new(request.in_flight), CONCURRENT_REQUESTS),
        decoders: Arc::new(Semaphore::new(request.threads.max(1))),
        request,
        predicate,
        cancel: cancel.clone(),
        progress: Arc::clone(progress),
        metrics: LoadMetrics::default(),
    });
    let mut groups = open::open(&context, files).await?;
    context.metrics.stage("open", started.elapsed());
    if context.predicate != Predicate::True {
        let selecting = Instant::now();
        groups = select::select(&context, groups).await?;
        context.metrics.stage("select", selecting.elapsed());
    }
    if let Some(limit) = context.request.limit {
        open::cut(&mut groups, limit);
    }
    let decoding = Instant::now();
    let total = groups.iter().map(open::Group::rows).sum();
    columns::check_memory(&context, &groups)?;
    let mut targets = Vec::new();
    let mut parts = Vec::new();
    for (index, field) in laid_out(&context.request.wanted.schema, context.request.strings).fields().iter().enumerate()
    {
        let shapes = columns::shapes(&context, &groups, index, field.data_type());
        let (target, column_parts) = ColumnTarget::new(Arc::clone(field), &shapes, &context.account)?;
        targets.push(target);
        parts.push(column_parts);
    }
    columns::fill(&context, groups, parts).await?;
    let threads = context.request.threads;
    let finish = move || targets.into_iter().map(|target| target.finish(threads)).collect::<Result<Vec<ArrayRef>>>();
    let arrays = context.compute(finish).await?;
    context.metrics.stage("decode", decoding.elapsed());
    let output = laid_out(&context.request.output, context.request.strings);
    let frame = Frame::new(Arc::new(output), arrays, total)?;
    let frame = match context.request.strings {
        StringLayout::View => frame,
        // Only strings inside of lists, structs and maps are left.
        StringLayout::LargeString => frame.cast_strings(StringLayout::LargeString, context.request.threads)?,
    };
    let metrics = context.metrics.to_json(&frame, columns::fetched(&context.fetcher), context.request.threads);
    Ok(frame.with_metrics(metrics))
}

/// The schema that columns are decoded to: flat strings in the layout that is wished.
fn laid_out(schema: &Schema, strings: StringLayout) -> Schema {
    let field = |field: &FieldRef| match (field.data_type(), strings) {
        (DataType::Utf8View | DataType::BinaryView, StringLayout::LargeString) => {
            Arc::new(field.as_ref().clone().with_data_type(layout::target(field.data_type(), strings)))
        }
        _ => Arc::clone(field),
    };
    Schema::new_with_metadata(schema.fields().iter().map(field).collect::<Vec<_>>(), schema.metadata().clone())
}
