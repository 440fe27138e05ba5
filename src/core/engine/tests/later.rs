// SPDX-License-Identifier: GPL-2.0-or-later
//! What was held later than the last revoke that a member knows of, or revoked later than the last
//! holder (L3, L10): whichever is the latest decides, by whatever packet and in whatever state it
//! is heard. Each schedule stands beside the same one without what makes it bad.

use super::bench::{stamp, Bench, World, SECOND};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::CibOutcome;
use crate::model::{Holder, Term};
use crate::time::Span;
use crate::wire::{Command, PeerBody, PeerMessage, Reason, ResultCode};

const MILLI: Span = Span::from_millis(1);
const NOBODY: [usize; 0] = [];

/// Cuts every link between the two groups.
fn split(c: &mut Cluster, a: &[usize], b: &[usize]) {
    for x in a {
        for y in b {
            c.cut.extend([(*x, *y), (*y, *x)]);
        }
    }
}

/// A refusal of an old vote request names whoever has the vote. That is nobody's lead, whose end a
/// site that announces a revoke would have to announce, too.
#[test]
fn a_vote_is_not_a_lead() {
    vote_or_lead(false);
    vote_or_lead(true);
}

fn vote_or_lead(late: bool) {
    // Sites 0, 1, 2, arbitrators 3, 4.
    let mut c = Cluster::new(3, 2, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    // The acknowledgement of 4 is lost: 0 goes on announcing its revoke.
    c.cut.push((4, 0));
    let client = c.revoke(0);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    split(&mut c, &[0, 3], &[1, 2, 4]);
    let other = c.grant(1, PATIENT);
    let client = c.grant(0, PLAIN);
    c.advance(SECOND.times(6));
    assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    assert!(c.codes(other).contains(&(ResultCode::Success, true)));
    assert_eq!(c.granted(), [1]);
    if late {
        // A copy of the first vote request comes after the last one.
        let first = c.sent.iter().filter(|s| (s.0, s.1) == (0, 3));
        let first = first.filter(|s| matches!(s.2.body, PeerBody::ReqVote { .. }));
        let first = first.map(|s| s.2.term).min().unwrap();
        c.again(0, 3, |m| matches!(m.body, PeerBody::ReqVote { .. }) && m.term == first);
    }
    c.cut.clear();
    split(&mut c, &[1], &[0, 3]);
    c.advance(SECOND.times(2));
    assert_eq!(c.granted(), [1], "late {late}");
    c.crash(1);
    c.nodes[1].store.granted = false;
    c.cut.clear();
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2), c.listed(3), c.listed(4));
    assert_eq!(c.granted().len(), 1, "late {late}: its holder died, it is lost: {listed:?}");
}

/// A member that is promised to a leader hears that its very term was revoked.
#[test]
fn what_is_heard_under_the_promise_of_that_term_is_remembered() {
    under_the_promise(false);
    under_the_promise(true);
}

fn under_the_promise(forgets: bool) {
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
    let nobody = |s: &&(usize, usize, PeerMessage)| {
        (s.0, s.1) == (2, 0)
            && matches!(s.2.body, PeerBody::MyIndex { .. })
            && s.2.leader == Holder::Nobody
            && s.2.term > Term::ZERO
    };
    assert!(c.sent.iter().filter(nobody).count() > 0, "the arbitrator has told it");
    c.crash(1);
    if forgets {
        c.crash(2);
        c.start(2);
    }
    c.advance(SECOND.times(300));
    assert_eq!(c.granted(), NOBODY, "forgets {forgets}: revoked with success, and site 0 heard so");
}

/// What a voter of an attempt that failed told of a later holder counts in the next one, and an
/// answer of who knows less does not undo it.
#[test]
fn what_a_failed_attempt_was_told_of_a_later_holder_counts() {
    told_of_a_later_holder(1);
    told_of_a_later_holder(2);
    told_of_a_later_holder(0);
}

fn told_of_a_later_holder(how: usize) {
    // Sites 0, 1, arbitrators 2, 3, 4.
    let mut c = Cluster::new(2, 3, spec("T"));
    c.start_all();
    c.grant(1, PLAIN);
    c.advance(SECOND);
    c.isolate(0, true);
    let client = c.revoke(1);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    split(&mut c, &[2], &[1, 3, 4]);
    let client = c.grant(1, PATIENT);
    c.advance(SECOND);
    assert!(c.codes(client).contains(&(ResultCode::Success, true)));
    assert_eq!(c.granted(), [1]);
    c.crash(1);
    c.nodes[1].store.granted = false;
    for node in [0, 2, 3, 4] {
        c.isolate(node, true);
    }
    let all: Vec<(usize, usize)> =
        (0..5).flat_map(|a| (0..5).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
    c.cut = all.clone();
    c.crash(4);
    c.start(4);
    c.advance(SECOND.times(20));
    let open = |c: &mut Cluster, with: &[usize]| {
        c.cut = all.clone();
        c.cut.retain(|(a, b)| !((*a == 0 && with.contains(b)) || (*b == 0 && with.contains(a))));
    };
    let voted = |c: &Cluster, by: usize| {
        c.sent
            .iter()
            .filter(|s| (s.0, s.1) == (by, 0) && matches!(s.2.body, PeerBody::Vote { .. }))
            .count()
    };
    // 3 alone answers: held in term 2.
    open(&mut c, &[3]);
    for _ in 0..6_000 {
        if voted(&c, 3) > 0 {
            break;
        }
        c.advance(MILLI.times(10));
    }
    assert!(voted(&c, 3) > 0);
    c.cut = all.clone();
    if how == 0 {
        // The attempt ends, and the next ones are of 2 and 4.
        c.advance(SECOND.times(2));
    }
    open(&mut c, if how != 1 { &[2, 4] } else { &[2, 3, 4] });
    c.advance(SECOND.times(30));
    c.cut.clear();
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(3));
    assert_eq!(c.granted(), [0], "how {how}: lost, and site 0 was told so; {listed:?}");
}

/// A site that gives up has won again, and a late vote tells of a later holder than the revoke.
#[test]
fn a_late_vote_counts_while_a_site_gives_up() {
    late_vote_while_leaving(false);
    late_vote_while_leaving(true);
}

fn late_vote_while_leaving(late: bool) {
    let mut bench = Bench::settled(2, 3, 0, spec("T"));
    let t = bench.hold();
    let stuck = World { revokes: failing(), votes: vec![], acks: vec![], ..World::kind() };
    bench.play(SECOND.times(40), &stuck);
    let mut s = 0;
    for _ in 0..4_000 {
        let deeds = bench.play(MILLI.times(10), &stuck);
        if let Some(request) = deeds.requests().last() {
            s = request.message.term.get();
            break;
        }
    }
    assert!(s > t + 3);
    bench.vote_telling(2, s, Some((t + 1, true)));
    let won = if late {
        let won = bench.vote_telling(3, s, None);
        bench.vote_telling(4, s, Some((t + 2, false)));
        won
    } else {
        let won = bench.vote_telling(4, s, Some((t + 2, false)));
        bench.vote_telling(3, s, None);
        won
    };
    assert!(!won.heartbeats().is_empty());
    let obeys = World { votes: vec![], acks: vec![2, 3, 4], ..World::kind() };
    let mut deeds = bench.answered(won, &obeys);
    deeds.0.extend(bench.play(SECOND.times(3), &obeys).0);
    let sent = deeds.announcements();
    assert!(!sent.is_empty());
    assert!(
        sent.iter().all(|s| matches!(s.message.body, PeerBody::StepDown { .. })),
        "late {late}: held and lost in a later term: {:?}",
        sent[0]
    );
}

/// A reference member refuses because of a revoke in an earlier term than that of a holder which a
/// voter has told of.
#[test]
fn a_refusal_for_an_earlier_revoke_ends_no_attempt() {
    reference_refusal(false);
    reference_refusal(true);
}

fn reference_refusal(outd: bool) {
    let mut bench = Bench::settled(2, 3, 0, spec("T"));
    bench.heartbeat(1, 5, stamp(7, true));
    let stood = bench.until_it_stands(SECOND.times(30));
    let t = stood.requests()[0].message.term.get();
    bench.vote_telling(3, t, Some((t - 1, false)));
    let t = if t - 1 > 5 {
        t
    } else {
        // The next attempt is in a later term.
        let stood = bench.until_it_stands(SECOND.times(30));
        let t = stood.requests()[0].message.term.get();
        bench.vote_telling(3, t, Some((6, false)));
        t
    };
    if outd {
        let body = PeerBody::Rejected {
            of: Command::ReqVote,
            result: ResultCode::YouOutdated,
            granted: false,
        };
        bench.hear_valid(2, Holder::Nobody, 5, Span::ZERO, body);
    }
    let won = bench.vote_telling(4, t, None);
    assert!(!won.heartbeats().is_empty(), "outd {outd}: it was held in 6");
}

/// An administrator revokes a win that has no lease, and then REVOKE of the last holder comes.
#[test]
fn a_revoke_of_a_win_does_not_undo_the_revoke_that_is_heard() {
    revoke_of_a_win(false);
    revoke_of_a_win(true);
}

fn revoke_of_a_win(order: bool) {
    // Sites 0, 1, arbitrators 2, 3, 4.
    let mut c = Cluster::new(2, 3, spec("T"));
    c.start_all();
    c.grant(1, PLAIN);
    c.advance(SECOND);
    split(&mut c, &[1, 2], &[0, 3, 4]);
    let client = c.revoke(1);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.slow = vec![(3, 0), (4, 0)];
    c.delay = MILLI.times(300);
    for _ in 0..2_000 {
        c.advance(MILLI.times(10));
        if c.logged(0, "won the election") {
            break;
        }
    }
    assert!(c.logged(0, "won the election"));
    let client = order.then(|| c.revoke_with(0, PATIENT));
    // REVOKE at last.
    c.again(1, 0, |m| matches!(m.body, PeerBody::Revoke { .. }));
    let codes = client.map(|client| c.codes(client));
    c.slow.clear();
    c.cut.clear();
    c.advance(SECOND.times(300));
    assert_eq!(c.granted(), NOBODY, "order {order} {codes:?}: revoked, and all have heard it");
}

/// Who follows a restarted leader in a later term refuses its REVOKE, until that is heard.
#[test]
fn a_refusal_of_a_revoke_that_is_lost_is_said_again() {
    refused_revoke(0);
    refused_revoke(1);
    refused_revoke(2);
}

fn refused_revoke(how: usize) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.isolate(1, true);
    c.advance(MILLI.times(14_300));
    assert_eq!(c.granted(), [0]);
    let won =
        |c: &Cluster| c.nodes[0].log.iter().filter(|l| l.contains("won the election")).count();
    c.nodes[0].write = None;
    c.isolate(1, false);
    // 2 does not hear of the re-election.
    c.cut = vec![(0, 2), (2, 0)];
    c.again(1, 0, |m| matches!(m.body, PeerBody::ReqVote { .. }));
    for _ in 0..2_000 {
        if won(&c) > 1 {
            break;
        }
        c.advance(MILLI.times(5));
    }
    assert_eq!(won(&c), 2, "{:#?}", c.nodes[1].log);
    c.advance(MILLI.times(20));
    c.crash(0);
    assert!(c.nodes[0].store.granted);
    c.isolate(0, true);
    c.cut.extend([(1, 2), (2, 1)]);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.start(0);
    let client = c.revoke(0);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    match how {
        0 => c.isolate(0, false),
        1 => {
            // 2 hears it first.
            c.cut.retain(|link| *link != (0, 2) && *link != (2, 0));
            c.advance(MILLI.times(1_100));
            c.isolate(0, false);
        }
        _ => {
            // Both hear it; what 1 says is lost.
            c.cut.retain(|link| *link != (0, 2) && *link != (2, 0));
            c.cut.retain(|link| *link != (0, 1));
            c.advance(MILLI.times(1_100));
            let refused = |s: &(usize, usize, PeerMessage)| {
                (s.0, s.1) == (1, 0)
                    && matches!(s.2.body, PeerBody::Rejected { of: Command::RevokeTicket, .. })
            };
            assert!(c.sent.iter().any(refused), "it has refused");
            let acked = |s: &(usize, usize, PeerMessage)| {
                (s.0, s.1) == (1, 0)
                    && matches!(s.2.body, PeerBody::Ack { of: Command::RevokeTicket, .. })
            };
            assert!(!c.sent.iter().any(acked), "it would not be told again");
            c.isolate(0, false);
        }
    }
    c.advance(SECOND.times(100));
    assert_eq!(c.granted(), NOBODY, "how {how}: revoked with success");
}

/// A failed grant of a free ticket, whose store obeys only after a later holder was lost.
#[test]
fn a_failed_grant_does_not_free_what_was_held_since() {
    failed_grant(false);
    failed_grant(true);
}

fn failed_grant(fails: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    if fails {
        c.nodes[0].write = failing();
    }
    let client = c.grant(0, PLAIN);
    let last = if fails { ResultCode::SyncFail } else { ResultCode::Success };
    assert_eq!(c.codes(client).last(), Some(&(last, true)));
    c.nodes[0].write = failing();
    c.isolate(0, true);
    c.advance(SECOND.times(15));
    assert!(c.nodes[1].store.granted, "the other site has it");
    c.crash(1);
    c.nodes[1].store.granted = false;
    c.isolate(0, false);
    c.advance(SECOND.times(30));
    assert!(c.logged(0, "won the election"));
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2));
    assert_eq!(c.granted(), [0], "fails {fails}: the other site's was lost; {listed:?}");
}

/// A voter of a failed attempt told of a later holder; then REVOKE of the earlier one comes.
#[test]
fn a_win_is_not_ended_by_a_revoke_of_an_earlier_term_than_was_told() {
    revoke_of_an_earlier_term(false);
    revoke_of_an_earlier_term(true);
}

fn revoke_of_an_earlier_term(before: bool) {
    let mut bench = Bench::settled(2, 3, 0, spec("T"));
    bench.heartbeat(1, 5, stamp(7, true));
    let mut t = 0;
    while t < 8 {
        let stood = bench.until_it_stands(SECOND.times(60));
        t = stood.requests()[0].message.term.get();
    }
    if before {
        // In this attempt, which fails.
        bench.vote_telling(4, t, Some((7, false)));
        let stood = bench.until_it_stands(SECOND.times(60));
        t = stood.requests()[0].message.term.get();
        bench.vote_telling(2, t, None);
    } else {
        bench.vote_telling(4, t, Some((7, false)));
    }
    let won = bench.vote_telling(3, t, None);
    let won = if won.heartbeats().is_empty() { bench.vote_telling(2, t, None) } else { won };
    assert!(!won.heartbeats().is_empty());
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
    let deeds = bench.hear_valid(1, Holder::Nobody, 5, Span::ZERO, body);
    assert!(deeds.announcements().is_empty(), "before {before}: held in 7 since");
}

/// A revoke that was answered with failure, after the lease had ended, frees nothing when the site
/// has won again before its store obeys.
#[test]
fn a_revoke_that_failed_has_no_effect_after_another_win() {
    failed_revoke(false);
    failed_revoke(true);
}

fn failed_revoke(revoke: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.nodes[0].write = failing();
    c.isolate(0, true);
    c.advance(SECOND.times(15));
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
