//! Random Parquet files of columns that no Arrow writer makes: INT96, decimals and times in other physical types, old
//! annotations; written level by level.

use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;
use rand::RngExt;
use rand::rngs::StdRng;

use super::files::properties;
use super::values::{bytes_of, pick};

/// The first two columns are the ones that filters test.
const TESTED: &str = "required int64 row; required int32 dice";

const COLUMNS: [&str; 28] = [
    "int96 c",
    "binary c (DECIMAL(9,2))",
    "binary c (DECIMAL(38,10))",
    "int32 c (DECIMAL(5,2))",
    "int32 c (DECIMAL(9,0))",
    "int64 c (DECIMAL(5,2))",
    "int64 c (DECIMAL(18,6))",
    "fixed_len_byte_array(1) c (DECIMAL(2,1))",
    "fixed_len_byte_array(3) c (DECIMAL(5,2))",
    "fixed_len_byte_array(16) c (DECIMAL(5,2))",
    "fixed_len_byte_array(16) c (DECIMAL(38,10))",
    "fixed_len_byte_array(9) c (DECIMAL(20,0))",
    "fixed_len_byte_array(16) c (UUID)",
    "fixed_len_byte_array(2) c (FLOAT16)",
    "fixed_len_byte_array(7) c",
    "int32 c (INTEGER(8,true))",
    "int32 c (INTEGER(16,false))",
    "int32 c (INTEGER(32,false))",
    "int64 c (INTEGER(64,false))",
    "int32 c (TIME_MILLIS)",
    "int64 c (TIMESTAMP(MILLIS,true))",
    "int64 c (TIMESTAMP_MICROS)",
    "int64 c (TIMESTAMP(NANOS,false))",
    "binary c",
    "binary c (UTF8)",
    "binary c (ENUM)",
    "binary c (JSON)",
    "boolean c",
];

/// Columns of a file: `(declaration, repetition)`, the same in all files of a load.
pub fn declarations(random: &mut StdRng) -> Vec<String> {
    let count = random.random_range(1..5);
    let declare = |at: usize| {
        let repetition = pick(random, &["optional", "optional", "required", "repeated"]);
        let declared = pick(random, &COLUMNS);
        format!("{repetition} {}", declared.replace(" c", &format!(" c{at}")))
    };
    (0..count).map(declare).collect()
}

/// Writes a file of these columns after `row` (counted from `first`) and `dice`; and how, in words.
pub fn write(random: &mut StdRng, columns: &[String], rows: usize, first: usize) -> (Vec<u8>, String) {
    let message = format!("message m {{ {TESTED}; {}; }}", columns.join("; "));
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let descriptor = SchemaDescriptor::new(Arc::clone(&schema));
    let (properties, words) = properties(random, &descriptor, rows);
    let group_rows = properties.max_row_group_row_count().unwrap_or(rows);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut start = 0;
    while start < rows {
        let length = group_rows.min(rows - start);
        let mut group = writer.next_row_group().unwrap();
        let mut at = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            match at {
                0 => {
                    let numbers = (first + start..first + start + length).map(|row| row as i64).collect::<Vec<_>>();
                    column.typed::<parquet::data_type::Int64Type>().write_batch(&numbers, None, None).unwrap();
                }
                1 => {
                    let dice = (0..length).map(|_| random.random_range(0..1000)).collect::<Vec<i32>>();
                    column.typed::<parquet::data_type::Int32Type>().write_batch(&dice, None, None).unwrap();
                }
                _ => write_column(random, &mut column, &descriptor, at, length),
            }
            column.close().unwrap();
            at += 1;
        }
        group.close().unwrap();
        start += length;
    }
    (writer.into_inner().unwrap(), format!("{message}\n    {words}"))
}

fn write_column(
    random: &mut StdRng,
    column: &mut SerializedColumnWriter<'_>,
    descriptor: &SchemaDescriptor,
    at: usize,
    rows: usize,
) {
    let described = descriptor.column(at);
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    let nulls = pick(random, &[0.0, 0.0, 0.02, 0.5, 1.0]);
    let mut values = 0;
    for _ in 0..rows {
        let repeated = described.max_rep_level() > 0;
        let count = if repeated { random.random_range(0..4) } else { usize::from(!random.random_bool(nulls)) };
        let count = if described.max_def_level() == 0 { 1 } else { count };
        for element in 0..count.max(1) {
            definitions.push(i16::from(count > 0 && described.max_def_level() > 0));
            repetitions.push(i16::from(element > 0));
        }
        values += count;
    }
    let few = pick(random, &[1, 2, 40, 100_000_000]);
    let spread = random.random_bool(0.5);
    let keys: Vec<u64> = (0..values).map(|_| random.random_range(0..few)).collect();
    let bits = |key: u64| if spread { u64::from_le_bytes(bytes_of(key, 8).try_into().unwrap()) } else { key };
    let levels = (described.max_def_level() > 0).then_some(definitions.as_slice());
    let repeats = (described.max_rep_level() > 0).then_some(repetitions.as_slice());
    // Within the precision that is declared, or the file would be wrong.
    let digits = u32::try_from(described.type_precision()).unwrap_or(0);
    let wraps = 10_i128.checked_pow(digits).filter(|_| digits > 0);
    let number = |key: u64| {
        let number = i128::from(bits(key) as i64);
        wraps.map_or(number, |wraps| number % wraps)
    };
    macro_rules! write {
        ($writer:expr, $value:expr) => {{
            let values: Vec<_> = keys.iter().map(|key| $value(*key)).collect();
            $writer.write_batch(&values, levels, repeats).unwrap();
        }};
    }
    let is_time = matches!(described.converted_type(), parquet::basic::ConvertedType::TIME_MILLIS);
    let text = described.physical_type() == PhysicalType::BYTE_ARRAY && wraps.is_none();
    match column.untyped() {
        ColumnWriter::BoolColumnWriter(writer) => write!(writer, |key| bits(key) & 1 == 0),
        ColumnWriter::Int32ColumnWriter(writer) if is_time => write!(writer, |key| (bits(key) % 86_400_000) as i32),
        ColumnWriter::Int32ColumnWriter(writer) => write!(writer, |key| number(key) as i32),
        ColumnWriter::Int64ColumnWriter(writer) => write!(writer, |key| number(key) as i64),
        ColumnWriter::Int96ColumnWriter(writer) => write!(writer, |key: u64| {
            let mut made = Int96::new();
            let nanoseconds = bits(key) % 86_400_000_000_000;
            made.set_data(nanoseconds as u32, (nanoseconds >> 32) as u32, 2_400_000 + (key % 100_000) as u32);
            made
        }),
        ColumnWriter::FloatColumnWriter(writer) => write!(writer, |key| bits(key) as f32),
        ColumnWriter::DoubleColumnWriter(writer) => write!(writer, |key| bits(key) as f64),
        ColumnWriter::ByteArrayColumnWriter(writer) if text => write!(writer, |key: u64| {
            let length = bits(key) as usize % 30;
            ByteArray::from(bytes_of(key, length).into_iter().map(|byte| b'a' + byte % 26).collect::<Vec<u8>>())
        }),
        ColumnWriter::ByteArrayColumnWriter(writer) => write!(writer, |key| {
            let bytes = number(key).to_be_bytes();
            let needless = bytes
                .windows(2)
                .take_while(|pair| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80));
            ByteArray::from(bytes[needless.count()..].to_vec())
        }),
        ColumnWriter::FixedLenByteArrayColumnWriter(writer) => write!(writer, |key| {
            let width = usize::try_from(described.type_length()).unwrap();
            let bytes = if wraps.is_some() {
                number(key).to_be_bytes()[16 - width..].to_vec()
            } else {
                bytes_of(bits(key), width)
            };
            FixedLenByteArray::from(bytes)
        }),
    }
}
