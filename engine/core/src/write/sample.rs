//! Whether a dictionary is worth its hashing: a few thousand values tell how many different ones a row group has.
//!
//! The encoder itself finds out only when its dictionary is full, after a quarter of a million numbers, and of a short
//! row group never. Must not know: files, encoders. Neighbour: `encode`, which asks.

use std::collections::HashSet;

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Type;
use crate::write::conform::Column;
use crate::write::keys::{Key, QuickBuild, Values};
use crate::write::rows::Rows;

/// Values that are looked at: one in sixteen, within these bounds. Two equal ones among n tell of n²/2 different ones:
/// the most tell 30 million from fewer, the fewest half a million.
const SAMPLE_ROWS: std::ops::RangeInclusive<usize> = 1024..=8192;
/// Fewer rows are not worth the look.
const FEWEST_ROWS: usize = 4096;
/// A dictionary of more than this share of the rows saves nothing.
const LARGEST_SHARE: f64 = 0.7;

/// Whether these rows of a column likely fit a dictionary of `limit` bytes that has them several times each.
pub(crate) fn dictionary_pays(frame: &RecordBatch, column: &Column, rows: &Rows, limit: usize) -> Result<bool> {
    let is_flat = !matches!(
        column.field.field_type,
        Type::Boolean
            | Type::Struct(_)
            | Type::List(_)
            | Type::Map(_, _)
            | Type::Unknown
            | Type::Variant
            | Type::Spatial(_)
    );
    let Some(source) = column.source().filter(|_| is_flat && rows.len() >= FEWEST_ROWS) else { return Ok(true) };
    let stride = rows.len() / (rows.len() / 16).clamp(*SAMPLE_ROWS.start(), *SAMPLE_ROWS.end());
    let picked = Rows::Picked((0..rows.len()).step_by(stride).map(|at| rows.row(at) as u32).collect());
    let values = picked.of(frame.column(source))?;
    let fitted = column.fit(Some(&values), picked.len(), |at| picked.row(at))?;
    let values = Values::new(&fitted, &column.field.field_type)?;
    let (mut known, mut seen, mut bytes) = (HashSet::<Key, QuickBuild>::default(), 0usize, 0usize);
    for value in (0..values.len()).filter_map(|row| values.get(row)) {
        seen += 1;
        bytes += width(value);
        known.insert(Key::of(value));
    }
    let present = rows.len() as f64 * seen as f64 / values.len().max(1) as f64;
    let distinct = estimate(seen as f64, known.len() as f64, present);
    let dictionary = distinct * bytes as f64 / seen.max(1) as f64;
    Ok(dictionary <= limit as f64 && distinct <= LARGEST_SHARE * present)
}

/// Bytes of a value in a dictionary page.
fn width(value: Scalar) -> usize {
    match value {
        Scalar::Bytes(bytes) => 4 + bytes.len(),
        _ => 8,
    }
}

/// Different values among `rows`, of which `sample` had `distinct`: as if each value were as frequent as any other.
fn estimate(sample: f64, distinct: f64, rows: f64) -> f64 {
    let repeated = sample - distinct;
    if repeated < 1.0 {
        return rows;
    }
    let all = if repeated > sample / 2.0 { distinct } else { sample * sample / (2.0 * repeated) };
    all * (1.0 - (-rows / all).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_there_are_is_told_roughly() {
        for all in [10usize, 1000, 50_000, 1_000_000] {
            let picks: Vec<usize> = (0..8192).map(|_| rand::random_range(0..all)).collect();
            let distinct = picks.iter().collect::<HashSet<_>>().len();
            let found = estimate(8192.0, distinct as f64, 1e9);
            let tolerance = if all > 100_000 { 1.0 } else { 0.3 };
            assert!((found / all as f64 - 1.0).abs() < tolerance, "{found} of {all}");
        }
        assert!(estimate(8192.0, 8192.0, 1e6) >= 1e6);
    }
}
