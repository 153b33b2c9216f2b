//! Chunks written here and by the crate's writer hold the same values, and tell the same of them.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// One column of random values: `distinct` of them, a share of nulls.
fn column(kind: usize, rows: usize, distinct: u64, nulls: f64, random: &mut SmallRng) -> (Type, ArrayRef) {
    let picks: Vec<Option<u64>> =
        (0..rows).map(|_| (!random.random_bool(nulls)).then(|| random.random_range(0..distinct))).collect();
    let mixed = |pick: u64| pick.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |pick: u64| match pick % 5 {
        0 => String::new(),
        1 => format!("{pick}"),
        2 => format!("\u{e4}\u{10ffff}{}", mixed(pick)),
        3 => "x".repeat((pick % 200) as usize),
        _ => format!("{:>30}", mixed(pick)),
    };
    let real = |pick: u64| match pick % 11 {
        0 => f64::NAN,
        1 => -0.0,
        2 => 0.0,
        3 => f64::NEG_INFINITY,
        _ => mixed(pick) as i64 as f64 / 1e9,
    };
    let each = |pick: &Option<u64>| *pick;
    match kind {
        0 => (
            Type::Int,
            Arc::new(picks.iter().map(|pick| each(pick).map(|pick| mixed(pick) as i32)).collect::<Int32Array>()),
        ),
        1 => (
            Type::Long,
            Arc::new(picks.iter().map(|pick| each(pick).map(|pick| mixed(pick) as i64)).collect::<Int64Array>()),
        ),
        2 => (
            Type::Float,
            Arc::new(picks.iter().map(|pick| each(pick).map(|pick| real(pick) as f32)).collect::<Float32Array>()),
        ),
        3 => (Type::Double, Arc::new(picks.iter().map(|pick| each(pick).map(real)).collect::<Float64Array>())),
        4 => (
            Type::Date,
            Arc::new(picks.iter().map(|pick| each(pick).map(|pick| pick as i32 - 50)).collect::<Date32Array>()),
        ),
        5 => {
            let values = picks.iter().map(|pick| each(pick).map(|pick| mixed(pick) as i64));
            (Type::Timestamp(false), Arc::new(values.collect::<TimestampMicrosecondArray>()))
        }
        6 | 7 => {
            let (precision, most) = if kind == 6 { (9, 999_999_999) } else { (18, 999_999_999_999_999_999i128) };
            let values = picks.iter().map(|pick| each(pick).map(|pick| i128::from(mixed(pick) as i64) % most));
            let array = values.collect::<Decimal128Array>().with_precision_and_scale(precision, 2).unwrap();
            (Type::Decimal(precision, 2), Arc::new(array))
        }
        8 => (Type::String, Arc::new(picks.iter().map(|pick| each(pick).map(text)).collect::<StringArray>())),
        9 => (Type::String, Arc::new(picks.iter().map(|pick| each(pick).map(text)).collect::<LargeStringArray>())),
        10 => (Type::String, Arc::new(picks.iter().map(|pick| each(pick).map(text)).collect::<StringViewArray>())),
        _ => {
            let bytes = |pick: u64| mixed(pick).to_be_bytes()[..(pick % 9) as usize].to_vec();
            (Type::Binary, Arc::new(picks.iter().map(|pick| each(pick).map(bytes)).collect::<BinaryArray>()))
        }
    }
}

fn read(file: &Bytes) -> (ParquetMetaData, RecordBatch) {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).unwrap();
    let metadata = builder.metadata().as_ref().clone();
    let (schema, reader) = (builder.schema().clone(), builder.with_batch_size(1 << 20).build().unwrap());
    let batches = reader.collect::<Result<Vec<_>, _>>().unwrap();
    (metadata, arrow_select::concat::concat_batches(&schema, &batches).unwrap())
}

#[test]
fn chunks_hold_and_tell_what_the_crates_do() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::try_new(3).unwrap()),
    ];
    for case in 0..400 {
        let kind = case % 12;
        let rows = *[1usize, 7, 100, 1500, 5000].get(random.random_range(0..5)).unwrap();
        let distinct = *[1u64, 2, 30, 700, 100_000].get(random.random_range(0..5)).unwrap();
        let nulls = *[0.0, 0.02, 0.5, 1.0].get(random.random_range(0..4)).unwrap();
        let nullable = nulls > 0.0 || random.random_bool(0.5);
        let (field_type, array) = column(kind, rows, distinct, nulls, &mut random);
        let with_dictionary = random.random_bool(0.7);
        let wish = WriterProperties::builder()
            .set_compression(codecs[random.random_range(0..codecs.len())])
            .set_dictionary_enabled(with_dictionary)
            .set_dictionary_page_size_limit(*[64usize, 4096, 1 << 20].get(random.random_range(0..3)).unwrap())
            .set_data_page_row_count_limit(random.random_range(1..3000))
            .set_data_page_size_limit(*[512usize, 1 << 20].get(random.random_range(0..2)).unwrap())
            .set_statistics_truncate_length(Some(random.random_range(4..70)))
            .set_write_batch_size(64);
        let wish = Arc::new(wish.build());
        let label = format!("case {case}: {field_type:?}, {rows} rows, {distinct} distinct, {nulls} null, {wish:?}");

        let schema = Arc::new(Schema::new(vec![Field::new("c", array.data_type().clone(), nullable)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(&array)]).unwrap();
        let mut theirs = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(wish.as_ref().clone())).unwrap();
        theirs.write(&batch).unwrap();
        let theirs = Bytes::from(theirs.into_inner().unwrap());
        let (their_metadata, their_rows) = read(&theirs);

        let descriptor = their_metadata.file_metadata().schema_descr_ptr();
        let layout = array.data_type();
        let mut ours = Column::new(&descriptor.column(0), &field_type, layout, &wish, with_dictionary).expect(&label);
        let mut at = 0;
        while at < rows {
            let step = random.random_range(1..=2000).min(rows - at);
            ours.write(&array.slice(at, step)).unwrap();
            at += step;
        }
        let chunk = ours.close().unwrap();
        let root = descriptor.root_schema_ptr();
        let with_arrow = theirs_schema(&their_metadata, &wish);
        let mut file = SerializedFileWriter::new(Vec::new(), root, Arc::new(with_arrow)).unwrap();
        let mut group = file.next_row_group().unwrap();
        group.append_column(&joined(&chunk), chunk.close).unwrap();
        group.close().unwrap();
        let (our_metadata, our_rows) = read(&Bytes::from(file.into_inner().unwrap()));

        assert_eq!(format!("{our_rows:?}"), format!("{their_rows:?}"), "{label}");
        assert_eq!(our_rows.column(0).null_count(), array.null_count(), "{label}");
        let (ours, theirs) = (our_metadata.row_group(0).column(0), their_metadata.row_group(0).column(0));
        assert_eq!(ours.num_values(), theirs.num_values(), "{label}");
        assert_eq!(ours.unencoded_byte_array_data_bytes(), theirs.unencoded_byte_array_data_bytes(), "{label}");
        let (told, expected) = (ours.statistics().unwrap(), theirs.statistics().unwrap());
        assert_eq!(told.null_count_opt(), expected.null_count_opt(), "{label}");
        let has_numbers = array.len() > array.null_count() && !is_all_nan(&array);
        if has_numbers {
            assert_eq!(told.min_bytes_opt(), expected.min_bytes_opt(), "{label}");
            assert_eq!(told.max_bytes_opt(), expected.max_bytes_opt(), "{label}");
            assert_eq!(told.min_is_exact(), expected.min_is_exact(), "{label}");
            assert_eq!(told.max_is_exact(), expected.max_is_exact(), "{label}");
        } else {
            assert_eq!((told.min_bytes_opt(), told.max_bytes_opt()), (None, None), "{label}");
        }
    }
}

/// The crate's wishes with the schema of Arrow that its own writer puts into the footer: both are read alike.
/// The chunk as it lies in a file.
fn joined(chunk: &Chunk) -> Bytes {
    chunk.pages.iter().flatten().copied().collect()
}

fn theirs_schema(metadata: &ParquetMetaData, wish: &WriterProperties) -> WriterProperties {
    let pairs = metadata.file_metadata().key_value_metadata().cloned();
    wish.clone().into_builder().set_key_value_metadata(pairs).build()
}

fn is_all_nan(array: &ArrayRef) -> bool {
    let present = |row: &usize| array.is_valid(*row);
    match array.data_type() {
        DataType::Float32 => {
            let values = array.as_any().downcast_ref::<Float32Array>().unwrap();
            (0..array.len()).filter(present).all(|row| values.value(row).is_nan())
        }
        DataType::Float64 => {
            let values = array.as_any().downcast_ref::<Float64Array>().unwrap();
            (0..array.len()).filter(present).all(|row| values.value(row).is_nan())
        }
        _ => false,
    }
}

#[test]
fn pages_are_where_the_index_says() {
    let array: ArrayRef = Arc::new((0..10_000).map(|row| (row % 7 > 0).then_some(row / 3)).collect::<Int64Array>());
    let schema = Schema::new(vec![Field::new("c", DataType::Int64, true)]);
    let wish = Arc::new(WriterProperties::builder().set_data_page_row_count_limit(1000).build());
    let descriptor = parquet::arrow::ArrowSchemaConverter::new().convert(&schema).unwrap();
    let mut column = Column::new(&descriptor.column(0), &Type::Long, &DataType::Int64, &wish, true).unwrap();
    column.write(&array).unwrap();
    let chunk = column.close().unwrap();
    let bytes = joined(&chunk);
    let offsets = chunk.close.offset_index.unwrap();
    assert_eq!(offsets.page_locations().len(), 10);
    let mut end = chunk.close.metadata.data_page_offset();
    for (at, page) in offsets.page_locations().iter().enumerate() {
        assert_eq!((page.offset, page.first_row_index), (end, 1000 * at as i64));
        end += i64::from(page.compressed_page_size);
    }
    assert_eq!(end, bytes.len() as i64);
    let index = format!("{:?}", chunk.close.column_index.unwrap());
    assert!(index.contains("ASCENDING"), "{index}");
}

#[test]
fn long_strings_make_pages_of_their_own() {
    let texts = (0..200).map(|at| if at % 20 == 19 { "long ".repeat(100_000) } else { "short".to_owned() });
    let array: ArrayRef = Arc::new(texts.map(Some).collect::<StringArray>());
    let schema = Schema::new(vec![Field::new("c", DataType::Utf8, true)]);
    let descriptor = parquet::arrow::ArrowSchemaConverter::new().convert(&schema).unwrap();
    let wish = WriterProperties::builder().set_data_page_size_limit(100_000).set_dictionary_page_size_limit(10_000);
    let wish = Arc::new(wish.build());
    for with_dictionary in [true, false] {
        let mut column =
            Column::new(&descriptor.column(0), &Type::String, &DataType::Utf8, &wish, with_dictionary).unwrap();
        column.write(&array).unwrap();
        let chunk = column.close().unwrap();
        let pages = chunk.close.offset_index.unwrap().page_locations().len();
        assert!((10..=11).contains(&pages), "{pages} pages: one ends with each long string");
    }
}

#[test]
fn equal_views_of_two_arrays_are_two_strings() {
    let texts = ["the same prefix, one", "the same prefix, two"];
    let arrays = texts.map(|text| StringViewArray::from(vec![text; 3]));
    assert_eq!(arrays[0].views(), arrays[1].views(), "a length, four bytes, and a place in buffers of their own");
    let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8View, false)]));
    let descriptor = parquet::arrow::ArrowSchemaConverter::new().convert(&schema).unwrap();
    let wish = Arc::new(WriterProperties::builder().build());
    let mut column = Column::new(&descriptor.column(0), &Type::String, &DataType::Utf8View, &wish, true).unwrap();
    for array in arrays {
        column.write(&(Arc::new(array) as ArrayRef)).unwrap();
    }
    let chunk = column.close().unwrap();
    let mut file = SerializedFileWriter::new(Vec::new(), descriptor.root_schema_ptr(), wish).unwrap();
    let mut group = file.next_row_group().unwrap();
    group.append_column(&joined(&chunk), chunk.close).unwrap();
    group.close().unwrap();
    let (_, rows) = read(&Bytes::from(file.into_inner().unwrap()));
    let found = arrow_cast::cast(rows.column(0), &DataType::Utf8).unwrap();
    let expected = [[texts[0]; 3], [texts[1]; 3]].concat();
    assert_eq!(found.as_ref(), &StringArray::from(expected) as &dyn Array);
}
