// SPDX-License-Identifier: GPL-2.0-or-later
//! What must not undo a revoke, or take a free ticket for a lost one (L3, L10, answers): a site's
//! own wins, late heartbeats, a client that has gone, a request that has failed. Each schedule
//! stands beside the same one without what makes it bad.

use super::bench::{stamp, Bench, Sent, World, SECOND};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::{CibOutcome, Event};
use crate::model::{Holder, TicketSpec};
use crate::time::Span;
use crate::wire::{PeerBody, Reason, ResultCode};

const MILLI: Span = Span::from_millis(1);
const NOBODY: [usize; 0] = [];

/// A site whose grant of a free ticket failed and whose store is ill is elected twice.
#[test]
fn own_terms_are_not_a_later_holder() {
    own_terms(1);
    own_terms(2);
}

fn own_terms(rounds: usize) {
    let mut c = Cluster::new(2, 3, spec("T"));
    c.start_all();
    c.nodes[0].write = failing();
    let client = c.grant(0, PLAIN);
    assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    let won =
        |c: &Cluster| c.nodes[0].log.iter().filter(|l| l.contains("won the election")).count();
    // Nobody hears anybody for longer than the lease, so often.
    for round in 0..rounds {
        c.cut = (0..5).flat_map(|a| (0..5).map(move |b| (a, b))).collect();
        c.advance(SECOND.times(15));
        // Site 1 stays away.
        c.cut.clear();
        c.isolate(1, true);
        for _ in 0..3000 {
            if won(&c) > round + 1 {
                break;
            }
            c.advance(MILLI.times(10));
        }
        assert_eq!(won(&c), round + 2);
        c.advance(SECOND);
    }
    assert_eq!(c.granted(), NOBODY);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.isolate(1, false);
    c.advance(SECOND.times(200));
    let listed = (c.listed(0), c.listed(1), c.listed(2));
    assert_eq!(c.granted(), NOBODY, "rounds {rounds}: nobody was ever granted it; {listed:?}");
}

/// A pending winner of a lost ticket is elected again; one more vote; then the REVOKE of the last
/// holder comes.
#[test]
fn a_vote_that_names_an_own_term_does_not_outweigh_a_revoke() {
    own_term_and_revoke(false);
    own_term_and_revoke(true);
}

fn own_term_and_revoke(late: bool) {
    let spec = TicketSpec { acquire_after: SECOND.times(8), ..spec("T") };
    let mut bench = Bench::settled(2, 3, 0, spec);
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(60));
    let t = stood.requests()[0].message.term.get();
    bench.vote_telling(2, t, Some((5, false)));
    let won = bench.vote_telling(3, t, Some((5, false)));
    assert!(!won.heartbeats().is_empty());
    bench.acked_by(&[2, 3], &won);
    // Site 1 has stood in a higher term meanwhile.
    let again = bench.asked_for_vote(1, t + 2);
    let s = again.requests().last().expect("it stands again").message.term.get();
    assert!(s > t);
    bench.vote_telling(2, s, Some((t, false)));
    let won = bench.vote_telling(3, s, Some((t, false)));
    assert!(!won.heartbeats().is_empty());
    let mut all = won.clone();
    if late {
        // The same vote comes twice.
        all.0.extend(bench.vote_telling(3, s, Some((t, false))).0);
    }
    all.0.extend(bench.acked_by(&[2, 3], &won).0);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
    all.0.extend(bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body).0);
    let world = World { votes: vec![], acks: vec![2, 3, 4], ..World::kind() };
    all.0.extend(bench.play(SECOND.times(30), &world).0);
    assert!(all.grants().is_empty(), "late {late}: its last holder has revoked it");
}

/// A pending administrator's grant of a free ticket is elected again; its store fails.
#[test]
fn a_failed_grant_of_a_free_ticket_after_a_reelection_frees_it() {
    failed_after_reelection(false);
    failed_after_reelection(true);
}

fn failed_after_reelection(twice: bool) {
    let mut bench = Bench::settled(2, 3, 0, spec("T"));
    let (_, stood) = bench.grant(PATIENT);
    let t = stood.requests()[0].message.term.get();
    bench.vote_telling(2, t, None);
    let won = bench.vote_telling(3, t, None);
    assert!(!won.heartbeats().is_empty());
    let fails = World { grants: failing(), votes: vec![], acks: vec![2, 3], ..World::kind() };
    let mut leased = bench.acked_by(&[2, 3], &won);
    // The silent site could object until the attempt has ended.
    leased.0.extend(bench.advance(SECOND).0);
    let (serial, _) = *leased.grants().last().expect("it is written");
    let again = bench.asked_for_vote(1, t + 2);
    let s = again.requests().last().expect("it stands again").message.term.get();
    bench.vote_telling(2, s, Some((t, false)));
    let won = bench.vote_telling(3, s, Some((t, false)));
    assert!(!won.heartbeats().is_empty());
    if twice {
        bench.vote_telling(3, s, Some((t, false)));
    }
    let mut all = bench.answered(won, &fails);
    let failed = bench.wrote(serial, failing().expect("fails"));
    all.0.extend(bench.answered(failed, &fails).0);
    all.0.extend(bench.play(SECOND.times(20), &fails).0);
    let sent = all.announcements();
    assert!(!sent.is_empty());
    assert!(
        sent.iter().all(|s| matches!(s.message.body, PeerBody::Revoke { .. })),
        "twice {twice}: it was free: {:?}",
        sent[0]
    );
}

/// A revoke that fails beside the failed grant of a free ticket adds nothing to it.
#[test]
fn a_failed_revoke_of_a_failed_grant_frees_nothing() {
    failed_revoke_of_failed_grant(false);
    failed_revoke_of_failed_grant(true);
}

fn failed_revoke_of_failed_grant(revoke: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.nodes[0].write = failing();
    let client = c.grant(0, PLAIN);
    assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    c.isolate(0, true);
    c.advance(SECOND.times(15));
    c.grant(1, PATIENT);
    c.advance(SECOND.times(10));
    assert!(c.nodes[1].store.granted, "the other site has it");
    let client = revoke.then(|| c.revoke(0));
    c.advance(SECOND.times(2));
    let codes = client.map(|client| c.codes(client));
    if let Some(codes) = &codes {
        assert_eq!(codes.last(), Some(&(ResultCode::SyncFail, true)));
    }
    c.crash(1);
    c.nodes[1].store.granted = false;
    c.isolate(0, false);
    c.advance(SECOND.times(30));
    assert!(c.logged(0, "won the election"));
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2));
    assert_eq!(c.granted(), [0], "revoke {revoke} {codes:?}: it has failed; {listed:?}");
}

/// A revoke of a win that never has a lease is not known, also if its client waits no more.
#[test]
fn a_revoke_of_a_win_without_a_lease_frees_nothing_if_its_client_has_gone() {
    for gone in [false, true] {
        let mut bench = Bench::settled(2, 3, 0, spec("T"));
        let followed = bench.heartbeat(1, 5, stamp(7, true));
        bench.written(&followed);
        let stood = bench.until_it_stands(SECOND.times(60));
        let t = stood.requests()[0].message.term.get();
        bench.vote_telling(2, t, Some((5, false)));
        let won = bench.vote_telling(3, t, Some((5, false)));
        assert!(!won.heartbeats().is_empty());
        let (client, _) = bench.revoke(PLAIN);
        if gone {
            bench.event(Event::ClientGone { client });
        }
        let world = World { votes: vec![], acks: vec![], ..World::kind() };
        let sent = bench.play(SECOND.times(10), &world).announcements();
        assert!(!sent.is_empty());
        let steps = |s: &Sent| matches!(s.message.body, PeerBody::StepDown { .. });
        assert!(sent.iter().all(steps), "gone {gone}: it was lost: {:?}", sent[0]);
    }
}

/// A heartbeat that was sent before the revoke of its term comes after it.
#[test]
fn a_late_heartbeat_does_not_undo_the_revoke_of_its_term() {
    late_heartbeat(false);
    late_heartbeat(true);
}

fn late_heartbeat(late: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(1, PLAIN);
    c.advance(SECOND);
    c.crash(0);
    c.cut = vec![(2, 0)];
    c.start(0);
    c.advance(SECOND.times(2));
    c.cut = vec![(2, 0), (0, 1), (1, 0)];
    let client = c.revoke(1);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.cut = vec![(0, 1), (1, 0)];
    c.advance(SECOND.times(2));
    c.crash(1);
    if late {
        c.again(1, 0, |m| matches!(m.body, PeerBody::Heartbeat { .. } | PeerBody::Update { .. }));
    }
    c.crash(2);
    c.start(2);
    c.advance(SECOND.times(300));
    assert_eq!(c.granted(), NOBODY, "late {late}: revoked with success, and site 0 heard so");
}

/// The same for a winner without a lease.
#[test]
fn a_late_heartbeat_of_a_revoked_term_does_not_undo_the_revoke_at_a_winner() {
    for late in [false, true] {
        let mut bench = Bench::settled(2, 3, 0, spec("T"));
        let followed = bench.heartbeat(1, 5, stamp(7, true));
        bench.written(&followed);
        let stood = bench.until_it_stands(SECOND.times(60));
        let t = stood.requests()[0].message.term.get();
        bench.vote_telling(2, t, Some((5, false)));
        let won = bench.vote_telling(3, t, Some((5, false)));
        assert!(!won.heartbeats().is_empty());
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
        let world = World { votes: vec![2, 3, 4], acks: vec![2, 3, 4], ..World::kind() };
        bench.hear_valid(1, Holder::Nobody, t + 1, Span::ZERO, body);
        if late {
            let deeds = bench.heartbeat(1, t + 1, stamp(899, true));
            bench.answered(deeds, &world);
        }
        let all = bench.play(SECOND.times(100), &world);
        assert!(all.grants().is_empty(), "late {late}: revoked in {}", t + 1);
    }
}
