// SPDX-License-Identifier: GPL-2.0-or-later
//! Who can be reached, and who has the same configuration: whoever has been silent for a while is
//! probed. Without a held ticket members send nothing, and one that has died would be noticed only
//! when it is needed.
//!
//! It is pure (P24), like the engine, and has nothing to do with it: no ticket depends on what is
//! found out here.

use crate::model::{MemberIndex, Roster, TicketName};
use crate::prng::Prng;
use crate::time::{MonoTime, Span};
use crate::wire::{PeerBody, PeerMessage, Probe, NONCE_MAX};
use alloc::vec;
use alloc::vec::Vec;

/// Whoever has been silent for so long is probed, and at most once in such a time.
pub const PERIOD: Span = Span::from_secs(30);
/// After so many probes that nobody has answered, a member counts as unreachable.
pub const UNANSWERED_MAX: u32 = 3;
/// Even a member that is heard is probed so often: only probes carry the digest.
pub const DIGEST_EVERY: Span = Span::from_secs(300);
/// A member of the C version answers a probe within this, if it does.
const ANSWERS_WITHIN: Span = Span::from_secs(5);

/// What is known of all members.
#[derive(Debug)]
pub struct Reach {
    roster: Roster,
    tickets: Vec<TicketName>,
    digest: u32,
    prng: Prng,
    peers: Vec<Peer>,
    /// How many probes were sent: each is about the next ticket, so that a member that lacks one
    /// answers about another.
    probes: usize,
    started: MonoTime,
}

/// What is known of one member.
#[derive(Clone, Debug, Default)]
struct Peer {
    heard_at: Option<MonoTime>,
    probed_at: Option<MonoTime>,
    nonce: u32,
    /// The probe that nobody has answered yet: about which ticket it was.
    awaited: Option<TicketName>,
    unanswered: u32,
    lost_at: Option<MonoTime>,
    round_trip: Option<Span>,
    digest: Option<u32>,
    digest_at: Option<MonoTime>,
    differs: bool,
}

/// What must be done, or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Send a probe, or its answer, about this ticket.
    Send {
        /// To whom.
        to: MemberIndex,
        /// About which ticket.
        ticket: TicketName,
        /// What.
        probe: Probe,
    },
    /// A member has become unreachable; it was last heard so long ago, or (`None`) never.
    Lost(MemberIndex, Option<Span>),
    /// It was heard again, after so long a time.
    Back(MemberIndex, Span),
    /// Its configuration differs.
    Differs(MemberIndex),
    /// It does not differ any more.
    Agrees(MemberIndex),
}

/// What is known of a member, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether it can be reached; `None`: it was never heard, nor has it been probed in vain.
    pub reachable: Option<bool>,
    /// Since when it is unreachable, or when it was last heard.
    pub since: Option<MonoTime>,
    /// The last round trip of a probe.
    pub round_trip: Option<Span>,
    /// Whether its configuration differs; `None`: it has not told.
    pub differs: Option<bool>,
}

impl Reach {
    /// Nothing is known of anybody. Without a ticket nobody is probed.
    pub fn new(
        roster: Roster,
        tickets: Vec<TicketName>,
        digest: u32,
        seed: u64,
        now: MonoTime,
    ) -> Reach {
        let peers = vec![Peer::default(); roster.len()];
        Reach { roster, tickets, digest, prng: Prng::new(seed), peers, probes: 0, started: now }
    }

    /// Looks who has to be probed; to be called every few seconds.
    pub fn look(&mut self, now: MonoTime, wishes: &mut Vec<Wish>) {
        for member in self.roster.peers().iter() {
            if self.is_due(member, now) {
                self.probe(member, now, wishes);
            }
        }
    }

    fn is_due(&self, member: MemberIndex, now: MonoTime) -> bool {
        let peer = &self.peers[member.get()];
        let probed_lately = peer.probed_at.is_some_and(|at| now < at.plus(PERIOD));
        let heard = peer.heard_at.unwrap_or(self.started);
        let silent = now >= heard.plus(PERIOD);
        let asked = peer.digest_at.max(peer.probed_at).unwrap_or(self.started);
        let stale = match (peer.digest, peer.probed_at) {
            (None, None) => now >= self.started.plus(PERIOD),
            (Some(_) | None, _) => now >= asked.plus(DIGEST_EVERY),
        };
        !probed_lately && (silent || stale) && !self.tickets.is_empty()
    }

    fn probe(&mut self, to: MemberIndex, now: MonoTime, wishes: &mut Vec<Wish>) {
        let nonce = u32::try_from(self.prng.below(u64::from(NONCE_MAX))).unwrap_or(0) + 1;
        let ticket = self.tickets[self.probes % self.tickets.len()].clone();
        self.probes = self.probes.wrapping_add(1);
        let peer = &mut self.peers[to.get()];
        if peer.awaited.is_some() && peer.heard_at <= peer.probed_at {
            peer.unanswered = peer.unanswered.saturating_add(1);
        }
        if peer.unanswered >= UNANSWERED_MAX && peer.lost_at.is_none() {
            peer.lost_at = Some(now);
            wishes.push(Wish::Lost(to, peer.heard_at.map(|at| now.since(at))));
        }
        (peer.nonce, peer.probed_at, peer.awaited) = (nonce, Some(now), Some(ticket.clone()));
        let probe = Probe { answer: false, nonce, digest: self.digest };
        wishes.push(Wish::Send { to, ticket, probe });
    }

    /// Something was heard from a member.
    pub fn heard(&mut self, from: MemberIndex, now: MonoTime, wishes: &mut Vec<Wish>) {
        let peer = &mut self.peers[from.get()];
        let before = peer.heard_at.replace(now);
        peer.unanswered = 0;
        if peer.lost_at.take().is_some() {
            wishes.push(Wish::Back(from, now.since(before.unwrap_or(self.started))));
        }
    }

    /// Whether this message of a member, which was heard, is how a member of the C version answers
    /// a probe: it says nothing that was asked about a ticket.
    pub fn takes(&mut self, from: MemberIndex, message: &PeerMessage, now: MonoTime) -> bool {
        let peer = &mut self.peers[from.get()];
        let PeerBody::MyIndex { nonce: 0 } = message.body else { return false };
        let lately = peer.probed_at.is_some_and(|at| now < at.plus(ANSWERS_WITHIN));
        let answers = lately && peer.awaited.as_ref() == Some(&message.ticket);
        if answers {
            peer.awaited = None;
            peer.round_trip = peer.probed_at.map(|at| now.since(at));
        }
        answers
    }

    /// A probe of a member, or its answer to one.
    pub fn probed(
        &mut self,
        from: MemberIndex,
        probe: Probe,
        now: MonoTime,
        wishes: &mut Vec<Wish>,
    ) {
        self.heard(from, now, wishes);
        let peer = &mut self.peers[from.get()];
        if probe.answer {
            if probe.nonce != peer.nonce || peer.awaited.take().is_none() {
                return;
            }
            peer.round_trip = peer.probed_at.map(|at| now.since(at));
        }
        if probe.digest != 0 {
            (peer.digest, peer.digest_at) = (Some(probe.digest), Some(now));
            let differs = probe.digest != self.digest;
            if core::mem::replace(&mut peer.differs, differs) != differs {
                let told = if differs { Wish::Differs(from) } else { Wish::Agrees(from) };
                wishes.push(told);
            }
        }
        if let (false, Some(ticket)) = (probe.answer, self.tickets.first()) {
            let probe = Probe { answer: true, nonce: probe.nonce, digest: self.digest };
            wishes.push(Wish::Send { to: from, ticket: ticket.clone(), probe });
        }
    }

    /// What is known of a member.
    pub fn of(&self, member: MemberIndex) -> Known {
        let peer = &self.peers[member.get()];
        Known {
            reachable: match (peer.lost_at, peer.heard_at) {
                (Some(_), _) => Some(false),
                (None, Some(_)) => Some(true),
                (None, None) => None,
            },
            since: peer.lost_at.or(peer.heard_at),
            round_trip: peer.round_trip,
            differs: peer.digest.map(|_| peer.differs),
        }
    }
}

#[cfg(test)]
mod tests;
