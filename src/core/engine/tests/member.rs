// SPDX-License-Identifier: GPL-2.0-or-later
//! One member and what it answers: votes, promises, grace.

use super::bench::writes;
use super::cluster::{roster, spec, the_ticket};
use crate::engine::{CibLoad, CibTicket, ClientId, Effect, Engine, Event, JobWish, Setup};
use crate::model::{Holder, MemberIndex, Term, TicketName};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{
    ClientOptions, ClientRequest, Command, PeerBody, PeerMessage, Reason, ResultCode, Round, Stamp,
};

/// One member under test; the others are played by the test.
pub struct Member {
    pub engine: Engine,
    pub now: Now,
    /// What its last STATUS carried.
    pub nonce: u32,
}

pub fn at(index: usize) -> MemberIndex {
    MemberIndex::new(index).expect("a test has few members")
}

pub fn holder(index: usize) -> Holder {
    Holder::Member(roster(2, 1, 0).member(at(index)).id)
}

pub fn stamp(round: u32, established: bool) -> Stamp {
    Stamp { round: Round::new(round), established }
}

impl Member {
    /// A member of two sites and an arbitrator that has just started.
    pub fn started(me: usize, stored: CibTicket) -> Member {
        let setup = Setup { roster: roster(2, 1, me), tickets: vec![spec("T")], seed: 5 };
        let now = Now {
            mono: MonoTime::from_micros(50_000_000),
            wall: WallTime::from_secs(1_800_000_000),
        };
        let mut member = Member { engine: Engine::new(setup), now, nonce: 0 };
        member.event(Event::Start);
        if me < 2 {
            let outcome = CibLoad::Loaded(stored);
            member.event(Event::CibLoaded { ticket: the_ticket(), outcome });
        }
        member
    }

    /// The same, when its grace is over.
    pub fn settled(me: usize) -> Member {
        let mut member = Member::started(me, CibTicket::default());
        member.advance(Span::from_secs(20));
        member
    }

    pub fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        for effect in &effects {
            if let Effect::Send { message, .. } = effect {
                if let PeerBody::Status { nonce } = message.body {
                    self.nonce = nonce;
                }
            }
        }
        effects
    }

    pub fn advance(&mut self, span: Span) -> Vec<Effect> {
        self.now = Now { mono: self.now.mono.plus(span), wall: self.now.wall.plus(span) };
        self.event(Event::Due { ticket: the_ticket() })
    }

    /// Sends a message to it and returns what it answers the sender, but for its own questions.
    pub fn hear(
        &mut self,
        from: usize,
        leader: Holder,
        term: u32,
        body: PeerBody,
    ) -> Vec<PeerMessage> {
        let mut answers = self.hear_all(from, leader, term, body);
        answers.retain(|message| !matches!(message.body, PeerBody::Status { .. }));
        answers
    }

    /// Sends a message to it and returns all that it then says to the sender.
    pub fn hear_all(
        &mut self,
        from: usize,
        leader: Holder,
        term: u32,
        body: PeerBody,
    ) -> Vec<PeerMessage> {
        let ticket = TicketName::new("T").expect("valid");
        let valid_for = Span::from_secs(10);
        let message = PeerMessage { ticket, leader, term: Term::new(term), valid_for, body };
        let effects = self.event(Event::Peer { from: at(from), message });
        let sent = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { to, message, .. } if to == at(from) => Some(message),
            _ => None,
        });
        sent.collect()
    }

    pub fn asked_for_vote(&mut self, from: usize, term: u32) -> Vec<PeerMessage> {
        let body =
            PeerBody::ReqVote { reason: Reason::Admin, established: false, force: false, nonce: 0 };
        self.hear(from, holder(from), term, body)
    }

    pub fn heartbeat(&mut self, from: usize, term: u32, stamp: Stamp) -> Vec<PeerMessage> {
        self.hear(from, holder(from), term, PeerBody::Heartbeat { stamp })
    }
}

pub fn is_vote(answers: &[PeerMessage], to: usize) -> bool {
    let Some((answer, told)) = answers.split_last() else { return false };
    // What the voter knows comes before the vote.
    let outdated = |m: &PeerMessage| {
        matches!(m.body, PeerBody::Rejected { result: ResultCode::YouOutdated, .. })
    };
    let vote = matches!(answer.body, PeerBody::Vote { .. }) && answer.leader == holder(to);
    vote && told.len() <= 1 && told.iter().all(outdated)
}

pub fn is_ack(answers: &[PeerMessage]) -> bool {
    matches!(answers, [PeerMessage { body: PeerBody::Ack { .. }, .. }])
}

pub fn is_rejected(answers: &[PeerMessage], why: ResultCode, named: usize) -> bool {
    matches!(answers, [PeerMessage { leader, body: PeerBody::Rejected { result, .. }, .. }]
        if *result == why && *leader == holder(named))
}

/// The own store may say *granted*, and there is no lease that would say for how long.
fn is_objection(answers: &[PeerMessage]) -> bool {
    let marked = matches!(
        answers,
        [PeerMessage { valid_for: Span::ZERO, body: PeerBody::Rejected { granted: true, .. }, .. }]
    );
    marked && is_rejected(answers, ResultCode::TermStillValid, 0)
}

/// L9: until its grace ends a member answers only established requests.
#[test]
fn a_starting_member_neither_votes_nor_acknowledges() {
    let mut member = Member::started(2, CibTicket::default());
    assert!(member.asked_for_vote(0, 1).is_empty());
    assert!(member.heartbeat(0, 1, stamp(7, false)).is_empty());
    let early = member.heartbeat(0, 1, stamp(8, true));
    assert!(early.is_empty(), "not even an established leader, before it has answered (verified)");
}

/// L9 (a): grace ends `E + g + d` after the start; `E + τ·(r+1) + d` where a member may run the
/// reference (`mixed_grace`).
#[test]
fn grace_ends_by_itself() {
    let mut member = Member::started(2, CibTicket::default());
    member.advance(Span::from_millis(14_099));
    assert!(member.asked_for_vote(0, 1).is_empty());
    member.advance(Span::from_millis(1));
    assert!(is_vote(&member.asked_for_vote(0, 1), 0));
}

/// L2: one vote per term; the same candidate may ask twice.
#[test]
fn one_vote_per_term() {
    let mut member = Member::settled(2);
    assert!(is_vote(&member.asked_for_vote(0, 3), 0));
    assert!(is_vote(&member.asked_for_vote(0, 3), 0));
    assert!(is_vote(&member.asked_for_vote(1, 3), 0), "the refusal names who has the vote");
    assert!(is_rejected(&member.asked_for_vote(1, 2), ResultCode::TermOutdated, 0));
    assert!(is_vote(&member.asked_for_vote(1, 4), 1));
}

/// L13: a site that gives its vote to another backs off, its own administrator's grant or not:
/// two sites that are granted at the same time must not take the votes from each other for ever.
#[test]
fn a_candidate_that_votes_for_another_backs_off() {
    let mut member = Member::settled(0);
    let request = ClientRequest::Grant {
        ticket: TicketName::new("T").ok(),
        options: ClientOptions { wait: true, ..ClientOptions::default() },
    };
    let standing = |effects: &[Effect]| {
        let stands = |effect: &Effect| {
            matches!(effect, Effect::Send { message, .. }
                if matches!(message.body, PeerBody::ReqVote { .. }))
        };
        effects.iter().any(stands)
    };
    assert!(standing(&member.event(Event::Client { client: ClientId(1), request })));
    assert!(is_vote(&member.asked_for_vote(1, 9), 1), "the vote, and no request of its own");
    assert!(!standing(&member.advance(Span::from_millis(999))), "not within a timeout");
    assert!(standing(&member.advance(Span::from_millis(1_001))), "within two");
}

/// L3: no term and no reason overrides a live promise.
#[test]
fn a_vote_respects_a_live_promise() {
    let mut member = Member::settled(2);
    assert!(is_ack(&member.heartbeat(0, 3, stamp(7, true))));
    assert!(is_rejected(&member.asked_for_vote(1, 9), ResultCode::TermStillValid, 0));
    member.advance(Span::from_millis(9_999));
    assert!(is_rejected(&member.asked_for_vote(1, 9), ResultCode::TermStillValid, 0));
    member.advance(Span::from_millis(1));
    assert!(is_vote(&member.asked_for_vote(1, 9), 1), "the promise lasts E from its receipt");
}

/// L4(1): a heartbeat of another leader is refused whatever its term.
#[test]
fn a_second_leader_is_refused_under_a_live_promise() {
    let mut member = Member::settled(2);
    assert!(is_ack(&member.heartbeat(0, 3, stamp(7, true))));
    assert!(is_rejected(&member.heartbeat(1, 9, stamp(7, true)), ResultCode::TermStillValid, 0));
}

/// L4(4): under a live promise, rounds from another life of the leader do not count.
#[test]
fn rounds_of_an_earlier_life_are_dropped() {
    let mut member = Member::settled(2);
    assert!(is_ack(&member.heartbeat(0, 3, stamp(5_000, true))));
    assert!(is_ack(&member.heartbeat(0, 3, stamp(5_000 + 4_096, true))));
    assert!(is_ack(&member.heartbeat(0, 3, stamp(5_000, true))), "a late packet is no replay");
    assert!(member.heartbeat(0, 3, stamp(5_000 + 4_096 + 4_097, true)).is_empty());
}

/// L10: only sender, term and a later round end a promise.
#[test]
fn a_promise_ends_with_the_announcement_of_its_leader_only() {
    let mut member = Member::settled(2);
    let end = |round| PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(round, false) };
    assert!(is_ack(&member.heartbeat(0, 3, stamp(100, true))));
    member.hear(1, Holder::Nobody, 3, end(101));
    member.hear(0, Holder::Nobody, 2, end(101));
    member.hear(0, Holder::Nobody, 3, end(99));
    member.hear(0, Holder::Nobody, 3, end(100 + 4_096));
    assert!(is_rejected(&member.asked_for_vote(1, 9), ResultCode::TermStillValid, 0));
    let answers = member.hear(0, Holder::Nobody, 3, end(101));
    assert!(matches!(
        answers[..],
        [PeerMessage { body: PeerBody::Ack { of: Command::RevokeTicket, .. }, .. }]
    ));
    assert!(is_rejected(&member.heartbeat(0, 3, stamp(102, true)), ResultCode::TermOutdated, 0));
    assert!(is_vote(&member.asked_for_vote(1, 9), 1));
}

/// L9: a grant in the store whose time has passed is revoked before anything is said.
#[test]
fn a_stale_grant_is_revoked_first() {
    let stored = CibTicket {
        granted: true,
        owner: Some(holder(0)),
        expires: Some(WallTime::from_secs(1_799_999_999)),
        term: Some(Term::new(4)),
        attrs: Vec::new(),
    };
    let setup = Setup { roster: roster(2, 1, 0), tickets: vec![spec("T")], seed: 5 };
    let wall = WallTime::from_secs(1_800_000_000);
    let now = Now { mono: MonoTime::from_micros(1), wall };
    let mut member = Member { engine: Engine::new(setup), now, nonce: 0 };
    member.event(Event::Start);
    let outcome = CibLoad::Loaded(stored);
    let effects = member.event(Event::CibLoaded { ticket: the_ticket(), outcome });
    let sends = effects.iter().any(|effect| matches!(effect, Effect::Send { .. }));
    assert!(!sends, "silent until the revoke has succeeded");
    let revokes = |effect: &Effect| writes(effect, false);
    assert!(effects.iter().any(revokes));
}

/// L9, L3: a site whose store cannot be read backs nobody, however long it takes, and objects to
/// whoever asks.
#[test]
fn an_unread_store_makes_a_site_object() {
    let setup = Setup { roster: roster(2, 1, 0), tickets: vec![spec("T")], seed: 5 };
    let now = Now { mono: MonoTime::from_micros(1), wall: WallTime::from_secs(1_800_000_000) };
    let mut member = Member { engine: Engine::new(setup), now, nonce: 0 };
    member.event(Event::Start);
    let outcome = CibLoad::Failed("no such file".into());
    member.event(Event::CibLoaded { ticket: the_ticket(), outcome });
    assert!(is_objection(&member.asked_for_vote(1, 3)));
    let effects = member.advance(Span::from_secs(3_600));
    let again = effects.iter().any(|effect| matches!(effect, Effect::Job(JobWish::LoadCib { .. })));
    assert!(again, "read again after a pause");
    assert!(is_objection(&member.asked_for_vote(1, 3)));
    assert!(is_objection(&member.heartbeat(1, 3, stamp(1, true))));
}
