// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor's thread: carries the actions of the slots out, passes wishes on to the keeper,
//! and reports what became of them.

use super::config::ExecutorConfig;
use super::jobs::Jobs;
use crate::daemon::channels::ToExecutor;
use crate::engine::{CibLoad, Event, JobWish, StoreWish};
use crate::keeper::{Answer, Grant, Word};
use crate::model::{Term, TicketIndex};
use crate::slots::{Action, JobEnd, JobId, Limits, Slots};
use crate::store::child;
use crate::store::keeper::Link;
use crate::sys::{clock, os, poll};
use crate::time::{MonoTime, Now, Span, WallTime};
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How many wishes are taken in before deadlines and ended jobs have their turn.
const WISHES_AT_ONCE: usize = 64;

/// What a running write may take when the daemon stops.
const STOP_WRITES: Span = Span::from_secs(1);

/// While jobs run, deadlines are looked at this often, because the thread's sleep does not count
/// the time of a suspended machine.
const LOOK: Duration = Duration::from_secs(1);

/// How soon an event that the engine had no room for is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Executor {
    config: ExecutorConfig,
    slots: Slots,
    jobs: Jobs,
    link: Link,
    /// Reads that are wanted of tickets that cannot be believed yet, and how long each may take.
    early: BTreeMap<TicketIndex, Span>,
    wishes: Receiver<ToExecutor>,
    /// Becomes readable when something is put into the channel.
    sleeper: UnixStream,
    events: Sender<Event>,
    /// Events that the engine had no room for.
    outbox: VecDeque<Event>,
    actions: Vec<Action>,
    stop_at: Option<MonoTime>,
    /// The clocks when the engine started: it counts `expires` from then.
    started: Now,
}

impl Executor {
    pub(super) fn new(
        config: ExecutorConfig,
        link: Link,
        (wishes, sleeper): (Receiver<ToExecutor>, UnixStream),
        events: Sender<Event>,
    ) -> Executor {
        Executor {
            slots: Slots::new(config.tickets.len(), Limits::processes()),
            jobs: Jobs::new(&config),
            config,
            link,
            early: BTreeMap::new(),
            wishes,
            sleeper,
            events,
            outbox: VecDeque::new(),
            actions: Vec::new(),
            stop_at: None,
            started: clock::now(),
        }
    }

    /// Works until it is told to stop and everything has ended, or the time for that is over.
    pub(super) fn run(mut self) {
        loop {
            poll::drain(&self.sleeper);
            let more = self.take_wishes();
            let now = clock::mono();
            self.link.look(now);
            self.link.flush();
            self.hear();
            self.slots.tick(now, &mut self.actions);
            self.perform();
            self.collect();
            self.flush();
            if self.is_over() {
                return;
            }
            if !more {
                self.sleep();
            }
        }
    }

    /// Takes wishes in; whether there may be more.
    fn take_wishes(&mut self) -> bool {
        for _ in 0..WISHES_AT_ONCE {
            match self.wishes.try_recv() {
                // Nothing is begun any more.
                Ok(ToExecutor::Store(_) | ToExecutor::Job(_)) if self.stop_at.is_some() => {}
                Ok(ToExecutor::Store(wish)) => self.tell_keeper(wish),
                Ok(ToExecutor::Job(wish)) => self.take(wish),
                Ok(ToExecutor::ChildExited) => {}
                Ok(ToExecutor::Stop) | Err(TryRecvError::Disconnected) => {
                    self.stop();
                    return false;
                }
                Err(TryRecvError::Empty) => return false,
            }
        }
        true
    }

    /// Passes on what is meant for the keeper.
    fn tell_keeper(&mut self, wish: StoreWish) {
        let word = match wish {
            StoreWish::Hold { ticket, window, term } => Word::Hold { ticket, window, term },
            StoreWish::WriteCib { ticket, serial, state } => {
                self.spoil(ticket);
                Word::Write { ticket, serial, state }
            }
            StoreWish::WriteAttr { ticket, serial, change, limit } => {
                self.spoil(ticket);
                Word::Attr { ticket, serial, change, limit }
            }
        };
        self.link.say(word);
        self.perform();
    }

    /// Takes in what a job is wanted for.
    fn take(&mut self, wish: JobWish) {
        match wish {
            JobWish::LoadCib { ticket, limit } => {
                self.early.insert(ticket, limit);
                self.start_early();
            }
            JobWish::StartProbe { .. } | JobWish::StopProbe { .. } => {
                self.slots.offer(clock::mono(), wish, &mut self.actions);
            }
        }
        self.perform();
    }

    /// The ticket is about to be changed.
    fn spoil(&mut self, ticket: TicketIndex) {
        self.jobs.forget(&self.config.tickets[ticket.get()].name);
        self.slots.spoil(clock::mono(), ticket, &mut self.actions);
    }

    /// Starts the reads that had to wait for what was begun before.
    fn start_early(&mut self) {
        let Executor { early, link, slots, actions, .. } = self;
        early.retain(|ticket, limit| {
            let (ticket, limit) = (*ticket, *limit);
            let waits = link.before(ticket).is_none();
            if !waits {
                slots.offer(clock::mono(), JobWish::LoadCib { ticket, limit }, actions);
            }
            waits
        });
    }

    /// Takes in what the keeper says.
    fn hear(&mut self) {
        let mut answers = Vec::new();
        self.link.hear(&mut answers);
        let some = !answers.is_empty();
        for answer in self.link.keep(answers) {
            match answer {
                Answer::Written { ticket, serial, outcome } => {
                    self.report(Event::CibWritten { ticket, serial, outcome });
                }
                Answer::AttrWritten { ticket, serial, outcome } => {
                    self.report(Event::AttrWritten { ticket, serial, outcome });
                }
                Answer::Quiet { .. } => {}
            }
        }
        if some && self.stop_at.is_none() {
            self.start_early();
        }
    }

    /// Performs actions, and those that follow from jobs that end at once.
    fn perform(&mut self) {
        let mut ends = Vec::new();
        if !self.actions.is_empty() {
            // What was said comes first, also for the keeper.
            self.link.flush();
        }
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Start { id, job } => {
                        self.jobs.start(&self.config, (id, job), &mut ends);
                    }
                    Action::End { id, how } => self.jobs.end(id, how, &mut ends),
                    Action::Report(Event::CibLoaded { ticket, outcome }) => {
                        self.loaded(ticket, outcome);
                    }
                    Action::Report(event) => self.report(event),
                }
                self.finished(&mut ends);
            }
        }
    }

    /// A ticket was read. What it says of a grant that was begun on this boot is put right; what
    /// else is granted belongs to this site until something newer is there, and the keeper must
    /// know it.
    fn loaded(&mut self, ticket: TicketIndex, load: CibLoad) {
        match &load {
            CibLoad::Loaded(stored) if stored.granted => {
                let expires = stored.expires.map_or(0, WallTime::as_secs);
                let grant = Grant { term: stored.term.unwrap_or(Term::ZERO), expires };
                self.link.say(Word::Read { ticket, grant });
            }
            CibLoad::Loaded(_) | CibLoad::Absent => self.link.free(ticket),
            CibLoad::Failed(_) => {}
        }
        let before = self.link.before(ticket).unwrap_or_default();
        let outcome = before.correct(load, self.started);
        self.report(Event::CibLoaded { ticket, outcome });
    }

    /// Looks which jobs have ended.
    fn collect(&mut self) {
        let mut ends = Vec::new();
        self.jobs.look(&self.config, clock::mono(), &mut ends);
        self.finished(&mut ends);
        self.perform();
        self.link.flush();
    }

    fn finished(&mut self, ends: &mut Vec<(JobId, JobEnd)>) {
        for (id, end) in ends.drain(..) {
            self.slots.finished(clock::mono(), id, end, &mut self.actions);
        }
    }

    /// Reports an event, in order, without ever waiting for the engine: deadlines go on.
    fn report(&mut self, event: Event) {
        self.outbox.push_back(event);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => return self.outbox.push_front(event),
                // The engine's loop is gone: nobody wants to know any more.
                Err(TrySendError::Disconnected(_)) => return self.outbox.clear(),
            }
        }
    }

    fn stop(&mut self) {
        if self.stop_at.is_some() {
            return;
        }
        let now = clock::mono();
        self.stop_at = Some(now.plus(STOP_WRITES));
        self.early.clear();
        self.slots.stop(now, &mut self.actions);
        self.perform();
    }

    fn is_over(&mut self) -> bool {
        let Some(stop_at) = self.stop_at else {
            return false;
        };
        let idle = self.slots.is_idle() && !self.link.is_waiting();
        let over = idle || clock::mono() >= stop_at;
        if over {
            // Writes that still run are the keeper's business.
            self.jobs.kill_all();
        }
        over
    }

    fn sleep(&self) {
        let now = clock::mono();
        let at = [
            self.slots.next_deadline(),
            self.jobs.next_deadline(),
            self.link.next_deadline(),
            self.stop_at,
        ];
        let nearest = at.into_iter().flatten().min();
        let mut limit = nearest.map(|at| at.since(now).as_duration());
        let mut at_most =
            |most: Duration| limit = Some(limit.map_or(most, |limit| limit.min(most)));
        if self.slots.running() > 0 {
            at_most(LOOK);
        }
        if self.jobs.needs_looks() {
            at_most(child::LOOK);
        }
        if !self.outbox.is_empty() {
            at_most(OFFER_AGAIN);
        }
        let mut descriptors = vec![self.sleeper.as_fd()];
        descriptors.extend(self.link.descriptor());
        self.jobs.descriptors(&mut descriptors);
        os::wait_readable(&descriptors, limit);
    }
}
