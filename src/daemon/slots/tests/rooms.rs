// SPDX-License-Identifier: GPL-2.0-or-later
//! Room for jobs: how many at once, who is first, and what hung ones cannot hold up.

use super::*;
use crate::engine::CibLoad;

const LIMITS: Limits = Limits::processes();

fn starts(words: &[String]) -> usize {
    words.iter().filter(|word| word.starts_with("start")).count()
}

#[test]
fn reads_run_a_few_at_a_time_and_each_end_starts_the_next() {
    let mut rig = Rig::new(100);
    let started: usize = (0..100).map(|ticket| starts(&rig.offer(load(ticket)))).sum();
    assert_eq!(started, LIMITS.changes.brisk);
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
    assert_eq!(starts(&rig.tick_at(soon)), LIMITS.changes.brisk);
    assert_eq!(rig.slots.running(), 2 * LIMITS.changes.brisk);
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
    assert_eq!(rig.slots.running(), LIMITS.changes.total);
    // Nothing but the time limit of the first reads can change that now.
    assert_eq!(rig.slots.next_deadline(), Some(at(30)));
}

#[test]
fn a_revoke_starts_at_once_behind_any_number_of_other_hung_jobs() {
    let mut rig = Rig::new(1000);
    for ticket in 0..500 {
        rig.offer(hold(ticket, 600));
        rig.offer(grant(ticket, 1));
        rig.offer(probe(ticket, 1, 600));
    }
    for secs in 1..20 {
        rig.tick(secs);
    }
    assert_eq!(rig.slots.running(), LIMITS.changes.total + LIMITS.probes.total);
    assert_eq!(starts(&rig.offer(revoke(999, 2))), 1);
}

#[test]
fn writes_go_before_attributes_and_attributes_before_reads() {
    let mut rig = Rig::new(100);
    for ticket in 0..LIMITS.changes.brisk {
        rig.offer(load(ticket));
    }
    rig.offer(load(50));
    rig.offer(attr(51, 1, "a"));
    rig.offer(hold(52, 600));
    rig.offer(grant(52, 2));
    let done = || JobEnd::Loaded(CibLoad::Absent);
    assert!(rig.finish(0, done())[1].ends_with("grant 52"));
    assert!(rig.finish(1, done())[1].ends_with("attr 51"));
    assert!(rig.finish(2, done())[1].ends_with("load 50"));
}

#[test]
fn a_ticket_that_wants_something_better_changes_its_queue() {
    let mut rig = Rig::new(100);
    for ticket in 0..LIMITS.changes.brisk {
        rig.offer(load(ticket));
    }
    assert!(rig.offer(load(50)).is_empty());
    assert!(rig.offer(revoke(50, 1))[0].ends_with("revoke 50"));
    let free = rig.finish(0, JobEnd::Loaded(CibLoad::Absent));
    assert_eq!(starts(&free), 0, "the read waits behind its own ticket's revoke");
}

#[test]
fn ten_thousand_revokes_cost_no_time_that_grows_with_their_number() {
    let mut rig = Rig::new(10_000);
    for ticket in 0..10_000 {
        rig.offer(revoke(ticket, 1));
    }
    for id in 0..10_000 {
        assert_eq!(rig.finish(id, JobEnd::Done)[0], "written 1 Written");
    }
    assert!(rig.slots.is_idle());
}
