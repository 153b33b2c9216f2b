//! Damaged pages: whatever bytes lie between a file's magic and its footer, a load gives an error or valid columns. It
//! never panics in our code, never takes long, and never asks for much more memory than the file's columns need.
//!
//! `HEADRACE_CASES` and `HEADRACE_SEED` as in the differential test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../random/mod.rs"]
mod random;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use headrace_core::iceberg::predicate::Predicate;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use common::{Folder, load_parquet};
use random::values::{Nulls, array, flat_type, nested_type, pick};
use random::{files, raw};

const CASES: u64 = 500;
const SEED: u64 = 20_260_102;
/// Damaged copies of each file
const COPIES: usize = 6;
/// One allocation of a load of a file of some KiB may be as large: decompressors and their windows take some MiB.
const LARGEST_BYTES: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// The system's allocator, which remembers the largest request.
struct Remembering;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller's promise
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

/// Panics that this process saw, by place. The crate's reader is known to panic on damaged files, and its panics become
/// errors; a panic of ours is a fault.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn remember_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        if !place.contains("/registry/") {
            shown(info);
        }
        PANICS.lock().unwrap().push(place);
    }));
}

/// Whether the place of a panic is in the engine.
fn is_ours(place: &str) -> bool {
    place.contains("core/src/") && !place.contains("/registry/") && !place.contains("/library/")
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// A small file of one or two columns; and what it is, in words.
fn small_file(random: &mut StdRng) -> (Vec<u8>, String) {
    let rows = pick(random, &[1, 9, 65, 300, 2000]);
    if random.random_bool(0.25) {
        let columns = raw::declarations(random);
        return raw::write(random, &columns, rows, 0);
    }
    let data_type = if random.random_bool(0.75) { flat_type(random) } else { nested_type(random, 1) };
    let nulls = Nulls::random(random);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        Arc::new(Int32Array::from_iter_values((0..rows).map(|_| random.random_range(0..1000)))),
        array(random, &data_type, rows, nulls),
    ];
    let nullable = nulls != Nulls::Never || data_type == DataType::Null;
    let schema = Schema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("dice", DataType::Int32, false),
        Field::new("c", data_type.clone(), nullable),
    ]);
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let embedded = random.random_bool(0.7);
    let (bytes, words) = files::write(random, &batch, embedded);
    (bytes, format!("{data_type}, {rows} rows, {words}"))
}

/// Where the pages of the last column's chunks lie.
fn page_ranges(bytes: &[u8]) -> Vec<Range<usize>> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes.to_vec())).unwrap();
    let groups = reader.metadata().row_groups().iter();
    let chunks = groups.filter_map(|group| group.columns().last().map(|column| column.byte_range()));
    let ranges = chunks.map(|(start, length)| start as usize..(start + length) as usize);
    ranges.filter(|range| !range.is_empty()).collect()
}

/// Damages some bytes within the range.
fn damage(random: &mut StdRng, bytes: &mut [u8], range: Range<usize>) {
    let header = (range.start..range.end.min(range.start + 40)).len();
    for _ in 0..pick(random, &[1, 1, 1, 2, 5]) {
        let at = match random.random_bool(0.5) {
            true => range.start + random.random_range(0..header),
            false => random.random_range(range.clone()),
        };
        let end = range.end.min(at + pick(random, &[1, 2, 4, 16, 1000]));
        match random.random_range(0..8) {
            0..=2 => bytes[at] ^= 1 << random.random_range(0..8),
            3 | 4 => bytes[at] = pick(random, &[0, 1, 0x7f, 0x80, 0xfe, 0xff]),
            5 => bytes[at..end].iter_mut().for_each(|byte| *byte = random.random()),
            6 => bytes[at..end].fill(pick(random, &[0, 0xff, 0x80])),
            // Bytes lost: all that follows moves up
            _ => bytes.copy_within(end..range.end, at),
        }
    }
}

/// Loads the file; what went wrong, in words.
fn check(location: String, options: serde_json::Value, filter: Predicate) -> Result<bool, String> {
    PANICS.lock().unwrap().clear();
    LARGEST.store(0, Ordering::Relaxed);
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || done.send(load_parquet(vec![location], &options, filter)));
    let loaded = waits.recv_timeout(PATIENCE).map_err(|_| "it neither ends nor fails".to_string())?;
    let largest = LARGEST.load(Ordering::Relaxed);
    if let Some(place) = PANICS.lock().unwrap().iter().find(|place| is_ours(place)) {
        return Err(format!("a panic at {place}"));
    }
    if largest > LARGEST_BYTES {
        return Err(format!("it asks for {largest} bytes at once"));
    }
    let Ok(batch) = loaded else { return Ok(false) };
    for column in batch.columns() {
        match column.to_data().validate_full() {
            Err(error) if !error.to_string().contains("UTF") => return Err(format!("an invalid array: {error}")),
            _ => {} // what is no UTF-8: tests/text.rs
        }
    }
    Ok(true)
}

#[test]
fn damaged_pages_are_errors_or_data() {
    remember_panics();
    let folder = Folder::new("damaged");
    let (first, cases) = (number("HEADRACE_SEED", SEED), number("HEADRACE_CASES", CASES));
    let mut failures = Vec::new();
    let mut loaded = 0;
    for seed in first..first + cases {
        let mut random = StdRng::seed_from_u64(seed);
        let (bytes, words) = small_file(&mut random);
        let ranges = page_ranges(&bytes);
        if ranges.is_empty() {
            continue;
        }
        for copy in 0..COPIES {
            let mut damaged = bytes.clone();
            let range = pick(&mut random, &ranges);
            damage(&mut random, &mut damaged, range);
            let filter = match random.random_bool(0.3) {
                true => json!({"op": "lt", "field": 2, "type": "int", "values": [random.random_range(0..1000)]}),
                false => json!({"op": "true"}),
            };
            let strings = pick(&mut random, &["view", "large_string"]);
            let options = json!({"decoder": "direct", "strings": strings, "threads": 1});
            let location = folder.put("damaged", &damaged);
            let found = check(location, options, Predicate::from_json(&filter.to_string()).unwrap());
            match found {
                Ok(data) => loaded += u64::from(data),
                Err(what) => {
                    let kept = folder.put(&format!("seed-{seed}-{copy}"), &damaged);
                    failures
                        .push(format!("HEADRACE_SEED={seed} HEADRACE_CASES=1: {what}\n  {kept}: {filter}, {words}"));
                }
            }
        }
        if failures.len() >= 10 {
            break;
        }
    }
    assert!(failures.is_empty(), "{} or more cases\n\n{}", failures.len(), failures.join("\n\n"));
    assert!(cases < 10 || (loaded > 0 && loaded < cases * COPIES as u64), "{loaded} loaded: the damage does nothing");
}
