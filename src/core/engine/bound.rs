// SPDX-License-Identifier: GPL-2.0-or-later
//! `acquire-after` (`RULES.md` L8, L13): until when whose word bound this member to whom, and how
//! long the commit of a ticket that moves by itself waits for that.
//!
//! A holder's lease is a majority of promises, and its store says *revoked* before the lease ends
//! (L6), or before it announces that it gives up (L10). Of any later majority one member has given
//! such a promise, or is the holder itself. So the latest end of a word to anyone else that the
//! voters of a new leader and the leader itself know of is not before the old store said
//! *revoked*. A member that does not know what an earlier life of it has promised counts that as
//! a promise to anyone: it ends when its grace does, at the
//! latest when the longest such promise has run out.

use super::cx::Cx;
use super::election::Attempt;
use super::lease::Promise;
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, MemberSet};
use crate::time::{MonoTime, Span};
use crate::wire::Reason;
use alloc::vec;
use alloc::vec::Vec;

/// The longest time that a vote can state (P8).
const UNBOUND_MAX: Span = Span::from_millis(0x7FFF_FFFE);

/// Until when this member's word bound it to whom; kept up at the end of every step.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// Per member: when its word to it last ended. For itself: when its own store said *revoked*
    /// after it may have said *granted*, read or not.
    ended: Vec<Option<MonoTime>>,
    /// Its promise at the end of the last step: to whom, and until when.
    promise: Option<(MemberIndex, MonoTime)>,
    /// Whether its own store could say *granted* at the end of the last step.
    granted: bool,
    /// While grace lasts: when all that an earlier life may have promised has ended at the latest.
    grace: Option<MonoTime>,
    /// When that had ended, once grace is over.
    forgotten: MonoTime,
}

/// The wait of a ticket that moves by itself. It belongs to the ticket: it survives that its
/// leader is elected again, and that the leader loses its lease.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acquire {
    /// The grant is not committed before this instant.
    pub at: Option<MonoTime>,
    /// An administrator ordered the election that was won last.
    ordered: bool,
    /// Until then, sites that have not answered the attempt or the win may still object.
    pub hear: Option<MonoTime>,
    /// Who has answered.
    pub answered: MemberSet,
}

impl Bound {
    /// Nothing is known of `members` members.
    pub fn new(members: usize) -> Bound {
        Bound { ended: vec![None; members], ..Bound::default() }
    }

    /// What has ended since the last step is noted.
    fn observe(
        &mut self,
        (me, now): (MemberIndex, MonoTime),
        promise: Option<Promise>,
        granted: bool,
        grace: Option<MonoTime>,
    ) {
        let promise = promise.map(|promise| (promise.to, promise.until));
        if let Some((to, until)) = self.promise.filter(|(to, _)| promise.map(|p| p.0) != Some(*to))
        {
            self.ends(to, until.min(now));
        }
        if self.granted && !granted {
            self.ends(me, now);
        }
        if let (Some(latest), None) = (self.grace, grace) {
            self.forgotten = latest.min(now);
        }
        (self.promise, self.granted, self.grace) = (promise, granted, grace);
    }

    fn ends(&mut self, to: MemberIndex, at: MonoTime) {
        if let Some(ended) = self.ended.get_mut(to.get()) {
            *ended = (*ended).max(Some(at));
        }
    }

    /// Until when, as far as is known, this member was bound to anyone but `but`; not after `now`.
    fn to_others(&self, but: MemberIndex, now: MonoTime) -> MonoTime {
        let ended = self.ended.iter().enumerate().filter(|(to, _)| *to != but.get());
        let ended = ended.filter_map(|(_, at)| *at).max().unwrap_or(MonoTime::ZERO);
        let live = self.promise.filter(|(to, _)| *to != but).map_or(ended, |(_, until)| until);
        let forgotten = self.grace.unwrap_or(self.forgotten);
        ended.max(live).max(forgotten).min(now)
    }
}

/// When the word of a voter to anyone else ended, by what its vote states. Clocks differ in their
/// rates; a reference member does not say: now.
pub(super) fn bound_ended(now: MonoTime, unbound_for: Option<Span>) -> MonoTime {
    now.minus(unbound_for.map_or(Span::ZERO, |span| span.divided(100).times(99)))
}

impl Acquire {
    /// Nothing is waited for any more.
    pub fn clear(&mut self) {
        (self.at, self.hear) = (None, None);
    }
}

impl Ticket {
    /// Keeps up until when this member's word bound it; at the end of every step.
    pub fn observe_bound(&mut self, cx: &Cx<'_>) {
        let grace = self.words_until();
        let step = (self.me, cx.now.mono);
        self.bound_to.observe(step, self.promise, self.may_say_granted(), grace);
    }

    /// What a vote for `to` states: for how long this member has been bound to nobody else, in
    /// whole milliseconds, because that is what the wire can say.
    pub fn unbound_for(&self, cx: &Cx<'_>, to: MemberIndex) -> Span {
        let now = cx.now.mono;
        let span = now.since(self.bound_to.to_others(to, now));
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
        self.bound_to.to_others(self.me, now).max(known.min(now))
    }

    /// The attempt was won: until when does its commit wait for `acquire-after`? `pending` says
    /// whether it is the re-election of a leader that has not granted yet, and if so, whether
    /// that leader's lease lives: then nobody can have held the ticket meanwhile.
    pub fn plan_acquire(&mut self, cx: &Cx<'_>, attempt: &Attempt, pending: Option<bool>) {
        let ordered =
            attempt.reason == Reason::Admin || (pending.is_some() && self.acquire.ordered);
        self.acquire.ordered = ordered;
        if pending.is_none() {
            self.acquire.hear = Some(attempt.until);
            self.acquire.answered = attempt.answered();
        }
        if self.cib.maybe_granted || attempt.force {
            // A holder that goes on waits for nothing, and `-F` for nobody.
            self.acquire.clear();
        } else if ordered {
            // An administrator's grant has L8.
            self.acquire.at = None;
        } else if !self.spec.acquire_after.is_zero() {
            // While its lease lived nobody was granted, but a store may have been ill until now.
            let ended = match pending {
                Some(true) => attempt.stated_until,
                _ => self.others_until(cx).max(attempt.others_until),
            };
            let at = ended.plus(self.spec.acquire_after);
            self.acquire.at = self.acquire.at.max(Some(at)).filter(|at| cx.now.mono < *at);
        }
    }

    /// A site whose store may have said *granted* until `ended` does not object any more: its
    /// resources may have run until then.
    pub fn acquire_after_objection(&mut self, cx: &Cx<'_>, ended: MonoTime) {
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        let moves = !self.cib.maybe_granted && !self.acquire.ordered && !forced;
        if moves && !self.spec.acquire_after.is_zero() {
            let at = ended.plus(self.spec.acquire_after);
            self.acquire.at = self.acquire.at.max(Some(at)).filter(|at| cx.now.mono < *at);
        }
    }

    /// A vote that comes after the win states a bound, too: the store of its voter may have been
    /// ill until then.
    pub fn acquire_after_late_vote(&mut self, cx: &Cx<'_>, unbound_for: Option<Span>) {
        let moves = !self.cib.maybe_granted && !self.acquire.ordered;
        let Some(unbound) = unbound_for.filter(|_| moves) else { return };
        if !self.spec.acquire_after.is_zero() {
            let ended = bound_ended(cx.now.mono, Some(unbound));
            let at = ended.plus(self.spec.acquire_after);
            self.acquire.at = self.acquire.at.max(Some(at)).filter(|at| cx.now.mono < *at);
        }
    }

    /// A commit delay is over, whatever the missing sites say.
    pub fn commit_delay_over(&mut self, cx: &mut Cx<'_>) {
        if let Some(lead) = self.lead.as_mut().filter(|lead| lead.commit.until <= cx.now.mono) {
            lead.commit.needed = false;
        }
        let passed = |at: &MonoTime| cx.now.mono < *at;
        self.acquire.at = self.acquire.at.filter(passed);
        self.acquire.hear = self.acquire.hear.filter(passed);
        self.advance_commit(cx);
    }

    /// Until when the commit waits for sites that have not answered yet, if it does: a holder that
    /// can be heard objects, but perhaps later than others vote and acknowledge.
    pub fn hear_pending(&self, cx: &Cx<'_>) -> Option<MonoTime> {
        let silent = !self.other_sites(cx).is_subset_of(self.acquire.answered);
        self.acquire.hear.filter(|at| silent && cx.now.mono < *at)
    }

    /// When the commit waits no longer for `acquire-after`, if it does wait.
    pub fn acquire_pending(&self, now: MonoTime) -> Option<MonoTime> {
        self.acquire.at.filter(|at| now < *at)
    }
}
