// SPDX-License-Identifier: GPL-2.0-or-later
//! Which lines get a job next, and which of them share one.
//!
//! Few *brisk* jobs run at once, since they compete for the processor; one that has run for a
//! while waits for something else and only counts towards the total, so that a ticket whose
//! `crm_ticket` hangs does not keep the renewals of the others waiting. Revokes come first and
//! have room of their own. When a site loses many tickets at the same instant, one call revokes
//! them all: the promise counts on *g* for each, however many there are.

use super::{JobId, Place as Line, StoreKind, Work};
use crate::time::{MonoTime, Span};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// How long a job counts as brisk.
const BRISK: Span = Span::from_millis(250);
/// How many brisk jobs of a kind run at once. A `crm_ticket` call takes about 30 ms, half of it
/// waiting: eight keep two processors busy.
const BRISK_MAX: usize = 8;
/// How many jobs of a kind run at once: each is a process with a few megabytes.
const CHANGES_MAX: usize = 64;
/// How many revokes run alone when none can be made together.
const ALONE_MAX: usize = 128;
/// How many revokes, or looks, are worth a call for all of them.
const TOGETHER_MIN: usize = 8;
/// How many go into one call.
const TOGETHER_MAX: usize = 2000;
/// How long a call for many may run before it counts as one that may hang, and others do not
/// wait for it any longer.
const TOGETHER_SLOW: Span = Span::from_secs(1);
/// How long none are made together after that has failed.
const PAUSE: Span = Span::from_secs(60);

/// What a line wants a job for, in the order in which lines are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    Revoke,
    Look,
    Grant,
    Attr,
}

/// A line's place in the crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    want: Want,
    arrival: u64,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    since: MonoTime,
    want: Want,
    many: bool,
    /// Whether it has not run for long.
    brisk: bool,
    /// Whether it has run for so long that it may hang.
    slow: bool,
}

/// All lines that want something, and all jobs.
#[derive(Debug)]
pub(super) struct Crowd {
    store: StoreKind,
    waiting: BTreeSet<(Want, u64, Line)>,
    running: BTreeMap<JobId, Running>,
    arrivals: u64,
    /// What the job that [`Crowd::next`] has named is for.
    named: Want,
    /// Revokes are made one by one until this instant.
    alone_until: MonoTime,
    /// Whether that has not come yet.
    alone: bool,
}

impl Crowd {
    pub(super) fn new(store: StoreKind) -> Crowd {
        Crowd {
            store,
            waiting: BTreeSet::new(),
            running: BTreeMap::new(),
            arrivals: 0,
            named: Want::Attr,
            alone_until: MonoTime::ZERO,
            alone: false,
        }
    }

    /// Gives a line the place that fits what it wants.
    pub(super) fn place(
        &mut self,
        line: Line,
        old: Option<Place>,
        wants: Option<Want>,
    ) -> Option<Place> {
        if old.map(|place| place.want) == wants {
            return old;
        }
        if let Some(Place { want, arrival }) = old {
            self.waiting.remove(&(want, arrival, line));
        }
        let want = wants?;
        self.arrivals += 1;
        self.waiting.insert((want, self.arrivals, line));
        Some(Place { want, arrival: self.arrivals })
    }

    /// The lines that share the job that may start now. The caller starts it, enters it, and
    /// places the lines again.
    pub(super) fn next(&mut self) -> Option<Vec<Line>> {
        for want in [Want::Revoke, Want::Look, Want::Grant, Want::Attr] {
            let count = self.next_of(want);
            if count > 0 {
                self.named = want;
                let lines = self.waiting.iter().filter(|(wanted, ..)| *wanted == want);
                return Some(lines.take(count).map(|(_, _, line)| *line).collect());
            }
        }
        None
    }

    /// How many lines that want this get a job now.
    fn next_of(&self, want: Want) -> usize {
        let waiting = self.waiting.iter().filter(|(wanted, ..)| *wanted == want).count();
        let revokes = want == Want::Revoke;
        let room = |job: &&Running| match want {
            Want::Revoke | Want::Look => job.want == want,
            Want::Grant | Want::Attr => matches!(job.want, Want::Grant | Want::Attr),
        };
        let alike: Vec<&Running> = self.running.values().filter(room).collect();
        let brisk = alike.iter().filter(|job| job.brisk && !job.many).count();
        let together = match (self.store, want) {
            (StoreKind::Directory, _) => true,
            (StoreKind::Cib, Want::Revoke) => !self.alone,
            (StoreKind::Cib, Want::Look) => true,
            // `cibadmin` could renew many with one call, too. But Pacemaker elects its coordinator
            // anew after each change of the status section by any tool that it does not count
            // among its safe ones, which are `crm_ticket` and a few others: for a site that must
            // revoke, that is a fair price, for a renewal every few seconds it is not.
            (StoreKind::Cib, Want::Grant | Want::Attr) => false,
        };
        let busy = alike.iter().any(|job| job.many && !job.slow);
        match () {
            () if waiting == 0 => 0,
            () if together && waiting >= TOGETHER_MIN && !busy => waiting.min(TOGETHER_MAX),
            () if together && waiting >= TOGETHER_MIN => 0,
            () if revokes && !together => usize::from(alike.len() < ALONE_MAX),
            () if revokes => usize::from(brisk < BRISK_MAX),
            () => usize::from(brisk < BRISK_MAX && alike.len() < CHANGES_MAX),
        }
    }

    /// A job starts.
    pub(super) fn enter(&mut self, now: MonoTime, job: JobId, work: &Work) {
        let many = match work {
            Work::Change(changes) => changes.len() > 1,
            Work::Look(places) => places.len() > 1,
        };
        let (want, brisk, slow) = (self.named, true, false);
        let running = Running { since: now, want, many, brisk, slow };
        self.running.insert(job, running);
    }

    /// A job has ended.
    pub(super) fn leave(&mut self, now: MonoTime, job: JobId, failed: bool) {
        let Some(running) = self.running.remove(&job) else { return };
        if failed && running.many && running.want == Want::Revoke && self.store == StoreKind::Cib {
            (self.alone, self.alone_until) = (true, now.plus(PAUSE));
        }
    }

    /// A revoke needs another attempt, since this job for it has run for *g* or longer: if that is
    /// a call for many, it hangs, and none are made together for a while.
    pub(super) fn hangs(&mut self, now: MonoTime, job: JobId, guard: Span) {
        let hangs = |job: &Running| job.many && now >= job.since.plus(guard);
        if self.store == StoreKind::Cib && self.running.get(&job).is_some_and(hangs) {
            (self.alone, self.alone_until) = (true, now.plus(PAUSE));
        }
    }

    /// Jobs that have run for long are not brisk any more.
    pub(super) fn age(&mut self, now: MonoTime) {
        self.alone &= now < self.alone_until;
        for job in self.running.values_mut() {
            job.brisk = now < job.since.plus(BRISK);
            job.slow = now >= job.since.plus(TOGETHER_SLOW);
        }
    }

    /// When a line that waits could get room because a job has run for long.
    pub(super) fn next_room(&self) -> Option<MonoTime> {
        if self.waiting.is_empty() {
            return None;
        }
        let brisk = self.running.values().filter(|job| job.brisk);
        let many = self.running.values().filter(|job| job.many && !job.slow);
        let full = self.running.len() >= ALONE_MAX;
        brisk
            .map(|job| job.since.plus(BRISK))
            .chain(many.map(|job| job.since.plus(TOGETHER_SLOW)))
            .chain((full && self.alone).then_some(self.alone_until))
            .min()
    }
}
