//! One version of one object: every answer must be of the version that the first one showed.
//!
//! Columns of one file come in many requests. If the object is replaced between two of them, the rows would be a
//! mixture, so that is an error. Must not know: how the identity was read.

use std::sync::{Mutex, PoisonError};

use super::retry::Failure;
use crate::error::Kind;

/// What tells one version of an object from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The ETag, or the time of change where there is none; for a file its time of change and inode.
    pub tag: Option<String>,
    /// Bytes of the whole object.
    pub size: u64,
}

#[derive(Debug, Default)]
struct Seen {
    size: Option<u64>,
    tag: Option<String>,
    answered: bool,
}

/// The version that all reads of an object share.
#[derive(Debug, Default)]
pub(crate) struct Pin(Mutex<Seen>);

impl Pin {
    /// A pin that knows the size from the table's metadata.
    pub(crate) fn with_size(size: Option<u64>) -> Pin {
        Pin(Mutex::new(Seen { size, ..Seen::default() }))
    }

    /// Bytes of the object, once known.
    pub(crate) fn size(&self) -> Option<u64> {
        self.seen().size
    }

    /// The tag to send as If-Match: none before the first answer, no weak one (it never matches, RFC 9110 13.1.1), and
    /// nothing that is not an ETag.
    pub(crate) fn if_match(&self) -> Option<String> {
        self.seen().tag.clone().filter(|tag| tag.starts_with('"'))
    }

    /// Whether a read may go on where another one broke off: only a tag tells that the object is still the same.
    pub(crate) fn is_tagged(&self) -> bool {
        self.seen().tag.is_some()
    }

    /// Takes the first identity, compares every later one with it.
    pub(crate) fn check(&self, found: Identity) -> Result<(), Failure> {
        let mut seen = self.seen();
        if let Some(size) = seen.size
            && size != found.size
        {
            let who = if seen.answered { "it had when the read began" } else { "the table's metadata says" };
            return Err(changed(format!("the object has {} bytes, not the {size} that {who}", found.size)));
        }
        if seen.answered && seen.tag != found.tag {
            return Err(changed(
                "another version of the object appeared during the read (its ETag changed)".to_owned(),
            ));
        }
        *seen = Seen { size: Some(found.size), tag: found.tag, answered: true };
        Ok(())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object is no longer the one the table means.
pub(crate) fn changed(message: String) -> Failure {
    Failure::lasting(Kind::ObjectChanged, message)
        .hint("data files of a table never change: something overwrote this one; read again, or restore the file")
}
