// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages between members.

use super::code::{Command, Reason, ResultCode};
use crate::model::{Holder, Term, TicketName};
use crate::time::Span;

/// The number of one send of one ticket to one member, in `1..=2^31-1` with wrap-around.
///
/// It is in bits 0-30 of the header field `options`. A reference peer sends 0 there, which is
/// `None` here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Round(u32);

impl Round {
    /// The largest round; 1 follows.
    pub const MAX: u32 = 0x7FFF_FFFF;

    /// The round with this number; `None` for 0 and above [`Round::MAX`].
    pub const fn new(number: u32) -> Option<Round> {
        match number {
            1..=Round::MAX => Some(Round(number)),
            _ => None,
        }
    }

    /// A round from any random number.
    pub fn from_random(number: u64) -> Round {
        let [.., a, b, c, d] = (number % u64::from(Round::MAX)).to_be_bytes();
        Round(u32::from_be_bytes([a, b, c, d]) + 1)
    }

    /// The number, in `1..=2^31-1`.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The round that follows, with wrap-around.
    pub const fn next(self) -> Round {
        match self.0 {
            Round::MAX => Round(1),
            number => Round(number + 1),
        }
    }

    /// How many rounds this one is after `earlier`, modulo 2^31-1; negative if it is nearer in the
    /// other direction.
    pub fn distance_from(self, earlier: Round) -> i64 {
        let circle = i64::from(Round::MAX);
        let ahead = (i64::from(self.0) - i64::from(earlier.0)).rem_euclid(circle);
        if ahead > circle / 2 {
            ahead - circle
        } else {
            ahead
        }
    }
}

/// The largest nonce of a STATUS: a vote request returns it in one field with its two marks.
pub const NONCE_MAX: u32 = (1 << 30) - 1;

/// What ours adds to HEARTBEAT, UPDATE, REVOKE and step-down (P8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The number of this send; `None`: a reference peer sent it.
    pub round: Option<Round>,
    /// The sender has a live lease, or is a restarted holder (`RULES.md` L9).
    pub established: bool,
}

/// One message between members: 124 bytes, 152 with authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMessage {
    /// The ticket that it is about.
    pub ticket: TicketName,
    /// The leader field. `Holder::Unknown` (0) is never sent between members: encoding writes
    /// nobody instead, and decoding refuses it.
    pub leader: Holder,
    /// The sender's term.
    pub term: Term,
    /// The remaining validity; on the wire in whole seconds or milliseconds, rounded down.
    pub valid_for: Span,
    /// The command and its own fields.
    pub body: PeerBody,
}

/// The last that a member knows of a ticket: the term in which it was last held, or last revoked.
/// The greater of two is the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastKnown {
    /// Above 0; a term above [`LastKnown::TERM_MAX`] does not fit on the wire.
    pub term: Term,
    /// The ticket was revoked in this term, and no later holder is known.
    pub free: bool,
}

impl LastKnown {
    /// The highest term that a vote can state.
    pub const TERM_MAX: u32 = (1 << 31) - 1;

    /// A site held the ticket in this term, if it did; in term 0 nobody does.
    pub fn held(term: Option<Term>) -> Option<LastKnown> {
        let term = term.filter(|term| *term > Term::ZERO)?;
        Some(LastKnown { term, free: false })
    }
}

/// The command of a message between members, and its own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerBody {
    /// STATUS: asks what the receiver knows of this ticket.
    Status {
        /// The answer returns it; 0: a reference peer asks.
        nonce: u32,
    },
    /// MY_INDEX: the sender's last committed leader, term and remaining validity.
    MyIndex {
        /// The nonce of the STATUS that it answers; 0: a reference peer sent one of the two.
        nonce: u32,
    },
    /// REQ_VOTE: the sender stands for election.
    ReqVote {
        /// Why it stands.
        reason: Reason,
        /// The sender has a live lease, or is a restarted holder.
        established: bool,
        /// `-F` of an administrative grant.
        force: bool,
        /// The nonce of the STATUS that this request answers, at most [`NONCE_MAX`]; 0: nobody
        /// has asked, or a reference peer stands.
        nonce: u32,
    },
    /// VOTE_FOR somebody, the answer to REQ_VOTE: the leader field names who has the vote.
    Vote {
        /// The voter keeps the rules of `RULES.md` and is out of grace.
        vouched: bool,
        /// How long the voter's promises have bound it to nobody but the candidate, as far as it
        /// knows; on the wire in whole milliseconds, rounded down. `None`: a reference peer.
        unbound_for: Option<Span>,
        /// The last that the voter knew of the ticket before this vote; `None`: nothing, or it is
        /// a reference peer.
        last: Option<LastKnown>,
    },
    /// VOTE_FOR nobody: the sender, who led, gives up the ticket.
    StepDown {
        /// Why it gives up; the reference's resends lose it (0).
        reason: Reason,
        /// The round and the *established* mark of this send.
        stamp: Stamp,
    },
    /// HEARTBEAT: the sender leads.
    Heartbeat {
        /// The round and the *established* mark of this send.
        stamp: Stamp,
    },
    /// UPDATE: the renewal has its majority.
    Update {
        /// The round and the *established* mark of this send.
        stamp: Stamp,
    },
    /// REVOKE: the ticket is free.
    Revoke {
        /// `Admn` for an administrator's command; the reference's resends may lose it.
        reason: Reason,
        /// The round and the *established* mark of this send.
        stamp: Stamp,
    },
    /// ACK. From a member of ours, `valid_for` is the promise that it gave. The packet states the
    /// unit, because the leader computes its lease from it (`RULES.md` L5).
    Ack {
        /// What it acknowledges: `Heartbeat`, `Update`, `RevokeTicket` or `VoteFor`.
        of: Command,
        /// The round of what it acknowledges; `None`: a reference peer.
        round: Option<Round>,
    },
    /// REJECTED, with the rejecter's own leader, term and validity.
    Rejected {
        /// What it rejects (`request` field), as sent; the reference sends `ReqVote`,
        /// `Heartbeat` or `Update`.
        of: Command,
        /// Why: `TermOutdated`, `TermStillValid` or `YouOutdated`.
        result: ResultCode,
        /// An objection: the sender's own store may say *granted*. A candidate must heed it,
        /// whoever voted for it (`RULES.md` L3). A reference peer never sends this mark.
        granted: bool,
    },
}
