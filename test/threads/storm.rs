// SPDX-License-Identifier: GPL-2.0-or-later
//! Storms of a second each, and stops at random moments.

use crate::rig::{Rig, Temper};
use booth::prng::Prng;
use booth::time::Span;
use std::fs;
use std::sync::atomic::Ordering;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

/// Storms come one after the other: they count threads and descriptors of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

fn storm(seed: u64, temper: Temper, lasts: Duration) -> (u64, u64) {
    let rig = Rig::start(seed, temper);
    sleep(lasts);
    let counts = std::sync::Arc::clone(&rig.counts);
    let (stats, took) = rig.stop();
    println!(
        "seed {seed}, {temper:?}: {} steps in {} rounds, {} slow, the longest {}, stopped after \
         {took:?}; {counts:?}",
        stats.steps, stats.rounds, stats.slow_rounds, stats.longest_round
    );
    // The machine may take the processor away from the loop at any time; what the loop itself
    // waits for would show in many rounds.
    assert!(stats.slow_rounds <= 2 + stats.rounds / 50, "seed {seed}: {stats:?}");
    assert!(stats.longest_round < Span::from_secs(1), "seed {seed}: {stats:?}");
    assert!(took < Duration::from_secs(1), "seed {seed}: {took:?}");
    (stats.steps, counts.answers.load(Ordering::Relaxed))
}

#[test]
fn the_loop_keeps_its_pace_among_floods_and_slow_workers() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (steps, answers) = storm(1, Temper::Slow, Duration::from_secs(2));
    assert!(steps > 1_000, "{steps} steps");
    assert!(answers > 10, "{answers} answers");
}

#[test]
fn a_stuck_executor_stops_neither_clients_nor_the_end() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (steps, answers) = storm(2, Temper::Stuck, Duration::from_secs(2));
    assert!(steps > 1_000, "{steps} steps");
    assert!(answers > 10, "{answers} answers");
}

#[test]
fn stopping_at_random_moments_leaves_no_thread_and_no_descriptor() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut random = Prng::new(7);
    // The test's own threads are there before and after.
    let threads = entries("/proc/self/task");
    let descriptors = entries("/proc/self/fd");
    for seed in 10..40 {
        let temper = if seed % 3 == 0 { Temper::Stuck } else { Temper::Slow };
        storm(seed, temper, Duration::from_millis(random.below(80)));
    }
    assert_eq!(entries("/proc/self/fd"), descriptors);
    // The runner itself may end or start a thread meanwhile, but not dozens.
    let now = entries("/proc/self/task");
    assert!(now <= threads + 2, "{now} threads, {threads} before");
}
