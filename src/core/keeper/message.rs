// SPDX-License-Identifier: GPL-2.0-or-later
//! What the keeper is told, and what it says.

use super::before::Before;
use super::jobs::{JobEnd, JobId, Place, Work};
use super::verdict::Grant;
use crate::engine::{AttrChange, CibOutcome, CibState, HoldWindow, NoteLevel, WriteSerial};
use crate::model::{Term, TicketIndex, TicketName};
use crate::time::Span;
use alloc::string::String;
use alloc::vec::Vec;

/// The kind of store, which determines what one job can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The CIB: each grant and each attribute needs a separate call; many revokes can share one.
    Cib,
    /// The built-in store: a job can make any number of changes.
    Directory,
}

/// What the keeper has to know about a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The name, by which the keeper finds the ticket's line again.
    pub name: TicketName,
    /// *g*: this long after it was killed, a change can no longer take effect.
    pub guard: Span,
}

/// What boothd tells the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The window of a ticket. It comes before every wish that needs it.
    Hold {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// When the store may say *granted*; `None`: it says *revoked*.
        window: Option<HoldWindow>,
        /// The term in which the window was won.
        term: Term,
    },
    /// A wish to write the ticket. It replaces one that has not begun.
    Write {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// What to write.
        state: CibState,
    },
    /// A wish to change an attribute.
    Attr {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// The attribute and its new value.
        change: AttrChange,
        /// How long the change may run.
        limit: Span,
    },
    /// boothd has read this grant in the store, and takes it for this site's.
    Read {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// The grant in the store.
        grant: Grant,
    },
}

impl Word {
    /// The ticket that it is about.
    pub fn ticket(&self) -> TicketIndex {
        match self {
            Word::Hold { ticket, .. }
            | Word::Write { ticket, .. }
            | Word::Attr { ticket, .. }
            | Word::Read { ticket, .. } => *ticket,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A boothd has taken over, with these tickets in the order of its configuration. Wishes of the
    /// previous boothd that have not begun are forgotten, except revokes of leases.
    TakeOver(Vec<Kept>),
    /// The connected boothd is gone. Its wishes that have not begun are forgotten, except revokes.
    Left,
    /// Another keeper works from now on. Wishes that have not begun are forgotten, and running
    /// changes of tickets are ended, except revokes of leases.
    Resigned,
    /// A word from boothd.
    Said(Word),
    /// A job has ended, with its result for each of its tickets. If one is missing, it was killed.
    Ended(JobId, Vec<(Place, JobEnd)>),
    /// A deadline has come.
    Tick,
}

/// What the keeper tells boothd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The outcome of a [`Word::Write`]. Each gets one answer, except those of an earlier boothd.
    Written {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// Whether it was written, and if not, why.
        outcome: CibOutcome,
    },
    /// The outcome of a [`Word::Attr`]. Each gets one answer.
    AttrWritten {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// Whether it was written, and if not, why.
        outcome: CibOutcome,
    },
    /// After a take-over, once for each ticket: nothing that was begun earlier can still take
    /// effect unseen, so the store may be read and believed.
    Quiet {
        /// The index of the ticket in boothd's configuration.
        ticket: TicketIndex,
        /// What the keeper knows of it from before the take-over.
        before: Before,
    },
}

impl Answer {
    /// The ticket that it is about.
    pub fn ticket(&self) -> TicketIndex {
        match self {
            Answer::Written { ticket, .. }
            | Answer::AttrWritten { ticket, .. }
            | Answer::Quiet { ticket, .. } => *ticket,
        }
    }
}

/// What the process around the keeper must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Start a job.
    Start(JobId, Work),
    /// End a job with SIGKILL; [`Input::Ended`] follows.
    Kill(JobId),
    /// Send this answer to boothd.
    Say(Answer),
    /// Directly after a take-over: tell boothd what the previous one had told. It has to tell a
    /// keeper that replaces this one.
    Tell(Word),
    /// Log a line about this ticket.
    Note(NoteLevel, Place, String),
}
