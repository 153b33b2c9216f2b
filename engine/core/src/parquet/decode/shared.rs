//! Pages that several parts of one column chunk need: decompressed by the first, copied by the others; and dictionaries of
//! fixed width as the column holds their values, which all read.
//!
//! A row group that is decoded in parts has, in each column, pages with rows of two parts or more, and a dictionary that
//! all of them need. Of each leaf column one such page and the dictionary are kept, as long as they fit into the bound;
//! what does not, or comes too late, is decompressed again. Must not know: codecs, what pages hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The place of a dictionary among pages, which are known by their first row.
pub(super) const DICTIONARY: usize = usize::MAX;

/// Pages of one row group.
#[derive(Debug)]
pub struct SharedPages {
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pages: HashMap<(usize, bool), Page>,
    tables: HashMap<usize, Arc<Vec<u8>>>,
    bytes: usize,
}

#[derive(Debug)]
struct Page {
    place: usize,
    body: Vec<u8>,
}

impl SharedPages {
    /// None yet, and never more than `most_bytes`.
    pub fn new(most_bytes: usize) -> SharedPages {
        SharedPages { most_bytes, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies a page's body into `bytes`, if it is here; `is_last`: nobody will ask for it again.
    pub(super) fn copy(&self, leaf: usize, place: usize, bytes: &mut [u8], is_last: bool) -> bool {
        let (key, mut kept) = ((leaf, place == DICTIONARY), self.kept());
        let Some(page) = kept.pages.get(&key).filter(|page| page.place == place && page.body.len() == bytes.len())
        else {
            return false;
        };
        bytes.copy_from_slice(&page.body);
        if is_last {
            let length = page.body.len();
            kept.pages.remove(&key);
            kept.bytes -= length;
        }
        true
    }

    /// The values of a dictionary, if they are here.
    pub(super) fn table(&self, leaf: usize) -> Option<Arc<Vec<u8>>> {
        self.kept().tables.get(&leaf).cloned()
    }

    /// Keeps the values of a dictionary, as the column holds them.
    pub(super) fn keep_table(&self, leaf: usize, values: &Arc<Vec<u8>>) {
        let mut kept = self.kept();
        let bytes = kept.bytes + values.capacity();
        if bytes <= self.most_bytes && !kept.tables.contains_key(&leaf) {
            kept.bytes = bytes;
            kept.tables.insert(leaf, Arc::clone(values));
        }
    }

    /// Keeps a copy of a page's body instead of an earlier page of its column.
    pub(super) fn keep(&self, leaf: usize, place: usize, body: &[u8]) {
        let (key, mut kept) = ((leaf, place == DICTIONARY), self.kept());
        let before = match kept.pages.get(&key) {
            Some(page) if page.place >= place => return,
            Some(page) => page.body.len(),
            None => 0,
        };
        let bytes = kept.bytes - before + body.len();
        if bytes <= self.most_bytes {
            kept.bytes = bytes;
            kept.pages.insert(key, Page { place, body: body.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_here_until_its_last_part_and_within_the_bound() {
        let pages = SharedPages::new(10);
        let mut found = [0; 4];
        assert!(!pages.copy(1, 100, &mut found, false));
        pages.keep(1, 100, &[1; 4]);
        pages.keep(1, DICTIONARY, &[2; 4]);
        pages.keep(2, 100, &[3; 4]);
        assert!(!pages.copy(2, 100, &mut found, false), "it does not fit");
        assert!(pages.copy(1, DICTIONARY, &mut found, false) && found == [2; 4]);
        pages.keep(1, 200, &[4; 4]);
        assert!(!pages.copy(1, 100, &mut found, false), "a later page is here instead");
        pages.keep(1, 100, &[1; 4]);
        assert!(pages.copy(1, 200, &mut found, false) && found == [4; 4], "not an earlier one");
        assert!(!pages.copy(1, 200, &mut [0; 3], false), "another length");
        assert!(pages.copy(1, 200, &mut found, true));
        assert!(!pages.copy(1, 200, &mut found, true), "nobody needed it any more");
        pages.keep(2, 100, &[3; 4]);
        assert!(pages.copy(2, 100, &mut found, false));
        let values = |byte: u8, length: usize| Arc::new(vec![byte; length]);
        pages.keep_table(1, &values(1, 3));
        assert!(pages.table(1).is_none(), "it does not fit");
        pages.keep_table(1, &values(2, 2));
        pages.keep_table(1, &values(3, 0));
        assert_eq!(pages.table(1).unwrap()[..], [2; 2], "the first one stays");
    }
}
