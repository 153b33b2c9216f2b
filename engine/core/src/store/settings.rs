//! Properties -> settings of S3, checked once: a typo or half a credential is an error before anything is opened.
//!
//! Names are PyIceberg's; Java's names are taken as aliases. Must not know: HTTP, where credentials come from when none
//! are given ([`super::credentials`]).

use std::fmt;
use std::time::{Duration, SystemTime};

use url::Url;

use super::Properties;
use super::retry::Policy;
use crate::error::{Error, Kind, Result};

/// Region that is asked first when none is named; S3 says which one is right.
const DEFAULT_REGION: &str = "us-east-1";

/// What it takes to talk to S3.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Without a trailing slash; None is AWS itself.
    pub endpoint: Option<Url>,
    pub region: String,
    pub virtual_addressing: bool,
    pub anonymous: bool,
    pub keys: Option<Keys>,
    pub connect_timeout: Duration,
    /// Longest silence of a connection that owes an answer.
    pub idle_timeout: Duration,
    pub retry: Policy,
}

/// An explicit credential. Prints no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
    pub expires_at: Option<SystemTime>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the properties, then the environment where they say nothing.
    pub(crate) fn new(properties: &Properties) -> Result<Settings> {
        let endpoint = get(properties, &["s3.endpoint"])
            .map(|text| ("s3.endpoint", text.to_owned()))
            .or_else(|| variable("AWS_ENDPOINT_URL_S3").map(|text| ("AWS_ENDPOINT_URL_S3", text)))
            .or_else(|| variable("AWS_ENDPOINT_URL").map(|text| ("AWS_ENDPOINT_URL", text)));
        let endpoint = endpoint.map(|(name, text)| parse_endpoint(name, &text)).transpose()?;
        let path_style = flag(properties, "s3.path-style-access")?;
        let forced = flag(properties, "s3.force-virtual-addressing")?;
        let region = get(properties, &["s3.region", "client.region"]).map(str::to_owned);
        let region = region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let retry = Policy::default();
        Ok(Settings {
            virtual_addressing: forced.or(path_style.map(|path| !path)).unwrap_or(endpoint.is_none()),
            endpoint,
            region: check_region(region.unwrap_or_else(|| DEFAULT_REGION.to_owned()))?,
            anonymous: flag(properties, "s3.anonymous")?.unwrap_or(false),
            keys: Keys::from_properties(properties)?,
            connect_timeout: seconds(properties, "s3.connect-timeout", 5.0)?,
            idle_timeout: seconds(properties, "s3.request-timeout", 5.0)?,
            retry: Policy { attempts: count(properties, "s3.retry.num-retries", retry.attempts - 1)? + 1, ..retry },
        })
    }

    /// The endpoint for messages.
    pub(crate) fn endpoint_shown(&self) -> String {
        self.endpoint.as_ref().map_or_else(|| format!("AWS S3 ({})", self.region), origin)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint_shown())
            .field("region", &self.region)
            .field("anonymous", &self.anonymous)
            .field("explicit_keys", &self.keys.is_some())
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// The explicit credential of the properties, if there is one; half a one is an error.
    pub(crate) fn from_properties(properties: &Properties) -> Result<Option<Keys>> {
        let id = get(properties, &["s3.access-key-id", "client.access-key-id"]);
        let secret = get(properties, &["s3.secret-access-key", "client.secret-access-key"]);
        let (id, secret) = match (id, secret) {
            (None, None) => return Ok(None),
            (Some(id), Some(secret)) => (id.to_owned(), secret.to_owned()),
            (Some(_), None) => return Err(half("s3.access-key-id", "s3.secret-access-key")),
            (None, Some(_)) => return Err(half("s3.secret-access-key", "s3.access-key-id")),
        };
        let token = get(properties, &["s3.session-token", "client.session-token"]).map(str::to_owned);
        let expires_at = match get(properties, &["s3.session-token-expires-at-ms"]) {
            None => None,
            Some(text) => Some(parse_expiry(text)?),
        };
        Keys { id, secret, token, expires_at }.checked().map(Some)
    }

    /// Refuses what cannot stand in a header.
    pub(crate) fn checked(self) -> Result<Keys> {
        let texts =
            [("access key id", Some(&self.id)), ("secret", Some(&self.secret)), ("session token", self.token.as_ref())];
        for (name, text) in texts {
            if text.is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
                return Err(Error::new(
                    Kind::Configuration,
                    format!("the S3 {name} holds a character that no key has"),
                )
                .hint("look for a line break or a space that was pasted with it"));
            }
        }
        Ok(self)
    }
}

fn half(given: &str, missing: &str) -> Error {
    Error::new(Kind::Configuration, format!("property {given} is set, but {missing} is not"))
        .hint("set both, or neither to use the environment's credentials")
}

fn parse_expiry(text: &str) -> Result<SystemTime> {
    let milliseconds = text.parse::<u64>().ok();
    milliseconds.and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms))).ok_or_else(|| {
        let message =
            format!("property s3.session-token-expires-at-ms: {text:?} is not a number of milliseconds since 1970");
        Error::new(Kind::Configuration, message)
    })
}

/// The first of these properties that is set and not empty.
pub(crate) fn get<'a>(properties: &'a Properties, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| properties.get(*name).map(String::as_str).filter(|text| !text.is_empty()))
}

/// An environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn parse_endpoint(name: &str, text: &str) -> Result<Url> {
    let bad = |why: &str| {
        let shown = crate::http::shown(text);
        Error::new(Kind::Configuration, format!("{name}: {shown} cannot be used: {why}"))
            .hint("an endpoint reads like http://127.0.0.1:9000 or https://minio.example.com")
    };
    let url = Url::parse(text.trim_end_matches('/')).map_err(|e| bad(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(bad("it does not begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it holds a user, a query or a fragment"));
    }
    Ok(url)
}

/// Scheme, host and port of a URL.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A region becomes a part of a host name.
fn check_region(region: String) -> Result<String> {
    if region.len() <= 64 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(region);
    }
    Err(Error::new(Kind::Configuration, format!("s3.region: {region:?} is not the name of a region"))
        .hint("for example eu-west-1"))
}

fn flag(properties: &Properties, name: &str) -> Result<Option<bool>> {
    match get(properties, &[name]).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true" | "1" | "yes") => Ok(Some(true)),
        Some("false" | "0" | "no") => Ok(Some(false)),
        Some(text) => {
            Err(Error::new(Kind::Configuration, format!("property {name}: {text:?} is neither true nor false")))
        }
    }
}

fn seconds(properties: &Properties, name: &str, default: f64) -> Result<Duration> {
    let text = get(properties, &[name]);
    let value = text.map_or(Some(default), |text| text.parse().ok());
    let value = value.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    value.ok_or_else(|| {
        let message = format!("property {name}: {:?} is not a positive number of seconds", text.unwrap_or_default());
        Error::new(Kind::Configuration, message)
    })
}

fn count(properties: &Properties, name: &str, default: u32) -> Result<u32> {
    let text = get(properties, &[name]);
    let value = text.map_or(Some(default), |text| text.parse().ok());
    value.filter(|count| *count <= 100).ok_or_else(|| {
        let message = format!("property {name}: {:?} is not a number from 0 to 100", text.unwrap_or_default());
        Error::new(Kind::Configuration, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::new(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn addressing_follows_the_endpoint_unless_told() {
        let with = settings(&[("s3.endpoint", "http://127.0.0.1:9000/")]).unwrap();
        assert!(!with.virtual_addressing);
        assert_eq!(with.endpoint.unwrap().as_str(), "http://127.0.0.1:9000/");
        assert!(
            settings(&[("s3.endpoint", "http://h"), ("s3.force-virtual-addressing", "true")])
                .unwrap()
                .virtual_addressing
        );
        assert!(
            settings(&[("s3.endpoint", "http://h"), ("s3.path-style-access", "false")]).unwrap().virtual_addressing
        );
    }

    #[test]
    fn what_cannot_be_used_is_a_configuration_error() {
        for pairs in [
            [("s3.endpoint", "127.0.0.1:9000"), ("x", "")],
            [("s3.endpoint", "http://user:pass@h"), ("x", "")],
            [("s3.access-key-id", "a"), ("x", "")],
            [("s3.access-key-id", "a"), ("s3.secret-access-key", "b\nc")],
            [("s3.region", "evil.com/"), ("x", "")],
            [("s3.request-timeout", "-1"), ("x", "")],
            [("s3.anonymous", "maybe"), ("x", "")],
        ] {
            let error = settings(&pairs).unwrap_err();
            assert_eq!(error.kind(), Kind::Configuration, "{pairs:?}");
            assert!(!format!("{error:?}").contains("pass") || pairs[0].0 != "s3.endpoint", "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let all = settings(&[
            ("s3.access-key-id", "KEYID"),
            ("s3.secret-access-key", "HIDDEN"),
            ("s3.session-token", "TOKEN"),
        ]);
        let shown = format!("{all:?} {:?}", all.as_ref().unwrap().keys);
        assert!(!["KEYID", "HIDDEN", "TOKEN"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}
