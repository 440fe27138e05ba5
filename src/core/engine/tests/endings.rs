// SPDX-License-Identifier: GPL-2.0-or-later
//! The end of a holding, announced to the others (L10), and what they make of it.

use super::bench::{round, stamp, Bench, Deeds, World, SECOND};
use super::cluster::spec;
use crate::engine::ProbeOutcome;
use crate::model::{Holder, Term, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientOptions, LastKnown, PeerBody, Reason, ResultCode};
use std::collections::BTreeMap;

/// A site of three that has just been revoked by an administrator, and said so.
fn revoked() -> (Bench, Deeds) {
    let mut bench = Bench::three();
    bench.hold();
    let (_, deeds) = bench.revoke(ClientOptions::default());
    assert!(deeds.announcements().is_empty(), "the store first");
    let deeds = bench.written(&deeds);
    (bench, deeds)
}

/// A site of three whose handler did not agree, and that has stepped down.
fn stepped_down() -> (Bench, Deeds) {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let (_, deeds) = bench.grant(ClientOptions::default());
    bench.answered(deeds, &World::kind());
    let asked = bench.advance(SECOND.times(5));
    let deeds = bench.probed(&asked, ProbeOutcome::Failed("exit 1".into()));
    assert!(deeds.announcements().is_empty(), "the store first");
    let deeds = bench.written(&deeds);
    (bench, deeds)
}

/// Expects so many resends to both members, every `timeout`, each with a new round.
fn expect_resends(mut bench: Bench, first: &Deeds, resends: u64) {
    let began = bench.now.mono;
    let mut sent = first.announcements();
    sent.extend(bench.advance(SECOND.times(2)).announcements());
    let acked = sent.iter().rfind(|sent| sent.to == 2).expect("sent to everyone").clone();
    bench.ack(&acked);
    let later = bench.advance(SECOND.times(60)).announcements();
    assert!(later.iter().all(|sent| sent.to == 1), "who has acknowledged is left alone");
    sent.extend(later);
    let mut by_member: BTreeMap<usize, Vec<(u64, u32)>> = BTreeMap::new();
    for sent in &sent {
        let at = sent.at.since(began).as_secs();
        by_member.entry(sent.to).or_default().push((at, round(&sent.message.body)));
        assert_eq!(sent.message.leader, Holder::Nobody);
    }
    let times = |member: usize| by_member[&member].iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(times(1), (0..=resends).collect::<Vec<_>>());
    assert_eq!(times(2), [0, 1, 2]);
    for sends in by_member.values() {
        assert!(sends.windows(2).all(|pair| pair[1].1 > pair[0].1), "fresh rounds: {sends:?}");
    }
}

/// L10, P6: REVOKE is sent again to those who have not acknowledged it.
#[test]
pub fn a_revoke_is_announced_until_it_is_acknowledged() {
    let (bench, first) = revoked();
    let is_revoke =
        |body: &PeerBody| matches!(body, PeerBody::Revoke { reason: Reason::Admin, .. });
    assert_eq!(first.sent(is_revoke).len(), 2);
    // For `expire` and the time of all retries: so long the others may count on the lease.
    expect_resends(bench, &first, 13);
}

/// The same for a step-down, which keeps its reason.
#[test]
pub fn a_step_down_is_announced_until_it_is_acknowledged() {
    let (bench, first) = stepped_down();
    let is_step =
        |body: &PeerBody| matches!(body, PeerBody::StepDown { reason: Reason::LocalFail, .. });
    assert_eq!(first.sent(is_step).len(), 2);
    expect_resends(bench, &first, 3);
}

/// L10: the announcement ends a promise only with a round after the last one, so it follows the
/// heartbeats of its life.
#[test]
pub fn an_announcement_comes_after_the_last_heartbeat() {
    let mut bench = Bench::three();
    bench.hold();
    let beats = bench.play(SECOND.times(21), &World::kind()).heartbeats();
    let (_, deeds) = bench.revoke(ClientOptions::default());
    for sent in bench.written(&deeds).announcements() {
        let last = beats.iter().rfind(|beat| beat.to == sent.to).expect("heartbeats");
        let ahead = round(&sent.message.body) - round(&last.message.body);
        assert_eq!(ahead, 1);
        assert_eq!(sent.message.term, last.message.term);
    }
}

/// L10: after a revoke nobody stands, neither who gave the ticket up nor who heard of it.
#[test]
pub fn nobody_stands_after_a_revoke() {
    let (mut bench, _) = revoked();
    assert!(bench.advance(SECOND.times(60)).stood().is_empty());
    assert_eq!(bench.listed(), Holder::Nobody);
    let mut bench = Bench::three();
    let followed = bench.heartbeat(1, 3, stamp(7, true));
    bench.written(&followed);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(8, false) };
    let deeds = bench.hear(1, Holder::Nobody, 3, body);
    assert_eq!(deeds.revokes().len(), 1, "its store forgets the owner");
    assert_eq!(deeds.revokes()[0].1.owner, Holder::Nobody);
    assert!(bench.advance(SECOND.times(60)).stood().is_empty());
    assert_eq!(bench.listed(), Holder::Nobody);
}

/// Whoever has heard of a revoke tells a candidate: with the vote, or, if the candidate is a
/// reference member and stands by itself, instead of it.
#[test]
pub fn a_candidate_for_a_revoked_ticket_is_told() {
    let heard = |reason: Reason, ours: bool| {
        let mut bench = Bench::three();
        let said = |number: u32| stamp(if ours { number } else { 0 }, true);
        bench.heartbeat(1, 3, said(7));
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: said(8) };
        bench.hear(1, Holder::Nobody, 3, body);
        let body = PeerBody::ReqVote { reason, established: false, force: false, nonce: 0 };
        let leader = bench.id(1);
        bench.hear_valid(1, leader, 4, Span::ZERO, body)
    };
    let outdated = |body: &PeerBody| {
        matches!(body, PeerBody::Rejected { result: ResultCode::YouOutdated, .. })
    };
    let told = Some(LastKnown { term: Term::new(3), free: true });
    let is_vote = |body: &PeerBody| matches!(body, PeerBody::Vote { last, .. } if *last == told);
    let deeds = heard(Reason::TicketLost, false);
    assert_eq!(deeds.sent(outdated).len(), 1);
    assert_eq!(deeds.sent(outdated)[0].message.leader, Holder::Nobody);
    for (reason, ours) in
        [(Reason::Admin, false), (Reason::Admin, true), (Reason::TicketLost, true)]
    {
        let deeds = heard(reason, ours);
        assert_eq!((deeds.sent(is_vote).len(), deeds.sent(outdated).len()), (1, 0));
    }
}

/// A site that is told so does not stand any more.
#[test]
pub fn a_candidate_that_is_told_of_a_revoke_gives_up() {
    let mut bench = Bench::three();
    bench.heartbeat(1, 3, stamp(7, true));
    bench.until_it_stands(SECOND.times(12));
    let body = PeerBody::Rejected {
        of: crate::wire::Command::ReqVote,
        result: ResultCode::YouOutdated,
        granted: false,
    };
    bench.hear_valid(2, Holder::Nobody, 3, Span::ZERO, body);
    assert!(bench.advance(SECOND.times(60)).stood().is_empty());
    assert_eq!(bench.listed(), Holder::Nobody);
}

/// L4(3): a term whose end was announced is over, whatever comes late; the next one is not.
#[test]
pub fn a_heartbeat_of_an_ended_term_is_refused() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    bench.heartbeat(1, 3, stamp(7, true));
    let body = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(8, false) };
    bench.hear(1, Holder::Nobody, 3, body);
    let acks = |deeds: &Deeds| deeds.sent(|body| matches!(body, PeerBody::Ack { .. })).len();
    let late = bench.heartbeat(1, 3, stamp(9, true));
    assert_eq!(acks(&late), 0);
    let next = bench.heartbeat(1, 4, stamp(10, true));
    assert_eq!(acks(&next), 1);
    assert_eq!(next.sent(|_| true)[0].message.term, Term::new(4));
}

/// An announcement is acknowledged even if it changes nothing: its sender shall stop.
#[test]
pub fn every_announcement_is_acknowledged() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    for (from, term) in [(1, 3), (0, 9), (1, 3)] {
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(8, false) };
        let deeds = bench.hear(from, Holder::Nobody, term, body);
        let [sent] = &deeds.sent(|body| matches!(body, PeerBody::Ack { .. }))[..] else {
            panic!("one acknowledgement")
        };
        let PeerBody::Ack { round, .. } = sent.message.body else { panic!("an ACK") };
        assert_eq!(round.map(|round| round.get()), Some(8));
        assert_eq!((sent.to, sent.message.term), (from, Term::new(term)));
    }
}

/// A new attempt ends the announcement of the old one's end for a reference member: it would end
/// the new term's promises if it came late. The others hear of the revoke until somebody leads.
#[test]
pub fn an_announcement_goes_on_beside_an_attempt_but_for_reference_members() {
    let (mut bench, _) = revoked();
    bench.hear(2, Holder::Nobody, 0, PeerBody::Status { nonce: 0 });
    let (_, mut deeds) = bench.grant(ClientOptions::default());
    let said = bench.advance(Span::from_millis(1_200)).announcements();
    assert!(!said.is_empty() && said.iter().all(|sent| sent.to == 1));
    deeds.0.extend(bench.until_it_stands(SECOND.times(5)).0);
    bench.elected(&deeds);
    assert!(bench.advance(SECOND.times(2)).announcements().is_empty(), "it leads");
}
