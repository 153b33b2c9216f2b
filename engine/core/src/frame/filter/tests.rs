//! Random arrays of every type and layout against a row-by-row evaluator.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array, NullArray,
    StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{Field, Fields};

use super::*;
use crate::iceberg::bounds::tests::{Random, TYPES, leaf, passes, rows};
use crate::iceberg::schema::FIELD_ID;

pub(crate) fn array(field_type: &Type, rows: &[Option<Literal>]) -> ArrayRef {
    let integer = |row: &Option<Literal>| match row {
        Some(Literal::Integer(value)) => Some(*value),
        _ => None,
    };
    let float = |row: &Option<Literal>| match row {
        Some(Literal::Float(value)) => Some(*value),
        _ => None,
    };
    let bytes = |row: &Option<Literal>| match row {
        Some(Literal::Bytes(value)) => Some(value.clone()),
        _ => None,
    };
    let text = |row: &Option<Literal>| match row {
        Some(Literal::String(value)) => Some(value.clone()),
        _ => None,
    };
    let decimal = |row: &Option<Literal>| match row {
        Some(Literal::Decimal(value)) => Some(*value),
        _ => None,
    };
    let narrow = rows.iter().map(|row| integer(row).map(|value| value as i32));
    let wide = rows.iter().map(integer);
    match field_type {
        Type::Boolean => Arc::new(BooleanArray::from_iter(rows.iter().map(|row| match row {
            Some(Literal::Boolean(value)) => Some(*value),
            _ => None,
        }))),
        Type::Int => Arc::new(Int32Array::from_iter(narrow)),
        Type::Long => Arc::new(Int64Array::from_iter(wide)),
        Type::Float => Arc::new(Float32Array::from_iter(rows.iter().map(|row| float(row).map(|value| value as f32)))),
        Type::Double => Arc::new(Float64Array::from_iter(rows.iter().map(float))),
        Type::Decimal(precision, scale) => Arc::new(
            Decimal128Array::from_iter(rows.iter().map(decimal)).with_precision_and_scale(*precision, *scale).unwrap(),
        ),
        Type::Date => Arc::new(Date32Array::from_iter(narrow)),
        Type::Time => Arc::new(Time64MicrosecondArray::from_iter(wide)),
        Type::Timestamp(_) => Arc::new(TimestampMicrosecondArray::from_iter(wide).with_timezone("UTC")),
        Type::TimestampNs(_) => Arc::new(TimestampNanosecondArray::from_iter(wide)),
        Type::String => Arc::new(StringArray::from_iter(rows.iter().map(text))),
        Type::Fixed(length) => {
            let mut builder = FixedSizeBinaryBuilder::new(*length);
            for row in rows {
                match bytes(row) {
                    Some(value) => builder.append_value(value).unwrap(),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        _ => {
            let mut builder = BinaryBuilder::new();
            rows.iter().for_each(|row| builder.append_option(bytes(row)));
            Arc::new(builder.finish())
        }
    }
}

/// Another layout of the same values.
fn relaid(random: &mut Random, array: &ArrayRef) -> ArrayRef {
    let layouts = match array.data_type() {
        DataType::Utf8 => vec![DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, DataType::Utf8View],
        DataType::Binary => vec![DataType::Binary, DataType::LargeBinary, DataType::BinaryView, DataType::BinaryView],
        other => vec![other.clone()],
    };
    let layout = random.pick(&layouts);
    let array = arrow_cast::cast(array, &layout).unwrap();
    let can_be_keyed = matches!(layout, DataType::Utf8 | DataType::Binary | DataType::Int32 | DataType::Float64);
    if !can_be_keyed || random.below(3) > 0 {
        return array;
    }
    // Every value is in the dictionary as often as in the rows, and nulls are too.
    let keys = Int32Array::from_iter_values((0..array.len() as i32).rev());
    let backwards = DictionaryArray::<Int32Type>::new(keys, array);
    let order = Int32Array::from_iter_values((0..backwards.len() as i32).rev());
    arrow_select::take::take(&backwards, &order, None).unwrap()
}

fn bits(found: &BooleanArray) -> Vec<bool> {
    assert_eq!(found.null_count(), 0);
    found.values().iter().collect()
}

#[test]
fn agrees_with_a_row_by_row_evaluator() {
    let mut random = Random(0x5eed_0003);
    for round in 0..6_000 {
        let field_type = random.pick(&TYPES);
        let count = random.pick(&[0, 1, 63, 64, 65, 200]);
        let rows = rows(&mut random, &field_type, count);
        let whole = relaid(&mut random, &array(&field_type, &rows));
        let start = random.below(count + 1);
        let part = whole.slice(start, count - start);
        let leaf = leaf(&mut random, 7, &field_type);
        let expected: Vec<bool> = rows[start..].iter().map(|row| passes(&leaf, row.as_ref())).collect();
        let predicate = Predicate::Leaf(leaf);
        let found = evaluate(&predicate, &|_| Ok(part.clone()), part.len()).unwrap();
        assert_eq!(bits(&found), expected, "round {round}: {predicate:?} on {part:?}");
    }
}

#[test]
fn joins_agree_and_stop_early() {
    let mut random = Random(0x5eed_0004);
    for _ in 0..2_000 {
        let columns: Vec<_> = (0..3)
            .map(|_| {
                let field_type = random.pick(&TYPES);
                let rows = rows(&mut random, &field_type, 70);
                (field_type, rows)
            })
            .collect();
        let leaves: Vec<Leaf> = (0..4).map(|at| leaf(&mut random, at % 3, &columns[at as usize % 3].0)).collect();
        let part = |at: usize| Predicate::Leaf(leaves[at].clone());
        let either = Predicate::Or(vec![part(0), Predicate::And(vec![part(1), part(2), Predicate::True])]);
        let predicate = Predicate::And(vec![either, Predicate::Or(vec![part(3), Predicate::False, part(0)])]);
        let resolve = |id: i32| Ok(array(&columns[id as usize].0, &columns[id as usize].1));
        let found = bits(&evaluate(&predicate, &resolve, 70).unwrap());
        for (row, found) in found.into_iter().enumerate() {
            let at = |at: usize| passes(&leaves[at], columns[at % 3].1[row].as_ref());
            assert_eq!(found, (at(0) || (at(1) && at(2))) && (at(3) || at(0)));
        }
    }
    let lost = |_| Err(Error::new(Kind::Internal, "asked for a column that cannot change the answer"));
    let leaf = Predicate::Leaf(leaf(&mut random, 1, &Type::Int));
    let none = evaluate(&Predicate::And(vec![Predicate::False, leaf.clone()]), &lost, 3).unwrap();
    let all = evaluate(&Predicate::Or(vec![Predicate::True, leaf]), &lost, 3).unwrap();
    assert_eq!((none.true_count(), all.true_count()), (0, 3));
}

fn test_of(op: Op, field_type: Type, values: Vec<Literal>) -> Predicate {
    Predicate::Leaf(Leaf { op, field: 1, field_type, values })
}

#[test]
fn large_sets_of_every_kind() {
    let wanted: Vec<i64> = (0..500).map(|at| at * 37 % 1009).collect();
    let all: Vec<i64> = (-20..1100).collect();
    let expected: Vec<bool> = all.iter().map(|value| wanted.contains(value)).collect();
    let name = |value: i64| if value % 2 == 0 { value.to_string() } else { format!("a longer name of {value}") };
    let integers: ArrayRef = Arc::new(Int64Array::from(all.clone()));
    let doubles: ArrayRef = Arc::new(Float64Array::from_iter_values(all.iter().map(|value| *value as f64)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|value| name(*value))));
    let views = arrow_cast::cast(&texts, &DataType::Utf8View).unwrap();
    let literals = |make: &dyn Fn(i64) -> Literal| wanted.iter().map(|value| make(*value)).collect::<Vec<_>>();
    for (array, field_type, values) in [
        (integers, Type::Long, literals(&Literal::Integer)),
        (doubles, Type::Double, literals(&|value| Literal::Float(value as f64))),
        (texts, Type::String, literals(&|value| Literal::String(name(value)))),
        (views, Type::String, literals(&|value| Literal::String(name(value)))),
    ] {
        let found = evaluate(&test_of(Op::In, field_type.clone(), values), &|_| Ok(array.clone()), all.len());
        assert_eq!(bits(&found.unwrap()), expected, "{field_type:?}");
    }
    let range = test_of(Op::In, Type::Int, (3..90).map(Literal::Integer).collect());
    let narrow: ArrayRef = Arc::new(Int32Array::from_iter_values(0..100));
    assert_eq!(evaluate(&range, &|_| Ok(narrow.clone()), 100).unwrap().true_count(), 87);
}

#[test]
fn literals_beyond_the_width_of_the_values() {
    let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]));
    let far = i64::from(i32::MAX) + 1;
    for (op, value, count) in [
        (Op::Lt, far, 2),
        (Op::Gt, far, 0),
        (Op::Ne, far, 2),
        (Op::Eq, far, 0),
        (Op::Ge, -far - 1, 2),
        (Op::Le, -far - 1, 0),
        (Op::In, far, 0),
        (Op::NotIn, far, 2),
    ] {
        let predicate = test_of(op, Type::Long, vec![Literal::Integer(value)]);
        assert_eq!(evaluate(&predicate, &|_| Ok(array.clone()), 3).unwrap().true_count(), count, "{op:?} {value}");
    }
}

#[test]
fn narrow_floats_are_compared_as_doubles() {
    let array: ArrayRef = Arc::new(Float32Array::from(vec![0.1_f32]));
    let count = |op| {
        let predicate = test_of(op, Type::Float, vec![Literal::Float(0.1)]);
        evaluate(&predicate, &|_| Ok(array.clone()), 1).unwrap().true_count()
    };
    assert_eq!((count(Op::Eq), count(Op::Gt), count(Op::Le)), (0, 1, 0));
}

#[test]
fn a_leaf_is_null_where_a_struct_around_it_is() {
    let field = |name: &str, data_type, id: i32| {
        Field::new(name, data_type, true).with_metadata([(FIELD_ID.to_string(), id.to_string())])
    };
    let value = field("value", DataType::Int32, 3);
    let other = field("other", DataType::Int32, 9);
    let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2), None, Some(4), Some(5)]));
    let inner_fields = Fields::from(vec![other, value]);
    let inner_nulls = NullBuffer::from(vec![true, false, true, true, true]);
    let inner = StructArray::new(inner_fields.clone(), vec![values.clone(), values], Some(inner_nulls));
    let outer_fields = Fields::from(vec![field("inner", DataType::Struct(inner_fields), 2)]);
    let outer_nulls = NullBuffer::from(vec![true, true, true, false, true]);
    let outer = StructArray::new(outer_fields.clone(), vec![Arc::new(inner)], Some(outer_nulls));
    let columns: Vec<ArrayRef> = vec![Arc::new(NullArray::new(4)), Arc::new(outer.slice(1, 4))];
    let fields =
        Fields::from(vec![field("empty", DataType::Null, 8), field("outer", DataType::Struct(outer_fields), 1)]);

    let path = field_path(&fields, 3).unwrap();
    assert_eq!((path.as_slice(), field_path(&fields, 77)), ([1, 0, 1].as_slice(), None));
    let leaf = struct_leaf(&columns, &path).unwrap();
    assert_eq!(leaf.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [None, None, None, Some(5)]);
    assert_eq!(struct_leaf(&columns, &[7]).unwrap_err().kind(), Kind::Internal);
    assert_eq!(struct_leaf(&columns, &[0, 1]).unwrap_err().kind(), Kind::Internal);
    let nothing = struct_leaf(&columns, &[0]).unwrap();
    let is_null = test_of(Op::IsNull, Type::Unknown, vec![]);
    assert_eq!(evaluate(&is_null, &|_| Ok(nothing.clone()), 4).unwrap().true_count(), 4);
}

#[test]
fn mistyped_and_misshapen_columns_are_typed_errors() {
    let array: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"a"]));
    let text = test_of(Op::Eq, Type::String, vec![Literal::String("a".into())]);
    assert_eq!(evaluate(&text, &|_| Ok(array.clone()), 1).unwrap_err().kind(), Kind::TypeMismatch);
    let number = test_of(Op::Eq, Type::Long, vec![Literal::Integer(1)]);
    assert_eq!(evaluate(&number, &|_| Ok(array.clone()), 1).unwrap_err().kind(), Kind::TypeMismatch);
    assert_eq!(evaluate(&text, &|_| Ok(array.clone()), 2).unwrap_err().kind(), Kind::Internal);
    let scale = test_of(Op::Eq, Type::Decimal(9, 2), vec![Literal::Decimal(1)]);
    let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(9, 3).unwrap());
    assert_eq!(evaluate(&scale, &|_| Ok(decimals.clone()), 1).unwrap_err().kind(), Kind::TypeMismatch);
}
