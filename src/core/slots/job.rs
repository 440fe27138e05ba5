// SPDX-License-Identifier: GPL-2.0-or-later
//! Jobs: what must happen outside, and how it ends.

use crate::engine::{CibLoad, Event, ProbeRun};
use crate::model::TicketIndex;
use crate::time::{Span, WallTime};
use alloc::string::String;

/// What a job that was asked to end may still take; then it is killed.
pub const GRACE: Span = Span::from_secs(2);

/// What a killed job may take to be gone. One that the kernel cannot end (it waits for a dead
/// disk) is given up then.
pub const REAP: Span = Span::from_secs(1);

/// One thing to do outside; its number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Read the ticket from the store.
    Load {
        /// The ticket.
        ticket: TicketIndex,
    },
    /// Run the before-acquire handler.
    Probe {
        /// The ticket.
        ticket: TicketIndex,
        /// `BOOTH_TICKET_EXPIRES`; the epoch if nobody holds the ticket.
        expires: WallTime,
    },
}

/// How a job is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With SIGTERM to its process group.
    Ask,
    /// With SIGKILL to its process group.
    Kill,
}

/// What must happen outside, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a job.
    Start {
        /// Its number.
        id: JobId,
        /// What it is.
        job: Job,
    },
    /// End a job; [`super::Slots::finished`] is still to be called once it is gone.
    End {
        /// Its number.
        id: JobId,
        /// How.
        how: Ending,
    },
    /// Tell the engine.
    Report(Event),
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// The ticket was read, or not.
    Loaded(CibLoad),
    /// A probe: it succeeded.
    Done,
    /// It failed; the text says how.
    Failed(String),
    /// It was killed, by us or by somebody else.
    Killed,
}

/// The outcome of a probe.
pub(super) fn probed(
    ticket: TicketIndex,
    run: ProbeRun,
    outcome: crate::engine::ProbeOutcome,
) -> Action {
    Action::Report(Event::ProbeDone { ticket, run, outcome })
}
