//! Credentials that the machine has: web identity, container, instance metadata, through `object_store`'s providers.
//!
//! `object_store` is built without its HTTP client; [`Connector`] lends it ours, so that roots and proxies are the same
//! everywhere. The provider is one per process: it caches and renews by itself. Must not know: properties of a table.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};

use super::settings::variable;
use crate::error::{Error, Kind, Result};
use crate::http::client::{Purpose, client, explain};
use crate::runtime::PerProcess;

/// What to set when no credential is found or one is refused.
pub(crate) const CREDENTIALS_HINT: &str = "set s3.access-key-id and s3.secret-access-key (and s3.session-token for temporary keys), or \
     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3.anonymous=true for public data";
/// Every source together must answer within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer of a credential service.
const LARGEST_ANSWER: usize = 1 << 20;

/// The environment's credential: its variables first, then the services it names, then instance metadata.
pub(crate) async fn credential() -> Result<Arc<AwsCredential>> {
    if let (Some(key_id), Some(secret_key)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        return Ok(Arc::new(AwsCredential { key_id, secret_key, token: variable("AWS_SESSION_TOKEN") }));
    }
    let named =
        ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let metadata_off = variable("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if metadata_off && named.iter().all(|name| variable(name).is_none()) {
        return Err(none_found("none is set, and AWS_EC2_METADATA_DISABLED=true rules out instance metadata"));
    }
    static PROVIDER: PerProcess<AwsCredentialProvider> = PerProcess::new();
    let provider = PROVIDER.get_or_try_init(provider)?;
    match tokio::time::timeout(PATIENCE, provider.get_credential()).await {
        Ok(Ok(credential)) => Ok(credential),
        Ok(Err(error)) => Err(none_found(&error.to_string())),
        Err(_) => Err(none_found("the credential service did not answer")),
    }
}

fn provider() -> Result<AwsCredentialProvider> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: 2,
        retry_timeout: Duration::from_secs(5),
    };
    let builder = AmazonS3Builder::from_env().with_bucket_name("none").with_retry(retry).with_http_connector(Connector);
    let store =
        builder.build().map_err(|e| Error::new(Kind::Configuration, format!("AWS environment variables: {e}")))?;
    Ok(Arc::clone(store.credentials()))
}

fn none_found(why: &str) -> Error {
    let why: String = why.chars().filter(|c| !c.is_control()).take(300).collect();
    Error::new(Kind::Authentication, format!("no S3 credential was found: {why}")).hint(CREDENTIALS_HINT)
}

/// Lends `object_store` the HTTP clients of this process.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Instance metadata is link-local: `object_store` asks for a second there, so that other machines do not wait.
        let quick = options.get_config_value(&ClientConfigKey::ConnectTimeout).is_some_and(|text| text == "1s");
        let client = client(Purpose::Catalog, Duration::from_secs(if quick { 1 } else { 5 }));
        let client = client.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })?;
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|text| text == "true");
        Ok(HttpClient::new(Service { client, allow_http }))
    }
}

struct Service {
    client: reqwest::Client,
    allow_http: bool,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl HttpService for Service {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.converse(request))
    }
}

impl Service {
    async fn converse(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string().parse::<url::Url>().map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))?;
        if url.scheme() != "https" && !self.allow_http {
            return Err(other("credentials are fetched over https only"));
        }
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.timeout_mut() = Some(Duration::from_secs(5));
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let mut response = self.client.execute(request).await.map_err(convert)?;
        let mut collected = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(convert)? {
            if collected.len() + chunk.len() > LARGEST_ANSWER {
                return Err(other("the answer is too large for a credential"));
            }
            collected.extend_from_slice(&chunk);
        }
        let mut answer = HttpResponse::new(collected.into());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        Ok(answer)
    }
}

fn convert(error: reqwest::Error) -> HttpError {
    let kind = match () {
        () if error.is_connect() => HttpErrorKind::Connect,
        () if error.is_timeout() => HttpErrorKind::Timeout,
        () => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, std::io::Error::other(explain(error).text))
}

fn other(text: &str) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(text.to_owned()))
}
