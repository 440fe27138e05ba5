// SPDX-License-Identifier: GPL-2.0-or-later
//! A healthy holder stays: one slow or lost packet, one restarted member, a member that flaps or
//! returns, or a wall clock that is set never costs it the ticket, and a quiet cluster sends no
//! more than its renewals. Each is tried by itself, at random instants, with 2 to 9 members,
//! random tickets, clock rates that differ by up to 0.5 %, with and without keys.
//!
//! `cargo test --test steady -- --nocapture` prints how often. `STEADY_FACTOR=N` in the
//! environment: N times as many runs, with further seeds.

use booth_core::prng::Prng;
use booth_sim::choice::mix;
use booth_sim::clock::{True, MILLI, SECOND};
use booth_sim::plan::Plan;
use booth_sim::quiet::{held, quiet};
use booth_sim::world::World;

/// The seeds of a check that takes `usual` runs unless more are asked for.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let factor = std::env::var("STEADY_FACTOR").ok();
    let factor = factor.map_or(1, |text| text.parse().expect("STEADY_FACTOR is a number"));
    0..usual * factor
}

/// Members, the first ticket, clocks and keys as the simulator draws them; nothing else happens.
fn calm_plan(seed: u64) -> Plan {
    let drawn = Plan::draw(mix(seed ^ 0x7374_6561_6479));
    let mut plan = quiet(seed, drawn.roles, drawn.tickets.into_iter().take(1).collect());
    plan.clocks = drawn.clocks;
    plan.keyed = drawn.keyed;
    plan.store.usual_permille = [10, 300][usize::try_from(seed % 2).expect("small")];
    plan
}

/// A world whose first site holds the ticket, with the dice of its check.
struct Steady {
    world: World,
    dice: Prng,
    losses: u64,
    expire: True,
}

impl Steady {
    fn new(plan: Plan) -> Steady {
        let (dice, expire) = (Prng::new(mix(plan.seed)), plan.expire_max());
        let world = held(plan);
        let losses = world.checks.losses;
        Steady { world, dice, losses, expire }
    }

    fn members(&self) -> usize {
        self.world.nodes.len()
    }

    /// A random member that is not the holder.
    fn follower(&mut self) -> usize {
        let others = self.members() as u64 - 1;
        1 + usize::try_from(self.dice.below(others)).expect("small")
    }

    /// Between `low` and `high`, short and long ones about equally likely.
    fn spread(&mut self, low: True, high: True) -> True {
        let octaves = u64::from((high / low).max(1).ilog2());
        let base = low << self.dice.below(octaves + 1);
        (base + self.dice.below(base)).min(high)
    }

    /// Goes on for so many leases; the ticket stays where it is, for every instant.
    fn stays(&mut self, leases: u64) {
        let until = self.world.now + leases * self.expire;
        self.world.run(until);
        let seed = self.world.plan.seed;
        assert_eq!(self.world.checks.violation(), None, "seed {seed}");
        assert_eq!(self.world.checks.losses, self.losses, "the ticket is revoked, seed {seed}");
        assert!(self.world.sites[0].granted(0), "the holder is the same, seed {seed}");
    }
}

/// Prints what was done in how many runs.
fn report(what: &str, runs: &[usize]) {
    let least = runs.iter().min().copied().unwrap_or(0);
    let most = runs.iter().max().copied().unwrap_or(0);
    println!("{what}: the holder stays, in {} runs with {least} to {most} members", runs.len());
    assert!(runs.len() >= 50, "few runs show little");
}

#[test]
fn one_slow_or_lost_packet_costs_nothing() {
    let (mut runs, mut hit) = (Vec::new(), 0);
    for seed in seeds(300) {
        let mut steady = Steady::new(calm_plan(seed));
        // One of the packets of the next renewals.
        let number = steady.dice.below(steady.members() as u64 * 6);
        let late = steady.spread(MILLI, 3 * steady.expire);
        let late = (steady.dice.below(4) > 0).then_some(late);
        let sent = steady.world.net.sent();
        steady.world.net.one = Some((sent + 1 + number, late));
        steady.stays(6);
        hit += usize::from(steady.world.net.sent() > sent + number);
        runs.push(steady.members());
    }
    report("one packet is lost or up to three leases late", &runs);
    assert_eq!(hit, runs.len(), "there was such a packet");
}

#[test]
fn one_restarted_follower_or_arbitrator_costs_nothing() {
    let mut runs = Vec::new();
    for seed in seeds(300) {
        let mut steady = Steady::new(calm_plan(seed));
        let member = steady.follower();
        // Of two members both are the majority: the other one must be back within a timeout.
        let longest = match steady.members() {
            2 => steady.world.plan.tickets[0].timeout.as_micros(),
            _ => 3 * steady.expire,
        };
        let down = steady.spread(MILLI, longest);
        let (moves, clean) = (seed % 5 == 0, seed % 3 == 0);
        steady.world.crash(member, down, moves, clean);
        steady.stays(6);
        runs.push(steady.members());
    }
    report("a follower or arbitrator restarts, down for up to three leases", &runs);
}

#[test]
fn a_restart_of_the_holder_costs_nothing() {
    let mut runs = Vec::new();
    for seed in seeds(300) {
        let plan = calm_plan(seed);
        if plan.tickets[0].renewal > plan.tickets[0].expire.divided(2) {
            // Late renewals leave less of the lease than a restart may need.
            continue;
        }
        let mut steady = Steady::new(plan);
        let down = steady.spread(MILLI, steady.expire / 20);
        steady.world.crash(0, down, seed % 5 == 0, seed % 3 == 0);
        steady.stays(6);
        runs.push(steady.members());
    }
    report("the holder restarts, down for up to a twentieth of a lease", &runs);
}

#[test]
fn a_wall_clock_that_is_set_costs_nothing() {
    let mut runs = Vec::new();
    for seed in seeds(300) {
        let mut steady = Steady::new(calm_plan(seed));
        let member = usize::try_from(seed).expect("small") % steady.members();
        // With keys, clocks further apart than maxtimeskew (600 s) make members deaf.
        let far = if steady.world.plan.keyed { 190 * SECOND } else { 40 * steady.expire };
        let by = steady.spread(MILLI, far) as i64;
        steady.world.wall_jump(member, if seed % 2 == 0 { by } else { -by });
        steady.stays(6);
        runs.push(steady.members());
    }
    report("a wall clock is set by up to 40 leases (190 s with keys)", &runs);
}

/// One of the ways to be away for a while.
fn away(steady: &mut Steady, member: usize, length: True) {
    let kind = steady.dice.below(5);
    let world = &mut steady.world;
    match kind {
        0 => world.crash(member, length, false, false),
        1 => world.pause(member, length),
        2 => world.cut(member, length, true, true, u16::MAX),
        3 => world.cut(member, length, true, false, u16::MAX),
        _ => world.cut(member, length, false, true, u16::MAX),
    }
}

#[test]
fn returning_and_flapping_members_do_not_unseat_the_holder() {
    let mut runs = Vec::new();
    for seed in seeds(300) {
        let plan = calm_plan(seed);
        let spare = plan.members() - (plan.members() / 2 + 1);
        if spare == 0 {
            // Of two members each is needed.
            continue;
        }
        let mut steady = Steady::new(plan);
        // As many as the majority can do without, each in its own rhythm.
        let first = steady.follower();
        let flapping: Vec<usize> =
            (0..spare).map(|k| 1 + (first - 1 + k) % (steady.members() - 1)).collect();
        let longest = if seed % 2 == 0 { 3 * steady.expire } else { steady.expire / 4 };
        for _ in 0..12 {
            for member in flapping.clone() {
                let length = steady.spread(MILLI, longest);
                away(&mut steady, member, length);
            }
            let pause = steady.spread(MILLI, longest);
            steady.world.run(steady.world.now + pause);
        }
        steady.stays(6);
        runs.push(steady.members());
    }
    report("all that the majority can spare flap, hear or speak only, and return", &runs);
}

#[test]
fn a_quiet_cluster_sends_its_renewals_and_nothing_else() {
    let mut runs = Vec::new();
    for seed in seeds(150) {
        let mut steady = Steady::new(calm_plan(seed));
        // What the grant stirred up has settled.
        steady.stays(2);
        let renewal = steady.world.plan.tickets[0].renewal.as_micros();
        let (sent, peers) = (steady.world.net.sent(), steady.members() as u64 - 1);
        let until = steady.world.now + 20 * renewal;
        steady.world.run(until);
        let sent = steady.world.net.sent() - sent;
        // A heartbeat to each and its acknowledgement; the window may cut into a renewal at both
        // ends, a handler's run makes a period a little longer, clocks differ.
        let (least, most) = (18 * 2 * peers, 21 * 2 * peers);
        assert!((least..=most).contains(&sent), "{sent} not in {least}..={most}, seed {seed}");
        steady.stays(1);
        runs.push(steady.members());
    }
    report("twenty renewals send 36 to 42 messages for each peer", &runs);
}
