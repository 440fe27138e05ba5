// SPDX-License-Identifier: GPL-2.0-or-later
//! Stores that say less than they should: an owner that is not known, one that is no member any
//! more, a ticket that its holder's store has lost.

use super::cluster::{spec, Cluster};
use super::member::{holder, Member};
use crate::engine::CibTicket;
use crate::model::{Holder, Term};
use crate::time::{Span, WallTime};
use crate::wire::{ClientOptions, PeerBody, PeerMessage};

const SECOND: Span = Span::from_secs(1);

/// A store in which the ticket is not granted, and whose lease ended long ago.
fn stored(owner: Holder, term: u32) -> CibTicket {
    CibTicket {
        granted: false,
        owner: Some(owner),
        expires: Some(WallTime::from_secs(1_799_990_000)),
        term: Some(Term::new(term)),
        attrs: Vec::new(),
    }
}

/// The reference leaves owner 0 with a term in the CIB of a site that has lost a ticket: it is
/// lost, not revoked, and it is acquired again.
#[test]
fn a_ticket_whose_owner_is_not_known_is_lost() {
    for other in [Holder::Unknown, holder(0)] {
        let mut cluster = Cluster::new(2, 1, spec("T"));
        cluster.nodes[0].store = stored(Holder::Unknown, 7);
        cluster.nodes[1].store = stored(other, 7);
        cluster.start_all();
        for node in 0..2 {
            assert_eq!(cluster.listed(node), Holder::Unknown, "nobody knows who has it");
        }
        cluster.advance(SECOND.times(5));
        assert_eq!(cluster.granted().len(), 1, "somebody has acquired it");
        let term = cluster.nodes[cluster.granted()[0]].store.term;
        assert_eq!(term, Some(Term::new(8)), "in a fresh term");
    }
}

/// Who knows that it was revoked says so, and that counts.
#[test]
fn a_ticket_whose_owner_is_not_known_here_but_revoked_there_stays_free() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.nodes[0].store = stored(Holder::Unknown, 7);
    cluster.nodes[1].store = stored(Holder::Nobody, 7);
    cluster.start_all();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0; 0]);
    assert_eq!(cluster.listed(0), Holder::Nobody);
}

/// A member that does not know the leader of its term does not say that there is none; but who
/// asks with a lower term learns the term (L1).
#[test]
fn who_does_not_know_the_leader_still_tells_the_term() {
    let mut member = Member::started(0, stored(Holder::Unknown, 50));
    let nonce = 77;
    let answers = member.hear_all(1, Holder::Nobody, 2, PeerBody::Status { nonce });
    let said = |message: &&PeerMessage| matches!(message.body, PeerBody::MyIndex { .. });
    let index = answers.iter().find(said).expect("it answers");
    assert_eq!((index.leader, index.term), (Holder::Nobody, Term::ZERO));
    assert!(answers.iter().any(|message| message.term == Term::new(50)), "{answers:?}");
    let answers = member.hear_all(1, Holder::Nobody, 50, PeerBody::Status { nonce });
    assert!(answers.iter().all(|message| message.term == Term::ZERO), "nothing new for it");
    let answers = member.hear_all(1, Holder::Nobody, 2, PeerBody::Status { nonce: 0 });
    assert!(answers.iter().all(|message| message.term == Term::ZERO), "nor for a reference member");
}

/// In the same position, a candidate that is many terms behind wins with its second attempt.
#[test]
fn a_candidate_catches_up_with_members_that_do_not_know_the_leader() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.nodes[1].store = stored(Holder::Unknown, 50);
    cluster.nodes[2].store = stored(Holder::Unknown, 50);
    cluster.start_all();
    let client = cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(8));
    assert!(!cluster.codes(client).is_empty());
    assert_eq!(cluster.granted().len(), 1);
}
