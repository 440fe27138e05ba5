// SPDX-License-Identifier: GPL-2.0-or-later
//! What can happen to the engine.

use crate::model::{AttrName, AttrValue, Holder, MemberId, MemberIndex, Term, TicketIndex};
use crate::time::{MonoTime, WallTime};
use crate::wire::{ClientRequest, PeerMessage};
use alloc::string::String;
use alloc::vec::Vec;

/// A client's connection; never used twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One write to the ticket store; never used twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteSerial(pub u64);

/// One run of a before-acquire handler; never used twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeRun(pub u64);

/// Something that happened, as the shell saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The engine may begin: comes once, first. Everything configured is known.
    Start,
    /// A message of another member, opened and checked.
    Peer {
        /// Who sent it; never this member.
        from: MemberIndex,
        /// What it says.
        message: PeerMessage,
    },
    /// Datagrams that were not let in; counted. The receiver adds up equal ones, so that a flood
    /// of them leaves room in the queue for messages that matter.
    PeerRejected {
        /// The member they claim to come from, if that could be read.
        from: Option<MemberId>,
        /// Why.
        why: RejectKind,
        /// How many, at least one.
        count: u32,
    },
    /// A client's request, opened and checked.
    Client {
        /// The connection to answer.
        client: ClientId,
        /// What it wants.
        request: ClientRequest,
    },
    /// The client has closed its connection.
    ClientGone {
        /// Which.
        client: ClientId,
    },
    /// The instant of the ticket's [`super::Effect::Arm`] has come; the ticket is not armed any
    /// more. An event that comes early does no harm.
    Due {
        /// The ticket.
        ticket: TicketIndex,
    },
    /// The answer to [`super::JobWish::LoadCib`].
    CibLoaded {
        /// The ticket.
        ticket: TicketIndex,
        /// What the store says.
        outcome: CibLoad,
    },
    /// The answer to [`super::StoreWish::WriteCib`]; exactly one for each write.
    CibWritten {
        /// The ticket.
        ticket: TicketIndex,
        /// Which write.
        serial: WriteSerial,
        /// How it went.
        outcome: CibOutcome,
    },
    /// The answer to [`super::StoreWish::WriteAttr`]; exactly one for each.
    AttrWritten {
        /// The ticket.
        ticket: TicketIndex,
        /// Which write.
        serial: WriteSerial,
        /// How it went.
        outcome: CibOutcome,
    },
    /// The answer to [`super::JobWish::StartProbe`]. After a `StopProbe` it may come or not: the
    /// engine ignores it.
    ProbeDone {
        /// The ticket.
        ticket: TicketIndex,
        /// Which run.
        run: ProbeRun,
        /// How it went.
        outcome: ProbeOutcome,
    },
    /// A datagram could not be handed to the kernel; counted.
    SendFailed {
        /// To whom.
        to: MemberIndex,
    },
    /// SIGUSR1: log the state of every ticket.
    Dump,
    /// SIGTERM or SIGINT: nothing more is emitted after this.
    Shutdown,
}

/// Why a datagram was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectKind {
    /// Wrong or missing authentication, too old, or a replay (`authfail` of `booth peers`).
    Auth,
    /// No packet of this protocol: wrong size, magic, version or length field (`error`).
    Malformed,
    /// A packet that says something impossible: unknown ticket, leader or sender (`invalid`).
    Invalid,
    /// It is fine, but the engine's queue was full (`error`).
    Overflow,
}

/// What the store says of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CibLoad {
    /// The ticket as stored.
    Loaded(CibTicket),
    /// There is no such ticket yet.
    Absent,
    /// It could not be read; the text says why.
    Failed(String),
}

/// A ticket as the store has it. `None`: the attribute is missing or unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CibTicket {
    /// Whether the ticket is granted to this site.
    pub granted: bool,
    /// Attribute `owner`.
    pub owner: Option<Holder>,
    /// Attribute `expires`.
    pub expires: Option<WallTime>,
    /// Attribute `term`.
    pub term: Option<Term>,
    /// Every attribute that is not the cluster's.
    pub attrs: Vec<(AttrName, AttrValue)>,
}

/// How a write to the store ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CibOutcome {
    /// It succeeded.
    Written,
    /// It was a grant and came too late to be started; nothing was written (`RULES.md` L6).
    TooLate,
    /// A newer write took its place before it was started; nothing was written.
    Superseded,
    /// It failed; the text says how. It has not taken effect as far as anybody knows.
    Failed(String),
    /// It was killed at its deadline or for a revoke; it may still take effect, but not after a
    /// later write of this site.
    Killed,
}

/// How a run of a before-acquire handler ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It agrees.
    Success,
    /// It does not, or could not be run; the text says how.
    Failed(String),
    /// It ran longer than it was given.
    TimedOut,
}

/// The times that bound a grant in the store (`RULES.md` L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldWindow {
    /// The CIB may say *granted* only before this instant; the keeper revokes at it.
    pub hold_until: MonoTime,
    /// What the CIB's `expires` states, as wall-clock time read right before the exec.
    pub lease_until: MonoTime,
    /// A grant may be started only before this instant, `hold_until − 2g`.
    pub start_before: MonoTime,
    /// A running grant is killed at this instant, `hold_until − g`.
    pub kill_at: MonoTime,
}
