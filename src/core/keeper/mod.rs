// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper of a site's tickets, without its processes. Only the keeper changes the ticket store,
//! and it guards the leases (`RULES.md` L6).
//!
//! Like the engine, it does no I/O: [`Keeper::step`] takes an input and appends what must be done,
//! in order. The process around it (`store::keeper`) starts and ends jobs; the simulator does the
//! same in its world. The keeper outlives boothd: what it was told binds the next boothd of this
//! boot.
//!
//! Each ticket has a *line* ([`line`]). It runs one change at a time, in the order of the wishes. A
//! revoke that is *owed* is attempted until it has succeeded, however slow or ill the store is; if
//! necessary, several attempts run at once. [`crowd`] decides which lines get a job next, and which
//! changes share a call.
//!
//! How to drive it: give each [`Input`] to [`Keeper::step`] and perform the [`Output`]s. Report the
//! end of each job once, however it ended. Call it with [`Input::Tick`] at
//! [`Keeper::next_deadline`] or later. Before the first job is started, and while
//! [`Keeper::is_unsettled`], there must be a mark where the next keeper finds it.

use crate::engine::HoldWindow;
use crate::model::{Holder, TicketIndex, TicketName};
use crate::time::{MonoTime, Now};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
pub use before::Before;
use check::over_after;
pub use check::{expires_of, is_late};
use crowd::{Crowd, Want};
use cx::Cx;
pub use jobs::{Change, JobEnd, JobId, Place, Values, Work};
use line::{Begun, Line};
pub use message::{Answer, Input, Kept, Output, StoreKind, Word};
pub use told::Told;
pub use verdict::{verdict, Decision, Grant};

mod before;
mod check;
mod crowd;
mod cx;
mod jobs;
mod line;
mod message;
mod revoke;
mod told;
mod verdict;
pub mod words;

#[cfg(test)]
mod tests;

/// All tickets of a site, and the jobs that change them.
#[derive(Debug)]
pub struct Keeper {
    site: Holder,
    lines: Vec<Line>,
    /// The lines of boothd's tickets, by its index.
    order: Vec<Place>,
    /// Running jobs, with the tickets of each.
    jobs: BTreeMap<JobId, Vec<Place>>,
    /// How many of its tickets no longer need a job. It is ended when none needs it.
    unwanted: BTreeMap<JobId, usize>,
    crowd: Crowd,
    /// The nearest deadline of each line that has one.
    deadlines: BTreeSet<(MonoTime, Place)>,
    next_job: u64,
    /// Before this instant, nothing may be read and believed, or granted: a change begun by a
    /// keeper that has died, or by one on another node, may take effect until then.
    quiet_at: MonoTime,
    /// When the last boothd left; `None`: it is here, or there has been none.
    left_at: Option<MonoTime>,
    store: StoreKind,
}

impl Keeper {
    /// A keeper without tickets. What may have been begun before it can no longer take effect from
    /// `quiet_at` on.
    pub fn new(site: Holder, store: StoreKind, quiet_at: MonoTime) -> Keeper {
        Keeper {
            site,
            lines: Vec::new(),
            order: Vec::new(),
            jobs: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            crowd: Crowd::new(store),
            deadlines: BTreeSet::new(),
            next_job: 0,
            quiet_at,
            left_at: None,
            store,
        }
    }

    /// Processes an input, and appends what must be done. Ignores a word about a ticket that boothd
    /// has not named, and the end of a job that does not run.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        self.due(now, out);
        match input {
            Input::TakeOver(tickets) => self.take_over(now, tickets, out),
            Input::Left => {
                self.left_at = Some(now.mono);
                self.with_all(now, out, |line, _| line.leave());
            }
            Input::Resigned => self.resign(now, out),
            Input::Said(word) => {
                let Some(place) = self.order.get(word.ticket().get()).copied() else { return };
                self.with(place, now, out, |line, cx| line.hear(word, cx));
            }
            Input::Ended(job, ends) => self.ended(now, job, ends, out),
            Input::Tick => {}
        }
        self.start_waiting(now, out);
    }

    /// Applies every deadline that has come.
    fn due(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some((at, place)) = self.deadlines.first().copied() {
            if at > now.mono {
                break;
            }
            self.deadlines.remove(&(at, place));
            self.lines[place.0].timer = None;
            self.with(place, now, out, |_, _| {});
        }
    }

    /// When [`Input::Tick`] is needed next.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        let line = self.deadlines.first().map(|(at, _)| *at);
        [line, self.crowd.next_room()].into_iter().flatten().min()
    }

    /// The name of the ticket of this line.
    ///
    /// Panics if the keeper has no such line.
    pub fn name(&self, place: Place) -> &TicketName {
        &self.lines[place.0].name
    }

    /// The line of a ticket, if this keeper has ever been told of it.
    pub fn place(&self, name: &TicketName) -> Option<Place> {
        self.lines.iter().find(|line| line.name == *name).map(|line| line.place)
    }

    /// The window in which the store may say *granted*. At its end, this keeper revokes.
    ///
    /// Panics if the keeper has no such line.
    pub fn watched(&self, place: Place) -> Option<HoldWindow> {
        self.lines[place.0].watched()
    }

    /// Whether there is anything to do or to wait for: a lease to guard, a revoke that is owed, a
    /// running job, or a change that may still take effect.
    pub fn is_needed(&self, now: MonoTime) -> bool {
        self.is_unsettled(now) || self.lines.iter().any(Line::is_needed)
    }

    /// Whether a change was begun that may still take effect unseen.
    pub fn is_unsettled(&self, now: MonoTime) -> bool {
        now < self.quiet_at || self.lines.iter().any(|line| line.is_unsettled(now))
    }

    /// When killed changes can no longer take effect, if nothing else happens. This does not
    /// include running jobs.
    pub fn settles_at(&self) -> Option<MonoTime> {
        self.lines.iter().map(Line::settles_at).chain([self.quiet_at]).max()
    }

    /// Whether a revoke is owed that has failed for a long time.
    pub fn is_in_vain(&self) -> bool {
        self.lines.iter().any(Line::is_in_vain)
    }

    /// The number of running jobs.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// What the keeper knows of a ticket of boothd; nothing if it does not know the ticket.
    pub fn before(&self, ticket: TicketIndex) -> Before {
        let place = self.order.get(ticket.get());
        place.map(|place| self.lines[place.0].before()).unwrap_or_default()
    }

    fn take_over(&mut self, now: Now, tickets: Vec<Kept>, out: &mut Vec<Output>) {
        self.order.clear();
        for line in &mut self.lines {
            line.index = None;
        }
        let names = self.lines.iter().enumerate().map(|(at, line)| (line.name.clone(), at));
        let known: BTreeMap<TicketName, usize> = names.collect();
        for (index, kept) in tickets.into_iter().enumerate() {
            let at = known.get(&kept.name).copied().unwrap_or_else(|| {
                self.lines.push(Line::new(Place(self.lines.len()), &kept));
                self.lines.len() - 1
            });
            self.lines[at].guard = kept.guard;
            self.lines[at].index = Some(TicketIndex::new(index));
            self.order.push(Place(at));
        }
        // All nodes share a CIB. A boothd that was away for longer than *g* may come from another
        // node, where something may be in flight. A boothd that starts there waits for *g* itself.
        let longest = self.order.iter().map(|place| self.lines[place.0].guard).max();
        let (left, longest) = (self.left_at.take(), longest.unwrap_or_default());
        if self.store == StoreKind::Cib && left.is_some_and(|at| now.mono.since(at) >= longest) {
            self.quiet_at = self.quiet_at.max(over_after(now.mono, longest));
        }
        self.with_all(now, out, Line::succeed);
    }

    fn resign(&mut self, now: Now, out: &mut Vec<Output>) {
        self.left_at = Some(now.mono);
        self.order.clear();
        self.with_all(now, out, Line::resign);
    }

    fn ended(&mut self, now: Now, job: JobId, ends: Vec<(Place, JobEnd)>, out: &mut Vec<Output>) {
        let Some(places) = self.jobs.remove(&job) else { return };
        self.unwanted.remove(&job);
        let mut ends: BTreeMap<Place, JobEnd> = ends.into_iter().collect();
        let failed = ends.len() < places.len()
            || ends.values().any(|end| !matches!(end, JobEnd::Done | JobEnd::Looked(_)));
        self.crowd.leave(now.mono, job, failed);
        for place in places {
            let end = ends.remove(&place).unwrap_or(JobEnd::Killed);
            self.with(place, now, out, |line, cx| line.ended(job, end, cx));
        }
    }

    /// Does something to a line, applies what is due, and updates the line's place in the crowd and
    /// its deadline.
    fn with(
        &mut self,
        place: Place,
        now: Now,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Line, &mut Cx<'_>),
    ) {
        let (site, quiet_at, lines) = (self.site, self.quiet_at, self.lines.len());
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        let checks = self.store == StoreKind::Cib;
        let mut cx = Cx { now, site, quiet_at, lines, checks, out, unwanted: Vec::new() };
        let line = &mut self.lines[place.0];
        act(line, &mut cx);
        line.advance(&mut cx);
        let unwanted = cx.unwanted;
        let wants = line.wants(now.mono, self.quiet_at);
        if wants == Some(Want::Revoke) {
            line.owed.attempts().for_each(|job| self.crowd.hangs(now.mono, job, line.guard));
        }
        line.rank = self.crowd.place(place, line.rank, wants);
        let next = line.next_deadline(now.mono, self.quiet_at);
        if line.timer != next {
            if let Some(old) = line.timer {
                self.deadlines.remove(&(old, place));
            }
            self.deadlines.extend(next.map(|at| (at, place)));
            line.timer = next;
        }
        for job in unwanted {
            let count = self.unwanted.entry(job).and_modify(|count| *count += 1).or_insert(1);
            if self.jobs.get(&job).is_some_and(|places| places.len() == *count) {
                out.push(Output::Kill(job));
            }
        }
    }

    /// The same for all lines.
    fn with_all(&mut self, now: Now, out: &mut Vec<Output>, act: impl Fn(&mut Line, &mut Cx<'_>)) {
        for place in (0..self.lines.len()).map(Place) {
            self.with(place, now, out, &act);
        }
    }

    /// Starts jobs for waiting lines while there is room.
    fn start_waiting(&mut self, now: Now, out: &mut Vec<Output>) {
        self.crowd.age(now.mono);
        while let Some(places) = self.crowd.next() {
            let job = JobId(self.next_job);
            self.next_job += 1;
            let many = places.len() > 1;
            let mut changes = Vec::new();
            let mut looks = Vec::new();
            for place in &places {
                self.with(*place, now, out, |line, cx| match line.start(job, many, cx) {
                    Some(Begun::Change(change)) => changes.push((*place, change)),
                    Some(Begun::Look) => looks.push(*place),
                    None => debug_assert!(false, "a line that is served wants something"),
                });
            }
            let work = if changes.is_empty() { Work::Look(looks) } else { Work::Change(changes) };
            self.crowd.enter(now.mono, job, &work);
            self.jobs.insert(job, places);
            out.push(Output::Start(job, work));
        }
    }
}
