// SPDX-License-Identifier: GPL-2.0-or-later
//! The acceptor's thread. It answers by itself what is known and has come whole with its
//! connection, which is `list` (`listing`); all else it hands to the threads of `tcp`. It
//! does not wait for the engine, and for no client's words but the first.

use super::live::{Shared, Visit, SILENCE};
use super::socket::{Frame, LINGER};
use crate::sys::poll;
use crate::wire::{decode_request, ClientReply, ClientRequest, REQUEST_TAIL};
use crossbeam_channel::{SendTimeoutError, Sender};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the acceptor rests after an error that would come again at once; it goes on sooner if
/// a connection ends.
const REST: Duration = Duration::from_millis(100);

/// How long the acceptor waits for a client's first word: its tool says it right after it has
/// connected. So short that clients that say nothing keep nobody waiting.
const FIRST_WORD: Duration = Duration::from_micros(200);

/// The thread that accepts.
pub(super) struct Acceptor {
    shared: Arc<Shared>,
    accepted: Sender<Visit>,
    leaving: Leaving,
    _present: Sender<()>,
}

/// Clients that have their answer, and that may still send. Until when, and who.
struct Leaving {
    clients: VecDeque<(Instant, TcpStream)>,
    max: usize,
}

impl Acceptor {
    /// Accepts for the threads that take from the other end of `accepted`, until `shared` stops.
    /// At most `leaving` clients that have their answer stay for a while. `present` is dropped
    /// with it.
    pub(super) fn new(
        shared: Arc<Shared>,
        accepted: Sender<Visit>,
        present: Sender<()>,
        leaving: usize,
    ) -> Acceptor {
        let leaving = Leaving { clients: VecDeque::new(), max: leaving };
        Acceptor { shared, accepted, leaving, _present: present }
    }

    /// Accepts until the daemon stops.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while !shared.stopping.load(Ordering::SeqCst) {
            if !self.leaving.wait_beside(&shared.listener) {
                continue;
            }
            match shared.listener.accept() {
                Ok((stream, _)) => {
                    if let Some(visit) = self.receive(stream) {
                        self.hand_over(visit);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ if shared.stopping.load(Ordering::SeqCst) => return,
                    _ => {
                        shared.complain(&format!(
                            "cannot accept clients: {error}; they wait until there is room"
                        ));
                        while !self.leaving.clients.is_empty() {
                            self.leaving.close_first();
                        }
                        shared.make_room(None);
                        let _ = shared.room.1.recv_timeout(REST);
                    }
                },
            }
        }
    }

    /// Answers a client if that takes no time; otherwise says what has come of its request.
    fn receive(&mut self, mut stream: TcpStream) -> Option<Visit> {
        let mut frame = Box::new(Frame::new());
        // What a socket refuses that has just been accepted, no other thread will get either.
        stream.set_nonblocking(true).ok()?;
        if !matches!(poll::wait([stream.as_fd()], Some(FIRST_WORD)), Ok([false])) {
            match frame.fill(&stream) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => return None,
                },
            }
        }
        let Some((answer, may_send)) = self.answer(&frame) else {
            stream.set_nonblocking(false).ok()?;
            return Some(Visit { stream, frame });
        };
        match stream.write_all(&answer) {
            Ok(()) if may_send => self.leaving.add(stream),
            Ok(()) => {}
            Err(error) => log::debug!("a client's connection ends: {error}"),
        }
        None
    }

    /// The answer to a whole request that is in order, if it is known; and whether its client may
    /// send more.
    fn answer(&self, frame: &Frame) -> Option<(Vec<u8>, bool)> {
        let desk = &self.shared.desk;
        let len = frame.complete().ok()??;
        let wall = (desk.setup.clock)().wall;
        let opened = desk.setup.opener.open_request(frame.request(len), wall).ok()?;
        if !matches!(decode_request(&opened.packet), Ok((_, ClientRequest::List))) {
            return None;
        }
        let may_send = desk.may_follow(frame.excess(len));
        if may_send && self.leaving.max == 0 {
            return None;
        }
        let reply = ClientReply::List(desk.listing.fresh()?);
        Some((desk.seal(&reply, opened.answer), may_send))
    }

    /// Waits for a thread that takes the connection, and makes room for it; those that come
    /// meanwhile stay with the kernel. When the daemon stops it is closed.
    fn hand_over(&self, mut visit: Visit) {
        while !self.shared.stopping.load(Ordering::SeqCst) {
            match self.accepted.send_timeout(visit, SILENCE) {
                Err(SendTimeoutError::Timeout(back)) => {
                    visit = back;
                    self.shared.make_room(None);
                }
                Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
            }
        }
    }
}

impl Leaving {
    /// Waits until there is a connection to accept; false: a client's time was over before. While
    /// none leaves, it is for `accept` to wait.
    fn wait_beside(&mut self, listener: &TcpListener) -> bool {
        let now = Instant::now();
        while self.clients.front().is_some_and(|(until, _)| *until <= now) {
            self.close_first();
        }
        let Some((until, _)) = self.clients.front() else {
            return true;
        };
        let rest = until.saturating_duration_since(now);
        !matches!(poll::wait([listener.as_fd()], Some(rest)), Ok([false]))
    }

    /// Says to a client that nothing more comes, and closes when it has had time to say what it
    /// still has to say: sooner if there are too many.
    fn add(&mut self, stream: TcpStream) {
        // An error means that it has gone.
        if stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        if self.clients.len() >= self.max {
            self.close_first();
        }
        self.clients.push_back((Instant::now() + LINGER, stream));
    }

    /// Closes the connection of the client that has been leaving for the longest time. What it has
    /// sent is read before, or the kernel would reset the connection.
    fn close_first(&mut self) {
        if let Some((_, mut stream)) = self.clients.pop_front() {
            let _ = stream.read(&mut [0; REQUEST_TAIL]);
        }
    }
}
