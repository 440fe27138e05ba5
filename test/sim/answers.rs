// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether what clients are told is true.
//!
//! - `C1`: a success that is none. *Granted*: the store of that site said so at some time since
//!   the order. *Revoked*, or *not granted*: the store of that site does not say granted, and none
//!   of another site does either, if this one lost the ticket, last heard that another has it, or
//!   has heard nothing of it in its life, and not every other site has said that it does not lead.
//! - `C2`: a failure that happens after all. No site commits an attempt that an administrator
//!   ordered when each order for it there was answered with a failure; a grant of a ticket that
//!   nobody had, which failed, makes nobody acquire it by a step-down; and no site acquires by
//!   itself what nobody has, after it has heard of its revoke and of nothing since.
//! - `C3`: an answer that does not come, at a member that runs, to a client that does not wait
//!   for the outcome however long it takes. (Who does: V2.)

use super::account::{Account, Knows, Rests, FAILED_KEPT};
use super::clients::Connection;
use super::clock::{True, SECOND};
use super::excuses::Excuse;
use super::plan::Order;
use super::world::World;
use booth_core::model::{Holder, MemberId, Term};
use booth_core::wire::{Command, PeerBody, PeerMessage, Reason, ResultCode};

/// The account of all answers.
#[derive(Debug)]
pub struct Answers {
    members: usize,
    accounts: Vec<Account>,
    /// Per ticket, whether somebody has it as far as any administrator can tell.
    owned: Vec<bool>,
    /// Revokes in terms of the announcer's own.
    pub rests: Rests,
}

impl Answers {
    /// Nothing has been asked.
    pub fn new(tickets: usize, members: usize) -> Answers {
        let accounts = vec![Account::default(); tickets * members];
        let (owned, rests) = (vec![false; tickets], Rests::new(tickets));
        Answers { members, accounts, owned, rests }
    }

    /// Its store says at the start who has, or had, the ticket.
    pub fn reads(&mut self, n: usize, ticket: usize, term: Term) {
        self.of(n, ticket).stored = term;
    }

    fn of(&mut self, n: usize, ticket: usize) -> &mut Account {
        &mut self.accounts[ticket * self.members + n]
    }

    /// The ticket belongs to somebody, whatever administrators were told.
    pub fn own(&mut self, ticket: usize) {
        self.owned[ticket] = true;
    }

    /// A process starts with an empty memory.
    pub fn forget(&mut self, n: usize) {
        for ticket in 0..self.owned.len() {
            let account = self.of(n, ticket);
            let (revoked_at, misled_at) = (account.revoked_at, account.misled_at);
            *account = Account { revoked_at, misled_at, ..Account::default() };
        }
    }

    /// A member hears something of a ticket.
    pub fn hears(&mut self, n: usize, from: usize, t: usize, m: &PeerMessage, ids: &[MemberId]) {
        let account = self.of(n, t);
        account.hears_of(from, m, ids[from]);
        if let PeerBody::Vote { last: Some(last), .. } = m.body {
            account.told(last);
            return;
        }
        if m.term < account.heard {
            return;
        }
        let leader = m.leader.member();
        let other = leader.is_some_and(|id| id != ids[n]);
        let refusal = PeerBody::Rejected {
            of: Command::ReqVote,
            result: ResultCode::TermStillValid,
            granted: false,
        };
        account.unsure |= other && m.body == refusal;
        if other && m.body == refusal && !m.valid_for.is_zero() {
            account.refused_for = account.refused_for.max(Some(m.term));
        }
        // What was sent before the end of a term may come after it.
        let old = account.ended >= Some(m.term);
        account.knows = match m.body {
            PeerBody::Heartbeat { .. } | PeerBody::Update { .. } if old => return,
            PeerBody::MyIndex { .. } if old && other => return,
            PeerBody::MyIndex { .. } if leader.is_some() && !other => Knows::Own,
            PeerBody::Heartbeat { .. } | PeerBody::Update { .. } => {
                account.stepped = None;
                Knows::Held
            }
            PeerBody::Revoke { .. } => {
                account.ended = Some(m.term);
                Knows::Free
            }
            PeerBody::StepDown { .. } => {
                account.stepped = Some((from, m.term));
                Knows::Free
            }
            PeerBody::MyIndex { nonce } if leader.is_none() => {
                // In term 0 a member says so that knows nothing; without a nonce it may not know.
                if nonce != 0 && m.term > Term::ZERO {
                    account.ended = Some(m.term);
                }
                Knows::Free
            }
            // A vote is refused because the ticket was revoked meanwhile.
            PeerBody::Rejected { result: ResultCode::YouOutdated, .. } if leader.is_none() => {
                account.ended = Some(m.term);
                Knows::Free
            }
            PeerBody::MyIndex { .. } if other => Knows::Held,
            PeerBody::Status { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::ReqVote { .. }
            | PeerBody::Vote { .. }
            | PeerBody::Ack { .. }
            | PeerBody::Rejected { .. } => return,
        };
        account.heard = m.term;
    }

    /// When a member stood for election last, in this life.
    pub fn stood_at(&self, n: usize, ticket: usize) -> Option<True> {
        self.accounts[ticket * self.members + n].stood_at
    }

    /// A member leads, or announces that the ticket is free: so it is as far as it knows.
    pub fn says(&mut self, n: usize, ticket: usize, message: &PeerMessage) {
        let (account, term) = (self.of(n, ticket), message.term);
        match message.body {
            PeerBody::Heartbeat { stamp } => {
                account.led = Some(term);
                account.leased = account.leased.max(stamp.established.then_some(term));
            }
            PeerBody::Revoke { .. } => {
                // Unless it was granted in the term that it ends.
                let heard = account.ended.filter(|_| account.stored < term);
                if term >= account.heard {
                    (account.knows, account.heard) = (Knows::Free, term);
                }
                self.rests.announced(ticket, heard, term);
            }
            _ => {}
        }
    }

    /// A member stands for election.
    pub fn stands(&mut self, now: True, n: usize, ticket: usize, term: Term, reason: Reason) {
        let account = self.of(n, ticket);
        if account.attempt.is_none_or(|(last, _)| last != term) {
            account.attempt = Some((term, reason));
            // It held in that term, also if its store was not written before it gave up (L3).
            account.stored = account.stored.max(account.leased.unwrap_or_default());
            // A leader that stands again has asked nobody whether it may lead.
            if reason != Reason::Reacquire {
                account.stood_at = Some(now);
                account.stood_after = account.stepped;
            }
            account.unsure = account.knows != Knows::Free;
        }
    }
}

impl World {
    /// Whether an administrator is behind a grant that a member wishes now.
    pub fn grant_ordered(&self, n: usize, ticket: usize) -> bool {
        let account = &self.checks.answers.accounts[ticket * self.nodes.len() + n];
        let stood = account.attempt.is_some_and(|(_, reason)| reason == Reason::Admin);
        stood || self.grant_wanted(n, ticket)
    }

    /// An order for a grant of a ticket that may still be carried out at a member.
    pub fn grant_wanted(&self, n: usize, ticket: usize) -> bool {
        let asks = |c: &Connection| {
            let grants = matches!(c.order, Some(Order::Grant | Order::Force));
            c.node == n && c.ticket == ticket && grants
        };
        self.checks.answers.accounts[ticket * self.nodes.len() + n].going
            || self.clients.open.iter().any(asks)
    }

    /// A client leaves, or loses its connection, before the last answer.
    pub fn answer_missed(&mut self, connection: &Connection, died: bool) {
        if matches!(connection.order, Some(Order::Grant | Order::Force)) {
            // Nobody can say how it ended.
            self.checks.answers.own(connection.ticket);
            self.checks.answers.of(connection.node, connection.ticket).going = !died;
        }
    }

    /// A call of the store's tool says *done* to a grant and does nothing.
    pub fn store_misleads(&mut self, n: usize, ticket: usize) {
        let now = self.now;
        self.checks.answers.of(n, ticket).misled_at = Some(now);
    }

    /// A later revoke has taken effect before a grant: the store said *granted* right before it.
    pub fn grant_overtaken(&mut self, n: usize, ticket: usize) {
        if !self.sites[n].granted(ticket) {
            self.checks.answers.of(n, ticket).revoked_at = self.now;
        }
    }

    /// A store went from granted to revoked, or back.
    pub fn answers_store(&mut self, n: usize, ticket: usize, granted: bool) {
        let now = self.now;
        let revoking =
            |c: &Connection| c.node == n && c.ticket == ticket && c.order == Some(Order::Revoke);
        let ordered = self.clients.open.iter().any(revoking);
        // A first grant of a free ticket that failed leaves it free (L10), and the store says so.
        let (owner, term) = self.sites[n].entries[ticket].map(|e| (e.owner, e.term)).unzip();
        let free = ordered || owner == Some(Holder::Nobody);
        let account = self.checks.answers.of(n, ticket);
        if granted {
            self.sites[n].granted_at[ticket] = now;
            account.misled_at = None;
            self.checks.answers.rests.granted(ticket, term.unwrap_or_default());
        } else {
            account.revoked_at = now;
            // It may have heard of a revoke in a later term than its store still had.
            let later = account.knows == Knows::Free && account.ended > term;
            account.knows = if free || later { Knows::Free } else { Knows::Lost };
        }
    }

    /// C1, C2: an order is answered.
    pub fn check_answer(&mut self, c: &Connection, result: ResultCode, last: bool) {
        let (Some(order), false) = (c.order, self.faithful(c.node)) else { return };
        let success = matches!(result, ResultCode::Success | ResultCode::SyncSuccess);
        match order {
            Order::Grant | Order::Force if success => self.check_granted(c),
            Order::Grant | Order::Force if last => self.grant_refused(c, result),
            Order::Revoke if success || result == ResultCode::TicketIdle => {
                self.check_revoked(c, success);
            }
            Order::Grant | Order::Force | Order::Revoke => {}
        }
    }

    fn check_granted(&mut self, c: &Connection) {
        self.checks.answers.own(c.ticket);
        let granted = self.sites[c.node].granted(c.ticket);
        let spec = self.spec(c.node, c.ticket).clone();
        // A manual ticket is not written again.
        let manual = !self.checks.automatic(c.ticket);
        let queues = self.plan.worlds.queues;
        let lag = 2 * (queues.usual + queues.slow_max);
        let account = self.checks.answers.of(c.node, c.ticket);
        (account.going, account.attempt) = (false, None);
        if granted || account.revoked_at >= c.since {
            return;
        }
        // What was written before the order may be reported after it.
        let call = spec.guard().plus(spec.patience()).as_micros() + lag;
        let misled = |at: True| at >= account.revoked_at && (manual || at + call >= c.since);
        if account.misled_at.is_some_and(misled) {
            self.excuse(Excuse::StoreMisled);
            return;
        }
        let text = format!("m{} says that t{} is granted, its store does not", c.node, c.ticket);
        self.fail_of(c.ticket, "C1", text);
    }

    fn grant_refused(&mut self, c: &Connection, result: ResultCode) {
        let others = self.grant_wanted(c.node, c.ticket);
        let account = self.checks.answers.of(c.node, c.ticket);
        match result {
            ResultCode::CibPending | ResultCode::ProbableSuccess => {
                account.going = true;
                self.checks.answers.own(c.ticket);
            }
            // Another still waits for the same grant.
            _ if others => {}
            _ => {
                let ordered = account.attempt.filter(|(_, reason)| *reason == Reason::Admin);
                if let Some((term, _)) = ordered {
                    if account.unsure {
                        account.failed_unsure = Some(term);
                    }
                    account.failed.truncate(FAILED_KEPT - 1);
                    account.failed.insert(0, term);
                }
            }
        }
    }

    /// A member says that a ticket is not granted, or free.
    pub fn check_said_free(&mut self, n: usize, ticket: usize, code: &'static str) {
        if self.sites[n].granted(ticket) {
            let text = format!("m{n} says that t{ticket} is not granted, its own store does");
            self.fail_of(ticket, code, text);
        }
        let others = self.site_set() & !(1 << n);
        let Account { knows, idle, .. } = *self.checks.answers.of(n, ticket);
        let free = knows.of_none() || others & !idle == 0;
        let granted = |m: &usize| *m != n && self.sites[*m].granted(ticket);
        let (left, held): (Vec<usize>, Vec<usize>) =
            (0..self.nodes.len()).filter(granted).partition(|m| self.left_alone(*m, ticket));
        if !left.is_empty() && held.is_empty() {
            self.excuse(Excuse::DeadMachine);
        }
        let other = held.first().copied();
        // A process that was stopped in the middle of the step says it later than it meant to.
        let at_once = self.decided == self.now;
        if let (Some(other), true) = (other, at_once && self.checks.automatic(ticket)) {
            if !free && !self.faithful_among() {
                let text = format!(
                    "m{n} says that t{ticket} is not granted, m{other}'s store does; what m{n} \
                     can know of it: {knows:?}"
                );
                self.fail_of(ticket, code, text);
            }
        }
    }

    fn check_revoked(&mut self, c: &Connection, success: bool) {
        let (n, ticket) = (c.node, c.ticket);
        self.check_said_free(n, ticket, "C1");
        if success {
            let account = self.checks.answers.of(n, ticket);
            (account.going, account.knows) = (false, Knows::Free);
            account.heard = account.heard.max(account.led.unwrap_or_default());
            account.ended = Some(account.heard);
            let wanted = (0..self.nodes.len()).any(|m| self.grant_wanted(m, ticket));
            self.checks.answers.owned[ticket] = wanted;
        }
    }

    /// C2: an engine wishes a grant, or a revoke.
    pub fn check_commit(&mut self, n: usize, ticket: usize, granted: bool) {
        if !self.checks.automatic(ticket) || self.faithful_among() {
            return;
        }
        if !granted {
            self.checks.answers.of(n, ticket).committed = false;
            return;
        }
        let stored = self.sites[n].granted(ticket);
        let wanted = self.grant_wanted(n, ticket);
        let account = self.checks.answers.of(n, ticket);
        let Account { attempt, led, heard, stood_after, knows, ended, refused_for, .. } = *account;
        // A revoke is the last that it has heard of the ticket.
        let known = heard.max(account.stored);
        let last = |term: &Term| *term >= known && Some(*term) >= refused_for;
        let told = ended.filter(|term| knows == Knows::Free && last(term));
        let own = led.filter(|term| account.failed.contains(term) && *term >= heard);
        if std::mem::replace(&mut account.committed, true) || stored {
            return;
        }
        let Some((term, reason)) = attempt else { return };
        if reason == Reason::Admin {
            if !wanted {
                let text = format!(
                    "m{n} grants t{ticket} in term {term} for an administrator; every order for \
                     it there was answered with a failure"
                );
                self.fail_of(ticket, "C2", text);
            }
            return;
        }
        // Nor is that of an earlier term than one in which it held.
        account.stored = account.stored.max(term);
        let anywhere = (0..self.nodes.len()).any(|m| self.grant_wanted(m, ticket));
        if self.checks.answers.owned[ticket] || anywhere {
            return;
        }
        // What was held since, it has not got by a step-down from before. Nor has it what it stood
        // for when the holder had not stepped down yet: that ticket looked lost.
        let led_to = stood_after
            .filter(|(_, term)| *term >= known)
            .filter(|(from, term)| self.checks.answers.of(*from, ticket).failed.contains(term));
        if own.is_none() && led_to.is_none() && told.is_none() {
            // Not by a failed grant.
            self.checks.answers.own(ticket);
            return;
        }
        let unsure = |m: usize, term: Term| {
            let account = &self.checks.answers.accounts[ticket * self.nodes.len() + m];
            account.failed_unsure == Some(term)
        };
        let known = told.is_some()
            || own.is_some_and(|term| !unsure(n, term))
            || led_to.is_some_and(|(from, term)| !unsure(from, term));
        if !known {
            self.checks.answers.own(ticket);
            self.excuse(Excuse::FreeUnknown);
            return;
        }
        let text = format!(
            "m{n} acquires t{ticket} by itself ({reason:?}), which nobody had: a grant failed here \
             in {own:?}, or at a site that stepped down: {led_to:?}; a revoke that it has heard, \
             and nothing since: {told:?}"
        );
        self.fail_of(ticket, "C2", text);
    }

    /// C3: clients that do not wait for the outcome have an answer in time, at members that run.
    pub fn check_waiting(&mut self) {
        let now = self.now;
        // Grace lasts as long as the longest lease that a member may have been promised to.
        let longest = |f: fn(&booth_core::model::TicketSpec) -> booth_core::time::Span| {
            let tickets = 0..self.plan.tickets.len();
            let all = tickets.flat_map(|t| (0..self.nodes.len()).map(move |m| (m, t)));
            all.map(|(m, t)| f(self.spec(m, t)).as_micros()).max().unwrap_or(SECOND)
        };
        // Grace, a handler, attempts until patience ends, a write until patience ends.
        let most = 3 * longest(|spec| spec.expire) + 6 * longest(|spec| spec.patience()) + SECOND;
        let late = self.clients.open.iter().find(|c| {
            let node = &self.nodes[c.node];
            let since = c.since.max(node.resumed_at);
            !c.patient && !c.left && node.runs() && since + most < now
        });
        if let Some(late) = late.copied() {
            if !self.faithful(late.node) {
                self.fail("C3", format!("a client has no answer in time: {late:?}"));
            }
        }
    }
}
