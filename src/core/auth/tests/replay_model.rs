// SPDX-License-Identifier: GPL-2.0-or-later
//! The replay guard (L15) against a naive one that never forgets.

use crate::auth::envelope::Proof;
use crate::auth::ReplayGuard;
use crate::model::MemberId;
use crate::time::{Span, WallTime};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Small, so that seconds are forgotten, revisited and crowded all the time.
const SKEW: u64 = 20;
const MEMBERS: u32 = 3;
const BASE: u64 = 1_000;

/// One packet at some time.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// How our clock moves before it, in seconds.
    clock: i64,
    from: u32,
    /// Its stamp against our clock, within the skew: the opener refuses others.
    offset: i64,
    mac: u64,
}

fn step(clock: impl Strategy<Value = i64>) -> impl Strategy<Value = Step> {
    let skew = i64::try_from(SKEW).expect("small");
    (clock, 0..MEMBERS, -skew..=skew, 0..4_u64).prop_map(|(clock, from, offset, mac)| Step {
        clock,
        from,
        offset,
        mac,
    })
}

/// What was let in: sender, second, MAC.
type Came = BTreeSet<(u32, u64, u64)>;

/// Where the runs are after a step.
struct View<'a> {
    guard: &'a ReplayGuard,
    /// All packets that were let in, this one too.
    came: &'a Came,
    /// The newest time that our clock has shown.
    newest: u64,
    wall: u64,
    proof: Proof,
    /// Whether an equal packet was let in before.
    before: bool,
    /// Whether this one was.
    admitted: bool,
}

/// Runs the steps and hands each one to `check`.
fn run(room: usize, steps: &[Step], mut check: impl FnMut(&View<'_>)) {
    let members = (0..MEMBERS).map(MemberId::from_raw);
    let mut guard = ReplayGuard::with_room_for(room, members, Span::from_secs(SKEW));
    let mut came = Came::new();
    let (mut wall, mut newest) = (BASE, BASE);
    for step in steps {
        wall = wall.saturating_add_signed(step.clock);
        let secs = wall.saturating_add_signed(step.offset);
        let proof = Proof { from: MemberId::from_raw(step.from), secs, mac: step.mac };
        let before = came.contains(&(step.from, secs, step.mac));
        let admitted = guard.admit(Some(proof), WallTime::from_secs(wall)).is_ok();
        if admitted {
            came.insert((step.from, secs, step.mac));
        }
        newest = newest.max(wall);
        check(&View { guard: &guard, came: &came, newest, wall, proof, before, admitted });
    }
}

proptest! {
    /// With room and a clock that does not go back, only replays are refused.
    #[test]
    fn with_room_it_is_the_naive_guard(steps in vec(step(0..4_i64), 1..400)) {
        run(1 << 20, &steps, |view| assert_eq!(view.admitted, !view.before, "{:?}", view.proof));
    }

    /// Whatever the room, and while the clock goes back by no more than the skew in all, nothing
    /// is let in twice.
    #[test]
    fn nothing_comes_in_twice(room in 1..60_usize, steps in vec(step(-3..4_i64), 1..400)) {
        let mut newest = BASE;
        let mut kept = Vec::new();
        let mut wall = BASE;
        for step in steps {
            let next = wall.saturating_add_signed(step.clock);
            newest = newest.max(next);
            if next + SKEW >= newest {
                wall = next;
                kept.push(step);
            }
        }
        run(room, &kept, |view| {
            assert!(!(view.before && view.admitted), "{:?} came in twice", view.proof);
        });
    }

    /// Whatever the clock does, memory is bounded, and a fresh packet of the latest second that
    /// is accepted comes in, unless all the room is taken by packets of the present second and
    /// later ones. Those may lie ahead of what is accepted now, if our clock was set back.
    #[test]
    fn memory_is_bounded_and_fresh_packets_come_in(
        room in 1..60_usize,
        steps in vec(step(prop_oneof![8 => -3..4_i64, 1 => -200..200_i64]), 1..400),
    ) {
        let bound = room * usize::try_from(MEMBERS).expect("small");
        run(room, &steps, |&View { guard, came, newest, wall, proof, .. }| {
            assert!(guard.remembered() <= bound, "{} of {bound}", guard.remembered());
            let fresh = Proof { secs: wall + SKEW, mac: u64::MAX, ..proof };
            let from = proof.from.raw();
            let ahead = came.range((from, wall, 0)..=(from, newest + SKEW, u64::MAX)).count();
            let verdict = guard.clone().admit(Some(fresh), WallTime::from_secs(wall));
            let crowded = verdict == Err(crate::auth::AuthError::Crowded { from: proof.from });
            assert!(verdict == Ok(()) || crowded && ahead >= room, "{fresh:?}: {verdict:?}");
        });
    }

    /// What cannot be forgotten, because it is not past, is all that refuses a fresh packet: with
    /// a clock that does not go back, exactly as much of it as there is room for.
    #[test]
    fn only_a_crowd_that_is_not_past_refuses_fresh_packets(
        room in 1..12_usize,
        steps in vec(step(0..4_i64), 1..400),
    ) {
        run(room, &steps, |&View { guard, came, newest, wall, proof, .. }| {
            let from = proof.from.raw();
            let ahead = came.range((from, wall, 0)..=(from, newest + SKEW, u64::MAX)).count();
            let fresh = Proof { secs: wall + SKEW, mac: u64::MAX, ..proof };
            let verdict = guard.clone().admit(Some(fresh), WallTime::from_secs(wall));
            assert_eq!(verdict.is_ok(), ahead < room, "{fresh:?}: {verdict:?}");
        });
    }
}
