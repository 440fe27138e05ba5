// SPDX-License-Identifier: GPL-2.0-or-later
//! Which leader a member in grace follows (`RULES.md` L9): one that has answered this start's
//! STATUS that it leads.

use super::cluster::{roster, spec, the_ticket, Cluster, FORCED};
use crate::engine::{CibLoad, CibTicket, Effect, Engine, Event, Setup};
use crate::model::{Holder, MemberIndex, Term, TicketName};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, Reason, Round, Stamp};

const SECOND: Span = Span::from_secs(1);

/// A member of two sites and an arbitrator; the others are played by the test.
struct Member {
    engine: Engine,
    now: Now,
    /// Everything that it has sent.
    sent: Vec<(usize, PeerMessage)>,
}

fn index(of: usize) -> MemberIndex {
    MemberIndex::new(of).expect("a test has few members")
}

fn holder(of: usize) -> Holder {
    Holder::Member(roster(2, 1, 0).member(index(of)).id)
}

impl Member {
    fn started(me: usize, stored: CibTicket) -> Member {
        let setup = Setup { roster: roster(2, 1, me), tickets: vec![spec("T")], seed: 5 };
        let now = Now {
            mono: MonoTime::from_micros(50_000_000),
            wall: WallTime::from_secs(1_800_000_000),
        };
        let mut member = Member { engine: Engine::new(setup), now, sent: Vec::new() };
        member.event(Event::Start);
        let outcome = CibLoad::Loaded(stored);
        member.event(Event::CibLoaded { ticket: the_ticket(), outcome });
        member
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        self.sent.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { to, message, .. } => Some((to.get(), message)),
            _ => None,
        }));
    }

    fn advance(&mut self, span: Span) {
        self.now = Now { mono: self.now.mono.plus(span), wall: self.now.wall.plus(span) };
        self.event(Event::Due { ticket: the_ticket() });
    }

    fn hears(&mut self, from: usize, leader: Holder, term: u32, body: PeerBody, valid: Span) {
        let ticket = TicketName::new("T").expect("valid");
        let message = PeerMessage { ticket, leader, term: Term::new(term), valid_for: valid, body };
        self.event(Event::Peer { from: index(from), message });
    }

    /// An established heartbeat of `from`.
    fn heartbeat(&mut self, from: usize, term: u32, round: u32) {
        let stamp = Stamp { round: Round::new(round), established: true };
        self.hears(from, holder(from), term, PeerBody::Heartbeat { stamp }, SECOND.times(10));
    }

    /// What its STATUS carried.
    fn nonce(&self) -> u32 {
        let nonce = |(_, message): &(usize, PeerMessage)| match message.body {
            PeerBody::Status { nonce } => Some(nonce),
            _ => None,
        };
        self.sent.iter().find_map(nonce).expect("it has asked")
    }

    /// Hears a vote request with `-F`; tells whether it votes.
    fn forced(&mut self, from: usize, term: u32, nonce: u32) -> bool {
        let (reason, established, force) = (Reason::Admin, false, true);
        let before = self.sent.len();
        let body = PeerBody::ReqVote { reason, established, force, nonce };
        self.hears(from, holder(from), term, body, Span::ZERO);
        self.sent[before..].iter().any(|(_, sent)| matches!(sent.body, PeerBody::Vote { .. }))
    }

    /// An answer of `from` to the STATUS of this start.
    fn answer(&mut self, from: usize, leader: Holder, term: u32, valid: Span) {
        let nonce = self.nonce();
        self.hears(from, leader, term, PeerBody::MyIndex { nonce }, valid);
    }

    /// The rounds that it has acknowledged to a member, and forgets.
    fn acked(&mut self, to: usize) -> Vec<u32> {
        let round = |(whom, message): (usize, PeerMessage)| match message.body {
            PeerBody::Ack { of: Command::Heartbeat, round } if whom == to => round.map(Round::get),
            _ => None,
        };
        let (status, rest) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|(_, message)| matches!(message.body, PeerBody::Status { .. }));
        self.sent = status;
        Vec::into_iter(rest).filter_map(round).collect()
    }

    /// How often it has asked a member.
    fn asked(&self, whom: usize) -> usize {
        let is = |(to, message): &&(usize, PeerMessage)| {
            *to == whom && matches!(message.body, PeerBody::Status { .. })
        };
        self.sent.iter().filter(is).count()
    }
}

/// L9 (c), a vote request with `-F` that is older than this start opens no door: neither for its
/// sender's vote nor for its heartbeats. One that answers this start's STATUS does.
#[test]
fn an_old_request_with_force_does_not_end_grace() {
    let mut member = Member::started(2, CibTicket::default());
    let old = member.forced(0, 3, 0);
    assert!(!old, "it may be older than this start");
    assert_eq!(member.asked(0), 2, "asked at the start and at once");
    let stamp = Stamp { round: Round::new(7), established: false };
    member.hears(0, holder(0), 3, PeerBody::Heartbeat { stamp }, SECOND.times(10));
    assert!(member.acked(0).is_empty(), "it has not won since this start, as far as is known");
    for _ in 0..20 {
        assert!(!member.forced(0, 3, 12_345), "that is another question's answer");
    }
    assert_eq!(member.asked(0), 2, "old ones do not make a storm of questions");
    assert!(!member.forced(1, 4, 0));
    assert_eq!(member.asked(1), 2, "a later one is asked about at once");
    let nonce = member.nonce();
    assert!(member.forced(0, 3, nonce), "it stands now");
    member.hears(0, holder(0), 3, PeerBody::Heartbeat { stamp }, SECOND.times(10));
    assert_eq!(member.acked(0), [7]);
}

/// L9 (c), a candidate with `-F` answers the question with its request.
#[test]
fn members_that_have_just_started_vote_for_a_candidate_with_force() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start(0);
    cluster.start(2);
    cluster.grant(0, FORCED);
    assert_eq!(cluster.granted(), [0]);
}

/// Issue 8, 18: an old packet of a leader that is long gone binds nobody, and the real one is
/// followed as soon as it has answered.
#[test]
fn an_old_established_heartbeat_does_not_bind_a_restarted_arbitrator() {
    let mut member = Member::started(2, CibTicket::default());
    member.heartbeat(1, 3, 70);
    assert!(member.acked(1).is_empty(), "its sender has not said that it leads");
    assert_eq!(member.asked(1), 2, "asked at the start and at once");
    member.answer(1, holder(0), 4, SECOND.times(9));
    assert!(member.acked(1).is_empty(), "it says that another leads");
    member.heartbeat(0, 4, 7);
    assert!(member.acked(0).is_empty());
    assert_eq!(member.asked(0), 2);
    member.answer(0, holder(0), 4, SECOND.times(10));
    assert_eq!(member.acked(0), [7], "what was kept is accepted when it is known to lead");
    member.heartbeat(0, 4, 9);
    assert_eq!(member.acked(0), [9], "and from then on everything at once");
}

/// Only the newest heartbeat of a sender is kept, however they arrive.
#[test]
fn the_newest_heartbeat_is_kept() {
    let mut member = Member::started(2, CibTicket::default());
    for round in [20, 22, 21] {
        member.heartbeat(0, 4, round);
    }
    member.answer(0, holder(0), 4, SECOND.times(10));
    assert_eq!(member.acked(0), [22]);
}

/// A heartbeat of an earlier term than the one in which its sender says it leads is an old one.
#[test]
fn a_heartbeat_of_an_earlier_term_than_the_answer_is_not_accepted() {
    let mut member = Member::started(2, CibTicket::default());
    member.heartbeat(0, 3, 20);
    let asked = member.asked(0);
    for round in 21..30 {
        member.answer(0, holder(0), 4, SECOND.times(10));
        assert!(member.acked(0).is_empty());
        member.heartbeat(0, 3, round);
        assert!(member.acked(0).is_empty());
    }
    assert_eq!(member.asked(0), asked, "old ones and answers do not make a storm of questions");
    member.heartbeat(0, 4, 22);
    assert_eq!(member.acked(0), [22]);
}

/// An answer to the STATUS of an earlier start verifies nobody.
#[test]
fn an_answer_with_another_nonce_verifies_nobody() {
    let mut member = Member::started(2, CibTicket::default());
    member.heartbeat(0, 3, 20);
    let nonce = 12_345;
    member.hears(0, holder(0), 3, PeerBody::MyIndex { nonce }, SECOND.times(10));
    assert!(member.acked(0).is_empty());
}

/// A reference leader returns no nonce: an answer within `timeout` of a question counts.
#[test]
fn a_reference_leader_is_followed_when_it_answers_in_time() {
    let update = PeerBody::Update { stamp: Stamp::default() };
    let answer = PeerBody::MyIndex { nonce: 0 };
    let acks = |member: &Member| {
        let is = |(_, message): &&(usize, PeerMessage)| {
            matches!(message.body, PeerBody::Ack { of: Command::Update, round: None })
        };
        member.sent.iter().filter(is).count()
    };
    for (pause, accepted) in [(Span::from_millis(900), 1), (Span::from_millis(1100), 0)] {
        // The other site, so that nothing asks it again meanwhile.
        let mut member = Member::started(2, CibTicket::default());
        member.hears(0, holder(0), 3, update, SECOND.times(10));
        assert_eq!(acks(&member), 0);
        member.now.mono = member.now.mono.plus(pause);
        member.hears(0, holder(0), 3, answer, SECOND.times(10));
        assert_eq!(acks(&member), accepted, "after {pause}");
    }
}

/// A restarted holder answers STATUS although it competes: that it leads, with what is left of its
/// bound; and in the last second it is silent, because nothing on the wire would say *idle*.
#[test]
fn a_restarted_holder_says_that_it_leads() {
    let wall = WallTime::from_secs(1_800_000_008);
    let stored = CibTicket {
        granted: true,
        owner: Some(holder(0)),
        expires: Some(wall),
        term: Some(Term::new(4)),
        attrs: Vec::new(),
    };
    let mut member = Member::started(0, stored);
    let said = |member: &mut Member| {
        member.sent.clear();
        let body = PeerBody::Status { nonce: 77 };
        member.hears(1, Holder::Nobody, 0, body, Span::ZERO);
        let answer = |(_, message): &(usize, PeerMessage)| match message.body {
            PeerBody::MyIndex { nonce: 77 } => Some((message.leader, message.valid_for)),
            _ => None,
        };
        member.sent.iter().find_map(answer)
    };
    assert_eq!(said(&mut member), Some((holder(0), SECOND.times(8))));
    member.advance(Span::from_millis(6_500));
    assert_eq!(said(&mut member), Some((holder(0), Span::from_millis(1_500))));
    member.now.mono = member.now.mono.plus(Span::from_millis(600));
    assert_eq!(said(&mut member), None, "given up, or in its last second");
}

/// Whose store says that it held, and does not any more, does not lead.
#[test]
fn a_site_that_has_lost_the_ticket_does_not_say_that_it_leads() {
    let stored = CibTicket {
        granted: false,
        owner: Some(holder(0)),
        expires: Some(WallTime::from_secs(1_800_000_008)),
        term: Some(Term::new(4)),
        attrs: Vec::new(),
    };
    let mut member = Member::started(0, stored);
    member.sent.clear();
    member.hears(1, Holder::Nobody, 0, PeerBody::Status { nonce: 77 }, Span::ZERO);
    let leads = |(_, message): &(usize, PeerMessage)| {
        matches!(message.body, PeerBody::MyIndex { .. })
            && message.leader == holder(0)
            && !message.valid_for.is_zero()
    };
    assert!(!member.sent.iter().any(leads));
}

/// No other member is spare: the second site is down, and the arbitrator restarts and first hears
/// an old heartbeat of it. The holder keeps the ticket.
#[test]
fn the_holder_keeps_the_ticket_when_its_only_follower_hears_an_old_heartbeat() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(2));
    cluster.crash(1);
    cluster.crash(2);
    cluster.cut = vec![(2, 0), (0, 2)];
    cluster.start(2);
    let stamp = Stamp { round: Round::new(1_234), established: true };
    let message = PeerMessage {
        ticket: TicketName::new("T").expect("valid"),
        leader: cluster.id(1),
        term: Term::new(1),
        valid_for: SECOND.times(10),
        body: PeerBody::Heartbeat { stamp },
    };
    cluster.event(2, Event::Peer { from: index(1), message });
    cluster.cut.clear();
    let writes = cluster.nodes[0].writes.len();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0]);
    assert!(cluster.nodes[0].writes[writes..].iter().all(|state| state.granted), "never revoked");
}
