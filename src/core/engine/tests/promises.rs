// SPDX-License-Identifier: GPL-2.0-or-later
//! Votes, promises, and what a member learns from others (L3, L4, L9, L10).

use super::bench::{stamp, Bench, Deeds, World, SECOND};
use super::cluster::spec;
use crate::engine::CibTicket;
use crate::model::{Holder, Term, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientOptions, Command, PeerBody, Reason, ResultCode, Stamp};

/// A vote request of a site for a lost ticket or another reason.
fn request(bench: &mut Bench, from: usize, term: u32, reason: Reason, force: bool) -> Deeds {
    let nonce = 0;
    let body = PeerBody::ReqVote { reason, established: false, force, nonce };
    let leader = bench.id(from);
    bench.hear_valid(from, leader, term, Span::ZERO, body)
}

fn votes(deeds: &Deeds) -> usize {
    deeds.sent(|body| matches!(body, PeerBody::Vote { .. })).len()
}

fn acks(deeds: &Deeds) -> usize {
    deeds.sent(|body| matches!(body, PeerBody::Ack { .. })).len()
}

/// How long a promise refuses others, for a heartbeat that states `valid`.
fn promise(stamp: Stamp, valid: Span) -> Span {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    let leader = bench.id(0);
    bench.hear_valid(0, leader, 3, valid, PeerBody::Update { stamp });
    let began = bench.now.mono;
    for _ in 0..400 {
        if votes(&bench.asked_for_vote(1, 9)) > 0 {
            return bench.now.mono.since(began);
        }
        bench.advance(Span::from_millis(50));
    }
    panic!("the promise never ends");
}

/// L4: a promise lasts `expire` from its receipt, whatever shorter validity the packet states; to
/// a leader that numbers nothing `timeout * (retries + 1)` longer, as that one counts later.
#[test]
pub fn a_promise_outlasts_the_lease_that_counts_on_it() {
    for valid in [0, 3, 10] {
        assert_eq!(promise(stamp(7, true), SECOND.times(valid)), SECOND.times(10));
    }
    assert_eq!(promise(Stamp::default(), SECOND.times(10)), SECOND.times(14));
}

/// A refusal names the promised leader and says how long it is bound.
#[test]
pub fn a_refusal_says_how_long_the_promise_lasts() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    bench.heartbeat(0, 3, stamp(7, true));
    bench.advance(SECOND.times(3));
    let refused = bench.asked_for_vote(1, 9);
    let [sent] = &refused.sent(|body| matches!(body, PeerBody::Rejected { .. }))[..] else {
        panic!("a refusal")
    };
    assert_eq!(sent.message.valid_for, SECOND.times(7));
    assert_eq!(sent.message.leader, bench.id(0));
    assert_eq!(sent.message.term, Term::new(3), "and does not raise its own term");
}

/// L13: arbitrators never stand, so nobody votes for one or follows it.
#[test]
pub fn an_arbitrator_is_neither_voted_for_nor_followed() {
    let mut bench = Bench::three();
    assert_eq!(votes(&request(&mut bench, 2, 3, Reason::Admin, true)), 0);
    assert_eq!(acks(&bench.heartbeat(2, 3, stamp(7, true))), 0);
    assert_eq!(bench.listed(), Holder::Unknown);
}

/// P4, P7: a heartbeat in another's name is dropped, and so is a message whose leader
/// is unknown; both are counted.
#[test]
pub fn a_heartbeat_in_the_name_of_another_is_dropped() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    for leader in [bench.id(1), Holder::Nobody, Holder::Unknown] {
        let body = PeerBody::Heartbeat { stamp: stamp(7, true) };
        assert_eq!(acks(&bench.hear(0, leader, 3, body)), 0);
    }
    bench.hear(0, Holder::Unknown, 3, PeerBody::MyIndex { nonce: 7 });
    assert_eq!(bench.peer_rows()[0].counters.invalid, 4);
}

/// P6: who knows that the ticket was revoked tells a candidate that gives no reason,
/// too: a reference candidate goes on so.
#[test]
pub fn a_candidate_without_a_reason_is_told_of_a_revoke() {
    for (reason, told) in [(Reason::None, true), (Reason::TicketLost, true), (Reason::Admin, false)]
    {
        let mut bench = Bench::settled(2, 1, 2, spec("T"));
        bench.heartbeat(0, 3, stamp(7, true));
        let end = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(8, false) };
        bench.hear(0, Holder::Nobody, 3, end);
        let deeds = request(&mut bench, 1, 4, reason, false);
        assert_eq!(votes(&deeds) == 0, told, "{reason:?}");
    }
}

/// L8, L9: `-F` opens the grace of a voter to one candidate and one term; the vote does not vouch.
#[test]
pub fn a_forced_vote_in_grace_does_not_vouch_and_opens_nothing_else() {
    let mut bench = Bench::new(2, 1, 2, spec("T"));
    let started = bench.start(CibTicket::default());
    assert_eq!(votes(&request(&mut bench, 0, 3, Reason::Admin, false)), 0, "grace");
    assert_eq!(votes(&request(&mut bench, 0, 3, Reason::Admin, true)), 0, "it may be an old one");
    let asked = started.sent(|body| matches!(body, PeerBody::Status { .. }));
    let PeerBody::Status { nonce } = asked[0].message.body else { panic!("it was filtered") };
    let (reason, leader) = (Reason::Admin, bench.id(0));
    let body = PeerBody::ReqVote { reason, established: false, force: true, nonce };
    let deeds = bench.hear_valid(0, leader, 3, Span::ZERO, body);
    let vouched = |body: &PeerBody| matches!(body, PeerBody::Vote { vouched: true, .. });
    assert_eq!((votes(&deeds), deeds.sent(vouched).len()), (1, 0));
    assert_eq!(acks(&bench.heartbeat(0, 4, stamp(7, false))), 0, "another term");
    assert_eq!(acks(&bench.heartbeat(1, 3, stamp(7, false))), 0, "another site");
    assert_eq!(acks(&bench.heartbeat(0, 3, stamp(8, false))), 1);
}

/// L4(2): a heartbeat of a term below one in which this member voted for another is refused.
#[test]
pub fn a_heartbeat_below_a_vote_is_refused() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    assert_eq!(votes(&bench.asked_for_vote(1, 9)), 1);
    let deeds = bench.heartbeat(0, 5, stamp(7, true));
    assert_eq!(acks(&deeds), 0);
    let why = |body: &PeerBody| {
        matches!(body, PeerBody::Rejected { result: ResultCode::TermOutdated, .. })
    };
    assert_eq!(deeds.sent(why).len(), 1);
    assert_eq!(acks(&bench.heartbeat(0, 9, stamp(8, true))), 1, "the term of the vote will do");
}

/// L10: an announcement ends a promise only if it comes after the newest heartbeat accepted, and
/// a heartbeat that was overtaken does not set that back.
#[test]
pub fn an_announcement_from_before_the_newest_heartbeat_ends_nothing() {
    let end = |bench: &mut Bench, round| {
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(round, false) };
        bench.hear(0, Holder::Nobody, 3, body);
        votes(&bench.asked_for_vote(1, 9))
    };
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    bench.heartbeat(0, 3, stamp(5_000, true));
    assert_eq!(end(&mut bench, 5_000), 0, "the round of the heartbeat itself");
    bench.heartbeat(0, 3, stamp(4_990, true));
    assert_eq!(end(&mut bench, 4_995), 0, "a heartbeat came late");
    assert_eq!(end(&mut bench, 5_001), 1);
}

/// L10: without a live promise a step-down counts from the known holder only.
#[test]
pub fn a_step_down_of_somebody_else_changes_nothing() {
    let slow = TicketSpec { acquire_after: SECOND.times(7), ..spec("T") };
    let mut bench = Bench::settled(3, 0, 0, slow);
    bench.heartbeat(1, 3, stamp(7, true));
    bench.advance(SECOND.times(12));
    let lost = bench.now.mono.minus(SECOND.times(2));
    let body = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(8, false) };
    bench.hear(2, Holder::Nobody, 3, body);
    let stood = bench.advance(SECOND.times(8)).stood();
    let wait = stood.first().expect("in its turn").since(lost);
    assert!(wait >= SECOND.times(7) && wait < Span::from_millis(7_250), "{wait}");
}

/// A winner without a lease that hears of a leader with one gives way to it at once.
#[test]
pub fn a_winner_without_a_lease_follows_an_established_leader() {
    let mut bench = Bench::three();
    let (client, stood) = bench.grant(ClientOptions::default());
    let term = stood.requests()[0].message.term.get();
    bench.elected(&stood);
    assert_eq!(acks(&bench.heartbeat(1, term, stamp(7, false))), 0, "not established");
    let deeds = bench.heartbeat(1, term, stamp(8, true));
    assert_eq!(acks(&deeds), 1);
    assert!(deeds.final_answer(client).is_some_and(|code| code != ResultCode::Success));
    assert!(bench.advance(SECOND.times(4)).heartbeats().is_empty());
}

/// P6: newer knowledge of others is taken over, older is not.
#[test]
pub fn newer_knowledge_is_adopted() {
    let tell = |bench: &mut Bench, leader: Holder, term: u32| {
        bench.hear(2, leader, term, PeerBody::MyIndex { nonce: 77 });
        bench.listed()
    };
    let mut bench = Bench::settled(2, 2, 2, spec("T"));
    bench.heartbeat(1, 3, stamp(7, true));
    bench.advance(SECOND.times(12));
    let (zero, one) = (bench.id(0), bench.id(1));
    let mut told = |leader, term| {
        bench.hear(3, leader, term, PeerBody::MyIndex { nonce: 77 });
        bench.listed()
    };
    assert_eq!(told(zero, 2), Holder::Unknown, "older");
    assert_eq!(told(Holder::Nobody, 0), Holder::Unknown, "it knows nothing");
    assert_eq!(told(one, 3), one, "the same, and longer");
    assert_eq!(told(zero, 4), zero, "newer");
    assert_eq!(told(Holder::Nobody, 4), Holder::Nobody, "revoked meanwhile");
    let mut bench = Bench::three();
    assert_eq!(tell(&mut bench, one, 5), one);
}

/// Whoever learns that the ticket was revoked does not stand for it any more.
#[test]
pub fn a_plan_to_stand_ends_when_the_ticket_turns_out_to_be_free() {
    let slow = TicketSpec { acquire_after: SECOND.times(7), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    bench.heartbeat(1, 3, stamp(7, true));
    bench.advance(SECOND.times(12));
    let body = PeerBody::MyIndex { nonce: 77 };
    bench.hear_valid(2, Holder::Nobody, 4, Span::ZERO, body);
    assert!(bench.advance(SECOND.times(60)).stood().is_empty());
}

/// A leader tells whoever asks, and confirms it by an UPDATE: who asks has just started.
#[test]
pub fn a_leader_answers_a_starting_member_with_an_update() {
    let mut bench = Bench::three();
    bench.hold();
    let deeds = bench.hear(2, Holder::Nobody, 0, PeerBody::Status { nonce: 99 });
    let answers = deeds.sent(|body| matches!(body, PeerBody::MyIndex { nonce: 99 }));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].message.leader, bench.id(0));
    assert_eq!(answers[0].message.valid_for, SECOND.times(10));
    assert_eq!(deeds.updates().iter().map(|sent| sent.to).collect::<Vec<_>>(), [2]);
}

/// L5: what was acknowledged in one term gives nothing in the next.
#[test]
pub fn acknowledgements_do_not_outlive_their_term() {
    let mut bench = Bench::three();
    bench.hold();
    let old = bench.play(Span::from_millis(5_100), &World { acks: vec![1], ..World::kind() });
    let old = old.heartbeats().into_iter().find(|sent| sent.to == 2).expect("a heartbeat");
    let (_, deeds) = bench.revoke(ClientOptions::default());
    bench.written(&deeds);
    let (_, stood) = bench.grant(ClientOptions::default());
    let term = stood.requests()[0].message.term.get();
    let won = bench.elected(&stood);
    assert!(won.grants().is_empty() && won.windows().is_empty(), "nobody has followed yet");
    let PeerBody::Heartbeat { stamp } = old.message.body else { panic!("a heartbeat") };
    let body = PeerBody::Ack { of: Command::Heartbeat, round: stamp.round };
    let me = bench.id(0);
    let deeds = bench.hear(2, me, term, body);
    assert!(deeds.grants().is_empty(), "a send of the old term");
    assert_eq!(bench.ack(&won.heartbeats()[0]).grants().len(), 1);
}

/// L5, L7: an acknowledgement without a round counts for the oldest send that has none; where such
/// members are needed, the first grant waits for their UPDATE.
#[test]
pub fn an_acknowledgement_without_a_round_counts_for_the_oldest_send() {
    let mut bench = Bench::three();
    let (_, stood) = bench.grant(ClientOptions::default());
    let term = stood.requests()[0].message.term.get();
    bench.elected(&stood);
    let began = bench.now.mono;
    bench.advance(SECOND.times(2));
    let me = bench.id(0);
    let beat = PeerBody::Ack { of: Command::Heartbeat, round: None };
    let deeds = bench.hear(1, me, term, beat);
    assert!(deeds.grants().is_empty());
    assert_eq!(deeds.updates().len(), 1);
    let update = PeerBody::Ack { of: Command::Update, round: None };
    bench.advance(SECOND);
    let deeds = bench.hear(1, me, term, update);
    assert_eq!(deeds.grants().len(), 1);
    let window = deeds.windows().last().copied().flatten().expect("a window");
    assert!(window.lease_until >= began.plus(SECOND.times(10)));
    assert!(window.lease_until <= began.plus(SECOND.times(12)), "the UPDATE's send at most");
}

/// L3: a vote for a member says to another one that the voter is bound. That a site has stood
/// itself binds it to nobody.
#[test]
pub fn who_has_voted_for_another_says_that_it_is_bound() {
    let votes = |deeds: Deeds| {
        let votes = deeds.sent(|body| matches!(body, PeerBody::Vote { .. }));
        let [vote] = &votes[..] else { panic!("one vote: {votes:?}") };
        let PeerBody::Vote { unbound_for, .. } = vote.message.body else { panic!("a vote") };
        (vote.message.leader, unbound_for.expect("it says so"))
    };
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    let (voted, unbound) = votes(bench.asked_for_vote(0, 9));
    assert!(voted == bench.id(0) && unbound > Span::ZERO);
    assert_eq!(votes(bench.asked_for_vote(1, 9)), (bench.id(0), Span::ZERO));
    let mut bench = Bench::three();
    let (_, stood) = bench.grant(ClientOptions::default());
    let term = stood.requests()[0].message.term.get();
    let (voted, unbound) = votes(bench.asked_for_vote(1, term));
    assert!(voted == bench.id(0) && unbound > Span::ZERO);
}

/// An arbitrator has no store, whoever leads.
#[test]
pub fn an_arbitrator_wants_nothing_of_a_store() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    let mut deeds = bench.asked_for_vote(0, 5);
    deeds.0.extend(bench.heartbeat(0, 5, stamp(7, true)).0);
    let stamp = stamp(8, false);
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp };
    deeds.0.extend(bench.hear(0, Holder::Nobody, 5, body).0);
    deeds.0.extend(bench.advance(SECOND.times(100)).0);
    assert_eq!(deeds.writes(), []);
    assert_eq!(bench.listed(), Holder::Nobody, "it has heard the revoke");
}

/// A reference leader marks nothing: its UPDATE says that it has a lease, its HEARTBEAT does not.
#[test]
pub fn an_update_of_a_reference_leader_ends_a_win_and_its_heartbeat_does_not() {
    for (update, ends) in [(false, false), (true, true)] {
        let mut bench = Bench::three();
        let (_, stood) = bench.grant(ClientOptions::default());
        let won = bench.elected(&stood);
        let term = won.heartbeats()[0].message.term.get();
        let stamp = Stamp::default();
        let body = if update { PeerBody::Update { stamp } } else { PeerBody::Heartbeat { stamp } };
        bench.hear(1, bench.id(1), term + 1, body);
        let leased = bench.acked_by(&[2], &won);
        assert_eq!(leased.grants().is_empty(), ends, "update: {update}");
    }
}

/// L9: whoever has just started hears how long the leader may lead, the leader itself how long it
/// is promised.
#[test]
pub fn a_status_is_answered_with_what_is_left_of_the_lease() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    bench.heartbeat(0, 5, stamp(7, true));
    bench.advance(SECOND.times(3));
    for (asks, nonce, left) in [(1, 9, 7), (1, 0, 7), (0, 9, 7)] {
        let told =
            bench.hear_valid(asks, Holder::Nobody, 0, Span::ZERO, PeerBody::Status { nonce });
        let told = told.sent(|body| matches!(body, PeerBody::MyIndex { .. }));
        let said = (told[0].message.leader, told[0].message.valid_for);
        assert_eq!(said, (bench.id(0), SECOND.times(left)), "member {asks}, nonce {nonce}");
    }
}
