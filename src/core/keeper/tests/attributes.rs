// SPDX-License-Identifier: GPL-2.0-or-later
//! Changes of attributes: their order, their number, and what boothd hears of them.

use super::*;
use crate::model::{AttrName, AttrValue};

fn set(name: &str) -> AttrChange {
    let value = AttrValue::new("x").expect("good");
    AttrChange::Set(AttrName::new(name).expect("good"), value)
}

fn delete(name: &str) -> AttrChange {
    AttrChange::Delete(AttrName::new(name).expect("good"))
}

fn wish(bench: &mut Bench, serial: u64, change: AttrChange) {
    let (ticket, serial, limit) = (TicketIndex::new(0), WriteSerial(serial), secs(G));
    bench.step(Input::Said(Word::Attr { ticket, serial, change, limit }));
}

/// Takes out what boothd was told of attributes.
fn told(bench: &mut Bench) -> Vec<(u64, CibOutcome)> {
    let mut told = Vec::new();
    bench.out.retain(|output| match output {
        Output::Say(Answer::AttrWritten { serial, outcome, .. }) => {
            told.push((serial.0, outcome.clone()));
            false
        }
        _ => true,
    });
    told
}

#[test]
fn boothd_hears_what_became_of_each_change() {
    let mut bench = Bench::one();
    let ill = || "it is ill".to_owned();
    for (serial, end, outcome) in [
        (1, JobEnd::Done, CibOutcome::Written),
        (2, JobEnd::Failed(ill()), CibOutcome::Failed(ill())),
        (3, JobEnd::Killed, CibOutcome::Killed),
    ] {
        bench.until(serial * 20_000);
        wish(&mut bench, serial, set("a"));
        let (job, change) = bench.change();
        assert_eq!(change, Change::Attr(set("a")));
        assert_eq!(told(&mut bench), []);
        bench.end(job, end);
        assert_eq!(told(&mut bench), [(serial, outcome)]);
    }
}

#[test]
fn a_change_of_an_attribute_replaces_one_of_the_same_that_waits() {
    let mut bench = Bench::one();
    wish(&mut bench, 1, set("a"));
    let (job, _) = bench.change();
    wish(&mut bench, 2, set("a"));
    wish(&mut bench, 3, set("b"));
    wish(&mut bench, 4, delete("a"));
    assert_eq!(told(&mut bench), [(2, CibOutcome::Superseded)], "the first runs");
    bench.end(job, JobEnd::Done);
    assert_eq!(told(&mut bench), [(1, CibOutcome::Written)]);
    for (serial, wished) in [(4, delete("a")), (3, set("b"))] {
        let (job, change) = bench.change();
        assert_eq!(change, Change::Attr(wished));
        bench.end(job, JobEnd::Done);
        assert_eq!(told(&mut bench), [(serial, CibOutcome::Written)]);
    }
}

#[test]
fn at_most_32_changes_of_attributes_wait() {
    let mut bench = Bench::one();
    for n in 0..=32 {
        wish(&mut bench, n, set(&format!("a{n}")));
    }
    assert_eq!(told(&mut bench), [], "one runs, 32 wait");
    wish(&mut bench, 33, set("b"));
    let text = "32 changes of attributes are waiting already".to_owned();
    assert_eq!(told(&mut bench), [(33, CibOutcome::Failed(text))]);
    wish(&mut bench, 34, set("a32"));
    assert_eq!(told(&mut bench), [(32, CibOutcome::Superseded)], "this makes no more");
}

#[test]
fn only_a_window_that_is_guarded_ends_a_change_of_an_attribute() {
    let mut bench = Bench::held(20);
    bench.write(0, 2, state(false, 1));
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Done);
    bench.until(15_000);
    let (ticket, serial, limit) = (TicketIndex::new(0), WriteSerial(3), secs(100));
    bench.step(Input::Said(Word::Attr { ticket, serial, change: set("a"), limit }));
    bench.change();
    bench.until(114_999);
    assert_eq!(bench.killed(), []);
}

#[test]
fn a_change_of_an_attribute_waits_until_a_failed_revoke_can_no_longer_take_effect() {
    let mut bench = Bench::one();
    bench.write(0, 1, state(false, 1));
    let revoke = bench.revoke();
    bench.end(revoke, JobEnd::Failed("it is ill".to_owned()));
    wish(&mut bench, 2, set("a"));
    assert!(bench.started().is_empty());
    assert_eq!(bench.keeper.next_deadline(), Some(millis(G * 1010)));
    bench.until(G * 1010);
    bench.change();
}
