// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients ask of one ticket, in which order it is judged, and what they are told while it
//! takes time (P11).

use super::cx::Cx;
use super::effect::NoteLevel;
use super::event::ClientId;
use super::report::Reply;
use super::state::{GrantJob, Loading, QuitKind, Waiter, WAITERS_MAX};
use super::ticket::Ticket;
use crate::model::{Holder, RuleMode};
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, ResultCode, TicketAnswer, WaitCause};

impl Ticket {
    /// An answer about this ticket.
    pub fn answer(&self, cx: &Cx<'_>, result: ResultCode, leader: Holder) -> TicketAnswer {
        let until = self.bound().unwrap_or(self.known.until);
        let valid_for =
            if leader.member().is_some() { until.since(cx.now.mono) } else { Span::ZERO };
        let ticket = Some(self.spec.name.clone());
        TicketAnswer { result, ticket, leader, term: self.wire_term(), valid_for, cause: None }
    }

    /// Ends a request with one answer.
    pub fn refuse(&self, cx: &mut Cx<'_>, client: ClientId, result: ResultCode, leader: Holder) {
        let answer = self.answer(cx, result, leader);
        cx.reply(client, Reply::Ticket(answer), true);
    }

    /// Who has the ticket now, as clients are told: unknown once its time has passed, and this
    /// site as long as a revoke of its store has not succeeded. Nobody only if that is known: a
    /// store that says so may be old, and a ticket that no site has ever had is free.
    pub fn shown_leader(&self, now: MonoTime) -> Holder {
        if self.quit.is_some() && self.cib.maybe_granted() {
            return Holder::Member(self.my_id);
        }
        match self.known.leader {
            Holder::Member(_) if self.owes_itself() || self.is_manual() => self.known.leader,
            // It held the ticket once; its store says that it does not any more.
            Holder::Member(id) if id == self.my_id => Holder::Unknown,
            Holder::Member(_) if now >= self.known.until && self.promised_to(now).is_none() => {
                Holder::Unknown
            }
            Holder::Nobody | Holder::Unknown if self.is_manual() => {
                let free = self.free_is_known && self.manual.claims.is_empty();
                if free {
                    Holder::Nobody
                } else {
                    Holder::Unknown
                }
            }
            Holder::Nobody if !self.free_is_known || self.rumour > self.known.term => {
                Holder::Unknown
            }
            Holder::Unknown if self.free_is_known && self.never_held() => Holder::Nobody,
            known => known,
        }
    }

    /// Whether nobody is known to have had the ticket, here or by what others say.
    fn never_held(&self) -> bool {
        !self.knows_of_a_loss() && self.rumour <= self.known.term
    }

    /// A grant of this automatic ticket to this site.
    pub fn client_grant(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        let now = cx.now.mono;
        if !self.site {
            self.refuse(cx, client, ResultCode::SyncFail, self.shown_leader(now));
            return;
        }
        let loading = self.phase.is_loading();
        if self.grant.is_none() {
            // A lead that has not granted yet is not in the way: `-F` ends what it waits for.
            let pending = self.lead.is_some() && !self.cib.maybe_granted();
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

    /// Gives every client that waits for the grant its last answer.
    pub fn answer_grant(&mut self, cx: &mut Cx<'_>, result: ResultCode) {
        let Some(job) = self.grant.take() else { return };
        let leader = match result {
            ResultCode::Success => self.myself(cx),
            _ => match self.shown_leader(cx.now.mono) {
                Holder::Unknown => Holder::Nobody,
                known => known,
            },
        };
        let answer = self.answer(cx, result, leader);
        for waiter in job.waiters {
            cx.reply(waiter.client, Reply::Ticket(answer.clone()), true);
        }
    }

    /// What a grant waits for now, and for how long if that is known.
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

    /// Tells clients what they wait for, when that has changed (P12).
    pub fn tell_waiters(&mut self, cx: &mut Cx<'_>) {
        if self.grant.is_none() {
            return;
        }
        // Whether the job is forced matters to what it waits for: it must still be there.
        let (cause, left) = self.grant_cause(cx);
        let Some(mut job) = self.grant.take() else { return };
        let leased = self.lease_lives(cx.now.mono);
        let objector = self.objectors(cx.now.mono).iter().next();
        let leader = match objector.filter(|_| cause == WaitCause::Objection) {
            Some(site) => Holder::Member(cx.roster.member(site).id),
            None => self.myself(cx),
        };
        let mut forced = false;
        job.waiters.retain_mut(|waiter| {
            // Nobody can say how long a site objects: who does not wait hears that it is pending.
            let objected = cause == WaitCause::Objection && leased && !waiter.patient();
            let commit = cause == WaitCause::CommitDelay || objected;
            let first = waiter.told.is_none();
            let changed = waiter.told != Some(cause);
            let due =
                first || (commit && !waiter.pending_told) || (changed && waiter.options.explain);
            if !due {
                return true;
            }
            waiter.told = Some(cause);
            waiter.pending_told |= commit;
            let code = if commit { ResultCode::CibPending } else { ResultCode::More };
            let mut answer = self.answer(cx, code, leader);
            answer.cause = Some((cause, left));
            let last = commit && !waiter.options.wait_commit;
            cx.reply(waiter.client, Reply::Ticket(answer), last);
            forced |= last && waiter.options.immediate;
            !last
        });
        job.force_stays |= forced;
        self.grant = Some(job);
    }

    /// The store cannot be read: who does not wait for the real outcome hears so.
    pub fn tell_load_failure(&mut self, cx: &mut Cx<'_>) {
        self.fail_impatient(cx);
        self.tell_waiters(cx);
    }

    /// Whether a client waits for the grant that will not wait for as long as it takes.
    pub fn somebody_is_impatient(&self) -> bool {
        self.grant.as_ref().is_some_and(|job| !job.waiters.iter().all(Waiter::patient))
    }

    /// Whether so many wait for the grant of this ticket that nobody else can join them; `-F`,
    /// which may end what they wait for, always can.
    pub fn grant_is_crowded(&self) -> bool {
        self.grant.as_ref().is_some_and(|job| job.waiters.len() >= WAITERS_MAX)
    }

    /// A revoke of this automatic ticket.
    pub fn client_revoke(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
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
                    // Without one another site may win as well: it ends with it.
                    self.revoke_wanted = true;
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
            self.stand = None;
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
        if self.grace.is_some() {
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

    /// A client waits until the store says *revoked*, or hears at once that the revoke is under
    /// way, if so many wait already.
    pub fn wait_for_revoke(&mut self, cx: &mut Cx<'_>, client: ClientId, options: ClientOptions) {
        let crowded = self.revokers.0.len() >= WAITERS_MAX;
        if crowded {
            let mut answer = self.answer(cx, ResultCode::CibPending, self.myself(cx));
            answer.cause = Some((WaitCause::CibWrite, Span::ZERO));
            cx.reply(client, Reply::Ticket(answer), true);
            return;
        }
        cx.clients.insert(client, self.index);
        let mut waiter = Waiter::new(client, options);
        if options.explain {
            waiter.told = Some(WaitCause::CibWrite);
            let mut answer = self.answer(cx, ResultCode::More, self.myself(cx));
            answer.cause = Some((WaitCause::CibWrite, Span::ZERO));
            cx.reply(client, Reply::Ticket(answer), false);
        }
        self.revokers.0.push(waiter);
    }

    /// Gives every client that waits for the revoke its last answer: another site that has got the
    /// ticket meanwhile must be asked, too. The ticket may be `lost`: then another may have it.
    pub fn answer_revoke(&mut self, cx: &mut Cx<'_>, lost: bool) {
        let waiters = core::mem::take(&mut self.revokers.0);
        // Who only could not read its store cannot have been granted beside a lease that lived.
        let objectors = self.objectors(cx.now.mono);
        let objectors = if lost { objectors } else { objectors.without(self.objections.unread) };
        let objector = objectors.iter().next();
        let objector = objector.map(|site| Holder::Member(cx.roster.member(site).id));
        // Known since the store here obeyed.
        let other = self.known.leader.member().is_some() && self.known.leader != self.myself(cx);
        let other = Some(self.known.leader).filter(|_| other && !lost && !self.is_manual());
        let answer = match objector.or(other) {
            Some(holder) => self.answer(cx, ResultCode::Redirect, holder),
            None if lost => self.answer(cx, ResultCode::SyncFail, Holder::Unknown),
            None => self.answer(cx, ResultCode::Success, Holder::Nobody),
        };
        for waiter in waiters {
            cx.reply(waiter.client, Reply::Ticket(answer.clone()), true);
        }
    }

    /// A revoke could not be written; it is tried again for good.
    pub fn tell_revoke_failure(&mut self, cx: &mut Cx<'_>) {
        let myself = self.myself(cx);
        let failed = self.answer(cx, ResultCode::SyncFail, myself);
        let mut more = self.answer(cx, ResultCode::More, myself);
        more.cause = Some((WaitCause::CibFailing, Span::ZERO));
        let mut waiters = core::mem::take(&mut self.revokers.0);
        waiters.retain_mut(|waiter| {
            if !waiter.patient() {
                cx.reply(waiter.client, Reply::Ticket(failed.clone()), true);
            } else if waiter.options.explain && waiter.told != Some(WaitCause::CibFailing) {
                waiter.told = Some(WaitCause::CibFailing);
                cx.reply(waiter.client, Reply::Ticket(more.clone()), false);
            }
            waiter.patient()
        });
        self.revokers.0 = waiters;
        self.revoke_has_failed(cx);
    }

    /// A client has closed its connection: what it asked for goes on.
    pub fn client_gone(&mut self, client: ClientId) {
        if let Some(job) = &mut self.grant {
            let left = |waiter: &&Waiter| waiter.client == client;
            job.force_stays |= job.waiters.iter().find(left).is_some_and(|w| w.options.immediate);
            job.waiters.retain(|waiter| waiter.client != client);
        }
        self.revokers.0.retain(|waiter| waiter.client != client);
        self.attrs.forget(client);
    }
}
