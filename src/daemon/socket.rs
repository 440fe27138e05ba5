// SPDX-License-Identifier: GPL-2.0-or-later
//! What comes from a client's socket: its request, what it sends behind it, its end.

use crate::auth::AuthError;
use crate::sys::poll;
use crate::wire::{request_len, WireError, HEADER_LEN, REQUEST_MAX, REQUEST_TAIL};
use socket2::{SockRef, TcpKeepalive};
use std::fmt;
use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long we wait for what a client sends after its request before we close.
pub(super) const LINGER: Duration = Duration::from_millis(250);
/// How many bytes after its request we take from a client that goes on sending.
const EXCESS_MAX: usize = 4096;
/// A client that waits and whose machine vanished without a word is asked after this whether it
/// is there,
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// then this often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// and after so many unanswered questions it has left: a minute after its last word.
const KEEPALIVE_PROBES: u32 = 6;
/// What the three above amount to; and so long a client may leave a word unacknowledged.
const VANISHED: Duration = Duration::from_secs(60);

/// Why a connection is closed without its last answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client left, or nothing came in time.
    Left,
    /// Reading or writing failed.
    Io(io::Error),
    /// The request is malformed.
    Malformed(WireError),
    /// The request is not authentic; the client has been told.
    NotAuthentic(AuthError),
    /// The client has been told to ask again, bound to our life.
    AskedAgain,
    /// The engine's queue stayed full, or the daemon stops.
    Busy,
    /// There is no place to wait; the client has been told.
    NoPlace,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Left => write!(f, "it was closed early"),
            Failure::Io(error) => error.fmt(f),
            Failure::Malformed(error) => error.fmt(f),
            Failure::NotAuthentic(error) => error.fmt(f),
            Failure::AskedAgain => write!(f, "it was told to ask again"),
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

    /// Reads what is there, once; says how many bytes that are.
    pub(super) fn fill(&mut self, mut stream: &TcpStream) -> io::Result<usize> {
        // A request is at most REQUEST_MAX long, so there is always room for the rest of it.
        let count = stream.read(&mut self.buffer[self.filled..])?;
        self.filled += count;
        Ok(count)
    }

    /// Reads until the request is complete, and says how long that is.
    pub(super) fn read(&mut self, stream: &TcpStream, limit: Duration) -> Result<usize, Failure> {
        let until = Instant::now() + limit;
        loop {
            if let Some(len) = self.complete().map_err(Failure::Malformed)? {
                return Ok(len);
            }
            if Instant::now() >= until {
                return Err(Failure::Left);
            }
            match self.fill(stream) {
                Ok(0) => return Err(Failure::Left),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        return Err(Failure::Left)
                    }
                    _ => return Err(Failure::Io(error)),
                },
            }
        }
    }
}

/// Takes what a client sends after its request; false if it has closed its sending side.
pub(super) fn still_there(mut stream: &TcpStream, excess: &mut usize) -> Result<bool, Failure> {
    let mut buffer = [0u8; 256];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => {
            *excess += count;
            if *excess > EXCESS_MAX {
                return Err(Failure::Left);
            }
            Ok(true)
        }
        Err(error) => match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Ok(true)
            }
            _ => Err(Failure::Io(error)),
        },
    }
}

/// Says that nothing more comes, and takes what the client still sends until it closes too.
pub(super) fn linger(mut stream: &TcpStream) {
    // Errors mean that the client has gone, which is what is waited for.
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let until = Instant::now() + LINGER;
    let mut buffer = [0u8; 256];
    let mut taken = 0;
    while taken <= EXCESS_MAX {
        let rest = until.saturating_duration_since(Instant::now());
        match poll::wait([stream.as_fd()], Some(rest)) {
            Ok([true]) => {}
            Ok([false]) | Err(_) => return,
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => taken += count,
        }
    }
}

/// Has the kernel notice when the client's machine vanishes without a word.
pub(super) fn watch_over(stream: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    // Nobody is asked while something that was sent to them is on its way.
    socket.set_tcp_user_timeout(Some(VANISHED))
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
