// SPDX-License-Identifier: GPL-2.0-or-later
//! The jobs that run: what is started for each read and handler, and what its end means.

use super::bulk::{self, Bulk};
use super::config::ExecutorConfig;
use crate::engine::CibLoad;
use crate::model::{TicketIndex, TicketName};
use crate::slots::{Ending, Job, JobEnd, JobId};
use crate::store::child::{Child, Finished, CHATTER_MAX};
use crate::store::helper::Call;
use crate::sys::clock;
use crate::sys::os::BeforeExec;
use crate::time::{MonoTime, WallTime};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::process::Stdio;

/// Jobs that have ended, and how.
type Ends = Vec<(JobId, JobEnd)>;

/// Everything that runs.
pub(super) struct Jobs {
    bulk: Bulk,
    children: BTreeMap<JobId, Process>,
    /// Processes whose answer is not wanted any more.
    leaving: Vec<Child>,
}

struct Process {
    child: Child,
    purpose: Purpose,
}

/// What a process of its own is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Load(TicketIndex),
    Probe,
}

impl Jobs {
    pub(super) fn new(config: &ExecutorConfig) -> Jobs {
        let many = config.tickets.len() >= bulk::TICKETS_MIN;
        let bulk = if many { Bulk::Untried } else { Bulk::Over };
        Jobs { bulk, children: BTreeMap::new(), leaving: Vec::new() }
    }

    /// Starts a job, or says at once how it ended.
    pub(super) fn start(
        &mut self,
        config: &ExecutorConfig,
        (id, job): (JobId, Job),
        ends: &mut Ends,
    ) {
        let started = match job {
            Job::Load { ticket } => self.load(config, id, ticket, ends),
            Job::Probe { ticket, expires } => self.probe(config, id, ticket, expires),
        };
        if let Err(error) = started {
            ends.push((id, cannot_start(&error)));
        }
    }

    fn load(
        &mut self,
        config: &ExecutorConfig,
        id: JobId,
        ticket: TicketIndex,
        ends: &mut Ends,
    ) -> io::Result<()> {
        let name = &config.tickets[ticket.get()].name;
        let now = clock::mono();
        if let Some(known) = self.bulk.take(name.as_str(), now) {
            ends.push((id, JobEnd::Loaded(CibLoad::Loaded(known))));
            return Ok(());
        }
        match &mut self.bulk {
            Bulk::Running(_, waiting, _) => {
                waiting.push((id, ticket));
                return Ok(());
            }
            Bulk::Untried => {
                let names = config.tickets.iter().map(|ticket| &ticket.name);
                let child = config.reader().start_all(names)?;
                let waiting = vec![(id, ticket)];
                self.bulk = Bulk::Running(Box::new(child), waiting, now.plus(bulk::LIMIT));
                return Ok(());
            }
            Bulk::Known(..) | Bulk::Over => {}
        }
        let child = config.reader().start_one(name)?;
        self.children.insert(id, Process { child, purpose: Purpose::Load(ticket) });
        Ok(())
    }

    fn probe(
        &mut self,
        config: &ExecutorConfig,
        id: JobId,
        ticket: TicketIndex,
        expires: WallTime,
    ) -> io::Result<()> {
        let configured = &config.tickets[ticket.get()];
        let Some(handler) = &configured.handler else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no handler is configured"));
        };
        let call = Call::Handler { path: handler.path.clone(), args: handler.args.clone() };
        let mut command = call.command(&config.program);
        command
            .stdin(Stdio::null())
            .env("BOOTH_TICKET", configured.name.as_str())
            .env("BOOTH_LOCAL", &config.site_address)
            .env("BOOTH_CONF_PATH", &config.config_path)
            .env("BOOTH_CONF_NAME", &config.config_name)
            .env("BOOTH_TICKET_EXPIRES", expires.as_secs().to_string());
        // A handler may start something that stays.
        let child = Child::spawn(&mut command, BeforeExec::default(), CHATTER_MAX)?;
        self.children.insert(id, Process { child, purpose: Purpose::Probe });
        Ok(())
    }

    /// Ends a job.
    pub(super) fn end(&mut self, id: JobId, how: Ending, ends: &mut Ends) {
        if let Some(process) = self.children.get_mut(&id) {
            process.child.end(how);
            return;
        }
        if let Bulk::Running(_, waiting, _) = &mut self.bulk {
            let before = waiting.len();
            waiting.retain(|(waits, _)| *waits != id);
            if waiting.len() < before {
                ends.push((id, JobEnd::Killed));
            }
        }
    }

    /// A ticket is about to be changed: what was found out about it is old.
    pub(super) fn forget(&mut self, name: &TicketName) {
        self.bulk.forget(name.as_str());
    }

    /// Finds the jobs that have ended, without waiting.
    pub(super) fn look(&mut self, config: &ExecutorConfig, now: MonoTime, ends: &mut Ends) {
        self.leaving.retain_mut(|child| child.look().is_none());
        let mut gone = Vec::new();
        for (id, process) in &mut self.children {
            if let Some(finished) = process.child.look() {
                gone.push((*id, process.purpose, finished));
            }
        }
        for (id, purpose, finished) in gone {
            self.children.remove(&id);
            ends.push((id, meaning(config, purpose, &finished)));
        }
        self.look_at_bulk(config, now, ends);
    }

    fn look_at_bulk(&mut self, config: &ExecutorConfig, now: MonoTime, ends: &mut Ends) {
        let Bulk::Running(child, _, until) = &mut self.bulk else { return };
        let finished = child.look();
        if finished.is_none() && now < *until {
            return;
        }
        if finished.is_none() {
            child.end(Ending::Kill);
        }
        let (child, waiting) = self.bulk.finish(config, finished.as_ref(), now);
        self.leaving.extend(child.filter(|_| finished.is_none()).map(|child| *child));
        for (id, ticket) in waiting {
            if let Err(error) = self.load(config, id, ticket, ends) {
                ends.push((id, cannot_start(&error)));
            }
        }
    }

    /// Ends everything at once.
    pub(super) fn kill_all(&mut self) {
        for process in self.children.values_mut() {
            process.child.end(Ending::Kill);
        }
        if let Bulk::Running(child, ..) = &mut self.bulk {
            child.end(Ending::Kill);
        }
    }

    /// When [`Jobs::look`] has something to do without being woken.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        match &self.bulk {
            Bulk::Running(_, _, until) => Some(*until),
            Bulk::Untried | Bulk::Known(..) | Bulk::Over => None,
        }
    }

    /// All processes.
    fn all(&self) -> impl Iterator<Item = &Child> {
        let bulk = match &self.bulk {
            Bulk::Running(child, ..) => Some(&**child),
            Bulk::Untried | Bulk::Known(..) | Bulk::Over => None,
        };
        self.children.values().map(|process| &process.child).chain(&self.leaving).chain(bulk)
    }

    /// Whether an end can only be seen by looking now and then.
    pub(super) fn needs_looks(&self) -> bool {
        self.all().any(Child::needs_looks)
    }

    /// Which descriptors tell that something has happened.
    pub(super) fn descriptors<'a>(&'a self, descriptors: &mut Vec<BorrowedFd<'a>>) {
        descriptors.extend(self.all().flat_map(|child| child.descriptors(clock::mono())));
    }
}

fn cannot_start(error: &io::Error) -> JobEnd {
    JobEnd::Failed(error.to_string())
}

/// What the end of a process means for its job.
fn meaning(config: &ExecutorConfig, purpose: Purpose, finished: &Finished) -> JobEnd {
    match purpose {
        Purpose::Load(ticket) => {
            let name = &config.tickets[ticket.get()].name;
            JobEnd::Loaded(config.reader().one(name, finished))
        }
        Purpose::Probe if finished.status.success() => JobEnd::Done,
        Purpose::Probe if finished.was_refused() => {
            JobEnd::Failed(finished.said().unwrap_or_else(|| "no reason given".to_owned()))
        }
        Purpose::Probe => JobEnd::Failed(finished.failure()),
    }
}
