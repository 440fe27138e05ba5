// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper of a site's tickets, without its processes: the only one that changes the ticket
//! store, and the lease guard (`RULES.md` L6).
//!
//! Pure, as the engine is: [`Keeper::step`] takes in what happened and appends what must be done,
//! in order. The process around it (`daemon::keeper`) starts and ends jobs; the simulator does the
//! same inside its world. The keeper outlives boothd: what it was told binds the next boothd of
//! this boot.
//!
//! Per ticket there is a *line* ([`line`]): one change runs at a time, in the order of the
//! wishes; a revoke that is *owed* is attempted until it has succeeded, however slow or ill the
//! store is, several attempts beside each other if need be. Which lines get a job next, and which
//! changes are made with one call, is decided in [`crowd`].
//!
//! How to drive it: give each [`Input`] to [`Keeper::step`] and perform the [`Output`]s; when a
//! job has ended, however it ended, say so once; call with [`Input::Tick`] at
//! [`Keeper::next_deadline`], or later. Before the first job is started, and as long as
//! [`Keeper::is_unsettled`], a mark must stand where the next keeper finds it.

mod before;
mod check;
mod crowd;
mod jobs;
mod line;
mod revoke;
mod told;
mod verdict;
pub mod words;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
pub use before::Before;
pub use check::{check, TooLate};
pub use jobs::{Change, JobEnd, Values, Work};
pub use told::Told;
pub use verdict::{verdict, Decision, Grant};

use crate::engine::{AttrChange, CibOutcome, CibState, HoldWindow, NoteLevel, WriteSerial};
use crate::model::{Holder, Term, TicketIndex, TicketName};
use crate::time::{MonoTime, Now, Span};
use alloc::collections::{BTreeMap, BTreeSet};
use check::{expires_of, needs_lease, over_after};
use crowd::Crowd;
use line::{Begun, Line};

/// One job of the store's tool; its number is never used twice in the life of a keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// A ticket's line. It stays the same as long as the keeper lives, whatever boothd's
/// configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub usize);

/// What kind of store it is, which decides about what one job can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The CIB: each grant and attribute needs a call of its own; many revokes can share one.
    Cib,
    /// The built-in one: a job takes any number of changes.
    Directory,
}

/// A ticket as the keeper has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: TicketName,
    /// *g*, the time after which a killed change cannot take effect any more.
    pub guard: Span,
}

/// What boothd says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The window of a ticket, before every wish that needs it; `None`: the store says *revoked*.
    Hold {
        /// The ticket.
        ticket: TicketIndex,
        /// The window.
        window: Option<HoldWindow>,
        /// The term.
        term: Term,
    },
    /// The ticket is to be written. A newer wish takes the place of one that has not begun.
    Write {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// What to write.
        state: CibState,
    },
    /// An attribute is to be changed.
    Attr {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// What to change.
        change: AttrChange,
        /// How long that may take.
        limit: Span,
    },
    /// boothd has read this grant in the store, and believes it: it is this site's.
    Read {
        /// The ticket.
        ticket: TicketIndex,
        /// What it says.
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
    /// A boothd has taken over, with these tickets in the order of its configuration. What the
    /// one before wished and had not begun is forgotten, but for revokes of leases.
    TakeOver(Vec<Kept>),
    /// The boothd that was listened to is gone. What it wished and had not begun is forgotten, but
    /// for revokes.
    Left,
    /// Another keeper works from now on: what has not begun is forgotten, and what changes a
    /// ticket is ended, but for revokes of leases.
    Resigned,
    /// boothd says something.
    Said(Word),
    /// A job has ended: how, for each ticket that it was about. One that is missing was killed.
    Ended(JobId, Vec<(Place, JobEnd)>),
    /// Time has passed.
    Tick,
}

/// What boothd is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// How a write went; one for each, but for those of an earlier boothd.
    Written {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// How it went.
        outcome: CibOutcome,
    },
    /// How the change of an attribute went; one for each.
    AttrWritten {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the wish.
        serial: WriteSerial,
        /// How it went.
        outcome: CibOutcome,
    },
    /// After a take-over, once for each ticket: nothing that was begun before can take effect any
    /// more unseen, so the store may be read and believed.
    Quiet {
        /// The ticket.
        ticket: TicketIndex,
        /// What is known of it from before.
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

/// What must be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Start a job.
    Start(JobId, Work),
    /// End a job with SIGKILL; [`Input::Ended`] is still to come.
    Kill(JobId),
    /// Tell boothd.
    Say(Answer),
    /// Right after a take-over: tell boothd what the one before it had told, and it has to tell a
    /// keeper that takes the place of this one.
    Tell(Word),
    /// A line for the log, about this ticket.
    Note(NoteLevel, Place, String),
}

/// The keeper.
#[derive(Debug)]
pub struct Keeper {
    site: Holder,
    lines: Vec<Line>,
    /// boothd's tickets, by its index.
    order: Vec<Place>,
    /// Jobs that run, and what each was about.
    jobs: BTreeMap<JobId, Vec<Place>>,
    /// How many of its tickets do not need a job any more; it is ended when none does.
    unwanted: BTreeMap<JobId, usize>,
    crowd: Crowd,
    /// The nearest deadline of each line that has one.
    deadlines: BTreeSet<(MonoTime, Place)>,
    next_job: u64,
    /// Before this instant nothing may be read and believed, or granted: what a keeper that has
    /// died, or one on another node, had begun may take effect until then.
    quiet_at: MonoTime,
    /// When the last boothd left; `None`: it is here, or there has been none.
    left_at: Option<MonoTime>,
    store: StoreKind,
}

/// The parts that a line needs of its keeper.
struct Cx<'a> {
    now: Now,
    site: Holder,
    quiet_at: MonoTime,
    /// How many tickets the keeper has.
    lines: u64,
    /// Whether somebody else may change the store by hand.
    checks: bool,
    out: &'a mut Vec<Output>,
    /// Jobs that this line does not need any more. Others may.
    unwanted: Vec<JobId>,
}

impl Keeper {
    /// Knows no ticket, and nothing of what may have been begun before it; that cannot take effect
    /// any more from `quiet_at` on.
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

    /// Something happened: appends what must be done. A word about a ticket that boothd has not
    /// named, and the end of a job that does not run, are ignored.
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

    /// The name of a ticket.
    ///
    /// Panics if the place is none of this keeper.
    pub fn name(&self, place: Place) -> &TicketName {
        &self.lines[place.0].name
    }

    /// The place of a ticket, if this keeper has ever been told of it.
    pub fn place(&self, name: &TicketName) -> Option<Place> {
        self.lines.iter().find(|line| line.name == *name).map(|line| line.place)
    }

    /// The window that the store may say *granted* for, and at whose end this keeper will revoke;
    /// `None`: there is none.
    ///
    /// Panics if the place is none of this keeper.
    pub fn watched(&self, place: Place) -> Option<HoldWindow> {
        self.lines[place.0].watched()
    }

    /// Whether there is anything to do or to wait for: a lease to guard, a revoke that is owed, a
    /// job that runs, or a change that may still take effect.
    pub fn is_needed(&self, now: MonoTime) -> bool {
        self.is_unsettled(now) || self.lines.iter().any(Line::is_needed)
    }

    /// Whether a change was begun that may still take effect unseen.
    pub fn is_unsettled(&self, now: MonoTime) -> bool {
        now < self.quiet_at || self.lines.iter().any(|line| line.is_unsettled(now))
    }

    /// When nothing is unsettled any more if nothing else happens; `None`: while a job runs that
    /// cannot be told, or it is so already.
    pub fn settles_at(&self) -> Option<MonoTime> {
        self.lines.iter().map(Line::settles_at).chain([self.quiet_at]).max()
    }

    /// Whether something is owed and could not be done for long, whatever was tried.
    pub fn is_in_vain(&self) -> bool {
        self.lines.iter().any(Line::is_in_vain)
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// What is known of a ticket of boothd.
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
        // A CIB is that of all nodes: who was away for longer than *g* may come from another one,
        // where something may be in flight. One that starts there waits for *g* itself.
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

    /// Does something to a line, applies what is due, and brings its place in the crowd and its
    /// deadline in line with its state.
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
        if wants == Some(crowd::Want::Revoke) {
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

    /// The same with every line.
    fn with_all(&mut self, now: Now, out: &mut Vec<Output>, act: impl Fn(&mut Line, &mut Cx<'_>)) {
        for place in (0..self.lines.len()).map(Place) {
            self.with(place, now, out, &act);
        }
    }

    /// Starts what waits, as far as there is room.
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
