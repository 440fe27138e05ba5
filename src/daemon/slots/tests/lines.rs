// SPDX-License-Identifier: GPL-2.0-or-later
//! One ticket's line: order, coalescing, deadlines.

use super::*;
use crate::daemon::slots::{exec_check, TooLate};
use crate::engine::CibLoad;
use crate::time::Now;

#[test]
fn a_newer_write_takes_the_place_of_one_that_waits() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 60));
    assert_eq!(rig.offer(grant(0, 1)), ["start 0 grant 0"]);
    assert!(rig.offer(grant(0, 2)).is_empty());
    assert_eq!(rig.offer(grant(0, 3)), ["written 2 Superseded"]);
    assert_eq!(rig.finish(0, JobEnd::Done), ["written 1 Written", "start 1 grant 0"]);
    assert_eq!(rig.finish(1, JobEnd::Done), ["written 3 Written"]);
}

#[test]
fn a_revoke_kills_a_running_grant_and_follows_it() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 60));
    rig.offer(grant(0, 1));
    assert_eq!(rig.offer(revoke(0, 2)), ["kill 0"]);
    assert_eq!(rig.finish(0, JobEnd::Killed), ["written 1 Killed", "start 1 revoke 0"]);
    assert_eq!(rig.finish(1, JobEnd::Done), ["written 2 Written"]);
}

#[test]
fn a_grant_that_succeeded_before_the_kill_reached_it_is_written() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 60));
    rig.offer(grant(0, 1));
    rig.offer(revoke(0, 2));
    assert_eq!(rig.finish(0, JobEnd::Done), ["written 1 Written", "start 1 revoke 0"]);
}

#[test]
fn a_revoke_goes_before_attributes_and_reads_and_ends_those_that_run() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.offer(attr(0, 1, "a")), ["start 0 attr 0"]);
    rig.offer(attr(0, 2, "b"));
    rig.offer(load(0));
    assert_eq!(rig.offer(revoke(0, 3)), ["kill 0"]);
    assert_eq!(rig.finish(0, JobEnd::Killed), ["attr 1 Killed", "start 1 revoke 0"]);
    assert_eq!(rig.finish(1, JobEnd::Done), ["written 3 Written", "start 2 attr 0"]);
    assert_eq!(rig.finish(2, JobEnd::Done), ["attr 2 Written", "start 3 load 0"]);
}

#[test]
fn a_running_revoke_is_not_killed_for_another() {
    let mut rig = Rig::new(1);
    rig.offer(revoke(0, 1));
    assert!(rig.offer(revoke(0, 2)).is_empty());
    assert_eq!(rig.finish(0, JobEnd::Done), ["written 1 Written", "start 1 revoke 0"]);
}

#[test]
fn what_cannot_be_killed_does_not_hold_up_the_revoke_for_more_than_a_second() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 60));
    rig.offer(grant(0, 1));
    rig.offer(revoke(0, 2));
    assert_eq!(rig.slots.next_deadline(), Some(at(1)));
    assert_eq!(rig.tick(1), ["written 1 Killed", "start 1 revoke 0"]);
    assert_eq!(rig.slots.running(), 2);
    assert!(rig.finish(0, JobEnd::Done).is_empty(), "it was given up");
    assert_eq!(rig.finish(1, JobEnd::Done), ["written 2 Written"]);
    assert!(rig.slots.is_idle());
}

#[test]
fn a_grant_without_a_window_or_after_its_time_is_too_late() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.offer(grant(0, 1)), ["written 1 TooLate"]);
    rig.offer(hold(0, 60));
    assert!(rig.tick(50).is_empty());
    assert_eq!(rig.offer(grant(0, 2)), ["written 2 TooLate"]);
    rig.offer(hold(0, 61));
    assert_eq!(rig.offer(grant(0, 3)), ["start 0 grant 0"]);
}

#[test]
fn a_grant_that_waits_is_dropped_when_its_time_has_passed() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 20));
    rig.offer(attr(0, 1, "a"));
    rig.offer(grant(0, 2));
    assert_eq!(rig.slots.next_deadline(), Some(at(10)));
    assert_eq!(rig.tick(10), ["written 2 TooLate"]);
}

#[test]
fn a_running_grant_is_killed_when_the_moving_deadline_is_reached() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 20));
    rig.offer(grant(0, 1));
    assert_eq!(rig.slots.next_deadline(), Some(at(15)));
    assert_eq!(rig.offer(hold(0, 26)), ["guard 0"]);
    assert!(rig.tick(15).is_empty());
    assert_eq!(rig.slots.next_deadline(), Some(at(21)));
    assert_eq!(rig.tick(21), ["kill 0"]);
    assert_eq!(rig.finish(0, JobEnd::Killed), ["written 1 Killed"]);
}

#[test]
fn a_window_that_moves_back_kills_at_once_and_so_does_its_end() {
    for wish in [hold(0, 20), Effect::Hold { ticket: t(0), window: None, term: Term::new(1) }] {
        let mut rig = Rig::new(1);
        rig.offer(hold(0, 60));
        rig.tick(16);
        rig.offer(grant(0, 1));
        assert_eq!(rig.offer(wish)[1..], ["kill 0"]);
    }
}

#[test]
fn a_change_is_killed_at_its_own_limit() {
    let mut rig = Rig::new(1);
    rig.offer(hold(0, 600));
    for (index, wish) in [grant(0, 1), revoke(0, 2), attr(0, 3, "a")].into_iter().enumerate() {
        let start = u64::try_from(index).expect("small") * 100;
        rig.tick(start);
        assert!(rig.offer(wish)[0].starts_with("start"));
        assert!(rig.tick(start + 29).is_empty());
        assert_eq!(rig.tick(start + 30), [format!("kill {index}")]);
        let id = u64::try_from(index).expect("small");
        assert!(rig.finish(id, JobEnd::Killed)[0].ends_with("Killed"));
    }
}

#[test]
fn a_manual_grant_needs_no_window() {
    let mut rig = Rig::new(1);
    let wish = write(0, 1, state(true, CibExpiry::Never));
    assert_eq!(rig.offer(wish), ["start 0 grant 0"]);
    assert_eq!(rig.slots.next_deadline(), Some(at(30)));
}

#[test]
fn a_read_that_hangs_is_reported_asked_to_end_and_killed() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.offer(load(0)), ["start 0 load 0"]);
    let said = rig.tick(30);
    assert!(said[0].starts_with("loaded Failed"), "{said:?}");
    assert_eq!(said[1..], ["ask 0"]);
    assert_eq!(rig.tick(32), ["kill 0"]);
    rig.offer(load(0));
    assert_eq!(rig.tick(33), ["start 1 load 0"]);
    assert!(rig.finish(0, JobEnd::Killed).is_empty());
    assert_eq!(rig.finish(1, JobEnd::Loaded(CibLoad::Absent)), ["loaded Absent"]);
}

#[test]
fn reads_that_wait_are_one() {
    let mut rig = Rig::new(1);
    rig.offer(attr(0, 1, "a"));
    rig.offer(load(0));
    rig.offer(load(0));
    assert_eq!(rig.finish(0, JobEnd::Done), ["attr 1 Written", "start 1 load 0"]);
    assert_eq!(rig.finish(1, JobEnd::Loaded(CibLoad::Absent)), ["loaded Absent"]);
}

#[test]
fn attributes_of_one_name_are_one_and_their_number_is_bounded() {
    let mut rig = Rig::new(1);
    rig.offer(attr(0, 0, "x"));
    rig.offer(attr(0, 1, "a"));
    assert_eq!(rig.offer(attr(0, 2, "a")), ["attr 1 Superseded"]);
    for serial in 3..34 {
        assert!(rig.offer(attr(0, serial, &format!("n{serial}"))).is_empty());
    }
    assert!(rig.offer(attr(0, 99, "more"))[0].starts_with("attr 99 Failed"));
}

#[test]
fn failures_and_outside_kills_are_told_apart() {
    let mut rig = Rig::new(1);
    rig.offer(revoke(0, 1));
    assert_eq!(rig.finish(0, JobEnd::Failed("no".into())), ["written 1 Failed(\"no\")"]);
    rig.offer(revoke(0, 2));
    assert_eq!(rig.finish(1, JobEnd::Killed), ["written 2 Killed"]);
    rig.offer(hold(0, 60));
    rig.offer(grant(0, 3));
    assert_eq!(rig.finish(2, JobEnd::TooLate), ["written 3 TooLate"]);
}

#[test]
fn stopping_lets_writes_finish_and_starts_nothing() {
    let mut rig = Rig::new(3);
    rig.offer(revoke(0, 1));
    rig.offer(revoke(0, 2));
    rig.offer(load(1));
    rig.offer(probe(2, 1, 60));
    let mut actions = Vec::new();
    rig.slots.stop(rig.now, &mut actions);
    assert_eq!(words(&actions), ["ask 1", "ask 2"]);
    assert!(rig.offer(revoke(1, 3)).is_empty());
    assert_eq!(rig.finish(0, JobEnd::Done), ["written 1 Written"]);
    rig.finish(1, JobEnd::Killed);
    rig.finish(2, JobEnd::Killed);
    assert!(rig.slots.is_idle());
}

#[test]
fn the_last_check_knows_the_window_and_rounds_expires_down() {
    let now = |secs| Now { mono: at(secs), wall: WallTime::from_micros(7_000_900_000) };
    let lease = state(true, CibExpiry::Lease);
    let w = window(60);
    assert_eq!(exec_check(&lease, Some(&w), now(0)), Ok(7_066));
    assert_eq!(exec_check(&lease, Some(&w), now(50)), Err(TooLate));
    assert_eq!(exec_check(&lease, None, now(0)), Err(TooLate));
    assert_eq!(exec_check(&state(true, CibExpiry::Never), None, now(0)), Ok(0));
    let told = CibExpiry::At(WallTime::from_micros(9_999_999));
    assert_eq!(exec_check(&state(false, told), Some(&w), now(55)), Ok(9));
    assert_eq!(exec_check(&state(false, CibExpiry::Lease), None, now(0)), Ok(0));
}
