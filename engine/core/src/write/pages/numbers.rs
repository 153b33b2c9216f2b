//! Integers, floats, and whatever is stored as such: dates, times, decimals of up to 18 digits.
//!
//! For a dictionary a page's values are collected, then looked at in one pass each for extremes and positions; without one
//! they go into the page at once. NaN is no extreme, and -0.0 is less than 0.0 (parquet.thrift, ColumnOrder,
//! IEEE_754_TOTAL_ORDER). Must not know: levels, codecs.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ToByteSlice;
use arrow_schema::DataType;
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::table::{Table, hash_bits};
use super::{Extremes, Page, Values, hybrid};
use crate::error::{Error, Kind, Result};

/// A physical type.
pub(super) trait Number: Copy + Default + PartialOrd + arrow_buffer::ArrowNativeType {
    const IS_FLOAT: bool;

    /// What a dictionary tells values apart by.
    fn bits(self) -> u64;
    /// The unscaled value of a decimal, which is known to fit.
    fn of_decimal(value: i128) -> Self;
    fn is_nan(self) -> bool;
    /// How far an integer is from a smaller one; None for floats.
    fn distance(self, from: Self) -> Option<u64>;
    /// In the order of the column's statistics.
    fn is_less(self, other: Self) -> bool;
    fn from_plain(bytes: &[u8]) -> Self;
    fn statistics(values: ValueStatistics<Self>) -> Statistics;
}

macro_rules! number {
    ($type:ty, $bits:ty, $is_float:literal, $is_less:expr, $distance:expr) => {
        impl Number for $type {
            const IS_FLOAT: bool = $is_float;

            fn bits(self) -> u64 {
                u64::from(<$bits>::from_le_bytes(self.to_le_bytes()))
            }

            fn of_decimal(value: i128) -> Self {
                value as $type
            }

            #[allow(clippy::eq_op)]
            fn is_nan(self) -> bool {
                self != self
            }

            fn distance(self, from: Self) -> Option<u64> {
                $distance(self, from)
            }

            fn is_less(self, other: Self) -> bool {
                $is_less(&self, &other)
            }

            fn from_plain(bytes: &[u8]) -> Self {
                bytes.try_into().map(<$type>::from_le_bytes).unwrap_or_default()
            }

            fn statistics(values: ValueStatistics<Self>) -> Statistics {
                values.into()
            }
        }
    };
}

number!(i32, u32, false, i32::lt, |one: i32, from: i32| Some(u64::from(one.wrapping_sub(from) as u32)));
number!(i64, u64, false, i64::lt, |one: i64, from: i64| Some(one.wrapping_sub(from) as u64));
number!(f32, u32, true, |one: &f32, other: &f32| one.total_cmp(other).is_lt(), |_, _| None);
number!(f64, u64, true, |one: &f64, other: &f64| one.total_cmp(other).is_lt(), |_, _| None);

/// A page whose integers lie this close together, by its length, is looked up by their distance from the least.
const CLOSE: u64 = 4;
const LANES: usize = 8;

/// The values of a chunk.
pub(super) struct Numbers<T> {
    /// The page's values that a dictionary is to know, or some that are converted
    collected: Vec<T>,
    positions: Vec<u32>,
    dictionary: Option<Dictionary<T>>,
    page: Told<T>,
    extremes: Option<(T, T)>,
    nans: u64,
}

/// What is told of a page.
struct Told<T> {
    values: usize,
    extremes: Option<(T, T)>,
    nans: u64,
}

impl<T> Default for Told<T> {
    fn default() -> Told<T> {
        Told { values: 0, extremes: None, nans: 0 }
    }
}

struct Dictionary<T> {
    table: Table,
    values: Vec<T>,
    most: usize,
    /// By the distance from the page's least integer: its position and one, 0 where it is not known yet
    near: Vec<u32>,
    /// No page more is of positions
    is_closed: bool,
}

impl<T: Number> Numbers<T> {
    /// `limit`: bytes of the dictionary, None for no dictionary.
    pub(super) fn new(limit: Option<usize>) -> Numbers<T> {
        let dictionary = |limit: usize| Dictionary {
            table: Table::default(),
            values: Vec::new(),
            most: limit / size_of::<T>(),
            near: Vec::new(),
            is_closed: false,
        };
        Numbers {
            collected: Vec::new(),
            positions: Vec::new(),
            dictionary: limit.map(dictionary),
            page: Told::default(),
            extremes: None,
            nans: 0,
        }
    }

    fn has_dictionary(&self) -> bool {
        self.dictionary.as_ref().is_some_and(|dictionary| !dictionary.is_closed)
    }
}

impl<T: Number> Told<T> {
    fn add(&mut self, values: &[T]) {
        self.values += values.len();
        self.extremes = wider(self.extremes, extremes(values));
        if T::IS_FLOAT {
            self.nans += values.iter().filter(|value| value.is_nan()).count() as u64;
        }
    }
}

/// The extremes; None where there is nothing but NaN, or nothing.
fn extremes<T: Number>(values: &[T]) -> Option<(T, T)> {
    let first = *values.iter().find(|value| !value.is_nan())?;
    // A comparison with NaN is false: it never replaces anything.
    let less = |one: T, other: T| if other < one { other } else { one };
    let more = |one: T, other: T| if other > one { other } else { one };
    // No lane waits for another.
    let (mut mins, mut maxs) = ([first; LANES], [first; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        mins = std::array::from_fn(|lane| less(mins[lane], chunk[lane]));
        maxs = std::array::from_fn(|lane| more(maxs[lane], chunk[lane]));
    }
    let min = rest.iter().chain(&mins).copied().fold(first, less);
    let max = rest.iter().chain(&maxs).copied().fold(first, more);
    // Zeros of both signs are equal there; which of them is the extreme is looked at only if one is.
    let equal = |extreme: T| values.iter().copied().filter(move |value| *value == extreme);
    let zero = T::default();
    Some((
        if T::IS_FLOAT && min == zero { equal(min).fold(min, lesser) } else { min },
        if T::IS_FLOAT && max == zero { equal(max).fold(max, greater) } else { max },
    ))
}

fn wider<T: Number>(one: Option<(T, T)>, other: Option<(T, T)>) -> Option<(T, T)> {
    match (one, other) {
        (Some((min, max)), Some((least, most))) => Some((lesser(min, least), greater(max, most))),
        (one, other) => one.or(other),
    }
}

impl<T: Number> Dictionary<T> {
    /// The positions of a page's values, new ones among them.
    fn encode(&mut self, page: &[T], extremes: Option<(T, T)>, positions: &mut Vec<u32>) {
        positions.clear();
        positions.reserve(page.len());
        let width = extremes.and_then(|(min, max)| Some((min, max.distance(min)?)));
        match width.filter(|(_, width)| *width < CLOSE * page.len() as u64) {
            Some((min, width)) => self.encode_near(page, min, width as usize, positions),
            None => self.encode_any(page, positions),
        }
        self.is_closed = self.values.len() > self.most;
    }

    fn encode_near(&mut self, page: &[T], min: T, width: usize, positions: &mut Vec<u32>) {
        let mut near = std::mem::take(&mut self.near);
        near.clear();
        near.resize(width + 1, 0);
        positions.extend(page.iter().map(|value| {
            let distance = value.distance(min).unwrap_or(0) as usize;
            match near.get(distance) {
                Some(0) | None => {
                    let position = self.position(*value);
                    if let Some(place) = near.get_mut(distance) {
                        *place = position + 1;
                    }
                    position
                }
                Some(known) => known - 1,
            }
        }));
        self.near = near;
    }

    fn encode_any(&mut self, page: &[T], positions: &mut Vec<u32>) {
        let mut last: Option<(u64, u32)> = None;
        for value in page {
            let bits = value.bits();
            let position = match last {
                Some((same, position)) if same == bits => position,
                _ => self.position(*value),
            };
            last = Some((bits, position));
            positions.push(position);
        }
    }

    fn position(&mut self, value: T) -> u32 {
        let Dictionary { table, values, .. } = self;
        let bits = value.bits();
        let known = |at: u32| values.get(at as usize).is_some_and(|value| value.bits() == bits);
        let hash_of = |at: u32| hash_bits(values.get(at as usize).map_or(0, |value| value.bits()));
        table.find(hash_bits(bits), known, hash_of).unwrap_or_else(|| {
            values.push(value);
            values.len() as u32 - 1
        })
    }
}

impl<T: Number> Values for Numbers<T> {
    fn add(&mut self, array: &ArrayRef, rows: Range<usize>, most_bytes: usize, body: &mut Vec<u8>) -> Result<usize> {
        let room = (most_bytes / size_of::<T>()).saturating_sub(self.page.values).max(1);
        let rows = rows.start..rows.end.min(rows.start + room);
        let count = rows.len();
        if let DataType::Decimal128(..) = array.data_type() {
            let values = array.as_primitive::<Decimal128Type>().values();
            let values = values.get(rows).ok_or_else(misfit)?;
            let before = self.collected.len();
            self.collected.extend(values.iter().map(|value| T::of_decimal(*value)));
            self.page.add(&self.collected[before..]);
            if !self.has_dictionary() {
                plain(&self.collected, body);
                self.collected.clear();
            }
            return Ok(count);
        }
        if array.data_type().primitive_width() != Some(size_of::<T>()) {
            return Err(misfit());
        }
        let data = array.to_data();
        let values = data.buffers().first().ok_or_else(misfit)?.typed_data::<T>();
        let values = values.get(data.offset() + rows.start..data.offset() + rows.end).ok_or_else(misfit)?;
        self.page.add(values);
        match self.has_dictionary() {
            true => self.collected.extend_from_slice(values),
            false => plain(values, body),
        }
        Ok(count)
    }

    fn is_full(&self, most_bytes: usize) -> bool {
        // Whether the dictionary is, is known when the page is finished.
        (self.page.values + 1) * size_of::<T>() > most_bytes
    }

    fn finish_page(&mut self, body: &mut Vec<u8>) -> Page {
        let Told { values, extremes, nans } = std::mem::take(&mut self.page);
        self.nans += nans;
        self.extremes = wider(self.extremes, extremes);
        let encoding = match self.dictionary.as_mut().filter(|dictionary| !dictionary.is_closed) {
            Some(dictionary) => {
                dictionary.encode(&self.collected, extremes, &mut self.positions);
                let highest = dictionary.values.len().saturating_sub(1) as u32;
                hybrid::positions(&self.positions, hybrid::width_of(highest), body);
                Encoding::RLE_DICTIONARY
            }
            None => Encoding::PLAIN,
        };
        self.collected.clear();
        let bytes = |value: T| value.to_byte_slice().to_vec();
        let extremes = extremes.map(|(min, max)| Extremes { min: bytes(min), max: bytes(max) });
        Page { encoding, values, nans: T::IS_FLOAT.then_some(nans), extremes, text_bytes: None }
    }

    fn dictionary(&self) -> Option<(Vec<u8>, usize)> {
        let dictionary = self.dictionary.as_ref()?;
        let mut bytes = Vec::new();
        plain(&dictionary.values, &mut bytes);
        Some((bytes, dictionary.values.len()))
    }

    fn statistics(&self, nulls: u64, _longest_bytes: Option<usize>) -> Statistics {
        let (min, max) = self.extremes.unzip();
        let nans = T::IS_FLOAT.then_some(self.nans);
        let statistics = ValueStatistics::new(min, max, None, Some(nulls), false).with_nan_count(nans);
        T::statistics(statistics.with_backwards_compatible_min_max(true))
    }

    fn is_larger(&self, one: &[u8], other: &[u8]) -> bool {
        T::from_plain(other).is_less(T::from_plain(one))
    }

    fn shortened(&self, extreme: Vec<u8>, _longest_bytes: Option<usize>, _is_max: bool) -> Vec<u8> {
        extreme
    }
}

/// Values as Parquet has them, little-endian, as Arrow has them on every machine that it runs on.
fn plain<T: Number>(values: &[T], out: &mut Vec<u8>) {
    out.extend_from_slice(values.to_byte_slice());
}

fn lesser<T: Number>(one: T, other: T) -> T {
    if other.is_less(one) { other } else { one }
}

fn greater<T: Number>(one: T, other: T) -> T {
    if one.is_less(other) { other } else { one }
}

fn misfit() -> Error {
    Error::new(Kind::Internal, "values of another width than their column's")
}
