// SPDX-License-Identifier: GPL-2.0-or-later
//! The named deadlines of a ticket, and what happens when one has passed.
//!
//! They are computed from the state, never stored beside it, so that none can be stale. Those
//! that end a right (a promise, a lease, a holding) are applied before any event is looked at
//! (`RULES.md` L6); the others after it.

use super::cx::Cx;
use super::deadline::DeadlineKind;
use super::effect::NoteLevel;
use super::state::{Grace, Lead, Leased, Loading, PROBE_EXTRA};
use super::ticket::{Act, Kind, Ticket};
use crate::time::MonoTime;
use alloc::format;

/// Deadlines handled in one step of one ticket before it is left to the next step: each one
/// handled moves on or goes, so that no more than one of each kind can be due.
const DUE_MAX: usize = 64;

/// One of a ticket's deadlines.
pub(super) struct Deadline<K: Kind> {
    /// What it is for.
    pub of: DeadlineKind,
    pub at: MonoTime,
    /// What is done then.
    act: Act<K>,
}

impl<K: Kind> Ticket<K> {
    /// Tells `at` all deadlines that this ticket has now.
    fn deadlines(&self, at: &mut impl FnMut(DeadlineKind, Option<MonoTime>, Act<K>)) {
        use DeadlineKind as D;
        let load_retry = match self.phase.loading() {
            Some(Loading::Failed { retry_at, .. }) => retry_at,
            Some(Loading::Reading | Loading::Revoking) | None => None,
        };
        let announce = self.announce.map(|announce| announce.retry_at());
        let probe = self.probe.map(|probe| probe.deadline.plus(PROBE_EXTRA));
        at(D::LoadRetry, load_retry, Ticket::load_again);
        at(D::CibRetry, self.cib.retry_at(), Ticket::write_again);
        at(D::Announce, announce, Ticket::announce_retry);
        at(D::ProbeLimit, probe, Ticket::probe_overdue);
        K::deadlines(self, at);
    }

    /// The deadline of the lowest rank, of those that have one.
    pub fn first<R: Ord>(&self, rank: impl Fn(&Deadline<K>) -> Option<R>) -> Option<Deadline<K>> {
        let mut first: Option<(R, Deadline<K>)> = None;
        self.deadlines(&mut |of, at, act| {
            let Some(at) = at else { return };
            let deadline = Deadline { of, at, act };
            if let Some(rank) = rank(&deadline) {
                if first.as_ref().is_none_or(|(lowest, _)| rank < *lowest) {
                    first = Some((rank, deadline));
                }
            }
        });
        first.map(|(_, deadline)| deadline)
    }

    /// The first instant for which this ticket waits.
    pub fn nearest(&self) -> Option<MonoTime> {
        self.first(|deadline| Some(deadline.at)).map(|deadline| deadline.at)
    }

    /// Handles every deadline that has passed, those included that handling another one, or going
    /// on with an administrator's grant, makes due. None is left, or the ticket would be woken
    /// again at once, before every other ticket and for ever.
    pub fn run_due(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..DUE_MAX {
            if let Some(act) = self.due(cx.now.mono) {
                act(self, cx);
            } else if !K::go_on(self, cx) || self.due(cx.now.mono).is_none() {
                return;
            }
        }
    }

    /// What is done about the first deadline, in the order of [`DeadlineKind`], that has passed.
    fn due(&self, now: MonoTime) -> Option<Act<K>> {
        self.first(|deadline| (deadline.at <= now).then_some(deadline.of)).map(|due| due.act)
    }
}

impl Ticket<Leased> {
    /// The deadlines that only a ticket with a lease has.
    pub fn leased_deadlines(
        &self,
        at: &mut impl FnMut(DeadlineKind, Option<MonoTime>, Act<Leased>),
    ) {
        use DeadlineKind as D;
        let lead = self.kind.lead.as_ref();
        let leading = lead.filter(|_| self.phase.is_leader());
        let free = self.quit.is_none() && !self.phase.is_loading();
        let patience = self.spec.patience();
        let hold_end = match self.leaving() {
            true => lead.and_then(Lead::lease_until),
            false => self.hold_window().map(|window| window.hold_until).filter(|_| free),
        };
        let give_up = lead
            .filter(|lead| !lead.leased() && (free || self.leaving()))
            .map(|lead| lead.gives_up_at(patience));
        let election_end = self.phase.attempt().map(|attempt| attempt.until);
        let may_ask = !self.phase.is_loading();
        let ask = self.kind.grace.as_ref().and_then(Grace::ask_at).filter(|_| may_ask);
        let stand = self.kind.stand.map(|stand| stand.at).filter(|_| self.may_stand_when_due());
        // What ends the handler, its answer or its limit, wakes the ticket by itself.
        let asking = self.probe.is_some() && self.asks_before_renewal();
        let renewal = leading.map(|lead| lead.renewal.next_at()).filter(|_| !asking);
        let grant = self.grant_due();
        let commit_delay = leading.filter(|_| !self.cib.maybe_granted()).and_then(|lead| {
            let answers = lead.commit.until();
            answers.into_iter().chain(self.kind.acquire.at).chain(self.kind.acquire.hear).min()
        });
        let promise = self.kind.promise.map(|promise| promise.until());
        let retry = leading.and_then(|lead| lead.renewal.retry_at());
        let update_retry = leading.and_then(Lead::update_retry_at);
        let grant = grant.filter(|_| self.phase.is_follower());
        at(D::PromiseEnd, promise, Ticket::fold_rights);
        at(D::HoldEnd, hold_end, Ticket::fold_rights);
        at(D::GiveUp, give_up, Ticket::fold_rights);
        at(D::GraceEnd, self.grace_until(), Ticket::fold_rights);
        at(D::ElectionEnd, election_end, Ticket::attempt_failed);
        at(D::AskAgain, ask, Ticket::ask_again);
        at(D::CommitDelay, commit_delay, Ticket::commit_delay_over);
        at(D::Renewal, renewal, Ticket::renewal_due);
        at(D::Retry, retry, Ticket::renewal_retry);
        at(D::UpdateRetry, update_retry, Ticket::update_retry);
        at(D::Objection, self.objection_due(), Ticket::ask_objectors);
        at(D::Stand, stand, Ticket::stand_due);
        at(D::GrantRetry, grant, Ticket::grant_retry);
    }

    /// Whether standing is only a matter of time: what else it waits for wakes this ticket by
    /// itself (the end of a promise, of grace, of a handler, of a revoke).
    fn may_stand_when_due(&self) -> bool {
        let holder = self.holding() || self.leaving();
        let clean = !self.cib.maybe_granted() || holder;
        // An administrator's grant stands by itself.
        let ordered = self.grant.is_some() && !holder;
        self.phase.is_follower()
            && !ordered
            && (self.quit.is_none() || self.leaving())
            && clean
            && (holder || (self.kind.grace.is_none() && self.kind.promise.is_none()))
            && self.probe.is_none()
    }

    /// Applies the end of rights: before every event (L6).
    pub fn fold_rights(&mut self, cx: &mut Cx<'_>) {
        self.fold_lease(cx);
        if self.phase.attempt().is_some_and(|attempt| cx.now.mono >= attempt.until) {
            self.attempt_failed(cx);
        }
        if let Some(promise) = self.kind.promise.filter(|promise| !promise.lives(cx.now.mono)) {
            self.kind.promise = None;
            if self.phase.is_follower() && self.known.leader.member().is_some() {
                let text = format!("the lease of {} has ended", cx.name(promise.to()));
                self.note(cx, NoteLevel::Warning, &text);
                self.known.until = self.known.until.min(cx.now.mono);
                self.believe_revoke(cx);
            }
        }
        if self.grace_until().is_some_and(|until| cx.now.mono >= until) {
            self.end_grace(cx);
        }
    }
}
