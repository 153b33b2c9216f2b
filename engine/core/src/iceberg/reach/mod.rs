//! What snapshots reach: which objects belong to a table, and which to nothing any more.
//!
//! Must not know: which snapshots are kept, and why (the control plane does), what is in data files. Neighbours:
//! [`crate::store`] lists and removes, `manifest_list` and `avro` decode. Spec: Snapshots, Manifests.
//!
//! Within: [`walk`] goes from snapshots to manifests to files; [`places`] is the set of what is in use; [`orphans`] finds
//! objects of a listing that nothing reaches, [`expired`] removes what only expired snapshots do.

mod expired;
mod orphans;
mod places;
#[cfg(test)]
mod tests;
mod walk;

pub use expired::remove_expired;
pub use orphans::{listing_batch, orphans};
