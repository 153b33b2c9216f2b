//! Origins and the way to them: names, sockets, TLS.
//!
//! Must not know: HTTP, proxies (whoever finds one for an origin does not come here).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use super::connection::Stream;
use super::tls::Tls;
use crate::http::client::{Phase, Trouble, is_certificate};

/// A peer that vanished is noticed after so long.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an http or https URL.
    pub(crate) fn of(url: &Url) -> Option<Origin> {
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Some(Origin { tls: url.scheme() == "https", host, port: url.port_or_known_default()? })
    }
}

/// Opens a connection within the timeout, TLS included.
pub(crate) async fn connect(
    origin: &Origin,
    tls: &Arc<rustls::ClientConfig>,
    limit: Duration,
) -> Result<Stream, Trouble> {
    let late = |_| Trouble { phase: Phase::Connect, text: format!("no connection within {limit:?}") };
    timeout(limit, open(origin, tls, limit)).await.map_err(late)?.map_err(|error| {
        let phase = if is_certificate(&error) { Phase::Certificate } else { Phase::Connect };
        Trouble { phase, text: format!("no connection: {error}") }
    })
}

async fn open(origin: &Origin, tls: &Arc<rustls::ClientConfig>, limit: Duration) -> io::Result<Stream> {
    let stream = dial(origin, limit).await?;
    stream.set_nodelay(true)?;
    // Without it only a dead peer is noticed late: never a reason to fail.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    if !origin.tls {
        return Ok(Stream::Plain(stream));
    }
    let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
    Ok(Stream::Tls(Box::new(Tls::connect(stream, Arc::clone(tls), name).await?)))
}

/// Tries every address of the host, each with its share of the time.
async fn dial(origin: &Origin, limit: Duration) -> io::Result<TcpStream> {
    let addresses: Vec<_> = lookup_host((origin.host.as_str(), origin.port)).await?.collect();
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("{address} did not answer")),
        }
    }
    Err(last)
}
