// SPDX-License-Identifier: GPL-2.0-or-later
//! Aimed plans. Faults that are uniformly random are too weak to find what shows once in a
//! hundred thousand schedules (`RULES.md`, "Why it is safe"): each of these families keeps a small
//! cluster in one kind of danger for all of its run. A family and a seed make a plan.

use super::aimed::{Aimed, ANY, REVOKE, STEP_DOWN};
use super::clock::{True, MILLI, SECOND};
use super::plan::{between, chance, pick, spread};
use super::plan::{
    draw_far, ClockPlan, Disturbance, NetPlan, Order, Plan, StorePlan, Target, Trouble,
};
use super::worlds::Worlds;
use booth_core::model::{MemberRole, TicketMode, TicketName, TicketSpec};
use booth_core::prng::Prng;
use booth_core::time::Span;

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
    /// The holder's wall clock is set, right before its daemon ends and starts again. That is
    /// more than the promise allows, so only the rules that still hold are asserted.
    Clock,
    /// Two members do not hear each other for longer than a lease, the others hear both; then the
    /// holder is lost.
    Pair,
    /// The holder's machine dies; boothd comes back on the other one, hears nobody, and is stopped
    /// or ends as well.
    Orphan,
    /// The holder's store is ill for longer than a lease while the network works.
    Sick,
    /// Members do not know the last holder or the last revoke, and meet a few at a time.
    Word,
    /// The holder's keeper is killed or stopped, alone or with boothd; revokes take long.
    Keeper,
}

impl Hunt {
    /// All families.
    pub const ALL: [Hunt; 12] = [
        Hunt::Bare,
        Hunt::Duel,
        Hunt::Reboot,
        Hunt::Quit,
        Hunt::Again,
        Hunt::Late,
        Hunt::Clock,
        Hunt::Pair,
        Hunt::Orphan,
        Hunt::Sick,
        Hunt::Word,
        Hunt::Keeper,
    ];

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
            Hunt::Clock => hunter.clock(),
            Hunt::Pair => hunter.pair(),
            Hunt::Orphan => hunter.orphan(),
            Hunt::Sick => hunter.sick(),
            Hunt::Word => hunter.word(),
            Hunt::Keeper => hunter.keeper(),
        }
        super::worlds::finish_aimed(seed, &mut hunter.plan);
        hunter.plan.disturbances.sort_by_key(|disturbance| disturbance.at);
        hunter.plan
    }
}

/// Draws the plan of one family.
#[derive(Debug)]
pub struct Hunter {
    pub(super) prng: Prng,
    pub(super) plan: Plan,
    pub(super) expire: True,
    pub(super) timeout: True,
}

/// Whoever holds.
pub(super) const HOLDER: Target = Target::Holder(0);

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
            far: draw_far(seed, timeout),
        };
        let store = StorePlan {
            usual_permille: pick(&mut prng, &[5, 300, 950]),
            fault_ppm: pick(&mut prng, &[0, 0, 100_000]),
            weights: [1, 1, 1, 1],
        };
        let tickets = vec![ticket];
        let plan = Plan {
            seed,
            roles,
            tickets,
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
            worlds: Worlds::default(),
            force: false,
            disturbances: Vec::new(),
        };
        Hunter { prng, plan, expire, timeout }
    }

    pub(super) fn add(&mut self, at: True, target: Target, what: Trouble) {
        self.plan.disturbances.push(Disturbance { at, target, what });
    }

    pub(super) fn aim(&mut self, at: True, what: Aimed) {
        self.add(at, HOLDER, Trouble::Aim(what));
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        chance(&mut self.prng, percent)
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        between(&mut self.prng, low, high)
    }

    pub(super) fn spread(&mut self, low: u64, high: u64) -> u64 {
        spread(&mut self.prng, low, high)
    }

    pub(super) fn turn(&mut self) -> u8 {
        u8::try_from(self.prng.below(8)).unwrap_or(0)
    }

    pub(super) fn site(&mut self) -> Target {
        let sites = self.plan.sites().count() as u64;
        Target::Member(u8::try_from(self.prng.below(sites)).unwrap_or(0))
    }

    /// Two different sites.
    pub(super) fn rivals(&mut self) -> (Target, Target) {
        let sites = self.plan.sites().count() as u64;
        let first = self.prng.below(sites);
        let second = (first + 1 + self.prng.below(sites - 1)) % sites;
        let target = |m: u64| Target::Member(u8::try_from(m).unwrap_or(0));
        (target(first), target(second))
    }

    pub(super) fn anyone(&mut self) -> Target {
        let members = self.plan.members() as u64;
        Target::Member(u8::try_from(self.prng.below(members)).unwrap_or(0))
    }

    pub(super) fn ask(&mut self, at: True, target: Target, order: Order) {
        self.add(at, target, Trouble::Admin { ticket: 0, order, patience: 0 });
    }

    pub(super) fn ask_other(&mut self, at: True, order: Order) {
        let turn = self.turn();
        self.aim(at, Aimed::AskOther { turn, ticket: 0, order });
    }

    pub(super) fn crash(&mut self, at: True, target: Target, down: True) {
        self.add(at, target, Trouble::Crash { down, moves: false, clean: false });
    }

    /// Somebody else is asked for the ticket a few times in the time after `at`.
    pub(super) fn ask_others(&mut self, at: True, within: True) {
        for _ in 0..self.between(1, 4) {
            let later = at + self.between(0, within);
            self.ask_other(later, Order::Grant);
        }
    }

    /// Old datagrams, a few times.
    pub(super) fn stale(&mut self, at: True, within: True) {
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
    pub(super) fn cut_to_bare(&mut self, at: True, length: True) {
        let (out, into) = pick(&mut self.prng, &[(true, true), (true, true), (true, false)]);
        let turn = self.turn();
        self.aim(at, Aimed::Bare { length, out, into, turn });
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

/// The plans of a seed with their names: the ordinary one, and the aimed one whose turn it is.
pub fn plans(seed: u64) -> [(String, Plan); 2] {
    let hunt = Hunt::of(seed);
    [("ordinary".to_owned(), Plan::draw(seed)), (hunt.name(), hunt.draw(seed))]
}
