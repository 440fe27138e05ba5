// SPDX-License-Identifier: GPL-2.0-or-later
//! The order in which a site's tickets are read and probed: the executor without its processes.
//!
//! Pure: time comes in as an argument, and what must happen goes out as [`Action`]s, in order.
//! The daemon performs them with processes, the simulator inside its world.
//!
//! Per ticket there are two places: one reads the store, one runs the before-acquire handler.
//! What changes the store is not here but in [`crate::keeper`].
//!
//! How to drive it:
//! 1. [`Slots::offer`] for each of the engine's effects that are about reads and handlers, and
//!    [`Slots::spoil`] when a ticket is about to be changed;
//! 2. perform the actions; when a job has ended, however it ended, say so once with
//!    [`Slots::finished`];
//! 3. call [`Slots::tick`] at [`Slots::next_deadline`], or later.

use crate::engine::JobWish;
use crate::model::TicketIndex;
use crate::time::MonoTime;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
pub use job::{Action, Ending, Job, JobEnd, JobId, GRACE, REAP};
use load::LoadPlace;
pub use pool::{Limits, PoolLimits};
use pool::{PoolKind, Pools};
use probe::ProbePlace;

mod job;
mod load;
mod pool;
mod probe;
mod running;

#[cfg(test)]
mod tests;

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
    load: LoadPlace,
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
    /// Panics if the ticket does not exist: it comes from our own engine.
    pub fn offer(&mut self, now: MonoTime, wish: JobWish, actions: &mut Vec<Action>) {
        let ticket = match wish {
            JobWish::LoadCib { ticket, limit } => {
                self.ticket(ticket).load.offer(limit);
                ticket
            }
            JobWish::StartProbe { ticket, run, expires, deadline } => {
                let wanted = probe::Wanted { run, expires, deadline };
                self.ticket(ticket).probe.offer(now, ticket, wanted, actions);
                ticket
            }
            JobWish::StopProbe { ticket, run } => {
                self.ticket(ticket).probe.stop(now, run, actions);
                ticket
            }
        };
        self.update(now, ticket, actions);
        self.start_waiting(now, actions);
    }

    /// A ticket is about to be changed: a read of it that runs ends as failed.
    pub fn spoil(&mut self, now: MonoTime, ticket: TicketIndex, actions: &mut Vec<Action>) {
        self.ticket(ticket).load.spoil(now, ticket, actions);
        self.update(now, ticket, actions);
    }

    /// A job has ended. Called once for each [`Action::Start`], whether or not it was ended by
    /// us; the number of a job that is not known is ignored.
    pub fn finished(&mut self, now: MonoTime, id: JobId, end: JobEnd, actions: &mut Vec<Action>) {
        let Some((ticket, pool)) = self.jobs.remove(&id) else {
            return;
        };
        self.pools.leave(pool, id);
        match pool {
            PoolKind::Loads => self.ticket(ticket).load.finished(ticket, id, end, actions),
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

    /// The daemon stops: what has not started is forgotten without a report, what runs is asked to
    /// end.
    pub fn stop(&mut self, now: MonoTime, actions: &mut Vec<Action>) {
        self.stopping = true;
        for index in (0..self.tickets.len()).map(TicketIndex::new) {
            let ticket = self.ticket(index);
            ticket.load.stop(now, actions);
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
        ticket.load.due(now, index, actions);
        ticket.probe.due(now, index, actions);
        let (load, probe) = (&mut ticket.load, &mut ticket.probe);
        let (reads, asks) = (load.wants(), probe.wants());
        load.place = self.pools.place(index, load.place, reads.then_some(PoolKind::Loads));
        probe.place = self.pools.place(index, probe.place, asks.then_some(PoolKind::Probes));
        let next = match (ticket.load.next_deadline(), ticket.probe.next_deadline()) {
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
                    PoolKind::Loads => {
                        ticket.load.start(now, id);
                        Job::Load { ticket: index }
                    }
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
}
