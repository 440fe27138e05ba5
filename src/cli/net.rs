// SPDX-License-Identifier: GPL-2.0-or-later
//! One exchange with a daemon: a connection, a request, and answers, each with its time limit.
//!
//! With a key, a request is bound to the member that it is for, and the answers to the request. A
//! member of ours that has just started asks for a request that is also bound to its current life.
//! The client sends that on a second connection. A member of the C version sees no difference.

use super::target::Target;
use crate::auth::{bond_of_answers, AuthError, Bond, Opener, Sealer};
use crate::config::{system_words, Config};
use crate::model::MemberId;
use crate::sys::{clock, keepalive};
use crate::wire::{
    decode_reply, encode_request, frame_len, ClientReply, ClientRequest, Life, TimeUnit, WireError,
    HEADER_LEN,
};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long connecting may take: long enough for two lost SYN packets.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long the first answer may take if nothing is written. Our daemon needs milliseconds;
/// the reference does nothing else while a `crm_ticket` runs.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the first answer may take if a `crm_ticket` may have to run before it.
pub(super) const CHANGE_LIMIT: Duration = Duration::from_secs(60);
/// The most bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NetError {
    /// The connection failed.
    Connect(SocketAddr, io::Error),
    /// The request could not be sent.
    Send(SocketAddr, io::Error),
    /// The answer could not be read.
    Receive(SocketAddr, io::Error),
    /// The answer did not come in time.
    TimedOut(SocketAddr, Duration),
    /// The connection was closed before the answer, or in the middle of it.
    Closed {
        /// The member that closed it.
        address: SocketAddr,
        /// How many bytes of the answer had arrived.
        received: usize,
    },
    /// The answer is not a valid packet.
    Nonsense(SocketAddr, WireError),
    /// The answer does not match the request.
    Unexpected(SocketAddr),
    /// The answer was not authenticated with our key, or its stamp is wrong.
    Untrusted(SocketAddr, AuthError),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Reference: "connect to ADDRESS got an error: Connection refused".
            NetError::Connect(address, error) => {
                let text = system_words(error);
                write!(f, "connect to {} got an error: {text}", address.ip())?;
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    write!(
                        f,
                        " (nothing is listening on TCP port {}; is boothd running?)",
                        address.port()
                    )?;
                }
                Ok(())
            }
            NetError::Send(address, error) => {
                write!(f, "cannot send the request to {}: {}", address.ip(), system_words(error))
            }
            NetError::Receive(address, error) => {
                write!(f, "cannot read the answer from {}: {}", address.ip(), system_words(error))
            }
            NetError::TimedOut(address, limit) => {
                write!(f, "no answer from {} within {:.0} s", address.ip(), limit.as_secs_f64())
            }
            NetError::Closed { address, received: 0 } => {
                write!(f, "{} closed the connection without an answer", address.ip())
            }
            NetError::Closed { address, received } => {
                write!(
                    f,
                    "{} closed the connection after {received} bytes of an answer",
                    address.ip()
                )
            }
            NetError::Nonsense(address, error) => {
                write!(f, "invalid answer from {}: {error}", address.ip())
            }
            NetError::Unexpected(address) => {
                write!(f, "the answer from {} does not match the request", address.ip())
            }
            NetError::Untrusted(address, error) => {
                write!(f, "authentication error: the answer from {}: {error}", address.ip())
            }
        }
    }
}

impl std::error::Error for NetError {}

/// How this cluster encodes packets: its key, its allowed skew, its unit of time.
pub(super) struct Codec {
    /// Signs requests.
    pub sealer: Sealer,
    /// Checks answers.
    pub opener: Opener,
    /// The unit of `valid-for`.
    pub unit: TimeUnit,
}

impl Codec {
    /// The codec of this configuration.
    pub(super) fn of(config: &Config) -> Codec {
        let opener = Opener::new(config.key.clone(), config.max_skew);
        Codec { sealer: Sealer::new(config.key.clone()), opener, unit: config.unit }
    }
}

/// Connects within `limit`, with keepalive probes.
fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, NetError> {
    let stream = TcpStream::connect_timeout(&address, limit)
        .map_err(|error| NetError::Connect(address, error))?;
    // A client that waits without limit notices that the other machine is gone. A connection works
    // without that, so an error is ignored.
    let _ = keepalive::ask(&stream);
    Ok(stream)
}

/// A connection on which one request was sent.
pub(super) struct Connection<'a> {
    stream: TcpStream,
    address: SocketAddr,
    to: MemberId,
    codec: &'a Codec,
    /// The request, not sealed.
    request: Vec<u8>,
    /// What its answers are bound to, if the member is one of ours.
    bond: Option<Bond>,
    /// Whether the request is bound to a life of the member.
    lively: bool,
    /// The part of the next answer that has arrived.
    frame: Vec<u8>,
    /// How long connecting may take.
    limit: Duration,
}

impl<'a> Connection<'a> {
    /// Connects and sends one request.
    ///
    /// # Errors
    /// Connecting fails or takes longer than [`CONNECT_LIMIT`], or the request cannot be sent.
    pub(super) fn ask(
        target: &Target,
        codec: &'a Codec,
        request: &ClientRequest,
    ) -> Result<Connection<'a>, NetError> {
        Connection::ask_within(target, codec, request, CONNECT_LIMIT)
    }

    /// The same, if connecting takes no longer than `limit`.
    pub(super) fn ask_within(
        target: &Target,
        codec: &'a Codec,
        request: &ClientRequest,
        limit: Duration,
    ) -> Result<Connection<'a>, NetError> {
        let (address, to) = (target.address, target.to);
        let request = encode_request(target.from.raw(), request);
        let stream = connect(address, limit)?;
        let (bond, lively, frame) = (None, false, Vec::new());
        let mut talk =
            Connection { stream, address, to, codec, request, bond, lively, frame, limit };
        talk.send(None).map_err(|error| NetError::Send(address, error))?;
        Ok(talk)
    }

    fn send(&mut self, life: Option<Life>) -> io::Result<()> {
        let sealer = &self.codec.sealer;
        let bond = sealer.bond(self.to, life);
        let sealed = sealer.seal_bound(self.request.clone(), clock::wall(), bond);
        self.bond = bond_of_answers(&sealed);
        self.lively = life.is_some();
        self.stream.set_write_timeout(Some(CONNECT_LIMIT))?;
        self.stream.write_all(&sealed)
    }

    /// The next answer, or an error after `limit`; without a limit it waits.
    ///
    /// After [`NetError::TimedOut`] it may be called again; what has arrived is not lost.
    ///
    /// # Errors
    /// There is no answer, or it is invalid or not authenticated.
    pub(super) fn answer(&mut self, limit: Option<Duration>) -> Result<ClientReply, NetError> {
        let until = limit.map(|limit| (Instant::now() + limit, limit));
        match self.next_reply(until)? {
            ClientReply::Hello(life) if !self.lively && self.bond.is_some() => {
                let address = self.address;
                self.stream = connect(address, self.limit)?;
                self.send(Some(life)).map_err(|error| NetError::Send(address, error))?;
                self.next_reply(until)
            }
            reply => Ok(reply),
        }
    }

    /// The next answer, whatever it is.
    fn next_reply(&mut self, until: Option<(Instant, Duration)>) -> Result<ClientReply, NetError> {
        self.fill(HEADER_LEN, until)?;
        let mut header = [0u8; HEADER_LEN];
        header.copy_from_slice(&self.frame[..HEADER_LEN]);
        let len = frame_len(&header).map_err(|e| NetError::Nonsense(self.address, e))?;
        self.fill(len, until)?;
        let frame = std::mem::take(&mut self.frame);
        let untrusted = |error| NetError::Untrusted(self.address, error);
        let opened = self.codec.opener.open_reply(&frame, clock::wall()).map_err(untrusted)?;
        // A member of the C version does not bind its answers.
        if opened.bond.is_some() && opened.bond != self.bond {
            return Err(untrusted(AuthError::OtherRequest { from: self.to }));
        }
        decode_reply(&opened.packet, self.codec.unit)
            .map_err(|error| NetError::Nonsense(self.address, error))
    }

    /// Reads until the frame has `len` bytes, and not more.
    fn fill(&mut self, len: usize, until: Option<(Instant, Duration)>) -> Result<(), NetError> {
        let address = self.address;
        let mut chunk = [0u8; CHUNK];
        while self.frame.len() < len {
            self.limit_read(until)?;
            let room = (len - self.frame.len()).min(CHUNK);
            match self.stream.read(&mut chunk[..room]) {
                Ok(0) => return Err(NetError::Closed { address, received: self.frame.len() }),
                Ok(count) => self.frame.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    // The limit is checked before the next read.
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    _ => return Err(NetError::Receive(address, error)),
                },
            }
        }
        Ok(())
    }

    /// Limits the next read to the remaining time.
    fn limit_read(&self, until: Option<(Instant, Duration)>) -> Result<(), NetError> {
        let left = until.map(|(end, limit)| match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(NetError::TimedOut(self.address, limit)),
            left => Ok(left),
        });
        let left = left.transpose()?;
        let set = self.stream.set_read_timeout(left);
        set.map_err(|error| NetError::Receive(self.address, error))
    }
}
