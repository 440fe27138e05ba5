// SPDX-License-Identifier: GPL-2.0-or-later
//! The judge itself: each thing that it must find is shown to it, and what it must let pass.

use booth_core::engine::{ClientId, TicketRow};
use booth_core::model::{AttrName, AttrOp, AttrRule, AttrValue, Holder, RuleMode, Term};
use booth_core::time::{Span, WallTime};
use booth_core::wire::{Reason, ResultCode};
use booth_sim::clients::Connection;
use booth_sim::clock::{True, MILLI, SECOND};
use booth_sim::plan::{Order, Plan};
use booth_sim::quiet::{held, quiet, three, usual_ticket};
use booth_sim::sick::Ailment;
use booth_sim::world::World;

/// Two sites and an arbitrator; the first site holds.
fn world() -> World {
    held(plan())
}

fn plan() -> Plan {
    quiet(1, three(), vec![usual_ticket()])
}

fn order(world: &World, node: usize, order: Order) -> Connection {
    let (life, since) = (world.nodes[node].life, world.now);
    Connection {
        node,
        life,
        client: ClientId(77),
        ticket: 0,
        order: Some(order),
        since,
        patient: false,
        left: false,
    }
}

fn found(world: &World) -> Option<&'static str> {
    world.checks.violation().map(|violation| violation.code)
}

/// What the judge says of this answer of a member.
fn judged(mut world: World, node: usize, what: Order, answer: ResultCode) -> Option<&'static str> {
    let connection = order(&world, node, what);
    world.decided = world.now;
    world.check_answer(&connection, answer, true);
    found(&world)
}

#[test]
fn a_success_that_is_none_is_found() {
    assert_eq!(judged(world(), 0, Order::Grant, ResultCode::Success), None, "it is granted there");
    assert_eq!(judged(world(), 1, Order::Grant, ResultCode::Success), Some("C1"));
    assert_eq!(judged(world(), 0, Order::Revoke, ResultCode::Success), Some("C1"), "it holds");
    assert_eq!(judged(world(), 1, Order::Revoke, ResultCode::TicketIdle), Some("C1"), "it knows");
    assert_eq!(judged(world(), 1, Order::Revoke, ResultCode::SyncFail), None, "no success");
}

#[test]
fn a_grant_that_was_answered_with_failure_is_found_when_it_happens() {
    let mut world = World::new(plan(), booth_sim::choice::Source::Seed, false);
    world.set_going();
    world.run(SECOND);
    let connection = order(&world, 1, Order::Grant);
    let now = world.now;
    world.checks.answers.stands(now, 1, 0, Term::new(3), Reason::Admin);
    world.clients.open.push(connection);
    world.check_commit(1, 0, true);
    assert_eq!(found(&world), None, "the order is not answered yet");
    world.check_commit(1, 0, false);
    world.clients.open.clear();
    world.check_answer(&connection, ResultCode::SyncFail, true);
    world.check_commit(1, 0, true);
    assert_eq!(found(&world), Some("C2"));
}

#[test]
fn a_client_that_waits_for_ever_is_found_during_the_chaos() {
    let mut world = world();
    let connection = order(&world, 0, Order::Revoke);
    world.clients.open.push(connection);
    world.run(world.now + 200 * SECOND);
    world.check_waiting();
    assert_eq!(found(&world), None, "there may be grace, a handler, an election and a write");
    world.run(world.now + 100 * SECOND);
    world.check_waiting();
    assert_eq!(found(&world), Some("C3"));
}

#[test]
fn a_vote_request_with_force_that_nobody_wants_is_found() {
    let judged = |asked: Order| {
        let mut world = world();
        let connection = order(&world, 1, asked);
        world.clients.open.push(connection);
        world.check_force(1, 0);
        found(&world)
    };
    assert_eq!(judged(Order::Force), None);
    assert_eq!(judged(Order::Grant), Some("C5"));
}

#[test]
fn a_list_that_is_not_true_is_found() {
    let judged = |n: usize, leader: fn(&World) -> Holder, change: fn(&mut TicketRow)| {
        let mut world = world();
        let wall = world.nodes[n].clocks[0].now(world.now).wall;
        let mut row = TicketRow {
            name: world.plan.tickets[0].name.clone(),
            manual: false,
            leader: leader(&world),
            expires: Some(wall.plus(Span::from_secs(60))),
            commit_pending: None,
            remarks: Vec::new(),
            also_granted: Vec::new(),
        };
        change(&mut row);
        world.decided = world.now;
        world.check_row(n, 0, &row);
        found(&world)
    };
    let first = |world: &World| Holder::Member(world.ids[0]);
    let nobody = |_: &World| Holder::Nobody;
    let soon = |row: &mut TicketRow| row.expires = Some(WallTime::from_secs(1_700_000_000));
    let pending = |row: &mut TicketRow| row.commit_pending = row.expires;
    assert_eq!(judged(0, first, |_| {}), None);
    assert_eq!(judged(0, nobody, |_| {}), Some("C4"), "its store says granted");
    assert_eq!(judged(1, nobody, |_| {}), Some("C4"), "it knows that another has it");
    assert_eq!(judged(1, |_| Holder::Unknown, |_| {}), None);
    assert_eq!(judged(0, first, soon), Some("C4"), "its window ends later");
    assert_eq!(judged(1, first, soon), None, "its window is not known here");
    assert_eq!(judged(1, first, pending), Some("C4"), "only the site itself knows");
}

#[test]
fn a_site_that_stands_against_a_rule_is_found() {
    for (op, reason, wrong) in [
        (AttrOp::Equal, Reason::TicketLost, true),
        (AttrOp::NotEqual, Reason::TicketLost, false),
        (AttrOp::Equal, Reason::Admin, false),
        (AttrOp::Equal, Reason::Reacquire, false),
    ] {
        let mut world = world();
        let name = AttrName::new("mode").expect("a plain name");
        let value = AttrValue::new("on").expect("a plain value");
        let mode = RuleMode::Auto;
        world.plan.tickets[0].rules = vec![AttrRule { mode, name, op, value }];
        world.prereq_stands(1, 0, Term::new(9), reason);
        assert_eq!(found(&world), wrong.then_some("S12"), "{op:?} {reason:?}");
    }
}

/// A second store says granted, as if its site stood a second ago, while the first one is ill.
fn second_holder(prepare: impl FnOnce(&mut World), after: True) -> (Option<&'static str>, World) {
    let mut world = world();
    let length = 300 * SECOND;
    world.sicken(0, Ailment::RevokesFail, length);
    prepare(&mut world);
    world.run(world.now + after);
    let stood = world.now - SECOND;
    world.checks.answers.stands(stood, 1, 0, Term::new(90), Reason::TicketLost);
    world.store_idle(1, 0);
    if let Some(entry) = &mut world.sites[1].entries[0] {
        entry.granted = true;
    }
    world.check_store(1, 0, false);
    (found(&world), world)
}

#[test]
fn a_second_holder_beside_an_ill_store_is_found_unless_that_site_was_cut_off() {
    assert_eq!(second_holder(|_| (), 90 * SECOND).0, Some("S1"), "it has a majority");
    let everyone = u16::MAX;
    let cut = |w: &mut World| w.cut(0, 90 * SECOND + MILLI, true, true, everyone);
    let (found, world) = second_holder(cut, 90 * SECOND);
    assert_eq!(found, None, "it was cut off for longer than its lease");
    assert!(world.sites[0].granted(0), "its revokes failed");
    let heard_again = second_holder(|w| w.cut(0, 90 * SECOND, true, true, everyone), 95 * SECOND);
    assert_eq!(heard_again.0, Some("S1"), "it was heard again when the second one stood");
    let stopped = second_holder(|w| w.pause(0, 200 * SECOND), 90 * SECOND);
    assert_eq!(stopped.0, None, "it is stopped");
}

/// A store that says granted, whoever has written that.
fn plant(world: &mut World, site: usize) {
    world.store_idle(site, 0);
    if let Some(entry) = &mut world.sites[site].entries[0] {
        entry.granted = true;
    }
    world.check_store(site, 0, false);
}

#[test]
fn an_override_excuses_two_holders_for_a_time_only() {
    let mut world = world();
    world.overridden(0);
    plant(&mut world, 1);
    assert_eq!(found(&world), None, "overridden right now");
    world.run(world.now + 3_600 * SECOND);
    assert!(world.sites[0].granted(0) && world.sites[1].granted(0), "both still say so");
    assert_eq!(found(&world), Some("S1"));
}

#[test]
fn a_store_that_is_well_again_excuses_nothing_long_after() {
    let mut world = world();
    world.no_guard = true;
    world.sicken(0, Ailment::RevokesFail, 200 * SECOND);
    // Nobody revokes when the store can be written again.
    world.pause(0, 100_000 * SECOND);
    world.run(world.now + 3_600 * SECOND);
    assert!(world.sites[0].granted(0));
    plant(&mut world, 1);
    assert_eq!(found(&world), Some("S1"), "ill for 200 s, an hour ago");
}

#[test]
fn a_tool_that_misled_once_excuses_no_later_answer() {
    let mut world = world();
    world.store_misleads(1, 0);
    world.run(world.now + 3_600 * SECOND);
    assert_eq!(judged(world, 1, Order::Grant, ResultCode::Success), Some("C1"));
}

/// What `assert_eq!` says has several lines; the account must still be readable after it.
#[test]
fn a_panic_of_several_lines_is_one_line_of_the_account() {
    let piece = booth_sim::soak::Piece {
        first: 1,
        last: 2,
        steps: 3,
        digest: 4,
        commit: "abc".to_owned(),
        verdict: "ordinary 1: S0 m1 panics in step 7: assertion failed\n  left: 1\n right: 2"
            .into(),
    };
    let read = booth_sim::soak::pieces(&piece.line()).expect("a soak goes on after it");
    assert_eq!(read.len(), 1);
}
