//! Random Arrow columns: every type that a file can hold, few or many different values, sorted or not, nulls in
//! patterns. The generator is the caller's; nothing else is random.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, LargeListArray, ListArray, MapArray, NullArray, PrimitiveArray, StructArray,
    make_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use rand::RngExt;
use rand::rngs::StdRng;

/// One of several.
pub fn pick<T: Clone>(random: &mut StdRng, from: &[T]) -> T {
    from[random.random_range(0..from.len())].clone()
}

/// A type that is not nested.
pub fn flat_type(random: &mut StdRng) -> DataType {
    use DataType::*;
    let unit =
        |random: &mut StdRng| pick(random, &[TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]);
    match random.random_range(0..40) {
        0 => Int8,
        1 => Int16,
        2 | 3 => Int32,
        4..=6 => Int64,
        7 => UInt8,
        8 => UInt16,
        9 => UInt32,
        10 => UInt64,
        11 => Float16,
        12 | 13 => Float32,
        14..=16 => Float64,
        17 | 18 => Boolean,
        19 => Date32,
        20 => Time32(TimeUnit::Millisecond),
        21 => Time64(pick(random, &[TimeUnit::Microsecond, TimeUnit::Nanosecond])),
        22..=24 => Timestamp(unit(random), pick(random, &[None, Some("UTC".into()), Some("+05:30".into())])),
        25..=27 => decimal_type(random),
        28..=33 => pick(random, &[Utf8, Utf8, LargeUtf8, Utf8View]),
        34 => pick(random, &[Binary, LargeBinary, BinaryView]),
        35 => FixedSizeBinary(pick(random, &[1, 3, 12, 16, 40])),
        36 => FixedSizeBinary(16),
        37 => Duration(unit(random)),
        38 => pick(random, &[Date64, Null]),
        _ => Dictionary(Box::new(Int32), Box::new(Utf8)),
    }
}

fn decimal_type(random: &mut StdRng) -> DataType {
    let precision = pick(random, &[1, 4, 9, 10, 18, 19, 28, 38]);
    let scale = random.random_range(0..=precision as i8);
    match random.random_range(0..8) {
        0 => DataType::Decimal256(pick(random, &[39, 50, 76]), scale),
        _ => DataType::Decimal128(precision, scale),
    }
}

/// A type with lists, structs or maps in it.
pub fn nested_type(random: &mut StdRng, depth: usize) -> DataType {
    let inner = |random: &mut StdRng| match depth {
        0 => narrow_type(random),
        _ if random.random_bool(0.7) => narrow_type(random),
        _ => nested_type(random, depth - 1),
    };
    let nullable = random.random_bool(0.8);
    match random.random_range(0..6) {
        0 | 1 => DataType::List(Arc::new(Field::new("element", inner(random), nullable))),
        2 => DataType::LargeList(Arc::new(Field::new("item", DataType::Utf8, nullable))),
        3 | 4 => {
            let count = random.random_range(1..4);
            let fields = (0..count).map(|at| Field::new(format!("f{at}"), inner(random), random.random_bool(0.8)));
            DataType::Struct(fields.collect())
        }
        _ => {
            let key = pick(random, &[DataType::Utf8, DataType::Int32]);
            let pair = [Field::new("key", key, false), Field::new("value", inner(random), nullable)];
            let entries = Field::new("key_value", DataType::Struct(Fields::from(pair.to_vec())), false);
            DataType::Map(Arc::new(entries), false)
        }
    }
}

/// A flat type that is also good below lists.
fn narrow_type(random: &mut StdRng) -> DataType {
    loop {
        let found = flat_type(random);
        if !matches!(found, DataType::Null | DataType::Dictionary(_, _)) {
            return found;
        }
    }
}

/// Where nulls are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nulls {
    Never,
    Always,
    Few,
    Half,
    Runs,
}

impl Nulls {
    pub fn random(random: &mut StdRng) -> Nulls {
        pick(random, &[Nulls::Never, Nulls::Never, Nulls::Never, Nulls::Few, Nulls::Half, Nulls::Runs, Nulls::Always])
    }

    fn buffer(self, random: &mut StdRng, rows: usize) -> Option<NullBuffer> {
        let valid: BooleanBuffer = match self {
            Nulls::Never => return None,
            Nulls::Always => BooleanBuffer::new_unset(rows),
            Nulls::Few => (0..rows).map(|_| random.random_bool(0.98)).collect(),
            Nulls::Half => (0..rows).map(|_| random.random_bool(0.5)).collect(),
            Nulls::Runs => runs(random, rows, |random| random.random_bool(0.5)).into_iter().collect(),
        };
        Some(NullBuffer::new(valid))
    }
}

fn runs<T: Clone>(random: &mut StdRng, rows: usize, next: impl Fn(&mut StdRng) -> T) -> Vec<T> {
    let mut made = Vec::with_capacity(rows);
    while made.len() < rows {
        let value = next(random);
        let length = pick(random, &[1, 2, 7, 8, 9, 31, 64, 65, 500, 3000]);
        made.extend(std::iter::repeat_n(value, length.min(rows - made.len())));
    }
    made
}

/// Which values a column has: numbers that stand for values, spread out or as they are.
fn keys(random: &mut StdRng, rows: usize) -> Vec<u64> {
    let few = pick(random, &[1, 2, 3, 15, 16, 17, 200, 300, 5000]);
    let spread = random.random_bool(0.4);
    let numbers: Vec<u64> = match random.random_range(0..6) {
        0 => vec![random.random(); rows],
        1 | 2 => (0..rows).map(|_| random.random_range(0..few)).collect(),
        3 => runs(random, rows, |random| random.random_range(0..few)),
        4 => {
            // Numbers, and so their differences, of every width
            let unused = random.random_range(0..64);
            (0..rows).map(|_| random.random::<u64>() >> unused).collect()
        }
        _ => {
            let step = pick(random, &[1, 1, 10, 1000]);
            let mut last = random.random_range(0..1000);
            let mut next = || {
                last += random.random_range(0..=step);
                last
            };
            (0..rows).map(|_| next()).collect()
        }
    };
    if spread { numbers.into_iter().map(mix).collect() } else { numbers }
}

/// Spreads a number over 64 bits (splitmix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A column of a type.
pub fn array(random: &mut StdRng, data_type: &DataType, rows: usize, nulls: Nulls) -> ArrayRef {
    match data_type {
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Struct(fields) => {
            let nulls = nulls.buffer(random, rows);
            let columns = fields.iter().map(|field| child(random, field, rows)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls))
        }
        DataType::List(field) => {
            let (lengths, nulls) = lengths(random, rows, nulls);
            let values = child(random, field, lengths.iter().sum());
            Arc::new(ListArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, nulls))
        }
        DataType::LargeList(field) => {
            let (lengths, nulls) = lengths(random, rows, nulls);
            let values = child(random, field, lengths.iter().sum());
            Arc::new(LargeListArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, nulls))
        }
        DataType::Map(entries, sorted) => {
            let (lengths, nulls) = lengths(random, rows, nulls);
            let pairs = child(random, entries, lengths.iter().sum());
            let pairs = pairs.as_any().downcast_ref::<StructArray>().unwrap().clone();
            Arc::new(MapArray::new(Arc::clone(entries), OffsetBuffer::from_lengths(lengths), pairs, nulls, *sorted))
        }
        _ => flat(random, data_type, rows, nulls),
    }
}

fn child(random: &mut StdRng, field: &Field, rows: usize) -> ArrayRef {
    let nulls = if field.is_nullable() { Nulls::random(random) } else { Nulls::Never };
    array(random, field.data_type(), rows, nulls)
}

fn lengths(random: &mut StdRng, rows: usize, nulls: Nulls) -> (Vec<usize>, Option<NullBuffer>) {
    let nulls = nulls.buffer(random, rows);
    let most = pick(random, &[0, 1, 3, 3, 9]);
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let lengths = (0..rows).map(|row| if is_null(row) { 0 } else { random.random_range(0..=most) }).collect();
    (lengths, nulls)
}

fn flat(random: &mut StdRng, data_type: &DataType, rows: usize, nulls: Nulls) -> ArrayRef {
    let keys = keys(random, rows);
    let nulls = nulls.buffer(random, rows);
    let made: ArrayRef = match data_type {
        DataType::Boolean => Arc::new(BooleanArray::new(keys.iter().map(|key| key % 3 == 0).collect(), nulls)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            return text(random, data_type, &keys, nulls.as_ref());
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            return binary(random, data_type, &keys, nulls.as_ref());
        }
        DataType::FixedSizeBinary(width) => return fixed(*width, &keys, nulls.as_ref()),
        DataType::Float16 => primitive::<Float16Type>(&keys, nulls, |key| half::f16::from_f64(float(key))),
        DataType::Float32 => primitive::<Float32Type>(&keys, nulls, |key| float(key) as f32),
        DataType::Float64 => primitive::<Float64Type>(&keys, nulls, float),
        DataType::Decimal128(precision, _) => {
            let limit = 10_i128.pow(u32::from(*precision));
            let number = |key: u64| i128::from(mix(key) as i64) * i128::from(mix(key + 1)) % limit;
            primitive::<Decimal128Type>(&keys, nulls, |key| {
                if key < 1000 { i128::from(key) % limit } else { number(key / 2) }
            })
        }
        DataType::Decimal256(_, _) => primitive::<Decimal256Type>(&keys, nulls, |key| {
            i256::from_i128(i128::from(key as i64) * 1_000_000_007_000_000_007)
        }),
        DataType::Time32(_) => primitive::<Int32Type>(&keys, nulls, |key| (key % 86_400_000) as i32),
        DataType::Time64(_) => primitive::<Int64Type>(&keys, nulls, |key| (key % 86_400_000_000) as i64),
        DataType::Date64 => primitive::<Int64Type>(&keys, nulls, |key| (key as i64 >> 32) * 86_400_000),
        // A unit up must not overflow when the table's type is the wider one.
        DataType::Timestamp(TimeUnit::Millisecond, _) => primitive::<Int64Type>(&keys, nulls, |key| key as i64 >> 12),
        DataType::Date32 => primitive::<Int32Type>(&keys, nulls, |key| (key as i32) >> 6),
        DataType::Int8 => primitive::<Int8Type>(&keys, nulls, |key| key as i8),
        DataType::Int16 => primitive::<Int16Type>(&keys, nulls, |key| key as i16),
        DataType::Int32 => primitive::<Int32Type>(&keys, nulls, |key| key as i32),
        DataType::UInt8 => primitive::<UInt8Type>(&keys, nulls, |key| key as u8),
        DataType::UInt16 => primitive::<UInt16Type>(&keys, nulls, |key| key as u16),
        DataType::UInt32 => primitive::<UInt32Type>(&keys, nulls, |key| key as u32),
        DataType::UInt64 => primitive::<UInt64Type>(&keys, nulls, |key| key),
        _ => primitive::<Int64Type>(&keys, nulls, |key| key as i64),
    };
    if made.data_type() == data_type {
        return made;
    }
    make_array(made.to_data().into_builder().data_type(data_type.clone()).build().unwrap())
}

fn primitive<T: ArrowPrimitiveType>(
    keys: &[u64],
    nulls: Option<NullBuffer>,
    value: impl Fn(u64) -> T::Native,
) -> ArrayRef {
    let values: Vec<T::Native> = keys.iter().map(|key| value(*key)).collect();
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

fn float(key: u64) -> f64 {
    match key % 11 {
        0 => f64::NAN,
        1 => -0.0,
        2 => f64::INFINITY,
        3 => -((key >> 11) as f64) / 8.0,
        _ => (key >> 20) as f64 / 1000.0,
    }
}

/// Lengths of text: within a view, beyond it, both, none.
#[derive(Clone, Copy)]
struct Lengths(usize, usize);

fn text_lengths(random: &mut StdRng) -> Lengths {
    pick(
        random,
        &[
            Lengths(0, 12),
            Lengths(0, 12),
            Lengths(13, 40),
            Lengths(0, 30),
            Lengths(11, 14),
            Lengths(0, 0),
            Lengths(0, 300),
        ],
    )
}

fn text(random: &mut StdRng, data_type: &DataType, keys: &[u64], nulls: Option<&NullBuffer>) -> ArrayRef {
    let Lengths(least, most) = text_lengths(random);
    let alphabet: Vec<char> =
        pick(random, &["ab", "abcdefghijklmnopqrstuvwxyz0123456789", "aä€𝄞日\0"]).chars().collect();
    let common = if random.random_bool(0.3) { "a common beginning / " } else { "" };
    let mut builder = StringBuilder::new();
    for (row, key) in keys.iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            builder.append_null();
            continue;
        }
        let mut state = mix(*key);
        let length = least + state as usize % (most - least + 1);
        let mut value = String::from(if most > 12 { common } else { "" });
        while value.len() < length {
            state = mix(state);
            value.push(alphabet[state as usize % alphabet.len()]);
        }
        builder.append_value(value);
    }
    arrow_cast::cast(&builder.finish(), data_type).unwrap()
}

fn binary(random: &mut StdRng, data_type: &DataType, keys: &[u64], nulls: Option<&NullBuffer>) -> ArrayRef {
    let Lengths(least, most) = text_lengths(random);
    let mut builder = BinaryBuilder::new();
    for (row, key) in keys.iter().enumerate() {
        let length = least + mix(*key) as usize % (most - least + 1);
        match nulls.is_some_and(|nulls| nulls.is_null(row)) {
            true => builder.append_null(),
            false => builder.append_value(bytes_of(*key, length)),
        }
    }
    arrow_cast::cast(&builder.finish(), data_type).unwrap()
}

fn fixed(width: i32, keys: &[u64], nulls: Option<&NullBuffer>) -> ArrayRef {
    let mut builder = FixedSizeBinaryBuilder::new(width);
    for (row, key) in keys.iter().enumerate() {
        match nulls.is_some_and(|nulls| nulls.is_null(row)) {
            true => builder.append_null(),
            false => builder.append_value(bytes_of(*key, width as usize)).unwrap(),
        }
    }
    Arc::new(builder.finish())
}

/// So many bytes that the key decides.
pub fn bytes_of(key: u64, length: usize) -> Vec<u8> {
    let mut state = key;
    let mut next = || {
        state = mix(state);
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
