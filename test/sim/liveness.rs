// SPDX-License-Identifier: GPL-2.0-or-later
//! Phase two: a random majority with a site in it is healed, the others stay broken, and within
//! computed times lost tickets must have a holder by themselves (V4, `recovery.rs`), all others
//! when an administrator asks (V1); no client waits (V2), there are no more messages than renewals
//! need (V3), and the holder stays.

use super::choice::mix;
use super::clock::{True, SECOND};
use super::excuses::Excuse;
use super::plan::Order;
use super::world::{Happening, World};
use booth_core::model::TicketMode;

/// An administrator asks again this often.
const ASK_AGAIN: True = 5 * SECOND;

impl World {
    /// Heals, waits and looks. Returns how many lost tickets found a holder by themselves, and
    /// how many there were.
    pub fn phase_two(&mut self) -> (u64, u64) {
        let core = self.choose_core();
        // Before the times are computed: what a member lacked until now counts, too.
        self.complete_configs();
        let lost = self.lost_tickets(core);
        self.heal(core);
        self.merge_configs();
        self.reference_heal(core);
        let longest = |f: fn(&booth_core::model::TicketSpec) -> True, w: &World| {
            w.plan.tickets.iter().map(f).max().unwrap_or(SECOND)
        };
        let expire = longest(|spec| spec.expire.as_micros(), self);
        let after = longest(|spec| spec.acquire_after.as_micros(), self);
        let patience = longest(|spec| spec.patience().as_micros(), self);
        let recovered = self.check_recovered(core, &lost);
        // What nobody in the core knows of must be granted by an administrator: grace, commit
        // delay (both at most E and a little), an election, a write.
        let bound = self.now + expire * 23 / 10 + 2 * after + 4 * patience + 4 * ASK_AGAIN;
        self.ask_until_held(core, bound);
        if self.checks.violation().is_some() {
            return recovered;
        }
        self.check_clients(core);
        self.check_quiet(core, expire);
        recovered
    }

    fn choose_core(&mut self) -> u16 {
        let members = self.nodes.len();
        let everyone = self.everyone();
        let mut roll = mix(self.plan.seed ^ 0x636F_7265);
        for _ in 0..64 {
            roll = mix(roll);
            let core = u16::try_from(roll & u64::from(everyone)).unwrap_or(everyone);
            let site = (0..members).any(|m| (core >> m) & 1 == 1 && self.nodes[m].site);
            if site && usize::try_from(core.count_ones()).unwrap_or(0) > members / 2 {
                return core;
            }
        }
        everyone
    }

    /// Ends all faults between the members of `core`; the others stay broken.
    pub fn heal(&mut self, core: u16) {
        self.trace(|w| format!("phase two: the members {core:#b} of {} heal", w.nodes.len()));
        self.check_waiting();
        self.healed = core;
        self.cure();
        self.calm_loops();
        // A round trip fits into a timeout, or nobody could ever be elected.
        let timeout = self.plan.tickets.iter().map(|spec| spec.timeout.as_micros()).min();
        let delay = timeout.unwrap_or(SECOND) / 5;
        self.plan.net.delay_min = self.plan.net.delay_min.min(delay);
        self.plan.net.delay_max = self.plan.net.delay_max.min(delay);
        self.plan.net.far = 0;
        self.net.heal(core, self.now);
        let members = self.nodes.len();
        for m in 0..members {
            let inside = (core >> m) & 1 == 1;
            let (now, paused) = (self.now, self.nodes[m].paused);
            if inside {
                // With keys, members whose clocks are too far apart do not hear each other.
                if self.nodes[m].engine.is_some() {
                    self.set_right(m);
                } else {
                    // Not while boothd is down: condition 3 of the promise.
                    self.wall_wrong |= 1 << m;
                }
                if let Some(stop) = paused {
                    self.future.plan(now, Happening::Resume { node: m, stop });
                }
                self.future.plan(now, Happening::Boot { node: m });
                continue;
            }
            // Half of the others are gone for good, half are cut off and go on alone.
            if mix(self.plan.seed ^ m as u64) & 1 == 0 {
                self.nodes[m].gone = true;
                self.nodes[m].jumped_at = 0;
                if mix(self.plan.seed ^ m as u64) & 6 == 0 {
                    self.machine_dies(m, u64::MAX, false);
                } else {
                    self.crash(m, u64::MAX, false, false);
                }
            }
            for other in 0..members {
                self.net.link(m, other).cut_until = u64::MAX;
                self.net.link(other, m).cut_until = u64::MAX;
            }
        }
    }

    /// Makes the wall clocks of a member's machines show the right time.
    pub fn set_right(&mut self, m: usize) {
        let now = self.now;
        self.nodes[m].jumped_at = now;
        for clock in &mut self.nodes[m].clocks {
            clock.set_right(now);
        }
    }

    fn automatic(&self) -> Vec<usize> {
        let auto = |t: &usize| self.plan.tickets[*t].mode == TicketMode::Automatic;
        (0..self.plan.tickets.len()).filter(auto).collect()
    }

    /// The member of the core in whose store a ticket is granted.
    pub fn holder(&self, ticket: usize, core: u16) -> Option<usize> {
        (0..self.nodes.len()).find(|m| (core >> m) & 1 == 1 && self.sites[*m].granted(ticket))
    }

    /// V1: what has no holder in the core is granted by an administrator, before `bound`.
    pub fn ask_until_held(&mut self, core: u16, bound: True) {
        let members = self.nodes.len();
        let site = (0..members).find(|m| (core >> m) & 1 == 1 && self.nodes[*m].site).unwrap_or(0);
        loop {
            let free: Vec<usize> =
                self.automatic().into_iter().filter(|t| self.holder(*t, core).is_none()).collect();
            if free.is_empty() || self.checks.violation().is_some() {
                return;
            }
            if self.now >= bound {
                let text = format!("the tickets {free:?} have no holder in time");
                self.fail("V1", text);
                return;
            }
            for ticket in free {
                let asked = |c: &super::clients::Connection| {
                    c.ticket == ticket && c.node == site && c.order.is_some() && !c.left
                };
                if !self.clients.open.iter().any(asked) {
                    self.order(site, ticket, Order::Grant, 0);
                }
            }
            self.run(self.now + ASK_AGAIN);
        }
    }

    /// V2: nobody waits for ever at a healed member.
    fn check_clients(&mut self, core: u16) {
        let expire = self.plan.expire_max();
        let most = expire * 3 + 60 * SECOND;
        self.run(self.now + most);
        let late = self
            .clients
            .open
            .iter()
            .find(|c| (core >> c.node) & 1 == 1 && !c.left && c.since + most < self.now)
            .filter(|c| !self.faithful(c.node))
            .copied();
        if let Some(connection) = late {
            if connection.patient && self.checks.blame.unlive_excused {
                // It waits for somebody to hold, which nobody promises.
                self.excuse(Excuse::ReferenceHealed);
                return;
            }
            self.fail("V2", format!("a client waits for ever: {connection:?}"));
        }
    }

    /// V3, and the holder stays.
    fn check_quiet(&mut self, core: u16, expire: True) {
        let window = expire * 4;
        let holders: Vec<Option<usize>> =
            (0..self.plan.tickets.len()).map(|t| self.holder(t, core)).collect();
        let (losses, sent) = (self.lost_by_core(core), self.sent_by_core(core));
        self.run(self.now + window);
        if self.checks.violation().is_some() {
            return;
        }
        for ticket in self.automatic() {
            if self.holder(ticket, core) != holders[ticket] {
                self.fail("V1", format!("the healthy holder of t{ticket} changed"));
            }
        }
        if self.lost_by_core(core) != losses {
            self.fail("V1", "a healthy holder lost its ticket for a while".into());
        }
        let peers = u64::from(core.count_ones()) - 1;
        let others = self.nodes.len() as u64 - 1 - peers;
        let mut most = 40;
        for spec in &self.plan.tickets {
            let renewals = window / spec.renewal.as_micros() + 2;
            most += renewals * (peers * 3 + others * (u64::from(spec.retries) + 2));
            most += (window / (60 * SECOND) + 2) * 4 * self.nodes.len() as u64;
        }
        let sent = self.sent_by_core(core) - sent;
        if sent > most {
            self.fail("V3", format!("{sent} messages in four leases of quiet, at most {most}"));
        }
    }

    /// How often a store of the core was revoked; what is left outside may revoke at any time.
    fn lost_by_core(&self, core: u16) -> u64 {
        let inside = (0..self.nodes.len()).filter(|m| (core >> m) & 1 == 1);
        inside.map(|m| self.checks.losses_at[m]).sum()
    }

    fn sent_by_core(&self, core: u16) -> u64 {
        (0..self.nodes.len()).filter(|m| (core >> m) & 1 == 1).map(|m| self.net.sent_by[m]).sum()
    }
}
