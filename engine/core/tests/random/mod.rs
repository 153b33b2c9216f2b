//! Random columns and random Parquet files of them.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test uses a part

pub mod files;
pub mod raw;
pub mod values;
