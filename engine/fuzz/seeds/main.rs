//! Writes the inputs that fuzzing begins with: `seeds FOLDER` makes a folder a target, a file an input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a tool of the developers

#[path = "../../core/tests/random/mod.rs"]
mod random;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use random::values::{Nulls, array, flat_type, nested_type, pick};
use random::{files, raw};

/// Parquet files: enough to hold every type, encoding and codec, and small, so that mutations hit what matters.
const PARQUET_FILES: u64 = 400;
const LARGEST_BYTES: usize = 6000;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: seeds FOLDER"));
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/testdata/iceberg");
    parquet(&folder);
    avro(&folder, &testdata);
    json(&folder, &testdata);
    vectors(&folder);
    orc(&folder, &testdata.join("../orc"));
    variants(&folder);
}

/// Files of PyArrow's, without and with a filter.
fn orc(folder: &Path, testdata: &Path) {
    for entry in std::fs::read_dir(testdata).unwrap() {
        let path = entry.unwrap().path();
        let (name, bytes) = (path.file_stem().unwrap().to_str().unwrap(), std::fs::read(&path).unwrap());
        put(folder, "orc", name, Some(0), &bytes);
        put(folder, "orc", &format!("{name}-filtered"), Some(3 | 30 << 2), &bytes);
    }
}

/// Columns by hand, as the target reads them: rows - 1, then column by column (lengths + 1 and bytes, bits of nulls).
fn variants(folder: &Path) {
    let metadata: &[u8] = &[8, 0x01, 2, 0, 1, 2, b'a', b'b']; // the names a, b
    let object: &[u8] = &[8, 0x02, 1, 1, 0, 2, 0x0c, 7]; // {"b": 7}
    let (none, absent): (&[u8], &[u8]) = (&[0], &[1]);
    let number: &[u8] = &[2, 5];
    let text: &[u8] = &[3, b'x', b'y'];
    for (typed, name, parts) in [
        (0, "whole", vec![object]),
        (1, "number", vec![none, number]),
        (2, "text", vec![none, text]),
        (3, "list", vec![none, &[2], none, none, number, number, none, none]),
        (4, "object", vec![none, none, number, none, none, text, none, none]),
        (4, "rest", vec![object, none, number, none, none, none, absent, none]),
        (
            5,
            "deep",
            vec![none, none, &[1], none, none, number, none, none, text, none, none, none, none, none, none, number],
        ),
    ] {
        let column: Vec<&[u8]> = [&[0], metadata].into_iter().chain(parts).collect();
        put(folder, "variants", name, Some(typed << 1), &column.concat());
    }
}

/// Bitmaps by hand: one array container of 1, 4 and 9; the same as a run; none.
fn vectors(folder: &Path) {
    let array: &[u8] = &[0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 16, 0, 0, 0, 1, 0, 4, 0, 9, 0];
    let run: &[u8] = &[0x3b, 0x30, 0, 0, 1, 0, 0, 2, 0, 1, 0, 1, 0, 2, 0];
    for (name, count, bitmap) in [("array", 3u16, array), ("run", 3, run)] {
        let one = [&count.to_le_bytes()[..], &1u64.to_le_bytes(), &[0; 4], bitmap].concat();
        put(folder, "vectors", name, None, &one);
    }
    put(folder, "vectors", "none", None, &[0; 10]);
}

fn put(folder: &Path, target: &str, name: &str, choice: Option<u8>, bytes: &[u8]) {
    let folder = folder.join(target);
    std::fs::create_dir_all(&folder).unwrap();
    let chosen: Vec<u8> = choice.into_iter().chain(bytes.iter().copied()).collect();
    std::fs::write(folder.join(name), chosen).unwrap();
}

fn parquet(folder: &Path) {
    for seed in 0..PARQUET_FILES {
        let random = &mut StdRng::seed_from_u64(seed);
        let file = parquet_file(random);
        if file.len() > LARGEST_BYTES {
            continue;
        }
        put(folder, "pages", &format!("seed-{seed}"), Some(random.random()), &file);
        let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap()) as usize;
        let footer = &file[file.len() - 8 - length..file.len() - 8];
        put(folder, "footers", &format!("seed-{seed}"), None, footer);
    }
}

fn parquet_file(random: &mut StdRng) -> Vec<u8> {
    let rows = pick(random, &[1, 9, 65, 100]);
    if random.random_bool(0.25) {
        let columns = raw::declarations(random);
        return raw::write(random, &columns, rows, 0).0;
    }
    let data_type = if random.random_bool(0.75) { flat_type(random) } else { nested_type(random, 1) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        Arc::new(Int32Array::from_iter_values((0..rows).map(|_| random.random_range(0..1000)))),
        array(random, &data_type, rows, Nulls::Half),
    ];
    let fields = [("row", DataType::Int64), ("dice", DataType::Int32), ("c", data_type)];
    let fields = fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap();
    let embedded = random.random_bool(0.5);
    files::write(random, &batch, embedded).0
}

fn avro(folder: &Path, testdata: &Path) {
    for (version, table) in ["evolved_v1", "evolved_v2"].iter().enumerate() {
        for entry in std::fs::read_dir(testdata.join(table)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            if !name.ends_with(".avro") {
                continue;
            }
            let list = u8::from(name.starts_with("snap-")) << 1;
            for filter in 0..4 {
                let choice = version as u8 | list | filter << 2;
                put(
                    folder,
                    "manifests",
                    &format!("{table}-{filter}-{name}"),
                    Some(choice),
                    &std::fs::read(&path).unwrap(),
                );
            }
        }
    }
}

fn json(folder: &Path, testdata: &Path) {
    let request = std::fs::read_to_string(testdata.join("evolved_v2/request.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&request).unwrap();
    let schema = parsed["schema"].to_string();
    let nested = r#"{"type":"struct","fields":[{"id":1,"name":"m","required":false,"type":{"type":"map","key-id":2,
        "key":"string","value-id":3,"value-required":true,"value":{"type":"list","element-id":4,"element-required":true,
        "element":{"type":"struct","fields":[{"id":5,"name":"d","required":false,"type":"decimal(9, 2)",
        "initial-default":"1.25"},{"id":6,"name":"u","required":true,"type":"uuid"}]}}}}]}"#;
    let filter = r#"{"and":[{"op":"ge","field":4,"type":"date","values":[19358]},{"or":[
        {"op":"in","field":1,"type":"double","values":["NaN","-0.0","1e300"]},{"op":"is_null","field":9,"type":"binary"},
        {"op":"starts_with","field":7,"type":"string","values":["a"]},{"op":"true"}]}]}"#;
    let load = format!(
        r#"{{"schema":{nested},"name_mapping":[{{"field-id":1,"names":["m"],"fields":[{{"names":["key"]}}]}}],
        "limit":10,"strings":"view","threads":2,"memory_limit":1000,"in_flight":10,"decoder":"direct"}}"#
    );
    for (choice, name, text) in [
        (1, "schema", schema.as_str()),
        (1, "nested", nested),
        (2, "filter", filter),
        (3, "plan", request.as_str()),
        (4, "load", load.as_str()),
    ] {
        put(folder, "metadata", name, Some(choice), text.as_bytes());
    }
}
