//! What the engine's tests share: a folder for files, a load of them, values as text.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test uses a part

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use headrace_core::error::Result;
use headrace_core::iceberg::predicate::Predicate;
use headrace_core::load::{FileTask, LoadRequest, load, load_files};
use headrace_core::metrics::Progress;
use headrace_core::runtime::{Cancel, runtime};
use headrace_core::store::Store;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

/// A folder of one test, removed with all that is in it when the test passes.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Writes bytes; gives the location.
    pub fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A Parquet file without an embedded Arrow schema, as the table format's writers leave it.
pub fn parquet_bytes(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

pub fn task(location: String) -> FileTask {
    FileTask { location, ..FileTask::default() }
}

pub fn store() -> Store {
    Store::new([].into_iter().collect()).unwrap()
}

/// Loads files of a table.
pub fn load_table(files: Vec<FileTask>, request: &Value, filter: Option<&Value>) -> Result<RecordBatch> {
    let request = LoadRequest::from_json(&request.to_string())?;
    let filter = filter.map_or(Ok(Predicate::True), |filter| Predicate::from_json(&filter.to_string()))?;
    let (cancel, progress) = (Cancel::default(), Arc::new(Progress::default()));
    let frame = runtime()?.block_on(load(&store(), files, request, filter, &cancel, &progress))?;
    Ok(frame.batch().clone())
}

/// Loads files without a table; a filter names columns by the ids that the engine gives them, depth first from 1.
pub fn load_parquet(locations: Vec<String>, options: &Value, filter: Predicate) -> Result<RecordBatch> {
    let (cancel, progress) = (Cancel::default(), Arc::new(Progress::default()));
    let frame = runtime()?.block_on(load_files(&store(), locations, options, filter, &cancel, &progress))?;
    Ok(frame.batch().clone())
}

/// A column's values as text, nested ones too; times without their zone, whose names the formatter does not know.
pub fn shown(array: &dyn Array) -> Vec<String> {
    let array: ArrayRef = match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            make_array(array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None)).build().unwrap())
        }
        _ => array.slice(0, array.len()),
    };
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(&array, &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}
