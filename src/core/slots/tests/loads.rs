// SPDX-License-Identifier: GPL-2.0-or-later
//! The reading place: one read at a time, limits, and changes that make a read worthless.

use super::*;

fn absent() -> JobEnd {
    JobEnd::Loaded(CibLoad::Absent)
}

#[test]
fn an_answer_is_reported_and_so_is_none() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.offer(load(0)), ["start 0 load 0"]);
    assert_eq!(rig.finish(0, absent()), ["loaded Absent"]);
    for (id, end) in [(1, JobEnd::Failed("no".into())), (2, JobEnd::Killed), (3, JobEnd::Done)] {
        rig.offer(load(0));
        assert!(rig.finish(id, end)[0].starts_with("loaded Failed"));
    }
}

#[test]
fn a_read_that_waits_serves_everybody() {
    let mut rig = Rig::new(1);
    rig.offer(load(0));
    assert!(rig.offer(load(0)).is_empty());
    assert!(rig.offer(load(0)).is_empty());
    assert_eq!(rig.finish(0, absent()), ["loaded Absent", "start 1 load 0"]);
    assert_eq!(rig.finish(1, absent()), ["loaded Absent"]);
}

#[test]
fn a_read_beyond_its_limit_is_reported_at_once_and_killed_two_seconds_later() {
    let mut rig = Rig::new(1);
    rig.offer(load(0));
    assert_eq!(rig.tick(30), [r#"loaded Failed("the store did not answer in time")"#, "ask 0"]);
    rig.offer(load(0));
    assert_eq!(rig.tick(32), ["kill 0"]);
    assert_eq!(rig.tick(33), ["start 1 load 0"], "what cannot be killed is given up");
    assert!(rig.finish(0, absent()).is_empty());
}

#[test]
fn a_change_makes_a_read_that_runs_worthless() {
    let mut rig = Rig::new(2);
    rig.offer(load(0));
    assert!(rig.spoil(1).is_empty(), "another ticket");
    let words = rig.spoil(0);
    assert_eq!(words, [r#"loaded Failed("the ticket was changed meanwhile")"#, "ask 0"]);
    assert!(rig.spoil(0).is_empty(), "once");
    assert!(rig.finish(0, absent()).is_empty());
}

#[test]
fn a_stop_asks_what_runs_to_end_and_forgets_what_waits() {
    let mut rig = Rig::new(1);
    rig.offer(load(0));
    rig.offer(load(0));
    let mut actions = Vec::new();
    rig.slots.stop(rig.now, &mut actions);
    assert_eq!(words(&actions), ["ask 0"]);
    assert!(rig.finish(0, absent()).is_empty());
    assert!(rig.slots.is_idle() && rig.slots.next_deadline().is_none());
}
