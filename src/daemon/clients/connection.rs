// SPDX-License-Identifier: GPL-2.0-or-later
//! One client's connection: a request in, checked; answers out until the last (P10, P13).
//!
//! Nothing here waits: [`Connection::go_on`] does what can be done now, [`Connection::entry`] and
//! [`Connection::deadline`] say when it is to be called again.

use super::gateway::{no_place, under_way, Gateway};
use super::places::{Place, Wait};
use super::reports::{Awaited, TEXTS_MAX};
use super::socket::{take, watch_over, Failure, Frame, Packet, Unread};
use crate::auth::Bond;
use crate::daemon::channels::Answer;
use crate::engine::ClientId;
use crate::sys::poll::{self, Entry, Wanted};
use crate::wire::{ClientReply, ClientRequest, TicketAnswer, REQUEST_TAIL};
use crossbeam_channel::{Receiver, TryRecvError};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A request must be complete after this.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// No other is accepted for so long after a client that has not said what it wants: its tool says
/// it right after it has connected, and who comes meanwhile is better off with the kernel than
/// here, where places are short. So short that clients that say nothing keep nobody waiting.
const FIRST_WORD: Duration = Duration::from_micros(200);
/// A client that has not said what it wants within this may be cut off if others have no place: no
/// sooner, or one that is about to say it would be.
const SILENCE: Duration = Duration::from_millis(10);
/// A long answer that has not been taken after this may be cut off if others have no place.
const SLOW_READER: Duration = Duration::from_millis(250);
/// A report that has not been taken after this is not kept in memory while many later ones are.
const OLD_TEXT: Duration = Duration::from_secs(2);
/// A client that waits and has closed its sending side is given its answer if that comes within
/// this: a tool may send its request like this. It is also what one that has left looks like.
const HALF_CLOSED: Duration = Duration::from_millis(250);
/// How long a revoke is waited for whose client has no place to wait: longer than the CIB takes
/// when it is well.
const BRIEF: Duration = Duration::from_millis(500);
/// How long we wait for what a client sends after its request before we close.
const LINGER: Duration = Duration::from_millis(250);

/// A connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Whose it is: the socket forgets that when its client resets it.
    peer: SocketAddr,
    came: Instant,
    stage: Stage,
    unread: Unread,
}

/// For what a connection waits.
enum Stage {
    /// For the rest of its request.
    Silent(Box<Frame>),
    /// For the engine's answers.
    Asked(Asked),
    /// For a report. The answer is bound to this; so many bytes have come behind the request.
    Reads(Awaited, Option<Bond>, usize),
    /// For its client to take the last answer. Then it is closed, or its client may still send.
    /// Its report may be cut off when so many were made.
    Answered { may_send: bool, until_made: u64 },
    /// Until then for its client's end; so many bytes it has sent meanwhile.
    Leaves { until: Instant, sent: usize },
}

/// A request that the engine has.
struct Asked {
    client: ClientId,
    answers: Receiver<Answer>,
    /// What the answers are bound to.
    bond: Option<Bond>,
    /// What the engine had done when it was asked for the list.
    lists_at: Option<u64>,
    /// Where it waits for as long as it takes, watching whether its client leaves. Without one the
    /// engine has the answers at once, or they are not waited for longer than `until`.
    place: Option<Place>,
    /// How long it waits, if not for as long as it takes.
    until: Option<Instant>,
    /// What the client is told then; `None`: it has left.
    under_way: Option<TicketAnswer>,
    /// How many bytes have come behind the request.
    excess: usize,
}

/// When a connection may be closed to make room for another: those of a kind, the oldest first.
pub(super) struct Yields {
    pub at: Instant,
    pub kind: Kind,
    pub since: Instant,
}

/// In the order in which they are closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Leaves,
    Silent,
    Reads,
}

impl Connection {
    /// One that has just come. Fails if the kernel lets nobody use it.
    pub(super) fn new(stream: TcpStream, peer: SocketAddr) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        let (came, stage) = (Instant::now(), Stage::Silent(Box::new(Frame::new())));
        Ok(Connection { stream, peer, came, stage, unread: Unread::new(came) })
    }

    /// What has to happen at its socket before it can go on.
    pub(super) fn entry(&self) -> Entry<'_> {
        let read = match &self.stage {
            Stage::Silent(_) => true,
            Stage::Asked(asked) => asked.watches(),
            // Who leaves wakes nobody: there is time until the next client comes.
            Stage::Reads(..) | Stage::Answered { .. } | Stage::Leaves { .. } => false,
        };
        Entry::new(self.stream.as_fd(), Wanted { read, write: !self.unread.is_empty() })
    }

    /// When it has to go on although nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Silent(_) => Some(self.came + REQUEST_LIMIT),
            Stage::Asked(asked) => asked.until,
            Stage::Reads(..) | Stage::Answered { .. } => None,
            Stage::Leaves { until, .. } => Some(*until),
        };
        stage.into_iter().chain(self.unread.until()).min()
    }

    /// When it may be closed if others have no place: one that has its answer, or else the oldest
    /// that has not said what it wants, or else the one that has been reading for the longest
    /// time.
    pub(super) fn yields(&self) -> Option<Yields> {
        let (kind, since, patience) = match &self.stage {
            Stage::Leaves { .. } => (Kind::Leaves, self.came, Duration::ZERO),
            Stage::Silent(_) => (Kind::Silent, self.came, SILENCE),
            Stage::Answered { .. } => (Kind::Reads, self.unread.since, SLOW_READER),
            Stage::Asked(_) | Stage::Reads(..) => return None,
        };
        Some(Yields { at: since + patience, kind, since })
    }

    /// Until when no other is accepted, if this is the last that was.
    pub(super) fn first_word(&self) -> Option<Instant> {
        matches!(self.stage, Stage::Silent(_)).then_some(self.came + FIRST_WORD)
    }

    /// Whether its request has come, and only has not been read.
    pub(super) fn has_sent(&self) -> bool {
        let reads = matches!(self.stage, Stage::Silent(_));
        reads && matches!(poll::wait([self.stream.as_fd()], Some(Duration::ZERO)), Ok([true]))
    }

    /// Whether it has its answers.
    pub(super) const fn leaves(&self) -> bool {
        matches!(self.stage, Stage::Leaves { .. })
    }

    /// Closes it. What its client has sent is read before, or the kernel would reset it.
    pub(super) fn cut(mut self) {
        let _ = self.stream.read(&mut [0; REQUEST_TAIL]);
    }

    /// Says to its client that the daemon stops.
    pub(super) fn stop(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Does what can be done now; `ready` if something has happened at its socket. False: it is
    /// over.
    pub(super) fn go_on(&mut self, gateway: &mut Gateway, ready: bool, now: Instant) -> bool {
        let failure = match self.step(gateway, ready, now) {
            Ok(goes_on) => return goes_on,
            Err(failure) => failure,
        };
        match &self.stage {
            // The engine has let go of it by itself, or has never heard of it.
            Stage::Asked(_) if matches!(failure, Failure::Busy) => {}
            Stage::Asked(asked) => gateway.let_go(asked.client),
            Stage::Silent(_) | Stage::Reads(..) => {}
            Stage::Answered { .. } | Stage::Leaves { .. } => {}
        }
        gateway.note(self.peer, &failure);
        false
    }

    fn step(&mut self, gateway: &mut Gateway, ready: bool, now: Instant) -> Result<bool, Failure> {
        if ready {
            self.unread.go_on(&self.stream)?;
        }
        if self.unread.until().is_some_and(|until| until <= now) {
            return Err(Failure::Io(io::ErrorKind::TimedOut.into()));
        }
        if matches!(self.stage, Stage::Silent(_)) {
            self.receive(gateway, ready, now)?;
        }
        if matches!(self.stage, Stage::Asked(_)) {
            self.attend(gateway, ready, now)?;
        }
        if let Stage::Reads(wanted, bond, excess) = self.stage {
            if let Some(text) = gateway.reports.get(wanted) {
                self.end(gateway.seal_report(text, bond), gateway.may_follow(excess))?;
                let until = gateway.reports.made() + TEXTS_MAX;
                if let Stage::Answered { until_made, .. } = &mut self.stage {
                    *until_made = until;
                }
            }
        }
        match &mut self.stage {
            Stage::Answered { may_send, .. } if self.unread.is_empty() => {
                // An error means that the client has gone.
                if !*may_send || self.stream.shutdown(Shutdown::Write).is_err() {
                    return Ok(false);
                }
                self.stage = Stage::Leaves { until: now + LINGER, sent: 0 };
                Ok(true)
            }
            Stage::Leaves { until, sent } => {
                let stays = !ready || matches!(take(&self.stream, sent), Ok(true));
                Ok(stays && now < *until)
            }
            Stage::Answered { until_made, .. } => {
                let has_time = now < self.unread.since + OLD_TEXT;
                Ok(has_time || gateway.reports.made() < *until_made)
            }
            Stage::Silent(_) | Stage::Asked(_) | Stage::Reads(..) => Ok(true),
        }
    }

    /// Reads the request. When it is complete, it is checked, and answered or passed on.
    fn receive(&mut self, gateway: &mut Gateway, ready: bool, now: Instant) -> Result<(), Failure> {
        let Stage::Silent(frame) = &mut self.stage else {
            return Ok(());
        };
        if ready {
            frame.fill(&self.stream)?;
        }
        let Some(len) = frame.complete().map_err(Failure::Malformed)? else {
            let in_time = now < self.came + REQUEST_LIMIT;
            return if in_time { Ok(()) } else { Err(Failure::Left) };
        };
        let excess = frame.excess(len);
        let (bond, verdict) = gateway.judge(frame.request(len));
        match verdict {
            Ok(request) => self.ask(gateway, request, bond, excess, now),
            Err(failure) => {
                let Some(reply) = failure.reply() else {
                    return Err(failure);
                };
                gateway.note(self.peer, &failure);
                Ok(self.end(gateway.seal(&reply, bond).into(), true)?)
            }
        }
    }

    /// Passes a request to the engine, unless its answer is known, or it has no place to wait for
    /// it: nobody must have asked for what cannot be answered. A revoke is done all the same: it
    /// is what must never be kept waiting.
    fn ask(
        &mut self,
        gateway: &mut Gateway,
        request: ClientRequest,
        bond: Option<Bond>,
        excess: usize,
        now: Instant,
    ) -> Result<(), Failure> {
        let lists = request == ClientRequest::List;
        if let Some(text) = gateway.listing.fresh().filter(|_| lists) {
            let bytes = gateway.seal(&ClientReply::List(text), bond);
            return Ok(self.end(bytes.into(), gateway.may_follow(excess))?);
        }
        if let ClientRequest::Report { history } = request {
            self.stage = Stage::Reads(gateway.want_report(history), bond, excess);
            return Ok(());
        }
        let wait = Wait::of(&request);
        let place = wait.and_then(|wait| gateway.places.take(wait));
        let mut brief = None;
        if let Some(wait) = wait {
            self.stream.set_nodelay(true)?;
            if place.is_some() {
                watch_over(&self.stream)?;
            } else {
                gateway.complain(wait.crowd());
                brief = Some((now + BRIEF, under_way(&request)));
            }
        }
        if brief.is_some() && wait != Some(Wait::Revoke) {
            gateway.note(self.peer, &Failure::NoPlace);
            let bytes = gateway.seal(&gateway.format(no_place(&request)), bond);
            return Ok(self.end(bytes.into(), gateway.may_follow(excess))?);
        }
        let (until, under_way) = brief.unzip();
        let lists_at = lists.then(|| gateway.listing.steps());
        let from = self.stream.peer_addr().ok().map(|address| address.ip().to_canonical());
        let (client, answers) = gateway.ask(request, from);
        self.stage = Stage::Asked(Asked {
            client,
            answers,
            bond,
            lists_at,
            place,
            until,
            under_way,
            excess,
        });
        Ok(())
    }

    /// Passes on what the engine has answered, and looks whether the client leaves: what it waits
    /// for may take for ever.
    fn attend(&mut self, gateway: &mut Gateway, ready: bool, now: Instant) -> Result<(), Failure> {
        let Stage::Asked(asked) = &mut self.stage else {
            return Ok(());
        };
        while self.unread.is_empty() {
            let Answer { reply, last } = match asked.answers.try_recv() {
                Ok(answer) => answer,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(Failure::Busy),
            };
            let reply = gateway.format(reply);
            if let (ClientReply::List(text), Some(steps)) = (&reply, asked.lists_at) {
                gateway.listing.keep(steps, text);
            }
            let bytes = gateway.seal(&reply, asked.bond);
            if last {
                let may_send = gateway.may_follow(asked.excess);
                return Ok(self.end(bytes.into(), may_send)?);
            }
            self.unread.send(&self.stream, bytes.into(), false)?;
        }
        if asked.until.is_some_and(|until| until <= now) {
            let under_way = asked.under_way.take().ok_or(Failure::Left)?;
            let bytes = gateway.seal(&ClientReply::Ticket(under_way), asked.bond);
            let may_send = gateway.may_follow(asked.excess);
            gateway.let_go(asked.client);
            gateway.note(self.peer, &Failure::NoPlace);
            return Ok(self.end(bytes.into(), may_send)?);
        }
        if ready && asked.watches() && !take(&self.stream, &mut asked.excess)? {
            asked.until = Some(now + HALF_CLOSED);
        }
        Ok(())
    }

    /// Sends the last answer.
    fn end(&mut self, packet: Packet, may_send: bool) -> io::Result<()> {
        self.stage = Stage::Answered { may_send, until_made: u64::MAX };
        self.unread.send(&self.stream, packet, true)
    }
}

impl Asked {
    /// Whether the client is watched; if it has closed its sending side, that is known.
    const fn watches(&self) -> bool {
        self.place.is_some() && self.until.is_none()
    }
}
