// SPDX-License-Identifier: GPL-2.0-or-later
//! One connection with one request: its head comes, its answer goes, and for a moment the client
//! may still send. Nothing here waits: [`Connection::go_on`] does what can be done now.

use super::http::{self, Reply, Request};
use crate::sys::poll::{Entry, Wanted};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The longest head of a request in bytes.
const HEAD_MAX: usize = 8192;
/// How long a request may take to arrive.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer may take to be sent.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long, and with how many bytes, a client may go on sending after its answer.
const LINGER: (Duration, usize) = (Duration::from_millis(500), 65_536);
/// So long a client may send its request, or take its answer, before it has to give way to another.
/// However far away it is, a request comes right behind its connection, and those that come may
/// have waited for longer than this.
const PATIENCE: Duration = Duration::from_millis(5);

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    stage: Stage,
    /// Since when it is at this stage.
    since: Instant,
}

#[derive(Debug)]
enum Stage {
    /// This much of the head has come.
    Reads(Vec<u8>),
    /// The answer is being made.
    Waits(Request),
    /// So many bytes of the answer have gone.
    Writes(Vec<u8>, usize),
    /// So many bytes have come after the answer had gone.
    Lingers(usize),
}

impl Connection {
    /// One that has just come. Fails if the kernel lets nobody use it.
    pub(super) fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, stage: Stage::Reads(Vec::new()), since: Instant::now() })
    }

    /// What has to happen before it can go on.
    pub(super) fn entry(&self) -> Entry<'_> {
        let write = matches!(self.stage, Stage::Writes(..));
        Entry::new(self.stream.as_fd(), Wanted { read: !write, write })
    }

    /// When it is closed if it has not come to the next stage.
    pub(super) fn deadline(&self) -> Instant {
        let limit = match self.stage {
            Stage::Reads(_) => REQUEST_LIMIT,
            Stage::Waits(_) | Stage::Writes(..) => ANSWER_LIMIT,
            Stage::Lingers(_) => LINGER.0,
        };
        self.since + limit
    }

    /// From when on it gives way to one that comes: the longest at their stage first.
    pub(super) fn yields_at(&self) -> Instant {
        match self.stage {
            Stage::Lingers(_) => self.since,
            _ => self.since + PATIENCE,
        }
    }

    /// How much memory its answer takes until it is read.
    pub(super) fn unread(&self) -> usize {
        match &self.stage {
            Stage::Writes(bytes, _) => bytes.capacity(),
            _ => 0,
        }
    }

    /// What is asked, if that is known and the answer is not.
    pub(super) fn request(&self) -> Option<&Request> {
        match &self.stage {
            Stage::Waits(request) => Some(request),
            _ => None,
        }
    }

    /// Gives it the answer to its request.
    pub(super) fn answer(&mut self, answer: impl Fn(&str) -> Reply) {
        if let Some(request) = self.request() {
            let bytes = request.answer(answer(&request.path));
            self.turn_to(Stage::Writes(bytes, 0));
        }
    }

    /// Does what can be done now; false if it is over.
    pub(super) fn go_on(&mut self, any_name: bool) -> bool {
        use io::ErrorKind::{Interrupted, WouldBlock};
        match self.step(any_name) {
            Ok(()) => true,
            Err(error) => matches!(error.kind(), Interrupted | WouldBlock),
        }
    }

    fn turn_to(&mut self, stage: Stage) {
        (self.stage, self.since) = (stage, Instant::now());
    }

    fn step(&mut self, any_name: bool) -> io::Result<()> {
        let mut part = [0; 1024];
        match &mut self.stage {
            Stage::Reads(head) => {
                let (count, before) = (some(self.stream.read(&mut part)?)?, head.len());
                head.extend_from_slice(&part[..count]);
                let asked = if http::has_end(head, before) {
                    http::request(head, any_name)
                } else if head.len() >= HEAD_MAX {
                    Err(Reply::text(431, "The head of the request is too long.").bytes())
                } else {
                    return Ok(());
                };
                match asked {
                    Ok(request) => self.turn_to(Stage::Waits(request)),
                    Err(refusal) => self.turn_to(Stage::Writes(refusal, 0)),
                }
            }
            Stage::Waits(_) => {}
            Stage::Writes(bytes, gone) => {
                *gone += some(self.stream.write(&bytes[*gone..])?)?;
                if *gone == bytes.len() {
                    // Closing while the client still sends would take the answer back.
                    self.stream.shutdown(Shutdown::Write)?;
                    self.turn_to(Stage::Lingers(0));
                }
            }
            Stage::Lingers(count) => {
                *count += some(self.stream.read(&mut part)?)?;
                if *count >= LINGER.1 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }
}

/// None is the end of the connection.
fn some(count: usize) -> io::Result<usize> {
    (count > 0).then_some(count).ok_or(io::ErrorKind::UnexpectedEof.into())
}
