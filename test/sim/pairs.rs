// SPDX-License-Identifier: GPL-2.0-or-later
//! The family `pair`: only two members do not hear each other, for longer than a lease. The holder
//! goes on through the others, a site that does not hear it stands every few seconds, then the
//! holder is lost, and whoever takes over owes its resources `acquire-after`.

use super::aimed::Aimed;
use super::clock::{True, MILLI, SECOND};
use super::hunt::{Hunter, HOLDER};
use super::plan::{pick, Order, Target, Trouble};
use booth_core::time::Span;

impl Hunter {
    /// A cut between two members for several leases, then the holder is lost.
    pub(super) fn pair(&mut self) {
        let after = pick(&mut self.prng, &[0, self.expire / 3, self.expire, self.expire * 3 / 2]);
        self.plan.tickets[0].acquire_after = Span::from_micros(after);
        if self.chance(70) {
            // The quiet network shows what loss hides.
            (self.plan.net.fault_ppm, self.plan.store.fault_ppm) = (0, 0);
        }
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            let cut = at + self.between(SECOND, self.expire);
            let length = self.between(self.expire * 5 / 4, self.expire * 4);
            let (one, other) = if self.chance(60) {
                self.cut_pair_of_holder(cut, length)
            } else {
                self.cut_any_pair(cut, length)
            };
            if self.chance(20) {
                self.cut_any_pair(cut, length);
            }
            let lost = cut + length - self.between(0, self.expire / 2);
            if self.chance(40) {
                self.restart_another(lost, one, other);
            }
            self.lose_holder(lost);
            if self.chance(30) {
                self.ask_others(lost, self.expire);
            }
            at = lost + after + self.between(self.expire, self.expire * 2);
        }
    }

    /// The link between the holder and one of the others fails.
    fn cut_pair_of_holder(&mut self, at: True, length: True) -> (Target, Target) {
        let other = self.prng.below(self.plan.members() as u64);
        let (out, into) = self.ways();
        let peers = 1 << other;
        self.add(at, HOLDER, Trouble::Cut { length, out, into, peers });
        (HOLDER, member(other))
    }

    /// Any link fails.
    fn cut_any_pair(&mut self, at: True, length: True) -> (Target, Target) {
        let members = self.plan.members() as u64;
        let one = self.prng.below(members);
        let other = (one + 1 + self.prng.below(members - 1)) % members;
        let (out, into) = self.ways();
        self.add(at, member(one), Trouble::Cut { length, out, into, peers: 1 << other });
        (member(one), member(other))
    }

    fn ways(&mut self) -> (bool, bool) {
        pick(&mut self.prng, &[(true, true), (true, true), (true, false), (false, true)])
    }

    /// A member that links the two forgets what it has promised, before the holder is lost.
    fn restart_another(&mut self, at: True, one: Target, other: Target) {
        let who = self.anyone();
        if who != one && who != other {
            let (early, down) = (self.between(0, self.expire), self.spread(MILLI, SECOND / 2));
            self.crash(at.saturating_sub(early), who, down);
        }
    }

    /// The holder is cut off from everybody, or its boothd ends or is stopped.
    fn lose_holder(&mut self, at: True) {
        let length = self.between(self.expire * 3 / 2, self.expire * 3);
        match self.prng.below(8) {
            0..=2 => {
                let (out, into) = self.ways();
                self.add(at, HOLDER, Trouble::Cut { length, out, into, peers: u16::MAX });
            }
            3 | 4 => self.add(at, HOLDER, Trouble::Pause { length }),
            5 => self.crash(at, HOLDER, length),
            6 => self.ask(at, HOLDER, Order::Revoke),
            _ => {
                let turn = self.turn();
                self.aim(at, Aimed::CrashOther { turn, down: length });
            }
        }
    }
}

fn member(m: u64) -> Target {
    Target::Member(u8::try_from(m).unwrap_or(0))
}
