// SPDX-License-Identifier: GPL-2.0-or-later
//! The line of one ticket: what is known of it, what runs, and what comes next.

mod change;
mod check;
mod ring;
mod times;

use super::crowd::{Place as Rank, Want};
use super::revoke::Owed;
use super::{
    expires_of, needs_lease, Answer, Change, Cx, Grant, JobEnd, JobId, Kept, Output, Place, Values,
    Word,
};
use crate::engine::{
    AttrChange, CibLoad, CibOutcome, CibState, CibTicket, HoldWindow, WriteSerial,
};
use crate::model::{Term, TicketIndex, TicketName};
use crate::time::{MonoTime, Span};
use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use change::{Running, RunningWork, Stage};
use check::Check;

/// How many changes of attributes may wait for one ticket: each needs a call of its own, so more
/// than this means that somebody asks faster than the store can answer.
const ATTRS_MAX: usize = 32;

/// The longest that a look at the store holds up the revoke that it is for, if it begins after
/// the end of the window, because the machine slept. Else it is waited for until that end.
const LOOK_MAX: Span = Span::from_secs(2);

/// What is known of the store for the end of the window.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Nothing has been asked.
    None,
    /// A job is to ask, if there is room for it before this instant.
    Wanted(MonoTime),
    /// A job asks, and is waited for until this instant.
    Running(JobId, MonoTime),
    /// The answer; `None`: it could not be read.
    Known(Option<CibTicket>),
}

/// What a line has begun as part of a job.
pub(super) enum Begun {
    Change(Change),
    Look,
}

/// The line of one ticket.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) name: TicketName,
    pub(super) guard: Span,
    /// What boothd calls it; `None`: it is not in its configuration.
    pub(super) index: Option<TicketIndex>,
    /// Its place in the crowd.
    pub(super) rank: Option<Rank>,
    /// Its entry among the deadlines.
    pub(super) timer: Option<MonoTime>,
    window: Option<HoldWindow>,
    term: Term,
    /// Whether the store may say *granted* because of that window.
    armed: bool,
    /// Whether the end of the window has been acted upon.
    rung: bool,
    grant: Option<Grant>,
    wish: Option<(WriteSerial, CibState)>,
    attrs: VecDeque<(WriteSerial, AttrChange, Span)>,
    change: Option<Running>,
    /// Whether the store says *granted* by the last change that this boothd has wished.
    granted: bool,
    check: Check,
    pub(super) owed: Owed,
    look: Look,
    /// Whether a revoke that nobody waits for has been tried: since then another node may have
    /// been granted the ticket, so the next attempt looks first.
    looks_again: bool,
    /// Killed changes cannot take effect any more from this instant on.
    quiet_at: MonoTime,
    /// Whether boothd knows that the ticket is quiet.
    said_quiet: bool,
    /// How long a new boothd lets a revoke of the one before finish.
    patient_until: MonoTime,
}

impl Line {
    pub(super) fn new(place: Place, kept: &Kept) -> Line {
        Line {
            place,
            name: kept.name.clone(),
            guard: kept.guard,
            index: None,
            rank: None,
            timer: None,
            window: None,
            term: Term::ZERO,
            armed: false,
            rung: false,
            grant: None,
            wish: None,
            attrs: VecDeque::new(),
            change: None,
            granted: false,
            check: Check::default(),
            owed: Owed::default(),
            look: Look::None,
            looks_again: false,
            quiet_at: MonoTime::ZERO,
            said_quiet: false,
            patient_until: MonoTime::ZERO,
        }
    }

    /// Takes in what boothd says.
    pub(super) fn hear(&mut self, word: Word, cx: &mut Cx<'_>) {
        match word {
            Word::Hold { window, term, .. } => self.hold(window, term, cx),
            Word::Write { serial, state, .. } => self.write(serial, state, cx),
            Word::Attr { serial, change, limit, .. } => self.attr(serial, change, limit, cx),
            Word::Read { grant, .. } => self.note_grant(grant),
        }
    }

    /// boothd is gone. It may start on another node, where *g* is waited for what was begun here:
    /// nothing begins any more but revokes, and nobody waits for what runs.
    pub(super) fn leave(&mut self) {
        self.wish = None;
        self.attrs.clear();
        if let Some(running) = &mut self.change {
            match &mut running.work {
                RunningWork::Grant(serial, _) | RunningWork::Attr(serial, ..) => *serial = None,
            }
        }
        self.owed.leave();
    }

    /// Another boothd has taken over: what has not begun is forgotten, and nobody waits for what
    /// has. That gets the time of one change, *g*, and is ended. A revoke of a lease that has ended
    /// is still owed. That boothd is told at once what it has to tell the next keeper, since this
    /// one may end before the ticket is quiet.
    pub(super) fn succeed(&mut self, cx: &mut Cx<'_>) {
        // It reads the store itself. Since then others may have changed that rightly: another node,
        // where it ran meanwhile.
        self.granted = false;
        let (now, term) = (cx.now.mono, self.term);
        if let Some(ticket) = self.index {
            let read = self.grant.map(|grant| Word::Read { ticket, grant });
            let window = self.watched();
            let hold = window.map(|_| Word::Hold { ticket, window, term });
            cx.out.extend(read.into_iter().chain(hold).map(Output::Tell));
        }
        self.leave();
        self.patient_until = now.plus(self.guard);
        if let Some(running) = &mut self.change {
            running.limit_at = running.limit_at.min(self.patient_until);
        }
        self.owed.succeed(self.armed);
        self.said_quiet = false;
    }

    /// Another keeper takes wishes from now on.
    pub(super) fn resign(&mut self, cx: &mut Cx<'_>) {
        self.index = None;
        self.succeed(cx);
        self.kill_change(cx);
    }

    fn hold(&mut self, window: Option<HoldWindow>, term: Term, cx: &mut Cx<'_>) {
        (self.window, self.term) = (window, term);
        self.armed = window.is_some();
        self.rung = false;
        // Who tells a window that has ended already runs here: there is nothing newer elsewhere,
        // and no time for a look.
        let late = window.is_some_and(|window| cx.now.mono >= window.hold_until);
        self.forget_look(cx);
        if late {
            self.look = Look::Known(None);
        }
        self.looks_again = false;
        if !self.armed {
            self.owed.disarm();
        }
    }

    /// What the store said before is not of use any more.
    fn forget_look(&mut self, cx: &mut Cx<'_>) {
        if let Look::Running(job, _) = core::mem::replace(&mut self.look, Look::None) {
            cx.unwanted.push(job);
        }
    }

    fn write(&mut self, serial: WriteSerial, state: CibState, cx: &mut Cx<'_>) {
        if let Some((old, _)) = self.wish.take() {
            self.written(old, CibOutcome::Superseded, cx);
        }
        if state.granted {
            self.wish = Some((serial, state));
            self.check_first(cx);
            if self.is_late(&state, cx.now.mono) {
                // It will not begin.
                return;
            }
            let old = self.owed.yields();
            return self.say_superseded(old, cx);
        }
        self.kill_change(cx);
        let expires = expires_of(&state, self.window.as_ref(), cx.now);
        let values = Values { owner: state.owner, term: state.term, expires };
        if self.change.is_none() && self.owed.take_untold(&values) {
            (self.armed, self.look) = (false, Look::None);
            return self.written(serial, CibOutcome::Written, cx);
        }
        let serial = Some((serial, cx.now.mono.plus(state.limit)));
        let old = self.owed.owe(cx.now.mono, self.guard, serial, values);
        self.say_superseded(old, cx);
    }

    fn say_superseded(&self, serial: Option<WriteSerial>, cx: &mut Cx<'_>) {
        if let Some(serial) = serial {
            self.written(serial, CibOutcome::Superseded, cx);
        }
    }

    fn attr(&mut self, serial: WriteSerial, change: AttrChange, limit: Span, cx: &mut Cx<'_>) {
        let name = |change: &AttrChange| match change {
            AttrChange::Set(name, _) | AttrChange::Delete(name) => name.clone(),
        };
        let wanted = name(&change);
        if let Some(place) = self.attrs.iter_mut().find(|(_, old, _)| name(old) == wanted) {
            let (old, ..) = core::mem::replace(place, (serial, change, limit));
            return self.attr_written(old, CibOutcome::Superseded, cx);
        }
        if self.attrs.len() >= ATTRS_MAX {
            let text = format!("{ATTRS_MAX} changes of attributes are waiting already");
            return self.attr_written(serial, CibOutcome::Failed(text), cx);
        }
        self.attrs.push_back((serial, change, limit));
    }

    fn note_grant(&mut self, mut grant: Grant) {
        if let Some(old) = self.grant.filter(|old| old.term == grant.term) {
            grant.expires = grant.expires.max(old.expires);
        }
        self.grant = Some(grant);
    }

    /// Applies what is due.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        self.advance_change(cx);
        if let Some(job) = self.owed.makes_room(now) {
            cx.unwanted.push(job);
        }
        if let Some(serial) = self.owed.late(now) {
            let text = "it has not ended in time, and goes on";
            self.written(serial, CibOutcome::Failed(text.to_owned()), cx);
        }
        let late = self.wish.as_ref().is_some_and(|(_, state)| self.is_late(state, now));
        if let (true, Some((serial, _))) = (late, self.wish.as_ref()) {
            let serial = *serial;
            self.wish = None;
            self.written(serial, CibOutcome::TooLate, cx);
        }
        self.advance_check(cx);
        self.want_look(now);
        self.ring(cx);
        self.want_another_look(now);
        self.reconsider(cx);
        if !self.said_quiet && self.is_quiet(now, cx.quiet_at) {
            if let Some(ticket) = self.index {
                self.said_quiet = true;
                cx.out.push(Output::Say(Answer::Quiet { ticket, before: self.before() }));
            }
        }
    }

    /// Whether a grant may not begin any more.
    fn is_late(&self, state: &CibState, now: MonoTime) -> bool {
        needs_lease(state) && self.window.is_none_or(|window| now >= window.start_before)
    }

    /// The end of the window is near: what the store says decides what has to be done then.
    fn want_look(&mut self, now: MonoTime) {
        let Some(window) = self.window.filter(|_| self.armed && !self.rung) else { return };
        if self.look == Look::None && now >= window.kill_at {
            let slept = now >= window.hold_until;
            let most = now.plus(self.guard.min(LOOK_MAX));
            self.look = Look::Wanted(if slept { most } else { window.hold_until });
        }
    }

    /// Another attempt is to begin that nobody waits for: it looks first.
    fn want_another_look(&mut self, now: MonoTime) {
        let due = self.looks_again && self.owed.is_due(now) && !self.owed.is_asked();
        if due && self.look == Look::None {
            self.look = Look::Wanted(now.plus(self.guard.min(LOOK_MAX)));
        }
    }

    /// What the line wants a job for.
    pub(super) fn wants(&self, now: MonoTime, quiet_at: MonoTime) -> Option<Want> {
        if self.change.is_some() {
            return None;
        }
        if self.owed.is_due(now) {
            return match self.look {
                _ if !self.looks_again || self.owed.is_asked() => Some(Want::Revoke),
                Look::Wanted(_) => Some(Want::Look),
                Look::None | Look::Running(..) | Look::Known(_) => None,
            };
        }
        if self.owed.is_owed() || self.owed.is_running() {
            return None;
        }
        if self.armed && !self.rung && matches!(self.look, Look::Wanted(_)) {
            return Some(Want::Look);
        }
        if now < self.owed.free_at().max(quiet_at) {
            return None;
        }
        match (&self.wish, self.attrs.front()) {
            (Some(_), _) => self.renewal_wants(),
            (None, Some(_)) => Some(Want::Attr),
            (None, None) => None,
        }
    }

    /// Starts what [`Line::wants`] says, as part of this job; `None`: nothing.
    pub(super) fn start(&mut self, job: JobId, shared: bool, cx: &mut Cx<'_>) -> Option<Begun> {
        let now = cx.now.mono;
        match self.wants(now, cx.quiet_at)? {
            Want::Revoke => {
                let values = self.owed.start(now, job)?;
                self.granted = false;
                if self.rung {
                    self.forget_look(cx);
                    self.looks_again = true;
                }
                Some(Begun::Change(Change::Revoke(values)))
            }
            Want::Look => {
                if let Look::Wanted(until) = self.look {
                    self.look = Look::Running(job, until);
                } else if !self.start_check(job) {
                    return None;
                }
                Some(Begun::Look)
            }
            Want::Grant => {
                let (serial, state) = self.wish.take()?;
                self.owed.outdated();
                let expires = expires_of(&state, self.window.as_ref(), cx.now);
                let bound = needs_lease(&state);
                if bound {
                    // Also if a revoke of an earlier window has succeeded since this one was told.
                    self.armed = true;
                    self.note_grant(Grant { term: state.term, expires });
                }
                let limit_at = now.plus(state.limit);
                let work = RunningWork::Grant(Some(serial), state);
                let stage = Stage::Live;
                self.change = Some(Running { job, work, limit_at, shared, stage });
                let values = Values { owner: state.owner, term: state.term, expires };
                let start_before = self.window.filter(|_| bound).map(|window| window.start_before);
                Some(Begun::Change(Change::Grant { values, start_before }))
            }
            Want::Attr => {
                let (serial, change, limit) = self.attrs.pop_front()?;
                let work = RunningWork::Attr(Some(serial), change.clone(), limit);
                let limit_at = now.plus(limit);
                let stage = Stage::Live;
                self.change = Some(Running { job, work, limit_at, shared, stage });
                Some(Begun::Change(Change::Attr(change)))
            }
        }
    }

    /// A job of this line has ended.
    pub(super) fn ended(&mut self, job: JobId, end: JobEnd, cx: &mut Cx<'_>) {
        if self.check_over(job, &end, cx) {
            // That is all.
        } else if self.change.as_ref().is_some_and(|running| running.job == job) {
            if let Some(running) = self.change.take() {
                self.change_over(running, end, cx);
            }
        } else if matches!(self.look, Look::Running(looks, _) if looks == job) {
            self.look = Look::Known(match end {
                JobEnd::Looked(CibLoad::Loaded(stored)) => Some(stored),
                JobEnd::Looked(CibLoad::Absent) => Some(CibTicket::default()),
                // What cannot be read may say *granted*.
                _ => None,
            });
        } else if self.owed.is_attempt(job) {
            self.attempt_over(job, end, cx);
        }
    }

    fn attempt_over(&mut self, job: JobId, end: JobEnd, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let over = self.owed.over(now, job, &end, (self.guard, self.armed, self.wish.is_some()));
        for job in over.kill {
            cx.unwanted.push(job);
        }
        if over.done {
            self.armed = false;
            self.forget_look(cx);
        }
        if over.done || matches!(end, JobEnd::Apart(_)) {
            self.looks_again = false;
        }
        let outcome = match end {
            JobEnd::Done => CibOutcome::Written,
            JobEnd::Killed => CibOutcome::Killed,
            JobEnd::Failed(text) => CibOutcome::Failed(text),
            JobEnd::Apart(text) => CibOutcome::Failed(text),
            JobEnd::TooLate | JobEnd::Looked(_) => {
                CibOutcome::Failed("it answered a revoke like something else".to_owned())
            }
        };
        if let Some(serial) = over.tell {
            self.written(serial, outcome, cx);
        } else if let Some((level, why)) = over.note {
            let name = &self.name;
            let text = match outcome {
                CibOutcome::Written => format!("revoked {name}: its lease had ended"),
                CibOutcome::Failed(text) => format!("cannot revoke {name}: {text}; {why}"),
                _ => format!("cannot revoke {name}: its process was killed; {why}"),
            };
            cx.out.push(Output::Note(level, self.place, text));
        }
    }

    fn written(&self, serial: WriteSerial, outcome: CibOutcome, cx: &mut Cx<'_>) {
        if let Some(ticket) = self.index {
            cx.out.push(Output::Say(Answer::Written { ticket, serial, outcome }));
        }
    }

    fn attr_written(&self, serial: WriteSerial, outcome: CibOutcome, cx: &mut Cx<'_>) {
        if let Some(ticket) = self.index {
            cx.out.push(Output::Say(Answer::AttrWritten { ticket, serial, outcome }));
        }
    }
}
