// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients ask of a ticket with a lease, in which order that is judged, and what they are told
//! of its holder (P11).

use super::cx::Cx;
use super::effect::NoteLevel;
use super::event::ClientId;
use super::state::{GrantJob, Leased, Loading, QuitKind, Wait, Waiter};
use super::ticket::Ticket;
use crate::model::{Holder, RuleMode};
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, ResultCode, WaitCause};

impl Ticket<Leased> {
    /// Who has the ticket now, as clients are told: unknown once its time has passed, and this
    /// site as long as a revoke of its store has not succeeded. Nobody only if that is known: a
    /// store that says so may be old, and a ticket that no site has ever had is free.
    pub fn shown_leader(&self, now: MonoTime) -> Holder {
        if self.quit.is_some() && self.cib.maybe_granted() {
            return Holder::Member(self.my_id);
        }
        match self.known.leader {
            Holder::Member(_) if self.owes_itself() => self.known.leader,
            // It held the ticket once; its store says that it does not any more.
            Holder::Member(id) if id == self.my_id => Holder::Unknown,
            Holder::Member(_) if now >= self.known.until && self.promised_to(now).is_none() => {
                Holder::Unknown
            }
            Holder::Nobody if !self.free_is_known || self.kind.rumour > self.known.term => {
                Holder::Unknown
            }
            Holder::Unknown if self.free_is_known && self.never_held() => Holder::Nobody,
            known => known,
        }
    }

    /// Whether nobody is known to have had the ticket, here or by what others say.
    fn never_held(&self) -> bool {
        !self.knows_of_a_loss() && self.kind.rumour <= self.known.term
    }

    /// A grant of this ticket to this site.
    pub fn grant_to(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        let now = cx.now.mono;
        if !self.site {
            self.refuse(cx, client, ResultCode::SyncFail, self.shown_leader(now));
            return;
        }
        let loading = self.phase.is_loading();
        if self.grant.is_none() {
            // A lead that has not granted yet is not in the way: `-F` ends what it waits for.
            let pending = self.kind.lead.is_some() && !self.cib.maybe_granted();
            let held = self.quit.is_none() && self.owes_itself() && !pending && !loading;
            let leader = self.shown_leader(now);
            let other = leader.member().is_some_and(|id| id != cx.roster.my_id()) && !loading;
            if held || other {
                self.refuse(cx, client, ResultCode::Overgrant, leader);
                return;
            }
            if !loading && !self.attrs.fulfil(&self.spec.rules, RuleMode::Manual) {
                // Also if this site is about to have it by itself.
                self.refuse(cx, client, ResultCode::AttrPrereq, Holder::Nobody);
                return;
            }
            self.note(cx, NoteLevel::Info, "an administrator grants the ticket to this site");
        }
        let revoked = self.heard_to_end();
        self.grant.get_or_insert_with(GrantJob::default).join(Waiter::new(client, options));
        cx.clients.insert(client, self.index);
        if let Some(revoked) = revoked {
            self.give_up_win(cx, revoked);
        }
        self.tell_waiters(cx);
        self.advance_grant(cx);
        self.advance_commit(cx);
    }

    /// Another site turned out to hold the ticket.
    pub fn grant_overtaken(&mut self, cx: &mut Cx<'_>) {
        if self.grant.is_some() {
            self.answer_grant(cx, ResultCode::Overgrant);
        }
    }

    /// What a grant waits for now.
    pub fn grant_waits_for(&self, cx: &Cx<'_>) -> Wait {
        let (cause, left) = self.grant_cause(cx);
        let objector = self.objectors(cx.now.mono).iter().next();
        let objector = objector.filter(|_| cause == WaitCause::Objection);
        Wait { cause, left, objector, leased: self.lease_lives(cx.now.mono) }
    }

    /// Its cause, and for how long if that is known.
    fn grant_cause(&self, cx: &Cx<'_>) -> (WaitCause, Span) {
        let now = cx.now.mono;
        let left = |at: MonoTime| at.since(now);
        if let Some(loading) = self.phase.loading() {
            return match loading {
                Loading::Reading | Loading::Failed { .. } => (WaitCause::Loading, Span::ZERO),
                Loading::Revoking => (WaitCause::CibWrite, Span::ZERO),
            };
        }
        let forced = self.grant.as_ref().is_some_and(|job| job.force);
        if let Some(until) = self.grace_until().filter(|_| !forced && self.phase.is_follower()) {
            return (WaitCause::Grace, left(until));
        }
        if let Some(probe) = self.probe {
            return (WaitCause::Handler, left(probe.deadline));
        }
        let failing = self.cib.failing_since().is_some();
        if self.cib.maybe_granted() && !failing {
            return (WaitCause::CibWrite, Span::ZERO);
        }
        // What has to be over before the grant is written at all comes before a store that fails.
        let won = self.lease_lives(now) && !self.cib.maybe_granted();
        if self.objected_until(now).is_some() && (won || !failing) {
            return (WaitCause::Objection, Span::ZERO);
        }
        match self.commit_pending(cx) {
            Some(until) if won => (WaitCause::CommitDelay, left(until)),
            _ if failing => (WaitCause::CibFailing, Span::ZERO),
            _ => (WaitCause::Election, Span::ZERO),
        }
    }

    /// A revoke of this ticket.
    pub fn revoke_for(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        if self.phase.is_loading() {
            self.refuse(cx, client, ResultCode::Busy, Holder::Nobody);
            return;
        }
        if self.owes_itself() {
            self.note(cx, NoteLevel::Info, "an administrator revokes the ticket");
            self.wait_for_revoke(cx, client, options);
            let term = self.term_to_end(QuitKind::Revoke);
            let unleased = self.has_no_lease_yet();
            match &mut self.quit {
                Some(quit) => {
                    quit.stepped_down |= quit.kind == QuitKind::StepDown;
                    (quit.kind, quit.ordered) = (QuitKind::Revoke, true);
                    quit.term = quit.term.or(term);
                }
                None if unleased => {
                    // Without a lease another site may win as well: this win ends when it has one.
                    self.kind.revoke_wanted = true;
                    return;
                }
                None => {
                    self.quit(cx, QuitKind::Revoke, None);
                    return;
                }
            }
            self.known.leader = Holder::Nobody;
            self.free_is_known = true;
            self.write_revoke(cx, Holder::Nobody);
            return;
        }
        let cancels = self.grant.is_some();
        if cancels {
            self.note(
                cx,
                NoteLevel::Info,
                "an administrator ends the attempt to acquire the ticket",
            );
            self.phase.become_follower();
            self.stop_probe(cx);
            self.kind.stand = None;
            self.answer_grant(cx, ResultCode::SyncFail);
        }
        let (code, leader) = self.revoke_elsewhere(cx);
        let code = match code {
            ResultCode::TicketIdle if cancels => ResultCode::Success,
            code => code,
        };
        self.refuse(cx, client, code, leader);
    }

    /// What a revoke is told at a member that does not hold: who must be asked; that the ticket is
    /// free, if that is known; else that it is not known, and nothing has been done.
    fn revoke_elsewhere(&self, cx: &Cx<'_>) -> (ResultCode, Holder) {
        let objector = self.objectors(cx.now.mono).iter().next();
        let objector = objector.map(|site| Holder::Member(cx.roster.member(site).id));
        let holder = objector.unwrap_or(self.known.leader);
        if holder.member().is_some_and(|id| id != cx.roster.my_id()) {
            return (ResultCode::Redirect, holder);
        }
        if self.kind.grace.is_some() {
            // What this site has not heard yet may make it stand.
            return (ResultCode::Busy, Holder::Nobody);
        }
        // What only its own store says may be old.
        let free = self.shown_leader(cx.now.mono) == Holder::Nobody;
        if free {
            (ResultCode::TicketIdle, Holder::Nobody)
        } else {
            (ResultCode::SyncFail, Holder::Unknown)
        }
    }

    /// Another site that the client of a revoke must ask, too: one that objects, or one of which
    /// this site has heard since its store obeyed.
    pub fn other_holder(&self, cx: &Cx<'_>, lost: bool) -> Option<Holder> {
        // Who only could not read its store cannot have been granted beside a lease that lived.
        let objectors = self.objectors(cx.now.mono);
        let objectors =
            if lost { objectors } else { objectors.without(self.kind.objections.unread) };
        let objector = objectors.iter().next();
        let objector = objector.map(|site| Holder::Member(cx.roster.member(site).id));
        let other = self.known.leader.member().is_some() && self.known.leader != self.myself(cx);
        objector.or((other && !lost).then_some(self.known.leader))
    }
}
