// SPDX-License-Identifier: GPL-2.0-or-later
//! Keeps a lease guard running and told.

use super::Context;
use crate::config::TicketStore;
use crate::daemon::clock;
use crate::daemon::guard::{Guard, GuardSetup};
use crate::daemon::os;
use crate::engine::HoldWindow;
use crate::model::{Term, TicketIndex};
use crate::time::{MonoTime, Span};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// The pause before a guard that ended is replaced; doubled while that fails.
const PAUSE_MIN: Span = Span::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Span = Span::from_secs(30);

/// How long a new guard may take until it is ready: it has to register itself in a small file.
const READY: Span = Span::from_secs(10);
/// How often the first one is looked at, if it says nothing; the daemon does nothing else then.
const LOOK: Duration = Duration::from_millis(100);

/// The guard, and what it has been told.
pub(super) struct Keeper {
    setup: GuardSetup,
    guard: Option<Guard>,
    /// Until when it must be ready; `None`: it is.
    ready_by: Option<MonoTime>,
    retry_at: MonoTime,
    pause: Span,
    /// Until when each held ticket may be held, as told.
    told: BTreeMap<TicketIndex, MonoTime>,
    /// Tickets whose window could not be written.
    untold: BTreeMap<TicketIndex, String>,
}

impl Keeper {
    /// Starts a guard, which ends that of an earlier daemon, and waits until it has.
    pub(super) fn start(context: &Context) -> io::Result<Keeper> {
        let dir = match &context.config.store {
            TicketStore::Pacemaker => None,
            TicketStore::Directory(dir) => Some(dir.clone()),
        };
        let config_name = context.config.config_name.clone();
        let (site, generation) = (context.config.site, context.generation);
        let setup = GuardSetup { dir, config_name, site, generation };
        let mut guard = Guard::start(&context.config.program, &context.table, &setup)?;
        let until = clock::mono().plus(READY);
        while !guard.is_ready() {
            if clock::mono() >= until || !guard.is_alive() {
                guard.end();
                return Err(io::Error::other("it does not become ready"));
            }
            os::wait_readable(&[guard.descriptor()], Some(LOOK), &mut Vec::new());
        }
        Ok(Keeper {
            setup,
            guard: Some(guard),
            ready_by: None,
            retry_at: MonoTime::ZERO,
            pause: PAUSE_MIN,
            told: BTreeMap::new(),
            untold: BTreeMap::new(),
        })
    }

    /// Tells the guard a window. It stands in the table when this returns; the guard itself is
    /// woken only if it could otherwise sleep too long.
    pub(super) fn tell(
        &mut self,
        context: &Context,
        ticket: TicketIndex,
        window: Option<HoldWindow>,
        term: Term,
    ) {
        let slot = context.slots[ticket.get()];
        match context.table.tell(slot, window.as_ref(), term) {
            Ok(()) => {
                self.untold.remove(&ticket);
            }
            Err(error) => {
                let text = format!("the lease table cannot be written: {error}");
                log::error!("{}: {text}", context.config.tickets[ticket.get()].name);
                self.untold.insert(ticket, text);
                // The guard knows nothing of it: the next one is told as if there were none.
                self.told.remove(&ticket);
                return;
            }
        }
        let before = match window {
            Some(window) => self.told.insert(ticket, window.hold_until),
            None => self.told.remove(&ticket),
        };
        let sooner = window.is_some_and(|window| before.is_none_or(|at| window.hold_until < at));
        if let Some(guard) = self.guard.as_ref().filter(|_| sooner) {
            guard.poke();
        }
    }

    /// Whether a grant may be started: the guard is there and knows the window. Otherwise why
    /// not. Without a guard nothing may be granted, since nobody would revoke it if we died.
    pub(super) fn may_grant(&self, ticket: TicketIndex) -> Result<(), String> {
        if let Some(text) = self.untold.get(&ticket) {
            return Err(text.clone());
        }
        if self.ready_by.is_none() && self.guard.as_ref().is_some_and(Guard::is_alive) {
            Ok(())
        } else {
            Err("the lease guard is not running".to_owned())
        }
    }

    /// Replaces a guard that has ended, or does not become ready. Never waits for one.
    pub(super) fn look(&mut self, context: &Context, now: MonoTime) {
        if let Some(guard) = &mut self.guard {
            if self.ready_by.is_some() && guard.is_ready() {
                (self.ready_by, self.pause) = (None, PAUSE_MIN);
            }
            if guard.is_alive() && self.ready_by.is_none_or(|by| now < by) {
                return;
            }
            log::error!(
                "the lease guard has ended or hangs; nothing is granted until another runs"
            );
            if let Some(guard) = self.guard.take() {
                guard.end();
            }
            self.retry_at = self.retry_at.max(now);
        }
        if now < self.retry_at {
            return;
        }
        // A guard that ends at once is not replaced in a hot loop.
        self.retry_at = now.plus(self.pause);
        self.pause = self.pause.times(2).min(PAUSE_MAX);
        match Guard::start(&context.config.program, &context.table, &self.setup) {
            Ok(guard) => (self.guard, self.ready_by) = (Some(guard), Some(now.plus(READY))),
            Err(error) => log::error!("cannot start the lease guard: {error}; trying again"),
        }
    }

    /// When [`Keeper::look`] has something to do without being woken.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        match self.guard {
            Some(_) => self.ready_by,
            None => Some(self.retry_at),
        }
    }

    /// What tells that the guard is ready, or has ended.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.guard.as_ref().map(Guard::descriptor)
    }
}
