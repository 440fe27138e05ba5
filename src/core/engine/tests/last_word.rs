// SPDX-License-Identifier: GPL-2.0-or-later
//! The last word on a ticket counts (L3, L10): what was revoked last is acquired by nobody, what
//! was held last and lost is acquired again, whatever is lost or comes late. Beside most
//! schedules stands the same one without what makes it bad.

use super::bench::{at, stamp, Bench};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::{CibOutcome, Event};
use crate::model::{Holder, Term, TicketName};
use crate::time::Span;
use crate::wire::{LastKnown, PeerBody, PeerMessage, Reason, ResultCode};

const SECOND: Span = Span::from_secs(1);
const MILLI: Span = Span::from_millis(1);
const NOBODY: [usize; 0] = [];

/// A grant that fails does not end the announcement of the revoke before it.
#[test]
fn a_grant_that_fails_does_not_undo_the_revoke_before_it() {
    failed_grant_after_revoke(true);
    failed_grant_after_revoke(false);
}

fn failed_grant_after_revoke(grant: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    let failed = grant.then(|| cluster.grant(0, PLAIN));
    cluster.advance(MILLI.times(8_800));
    if let Some(failed) = failed {
        assert_eq!(cluster.codes(failed).last(), Some(&(ResultCode::SyncFail, true)));
    }
    cluster.isolate(0, false);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), NOBODY, "an administrator revoked it, and the grant failed");
}

/// Nor does a vote for another site whose grant fails.
#[test]
fn a_vote_does_not_undo_the_revoke_before_it() {
    vote_after_revoke(true);
    vote_after_revoke(false);
}

fn vote_after_revoke(grant: bool) {
    let mut cluster = Cluster::new(3, 2, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    for near in [0, 1] {
        for far in [2, 3, 4] {
            cluster.cut.extend([(near, far), (far, near)]);
        }
    }
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    let failed = grant.then(|| cluster.grant(1, PLAIN));
    cluster.advance(SECOND.times(7));
    if let Some(failed) = failed {
        assert_eq!(cluster.codes(failed).last(), Some(&(ResultCode::SyncFail, true)));
    }
    cluster.cut.clear();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), NOBODY, "an administrator revoked it, and the grant failed");
}

/// A site whose store does not obey hears that a later holder was revoked: when its store obeys, it
/// does not make another site acquire the ticket.
#[test]
fn a_site_that_gives_up_does_not_undo_a_later_revoke() {
    leaving_hears_revoke(false);
    leaving_hears_revoke(true);
}

fn leaving_hears_revoke(well_before: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.nodes[0].write = failing();
    cluster.advance(SECOND.times(15));
    assert!(cluster.nodes[1].store.granted, "the other site has it");
    let client = cluster.revoke(1);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    if well_before {
        cluster.nodes[0].write = Some(CibOutcome::Written);
        cluster.advance(SECOND.times(2));
    }
    cluster.isolate(0, false);
    cluster.advance(SECOND.times(8));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), NOBODY, "an administrator revoked it");
}

/// The revoke of a win without a lease is not known: a ticket that was lost is still lost.
#[test]
fn a_revoke_that_is_not_known_leaves_a_lost_ticket() {
    win_of_a_lost_ticket(true);
    win_of_a_lost_ticket(false);
}

fn win_of_a_lost_ticket(revoke: bool) {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.advance(SECOND);
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    cluster.slow = vec![(1, 2), (2, 1)];
    cluster.delay = MILLI.times(150);
    for _ in 0..3_000 {
        cluster.advance(MILLI.times(10));
        if cluster.logged(1, "won the election") || cluster.logged(2, "won the election") {
            break;
        }
    }
    let winner = if cluster.logged(1, "won the election") { 1 } else { 2 };
    assert!(cluster.logged(winner, "won the election"));
    cluster.isolate(winner, true);
    cluster.slow.clear();
    let client = revoke.then(|| cluster.revoke_with(winner, PATIENT));
    cluster.advance(SECOND.times(5));
    if let Some(client) = client {
        assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    }
    cluster.isolate(winner, false);
    cluster.advance(SECOND.times(300));
    let listed = (cluster.listed(1), cluster.listed(2));
    assert_eq!(cluster.granted().len(), 1, "lost, and the revoke was not known; {listed:?}");
}

/// A vote and what its voter knows are one packet: a grant that fails does not free what was lost.
#[test]
fn one_lost_packet_does_not_free_a_lost_ticket() {
    told_before_the_vote(true);
    told_before_the_vote(false);
}

fn told_before_the_vote(lose: bool) {
    let mut spec = spec("T");
    spec.acquire_after = SECOND.times(20);
    let mut cluster = Cluster::new(3, 0, spec);
    cluster.start_all();
    cluster.isolate(0, true);
    cluster.grant(1, PATIENT);
    cluster.advance(SECOND.times(40));
    assert_eq!(cluster.granted(), [1]);
    cluster.crash(1);
    cluster.nodes[1].store.granted = false;
    cluster.advance(SECOND.times(11));
    cluster.isolate(0, false);
    cluster.nodes[0].write = failing();
    // The first request is in a term that has been used; the second one is voted for.
    let client = cluster.grant(0, PATIENT);
    if lose {
        cluster.cut = vec![(2, 0)];
        let (before, me) = (cluster.sent.len(), cluster.id(0));
        let vote = |s: &(usize, usize, PeerMessage)| {
            (s.0, s.1, s.2.leader) == (2, 0, me) && matches!(s.2.body, PeerBody::Vote { .. })
        };
        for _ in 0..1_000 {
            cluster.advance(MILLI.times(10));
            if cluster.sent[before..].iter().any(vote) {
                break;
            }
        }
        assert!(cluster.sent[before..].iter().any(vote), "it votes");
        cluster.cut.clear();
        // All else that it says was lost.
        cluster.again(2, 0, |m| m.leader == me && matches!(m.body, PeerBody::Vote { .. }));
    }
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(300));
    assert_eq!(cluster.granted(), [2], "it knew that the ticket was lost");
}

/// The same for a revoke: who has the vote knows of it.
#[test]
fn one_lost_packet_does_not_undo_a_revoke() {
    outdated_before_the_vote(true);
    outdated_before_the_vote(false);
}

fn outdated_before_the_vote(lose: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(1, true);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(SECOND.times(5));
    // The site is taken down after the revoke.
    cluster.crash(0);
    cluster.advance(SECOND.times(40));
    cluster.isolate(1, false);
    if lose {
        cluster.cut = vec![(2, 1)];
        let before = cluster.sent.len();
        let vote = |s: &(usize, usize, PeerMessage)| {
            (s.0, s.1) == (2, 1) && matches!(s.2.body, PeerBody::Vote { .. })
        };
        for _ in 0..10_000 {
            cluster.advance(MILLI.times(10));
            if cluster.sent[before..].iter().any(vote) {
                break;
            }
        }
        assert!(cluster.sent[before..].iter().any(vote), "the arbitrator votes");
        cluster.cut.clear();
        // REJECTED was lost, the vote was not.
        cluster.again(2, 1, |m| matches!(m.body, PeerBody::Vote { .. }));
    }
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), NOBODY, "an administrator revoked it");
}

/// A REVOKE that was believed only when a promise had ended ends its term all the same.
#[test]
fn a_late_heartbeat_does_not_undo_a_revoke() {
    late_heartbeat(true);
    late_heartbeat(false);
}

fn late_heartbeat(late: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.advance(MILLI.times(4_950));
    if late {
        cluster.slow = vec![(0, 1), (0, 2)];
        cluster.delay = SECOND.times(20);
    }
    cluster.advance(MILLI.times(100));
    cluster.slow.clear();
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.granted(), [0]);
    cluster.crash(0);
    cluster.isolate(0, true);
    cluster.start(0);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.isolate(0, false);
    cluster.advance(SECOND.times(12));
    assert_eq!(cluster.listed(1), Holder::Nobody, "both have heard of it");
    assert_eq!(cluster.listed(2), Holder::Nobody, "both have heard of it");
    cluster.crash(0);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), NOBODY, "an administrator revoked it");
}

/// A REVOKE of a later term that was heard beside a promise counts when a step-down ends that.
#[test]
fn a_step_down_of_an_earlier_term_does_not_undo_a_later_revoke() {
    later_revoke(true);
    later_revoke(false);
}

fn later_revoke(step_down: bool) {
    let mut bench = Bench::settled(3, 2, 0, spec("T"));
    bench.heartbeat(1, 5, stamp(100, true));
    bench.advance(SECOND);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
    bench.hear_valid(2, Holder::Nobody, 7, Span::ZERO, body);
    if step_down {
        let body = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(101, false) };
        bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body);
    }
    let deeds = bench.advance(SECOND.times(60));
    let requests = deeds.requests();
    assert!(requests.is_empty(), "it has heard REVOKE of term 7: {:?}", requests[0].message);
}

#[test]
fn a_revoke_that_is_taken_back_is_never_in_the_store() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.crash(1);
    cluster.nodes[0].write = failing();
    let client = cluster.revoke_with(0, PATIENT);
    cluster.advance(SECOND.times(12));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    assert_eq!(cluster.nodes[0].store.owner, Some(cluster.id(0)), "it says whose it was");
    cluster.crash(0);
    cluster.isolate(0, false);
    cluster.start(0);
    cluster.start(1);
    cluster.advance(SECOND.times(300));
    assert_eq!(cluster.granted().len(), 1, "a lost ticket: the revoke was answered not known");
}

/// One packet with a high term does not make a member deaf that starts with an empty memory.
#[test]
fn a_restarted_arbitrator_hears_a_cluster_in_a_high_term() {
    high_term(1 << 30);
    high_term((1 << 30) - 1_000);
}

fn high_term(term: u32) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    for to in [0, 1, 2] {
        let from = at(if to == 2 { 1 } else { 2 });
        let message = PeerMessage {
            ticket: TicketName::new("T").expect("valid"),
            leader: Holder::Nobody,
            term: Term::new(term),
            valid_for: Span::ZERO,
            body: PeerBody::Status { nonce: 12345 },
        };
        cluster.event(to, Event::Peer { from, message });
        cluster.settle();
    }
    cluster.grant(0, PLAIN);
    cluster.advance(SECOND.times(10));
    assert_eq!(cluster.granted(), [0]);
    cluster.crash(2);
    cluster.start(2);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [0]);
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    cluster.advance(SECOND.times(600));
    assert_eq!(cluster.granted(), [1], "two of three are there");
}

/// An earlier revoke that a voter tells of ends nothing that was held later.
#[test]
fn an_old_revoke_does_not_free_a_ticket_that_was_lost_later() {
    old_revoke(true);
    old_revoke(false);
}

/// Sites 0 to 3 and an arbitrator. Site 2 is cut off under the first holding of site 0 (term 1);
/// that is revoked; then site 1 is cut off; site 0 is granted again, and dies. Site 3 knows that.
fn old_revoke(told: bool) {
    let mut spec = spec("T");
    spec.acquire_after = SECOND.times(20);
    let mut cluster = Cluster::new(4, 1, spec);
    cluster.start_all();
    cluster.grant(0, PATIENT);
    assert_eq!(cluster.granted(), [0]);
    cluster.isolate(2, true);
    cluster.advance(SECOND);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(SECOND.times(2));
    cluster.isolate(1, true);
    cluster.grant(0, PATIENT);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0]);
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    cluster.advance(SECOND.times(11));
    if told {
        cluster.slow = vec![(1, 2)];
        cluster.delay = MILLI.times(100);
        cluster.isolate(1, false);
    } else {
        cluster.crash(1);
    }
    cluster.isolate(2, false);
    cluster.advance(SECOND.times(600));
    assert!(cluster.logged(2, "won the election"));
    let listed: Vec<Holder> = [2, 3].map(|node| cluster.listed(node)).into();
    assert_eq!(cluster.granted().len(), 1, "site 3 knew that it was lost; {listed:?}");
}

#[test]
fn a_candidate_is_told_of_a_later_leader_before_it_stands_no_more() {
    let mut cluster = Cluster::new(3, 2, spec("T"));
    cluster.start_all();
    cluster.grant(0, PATIENT);
    cluster.isolate(2, true);
    cluster.advance(SECOND);
    cluster.revoke(0);
    cluster.advance(SECOND.times(2));
    cluster.isolate(1, true);
    cluster.grant(0, PATIENT);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0]);
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    cluster.advance(SECOND.times(12));
    cluster.isolate(1, false);
    cluster.isolate(2, false);
    cluster.advance(SECOND.times(600));
    let listed: Vec<Holder> = [1, 2, 3, 4].map(|node| cluster.listed(node)).into();
    assert_eq!(cluster.granted().len(), 1, "four of five are there; {listed:?}");
}

/// A vote of an earlier attempt says what its voter knows all the same: a win that has not been
/// granted yet ends.
#[test]
fn a_late_vote_of_an_earlier_attempt_ends_a_win_of_what_was_revoked() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    bench.heartbeat(1, 3, stamp(7, true));
    let stood = bench.until_it_stands(SECOND.times(30));
    let won = bench.vote(2, stood.requests()[0].message.term.get());
    assert!(!won.heartbeats().is_empty());
    let last = Some(LastKnown { term: Term::new(3), free: true });
    let body = PeerBody::Vote { vouched: true, unbound_for: Some(Span::MAX), last };
    bench.hear_valid(1, bench.id(0), 1, Span::ZERO, body);
    let deeds = bench.advance(SECOND);
    let said = deeds.announcements();
    assert!(said.iter().all(|sent| matches!(sent.message.body, PeerBody::Revoke { .. })));
    assert!(!said.is_empty(), "it gives up, and nobody stands");
}

/// A win that nobody acknowledged held nothing: a revoke before it is the last word all the same.
#[test]
fn a_win_without_a_lease_does_not_undo_the_revoke_before_it() {
    revoke_after_a_win(true);
    revoke_after_a_win(false);
}

fn revoke_after_a_win(revoked: bool) {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    bench.heartbeat(1, 2, stamp(7, true));
    for _ in 0..3 {
        // What the arbitrator and this site know is that site 1 led last.
        let term = bench.until_it_stands(SECOND.times(60)).requests()[0].message.term.get();
        assert!(!bench.vote_telling(2, term, Some((2, false))).heartbeats().is_empty());
    }
    let term = bench.until_it_stands(SECOND.times(60)).requests()[0].message.term.get();
    let leads = !bench.vote_telling(1, term, Some((2, revoked))).heartbeats().is_empty();
    assert_eq!(leads, !revoked, "site 1 says whether it has revoked");
    if revoked {
        assert_eq!(bench.listed(), Holder::Nobody);
        bench.advance(SECOND.times(60));
        assert_eq!(bench.listed(), Holder::Nobody);
    }
}
