// SPDX-License-Identifier: GPL-2.0-or-later
//! The line of one ticket: what is known of it, what is running, and what comes next.

mod change;
mod check;
mod checking;
mod ring;
mod running;
mod times;

use super::check::{expires_of, is_late, needs_lease};
use super::crowd::{Place as Rank, Want};
use super::cx::Cx;
use super::jobs::{Change, JobEnd, JobId, Place, Values};
use super::message::{Answer, Kept, Output, Word};
use super::revoke::{Need, Owed};
use super::verdict::Grant;
use crate::engine::{
    AttrChange, CibLoad, CibOutcome, CibState, CibTicket, HoldWindow, WriteSerial,
};
use crate::model::{Term, TicketIndex, TicketName};
use crate::time::{MonoTime, Span};
use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use checking::Check;
use running::{Running, RunningWork, Stage};

/// The most changes of attributes that may wait for one ticket. Each needs a separate call; if
/// there are more, somebody asks faster than the store can answer.
const ATTRS_MAX: usize = 32;

/// The longest that a look at the store delays its revoke, if it begins after the end of the
/// window, because the machine slept. Otherwise the revoke waits for it until that end.
const LOOK_MAX: Span = Span::from_secs(2);

/// The look at the store before the end of the window.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// No look is needed yet.
    None,
    /// A job must look, if there is room for it before this instant.
    Wanted(MonoTime),
    /// A job is looking; wait for it until this instant.
    Running(JobId, MonoTime),
    /// The answer; `None`: the ticket could not be read.
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
    /// The index in boothd's configuration; `None`: it is not there.
    pub(super) index: Option<TicketIndex>,
    /// Its place in the crowd.
    pub(super) rank: Option<Rank>,
    /// Its entry among the keeper's deadlines.
    pub(super) timer: Option<MonoTime>,
    window: Option<HoldWindow>,
    term: Term,
    /// Whether the store may say *granted* because of `window`.
    armed: bool,
    /// Whether the end of `window` has been handled.
    rung: bool,
    grant: Option<Grant>,
    /// Whether this boothd has found the ticket granted when it started, and nothing here has
    /// revoked it since.
    found: bool,
    wish: Option<(WriteSerial, CibState)>,
    attrs: VecDeque<(WriteSerial, AttrChange, Span)>,
    change: Option<Running>,
    /// Whether the last change wished by this boothd made the store say *granted*.
    granted: bool,
    check: Check,
    pub(super) owed: Owed,
    look: Look,
    /// Whether a revoke that nobody waits for has been tried. Another node may have been granted
    /// the ticket since, so the next attempt looks first.
    looks_again: bool,
    /// Killed changes can no longer take effect from this instant on.
    quiet_at: MonoTime,
    /// Whether boothd was told that the ticket is quiet.
    said_quiet: bool,
    /// Until when a new boothd waits for a revoke of the previous one.
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
            found: false,
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

    /// Processes a word of boothd.
    pub(super) fn hear(&mut self, word: Word, cx: &mut Cx<'_>) {
        match word {
            Word::Hold { window, term, .. } => self.hold(window, term, cx),
            Word::Write { serial, state, .. } => self.write(serial, state, cx),
            Word::Attr { serial, change, limit, .. } => self.attr(serial, change, limit, cx),
            Word::Read { grant, .. } => {
                self.found = true;
                self.note_grant(grant);
            }
        }
    }

    /// boothd is gone. It may start on another node, where it waits only *g* for what was begun
    /// here. So from now on only revokes begin, and nobody waits for running changes.
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

    /// Another boothd has taken over. Wishes that have not begun are forgotten. Nobody waits for
    /// running changes; they get the time of one change, *g*, and are then ended. A revoke of a
    /// lease that has ended is still owed. That boothd is told at once what it has to tell the next
    /// keeper, because this one may end before the ticket is quiet.
    pub(super) fn succeed(&mut self, cx: &mut Cx<'_>) {
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
        // That boothd reads the store itself; but one that cannot, because the store is ill, and is
        // stopped, leaves what was found granted to nobody else. Another node may rightly have
        // changed the ticket meanwhile: each attempt looks first.
        self.found &= self.owed.is_owed();
        self.looks_again |= self.found && !self.armed;
        if !self.armed && !self.found {
            // It is left to that boothd.
            self.owed.disarm();
        }
        self.said_quiet = false;
    }

    /// Another keeper accepts wishes from now on.
    pub(super) fn resign(&mut self, cx: &mut Cx<'_>) {
        self.index = None;
        self.succeed(cx);
        self.kill_change(cx);
    }

    fn hold(&mut self, window: Option<HoldWindow>, term: Term, cx: &mut Cx<'_>) {
        (self.window, self.term) = (window, term);
        self.armed = window.is_some();
        self.rung = false;
        // The boothd that states a window that has already ended runs here. So there is no newer
        // grant elsewhere, and there is no time for a look.
        let late = window.is_some_and(|window| cx.now.mono >= window.hold_until);
        self.forget_look(cx);
        if late {
            self.look = Look::Known(None);
        }
        self.looks_again = false;
        if !self.armed {
            self.found = false;
            self.owed.disarm();
        }
    }

    /// Discards what the store said before.
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

    /// Whether it is too late for a grant to begin.
    fn is_late(&self, state: &CibState, now: MonoTime) -> bool {
        is_late(state, self.window.as_ref(), now)
    }

    /// If the end of the window is near, wants a look at the store, which decides what to do then.
    fn want_look(&mut self, now: MonoTime) {
        let Some(window) = self.window.filter(|_| self.armed && !self.rung) else { return };
        if self.look == Look::None && now >= window.kill_at {
            let slept = now >= window.hold_until;
            let most = now.plus(self.guard.min(LOOK_MAX));
            self.look = Look::Wanted(if slept { most } else { window.hold_until });
        }
    }

    /// If another attempt must begin that nobody waits for, wants a look first.
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
        // A revoke that rests holds nothing up: boothd has heard that it failed.
        let rests = !self.armed && !self.owed.is_asked();
        if self.owed.is_running() || self.owed.is_owed() && !rests {
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

    /// Starts what [`Line::wants`] returns, as part of this job; `None` if that is nothing.
    pub(super) fn start(&mut self, job: JobId, shared: bool, cx: &mut Cx<'_>) -> Option<Begun> {
        let now = cx.now.mono;
        match self.wants(now, cx.quiet_at)? {
            Want::Revoke => {
                let values = self.owed.start(now, job)?;
                self.granted = false;
                if self.rung || self.need() == Need::Found {
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
                    // Even if a revoke of an earlier window has succeeded since this window came.
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
                // A ticket that cannot be read may be granted.
                _ => None,
            });
        } else if self.owed.is_attempt(job) {
            self.attempt_over(job, end, cx);
        }
    }

    /// Who needs the revoke of this ticket.
    fn need(&self) -> Need {
        match (self.armed, self.found) {
            (true, _) => Need::Lease,
            (false, true) => Need::Found,
            (false, false) => Need::Boothd,
        }
    }

    fn attempt_over(&mut self, job: JobId, end: JobEnd, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let (need, wished) = (self.need(), self.wish.is_some());
        let over = self.owed.over(now, job, &end, self.guard, need, wished);
        for job in over.kill {
            cx.unwanted.push(job);
        }
        if over.done {
            (self.armed, self.found) = (false, false);
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
