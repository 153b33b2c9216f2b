//! A plan's files -> one frame after another, in the files' order, within a limit of memory.
//!
//! Files are opened a few ahead; their row groups become windows of rows ([`super::windows`]), each of which is loaded as
//! a whole load is ([`super::assemble`]) on a task of its own. At most [`WINDOWS`] of them exist at a time: one that the
//! consumer has, the others on their way; whoever does not ask for the next one holds files and network back. Closing the
//! stream, or dropping it, ends all that is on its way. How the limit is shared out is in [`Shares`].
//!
//! Must not know: Python, how a window's columns are decoded.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use futures::{Stream as Futures, StreamExt, TryStreamExt, stream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::arena::{Account, Tight};
use crate::error::{Error, Kind, Result};
use crate::fetch::{Budget, Fetcher};
use crate::frame::{Frame, StringLayout, strings as layout};
use crate::iceberg::predicate::Predicate;
use crate::load::deletes::{self, Deletes};
use crate::load::later::portions;
use crate::load::open::{self, Group};
use crate::load::windows::{Bounds, Window, Windows};
use crate::load::{CONCURRENT_REQUESTS, Context, FileTask, LoadRequest, assemble, held, laid_out, surviving};
use crate::metrics::Progress;
use crate::runtime::{Cancel, runtime, spawn};
use crate::store::Store;

/// Windows in memory at a time: one in the consumer's hands, one ready or nearly, one whose bytes are on their way.
const WINDOWS: usize = 3;
/// Files opened ahead.
const FILES_AHEAD: usize = 16;
/// Row groups whose filter is evaluated, or whose chunks are fetched, at a time.
const GROUPS_AHEAD: usize = 2;
/// Less memory than this cannot hold what is on its way.
const LEAST_LIMIT_BYTES: u64 = 32 << 20;

/// How the limit is shared out. What is not given away is for what a stream takes whatever it loads (pages in decoders,
/// footers, threads' own memory: some 50 MiB), and for strings that were estimated too low.
struct Shares {
    /// Each of [`WINDOWS`] windows
    window: u64,
    /// Memory that windows left and that waits for the next one
    freed: u64,
    /// Chunks of row groups that are decoded in several parts
    held: u64,
    /// Pages that the parts of such a row group share
    pages: u64,
    /// Bytes of one window on their way
    in_flight: u64,
}

impl Shares {
    /// Batches of a given length may be as long as memory allows; else shorter ones leave more of it to what decodes them.
    fn of(limit: u64, has_batch_rows: bool) -> Shares {
        // A group that cannot be held is fetched again for each of its parts, which takes memory too.
        let held = (limit / 4).max(LEAST_LIMIT_BYTES).min(limit / 2);
        let window = limit / if has_batch_rows { 8 } else { 16 };
        Shares { window, freed: limit / 8, held, pages: limit / 16, in_flight: limit / 16 }
    }
}

/// Frames on their way. Shared by all who take from it; each frame is given once.
pub struct Stream {
    schema: SchemaRef,
    closed: watch::Sender<bool>,
    cancel: Cancel,
    planner: JoinHandle<()>,
    state: Mutex<State>,
    _freed: Tight,
    /// Of the files, for a bar
    pub progress: Arc<Progress>,
}

struct State {
    coming: mpsc::Receiver<Result<Loading>>,
    loading: Option<Loading>,
    /// The window in the consumer's hands, and how many of its rows were given
    current: Option<(Frame, usize, OwnedSemaphorePermit)>,
    batch_rows: Option<usize>,
    failed: Option<(Kind, String)>,
}

/// A window on its way.
struct Loading {
    task: Ending<Result<Frame>>,
    place: OwnedSemaphorePermit,
    encoded: u64,
}

/// A task that ends with its handle.
struct Ending<T>(JoinHandle<T>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the planner works with.
struct Planner {
    context: Arc<Context>,
    bounds: Bounds,
    shares: Shares,
    places: Arc<Semaphore>,
    sender: mpsc::Sender<Result<Loading>>,
}

impl Stream {
    /// Begins to load. `request.memory_limit` is the stream's own; `batch_rows`: rows of every frame but the last.
    pub fn begin(
        store: &Store,
        files: Vec<FileTask>,
        mut request: LoadRequest,
        batch_rows: Option<usize>,
        predicate: Predicate,
    ) -> Result<Stream> {
        let limit = request.memory_limit;
        if limit < LEAST_LIMIT_BYTES {
            let message = format!("memory_limit is {limit} bytes, a stream takes {LEAST_LIMIT_BYTES} at least");
            return Err(Error::new(Kind::InvalidArgument, message).hint("memory_limit=256 << 20 keeps a network busy"));
        }
        let shares = Shares::of(limit, batch_rows.is_some());
        let freed = Tight::new(usize::try_from(shares.freed).unwrap_or(usize::MAX));
        request.in_flight = request.in_flight.min(shares.in_flight);
        let schema = Arc::new(shown(&request));
        let progress = Arc::new(Progress::default());
        progress.announce(files.iter().map(listed_bytes).sum());
        let cancel = Cancel::default();
        let mut context = Context::new(store, request, predicate, &cancel, &Arc::new(Progress::default()));
        context.fetcher = Fetcher::new(Budget::new(shares.held), CONCURRENT_REQUESTS);
        let (sender, coming) = mpsc::channel(WINDOWS);
        let planner = Planner {
            context: Arc::new(context),
            bounds: Bounds { bytes: shares.window, batch_rows },
            shares,
            places: Arc::new(Semaphore::new(WINDOWS)),
            sender,
        };
        let planner = runtime()?.spawn(planner.run(files));
        let state = State { coming, loading: None, current: None, batch_rows, failed: None };
        Ok(Stream {
            schema,
            closed: watch::Sender::new(false),
            cancel,
            planner,
            state: Mutex::new(state),
            _freed: freed,
            progress,
        })
    }

    /// The columns of every frame.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next frame; None after the last, and after [`Stream::close`].
    ///
    /// Dropping the future loses nothing: the next call gives the same frame. A failure is told to every later call.
    pub async fn next(&self) -> Result<Option<Frame>> {
        let mut state = self.state.lock().await;
        let mut closed = self.closed.subscribe();
        let next = tokio::select! {
            biased;
            _ = closed.wait_for(|is_closed| *is_closed) => {
                state.forget();
                return Ok(None);
            }
            next = state.next(&self.progress) => next,
        };
        if let Err(error) = &next {
            state.failed = Some((error.kind(), error.to_string()));
        }
        next
    }

    /// Ends what is on its way. Whoever waits for a frame gets none.
    pub fn close(&self) {
        self.cancel.cancel();
        self.closed.send_replace(true);
        self.planner.abort();
        if let Ok(mut state) = self.state.try_lock() {
            state.forget(); // else whoever holds it forgets
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    async fn next(&mut self, progress: &Progress) -> Result<Option<Frame>> {
        if let Some((kind, message)) = &self.failed {
            return Err(Error::new(*kind, format!("the stream ended early: {message}")));
        }
        loop {
            if let Some(frame) = self.slice() {
                return Ok(Some(frame));
            }
            self.current = None; // makes place for a window
            if self.loading.is_none() {
                self.loading = self.coming.recv().await.transpose()?;
            }
            let Some(loading) = &mut self.loading else {
                let (done, total) = progress.read();
                progress.add(total.saturating_sub(done)); // what was pruned
                return Ok(None);
            };
            let frame = (&mut loading.task.0).await;
            let frame = frame.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a window broke off")));
            let Some(loading) = self.loading.take() else { continue };
            let (done, total) = progress.read();
            progress.add(loading.encoded.min(total.saturating_sub(done)));
            self.current = Some((frame?, 0, loading.place));
        }
    }

    /// The next rows of the current window.
    fn slice(&mut self) -> Option<Frame> {
        let (frame, given, _) = self.current.as_mut()?;
        let rows = self.batch_rows.unwrap_or(frame.num_rows()).min(frame.num_rows() - *given);
        if rows == 0 {
            return None;
        }
        let slice = if rows == frame.num_rows() { frame.clone() } else { frame.slice(*given, rows) };
        *given += rows;
        Some(slice)
    }

    fn forget(&mut self) {
        (self.loading, self.current) = (None, None);
        self.coming.close();
        while self.coming.try_recv().is_ok() {}
    }
}

impl Planner {
    async fn run(self, files: Vec<FileTask>) {
        if let Err(error) = self.plan(files).await {
            let _ = self.sender.send(Err(error)).await; // nobody listens: the stream is closed
        }
    }

    async fn plan(&self, files: Vec<FileTask>) -> Result<()> {
        let mut windows = Windows::new(Arc::clone(&self.context.request), self.bounds);
        let mut left = self.context.request.limit.unwrap_or(usize::MAX);
        let deletes = Arc::new(deletes::read(&self.context, &files).await?);
        let mut groups = Box::pin(self.groups(files, deletes));
        while left > 0
            && let Some(group) = groups.next().await
        {
            let mut group = vec![group?];
            open::cut(&mut group, left);
            for group in group {
                left -= group.rows();
                for window in windows.add(group)? {
                    self.start(window).await?;
                }
            }
        }
        match windows.finish() {
            Some(last) => self.start(last).await,
            None => Ok(()),
        }
    }

    /// Row groups with the rows that row deletes and the filter leave, and with their chunks where they will be decoded in parts.
    fn groups(&self, files: Vec<FileTask>, deletes: Arc<Deletes>) -> impl Futures<Item = Result<Group>> + Send + use<> {
        let opening = Arc::clone(&self.context);
        let opened = stream::iter(files).map(move |file| {
            let context = Arc::clone(&opening);
            spawn(async move { open::open(&context, &[file]).await })
        });
        let opened = opened.buffered(FILES_AHEAD).map_ok(each).try_flatten();
        let selecting = Arc::clone(&self.context);
        let selected = opened.map(move |group| {
            let (context, deletes) = (Arc::clone(&selecting), Arc::clone(&deletes));
            spawn(async move { surviving(&context, &deletes, vec![group?]).await })
        });
        let selected = selected.buffered(GROUPS_AHEAD).map_ok(each).try_flatten();
        let (context, bounds, share) = (Arc::clone(&self.context), self.bounds, self.shares.held);
        let pages = usize::try_from(self.shares.pages).unwrap_or(usize::MAX);
        let budget = Budget::new(share);
        // One after another: were a later group given room first, the earlier one would wait for ever.
        let placed = selected.and_then(move |group| {
            let (context, budget) = (Arc::clone(&context), budget.clone());
            async move {
                held::check(&context, &group, share)?;
                let longest = Windows::longest_held(&context.request, &group, bounds, share);
                let room = held::reserve(&group, &budget, longest).await?;
                Ok((group, room))
            }
        });
        let fetched = placed.map(move |placed| {
            spawn(async move {
                match placed? {
                    (group, Some(room)) => held::hold(group, room, pages).await,
                    (group, None) => Ok(group),
                }
            })
        });
        fetched.buffered(GROUPS_AHEAD)
    }

    /// Loads a window as soon as there is a place for it.
    async fn start(&self, window: Window) -> Result<()> {
        let stopped = |_| Error::new(Kind::Cancelled, "cancelled");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(stopped)?;
        let context = Arc::new(self.context_of_window());
        let (groups, encoded) = (window.groups, window.encoded);
        let task = tokio::spawn(async move { assemble(&context, portions(groups)).await });
        let loading = Loading { task: Ending(task), place, encoded };
        self.sender.send(Ok(loading)).await.map_err(|_| Error::new(Kind::Cancelled, "cancelled"))
    }

    /// What windows share, with an account of its own: frames that the consumer keeps are not the stream's.
    fn context_of_window(&self) -> Context {
        let request = Arc::clone(&self.context.request);
        Context {
            progress: Arc::new(Progress::default()),
            account: Account::new(request.memory_limit),
            ..self.context.beside(request, Predicate::True)
        }
    }
}

fn each(groups: Vec<Group>) -> impl Futures<Item = Result<Group>> {
    stream::iter(groups.into_iter().map(Ok))
}

fn listed_bytes(file: &FileTask) -> u64 {
    let part = file.part.as_ref().map(|part| part.end.saturating_sub(part.start));
    part.or(file.size).unwrap_or(0)
}

/// The schema that every frame of a request shows.
fn shown(request: &LoadRequest) -> Schema {
    let flat = laid_out(&request.output, request);
    match request.strings {
        StringLayout::View => flat,
        StringLayout::LargeString => {
            let fields = flat.fields().iter().map(|field| {
                let target = layout::target(field.data_type(), request.strings);
                field.as_ref().clone().with_data_type(target)
            });
            Schema::new_with_metadata(fields.collect::<Vec<_>>(), flat.metadata().clone())
        }
    }
}
