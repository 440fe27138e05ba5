// SPDX-License-Identifier: GPL-2.0-or-later
//! The probe place: one run at a time, deadlines, runs that are not wanted any more.

use super::*;

fn stop(run: u64) -> JobWish {
    JobWish::StopProbe { ticket: t(0), run: ProbeRun(run) }
}

#[test]
fn success_failure_and_kills_are_reported() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.offer(probe(0, 1, 60)), ["start 0 probe 0"]);
    assert_eq!(rig.finish(0, JobEnd::Done), ["probed 1 Success"]);
    rig.offer(probe(0, 2, 60));
    assert_eq!(rig.finish(1, JobEnd::Failed("1".into())), ["probed 2 Failed(\"1\")"]);
    rig.offer(probe(0, 3, 60));
    assert_eq!(rig.finish(2, JobEnd::Killed), ["probed 3 Failed(\"it was killed\")"]);
    rig.offer(probe(0, 4, 60));
    let end = JobEnd::Loaded(CibLoad::Absent);
    assert_eq!(rig.finish(3, end), ["probed 4 Failed(\"it gave no answer\")"]);
}

#[test]
fn a_run_beyond_its_deadline_is_reported_at_once_and_killed_two_seconds_later() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 10));
    assert_eq!(rig.tick(10), ["probed 1 TimedOut", "ask 0"]);
    assert!(rig.tick(11).is_empty());
    assert_eq!(rig.tick(12), ["kill 0"]);
    assert!(rig.finish(0, JobEnd::Killed).is_empty());
    assert!(rig.slots.is_idle());
}

#[test]
fn a_stopped_run_is_ended_without_a_word() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    assert!(rig.offer(stop(7)).is_empty(), "another run");
    assert_eq!(rig.offer(stop(1)), ["ask 0"]);
    assert!(rig.offer(stop(1)).is_empty(), "once");
    assert!(rig.finish(0, JobEnd::Done).is_empty());
}

#[test]
fn a_new_run_waits_until_the_old_one_is_gone() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    rig.offer(stop(1));
    assert!(rig.offer(probe(0, 2, 60)).is_empty());
    assert_eq!(rig.tick(2), ["kill 0"]);
    assert_eq!(rig.finish(0, JobEnd::Killed), ["start 1 probe 0"]);
    rig.offer(stop(1));
    assert_eq!(rig.finish(1, JobEnd::Done), ["probed 2 Success"]);
}

#[test]
fn a_run_that_waits_can_be_stopped_or_run_out() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    rig.offer(stop(1));
    rig.offer(probe(0, 2, 60));
    rig.offer(stop(2));
    assert!(rig.finish(0, JobEnd::Killed).is_empty(), "nothing is wanted");
    rig.offer(probe(0, 3, 60));
    rig.offer(stop(3));
    rig.offer(probe(0, 4, 1));
    assert_eq!(rig.tick(1), ["probed 4 TimedOut"]);
    assert!(rig.finish(1, JobEnd::Killed).is_empty());
}

#[test]
fn a_newer_run_takes_the_place_of_an_older_one() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    assert!(rig.offer(probe(0, 2, 60))[0].starts_with("probed 1 Failed"));
    assert!(rig.offer(probe(0, 3, 60))[0].starts_with("probed 2 Failed"));
    assert_eq!(rig.finish(0, JobEnd::Killed), ["start 1 probe 0"]);
    assert_eq!(rig.finish(1, JobEnd::Done), ["probed 3 Success"]);
}

#[test]
fn a_run_that_cannot_be_killed_is_given_up() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 10));
    rig.tick(10);
    rig.tick(12);
    rig.offer(probe(0, 2, 60));
    assert_eq!(rig.tick(13), ["start 1 probe 0"]);
    assert!(rig.finish(0, JobEnd::Done).is_empty());
    assert_eq!(rig.finish(1, JobEnd::Done), ["probed 2 Success"]);
}

#[test]
fn probes_and_the_store_do_not_wait_for_each_other() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    assert_eq!(rig.offer(load(0)), ["start 1 load 0"]);
}

#[test]
fn when_the_daemon_stops_a_running_handler_is_asked_to_end_and_a_waiting_one_forgotten() {
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    rig.offer(stop(1));
    rig.offer(probe(0, 2, 60));
    let mut actions = Vec::new();
    rig.slots.stop(rig.now, &mut actions);
    assert!(words(&actions).is_empty(), "it was asked before");
    assert!(!rig.slots.is_idle(), "it still runs");
    assert!(rig.finish(0, JobEnd::Killed).is_empty(), "the second run is forgotten");
    assert!(rig.slots.is_idle());
    let mut rig = Rig::new(1);
    rig.offer(probe(0, 1, 60));
    rig.slots.stop(rig.now, &mut actions);
    assert_eq!(words(&actions), ["ask 0"]);
}
