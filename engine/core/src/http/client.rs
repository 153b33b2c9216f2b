//! The HTTP clients of this process: one for object stores (HTTP/1.1), one for catalogs, made on first use.
//!
//! TLS is rustls with ring. Roots are bundled, so that a bare container can connect; `AWS_CA_BUNDLE` and `SSL_CERT_FILE`
//! add to them. Proxy variables are honoured by reqwest. Redirects are never followed here: a signature or a token
//! belongs to the host it was made for. Must not know: S3, catalogs, retries.

use std::collections::HashMap;
use std::error::Error as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, Kind, Result};
use crate::runtime::PerProcess;

/// Variables that name a PEM file of further roots.
const ROOT_VARIABLES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];
/// How we name ourselves to servers.
pub(crate) const USER_AGENT: &str = concat!("headrace/", env!("CARGO_PKG_VERSION"));
/// Said by whoever reports a certificate that is not trusted.
pub(crate) const CERTIFICATE_HINT: &str =
    "name a PEM file with the authority that signed the server's certificate in AWS_CA_BUNDLE or SSL_CERT_FILE";

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Many large bodies at once: HTTP/1.1, a connection each.
    ObjectStore,
    /// Few small ones: HTTP/2 where the server has it.
    Catalog,
}

type Clients = Mutex<HashMap<(Purpose, Duration), reqwest::Client>>;

struct Shared {
    roots: Arc<RootCertStore>,
    clients: Clients,
}

static SHARED: PerProcess<Shared> = PerProcess::new();

/// The client of this process for a purpose and a connect timeout; connections are shared by all who ask.
pub(crate) fn client(purpose: Purpose, connect_timeout: Duration) -> Result<reqwest::Client> {
    let shared = shared()?;
    let mut clients = shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(&(purpose, connect_timeout)) {
        return Ok(client.clone());
    }
    let client = build(purpose, connect_timeout)?;
    clients.insert((purpose, connect_timeout), client.clone());
    Ok(client)
}

fn shared() -> Result<Arc<Shared>> {
    SHARED.get_or_try_init(|| Ok(Shared { roots: Arc::new(roots()?), clients: Clients::default() }))
}

/// TLS as every connection of this process has it, offering these protocols.
pub(crate) fn tls(protocols: &[&[u8]]) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(Kind::Internal, format!("TLS did not start: {e}")))?
        .with_root_certificates(Arc::clone(&shared()?.roots))
        .with_no_client_auth();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(tls)
}

fn build(purpose: Purpose, connect_timeout: Duration) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(20)) // S3 closes idle connections after about as long
        .tcp_keepalive(Duration::from_secs(15));
    let (builder, protocols): (_, &[&[u8]]) = match purpose {
        Purpose::ObjectStore => (builder.http1_only().pool_max_idle_per_host(64), &[b"http/1.1"]),
        Purpose::Catalog => (builder, &[b"h2", b"http/1.1"]),
    };
    builder.tls_backend_preconfigured(tls(protocols)?).build().map_err(|e| {
        let why = explain(e).text;
        Error::new(Kind::Configuration, format!("the HTTP client could not be made: {why}"))
            .hint("look at the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY")
    })
}

fn roots() -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    for variable in ROOT_VARIABLES {
        if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
            add_file(&mut store, variable, Path::new(&path))?;
        }
    }
    Ok(store)
}

/// Adds every certificate of a PEM file. A file that has none is as wrong as one that is missing.
pub(crate) fn add_file(store: &mut RootCertStore, variable: &str, path: &Path) -> Result<()> {
    let refuse = |why: String| {
        Error::new(Kind::Configuration, format!("{variable} names {}, which cannot be used: {why}", path.display()))
            .hint(format!("let {variable} name a file of PEM certificates, or unset it"))
    };
    let text = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|e| refuse(format!("not PEM: {e}")))?;
    let (added, _) = store.add_parsable_certificates(found);
    if added == 0 { Err(refuse("it holds no usable certificate".to_owned())) } else { Ok(()) }
}

/// How far a request came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The server's certificate is not trusted.
    Certificate,
    /// No connection: refused, no route, no such name, no handshake.
    Connect,
    /// Nothing came for too long.
    Timeout,
    /// The connection broke, or what came was not HTTP.
    Broken,
}

/// A failed request, without its URL: that may hold a signature.
pub(crate) struct Trouble {
    pub phase: Phase,
    pub text: String,
}

/// Explains a failure of reqwest.
pub(crate) fn explain(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    let mut phase = match () {
        () if error.is_connect() => Phase::Connect,
        () if error.is_timeout() => Phase::Timeout,
        () => Phase::Broken,
    };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // A wrapper often repeats the text of what it wraps.
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        if is_certificate(cause) {
            phase = Phase::Certificate;
        }
        source = cause.source();
    }
    Trouble { phase, text }
}

/// TLS errors come inside one or two of `std::io`'s, which do not show what they wrap as their source.
pub(crate) fn is_certificate(cause: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_certificate(wrapped))
}
