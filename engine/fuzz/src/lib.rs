//! What the fuzz targets share: which panics count, a scratch file, loads with a limit of memory.
//!
//! A target takes arbitrary bytes and calls the engine as the binding would; an error is a fine answer. A panic of the
//! engine's own code ends the run, as do AddressSanitizer, an allocation beyond the limit that `scripts/fuzz` sets, and
//! an input that takes too long. The crates' readers of Parquet and ORC are known to panic on some damaged files; the
//! engine makes errors of those panics, so they do not count.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use arrow_array::Array;
use headrace_core::error::Result;
use headrace_core::frame::Frame;
use headrace_core::iceberg::predicate::Predicate;
use headrace_core::load::{FileTask, LoadRequest, load_files};
use headrace_core::metrics::Progress;
use headrace_core::runtime::{Cancel, runtime};
use headrace_core::store::Store;
use serde_json::{Value, json};

/// Bytes of a load's result at most: a small file that claims more is refused.
const MEMORY_LIMIT_BYTES: u64 = 64 << 20;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let parent = std::env::var_os("HEADRACE_FUZZ_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    parent.join(format!("headrace-fuzz-{}", std::process::id()))
});

static STORE: LazyLock<Option<Store>> = LazyLock::new(|| {
    // A manifest list may name anything: nothing but the scratch folder is read.
    let store = Store::new([].into_iter().collect()).ok()?;
    Some(store.with_allowed(vec![FOLDER.to_str()?.to_string()]))
});

/// Ends the process at the engine's own panics, and only at those. Called once, before the first input.
pub fn prepare() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if place.contains("core/src/") && !place.contains("/registry/") && !place.contains("/library/") {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }));
}

/// The store that sees nothing but the scratch folder.
pub fn store() -> Option<&'static Store> {
    STORE.as_ref()
}

/// Writes the input where the engine can read it; its location.
pub fn put(bytes: &[u8]) -> Option<String> {
    let path = FOLDER.join("input");
    if std::fs::write(&path, bytes).is_err() {
        std::fs::create_dir_all(&*FOLDER).ok()?;
        std::fs::write(&path, bytes).ok()?;
    }
    Some(path.to_str()?.to_string())
}

/// Loads a file of these bytes. Bits of `choice`: the layout of strings, whether there is a filter.
pub fn load(bytes: &[u8], choice: u8) {
    let (Some(location), Some(store), Some(filter)) = (put(bytes), store(), filter(choice)) else { return };
    let (cancel, progress) = (Cancel::default(), Arc::new(Progress::default()));
    finish(load_files(store, vec![location], &options(choice), filter, &cancel, &progress));
}

/// Loads it as a data file of a table with this schema.
pub fn load_table(bytes: &[u8], schema: &Value, choice: u8) {
    let (Some(location), Some(store), Some(filter)) = (put(bytes), store(), filter(choice)) else { return };
    let mut request = options(choice);
    request["schema"] = schema.clone();
    let Ok(request) = LoadRequest::from_json(&request.to_string()) else { return };
    let files = vec![FileTask { location, ..FileTask::default() }];
    let (cancel, progress) = (Cancel::default(), Arc::new(Progress::default()));
    finish(headrace_core::load::load(store, files, request, filter, &cancel, &progress));
}

fn options(choice: u8) -> Value {
    let strings = if choice & 1 == 0 { "view" } else { "large_string" };
    json!({"strings": strings, "threads": 1, "memory_limit": MEMORY_LIMIT_BYTES, "decoder": "direct"})
}

/// On the second column, which is of `int` where a seed has it.
fn filter(choice: u8) -> Option<Predicate> {
    let filter = match choice & 2 {
        0 => json!({"op": "true"}),
        _ => json!({"op": "lt", "field": 2, "type": "int", "values": [u32::from(choice >> 2) * 16]}),
    };
    Predicate::from_json(&filter.to_string()).ok()
}

fn finish(loading: impl Future<Output = Result<Frame>>) {
    if let Some(Ok(frame)) = wait(loading) {
        check(&frame);
    }
}

/// Runs a future of the engine to its end.
pub fn wait<T>(future: impl Future<Output = Result<T>>) -> Option<Result<T>> {
    Some(runtime().ok()?.block_on(future))
}

/// Ends the process at an array that breaks Arrow's rules: everyone after us relies on them.
fn check(frame: &Frame) {
    for column in frame.batch().columns() {
        match column.to_data().validate_full() {
            Err(error) if !error.to_string().contains("UTF") => {
                eprintln!("an invalid array: {error}");
                std::process::abort();
            }
            _ => {} // what is no UTF-8: engine/core/tests/text.rs
        }
    }
}
