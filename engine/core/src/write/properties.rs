//! Table properties that say how files are written: sizes, codec, bloom filters, what is counted of which column.
//!
//! <https://iceberg.apache.org/docs/latest/configuration/#write-properties>; what they leave open is as Iceberg's Java
//! does it. Must not know: Arrow, frames, stores.

use std::collections::HashMap;

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{NestedField, Schema, Type};

/// Rows of a row group at most, PyIceberg's property and default: what a reader decodes at once on one core.
const ROW_LIMIT: (&str, u64) = ("write.parquet.row-group-limit", 1 << 20);
const METRICS_DEFAULT: &str = "write.metadata.metrics.default";
const METRICS_COLUMN: &str = "write.metadata.metrics.column.";
const METRICS_MOST: &str = "write.metadata.metrics.max-inferred-column-defaults";
const BLOOM_ENABLED: &str = "write.parquet.bloom-filter-enabled.column.";
const BLOOM_FPP: &str = "write.parquet.bloom-filter-fpp.column.";
const BLOOM_NDV: &str = "write.parquet.bloom-filter-ndv.column.";
const BLOOM_MOST: &str = "write.parquet.bloom-filter-max-bytes";

/// How files are written.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) target_file_bytes: u64,
    pub(crate) row_group_bytes: u64,
    pub(crate) row_group_rows: usize,
    pub(crate) page_bytes: usize,
    pub(crate) page_rows: usize,
    pub(crate) dictionary_bytes: usize,
    pub(crate) compression: Compression,
    /// By field id of leaf columns.
    pub(crate) modes: HashMap<i32, Mode>,
    pub(crate) blooms: HashMap<i32, Bloom>,
}

/// What is told of a column in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    None,
    /// Values, nulls, NaNs
    Counts,
    /// And bounds, of so many characters or bytes
    Truncate(usize),
    /// And bounds as they are
    Full,
}

/// A bloom filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bloom {
    pub(crate) false_positives: f64,
    pub(crate) distinct: u64,
}

impl Settings {
    /// Reads the properties; `sorted` are the columns that the table's order begins with.
    pub(crate) fn new(properties: &HashMap<String, String>, schema: &Schema, sorted: &[i32]) -> Result<Settings> {
        let bytes = |name: &str, default: u64| number(properties, name, default);
        let mut leaves = Vec::new();
        collect_leaves(&schema.fields, "", &mut leaves);
        Ok(Settings {
            target_file_bytes: bytes("write.target-file-size-bytes", 512 << 20)?,
            row_group_bytes: bytes("write.parquet.row-group-size-bytes", 128 << 20)?,
            row_group_rows: bytes(ROW_LIMIT.0, ROW_LIMIT.1)? as usize,
            page_bytes: bytes("write.parquet.page-size-bytes", 1 << 20)? as usize,
            page_rows: bytes("write.parquet.page-row-limit", 20_000)? as usize,
            dictionary_bytes: bytes("write.parquet.dict-size-bytes", 2 << 20)? as usize,
            compression: compression(properties)?,
            modes: modes(properties, &leaves, sorted)?,
            blooms: blooms(properties, &leaves)?,
        })
    }

    /// Longest text or binary that a bound needs of a file's statistics; None: all of it.
    pub(crate) fn longest_bound_bytes(&self) -> Option<usize> {
        let of = |mode: &Mode| match mode {
            Mode::Full => None,
            Mode::Truncate(length) => Some(length.saturating_mul(4)), // a character is four bytes at most
            _ => Some(0),
        };
        self.modes.values().map(of).try_fold(64, |longest, needed| Some(needed?.max(longest)))
    }
}

/// Primitive fields with their full names, in the schema's order.
fn collect_leaves(fields: &[NestedField], prefix: &str, found: &mut Vec<(i32, String)>) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let below = format!("{name}.");
        match &field.field_type {
            Type::Struct(inner) => collect_leaves(inner, &below, found),
            Type::List(element) => collect_leaves(std::slice::from_ref(element), &below, found),
            Type::Map(key, value) => {
                collect_leaves(std::slice::from_ref(key), &below, found);
                collect_leaves(std::slice::from_ref(value), &below, found);
            }
            _ => found.push((field.id, name)),
        }
    }
}

fn modes(properties: &HashMap<String, String>, leaves: &[(i32, String)], sorted: &[i32]) -> Result<HashMap<i32, Mode>> {
    let usual = Mode::Truncate(16);
    let default = properties.get(METRICS_DEFAULT).map(|text| Mode::parse(METRICS_DEFAULT, text)).transpose()?;
    let most = number(properties, METRICS_MOST, 100)? as usize;
    let mut modes = HashMap::new();
    for (at, (id, name)) in leaves.iter().enumerate() {
        let key = format!("{METRICS_COLUMN}{name}");
        let mode = match (properties.get(&key), default) {
            (Some(text), _) => Mode::parse(&key, text)?,
            // Readers prune by what files are sorted by.
            (None, Some(Mode::None | Mode::Counts)) if sorted.contains(id) => usual,
            (None, Some(default)) => default,
            (None, None) if at < most || sorted.contains(id) => usual,
            (None, None) => Mode::None,
        };
        modes.insert(*id, mode);
    }
    Ok(modes)
}

impl Mode {
    fn parse(name: &str, text: &str) -> Result<Mode> {
        let lower = text.trim().to_ascii_lowercase();
        let length = || lower.strip_prefix("truncate(")?.strip_suffix(')')?.trim().parse().ok().filter(|n| *n > 0);
        match lower.as_str() {
            "none" => Ok(Mode::None),
            "counts" => Ok(Mode::Counts),
            "full" => Ok(Mode::Full),
            _ => length()
                .map(Mode::Truncate)
                .ok_or_else(|| wrong(name, text, "neither none, counts, full nor truncate(N)")),
        }
    }
}

fn blooms(properties: &HashMap<String, String>, leaves: &[(i32, String)]) -> Result<HashMap<i32, Bloom>> {
    let most = number(properties, BLOOM_MOST, 1 << 20)?;
    let mut blooms = HashMap::new();
    for (id, name) in leaves {
        if properties.get(&format!("{BLOOM_ENABLED}{name}")).is_none_or(|text| !text.eq_ignore_ascii_case("true")) {
            continue;
        }
        let key = format!("{BLOOM_FPP}{name}");
        let text = properties.get(&key).map_or("0.01", String::as_str);
        let share = text.trim().parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 1.0);
        let share = share.ok_or_else(|| wrong(&key, text, "not between 0 and 1"))?;
        // So many distinct values fill a filter of the largest size (split-block filters: Parquet's BloomFilter.md).
        let fits = (most * 8) as f64 * -(1.0 - share.powf(1.0 / 8.0)).ln() / 8.0;
        let distinct = number(properties, &format!("{BLOOM_NDV}{name}"), fits as u64)?;
        blooms.insert(*id, Bloom { false_positives: share, distinct: distinct.clamp(1, (fits as u64).max(1)) });
    }
    Ok(blooms)
}

fn compression(properties: &HashMap<String, String>) -> Result<Compression> {
    let (name, level_name) = ("write.parquet.compression-codec", "write.parquet.compression-level");
    let text = properties.get(name).map_or("zstd", String::as_str);
    let level = properties.get(level_name).filter(|text| !text.trim().is_empty() && *text != "null");
    let unfit = |text: &String| wrong(level_name, text, "not a level of the codec");
    let level = level.map(|text| text.trim().parse::<i32>().map_err(|_| unfit(text)).map(|level| (level, text)));
    let level = level.transpose()?;
    let positive = |level: i32| u32::try_from(level).ok();
    Ok(match text.trim().to_ascii_lowercase().as_str() {
        "zstd" => Compression::ZSTD(match level {
            None => ZstdLevel::default(),
            Some((level, text)) => ZstdLevel::try_new(level).map_err(|_| unfit(text))?,
        }),
        "gzip" => Compression::GZIP(match level {
            None => GzipLevel::default(),
            Some((level, text)) => {
                positive(level).and_then(|level| GzipLevel::try_new(level).ok()).ok_or_else(|| unfit(text))?
            }
        }),
        "brotli" => Compression::BROTLI(match level {
            None => BrotliLevel::default(),
            Some((level, text)) => {
                positive(level).and_then(|level| BrotliLevel::try_new(level).ok()).ok_or_else(|| unfit(text))?
            }
        }),
        "snappy" => Compression::SNAPPY,
        "lz4" | "lz4_raw" => Compression::LZ4_RAW,
        "uncompressed" | "none" => Compression::UNCOMPRESSED,
        _ => return Err(wrong(name, text, "neither zstd, snappy, gzip, lz4, brotli nor uncompressed")),
    })
}

fn number(properties: &HashMap<String, String>, name: &str, default: u64) -> Result<u64> {
    match properties.get(name) {
        None => Ok(default),
        Some(text) => {
            let number = text.trim().parse::<u64>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| wrong(name, text, "not a positive number"))
        }
    }
}

fn wrong(name: &str, text: &str, why: &str) -> Error {
    Error::new(Kind::Configuration, format!("table property {name}: {text:?} is {why}"))
        .hint("correct the property of the table, then write again")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings> {
        let fields: Vec<_> = (1..=3)
            .map(|id| json!({"id": id, "name": format!("c{id}"), "type": "string", "required": false}))
            .chain([json!({"id": 4, "name": "l", "required": false, "type":
                {"type": "list", "element-id": 5, "element": "long", "element-required": false}})])
            .collect();
        let schema = Schema::from_json(&json!({"type": "struct", "fields": fields}).to_string()).unwrap();
        let properties = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::new(&properties, &schema, &[3])
    }

    #[test]
    fn what_is_counted_of_which_column() {
        let modes = |pairs| {
            let modes = settings(pairs).unwrap().modes;
            [1, 2, 3, 5].map(|id| modes[&id])
        };
        let usual = Mode::Truncate(16);
        assert_eq!(modes(&[]), [usual; 4]);
        assert_eq!(modes(&[(METRICS_MOST, "1")]), [usual, Mode::None, usual, Mode::None]);
        assert_eq!(modes(&[(METRICS_DEFAULT, "counts")]), [Mode::Counts, Mode::Counts, usual, Mode::Counts]);
        let column = format!("{METRICS_COLUMN}l.element");
        assert_eq!(modes(&[(&column, "Truncate(5)"), (METRICS_DEFAULT, "full")])[2..], [Mode::Full, Mode::Truncate(5)]);
        assert_eq!(settings(&[(METRICS_DEFAULT, "truncate(20)")]).unwrap().longest_bound_bytes(), Some(80));
        assert_eq!(settings(&[(METRICS_DEFAULT, "full")]).unwrap().longest_bound_bytes(), None);
    }

    #[test]
    fn what_cannot_be_used_names_the_property() {
        for (name, text) in [
            (METRICS_DEFAULT, "some"),
            (METRICS_DEFAULT, "truncate(0)"),
            ("write.parquet.compression-codec", "lzo"),
            ("write.parquet.compression-level", "99"),
            ("write.target-file-size-bytes", "0"),
        ] {
            let error = settings(&[(name, text)]).unwrap_err();
            assert_eq!(error.kind(), Kind::Configuration);
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn a_bloom_filter_is_no_larger_than_allowed() {
        let blooms = settings(&[(&format!("{BLOOM_ENABLED}c1"), "true"), (BLOOM_MOST, "1024")]).unwrap().blooms;
        assert_eq!(blooms.len(), 1);
        assert!((500..900).contains(&blooms[&1].distinct), "{blooms:?}");
    }
}
