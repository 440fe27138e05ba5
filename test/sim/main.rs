// SPDX-License-Identifier: GPL-2.0-or-later
//! The simulator as a test: the engine that ships, under worse weather than production has.
//!
//! A quick fixed set of seeds runs here; long runs are those of the example of the same name.

mod judge;
mod mixed;
mod patches;
mod verdicts;

use booth_sim::clock::SECOND;
use booth_sim::coverage::Coverage;
use booth_sim::hunt::Hunt;
use booth_sim::plan::Plan;
use booth_sim::quiet::{held, quiet, three, usual_ticket};
use booth_sim::report::failure_of;
use booth_sim::runner::{run_plan, run_seed, Settings};

/// Seeds of the quick set.
const QUICK: std::ops::Range<u64> = 1..121;
/// Seeds that have failed once; they run for ever.
const SEEDS: &str = include_str!("seeds.txt");

/// Aimed seeds of each family in the quick set.
const AIMED: std::ops::Range<u64> = 1..25;

/// A seed must keep the promise and come back to life; what happened in it.
fn must_pass(family: &str, seed: u64) -> Coverage {
    let settings = Settings::default();
    let plan = match Hunt::named(family) {
        Some(hunt) => hunt.draw(seed),
        None => Plan::draw(seed),
    };
    let outcome = run_plan(plan.clone(), &settings);
    if outcome.violation.is_some() {
        let command = format!(
            "cargo run --release --example sim -- --family {family} --seed {seed} --seeds 1"
        );
        panic!("{}", failure_of(&plan, &settings, &command, 50));
    }
    outcome.coverage
}

#[test]
fn a_fixed_set_of_seeds_keeps_the_promise_and_has_every_fault() {
    let mut coverage = Coverage::default();
    for seed in QUICK {
        coverage.add(&must_pass("ordinary", seed));
    }
    println!("{}", coverage.text());
    assert_eq!(coverage.missing(), [""; 0], "faults and worlds that never happened");
}

#[test]
fn aimed_plans_keep_the_promise() {
    for hunt in Hunt::ALL {
        for seed in AIMED {
            must_pass(&hunt.name(), seed);
        }
    }
}

/// Condition 4 of the promise: what a dead machine leaves behind says *granted* until boothd runs
/// at its site again, and no longer.
#[test]
fn a_machine_that_dies_with_its_guard_is_made_up_for_when_boothd_starts_again() {
    for seed in 0..60 {
        let mut world = held(quiet(seed, three(), vec![usual_ticket()]));
        let down = 300 * SECOND;
        let start = world.now + down;
        world.machine_dies(0, down, false);
        let elsewhere = world.run_until_granted(0, 0b10, 100 * SECOND);
        assert!(elsewhere.is_some(), "the other site takes over, seed {seed}");
        assert!(world.sites[0].granted(0), "nobody is left to revoke, seed {seed}");
        // A start on another machine waits for what may be under way (g), reads and revokes.
        let guard = usual_ticket().guard().as_micros();
        world.run(start + 3 * guard + 2 * SECOND);
        assert!(!world.sites[0].granted(0), "revoked when boothd runs again, seed {seed}");
        assert!(world.sites[1].granted(0), "the other site keeps it, seed {seed}");
        assert_eq!(world.checks.violation(), None, "seed {seed}");
    }
}

#[test]
fn seeds_that_failed_once_do_not_fail_again() {
    let mut count = 0;
    for line in SEEDS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let aimed = Hunt::named(first).is_some();
        let (family, number) =
            if aimed { (first, words.next().unwrap_or_default()) } else { ("ordinary", first) };
        must_pass(family, number.parse().expect("a line of seeds.txt begins with a seed"));
        count += 1;
    }
    assert!(count > 0, "seeds.txt has seeds");
}

#[test]
fn the_same_seed_gives_the_same_digest_of_all_happenings() {
    let settings = Settings::default();
    let mut digests = std::collections::BTreeSet::new();
    for seed in 1..6 {
        let (first, second) = (run_seed(seed, &settings), run_seed(seed, &settings));
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.steps, second.steps, "seed {seed}");
        let traced = run_seed(seed, &Settings { trace: true, ..Settings::default() });
        assert_eq!(first.digest, traced.digest, "reading along changes nothing, seed {seed}");
        digests.insert(first.digest);
    }
    assert_eq!(digests.len(), 5, "different seeds are different runs");
}
