// SPDX-License-Identifier: GPL-2.0-or-later
//! Stores that say less than they should: an owner that is not known, one that is no member any
//! more, a ticket that its holder's store has lost.

use super::cluster::{spec, Cluster};
use super::member::{at, holder, Member};
use crate::engine::state::backing::Backing;
use crate::engine::CibTicket;
use crate::model::{Holder, MemberId, Term};
use crate::time::{MonoTime, Span, WallTime};
use crate::wire::{ClientOptions, PeerBody, PeerMessage, ResultCode};
use std::net::{IpAddr, Ipv4Addr};

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

/// A member of an earlier configuration.
fn foreign() -> Holder {
    Holder::Member(MemberId::of_address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99))))
}

/// An owner that is no member any more: the ticket is free, nothing is waited for, nobody acquires
/// it by itself, and the next grant has a higher term.
#[test]
fn a_ticket_of_a_member_that_was_taken_out_is_free() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.nodes[0].store = stored(foreign(), 7);
    cluster.nodes[1].store = stored(foreign(), 7);
    cluster.start_all();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0; 0], "nobody has granted it to anyone");
    cluster.crash(0);
    cluster.start(0);
    assert_eq!(cluster.listed(0), Holder::Nobody);
    let client = cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::Success, true)), "at once");
    assert_eq!(cluster.nodes[0].store.term, Some(Term::new(8)));
}

/// The same, and the store says that it is granted here: it is revoked first.
#[test]
fn a_grant_of_a_member_that_was_taken_out_is_revoked() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    let late = WallTime::from_secs(1_900_000_000);
    cluster.nodes[0].store =
        CibTicket { granted: true, expires: Some(late), ..stored(foreign(), 7) };
    cluster.start_all();
    assert_eq!(cluster.granted(), [0; 0]);
    assert_eq!(cluster.nodes[0].store.owner, Some(Holder::Nobody));
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0; 0], "and nobody acquires it by itself");
}

/// Site 0 held the ticket, is down, and its store has lost it; site 1 is the only other site.
fn forgetful(arbitrators: usize) -> Cluster {
    let mut cluster = Cluster::new(2, arbitrators, spec("T"));
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(2));
    cluster.crash(0);
    cluster.nodes[0].store = CibTicket::default();
    cluster
}

/// The others are promised to the restarted site, so nobody else can have a lease: it stands at
/// once.
#[test]
fn a_holder_whose_store_has_lost_the_ticket_stands_at_once() {
    let mut cluster = forgetful(1);
    cluster.start(0);
    assert_eq!(cluster.listed(0), Holder::Unknown, "it does not hold what its store denies");
    cluster.advance(SECOND);
    assert_eq!(cluster.granted(), [0]);
}

/// The other site is dead, so it takes more than half of the others: until it has heard them, the
/// arbitrators too, it waits and knows nothing.
#[test]
fn while_it_has_not_heard_enough_it_waits() {
    let mut cluster = forgetful(3);
    cluster.crash(1);
    cluster.cut = vec![(2, 0)];
    cluster.start(0);
    let revoke = cluster.revoke(0);
    assert_eq!(cluster.codes(revoke), [(ResultCode::Busy, true)], "not: it is free");
    cluster.advance(Span::from_millis(1_500));
    assert_eq!(cluster.listed(0), Holder::Unknown);
    assert_eq!(cluster.granted(), [0; 0], "two of four others are not enough");
    cluster.cut.clear();
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.granted(), [0], "asked again, the third has answered");
}

/// A promise that has ended, or was announced to have ended, is none.
#[test]
fn a_promise_that_is_over_does_not_count() {
    let mut cluster = forgetful(1);
    cluster.advance(SECOND.times(6));
    cluster.cut = vec![(1, 0), (2, 1)];
    cluster.advance(SECOND.times(3));
    cluster.start(0);
    cluster.advance(SECOND.times(9));
    assert_eq!(cluster.granted(), [0; 0], "grace lasts");
}

/// More than half of the others, in one term, and live.
#[test]
fn backing_is_more_than_half_of_the_others_in_one_term() {
    let now = MonoTime::from_micros(1_000_000_000);
    let (old, new) = (Term::new(3), Term::new(4));
    let with = |members: usize, words: &[(usize, Term, u64)]| {
        let mut backing = Backing::new(members);
        for (from, term, valid) in words {
            backing.note_asked(at(*from), now);
            backing.note_asked(at(*from), now.plus(SECOND.times(5)));
            backing.note_word(at(*from), *term, SECOND.times(*valid));
        }
        backing
    };
    assert!(with(2, &[(1, new, 9)]).suffices(now));
    assert!(!with(3, &[(1, new, 9)]).suffices(now));
    assert!(with(3, &[(1, new, 9), (2, new, 9)]).suffices(now));
    assert!(!with(3, &[(1, new, 9), (2, old, 9)]).suffices(now), "not in two terms");
    assert!(!with(3, &[(1, new, 9), (2, new, 0)]).suffices(now), "it has none");
    assert!(with(4, &[(1, new, 9), (2, new, 9)]).suffices(now));
    assert!(!with(5, &[(1, new, 9), (2, new, 9)]).suffices(now));
    assert!(with(5, &[(1, new, 9), (2, old, 9), (3, new, 9), (4, new, 9)]).suffices(now));
    let later = now.plus(Span::from_millis(8_910));
    assert!(!with(2, &[(1, new, 9)]).suffices(later), "counted from the first question");
    assert!(with(2, &[(1, new, 9)]).suffices(now.plus(Span::from_millis(8_909))));
}

/// `list`: *none* is known to be free, *NONE* is not known.
#[test]
fn a_ticket_is_shown_as_free_only_if_that_is_known() {
    let mut fresh = Cluster::new(2, 1, spec("T"));
    fresh.start(0);
    assert_eq!(fresh.listed(0), Holder::Unknown, "nobody was heard");
    fresh.start(1);
    fresh.start(2);
    for node in 0..3 {
        assert_eq!(fresh.listed(node), Holder::Nobody, "all sites have answered {node}");
    }
    let mut alone = Cluster::new(2, 1, spec("T"));
    alone.nodes[0].store = stored(Holder::Nobody, 7);
    alone.start(0);
    assert_eq!(alone.listed(0), Holder::Unknown, "its store may be old");
    alone.advance(SECOND.times(60));
    assert_eq!(alone.listed(0), Holder::Unknown);
    alone.start(1);
    alone.start(2);
    assert_eq!(alone.listed(1), Holder::Nobody);
    let mut revoked = Cluster::new(2, 1, spec("T"));
    revoked.start_all();
    revoked.grant(0, ClientOptions::default());
    revoked.revoke(0);
    for node in 0..3 {
        assert_eq!(revoked.listed(node), Holder::Nobody, "revoked {node}");
    }
}
