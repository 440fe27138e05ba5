// SPDX-License-Identifier: GPL-2.0-or-later
//! Decides which lines get a job next, and which of them share a job.
//!
//! Only a few *brisk* jobs run at once, because they compete for the processor. A job that has run
//! for a while waits for something else, and counts only towards the total. So a ticket whose
//! `crm_ticket` hangs does not delay the renewals of other tickets. Revokes come first and have
//! separate limits. If a site loses many tickets at once, one call revokes them all: each must be
//! revoked within *g*, however many there are.

use super::jobs::{JobId, Place as Line, Work};
use super::message::StoreKind;
use crate::time::{MonoTime, Span};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// How long a job counts as brisk.
const BRISK: Span = Span::from_millis(250);
/// The most brisk jobs of a kind at once. A `crm_ticket` call takes about 30 ms, half of it
/// waiting, so eight keep two processors busy.
const BRISK_MAX: usize = 8;
/// The most jobs of a kind at once: each is a process with a few megabytes.
const CHANGES_MAX: usize = 64;
/// The most separate revokes at once, when they cannot share a call.
const ALONE_MAX: usize = 128;
/// The fewest revokes, or looks, that share a call.
const TOGETHER_MIN: usize = 8;
/// The most that share a call.
const TOGETHER_MAX: usize = 2000;
/// After this time, a shared call may hang, and other lines no longer wait for it.
const TOGETHER_SLOW: Span = Span::from_secs(1);
/// How long revokes do not share calls after a shared call has failed.
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
    /// Whether it has run for less than [`BRISK`].
    brisk: bool,
    /// Whether it has run for [`TOGETHER_SLOW`], so that it may hang.
    slow: bool,
}

/// All lines that want something, and all jobs.
#[derive(Debug)]
pub(super) struct Crowd {
    store: StoreKind,
    waiting: BTreeSet<(Want, u64, Line)>,
    running: BTreeMap<JobId, Running>,
    arrivals: u64,
    /// What the job that [`Crowd::next`] returned is for.
    named: Want,
    /// Revokes do not share calls until this instant.
    alone_until: MonoTime,
    /// Whether that instant has not come yet.
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

    /// Updates the place of a line to what it wants.
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

    /// The lines of the job that may start now. The caller starts the job, enters it, and places
    /// the lines again.
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
            // `cibadmin` could also renew many with one call. But Pacemaker elects a new
            // coordinator after each change of the status section, unless the change comes from
            // `crm_ticket` or a few other tools. That is acceptable if a site must revoke, but not
            // for a renewal every few seconds.
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

    /// A revoke needs another attempt. If this job for it is a shared call and has run for *g* or
    /// longer, it hangs: then revokes do not share calls for a while.
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

    /// When a waiting line could get room because a job has run for long.
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
