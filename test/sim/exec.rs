// SPDX-License-Identifier: GPL-2.0-or-later
//! Each site's executor: the very `slots` that ship decide what runs when and until when; the
//! processes that they start run in the model.

use super::choice::Kind;
use super::clock::{True, MILLI, SECOND};
use super::store::{By, Entry, Report, Task};
use super::world::{Happening, World};
use booth::daemon::leases::Grant;
use booth::daemon::slots::{exec_check, Action, Ending, Job, JobEnd, JobId};
use booth::engine::{CibLoad, CibState, Effect, HoldWindow};
use booth::model::Term;
use booth::time::WallTime;

/// A handler's run, or a write that waits for the lock.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its number.
    pub id: JobId,
    /// For which ticket.
    pub ticket: usize,
    /// What to write once the lock is free; `None`: a handler.
    pub state: Option<CibState>,
}

impl World {
    /// The daemon's engine wants something of the executor.
    pub fn exec_offer(&mut self, n: usize, wish: Effect) {
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
        self.nodes[n].pending.retain(|pending| pending.id != id);
        let mono = self.nodes[n].clock().mono(self.now);
        let mut actions = std::mem::take(&mut self.nodes[n].actions);
        self.nodes[n].slots.finished(mono, id, end, &mut actions);
        self.exec_perform(n, actions);
    }

    fn exec_perform(&mut self, n: usize, mut actions: Vec<Action>) {
        for action in actions.drain(..) {
            if self.nodes[n].engine.is_none() {
                break;
            }
            match action {
                Action::Guard { ticket, window, term } => {
                    let ticket = ticket.get();
                    self.nodes[n].windows[ticket] = (window, term);
                    self.guard_tell(n, ticket, window, term);
                }
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
                self.spawn(n, machine, ticket.get(), by, Task::Load);
            }
            Job::Attr { ticket, change } => {
                self.spawn(n, machine, ticket.get(), by, Task::Attr(change));
            }
            Job::Probe { ticket, expires: _ } => self.probe_start(n, ticket.get(), id),
            Job::Write { ticket, state } => self.exec_write(n, ticket.get(), id, state),
        }
    }

    /// A write takes the lock, looks once more whether it is in time, and runs.
    fn exec_write(&mut self, n: usize, ticket: usize, id: JobId, state: CibState) {
        let (machine, life) = (self.nodes[n].machine, self.nodes[n].life);
        if self.guard_running(n, machine, ticket) {
            self.nodes[n].pending.push(Pending { id, ticket, state: Some(state) });
            return;
        }
        let (window, _) = self.nodes[n].windows[ticket];
        let now = self.nodes[n].clock().now(self.now);
        let expires = match exec_check(&state, window.as_ref(), now) {
            Ok(secs) => WallTime::from_secs(secs),
            Err(_) => {
                let end = Box::new(JobEnd::TooLate);
                self.future.plan(self.now, Happening::JobEnd { node: n, life, id, end });
                return;
            }
        };
        if state.granted {
            let grant = Grant { term: state.term, expires: expires.as_secs() };
            self.sites[n].note_grant(machine, ticket, grant);
        }
        let (granted, owner, term) = (state.granted, state.owner, state.term);
        let entry = Entry { granted, owner, term, expires };
        self.spawn(n, machine, ticket, By::Daemon(life, id), Task::Write(entry));
        self.aim_at_store(n, ticket);
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

    /// Somebody else (the lease guard, the next life) ends a process of a daemon.
    pub fn exec_lost(&mut self, n: usize, child: u32) {
        let Some(by) = self.sites[n].child(child).map(|child| child.by) else { return };
        self.child_kill(n, child);
        if let By::Daemon(life, id) = by {
            if life == self.nodes[n].life {
                self.job_ended(n, id, JobEnd::Killed);
            }
        }
    }

    /// A process of a daemon has ended by itself.
    pub fn exec_done(&mut self, n: usize, life: u32, ticket: usize, id: JobId, report: Report) {
        if self.faithful(n) {
            self.reference_done(n, life, ticket, report);
            return;
        }
        if self.nodes[n].life == life {
            if let Report::Load(CibLoad::Loaded(stored)) = &report {
                if stored.granted {
                    let expires = stored.expires.map_or(0, WallTime::as_secs);
                    let grant = Grant { term: stored.term.unwrap_or(Term::ZERO), expires };
                    let machine = self.nodes[n].machine;
                    self.sites[n].note_grant(machine, ticket, grant);
                }
            }
            let end = match report {
                Report::Load(load) => JobEnd::Loaded(load),
                Report::Done => JobEnd::Done,
                Report::Failed => JobEnd::Failed("model: exit code 1".into()),
            };
            self.job_ended(n, id, end);
            self.aim_at_store(n, ticket);
        }
    }

    /// The guard has let go of the lock.
    pub fn exec_unlocked(&mut self, n: usize, machine: usize, ticket: usize) {
        if self.nodes[n].engine.is_none() || self.nodes[n].machine != machine {
            return;
        }
        // The children wait for the lock themselves: a stopped daemon changes nothing.
        let ready = |pending: &Pending| pending.ticket == ticket && pending.state.is_some();
        while let Some(at) = self.nodes[n].pending.iter().position(ready) {
            let Pending { id, state, .. } = self.nodes[n].pending.remove(at);
            if let Some(state) = state {
                self.exec_write(n, ticket, id, state);
            }
        }
    }

    /// A daemon starts: what its predecessor left running ends, and nothing of it may still take
    /// effect when the new one reads or writes (`RULES.md` L9). Returns from when on it may.
    ///
    /// As the shipped executor does, it waits for *g* where the lease table of its machine knows
    /// nothing of the site's last daemon (the first start on this machine, or after it was
    /// elsewhere), and where a change begun by a predecessor is not known to have ended.
    pub fn exec_boot(&mut self, n: usize, moved: bool) -> True {
        if self.faithful(n) {
            return self.now;
        }
        let left: Vec<u32> = self.sites[n]
            .children
            .iter()
            .filter(|child| child.by != By::Guard && !child.killed)
            .map(|child| child.id)
            .collect();
        for id in left {
            self.child_kill(n, id);
        }
        let guard = self.specs(n).iter().map(|spec| spec.guard().as_micros()).max();
        let machine = self.nodes[n].machine;
        let first = !std::mem::replace(&mut self.sites[n].recorded[machine], true);
        if first {
            self.coverage.note("process: starts on a machine that knows nothing of it");
        }
        if moved || first || self.sites[n].children.iter().any(|child| child.by != By::Guard) {
            self.now + guard.unwrap_or(SECOND) * 101 / 100
        } else {
            self.now
        }
    }

    /// A daemon dies; its processes die with it or live on.
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
        self.nodes[n].pending.push(Pending { id, ticket, state: None });
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
