// SPDX-License-Identifier: GPL-2.0-or-later
//! Clauses that no other test held: each test fails with a small edit of the engine that all of
//! the others let pass.

use super::cluster::{roster, spec, the_ticket, Cluster, PATIENT, PLAIN};
use super::member::{at, holder, is_ack, is_rejected, is_vote, stamp, Member};
use crate::engine::{
    CibLoad, CibTicket, ClientId, Effect, Engine, Event, ProbeOutcome, Reply, Setup, StoreWish,
};
use crate::model::{Holder, Term, TicketMode, TicketName, TicketSpec};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{
    ClientOptions, ClientRequest, Command, PeerBody, PeerMessage, Reason, ResultCode,
};

const SECOND: Span = Span::from_secs(1);

fn three() -> Cluster {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster
}

fn message(leader: Holder, term: u32, valid_for: Span, body: PeerBody) -> PeerMessage {
    let ticket = TicketName::new("T").expect("valid");
    PeerMessage { ticket, leader, term: Term::new(term), valid_for, body }
}

/// A member of a cluster hears something of another.
fn tell(cluster: &mut Cluster, from: usize, to: usize, message: PeerMessage) {
    cluster.event(to, Event::Peer { from: at(from), message });
    cluster.settle();
}

const OBJECTION: PeerBody =
    PeerBody::Rejected { of: Command::ReqVote, result: ResultCode::TermStillValid, granted: true };

/// Site 0 holds, is alone, and its revoke hangs until its lease has ended.
fn revoked_too_late() -> (Cluster, ClientId) {
    let mut cluster = three();
    cluster.grant(0, PLAIN);
    cluster.nodes[0].write = None;
    cluster.crash(1);
    cluster.cut = vec![(0, 2), (2, 0)];
    let client = cluster.revoke(0);
    cluster.advance(SECOND.times(30));
    cluster.release(0);
    (cluster, client)
}

/// Answers: a revoke whose lease has ended is answered *not known*, and has no effect but here.
/// The store writes what it is asked for; what was done before, and what follows.
fn written(member: &mut Member, mut effects: Vec<Effect>) -> Vec<Effect> {
    let serial = |effect: &Effect| match effect {
        Effect::Store(StoreWish::WriteCib { serial, .. }) => Some(*serial),
        _ => None,
    };
    let serials: Vec<_> = effects.iter().filter_map(serial).collect();
    for serial in serials {
        let (ticket, outcome) = (the_ticket(), crate::engine::CibOutcome::Written);
        effects.extend(member.event(Event::CibWritten { ticket, serial, outcome }));
    }
    effects
}

#[test]
fn a_revoke_that_comes_after_the_lease_is_answered_not_known_and_has_no_effect() {
    let (mut cluster, client) = revoked_too_late();
    assert_eq!(cluster.codes(client), [(ResultCode::SyncFail, true)]);
    assert!(cluster.granted().is_empty());
    cluster.cut.clear();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0], "it is a ticket that was lost");
}

/// The same, and the process restarts: what its store says is read.
#[test]
fn a_revoke_that_had_no_effect_has_none_after_a_restart() {
    let (mut cluster, client) = revoked_too_late();
    assert_eq!(cluster.codes(client), [(ResultCode::SyncFail, true)]);
    cluster.crash(0);
    cluster.crash(2);
    cluster.cut.clear();
    cluster.start(0);
    cluster.start(2);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0], "it is a ticket that was lost");
}

/// Seed ordinary 700066: an administrator's grant of a free ticket waits for its commit when its
/// lease ends, and a revoke comes meanwhile: answered with failure, and nobody acquires it.
#[test]
fn a_grant_of_a_free_ticket_that_was_revoked_too_late_leaves_it_free() {
    let mut cluster = three();
    cluster.nodes[0].write = None;
    let grant = cluster.grant(0, ClientOptions { wait: true, ..PLAIN });
    cluster.isolate(0, true);
    let revoke = cluster.revoke(0);
    // The lease has ended, and nobody has stood since.
    cluster.advance(Span::from_millis(10_050));
    cluster.release(0);
    assert_eq!(cluster.codes(grant).last(), Some(&(ResultCode::SyncFail, true)));
    assert_eq!(cluster.codes(revoke).last(), Some(&(ResultCode::SyncFail, true)));
    cluster.isolate(0, false);
    cluster.advance(SECOND.times(100));
    assert!(cluster.granted().is_empty(), "nobody was granted what nobody had");
}

/// What the client that revokes is told in the end.
fn results(effects: &[Effect]) -> Vec<ResultCode> {
    let code = |effect: &Effect| match effect {
        Effect::Reply { client: ClientId(2), reply: Reply::Ticket(answer), last: true } => {
            Some(answer.result)
        }
        _ => None,
    };
    effects.iter().filter_map(code).collect()
}

fn grant(options: ClientOptions) -> Event {
    let request = ClientRequest::Grant { ticket: TicketName::new("T").ok(), options };
    Event::Client { client: ClientId(1), request }
}

fn revoke(client: u64) -> Event {
    let request = ClientRequest::Revoke { ticket: TicketName::new("T").ok(), options: PLAIN };
    Event::Client { client: ClientId(client), request }
}

/// Site 0 has won with the vote of the arbitrator, and nobody has acknowledged it; in which term.
fn winner() -> (Member, u32) {
    let mut member = Member::settled(0);
    let effects = member.event(grant(PATIENT));
    let term = |effect: &Effect| match effect {
        Effect::Send { message, .. } => match message.body {
            PeerBody::ReqVote { .. } => Some(message.term.get()),
            _ => None,
        },
        _ => None,
    };
    let term = effects.iter().find_map(term).expect("it stands");
    let vote = PeerBody::Vote { vouched: true, unbound_for: Some(SECOND.times(100)), last: None };
    member.hear(2, holder(0), term, vote);
    (member, term)
}

/// Answers: a win that nobody has acknowledged may be over without its knowledge. Its revoke waits
/// for the lease; without one it is not known.
#[test]
fn a_revoke_of_a_win_waits_for_its_lease_and_is_not_known_without() {
    for (leased, code) in [(true, ResultCode::Success), (false, ResultCode::SyncFail)] {
        let (mut member, term) = winner();
        assert!(results(&member.event(revoke(2))).is_empty());
        let effects =
            if leased { acknowledged(&mut member, term) } else { member.advance(SECOND.times(5)) };
        let effects = written(&mut member, effects);
        assert!(results(&effects).contains(&code), "{:?}", results(&effects));
        let says = |body: fn(&PeerBody) -> bool| {
            effects.iter().any(|e| matches!(e, Effect::Send { message, .. } if body(&message.body)))
        };
        assert!(says(|body| matches!(body, PeerBody::Revoke { .. })), "nobody shall take it");
        assert!(!says(|body| matches!(body, PeerBody::StepDown { .. })));
    }
}

/// L12: a heartbeat of a lower term ends no win, established or not (seed duel 241).
#[test]
fn an_old_heartbeat_ends_no_win() {
    let (mut member, term) = winner();
    member.heartbeat(1, term - 1, stamp(9, true));
    let body = PeerBody::Status { nonce: 7 };
    assert!(member.hear(1, Holder::Nobody, 0, body).is_empty(), "it has won without a lease");
    member.event(revoke(2));
    let effects = acknowledged(&mut member, term);
    let effects = written(&mut member, effects);
    assert!(results(&effects).contains(&ResultCode::Success), "it had the lead");
}

/// The arbitrator acknowledges the heartbeat that it is sent next.
fn acknowledged(member: &mut Member, term: u32) -> Vec<Effect> {
    let sent = |effect: &Effect| match effect {
        Effect::Send { to, message, .. } if to.get() == 2 => match message.body {
            PeerBody::Heartbeat { stamp } => Some(stamp.round),
            _ => None,
        },
        _ => None,
    };
    let beats = member.advance(SECOND);
    let round = beats.iter().find_map(sent).expect("it asks again");
    let body = PeerBody::Ack { of: Command::Heartbeat, round };
    let message = message(holder(0), term, SECOND.times(10), body);
    member.event(Event::Peer { from: at(2), message })
}

/// A site that gives up and hears that another has a lease sends the administrator there.
#[test]
fn a_revoke_is_sent_on_to_whoever_was_heard_to_have_a_lease_meanwhile() {
    let mut cluster = three();
    cluster.grant(0, PLAIN);
    cluster.nodes[0].write = None;
    let client = cluster.revoke(0);
    let (of, result) = (Command::Heartbeat, ResultCode::TermStillValid);
    let body = PeerBody::Rejected { of, result, granted: false };
    let other = cluster.id(1);
    tell(&mut cluster, 2, 0, message(other, 1, SECOND.times(9), body));
    cluster.release(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Redirect, true)]);
}

/// A ticket that seems to be free is not where another site objects.
#[test]
fn a_revoke_beside_an_objection_is_sent_to_the_site_that_objects() {
    let mut cluster = three();
    cluster.crash(0);
    let other = cluster.id(0);
    tell(&mut cluster, 0, 1, message(other, 0, Span::ZERO, OBJECTION));
    let client = cluster.revoke(1);
    assert_eq!(cluster.codes(client), [(ResultCode::Redirect, true)]);
}

/// A revoke that comes while the holder steps down: nobody acquires it.
#[test]
fn a_revoke_during_a_step_down_is_a_revoke() {
    let mut cluster = Cluster::new(2, 1, TicketSpec { has_handler: true, ..spec("T") });
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    cluster.nodes[0].write = None;
    cluster.advance(SECOND.times(8));
    let client = cluster.revoke(0);
    cluster.nodes[0].handler = Some(ProbeOutcome::Success);
    cluster.release(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(SECOND.times(100));
    assert!(cluster.granted().is_empty());
    assert_eq!(cluster.nodes[0].store.owner, Some(Holder::Nobody));
}

/// A revoke that ends a grant is no success where the ticket is lost.
#[test]
fn a_revoke_that_ends_a_grant_of_a_lost_ticket_is_not_known() {
    let mut cluster = three();
    cluster.grant(0, PLAIN);
    cluster.crash(1);
    cluster.crash(2);
    cluster.advance(SECOND.times(12));
    cluster.grant(0, PATIENT);
    let revoke = cluster.revoke(0);
    assert_eq!(cluster.codes(revoke), [(ResultCode::SyncFail, true)]);
}

/// An idle answer takes an objection back if it answers this win's question, and only then.
#[test]
fn an_objection_is_taken_back_by_an_answer_with_the_nonce_of_the_win() {
    let mut cluster =
        Cluster::new(2, 1, TicketSpec { acquire_after: SECOND.times(5), ..spec("T") });
    cluster.start_all();
    cluster.crash(0);
    let other = cluster.id(0);
    tell(&mut cluster, 0, 1, message(other, 0, Span::ZERO, OBJECTION));
    cluster.grant(1, PATIENT);
    assert!(cluster.granted().is_empty());
    let nonce = |(from, to, sent): &(usize, usize, PeerMessage)| match sent.body {
        PeerBody::Status { nonce } if (*from, *to) == (1, 0) => Some(nonce),
        _ => None,
    };
    let nonce = cluster.sent.iter().rev().find_map(nonce).expect("it has asked");
    for (said, granted) in [(nonce ^ 1, 0), (nonce, 1)] {
        let body = PeerBody::MyIndex { nonce: said };
        tell(&mut cluster, 0, 1, message(Holder::Nobody, 0, Span::ZERO, body));
        assert_eq!(cluster.granted().len(), granted);
    }
}

/// L4: the promise lasts for the longer of the own `expire` and what the packet states, beyond a
/// hundred times its own for its own; and no later packet makes it shorter.
#[test]
fn a_promise_lasts_for_what_is_stated() {
    let beat = |member: &mut Member, round: u32, valid: u64| {
        let body = PeerBody::Heartbeat { stamp: stamp(round, true) };
        let message = message(holder(0), 3, SECOND.times(valid), body);
        member.event(Event::Peer { from: at(0), message });
    };
    for (stated, lasts) in [(60, 60), (5, 10), (5_000, 10)] {
        let mut member = Member::settled(2);
        beat(&mut member, 7, stated);
        member.advance(SECOND.times(lasts).minus(Span::from_millis(1)));
        let refused = member.asked_for_vote(1, 9);
        assert!(is_rejected(&refused, ResultCode::TermStillValid, 0), "{stated}");
        member.advance(Span::from_millis(1));
        assert!(is_vote(&member.asked_for_vote(1, 9), 1), "{stated}");
    }
    let mut member = Member::settled(2);
    beat(&mut member, 7, 60);
    member.advance(SECOND);
    beat(&mut member, 8, 10);
    member.advance(SECOND.times(58));
    assert!(is_rejected(&member.asked_for_vote(1, 9), ResultCode::TermStillValid, 0));
}

/// L9 (a): grace is longer if a leader that is followed states a longer validity than `E`.
#[test]
fn grace_outlasts_what_a_followed_leader_states() {
    let mut member = Member::started(2, CibTicket::default());
    let nonce = member.nonce;
    member.hear(0, holder(0), 3, PeerBody::MyIndex { nonce });
    let body = PeerBody::Heartbeat { stamp: stamp(7, true) };
    let said = message(holder(0), 3, SECOND.times(60), body);
    let effects = member.event(Event::Peer { from: at(0), message: said });
    assert!(effects.iter().any(|e| matches!(e, Effect::Send { message, .. }
        if matches!(message.body, PeerBody::Ack { .. }))));
    let end = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(8, false) };
    member.hear(0, Holder::Nobody, 3, end);
    member.advance(SECOND.times(50));
    assert!(!is_vote(&member.asked_for_vote(1, 9), 1), "it may have promised 60 s to another");
    member.advance(SECOND.times(20));
    assert!(is_vote(&member.asked_for_vote(1, 9), 1));
}

/// L9: what a restarted holder may count on ends `E` after the *start*, not after the reading.
#[test]
fn a_restarted_holder_counts_from_its_start() {
    let setup = Setup { roster: roster(2, 1, 0), tickets: vec![spec("T")], seed: 5 };
    let start = MonoTime::from_micros(50_000_000);
    let now = Now { mono: start, wall: WallTime::from_secs(1_800_000_000) };
    let mut member = Member { engine: Engine::new(setup), now, nonce: 0 };
    member.event(Event::Start);
    member.advance(SECOND.times(3));
    let stored = CibTicket {
        granted: true,
        owner: Some(holder(0)),
        expires: Some(WallTime::from_secs(1_800_000_500)),
        term: Some(Term::new(4)),
        attrs: Vec::new(),
    };
    let loaded = Event::CibLoaded { ticket: the_ticket(), outcome: CibLoad::Loaded(stored) };
    let told = member.event(loaded).into_iter().find_map(|effect| match effect {
        Effect::Store(StoreWish::Hold { window, .. }) => window,
        _ => None,
    });
    assert_eq!(told.map(|window| window.lease_until), Some(start.plus(SECOND.times(10))));
}

fn stands(effects: &[Effect]) -> bool {
    let asks = |effect: &Effect| {
        matches!(effect, Effect::Send { message, .. }
            if matches!(message.body, PeerBody::ReqVote { .. }))
    };
    effects.iter().any(asks)
}

/// L9 (d): only answers to this start's STATUS count as backing.
#[test]
fn an_answer_with_another_nonce_backs_nobody() {
    let mut member = Member::started(0, CibTicket::default());
    let nonce = member.nonce;
    for (nonce, wins) in [(nonce ^ 1, false), (nonce, true)] {
        for from in [1, 2] {
            member.hear(from, holder(0), 3, PeerBody::MyIndex { nonce });
        }
        let effects = member.advance(SECOND.times(2));
        assert_eq!(stands(&effects), wins, "{nonce}");
    }
}

/// L9 (b), mixed: an answer without a nonce counts only soon after the first question.
#[test]
fn an_unasked_answer_without_a_nonce_ends_no_grace() {
    let mut member = Member::started(0, CibTicket::default());
    let mut heard = |pause: Span| {
        member.now.mono = member.now.mono.plus(pause);
        let body = PeerBody::MyIndex { nonce: 0 };
        let said = message(Holder::Nobody, 0, Span::ZERO, body);
        member.event(Event::Peer { from: at(1), message: said })
    };
    heard(Span::ZERO);
    heard(Span::from_millis(1_500));
    let effects = member.event(grant(PATIENT));
    assert!(!stands(&effects), "the answer came too late");
}

/// L3, L10: no vote in a term whose end its candidate has announced.
#[test]
fn no_vote_in_a_term_that_its_leader_has_ended() {
    let mut member = Member::settled(2);
    assert!(is_ack(&member.heartbeat(0, 3, stamp(100, true))));
    let end = PeerBody::StepDown { reason: Reason::LocalFail, stamp: stamp(101, false) };
    member.hear(0, Holder::Nobody, 3, end);
    assert!(!is_vote(&member.asked_for_vote(0, 3), 0));
    assert!(is_vote(&member.asked_for_vote(0, 4), 0));
}

/// L9: who says later that it does not lead is not followed any more.
#[test]
fn a_leader_that_takes_its_word_back_is_not_verified() {
    let mut member = Member::started(2, CibTicket::default());
    let nonce = member.nonce;
    member.hear(0, holder(0), 4, PeerBody::MyIndex { nonce });
    member.hear(0, Holder::Nobody, 4, PeerBody::MyIndex { nonce });
    assert!(member.heartbeat(0, 4, stamp(7, true)).is_empty());
}

/// L13: who steps down comes after the others, counted from the announcement, however long the
/// revoke has taken.
#[test]
fn who_steps_down_stands_last_counted_from_the_announcement() {
    let mut cluster = Cluster::new(2, 1, TicketSpec { has_handler: true, ..spec("T") });
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.crash(1);
    cluster.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    cluster.nodes[0].write = None;
    cluster.advance(SECOND.times(60));
    cluster.nodes[0].handler = Some(ProbeOutcome::Success);
    let sent = cluster.sent.len();
    cluster.release(0);
    cluster.advance(Span::from_millis(1_900));
    let asks = |(_, _, m): &(usize, usize, PeerMessage)| matches!(m.body, PeerBody::ReqVote { .. });
    assert!(!cluster.sent[sent..].iter().any(asks), "two timeouts");
    cluster.advance(SECOND.times(10));
    assert_eq!(cluster.granted(), [0]);
}

/// L8, L13: after a step-down the others stand after `acquire-after`.
#[test]
fn nobody_stands_before_acquire_after_when_a_holder_steps_down() {
    let acquire_after = SECOND.times(20);
    let spec = TicketSpec { has_handler: true, acquire_after, ..spec("T") };
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.grant(0, PLAIN);
    assert_eq!(cluster.granted(), [0]);
    cluster.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    let sent = cluster.sent.len();
    cluster.advance(SECOND.times(6));
    assert!(cluster.granted().is_empty());
    cluster.advance(SECOND.times(18));
    let asks = |(_, _, m): &(usize, usize, PeerMessage)| matches!(m.body, PeerBody::ReqVote { .. });
    assert!(!cluster.sent[sent..].iter().any(asks));
}

fn manual() -> Cluster {
    let spec = TicketSpec { mode: TicketMode::Manual, ..spec("T") };
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.grant(0, PLAIN);
    assert_eq!(cluster.granted(), [0]);
    cluster
}

/// L14: an answer to STATUS that is older than the claim makes nobody believe that it is free.
#[test]
fn an_old_answer_does_not_end_a_manual_claim() {
    let mut cluster = manual();
    let body = PeerBody::MyIndex { nonce: 5 };
    tell(&mut cluster, 0, 1, message(Holder::Nobody, 0, Span::ZERO, body));
    let client = cluster.grant(1, PLAIN);
    assert_eq!(cluster.codes(client), [(ResultCode::Overgrant, true)]);
}

/// A manual ticket that is being revoked is not said to be granted.
#[test]
fn a_manual_grant_during_its_revoke_is_busy() {
    let mut cluster = manual();
    cluster.nodes[0].write = None;
    cluster.revoke(0);
    let client = cluster.grant(0, PLAIN);
    assert_eq!(cluster.codes(client), [(ResultCode::Busy, true)]);
}

/// A member whose configuration lacks a ticket hears of it for ever.
#[test]
fn messages_about_a_ticket_that_nobody_has_here_do_not_fill_the_log() {
    let mut member = Member::settled(0);
    let mut warnings = 0;
    for _ in 0..1_000 {
        let ticket = TicketName::new("other").expect("valid");
        let body = PeerBody::Status { nonce: 7 };
        let (leader, term, valid_for) = (Holder::Nobody, Term::ZERO, Span::ZERO);
        let message = PeerMessage { ticket, leader, term, valid_for, body };
        let effects = member.event(Event::Peer { from: at(1), message });
        let warns = |effect: &&Effect| match effect {
            Effect::Note(note) => note.level == crate::engine::NoteLevel::Warning,
            _ => false,
        };
        warnings += effects.iter().filter(warns).count();
    }
    assert_eq!(warnings, 10, "the first, the second, the fourth");
}
