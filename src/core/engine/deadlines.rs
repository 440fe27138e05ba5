// SPDX-License-Identifier: GPL-2.0-or-later
//! The named deadlines of a ticket, and what happens when one has passed.
//!
//! They are computed from the state, never stored beside it, so that none can be stale. Those
//! that end a right (a promise, a lease, a holding) are applied before any event is looked at
//! (`RULES.md` L6); the others after it.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Grace, Lead, Loading, PROBE_EXTRA};
use super::ticket::Ticket;
use crate::time::MonoTime;
use alloc::format;

/// Deadlines handled in one step of one ticket before it is left to the next step: each one
/// handled moves on or goes, so that no more than one of each kind can be due.
const DUE_MAX: usize = 64;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineKind {
    /// A promise to another member ends (L4).
    PromiseEnd,
    /// The store may not say *granted* any more (L6).
    HoldEnd,
    /// A winner without a lease gives up (L12).
    GiveUp,
    /// Grace ends (L9).
    GraceEnd,
    /// An attempt has failed (L12).
    ElectionEnd,
    /// STATUS is sent again (L9).
    AskAgain,
    /// The store is read again after a failure.
    LoadRetry,
    /// The store is written again after a failure.
    CibRetry,
    /// The commit delay ends (L8).
    CommitDelay,
    /// The next renewal begins.
    Renewal,

    /// A heartbeat is sent again.
    Retry,
    /// An UPDATE is sent again.
    UpdateRetry,
    /// REVOKE or step-down is sent again.
    Announce,
    /// Those who object are asked again.
    Objection,
    /// A site stands (L13).
    Stand,
    /// The next attempt of an administrator's grant.
    GrantRetry,
    /// A handler has not answered long after its deadline.
    ProbeLimit,
    /// A manual ticket's claim is repeated.
    Claim,
}

impl Ticket {
    /// All deadlines that this ticket has now.
    pub fn deadlines(&self) -> [(DeadlineKind, Option<MonoTime>); 18] {
        use DeadlineKind as K;
        let lead = self.lead.as_ref();
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
        let load_retry = match self.phase.loading() {
            Some(Loading::Failed { retry_at, .. }) => retry_at,
            Some(Loading::Reading | Loading::Revoking) | None => None,
        };
        let may_ask = !self.phase.is_loading();
        let ask = self.grace.as_ref().and_then(Grace::ask_at).filter(|_| may_ask);
        let stand = self.stand.map(|stand| stand.at).filter(|_| self.may_stand_when_due());
        // What ends the handler, its answer or its limit, wakes the ticket by itself.
        let asking = self.probe.is_some() && self.asks_before_renewal();
        let renewal = leading.map(|lead| lead.renewal.next_at()).filter(|_| !asking);
        let grant = self.grant_due();
        let commit_delay = leading.filter(|_| !self.cib.maybe_granted()).and_then(|lead| {
            let answers = lead.commit.until();
            answers.into_iter().chain(self.acquire.at).chain(self.acquire.hear).min()
        });
        [
            (K::PromiseEnd, self.promise.map(|promise| promise.until())),
            (K::HoldEnd, hold_end),
            (K::GiveUp, give_up),
            (K::GraceEnd, self.grace_until()),
            (K::ElectionEnd, election_end),
            (K::AskAgain, ask),
            (K::LoadRetry, load_retry),
            (K::CibRetry, self.cib.retry_at()),
            (K::CommitDelay, commit_delay),
            (K::Renewal, renewal),
            (K::Retry, leading.and_then(|lead| lead.renewal.retry_at())),
            (K::UpdateRetry, leading.and_then(Lead::update_retry_at)),
            (K::Announce, self.announce.map(|announce| announce.retry_at())),
            (K::Objection, self.objection_due()),
            (K::Stand, stand),
            (K::GrantRetry, grant.filter(|_| self.phase.is_follower())),
            (K::ProbeLimit, self.probe.map(|probe| probe.deadline.plus(PROBE_EXTRA))),
            (K::Claim, self.manual.say_at),
        ]
    }

    /// The first of them.
    pub fn nearest(&self) -> Option<MonoTime> {
        self.deadlines().iter().filter_map(|(_, at)| *at).min()
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
            && (holder || (self.grace.is_none() && self.promise.is_none()))
            && self.probe.is_none()
    }

    /// Applies the end of rights: before every event (L6).
    pub fn fold(&mut self, cx: &mut Cx<'_>) {
        self.fold_lease(cx);
        if self.phase.attempt().is_some_and(|attempt| cx.now.mono >= attempt.until) {
            self.attempt_failed(cx);
        }
        if let Some(promise) = self.promise.filter(|promise| !promise.lives(cx.now.mono)) {
            self.promise = None;
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

    /// Handles every deadline that has passed, those included that handling another one, or going
    /// on with an administrator's grant, makes due. None is left, or the ticket would be woken
    /// again at once, before every other ticket and for ever.
    pub fn run_due(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..DUE_MAX {
            if let Some(kind) = self.due(cx.now.mono) {
                self.handle_due(cx, kind);
                continue;
            }
            if self.grant.is_none() && !self.leaving() {
                return;
            }
            self.advance_grant(cx);
            self.plan_leaving(cx);
            if self.due(cx.now.mono).is_none() {
                return;
            }
        }
    }

    /// The first deadline that has passed.
    fn due(&self, now: MonoTime) -> Option<DeadlineKind> {
        let passed = |(_, at): &(DeadlineKind, Option<MonoTime>)| at.is_some_and(|at| at <= now);
        self.deadlines().iter().find(|deadline| passed(deadline)).map(|(kind, _)| *kind)
    }

    /// Handles one deadline that has passed.
    fn handle_due(&mut self, cx: &mut Cx<'_>, kind: DeadlineKind) {
        match kind {
            DeadlineKind::PromiseEnd
            | DeadlineKind::HoldEnd
            | DeadlineKind::GiveUp
            | DeadlineKind::GraceEnd => self.fold(cx),
            DeadlineKind::ElectionEnd => self.attempt_failed(cx),
            DeadlineKind::AskAgain => self.ask_again(cx),
            DeadlineKind::LoadRetry => self.load_again(cx),
            DeadlineKind::CibRetry => self.write_again(cx),
            DeadlineKind::CommitDelay => self.commit_delay_over(cx),
            DeadlineKind::Renewal => self.renewal_due(cx),
            DeadlineKind::Retry => self.renewal_retry(cx),
            DeadlineKind::UpdateRetry => self.update_retry(cx),
            DeadlineKind::Announce => self.announce_retry(cx),
            DeadlineKind::Objection => self.ask_objectors(cx),
            DeadlineKind::Stand => self.stand_due(cx),
            DeadlineKind::GrantRetry => self.grant_retry(cx),
            DeadlineKind::ProbeLimit => self.probe_overdue(cx),
            DeadlineKind::Claim => self.manual_due(cx),
        }
    }
}
