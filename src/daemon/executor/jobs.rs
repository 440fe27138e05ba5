// SPDX-License-Identifier: GPL-2.0-or-later
//! The jobs that run: what is started for each, and what its end means.

use super::bulk::{self, Bulk};
use super::keeper::Keeper;
use super::revokes::{self, Next, Revokes, Wanted};
use super::worker::Workers;
use super::Context;
use crate::config::TicketStore;
use crate::daemon::child::{Child, Finished};
use crate::daemon::clock;
use crate::daemon::helper::{self, call::Call, HelperExit, Order};
use crate::daemon::leases::{Grant, HolderKind, Slot};
use crate::daemon::slots::{Ending, Job, JobEnd, JobId};
use crate::engine::{CibExpiry, CibLoad};
use crate::model::{Term, TicketIndex};
use crate::pacemaker;
use crate::time::{MonoTime, WallTime};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Output of handlers and writes is only kept for a message.
const CHATTER_MAX: usize = 2048;

/// Jobs that have ended, and how.
type Ends = Vec<(JobId, JobEnd)>;

/// Everything that runs.
pub(super) struct Jobs {
    store: Store,
    children: BTreeMap<JobId, Running>,
    revokes: Revokes,
    /// Which ticket each read is about, until it is answered.
    loads: BTreeMap<JobId, TicketIndex>,
    /// Processes whose answer is not wanted any more.
    leaving: Vec<Child>,
}

enum Store {
    Pacemaker(Bulk),
    Directory(Workers),
}

struct Running {
    child: Child,
    work: Work,
}

/// What a process of its own is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Load(TicketIndex),
    Revoke,
    Change,
    Probe,
}

impl Jobs {
    pub(super) fn new(context: &Context) -> Jobs {
        let many = context.slots.len() >= bulk::TICKETS_MIN;
        let store = match &context.config.store {
            TicketStore::Pacemaker if many => Store::Pacemaker(Bulk::Untried),
            TicketStore::Pacemaker => Store::Pacemaker(Bulk::Over),
            TicketStore::Directory(dir) => Store::Directory(Workers::new(dir.clone())),
        };
        let guard = context.config.tickets.iter().map(|ticket| ticket.guard).min();
        Jobs {
            store,
            children: BTreeMap::new(),
            revokes: Revokes::new(guard.unwrap_or_default()),
            loads: BTreeMap::new(),
            leaving: Vec::new(),
        }
    }

    /// Whether each change of the store is a process.
    pub(super) fn are_processes(&self) -> bool {
        matches!(self.store, Store::Pacemaker(_))
    }

    /// Starts a job, or says at once how it ended.
    pub(super) fn start(
        &mut self,
        context: &Context,
        keeper: &Keeper,
        (id, job): (JobId, Job),
        ends: &mut Ends,
    ) {
        let started = match job {
            Job::Load { ticket } => {
                self.loads.insert(id, ticket);
                self.load(context, id, ticket, ends)
            }
            Job::Write { ticket, state } if !state.granted && self.are_processes() => {
                self.revokes.push(Wanted { id, ticket, state });
                Ok(())
            }
            Job::Write { ticket, state } => {
                // A manual ticket has no lease and no guard.
                let guarded = state.granted && state.expires == CibExpiry::Lease;
                match keeper.may_grant(ticket) {
                    Err(why) if guarded => {
                        ends.push((id, JobEnd::Failed(why)));
                        return;
                    }
                    Ok(()) | Err(_) => self.change(context, id, ticket, Order::Write(state)),
                }
            }
            Job::Attr { ticket, change } => self.change(context, id, ticket, Order::Attr(change)),
            Job::Probe { ticket, expires } => self.probe(context, id, ticket, expires),
        };
        if let Err(error) = started {
            self.loads.remove(&id);
            ends.push((id, cannot_start(&error)));
        }
    }

    fn load(
        &mut self,
        context: &Context,
        id: JobId,
        ticket: TicketIndex,
        ends: &mut Ends,
    ) -> io::Result<()> {
        let name = &context.config.tickets[ticket.get()].name;
        let now = clock::mono();
        let bulk = match &mut self.store {
            Store::Directory(workers) => {
                let slot = context.slots[ticket.get()];
                return workers.ask(context, (id, slot), &["load".to_owned()]);
            }
            Store::Pacemaker(bulk) => bulk,
        };
        if let Some(known) = bulk.take(name.as_str(), now) {
            let end = JobEnd::Loaded(CibLoad::Loaded(known));
            self.loaded(context, id, &end);
            ends.push((id, end));
            return Ok(());
        }
        match bulk {
            Bulk::Running(_, waiting, _) => {
                waiting.push((id, ticket));
                return Ok(());
            }
            Bulk::Untried => {
                let mut command = crm_ticket(context, pacemaker::load_all());
                let child = Child::spawn(&mut command, bulk::ANSWER_MAX)?;
                let waiting = vec![(id, ticket)];
                *bulk = Bulk::Running(Box::new(child), waiting, now.plus(bulk::LIMIT));
                return Ok(());
            }
            Bulk::Known(..) | Bulk::Over => {}
        }
        let mut command = crm_ticket(context, pacemaker::load(name));
        self.spawn(id, &mut command, helper::ANSWER_MAX, Work::Load(ticket))
    }

    /// Starts the revokes of the CIB that [`Jobs::start`] has taken in: together, if many have
    /// come since the last time.
    pub(super) fn start_revokes(&mut self, context: &Context, now: MonoTime, ends: &mut Ends) {
        loop {
            let revokes = self.children.values().filter(|running| running.work == Work::Revoke);
            let Some(next) = self.revokes.next(now, revokes.count()) else { return };
            match next {
                Next::Alone(Wanted { id, ticket, state }) => {
                    let order = Order::Write(state);
                    if let Err(error) = self.change(context, id, ticket, order) {
                        ends.push((id, cannot_start(&error)));
                    }
                }
                Next::Together(wanted) => {
                    let slots = |wanted: &Wanted| (context.slots[wanted.ticket.get()], *wanted);
                    let all: Vec<_> = wanted.iter().map(slots).collect();
                    match self.revoke_together(context, &all) {
                        Ok(child) => self.revokes.started(now, child, all),
                        Err(error) => self.revokes.refused(now, wanted, &error.to_string()),
                    }
                }
            }
        }
    }

    fn revoke_together(&mut self, context: &Context, all: &[(Slot, Wanted)]) -> io::Result<Child> {
        if let Store::Pacemaker(bulk) = &mut self.store {
            for (_, wanted) in all {
                bulk.forget(context.config.tickets[wanted.ticket.get()].name.as_str());
            }
        }
        let config_name = context.config.config_name.clone();
        let (generation, orders) = (context.generation, revokes::orders(all));
        let mut command = helper(context, &Call::RevokeMany { generation, config_name, orders });
        command.stdin(context.table.descriptor()?);
        Child::spawn(&mut command, revokes::ANSWER_MAX).map(Child::ends_alone)
    }

    fn change(
        &mut self,
        context: &Context,
        id: JobId,
        ticket: TicketIndex,
        order: Order,
    ) -> io::Result<()> {
        let slot = context.slots[ticket.get()];
        match &mut self.store {
            Store::Directory(workers) => workers.ask(context, (id, slot), &order.fields()),
            Store::Pacemaker(bulk) => {
                bulk.forget(context.config.tickets[ticket.get()].name.as_str());
                let config_name = context.config.config_name.clone();
                let generation = context.generation;
                let work = match order.kind() {
                    HolderKind::Revoke => Work::Revoke,
                    HolderKind::Change => Work::Change,
                };
                let call = Call::Change { slot, generation, config_name, order };
                let mut command = helper(context, &call);
                command.stdin(context.table.descriptor()?);
                self.spawn(id, &mut command, CHATTER_MAX, work)
            }
        }
    }

    fn probe(
        &mut self,
        context: &Context,
        id: JobId,
        ticket: TicketIndex,
        expires: WallTime,
    ) -> io::Result<()> {
        let config = &context.config;
        let configured = &config.tickets[ticket.get()];
        let Some(handler) = &configured.handler else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no handler is configured"));
        };
        let call = Call::Handler { path: handler.path.clone(), args: handler.args.clone() };
        let mut command = helper(context, &call);
        command
            .stdin(Stdio::null())
            .env("BOOTH_TICKET", configured.name.as_str())
            .env("BOOTH_LOCAL", &config.site_address)
            .env("BOOTH_CONF_PATH", &config.config_path)
            .env("BOOTH_CONF_NAME", &config.config_name)
            .env("BOOTH_TICKET_EXPIRES", expires.as_secs().to_string());
        self.spawn(id, &mut command, CHATTER_MAX, Work::Probe)
    }

    fn spawn(
        &mut self,
        id: JobId,
        command: &mut Command,
        output_max: usize,
        work: Work,
    ) -> io::Result<()> {
        let child = Child::spawn(command, output_max)?;
        let child = match work {
            Work::Load(_) | Work::Revoke | Work::Change => child.ends_alone(),
            // A handler may start something that stays.
            Work::Probe => child,
        };
        self.children.insert(id, Running { child, work });
        Ok(())
    }

    /// Ends a job.
    pub(super) fn end(&mut self, context: &Context, id: JobId, how: Ending, ends: &mut Ends) {
        if let Some(running) = self.children.get_mut(&id) {
            running.child.end(how);
            return;
        }
        ends.extend(self.revokes.end(id).map(|end| (id, end)));
        match &mut self.store {
            Store::Directory(workers) => workers.kill(context, id, ends),
            Store::Pacemaker(Bulk::Running(_, waiting, _)) => {
                let before = waiting.len();
                waiting.retain(|(waits, _)| *waits != id);
                if waiting.len() < before {
                    self.loads.remove(&id);
                    ends.push((id, JobEnd::Killed));
                }
            }
            Store::Pacemaker(Bulk::Untried | Bulk::Known(..) | Bulk::Over) => {}
        }
    }

    /// Finds the jobs that have ended, without waiting.
    pub(super) fn look(&mut self, context: &Context, now: MonoTime, ends: &mut Ends) {
        self.leaving.retain_mut(|child| child.look().is_none());
        let mut gone = Vec::new();
        for (id, running) in &mut self.children {
            if let Some(finished) = running.child.look() {
                gone.push((*id, running.work, finished));
            }
        }
        let mut ended = Vec::new();
        for (id, work, finished) in gone {
            self.children.remove(&id);
            ended.push((id, meaning(context, work, &finished)));
        }
        self.revokes.look(now, &mut ended);
        match &mut self.store {
            Store::Directory(workers) => workers.look(context, now, &mut ended),
            Store::Pacemaker(_) => self.look_at_bulk(context, now, &mut ended),
        }
        for (id, end) in &ended {
            self.loaded(context, *id, end);
        }
        ends.append(&mut ended);
    }

    fn look_at_bulk(&mut self, context: &Context, now: MonoTime, ends: &mut Ends) {
        let Store::Pacemaker(bulk) = &mut self.store else { return };
        let Bulk::Running(child, _, until) = &mut *bulk else { return };
        let finished = child.look();
        if finished.is_none() && now < *until {
            return;
        }
        if finished.is_none() {
            child.end(Ending::Kill);
        }
        let (child, waiting) = bulk.finish(finished.as_ref(), now);
        self.leaving.extend(child.filter(|_| finished.is_none()).map(|child| *child));
        for (id, ticket) in waiting {
            if let Err(error) = self.load(context, id, ticket, ends) {
                ends.push((id, cannot_start(&error)));
            }
        }
    }

    /// What a granted ticket says when it is read belongs to this site until something newer is
    /// there: the lease guard must know it.
    fn loaded(&mut self, context: &Context, id: JobId, end: &JobEnd) {
        let Some(ticket) = self.loads.remove(&id) else { return };
        let JobEnd::Loaded(CibLoad::Loaded(stored)) = end else { return };
        if !stored.granted {
            return;
        }
        let expires = stored.expires.map_or(0, |expires| expires.as_secs());
        let grant = Grant { term: stored.term.unwrap_or(Term::ZERO), expires };
        if let Err(error) = context.table.note_grant(context.slots[ticket.get()], grant) {
            log::error!("the lease table cannot be written: {error}");
        }
    }

    /// Ends reads and handlers at once; writes are left alone.
    pub(super) fn kill_all_but_writes(&mut self) {
        for running in self.children.values_mut() {
            match running.work {
                Work::Load(_) | Work::Probe => running.child.end(Ending::Kill),
                Work::Revoke | Work::Change => {}
            }
        }
        match &mut self.store {
            Store::Pacemaker(Bulk::Running(child, ..)) => child.end(Ending::Kill),
            Store::Pacemaker(Bulk::Untried | Bulk::Known(..) | Bulk::Over) => {}
            Store::Directory(workers) => workers.retire(),
        }
    }

    /// When [`Jobs::look`] has something to do without being woken.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        match &self.store {
            Store::Directory(workers) => workers.next_deadline(),
            Store::Pacemaker(Bulk::Running(_, _, until)) => Some(*until),
            Store::Pacemaker(Bulk::Untried | Bulk::Known(..) | Bulk::Over) => None,
        }
    }

    /// Whether an end can only be seen by looking now and then.
    pub(super) fn needs_looks(&self) -> bool {
        let store = match &self.store {
            Store::Directory(workers) => workers.needs_looks(),
            Store::Pacemaker(Bulk::Running(child, ..)) => child.needs_looks(),
            Store::Pacemaker(Bulk::Untried | Bulk::Known(..) | Bulk::Over) => false,
        };
        let leaving = self.leaving.iter().any(Child::needs_looks);
        let revokes = self.revokes.child().is_some_and(Child::needs_looks);
        store
            || leaving
            || revokes
            || self.children.values().any(|running| running.child.needs_looks())
    }

    /// Which descriptors tell that something has happened.
    pub(super) fn descriptors<'a>(&'a self, descriptors: &mut Vec<BorrowedFd<'a>>) {
        let children = self.children.values();
        descriptors.extend(children.flat_map(|running| running.child.descriptors()));
        descriptors.extend(self.leaving.iter().flat_map(Child::descriptors));
        descriptors.extend(self.revokes.child().into_iter().flat_map(Child::descriptors));
        match &self.store {
            Store::Directory(workers) => descriptors.extend(workers.descriptors()),
            Store::Pacemaker(Bulk::Running(child, ..)) => descriptors.extend(child.descriptors()),
            Store::Pacemaker(Bulk::Untried | Bulk::Known(..) | Bulk::Over) => {}
        }
    }
}

/// A helper, without standard input.
fn helper(context: &Context, call: &Call) -> Command {
    let mut command = Command::new(&context.config.program);
    command.arg0(helper::NAME).args(call.to_args()).stdin(Stdio::null());
    command
}

/// `crm_ticket` with these arguments.
fn crm_ticket(context: &Context, args: Vec<String>) -> Command {
    let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
    helper(context, &Call::Run { program: pacemaker::PROGRAM.to_owned(), args })
}

fn cannot_start(error: &io::Error) -> JobEnd {
    JobEnd::Failed(format!("cannot start a process: {error}"))
}

/// What the end of a process means for its job.
fn meaning(context: &Context, work: Work, finished: &Finished) -> JobEnd {
    match work {
        Work::Load(ticket) => {
            let name = &context.config.tickets[ticket.get()].name;
            JobEnd::Loaded(match helper::read_answer(finished, name) {
                Ok(Some(stored)) => CibLoad::Loaded(stored),
                Ok(None) => CibLoad::Absent,
                Err(_) if finished.was_refused() => CibLoad::Failed(refusal(finished)),
                Err(text) => CibLoad::Failed(format!("crm_ticket: {text}")),
            })
        }
        Work::Revoke | Work::Change if finished.status.success() => JobEnd::Done,
        Work::Revoke | Work::Change if finished.was_killed() => JobEnd::Killed,
        Work::Revoke | Work::Change => match finished.status.code() {
            Some(code) if code == i32::from(HelperExit::TooLate.code()) => JobEnd::TooLate,
            Some(_) | None if finished.was_refused() => JobEnd::Failed(refusal(finished)),
            Some(_) | None => JobEnd::Failed(format!("crm_ticket: {}", finished.failure())),
        },
        Work::Probe if finished.status.success() => JobEnd::Done,
        Work::Probe if finished.was_refused() => JobEnd::Failed(refusal(finished)),
        Work::Probe => JobEnd::Failed(finished.failure()),
    }
}

fn refusal(finished: &Finished) -> String {
    finished.said().unwrap_or_else(|| "no reason given".to_owned())
}
