//! Locations: text as the table has it -> a place that can be opened, or a refusal.
//!
//! Keys of S3 are raw text, not percent-encoded: what the location holds is the key that is asked for. Must not know:
//! HTTP, credentials. Neighbours: [`super::Store`] asks, [`super::s3`] and [`super::local`] open.

use crate::error::{Error, Kind, Result};

/// The property that admits further prefixes.
pub(crate) const ALLOWED_PROPERTY: &str = "allowed-locations";
/// The property that rewrites prefixes.
pub(crate) const MAP_PROPERTY: &str = "location-map";

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An object, or a prefix of objects, of a bucket.
    S3 { bucket: String, key: String },
    /// A path of this machine.
    Local(String),
}

impl Place {
    /// Parses `s3://`, `s3a://`, `s3n://`, `file:` and bare absolute paths.
    pub(crate) fn parse(location: &str) -> Result<Place> {
        let text = canonical(location);
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            check_bucket(bucket).and_then(|()| check_key(key)).map_err(|error| error.at(location))?;
            return Ok(Place::S3 { bucket: bucket.to_owned(), key: key.to_owned() });
        }
        if text.starts_with('/') {
            return local(&text).map_err(|error| error.at(location));
        }
        let found = match text.split_once(':') {
            Some((scheme, _)) if scheme.len() <= 16 => format!("scheme {scheme:?} is not supported"),
            _ => "not a location: neither a scheme nor an absolute path".to_owned(),
        };
        Err(Error::new(Kind::Unsupported, found).at(location).hint(
            "use s3://bucket/key (or s3a, s3n), file:///path or an absolute path; \
             property location-map (\"from=to\") rewrites the prefix of tables that were copied",
        ))
    }

    /// Whether this place is `prefix` or lies below it, compared by whole path segments.
    fn is_within(&self, prefix: &Place) -> bool {
        match (self, prefix) {
            (Place::S3 { bucket, key }, Place::S3 { bucket: other, key: prefix }) => {
                bucket == other && starts_with_segments(key, prefix)
            }
            (Place::Local(path), Place::Local(prefix)) => {
                let segments = |path: &str| -> Vec<String> {
                    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
                };
                segments(path).starts_with(&segments(prefix))
            }
            _ => false,
        }
    }
}

/// One spelling for every way to write the same place: s3a and s3n are s3, `file:` URLs are paths.
fn canonical(location: &str) -> String {
    let (scheme, rest) = location.split_once(':').unwrap_or(("", location));
    match (scheme.to_ascii_lowercase().as_str(), rest) {
        ("s3" | "s3a" | "s3n", rest) if rest.starts_with("//") => format!("s3:{rest}"),
        ("file", rest) => match rest.strip_prefix("//") {
            Some(after) if after.starts_with('/') => after.to_owned(),
            Some(after) if after.starts_with("localhost/") => after["localhost".len()..].to_owned(),
            Some(_) => location.to_owned(), // another host's file: no scheme of ours
            None => rest.to_owned(),
        },
        _ => location.to_owned(),
    }
}

/// A form in which every spelling of a location is the same text: scheme and host, percent-encoding, repeated and trailing
/// slashes do not count.
///
/// Different objects of S3 may share it ("a%20b" and "a b"): it says which locations may be the same, for those who must
/// not take one that is in use for another that is not.
pub(crate) fn same_place(location: &str) -> Vec<u8> {
    let text = canonical(location);
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let (byte, taken) = match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            (byte, ..) => (byte, 1),
        };
        if byte != b'/' || plain.last() != Some(&b'/') {
            plain.push(byte);
        }
        at += taken;
    }
    if plain.last() == Some(&b'/') {
        plain.pop();
    }
    plain
}

fn local(path: &str) -> Result<Place> {
    if path.split('/').any(|part| part == "..") {
        return Err(Error::new(
            Kind::LocationRefused,
            "a path with \"..\" is refused: it may leave the table's folder",
        )
        .hint("write the path without \"..\""));
    }
    if path.contains('\0') {
        return Err(Error::new(Kind::InvalidArgument, "a path with a NUL character"));
    }
    Ok(Place::Local(path.to_owned()))
}

/// A bucket becomes a part of a host name or URL, so it may hold nothing that ends one.
fn check_bucket(bucket: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if (1..=255).contains(&bucket.len()) && bucket.bytes().all(fits) && !bucket.starts_with(['.', '-']) {
        return Ok(());
    }
    let shown: String = bucket.chars().take(80).collect();
    Err(Error::new(Kind::InvalidArgument, format!("{shown:?} is not the name of a bucket"))
        .hint("bucket names hold letters, digits, '-', '.' and '_'"))
}

/// URLs cannot carry a segment "." or "..": every client folds them, and another object would be read.
fn check_key(key: &str) -> Result<()> {
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err(Error::new(Kind::LocationRefused, "a key with a segment \".\" or \"..\" is refused")
            .hint("HTTP clients fold such segments, so another object would be read"));
    }
    Ok(())
}

fn starts_with_segments(text: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    prefix.is_empty() || text.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Prefixes that may be read.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    given: Vec<String>,
    places: Vec<Place>,
}

impl Allowed {
    /// The prefixes given; one that cannot be opened admits nothing.
    pub(crate) fn new(given: Vec<String>) -> Allowed {
        let places = given.iter().filter_map(|prefix| Place::parse(prefix.trim()).ok()).collect();
        Allowed { given, places }
    }

    /// An error unless one of the places lies within one of the prefixes.
    pub(crate) fn check(&self, location: &str, places: &[&Place]) -> Result<()> {
        if places.iter().any(|place| self.places.iter().any(|prefix| place.is_within(prefix))) {
            return Ok(());
        }
        let mut known = self.given.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.given.len() > 5 {
            known.push_str(", ...");
        }
        Err(Error::new(Kind::LocationRefused, format!("outside the allowed locations ({known})")).at(location).hint(
            format!("if it belongs to the table, add its prefix to property `{ALLOWED_PROPERTY}` (comma separated)"),
        ))
    }
}

/// Rewrites prefixes of tables that were copied or are mounted elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocationMap {
    /// Longest `from` first.
    rules: Vec<(String, String)>,
}

impl LocationMap {
    /// Parses "from=to,from=to".
    pub(crate) fn parse(text: &str) -> Result<LocationMap> {
        let mut rules = Vec::new();
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            let (from, to) = rule.split_once('=').ok_or_else(|| {
                Error::new(Kind::Configuration, format!("property {MAP_PROPERTY}: {rule:?} is not of the form from=to"))
                    .hint("for example s3://old-bucket/warehouse=file:///mnt/warehouse")
            })?;
            Place::parse(to).map_err(|e| {
                Error::new(
                    Kind::Configuration,
                    format!("property {MAP_PROPERTY}: {to:?} cannot be used: {}", e.message()),
                )
            })?;
            rules.push((canonical(from).trim_end_matches('/').to_owned(), to.trim_end_matches('/').to_owned()));
        }
        rules.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Ok(LocationMap { rules })
    }

    /// The location that is opened in place of this one, if a rule applies.
    pub(crate) fn apply(&self, location: &str) -> Option<String> {
        if self.rules.is_empty() {
            return None;
        }
        let text = canonical(location);
        let (from, to) = self.rules.iter().find(|(from, _)| starts_with_segments(&text, from))?;
        Some(format!("{to}{}", &text[from.len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, key: &str) -> Place {
        Place::S3 { bucket: bucket.into(), key: key.into() }
    }

    #[test]
    fn every_spelling_of_a_place() {
        for scheme in ["s3", "s3a", "s3n", "S3"] {
            assert_eq!(Place::parse(&format!("{scheme}://b/k%3A x/=+//ü")).unwrap(), s3("b", "k%3A x/=+//ü"));
        }
        for text in ["file:///a/b c", "file:/a/b c", "/a/b c", "file://localhost/a/b c"] {
            assert_eq!(Place::parse(text).unwrap(), Place::Local("/a/b c".into()));
        }
        for text in ["gs://b/k", "file://host/p", "relative/path", "", "hdfs://n:8020/p", "s3:b/k"] {
            assert_eq!(Place::parse(text).unwrap_err().kind(), Kind::Unsupported, "{text}");
        }
        for text in ["/a/../b", "file:///a/..", "s3://b/a/../c", "s3://b/./c"] {
            assert_eq!(Place::parse(text).unwrap_err().kind(), Kind::LocationRefused, "{text}");
        }
        for text in ["s3:///k", "s3://b@evil/k", "s3://b?x/k", "s3://b:80/k", "s3://.b/k"] {
            assert_eq!(Place::parse(text).unwrap_err().kind(), Kind::InvalidArgument, "{text}");
        }
    }

    #[test]
    fn spellings_of_a_place_compare() {
        for text in ["s3://b/a/c%20d", "s3a://b/a/c d", "S3N://b//a/c d/"] {
            assert_eq!(same_place(text), b"s3:/b/a/c d", "{text}");
        }
        for text in ["file:///a/b%2x", "file:/a//b%2x", "/a/b%2x/"] {
            assert_eq!(same_place(text), b"/a/b%2x", "{text}");
        }
        assert_ne!(same_place("s3://b/a"), same_place("s3://b/a2"));
    }

    #[test]
    fn allowed_prefixes_end_at_segments() {
        let allowed = Allowed::new(vec!["s3a://b/wh/t".into(), "/data/t/".into(), "s3://open".into()]);
        let check = |text: &str| allowed.check(text, &[&Place::parse(text).unwrap()]);
        for text in ["s3://b/wh/t", "s3n://b/wh/t/f", "file:///data/t/x", "/data/./t//x", "s3://open/any"] {
            check(text).unwrap();
        }
        for text in
            ["s3://b/wh/t2/f", "s3://b/wh", "s3://c/wh/t/f", "/data/t2", "/data", "s3://opener/x", "s3://b//wh/t/f"]
        {
            let error = check(text).unwrap_err();
            assert_eq!((error.kind(), error.location()), (Kind::LocationRefused, Some(text)));
            assert!(error.hint_text().unwrap().contains("allowed-locations"));
        }
    }

    #[test]
    fn the_longest_rule_wins() {
        let map = LocationMap::parse("s3://old/wh=file:///mnt/wh/, s3a://old/wh/x=s3://new/x,hdfs://n/p=/p").unwrap();
        assert_eq!(map.apply("s3a://old/wh/t/f").unwrap(), "file:///mnt/wh/t/f");
        assert_eq!(map.apply("s3://old/wh/x/f=1").unwrap(), "s3://new/x/f=1");
        assert_eq!(map.apply("hdfs://n/p/q").unwrap(), "/p/q");
        assert_eq!(map.apply("s3://old/wh2/t"), None);
        assert_eq!(LocationMap::parse("nonsense").unwrap_err().kind(), Kind::Configuration);
        assert_eq!(LocationMap::parse("a=gs://b").unwrap_err().kind(), Kind::Configuration);
    }
}
