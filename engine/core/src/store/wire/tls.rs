//! TLS over a socket: ciphertext in pieces of 256 KiB, decrypted where it lies, its text copied to where it is for.
//!
//! rustls' own reader takes 4 KiB at a time, some 200,000 system calls for 768 MB, and moves every byte twice more; this
//! drives its unbuffered connection instead. Must not know: HTTP.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Ciphertext that is read in one go: some 16 records.
const CIPHERTEXT: usize = 256 << 10;

/// An encrypted stream whose handshake is done.
pub(crate) struct Tls {
    tcp: TcpStream,
    session: Session,
}

/// The state of TLS, apart from its socket.
struct Session {
    rustls: UnbufferedClientConnection,
    /// Ciphertext; what is not yet used lies at `used..came`.
    incoming: Vec<u8>,
    used: usize,
    came: usize,
    /// Ciphertext to be sent.
    outgoing: Vec<u8>,
    /// Text that did not fit into where it was for; `given` bytes of it have been taken since.
    text: Vec<u8>,
    given: usize,
    closed: bool,
}

/// What the session needs before it can go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// [`Session::outgoing`] is to be sent.
    Sending,
    /// More ciphertext.
    Reading,
    /// Nothing: the handshake is done, or the caller's memory is full.
    Nothing,
}

impl Tls {
    /// Shakes hands.
    pub(crate) async fn connect(
        tcp: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Tls> {
        let rustls = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let incoming = vec![0; CIPHERTEXT];
        let (outgoing, text) = (Vec::new(), Vec::new());
        let session = Session { rustls, incoming, used: 0, came: 0, outgoing, text, given: 0, closed: false };
        let mut tls = Tls { tcp, session };
        loop {
            match tls.session.step(&mut [], &mut 0)? {
                Needs::Sending => tls.send().await?,
                Needs::Reading if tls.session.rustls_is_handshaking() => tls.receive().await?,
                Needs::Reading | Needs::Nothing => return Ok(tls),
            }
        }
    }

    /// The socket below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether there is nothing that was received and not yet read.
    pub(crate) fn is_drained(&self) -> bool {
        let session = &self.session;
        session.used == session.came && session.given == session.text.len() && !session.closed
    }

    /// Encrypts and sends all of `bytes`.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.session.encrypt(bytes)?;
        self.send().await
    }

    /// Reads some bytes; 0 after the peer closed in order. May be dropped while it waits.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut count = self.session.take_text(into);
        while count == 0 && !into.is_empty() {
            match self.session.step(into, &mut count)? {
                Needs::Sending => self.send().await?,
                Needs::Reading if count == 0 && !self.session.closed => self.receive().await?,
                Needs::Reading | Needs::Nothing => break,
            }
        }
        Ok(count)
    }

    /// Sends what is to be sent. If it is dropped halfway, the rest is sent by the next call.
    async fn send(&mut self) -> io::Result<()> {
        while !self.session.outgoing.is_empty() {
            let count = self.tcp.write(&self.session.outgoing).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.session.outgoing.drain(..count);
        }
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<()> {
        let room = self.session.room();
        let count = self.tcp.read(room).await?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed without TLS's goodbye"));
        }
        self.session.came += count;
        Ok(())
    }
}

impl Session {
    fn rustls_is_handshaking(&self) -> bool {
        self.rustls.is_handshaking()
    }

    /// Goes on until something is needed. Text goes to `into` from `count` on, which is raised by as much.
    fn step(&mut self, into: &mut [u8], count: &mut usize) -> io::Result<Needs> {
        loop {
            let ciphertext = &mut self.incoming[self.used..self.came];
            let UnbufferedStatus { mut discard, state } = self.rustls.process_tls_records(ciphertext);
            let needs = match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        let fits = record.payload.len().min(into.len() - *count);
                        into[*count..*count + fits].copy_from_slice(&record.payload[..fits]);
                        *count += fits;
                        self.text.extend_from_slice(&record.payload[fits..]);
                    }
                    // A caller whose memory is full, or who has none, is asked before more is decrypted.
                    (*count == into.len()).then_some(Needs::Nothing)
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    grow(&mut self.outgoing, |room| match data.encode(room) {
                        Ok(count) => Ok(Ok(count)),
                        Err(EncodeError::InsufficientSize(size)) => Ok(Err(size)),
                        Err(error) => Err(io::Error::other(error)),
                    })?;
                    None
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done(); // it is in `outgoing`, which is sent before anything else
                    Some(Needs::Sending)
                }
                ConnectionState::BlockedHandshake => Some(Needs::Reading),
                ConnectionState::WriteTraffic(_) if !self.outgoing.is_empty() => Some(Needs::Sending),
                ConnectionState::WriteTraffic(_) => Some(Needs::Reading),
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    self.closed = true;
                    Some(Needs::Nothing)
                }
                _ => return Err(io::Error::other("a state of TLS that no client is in")),
            };
            self.used += discard;
            if let Some(needs) = needs {
                return Ok(needs);
            }
        }
    }

    fn encrypt(&mut self, bytes: &[u8]) -> io::Result<()> {
        let ciphertext = &mut self.incoming[self.used..self.came];
        let UnbufferedStatus { discard, state } = self.rustls.process_tls_records(ciphertext);
        let ConnectionState::WriteTraffic(mut traffic) = state.map_err(io::Error::other)? else {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it is being closed"));
        };
        grow(&mut self.outgoing, |room| match traffic.encrypt(bytes, room) {
            Ok(count) => Ok(Ok(count)),
            Err(EncryptError::InsufficientSize(size)) => Ok(Err(size)),
            Err(error) => Err(io::Error::other(error)),
        })?;
        self.used += discard;
        Ok(())
    }

    fn take_text(&mut self, into: &mut [u8]) -> usize {
        let count = (self.text.len() - self.given).min(into.len());
        into[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        if self.given == self.text.len() {
            self.text.clear();
            self.given = 0;
        }
        count
    }

    /// Where more ciphertext goes. A record that began is moved to the front: it is shorter than the buffer.
    fn room(&mut self) -> &mut [u8] {
        self.incoming.copy_within(self.used..self.came, 0);
        (self.used, self.came) = (0, self.came - self.used);
        if self.came == self.incoming.len() {
            self.incoming.resize(2 * self.came, 0); // a handshake in one long message; rustls bounds it
        }
        &mut self.incoming[self.came..]
    }
}

/// Appends what `write` writes, in as much room as it says that it needs.
fn grow(
    outgoing: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> io::Result<Result<usize, InsufficientSizeError>>,
) -> io::Result<()> {
    let (before, mut room) = (outgoing.len(), 1 << 10);
    loop {
        outgoing.resize(before + room, 0);
        match write(&mut outgoing[before..])? {
            Ok(count) => {
                outgoing.truncate(before + count);
                return Ok(());
            }
            Err(size) => room = size.required_size,
        }
    }
}
