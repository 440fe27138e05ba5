// SPDX-License-Identifier: GPL-2.0-or-later
//! The dangers of the aimed plans: what each family does to its small cluster, over and over.

use super::aimed::{Aimed, MY_INDEX, REVOKE, STEP_DOWN};
use super::clock::{True, MILLI, SECOND};
use super::hunt::{Hunter, HOLDER};
use super::plan::{pick, Order, Trouble};
use booth_core::time::Span;

impl Hunter {
    /// The holder reaches only a bare majority; then something happens to one of it.
    pub(super) fn bare(&mut self) {
        let first = self.site();
        self.ask(SECOND / 4, first, Order::Grant);
        let mut at = SECOND + self.between(0, self.expire / 2);
        while at < self.plan.chaos {
            let length = self.between(self.expire, self.expire * 3);
            self.cut_to_bare(at, length);
            let hit = at + self.between(self.expire * 6 / 10, length);
            let turn = self.turn();
            match self.prng.below(10) {
                0..=4 => {
                    let down = self.spread(MILLI, SECOND / 5);
                    self.aim(hit, Aimed::CrashOther { turn, down });
                    if self.chance(50) {
                        self.deafen(hit);
                    }
                }
                5 => {
                    let length = self.spread(10 * MILLI, self.expire * 2);
                    self.aim(hit, Aimed::PauseOther { turn, length });
                }
                6 => self.ask(hit, HOLDER, Order::Revoke),
                7 => self.crash(hit, HOLDER, 20 * MILLI),
                8 => {
                    let length = self.spread(self.timeout, self.expire * 2);
                    let everyone = (true, true, u16::MAX);
                    let (out, into, peers) = everyone;
                    self.add(hit, HOLDER, Trouble::Cut { length, out, into, peers });
                }
                _ => {}
            }
            if self.chance(60) {
                self.ask_others(hit, self.expire / 2);
            }
            if self.chance(60) {
                self.stale(hit, self.expire / 2);
            }
            at += length + self.between(0, self.expire);
        }
    }

    /// What the holder says is lost, and old answers take its place.
    fn deafen(&mut self, at: True) {
        let length = self.between(self.expire / 2, self.expire);
        let (out, into, peers) = (true, false, u16::MAX);
        self.add(at, HOLDER, Trouble::Cut { length, out, into, peers });
        for turn in 0..u8::try_from(self.plan.members()).unwrap_or(3) {
            let (count, within) = (4, self.expire / 2);
            self.aim(at + SECOND / 5, Aimed::Stale { turn, kind: MY_INDEX, count, within });
        }
    }

    /// A second site is asked while the first one wins, and what the first one then says is lost
    /// for a while.
    pub(super) fn duel(&mut self) {
        self.plan.net.fault_ppm = pick(&mut self.prng, &[0, 0, 50_000, 200_000]);
        self.timeout = self.expire / 40;
        self.plan.tickets[0].timeout = Span::from_micros(self.timeout);
        let trip = self.plan.net.delay_max;
        let mut at = SECOND / 10;
        while at < self.plan.chaos {
            self.ask(at, HOLDER, Order::Revoke);
            at += self.between(trip * 4, trip * 6 + SECOND);
            let (first, second) = self.rivals();
            self.ask(at, first, Order::Grant);
            let cut = at + self.between(trip / 2, trip * 4);
            let length = self.between(self.timeout / 2, self.timeout * 5);
            let peers = if self.chance(60) {
                u16::MAX
            } else {
                u16::try_from(self.prng.below(1 << self.plan.members())).unwrap_or(0)
            };
            self.add(cut, first, Trouble::Cut { length, out: true, into: false, peers });
            if self.chance(60) {
                let length = self.between(self.timeout * 3, self.timeout * 10);
                let peers = 1 << self.prng.below(self.plan.members() as u64);
                self.add(cut, first, Trouble::Cut { length, out: true, into: false, peers });
            }
            for _ in 0..2 {
                let later = at + self.between(trip, self.timeout * 4);
                self.ask(later, second, Order::Grant);
            }
            if self.chance(50) {
                let soon = at + self.between(trip * 2, self.timeout * 6);
                let who = self.anyone();
                let down = self.spread(MILLI, 50 * MILLI);
                self.crash(soon, who, down);
            }
            if self.chance(15) {
                self.stale(at, self.timeout * 4);
            }
            at += self.between(self.timeout * 6, self.timeout * 10);
        }
    }

    /// All start again at once, again and again.
    pub(super) fn reboot(&mut self) {
        self.plan.store.fault_ppm = pick(&mut self.prng, &[0, 200_000, 500_000]);
        self.plan.store.weights = [2, 2, 2, 0];
        self.plan.net.fault_ppm = pick(&mut self.prng, &[0, 200_000, 500_000]);
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            let hit = at + self.between(SECOND / 2, self.expire);
            if self.chance(50) {
                let length = self.spread(self.timeout, self.expire * 2);
                self.cut_to_bare(hit.saturating_sub(self.timeout), length);
            }
            let within = self.spread(5 * MILLI, SECOND);
            self.aim(hit, Aimed::Everyone { within });
            self.ask_others(hit + within, self.expire * 8 / 10);
            if self.chance(60) {
                self.stale(hit + within, self.expire / 4);
            }
            at = hit + self.between(self.expire / 2, self.expire * 2);
        }
    }

    /// The holder gives up while its store fails.
    pub(super) fn quit(&mut self) {
        self.plan.store.fault_ppm = pick(&mut self.prng, &[300_000, 800_000]);
        self.plan.store.weights = [2, 6, 1, 1];
        self.plan.store.usual_permille = pick(&mut self.prng, &[300, 950, 950]);
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            for again in 0..4 {
                let site = self.site();
                self.ask(at + again * SECOND, site, Order::Grant);
            }
            let cut = at + self.between(0, self.expire / 2);
            let length = self.between(self.expire, self.expire * 2);
            self.cut_to_bare(cut, length);
            let hit = cut + length + self.between(0, self.timeout) - self.timeout / 2;
            match self.prng.below(4) {
                0 | 1 => self.ask(hit, HOLDER, Order::Revoke),
                2 => {
                    let length = self.expire;
                    let (out, into, peers) = (true, true, u16::MAX);
                    self.add(cut, HOLDER, Trouble::Cut { length, out, into, peers });
                }
                _ => {}
            }
            self.ask_others(hit, self.expire / 2);
            at = hit + self.between(self.expire / 2, self.expire);
        }
    }

    /// Terms are won, given up and forgotten.
    pub(super) fn again(&mut self) {
        self.plan.store.usual_permille = 950;
        self.plan.store.fault_ppm = pick(&mut self.prng, &[0, 300_000]);
        self.plan.net.fault_ppm = pick(&mut self.prng, &[100_000, 300_000]);
        self.plan.net.weights = [1, 1, 4, 0];
        self.plan.net.late_max = self.expire * 2;
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            // It wins, and is not heard any more, nor that it gives up.
            let trip = self.plan.net.delay_max;
            let cut = at + self.between(1, trip);
            let give_up = at + trip * 3 + self.spread(MILLI, self.timeout * 2);
            let end = give_up + self.spread(MILLI, SECOND / 2);
            let length = end - cut + self.between(0, SECOND);
            let (out, into, peers) = (true, false, u16::MAX);
            self.add(cut, site, Trouble::Cut { length, out, into, peers });
            self.ask(give_up, site, Order::Revoke);
            self.crash(end, site, 5 * MILLI);
            if self.chance(30) {
                let who = self.anyone();
                self.crash(end, who, 3 * MILLI);
            }
            let back = end + self.between(SECOND / 10, self.expire);
            self.ask(back, site, Order::Grant);
            let length = self.between(self.expire / 2, self.expire * 2);
            self.cut_to_bare(back + self.timeout, length);
            self.old_news(back + self.timeout);
            self.stale(back + self.timeout, self.expire);
            self.ask_others(back + self.timeout, self.expire);
            at = back + self.between(self.expire / 2, self.expire * 3 / 2);
        }
    }

    /// All hear at once that the holder gave up, once.
    fn old_news(&mut self, at: True) {
        let kind = pick(&mut self.prng, &[STEP_DOWN, REVOKE, REVOKE]);
        let at = at + self.between(0, self.expire / 2);
        for turn in 1..u8::try_from(self.plan.members()).unwrap_or(3) {
            self.aim(at, Aimed::Stale { turn, kind, count: 4, within: SECOND / 5 });
        }
        self.ask_others(at + SECOND / 5, SECOND);
    }

    /// What is late is an acknowledgement.
    pub(super) fn late(&mut self) {
        if self.chance(50) {
            self.pending();
        } else {
            self.echoes();
        }
    }

    /// Wall clocks are set right before restarts.
    pub(super) fn clock(&mut self) {
        let first = self.site();
        self.ask(SECOND / 4, first, Order::Grant);
        let mut at = SECOND * 2;
        while at < self.plan.chaos {
            let far = self.spread(MILLI, self.expire * 20);
            let back = self.chance(70);
            let down = self.spread(MILLI, self.expire / 2);
            self.aim(at, Aimed::SetClock { far, back, down });
            self.ask_others(at, self.expire);
            at += self.between(self.expire / 4, self.expire * 2);
        }
    }

    /// Acknowledgements arrive, and arrive again, while the holder is not heard any more.
    fn echoes(&mut self) {
        self.plan.net.fault_ppm = pick(&mut self.prng, &[300_000, 600_000]);
        self.plan.net.weights = [0, 6, 2, 0];
        self.plan.net.late_max = self.expire;
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            let length = self.between(self.expire, self.expire * 2);
            self.cut_to_bare(at + SECOND, length);
            let deaf = at + SECOND + self.between(0, self.expire);
            let (out, into, peers) = (true, false, u16::MAX);
            self.add(deaf, HOLDER, Trouble::Cut { length, out, into, peers });
            self.ask_others(deaf + self.expire / 2, self.expire);
            at = deaf + length + self.between(0, self.expire / 2);
        }
    }

    /// A grant waits for a site that is away; its leader loses its lease, the other site competes.
    fn pending(&mut self) {
        let after = pick(&mut self.prng, &[self.expire / 2, self.expire, self.expire * 2]);
        self.plan.tickets[0].acquire_after = Span::from_micros(after);
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            let turn = self.turn();
            let asked = at + self.between(MILLI, SECOND / 5);
            let clog = asked + self.between(self.timeout, self.expire);
            let end = clog + self.expire;
            // The others reach it again when its lease has ended.
            let length = end + self.between(0, self.expire / 4) - self.expire / 8 - at;
            self.add(at, site, Trouble::Aim(Aimed::Bare { length, out: true, into: true, turn }));
            self.ask(asked, site, Order::Grant);
            let long = self.expire + self.between(0, self.expire * 8 / 10);
            self.add(clog, site, Trouble::Aim(Aimed::ClogOther { turn, length: long }));
            for _ in 0..6 {
                let other = self.site();
                let later = end + self.between(0, self.expire / 2);
                self.ask(later, other, Order::Grant);
            }
            at = clog + long + self.between(0, self.expire);
        }
    }
}
