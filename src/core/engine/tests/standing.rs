// SPDX-License-Identifier: GPL-2.0-or-later
//! L13: a site that knows of a lost ticket always has a plan to stand for it, whatever happened
//! to the last one.

use super::cluster::the_ticket;
use super::member::{at, holder, is_ack, is_vote, stamp, Member};
use crate::engine::{ClientId, Effect, Event};
use crate::model::{Holder, Term, TicketName};
use crate::time::Span;
use crate::wire::{
    ClientOptions, ClientRequest, Command, LastKnown, PeerBody, PeerMessage, Reason, ResultCode,
};

/// Whether it asks for votes.
fn stands(effects: &[Effect]) -> bool {
    let asks = |effect: &Effect| {
        matches!(effect, Effect::Send { message, .. }
            if matches!(message.body, PeerBody::ReqVote { .. }))
    };
    effects.iter().any(asks)
}

/// Lets time pass, deadline by deadline; tells whether it stood for election meanwhile.
fn stands_within(member: &mut Member, span: Span) -> bool {
    let end = member.now.mono.plus(span);
    let mut stood = false;
    loop {
        let next = member.engine.deadline_of(the_ticket()).filter(|at| *at <= end);
        let at = next.unwrap_or(end);
        stood |= stands(&member.advance(at.since(member.now.mono)));
        if next.is_none() || stood {
            return stood;
        }
    }
}

/// A site that followed site 1, whose lease has ended, and that stands for the ticket.
fn candidate() -> Member {
    let mut member = Member::settled(0);
    assert!(is_ack(&member.heartbeat(1, 3, stamp(7, true))));
    assert!(stands_within(&mut member, Span::from_secs(12)), "the lease has ended");
    member
}

/// The candidate gives its vote to a rival with a higher term, which then dies.
#[test]
fn a_vote_for_a_rival_that_dies_leaves_a_plan() {
    let mut member = candidate();
    assert!(is_vote(&member.asked_for_vote(1, 9), 1));
    assert!(!stands_within(&mut member, Span::from_millis(999)), "the rival gets time to win");
    assert!(stands_within(&mut member, Span::from_millis(1_001)), "the rival is dead");
}

/// An administrator's grant fails, because members say that another site holds the ticket; when
/// that is over, the site stands by itself again.
#[test]
fn an_administrators_failed_grant_leaves_a_plan() {
    let mut member = Member::settled(0);
    assert!(is_ack(&member.heartbeat(1, 3, stamp(7, true))));
    member.advance(Span::from_secs(10));
    let request = ClientRequest::Grant {
        ticket: TicketName::new("T").ok(),
        options: ClientOptions::default(),
    };
    assert!(stands(&member.event(Event::Client { client: ClientId(1), request })));
    let mut last = Vec::new();
    for from in [1, 2] {
        let result = ResultCode::TermStillValid;
        let body = PeerBody::Rejected { of: Command::ReqVote, result, granted: false };
        let ticket = TicketName::new("T").expect("valid");
        let (leader, term, valid_for) = (holder(1), Term::new(4), Span::from_secs(8));
        let message = PeerMessage { ticket, leader, term, valid_for, body };
        last = member.event(Event::Peer { from: at(from), message });
    }
    let answered = |effect: &Effect| matches!(effect, Effect::Reply { last: true, .. });
    assert!(last.iter().any(answered), "the client hears that another site holds it");
    assert!(!stands_within(&mut member, Span::from_secs(8)), "not while another has it");
    assert!(stands_within(&mut member, Span::from_secs(2)), "soon after that is over");
}

/// Nobody stands for a ticket that was revoked, nor for one that was never granted.
#[test]
fn a_free_ticket_is_left_alone() {
    let mut member = Member::settled(0);
    assert!(!stands_within(&mut member, Span::from_secs(60)));
    assert!(is_ack(&member.heartbeat(1, 3, stamp(100, true))));
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(101, false) };
    member.hear(1, Holder::Nobody, 3, body);
    assert!(!stands_within(&mut member, Span::from_secs(60)));
}

/// L10: a member may tell that the ticket was revoked in any form and at any time, also beside a
/// promise to a leader of an earlier term: this site does not stand for it any more.
#[test]
fn a_revoke_that_another_member_tells_of_is_not_forgotten() {
    let refusal = PeerBody::Rejected {
        of: Command::ReqVote,
        result: ResultCode::YouOutdated,
        granted: false,
    };
    let index = PeerBody::MyIndex { nonce: 9 };
    let told = |mut member: Member, term: u32, late: bool| {
        assert!(!stands_within(&mut member, Span::from_secs(60)), "{term}, {late}");
    };
    let free = |term| Some(LastKnown { term: Term::new(term), free: true });
    let vote = |term| PeerBody::Vote { vouched: true, unbound_for: None, last: free(term) };
    for word in [Some(refusal), Some(index), None] {
        let say = |member: &mut Member, term: u32| match word {
            Some(word) => member.hear(2, Holder::Nobody, term, word),
            // That of an attempt that is over.
            None => member.hear(2, holder(0), 1, vote(term)),
        };
        let mut failed = candidate();
        assert!(!stands(&failed.advance(Span::from_millis(1_001))), "the attempt has failed");
        say(&mut failed, 3);
        told(failed, 3, true);
        let mut follower = Member::settled(0);
        assert!(is_ack(&follower.heartbeat(1, 3, stamp(7, true))));
        say(&mut follower, 4);
        told(follower, 4, false);
        if word.is_some() {
            let mut standing = candidate();
            say(&mut standing, 3);
            told(standing, 3, false);
        }
    }
}

/// L13: the pause that has grown while nobody was heard ends when somebody is heard, whatever that
/// one says: it may be about to vote.
#[test]
fn a_grown_pause_ends_when_somebody_is_heard() {
    let mut member = candidate();
    for _ in 0..8 {
        member.advance(Span::from_secs(20));
    }
    member.advance(Span::from_millis(1_001));
    let mut alone = 0;
    while !stands_within(&mut member, Span::from_millis(100)) {
        alone += 1;
    }
    member.advance(Span::from_millis(1_001));
    assert!(alone > 60, "the pause has grown to the lease: {alone}");
    member.hear(2, Holder::Nobody, 0, PeerBody::Status { nonce: 8 });
    assert!(stands_within(&mut member, Span::from_millis(2_001)));
}
