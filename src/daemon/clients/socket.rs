// SPDX-License-Identifier: GPL-2.0-or-later
//! What comes from a client's socket and goes to it: its request, what it sends behind it, its
//! end; and its answers. Nothing here waits.

use crate::auth::AuthError;
use crate::sys::keepalive::{self, VANISHED};
use crate::wire::{
    request_len, ClientReply, Life, ResultCode, WireError, HEADER_LEN, REQUEST_MAX, REQUEST_TAIL,
};
use socket2::SockRef;
use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client may take nothing of its answer for as long as this.
const IO_LIMIT: Duration = Duration::from_secs(2);
/// A whole answer must be taken within this, however slow the line is.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How many bytes after its request we take from a client that goes on sending.
const EXCESS_MAX: usize = 4096;

/// Why a connection is closed without its last answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client left, or nothing came in time.
    Left,
    /// Reading or writing failed.
    Io(io::Error),
    /// The request is malformed.
    Malformed(WireError),
    /// The request is not authentic; the client is told.
    NotAuthentic(AuthError),
    /// The client is told to ask again, bound to our life.
    AskedAgain(Life),
    /// The engine's queue stayed full, or the daemon stops.
    Busy,
    /// There is no place to wait; the client is told.
    NoPlace,
}

impl Failure {
    /// What a client is told whose request comes to nothing.
    pub(super) const fn reply(&self) -> Option<ClientReply> {
        match self {
            Failure::NotAuthentic(_) => Some(ClientReply::Result(ResultCode::AuthFailed)),
            Failure::AskedAgain(life) => Some(ClientReply::Hello(*life)),
            Failure::Left
            | Failure::Io(_)
            | Failure::Malformed(_)
            | Failure::Busy
            | Failure::NoPlace => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Left => write!(f, "it was closed early"),
            Failure::Io(error) => error.fmt(f),
            Failure::Malformed(error) => error.fmt(f),
            Failure::NotAuthentic(error) => error.fmt(f),
            Failure::AskedAgain(_) => write!(f, "it was told to ask again"),
            Failure::Busy => write!(f, "the daemon is too busy, or stops"),
            Failure::NoPlace => write!(f, "too many wait already"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// What has come of a request, and of what some clients send behind it.
pub(super) struct Frame {
    buffer: [u8; REQUEST_MAX + REQUEST_TAIL],
    filled: usize,
}

impl Frame {
    /// Nothing has come.
    pub(super) const fn new() -> Frame {
        Frame { buffer: [0; REQUEST_MAX + REQUEST_TAIL], filled: 0 }
    }

    /// The length of the request, if all of it has come.
    pub(super) fn complete(&self) -> Result<Option<usize>, WireError> {
        let Some(header) = self.buffer[..self.filled].first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        Ok(Some(request_len(header)?).filter(|len| self.filled >= *len))
    }

    /// The request, which is that long.
    pub(super) fn request(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }

    /// How many bytes have come behind the request, which is that long.
    pub(super) const fn excess(&self, len: usize) -> usize {
        self.filled - len
    }

    /// Reads what is there, once. Fails if the client sends nothing more.
    pub(super) fn fill(&mut self, stream: &TcpStream) -> Result<(), Failure> {
        // A request is at most REQUEST_MAX long, so there is always room for the rest of it.
        match read(stream, &mut self.buffer[self.filled..])? {
            Some(0) => return Err(Failure::Left),
            Some(count) => self.filled += count,
            None => {}
        }
        Ok(())
    }
}

/// Reads what is there, once; `None`: nothing, yet.
fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Ok(None),
            _ => Err(error),
        },
    }
}

/// Takes what a client sends after its request, and counts it; false if it has closed its sending
/// side. Fails if it goes on sending.
pub(super) fn take(stream: &TcpStream, excess: &mut usize) -> Result<bool, Failure> {
    let count = read(stream, &mut [0; 256])?;
    *excess += count.unwrap_or_default();
    if *excess > EXCESS_MAX {
        return Err(Failure::Left);
    }
    Ok(count != Some(0))
}

/// What is sent to a client: bytes of its own, and between them perhaps a text for many.
#[derive(Default)]
pub(super) struct Packet {
    pub(super) head: Vec<u8>,
    pub(super) text: Option<Arc<str>>,
    pub(super) tail: Vec<u8>,
}

impl From<Vec<u8>> for Packet {
    fn from(head: Vec<u8>) -> Packet {
        Packet { head, ..Packet::default() }
    }
}

impl Packet {
    /// What is left in one piece behind the first `taken` bytes; empty: nothing at all.
    fn rest(&self, mut taken: usize) -> &[u8] {
        let text = self.text.as_deref().unwrap_or_default().as_bytes();
        for part in [&self.head, text, &self.tail] {
            match part.get(taken..) {
                Some([]) | None => taken -= part.len(),
                Some(rest) => return rest,
            }
        }
        &[]
    }
}

/// What its client has not taken yet.
pub(super) struct Unread {
    packet: Packet,
    taken: usize,
    /// Nothing comes behind it but the end, so that both can go in one packet.
    last: bool,
    /// When the client began to take this.
    pub(super) since: Instant,
    /// When it last took some.
    moved: Instant,
}

impl Unread {
    /// Nothing.
    pub(super) fn new(now: Instant) -> Unread {
        Unread { packet: Packet::default(), taken: 0, last: false, since: now, moved: now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packet.head.is_empty()
    }

    /// When the client has to have taken some, or all.
    pub(super) fn until(&self) -> Option<Instant> {
        let until = (self.moved + IO_LIMIT).min(self.since + ANSWER_LIMIT);
        (!self.is_empty()).then_some(until)
    }

    /// Sends this behind the rest, as far as it is taken at once. After the `last` the caller has
    /// to close at least its sending side as soon as nothing is left. Nothing comes behind a text.
    pub(super) fn send(
        &mut self,
        stream: &TcpStream,
        packet: Packet,
        last: bool,
    ) -> io::Result<()> {
        if self.is_empty() {
            *self = Unread { packet, ..Unread::new(Instant::now()) };
        } else {
            self.packet.head.extend(packet.head);
        }
        self.last = last;
        self.go_on(stream)
    }

    /// Sends what is taken now.
    pub(super) fn go_on(&mut self, stream: &TcpStream) -> io::Result<()> {
        let flags = if self.last { libc::MSG_MORE } else { 0 };
        loop {
            let rest = self.packet.rest(self.taken);
            if rest.is_empty() {
                break;
            }
            match SockRef::from(stream).send_with_flags(rest, flags) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.taken += count;
                    self.moved = Instant::now();
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
        (self.packet, self.taken) = (Packet::default(), 0);
        Ok(())
    }
}

/// Has the kernel notice when the client's machine vanishes without a word.
pub(super) fn watch_over(stream: &TcpStream) -> io::Result<()> {
    keepalive::ask(stream)?;
    // Nobody is asked while something that was sent to them is on its way.
    SockRef::from(stream).set_tcp_user_timeout(Some(VANISHED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_machine_that_vanished_is_noticed_within_a_minute() {
        let listener = TcpListener::bind("127.20.0.2:0").expect("bound");
        let at = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(at).expect("connected");
        watch_over(&stream).expect("possible");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("known"));
        let idle = socket.keepalive_time().expect("known");
        let interval = socket.keepalive_interval().expect("known");
        let probes = socket.keepalive_retries().expect("known");
        assert_eq!(idle + interval * probes, Duration::from_secs(60));
        assert_eq!(socket.tcp_user_timeout().expect("known"), Some(Duration::from_secs(60)));
    }
}
