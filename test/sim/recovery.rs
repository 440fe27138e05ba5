// SPDX-License-Identifier: GPL-2.0-or-later
//! V4: a lost ticket is held again by itself. An administrator granted it and was told so, nobody
//! has asked for a revoke since, and a site of the healed core knows of it; then a site of the
//! core holds it within a computed time, and no administrator helps.
//!
//! What a site knows is what can be seen of it: it has the ticket in its store as granted or lost,
//! or it has acknowledged its leader in this life; in the term of the grant or a higher one.

use super::clock::{True, SECOND};
use super::excuses::Excuse;
use super::plan::Order;
use super::reference::Manner;
use super::world::World;
use booth_core::model::{TicketMode, TicketSpec};
use booth_core::time::Span;

/// The longest pause between two calls of a store's tool that fail.
const STORE_PAUSE: True = 5 * SECOND;
/// How long a handler is waited for beyond its deadline.
const HANDLER_EXTRA: True = 5 * SECOND;

/// A ticket that has to be held again.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    ticket: usize,
    /// From the healing on.
    within: True,
    /// Why it need not be held, if it is not.
    excuse: Option<Excuse>,
}

impl World {
    /// The tickets that the core has to hold again by itself, the one with the shortest time first.
    pub fn lost_tickets(&self, core: u16) -> Vec<Lost> {
        let mut lost = Vec::new();
        for ticket in 0..self.plan.tickets.len() {
            let spec = &self.plan.tickets[ticket];
            let granted = self.clients.last_done[ticket] == Some(Order::Grant);
            let judged = spec.mode == TicketMode::Automatic && self.checks.asserted(ticket);
            if !granted || !judged {
                continue;
            }
            let excuse = if self.clients.revoke_asked(ticket) {
                Some(Excuse::RevokeAsked)
            } else if self.known_in(core, ticket) {
                None
            } else {
                Some(Excuse::NobodyKnows)
            };
            lost.push(Lost { ticket, within: self.recovery_time(ticket), excuse });
        }
        lost.sort_by_key(|lost| lost.within);
        lost
    }

    /// How long after the healing a ticket is held again, at most.
    ///
    /// `RULES.md`, last section: `1.7 E + A`; a datagram that is lost or late for each of
    /// a few attempts costs `timeout`. L9: a member that starts at the healing first
    /// waits up to `g` for what its predecessor left, reads its store (`g`), and is in
    /// grace for `g + d` longer than the longest promise; the write takes up to `g`. A
    /// call of the store's tool that hangs from before the healing is ended after
    /// `timeout * (retries + 1)` and tried again after at most 5 s; a handler that hangs
    /// is ended after `E` and 5 s, and the next attempt begins after `renewal-freq`. Beside members
    /// that speak as the reference a promise lasts `timeout * (retries + 1)` longer (L4), and `A`
    /// counts from their votes (L8).
    fn recovery_time(&self, ticket: usize) -> True {
        // Of members that differ, the slowest counts, also of those that do not heal, and what a
        // member had before its `expire` was changed.
        let longest = |f: fn(&TicketSpec) -> Span| {
            (0..self.nodes.len()).map(|n| f(self.spec(n, ticket)).as_micros()).max().unwrap_or(0)
        };
        let ever = self.plan.tickets[ticket].expire.times(self.longest_expire()).as_micros();
        let expire = longest(|spec| spec.expire).max(ever);
        let attempts = 4 * longest(|spec| spec.timeout);
        let lease = expire * 17 / 10 + longest(|spec| spec.acquire_after) + attempts;
        let start = 4 * longest(TicketSpec::guard) + longest(TicketSpec::drift);
        let failing = self.plan.store.fault_ppm > 0 || self.sites.iter().any(|s| s.sick.is_some());
        let store = match failing {
            false => 0,
            true => longest(TicketSpec::patience) + STORE_PAUSE,
        };
        let handler = match self.plan.tickets[ticket].has_handler && self.plan.handler_ppm > 0 {
            true => expire + HANDLER_EXTRA + longest(|spec| spec.renewal),
            false => 0,
        };
        let beside = match self.manners.iter().all(|manner| *manner == Manner::Ours) {
            true => 0,
            false => longest(|spec| spec.acquire_after) + longest(TicketSpec::patience),
        };
        lease + start + store + handler + beside
    }

    /// Whether a site of the core knows of the last grant, or of a later holder.
    fn known_in(&self, core: u16, ticket: usize) -> bool {
        let term = self.clients.done_term[ticket];
        let knows = |n: usize| {
            let stored = self.sites[n].entries[ticket];
            let stored = stored.filter(|entry| entry.granted || entry.owner.member().is_some());
            // What the guard writes into a store that has lost the ticket, the daemon does not see.
            let seen = self.sites[n].read[ticket];
            let stored = stored.filter(|entry| seen.is_none_or(|read| read >= Some(entry.term)));
            let acked = self.checks.ghosts.acknowledged(n, ticket);
            let acked = acked.filter(|_| self.nodes[n].engine.is_some());
            stored.map(|entry| entry.term).max(acked) >= Some(term)
        };
        self.plan.sites().any(|n| (core >> n) & 1 == 1 && knows(n))
    }

    /// Waits for the lost tickets: V4. Returns how many found a holder by themselves, and how many
    /// there were.
    pub fn check_recovered(&mut self, core: u16, lost: &[Lost]) -> (u64, u64) {
        let start = self.now;
        let mut recovered = (0, 0);
        let ordered = |ticket: usize| (0..self.nodes.len()).any(|m| self.grant_wanted(m, ticket));
        let ordered: Vec<bool> = (0..self.plan.tickets.len()).map(ordered).collect();
        for Lost { ticket, within, excuse } in lost.iter().copied() {
            self.run(start + within);
            let mut asked = self.clients.asked_at[ticket];
            if ordered[ticket] {
                asked = asked.max(start + 1);
            }
            if asked > start && self.holder(ticket, core).is_none() {
                // An administrator's grant that is not done at the healing, or is ordered after
                // it, waits for `E + A` by itself (L8).
                let spec = &self.plan.tickets[ticket];
                let delay = spec.expire.plus(spec.acquire_after).as_micros();
                self.run(asked + within + delay);
            }
            if self.checks.violation().is_some() {
                return recovered;
            }
            recovered.1 += u64::from(excuse.is_none());
            match (self.holder(ticket, core), excuse) {
                (Some(_), None) => recovered.0 += 1,
                // On its way from site to site at the healing.
                (None, None)
                    if self.clients.revoke_asked(ticket)
                        || self.clients.last_done[ticket] == Some(Order::Revoke) =>
                {
                    self.excuse(Excuse::RevokeAsked);
                }
                (None, None) if self.told_revoked(ticket) => {
                    self.excuse(Excuse::ReferenceRevoked);
                }
                (None, None) if self.checks.answers.rests.between(ticket) => {
                    self.excuse(Excuse::EarlierRevoke);
                }
                (None, None) => {
                    let seconds = within / SECOND;
                    let text = format!(
                        "t{ticket} was granted and lost, and has no holder {seconds} s after the \
                         healing of {core:#b}"
                    );
                    self.fail("V4", text);
                }
                (None, Some(excuse)) => self.excuse(excuse),
                (Some(_), Some(_)) => {}
            }
        }
        recovered
    }
}
