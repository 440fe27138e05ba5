// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients are told while what they asked for takes time, and in the end (P11).

use super::cx::Cx;
use super::event::ClientId;
use super::report::Reply;
use super::state::{Wait, Waiter, WAITERS_MAX};
use super::ticket::{Kind, Ticket};
use crate::model::Holder;
use crate::time::Span;
use crate::wire::{ClientOptions, ResultCode, TicketAnswer, WaitCause};

impl<K: Kind> Ticket<K> {
    /// An answer about this ticket.
    pub fn answer(&self, cx: &Cx<'_>, result: ResultCode, leader: Holder) -> TicketAnswer {
        let until = K::shown_until(self);
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

    /// Gives every client that waits for the grant its last answer.
    pub fn answer_grant(&mut self, cx: &mut Cx<'_>, result: ResultCode) {
        let Some(job) = self.grant.take() else { return };
        let leader = match result {
            ResultCode::Success => self.myself(cx),
            _ => match K::shown_leader(self, cx.now.mono) {
                Holder::Unknown => Holder::Nobody,
                known => known,
            },
        };
        let answer = self.answer(cx, result, leader);
        for waiter in job.waiters {
            cx.reply(waiter.client, Reply::Ticket(answer.clone()), true);
        }
    }

    /// Tells clients what they wait for, when that has changed (P12).
    pub fn tell_waiters(&mut self, cx: &mut Cx<'_>) {
        if self.grant.is_none() {
            return;
        }
        // Whether the job is forced matters to what it waits for: it must still be there.
        let Wait { cause, left, objector, leased } = K::waits_for(self, cx);
        let Some(mut job) = self.grant.take() else { return };
        let leader = match objector {
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

    /// The store cannot be read or written: a client of a grant that does not wait for the real
    /// outcome hears so.
    pub fn tell_store_failure(&mut self, cx: &mut Cx<'_>) {
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
        let answer = match K::held_elsewhere(self, cx, lost) {
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
        K::revoke_has_failed(self, cx);
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

    /// Ends the waiting of clients that do not wait for the outcome however long it takes. When
    /// nobody waits any more after that, the grant has failed and is over: it has no effect later.
    pub fn fail_impatient(&mut self, cx: &mut Cx<'_>) {
        if !self.somebody_is_impatient() {
            return;
        }
        let Some(mut job) = self.grant.take() else { return };
        let answer = self.answer(cx, ResultCode::SyncFail, Holder::Nobody);
        job.waiters.retain(|waiter| {
            if !waiter.patient() {
                cx.reply(waiter.client, Reply::Ticket(answer.clone()), true);
            }
            waiter.patient()
        });
        // What a request wanted that has failed has no effect on those that go on.
        job.force = job.force_stays || job.waiters.iter().any(|waiter| waiter.options.immediate);
        if !job.waiters.is_empty() {
            self.grant = Some(job);
        }
    }
}
