//! The credential that signs the next request: none, explicit, renewed by the catalog, or the environment's.
//!
//! A renewed credential is fetched once for all who wait (single-flight), on a blocking thread, shortly before the old
//! one ends; until then the old one serves, so that nobody waits for a catalog without need. Must not know: HTTP, S3.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use object_store::aws::AwsCredential;

use super::retry::Failure;
use super::settings::{Keys, Settings};
use super::{Properties, ambient};
use crate::error::{Error, Kind, Result};

/// Renewal begins this long before the end, or at a tenth of the remaining life if that is less.
const MARGIN: Duration = Duration::from_secs(300);
/// After a failed renewal, while the old credential still serves.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// A credential this close to its end is not sent any more.
const LAST_MOMENT: Duration = Duration::from_secs(5);
/// A catalog that takes longer to renew is taken for dead.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who knows new credentials when the old ones end, usually a catalog that vends them.
pub trait CredentialSource: Send + Sync {
    /// New properties: `s3.access-key-id`, `s3.secret-access-key`, `s3.session-token`,
    /// `s3.session-token-expires-at-ms`. Called on a blocking thread, never twice at a time for one store.
    fn refresh(&self) -> Result<Properties>;
}

/// A credential with the number of renewals before it.
#[derive(Clone)]
pub(crate) struct Signer {
    pub credential: Arc<AwsCredential>,
    pub generation: u64,
}

/// Where a store's credentials come from. Belongs to one process.
pub(crate) enum Credentials {
    Anonymous,
    Fixed(Arc<AwsCredential>),
    Environment,
    Renewed(Arc<Renewed>),
}

impl Credentials {
    /// Chooses the source.
    pub(crate) fn new(settings: &Settings, source: Option<Arc<dyn CredentialSource>>) -> Credentials {
        match (settings.anonymous, source, &settings.keys) {
            (true, _, _) => Credentials::Anonymous,
            (_, Some(source), keys) => Credentials::Renewed(Arc::new(Renewed::new(source, keys.clone()))),
            (_, None, Some(keys)) => Credentials::Fixed(credential(keys)),
            (_, None, None) => Credentials::Environment,
        }
    }

    /// The credential to sign with now; None: do not sign.
    pub(crate) async fn signer(&self) -> Result<Option<Signer>> {
        let credential = match self {
            Credentials::Anonymous => return Ok(None),
            Credentials::Fixed(credential) => Arc::clone(credential),
            Credentials::Environment => ambient::credential().await?,
            Credentials::Renewed(renewed) => return renewed.signer().await.map(Some),
        };
        Ok(Some(Signer { credential, generation: 0 }))
    }

    /// After the store said that the credential has ended: true if there is another one to try.
    pub(crate) async fn expired(&self, signer: &Signer) -> Result<bool> {
        match self {
            Credentials::Renewed(renewed) => renewed.replace(signer.generation).await.map(|()| true),
            _ => Ok(false),
        }
    }
}

fn credential(keys: &Keys) -> Arc<AwsCredential> {
    let Keys { id, secret, token, .. } = keys.clone();
    Arc::new(AwsCredential { key_id: id, secret_key: secret, token })
}

/// Credentials that a source renews.
pub(crate) struct Renewed {
    source: Arc<dyn CredentialSource>,
    current: Mutex<Current>,
    /// Held by the one renewal under way; never by those whose credential still serves.
    gate: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Default)]
struct Current {
    signer: Option<Signer>,
    expires_at: Option<SystemTime>,
    renew_at: Option<SystemTime>,
    /// The last renewal failed, then and so.
    failed: Option<(Instant, Failure)>,
}

impl Current {
    fn new(keys: Option<Keys>, generation: u64) -> Current {
        let Some(keys) = keys else { return Current::default() };
        let left = keys.expires_at.map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
        let renew_at = keys.expires_at.zip(left).and_then(|(end, left)| end.checked_sub(MARGIN.min(left / 10)));
        let signer = Some(Signer { credential: credential(&keys), generation });
        Current { signer, expires_at: keys.expires_at, renew_at, failed: None }
    }

    fn serves(&self) -> bool {
        let ended = self.expires_at.is_some_and(|end| SystemTime::now() + LAST_MOMENT >= end);
        self.signer.is_some() && !ended
    }

    fn is_due(&self) -> bool {
        let pauses = self.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE_AFTER_FAILURE);
        self.renew_at.is_some_and(|at| SystemTime::now() >= at) && !pauses
    }
}

impl Renewed {
    fn new(source: Arc<dyn CredentialSource>, keys: Option<Keys>) -> Renewed {
        let current = Mutex::new(Current::new(keys, 1));
        Renewed { source, current, gate: Arc::default() }
    }

    async fn signer(self: &Arc<Self>) -> Result<Signer> {
        let current = self.current();
        match &current.signer {
            Some(signer) if current.serves() => {
                if current.is_due()
                    && let Ok(held) = Arc::clone(&self.gate).try_lock_owned()
                {
                    drop(tokio::spawn(Arc::clone(self).renew(signer.generation, held)));
                }
                Ok(signer.clone())
            }
            signer => {
                self.replace(signer.as_ref().map_or(0, |signer| signer.generation)).await?;
                let missing = || Error::new(Kind::Authentication, "the catalog gave no S3 credential");
                self.current().signer.ok_or_else(missing)
            }
        }
    }

    /// Waits until there is a later credential than that of `generation`, but not for ever.
    async fn replace(self: &Arc<Self>, generation: u64) -> Result<()> {
        tokio::time::timeout(PATIENCE, self.replaced(generation)).await.unwrap_or_else(|_| {
            let message = format!("the catalog did not renew S3 credentials within {PATIENCE:?}");
            Err(Error::new(Kind::Authentication, message).hint("check that the catalog is healthy"))
        })
    }

    async fn replaced(self: &Arc<Self>, generation: u64) -> Result<()> {
        let began = Instant::now();
        let held = Arc::clone(&self.gate).lock_owned().await;
        let current = self.current();
        if current.signer.is_some_and(|signer| signer.generation > generation) {
            return Ok(()); // somebody else renewed it while we waited
        }
        if let Some((at, failure)) = current.failed
            && at > began
        {
            return Err(failure.into()); // somebody else tried while we waited
        }
        // A task of its own: if the one who asked is cancelled, the others still get the answer.
        let renewal = tokio::spawn(Arc::clone(self).renew(generation, held)).await;
        renewal.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the renewal of S3 credentials broke off")))
    }

    async fn renew(self: Arc<Self>, generation: u64, held: tokio::sync::OwnedMutexGuard<()>) -> Result<()> {
        let source = Arc::clone(&self.source);
        let answer = tokio::task::spawn_blocking(move || source.refresh()).await;
        let answer = answer.map_err(|_| Error::new(Kind::Internal, "the renewal of S3 credentials broke off"));
        let keys = answer.and_then(|properties| Keys::from_properties(&properties?));
        let result = match keys {
            Ok(Some(keys)) => {
                *self.lock() = Current::new(Some(keys), generation + 1);
                return Ok(());
            }
            Ok(None) => Err(Error::new(Kind::Authentication, "the catalog's answer holds no S3 credential")
                .hint("give the catalog leave to vend credentials, or set s3.access-key-id and s3.secret-access-key")),
            Err(error) => Err(error),
        };
        result.map_err(|error: Error| {
            let failure = Failure::from(error);
            self.lock().failed = Some((Instant::now(), failure.clone()));
            drop(held);
            failure.into()
        })
    }

    fn current(&self) -> Current {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// (access key id, secret, session token) as a store with these properties would sign.
pub async fn aws_credentials(properties: Properties) -> Result<(String, String, Option<String>)> {
    let credentials = Credentials::new(&Settings::new(&properties)?, None);
    let signer = credentials.signer().await?;
    let signer = signer
        .ok_or_else(|| Error::new(Kind::Authentication, "s3.anonymous=true: there is no credential to sign with"))?;
    let AwsCredential { key_id, secret_key, token } = &*signer.credential;
    Ok((key_id.clone(), secret_key.clone(), token.clone()))
}
