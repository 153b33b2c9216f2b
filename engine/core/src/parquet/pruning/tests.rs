//! Files written with random rows never lose a row that passes; statistics made by hand prune exactly when trusted.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;

use super::*;
use crate::frame::filter::tests::array;
use crate::iceberg::bounds::tests::{Random, TYPES, leaf, passes, rows};
use crate::iceberg::predicate::Op;

const GROUP: usize = 8;

fn written(field_type: &Type, rows: &[Option<Literal>], truncated: usize) -> ParquetMetaData {
    let column = array(field_type, rows);
    let schema = Arc::new(Schema::new(vec![Field::new("a", column.data_type().clone(), true)]));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP))
        .set_statistics_truncate_length(Some(truncated))
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![column]).unwrap()).unwrap();
    writer.close().unwrap();
    ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file)).unwrap()
}

#[test]
fn written_files_never_lose_a_row_that_passes() {
    let mut random = Random(0x5eed_0005);
    let (mut pruned, mut kept) = (0, 0);
    for _ in 0..400 {
        let field_type = random.pick(&TYPES);
        let count = GROUP + random.below(3 * GROUP);
        let rows = rows(&mut random, &field_type, count);
        let metadata = written(&field_type, &rows, random.pick(&[1, 3, 64]));
        for _ in 0..20 {
            let leaf = leaf(&mut random, 5, &field_type);
            let predicate = Predicate::Leaf(leaf.clone());
            for (group, rows) in metadata.row_groups().iter().zip(rows.chunks(GROUP)) {
                let may = may_match(&predicate, metadata.file_metadata(), group, &|_| LeafSource::Column(0));
                let wanted = rows.iter().any(|row| passes(&leaf, row.as_ref()));
                assert!(may || !wanted, "{leaf:?} pruned {rows:?} by {:?}", group.column(0).statistics());
                pruned += usize::from(!may);
                kept += usize::from(may && !wanted);
            }
        }
    }
    // What is kept in vain lies between the bounds, or has NaNs that nobody counted.
    assert!(pruned > kept, "{pruned} pruned, {kept} kept in vain");
}

/// A file of one row group of ten rows with these statistics of its one column.
fn file(column: &str, statistics: Statistics, ordered: bool) -> (FileMetaData, RowGroupMetaData) {
    let schema = parse_message_type(&format!("message m {{ {column}; }}")).unwrap();
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(schema)));
    let chunk = ColumnChunkMetaData::builder(schema.column(0)).set_statistics(statistics).build().unwrap();
    let group = RowGroupMetaData::builder(schema.clone()).set_num_rows(10).set_column_metadata(vec![chunk]);
    let order = ColumnOrder::TYPE_DEFINED_ORDER(schema.column(0).sort_order());
    let file = FileMetaData::new(2, 10, None, None, schema, ordered.then(|| vec![order]));
    (file, group.build().unwrap())
}

fn keeps(made: &(FileMetaData, RowGroupMetaData), op: Op, field_type: Type, value: Literal) -> bool {
    let predicate = Predicate::Leaf(Leaf { op, field: 1, field_type, values: vec![value] });
    may_match(&predicate, &made.0, &made.1, &|_| LeafSource::Column(0))
}

/// Whether the column's values are known to lie from `least` to `most`.
fn bounded(column: &str, statistics: Statistics, field_type: Type, least: Literal, most: Literal) -> bool {
    let made = file(column, statistics, true);
    let kept = |op, value: &Literal| keeps(&made, op, field_type.clone(), value.clone());
    assert!(kept(Op::Le, &least) && kept(Op::Ge, &most));
    !kept(Op::Lt, &least) && !kept(Op::Gt, &most)
}

fn int32(min: i32, max: i32) -> Statistics {
    Statistics::int32(Some(min), Some(max), None, Some(0), false)
}

fn int64(min: i64, max: i64) -> Statistics {
    Statistics::int64(Some(min), Some(max), None, Some(0), false)
}

#[test]
fn promoted_types_and_every_home_of_a_decimal() {
    let (integer, decimal) = (Literal::Integer, Literal::Decimal);
    assert!(bounded("optional int32 a", int32(-3, 9), Type::Long, integer(-3), integer(9)));
    let float = Statistics::float(Some(-0.1), Some(0.5), None, None, false).with_nan(Some(0));
    let least = Literal::Float(f64::from(-0.1_f32));
    assert!(bounded("optional float a", float, Type::Double, least, Literal::Float(0.5)));
    let nine = Type::Decimal(38, 2);
    assert!(bounded("optional int32 a (DECIMAL(9,2))", int32(-3, 9), nine.clone(), decimal(-3), decimal(9)));
    assert!(bounded("optional int64 a (DECIMAL(18,2))", int64(-3, 9), nine.clone(), decimal(-3), decimal(9)));
    let fixed = |bytes: &[u8]| FixedLenByteArray::from(bytes.to_vec());
    let signed = Statistics::fixed_len_byte_array(Some(fixed(&[0xff, 0xfd])), Some(fixed(&[0, 9])), None, None, false);
    let column = "optional fixed_len_byte_array(2) a (DECIMAL(4,2))";
    assert!(bounded(column, signed, nine.clone(), decimal(-3), decimal(9)));
    let any = |bytes: &[u8]| ByteArray::from(bytes.to_vec());
    let long = Statistics::byte_array(Some(any(&[0xff; 20])), Some(any(&[9])), None, None, false);
    assert!(bounded("optional binary a (DECIMAL(38,2))", long, nine.clone(), decimal(-1), decimal(9)));
    // Another scale would need the values rescaled.
    assert!(!bounded("optional int32 a (DECIMAL(9,3))", int32(-3, 9), nine, decimal(-3), decimal(9)));
}

trait WithNan {
    fn with_nan(self, count: Option<u64>) -> Statistics;
}

impl WithNan for Statistics {
    fn with_nan(self, count: Option<u64>) -> Statistics {
        match self {
            Statistics::Float(values) => Statistics::Float(values.with_nan_count(count)),
            Statistics::Double(values) => Statistics::Double(values.with_nan_count(count)),
            other => other,
        }
    }
}

#[test]
fn units_of_time() {
    let integer = Literal::Integer;
    let (micros, nanos) = (Type::Timestamp(true), Type::TimestampNs(true));
    let millis = "optional int64 a (TIMESTAMP(MILLIS,true))";
    assert!(bounded(millis, int64(-3, 9), micros.clone(), integer(-3_000), integer(9_000)));
    assert!(bounded(millis, int64(-3, 9), nanos, integer(-3_000_000), integer(9_000_000)));
    let fine = "optional int64 a (TIMESTAMP(NANOS,true))";
    assert!(bounded(fine, int64(-3_500, 9_500), micros.clone(), integer(-4), integer(10)));
    assert!(bounded("optional int32 a (TIME(MILLIS,true))", int32(3, 9), Type::Time, integer(3_000), integer(9_000)));
    assert!(bounded("optional int64 a (TIMESTAMP_MICROS)", int64(3, 9), micros.clone(), integer(3), integer(9)));
    // No unit, no meaning; and a product past 64 bits is no bound.
    assert!(!bounded("optional int64 a", int64(3, 9), micros.clone(), integer(3), integer(9)));
    let made = file(millis, int64(i64::MIN, i64::MAX), true);
    assert!(keeps(&made, Op::Lt, micros, integer(i64::MIN + 1)));
}

#[test]
fn statistics_of_another_order_are_not_trusted() {
    let text = |text: &str| Some(ByteArray::from(text.as_bytes().to_vec()));
    let low = Literal::String("a".into());
    let fresh = file("optional binary a (UTF8)", Statistics::byte_array(text("b"), text("c"), None, None, false), true);
    let old = file("optional binary a (UTF8)", Statistics::byte_array(text("b"), text("c"), None, None, true), true);
    let unordered =
        file("optional binary a (UTF8)", Statistics::byte_array(text("b"), text("c"), None, None, false), false);
    assert!(!keeps(&fresh, Op::Eq, Type::String, low.clone()));
    assert!(keeps(&old, Op::Eq, Type::String, low.clone()) && keeps(&unordered, Op::Eq, Type::String, low));

    let seven = Literal::Integer(7);
    let old = file("optional int64 a", Statistics::int64(Some(1), Some(2), None, None, true), false);
    assert!(!keeps(&old, Op::Eq, Type::Long, seven.clone()));
    let unsigned = file("optional int32 a (INTEGER(32,false))", int32(1, 2), true);
    assert!(keeps(&unsigned, Op::Eq, Type::Long, seven.clone()));
    let wrong = file("optional int32 a (DATE)", int32(1, 2), true);
    assert!(keeps(&wrong, Op::Eq, Type::Long, seven));
    let nan = file("optional double a", Statistics::double(Some(f64::NAN), Some(1.0), None, None, false), true);
    assert!(keeps(&nan, Op::Lt, Type::Double, Literal::Float(-9.0)));
}

#[test]
fn columns_that_are_not_in_the_file() {
    let (file, group) = file("optional int64 a", int64(1, 2), true);
    let keeps = |op, source: LeafSource| {
        let values = if op == Op::IsNull { vec![] } else { vec![Literal::Integer(7)] };
        let predicate = Predicate::Leaf(Leaf { op, field: 1, field_type: Type::Long, values });
        may_match(&predicate, &file, &group, &|_| source.clone())
    };
    let constant = |value| LeafSource::Constant(Literal::Integer(value));
    assert!(!keeps(Op::Eq, LeafSource::Missing) && !keeps(Op::Ne, LeafSource::Missing));
    assert!(keeps(Op::IsNull, LeafSource::Missing) && !keeps(Op::IsNull, constant(7)));
    assert!(keeps(Op::Eq, constant(7)) && !keeps(Op::Eq, constant(8)) && !keeps(Op::Ne, constant(7)));
    assert!(keeps(Op::Eq, LeafSource::Unknown) && keeps(Op::Eq, LeafSource::Column(9)));
    assert!(!keeps(Op::Eq, LeafSource::Column(0)) && !keeps(Op::IsNull, LeafSource::Column(0)));
}

#[test]
fn repeated_columns_prove_nothing() {
    let made = file("repeated int64 a", int64(1, 2), true);
    assert!(keeps(&made, Op::Eq, Type::Long, Literal::Integer(7)));
}
