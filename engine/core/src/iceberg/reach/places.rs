//! A set of locations that are in use, small enough for millions of them: 8 bytes each.
//!
//! Two locations of one hash, or of one spelling, count as the same: that can keep an object that nobody needs, and can
//! never give away one that somebody does. Must not know: where locations come from.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use crate::store::same_place;

/// Locations that must stay.
#[derive(Default)]
pub(super) struct Places {
    hashes: HashSet<u64>,
}

impl Places {
    pub(super) fn insert(&mut self, location: &str) {
        self.hashes.insert(hash(location));
    }

    pub(super) fn extend(&mut self, hashes: Vec<u64>) {
        self.hashes.extend(hashes);
    }

    pub(super) fn hold(&self, location: &str) -> bool {
        self.hashes.contains(&hash(location))
    }
}

/// What stands for a location in the set.
pub(super) fn hash(location: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&same_place(location));
    hasher.finish()
}
