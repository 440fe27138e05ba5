// SPDX-License-Identifier: GPL-2.0-or-later
//! The revoke that a ticket's line owes, and its attempts.
//!
//! A revoke is never ended for being slow: a store that needs eight seconds needs them for every
//! attempt. An attempt that has run for a while is joined by another, because it may hang where a
//! fresh one does not. When one has succeeded, the others are ended.

use super::check::over_after;
use super::jobs::{JobEnd, JobId, Values};
use crate::engine::{NoteLevel, WriteSerial};
use crate::time::{MonoTime, Span};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// The pause before a failed revoke is retried, while a lease depends on it.
const RETRY: Span = Span::from_millis(500);
/// The shortest pause before a failed revoke is retried that boothd should wish again. It does so
/// after a second ([`crate::engine`], `writes.rs`), unless it is stopped or has ended.
const REST: Span = Span::from_secs(5);
/// The longest pause before another attempt joins one that hangs, or follows one that failed. No
/// pause is longer than so many guard times, about one `expire`, either: as long as the store may
/// say *granted*, nobody else can have the ticket.
const PAUSE_MAX: Span = Span::from_secs(30);
const PAUSE_GUARDS: u64 = 10;
/// The most attempts at once; the oldest makes room for another.
const ATTEMPTS_MAX: usize = 8;
/// How long to wait for the end of a killed attempt before another is killed.
const REAP: Span = Span::from_secs(1);
/// The first pause between two log lines about the same problem; it doubles.
const NOTE_PAUSE: Span = Span::from_secs(1);

/// A running attempt.
#[derive(Debug)]
struct Attempt {
    job: JobId,
    /// The revoke that it is for, by its number.
    number: u64,
    /// When it was killed; it may still run until no other ticket needs its job.
    killed: Option<MonoTime>,
}

/// The revoke that is owed, and its attempts.
#[derive(Debug, Default)]
pub(super) struct Owed {
    revoke: Option<Revoke>,
    attempts: Vec<Attempt>,
    /// How many revokes have been owed; the number of the last one.
    count: u64,
    /// Killed or failed attempts can no longer take effect from this instant on.
    free_at: MonoTime,
    /// The revoke that succeeded when boothd no longer waited for it, if nothing has begun since.
    untold: Option<Values>,
}

/// Who needs the revoke, so that it is retried if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A lease depends on it: it is retried at once.
    Lease,
    /// boothd has found the ticket granted: it is retried if boothd does not wish it again.
    Found,
    /// Only boothd, which wishes it again.
    Boothd,
}

/// A revoke that must succeed.
#[derive(Debug)]
struct Revoke {
    /// The wish to answer, and until when boothd waits for it.
    serial: Option<(WriteSerial, MonoTime)>,
    /// Whether boothd was told that it has not succeeded yet, and will wish it again.
    late: bool,
    values: Values,
    /// When the next attempt begins.
    next_at: MonoTime,
    /// The pause between that attempt and the one after it, and the longest one.
    pause: Span,
    longest: Span,
    note_at: MonoTime,
    note_pause: Span,
}

/// What the end of an attempt means.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// The store says *revoked*.
    pub(super) done: bool,
    /// The wish to answer, if boothd waits.
    pub(super) tell: Option<WriteSerial>,
    /// Otherwise, the level of the log line, and what happens next.
    pub(super) note: Option<(NoteLevel, String)>,
    /// Attempts that must be ended.
    pub(super) kill: Vec<JobId>,
}

impl Revoke {
    /// Takes the wish to answer.
    fn tell(&mut self) -> Option<WriteSerial> {
        self.serial.take().map(|(serial, _)| serial)
    }
}

impl Owed {
    /// Owes a revoke with these values. Returns the wish that it replaces.
    ///
    /// The first attempt begins at once or, if attempts of an earlier revoke run, when they have
    /// ended, at the latest after `guard`.
    pub(super) fn owe(
        &mut self,
        now: MonoTime,
        guard: Span,
        serial: Option<(WriteSerial, MonoTime)>,
        values: Values,
    ) -> Option<WriteSerial> {
        let alone = self.attempts.is_empty();
        let longest = guard.times(PAUSE_GUARDS).min(PAUSE_MAX).max(guard);
        if let Some(same) = self.revoke.as_mut().filter(|revoke| revoke.values.is_like(&values)) {
            // Its running attempts can serve: no grant has begun since.
            same.values = values;
            same.longest = longest;
            if alone {
                (same.next_at, same.pause) = (same.next_at.min(now), guard);
            }
            same.late &= serial.is_none();
            return core::mem::replace(&mut same.serial, serial).map(|(serial, _)| serial);
        }
        let old = self.revoke.take();
        self.count += 1;
        let beside = old.as_ref().map_or(now.plus(guard), |old| old.next_at);
        let next_at = if alone { now } else { beside };
        let (note_at, note_pause) = (MonoTime::ZERO, NOTE_PAUSE);
        let (late, pause) = (false, guard);
        self.untold = None;
        self.revoke =
            Some(Revoke { serial, late, values, next_at, pause, longest, note_at, note_pause });
        old.and_then(|mut old| old.tell())
    }

    /// Whether a revoke with these values was the last change and succeeded, without boothd
    /// knowing.
    pub(super) fn take_untold(&mut self, values: &Values) -> bool {
        self.untold.take().is_some_and(|old| old.is_like(values))
    }

    /// A grant begins.
    pub(super) fn outdated(&mut self) {
        self.untold = None;
    }

    /// A grant is wished: drops the revoke if it has no attempt yet. Returns the wish to answer.
    pub(super) fn yields(&mut self) -> Option<WriteSerial> {
        if self.attempts.is_empty() {
            return self.revoke.take()?.tell();
        }
        None
    }

    /// Nobody waits any longer.
    pub(super) fn leave(&mut self) {
        self.untold = None;
        if let Some(revoke) = &mut self.revoke {
            revoke.serial = None;
        }
    }

    /// Only boothd needs the revoke any longer: drops it if boothd does not wait and no attempt
    /// runs.
    pub(super) fn disarm(&mut self) {
        let unasked = self.revoke.as_ref().is_some_and(|revoke| revoke.serial.is_none());
        if unasked && self.attempts.is_empty() {
            self.revoke = None;
        }
    }

    /// The wish to answer if boothd has waited for as long as it wanted; the attempts continue.
    pub(super) fn late(&mut self, now: MonoTime) -> Option<WriteSerial> {
        let revoke = self.revoke.as_mut()?;
        revoke.serial.filter(|(_, until)| *until <= now)?;
        revoke.late = true;
        revoke.tell()
    }

    /// Until when boothd waits.
    pub(super) fn late_at(&self) -> Option<MonoTime> {
        self.revoke.as_ref()?.serial.map(|(_, until)| until)
    }

    /// Another attempt begins now.
    pub(super) fn again(&mut self, now: MonoTime) {
        if let Some(revoke) = &mut self.revoke {
            revoke.next_at = revoke.next_at.min(now);
        }
    }

    pub(super) fn is_owed(&self) -> bool {
        self.revoke.is_some()
    }

    /// Whether boothd waits for it.
    pub(super) fn is_asked(&self) -> bool {
        self.revoke.as_ref().is_some_and(|revoke| revoke.serial.is_some())
    }

    /// The revoke is no longer owed. Returns the attempts that must be ended.
    pub(super) fn cancel(&mut self, now: MonoTime) -> Vec<JobId> {
        self.revoke = None;
        let live = self.attempts.iter_mut().filter(|attempt| attempt.killed.is_none());
        live.map(|attempt| {
            attempt.killed = Some(now);
            attempt.job
        })
        .collect()
    }

    /// Sets what the next attempts write.
    pub(super) fn change_values(&mut self, values: Values) {
        if let Some(revoke) = &mut self.revoke {
            revoke.values = values;
        }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.attempts.is_empty()
    }

    pub(super) fn is_attempt(&self, job: JobId) -> bool {
        self.attempts.iter().any(|attempt| attempt.job == job)
    }

    /// The jobs of all attempts.
    pub(super) fn attempts(&self) -> impl Iterator<Item = JobId> + '_ {
        self.attempts.iter().map(|attempt| attempt.job)
    }

    pub(super) fn free_at(&self) -> MonoTime {
        self.free_at
    }

    /// Whether it has failed for so long that the pauses have reached their maximum.
    pub(super) fn is_in_vain(&self) -> bool {
        self.revoke.as_ref().is_some_and(|revoke| revoke.note_pause >= PAUSE_MAX)
    }

    /// Whether an attempt must begin now.
    pub(super) fn is_due(&self, now: MonoTime) -> bool {
        let due = self.revoke.as_ref().is_some_and(|revoke| revoke.next_at <= now);
        due && self.attempts.len() < ATTEMPTS_MAX
    }

    /// When the next attempt must begin.
    pub(super) fn next_at(&self) -> Option<MonoTime> {
        self.revoke.as_ref().map(|revoke| revoke.next_at)
    }

    /// The attempt that must be ended so that another can begin.
    pub(super) fn makes_room(&mut self, now: MonoTime) -> Option<JobId> {
        let due = self.revoke.as_ref().is_some_and(|revoke| revoke.next_at <= now);
        let full = self.attempts.len() >= ATTEMPTS_MAX;
        let mut killed = self.attempts.iter().filter_map(|attempt| attempt.killed);
        if !due || !full || killed.any(|at| now < at.plus(REAP)) {
            return None;
        }
        let oldest = self.attempts.iter_mut().find(|attempt| attempt.killed.is_none())?;
        oldest.killed = Some(now);
        Some(oldest.job)
    }

    /// When another attempt must be ended, because the kernel does not end the killed one.
    pub(super) fn room_at(&self) -> Option<MonoTime> {
        let full = self.revoke.is_some() && self.attempts.len() >= ATTEMPTS_MAX;
        let killed = self.attempts.iter().filter_map(|attempt| attempt.killed);
        killed.filter(|_| full).max().map(|at| at.plus(REAP))
    }

    /// An attempt begins. Returns what it writes; `None` if nothing is owed.
    pub(super) fn start(&mut self, now: MonoTime, job: JobId) -> Option<Values> {
        let revoke = self.revoke.as_mut()?;
        revoke.next_at = now.plus(revoke.pause);
        revoke.pause = revoke.pause.times(2).min(revoke.longest);
        self.attempts.push(Attempt { job, number: self.count, killed: None });
        Some(revoke.values)
    }

    /// An attempt has ended. `wished`: a grant waits for the revoke.
    pub(super) fn over(
        &mut self,
        now: MonoTime,
        job: JobId,
        end: &JobEnd,
        guard: Span,
        need: Need,
        wished: bool,
    ) -> Over {
        let mut over = Over::default();
        let Some(at) = self.attempts.iter().position(|attempt| attempt.job == job) else {
            return over;
        };
        let attempt = self.attempts.remove(at);
        if *end != JobEnd::Done {
            self.free_at = self.free_at.max(over_after(now, guard));
        }
        let alone = self.attempts.is_empty();
        let Some(revoke) = &mut self.revoke else { return over };
        if attempt.number != self.count {
            // It was of an earlier revoke; this one need not wait for it any longer.
            if alone {
                revoke.next_at = revoke.next_at.min(now);
            }
            return over;
        }
        if *end == JobEnd::Done {
            over.done = true;
            self.untold = revoke.late.then_some(revoke.values);
            over.tell = revoke.tell();
            over.note = over.tell.is_none().then(|| (NoteLevel::Warning, String::new()));
            for attempt in self.attempts.iter_mut().filter(|attempt| attempt.killed.is_none()) {
                attempt.killed = Some(now);
                over.kill.push(attempt.job);
            }
            self.revoke = None;
            return over;
        }
        if attempt.killed.is_some() {
            return over;
        }
        if matches!(end, JobEnd::Apart(_)) {
            revoke.next_at = now;
            return over;
        }
        over.tell = revoke.tell();
        revoke.late |= over.tell.is_some();
        if alone && (wished || need == Need::Boothd) {
            // A grant has been wished since, or only boothd's next wish depends on it.
            self.revoke = None;
            return over;
        }
        match need {
            Need::Lease => revoke.next_at = now.plus(RETRY),
            Need::Found => revoke.next_at = now.plus(revoke.pause.max(REST.min(revoke.longest))),
            Need::Boothd => {}
        }
        if over.tell.is_none() && now >= revoke.note_at {
            over.note = Some((NoteLevel::Error, "trying again all the time".to_owned()));
            revoke.note_at = now.plus(revoke.note_pause);
            revoke.note_pause = revoke.note_pause.times(2).min(PAUSE_MAX);
        }
        over
    }
}
