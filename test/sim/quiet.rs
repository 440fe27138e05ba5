// SPDX-License-Identifier: GPL-2.0-or-later
//! Clusters on a quiet day, to which one thing at a time is done: for the figures of availability
//! and for the checks that a healthy holder stays.

use super::choice::{mix, Source};
use super::clock::{True, MILLI, SECOND};
use super::plan::{ClockPlan, NetPlan, Order, Plan, StorePlan};
use super::world::World;
use super::worlds::Worlds;
use booth_core::model::{MemberRole, TicketMode, TicketName, TicketSpec};
use booth_core::prng::Prng;
use booth_core::time::Span;

/// The ticket of `RULES.md`, "Availability": `E` = 60 s, `τ` = 3 s, `r` = 5, `A` = 0.
pub fn usual_ticket() -> TicketSpec {
    TicketSpec {
        name: TicketName::new("t0").expect("a plain name"),
        mode: TicketMode::Automatic,
        expire: Span::from_secs(60),
        acquire_after: Span::ZERO,
        timeout: Span::from_secs(3),
        retries: 5,
        renewal: Span::from_secs(30),
        weights: Vec::new(),
        rules: Vec::new(),
        has_handler: false,
    }
}

/// Two sites and an arbitrator.
pub fn three() -> Vec<MemberRole> {
    vec![MemberRole::Site, MemberRole::Site, MemberRole::Arbitrator]
}

/// A plan in which nothing happens: datagrams take up to 20 ms, and no more than a tenth of
/// `timeout`; a write takes up to a hundredth of *g*.
pub fn quiet(seed: u64, roles: Vec<MemberRole>, tickets: Vec<TicketSpec>) -> Plan {
    let timeout = tickets.iter().map(|spec| spec.timeout.as_micros()).min().unwrap_or(SECOND);
    let delay_max = (20 * MILLI).min(timeout / 10);
    Plan {
        seed,
        clocks: vec![[ClockPlan { boot: SECOND, ppm: 0, wall: 0 }; 2]; roles.len()],
        roles,
        tickets,
        keyed: false,
        chaos: 0,
        net: NetPlan { delay_min: MILLI, delay_max, ..NetPlan::default() },
        store: StorePlan { usual_permille: 10, fault_ppm: 0, weights: [0; 4] },
        handler_ppm: 0,
        timer_ppm: 0,
        split_ppm: 0,
        at_restart_ppm: 0,
        at_leader_ppm: 0,
        at_store_ppm: 0,
        worlds: Worlds::default(),
        force: false,
        disturbances: Vec::new(),
    }
}

/// A world whose first site holds the first ticket, at a random instant of a renewal.
pub fn held(plan: Plan) -> World {
    let spec = &plan.tickets[0];
    let (expire, renewal) = (spec.expire.as_micros(), spec.renewal.as_micros());
    let at = 2 * expire + spec.acquire_after.as_micros() + mix(plan.seed) % renewal;
    let mut world = World::new(plan, Source::Seed, false);
    world.set_going();
    // All have started and know that nobody holds anything.
    world.run(SECOND.max(renewal / 4));
    world.order(0, 0, Order::Grant, 0);
    world.run(at);
    assert_eq!(world.checks.violation(), None, "seed {}", world.plan.seed);
    assert!(world.sites[0].granted(0), "the grant succeeds, seed {}", world.plan.seed);
    world
}

impl Plan {
    /// The plan of a seed for these members and tickets.
    pub fn draw_for(seed: u64, roles: Vec<MemberRole>, tickets: Vec<TicketSpec>) -> Plan {
        let prng = &mut Prng::new(mix(seed ^ 0x666F_7220));
        // Without other worlds: the figures are those of members that are alike.
        Plan::draw_around(seed, prng, roles, tickets)
    }
}

impl World {
    /// Lets everything happen until the ticket is granted at one of these members, and returns
    /// how long that took; `None`: not within `limit`.
    pub fn run_until_granted(&mut self, ticket: usize, at: u16, limit: True) -> Option<True> {
        let start = self.now;
        let granted = |w: &World| {
            (0..w.nodes.len()).any(|m| (at >> m) & 1 == 1 && w.sites[m].granted(ticket))
        };
        while !granted(self) {
            if self.now >= start + limit || self.checks.violation().is_some() {
                return None;
            }
            self.run(self.now + 5 * MILLI);
        }
        Some(self.now - start)
    }

    /// For what part of the time since `start` the ticket was granted somewhere.
    pub fn held_part(&self, ticket: usize, before: True, start: True) -> f64 {
        (self.held_time(ticket) - before) as f64 / (self.now - start).max(1) as f64
    }

    /// For how long the ticket has been granted somewhere in all.
    pub fn held_time(&self, ticket: usize) -> True {
        let open = self.checks.held_since[ticket].map_or(0, |since| self.now - since);
        self.checks.held_sum[ticket] + open
    }
}
