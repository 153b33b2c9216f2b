//! Timestamps -> decimals of nanoseconds since 1970, as streams of ORC again.
//!
//! The decoder loses the sign of nanoseconds, which ORC's C++ library (PyArrow) writes before 1970, and no timestamp of its
//! own holds every moment; a decimal does. Spec: "Timestamp Columns". Must not know: types, files.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::runs::{Coding, each};
use super::{Room, damaged};
use crate::error::Result;

/// The scale of the decimals.
pub(super) const SCALE: u32 = 9;
const NANOSECONDS_A_SECOND: i64 = 1_000_000_000;
/// 2015-01-01 in UTC: seconds count from there, on the writer's clock.
const BASE: i64 = 1_420_070_400;
/// Seconds before 1970 with more than that are one too many (ORC-763).
const MOST_NANOSECONDS: i64 = 999_999;
const LONGEST_RUN: u64 = 512;
/// What a moment takes: read, and written again.
const MOMENT_BYTES: u64 = 32;

/// The streams of a column of decimals (DATA, SECONDARY of version 2) from those of one of timestamps.
pub(super) fn decimals(
    data: &[u8],
    secondary: &[u8],
    is_version_2: bool,
    zone: Option<Tz>,
    room: &mut Room<'_>,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut seconds = Vec::new();
    each(data, Coding { is_version_2, is_signed: true }, |value| {
        room.take(MOMENT_BYTES)?;
        seconds.push(value);
        Ok(())
    })?;
    let clock = Clock { zone, base: zone.map_or(Some(BASE), first_of_2015).ok_or_else(|| damaged("a time zone"))? };
    let (mut values, mut at) = (Vec::new(), 0);
    each(secondary, Coding { is_version_2, is_signed: false }, |encoded| {
        let seconds = seconds.get(at).ok_or_else(|| damaged("nanoseconds without seconds"))?;
        at += 1;
        write_varint(clock.nanoseconds(*seconds, encoded)?, &mut values);
        Ok(())
    })?;
    if at < seconds.len() {
        return Err(damaged("seconds without nanoseconds"));
    }
    Ok((values, scales(at as u64)))
}

/// A writer's clock.
struct Clock {
    zone: Option<Tz>,
    base: i64,
}

impl Clock {
    /// What it showed, as nanoseconds since 1970.
    fn nanoseconds(&self, seconds: i64, encoded: i64) -> Result<i128> {
        let zeros = (encoded & 7) as u32;
        let nanoseconds = (encoded >> 3).checked_mul(if zeros == 0 { 1 } else { 10_i64.pow(zeros + 1) });
        let nanoseconds = nanoseconds.filter(|found| found.abs() < NANOSECONDS_A_SECOND);
        let nanoseconds = nanoseconds.ok_or_else(|| damaged("nanoseconds of more than a second"))?;
        let mut seconds = seconds.checked_add(self.base).ok_or_else(|| damaged("a timestamp of no time"))?;
        if seconds < 0 && nanoseconds > MOST_NANOSECONDS {
            seconds -= 1;
        }
        if let Some(zone) = self.zone {
            let moment = DateTime::from_timestamp(seconds, 0).ok_or_else(|| damaged("a timestamp of no time"))?;
            seconds += i64::from(zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc());
        }
        Ok(i128::from(seconds) * i128::from(NANOSECONDS_A_SECOND) + i128::from(nanoseconds))
    }
}

fn first_of_2015(zone: Tz) -> Option<i64> {
    zone.with_ymd_and_hms(2015, 1, 1, 0, 0, 0).earliest().map(|moment| moment.timestamp())
}

fn write_varint(value: i128, output: &mut Vec<u8>) {
    let mut left = ((value << 1) ^ (value >> 127)).cast_unsigned();
    while left > 127 {
        output.push((left & 127) as u8 | 128);
        left >>= 7;
    }
    output.push(left as u8);
}

/// The same scale for every value: runs without a step.
fn scales(mut count: u64) -> Vec<u8> {
    let mut output = Vec::new();
    while count > 0 {
        let length = count.min(LONGEST_RUN);
        output.extend_from_slice(&[0xc0 | ((length - 1) >> 8) as u8, (length - 1) as u8, 2 * SCALE as u8, 0]);
        count -= length;
    }
    output
}
