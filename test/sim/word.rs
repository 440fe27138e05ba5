// SPDX-License-Identifier: GPL-2.0-or-later
//! The family `word`: the last word. A ticket is granted, revoked and lost again and again while
//! only some members hear each other, others the next time; then they meet one after the other,
//! some have forgotten, old datagrams come late. In the quiet at the end a lost ticket must be held
//! again (V4), and one that is known to be revoked must not (C2).

use super::clock::{True, MILLI, SECOND};
use super::hunt::{Hunter, HOLDER};
use super::plan::{pick, Order, Target, Trouble};
use super::sick::Ailment;
use super::world::World;
use booth_core::model::MemberRole;
use booth_core::time::Span;

/// Kinds of old datagrams (`aimed.rs`): MY_INDEX, REQ_VOTE, VOTE_FOR, step-down, heartbeat, REVOKE,
/// refusal.
const OLD: [u8; 9] = [1, 2, 3, 4, 5, 7, 7, 7, 9];

impl Hunter {
    /// Words that some do not hear, then quiet.
    pub(super) fn word(&mut self) {
        self.draw_few();
        let mut at = SECOND / 4;
        at = match self.prng.below(10) {
            0 | 1 => self.exchanges(at),
            2..=6 => self.ill_while_others_hold(at),
            _ => self.one_by_one(at),
        };
        if self.chance(30) {
            at = self.meet(at);
        }
        let all = Trouble::Only { length: 0, side: u16::MAX, rest: true };
        self.add(at, member(0), all);
        // One lease until the last holder is lost, one until it is held again, and time to spare.
        self.plan.chaos = at + self.expire * pick(&mut self.prng, &[0, 4, 4]);
    }

    /// Anything, and anything again.
    fn exchanges(&mut self, mut at: True) -> True {
        let first = self.draw_site();
        self.ask(at, member(first), Order::Grant);
        at += self.between(SECOND / 2, self.expire * 6 / 10);
        for _ in 0..self.between(1, 3) {
            at = self.exchange(at);
        }
        if self.chance(60) {
            // The last word is a loss.
            at = self.lose(at);
        }
        self.meet(at)
    }

    /// The store of a site does not obey until another one has held, and was revoked or lost.
    fn ill_while_others_hold(&mut self, mut at: True) -> True {
        let (ill, other) = self.two();
        let others = !(1 << ill);
        let granted = at;
        let fails = self.chance(40);
        self.ask(at, member(ill), Order::Grant);
        at += self.between(SECOND / 2, self.expire * 6 / 10);
        let away = self.between(self.expire, self.expire * 5 / 2);
        self.only(at, away, others, false);
        let asked = at + self.spread(MILLI, away / 2);
        if self.chance(50) {
            self.ask(asked, member(other), Order::Grant);
        }
        at += away;
        for _ in 0..self.between(0, 2) {
            at = self.again_without(at, ill, other);
        }
        if self.chance(30) {
            let asked = at - self.between(0, self.expire / 4);
            self.ask(asked, member(ill), Order::Revoke);
        }
        at = self.end_of(at, other);
        let met = at + self.between(0, self.expire * 3);
        let what = self.draw_ailment();
        let (began, length) = if fails { (granted, met - granted) } else { (asked - MILLI, away) };
        let length = length.max(met - began);
        self.add(began, member(ill), Trouble::Sick { length, what });
        for _ in 0..self.between(1, 3) {
            at = self.meet_with(at, ill, other);
        }
        at.max(met)
    }

    /// The other site is revoked, of which the first one may hear.
    fn revoke_without(&mut self, at: True, away: u64, other: u64) -> True {
        let length = self.between(self.timeout, self.expire / 2);
        if self.chance(60) {
            // It hears what the other one says, and is not heard.
            let side = (1 << away) | (1 << other) | self.company(None, 0);
            self.only(at, length, side, false);
            let (out, into, peers) = (true, false, u16::MAX);
            self.add(at + 1, member(away), Trouble::Cut { length, out, into, peers });
        } else {
            let side = (1 << other) | (self.company(None, 0) & !(1 << away));
            self.only(at, length, side, false);
        }
        self.ask(at + self.timeout / 2, member(other), Order::Revoke);
        at + length
    }

    /// The same, and then it is granted again.
    fn again_without(&mut self, at: True, away: u64, other: u64) -> True {
        let at = self.revoke_without(at, away, other);
        let length = self.between(self.timeout * 2, self.expire * 2);
        let side = self.company(Some(other), self.plan.members() / 2 + 1);
        self.only(at, length, side & !(1 << away) | (1 << other), false);
        if self.chance(80) {
            let asked = at + self.spread(MILLI, length / 2);
            self.ask(asked, member(other), Order::Grant);
        }
        at + length
    }

    /// A site that has held ends, or hears nobody.
    fn end_of(&mut self, at: True, site: u64) -> True {
        let length = self.expire * self.between(2, 12);
        let (out, into, peers) = (true, true, u16::MAX);
        match self.prng.below(6) {
            0 => self.add(at, member(site), Trouble::Cut { length, out, into, peers }),
            1 => self.ask(at, member(site), Order::Revoke),
            _ => self.crash(at, member(site), length),
        }
        at + self.spread(MILLI, self.expire * 3 / 2)
    }

    /// A revoke, perhaps another grant, the end of the holder; then one that was away meets the
    /// others one by one, and its attempts fail.
    fn one_by_one(&mut self, mut at: True) -> True {
        let (away, other) = self.two();
        let holder = if self.chance(75) { other } else { away };
        self.ask(at, member(holder), Order::Grant);
        at += self.between(SECOND / 2, self.expire * 6 / 10);
        if self.chance(30) {
            let down = self.spread(MILLI, SECOND);
            self.crash(at, member(away), down);
            at += self.spread(MILLI, self.timeout * 4);
        }
        for _ in 0..self.between(1, 2) {
            at = self.again_without(at, away, other);
        }
        at = match self.chance(40) {
            true => self.revoke_without(at, away, other),
            false => self.end_of(at, other),
        };
        for _ in 0..self.between(2, 5) {
            if self.chance(40) {
                let length = self.spread(self.timeout, self.expire * 2);
                self.only(at, length, 1 << away, false);
                self.forget(at, length);
                at += length;
            }
            at = self.meet_with(at, away, other);
        }
        at
    }

    /// One site meets a few others, among them perhaps not the one that held last.
    fn meet_with(&mut self, at: True, site: u64, held: u64) -> True {
        let gone = if self.chance(75) { 1 << held } else { 0 };
        let side = self.company(Some(site), 2) & !gone;
        let length = self.spread(self.timeout, self.expire * 2);
        self.only(at, length, side | (1 << site), false);
        self.trouble_those_who_meet(at, length);
        at + length
    }

    fn draw_ailment(&mut self) -> Ailment {
        use Ailment::{Fails, Hangs, RevokesFail, RevokesHang};
        pick(&mut self.prng, &[RevokesFail, RevokesFail, RevokesHang, Fails, Fails, Hangs])
    }

    /// Two sites.
    fn two(&mut self) -> (u64, u64) {
        let sites = self.plan.sites().count() as u64;
        let first = self.prng.below(sites);
        (first, (first + 1 + self.prng.below(sites - 1)) % sites)
    }

    /// Two or three sites and a few arbitrators on a quiet day.
    fn draw_few(&mut self) {
        let (sites, arbitrators) = match self.prng.below(10) {
            0..=4 => (2, 1),
            5..=7 => (2, 3),
            8 => (3, 2),
            _ => (3, 1),
        };
        let of = |role, count| std::iter::repeat_n(role, count);
        let sites = of(MemberRole::Site, sites);
        self.plan.roles = sites.chain(of(MemberRole::Arbitrator, arbitrators)).collect();
        let clock = self.plan.clocks[0];
        self.plan.clocks.resize(self.plan.roles.len(), clock);
        self.plan.net.fault_ppm = pick(&mut self.prng, &[0, 0, 0, 20_000]);
        self.plan.net.delay_max = self.plan.net.delay_min * 2;
        self.plan.store.fault_ppm = pick(&mut self.prng, &[0, 0, 0, 100_000]);
        self.plan.store.usual_permille = pick(&mut self.prng, &[5, 5, 300]);
        self.plan.split_ppm = 0;
        let after = pick(&mut self.prng, &[0, 0, 0, self.expire * 8 / 10]);
        self.plan.tickets[0].acquire_after = Span::from_micros(after);
    }

    /// The ticket is revoked or lost, and held again, each time in another company.
    fn exchange(&mut self, mut at: True) -> True {
        at = match self.prng.below(10) {
            0..=5 => self.take_back(at),
            6..=8 => self.lose(at),
            _ => at,
        };
        if self.chance(40) {
            at = self.meet_some(at);
        }
        for _ in 0..self.between(1, 2) {
            at = self.give(at);
        }
        if self.chance(35) {
            at = self.take_back(at);
        }
        at
    }

    /// A revoke that some do not hear.
    fn take_back(&mut self, at: True) -> True {
        let hidden = self.draw_member();
        let side = self.company(None, 1) & !(1 << hidden);
        let length = self.between(self.timeout, self.expire);
        // The side without the hidden ones has the holder, or the holder is alone with few.
        if self.chance(70) {
            let (out, into, peers) = (true, true, 1 << hidden);
            self.add(at, HOLDER, Trouble::Cut { length, out, into, peers });
        } else {
            let rest = self.chance(70);
            self.only(at, length, side, rest);
        }
        let asked = at + self.spread(MILLI, self.timeout);
        let order = Order::Revoke;
        let anyone = member(self.draw_site());
        let whom = if self.chance(80) { HOLDER } else { anyone };
        self.ask(asked, whom, order);
        if self.chance(30) {
            self.forget(asked, self.timeout * 2);
        }
        asked + self.spread(self.timeout, self.expire / 2)
    }

    /// A grant by a majority, in which others are missing.
    fn give(&mut self, at: True) -> True {
        let site = self.draw_site();
        let majority = self.plan.members() / 2 + 1;
        let side = self.company(Some(site), majority);
        let length = self.between(self.expire / 2, self.expire * 5 / 2);
        let rest = self.chance(50);
        self.only(at, length, side, rest);
        let mut asked = at + self.spread(MILLI, self.timeout);
        for _ in 0..self.between(0, 3) {
            self.ask(asked, member(site), Order::Grant);
            asked += self.between(self.timeout, self.expire * 6 / 10);
        }
        if self.chance(15) {
            let other = self.draw_site();
            let order = pick(&mut self.prng, &[Order::Grant, Order::Revoke]);
            self.ask(asked, member(other), order);
        }
        asked + self.between(self.timeout, self.expire * 3 / 2)
    }

    /// The holder is lost: it ends, its machine dies, or it hears nobody while its store is ill.
    fn lose(&mut self, at: True) -> True {
        let length = self.between(self.expire, self.expire * 4);
        let (out, into, peers) = (true, true, u16::MAX);
        match self.prng.below(6) {
            0 | 1 => self.crash(at, HOLDER, length),
            2 => self.add(at, HOLDER, Trouble::MachineDies { down: length, alone: false }),
            3 => self.add(at, HOLDER, Trouble::Cut { length, out, into, peers }),
            _ => {
                let what = self.draw_ailment();
                let ill = length + self.between(0, self.expire * 3);
                self.add(at, HOLDER, Trouble::Sick { length: ill, what });
                self.add(at + MILLI, HOLDER, Trouble::Cut { length, out, into, peers });
            }
        }
        at + self.between(self.expire / 2, self.expire * 2)
    }

    /// Members meet, a few at a time.
    fn meet(&mut self, mut at: True) -> True {
        for _ in 0..self.between(1, 5) {
            at = self.meet_some(at);
        }
        at
    }

    fn meet_some(&mut self, at: True) -> True {
        let site = self.draw_site();
        let least = if self.chance(50) { 2 } else { self.plan.members() / 2 + 1 };
        let side = self.company(Some(site), least);
        let length = self.between(self.timeout, self.expire * 3 / 2);
        let rest = self.chance(40);
        self.only(at, length, side, rest);
        self.trouble_those_who_meet(at, length);
        at + length - self.between(0, length / 3)
    }

    fn trouble_those_who_meet(&mut self, at: True, length: True) {
        if self.chance(40) {
            self.forget(at, length);
        }
        if self.chance(50) {
            self.old_words(at, length);
        }
        if self.chance(8) {
            let later = at + self.between(0, length);
            let who = self.draw_site();
            let order = pick(&mut self.prng, &[Order::Revoke, Order::Grant]);
            self.ask(later, member(who), order);
        }
        if self.chance(20) {
            let who = self.draw_member();
            let into = self.chance(50);
            let length = self.spread(self.timeout / 2, self.expire / 2);
            self.add(at + MILLI, member(who), Trouble::Clog { length, into });
        }
    }

    /// Only these hear each other from now on.
    fn only(&mut self, at: True, length: True, side: u16, rest: bool) {
        self.add(at, member(0), Trouble::Only { length, side, rest });
        if self.chance(20) {
            let (one, other) = (self.draw_member(), self.draw_member());
            let (out, into, peers) = (true, false, 1 << other);
            self.add(at + 1, member(one), Trouble::Cut { length, out, into, peers });
        }
    }

    /// One that ends and starts again, with an empty memory; an arbitrator more often.
    fn forget(&mut self, at: True, within: True) {
        let sites = self.plan.sites().count() as u64;
        let members = self.plan.members() as u64;
        let who =
            if self.chance(70) { self.between(sites, members - 1) } else { self.draw_member() };
        let (later, down) = (at + self.between(0, within), self.spread(MILLI, self.expire / 2));
        self.crash(later, member(who), down);
    }

    /// Old datagrams of a few kinds come once more.
    fn old_words(&mut self, at: True, length: True) {
        use super::aimed::Aimed;
        for _ in 0..self.between(1, 3) {
            let kind = pick(&mut self.prng, &OLD);
            let count = u8::try_from(self.between(1, 4)).unwrap_or(1);
            let who = self.draw_member();
            let later = at + self.between(0, length);
            let within = self.spread(MILLI, self.timeout * 2);
            let what = Aimed::Stale { turn: 0, kind, count, within };
            self.add(later, member(who), Trouble::Aim(what));
        }
    }

    /// So many members at least, this one among them.
    fn company(&mut self, with: Option<u64>, least: usize) -> u16 {
        let members = self.plan.members() as u64;
        let mut side = u16::try_from(self.prng.below(1 << members)).unwrap_or(0);
        if let Some(with) = with {
            // Not all: somebody is missing.
            side &= !(1 << self.prng.below(members));
            side |= 1 << with;
        }
        while usize::try_from(side.count_ones()).unwrap_or(least) < least {
            side |= 1 << self.prng.below(members);
        }
        side
    }

    fn draw_site(&mut self) -> u64 {
        let sites = self.plan.sites().count() as u64;
        self.prng.below(sites)
    }

    fn draw_member(&mut self) -> u64 {
        self.prng.below(self.plan.members() as u64)
    }
}

fn member(m: u64) -> Target {
    Target::Member(u8::try_from(m).unwrap_or(0))
}

impl World {
    /// From now on only members of `side` hear each other; with `rest` the others do, too.
    pub fn only(&mut self, length: True, side: u16, rest: bool) {
        let now = self.now;
        let members = self.nodes.len();
        for (a, b) in (0..members).flat_map(|a| (0..members).map(move |b| (a, b))) {
            let (one, other) = ((side >> a) & 1 == 1, (side >> b) & 1 == 1);
            let link = self.net.link(a, b);
            link.cut_until = match one == other && (one || rest) {
                true => link.cut_until.min(now),
                false => now + length,
            };
        }
    }
}
