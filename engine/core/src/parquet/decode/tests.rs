//! A chunk fed in pieces of any size gives the same column as a chunk fed whole.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, LargeListArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::{Chunk, Decoder, Plan};
use crate::arena::Account;
use crate::parquet::columns::{ColumnTarget, PartShape};
use crate::parquet::layout::{FileNode, reader_metadata};
use crate::runtime::Cancel;

const ROWS: usize = 3000;

fn file() -> Bytes {
    let lists = (0..ROWS).map(|row| (row % 7 != 0).then(|| (0..row % 5).map(|at| (at != 2).then_some(at as f64))));
    let lists = LargeListArray::from_iter_primitive::<arrow_array::types::Float64Type, _, _>(lists);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter((0..ROWS).map(|row| (row % 3 != 0).then_some(row as i64 * 1_000_003)))),
        Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| (row % 50) as f64))),
        Arc::new(StringArray::from_iter((0..ROWS).map(|row| (row % 11 != 0).then(|| "word ".repeat(row % 9))))),
        Arc::new(lists),
    ];
    let fields =
        columns.iter().enumerate().map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(200)
        .set_write_batch_size(100)
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    Bytes::from(bytes)
}

fn decoded(file: &Bytes, column: usize, piece: usize) -> ArrayRef {
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
    let reader = reader_metadata(Arc::new(metadata), false).unwrap();
    let root = FileNode::of_file(&reader).unwrap();
    let node = root.top(column).unwrap();
    let chunk = reader.metadata().row_group(0).column(column);
    let plan = Plan::of(&reader.parquet_schema().column(column), node, &node.data_type).unwrap();
    let elements = matches!(node.data_type, DataType::LargeList(_)).then(|| chunk.num_values() as usize);
    let field = Arc::new(Field::new("", node.data_type.clone(), true));
    let shape = PartShape { rows: ROWS, elements };
    let (target, parts) = ColumnTarget::new(field, &[shape], &Account::new(1 << 30)).unwrap();
    let about = Chunk { codec: chunk.compression(), uncompressed: chunk.uncompressed_size() as usize, limit: 1 << 30 };
    let part = parts.into_iter().next().unwrap();
    let mut decoder = Decoder::new(plan, about, None, part).map_err(|_| "not decoded directly").unwrap();
    let (start, length) = chunk.byte_range();
    let bytes = file.slice(start as usize..(start + length) as usize);
    let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
    for (at, piece) in pieces.iter().enumerate() {
        decoder.feed(piece, at + 1 == pieces.len(), &Cancel::default()).map_err(super::Refusal::into_error).unwrap();
    }
    decoder.finish().map_err(super::Refusal::into_error).unwrap().finish().unwrap();
    target.finish(1).unwrap()
}

#[test]
fn pieces_of_any_size_make_the_same_column() {
    let file = file();
    for column in 0..4 {
        let whole = decoded(&file, column, usize::MAX);
        assert_eq!(whole.len(), ROWS);
        for piece in [1, 7, 100, 1000, 5000] {
            assert_eq!(&decoded(&file, column, piece), &whole, "column {column} in pieces of {piece}");
        }
    }
}
