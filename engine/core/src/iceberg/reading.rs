//! Manifests -> their columns, from the cache of earlier plans or from the store, decoded away from the network's threads.
//!
//! Must not know: what is done with the columns. Neighbours: [`super::cache`] and [`super::decoded`] below, `plan` and
//! `changes` above.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::iceberg::cache::{Cache, Kept, Key};
use crate::iceberg::decoded::Decoded;
use crate::iceberg::listing::Judge;
use crate::iceberg::manifest_list::ManifestFile;
use crate::iceberg::manifests::spec_id_of;
use crate::iceberg::plan::blocking;
use crate::runtime::Cancel;
use crate::store::{Reader, Store};

/// One plan's way to its manifests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Manifests {
    store: Store,
    judge: Arc<Judge>,
    cache: Cache,
    reader: Reader,
    /// Threads for each of them
    threads: usize,
    cancel: Cancel,
}

/// A manifest that was read.
pub(crate) struct Read {
    pub(crate) manifest: ManifestFile,
    pub(crate) decoded: Decoded,
    /// Bytes that came from the store; None: none had to
    pub(crate) fetched: Option<usize>,
}

impl Manifests {
    /// For a plan that reads so many manifests.
    pub(crate) fn new(store: &Store, judge: &Arc<Judge>, count: usize, cancel: &Cancel) -> Result<Manifests> {
        let cores = crate::runtime::available_cores();
        Ok(Manifests {
            store: store.clone(),
            judge: Arc::clone(judge),
            cache: Cache::new(store.properties())?,
            reader: Reader::default(),
            threads: cores.div_ceil(count.max(1)),
            cancel: cancel.clone(),
        })
    }

    /// Reads one and does `work` with it on a thread that may compute. Errors name it.
    pub(crate) async fn with<T: Send + 'static>(
        self,
        mut manifest: ManifestFile,
        work: impl FnOnce(&Judge, Read, &Cancel) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.cancel.check()?;
        let path = manifest.path.clone();
        let key = self.key(&manifest).await?;
        let kept = key.as_ref().and_then(|key| self.cache.get(key));
        let kept = kept.filter(|kept| kept.bytes.is_some() || self.is_enough(&manifest, &kept.decoded));
        let bytes = match &kept {
            Some(_) => None,
            None => Some(self.store.read(&manifest.path, None).await?),
        };
        let done = blocking(move || {
            if let (None, Some(bytes)) = (manifest.spec_id, &bytes) {
                manifest.spec_id = Some(spec_id_of(bytes)?.unwrap_or(0));
            }
            let decoded = match &bytes {
                None => self.again(&manifest, key, kept)?,
                Some(bytes) => self.anew(&manifest, key, bytes)?,
            };
            let read = Read { manifest, decoded, fetched: bytes.map(|bytes| bytes.len()) };
            work(&self.judge, read, &self.cancel)
        });
        done.await.map_err(|e| e.at(path))
    }

    /// What names the manifest in the cache; None: it has no place there.
    async fn key(&self, manifest: &ManifestFile) -> Result<Option<Key>> {
        match manifest.length {
            Some(length) if !self.cache.is_off() => {
                let object = self.store.identify(&manifest.path, &self.reader).await?;
                Ok(object.map(|object| Key { object, length }))
            }
            _ => Ok(None),
        }
    }

    fn is_enough(&self, manifest: &ManifestFile, decoded: &Decoded) -> bool {
        let spec = self.judge.spec_of(manifest);
        let fits = spec.is_ok_and(|spec| decoded.fits(spec, manifest.content));
        fits && decoded.lacking(self.judge.fields_of(manifest)).is_empty()
    }

    fn anew(&self, manifest: &ManifestFile, key: Option<Key>, bytes: &[u8]) -> Result<Decoded> {
        let (spec, fields) = (self.judge.spec_of(manifest)?, self.judge.fields_of(manifest));
        let decoded = Decoded::new(bytes, manifest.content, spec, fields, self.threads, &self.cancel)?;
        if let Some(key) = key.filter(|key| key.length == bytes.len() as u64) {
            self.cache.put(key, Kept { bytes: Some(bytes.into()), decoded: decoded.clone() });
        }
        Ok(decoded)
    }

    /// From what was kept, if that is enough; else from its bytes.
    fn again(&self, manifest: &ManifestFile, key: Option<Key>, kept: Option<Kept>) -> Result<Decoded> {
        let missing = || Error::new(Kind::Internal, "a manifest that was not kept");
        let (Kept { bytes, mut decoded }, key) = kept.zip(key).ok_or_else(missing)?;
        if self.is_enough(manifest, &decoded) {
            return Ok(decoded);
        }
        let bytes = bytes.ok_or_else(missing)?;
        let (spec, fields) = (self.judge.spec_of(manifest)?, self.judge.fields_of(manifest));
        if decoded.fits(spec, manifest.content) {
            decoded.add(&bytes, &decoded.lacking(fields), self.threads, &self.cancel)?;
        } else {
            decoded = Decoded::new(&bytes, manifest.content, spec, fields, self.threads, &self.cancel)?;
        }
        self.cache.put(key, Kept { bytes: Some(bytes), decoded: decoded.clone() });
        Ok(decoded)
    }
}
