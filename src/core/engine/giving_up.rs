// SPDX-License-Identifier: GPL-2.0-or-later
//! Giving up takes as long as the store does (`RULES.md` L10): a site whose store may still say
//! *granted* goes on leading until it does not, so that no other site is granted meanwhile. It
//! renews its lease by heartbeats alone: nothing is granted, no window moves on.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Lead, Leased, Quit, Stand};
use super::ticket::Ticket;
use crate::wire::Reason;

/// A renewal that a handler held up is made up for after this part of `timeout`, unless the store
/// says *revoked* before.
const CATCH_UP_PARTS: u64 = 4;

impl Ticket<Leased> {
    /// Whether this site gives the ticket up while its store may still say *granted*: it goes on
    /// leading, and stands again when it has lost its lease (L10).
    pub fn leaving(&self) -> bool {
        self.quit.is_some() && self.cib.maybe_granted() && !self.phase.is_loading()
    }

    /// The ticket is being given up from now on: goes on leading as long as the store may say
    /// *granted*, else follows.
    pub fn lead_on_or_follow(&mut self, cx: &mut Cx<'_>) {
        if !self.leaving() {
            self.phase.become_follower();
            self.kind.stand = None;
            return;
        }
        let soon = cx.now.mono.plus(self.spec.timeout.divided(CATCH_UP_PARTS));
        if let Some(lead) = &mut self.kind.lead {
            // It waited for a handler that is not asked any more.
            lead.renewal.postpone(cx.now.mono, soon);
        }
        self.plan_leaving(cx);
    }

    /// Applies the end of the lease, or of the wait for one, of a site that gives up.
    pub fn fold_leaving(&mut self, cx: &mut Cx<'_>) {
        if !self.leaving() {
            return;
        }
        let now = cx.now.mono;
        let patience = self.spec.patience();
        let standing = self.phase.is_candidate();
        if standing && self.kind.grace.is_some() && !self.established(now) {
            // What a restarted holder could count on has ended: it stands after its grace (L9).
            self.phase.become_follower();
        }
        let over = self.kind.lead.as_ref().is_some_and(|lead| match lead.lease_until() {
            Some(until) => now >= until,
            None => now >= lead.gives_up_at(patience),
        });
        if !over {
            return;
        }
        self.note_besides(
            cx,
            NoteLevel::Error,
            "the lease has ended, but the store may still say granted: trying to get another one, \
             so that no other site is granted",
        );
        if let (Some(quit), true) =
            (&mut self.quit, self.kind.lead.as_ref().is_some_and(Lead::leased))
        {
            quit.lapsed = true;
        }
        self.kind.lead = None;
        if self.phase.is_leader() {
            self.phase.become_follower();
        }
        self.forget_failed_revoke(cx);
    }

    /// A site without a lease whose store may still say *granted* always has a plan to stand.
    pub fn plan_leaving(&mut self, cx: &mut Cx<'_>) {
        let idle = self.phase.is_follower() && self.kind.stand.is_none();
        if idle && self.leaving() {
            let at = cx.now.mono.plus(cx.prng.span_below(self.spec.timeout));
            self.kind.stand = Some(Stand { at, reason: Reason::Reacquire });
        }
    }

    /// The time of such a plan has come. Nobody who keeps the rules answers in grace.
    pub fn stand_leaving(&mut self, cx: &mut Cx<'_>) {
        match (self.grace_until(), &mut self.kind.stand) {
            (Some(until), Some(stand)) => stand.at = until,
            _ => self.stand_for_election(cx, Reason::Reacquire, false),
        }
    }

    /// Says once why a site that gives up does not stop leading.
    pub fn say_leaving(&mut self, cx: &mut Cx<'_>) {
        if !self.leaving() || self.quit.is_none_or(|quit| quit.told) {
            return;
        }
        if let Some(quit) = &mut self.quit {
            quit.told = true;
        }
        self.note_besides(
            cx,
            NoteLevel::Warning,
            "the store may still say granted: renewing the lease until it says revoked, so that \
             no other site is granted",
        );
    }

    /// Writes a log line. If this step has said before why the ticket is given up, the history
    /// goes on telling that.
    fn note_besides(&self, cx: &mut Cx<'_>, level: NoteLevel, text: &str) {
        let reason = cx.said;
        self.note(cx, level, text);
        cx.said = reason.or(cx.said);
    }

    /// The store says *revoked*: what was learned while the site went on leading is kept.
    pub fn end_of_leaving(&mut self, cx: &mut Cx<'_>, quit: &Quit) {
        self.known.until = cx.now.mono;
        if quit.term > self.known.term {
            self.known.term = quit.term;
            self.follow_in_store(cx);
        }
    }
}
