//! Random Parquet files of given columns: encodings, codecs, page sizes, page versions, indexes, statistics, row groups.

use arrow_array::RecordBatch;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, Type as PhysicalType, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use rand::RngExt;
use rand::rngs::StdRng;

use super::values::pick;

/// A random codec. LZ4 is Hadoop's framing of it, LZ4_RAW the plain one.
fn codec(random: &mut StdRng) -> Compression {
    match random.random_range(0..10) {
        0..=2 => Compression::UNCOMPRESSED,
        3 | 4 => Compression::SNAPPY,
        5 => Compression::GZIP(GzipLevel::try_new(2).unwrap()),
        6 => Compression::BROTLI(BrotliLevel::try_new(2).unwrap()),
        7 => Compression::ZSTD(ZstdLevel::try_new(1).unwrap()),
        8 => Compression::LZ4,
        _ => Compression::LZ4_RAW,
    }
}

/// The encodings that a column may have beside a dictionary.
fn encodings(column: &ColumnDescriptor) -> &'static [Encoding] {
    use Encoding::{BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, PLAIN, RLE};
    match column.physical_type() {
        PhysicalType::BOOLEAN => &[PLAIN, RLE],
        PhysicalType::INT32 | PhysicalType::INT64 => &[PLAIN, DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT],
        PhysicalType::FLOAT | PhysicalType::DOUBLE => &[PLAIN, BYTE_STREAM_SPLIT],
        PhysicalType::BYTE_ARRAY => &[PLAIN, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY],
        PhysicalType::FIXED_LEN_BYTE_ARRAY => &[PLAIN, DELTA_BYTE_ARRAY, BYTE_STREAM_SPLIT],
        PhysicalType::INT96 => &[PLAIN],
    }
}

/// How a file of these columns is written; and the same in words.
pub fn properties(random: &mut StdRng, schema: &SchemaDescriptor, rows: usize) -> (WriterProperties, String) {
    let version = pick(random, &[WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0]);
    let group_rows = match random.random_range(0..4) {
        0 => rows / 3 + 1,
        1 => rows / 2 + 1,
        _ => rows.max(1),
    };
    let page_rows = pick(random, &[1, 7, 8, 100, 1000, 20_000]).max(group_rows / 500);
    let page_bytes = pick(random, &[16, 200, 4096, 65536, 1 << 20]);
    let batch = pick(random, &[1, 5, 64, 1024]).max(group_rows / 2000);
    let statistics = pick(random, &[EnabledStatistics::None, EnabledStatistics::Chunk, EnabledStatistics::Page]);
    let index = random.random_bool(0.5);
    let mut words = format!("{version:?}, groups of {group_rows}, pages of {page_rows} rows or {page_bytes} bytes, ");
    words += &format!("batches of {batch}, {statistics:?} statistics, page index {index}");
    let mut builder = WriterProperties::builder()
        .set_writer_version(version)
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(page_rows)
        .set_data_page_size_limit(page_bytes)
        .set_write_batch_size(batch)
        .set_statistics_enabled(statistics)
        .set_offset_index_disabled(!index)
        .set_write_page_header_statistics(random.random_bool(0.2))
        .set_data_page_v2_compression_ratio_threshold(pick(random, &[1.0, 0.5, 1e9]))
        .set_bloom_filter_enabled(random.random_bool(0.1));
    for column in schema.columns() {
        let (next, described) = column_properties(random, builder, column);
        builder = next;
        words += &described;
    }
    (builder.build(), words)
}

fn column_properties(
    random: &mut StdRng,
    builder: WriterPropertiesBuilder,
    column: &ColumnDescriptor,
) -> (WriterPropertiesBuilder, String) {
    let path = column.path().clone();
    let encoding = pick(random, encodings(column));
    let codec = codec(random);
    let dictionary = column.physical_type() != PhysicalType::BOOLEAN && random.random_bool(0.6);
    // A small limit makes the writer give the dictionary up within a row group.
    let limit = pick(random, &[64, 1000, 1 << 20, 1 << 20]);
    let words = format!("\n    {path}: {codec:?}, {encoding:?}, dictionary {:?}", dictionary.then_some(limit));
    let builder = builder
        .set_column_compression(path.clone(), codec)
        .set_column_encoding(path.clone(), encoding)
        .set_column_dictionary_enabled(path.clone(), dictionary)
        .set_column_dictionary_page_size_limit(path, limit);
    (builder, words)
}

/// Writes rows as a file, with their Arrow schema or without; and how, in words.
pub fn write(random: &mut StdRng, rows: &RecordBatch, embedded: bool) -> (Vec<u8>, String) {
    let schema = ArrowSchemaConverter::new().convert(&rows.schema()).unwrap();
    let (properties, words) = properties(random, &schema, rows.num_rows());
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(!embedded);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).unwrap();
    let mut start = 0;
    while start < rows.num_rows() {
        let length = random.random_range(1..=rows.num_rows()).min(rows.num_rows() - start);
        writer.write(&rows.slice(start, length)).unwrap();
        start += length;
    }
    (writer.into_inner().unwrap(), format!("{words}\n    Arrow schema embedded: {embedded}"))
}
