// SPDX-License-Identifier: GPL-2.0-or-later
//! The receiver's thread: datagrams of other members, opened and decoded, into the engine's
//! queue.
//!
//! What is not let in is counted and summed up, in the log and towards the engine, so that a
//! flood of garbage costs neither queue nor log. Whether ticket and leader are known is the
//! engine's business.

use super::bonds::{Bonds, Tie};
use super::entry::Entry;
use super::health::Health;
use super::history::History;
use super::limiter::Limiter;
use super::outbox::Post;
use super::text::member_name;
use crate::auth::{AuthError, Opened, Opener, ReplayGuard};
use crate::engine::{Event, EventKind, RejectKind};
use crate::model::{MemberId, MemberIndex, Roster};
use crate::sys::poll;
use crate::time::{Now, WallTime};
use crate::wire::{
    claimed_sender, decode_peer, decode_probe, is_hello, life_of, stamp_of, PeerMessage, Probe,
    TimeUnit, DATAGRAM_MAX,
};
use crossbeam_channel::{Sender, TrySendError};
use log::Level;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the kernel may keep for us: 10 000 tickets that are renewed in one burst by a few
/// members. It costs memory only while it is used.
const KERNEL_BUFFER: usize = 8 * 1024 * 1024;
/// Poll can promise a datagram that then turns out to be broken; reading gives up after this.
const READ_LIMIT: Duration = Duration::from_millis(100);
/// Counts of refused datagrams go to the engine this often.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// A reason for refusing datagrams of a member is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// How long the receiver rests after an error of the socket itself.
const REST: Duration = Duration::from_millis(100);

/// Binds the daemon's datagram socket.
///
/// # Errors
/// The address is not local, the port is in use, or the kernel refuses.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(READ_LIMIT))?;
    // The kernel gives as much as it allows; less only matters with thousands of tickets.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(KERNEL_BUFFER);
    Ok(socket)
}

/// The receiver.
pub(super) struct Receiver {
    socket: Arc<UdpSocket>,
    post: Arc<Post>,
    gate: Gate,
    queue: Sender<Event>,
    probes: Sender<(MemberIndex, Probe)>,
    rejects: Rejects,
    clock: fn() -> Now,
}

/// Decides which datagrams come in.
pub(super) struct Gate {
    pub roster: Roster,
    pub opener: Opener,
    pub guard: ReplayGuard,
    pub bonds: Arc<Bonds>,
    pub unit: TimeUnit,
    pub health: Health,
    pub history: History,
}

/// What comes of a datagram that is not refused.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Its sender.
    pub from: MemberIndex,
    /// What it says, if it is let in.
    pub message: Option<Said>,
    /// What its sender gets for it at once, sealed.
    pub answers: Vec<Vec<u8>>,
}

/// What a datagram says.
#[derive(Debug)]
pub(super) enum Said {
    /// Something about a ticket, to the engine.
    Message(PeerMessage),
    /// That its sender is there, or wants to know whether we are.
    Probe(Probe),
}

/// Why a datagram does not come in.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The member that it names, if it names one.
    pub from: Option<MemberIndex>,
    /// How it counts.
    pub kind: RejectKind,
    /// The reason in words.
    pub reason: String,
    /// Whether it has come before.
    pub replay: bool,
}

impl Gate {
    /// Opens and decodes a datagram.
    ///
    /// # Errors
    /// It is malformed, not authentic, old, a replay, for another member, or from somebody who
    /// is no other member.
    pub(super) fn admit(&mut self, bytes: &[u8], wall: WallTime) -> Result<Admitted, Refusal> {
        let claimed = claimed_sender(bytes).and_then(|id| self.roster.index_of(id));
        let opened = self.opener.open(bytes, wall).map_err(|error| refusal(claimed, &error))?;
        let Some(from) = claimed else {
            return Err(invalid(None, "its sender is no member"));
        };
        if from == self.roster.me() {
            return Err(invalid(None, "its sender has the id of this member"));
        }
        let message = if opened.bond.is_some() && is_hello(&opened.packet) {
            None
        } else if let Some(probe) = decode_probe(&opened.packet) {
            Some(Said::Probe(probe))
        } else {
            let decoded = decode_peer(&opened.packet, self.unit);
            let message = decoded.map_err(|error| invalid(Some(from), &error.to_string()))?.1;
            Some(Said::Message(message))
        };
        self.admit_bound(from, message, &opened, (stamp_of(bytes), wall))
    }

    /// Looks to whom a datagram of a member is bound (P9). `message` is `None` for a HELLO.
    fn admit_bound(
        &mut self,
        from: MemberIndex,
        message: Option<Said>,
        opened: &Opened<'_>,
        (stamp, wall): (Option<WallTime>, WallTime),
    ) -> Result<Admitted, Refusal> {
        let life = life_of(&opened.packet);
        let tie = opened.bond.map(|bond| self.bonds.tie(bond));
        if matches!(tie, None | Some(Tie::Ours)) {
            // One that has come before is not let in (L15).
            let admitted = self.guard.admit(opened.proof, wall);
            admitted.map_err(|error| refusal(Some(from), &error))?;
            // Only now: what anybody can send once more says nothing of the member's clock.
            if let Some(stamp) = stamp {
                self.health.note_stamp(from, stamp, wall);
            }
        }
        let (message, answers) = match tie {
            // Nobody but ours binds datagrams.
            None => (message, Vec::new()),
            Some(Tie::Ours) => {
                let again = life.map(|life| self.bonds.learn(from, life, wall));
                (message, again.unwrap_or_default())
            }
            Some(Tie::Elsewhere) => {
                let sender = self.roster.member(from).id;
                return Err(refusal(Some(from), &AuthError::Elsewhere { from: sender }));
            }
            // A HELLO is not answered, or two members could go on for ever.
            Some(Tie::Unsure) => {
                let asks = life.filter(|_| message.is_some());
                let hello = asks.and_then(|life| self.bonds.hello(from, life, wall));
                (None, hello.into_iter().collect())
            }
        };
        Ok(Admitted { from, message, answers })
    }
}

fn refusal(from: Option<MemberIndex>, error: &AuthError) -> Refusal {
    let kind = match error {
        AuthError::Malformed { .. } => RejectKind::Malformed,
        error if error.is_invalid() => RejectKind::Invalid,
        _ => RejectKind::Auth,
    };
    let replay = matches!(error, AuthError::Replay { .. });
    Refusal { from, kind, reason: error.to_string(), replay }
}

fn invalid(from: Option<MemberIndex>, reason: &str) -> Refusal {
    Refusal { from, kind: RejectKind::Invalid, reason: reason.to_owned(), replay: false }
}

impl Receiver {
    /// A receiver that reads from `socket` into `queue`, and answers by `post`.
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        post: Arc<Post>,
        gate: Gate,
        (queue, probes): (Sender<Event>, Sender<(MemberIndex, Probe)>),
        clock: fn() -> Now,
    ) -> Receiver {
        let (roster, history) = (gate.roster.clone(), gate.history.clone());
        Receiver {
            socket,
            post,
            gate,
            queue,
            probes,
            rejects: Rejects::new(roster, history),
            clock,
        }
    }

    /// Runs until `stop` becomes readable.
    pub(super) fn run(mut self, stop: &UnixStream) {
        loop {
            let limit = self.rejects.report_due(Instant::now());
            match poll::wait([self.socket.as_fd(), stop.as_fd()], limit) {
                Ok([_, true]) => return,
                Ok([true, false]) => self.receive(stop),
                Ok([false, false]) => {}
                Err(error) => self.rest(&error, stop),
            }
            self.rejects.report(Instant::now(), &self.queue);
        }
    }

    /// Reads one datagram.
    fn receive(&mut self, stop: &UnixStream) {
        // One byte more than any message has tells that a datagram is too long.
        let mut buffer = [0u8; DATAGRAM_MAX + 1];
        let (len, source) = match self.socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => return,
                _ => return self.rest(&error, stop),
            },
        };
        match self.gate.admit(&buffer[..len], (self.clock)().wall) {
            Ok(Admitted { from, message, answers }) => {
                match message {
                    Some(Said::Message(message)) => self.pass_on(from, message),
                    // One that there is no room for is lost: another one follows.
                    Some(Said::Probe(probe)) => {
                        let _ = self.probes.try_send((from, probe));
                    }
                    None => {}
                }
                for packet in answers {
                    // Whoever cannot be reached is told of by the outbox.
                    let _ = self.post.send(from, &packet);
                }
            }
            Err(refusal) => {
                if refusal.replay {
                    self.gate.health.note_replay();
                }
                self.rejects.add(refusal, source.ip(), (Instant::now(), (self.clock)()));
            }
        }
    }

    /// Hands a message to the engine, or counts it as lost.
    fn pass_on(&mut self, from: MemberIndex, message: PeerMessage) {
        // A queue without an engine: the daemon stops.
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Event::Peer { from, message }) {
            self.gate.health.note_drop();
            self.rejects.count(Some(from), RejectKind::Overflow);
        }
    }

    /// Waits a little after an error that would come again at once.
    fn rest(&self, error: &io::Error, stop: &UnixStream) {
        log::warn!("cannot receive datagrams: {error}; trying again");
        let _ = poll::wait([stop.as_fd()], Some(REST));
    }
}

/// Refused datagrams, added up.
struct Rejects {
    roster: Roster,
    history: History,
    /// Not yet reported to the engine. At most four kinds for each member and for nobody.
    counts: BTreeMap<(Option<MemberIndex>, RejectKind), u32>,
    last_report: Option<Instant>,
    /// Each kind is logged only so often.
    logged: BTreeMap<(Option<MemberIndex>, RejectKind), Limiter>,
}

impl Rejects {
    fn new(roster: Roster, history: History) -> Rejects {
        Rejects {
            roster,
            history,
            counts: BTreeMap::new(),
            last_report: None,
            logged: BTreeMap::new(),
        }
    }

    /// Counts a refused datagram, and logs it unless the like was logged lately.
    fn add(&mut self, refusal: Refusal, source: IpAddr, (now, at): (Instant, Now)) {
        self.count(refusal.from, refusal.kind);
        let limiter = self.logged.entry((refusal.from, refusal.kind));
        let limiter = limiter.or_insert_with(|| Limiter::new(LOG_EVERY));
        let Some(more) = limiter.pass(now) else { return };
        let claim = match refusal.from {
            Some(member) => format!(" as {}", member_name(&self.roster, member)),
            None => String::new(),
        };
        let line = format!("refused a datagram from {source}{claim}: {}{more}", refusal.reason);
        if refusal.kind == RejectKind::Auth {
            let entry = Entry::new(at, EventKind::AuthFailed, line.clone());
            let entry = Entry { member: refusal.from, client: Some(source), ..entry };
            self.history.tell(Level::Warn, entry.provoked(), &line);
        } else {
            log::warn!("{line}");
        }
    }

    fn count(&mut self, from: Option<MemberIndex>, kind: RejectKind) {
        let count = self.counts.entry((from, kind)).or_default();
        *count = count.saturating_add(1);
    }

    /// How long until counts are to be reported; `None` if there are none.
    fn report_due(&self, now: Instant) -> Option<Duration> {
        if self.counts.is_empty() {
            return None;
        }
        let rested = self.last_report.map_or(REPORT_EVERY, |last| now.duration_since(last));
        Some(REPORT_EVERY.saturating_sub(rested))
    }

    /// Reports the counts that are due; what the queue has no room for stays.
    fn report(&mut self, now: Instant, queue: &Sender<Event>) {
        if self.report_due(now) != Some(Duration::ZERO) {
            return;
        }
        self.last_report = Some(now);
        let roster = &self.roster;
        self.counts.retain(|(from, kind), count| {
            let from: Option<MemberId> = from.map(|member| roster.member(member).id);
            let event = Event::PeerRejected { from, why: *kind, count: *count };
            queue.try_send(event).is_err()
        });
    }
}
