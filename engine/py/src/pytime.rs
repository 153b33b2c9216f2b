//! Dates and times as `datetime` objects, exactly: years outside 1 to 9999 and fractions of a microsecond are errors.
//!
//! Must not know: arrays.

use headrace_core::error::{Error, Kind};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyDelta, PyTime, PyTzInfo};

use crate::errors::to_python;

const SECONDS_PER_DAY: i64 = 86_400;
const MICROSECONDS: i64 = 1_000_000;

/// A time zone as `datetime` knows it.
pub enum Zone<'py> {
    Utc(Bound<'py, PyTzInfo>),
    Other(Bound<'py, PyTzInfo>, Bound<'py, PyTzInfo>),
}

impl<'py> Zone<'py> {
    /// "UTC", an offset ("+05:30"), or a name of the tz database through `zoneinfo`.
    pub fn named(py: Python<'py>, name: &str) -> PyResult<Zone<'py>> {
        let utc = PyTzInfo::utc(py)?.to_owned();
        if matches!(name, "UTC" | "+00:00" | "Z" | "Etc/UTC") {
            return Ok(Zone::Utc(utc));
        }
        let zone = match offset_seconds(name) {
            Some(seconds) => PyTzInfo::fixed_offset(py, PyDelta::new(py, 0, seconds, 0, true)?)?,
            None => py.import("zoneinfo")?.getattr("ZoneInfo")?.call1((name,))?.cast_into::<PyTzInfo>()?,
        };
        Ok(Zone::Other(utc, zone))
    }
}

fn offset_seconds(name: &str) -> Option<i32> {
    let sign = match name.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: Vec<i32> = name.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as i32).collect();
    match digits.as_slice() {
        [h1, h2, m1, m2] => Some(sign * ((h1 * 10 + h2) * 3600 + (m1 * 10 + m2) * 60)),
        [h1, h2] => Some(sign * (h1 * 10 + h2) * 3600),
        _ => None,
    }
}

/// A `datetime.date` of days since 1970.
pub fn date(py: Python<'_>, days: i64) -> PyResult<Bound<'_, PyAny>> {
    let (year, month, day) = civil(days).ok_or_else(|| out_of_range(py, &format!("day {days} since 1970")))?;
    PyDate::new(py, year, month, day)?.into_bound_py_any(py)
}

/// A `datetime.datetime` of ticks since 1970; `zone` None gives a naive one.
pub fn datetime<'py>(
    py: Python<'py>,
    ticks: i64,
    per_second: i64,
    zone: Option<&Zone<'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (seconds, micros) = split(py, ticks, per_second)?;
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = clock(seconds.rem_euclid(SECONDS_PER_DAY));
    let outside = || out_of_range(py, &format!("{ticks} ticks of 1/{per_second} s since 1970"));
    let (year, month, day) = civil(days).ok_or_else(outside)?;
    let make = |zone| PyDateTime::new(py, year, month, day, hour, minute, second, micros, zone);
    match zone {
        None => make(None)?.into_bound_py_any(py),
        Some(Zone::Utc(utc)) => make(Some(utc))?.into_bound_py_any(py),
        Some(Zone::Other(utc, zone)) => make(Some(utc))?.call_method1("astimezone", (zone,)),
    }
}

/// A `datetime.time` of ticks since midnight.
pub fn time(py: Python<'_>, ticks: i64, per_second: i64) -> PyResult<Bound<'_, PyAny>> {
    let (seconds, micros) = split(py, ticks, per_second)?;
    if !(0..SECONDS_PER_DAY).contains(&seconds) {
        return Err(out_of_range(py, &format!("{seconds} seconds since midnight")));
    }
    let (hour, minute, second) = clock(seconds);
    PyTime::new(py, hour, minute, second, micros, None)?.into_bound_py_any(py)
}

/// A `datetime.timedelta`.
pub fn duration(py: Python<'_>, ticks: i64, per_second: i64) -> PyResult<Bound<'_, PyAny>> {
    let (seconds, micros) = split(py, ticks, per_second)?;
    let days = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok().filter(|days| days.abs() <= 999_999_999);
    let days = days.ok_or_else(|| out_of_range(py, &format!("a duration of {seconds} s")))?;
    PyDelta::new(py, days, seconds.rem_euclid(SECONDS_PER_DAY) as i32, micros as i32, false)?.into_bound_py_any(py)
}

/// (seconds, microseconds), exactly.
fn split(py: Python<'_>, ticks: i64, per_second: i64) -> PyResult<(i64, u32)> {
    let fraction = ticks.rem_euclid(per_second);
    let micros = match per_second > MICROSECONDS {
        true if fraction % (per_second / MICROSECONDS) != 0 => {
            let message = format!("{ticks} ns has a fraction of a microsecond, which datetime cannot hold");
            let error = Error::new(Kind::InvalidArgument, message);
            return Err(to_python(py, &error.hint("to_numpy(), to_arrow() and to_polars() keep nanoseconds")));
        }
        true => fraction / (per_second / MICROSECONDS),
        false => fraction * (MICROSECONDS / per_second),
    };
    Ok((ticks.div_euclid(per_second), micros as u32))
}

fn clock(seconds: i64) -> (u8, u8, u8) {
    ((seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8)
}

/// Year, month and day in the proleptic Gregorian calendar, None outside of `datetime`'s years 1 to 9999.
fn civil(days: i64) -> Option<(i32, u8, u8)> {
    if !(-719_162..=2_932_896).contains(&days) {
        return None;
    }
    // Counted from 1 March of year 0 in cycles of 400 years, so that the leap day is a year's last.
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = cycle * 400 + year + i64::from(month <= 2);
    Some((i32::try_from(year).ok()?, month as u8, day as u8))
}

fn out_of_range(py: Python<'_>, what: &str) -> PyErr {
    let error =
        Error::new(Kind::InvalidArgument, format!("{what} is outside of the years 1 to 9999 of Python's datetime"));
    to_python(py, &error.hint("to_numpy(), to_arrow() and to_polars() hold it"))
}
