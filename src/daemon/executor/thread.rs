// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor's thread: carries the actions of the slots out, and reports what became of them.

use super::jobs::Jobs;
use super::keeper::Keeper;
use super::Context;
use crate::daemon::channels::ToExecutor;
use crate::daemon::slots::{Action, JobEnd, JobId, Limits, Slots};
use crate::daemon::{child, clock, os, poll};
use crate::engine::Event;
use crate::time::{MonoTime, Span};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How many wishes are taken in before deadlines and ended jobs have their turn.
const WISHES_AT_ONCE: usize = 64;

/// What a running write may take when the daemon stops (`architecture.md` 8).
const STOP_WRITES: Span = Span::from_secs(1);

/// While jobs run, deadlines are looked at this often, because the thread's sleep does not count
/// the time of a suspended machine.
const LOOK: Duration = Duration::from_secs(1);

/// How soon an event that the engine had no room for is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Executor {
    context: Context,
    slots: Slots,
    jobs: Jobs,
    keeper: Keeper,
    inbox: Receiver<ToExecutor>,
    /// Becomes readable when something is put into the inbox.
    bell: UnixStream,
    events: Sender<Event>,
    /// Events that the engine had no room for.
    outbox: VecDeque<Event>,
    actions: VecDeque<Action>,
    stop_at: Option<MonoTime>,
}

impl Executor {
    pub(super) fn new(
        context: Context,
        keeper: Keeper,
        (inbox, bell): (Receiver<ToExecutor>, UnixStream),
        events: Sender<Event>,
    ) -> Executor {
        let jobs = Jobs::new(&context);
        let limits = if jobs.are_processes() { Limits::processes() } else { Limits::built_in() };
        let slots = Slots::new(context.slots.len(), limits);
        Executor {
            context,
            slots,
            jobs,
            keeper,
            inbox,
            bell,
            events,
            outbox: VecDeque::new(),
            actions: VecDeque::new(),
            stop_at: None,
        }
    }

    /// Works until it is told to stop and everything has ended, or the time for that is over.
    pub(super) fn run(mut self) {
        loop {
            poll::drain(&self.bell);
            let more = self.take_wishes();
            let now = clock::mono();
            self.keeper.look(&self.context, now);
            let mut actions = Vec::new();
            self.slots.tick(now, &mut actions);
            self.actions.extend(actions);
            self.perform();
            self.collect();
            self.start_revokes();
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
            let Ok(message) = self.inbox.try_recv() else {
                return false;
            };
            let now = clock::mono();
            let mut actions = Vec::new();
            match message {
                ToExecutor::Wish(wish) => self.slots.offer(now, wish, &mut actions),
                ToExecutor::ChildExited => {}
                ToExecutor::Stop if self.stop_at.is_none() => {
                    self.stop_at = Some(now.plus(STOP_WRITES));
                    self.slots.stop(now, &mut actions);
                }
                ToExecutor::Stop => {}
            }
            self.actions.extend(actions);
            self.perform();
        }
        true
    }

    /// Performs actions, and those that follow from jobs that end at once.
    fn perform(&mut self) {
        let mut ends = Vec::new();
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::Guard { ticket, window, term } => {
                    self.keeper.tell(&self.context, ticket, window, term);
                }
                Action::Start { id, job } => {
                    self.jobs.start(&self.context, &self.keeper, (id, job), &mut ends);
                }
                Action::End { id, how } => self.jobs.end(&self.context, id, how, &mut ends),
                Action::Report(event) => self.report(event),
            }
            self.finished(&mut ends);
        }
    }

    /// Looks which jobs have ended.
    fn collect(&mut self) {
        let mut ends = Vec::new();
        self.jobs.look(&self.context, clock::mono(), &mut ends);
        self.finished(&mut ends);
        self.perform();
    }

    /// Starts the revokes that have been taken in.
    fn start_revokes(&mut self) {
        let mut ends = Vec::new();
        self.jobs.start_revokes(&self.context, clock::mono(), &mut ends);
        self.finished(&mut ends);
        self.perform();
    }

    fn finished(&mut self, ends: &mut Vec<(JobId, JobEnd)>) {
        for (id, end) in ends.drain(..) {
            let mut actions = Vec::new();
            self.slots.finished(clock::mono(), id, end, &mut actions);
            self.actions.extend(actions);
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

    fn is_over(&mut self) -> bool {
        let Some(stop_at) = self.stop_at else {
            return false;
        };
        let over = self.slots.is_idle() || clock::mono() >= stop_at;
        if over {
            // Writes that still run are left to their own checks and to the lease guard.
            self.jobs.kill_all_but_writes();
            // Nothing more is begun. If that cannot be noted, the next start takes it for a death.
            let _ = self.context.table.note_stopped(self.context.generation, clock::mono());
        }
        over
    }

    fn sleep(&self) {
        let now = clock::mono();
        let at = [self.slots.next_deadline(), self.jobs.next_deadline(), self.stop_at];
        let nearest = at.into_iter().flatten().chain(self.keeper.next_deadline()).min();
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
        let mut descriptors = vec![self.bell.as_fd()];
        descriptors.extend(self.keeper.descriptor());
        self.jobs.descriptors(&mut descriptors);
        os::wait_readable(&descriptors, limit, &mut Vec::new());
    }
}
