//! Manifests that earlier plans of this process read: bounded, and never lent from one reader of a store to another.
//!
//! A manifest never changes (spec: "Manifests"), so its place, its length and who reads it name it. What is kept is its
//! columns and its bytes as they came: a plan with another filter decodes more statistics from them. Where there is no room
//! for both, bytes go before columns, the oldest first. No plan drives out columns that it has used itself: of a table larger
//! than the bound a part stays, and is found again.
//! Plain memory, so a forked child has its parent's. Must not know: what is in a manifest, how it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// None: there was no room
    pub(crate) bytes: Option<Arc<[u8]>>,
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
    /// When those were used that have their bytes
    with_bytes: BTreeSet<u64>,
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
        if self.with_bytes.remove(&slot.used) {
            self.with_bytes.insert(self.uses);
        }
        (slot.used, slot.plan) = (self.uses, plan);
        Some(slot.kept.clone())
    }

    /// Returns what had to go.
    fn put(&mut self, key: Key, mut kept: Kept, plan: u64, bound: usize) -> Vec<Kept> {
        let length = |kept: &Kept| kept.bytes.as_ref().map_or(0, |bytes| bytes.len());
        let mut size = length(&kept) + kept.decoded.size() + 2 * (key.object.size() + size_of::<Key>());
        let mut out: Vec<Kept> = self.take(&key).into_iter().collect();
        while self.bytes + size > bound {
            if let Some(bytes) = self.strip_oldest() {
                out.push(bytes);
            } else if let Some(bytes) = kept.bytes.take() {
                size -= bytes.len();
            } else if let Some(oldest) = self.oldest_of_others(plan) {
                out.extend(self.take(&oldest));
            } else {
                return out;
            }
        }
        self.uses += 1;
        self.bytes += size;
        self.by_use.insert(self.uses, key.clone());
        if kept.bytes.is_some() {
            self.with_bytes.insert(self.uses);
        }
        self.by_key.insert(key, Slot { kept, size, used: self.uses, plan });
        out
    }

    fn take(&mut self, key: &Key) -> Option<Kept> {
        let slot = self.by_key.remove(key)?;
        self.by_use.remove(&slot.used);
        self.with_bytes.remove(&slot.used);
        self.bytes -= slot.size;
        Some(slot.kept)
    }

    /// The bytes of the manifest that was used longest ago among those that have theirs.
    fn strip_oldest(&mut self) -> Option<Kept> {
        let used = self.with_bytes.pop_first()?;
        let slot = self.by_key.get_mut(self.by_use.get(&used)?)?;
        let bytes = slot.kept.bytes.take()?;
        slot.size -= bytes.len();
        self.bytes -= bytes.len();
        Some(Kept { bytes: Some(bytes), decoded: slot.kept.decoded.clone() })
    }

    fn oldest_of_others(&self, plan: u64) -> Option<Key> {
        let (_, oldest) = self.by_use.first_key_value()?;
        self.by_key.get(oldest).filter(|slot| slot.plan != plan).map(|_| oldest.clone())
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
        Kept { bytes: Some(vec![0; size].into()), decoded }
    }

    fn key(name: &str) -> Key {
        Key { object: Identity::of_test(name), length: 7 }
    }

    fn length(manifests: &mut Manifests, name: &str, plan: u64) -> Option<usize> {
        manifests.get(&key(name), plan).map(|kept| kept.bytes.map_or(0, |bytes| bytes.len()))
    }

    /// Columns alone take so much.
    fn columns() -> usize {
        let mut manifests = Manifests::default();
        manifests.put(key("a"), kept(0), 0, usize::MAX);
        manifests.bytes
    }

    fn check(manifests: &Manifests, bound: usize) {
        let sizes: usize = manifests.by_key.values().map(|slot| slot.size).sum();
        assert_eq!((manifests.by_key.len(), manifests.bytes), (manifests.by_use.len(), sizes));
        assert!(manifests.bytes <= bound);
        let with_bytes = manifests.by_key.values().filter(|slot| slot.kept.bytes.is_some()).count();
        assert_eq!(manifests.with_bytes.len(), with_bytes);
    }

    #[test]
    fn bytes_go_before_columns_and_the_oldest_first() {
        let (mut manifests, bound) = (Manifests::default(), 3 * columns() + 25_000);
        for (plan, name) in ["a", "b", "c"].into_iter().enumerate() {
            manifests.put(key(name), kept(10_000), plan as u64, bound);
            assert!(length(&mut manifests, "a", 9).is_some(), "used between");
            check(&manifests, bound);
        }
        assert_eq!(length(&mut manifests, "b", 9), Some(0), "its bytes are gone");
        assert_eq!(length(&mut manifests, "a", 9), Some(10_000));
        assert_eq!(length(&mut manifests, "c", 9), Some(10_000));
        manifests.put(key("d"), kept(90_000), 10, bound);
        check(&manifests, bound);
        let of_all = ["d", "b", "c", "a"].map(|name| length(&mut manifests, name, 11));
        assert_eq!(of_all, [Some(0); 4]);
        manifests.put(key("e"), kept(0), 12, 3 * columns());
        check(&manifests, 3 * columns());
        let of_all = ["a", "b", "c", "d", "e"].map(|name| length(&mut manifests, name, 13));
        assert_eq!(of_all, [Some(0), None, Some(0), None, Some(0)], "the oldest two are gone");
        manifests.put(key("f"), kept(0), 14, columns() / 2);
        check(&manifests, 0);
    }

    #[test]
    fn a_plan_does_not_drive_out_its_own() {
        let (mut manifests, bound) = (Manifests::default(), 2 * columns() + 100);
        for plan in 0..3 {
            for name in ["a", "b", "c", "d"] {
                if manifests.get(&key(name), plan).is_none() {
                    manifests.put(key(name), kept(10_000), plan, bound);
                }
                check(&manifests, bound);
            }
            assert!(manifests.get(&key("a"), plan).is_some() && manifests.get(&key("b"), plan).is_some());
        }
    }

    #[test]
    fn what_is_said_again_takes_the_place_of_what_was() {
        let mut manifests = Manifests::default();
        manifests.put(key("a"), kept(20_000), 1, 30_000);
        manifests.put(key("a"), kept(25_000), 1, 50_000);
        assert_eq!(length(&mut manifests, "a", 1), Some(25_000));
        check(&manifests, 50_000);
        manifests.put(Key { length: 8, ..key("a") }, kept(1), 1, 50_000);
        assert!(manifests.get(&Key { length: 9, ..key("a") }, 1).is_none(), "another length is another manifest");
    }
}
