// SPDX-License-Identifier: GPL-2.0-or-later
//! The order in which a site's tickets are read, written and probed: the executor without its
//! processes.
//!
//! Pure: time comes in as an argument, and what must happen goes out as [`Action`]s, in order.
//! The daemon performs them with processes, the simulator inside its world.
//!
//! Per ticket there are two places. The *line* is everything that touches the store (reads,
//! writes, attributes): one thing runs, the others wait in order, so that an earlier change of
//! this site can never come after a later one (`RULES.md` L6). The *probe* place runs the
//! before-acquire handler.
//!
//! How to drive it:
//! 1. [`Slots::offer`] for each of the engine's effects that are meant for the executor;
//! 2. perform the actions; when a job has ended, however it ended, say so once with
//!    [`Slots::finished`];
//! 3. call [`Slots::tick`] at [`Slots::next_deadline`], or later.
//!
//! A job that is a grant has one more duty: right before the change itself, behind whatever
//! lock orders the changes, ask [`exec_check`] with the newest window, and end the job with
//! [`JobEnd::TooLate`] if it says so.

mod line;
mod pool;
mod probe;
mod window;

#[cfg(test)]
mod tests;

pub use pool::{Limits, PoolLimits};
pub use window::{exec_check, TooLate};

use crate::engine::{
    AttrChange, CibLoad, CibState, Effect, Event, HoldWindow, ProbeRun, WriteSerial,
};
use crate::model::{Term, TicketIndex};
use crate::time::{MonoTime, Span, WallTime};
use line::Line;
use pool::{PoolKind, Pools};
use probe::ProbePlace;
use std::collections::{BTreeMap, BTreeSet};

/// What a job that was asked to end may still take; then it is killed (`architecture.md` 5).
pub const GRACE: Span = Span::from_secs(2);

/// What a killed job may take to be gone. One that the kernel cannot end (it waits for a dead
/// disk) is given up then: its place is free for the revoke, which finds the lock taken and
/// deals with it.
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
    /// Write the ticket to the store.
    Write {
        /// The ticket.
        ticket: TicketIndex,
        /// What to write.
        state: CibState,
    },
    /// Write or delete one attribute in the store.
    Attr {
        /// The ticket.
        ticket: TicketIndex,
        /// What to change.
        change: AttrChange,
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
    /// The lease guard must know this before any later action is performed.
    Guard {
        /// The ticket.
        ticket: TicketIndex,
        /// The window; `None`: nothing to guard.
        window: Option<HoldWindow>,
        /// The term.
        term: Term,
    },
    /// Start a job.
    Start {
        /// Its number.
        id: JobId,
        /// What it is.
        job: Job,
    },
    /// End a job; [`Slots::finished`] is still to be called once it is gone.
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
    /// A write, an attribute or a probe: it succeeded.
    Done,
    /// A grant: [`exec_check`] refused; nothing was written.
    TooLate,
    /// It failed; the text says how.
    Failed(String),
    /// It was killed, by us or by somebody else; a change may still take effect.
    Killed,
}

/// Everything that is wanted and running for all tickets of a site.
#[derive(Debug)]
pub struct Slots {
    tickets: Vec<Ticket>,
    pools: Pools,
    /// Which ticket each job belongs to, until [`Slots::finished`].
    jobs: BTreeMap<JobId, (TicketIndex, PoolKind)>,
    /// The nearest deadline of each ticket that has one.
    deadlines: BTreeSet<(MonoTime, TicketIndex)>,
    next_job: u64,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Ticket {
    line: Line,
    probe: ProbePlace,
    /// The entry of this ticket in [`Slots::deadlines`].
    timer: Option<MonoTime>,
}

impl Slots {
    /// Nothing wanted, nothing running, for this number of tickets.
    pub fn new(tickets: usize, limits: Limits) -> Slots {
        Slots {
            tickets: (0..tickets).map(|_| Ticket::default()).collect(),
            pools: Pools::new(limits),
            jobs: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_job: 0,
            stopping: false,
        }
    }

    /// Takes a wish of the engine.
    ///
    /// Panics on an effect that is not for the executor, or a ticket that does not exist: the
    /// shell sorts them, and both come from our own engine.
    pub fn offer(&mut self, now: MonoTime, wish: Effect, actions: &mut Vec<Action>) {
        if self.stopping {
            return;
        }
        let ticket = match wish {
            Effect::LoadCib { ticket, limit } => {
                self.line(ticket).offer_load(limit);
                ticket
            }
            Effect::WriteCib { ticket, serial, state } => {
                self.line(ticket).offer_write(now, ticket, (serial, state), actions);
                ticket
            }
            Effect::Hold { ticket, window, term } => {
                self.line(ticket).window = window;
                actions.push(Action::Guard { ticket, window, term });
                ticket
            }
            Effect::WriteAttr { ticket, serial, change, limit } => {
                self.line(ticket).offer_attr(ticket, serial, (change, limit), actions);
                ticket
            }
            Effect::StartProbe { ticket, run, expires, deadline } => {
                let wanted = probe::Wanted { run, expires, deadline };
                self.ticket(ticket).probe.offer(now, ticket, wanted, actions);
                ticket
            }
            Effect::StopProbe { ticket, run } => {
                self.ticket(ticket).probe.stop(now, run, actions);
                ticket
            }
            Effect::Send { .. }
            | Effect::Reply { .. }
            | Effect::Arm { .. }
            | Effect::Disarm { .. }
            | Effect::Note(_) => {
                panic!("the executor is given only what is meant for it")
            }
        };
        self.update(now, ticket, actions);
        self.start_waiting(now, actions);
    }

    /// A job has ended. Called once for each [`Action::Start`], whether or not it was ended by
    /// us; the number of a job that is not known is ignored.
    pub fn finished(&mut self, now: MonoTime, id: JobId, end: JobEnd, actions: &mut Vec<Action>) {
        let Some((ticket, pool)) = self.jobs.remove(&id) else {
            return;
        };
        self.pools.leave(pool, id);
        match pool {
            PoolKind::Revokes | PoolKind::Changes => {
                self.line(ticket).finished(ticket, id, end, actions);
            }
            PoolKind::Probes => self.ticket(ticket).probe.finished(ticket, id, end, actions),
        }
        self.update(now, ticket, actions);
        self.start_waiting(now, actions);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        while let Some((at, ticket)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, ticket));
            self.ticket(ticket).timer = None;
            self.update(now, ticket, actions);
        }
        self.start_waiting(now, actions);
    }

    /// When [`Slots::tick`] is needed next.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        let ticket = self.deadlines.first().map(|(at, _)| *at);
        let pools = if self.stopping { None } else { self.pools.next_room() };
        match (ticket, pools) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The daemon stops: what has not started is forgotten without a report, reads and probes
    /// are asked to end, writes may finish.
    pub fn stop(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.stopping = true;
        for index in (0..self.tickets.len()).map(TicketIndex::new) {
            let ticket = self.ticket(index);
            ticket.line.stop(now, actions);
            ticket.probe.stop_all(now, actions);
            self.update(now, index, actions);
        }
    }

    /// Whether no job is running.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many jobs are running.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// Applies what is due for a ticket, and brings its place in the queues and its deadline in
    /// line with its state.
    fn update(&mut self, now: MonoTime, index: TicketIndex, actions: &mut Vec<Action>) {
        let ticket = &mut self.tickets[index.get()];
        ticket.line.due(now, index, actions);
        ticket.probe.due(now, index, actions);
        self.pools.place_line(index, &mut ticket.line);
        self.pools.place_probe(index, &mut ticket.probe);
        let next = match (ticket.line.next_deadline(), ticket.probe.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if ticket.timer != next {
            if let Some(old) = ticket.timer {
                self.deadlines.remove(&(old, index));
            }
            if let Some(new) = next {
                self.deadlines.insert((new, index));
            }
            ticket.timer = next;
        }
    }

    /// Starts what waits, as far as there is room.
    fn start_waiting(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        if self.stopping {
            return;
        }
        self.pools.age(now);
        for kind in PoolKind::ALL {
            while let Some(index) = self.pools.next(kind) {
                let id = JobId(self.next_job);
                self.next_job += 1;
                let ticket = &mut self.tickets[index.get()];
                let job = match kind {
                    PoolKind::Revokes | PoolKind::Changes => ticket.line.start(now, index, id),
                    PoolKind::Probes => ticket.probe.start(index, id),
                };
                self.jobs.insert(id, (index, kind));
                self.pools.enter(kind, now, id);
                actions.push(Action::Start { id, job });
                self.update(now, index, actions);
            }
        }
    }

    fn ticket(&mut self, index: TicketIndex) -> &mut Ticket {
        &mut self.tickets[index.get()]
    }

    fn line(&mut self, index: TicketIndex) -> &mut Line {
        &mut self.tickets[index.get()].line
    }
}

/// How far a running job has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It runs.
    Live,
    /// It was asked to end and is killed at this instant.
    Asked(MonoTime),
    /// It was killed and is given up at this instant.
    Killed(MonoTime),
}

/// The outcome of a write that `serial` waits for.
fn written(ticket: TicketIndex, serial: WriteSerial, outcome: crate::engine::CibOutcome) -> Action {
    Action::Report(Event::CibWritten { ticket, serial, outcome })
}

/// The outcome of an attribute that `serial` waits for.
fn attr_written(
    ticket: TicketIndex,
    serial: WriteSerial,
    outcome: crate::engine::CibOutcome,
) -> Action {
    Action::Report(Event::AttrWritten { ticket, serial, outcome })
}

/// The outcome of a probe.
fn probed(ticket: TicketIndex, run: ProbeRun, outcome: crate::engine::ProbeOutcome) -> Action {
    Action::Report(Event::ProbeDone { ticket, run, outcome })
}
