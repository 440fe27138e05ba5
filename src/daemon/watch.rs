// SPDX-License-Identifier: GPL-2.0-or-later
//! Who can be reached, whose configuration differs, and whose clock is off: carries out what
//! [`Reach`] decides, and tells the log and the history. It is a part of the engine's loop, which
//! wakes often enough anyway.

use super::health::Health;
use super::history::{Entry, History};
use super::transport::Transport;
use crate::engine::{EventKind, PeerRow, PeerView, Reply};
use crate::model::{MemberIndex, MemberSet, Roster};
use crate::reach::{Reach, Wish};
use crate::time::{MonoTime, Now, Span};
use crate::wire::{PeerMessage, Probe};
use log::Level;

/// How often it is looked who has been silent.
const LOOK_EVERY: Span = Span::from_secs(5);
/// A clock that is off by more is told. The stamps of the C version may be off by a second.
pub const CLOCK_OFF: Span = Span::from_secs(3);
/// It is right again when it is off by no more.
const CLOCK_RIGHT: Span = Span::from_secs(2);

/// If the loop woke up so much too late, the process stood still: packets have waited for it, and
/// their stamps say when they came, not what the time is.
const STOOD_STILL: Span = Span::from_secs(1);
/// After so long a time the last of them was read; the loop looks here more often.
const STALE_PACKETS: Span = Span::from_secs(3);

/// What is known of the other members.
pub struct Watch {
    roster: Roster,
    reach: Reach,
    health: Health,
    history: History,
    looked_at: MonoTime,
    /// Until when stamps of packets say nothing.
    stale_until: MonoTime,
    /// Whose clock is off.
    off: MemberSet,
    wishes: Vec<Wish>,
}

impl Watch {
    /// Nothing is known yet.
    pub fn new(roster: Roster, reach: Reach, health: Health, history: History) -> Watch {
        let (looked_at, stale_until) = (MonoTime::ZERO, MonoTime::ZERO);
        let (off, wishes) = (MemberSet::EMPTY, Vec::new());
        Watch { roster, reach, health, history, looked_at, stale_until, off, wishes }
    }

    /// The loop has woken up so much too late.
    pub(super) fn woke(&mut self, now: MonoTime, late: Span) {
        if late >= STOOD_STILL {
            self.stale_until = now.plus(STALE_PACKETS);
        }
    }

    /// Looks who has to be probed, if it is time.
    pub(super) fn look(&mut self, now: Now, transport: &mut impl Transport) {
        if now.mono < self.stale_until {
            self.health.forget_stamps();
        }
        if now.mono < self.looked_at.plus(LOOK_EVERY) {
            return;
        }
        self.looked_at = now.mono;
        self.history.settle(now.mono);
        self.reach.look(now.mono, &mut self.wishes);
        self.attend(now, transport);
        for member in self.roster.peers().iter() {
            self.look_at_clock(now, member);
        }
    }

    /// A message of a member has come. Tells whether it only answers a probe.
    pub(super) fn heard(
        &mut self,
        now: Now,
        from: MemberIndex,
        message: &PeerMessage,
        transport: &mut impl Transport,
    ) -> bool {
        self.reach.heard(from, now.mono, &mut self.wishes);
        let taken = self.reach.takes(from, message, now.mono);
        self.attend(now, transport);
        taken
    }

    /// A probe of a member, or its answer, has come.
    pub(super) fn probed(
        &mut self,
        now: Now,
        from: MemberIndex,
        probe: Probe,
        transport: &mut impl Transport,
    ) {
        self.reach.probed(from, probe, now.mono, &mut self.wishes);
        self.attend(now, transport);
    }

    /// Adds to an answer what the engine does not know.
    pub(super) fn complete(&self, now: Now, reply: &mut Reply) {
        match reply {
            Reply::Peers(rows) => rows.iter_mut().for_each(|row| self.complete_row(now, row)),
            Reply::Report(view) => {
                view.peers.iter_mut().for_each(|peer| self.complete_peer(now, peer));
            }
            Reply::Tickets(_)
            | Reply::Ticket(_)
            | Reply::Result(_)
            | Reply::Attr(_)
            | Reply::Attrs(_) => {}
        }
    }

    fn complete_peer(&self, now: Now, peer: &mut PeerView) {
        let known = self.reach.of(peer.row.member);
        peer.reachable = known.reachable;
        peer.since = known.since.map(|at| now.wall_at(at));
        peer.differs = known.differs;
        peer.round_trip = known.round_trip.or(peer.round_trip);
        self.complete_row(now, &mut peer.row);
    }

    fn complete_row(&self, now: Now, row: &mut PeerRow) {
        let known = self.reach.of(row.member);
        let since = known.since.map(|at| now.wall_at(at));
        match known.reachable {
            Some(false) => row.unreachable_since = since,
            // Probes count, too.
            Some(true) | None => row.last_recv = row.last_recv.max(since),
        }
    }

    /// Does and tells what the reach wishes.
    fn attend(&mut self, now: Now, transport: &mut impl Transport) {
        let mut wishes = std::mem::take(&mut self.wishes);
        for wish in wishes.drain(..) {
            match wish {
                Wish::Send { to, ticket, probe } => transport.probe(to, &ticket, probe),
                Wish::Lost(member, silent) => {
                    let text = silent.map_or_else(
                        || "was not heard since this daemon started".to_owned(),
                        |silent| format!("has been silent for {} s", silent.as_secs()),
                    );
                    let text = format!("{text} and does not answer: it counts as unreachable");
                    self.tell(now, Level::Warn, EventKind::MemberLost, member, &text);
                }
                Wish::Back(member, after) => {
                    let text = format!("can be reached again after {} s", after.as_secs());
                    self.tell(now, Level::Info, EventKind::MemberBack, member, &text);
                }
                Wish::Differs(member) => {
                    let text = "has another configuration where it must be the same; \
                                booth check --peers says what differs";
                    self.tell(now, Level::Warn, EventKind::ConfigDiffers, member, text);
                }
                Wish::Agrees(member) => {
                    let text = "has the same configuration again";
                    self.tell(now, Level::Info, EventKind::ConfigAgrees, member, text);
                }
            }
        }
        self.wishes = wishes;
    }

    /// Tells if a member's clock is off, or right again, as its packets say.
    fn look_at_clock(&mut self, now: Now, member: MemberIndex) {
        let Some(offset) = self.health.offset(member) else { return };
        let size = Span::from_micros(offset.unsigned_abs());
        let side = if offset < 0 { "behind" } else { "ahead of" };
        if size > CLOCK_OFF && self.off.insert(member) {
            let text = format!(
                "has a clock that is {} s {side} this one; check the time service of both",
                size.as_secs()
            );
            self.tell(now, Level::Warn, EventKind::ClockOff, member, &text);
        } else if size <= CLOCK_RIGHT && self.off.remove(member) {
            self.tell(now, Level::Info, EventKind::ClockRight, member, "has the right time again");
        }
    }

    /// Tells something of another member to the log and the history.
    fn tell(&self, now: Now, level: Level, kind: EventKind, member: MemberIndex, text: &str) {
        let text = format!("{} {text}", self.roster.member(member).address);
        let entry = Entry::new(now, kind, text.clone());
        self.history.tell(level, Entry { member: Some(member), ..entry }, &text);
    }
}
