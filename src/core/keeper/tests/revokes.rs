// SPDX-License-Identifier: GPL-2.0-or-later
//! Which revoke is owed, and for how long.

use super::*;

/// The store says what the last revoke wrote.
#[test]
fn a_revoke_with_other_values_is_not_done_when_the_one_before_it_is() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(false, 1));
    let first = bench.revoke();
    bench.write(0, 3, state(false, 2));
    assert_eq!(bench.told(), [(2, CibOutcome::Superseded)]);
    assert!(bench.started().is_empty(), "it waits for the first");
    bench.end(first, JobEnd::Done);
    assert_eq!(bench.told(), []);
    let second = bench.revoke();
    bench.end(second, JobEnd::Done);
    assert_eq!(bench.told(), [(3, CibOutcome::Written)]);
}

#[test]
fn a_revoke_that_boothd_waits_for_is_made_though_no_lease_depends_on_it_any_more() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(true, 1));
    let grant = bench.grant();
    bench.write(0, 3, state(false, 1));
    bench.hold(0, None, 1);
    bench.end(grant, JobEnd::Killed);
    assert_eq!(bench.told(), [(2, CibOutcome::Killed)]);
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Done);
    assert_eq!(bench.told(), [(3, CibOutcome::Written)]);
}

#[test]
fn a_failed_revoke_is_given_up_when_no_lease_depends_on_it_any_more() {
    for (next, goes_on) in [(None, false), (Some(window(60)), true)] {
        let mut bench = Bench::held(20);
        bench.write(0, 2, state(false, 1));
        let job = bench.revoke();
        bench.end(job, JobEnd::Failed("it is ill".to_owned()));
        bench.hold(0, next, 2);
        bench.until(10_000);
        assert_eq!(!bench.started().is_empty(), goes_on);
    }
}

/// What boothd finds granted when it starts, and revokes because its lease is over.
fn found() -> Bench {
    let mut bench = Bench::one();
    let (ticket, grant) = (TicketIndex::new(0), Grant { term: Term::new(1), expires: 5 });
    bench.step(Input::Said(Word::Read { ticket, grant }));
    bench
}

/// The same, after a store that is ill has refused its revoke.
fn refused() -> Bench {
    let mut bench = found();
    bench.write(0, 1, state(false, 1));
    let job = bench.revoke();
    bench.end(job, failed());
    assert_eq!(bench.told(), [(1, CibOutcome::Failed("it is ill".to_owned()))]);
    bench
}

fn failed() -> JobEnd {
    JobEnd::Failed("it is ill".to_owned())
}

/// Lines of log about a revoke that does not work, and all lines.
fn notes(bench: &Bench) -> (usize, usize) {
    let level = |output: &Output| match output {
        Output::Note(level, ..) => Some(*level),
        _ => None,
    };
    let levels: Vec<NoteLevel> = bench.out.iter().filter_map(level).collect();
    let errors = levels.iter().filter(|level| **level == NoteLevel::Error).count();
    (errors, levels.len())
}

/// boothd is stopped before it wishes the revoke again, or dies; nobody else would revoke the
/// ticket when the store is well, and another site may be granted by then.
#[test]
fn a_revoke_that_failed_goes_on_without_boothd_where_a_grant_was_found() {
    for dies in [false, true] {
        let mut bench = refused();
        if dies {
            bench.step(Input::Left);
        }
        let mut at = 0;
        for pause in [8, 16, 30, 30, 30, 30] {
            at += pause * 1000;
            bench.until(at - 1);
            assert!(bench.started().is_empty(), "before {at}");
            assert!(bench.keeper.is_needed(millis(at - 1)));
            bench.until(at);
            bench.look(stored(true, 1, 5));
            let job = bench.revoke();
            bench.end(job, failed());
        }
        assert_eq!(notes(&bench), (6, 6), "a line for each attempt, half a minute apart");
        bench.until(at + 30_000);
        bench.look(stored(true, 1, 5));
        let job = bench.revoke();
        bench.end(job, JobEnd::Done);
        assert_eq!(notes(&bench), (6, 7));
        assert!(!bench.keeper.is_needed(millis(at + 40_000)));
        if !dies {
            bench.write(0, 2, state(false, 1));
            assert_eq!(bench.told(), [(2, CibOutcome::Written)], "boothd goes on");
        }
        bench.until(at + 200_000);
        assert!(bench.started().is_empty(), "it is over");
    }
}

/// As long as boothd runs, the keeper adds nothing: no process, no line of log.
#[test]
fn a_revoke_that_boothd_wishes_again_each_second_costs_one_process_each_time() {
    let mut bench = refused();
    for n in 2..100 {
        bench.until((n - 1) * 1000);
        assert!(bench.started().is_empty(), "only boothd's wishes are tried");
        bench.write(0, n, state(false, 1));
        let job = bench.revoke();
        bench.end(job, failed());
        assert_eq!(bench.told().len(), 1);
    }
    assert_eq!(notes(&bench), (0, 0), "boothd says it");
    // One that hangs is joined after g, as if none had failed before it.
    bench.until(99_000);
    bench.write(0, 100, CibState { limit: secs(100), ..state(false, 1) });
    bench.revoke();
    bench.until(99_000 + G * 1000 - 1);
    assert!(bench.started().is_empty());
    bench.until(99_000 + G * 1000);
    bench.revoke();
}

/// boothd's next wish serves itself of what runs.
#[test]
fn a_wish_joins_the_attempt_that_the_keeper_has_begun_meanwhile() {
    let mut bench = refused();
    bench.until(8000);
    bench.look(stored(true, 1, 5));
    let job = bench.revoke();
    bench.write(0, 2, state(false, 1));
    assert!(bench.started().is_empty());
    bench.end(job, JobEnd::Done);
    assert_eq!(bench.told(), [(2, CibOutcome::Written)]);
    // While it only looks, the wish does not wait for that.
    let mut bench = refused();
    bench.until(8000);
    let look = bench.started()[0].0;
    bench.write(0, 2, state(false, 1));
    assert_eq!(bench.killed(), [look]);
    bench.revoke();
}

#[test]
fn what_is_owed_of_a_grant_that_was_found_ends_when_the_store_says_something_else() {
    let another = [stored(true, 2, 4), stored(true, 1, 6), stored(false, 2, 4)];
    for load in another.into_iter().chain([stored(false, 1, 5), CibLoad::Absent]) {
        let free = !matches!(&load, CibLoad::Loaded(stored) if stored.granted);
        let mut bench = refused();
        bench.step(Input::Left);
        bench.until(8000);
        bench.look(load);
        assert!(!bench.keeper.is_needed(millis(8000)));
        bench.until(100_000);
        assert!(bench.started().is_empty(), "it revokes behind the back of another node");
        assert_eq!(notes(&bench), (0, usize::from(!free)));
    }
    // What cannot be read may be granted.
    let mut bench = refused();
    bench.until(8000);
    bench.look(CibLoad::Failed("it is ill".to_owned()));
    bench.revoke();
}

/// A boothd that takes over while the store is ill cannot read it, and so wishes nothing: the
/// revoke that the one before it has wished goes on, also when that boothd is stopped.
#[test]
fn a_revoke_of_what_was_found_goes_on_after_a_restart_of_boothd() {
    for (leaves, hangs) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut bench = if hangs { found() } else { refused() };
        if hangs {
            bench.write(0, 1, state(false, 1));
        }
        let attempt = hangs.then(|| bench.revoke());
        bench.until(1000);
        bench.take_over(1);
        if let Some(job) = attempt {
            bench.end(job, failed());
        }
        if leaves {
            bench.step(Input::Left);
        }
        let mut at = 1000;
        let mut looked = |bench: &mut Bench, load| {
            for _ in 0..60 {
                at += 1000;
                bench.until(at);
                if bench.out.iter().any(|output| matches!(output, Output::Start(..))) {
                    return bench.look(load);
                }
            }
            panic!("nobody revokes it: leaves {leaves}, hangs {hangs}");
        };
        looked(&mut bench, stored(true, 1, 5));
        let job = bench.revoke();
        bench.end(job, failed());
        // Another node has it by now.
        looked(&mut bench, stored(true, 2, 4));
        bench.until(200_000);
        assert!(bench.started().is_empty(), "it revokes what another node was granted");
        assert!(!bench.keeper.is_needed(millis(200_000)));
    }
}

/// A newer wish, or the window of a new lease.
#[test]
fn what_is_owed_of_a_grant_that_was_found_ends_with_what_is_newer() {
    let newer: [fn(&mut Bench); 3] = [
        |bench| {
            bench.hold(0, Some(window(600)), 2);
            bench.write(0, 2, state(true, 2));
            assert_eq!(bench.keeper.settles_at(), Some(millis(G * 1010)));
            bench.until(5000);
            let job = bench.grant();
            bench.end(job, JobEnd::Done);
        },
        |bench| {
            bench.write(0, 2, state(false, 2));
            let job = bench.revoke();
            bench.end(job, JobEnd::Done);
        },
        |bench| bench.hold(0, None, 1),
    ];
    for (n, act) in newer.into_iter().enumerate() {
        let mut bench = refused();
        act(&mut bench);
        bench.until(100_000);
        assert!(bench.started().is_empty(), "{n}");
    }
    // What has been revoked since is left to boothd, like everything that was never granted here.
    let mut bench = found();
    for (n, end) in [(1, JobEnd::Done), (2, failed())] {
        bench.write(0, n, state(false, 1));
        let job = bench.revoke();
        bench.end(job, end);
    }
    bench.until(100_000);
    assert!(bench.started().is_empty());
}

#[test]
fn attributes_do_not_wait_while_a_revoke_rests() {
    let mut bench = refused();
    let (ticket, serial, limit) = (TicketIndex::new(0), WriteSerial(2), secs(G));
    let change = AttrChange::Delete(crate::model::AttrName::new("x").expect("good"));
    bench.step(Input::Said(Word::Attr { ticket, serial, change, limit }));
    bench.until(G * 1010 - 1);
    assert!(bench.started().is_empty(), "the revoke may still take effect");
    bench.until(G * 1010);
    assert!(matches!(bench.change(), (_, Change::Attr(_))));
}
