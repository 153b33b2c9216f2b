//! Files of this machine that are written: under another name first, on disk before they get their own.
//!
//! A reader sees a whole file or none, and so does whoever comes after a crash. Must not know: S3. All of it blocks.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::retry::Failure;
use crate::error::{Error, Kind, Result};

/// A file that does not have its name yet. Dropped, it is removed.
pub(crate) struct Placing {
    file: File,
    hidden: PathBuf,
    path: PathBuf,
    placed: bool,
}

impl Placing {
    /// Opens a hidden file beside the place, making the folders on the way.
    pub(crate) fn begin(path: &str) -> Result<Placing> {
        let path = PathBuf::from(path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::new(Kind::InvalidArgument, "the location names a folder, not a file"));
        };
        std::fs::create_dir_all(folder).map_err(|e| failure(&e))?;
        let hidden = folder.join(format!(".{}.{:016x}.tmp", name.to_string_lossy(), rand::random::<u64>()));
        let file = File::options().write(true).create_new(true).open(&hidden).map_err(|e| failure(&e))?;
        Ok(Placing { file, hidden, path, placed: false })
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| failure(&e).into())
    }

    /// Puts the file on disk and gives it its name; false if it may not replace one and there is one.
    pub(crate) fn finish(mut self, if_absent: bool) -> Result<bool> {
        self.file.sync_all().map_err(|e| failure(&e))?;
        if if_absent {
            // A link, unlike a rename, does not replace.
            match std::fs::hard_link(&self.hidden, &self.path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
                linked => linked.map_err(|e| failure(&e))?,
            }
        } else {
            std::fs::rename(&self.hidden, &self.path).map_err(|e| failure(&e))?;
            self.placed = true;
        }
        if let Some(folder) = self.path.parent() {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|e| failure(&e))?;
        }
        Ok(true)
    }
}

impl Drop for Placing {
    fn drop(&mut self) {
        if !self.placed {
            let _ = std::fs::remove_file(&self.hidden);
        }
    }
}

/// Removes a file; one that is not there is no error.
pub(crate) fn delete(path: &str) -> Result<()> {
    match std::fs::remove_file(Path::new(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failure(&error).into()),
        _ => Ok(()),
    }
}

fn failure(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Failure::lasting(Kind::Authentication, format!("this user may not write there: {error}"))
                .hint("check the permissions of the folder, or write to another warehouse")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Failure::lasting(Kind::Storage, format!("the disk is full: {error}")).hint("free space, then write again")
        }
        ErrorKind::NotADirectory => Failure::lasting(Kind::Storage, "a folder of the location is a file"),
        _ => Failure::lasting(Kind::Storage, format!("the file cannot be written: {error}")),
    }
}
