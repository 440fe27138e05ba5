// SPDX-License-Identifier: GPL-2.0-or-later
//! What a member makes of what it hears of revokes and losses (L10): each clause here was once
//! taken out, and nothing noticed.

use super::bench::{granted, stamp, Bench, World, SECOND};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::{CibTicket, ProbeOutcome};
use crate::model::{Holder, Term, TicketSpec};
use crate::time::Span;
use crate::wire::{Command, PeerBody, Reason, ResultCode};

/// C2, an administrator revokes what steps down already: nobody acquires it.
#[test]
fn a_revoke_while_stepping_down_is_a_revoke() {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let world = World::kind();
    let (_, stood) = bench.grant(PLAIN);
    bench.answered(stood, &world);
    bench.play(SECOND, &world);
    let stuck = World {
        handler: Some(ProbeOutcome::Failed("no".into())),
        revokes: failing(),
        ..World::kind()
    };
    bench.play(SECOND.times(6), &stuck);
    let (client, deeds) = bench.revoke(PATIENT);
    let all =
        bench.answered(deeds, &World { votes: vec![1, 2], acks: vec![1, 2], ..World::kind() });
    let mut all = all;
    all.0.extend(bench.play(SECOND.times(3), &World::kind()).0);
    assert_eq!(all.final_answer(client), Some(ResultCode::Success));
    assert_eq!(bench.listed(), Holder::Nobody);
    let later = bench.play(SECOND.times(200), &World::kind());
    assert!(later.requests().is_empty(), "it was revoked");
}

/// L10, what a restarted holder without a lead gives up, and an administrator then revokes,
/// is announced.
#[test]
fn the_revoke_of_a_restarted_holder_that_steps_down_is_announced() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let expires = bench.now.wall.plus(SECOND.times(4));
    let me = bench.id(0);
    bench.start(granted(me, 6, expires));
    let alone = World { revokes: failing(), votes: vec![], acks: vec![], ..World::kind() };
    bench.play(Span::from_millis(3_200), &alone);
    let (client, deeds) = bench.revoke(PATIENT);
    let obeys = World { votes: vec![], acks: vec![], ..World::kind() };
    let mut all = bench.answered(deeds, &obeys);
    all.0.extend(
        bench.play(SECOND.times(2), &World { votes: vec![], acks: vec![], ..World::kind() }).0,
    );
    let sent = all.announcements();
    let _ = client;
    assert!(
        sent.iter()
            .any(|s| matches!(s.message.body, PeerBody::Revoke { .. })
                && s.message.term == Term::new(6)),
        "{:?} {:?}",
        sent,
        all.told(client)
    );
}

/// C2, a revoke that ends a grant ends its handler: it does not make the site stand.
#[test]
fn a_revoke_ends_the_handler_of_a_grant() {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let (_, asked) = bench.grant(PATIENT);
    assert_eq!(asked.probes().len(), 1);
    bench.revoke(PLAIN);
    let (_, second) = bench.grant(PATIENT);
    assert_eq!(second.probes().len(), 1, "another grant asks anew");
    let deeds = bench.probed(&asked, ProbeOutcome::Success);
    assert!(deeds.requests().is_empty(), "the first question was given up");
}

/// A re-election is no new win: what was known at the win is what counts.
#[test]
fn a_re_election_does_not_hide_a_holder_known_at_the_win() {
    let mut bench =
        Bench::settled(2, 1, 0, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    let (_, stood) = bench.grant(PATIENT);
    let term = stood.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    assert!(bench.acked_by(&[2], &won).grants().is_empty());
    let again = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 3);
    let term = again.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    bench.acked_by(&[2], &won);
    let world = World { grants: failing(), votes: vec![2], acks: vec![2], ..World::kind() };
    let deeds = bench.play(SECOND.times(40), &world);
    let sent = deeds.announcements();
    assert!(!sent.is_empty());
    assert!(
        sent.iter().all(|s| matches!(s.message.body, PeerBody::Revoke { .. })),
        "it was free: {sent:?}"
    );
}

/// L10, a REVOKE of a later term that is heard beside a promise counts when that ends.
#[test]
fn a_revoke_of_a_later_term_beside_a_promise() {
    let mut bench = Bench::settled(3, 0, 0, spec("T"));
    bench.heartbeat(1, 5, stamp(7, true));
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(3, false) };
    bench.hear_valid(2, Holder::Nobody, 8, Span::ZERO, body);
    let deeds = bench.advance(SECOND.times(100));
    assert!(deeds.requests().is_empty(), "revoked");
}

/// L10, and following a leader of a term between does not make it forgotten.
#[test]
fn a_later_revoke_is_remembered_beside_heartbeats_of_an_earlier_term() {
    let mut bench = Bench::settled(3, 0, 0, spec("T"));
    bench.heartbeat(1, 5, stamp(7, true));
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(3, false) };
    bench.hear_valid(2, Holder::Nobody, 8, Span::ZERO, body);
    bench.heartbeat(1, 5, stamp(8, true));
    let deeds = bench.advance(SECOND.times(100));
    assert!(deeds.requests().is_empty(), "revoked");
}

/// L10, a winner that is not granted yet hears REVOKE: nobody acquires what was revoked.
#[test]
fn a_winner_that_hears_of_the_revoke_gives_up() {
    let mut bench =
        Bench::settled(2, 2, 0, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(30));
    let term = stood.requests()[0].message.term.get();
    bench.vote(2, term);
    let won = bench.vote(3, term);
    assert!(!won.heartbeats().is_empty());
    bench.acked_by(&[2, 3], &won);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(9, false) };
    let deeds = bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body);
    assert!(deeds.announcements().is_empty(), "site 1 has not voted, and may know a later holder");
    let deeds = bench.advance(SECOND);
    assert!(deeds
        .announcements()
        .iter()
        .any(|s| matches!(s.message.body, PeerBody::Revoke { .. })));
    let later = bench.play(
        SECOND.times(30),
        &World { votes: vec![1, 2, 3], acks: vec![1, 2, 3], ..World::kind() },
    );
    assert!(later.grants().is_empty());
}

/// A refusal of an earlier revoke does not free what a later leader has lost.
#[test]
fn an_old_revoke_of_a_reference_member_does_not_free_a_lost_ticket() {
    let mut bench =
        Bench::settled(2, 1, 0, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.until_it_stands(SECOND.times(30));
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::YouOutdated,
        granted: false,
    };
    bench.hear_valid(2, Holder::Nobody, 3, Span::ZERO, body);
    let deeds = bench.play(SECOND.times(30), &World::kind());
    assert!(!deeds.grants().is_empty(), "lost, not revoked");
}

/// L10, an ordered attempt that a voter tells of the revoke is of a free ticket.
#[test]
fn an_administrators_attempt_that_is_told_of_the_revoke_is_of_a_free_ticket() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::Status { nonce: 77 });
    bench.advance(Span::from_millis(10_050));
    let (_, stood) = bench.grant(PLAIN);
    let stood =
        if stood.requests().is_empty() { bench.until_it_stands(SECOND.times(5)) } else { stood };
    let term = stood.requests()[0].message.term.get();
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::YouOutdated,
        granted: false,
    };
    let heard = bench.hear_valid(2, Holder::Nobody, 5, Span::ZERO, body);
    if !heard.writes().is_empty() {
        bench.written(&heard);
    }
    let won = bench.vote(2, term);
    let world = World { grants: failing(), votes: vec![2], acks: vec![1, 2], ..World::kind() };
    let mut deeds = bench.answered(won, &world);
    deeds.0.extend(bench.play(SECOND.times(6), &world).0);
    let sent = deeds.announcements();
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|s| matches!(s.message.body, PeerBody::Revoke { .. })), "{sent:?}");
}

/// L10, a refusal does not bring a lease back whose end was announced.
#[test]
fn a_refusal_for_an_ended_lease_does_not_make_a_free_ticket_lost() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(8, false) };
    let heard = bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body);
    bench.written(&heard);
    let (_, stood) = bench.grant(PLAIN);
    assert!(!stood.requests().is_empty());
    let former = bench.id(1);
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::TermStillValid,
        granted: false,
    };
    bench.hear_valid(2, former, 5, SECOND.times(5), body);
    let deeds =
        bench.play(SECOND.times(60), &World { votes: vec![], acks: vec![], ..World::kind() });
    assert_eq!(bench.listed(), Holder::Nobody);
    assert!(deeds.requests().is_empty(), "nobody has lost it");
}

/// A revoke while stepping down makes it known to be free.
#[test]
fn a_revoke_while_stepping_down_makes_it_known_to_be_free() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    bench.start(CibTicket::default());
    bench.past_grace();
    let world = World::kind();
    let (_, stood) = bench.grant(PLAIN);
    bench.answered(stood, &world);
    bench.play(SECOND, &world);
    let stuck = World {
        handler: Some(ProbeOutcome::Failed("no".into())),
        revokes: failing(),
        ..World::kind()
    };
    bench.play(SECOND.times(6), &stuck);
    let (client, deeds) = bench.revoke(PATIENT);
    let all = bench.answered(deeds, &World::kind());
    assert_eq!(all.final_answer(client), Some(ResultCode::Success));
    let (second, deeds) = bench.revoke(PLAIN);
    assert_eq!(deeds.final_answer(second), Some(ResultCode::TicketIdle));
    assert_eq!(bench.listed(), Holder::Nobody);
}

/// A step-down that cannot be believed yet is no revoke: the ticket is lost.
#[test]
fn a_step_down_beside_a_promise_is_no_revoke() {
    let mut bench = Bench::three();
    bench.heartbeat(1, 5, stamp(7, true));
    let other = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(900_000, false) };
    bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, other);
    bench.until_it_stands(SECOND.times(20));
}

/// An old REVOKE that comes late does not free what a later leader has lost.
#[test]
fn an_old_revoke_does_not_free_a_lost_ticket() {
    let mut bench =
        Bench::settled(3, 0, 0, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    bench.heartbeat(1, 5, stamp(7, true));
    bench.advance(SECOND.times(11));
    let old = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(3, false) };
    bench.hear_valid(2, Holder::Nobody, 3, Span::ZERO, old);
    bench.until_it_stands(SECOND.times(20));
}

/// A REVOKE of a later term than the win ends it, too: elected again above it, it would acquire
/// what an administrator has revoked with success.
#[test]
fn a_winner_that_hears_a_revoke_of_a_later_term_gives_up() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::Status { nonce: 77 });
    let stood = bench.until_it_stands(SECOND.times(30));
    let term = stood.requests()[0].message.term.get();
    // The arbitrator votes; then it is not heard, and votes for and follows the other site, whose
    // administrator grants and revokes within `timeout * (retries + 1)`.
    assert!(!bench.vote(2, term).heartbeats().is_empty());
    bench.advance(SECOND);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
    bench.hear_valid(1, Holder::Nobody, term + 1, Span::ZERO, body);
    // The arbitrator refuses the heartbeat, says what it knows, and votes; the other site is gone.
    let other = bench.id(1);
    let body = PeerBody::Rejected {
        of: Command::Heartbeat,
        result: ResultCode::TermOutdated,
        granted: false,
    };
    let again = bench.hear_valid(2, other, term + 1, Span::ZERO, body);
    let mut deeds = again.clone();
    if let Some(request) = again.requests().first() {
        let term2 = request.message.term.get();
        let body = PeerBody::Rejected {
            of: Command::ReqVote,
            result: ResultCode::YouOutdated,
            granted: false,
        };
        bench.hear_valid(2, Holder::Nobody, term + 1, Span::ZERO, body);
        let won = bench.vote(2, term2);
        deeds.0.extend(
            bench.answered(won, &World { votes: vec![2], acks: vec![2], ..World::kind() }).0,
        );
    }
    let world = World { votes: vec![2], acks: vec![2], ..World::kind() };
    deeds.0.extend(bench.play(SECOND.times(8), &world).0);
    assert!(deeds.grants().is_empty(), "it was revoked in term {}", term + 1);
}

/// The same with real members: the holder is cut off; the first site wins, its heartbeats are lost;
/// the other site is granted by an order, and revoked with success; then it is gone.
#[test]
fn what_was_revoked_with_success_is_not_acquired_by_a_win_of_an_earlier_term() {
    revoked_beside_an_earlier_win(true);
}

/// The same where REVOKE is lost, too: the arbitrator tells it before its vote (`Outd`), and the
/// re-elected winner does not heed it while it stands.
#[test]
fn what_a_voter_tells_of_a_revoke_ends_the_re_election_of_a_win() {
    revoked_beside_an_earlier_win(false);
}

fn revoked_beside_an_earlier_win(heard_itself: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(1, PLAIN);
    assert_eq!(cluster.granted(), [1]);
    cluster.isolate(1, true);
    // What the arbitrator says to the first site takes a moment.
    cluster.slow.push((2, 0));
    cluster.delay = Span::from_millis(400);
    let stands = |cluster: &Cluster| {
        let asks = |m: &crate::wire::PeerMessage| matches!(m.body, PeerBody::ReqVote { .. });
        cluster.sent.iter().any(|(f, t, m)| (*f, *t) == (0, 2) && asks(m) && m.term.get() > 1)
    };
    for _ in 0..3_000 {
        if stands(&cluster) {
            break;
        }
        cluster.advance(Span::from_millis(5));
    }
    assert!(stands(&cluster), "the first site stands");
    // The vote is under way; the heartbeats that follow it are lost.
    cluster.cut.push((0, 2));
    cluster.advance(Span::from_millis(500));
    assert!(cluster.logged(0, "won the election"));
    // The other site is back, an administrator grants there, and revokes.
    cluster.cut.retain(|link| ![(1, 2), (2, 1)].contains(link));
    let granted = cluster.grant(1, PLAIN);
    for _ in 0..300 {
        if cluster.granted().is_empty() {
            cluster.advance(Span::from_millis(10));
        }
    }
    assert_eq!(cluster.granted(), [1], "{:?} {:#?}", cluster.codes(granted), cluster.nodes[1].log);
    // The first site hears of the revoke, as it has not heard of the grant.
    cluster.cut.retain(|link| *link != (1, 0) || !heard_itself);
    let revoked = cluster.revoke(1);
    assert_eq!(cluster.codes(revoked).last(), Some(&(ResultCode::Success, true)));
    let heard = cluster
        .sent
        .iter()
        .any(|(f, t, m)| (*f, *t) == (1, 0) && matches!(m.body, PeerBody::Revoke { .. }));
    assert!(heard);
    assert!(cluster.granted().is_empty());
    cluster.isolate(1, true);
    cluster.cut.retain(|link| *link != (0, 2));
    cluster.advance(SECOND.times(20));
    assert!(cluster.granted().is_empty(), "acquired by itself: {:#?}", cluster.nodes[0].log);
}

/// L10, what was revoked meanwhile is free again when the ordered grant fails.
#[test]
fn a_grant_that_fails_after_a_revoke_was_heard_leaves_a_free_ticket() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.advance(Span::from_millis(10_050));
    let (_, stood) = bench.grant(PLAIN);
    let stood =
        if stood.requests().is_empty() { bench.until_it_stands(SECOND.times(5)) } else { stood };
    let term = stood.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(8, false) };
    bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body);
    let world = World { grants: failing(), votes: vec![2], acks: vec![1, 2], ..World::kind() };
    let mut deeds = bench.answered(won, &world);
    deeds.0.extend(bench.play(SECOND.times(20), &world).0);
    let sent = deeds.announcements();
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|s| matches!(s.message.body, PeerBody::Revoke { .. })), "{sent:?}");
}

/// A revoke of a win without a lease is over with it; it is not known to be free then.
#[test]
fn a_revoke_of_a_win_does_not_end_a_later_grant() {
    let mut bench = Bench::three();
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(30));
    bench.elected(&stood);
    bench.revoke(PATIENT);
    let deeds =
        bench.play(SECOND.times(10), &World { votes: vec![], acks: vec![], ..World::kind() });
    assert!(!deeds.announcements().is_empty());
    let (client, stood) = bench.grant(PATIENT);
    let mut deeds = bench.answered(stood, &World::kind());
    deeds.0.extend(bench.play(SECOND.times(5), &World::kind()).0);
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    assert_eq!(bench.listed(), bench.id(0), "it stays");
}

#[test]
fn after_the_revoke_of_a_win_without_a_lease_it_is_not_known_to_be_free() {
    let mut bench = Bench::three();
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(30));
    bench.elected(&stood);
    bench.revoke(PATIENT);
    bench.play(SECOND.times(10), &World { votes: vec![], acks: vec![], ..World::kind() });
    let (second, deeds) = bench.revoke(PLAIN);
    assert_eq!(deeds.final_answer(second), Some(ResultCode::SyncFail));
    assert_eq!(bench.listed(), Holder::Unknown);
}

/// An older revoke than the last known holder does not make a lost ticket free.
#[test]
fn an_older_revoke_does_not_make_a_lost_ticket_free() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::Status { nonce: 77 });
    bench.advance(Span::from_millis(10_050));
    let (_, stood) = bench.grant(PLAIN);
    let stood =
        if stood.requests().is_empty() { bench.until_it_stands(SECOND.times(5)) } else { stood };
    let term = stood.requests()[0].message.term.get();
    let body = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::YouOutdated,
        granted: false,
    };
    bench.hear_valid(2, Holder::Nobody, 3, Span::ZERO, body);
    let won = bench.vote(2, term);
    let world = World { grants: failing(), votes: vec![2], acks: vec![1, 2], ..World::kind() };
    let mut deeds = bench.answered(won, &world);
    deeds.0.extend(bench.play(SECOND.times(6), &world).0);
    let sent = deeds.announcements();
    assert!(sent.iter().any(|s| matches!(s.message.body, PeerBody::StepDown { .. })), "{sent:?}");
}

/// L3, a restarted holder refuses in the term that its store says, not in that of its attempts: its
/// revoke is announced in that one.
#[test]
fn a_restarted_holder_names_the_term_that_it_holds_in() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let expires = bench.now.wall.plus(SECOND.times(8));
    let me = bench.id(0);
    let stood = bench.start(granted(me, 6, expires));
    assert!(stood.requests()[0].message.term > Term::new(6));
    let deeds = bench.asked_for_vote(1, 30);
    let refused = deeds
        .sent(|body| matches!(body, PeerBody::Rejected { result: ResultCode::TermStillValid, .. }));
    assert_eq!(refused[0].message.term, Term::new(6));
}

/// L3, the refusal of a holder is an objection: its store says *granted*.
#[test]
fn a_holder_refuses_with_the_mark_granted() {
    let mut bench = Bench::three();
    let term = bench.hold();
    let deeds = bench.asked_for_vote(1, term + 5);
    let objects = |body: &PeerBody| matches!(body, PeerBody::Rejected { granted: true, .. });
    assert_eq!(deeds.sent(objects).len(), 1);
}

/// L10, a heartbeat of a lower term than the last that is known to be revoked is refused, also if
/// its sender has never announced an end.
#[test]
fn a_heartbeat_below_a_known_revoke_is_refused() {
    for known in [0, 7] {
        let mut bench = Bench::three();
        bench.hear_valid(2, Holder::Nobody, known, Span::ZERO, PeerBody::MyIndex { nonce: 5 });
        let deeds = bench.heartbeat(1, 5, stamp(7, true));
        let acks = deeds.sent(|body| matches!(body, PeerBody::Ack { .. })).len();
        assert_eq!(acks, usize::from(known == 0));
    }
}
