// SPDX-License-Identifier: GPL-2.0-or-later
//! What somebody does by hand to the store of a ticket that is held.

use super::*;

/// A ticket that is held and about to be renewed.
fn renewing() -> Bench {
    let mut bench = Bench::held(60);
    bench.until(5000);
    bench.hold(0, Some(window(80)), 1);
    bench.write(0, 2, state(true, 1));
    bench
}

/// The warnings so far.
fn warnings(bench: &mut Bench) -> Vec<String> {
    let mut texts = Vec::new();
    bench.out.retain(|output| match output {
        Output::Note(NoteLevel::Warning, _, text) => {
            texts.push(text.clone());
            false
        }
        _ => true,
    });
    texts
}

#[test]
fn a_renewal_says_if_the_store_does_not_say_granted_any_more() {
    for (load, said) in [
        (stored(true, 1, expires(60)), false),
        (stored(false, 1, 0), true),
        (CibLoad::Absent, true),
        (CibLoad::Failed("it is ill".to_owned()), false),
    ] {
        let mut bench = renewing();
        bench.look(load.clone());
        let texts = warnings(&mut bench);
        assert_eq!(!texts.is_empty(), said, "{load:?}: {texts:?}");
        assert!(texts.iter().all(|text| text.contains("revoked it there or cleaned it up")));
        let job = bench.grant();
        bench.end(job, JobEnd::Done);
        assert_eq!(bench.told(), [(2, CibOutcome::Written)], "{load:?}");
    }
}

#[test]
fn a_renewal_does_not_wait_for_long() {
    let mut bench = renewing();
    let [(look, Work::Look(_))] = bench.started()[..] else { panic!("no look") };
    bench.until(6999);
    assert_eq!((bench.started(), bench.killed()), (vec![], vec![]));
    bench.until(7000);
    assert_eq!(bench.killed(), [look]);
    bench.grant();
    bench.end(look, JobEnd::Killed);
}

/// Nor one whose window is about to end.
#[test]
fn a_late_renewal_does_not_wait_at_all() {
    let mut bench = Bench::held(60);
    bench.until(5000);
    let short = HoldWindow { start_before: millis(6500), ..window(80) };
    bench.hold(0, Some(short), 1);
    bench.write(0, 2, state(true, 1));
    bench.grant();
}

#[test]
fn a_revoke_waits_for_no_look_and_its_answer_is_no_news() {
    let mut bench = renewing();
    let [(look, Work::Look(_))] = bench.started()[..] else { panic!("no look") };
    bench.write(0, 3, state(false, 1));
    let job = bench.revoke();
    bench.end(job, JobEnd::Done);
    bench.end(look, JobEnd::Looked(stored(false, 1, 0)));
    assert_eq!(warnings(&mut bench), [""; 0]);
    assert!(bench.started().is_empty());
}

/// A look costs as much as a renewal: with many tickets few renewals have one.
#[test]
fn of_many_renewals_few_look() {
    let looks = |count: usize| {
        let mut bench = Bench::new(StoreKind::Cib, count);
        let mut looks = 0;
        for round in 0..13 {
            bench.until(round * 5000);
            for ticket in 0..count {
                bench.hold(ticket, Some(window(20 + round * 5)), 1);
                bench.write(ticket, round * 1000 + ticket as u64, state(true, 1));
            }
            for _ in 0..count * 2 {
                for (job, work) in bench.started() {
                    let ends = match &work {
                        Work::Change(changes) => vec![(changes[0].0, JobEnd::Done)],
                        Work::Look(places) => {
                            looks += 1;
                            let load = stored(true, 1, 0);
                            places.iter().map(|p| (*p, JobEnd::Looked(load.clone()))).collect()
                        }
                    };
                    bench.step(Input::Ended(job, ends));
                }
            }
        }
        looks
    };
    assert_eq!(looks(1), 12, "of 12 renewals in a minute");
    let many = looks(80);
    assert!(many <= 80, "{many} of 960 renewals");
}

/// Who takes over has read the store, or waits for it: what the one before wrote is no news.
#[test]
fn a_first_grant_after_a_restart_accuses_nobody() {
    // The ticket was revoked through another node, or by hand and boothd has read so at its start.
    let mut bench = Bench::held(60);
    bench.until(5000);
    bench.step(Input::Left);
    bench.until(7000);
    bench.take_over(1);
    bench.hold(0, Some(window(80)), 5);
    bench.write(0, 2, state(true, 5));
    for (job, work) in bench.started() {
        let end = match work {
            Work::Look(_) => JobEnd::Looked(stored(false, 4, 0)),
            Work::Change(_) => JobEnd::Done,
        };
        bench.end(job, end);
    }
    assert_eq!(warnings(&mut bench), [""; 0]);
}

/// Nor is what was begun before, and ended after it.
#[test]
fn a_grant_that_ends_after_a_restart_is_not_known_to_stand() {
    let mut bench = renewing();
    bench.look(stored(true, 1, expires(60)));
    let job = bench.grant();
    bench.step(Input::Left);
    bench.take_over(1);
    bench.end(job, JobEnd::Done);
    bench.until(12_000);
    bench.hold(0, Some(window(80)), 5);
    bench.write(0, 3, state(true, 5));
    bench.grant();
}

#[test]
fn a_renewal_soon_after_another_is_not_checked() {
    let mut bench = renewing();
    bench.look(stored(true, 1, expires(60)));
    let job = bench.grant();
    bench.end(job, JobEnd::Done);
    for (at, checked) in [(6000, false), (8999, false), (9000, true)] {
        bench.until(at);
        bench.write(0, at, state(true, 1));
        if checked {
            bench.look(stored(true, 1, expires(80)));
        }
        let job = bench.grant();
        bench.end(job, JobEnd::Done);
    }
}

/// Looks that the kernel cannot end take all the room there is.
#[test]
fn a_renewal_whose_look_gets_no_room_is_written_all_the_same() {
    let mut bench = Bench::new(StoreKind::Cib, 65);
    for ticket in 0..64 {
        bench.hold(ticket, Some(window(20 + ticket as u64)), 1);
    }
    bench.hold(64, Some(window(200)), 1);
    bench.write(64, 1, state(true, 1));
    let grant = bench.grant();
    bench.step(Input::Ended(grant, vec![(Place(64), JobEnd::Done)]));
    bench.let_looks_hang();
    bench.write(64, 2, state(true, 1));
    bench.until(100_999);
    assert!(bench.started().is_empty());
    bench.until(101_000);
    bench.grant();
}
