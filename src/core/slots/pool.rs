// SPDX-License-Identifier: GPL-2.0-or-later
//! How many jobs run at once, and which ticket is next. Pure.
//!
//! A job counts as *brisk* until it has run for a while: few brisk ones run at once, since they
//! compete for the processor; slow ones wait for something else and only count towards the total,
//! so that a ticket whose `crm_ticket` hangs does not keep the others waiting.

use super::job::JobId;
use crate::model::TicketIndex;
use crate::time::{MonoTime, Span};
use alloc::collections::{BTreeMap, BTreeSet};

/// How many jobs of one kind may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// How many that have not run for [`Limits::slow_after`] yet.
    pub brisk: usize,
    /// How many together.
    pub total: usize,
}

/// How many jobs may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Reads.
    pub loads: PoolLimits,
    /// Before-acquire handlers.
    pub probes: PoolLimits,
    /// How long a job counts as brisk.
    pub slow_after: Span,
}

impl Limits {
    /// For a process per job.
    ///
    /// A `crm_ticket` call takes about 30 ms, half of it waiting: 8 at a time read 1000 tickets
    /// in 4 s and keep two processors busy. The totals bound memory: a hung `crm_ticket` has a
    /// few megabytes of its own.
    pub const fn processes() -> Limits {
        Limits {
            loads: PoolLimits { brisk: 8, total: 64 },
            probes: PoolLimits { brisk: 8, total: 128 },
            slow_after: Span::from_millis(250),
        }
    }
}

/// The pools, in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PoolKind {
    Loads,
    Probes,
}

impl PoolKind {
    pub(super) const ALL: [PoolKind; 2] = [PoolKind::Loads, PoolKind::Probes];
}

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    kind: PoolKind,
    arrival: u64,
}

#[derive(Debug)]
struct Pool {
    limits: PoolLimits,
    running: BTreeMap<JobId, MonoTime>,
    brisk: BTreeSet<(MonoTime, JobId)>,
    waiting: BTreeSet<(u64, TicketIndex)>,
}

#[derive(Debug)]
pub(super) struct Pools {
    loads: Pool,
    probes: Pool,
    slow_after: Span,
    arrivals: u64,
}

impl Pools {
    pub(super) fn new(limits: Limits) -> Pools {
        let pool = |limits| Pool {
            limits,
            running: BTreeMap::new(),
            brisk: BTreeSet::new(),
            waiting: BTreeSet::new(),
        };
        Pools {
            loads: pool(limits.loads),
            probes: pool(limits.probes),
            slow_after: limits.slow_after,
            arrivals: 0,
        }
    }

    /// The place in the queues that fits what a ticket wants there, in place of the old one.
    pub(super) fn place(
        &mut self,
        ticket: TicketIndex,
        old: Option<Place>,
        wants: Option<PoolKind>,
    ) -> Option<Place> {
        if old.map(|place| place.kind) == wants {
            return old;
        }
        if let Some(place) = old {
            self.pool(place.kind).waiting.remove(&(place.arrival, ticket));
        }
        let kind = wants?;
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.pool(kind).waiting.insert((arrival, ticket));
        Some(Place { kind, arrival })
    }

    /// The ticket that may start now; the caller starts it, enters it and places it again.
    pub(super) fn next(&mut self, kind: PoolKind) -> Option<TicketIndex> {
        let pool = self.pool(kind);
        if !pool.has_room() || pool.brisk.len() >= pool.limits.brisk {
            return None;
        }
        pool.waiting.first().map(|(_, ticket)| *ticket)
    }

    pub(super) fn enter(&mut self, kind: PoolKind, now: MonoTime, id: JobId) {
        let pool = self.pool(kind);
        pool.running.insert(id, now);
        pool.brisk.insert((now, id));
    }

    pub(super) fn leave(&mut self, kind: PoolKind, id: JobId) {
        let pool = self.pool(kind);
        if let Some(started) = pool.running.remove(&id) {
            pool.brisk.remove(&(started, id));
        }
    }

    /// Jobs that have run for long are not brisk any more.
    pub(super) fn age(&mut self, now: MonoTime) {
        let slow_after = self.slow_after;
        for kind in PoolKind::ALL {
            let pool = self.pool(kind);
            while let Some((started, id)) = pool.brisk.first().copied() {
                if started.plus(slow_after) > now {
                    break;
                }
                pool.brisk.remove(&(started, id));
            }
        }
    }

    /// When a waiting ticket could get room because a brisk job has become a slow one.
    pub(super) fn next_room(&self) -> Option<MonoTime> {
        [&self.loads, &self.probes]
            .into_iter()
            .filter(|pool| !pool.waiting.is_empty() && pool.has_room())
            .filter_map(|pool| pool.brisk.first())
            .map(|(started, _)| started.plus(self.slow_after))
            .min()
    }

    fn pool(&mut self, kind: PoolKind) -> &mut Pool {
        match kind {
            PoolKind::Loads => &mut self.loads,
            PoolKind::Probes => &mut self.probes,
        }
    }
}

impl Pool {
    fn has_room(&self) -> bool {
        self.running.len() < self.limits.total
    }
}
