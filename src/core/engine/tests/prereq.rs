// SPDX-License-Identifier: GPL-2.0-or-later
//! `attr-prereq`, as booth.conf(5) promises it: rules of both kinds with both operators.

use super::bench::{stamp, Bench, SECOND};
use super::cluster::{spec, the_ticket};
use crate::engine::{CibOutcome, CibTicket, Effect, Event, StoreWish};
use crate::model::{AttrName, AttrOp, AttrRule, AttrValue, RuleMode, TicketMode, TicketName};
use crate::model::{Holder, TicketSpec};
use crate::wire::{ClientOptions, ClientRequest, ResultCode};

fn name(text: &str) -> AttrName {
    AttrName::new(text).expect("a name")
}

fn value(text: &str) -> AttrValue {
    AttrValue::new(text).expect("a value")
}

fn rule(mode: RuleMode, attr: &str, op: AttrOp, wanted: &str) -> AttrRule {
    AttrRule { mode, name: name(attr), op, value: value(wanted) }
}

/// A site of three, out of grace, with these rules; `a` is the attribute `a` in its store.
fn site(rules: Vec<AttrRule>, mode: TicketMode, a: Option<&str>) -> Bench {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { rules, mode, ..spec("T") });
    let attrs = a.map(|a| (name("a"), value(a))).into_iter().collect();
    bench.start(CibTicket { attrs, ..CibTicket::default() });
    bench.past_grace();
    bench
}

/// Whether it stands by itself for a ticket that was lost.
fn stands(bench: &mut Bench) -> bool {
    bench.heartbeat(1, 3, stamp(7, true));
    !bench.advance(SECOND.times(30)).stood().is_empty()
}

/// Whether an administrator's grant is tried; otherwise it is refused at once, for this reason.
fn is_granted(bench: &mut Bench) -> bool {
    let (client, deeds) = bench.grant(ClientOptions::default());
    let tried = !deeds.stood().is_empty();
    if !tried {
        assert_eq!(deeds.final_answer(client), Some(ResultCode::AttrPrereq));
    }
    tried
}

/// Operator, what the attribute is, and whether a rule about the value `x` holds.
const CASES: [(AttrOp, Option<&str>, bool); 6] = [
    (AttrOp::Equal, Some("x"), true),
    (AttrOp::Equal, Some("y"), false),
    (AttrOp::Equal, None, false),
    (AttrOp::NotEqual, Some("x"), false),
    (AttrOp::NotEqual, Some("y"), true),
    (AttrOp::NotEqual, None, true),
];

/// A rule of the kind `auto` keeps a site from standing by itself, and from nothing else.
#[test]
pub fn automatic_rules_are_looked_at_before_a_site_stands() {
    for (op, a, holds) in CASES {
        let rules = vec![rule(RuleMode::Auto, "a", op, "x")];
        let mut bench = site(rules.clone(), TicketMode::Automatic, a);
        assert_eq!(stands(&mut bench), holds, "{op:?} with {a:?}");
        let mut bench = site(rules, TicketMode::Automatic, a);
        assert!(is_granted(&mut bench), "an administrator's grant is another matter");
    }
}

/// A rule of the kind `manual` keeps an administrator from granting, and nobody else.
#[test]
pub fn manual_rules_are_looked_at_before_an_administrators_grant() {
    for (op, a, holds) in CASES {
        let rules = vec![rule(RuleMode::Manual, "a", op, "x")];
        let mut bench = site(rules.clone(), TicketMode::Automatic, a);
        assert_eq!(is_granted(&mut bench), holds, "{op:?} with {a:?}");
        let mut bench = site(rules, TicketMode::Automatic, a);
        assert!(stands(&mut bench), "a site's own standing is another matter");
    }
}

/// The same for a ticket that only administrators move.
#[test]
pub fn manual_rules_are_looked_at_before_a_manual_ticket_is_granted() {
    for (op, a, holds) in CASES {
        let rules = vec![
            rule(RuleMode::Manual, "a", op, "x"),
            rule(RuleMode::Auto, "a", AttrOp::Equal, "never"),
        ];
        let mut bench = site(rules, TicketMode::Manual, a);
        let (client, deeds) = bench.grant(ClientOptions::default());
        assert_eq!(!deeds.grants().is_empty(), holds, "{op:?} with {a:?}");
        let refused = deeds.final_answer(client) == Some(ResultCode::AttrPrereq);
        assert_eq!(refused, !holds);
    }
}

/// All rules must hold, not only one.
#[test]
pub fn every_rule_must_hold() {
    let both =
        |mode| vec![rule(mode, "a", AttrOp::Equal, "x"), rule(mode, "b", AttrOp::NotEqual, "")];
    let mut bench = site(both(RuleMode::Manual), TicketMode::Automatic, Some("x"));
    assert!(is_granted(&mut bench), "b is not there, so it does not equal");
    let mut other = both(RuleMode::Manual);
    other[1].op = AttrOp::Equal;
    let mut bench = site(other.clone(), TicketMode::Automatic, Some("x"));
    assert!(!is_granted(&mut bench), "the second does not hold");
    other.reverse();
    let mut bench = site(other, TicketMode::Automatic, Some("x"));
    assert!(!is_granted(&mut bench), "the first does not hold");
}

/// A rule that does not hold yet is looked at again, with what clients have set meanwhile.
#[test]
pub fn a_site_stands_when_its_attribute_comes_to_fit() {
    let rules = vec![rule(RuleMode::Auto, "a", AttrOp::Equal, "x")];
    let mut bench = site(rules, TicketMode::Automatic, Some("y"));
    assert!(!stands(&mut bench));
    let ticket = TicketName::new("T").ok();
    let request = ClientRequest::AttrSet { ticket, name: Some(name("a")), value: Some(value("x")) };
    let (client, deeds) = bench.ask(request);
    assert!(deeds.told(client).is_empty(), "not before the store has it");
    let serial = deeds.0.iter().find_map(|(_, effect)| match effect {
        Effect::Store(StoreWish::WriteAttr { serial, .. }) => Some(*serial),
        _ => None,
    });
    let outcome = CibOutcome::Written;
    let serial = serial.expect("the store is asked to write it");
    let deeds = bench.event(Event::AttrWritten { ticket: the_ticket(), serial, outcome });
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    assert!(!bench.advance(SECOND.times(6)).stood().is_empty(), "within a renewal-freq");
    assert_ne!(bench.listed(), Holder::Nobody);
}

/// A site that stands by itself, or has won and waits, does not have an administrator's grant that
/// the rules forbid.
#[test]
fn a_grant_does_not_join_what_the_site_does_by_itself() {
    for (a, refused) in [("x", false), ("y", true)] {
        let rules = vec![rule(RuleMode::Manual, "a", AttrOp::Equal, "x")];
        let mut bench = site(rules, TicketMode::Automatic, Some(a));
        bench.heartbeat(1, 3, stamp(7, true));
        bench.until_it_stands(SECOND.times(30));
        let (client, deeds) = bench.grant(ClientOptions::default());
        let answer = deeds.final_answer(client);
        assert_eq!(answer == Some(ResultCode::AttrPrereq), refused, "{a}: {answer:?}");
    }
}
