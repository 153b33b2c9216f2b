//! Manifests that earlier plans of this process read: bounded, and never lent from one reader of a store to another.
//!
//! A manifest never changes (spec: "Manifests"), so its place, its length and who reads it name it. What is kept is its
//! columns and its bytes as they came: a plan with another filter decodes more statistics from them. The oldest goes first,
//! but no plan drives out what it has used itself: of a table larger than the bound a part stays, and is found again.
//! Plain memory, so a forked child has its parent's. Must not know: what is in a manifest, how it is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::iceberg::decoded::Decoded;
use crate::store::{Identity, Properties};

/// Property of a catalog or table, Iceberg's own name: most bytes of manifests that the process keeps; 0 keeps none.
const BOUND_PROPERTY: &str = "io.manifest.cache.max-total-bytes";
/// A quarter of a million files by what PyIceberg writes, half a million by what Iceberg's Java writes.
const DEFAULT_BOUND: usize = 256 << 20;

/// What names a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) object: Identity,
    pub(crate) length: u64,
}

/// What is kept of a manifest. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) decoded: Decoded,
}

/// One plan's way to the cache.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    plan: u64,
    bound: usize,
}

#[derive(Default)]
struct Manifests {
    by_key: HashMap<Key, Slot>,
    /// Keys by when they were used last
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

struct Slot {
    kept: Kept,
    size: usize,
    used: u64,
    /// The plan that used it last
    plan: u64,
}

/// A second in all.
const TRIES: usize = 10_000;
const BETWEEN_TRIES: Duration = Duration::from_micros(100);

static MANIFESTS: Mutex<Option<Manifests>> = Mutex::new(None);
static PLANS: AtomicU64 = AtomicU64::new(0);

impl Cache {
    /// For a new plan of a table with these properties.
    pub(crate) fn new(properties: &Properties) -> Result<Cache> {
        let bound = match properties.get(BOUND_PROPERTY).map(|text| text.trim()).filter(|text| !text.is_empty()) {
            None => DEFAULT_BOUND,
            Some(text) => text.parse().map_err(|_| {
                let message = format!("property {BOUND_PROPERTY}: {text:?} is not a number of bytes");
                Error::new(Kind::Configuration, message).hint("0 keeps no manifest")
            })?,
        };
        Ok(Cache { plan: PLANS.fetch_add(1, Ordering::Relaxed), bound })
    }

    /// Nothing is kept, and nothing found.
    pub(crate) fn is_off(&self) -> bool {
        self.bound == 0
    }

    /// What is kept of a manifest.
    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        lock()?.as_mut()?.get(key, self.plan)
    }

    /// Keeps a manifest, or what is now known of one that is kept, if there is room.
    pub(crate) fn put(&self, key: Key, kept: Kept) {
        let out = lock().map(|mut manifests| manifests.get_or_insert_default().put(key, kept, self.plan, self.bound));
        drop(out); // not under the lock
    }
}

/// Forgets all manifests. Returns their bytes.
pub fn release() -> usize {
    let manifests = lock().and_then(|mut manifests| manifests.take());
    manifests.map_or(0, |manifests| manifests.bytes)
}

/// (manifests that are kept, their bytes)
pub fn state() -> (usize, usize) {
    let state = |manifests: &Manifests| (manifests.by_key.len(), manifests.bytes);
    lock().and_then(|manifests| manifests.as_ref().map(state)).unwrap_or_default()
}

/// None where a thread of a parent process held the lock when it forked: it will never be released here, and there is no
/// cache in this process. Whoever else holds it does so for microseconds, however long the system lets him wait.
fn lock() -> Option<MutexGuard<'static, Option<Manifests>>> {
    static LOST_IN: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    if LOST_IN.load(Ordering::Relaxed) == pid {
        return None;
    }
    for attempt in 0..TRIES {
        match MANIFESTS.try_lock() {
            Ok(manifests) => return Some(manifests),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if attempt < 100 => std::thread::yield_now(),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
        }
    }
    LOST_IN.store(pid, Ordering::Relaxed);
    None
}

impl Manifests {
    fn get(&mut self, key: &Key, plan: u64) -> Option<Kept> {
        self.uses += 1;
        let slot = self.by_key.get_mut(key)?;
        self.by_use.remove(&slot.used);
        self.by_use.insert(self.uses, key.clone());
        (slot.used, slot.plan) = (self.uses, plan);
        Some(slot.kept.clone())
    }

    /// Returns what had to go.
    fn put(&mut self, key: Key, kept: Kept, plan: u64, bound: usize) -> Vec<Slot> {
        let size = kept.bytes.len() + kept.decoded.size() + 2 * (key.object.size() + size_of::<Key>());
        let mut out: Vec<Slot> = self.take(&key).into_iter().collect();
        while self.bytes + size > bound {
            let Some(oldest) = self.by_use.values().next().cloned() else { return out };
            if self.by_key.get(&oldest).is_some_and(|slot| slot.plan == plan) {
                return out;
            }
            out.extend(self.take(&oldest));
        }
        self.uses += 1;
        self.bytes += size;
        self.by_use.insert(self.uses, key.clone());
        self.by_key.insert(key, Slot { kept, size, used: self.uses, plan });
        out
    }

    fn take(&mut self, key: &Key) -> Option<Slot> {
        let slot = self.by_key.remove(key)?;
        self.by_use.remove(&slot.used);
        self.bytes -= slot.size;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iceberg::avro::testing::{Encoder, file};
    use crate::iceberg::manifest_list::Content;
    use crate::iceberg::specs::PartitionSpec;
    use crate::runtime::Cancel;

    const SCHEMA: &str = r#"{"type": "record", "name": "manifest_entry", "fields": [
        {"name": "status", "type": "int", "field-id": 0},
        {"name": "data_file", "field-id": 2, "type": {"type": "record", "name": "r2", "fields": [
            {"name": "file_path", "type": "string", "field-id": 100},
            {"name": "file_format", "type": "string", "field-id": 101},
            {"name": "record_count", "type": "long", "field-id": 103},
            {"name": "file_size_in_bytes", "type": "long", "field-id": 104}]}}]}"#;

    fn kept(size: usize) -> Kept {
        let entry = Encoder::default().long(1).bytes("s3://b/t/1.parquet").bytes("PARQUET").long(10).long(100);
        let bytes = file(SCHEMA, "null", &[&[entry]]);
        let spec = PartitionSpec { id: 0, fields: Vec::new() };
        let decoded = Decoded::new(&bytes, Content::Data, &spec, &[], 1, &Cancel::default()).unwrap();
        Kept { bytes: vec![0; size].into(), decoded }
    }

    fn key(name: &str) -> Key {
        Key { object: Identity::of_test(name), length: 7 }
    }

    #[test]
    fn the_oldest_goes_first_and_the_bound_holds() {
        let mut manifests = Manifests::default();
        for (plan, name) in ["a", "b", "c"].into_iter().enumerate() {
            manifests.put(key(name), kept(10_000), plan as u64, 30_000);
            assert!(manifests.bytes <= 30_000 && manifests.bytes >= 10_000);
            assert!(manifests.get(&key("a"), 9).is_some(), "used between");
        }
        assert!(manifests.get(&key("b"), 9).is_none());
        assert!(manifests.get(&key("c"), 9).is_some());
        manifests.put(key("huge"), kept(40_000), 10, 30_000);
        assert!(manifests.get(&key("huge"), 11).is_none());
        let left: usize = manifests.by_key.values().map(|slot| slot.size).sum();
        assert_eq!((manifests.by_key.len(), manifests.bytes), (manifests.by_use.len(), left));
    }

    #[test]
    fn a_plan_does_not_drive_out_its_own() {
        let mut manifests = Manifests::default();
        for plan in 0..3 {
            for name in ["a", "b", "c", "d"] {
                if manifests.get(&key(name), plan).is_none() {
                    manifests.put(key(name), kept(10_000), plan, 30_000);
                }
            }
            assert!(manifests.get(&key("a"), plan).is_some() && manifests.get(&key("b"), plan).is_some());
        }
    }

    #[test]
    fn what_is_said_again_takes_the_place_of_what_was() {
        let mut manifests = Manifests::default();
        manifests.put(key("a"), kept(20_000), 1, 30_000);
        manifests.put(key("a"), kept(25_000), 1, 30_000);
        assert_eq!(manifests.get(&key("a"), 1).map(|kept| kept.bytes.len()), Some(25_000));
        assert_eq!(manifests.by_use.len(), 1);
        manifests.put(Key { length: 8, ..key("a") }, kept(1), 1, 30_000);
        assert!(manifests.get(&Key { length: 9, ..key("a") }, 1).is_none(), "another length is another manifest");
    }
}
