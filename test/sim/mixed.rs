// SPDX-License-Identifier: GPL-2.0-or-later
//! Mixed clusters as a test; what is promised in them is in README.md, "Mixed clusters".

use booth_sim::plan::Plan;
use booth_sim::reference::Mode;
use booth_sim::report::{failure_of, totals_of};
use booth_sim::runner::run_seed;

/// Seeds of the quick set.
const QUICK: std::ops::Range<u64> = 1..41;
/// Seeds for the reference in each position; each is run five times.
const POSITIONED: std::ops::Range<u64> = 1..21;
/// Runs that have failed once.
const SEEDS: &str = include_str!("reference/seeds.txt");

fn must_pass(mode: Mode, seed: u64) {
    let settings = mode.settings();
    if run_seed(seed, &settings).violation.is_some() {
        let command = format!(
            "cargo run --release --example sim -- --mixed {} --seed {seed} --seeds 1",
            mode.name(),
        );
        panic!("{}", failure_of(&Plan::draw(seed), &settings, &command, 50));
    }
}

#[test]
fn the_promise_holds_beside_reference_members_that_keep_the_rules() {
    for seed in QUICK {
        must_pass(Mode::Rules, seed);
    }
}

/// Beside the reference as it is, at every place; and no more often than with it alone are there
/// two holders at once.
#[test]
fn no_member_of_ours_is_to_blame_for_two_holders_and_there_are_fewer() {
    let mut most = None;
    for mode in Mode::POSITIONS {
        let totals = totals_of(mode, POSITIONED);
        println!("{:>12}: {}", mode.name(), totals.mixed_text());
        assert_eq!(totals.violations, 0, "{mode:?}");
        let (runs, times, _, _) = totals.mixed;
        let (most_runs, most_times) = *most.get_or_insert((runs, times));
        assert!(runs <= most_runs && times <= most_times, "{mode:?} is worse than theirs alone");
    }
    assert!(most.is_some_and(|(runs, _)| runs > 5), "the model has the reference's faults");
}

#[test]
fn mixed_runs_that_failed_once_do_not_fail_again() {
    let mut count = 0;
    for line in SEEDS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let mode = words.next().and_then(Mode::named);
        let seed = words.next().and_then(|seed| seed.parse().ok());
        let (Some(mode), Some(seed)) = (mode, seed) else { panic!("not a mode and seed: {line}") };
        must_pass(mode, seed);
        count += 1;
    }
    assert!(count > 0, "there are such seeds");
}

#[test]
fn a_mixed_run_has_the_same_digest_every_time_and_another_than_the_seed_alone() {
    for mode in Mode::ALL {
        for seed in 1..3 {
            let (first, second) =
                (run_seed(seed, &mode.settings()), run_seed(seed, &mode.settings()));
            assert_eq!((first.digest, first.steps), (second.digest, second.steps), "seed {seed}");
            let ours = run_seed(seed, &booth_sim::runner::Settings::default());
            assert_ne!(first.digest, ours.digest, "{mode:?}, seed {seed}");
        }
    }
}
