//! The engine of headrace: object store -> Arrow memory, and nothing of Python.
//!
//! Rooms, in the order bytes pass through them (no room calls back up):
//! [`store`] opens locations; [`fetch`] brings ranges of them; [`iceberg`] turns manifests into a list of files;
//! [`formats`] makes Parquet of other files; [`parquet`] turns pages into columns; [`frame`] holds columns and filters
//! them; [`load`] is the one that calls fetch, parquet and frame in turn. The other way, [`write`] turns a frame into a
//! table's files, and [`row_deletes`] rows of files into files that delete them. [`http`] serves the catalogs of the
//! control plane.

pub mod arena;
pub mod error;
pub mod fetch;
pub mod formats;
pub mod frame;
pub mod http;
pub mod iceberg;
pub mod load;
pub mod metrics;
pub mod parallel;
pub mod parquet;
pub mod row_deletes;
pub mod runtime;
pub mod store;
pub mod write;
