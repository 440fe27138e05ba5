// SPDX-License-Identifier: GPL-2.0-or-later
//! Aimed plans. Faults that are uniformly random are too weak to find what shows once in a
//! hundred thousand schedules (`lease.md`, "Pitfalls"), so each of these families keeps a small
//! cluster in one kind of danger for all of its run. A family and a seed make a plan.

use super::aimed::{Aimed, ANY, MY_INDEX, REVOKE, STEP_DOWN};
use super::clock::{True, MILLI, SECOND};
use super::plan::{between, chance, pick, spread};
use super::plan::{ClockPlan, Disturbance, NetPlan, Order, Plan, StorePlan, Target, Trouble};
use booth::model::{MemberRole, TicketMode, TicketName, TicketSpec};
use booth::prng::Prng;
use booth::time::Span;

/// The longest chaos, in multiples of `E`.
const LENGTH: u64 = 12;

/// A kind of danger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hunt {
    /// The holder reaches only a bare majority; one of it forgets, sleeps, or hears old news.
    Bare,
    /// Two sites compete all the time, over slow and lossy links that fail one way.
    Duel,
    /// All members start again at once while one of them holds.
    Reboot,
    /// Tickets are given up while the store fails, and somebody has not heard the holder.
    Quit,
    /// Attempts are given up and processes end before their stores know the term.
    Again,
    /// Grants wait for a site that is away, and acknowledgements come very late.
    Late,
}

impl Hunt {
    /// All families.
    pub const ALL: [Hunt; 6] =
        [Hunt::Bare, Hunt::Duel, Hunt::Reboot, Hunt::Quit, Hunt::Again, Hunt::Late];

    /// The family with this name.
    pub fn named(name: &str) -> Option<Hunt> {
        Hunt::ALL.into_iter().find(|hunt| hunt.name() == name)
    }

    /// The name for the command line.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// The family whose turn it is.
    pub fn of(seed: u64) -> Hunt {
        let count = Hunt::ALL.len() as u64;
        Hunt::ALL[usize::try_from(seed % count).unwrap_or(0)]
    }

    /// The plan of this family and a seed.
    pub fn draw(self, seed: u64) -> Plan {
        let salt = 0x6875_6E74 ^ ((self as u64) << 40);
        let mut hunter = Hunter::new(seed, Prng::new(super::choice::mix(seed ^ salt)));
        match self {
            Hunt::Bare => hunter.bare(),
            Hunt::Duel => hunter.duel(),
            Hunt::Reboot => hunter.reboot(),
            Hunt::Quit => hunter.quit(),
            Hunt::Again => hunter.again(),
            Hunt::Late => hunter.late(),
        }
        hunter.plan.disturbances.sort_by_key(|disturbance| disturbance.at);
        hunter.plan
    }
}

struct Hunter {
    prng: Prng,
    plan: Plan,
    expire: True,
    timeout: True,
}

/// Whoever holds.
const HOLDER: Target = Target::Holder(0);

impl Hunter {
    fn new(seed: u64, mut prng: Prng) -> Hunter {
        use MemberRole::{Arbitrator, Site};
        let roles = match prng.below(10) {
            0..=5 => vec![Site, Site, Arbitrator],
            6..=7 => vec![Site; 3],
            8 => vec![Site, Site, Arbitrator, Arbitrator, Arbitrator],
            _ => vec![Site, Site, Site, Arbitrator, Arbitrator],
        };
        let ticket = draw_ticket(&mut prng);
        let (expire, timeout) = (ticket.expire.as_micros(), ticket.timeout.as_micros());
        let apart = pick(&mut prng, &[0, 0, 2_490]);
        let clocks = roles.iter().map(|_| draw_clock(&mut prng, apart)).collect();
        let delay_min = pick(&mut prng, &[500, 5_000, 20_000]).min(timeout / 8);
        let faults = pick(&mut prng, &[0, 20_000, 100_000]);
        let late_max = pick(&mut prng, &[expire / 10, expire, expire * 3]);
        let weights = [between(&mut prng, 0, 4), between(&mut prng, 0, 4), 2, 0];
        let net = NetPlan {
            delay_min,
            delay_max: delay_min * pick(&mut prng, &[1, 2, 8]),
            fault_ppm: faults,
            weights,
            late_max,
        };
        let store = StorePlan {
            usual_permille: pick(&mut prng, &[5, 300, 950]),
            fault_ppm: pick(&mut prng, &[0, 0, 100_000]),
            weights: [1, 1, 1, 1],
        };
        let plan = Plan {
            seed,
            roles,
            tickets: vec![ticket],
            keyed: false,
            chaos: expire * LENGTH,
            clocks,
            net,
            store,
            handler_ppm: 0,
            timer_ppm: 0,
            split_ppm: pick(&mut prng, &[0, 0, 5_000]),
            at_restart_ppm: 0,
            at_leader_ppm: 0,
            at_store_ppm: 0,
            force: false,
            disturbances: Vec::new(),
        };
        Hunter { prng, plan, expire, timeout }
    }

    fn add(&mut self, at: True, target: Target, what: Trouble) {
        self.plan.disturbances.push(Disturbance { at, target, what });
    }

    fn aim(&mut self, at: True, what: Aimed) {
        self.add(at, HOLDER, Trouble::Aim(what));
    }

    fn chance(&mut self, percent: u64) -> bool {
        chance(&mut self.prng, percent)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        between(&mut self.prng, low, high)
    }

    fn spread(&mut self, low: u64, high: u64) -> u64 {
        spread(&mut self.prng, low, high)
    }

    fn turn(&mut self) -> u8 {
        u8::try_from(self.prng.below(8)).unwrap_or(0)
    }

    fn site(&mut self) -> Target {
        let sites = self.plan.sites().count() as u64;
        Target::Member(u8::try_from(self.prng.below(sites)).unwrap_or(0))
    }

    /// Two different sites.
    fn rivals(&mut self) -> (Target, Target) {
        let sites = self.plan.sites().count() as u64;
        let first = self.prng.below(sites);
        let second = (first + 1 + self.prng.below(sites - 1)) % sites;
        let target = |m: u64| Target::Member(u8::try_from(m).unwrap_or(0));
        (target(first), target(second))
    }

    fn anyone(&mut self) -> Target {
        let members = self.plan.members() as u64;
        Target::Member(u8::try_from(self.prng.below(members)).unwrap_or(0))
    }

    fn ask(&mut self, at: True, target: Target, order: Order) {
        self.add(at, target, Trouble::Admin { ticket: 0, order, patience: 0 });
    }

    fn ask_other(&mut self, at: True, order: Order) {
        let turn = self.turn();
        self.aim(at, Aimed::AskOther { turn, ticket: 0, order });
    }

    fn crash(&mut self, at: True, target: Target, down: True) {
        self.add(at, target, Trouble::Crash { down, moves: false, clean: false });
    }

    /// Somebody else is asked for the ticket a few times in the time after `at`.
    fn ask_others(&mut self, at: True, within: True) {
        for _ in 0..self.between(1, 4) {
            let later = at + self.between(0, within);
            self.ask_other(later, Order::Grant);
        }
    }

    /// Old datagrams, a few times.
    fn stale(&mut self, at: True, within: True) {
        for _ in 0..self.between(1, 3) {
            let (turn, count) = (self.turn(), u8::try_from(self.between(1, 8)).unwrap_or(1));
            let later = at + self.between(0, within);
            let within = self.spread(MILLI, self.expire / 2);
            let kind = match self.prng.below(4) {
                0 => pick(&mut self.prng, &[STEP_DOWN, REVOKE]),
                _ => ANY,
            };
            self.aim(later, Aimed::Stale { turn, kind, count, within });
        }
    }

    /// The holder reaches only a bare majority for a while.
    fn cut_to_bare(&mut self, at: True, length: True) {
        let (out, into) = pick(&mut self.prng, &[(true, true), (true, true), (true, false)]);
        let turn = self.turn();
        self.aim(at, Aimed::Bare { length, out, into, turn });
    }

    fn bare(&mut self) {
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
    fn duel(&mut self) {
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

    fn reboot(&mut self) {
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

    fn quit(&mut self) {
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

    fn again(&mut self) {
        self.plan.store.usual_permille = 950;
        self.plan.store.fault_ppm = pick(&mut self.prng, &[0, 300_000]);
        self.plan.net.fault_ppm = pick(&mut self.prng, &[100_000, 300_000]);
        self.plan.net.weights = [1, 1, 4, 0];
        self.plan.net.late_max = self.expire * 2;
        let mut at = SECOND / 4;
        while at < self.plan.chaos {
            let site = self.site();
            self.ask(at, site, Order::Grant);
            let trip = self.plan.net.delay_max;
            let cut = at + self.between(trip, trip * 3);
            let length = self.between(self.timeout / 2, self.timeout * 3);
            let (out, into, peers) = (true, false, u16::MAX);
            self.add(cut, site, Trouble::Cut { length, out, into, peers });
            let give_up = cut + self.spread(MILLI, self.timeout * 2);
            self.ask(give_up, site, Order::Revoke);
            let end = give_up + self.spread(MILLI, SECOND / 2);
            self.crash(end, site, 5 * MILLI);
            if self.chance(50) {
                let who = self.anyone();
                self.crash(end, who, 3 * MILLI);
            }
            let back = end + self.between(SECOND / 10, self.expire);
            self.ask(back, site, Order::Grant);
            let length = self.between(self.expire / 2, self.expire * 2);
            self.cut_to_bare(back + self.timeout, length);
            self.stale(back + self.timeout, self.expire);
            self.stale(back + self.timeout, self.expire);
            self.ask_others(back + self.timeout, self.expire);
            at = back + self.between(self.expire / 2, self.expire * 3 / 2);
        }
    }

    fn late(&mut self) {
        if self.chance(50) {
            self.pending();
        } else {
            self.echoes();
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

fn draw_ticket(prng: &mut Prng) -> TicketSpec {
    let expire = Span::from_secs(pick(prng, &[10, 10, 10, 20]));
    let renewal = expire.divided(2);
    let retries = pick(prng, &[3, 5, 10]);
    let most = renewal.divided(u64::from(retries) + 2).as_millis();
    TicketSpec {
        // A letter and a digit are a ticket name.
        name: TicketName::new("t0").expect("a plain name"),
        mode: TicketMode::Automatic,
        expire,
        acquire_after: Span::ZERO,
        timeout: Span::from_millis(between(prng, most / 3, most)),
        retries,
        renewal,
        weights: Vec::new(),
        rules: Vec::new(),
        has_handler: false,
    }
}

fn draw_clock(prng: &mut Prng, apart: i64) -> [ClockPlan; 2] {
    let mut one = || ClockPlan {
        boot: between(prng, SECOND, 1_000_000 * SECOND),
        ppm: pick(prng, &[-1, 1]) * apart,
        wall: 0,
    };
    [one(), one()]
}
