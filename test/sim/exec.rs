// SPDX-License-Identifier: GPL-2.0-or-later
//! The shell of each boothd: it reads the store and runs handlers, in the order of the very
//! `slots` that ship, and passes changes on to the keeper (`keeper.rs`). A read begins when the
//! keeper says that nothing from before can take effect any more.

use super::choice::Kind;
use super::clock::MILLI;
use super::queues::Wish;
use super::store::{By, Report, Task};
use super::world::{Happening, World};
use booth_core::engine::{CibLoad, HoldWindow, JobWish};
use booth_core::keeper::{Grant, Word};
use booth_core::model::{Term, TicketIndex};
use booth_core::slots::{Action, Ending, Job, JobEnd, JobId};
use booth_core::time::{Now, WallTime};

/// A handler's run.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its number.
    pub id: JobId,
}

/// What is wanted of the store of one ticket.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// A read waits until the keeper says that the store may be read and believed.
    pub waiting: Option<JobWish>,
    /// The job of a read that runs.
    pub running: Option<JobId>,
}

impl World {
    /// The daemon's engine wants something of its shell.
    pub fn exec_offer(&mut self, n: usize, wish: Wish) {
        match wish {
            Wish::Store(wish) => self.exec_to_keeper(n, wish),
            Wish::Job(wish @ JobWish::LoadCib { ticket, .. }) => {
                let node = &mut self.nodes[n];
                if node.told[ticket.get()].before().is_some() {
                    self.exec_slots(n, wish);
                } else {
                    self.coverage.note("read: waits until the store is quiet");
                    self.nodes[n].reads[ticket.get()].waiting = Some(wish);
                }
            }
            Wish::Job(wish) => self.exec_slots(n, wish),
        }
    }

    /// Something is read, or a handler starts or ends.
    pub fn exec_slots(&mut self, n: usize, wish: JobWish) {
        let mono = self.nodes[n].clock().mono(self.now);
        let mut actions = std::mem::take(&mut self.nodes[n].actions);
        self.nodes[n].slots.offer(mono, wish, &mut actions);
        self.exec_perform(n, actions);
    }

    /// A deadline of the executor may have come.
    pub fn exec_tick(&mut self, n: usize) {
        if self.nodes[n].exec_wake_at <= self.now {
            self.nodes[n].exec_wake_at = u64::MAX;
        }
        let mono = self.nodes[n].clock().mono(self.now);
        let mut actions = std::mem::take(&mut self.nodes[n].actions);
        self.nodes[n].slots.tick(mono, &mut actions);
        self.exec_perform(n, actions);
    }

    /// The executor hears that a job has ended.
    pub fn exec_finished(&mut self, n: usize, id: JobId, end: JobEnd) {
        let end = self.exec_read(n, id, end);
        self.nodes[n].pending.retain(|pending| pending.id != id);
        let mono = self.nodes[n].clock().mono(self.now);
        let mut actions = std::mem::take(&mut self.nodes[n].actions);
        self.nodes[n].slots.finished(mono, id, end, &mut actions);
        self.exec_perform(n, actions);
    }

    /// What was read is put right by what the keeper knows, and the keeper hears of it.
    fn exec_read(&mut self, n: usize, id: JobId, end: JobEnd) -> JobEnd {
        let ticket = self.nodes[n].reads.iter().position(|read| read.running == Some(id));
        let Some(ticket) = ticket else { return end };
        self.nodes[n].reads[ticket].running = None;
        let JobEnd::Loaded(load) = end else { return end };
        match &load {
            CibLoad::Loaded(stored) if stored.granted => {
                let expires = stored.expires.map_or(0, WallTime::as_secs);
                let grant = Grant { term: stored.term.unwrap_or(Term::ZERO), expires };
                self.keeper_hears(n, Word::Read { ticket: TicketIndex::new(ticket), grant });
            }
            CibLoad::Loaded(_) | CibLoad::Absent => self.nodes[n].told[ticket].is_free(),
            CibLoad::Failed(_) => {}
        }
        // By the wall clock as it was at the start, as the engine reads it (`RULES.md` L9).
        let mono = self.nodes[n].clock().mono(self.now);
        let now = Now { mono, wall: self.nodes[n].started.wall_at(mono) };
        let before = self.nodes[n].told[ticket].before().unwrap_or_default();
        let right = before.correct(load.clone(), now);
        if right != load {
            self.coverage.note("read: is put right by what the keeper knows");
        }
        JobEnd::Loaded(right)
    }

    fn exec_perform(&mut self, n: usize, mut actions: Vec<Action>) {
        for action in actions.drain(..) {
            if self.nodes[n].engine.is_none() {
                break;
            }
            match action {
                Action::Start { id, job } => self.exec_start(n, id, job),
                Action::End { id, how } => self.exec_end(n, id, how),
                Action::Report(event) => self.report(n, event),
            }
        }
        actions.clear();
        self.nodes[n].actions = actions;
        self.exec_plan(n);
    }

    fn exec_plan(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if !node.runs() {
            return;
        }
        let Some(next) = node.slots.next_deadline() else { return };
        let at = node.clock().when(next).max(self.now);
        if at < node.exec_wake_at {
            node.exec_wake_at = at;
            let life = node.life;
            self.future.plan(at, Happening::ExecTick { node: n, life });
        }
    }

    fn exec_start(&mut self, n: usize, id: JobId, job: Job) {
        let (machine, by) = (self.nodes[n].machine, By::Daemon(self.nodes[n].life, id));
        match job {
            Job::Load { ticket } => {
                self.check_keeper_quiet(n, ticket.get());
                self.nodes[n].reads[ticket.get()].running = Some(id);
                self.spawn(n, machine, ticket.get(), by, Task::Load);
            }
            Job::Probe { ticket, expires: _ } => self.probe_start(n, ticket.get(), id),
        }
    }

    /// The executor ends a job; it hears of the end a little later, or (a process that the
    /// kernel cannot end) never.
    fn exec_end(&mut self, n: usize, id: JobId, how: Ending) {
        let life = self.nodes[n].life;
        let by = By::Daemon(life, id);
        let child = self.sites[n].children.iter().find(|child| child.by == by && !child.killed);
        let child = child.map(|child| (child.id, child.ticket));
        let late = self.choices.jitter(n, 3, 0, 5 * MILLI);
        if how == Ending::Ask && self.choices.jitter(n, 4, 0, 3) == 0 {
            // It takes no notice of SIGTERM.
            return;
        }
        if let Some((child, _)) = child {
            self.child_kill(n, child);
        }
        self.nodes[n].pending.retain(|pending| pending.id != id);
        let ppm = if self.faulty(n) { self.plan.store.fault_ppm / 8 } else { 0 };
        if self.choices.fault(Kind::Store, n, 31, ppm).is_none() {
            let end = Box::new(JobEnd::Killed);
            self.future.plan(self.now + late, Happening::JobEnd { node: n, life, id, end });
        }
    }

    /// A process of a daemon has ended by itself.
    pub fn exec_done(&mut self, n: usize, life: u32, ticket: usize, id: JobId, report: Report) {
        if self.faithful(n) {
            self.reference_done(n, life, ticket, report);
            return;
        }
        if self.nodes[n].life == life {
            let end = match report {
                Report::Load(load) => JobEnd::Loaded(load),
                Report::Done => JobEnd::Done,
                Report::Failed => JobEnd::Failed("model: exit code 1".into()),
            };
            self.job_ended(n, id, end);
            self.aim_at_store(n, ticket);
        }
    }

    /// A daemon starts: the reads of its predecessor end.
    pub fn exec_boot(&mut self, n: usize) {
        if !self.faithful(n) {
            self.exec_orphan(n, true);
        }
    }

    /// A daemon dies; its own processes die with it or live on.
    pub fn exec_orphan(&mut self, n: usize, all_die: bool) {
        let dead = self.nodes[n].life;
        if !all_die {
            return;
        }
        let of_it = |by: By| matches!(by, By::Daemon(life, _) if life == dead);
        let left: Vec<u32> = self.sites[n]
            .children
            .iter()
            .filter(|child| of_it(child.by) && !child.killed)
            .map(|child| child.id)
            .collect();
        for id in left {
            self.child_kill(n, id);
        }
    }

    /// A handler starts.
    fn probe_start(&mut self, n: usize, ticket: usize, id: JobId) {
        self.check_probe(n, ticket);
        self.nodes[n].pending.push(Pending { id });
        let life = self.nodes[n].life;
        let timeout = self.spec(n, ticket).timeout.as_micros();
        let usual = self.handler_usual.unwrap_or(timeout / 4);
        let mut after = self.choices.jitter(n, ticket, MILLI, usual + MILLI);
        let mut end = JobEnd::Done;
        if (self.ill >> n) & 1 == 1 {
            end = JobEnd::Failed("model: exit code 1".into());
        }
        let ppm = if self.faulty(n) { self.plan.handler_ppm } else { 0 };
        if let Some(mut dice) = self.choices.fault(Kind::Handler, n, ticket, ppm) {
            match dice.below(3) {
                0 => {
                    self.coverage.note("handler: fails");
                    end = JobEnd::Failed("model: exit code 1".into());
                }
                1 => {
                    self.coverage.note("handler: hangs");
                    return;
                }
                _ => {
                    self.coverage.note("handler: slow");
                    after = dice.spread(1, 4 * timeout);
                }
            }
        }
        let (at, end) = (self.now + after, Box::new(end));
        self.future.plan(at, Happening::JobEnd { node: n, life, id, end });
    }
}

/// What a daemon has told its executor of each ticket's window.
pub type Windows = Vec<(Option<HoldWindow>, Term)>;
