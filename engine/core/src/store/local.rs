//! Files of this machine: positioned reads on blocking threads, and listings of folders.
//!
//! No mmap: a file truncated under a map kills the process. Must not know: S3, pins' meaning.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::Listed;
use super::answer::too_short;
use super::pin::Identity;
use super::retry::Failure;
use crate::error::{Error, Kind, Result};

/// Folders nested deeper are taken for a loop of links.
const DEEPEST: usize = 64;

/// A file that is open, and what it was then.
pub(crate) struct Opened {
    file: File,
    pub identity: Identity,
}

/// Opens a file. Blocks.
pub(crate) fn open(path: &str) -> Result<Opened, Failure> {
    let file = File::open(path).map_err(|e| failure(&e))?;
    let metadata = file.metadata().map_err(|e| failure(&e))?;
    if metadata.is_dir() {
        return Err(Failure::lasting(Kind::ObjectNotFound, "this is a folder, not a file"));
    }
    Ok(Opened { file, identity: identity(&metadata) })
}

impl Opened {
    /// Fills the memory with the bytes from `start` on. Blocks.
    pub(crate) fn read(&self, start: u64, into: &mut [u8]) -> Result<(), Failure> {
        let range = start..start.saturating_add(into.len() as u64);
        if range.end > self.identity.size {
            return Err(too_short(self.identity.size, &range));
        }
        self.file.read_exact_at(into, start).map_err(|e| failure(&e))
    }
}

/// Bytes of a file. Blocks.
pub(crate) fn size(path: &str) -> Result<u64, Failure> {
    let metadata = std::fs::metadata(path).map_err(|e| failure(&e))?;
    if metadata.is_dir() {
        Err(Failure::lasting(Kind::ObjectNotFound, "this is a folder, not a file"))
    } else {
        Ok(metadata.len())
    }
}

fn identity(metadata: &Metadata) -> Identity {
    let tag = format!("{}.{:09}-{}", metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
    Identity { tag: Some(tag), size: metadata.len() }
}

fn failure(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Failure::lasting(Kind::ObjectNotFound, "the file does not exist")
        }
        ErrorKind::PermissionDenied => Failure::lasting(Kind::Authentication, "this user may not read the file")
            .hint("check the permissions of the file and of the folders above it"),
        ErrorKind::UnexpectedEof => super::pin::changed("the file became shorter during the read".to_owned()),
        _ => Failure::lasting(Kind::Storage, format!("the file cannot be read: {error}")),
    }
}

/// Every file below a folder, by its path relative to the folder; none if there is no such folder. Blocks.
pub(crate) fn list(folder: &str, most: usize) -> Result<Vec<Listed>> {
    let mut files = Vec::new();
    let mut pending = vec![(String::new(), 0)];
    while let Some((relative, depth)) = pending.pop() {
        let path = format!("{folder}/{relative}");
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::from(failure(&error)).at(path)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::from(failure(&e)).at(path.clone()))?;
            let Ok(name) = entry.file_name().into_string() else { continue }; // no location can name it
            let name = if relative.is_empty() { name } else { format!("{relative}/{name}") };
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue }; // gone, or a broken link
            match metadata.is_dir() {
                true if depth < DEEPEST => pending.push((name, depth + 1)),
                true => return Err(Error::new(Kind::Storage, format!("folders nested deeper than {DEEPEST}")).at(path)),
                false => files.push(listed(name, &metadata)),
            }
        }
        if files.len() > most {
            return Err(Error::new(Kind::MemoryLimit, format!("more than {most} files")).at(folder));
        }
    }
    Ok(files)
}

fn listed(name: String, metadata: &Metadata) -> Listed {
    let modified_ms = metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000);
    Listed { location: name, size: metadata.len(), modified_ms: Some(modified_ms) }
}
