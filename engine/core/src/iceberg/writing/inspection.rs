//! A table's manifests and partitions as Arrow, for people to look at.
//!
//! Must not know: frames, how they are shown. Neighbours: `parent` reads lists, [`crate::iceberg::files`] lists files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Fields, Schema};
use serde_json::Value;

use super::parent;
use crate::error::{Error, Kind, Result};
use crate::iceberg::files::FileList;
use crate::runtime::Cancel;
use crate::store::Store;

/// The manifests of a snapshot, a row each.
pub async fn manifests(
    store: &Store,
    list: Option<String>,
    unlisted: Vec<String>,
    cancel: &Cancel,
) -> Result<RecordBatch> {
    let listed = parent::manifests(store, list.as_deref(), &unlisted, cancel).await?;
    let numbers = |of: &dyn Fn(&super::descriptor::Descriptor) -> Option<i64>| -> ArrayRef {
        Arc::new(listed.iter().map(of).collect::<Int64Array>())
    };
    let content = listed.iter().map(|each| Some(if each.content == 0 { "data" } else { "deletes" }));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("path", Arc::new(listed.iter().map(|each| Some(each.path.as_str())).collect::<StringArray>())),
        ("content", Arc::new(content.collect::<StringArray>())),
        ("length", numbers(&|each| Some(each.length))),
        ("partition_spec_id", Arc::new(listed.iter().map(|each| Some(each.spec_id)).collect::<Int32Array>())),
        ("sequence_number", numbers(&|each| each.sequence_number)),
        ("min_sequence_number", numbers(&|each| each.min_sequence_number)),
        ("added_snapshot_id", numbers(&|each| each.snapshot_id)),
        ("added_files_count", numbers(&|each| each.files[0])),
        ("existing_files_count", numbers(&|each| each.files[1])),
        ("deleted_files_count", numbers(&|each| each.files[2])),
        ("added_rows_count", numbers(&|each| each.rows[0])),
        ("existing_rows_count", numbers(&|each| each.rows[1])),
        ("deleted_rows_count", numbers(&|each| each.rows[2])),
        ("first_row_id", numbers(&|each| each.first_row_id)),
    ];
    batch(columns)
}

/// The partitions of listed files, a row each in order of appearance: their values, files, rows and bytes.
pub fn partitions(files: &FileList) -> Result<RecordBatch> {
    let (specs, values) = (files.spec_ids()?, files.partitions()?);
    let options = FormatOptions::new().with_null("\u{0}null");
    let formatters = values.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).map_err(wrong));
    let formatters = formatters.collect::<Result<Vec<_>>>()?;
    let (rows, sizes) = (files.int64("record_count")?, files.int64("file_size")?);
    let mut known: HashMap<(i32, Vec<String>), usize> = HashMap::new();
    let (mut first, mut sums) = (Vec::new(), Vec::<[i64; 3]>::new());
    for row in 0..files.len() {
        let tuple = formatters.iter().map(|formatter| formatter.value(row).to_string()).collect();
        let at = *known.entry((specs.value(row), tuple)).or_insert_with(|| {
            first.push(row as u32);
            sums.push([0; 3]);
            sums.len() - 1
        });
        let sum = &mut sums[at];
        *sum = [sum[0] + 1, sum[1] + rows.value(row), sum[2] + sizes.value(row)];
    }
    let first = UInt32Array::from(first);
    let taken = |array: &dyn Array| arrow_select::take::take(array, &first, None).map_err(wrong);
    let sum = |of: usize| -> ArrayRef { Arc::new(sums.iter().map(|sum| Some(sum[of])).collect::<Int64Array>()) };
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    if values.num_columns() > 0 {
        columns.push(("partition", taken(&named(values, files.specs_json())?)?));
    }
    columns.push(("spec_id", taken(specs)?));
    columns.extend([("file_count", sum(0)), ("record_count", sum(1)), ("total_bytes", sum(2))]);
    batch(columns)
}

/// The partition values under the names that the specs give their fields, rather than their ids.
fn named(values: &StructArray, specs: &str) -> Result<StructArray> {
    let specs: Value = serde_json::from_str(specs).map_err(|e| Error::new(Kind::InvalidData, e.to_string()))?;
    let all = specs.as_array().into_iter().flatten().filter_map(|spec| spec["fields"].as_array()).flatten();
    let names: HashMap<String, &str> =
        all.filter_map(|field| Some((field["field-id"].to_string(), field["name"].as_str()?))).collect();
    let renamed = values.fields().iter().map(|field| {
        let name = names.get(field.name()).copied().unwrap_or(field.name());
        field.as_ref().clone().with_name(name)
    });
    let fields: Fields = renamed.collect();
    StructArray::try_new(fields, values.columns().to_vec(), values.nulls().cloned()).map_err(wrong)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let field = |(name, column): &(&str, ArrayRef)| {
        Field::new(*name, column.data_type().clone(), *column.data_type() != DataType::Utf8)
    };
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(wrong)
}

fn wrong(error: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, format!("a list for inspection could not be made: {error}"))
}
