// SPDX-License-Identifier: GPL-2.0-or-later
//! `acquire-after`: between *revoked* in the old holder's store and *granted* in the new one's
//! lies the time that the resources need to stop, in every way in which a ticket moves by itself.

use super::cluster::{spec, Cluster};
use super::member::{at, holder, is_ack, stamp, Member};
use crate::engine::{CibTicket, Event, ProbeOutcome};
use crate::model::{Holder, Term, TicketName, TicketSpec};
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, Reason, ResultCode};

const SECOND: Span = Span::from_secs(1);
const AFTER: Span = Span::from_secs(10);

fn waiting() -> TicketSpec {
    TicketSpec { acquire_after: AFTER, ..spec("T") }
}

/// Three members, and site 0 holds the ticket.
fn held(spec: TicketSpec) -> Cluster {
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.granted(), [0]);
    cluster
}

fn cut(cluster: &mut Cluster, one: usize, others: &[usize]) {
    for other in others {
        cluster.cut.push((one, *other));
        cluster.cut.push((*other, one));
    }
}

fn when(cluster: &Cluster, node: usize, granted: bool) -> MonoTime {
    let turned = cluster.nodes[node].turned.iter().rev();
    turned.filter(|turn| turn.1 == granted).map(|turn| turn.0).next().expect("its store has turned")
}

/// From *revoked* at site 0 to *granted* at site 1.
fn pause(cluster: &Cluster) -> Span {
    let (revoked, granted) = (when(cluster, 0, false), when(cluster, 1, true));
    assert!(revoked < granted, "never at both");
    granted.since(revoked)
}

/// Only the link between the sites is cut, the other site stands again and again; then the holder
/// is cut off.
#[test]
fn attempts_before_the_end_of_the_lease_gain_nothing() {
    let mut cluster = held(waiting());
    cut(&mut cluster, 0, &[1]);
    cluster.advance(SECOND.times(47));
    assert_eq!(cluster.granted(), [0], "held through the arbitrator");
    cut(&mut cluster, 0, &[2]);
    cluster.advance(SECOND.times(25));
    assert_eq!(cluster.granted(), [1]);
    let pause = pause(&cluster);
    assert!(pause >= AFTER && pause < AFTER.plus(SECOND.times(3)), "{pause}");
}

/// The other site's own word ends before that of an arbitrator that has restarted.
#[test]
fn the_voters_word_counts_not_only_the_winners() {
    let spec = TicketSpec { renewal: SECOND.times(6), ..waiting() };
    let mut cluster = held(spec);
    cluster.advance(Span::from_millis(5_900));
    cluster.crash(2);
    cluster.start(2);
    cut(&mut cluster, 0, &[1, 2]);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [1]);
    let pause = pause(&cluster);
    assert!(pause >= AFTER && pause < AFTER.plus(SECOND.times(3)), "{pause}");
}

/// After a step-down nobody waits for the end of the lease, but `acquire-after` is kept; without
/// one nothing is waited for.
#[test]
fn a_step_down_leaves_the_resources_their_time() {
    for (after, most) in [(AFTER, AFTER.plus(SECOND)), (Span::ZERO, SECOND)] {
        let spec = TicketSpec { has_handler: true, acquire_after: after, ..spec("T") };
        let mut cluster = held(spec);
        cluster.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
        cluster.advance(SECOND.times(18));
        assert_eq!(cluster.granted(), [1]);
        let pause = pause(&cluster);
        assert!(pause >= after && pause <= most, "{pause}");
    }
}

/// Site 1 has won and waits: the link between the sites was cut, then the holder was cut off.
fn pending() -> Cluster {
    let mut cluster = held(waiting());
    cut(&mut cluster, 0, &[1]);
    cluster.advance(SECOND.times(30));
    cut(&mut cluster, 0, &[2]);
    while cluster.listed(1) != cluster.id(1) {
        cluster.advance(Span::from_millis(100));
    }
    assert!(!cluster.nodes[1].store.granted, "won, and pending");
    cluster
}

/// The wait survives that the pending leader is elected again, and is not longer for it.
#[test]
fn a_pending_leader_that_is_elected_again_waits_on() {
    let mut cluster = pending();
    for again in 0..4 {
        let (of, result) = (Command::Heartbeat, ResultCode::TermOutdated);
        let body = PeerBody::Rejected { of, result, granted: false };
        let ticket = TicketName::new("T").expect("valid");
        let (leader, term, valid_for) = (holder(2), Term::new(100 + again), Span::ZERO);
        let message = PeerMessage { ticket, leader, term, valid_for, body };
        cluster.event(1, Event::Peer { from: at(2), message });
        cluster.settle();
        assert!(!cluster.nodes[1].store.granted);
        cluster.advance(SECOND.times(1));
    }
    cluster.advance(SECOND.times(15));
    assert!(cluster.nodes[1].store.granted);
    let term = cluster.nodes[1].store.term;
    assert!(term > Some(Term::new(100)), "it was elected again: {term:?}");
    let pause = pause(&cluster);
    assert!(pause >= AFTER && pause < AFTER.plus(SECOND.times(3)), "{pause}");
}

/// A pending leader that loses its lease has no advantage from it.
#[test]
fn a_pending_leader_that_loses_its_lease_waits_on() {
    let mut cluster = pending();
    cut(&mut cluster, 1, &[2]);
    cluster.advance(SECOND.times(12));
    cluster.cut.retain(|(from, to)| *from == 0 || *to == 0);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [1]);
    assert!(pause(&cluster) >= AFTER);
}

/// `-F` does not wait; what waits is shown as pending, and other clients hear so.
#[test]
fn an_administrator_may_hurry_a_pending_ticket_up() {
    let mut cluster = pending();
    let client = cluster.grant(1, ClientOptions::default());
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::CibPending, true)));
    assert!(!cluster.nodes[1].store.granted);
    let client = cluster.grant(1, ClientOptions { immediate: true, ..ClientOptions::default() });
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::Success, true)));
    assert!(cluster.nodes[1].store.granted, "an operator may override");
}

/// What the vote for `to` states.
fn unbound(answers: &[PeerMessage]) -> Span {
    match answers {
        [PeerMessage { body: PeerBody::Vote { unbound_for: Some(span), .. }, .. }] => *span,
        other => panic!("no vote that says so: {other:?}"),
    }
}

/// A vote says how long ago the voter's word to anyone else ended: by time, or because its leader
/// gave the ticket up; its word to the candidate does not count.
#[test]
fn a_vote_says_since_when_it_is_free() {
    let mut member = Member::settled(2);
    assert!(is_ack(&member.heartbeat(0, 3, stamp(7, true))));
    member.advance(Span::from_millis(10_000));
    member.advance(Span::from_millis(2_345));
    assert_eq!(unbound(&member.asked_for_vote(1, 9)), Span::from_millis(2_345));
    let free = unbound(&member.asked_for_vote(0, 10));
    assert!(free >= SECOND.times(12), "bound only to the candidate itself: {free}");
    assert!(is_ack(&member.heartbeat(0, 11, stamp(100, true))));
    member.advance(SECOND);
    member.hear(
        0,
        Holder::Nobody,
        11,
        PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(101, false) },
    );
    member.advance(SECOND.times(2));
    assert_eq!(unbound(&member.asked_for_vote(1, 12)), SECOND.times(2));
}

/// A member does not know what it promised before it started: that ended `E` after the start, or
/// with its grace.
#[test]
fn a_voter_that_has_restarted_counts_what_it_may_have_forgotten() {
    let mut member = Member::started(2, CibTicket::default());
    // It has heard nobody: its earlier life may have followed a reference leader.
    member.advance(Span::from_millis(14_100));
    assert_eq!(unbound(&member.asked_for_vote(1, 9)), Span::from_millis(100));
    let mut early = Member::started(2, CibTicket::default());
    let nonce = early.nonce;
    early.advance(SECOND);
    for from in [0, 1] {
        early.hear(from, Holder::Nobody, 0, PeerBody::MyIndex { nonce });
    }
    early.advance(SECOND.times(4));
    assert_eq!(unbound(&early.asked_for_vote(1, 9)), SECOND.times(4));
}
