// SPDX-License-Identifier: GPL-2.0-or-later
//! The pure core: decides which site holds each ticket (`lease.md`).
//!
//! [`Engine::step`] is the only way in which state changes. No clock, no I/O, no threads, no
//! randomness but a seeded generator: the same events give the same effects, byte for byte.
#![forbid(unsafe_code)]

mod effect;
mod event;
pub mod mutant;
mod report;

pub use effect::{AttrChange, CibExpiry, CibState, Effect, Note, NoteLevel};
pub use event::{
    CibLoad, CibOutcome, CibTicket, ClientId, Event, HoldWindow, ProbeOutcome, ProbeRun,
    RejectKind, WriteSerial,
};
pub use report::{AttrRow, PeerCounters, PeerRow, Remark, Reply, TicketRow};

use crate::model::{Roster, TicketSpec};
use crate::time::{MonoTime, Now};

/// What an engine is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The members, and which of them this is.
    pub roster: Roster,
    /// The tickets in configuration order.
    pub tickets: Vec<TicketSpec>,
    /// The seed of every random choice; the daemon takes it from the kernel.
    pub seed: u64,
}

/// All tickets of one member.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
}

impl Engine {
    /// An engine that has seen nothing yet; the first event must be [`Event::Start`].
    pub fn new(setup: Setup) -> Engine {
        Engine { setup }
    }

    /// Takes one event and appends what must be done to `effects`, in order.
    ///
    /// `now.mono` must not be before that of the previous step.
    pub fn step(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let _ = (now, event, effects, &self.setup);
    }

    /// The nearest deadline of all tickets: the loop steps with [`Event::Tick`] no later than
    /// then, or within a second of it if a timer was lost. `None`: nothing is waited for.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        None
    }

    /// How many tickets this site holds or is granting (CIB may say granted), of how many.
    pub fn held(&self) -> (usize, usize) {
        (0, self.setup.tickets.len())
    }
}
