// SPDX-License-Identifier: GPL-2.0-or-later
//! Room for jobs: how many at once, who is first, and what hung ones cannot hold up.

use super::*;

const LIMITS: Limits = Limits::processes();

fn starts(words: &[String]) -> usize {
    words.iter().filter(|word| word.starts_with("start")).count()
}

#[test]
fn reads_run_a_few_at_a_time_and_each_end_starts_the_next() {
    let mut rig = Rig::new(100);
    let started: usize = (0..100).map(|ticket| starts(&rig.offer(load(ticket)))).sum();
    assert_eq!(started, LIMITS.loads.brisk);
    for id in 0..100 {
        rig.finish(id, JobEnd::Loaded(CibLoad::Absent));
    }
    assert!(rig.slots.is_idle());
    assert_eq!(rig.slots.next_deadline(), None);
}

#[test]
fn hung_jobs_leave_room_for_others_after_a_moment() {
    let mut rig = Rig::new(100);
    for ticket in 0..20 {
        rig.offer(load(ticket));
    }
    let soon = at(0).plus(LIMITS.slow_after);
    assert_eq!(rig.slots.next_deadline(), Some(soon));
    assert_eq!(starts(&rig.tick_at(soon)), LIMITS.loads.brisk);
    assert_eq!(rig.slots.running(), 2 * LIMITS.loads.brisk);
}

#[test]
fn there_is_an_end_to_the_number_of_hung_jobs() {
    let mut rig = Rig::new(1000);
    for ticket in 0..1000 {
        rig.offer(load(ticket));
    }
    for secs in 1..25 {
        rig.tick(secs);
    }
    assert_eq!(rig.slots.running(), LIMITS.loads.total);
    // Nothing but the time limit of the first reads can change that now.
    assert_eq!(rig.slots.next_deadline(), Some(at(30)));
}

#[test]
fn hung_reads_and_hung_handlers_do_not_hold_up_each_other() {
    let mut rig = Rig::new(1000);
    for ticket in 0..500 {
        rig.offer(load(ticket));
    }
    (1..20).for_each(|secs| drop(rig.tick(secs)));
    assert_eq!(starts(&rig.offer(probe(999, 1, 600))), 1);
    (0..500).for_each(|ticket| drop(rig.offer(probe(ticket, 2, 600))));
    (20..29).for_each(|secs| drop(rig.tick(secs)));
    assert!(rig.slots.running() > LIMITS.loads.total + 8 * LIMITS.probes.brisk);
}

#[test]
fn ten_thousand_reads_cost_no_time_that_grows_with_their_number() {
    let mut rig = Rig::new(10_000);
    for ticket in 0..10_000 {
        rig.offer(load(ticket));
    }
    for id in 0..10_000 {
        assert_eq!(rig.finish(id, JobEnd::Loaded(CibLoad::Absent))[0], "loaded Absent");
    }
    assert!(rig.slots.is_idle());
}

#[test]
fn who_waits_longest_is_first() {
    let mut rig = Rig::new(100);
    for ticket in (0..100).rev() {
        rig.offer(load(ticket));
    }
    let last = 99 - LIMITS.loads.brisk;
    let words = rig.finish(0, JobEnd::Loaded(CibLoad::Absent));
    let id = LIMITS.loads.brisk;
    assert!(words.contains(&format!("start {id} load {last}")), "{words:?}");
}

#[test]
fn where_nobody_waits_or_all_room_is_taken_a_slow_job_is_no_reason_to_wake() {
    let mut rig = Rig::new(1000);
    rig.offer(load(0));
    assert_eq!(rig.slots.next_deadline(), Some(at(30)), "the read's limit only");
}
