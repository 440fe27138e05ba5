// SPDX-License-Identifier: GPL-2.0-or-later
//! The ticket stores: one per site, and the processes (`crm_ticket`) that read and write them.
//!
//! A write takes effect at some instant of its run. A process that is killed may still take
//! effect later, but not after a later write of its site (`RULES.md` L6). What the daemon wants
//! written, and when, is in [`super::keeper`].

use super::choice::Kind;
use super::clock::{True, MILLI};
use super::keeper::Warden;
use super::sick::Sickness;
use super::world::{Happening, Stage, World};
use booth_core::engine::{AttrChange, CibLoad, CibTicket};
use booth_core::keeper;
use booth_core::model::{AttrName, AttrValue, Holder, Term};
use booth_core::slots::JobId;
use booth_core::time::WallTime;

/// A ticket as a site's store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is granted to this site.
    pub granted: bool,
    /// Attribute `owner`.
    pub owner: Holder,
    /// Attribute `term`.
    pub term: Term,
    /// Attribute `expires`, whole seconds.
    pub expires: WallTime,
}

impl Entry {
    /// Whether somebody has the ticket, or has lost it. The C version leaves no name of a site that
    /// has lost it, but a term; a name counts in any term.
    pub fn tells_of_a_holder(&self) -> bool {
        match self.owner {
            Holder::Member(_) => true,
            Holder::Unknown => self.term > Term::ZERO,
            Holder::Nobody => false,
        }
    }
}

/// One site's store and the processes that work on it.
#[derive(Debug, Default)]
pub struct Site {
    /// Per ticket, its entry if there is one.
    pub entries: Vec<Option<Entry>>,
    /// Per ticket, its attributes.
    pub attrs: Vec<Vec<(AttrName, AttrValue)>>,
    /// Per machine, its keeper.
    pub keepers: [Option<Warden>; 2],
    /// Whether the last keeper that died had something under way.
    pub unsettled: bool,
    /// The last number given to a keeper.
    pub last_keeper: u32,
    /// Whether it is ill.
    pub sick: Option<Sickness>,
    /// Per ticket, when it was granted last.
    pub granted_at: Vec<True>,
    /// All processes that run or whose change may still take effect.
    pub children: Vec<Child>,
    /// The last number given to a child.
    pub last_child: u32,
    /// Per ticket: the latest child whose change took effect.
    pub last_effect: Vec<u32>,
    /// Per ticket: when the latest change was started that took effect.
    pub written_at: Vec<True>,
    /// Per ticket: on which machine that change was made.
    pub written_on: Vec<usize>,
    /// Per ticket: on which machine the latest grant was made.
    pub granted_on: Vec<usize>,
    /// Per ticket, what the daemon has read or written last, in this life: no term, or this one.
    /// `None`: it has not read yet.
    pub read: Vec<Option<Option<Term>>>,
}

/// Who started a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A daemon, in this life, as this job: a read, or a call of the model of the reference.
    Daemon(u32, JobId),
    /// The keeper with this number, as this job.
    Keeper {
        /// Which keeper.
        number: u32,
        /// Which job.
        job: keeper::JobId,
        /// The life of boothd that wished it; `None`: the keeper does it by itself.
        life: Option<u32>,
    },
}

impl By {
    /// The life of boothd for which it is done, if it is.
    pub fn life(self) -> Option<u32> {
        match self {
            By::Daemon(life, _) => Some(life),
            By::Keeper { life, .. } => life,
        }
    }
}

/// What a process does.
#[derive(Clone, Debug)]
pub enum Task {
    /// It reads the ticket.
    Load,
    /// It writes the ticket.
    Write(Entry),
    /// It writes an attribute.
    Attr(AttrChange),
}

/// One run of the store's tool.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its number; never used twice at a site.
    pub id: u32,
    /// On which machine it runs.
    pub machine: usize,
    /// For which ticket.
    pub ticket: usize,
    /// Who started it.
    pub by: By,
    /// What it does.
    pub task: Task,
    /// When it started.
    pub start: True,
    /// When it takes effect or reads; `None`: it will not, or it has.
    pub effect_at: Option<True>,
    /// When it ends by itself; `None`: it hangs.
    pub end_at: Option<True>,
    /// Whether it was killed.
    pub killed: bool,
    /// What it reports when it ends by itself.
    pub report: Report,
}

/// What a process reports at its end.
#[derive(Clone, Debug)]
pub enum Report {
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// What was read.
    Load(CibLoad),
}

/// How one call goes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// When it takes effect or reads; `None`: it does not.
    pub effect: Option<True>,
    /// When it ends; `None`: it hangs.
    pub end: Option<True>,
    /// What it says then.
    pub success: bool,
}

impl Site {
    /// The store of a site that has never seen these tickets.
    pub fn new(tickets: usize) -> Site {
        Site {
            entries: vec![None; tickets],
            attrs: vec![Vec::new(); tickets],
            keepers: [None, None],
            unsettled: false,
            last_keeper: 0,
            sick: None,
            granted_at: vec![0; tickets],
            children: Vec::new(),
            last_child: 0,
            last_effect: vec![0; tickets],
            written_at: vec![0; tickets],
            written_on: vec![0; tickets],
            granted_on: vec![0; tickets],
            read: vec![None; tickets],
        }
    }

    /// The process with this number.
    pub fn child(&mut self, id: u32) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.id == id)
    }

    /// Whether the ticket is granted here.
    pub fn granted(&self, ticket: usize) -> bool {
        self.entries[ticket].is_some_and(|entry| entry.granted)
    }

    /// What a reader finds.
    pub fn read(&self, ticket: usize) -> CibLoad {
        match self.entries[ticket] {
            None => CibLoad::Absent,
            Some(entry) => CibLoad::Loaded(CibTicket {
                granted: entry.granted,
                owner: Some(entry.owner),
                expires: Some(entry.expires),
                term: Some(entry.term),
                attrs: self.attrs[ticket].clone(),
            }),
        }
    }
}

impl World {
    /// Whether a revoke at this site must go well now, because condition 2 of the promise
    /// (`RULES.md`) is what the rest of the lease is kept for.
    fn critical(&self, site: usize, ticket: usize) -> bool {
        let spec = self.spec(site, ticket);
        if self.unwatched(site, ticket) {
            // The one call that ends the excuse (`machine.rs`) keeps condition 2, too.
            return true;
        }
        let margin = 2 * spec.guard().as_micros() + MILLI;
        (0..2).any(|machine| {
            self.keeper_watches(site, machine, ticket).is_some_and(|window| {
                let until = self.nodes[site].clocks[machine].when(window.hold_until);
                self.now + margin >= until
            })
        })
    }

    fn course(&mut self, site: usize, ticket: usize, task: &Task) -> Course {
        if let Some(course) = self.sick_course(site, ticket, task) {
            return course;
        }
        let guard = self.spec(site, ticket).guard().as_micros() * 99 / 100;
        let usual = (guard * self.plan.store.usual_permille / 1000).max(2);
        let end = self.choices.jitter(site, ticket, usual / 4, usual);
        let effect = self.choices.jitter(site, ticket + 16, 0, end);
        let good = Course { effect: Some(effect), end: Some(end), success: true };
        let ppm = if self.faulty(site) { self.plan.store.fault_ppm } else { 0 };
        let Some(mut dice) = self.choices.fault(Kind::Store, site, ticket, ppm) else {
            return good;
        };
        let weights = self.plan.store.weights;
        let mut at = dice.below(weights.iter().sum::<u64>().max(1));
        let mut kind = 0;
        while kind < 3 && at >= weights[kind] {
            at -= weights[kind];
            kind += 1;
        }
        let slow = guard.max(usual);
        let slow_end = dice.between(usual, slow);
        let revoke = matches!(task, Task::Write(entry) if !entry.granted);
        let needed = match task {
            Task::Load => self.unwatched(site, ticket),
            Task::Write(_) | Task::Attr(_) => revoke && self.critical(site, ticket),
        };
        self.note_course(task, if needed { 0 } else { kind });
        if kind == 0 || needed {
            let effect = dice.between(0, slow_end);
            return Course { effect: Some(effect), end: Some(slow_end), success: true };
        }
        let late = dice.percent(40).then(|| dice.spread(1, guard * 20));
        let does = dice.percent(50);
        match kind {
            1 => Course { effect: None, end: Some(end), success: false },
            2 => {
                if let (Some(_), Task::Write(entry)) = (late, task) {
                    self.coverage.note(if entry.granted {
                        "grant: hangs, then takes effect"
                    } else {
                        "revoke: hangs, then takes effect"
                    });
                }
                Course { effect: late, end: None, success: true }
            }
            // Nothing helps against a store that misstates what it holds.
            _ if matches!(task, Task::Load) => {
                Course { effect: None, end: Some(end), success: false }
            }
            // A revoke that says *done* has been done: the promise needs that.
            _ if revoke || does => {
                self.coverage.note(if revoke {
                    "revoke: says failed, takes effect"
                } else {
                    "grant: says failed, takes effect"
                });
                Course { effect: Some(effect), end: Some(end), success: false }
            }
            _ => {
                self.coverage.note("grant: says done, does nothing");
                self.store_misleads(site, ticket);
                Course { effect: None, end: Some(end), success: true }
            }
        }
    }

    /// Counts how a call goes.
    fn note_course(&mut self, task: &Task, kind: usize) {
        let what = match task {
            Task::Load => ["read: slow", "read: fails", "read: hangs", "read: fails"],
            Task::Write(entry) if entry.granted => {
                ["grant: slow", "grant: fails", "grant: hangs", ""]
            }
            Task::Write(_) => ["revoke: slow", "revoke: fails", "revoke: hangs", ""],
            Task::Attr(_) => [""; 4],
        };
        if !what[kind].is_empty() {
            self.coverage.note(what[kind]);
        }
    }

    /// Starts a process at a site and returns its number.
    pub fn spawn(&mut self, site: usize, machine: usize, ticket: usize, by: By, task: Task) -> u32 {
        let course = self.course(site, ticket, &task);
        let report = match (&task, course.success) {
            (Task::Load, true) => Report::Load(CibLoad::Absent),
            (Task::Load, false) => Report::Load(CibLoad::Failed("model: cannot read".into())),
            (Task::Write(_) | Task::Attr(_), true) => Report::Done,
            (Task::Write(_) | Task::Attr(_), false) => Report::Failed,
        };
        let now = self.now;
        let here = &mut self.sites[site];
        here.last_child += 1;
        let id = here.last_child;
        let effect_at = course.effect.map(|after| now + after);
        let end_at = course.end.map(|after| now + after);
        let (start, killed) = (now, false);
        here.children.push(Child {
            id,
            machine,
            ticket,
            by,
            task,
            start,
            effect_at,
            end_at,
            killed,
            report,
        });
        if let Some(at) = effect_at {
            self.future.plan(at, Happening::Child { site, child: id, stage: Stage::Effect });
        }
        if let Some(at) = end_at {
            self.future.plan(at, Happening::Child { site, child: id, stage: Stage::End });
        }
        self.trace(|w| {
            let at = |at: Option<True>| at.map_or("never".into(), super::history::stamp);
            let task = w.sites[site].children.last().map(|child| child.task.clone());
            let (effect, end) = (at(effect_at), at(end_at));
            format!("{} child {id} t{ticket} {task:?}: acts {effect}, ends {end}", w.name(site))
        });
        id
    }

    /// A process takes effect, or reads.
    pub fn child_effect(&mut self, site: usize, id: u32) {
        let now = self.now;
        let Some(child) = self.sites[site].child(id) else { return };
        if child.effect_at != Some(now) {
            return;
        }
        child.effect_at = None;
        let (ticket, task, killed) = (child.ticket, child.task.clone(), child.killed);
        let (start, by, machine) = (child.start, child.by, child.machine);
        if killed {
            self.coverage.note("store: a killed call takes effect");
            self.sites[site].children.retain(|child| child.id != id);
        }
        match task {
            Task::Load => {
                let found = self.sites[site].read(ticket);
                let child = self.sites[site].child(id).filter(|child| !child.killed);
                if let Some(Child { report: Report::Load(load), .. }) = child {
                    if *load == CibLoad::Absent {
                        *load = found;
                        let entry = self.sites[site].entries[ticket];
                        self.daemon_sees(site, ticket, by, entry);
                        let entry = entry.filter(Entry::tells_of_a_holder);
                        let read = matches!(by, By::Daemon(..));
                        if let (true, Some(Entry { term, .. })) = (read, entry) {
                            self.checks.answers.reads(site, ticket, term);
                        }
                    }
                }
            }
            Task::Write(entry) => {
                if id < self.sites[site].last_effect[ticket] {
                    // A later write has taken effect: this one did so unseen right before it.
                    if entry.granted {
                        self.grant_overtaken(site, ticket);
                    }
                    return;
                }
                if entry.granted {
                    self.sites[site].granted_on[ticket] = machine;
                    self.check_keeper_grants(site, (machine, ticket), by);
                }
                self.sites[site].last_effect[ticket] = id;
                self.script_effect(site, by, entry.granted);
                self.sites[site].written_at[ticket] = start;
                self.sites[site].written_on[ticket] = machine;
                let before = self.sites[site].granted(ticket);
                self.sites[site].entries[ticket] = Some(entry);
                self.daemon_sees(site, ticket, by, Some(entry));
                self.history.mix(now, 3, ((site as u64) << 8) | u64::from(entry.granted));
                self.trace(|w| format!("{} store: t{ticket} {entry:?}", w.name(site)));
                self.check_store(site, ticket, before);
                self.written_by(site, ticket, by, before);
            }
            Task::Attr(change) => {
                let attrs = &mut self.sites[site].attrs[ticket];
                match change {
                    AttrChange::Set(name, value) => {
                        attrs.retain(|(other, _)| *other != name);
                        attrs.push((name, value));
                    }
                    AttrChange::Delete(name) => attrs.retain(|(other, _)| *other != name),
                }
            }
        }
    }

    /// The daemon that runs has read this, or written it.
    fn daemon_sees(&mut self, site: usize, ticket: usize, by: By, entry: Option<Entry>) {
        if by.life() == Some(self.nodes[site].life) {
            self.sites[site].read[ticket] = Some(entry.map(|entry| entry.term));
        }
    }

    /// A process ends by itself.
    pub fn child_end(&mut self, site: usize, id: u32) {
        let now = self.now;
        let Some(child) = self.sites[site].child(id) else { return };
        if child.killed || child.end_at != Some(now) {
            return;
        }
        let (by, ticket, machine) = (child.by, child.ticket, child.machine);
        let report = child.report.clone();
        self.sites[site].children.retain(|child| child.id != id);
        match by {
            By::Keeper { .. } => self.keeper_done(site, (machine, ticket), by, report),
            By::Daemon(life, job) => self.exec_done(site, life, ticket, job, report),
        }
    }

    /// Kills a process: it ends at once; its change may still take effect soon.
    pub fn child_kill(&mut self, site: usize, id: u32) {
        let now = self.now;
        let Some(ticket) = self.sites[site].child(id).map(|child| child.ticket) else { return };
        let guard = self.spec(site, ticket).guard().as_micros();
        let after = self.choices.jitter(site, ticket, 0, guard * 9 / 10);
        let zombie = self.choices.jitter(site, ticket, 0, 1) == 1;
        let Some(child) = self.sites[site].child(id) else { return };
        child.killed = true;
        child.end_at = None;
        let reads = matches!(child.task, Task::Load);
        if !reads && child.effect_at.is_some() && zombie {
            let at = now + after;
            child.effect_at = Some(at);
            self.future.plan(at, Happening::Child { site, child: id, stage: Stage::Effect });
        } else {
            child.effect_at = None;
        }
        self.sites[site].children.retain(|child| !child.killed || child.effect_at.is_some());
        self.trace(|w| format!("{} child {id} of t{ticket} is killed", w.name(site)));
    }
}
