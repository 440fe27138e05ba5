// SPDX-License-Identifier: GPL-2.0-or-later
//! `acquire-after` (`RULES.md` L8, L13): to whom this member's word bound it, and until when; and
//! how long the commit of a ticket that moves by itself waits after that.
//!
//! A holder's lease is a majority of promises, and its store says *revoked* before the lease ends
//! (L6), or before it announces that it gives up (L10). Of any later majority one member has given
//! such a promise, or is the holder itself. So the latest end of a word to anyone else that the
//! voters of a new leader and the leader itself know of is not before the old store said
//! *revoked*. A member that does not know what an earlier life of it has promised counts that as
//! a promise to anyone: it ends when its grace does, at the latest when the longest such promise
//! has run out.

use super::cx::Cx;
use super::state::{bound_ended, Attempt, Leased};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex};
use crate::time::{MonoTime, Span};
use crate::wire::Reason;

/// The longest time that a vote can state (P8).
const UNBOUND_MAX: Span = Span::from_millis(0x7FFF_FFFE);

impl Ticket<Leased> {
    /// Notes at the end of every step to whom this member's word binds it, and until when.
    pub fn observe_bound(&mut self, cx: &Cx<'_>) {
        let grace = self.words_until();
        self.kind.bound_to.observe(
            self.me,
            cx.now.mono,
            self.kind.promise,
            self.may_say_granted(),
            grace,
        );
    }

    /// What a vote for `to` states: for how long this member has been bound to nobody else, in
    /// whole milliseconds, because that is what the wire can say.
    pub fn unbound_for(&self, cx: &Cx<'_>, to: MemberIndex) -> Span {
        let now = cx.now.mono;
        let span = now.since(self.kind.bound_to.to_others(to, now));
        Span::from_millis(span.min(UNBOUND_MAX).as_millis())
    }

    /// Until when the ticket may have been held by anyone but this site, as far as this site
    /// knows; not after now.
    pub fn others_until(&self, cx: &Cx<'_>) -> MonoTime {
        let now = cx.now.mono;
        let other = |id| Some(id) != Some(cx.roster.my_id());
        let known = match self.known.leader {
            Holder::Member(id) if !other(id) => MonoTime::ZERO,
            Holder::Member(_) | Holder::Unknown => self.known.until,
            Holder::Nobody => MonoTime::ZERO,
        };
        self.kind.bound_to.to_others(self.me, now).max(known.min(now))
    }

    /// The attempt was won: plans how long its commit waits for `acquire-after`. `pending` is given
    /// in the re-election of a leader, which may not have granted yet: whether its lease lives. If
    /// it does, nobody else can have been granted meanwhile.
    pub fn plan_acquire(&mut self, cx: &Cx<'_>, attempt: &Attempt, pending: Option<bool>) {
        let ordered =
            attempt.reason == Reason::Admin || (pending.is_some() && self.kind.acquire.ordered);
        self.kind.acquire.ordered = ordered;
        if pending.is_none() {
            self.kind.acquire.hear = Some(attempt.until);
            self.kind.acquire.answered = attempt.answered();
        }
        if self.cib.maybe_granted() || attempt.force {
            // A holder that goes on waits for nothing, and `-F` for nobody.
            self.kind.acquire.clear();
        } else if ordered {
            // An administrator's grant waits for the sites instead (L8).
            self.kind.acquire.at = None;
        } else if !self.spec.acquire_after.is_zero() {
            // While its lease lived nobody was granted, but a store may have been ill until now.
            let ended = match pending {
                Some(true) => attempt.stated_until,
                _ => self.others_until(cx).max(attempt.others_until),
            };
            let at = ended.plus(self.spec.acquire_after);
            self.kind.acquire.wait_until(at, cx.now.mono);
        }
    }

    /// A site whose store may have said *granted* until `ended` does not object any more: its
    /// resources may have run until then.
    pub fn acquire_after_objection(&mut self, cx: &Cx<'_>, ended: MonoTime) {
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        let moves = !self.cib.maybe_granted() && !self.kind.acquire.ordered && !forced;
        if moves && !self.spec.acquire_after.is_zero() {
            let at = ended.plus(self.spec.acquire_after);
            self.kind.acquire.wait_until(at, cx.now.mono);
        }
    }

    /// A vote that comes after the win states a bound, too: the store of its voter may have been
    /// ill until then.
    pub fn acquire_after_late_vote(&mut self, cx: &Cx<'_>, unbound_for: Option<Span>) {
        let moves = !self.cib.maybe_granted() && !self.kind.acquire.ordered;
        let Some(unbound) = unbound_for.filter(|_| moves) else { return };
        if !self.spec.acquire_after.is_zero() {
            let ended = bound_ended(cx.now.mono, Some(unbound));
            let at = ended.plus(self.spec.acquire_after);
            self.kind.acquire.wait_until(at, cx.now.mono);
        }
    }

    /// A commit delay is over, whatever the missing sites say.
    pub fn commit_delay_over(&mut self, cx: &mut Cx<'_>) {
        if let Some(lead) = &mut self.kind.lead {
            lead.commit.end_at(cx.now.mono);
        }
        let passed = |at: &MonoTime| cx.now.mono < *at;
        self.kind.acquire.at = self.kind.acquire.at.filter(passed);
        self.kind.acquire.hear = self.kind.acquire.hear.filter(passed);
        self.advance_commit(cx);
    }

    /// Until when the commit waits for sites that have not answered yet, if it does: a holder that
    /// can be heard objects, but perhaps later than others vote and acknowledge.
    pub fn hear_pending(&self, cx: &Cx<'_>) -> Option<MonoTime> {
        let silent = !cx.other_sites().is_subset_of(self.kind.acquire.answered);
        self.kind.acquire.hear.filter(|at| silent && cx.now.mono < *at)
    }

    /// When the commit waits no longer for `acquire-after`, if it does wait.
    pub fn acquire_pending(&self, now: MonoTime) -> Option<MonoTime> {
        self.kind.acquire.at.filter(|at| now < *at)
    }
}
