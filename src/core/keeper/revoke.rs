// SPDX-License-Identifier: GPL-2.0-or-later
//! The revoke that a ticket's line owes, and its attempts.
//!
//! A revoke is never ended for being slow: a store that needs eight seconds needs them however
//! often it is asked. What has run for a while is joined by another attempt, since it may hang
//! where a fresh one does not. When one has succeeded the others are ended.

use super::check::over_after;
use super::{JobEnd, JobId, Values};
use crate::engine::{NoteLevel, WriteSerial};
use crate::time::{MonoTime, Span};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// How soon a revoke that failed is tried again, while a lease depends on it.
const RETRY: Span = Span::from_millis(500);
/// The longest pause before another attempt joins one that hangs.
const PAUSE_MAX: Span = Span::from_secs(30);
/// How many attempts run beside each other; the oldest makes room for another.
const ATTEMPTS_MAX: usize = 8;
/// How long one that was ended is waited for before another makes room.
const REAP: Span = Span::from_secs(1);
/// The first pause between two lines of the log about the same trouble; it doubles.
const NOTE_PAUSE: Span = Span::from_secs(1);

/// One attempt that runs.
#[derive(Debug)]
struct Attempt {
    job: JobId,
    /// Which revoke it is of.
    number: u64,
    /// When it was ended, or is to be as soon as no other ticket needs its job.
    killed: Option<MonoTime>,
}

/// What is owed, and what runs for it.
#[derive(Debug, Default)]
pub(super) struct Owed {
    revoke: Option<Revoke>,
    attempts: Vec<Attempt>,
    /// How many revokes have been owed.
    count: u64,
    /// Attempts that were killed, or failed, cannot take effect any more from this instant on.
    free_at: MonoTime,
    /// What has succeeded when boothd did not wait for it any more, if nothing has begun since.
    untold: Option<Values>,
}

/// A revoke that must succeed.
#[derive(Debug)]
struct Revoke {
    /// Whom to tell, and until when boothd waits for it.
    serial: Option<(WriteSerial, MonoTime)>,
    /// Whether boothd has stopped waiting for it, and will wish it again.
    late: bool,
    values: Values,
    /// When the next attempt begins.
    next_at: MonoTime,
    /// How long the attempt that begins then is left alone.
    pause: Span,
    note_at: MonoTime,
    note_pause: Span,
}

/// What the end of an attempt means.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// The store says *revoked*.
    pub(super) done: bool,
    /// boothd waits for it.
    pub(super) tell: Option<WriteSerial>,
    /// Otherwise, how much it matters to the log, and what happens next.
    pub(super) note: Option<(NoteLevel, String)>,
    /// Attempts that are to be ended.
    pub(super) kill: Vec<JobId>,
}

impl Revoke {
    /// Takes out whom to tell.
    fn tell(&mut self) -> Option<WriteSerial> {
        self.serial.take().map(|(serial, _)| serial)
    }
}

impl Owed {
    /// Owes a revoke with these values. Returns the wish whose place it takes.
    ///
    /// The first attempt begins at once; behind attempts of an earlier revoke, when they have
    /// ended, or beside them after `guard`.
    pub(super) fn owe(
        &mut self,
        now: MonoTime,
        guard: Span,
        serial: Option<(WriteSerial, MonoTime)>,
        values: Values,
    ) -> Option<WriteSerial> {
        let alone = self.attempts.is_empty();
        if let Some(same) = self.revoke.as_mut().filter(|revoke| revoke.values.is_like(&values)) {
            // What runs for it serves: no grant has begun in between.
            same.values = values;
            if alone {
                same.next_at = same.next_at.min(now);
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
        self.revoke = Some(Revoke { serial, late, values, next_at, pause, note_at, note_pause });
        old.and_then(|mut old| old.tell())
    }

    /// Whether the last that happened is that this has succeeded, which boothd does not know yet.
    pub(super) fn take_untold(&mut self, values: &Values) -> bool {
        self.untold.take().is_some_and(|old| old.is_like(values))
    }

    /// A grant begins.
    pub(super) fn outdated(&mut self) {
        self.untold = None;
    }

    /// A grant is wished: what is owed and not under way is not wanted any more.
    pub(super) fn yields(&mut self) -> Option<WriteSerial> {
        if self.attempts.is_empty() {
            return self.revoke.take()?.tell();
        }
        None
    }

    /// Nobody waits any more.
    pub(super) fn leave(&mut self) {
        self.untold = None;
        if let Some(revoke) = &mut self.revoke {
            revoke.serial = None;
        }
    }

    /// Another boothd has come: what no lease depends on is its business.
    pub(super) fn succeed(&mut self, armed: bool) {
        self.leave();
        if !armed {
            self.disarm();
        }
    }

    /// No lease depends on it any more: what is not under way is only owed to boothd.
    pub(super) fn disarm(&mut self) {
        let unasked = self.revoke.as_ref().is_some_and(|revoke| revoke.serial.is_none());
        if unasked && self.attempts.is_empty() {
            self.revoke = None;
        }
    }

    /// boothd has waited for as long as it wanted to: it is told, and what runs goes on.
    pub(super) fn late(&mut self, now: MonoTime) -> Option<WriteSerial> {
        let revoke = self.revoke.as_mut()?;
        revoke.serial.filter(|(_, until)| *until <= now)?;
        revoke.late = true;
        revoke.tell()
    }

    /// When boothd has waited for as long as it wants to.
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

    /// It is not owed any more. Returns the attempts that are to be ended.
    pub(super) fn cancel(&mut self, now: MonoTime) -> Vec<JobId> {
        self.revoke = None;
        let live = self.attempts.iter_mut().filter(|attempt| attempt.killed.is_none());
        live.map(|attempt| {
            attempt.killed = Some(now);
            attempt.job
        })
        .collect()
    }

    /// What the next attempts write.
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

    /// Whether it has failed for so long that its pauses have reached their end.
    pub(super) fn is_in_vain(&self) -> bool {
        self.revoke.as_ref().is_some_and(|revoke| revoke.note_pause >= PAUSE_MAX)
    }

    /// Whether an attempt is to begin.
    pub(super) fn is_due(&self, now: MonoTime) -> bool {
        let due = self.revoke.as_ref().is_some_and(|revoke| revoke.next_at <= now);
        due && self.attempts.len() < ATTEMPTS_MAX
    }

    /// When an attempt is to begin.
    pub(super) fn next_at(&self) -> Option<MonoTime> {
        self.revoke.as_ref().map(|revoke| revoke.next_at)
    }

    /// The attempt that has to end so that another can begin.
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

    /// When another has to end because the kernel cannot end the one that should make room.
    pub(super) fn room_at(&self) -> Option<MonoTime> {
        let full = self.revoke.is_some() && self.attempts.len() >= ATTEMPTS_MAX;
        let killed = self.attempts.iter().filter_map(|attempt| attempt.killed);
        killed.filter(|_| full).max().map(|at| at.plus(REAP))
    }

    /// An attempt begins.
    pub(super) fn start(&mut self, now: MonoTime, job: JobId) -> Option<Values> {
        let revoke = self.revoke.as_mut()?;
        revoke.next_at = now.plus(revoke.pause);
        let longest = PAUSE_MAX.max(revoke.pause);
        revoke.pause = revoke.pause.times(2).min(longest);
        self.attempts.push(Attempt { job, number: self.count, killed: None });
        Some(revoke.values)
    }

    /// An attempt has ended. `armed`: a lease depends on it; `wished`: a grant waits behind it.
    pub(super) fn over(
        &mut self,
        now: MonoTime,
        job: JobId,
        end: &JobEnd,
        (guard, armed, wished): (Span, bool, bool),
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
            // It was of an earlier revoke; this one need not wait for others any longer.
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
        if alone && (wished || !armed) {
            // A grant is wished since, or nothing depends on it but what boothd wants next.
            self.revoke = None;
            return over;
        }
        if armed {
            revoke.next_at = now.plus(RETRY);
        }
        if over.tell.is_none() && now >= revoke.note_at {
            over.note = Some((NoteLevel::Error, "trying again all the time".to_owned()));
            revoke.note_at = now.plus(revoke.note_pause);
            revoke.note_pause = revoke.note_pause.times(2).min(PAUSE_MAX);
        }
        over
    }
}
