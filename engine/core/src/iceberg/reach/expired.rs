//! What only expired snapshots reach, removed.
//!
//! ```json
//! {"expired": [{"manifest_list": "s3://...", "manifests": []}], "kept": [...], "keep": ["s3://..."],
//!  "statistics": ["s3://..."]}
//! ```
//!
//! `statistics` are files of the expired snapshots, `keep` what else is in use. The answer counts what was removed:
//! `{"data": 1, "position_deletes": 0, "equality_deletes": 0, "manifests": 2, "manifest_lists": 1, "statistics": 0}`.
//!
//! Files go before the manifests that name them, so that whoever dies on the way leaves nothing that could not be found
//! again. Manifests of what is kept are read only if something is to go. Must not know: which snapshots expire.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::places::Places;
use super::walk::{self, Named};
use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;
use crate::store::Store;

/// Objects that are removed between two looks at whether the caller gave up.
const CHUNK: usize = 1000;

#[derive(Deserialize)]
struct Request {
    expired: Vec<Named>,
    kept: Vec<Named>,
    keep: Vec<String>,
    statistics: Vec<String>,
}

#[derive(Default, Serialize)]
struct Answer {
    data: usize,
    position_deletes: usize,
    equality_deletes: usize,
    manifests: usize,
    manifest_lists: usize,
    statistics: usize,
}

/// Removes what expired snapshots reach and none of those that are kept, nor anything named besides.
///
/// # Errors
/// What reading metadata raises; then nothing was removed. What removing raises; the others are gone by then.
pub async fn remove_expired(store: &Store, asked: &str, cancel: &Cancel) -> Result<String> {
    let asked: Request = serde_json::from_str(asked)
        .map_err(|e| Error::new(Kind::InvalidArgument, format!("not a request to expire: {e}")))?;
    let mut in_use = Places::default();
    asked.keep.iter().for_each(|each| in_use.insert(each));
    asked.kept.iter().filter_map(|each| each.manifest_list.as_deref()).for_each(|list| in_use.insert(list));
    let kept = walk::manifests(store, &asked.kept, false, cancel).await?;
    kept.iter().for_each(|path| in_use.insert(path));

    let mut manifests = walk::manifests(store, &asked.expired, true, cancel).await?;
    manifests.retain(|path| !in_use.hold(path));
    let mut files = HashSet::new();
    if !manifests.is_empty() {
        let named = walk::files(store, manifests.clone(), true, cancel, |content, path| (content, path.to_string()));
        files.extend(named.await?);
        in_use.extend(walk::files(store, kept, false, cancel, |_, path| super::places::hash(path)).await?);
    }
    let lists: HashSet<String> = asked.expired.into_iter().filter_map(|each| each.manifest_list).collect();
    let unused = |location: &String| !in_use.hold(location);
    let of = |content: i64| files.iter().filter(move |each| each.0 == content).map(|each| each.1.clone());
    let answer = Answer {
        data: remove(store, of(0).filter(unused).collect(), cancel).await?,
        position_deletes: remove(store, of(1).filter(unused).collect(), cancel).await?,
        equality_deletes: remove(store, of(2).filter(unused).collect(), cancel).await?,
        statistics: remove(store, asked.statistics.into_iter().filter(unused).collect(), cancel).await?,
        manifests: remove(store, manifests, cancel).await?,
        manifest_lists: remove(store, lists.into_iter().filter(unused).collect(), cancel).await?,
    };
    serde_json::to_string(&answer).map_err(|e| Error::new(Kind::Internal, e.to_string()))
}

async fn remove(store: &Store, locations: Vec<String>, cancel: &Cancel) -> Result<usize> {
    for chunk in locations.chunks(CHUNK) {
        cancel.check()?;
        store.delete(chunk).await?;
    }
    Ok(locations.len())
}
