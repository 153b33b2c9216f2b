//! A frame -> data files of a table: conformed, split by partition, sorted, encoded, uploaded, described for the commit.
//!
//! What is encoded at once is a window: as many row groups, of as many partitions, as memory allows. Every column of
//! each is work of its own for the threads; then the row groups are appended in order to one open file at a time, whose
//! bytes are on their way while the next window is encoded. Memory beyond the frame is a window, the pieces on their
//! way, and the positions of rows. Must not know: commits, catalogs, manifests, Python.
//!
//! Inside: [`request`] and `properties` say what is wanted; `conform`, `fanout` (with `keys`, `rows`) and `sort` say
//! which rows go where; `shape`, `encode` (with `sample`) and `pages` make column chunks, `file` files of them, `figures`
//! and `tuple` what is told of a file (`bounds` shortens it); `output` brings it to the store.

mod bounds;
mod conform;
mod encode;
mod fanout;
mod figures;
mod file;
mod keys;
mod output;
mod pages;
mod properties;
pub mod request;
mod rows;
mod sample;
mod shape;
mod sort;
mod tuple;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::error::{Error, Kind, Result};
use crate::frame::{Frame, array_bytes};
use crate::metrics::Progress;
use crate::parallel;
use crate::runtime::{Cancel, Tidying};
use crate::store::Store;
use conform::Conform;
use encode::{Encoded, Encoder};
use fanout::Tuple;
use output::Output;
pub use request::WriteRequest;
use rows::Rows;
pub use tuple::of_row as partition_of_row;

/// Row groups of a window at most, so that the files of many small partitions are on their way early.
const MOST_GROUPS: usize = 256;

/// Writes a frame's rows as data files; each is described in the JSON of the REST catalog specification's `DataFile`.
///
/// All files are in the store, or, on an error, none.
pub async fn write(
    store: &Store,
    frame: &Frame,
    request: WriteRequest,
    cancel: &Cancel,
    progress: Arc<Progress>,
) -> Result<Vec<String>> {
    let (store, frame, cancel) = (store.clone(), frame.batch().clone(), cancel.clone());
    let handle = tokio::runtime::Handle::current();
    let tidying = Tidying::begin()?;
    let work = move || {
        let _until_all_is_there_or_gone = tidying;
        Write { store: &store, frame: &frame, request: &request, cancel: &cancel, progress: &progress }.run(handle)
    };
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|_| Error::new(Kind::Internal, "the write broke off"))?
}

/// One call.
struct Write<'a> {
    store: &'a Store,
    frame: &'a RecordBatch,
    request: &'a WriteRequest,
    cancel: &'a Cancel,
    progress: &'a Progress,
}

/// Rows that become one row group.
struct Group {
    partition: usize,
    tuple: Arc<Tuple>,
    rows: Rows,
}

impl Write<'_> {
    fn run(&self, handle: tokio::runtime::Handle) -> Result<Vec<String>> {
        let fields = request::written(&self.request.schema.fields);
        let conform = Conform::new(self.frame, fields, &self.request.schema.fields, &self.request.defaults)?;
        rows::check_count(self.frame.num_rows())?;
        if self.frame.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let encoder = Encoder::new(&conform, &self.request.settings)?;
        let mut output = Output::new(self.store, self.request, &encoder, self.cancel, handle);
        // A fault of an encoder must not leave files behind either.
        let work = AssertUnwindSafe(|| {
            self.produce(&conform, &encoder, &mut output)?;
            let written = output.finish()?;
            self.cancel.check()?; // nobody would take the result: its files are to go
            Ok(written)
        });
        let broke_off = |_| Err(Error::new(Kind::Internal, "an encoder broke off").hint("please report it"));
        let written = catch_unwind(work).unwrap_or_else(broke_off);
        if written.is_err() {
            output.discard();
        }
        written
    }

    fn produce(&self, conform: &Conform, encoder: &Encoder, output: &mut Output<'_>) -> Result<()> {
        let WriteRequest { spec, threads, sort_order, .. } = self.request;
        let partitions = fanout::split(self.frame, conform, spec, *threads, self.cancel)?;
        let mut pace = Pace::new(self.frame, conform, self.request);
        self.progress.announce(pace.frame_bytes);
        let mut window = Vec::new();
        for (partition, fanout::Partition { tuple, rows }) in partitions.into_iter().enumerate() {
            let tuple = Arc::new(tuple);
            let rows = match sort_order {
                Some(order) => sort::sorted(self.frame, conform, order, rows)?,
                None => rows,
            };
            let mut start = 0;
            while start < rows.len() {
                let group = rows.part(start, pace.group_rows(rows.len() - start));
                start += group.len();
                window.push(Group { partition, tuple: Arc::clone(&tuple), rows: group });
                if pace.is_full(&window) {
                    self.flush(std::mem::take(&mut window), conform, encoder, output, &mut pace)?;
                }
            }
        }
        self.flush(window, conform, encoder, output, &mut pace)
    }

    /// Encodes a window and appends its row groups to their files.
    fn flush(
        &self,
        window: Vec<Group>,
        conform: &Conform,
        encoder: &Encoder,
        output: &mut Output<'_>,
        pace: &mut Pace,
    ) -> Result<()> {
        let mut work = Vec::new();
        for (at, group) in window.iter().enumerate() {
            let writers = encoder.writers()?.into_iter().enumerate();
            work.extend(writers.map(|(column, writers)| (at, column, &group.rows, writers)));
        }
        // The longest first, so that all threads end together.
        work.sort_by_key(|(_, column, rows, _)| std::cmp::Reverse(pace.column_bytes[*column] * rows.len() as u64));
        let failed = Cancel::default();
        let encoded = parallel::map(work, self.request.threads, |(at, column, rows, writers)| {
            failed.check()?;
            let encoded = encoder.encode(self.frame, (column, &conform.columns[column]), writers, rows, self.cancel);
            if encoded.is_err() {
                failed.cancel();
            }
            Ok((at, column, encoded?))
        });
        let mut groups: Vec<Vec<(usize, Encoded)>> = window.iter().map(|_| Vec::new()).collect();
        for (at, column, encoded) in all_or_first(encoded)? {
            groups[at].push((column, encoded));
        }
        for (group, mut columns) in window.into_iter().zip(groups) {
            columns.sort_unstable_by_key(|(column, _)| *column);
            let columns: Vec<Encoded> = columns.into_iter().map(|(_, encoded)| encoded).collect();
            let bytes = columns.iter().map(Encoded::bytes).sum();
            pace.learn(group.rows.len(), bytes);
            let next = pace.expected_bytes(group.rows.len());
            output.append(group.partition, &group.tuple, columns, group.rows.len(), next)?;
            self.progress.add(pace.frame_bytes_of(group.rows.len()));
        }
        Ok(())
    }
}

/// The results, or what failed first rather than what was stopped by it.
fn all_or_first<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let mut good = Vec::with_capacity(results.len());
    let mut worst: Option<Error> = None;
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(error) if worst.as_ref().is_none_or(|worst| worst.kind() == Kind::Cancelled) => worst = Some(error),
            Err(_) => {}
        }
    }
    worst.map_or(Ok(good), Err)
}

/// How long row groups and windows are, from what rows took so far.
struct Pace {
    frame_bytes: u64,
    frame_rows: usize,
    /// Of the frame, by column of the table.
    column_bytes: Vec<u64>,
    encoded_rows: u64,
    encoded_bytes: u64,
    most_rows: usize,
    group_bytes: u64,
    window_bytes: u64,
}

impl Pace {
    fn new(frame: &RecordBatch, conform: &Conform, request: &WriteRequest) -> Pace {
        let bytes = |column: &conform::Column| column.source().map_or(1, |at| array_bytes(frame.column(at)) as u64 + 1);
        let column_bytes: Vec<u64> = conform.columns.iter().map(bytes).collect();
        let settings = &request.settings;
        Pace {
            frame_bytes: column_bytes.iter().sum(),
            frame_rows: frame.num_rows(),
            column_bytes,
            encoded_rows: 0,
            encoded_bytes: 0,
            most_rows: settings.row_group_rows,
            group_bytes: settings.row_group_bytes.min(settings.target_file_bytes),
            window_bytes: request.memory_limit / 4,
        }
    }

    fn learn(&mut self, rows: usize, bytes: u64) {
        self.encoded_rows += rows as u64;
        self.encoded_bytes += bytes;
    }

    /// Bytes that so many rows take encoded; as in memory until some were.
    fn expected_bytes(&self, rows: usize) -> u64 {
        match self.encoded_rows {
            0 => self.frame_bytes_of(rows),
            encoded => (self.encoded_bytes as f64 * rows as f64 / encoded as f64) as u64,
        }
    }

    fn frame_bytes_of(&self, rows: usize) -> u64 {
        (self.frame_bytes as f64 * rows as f64 / self.frame_rows.max(1) as f64) as u64
    }

    /// Rows of the next row group where so many are left: what is left is split evenly.
    fn group_rows(&self, left: usize) -> usize {
        let per_row = self.expected_bytes(1 << 20).max(1) as f64 / f64::from(1 << 20);
        let fits = (self.group_bytes as f64 / per_row) as usize;
        let most = fits.clamp(1, self.most_rows.max(1));
        left.div_ceil(left.div_ceil(most))
    }

    fn is_full(&self, window: &[Group]) -> bool {
        let rows = window.iter().map(|group| group.rows.len()).sum();
        window.len() >= MOST_GROUPS || self.expected_bytes(rows) >= self.window_bytes
    }
}
