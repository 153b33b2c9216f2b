//! Iceberg metadata that grows with files: manifest lists and manifests, decoded into columns, pruned, listed.
//!
//! Must not know: Parquet, Arrow frames of data, catalogs. Neighbours: [`crate::store`] below, [`crate::load`] above.

pub mod bounds;
pub mod files;
pub mod predicate;
pub mod schema;
