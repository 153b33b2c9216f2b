//! One error for the whole engine: a kind, a message, and the place it happened.
//!
//! The kind decides which Python class is raised (`headrace.errors`); the binding does that by name and nothing else
//! knows of Python. Messages never hold credentials: whoever builds one from a URL strips its query first.

use std::fmt;
use std::ops::Range;

/// What went wrong, named after the class of `headrace.errors` that a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A property, file or variable that cannot be used: `ConfigurationError`.
    Configuration,
    /// A bad value from the caller: `InvalidArgument`.
    InvalidArgument,
    /// A column that is not there: `ColumnNotFound`.
    ColumnNotFound,
    /// Credentials missing, wrong or expired: `AuthenticationError`.
    Authentication,
    /// Bytes that did not come for another reason: `StorageError`.
    Storage,
    /// The object is not there: `ObjectNotFound`.
    ObjectNotFound,
    /// No connection, or none that stayed: `UnreachableError`.
    Unreachable,
    /// Another version of an object appeared during a read: `ObjectChanged`.
    ObjectChanged,
    /// A location outside the allowed ones: `LocationRefused`.
    LocationRefused,
    /// The store asked us to slow down until we gave up: `MetaflowTableRateLimitException`.
    RateLimit,
    /// Metadata (Avro, JSON) that cannot be what it says it is: `MetaflowTableInvalidData`.
    InvalidData,
    /// A damaged Parquet file: `ParquetDecodingException`.
    ParquetDecoding,
    /// A Parquet file that could not be made: `ParquetEncodingException`.
    ParquetEncoding,
    /// A file or type that does not fit the table's schema: `MetaflowTableTypeMismatch`.
    TypeMismatch,
    /// Readable in principle, not by this version: `UnsupportedError`.
    Unsupported,
    /// Refused before memory hurts: `MemoryLimitError`.
    MemoryLimit,
    /// The caller gave up (Ctrl-C); the binding raises what interrupted it.
    Cancelled,
    /// A fault of the engine itself: `EngineError`.
    Internal,
}

impl Kind {
    /// Name of the class in `headrace.errors`.
    pub fn class_name(self) -> &'static str {
        match self {
            Kind::Configuration => "ConfigurationError",
            Kind::InvalidArgument => "InvalidArgument",
            Kind::ColumnNotFound => "ColumnNotFound",
            Kind::Authentication => "AuthenticationError",
            Kind::Storage => "StorageError",
            Kind::ObjectNotFound => "ObjectNotFound",
            Kind::Unreachable => "UnreachableError",
            Kind::ObjectChanged => "ObjectChanged",
            Kind::LocationRefused => "LocationRefused",
            Kind::RateLimit => "MetaflowTableRateLimitException",
            Kind::InvalidData => "MetaflowTableInvalidData",
            Kind::ParquetDecoding => "ParquetDecodingException",
            Kind::ParquetEncoding => "ParquetEncodingException",
            Kind::TypeMismatch => "MetaflowTableTypeMismatch",
            Kind::Unsupported => "UnsupportedError",
            Kind::MemoryLimit => "MemoryLimitError",
            Kind::Cancelled | Kind::Internal => "EngineError",
        }
    }
}

/// The engine's error. Built with [`Error::new`], then told its place with [`Error::at`], [`Error::bytes`], [`Error::hint`].
#[derive(Debug)]
pub struct Error(Box<Detail>);

#[derive(Debug)]
struct Detail {
    kind: Kind,
    message: String,
    location: Option<String>,
    byte_range: Option<Range<u64>>,
    hint: Option<String>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` says what failed, what was found and what was expected.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Detail { kind, message: message.into(), location: None, byte_range: None, hint: None }))
    }

    /// Names the object or file, unless an inner room has already named it.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.0.location.get_or_insert_with(|| location.into());
        self
    }

    /// Names the byte range within the location.
    #[must_use]
    pub fn bytes(mut self, range: Range<u64>) -> Self {
        self.0.byte_range.get_or_insert(range);
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What failed, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The object or file, where one is known.
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The byte range, where one is known.
    pub fn byte_range(&self) -> Option<Range<u64>> {
        self.0.byte_range.clone()
    }

    /// What to do next, where something can be done.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message)?;
        if let Some(location) = &self.0.location {
            write!(f, " [{location}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
