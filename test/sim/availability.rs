// SPDX-License-Identifier: GPL-2.0-or-later
//! How soon a lost ticket is held again, beside the figures at the end of `lease.md`: three
//! members, `E` = 60 s, `τ` = 3 s, `r` = 5, `A` = 0.

// Each target that shares the kit uses a part of it.
#[allow(dead_code)]
#[path = "kit.rs"]
mod kit;

use booth::model::{MemberRole, TicketMode, TicketName, TicketSpec};
use booth::time::Span;
use kit::choice::{mix, Source};
use kit::clock::{True, MILLI, SECOND};
use kit::plan::{ClockPlan, NetPlan, Order, Plan, StorePlan};
use kit::world::World;

/// How many runs a figure is taken from.
const RUNS: u64 = 400;

fn plan(seed: u64) -> Plan {
    let ticket = TicketSpec {
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
    };
    let delays = NetPlan { delay_min: MILLI, delay_max: 20 * MILLI, ..NetPlan::default() };
    Plan {
        seed,
        roles: vec![MemberRole::Site, MemberRole::Site, MemberRole::Arbitrator],
        tickets: vec![ticket],
        keyed: false,
        chaos: 0,
        clocks: vec![[ClockPlan { boot: SECOND, ppm: 0, wall: 0 }; 2]; 3],
        net: delays,
        store: StorePlan { usual_permille: 10, fault_ppm: 0, weights: [0; 4] },
        handler_ppm: 0,
        timer_ppm: 0,
        split_ppm: 0,
        at_restart_ppm: 0,
        at_leader_ppm: 0,
        at_store_ppm: 0,
        force: false,
        disturbances: Vec::new(),
    }
}

/// A world whose first site holds the ticket, at a random instant of its renewal.
fn held(seed: u64) -> World {
    let mut world = World::new(plan(seed), Source::Seed, false);
    world.set_going();
    world.run(SECOND);
    world.order(0, 0, Order::Grant, 0);
    world.run(100 * SECOND + mix(seed) % (30 * SECOND));
    assert!(world.sites[0].granted(0), "the grant succeeds");
    world
}

/// Until when nobody but the first site can have it; how long it took until another had it.
fn until_elsewhere(world: &mut World) -> True {
    let start = world.now;
    while !world.sites[1].granted(0) {
        assert!(world.now < start + 600 * SECOND, "somebody takes it over");
        world.run(world.now + 20 * MILLI);
        assert_eq!(world.checks.violation(), None);
    }
    world.now - start
}

fn median_and_max(mut times: Vec<True>) -> (f64, f64) {
    times.sort_unstable();
    let seconds = |time: True| time as f64 / SECOND as f64;
    (seconds(times[times.len() / 2]), seconds(times[times.len() - 1]))
}

#[test]
fn a_ticket_whose_holder_dies_is_held_elsewhere_in_time() {
    let times = (0..RUNS).map(|seed| {
        let mut world = held(seed);
        world.crash(0, u64::MAX, false, false);
        until_elsewhere(&mut world)
    });
    let (median, max) = median_and_max(times.collect());
    println!("holder crashes: median {median:.1} s (lease.md 48.7), most {max:.1} (p99 61.0)");
    assert!(median <= 48.7 * 1.1, "median {median}");
    assert!(max <= 61.0, "most {max}");
}

#[test]
fn a_holder_that_cannot_hear_is_replaced_in_time() {
    let times = (0..RUNS).map(|seed| {
        let mut world = held(seed);
        world.cut(0, 900 * SECOND, false, true, u16::MAX);
        until_elsewhere(&mut world)
    });
    let (median, max) = median_and_max(times.collect());
    println!("holder can send but not hear: median {median:.1} s (42), most {max:.1} (55)");
    assert!(median <= 42.0 * 1.1, "median {median}");
    assert!(max <= 55.0, "most {max}");
}

#[test]
fn restarts_lose_nothing() {
    for seed in 0..RUNS {
        let mut world = held(seed);
        for member in 0..3 {
            if seed % 4 == 3 || seed % 4 == member as u64 {
                world.crash(member, 50 * MILLI, false, false);
            }
        }
        let losses = world.checks.losses;
        world.run(world.now + 300 * SECOND);
        assert_eq!(world.checks.violation(), None, "seed {seed}");
        assert_eq!(world.checks.losses, losses, "the ticket is never revoked, seed {seed}");
        assert!(world.sites[0].granted(0), "the holder is the same, seed {seed}");
    }
}
