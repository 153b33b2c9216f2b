//! Which object it is and who reads it, for what is kept between reads: nobody gets what another one's credentials read.
//!
//! Must not know: what is kept.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use tokio::sync::OnceCell;

use super::credentials::Credentials;
use super::settings::Settings;
use crate::error::Result;

/// An object as one reader sees it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    reader: (u64, u64),
    place: String,
}

/// A store's endpoint and credential, found out on first use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader(Arc<OnceCell<(u64, u64)>>);

impl Identity {
    pub(super) fn of_object(reader: (u64, u64), bucket_url: &str, key: &str) -> Identity {
        Identity { reader, place: format!("{bucket_url}/{key}") }
    }

    #[cfg(test)]
    pub(crate) fn of_test(place: &str) -> Identity {
        Identity { reader: (0, 0), place: place.to_owned() }
    }

    /// Bytes of memory beside the value itself.
    pub(crate) fn size(&self) -> usize {
        self.place.len()
    }
}

impl Reader {
    /// Two hashes with keys of this process: nobody can make another reader's on purpose.
    pub(super) async fn told(
        &self,
        named: Option<&str>,
        settings: &Settings,
        credentials: &Credentials,
    ) -> Result<(u64, u64)> {
        static KEYS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);
        let find = || async {
            let signer = match named {
                Some(_) => None,
                None => credentials.signer().await?,
            };
            let credential = signer.as_ref().map(|signer| {
                let credential = &signer.credential;
                (&credential.key_id, &credential.secret_key, &credential.token)
            });
            let told = (settings.endpoint_shown(), &settings.region, settings.anonymous, named, credential);
            Ok((KEYS.0.hash_one(&told), KEYS.1.hash_one(&told)))
        };
        self.0.get_or_try_init(find).await.copied()
    }
}

/// A local file, which unlike an object of a table may be another one by the same name tomorrow; None: it is not there.
pub(super) fn of_file(path: &str) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(Identity { reader: (0, 0), place: format!("{path} {modified}") })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn told(properties: &[(&str, &str)]) -> (u64, u64) {
        told_as(None, properties)
    }

    fn told_as(named: Option<&str>, properties: &[(&str, &str)]) -> (u64, u64) {
        let properties: HashMap<String, String> =
            properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let settings = Settings::new(&properties).unwrap();
        let credentials = Credentials::new(&settings, None);
        let runtime = crate::runtime::runtime().unwrap();
        runtime.block_on(Reader::default().told(named, &settings, &credentials)).unwrap()
    }

    #[test]
    fn readers_are_told_apart_by_endpoint_and_credential() {
        let own = [("s3.endpoint", "http://127.0.0.1:9"), ("s3.access-key-id", "a"), ("s3.secret-access-key", "b")];
        let changed = |at: usize, value: &'static str| {
            let mut changed = own;
            changed[at].1 = value;
            told(&changed)
        };
        let with_token = [own[0], own[1], own[2], ("s3.session-token", "t")];
        assert_eq!(told(&own), told(&own));
        let others = [
            changed(0, "http://127.0.0.1:8"),
            changed(1, "c"),
            changed(2, "c"),
            told(&with_token),
            told(&[own[0], ("s3.anonymous", "true")]),
            told_as(Some("a"), &own),
        ];
        assert_eq!(told_as(Some("a"), &own), told_as(Some("a"), &with_token), "credentials come and go");
        assert_ne!(told_as(Some("a"), &own), told_as(Some("b"), &own));
        for other in others {
            assert!(other.0 != told(&own).0 && other.1 != told(&own).1);
        }
    }
}
