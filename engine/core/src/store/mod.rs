//! Locations -> objects: which store a location belongs to, and with which properties and credentials it is read.
//!
//! Nothing is connected when a [`Store`] is made; buckets, clients and credentials are made on first use in each process,
//! so a forked child has its own. Its futures run on the engine's runtime ([`crate::runtime`]). Must not know: Parquet,
//! Iceberg, which ranges belong together ([`crate::fetch`] does).
//!
//! Inside, top to bottom: [`transfer`] repeats attempts; [`s3`] makes one over the [`wire`], [`answer`] judges its head,
//! [`answered`] brings its body into [`memory`]; [`local`] reads files; [`list`] lists, [`moment`] reads its times;
//! [`upload`] writes, [`multipart`] what is large, [`placed`] files; [`credentials`] signs, with what [`settings`] or [`ambient`] knows; [`location`] parses and refuses.

mod ambient;
mod answer;
mod answered;
mod counters;
mod credentials;
mod identity;
mod list;
mod local;
mod location;
pub(crate) mod memory;
mod moment;
mod multipart;
mod pin;
mod placed;
mod retry;
mod s3;
#[cfg(test)]
pub(crate) mod scripted;
mod settings;
mod transfer;
mod upload;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
pub use object_store::PutPayload;

use crate::error::{Error, Kind, Result};
use crate::runtime::PerProcess;
pub(crate) use answer::Wanted;
pub use counters::Counters;
use credentials::Credentials;
pub use credentials::{CredentialSource, aws_credentials};
pub(crate) use identity::{Identity, Reader};
pub(crate) use location::same_place;
use location::{ALLOWED_PROPERTY, Allowed, LocationMap, MAP_PROPERTY, Place};
pub(crate) use pin::Pin;
use s3::Bucket;
use settings::Settings;
use transfer::Source;
pub(crate) use transfer::checked_length;
pub use upload::{PIECE_BYTES, Writer};

/// Properties of a catalog or table, PyIceberg's names (`s3.endpoint`, ...).
pub type Properties = HashMap<String, String>;

/// Largest object that [`Store::read`] reads whole.
const LARGEST_WHOLE: u64 = 2 << 30;
/// Most objects of one listing.
const LONGEST_LISTING: usize = 20_000_000;

/// Every object that one table may read. Cheap to clone. Debug shows no secret.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    properties: Properties,
    settings: Arc<Settings>,
    map: LocationMap,
    allowed: Option<Allowed>,
    refresh: Option<Arc<dyn CredentialSource>>,
    /// Who reads, where credentials come and go
    reader: Option<String>,
    session: PerProcess<Session>,
}

/// An object as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it is, in the spelling of what was listed
    pub location: String,
    /// Bytes
    pub size: u64,
    /// When it was written, milliseconds since 1970-01-01 UTC; None if the store does not say
    pub modified_ms: Option<i64>,
}

/// What belongs to one process.
struct Session {
    credentials: Arc<Credentials>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

/// A location that was looked up and may be read.
#[derive(Clone)]
pub(crate) enum Object {
    S3 { bucket: Arc<Bucket>, key: String },
    Local { path: String },
}

impl Object {
    pub(crate) fn source(&self) -> Source<'_> {
        match self {
            Object::S3 { bucket, key } => Source::S3 { bucket, key },
            Object::Local { path } => Source::Local { path },
        }
    }

    /// Whether one long read gains from being several.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Object::S3 { .. })
    }
}

impl Store {
    /// A store with these properties.
    ///
    /// # Errors
    /// `Configuration` for a property that cannot be used. Nothing is connected yet.
    pub fn new(properties: Properties) -> Result<Store> {
        let settings = Arc::new(Settings::new(&properties)?);
        let map = LocationMap::parse(properties.get(MAP_PROPERTY).map_or("", String::as_str))?;
        Ok(Store {
            shared: Arc::new(Shared {
                properties,
                settings,
                map,
                allowed: None,
                refresh: None,
                reader: None,
                session: PerProcess::new(),
            }),
        })
    }

    /// The same store, refusing every location outside these prefixes and those of property `allowed-locations`.
    #[must_use]
    pub fn with_allowed(self, mut prefixes: Vec<String>) -> Store {
        let configured = self.shared.properties.get(ALLOWED_PROPERTY).map_or("", String::as_str);
        prefixes
            .extend(configured.split(',').map(|prefix| prefix.trim().to_owned()).filter(|prefix| !prefix.is_empty()));
        self.rebuilt(|shared| shared.allowed = Some(Allowed::new(prefixes)))
    }

    /// The same store, whose credentials are renewed by `source`.
    #[must_use]
    pub fn with_refresh(self, source: Arc<dyn CredentialSource>) -> Store {
        self.rebuilt(|shared| shared.refresh = Some(source))
    }

    /// The same store, which reads for `reader`, whatever the credential is that was vended last: a text that stands for
    /// what the reader proved itself with, and for no other reader.
    #[must_use]
    pub fn with_reader(self, reader: String) -> Store {
        self.rebuilt(|shared| shared.reader = Some(reader))
    }

    fn rebuilt(self, change: impl FnOnce(&mut Shared)) -> Store {
        let old = &self.shared;
        let mut shared = Shared {
            properties: old.properties.clone(),
            settings: Arc::clone(&old.settings),
            map: old.map.clone(),
            allowed: old.allowed.clone(),
            refresh: old.refresh.clone(),
            reader: old.reader.clone(),
            session: PerProcess::new(),
        };
        change(&mut shared);
        Store { shared: Arc::new(shared) }
    }

    /// The properties it was made with. They hold secrets.
    pub fn properties(&self) -> &Properties {
        &self.shared.properties
    }

    /// Reads a whole object (at most 2 GiB), or a half-open range of it. For things of a manifest's size.
    pub async fn read(&self, location: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let (pin, counters) = (Pin::default(), Counters::default());
        let read = async {
            let object = self.open(location)?;
            match range {
                None => {
                    let discovered = object.source().discover(Wanted::Whole, &pin, &counters, LARGEST_WHOLE).await;
                    discovered.map(|(_, bytes)| bytes)
                }
                Some(range) if range.start >= range.end => Ok(Bytes::new()),
                Some(range) => {
                    let (frozen, slot) = memory::room(checked_length(&range, LARGEST_WHOLE)?)?;
                    object.source().fill(range, &pin, slot, &counters).await?;
                    memory::bytes(frozen)
                }
            }
        };
        read.await.map_err(|error: Error| error.at(location))
    }

    /// What tells an object apart from all others, and its readers from one another, for caches; refuses a location as
    /// `read` does. None: it cannot be told. `reader` is found once for many objects.
    pub(crate) async fn identify(&self, location: &str, reader: &Reader) -> Result<Option<Identity>> {
        let identify = async {
            match self.open(location)? {
                Object::Local { path } => blocking(move || Ok(identity::of_file(&path))).await,
                Object::S3 { bucket, key } => {
                    let session = self.session()?;
                    let named = self.shared.reader.as_deref();
                    let told = reader.told(named, &self.shared.settings, &session.credentials).await?;
                    Ok(Some(Identity::of_object(told, &bucket.base, &key)))
                }
            }
        };
        identify.await.map_err(|error: Error| error.at(location))
    }

    /// Bytes of an object.
    pub async fn size(&self, location: &str) -> Result<u64> {
        let size = async {
            match self.open(location)? {
                Object::Local { path } => blocking(move || local::size(&path).map_err(Error::from)).await,
                object @ Object::S3 { .. } => {
                    // The last byte, not HEAD: a refusal then says why, and reading needs no other permission.
                    let (pin, counters) = (Pin::default(), Counters::default());
                    object.source().discover(Wanted::Suffix(1), &pin, &counters, 1).await.map(|(range, _)| range.end)
                }
            }
        };
        size.await.map_err(|error: Error| error.at(location))
    }

    /// Every object below a folder, recursively: (location in the caller's spelling, bytes), sorted by location. A folder
    /// that does not exist is empty.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let objects = self.list_objects(prefix).await?;
        Ok(objects.into_iter().map(|each| (each.location, each.size)).collect())
    }

    /// The same, with the time of each object.
    pub async fn list_objects(&self, prefix: &str) -> Result<Vec<Listed>> {
        let list = async {
            let folder = prefix.trim_end_matches('/');
            let mut objects = match self.open(prefix)? {
                Object::Local { path } => {
                    blocking(move || local::list(path.trim_end_matches('/'), LONGEST_LISTING)).await?
                }
                Object::S3 { bucket, key } => {
                    let key = if key.is_empty() { key } else { format!("{}/", key.trim_end_matches('/')) };
                    let mut objects = list::list(&bucket, &key, LONGEST_LISTING).await?;
                    objects.retain(|each| each.location.starts_with(&key));
                    objects.iter_mut().for_each(|each| drop(each.location.drain(..key.len())));
                    objects
                }
            };
            objects.iter_mut().for_each(|each| each.location = format!("{folder}/{}", each.location));
            objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
            Ok(objects)
        };
        list.await.map_err(|error: Error| error.at(prefix))
    }

    /// Looks a location up: rewrites it, checks that it may be read, finds its bucket.
    pub(crate) fn open(&self, location: &str) -> Result<Object> {
        let mapped = self.shared.map.apply(location);
        let place = Place::parse(mapped.as_deref().unwrap_or(location)).map_err(|error| renamed(error, location))?;
        if let Some(allowed) = &self.shared.allowed {
            // Allowed as the table names it, or as it is opened: the map is the user's own.
            let original = Place::parse(location).ok();
            let places: Vec<&Place> = original.iter().chain([&place]).collect();
            allowed.check(location, &places)?;
        }
        match place {
            Place::Local(path) => Ok(Object::Local { path }),
            Place::S3 { bucket, key } => Ok(Object::S3 { bucket: self.bucket(&bucket)?, key }),
        }
    }

    fn bucket(&self, name: &str) -> Result<Arc<Bucket>> {
        let session = self.session()?;
        let mut buckets = session.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = Bucket::new(name, Arc::clone(&self.shared.settings), Arc::clone(&session.credentials))?;
        let bucket = Arc::new(bucket);
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    fn session(&self) -> Result<Arc<Session>> {
        self.shared.session.get_or_try_init(|| {
            let credentials = Arc::new(Credentials::new(&self.shared.settings, self.shared.refresh.clone()));
            Ok(Session { credentials, buckets: Mutex::default() })
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// The same error, naming the location as the table has it rather than as it was rewritten.
fn renamed(error: Error, location: &str) -> Error {
    let renamed = Error::new(error.kind(), error.message()).at(location);
    match error.hint_text() {
        Some(hint) => renamed.hint(hint),
        None => renamed,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|_| Error::new(Kind::Internal, "a task of the file system broke off"))?
}
