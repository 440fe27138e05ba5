// SPDX-License-Identifier: GPL-2.0-or-later
//! Each law with the schedule that would break it.

use super::*;
use crate::model::{AttrName, AttrValue};

/// A revoke that boothd waits for as long as it takes.
fn patient_revoke() -> CibState {
    CibState { limit: secs(100_000), ..state(false, 1) }
}

#[test]
fn a_grant_starts_only_inside_its_window() {
    let mut bench = Bench::one();
    bench.write(0, 1, state(true, 1));
    assert_eq!(bench.told(), [(1, CibOutcome::TooLate)], "there is no window");
    bench.hold(0, Some(window(20)), 1);
    bench.until(12_000);
    bench.write(0, 2, state(true, 1));
    assert_eq!(bench.told(), [(2, CibOutcome::TooLate)]);
    assert!(bench.started().is_empty());
}

#[test]
fn a_grant_that_waits_is_given_up_when_it_may_not_start_any_more() {
    let mut bench = Bench::held(20);
    bench.write(0, 2, patient_revoke());
    let hung = bench.revoke();
    bench.hold(0, Some(window(20)), 1);
    bench.write(0, 3, state(true, 1));
    bench.until(11_999);
    assert_eq!(bench.told(), []);
    bench.until(12_000);
    assert_eq!(bench.told(), [(3, CibOutcome::TooLate)]);
    assert!(!bench.killed().contains(&hung));
}

#[test]
fn a_grant_is_killed_in_time_and_followed_by_a_revoke() {
    let mut bench = Bench::one();
    bench.hold(0, Some(window(20)), 1);
    bench.until(11_900);
    bench.write(0, 1, CibState { limit: secs(100), ..state(true, 1) });
    let grant = bench.grant();
    bench.until(15_999);
    assert!(bench.killed().is_empty());
    bench.until(16_000);
    assert_eq!(bench.killed(), [grant]);
    assert!(bench.started().is_empty(), "not before it is dead");
    bench.end(grant, JobEnd::Killed);
    assert_eq!(bench.told(), [(1, CibOutcome::Killed)]);
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Done);
    bench.until(60_000);
    assert!(bench.started().is_empty(), "it has been revoked");
}

#[test]
fn a_process_that_cannot_be_killed_does_not_hold_up_the_revoke() {
    let mut bench = Bench::one();
    bench.hold(0, Some(window(40)), 1);
    bench.write(0, 1, state(true, 1));
    let grant = bench.grant();
    bench.write(0, 2, state(false, 1));
    assert_eq!(bench.killed(), [grant]);
    bench.until(999);
    assert!(bench.started().is_empty());
    bench.until(1000);
    assert_eq!(bench.told(), [(1, CibOutcome::Killed)]);
    bench.revoke();
}

#[test]
fn a_grant_never_begins_while_an_older_revoke_may_take_effect() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, patient_revoke());
    let first = bench.revoke();
    bench.until(4000);
    let second = bench.revoke();
    bench.write(0, 3, state(true, 1));
    assert!(bench.started().is_empty());
    bench.end(second, JobEnd::Done);
    assert_eq!((bench.told(), bench.killed()), (vec![(2, CibOutcome::Written)], vec![first]));
    assert!(bench.started().is_empty(), "the first runs still");
    bench.now = 5000;
    bench.end(first, JobEnd::Killed);
    bench.until(5000 + G * 1010 - 1);
    assert!(bench.started().is_empty(), "the first may still take effect");
    bench.until(5000 + G * 1010);
    bench.grant();
}

#[test]
fn a_slow_revoke_is_joined_and_never_killed() {
    let mut bench = Bench::held(1000);
    bench.write(0, 2, patient_revoke());
    let mut running = vec![bench.revoke()];
    // After g, and then with pauses that double, up to 30 s.
    for at in [4, 12, 28, 58, 88, 118, 148] {
        bench.until(at * 1000 - 1);
        assert!(bench.started().is_empty(), "before {at}");
        bench.until(at * 1000);
        running.extend(bench.started().iter().map(|(job, _)| *job));
        assert!(bench.killed().is_empty(), "at {at}");
    }
    assert!(running.len() >= 8);
    bench.end(running[3], JobEnd::Done);
    assert_eq!(bench.told(), [(2, CibOutcome::Written)]);
    assert_eq!(bench.killed().len(), running.len() - 1);
}

/// What boothd waits for answers clients, and decides what it says to the others: it hears in time
/// that there is no answer yet, and what runs serves its next wish.
#[test]
fn boothd_hears_of_a_revoke_that_takes_longer_than_it_waits_and_the_revoke_goes_on() {
    let mut bench = Bench::held(1000);
    let revoke = CibState { limit: secs(3), ..state(false, 1) };
    bench.write(0, 2, revoke);
    let job = bench.revoke();
    bench.until(2999);
    assert_eq!(bench.told(), []);
    bench.until(3000);
    let late = CibOutcome::Failed("it has not ended in time, and goes on".to_owned());
    assert_eq!(bench.told(), [(2, late.clone())]);
    bench.write(0, 3, revoke);
    assert!(bench.started().is_empty() && bench.killed().is_empty(), "it goes on");
    bench.until(5999);
    assert_eq!(bench.told(), []);
    bench.until(6000);
    assert_eq!(bench.told(), [(3, late)]);
    bench.write(0, 4, revoke);
    bench.end(job, JobEnd::Done);
    assert_eq!(bench.told(), [(4, CibOutcome::Written)]);
    bench.started();
    for joined in bench.killed() {
        bench.end(joined, JobEnd::Killed);
    }
    bench.write(0, 5, revoke);
    bench.revoke();
}

/// It has stopped waiting, and wishes it again a second later: a store that always takes that long
/// would be asked for ever.
#[test]
fn boothd_hears_with_its_next_wish_that_the_revoke_has_succeeded_meanwhile() {
    let revoke = CibState { limit: secs(3), ..state(false, 1) };
    let after_an_untold_one = || {
        let mut bench = Bench::held(1000);
        bench.write(0, 2, revoke);
        let job = bench.revoke();
        bench.until(3000);
        assert_eq!(bench.told().len(), 1);
        bench.end(job, JobEnd::Done);
        bench.until(4000);
        assert_eq!(bench.told(), []);
        bench
    };
    let mut bench = after_an_untold_one();
    bench.write(0, 3, revoke);
    assert_eq!(bench.told(), [(3, CibOutcome::Written)]);
    assert!(bench.started().is_empty());
    assert_eq!(bench.keeper.watched(Place(0)), None);
    // Only once, and only if it is the same.
    bench.write(0, 4, revoke);
    bench.revoke();
    let mut bench = after_an_untold_one();
    bench.write(0, 3, state(false, 2));
    bench.revoke();
    // Nor after a grant, or for another boothd.
    let mut bench = after_an_untold_one();
    bench.write(0, 3, state(true, 1));
    bench.grant();
    bench.write(0, 4, revoke);
    assert_eq!(bench.told(), []);
    let mut bench = Bench::held(1000);
    bench.write(0, 2, revoke);
    let job = bench.revoke();
    bench.until(3000);
    bench.write(0, 3, state(true, 1));
    bench.end(job, JobEnd::Done);
    let grant = bench.grant();
    bench.end(grant, JobEnd::Done);
    bench.write(0, 4, revoke);
    bench.revoke();
    let mut bench = after_an_untold_one();
    bench.take_over(1);
    bench.write(0, 3, revoke);
    bench.revoke();
}

#[test]
fn of_many_attempts_that_hang_the_oldest_makes_room() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, patient_revoke());
    let first = bench.revoke();
    let mut killed = Vec::new();
    for second in 0..400 {
        bench.until(second * 1000);
        for job in bench.killed() {
            killed.push(job);
            bench.end(job, JobEnd::Killed);
        }
    }
    assert_eq!(killed[0], first);
    assert!(bench.keeper.running() <= 8);
    assert_eq!(bench.told(), [], "nobody is told that it has failed");
}

#[test]
fn a_revoke_that_fails_is_tried_again_twice_a_second_while_a_lease_depends_on_it() {
    let mut bench = Bench::held(20);
    bench.write(0, 2, state(false, 1));
    let mut job = bench.revoke();
    for n in 1..=100 {
        bench.end(job, JobEnd::Failed("it is ill".to_owned()));
        assert_eq!(bench.told().len(), usize::from(n == 1), "boothd hears it once");
        bench.until(n * 500);
        if n > 40 {
            // Its window has ended.
            bench.look(CibLoad::Failed("it is ill".to_owned()));
        }
        job = bench.revoke();
    }
    let notes =
        bench.out.iter().filter(|o| matches!(o, Output::Note(NoteLevel::Error, ..))).count();
    assert!((3..=8).contains(&notes), "{notes} lines of log in 50 s");
    bench.end(job, JobEnd::Done);
    assert!(matches!(&bench.out[bench.out.len() - 1], Output::Note(NoteLevel::Warning, ..)));
    bench.until(100_000);
    assert!(bench.started().is_empty());
}

#[test]
fn what_no_lease_depends_on_is_tried_again_by_whoever_wants_it() {
    let mut bench = Bench::one();
    bench.write(0, 1, state(false, 1));
    let job = bench.revoke();
    bench.end(job, JobEnd::Failed("it is ill".to_owned()));
    assert_eq!(bench.told(), [(1, CibOutcome::Failed("it is ill".to_owned()))]);
    bench.until(100_000);
    assert!(bench.started().is_empty());
}

#[test]
fn at_the_end_of_the_window_the_store_is_revoked_whoever_lives() {
    let mut bench = Bench::held(20);
    bench.until(15_999);
    assert!(bench.started().is_empty());
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(19_999);
    assert!(bench.started().is_empty());
    bench.until(20_000);
    let job = bench.revoke();
    assert!(bench.keeper.is_needed(millis(20_000)));
    assert_eq!(bench.keeper.watched(Place(0)), Some(window(20)));
    bench.end(job, JobEnd::Done);
    assert_eq!(bench.keeper.watched(Place(0)), None);
    assert_eq!(
        (bench.keeper.place(&name(0)), bench.keeper.place(&name(1))),
        (Some(Place(0)), None)
    );
    bench.until(60_000);
    assert!(bench.started().is_empty() && !bench.keeper.is_needed(millis(60_000)));
}

#[test]
fn a_look_that_hangs_does_not_hold_up_the_revoke() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    let look = bench.started()[0].0;
    bench.until(19_999);
    assert!(bench.killed().is_empty());
    bench.until(20_000);
    assert_eq!(bench.killed(), [look]);
    bench.revoke();
}

/// Simulator, mixed one-site 201601: a restarted holder had been stopped for long before it told
/// its window; a look of *g* and a revoke of *g* outlasted the lease.
#[test]
fn a_look_that_begins_late_holds_up_the_revoke_until_the_end_of_the_window_at_most() {
    let mut bench = Bench::held(40);
    bench.until(19_800);
    bench.hold(0, Some(window(20)), 1);
    assert!(matches!(bench.started()[..], [(_, Work::Look(_))]));
    bench.until(19_999);
    assert!(bench.started().is_empty());
    bench.until(20_000);
    bench.revoke();
}

#[test]
fn a_window_that_has_ended_when_it_is_told_is_revoked_at_once() {
    let mut bench = Bench::held(40);
    bench.until(20_001);
    bench.hold(0, Some(window(20)), 1);
    bench.revoke();
}

/// Another node may have been granted meanwhile.
#[test]
fn after_a_sleep_the_store_is_looked_at_first() {
    let mut bench = Bench::held(20);
    bench.now = 50_000;
    bench.step(Input::Tick);
    bench.look(stored(true, 2, expires(80)));
    bench.until(100_000);
    assert!(bench.started().is_empty());
    let mut bench = Bench::held(20);
    bench.now = 50_000;
    bench.step(Input::Tick);
    assert!(matches!(bench.started()[..], [(_, Work::Look(_))]), "and it hangs");
    bench.until(51_999);
    assert!(bench.started().is_empty());
    bench.until(52_000);
    bench.revoke();
}

#[test]
fn a_window_that_moves_on_is_not_rung_for() {
    let mut bench = Bench::held(20);
    for renewal in 1..10 {
        bench.until(renewal * 5000);
        bench.hold(0, Some(window(20 + renewal * 5)), 1);
        bench.write(0, 1 + renewal, state(true, 1));
        bench.look(stored(true, 1, expires(15 + renewal * 5)));
        let job = bench.grant();
        bench.end(job, JobEnd::Done);
    }
    bench.hold(0, None, 1);
    bench.until(200_000);
    assert!(bench.started().is_empty());
}

#[test]
fn a_fresh_attempt_begins_at_the_end_of_the_window() {
    let mut bench = Bench::held(20);
    bench.until(17_000);
    bench.look(stored(true, 1, expires(20)));
    bench.write(0, 2, state(false, 1));
    let hung = bench.revoke();
    bench.until(19_999);
    assert!(bench.started().is_empty());
    bench.until(20_000);
    assert_ne!(bench.revoke(), hung);
}

/// Otherwise nobody would revoke what is granted behind it.
#[test]
fn a_revoke_of_an_earlier_window_does_not_end_the_watch_over_the_next() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(20_000);
    let late = bench.revoke();
    bench.hold(0, Some(window(60)), 2);
    bench.write(0, 2, state(true, 2));
    bench.end(late, JobEnd::Done);
    let grant = bench.grant();
    bench.end(grant, JobEnd::Done);
    bench.until(56_000);
    bench.look(stored(true, 2, expires(60)));
    bench.until(60_000);
    bench.revoke();
}

#[test]
fn newer_wishes_take_the_place_of_those_that_have_not_begun() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(true, 1));
    let grant = bench.grant();
    bench.write(0, 3, state(true, 1));
    bench.write(0, 4, state(true, 1));
    assert_eq!(bench.told(), [(3, CibOutcome::Superseded)]);
    bench.write(0, 5, state(false, 1));
    assert_eq!(bench.told(), [(4, CibOutcome::Superseded)]);
    assert_eq!(bench.killed(), [grant]);
    bench.write(0, 6, state(true, 1));
    assert_eq!(bench.told(), [(5, CibOutcome::Superseded)]);
    bench.end(grant, JobEnd::Done);
    assert_eq!(bench.told(), [(2, CibOutcome::Written)], "it had succeeded");
    bench.grant();
}

#[test]
fn attributes_wait_behind_everything_else() {
    let mut bench = Bench::held(60);
    let set = |value: &str| {
        let value = AttrValue::new(value).expect("good");
        AttrChange::Set(AttrName::new("a").expect("good"), value)
    };
    let (ticket, limit) = (TicketIndex::new(0), secs(G));
    bench.write(0, 2, state(true, 1));
    let grant = bench.grant();
    for (serial, value) in [(3, "x"), (4, "y")] {
        let (serial, change) = (WriteSerial(serial), set(value));
        bench.step(Input::Said(Word::Attr { ticket, serial, change, limit }));
    }
    assert!(bench.started().is_empty());
    bench.end(grant, JobEnd::Done);
    let (job, change) = bench.change();
    assert_eq!(change, Change::Attr(set("y")));
    bench.write(0, 5, state(false, 1));
    assert_eq!(bench.killed(), [job], "a revoke waits for nothing");
}

#[test]
fn a_boothd_that_was_away_for_long_may_come_from_another_node() {
    for (away, store, waits) in [
        (3999, StoreKind::Cib, false),
        (4000, StoreKind::Cib, true),
        (4000, StoreKind::Directory, false),
    ] {
        let mut bench = Bench::new(store, 1);
        bench.step(Input::Left);
        bench.until(away);
        bench.take_over(1);
        let quiet = |output: &Output| matches!(output, Output::Say(Answer::Quiet { .. }));
        assert_eq!(bench.out.iter().any(quiet), !waits, "{store:?}, away for {away} ms");
        bench.until(away + G * 1010);
        assert!(bench.out.iter().any(quiet));
    }
}

/// It may be on its way to the store when its call has given up.
#[test]
fn a_grant_never_begins_while_a_revoke_that_failed_may_take_effect() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, patient_revoke());
    let revoke = bench.revoke();
    bench.write(0, 3, state(true, 1));
    bench.now = 1000;
    bench.end(revoke, JobEnd::Failed("no answer in time".to_owned()));
    assert_eq!(bench.told(), [(2, CibOutcome::Failed("no answer in time".to_owned()))]);
    assert!(bench.keeper.is_unsettled(millis(1000)), "the next keeper must know it");
    bench.until(1000 + G * 1010 - 1);
    assert!(bench.started().is_empty());
    bench.until(1000 + G * 1010);
    bench.grant();
}

/// The keeper revokes with what the store has, boothd with the end of the lease: the same revoke.
#[test]
fn what_boothd_wishes_of_a_revoke_that_runs_is_written_once() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, 7));
    bench.until(20_000);
    let revoke = bench.revoke();
    let owner = Holder::Member(MemberId::from_raw(1));
    let expires = CibExpiry::At(WallTime::from_secs(8));
    bench.write(0, 2, CibState { owner, expires, ..patient_revoke() });
    bench.until(21_000);
    assert!(bench.started().is_empty());
    bench.end(revoke, JobEnd::Done);
    assert_eq!(bench.told(), [(2, CibOutcome::Written)]);
    bench.until(60_000);
    assert!(bench.started().is_empty());
}
