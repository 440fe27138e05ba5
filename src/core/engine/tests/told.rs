// SPDX-License-Identifier: GPL-2.0-or-later
//! What is told of earlier and later holders, and what comes of it (L3, L10): each schedule stands
//! beside the same one without what makes it bad.

use super::bench::{stamp, Bench, World, SECOND};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::{CibOutcome, Event};
use crate::model::{Holder, Term, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientRequest, Command, LastKnown, PeerBody, PeerMessage, Reason, ResultCode};

const MILLI: Span = Span::from_millis(1);
const NOBODY: [usize; 0] = [];

/// L3, the objection of a restarted holder that is being revoked names the term that it held in,
/// not those of its attempts.
#[test]
fn a_restarted_holder_that_gives_up_names_the_term_that_it_held_in() {
    leaving_names_its_attempts(true);
    leaving_names_its_attempts(false);
}

fn leaving_names_its_attempts(heard: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(MILLI.times(500));
    // Site 1 is cut off; site 0 goes on with the arbitrator, and restarts after its renewal.
    c.isolate(1, true);
    c.advance(MILLI.times(9_550));
    c.crash(0);
    c.isolate(0, true);
    c.nodes[0].write = failing();
    c.start(0);
    assert!(c.logged(0, "granted here before the restart"));
    let client = c.revoke_with(0, PATIENT);
    for _ in 0..1_000 {
        c.advance(MILLI.times(5));
        let tries = c.nodes[0].log.iter().filter(|line| line.contains("election not won")).count();
        let stands = c.nodes[1].log.last().is_some_and(|line| line.contains("standing for"));
        if tries >= 2 && stands {
            break;
        }
    }
    if heard {
        // Its vote request arrives, and the objection; nothing else.
        c.cut.retain(|link| *link != (0, 1));
        c.again(1, 0, |m| matches!(m.body, PeerBody::ReqVote { .. }));
        c.isolate(0, true);
    }
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(MILLI.times(1_100));
    assert_eq!(c.codes(client).last(), Some(&(ResultCode::Success, true)));
    c.isolate(0, false);
    c.isolate(1, false);
    c.advance(SECOND.times(100));
    assert_eq!(c.granted(), NOBODY, "revoked with success, and everybody has heard REVOKE");
}

/// L10, a site that gives up heard that a later holder was revoked, and then that it was granted
/// again: its own end frees nothing.
#[test]
fn what_was_held_later_is_not_freed_by_a_revoke_that_was_heard_before() {
    old_revoke_while_leaving(true);
    old_revoke_while_leaving(false);
}

fn old_revoke_while_leaving(heard: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.isolate(0, true);
    c.nodes[0].write = failing();
    c.advance(SECOND.times(15));
    assert!(c.nodes[1].store.granted, "the other site has it");
    if heard {
        c.cut.retain(|link| *link != (1, 0));
    }
    let client = c.revoke(1);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.advance(SECOND.times(2));
    c.isolate(0, true);
    let client = c.grant(1, PATIENT);
    c.advance(SECOND.times(12));
    assert!(c.codes(client).contains(&(ResultCode::Success, true)));
    c.crash(1);
    c.nodes[1].store.granted = false;
    c.isolate(0, false);
    c.advance(SECOND.times(30));
    assert!(c.logged(0, "won the election"));
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2));
    assert_eq!(c.granted(), [0], "the arbitrator knew that it was lost; {listed:?}");
}

/// The same where it hears the later holder's heartbeats itself, and cannot follow.
#[test]
fn nor_if_the_later_leader_was_heard_itself() {
    old_revoke_and_later_leader_heard(true);
    old_revoke_and_later_leader_heard(false);
}

fn old_revoke_and_later_leader_heard(heard: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.isolate(0, true);
    c.nodes[0].write = failing();
    c.advance(SECOND.times(15));
    assert!(c.nodes[1].store.granted, "the other site has it");
    if heard {
        c.cut.retain(|link| *link != (1, 0));
    }
    let client = c.revoke(1);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.advance(SECOND.times(2));
    c.cut.retain(|link| *link != (1, 0));
    let client = c.grant(1, PATIENT);
    c.advance(SECOND.times(12));
    assert!(c.codes(client).contains(&(ResultCode::Success, true)));
    c.crash(1);
    c.nodes[1].store.granted = false;
    c.isolate(0, false);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2));
    assert_eq!(c.granted(), [0], "both knew that it was lost; {listed:?}");
}

/// L10, a holder that was restarted before its store had the term of its re-election revokes in
/// the earlier one: who follows it in the later one says so.
#[test]
fn a_revoke_counts_in_the_term_in_which_others_follow() {
    restarted_after_re_election(true);
    restarted_after_re_election(false);
}

fn restarted_after_re_election(hangs: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.isolate(1, true);
    c.advance(MILLI.times(14_300));
    assert_eq!(c.granted(), [0]);
    let won =
        |c: &Cluster| c.nodes[0].log.iter().filter(|l| l.contains("won the election")).count();
    assert_eq!(won(&c), 1);
    if hangs {
        c.nodes[0].write = None;
    }
    c.isolate(1, false);
    // A vote request that was under way comes first.
    c.again(1, 0, |m| matches!(m.body, PeerBody::ReqVote { .. }));
    for _ in 0..2_000 {
        if won(&c) > 1 {
            break;
        }
        c.advance(MILLI.times(5));
    }
    assert_eq!(won(&c), 2, "{:#?} {:#?}", c.nodes[0].log, c.nodes[1].log);
    c.advance(MILLI.times(20));
    c.crash(0);
    assert!(c.nodes[0].store.granted);
    let term = c.nodes[0].store.term;
    c.isolate(0, true);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.start(0);
    let client = c.revoke(0);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.isolate(0, false);
    c.advance(SECOND.times(100));
    assert_eq!(c.granted(), NOBODY, "revoked with success; the store said term {term:?}");
}

/// Answers: a vote tells of a later holder: neither `list` nor a revoke calls the ticket free.
#[test]
fn what_a_vote_tells_of_a_holder_is_not_called_free() {
    told_by_a_vote(false, false);
    told_by_a_vote(true, false);
    told_by_a_vote(false, true);
}

fn told_by_a_vote(patient: bool, by_index: bool) {
    let mut c = Cluster::new(2, 3, spec("T"));
    c.start_all();
    c.isolate(0, true);
    let client = c.grant(1, PATIENT);
    c.advance(SECOND);
    assert!(c.codes(client).contains(&(ResultCode::Success, true)));
    c.cut.extend([(1, 2), (2, 1)]);
    c.advance(SECOND.times(15));
    assert_eq!(c.granted(), [1]);
    c.cut.retain(|link| *link != (0, 2) && *link != (2, 0));
    let client = c.grant(0, if patient { PATIENT } else { PLAIN });
    c.advance(SECOND.times(8));
    if !patient {
        assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    }
    let told = Some(LastKnown { term: Term::new(1), free: false });
    let vote = |s: &(usize, usize, PeerMessage)| {
        (s.0, s.1) == (2, 0) && matches!(s.2.body, PeerBody::Vote { last, .. } if last == told)
    };
    assert!(c.sent.iter().any(vote), "it has heard that the ticket was held");
    if by_index {
        let message = PeerMessage {
            ticket: spec("T").name,
            leader: c.id(1),
            term: Term::new(1),
            valid_for: Span::ZERO,
            body: PeerBody::MyIndex { nonce: 5 },
        };
        c.event(0, Event::Peer { from: super::bench::at(2), message });
        c.settle();
    }
    let listed = c.listed(0);
    let second = c.revoke(0);
    assert_eq!(c.granted(), [1], "it is held");
    let codes = c.codes(second);
    let wrong = [ResultCode::TicketIdle, ResultCode::Success];
    assert!(!wrong.contains(&codes[0].0), "{codes:?}, listed {listed:?}");
}

/// L10, an ordered win that has heard of the revoke is of a free ticket, whoever says that it was
/// held in that term.
#[test]
fn a_word_of_the_revoked_term_does_not_undo_the_revoke() {
    held_after_revoked(true);
    held_after_revoked(false);
}

/// Sites 0 to 2, arbitrators 3 and 4. Site 1 held in 5, lost. Site 0 is ordered to take it, wins
/// `t`, heartbeats are lost. Site 1 is ordered, wins t + 1 with 2, 3, 4, is revoked with success;
/// site 2 misses REVOKE.
fn held_after_revoked(late_vote: bool) {
    let mut bench = Bench::settled(3, 2, 0, spec("T"));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.advance(MILLI.times(10_010));
    let (_, stood) = bench.grant(PATIENT);
    let stood =
        if stood.requests().is_empty() { bench.until_it_stands(SECOND.times(5)) } else { stood };
    let t = stood.requests()[0].message.term.get();
    bench.vote_telling(3, t, Some((5, false)));
    let won = bench.vote_telling(4, t, Some((5, false)));
    assert!(!won.heartbeats().is_empty());
    bench.advance(MILLI.times(500));
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(900, false) };
    bench.hear_valid(1, Holder::Nobody, t + 1, Span::ZERO, body);
    let again = bench.reject(3, Command::Heartbeat, ResultCode::TermOutdated, t + 1);
    let t2 = again.requests()[0].message.term.get();
    bench.vote_telling(3, t2, Some((t + 1, true)));
    let won = bench.vote_telling(4, t2, Some((t + 1, true)));
    assert!(!won.heartbeats().is_empty());
    if late_vote {
        bench.vote_telling(2, t2, Some((t + 1, false)));
    }
    let world = World { grants: failing(), votes: vec![], acks: vec![3, 4], ..World::kind() };
    let mut deeds = bench.answered(won, &world);
    deeds.0.extend(bench.play(SECOND.times(20), &world).0);
    let sent = deeds.announcements();
    assert!(!sent.is_empty());
    assert!(
        sent.iter().all(|s| matches!(s.message.body, PeerBody::Revoke { .. })),
        "{:?}",
        sent[0]
    );
}

/// L10, the voters of a re-election say that another site held the ticket since the win: it is not
/// free any more.
#[test]
fn a_re_election_learns_what_was_held_since_the_win() {
    held_since_the_win(true);
    held_since_the_win(false);
}

/// The ticket is free; site 0 is ordered to take it, wins `t`, heartbeats are lost. Site 1 is
/// ordered, wins t + 1 or is told before the win, holds, and steps down (its handler).
fn held_since_the_win(re_election: bool) {
    let mut bench = Bench::three();
    // Earlier terms are known.
    bench.hear_valid(2, Holder::Nobody, 5, Span::ZERO, PeerBody::Status { nonce: 0 });
    let (_, stood) = bench.grant(PATIENT);
    let t = stood.requests()[0].message.term.get();
    if !re_election {
        // The same word with the first vote.
        bench.advance(MILLI.times(100));
    }
    let won = bench.vote_telling(2, t, (!re_election).then_some((t - 1, false)));
    assert!(!won.heartbeats().is_empty());
    bench.advance(SECOND.times(3));
    let again = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, t + 1);
    let t2 = again.requests()[0].message.term.get();
    let won = bench.vote_telling(2, t2, Some((t + 1, false)));
    assert!(!won.heartbeats().is_empty());
    let world = World { grants: failing(), votes: vec![], acks: vec![2], ..World::kind() };
    let mut deeds = bench.answered(won, &world);
    deeds.0.extend(bench.play(SECOND.times(5), &world).0);
    let sent = deeds.announcements();
    assert!(!sent.is_empty());
    assert!(
        sent.iter().all(|s| matches!(s.message.body, PeerBody::StepDown { .. })),
        "its voter has said that it was held in t + 1, and lost: {:?}",
        sent[0]
    );
}

/// The same with real members.
#[test]
fn a_re_election_learns_it_from_real_members() {
    held_since_the_win_cluster(true);
    held_since_the_win_cluster(false);
}

fn held_since_the_win_cluster(won_before: bool) {
    let mut c = Cluster::new(2, 1, TicketSpec { has_handler: true, renewal: SECOND, ..spec("T") });
    c.start_all();
    c.advance(SECOND);
    c.nodes[0].write = failing();
    let ticket = Some(spec("T").name);
    let mut order = None;
    if won_before {
        c.cut = vec![(0, 1), (1, 0)];
        order =
            Some(c.ask_only(0, ClientRequest::Grant { ticket: ticket.clone(), options: PATIENT }));
        // The request arrives, and the vote; no heartbeat does.
        c.deliver(2);
        assert!(c.logged(0, "won the election"));
        c.lose(|_, _| true);
    }
    c.isolate(0, true);
    // Without `-F` it would wait longer for an objection of the silent site.
    let other = c.grant(1, crate::wire::ClientOptions { immediate: true, ..PATIENT });
    c.advance(MILLI.times(2_200));
    assert!(c.codes(other).contains(&(ResultCode::Success, true)));
    assert_eq!(c.granted(), [1]);
    c.nodes[1].handler = Some(crate::engine::ProbeOutcome::Failed("no".into()));
    for _ in 0..200 {
        c.advance(MILLI.times(10));
        if c.granted().is_empty() {
            break;
        }
    }
    assert_eq!(c.granted(), NOBODY);
    // The site that has stepped down is gone.
    c.crash(1);
    c.isolate(0, false);
    if !won_before {
        order = Some(c.grant(0, PATIENT));
    }
    c.advance(SECOND.times(8));
    let codes = order.map(|order| c.codes(order));
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(300));
    let listed = (c.listed(0), c.listed(2));
    assert_eq!(
        c.granted(),
        [0],
        "site 1 stepped down: lost; {listed:?} {codes:?}\n{:#?}",
        c.nodes[0].log
    );
}

/// L13, who lost its lease lets the others go first, whoever is heard meanwhile.
#[test]
fn who_lost_its_lease_lets_others_go_first_whoever_is_heard() {
    stands_too_early(true);
    stands_too_early(false);
}

fn stands_too_early(heard: bool) {
    let mut bench =
        Bench::settled(2, 1, 0, TicketSpec { acquire_after: SECOND.times(20), ..spec("T") });
    bench.hold();
    let stuck = World { revokes: failing(), votes: vec![], acks: vec![], ..World::kind() };
    bench.play(SECOND.times(40), &stuck);
    let obeys = World { votes: vec![], acks: vec![], ..World::kind() };
    bench.play(SECOND.times(2), &obeys);
    let began = bench.now.mono;
    if heard {
        bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::Status { nonce: 7 });
    }
    bench.until_it_stands(SECOND.times(60));
    let waited = bench.now.mono.since(began);
    assert!(waited >= SECOND.times(20), "it stood after {waited}");
}

/// L3, what one voter tells of a revoke counts in the next attempt, too, which others may decide.
#[test]
fn what_a_failed_attempt_was_told_is_not_forgotten() {
    for told in [true, false] {
        let mut bench = Bench::settled(3, 2, 0, spec("T"));
        bench.heartbeat(1, 5, stamp(7, true));
        let stood = bench.until_it_stands(SECOND.times(30));
        let term = stood.requests()[0].message.term.get();
        if told {
            bench.vote_telling(4, term, Some((5, true)));
        }
        let stood = bench.until_it_stands(SECOND.times(30));
        let term = stood.requests()[0].message.term.get();
        bench.vote_telling(2, term, None);
        let won = bench.vote_telling(3, term, Some((5, false)));
        assert_eq!(won.heartbeats().is_empty(), told, "it was revoked");
    }
}

/// L3, L10: a REVOKE of an earlier holder reaches a winner before the vote of the site that knows
/// the later one: who votes late may know better.
#[test]
fn a_late_old_revoke_ends_no_win_over_a_later_holder() {
    late_old_revoke(true);
    late_old_revoke(false);
}

fn late_old_revoke(slow: bool) {
    let acquire_after = SECOND.times(20);
    let mut c = Cluster::new(3, 2, TicketSpec { acquire_after, ..spec("T") });
    c.start_all();
    c.grant(0, PATIENT);
    c.advance(SECOND);
    // Site 1 hears neither that the ticket is revoked nor that it is granted again.
    c.isolate(1, true);
    let client = c.revoke(0);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.advance(SECOND.times(2));
    c.grant(0, PATIENT);
    c.advance(SECOND.times(40));
    assert_eq!(c.granted(), [0]);
    // The holder dies, and the arbitrators forget; only site 2 knows what was lost.
    c.crash(0);
    c.nodes[0].store.granted = false;
    c.isolate(2, true);
    c.crash(3);
    c.crash(4);
    c.start(3);
    c.start(4);
    c.advance(SECOND.times(16));
    if slow {
        c.slow = vec![(2, 1)];
        c.delay = MILLI.times(100);
    }
    c.cut.clear();
    for _ in 0..3_000 {
        if c.logged(1, "won the election") {
            break;
        }
        c.advance(MILLI.times(5));
    }
    assert!(c.logged(1, "won the election"));
    c.again(0, 1, |m| matches!(m.body, PeerBody::Revoke { .. }));
    c.advance(SECOND.times(100));
    assert_eq!(c.granted().len(), 1, "slow {slow}: site 2 knew that it was lost");
}
