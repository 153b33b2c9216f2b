//! Iceberg metadata that grows with files: manifest lists and manifests, decoded into columns, pruned, listed.
//!
//! Must not know: Parquet, Arrow frames of data, catalogs. Neighbours: [`crate::store`] below, [`crate::load`] above.
//! Within: [`plan`] drives; `manifest_list` and `manifests` decode with `avro`; `pruning` asks `transforms`, `specs` and
//! `scalar`; [`files`] is what comes out, with the row [`deletes`] that apply.

pub mod arrow_types;
pub(crate) mod avro;
pub mod bounds;
pub mod changes;
pub mod deletes;
pub mod files;
mod listing;
mod manifest_list;
mod manifests;
pub mod packing;
pub mod plan;
pub mod predicate;
mod pruning;
pub mod reach;
pub mod report;
pub mod request;
pub(crate) mod scalar;
pub mod schema;
pub mod shards;
pub mod specs;
pub mod transforms;
mod values;
pub mod writing;
