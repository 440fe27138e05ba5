// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said or heard at an unusual moment (L3, L8, L10, L13): by a follower that has not voted,
//! after the win, beside a grant that fails, while a handler runs. Each schedule stands beside the
//! same one without what makes it bad.

use super::bench::{stamp, Bench, Deeds, Sent, World, SECOND};
use super::cluster::{failing, spec, Cluster, FORCED, PATIENT, PLAIN};
use crate::engine::{CibOutcome, CibTicket, Effect, ProbeOutcome};
use crate::model::{Holder, Term, TicketSpec};
use crate::time::{Span, WallTime};
use crate::wire::{Command, LastKnown, PeerBody, Reason, ResultCode};

const MILLI: Span = Span::from_millis(1);
const NOBODY: [usize; 0] = [];

fn revoke_of(bench: &mut Bench, from: usize, term: u32) -> Deeds {
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
    bench.hear_valid(from, Holder::Nobody, term, Span::ZERO, body)
}

/// Site 1 holds in 1 with all; site 0 misses the revoke; site 1 is granted again with the
/// arbitrator, dies; the arbitrator is restarted. The request for site 1's vote is lost (or not).
#[test]
fn who_follows_without_having_voted_tells_what_it_knows() {
    without_a_vote(false);
    without_a_vote(true);
}

fn without_a_vote(lost: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(1, PLAIN);
    c.advance(SECOND);
    c.isolate(0, true);
    let client = c.revoke(1);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.advance(SECOND);
    c.grant(1, PATIENT);
    c.advance(SECOND.times(3));
    assert_eq!(c.granted(), [1]);
    let held = c.nodes[1].store.term;
    // The daemon of site 1 and the arbitrator are restarted; the keeper revokes.
    c.crash(1);
    c.crash(2);
    c.nodes[1].store.granted = false;
    c.start(2);
    c.advance(SECOND.times(5));
    c.cut = (0..3).flat_map(|a| (0..3).map(move |b| (a, b))).collect();
    c.start(1);
    c.advance(SECOND.times(14));
    c.cut = vec![(1, 0), (0, 1), (1, 2), (2, 1)];
    let won = |c: &Cluster| c.nodes[0].log.iter().any(|l| l.contains("won the election"));
    for _ in 0..3_000 {
        if won(&c) {
            break;
        }
        c.advance(MILLI.times(10));
    }
    assert!(won(&c), "site 0 wins");
    assert_eq!(c.granted(), NOBODY);
    c.cut.clear();
    if !lost {
        c.again(0, 1, |m| matches!(m.body, PeerBody::ReqVote { .. }));
    }
    c.again(1, 0, |m| matches!(m.body, PeerBody::Revoke { .. }) && m.term == Term::new(1));
    c.again(0, 1, |m| matches!(m.body, PeerBody::Heartbeat { .. }));
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(1), c.listed(2));
    assert!(!c.granted().is_empty(), "lost {lost}: held in {held:?} since; {listed:?}");
}

/// A follower that was told of a later holder hears the REVOKE of an earlier one.
#[test]
fn a_late_revoke_frees_nothing_at_a_follower_that_was_told_of_a_later_holder() {
    late_revoke(0);
    late_revoke(1);
    late_revoke(2);
}

fn late_revoke(how: u32) {
    let mut bench = Bench::settled(2, 3, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let mut t = 0;
    while t < 8 {
        let stood = bench.until_it_stands(SECOND.times(60));
        t = stood.requests()[0].message.term.get();
    }
    // One vote, no majority: the attempt fails.
    bench.vote_telling(4, t, Some((7, false)));
    let world = World { votes: vec![], acks: vec![], ..World::kind() };
    bench.play(MILLI.times(1_050), &world);
    match how {
        0 => {}
        1 => {
            revoke_of(&mut bench, 1, 5);
        }
        _ => {
            // In the attempt itself.
            let stood = bench.until_it_stands(SECOND.times(60));
            let t = stood.requests()[0].message.term.get();
            bench.vote_telling(4, t, Some((7, false)));
            revoke_of(&mut bench, 1, 5);
        }
    }
    let world = World { votes: vec![2, 3, 4], acks: vec![2, 3, 4], ..World::kind() };
    let all = bench.play(SECOND.times(100), &world);
    assert!(!all.grants().is_empty(), "how {how}: it was held in 7 since, and is lost");
}

/// A patient revoke beside a failed grant of a free ticket.
#[test]
fn a_patient_revoke_that_is_not_known_frees_nothing() {
    patient_revoke(0);
    patient_revoke(1);
    patient_revoke(2);
}

fn patient_revoke(how: u32) {
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
    let revoker = match how {
        0 => None,
        1 => Some(c.revoke(0)),
        _ => Some(c.revoke_with(0, PATIENT)),
    };
    c.advance(SECOND.times(2));
    // Site 0 hears what the other one says.
    c.isolate(0, false);
    c.advance(SECOND.times(7));
    c.crash(1);
    c.isolate(0, true);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(3));
    let codes = revoker.map(|r| c.codes(r));
    c.nodes[1].store.granted = false;
    c.isolate(0, false);
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2));
    assert_eq!(c.granted(), [0], "how {how} {codes:?}: {listed:?}");
}

/// A site in grace that is ordered with -F hears that a site has held the ticket.
#[test]
fn an_idle_answer_that_names_a_later_holder_is_not_forgotten() {
    for last in [false, true] {
        let mut bench = Bench::new(2, 1, 0, spec("T"));
        let stored = CibTicket {
            granted: false,
            owner: Some(Holder::Nobody),
            expires: Some(WallTime::EPOCH),
            term: Some(Term::new(3)),
            attrs: Vec::new(),
        };
        let begun = bench.start(stored);
        let nonce = begun.0.iter().find_map(|(_, effect)| match effect {
            Effect::Send { message, .. } => match message.body {
                PeerBody::Status { nonce } => Some(nonce),
                _ => None,
            },
            _ => None,
        });
        let nonce = nonce.expect("it asks");
        let (_, stood) = bench.grant(FORCED);
        let t = stood.requests()[0].message.term.get();
        // Site 1 held it in 7 last, and is idle; its votes are lost. An answer to an earlier
        // start's question says the same.
        let nonce = if last { nonce } else { nonce ^ 1 };
        let body = PeerBody::MyIndex { nonce };
        bench.hear_valid(1, bench.id(1), 7, Span::ZERO, body);
        assert!(t < 7, "site 1 would not vote");
        let mut u = t;
        while u < 8 {
            let stood = bench.until_it_stands(SECOND.times(60));
            u = stood.requests()[0].message.term.get();
        }
        let all = bench.vote_telling(2, u, None);
        assert!(!all.heartbeats().is_empty());
        let fails = World { grants: failing(), votes: vec![], acks: vec![2], ..World::kind() };
        let mut all = bench.answered(all, &fails);
        all.0.extend(bench.play(SECOND.times(8), &fails).0);
        let sent = all.announcements();
        assert!(!sent.is_empty());
        assert!(
            sent.iter().all(|s| matches!(s.message.body, PeerBody::StepDown { .. })),
            "last {last}: it was lost: {:?}",
            sent[0]
        );
    }
}

/// A vote that comes after the win says that its voter's own store said *granted* until a
/// second ago: `acquire-after` counts from there, as it does if the vote makes the win.
#[test]
fn acquire_after_counts_from_what_a_late_vote_states() {
    for late in [false, true] {
        let spec = TicketSpec { acquire_after: SECOND.times(8), ..spec("T") };
        let mut bench = Bench::settled(2, 3, 0, spec);
        let followed = bench.heartbeat(1, 5, stamp(7, true));
        bench.written(&followed);
        let stood = bench.until_it_stands(SECOND.times(60));
        let t = stood.requests()[0].message.term.get();
        let theirs = |bench: &mut Bench| {
            let last = Some(LastKnown { term: Term::new(5), free: false });
            let body = PeerBody::Vote { vouched: true, unbound_for: Some(SECOND), last };
            bench.hear_valid(1, bench.id(0), t, Span::ZERO, body)
        };
        let mut all = bench.vote_telling(2, t, Some((5, false)));
        if !late {
            all.0.extend(theirs(&mut bench).0);
        }
        all.0.extend(bench.vote_telling(3, t, Some((5, false))).0);
        assert!(!all.heartbeats().is_empty());
        let world = World { votes: vec![], acks: vec![2, 3], ..World::kind() };
        let mut all = bench.answered(all, &world);
        if late {
            all.0.extend(theirs(&mut bench).0);
        }
        let mut all = bench.answered(all, &World { acks: vec![], ..world.clone() });
        all.0.extend(bench.play(SECOND.times(6), &world).0);
        assert!(all.grants().is_empty(), "late {late}: its store said granted 7 s ago");
        all.0.extend(bench.play(SECOND.times(3), &world).0);
        assert!(!all.grants().is_empty(), "late {late}");
    }
}

/// Lets time pass until its handler runs.
fn until_it_probes(bench: &mut Bench) -> Deeds {
    for _ in 0..3_000 {
        let probing = bench.advance(MILLI.times(10));
        if !probing.probes().is_empty() {
            return probing;
        }
    }
    panic!("its handler does not run");
}

/// L13. Whoever has this site's vote gets time to win, also if its handler was running.
#[test]
fn a_handler_that_agrees_after_a_vote_does_not_cut_its_pause_short() {
    for handler in [false, true] {
        let spec = TicketSpec { has_handler: true, ..spec("T") };
        let mut bench = Bench::settled(3, 2, 0, spec);
        let followed = bench.heartbeat(1, 5, stamp(7, true));
        bench.written(&followed);
        let probing = until_it_probes(&mut bench);
        let voted = bench.asked_for_vote(2, 9);
        assert!(!voted.sent(|body| matches!(body, PeerBody::Vote { .. })).is_empty());
        let mut all = Deeds(Vec::new());
        if handler {
            all.0.extend(bench.probed(&probing, ProbeOutcome::Success).0);
        }
        all.0.extend(bench.advance(MILLI.times(900)).0);
        assert!(all.requests().is_empty(), "handler {handler}: not within the timeout");
    }
}

/// L13. The same where another site is heard to lead meanwhile.
#[test]
fn a_handler_that_agrees_does_not_make_it_stand_under_a_lease_that_it_knows() {
    for handler in [false, true] {
        let spec = TicketSpec { has_handler: true, ..spec("T") };
        let mut bench = Bench::settled(3, 2, 0, spec);
        let followed = bench.heartbeat(1, 5, stamp(7, true));
        bench.written(&followed);
        let probing = until_it_probes(&mut bench);
        bench.hear_valid(3, bench.id(2), 9, SECOND.times(8), PeerBody::MyIndex { nonce: 77 });
        let mut all = Deeds(Vec::new());
        if handler {
            all.0.extend(bench.probed(&probing, ProbeOutcome::Success).0);
        }
        all.0.extend(bench.advance(SECOND.times(4)).0);
        assert!(all.requests().is_empty(), "handler {handler}: site 2 leads for 8 s");
    }
}

/// What the votes of `deeds` tell.
fn told(deeds: &Deeds) -> Vec<Option<LastKnown>> {
    let votes = deeds.sent(|body| matches!(body, PeerBody::Vote { .. }));
    let last = |s: &Sent| match s.message.body {
        PeerBody::Vote { last, .. } => last,
        _ => None,
    };
    votes.iter().map(last).collect()
}

/// A failed grant of a free ticket whose store does not obey; REVOKE of a later holder is
/// heard meanwhile: it is told with votes when the store has obeyed.
#[test]
fn a_revoke_heard_beside_a_failed_grant_is_not_forgotten() {
    for ill in [false, true] {
        let mut bench = Bench::settled(3, 2, 0, spec("T"));
        let (_, stood) = bench.grant(PLAIN);
        let t = stood.requests()[0].message.term.get();
        bench.vote_telling(3, t, None);
        let won = bench.vote_telling(4, t, None);
        assert!(!won.heartbeats().is_empty());
        let revokes = if ill { failing() } else { Some(CibOutcome::Written) };
        let mut world =
            World { grants: failing(), revokes, votes: vec![], acks: vec![3, 4], ..World::kind() };
        bench.answered(won, &world);
        world.acks = vec![];
        bench.play(SECOND.times(25), &world);
        let told_here = revoke_of(&mut bench, 1, t + 30);
        bench.answered(told_here, &world);
        bench.play(SECOND, &world);
        world.revokes = Some(CibOutcome::Written);
        bench.play(SECOND.times(3), &world);
        let votes = told(&bench.asked_for_vote(2, t + 40));
        let last = Some(LastKnown { term: Term::new(t + 30), free: true });
        assert_eq!(votes, [last], "ill {ill}: it has heard that");
    }
}

/// An ordered win without a lease hears REVOKE of a later term, and its grant fails.
#[test]
fn a_revoke_of_a_later_term_heard_at_an_ordered_win_is_not_forgotten() {
    for granting in [false, true] {
        let mut bench = Bench::settled(3, 2, 0, spec("T"));
        let (_, stood) = bench.grant(PLAIN);
        let t = stood.requests()[0].message.term.get();
        if granting {
            bench.vote_telling(3, t, None);
            let won = bench.vote_telling(4, t, None);
            assert!(!won.heartbeats().is_empty());
        }
        let world = World { votes: vec![], acks: vec![], ..World::kind() };
        if !granting {
            bench.play(SECOND.times(20), &world);
        }
        let deeds = revoke_of(&mut bench, 1, t + 30);
        bench.answered(deeds, &world);
        bench.play(SECOND.times(20), &world);
        let votes = told(&bench.asked_for_vote(2, t + 40));
        let last = Some(LastKnown { term: Term::new(t + 30), free: true });
        assert_eq!(votes, [last], "granting {granting}: it has heard that");
    }
}

/// L1. A voter says that the ticket was revoked, or held, in the very term of the attempt, or in a
/// later one: who has forgotten it may vote all the same, but nobody else would follow.
#[test]
fn a_term_that_a_voter_knows_to_be_used_up_is_not_led() {
    for (last, leads) in [(None, true), (Some((1, true)), false), (Some((3, false)), false)] {
        let mut bench = Bench::settled(2, 3, 0, spec("T"));
        let (_, stood) = bench.grant(PATIENT);
        let term = stood.requests()[0].message.term.get();
        assert_eq!(term, 1);
        let told = last.map(|(term, free)| LastKnown { term: Term::new(term), free });
        let body = PeerBody::Vote { vouched: true, unbound_for: Some(Span::MAX), last: told };
        bench.hear_valid(1, bench.id(1), term, Span::ZERO, body);
        bench.vote_telling(2, term, None);
        let won = bench.vote_telling(3, term, None);
        assert_eq!(!won.heartbeats().is_empty(), leads, "{last:?}");
        if !leads {
            let stood = bench.until_it_stands(SECOND.times(10));
            assert!(stood.requests()[0].message.term > told.expect("it was told").term);
        }
    }
}

/// A member refuses a win without a lease in favour of another site's lease: what was won is not
/// free, and a grant that fails frees nothing.
#[test]
fn a_win_beside_the_lease_of_another_site_is_not_of_a_free_ticket() {
    for refused in [false, true] {
        let mut bench = Bench::settled(2, 3, 0, spec("T"));
        let (_, stood) = bench.grant(PATIENT);
        let term = stood.requests()[0].message.term.get();
        bench.vote_telling(2, term, None);
        let won = bench.vote_telling(3, term, None);
        assert!(!won.heartbeats().is_empty());
        if refused {
            let (of, result) = (Command::Heartbeat, ResultCode::TermStillValid);
            let body = PeerBody::Rejected { of, result, granted: false };
            bench.hear_valid(4, bench.id(1), 0, SECOND.times(8), body);
        }
        let fails = World { grants: failing(), votes: vec![], acks: vec![2, 3], ..World::kind() };
        let mut all = bench.answered(won, &fails);
        all.0.extend(bench.play(SECOND.times(20), &fails).0);
        let sent = all.announcements();
        let frees = |s: &Sent| matches!(s.message.body, PeerBody::Revoke { .. });
        assert!(!sent.is_empty() && sent.iter().all(|s| frees(s) != refused), "{:?}", sent[0]);
    }
}

/// L10. The first grant waits behind an earlier write that hangs; REVOKE comes before it is handed
/// to the store: nothing is granted.
#[test]
fn a_revoke_takes_back_a_grant_that_waits_behind_another_write() {
    for revoked in [false, true] {
        let mut bench = Bench::settled(2, 3, 0, spec("T"));
        // What the store shall say of site 1 is not written yet.
        let following = bench.heartbeat(1, 5, stamp(7, true));
        assert!(!following.revokes().is_empty());
        let stood = bench.until_it_stands(SECOND.times(30));
        let term = stood.requests()[0].message.term.get();
        bench.vote_telling(2, term, Some((5, false)));
        let won = bench.vote_telling(3, term, Some((5, false)));
        let mut all = bench.acked_by(&[2, 3], &won);
        let world = World { votes: vec![], acks: vec![2, 3], ..World::kind() };
        all.0.extend(bench.play(SECOND.times(2), &World { revokes: None, ..world.clone() }).0);
        assert!(all.grants().is_empty(), "it waits");
        if revoked {
            all.0.extend(revoke_of(&mut bench, 1, 5).0);
        }
        let ended = bench.written(&following);
        all.0.extend(bench.answered(ended, &world).0);
        all.0.extend(bench.play(SECOND.times(3), &world).0);
        assert_eq!(all.grants().is_empty(), revoked, "revoked {revoked}");
    }
}
