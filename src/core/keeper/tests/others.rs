// SPDX-License-Identifier: GPL-2.0-or-later
//! Laws about others: another node of the site, and the boothds before and after.

use super::*;

#[test]
fn what_another_node_was_granted_since_is_left_alone() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20) + 1));
    bench.until(60_000);
    assert!(bench.started().is_empty());
    assert!(!bench.keeper.is_needed(millis(60_000)));
}

/// The cluster of this node is down when its window ends, and works again hours later: meanwhile
/// another node has been granted the ticket.
#[test]
fn what_another_node_was_granted_while_the_store_failed_is_left_alone() {
    for newer in [false, true] {
        let mut bench = Bench::held(20);
        bench.until(16_000);
        bench.look(CibLoad::Failed("it is down".to_owned()));
        bench.until(20_000);
        for n in 1..20 {
            let job = bench.revoke();
            bench.end(job, JobEnd::Failed("it is down".to_owned()));
            bench.until(20_000 + n * 500);
            bench.look(CibLoad::Failed("it is down".to_owned()));
        }
        let job = bench.revoke();
        bench.end(job, JobEnd::Failed("it is down".to_owned()));
        bench.until(30_000);
        bench.look(stored(true, if newer { 2 } else { 1 }, 5));
        if newer {
            bench.until(100_000);
            assert!(bench.started().is_empty() && !bench.keeper.is_needed(millis(100_000)));
        } else {
            let (_, change) = bench.change();
            let Change::Revoke(values) = change else { panic!("{change:?}") };
            assert_eq!(values.expires, 5, "what the store says now");
        }
    }
}

/// A keeper whose revoke hangs finds that another node was granted the ticket, and ends it.
fn outlived_by_another_node() -> (Bench, JobId) {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(20_000);
    let hung = bench.revoke();
    bench.until(20_000 + G * 1000);
    bench.look(stored(true, 2, 5));
    assert_eq!(bench.killed(), [hung]);
    (bench, hung)
}

/// The same where the first attempt hangs: it is ended.
#[test]
fn an_attempt_that_hangs_is_ended_when_another_node_was_granted_the_ticket() {
    let (mut bench, hung) = outlived_by_another_node();
    bench.end(hung, JobEnd::Killed);
    bench.until(100_000);
    assert!(bench.started().is_empty() && !bench.keeper.is_needed(millis(100_000)));
}

/// A look before another attempt has its time, and no more.
#[test]
fn a_look_that_hangs_before_another_attempt_is_ended() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(20_000);
    let first = bench.revoke();
    bench.end(first, JobEnd::Failed("it is ill".to_owned()));
    bench.until(20_500);
    let look = bench.started()[0].0;
    bench.until(22_499);
    assert!(bench.killed().is_empty() && bench.started().is_empty());
    bench.until(22_500);
    assert_eq!(bench.killed(), [look]);
    bench.revoke();
}

#[test]
fn a_successor_is_told_when_nothing_of_before_can_take_effect() {
    let mut bench = Bench::one();
    bench.hold(0, Some(window(60)), 1);
    bench.write(0, 1, state(true, 1));
    let grant = bench.grant();
    let quiet = |bench: &Bench| {
        bench.out.iter().any(|output| matches!(output, Output::Say(Answer::Quiet { .. })))
    };
    bench.take_over(1);
    assert!(!quiet(&bench), "the grant runs");
    bench.now = 1000;
    bench.end(grant, JobEnd::Killed);
    assert_eq!(bench.told(), [], "nobody waits for it");
    bench.until(1000 + G * 1010 - 1);
    assert!(!quiet(&bench) && bench.keeper.is_unsettled(millis(bench.now)));
    bench.until(1000 + G * 1010);
    assert!(quiet(&bench) && !bench.keeper.is_unsettled(millis(bench.now)));
    let before = bench.keeper.before(TicketIndex::new(0));
    assert_eq!(before.window, Some(window(60)));
    assert_eq!(before.grant, Some(Grant { term: Term::new(1), expires: expires(60) }));
}

/// Otherwise nobody knows the window any more if this keeper dies before the store may be read.
#[test]
fn a_successor_is_told_at_once_what_it_has_to_tell_another_keeper() {
    let told = |bench: &mut Bench| {
        let all: Vec<Output> = bench.out.drain(..).collect();
        all.into_iter()
            .filter_map(|output| match output {
                Output::Tell(word) => Some(word),
                _ => None,
            })
            .collect::<Vec<Word>>()
    };
    let ticket = TicketIndex::new(0);
    let grant = Grant { term: Term::new(1), expires: expires(60) };
    let read = Word::Read { ticket, grant };
    let hold = Word::Hold { ticket, window: Some(window(60)), term: Term::new(1) };
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(true, 1));
    bench.grant();
    bench.take_over(1);
    assert_eq!(told(&mut bench), [read.clone(), hold], "a grant runs, so that it is not quiet");
    // It is revoked: no lease depends on it any more.
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(false, 1));
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Done);
    bench.take_over(1);
    assert_eq!(told(&mut bench), [read]);
    // Its revoke does not work: the next keeper must go on with it.
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(20_000);
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Failed("it is ill".to_owned()));
    bench.take_over(1);
    assert_eq!(told(&mut bench).len(), 2);
    // Who is told nothing of a ticket has nothing to tell, and whoever goes to another keeper.
    bench.step(Input::Resigned);
    bench.take_over(0);
    assert_eq!(told(&mut bench), []);
}

#[test]
fn a_hung_change_of_a_dead_boothd_has_the_time_of_one_change() {
    let mut bench = Bench::one();
    bench.hold(0, Some(window(600)), 1);
    bench.write(0, 1, CibState { limit: secs(500), ..state(true, 1) });
    let grant = bench.grant();
    bench.now = 10_000;
    bench.take_over(1);
    bench.until(10_000 + G * 1000 - 1);
    assert!(bench.killed().is_empty());
    bench.until(10_000 + G * 1000);
    assert_eq!(bench.killed(), [grant]);
}

/// The store is read when it has succeeded, but not for ever later if it hangs.
#[test]
fn a_revoke_of_a_dead_boothd_is_let_finish() {
    let quiet = |bench: &Bench| {
        bench.out.iter().any(|output| matches!(output, Output::Say(Answer::Quiet { .. })))
    };
    for hangs in [false, true] {
        let mut bench = Bench::held(600);
        bench.write(0, 2, state(false, 1));
        let revoke = bench.revoke();
        bench.take_over(1);
        bench.until(1000);
        assert!(!quiet(&bench), "it runs");
        if !hangs {
            bench.end(revoke, JobEnd::Done);
            assert!(quiet(&bench));
            continue;
        }
        bench.until(G * 1000 - 1);
        assert!(!quiet(&bench), "it may end yet");
        bench.until(G * 1000);
        assert!(quiet(&bench));
    }
}

#[test]
fn what_a_dead_boothd_had_not_begun_is_forgotten_but_not_what_a_lease_needs() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, state(false, 1));
    let job = bench.revoke();
    bench.write(0, 3, state(true, 1));
    bench.take_over(1);
    bench.end(job, JobEnd::Failed("it is ill".to_owned()));
    assert_eq!(bench.told(), []);
    bench.until(500);
    bench.revoke();
}

/// It may start on another node at once, and waits there for *g*: what begins later would take
/// effect behind its back.
#[test]
fn what_a_boothd_that_leaves_had_wished_does_not_begin_any_more() {
    let mut bench = Bench::held(60);
    bench.write(0, 2, CibState { limit: secs(100), ..state(false, 1) });
    let revoke = bench.revoke();
    bench.write(0, 3, state(true, 1));
    let (ticket, serial, limit) = (TicketIndex::new(0), WriteSerial(4), secs(G));
    let change = AttrChange::Delete(crate::model::AttrName::new("x").expect("good"));
    bench.step(Input::Said(Word::Attr { ticket, serial, change, limit }));
    bench.step(Input::Left);
    bench.now = 1000;
    bench.end(revoke, JobEnd::Done);
    bench.until(59_000);
    assert!(bench.started().is_empty(), "a revoke that runs goes on, nothing begins behind it");
    // What no boothd waits for looks at the store before each attempt.
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, expires(20)));
    bench.until(20_000);
    let revoke = bench.revoke();
    bench.write(0, 2, CibState { limit: secs(100), ..state(false, 1) });
    bench.step(Input::Left);
    bench.end(revoke, JobEnd::Failed("it is ill".to_owned()));
    bench.until(21_000);
    assert!(matches!(bench.started()[..], [(_, Work::Look(_))]));
}

#[test]
fn who_knows_nothing_waits() {
    let site = Holder::Member(MemberId::from_raw(1));
    let keeper = Keeper::new(site, StoreKind::Cib, millis(4000));
    let mut bench = Bench { keeper, out: Vec::new(), now: 0 };
    bench.take_over(1);
    bench.hold(0, Some(window(60)), 1);
    bench.write(0, 1, state(true, 1));
    assert!(bench.out.is_empty() && bench.keeper.is_unsettled(millis(0)));
    bench.until(3999);
    assert!(bench.out.is_empty(), "a revoke that was begun before may take effect");
    bench.until(4000);
    assert!(matches!(bench.out[0], Output::Say(Answer::Quiet { .. })));
    bench.grant();
}

#[test]
fn an_answer_of_the_store_is_put_right_by_what_was_told_before() {
    let before =
        Before { window: Some(window(20)), grant: Some(Grant { term: Term::new(1), expires: 77 }) };
    let expires = |load, wall: u64| {
        let now = Now { mono: millis(10_000), wall: WallTime::from_secs(wall) };
        match before.correct(load, now) {
            CibLoad::Loaded(stored) => stored.expires.map(WallTime::as_secs),
            other => panic!("{other:?}"),
        }
    };
    // The lease ends in 11 s, whatever the wall clock says now.
    assert_eq!(expires(stored(true, 1, 77), 500), Some(511));
    assert_eq!(expires(stored(true, 1, 60), 5000), Some(5011));
    assert_eq!(expires(stored(true, 1, 78), 500), Some(78), "newer, from another node");
    assert_eq!(expires(stored(true, 2, 9), 500), Some(9), "newer, from another node");
    assert_eq!(expires(stored(false, 1, 77), 500), Some(77), "not granted");
    assert_eq!(Before::default().correct(stored(true, 1, 77), now(0)), stored(true, 1, 77));
    assert_eq!(before.correct(CibLoad::Absent, now(0)), CibLoad::Absent);
}

#[test]
fn of_two_grants_in_one_term_the_later_end_counts() {
    let mut bench = Bench::one();
    let ticket = TicketIndex::new(0);
    for (term, expires, counts) in [(1, 100, 100), (1, 90, 100), (1, 110, 110), (2, 50, 50)] {
        let grant = Grant { term: Term::new(term), expires };
        bench.step(Input::Said(Word::Read { ticket, grant }));
        let counts = Grant { expires: counts, ..grant };
        assert_eq!(bench.keeper.before(ticket).grant, Some(counts));
    }
}

/// What the store said last is the best that is known.
#[test]
fn a_look_that_fails_does_not_change_what_a_revoke_writes() {
    let mut bench = Bench::held(20);
    bench.until(16_000);
    bench.look(stored(true, 1, 5));
    bench.until(20_000);
    for n in 1..4 {
        let (job, change) = bench.change();
        let Change::Revoke(values) = change else { panic!("{change:?}") };
        assert_eq!(values.expires, 5, "attempt {n}");
        bench.end(job, JobEnd::Failed("it is ill".to_owned()));
        bench.until(20_000 + n * 500);
        bench.look(CibLoad::Failed("it is ill".to_owned()));
    }
}

#[test]
fn a_successor_waits_for_a_revoke_between_two_attempts_and_for_one_that_is_being_ended() {
    let quiet = |bench: &Bench| {
        bench.out.iter().any(|output| matches!(output, Output::Say(Answer::Quiet { .. })))
    };
    let mut bench = Bench::held(600);
    bench.write(0, 2, state(false, 1));
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Failed("it is ill".to_owned()));
    bench.take_over(1);
    bench.until(500);
    assert!(!quiet(&bench), "another attempt begins");
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Done);
    assert!(quiet(&bench));
    // Another node was granted the ticket while an attempt hung.
    let (mut bench, hung) = outlived_by_another_node();
    bench.take_over(1);
    bench.until(21_000 + G * 1000);
    assert!(!quiet(&bench), "it has not ended");
    bench.end(hung, JobEnd::Killed);
    assert!(quiet(&bench));
}
