// SPDX-License-Identifier: GPL-2.0-or-later
//! A win that was given up without a lease held nothing (L3): what was known before it is the last
//! word, and what is heard of a later holder.

use super::bench::{stamp, Bench, SECOND};
use super::cluster::spec;
use crate::model::{Holder, Term};
use crate::time::Span;
use crate::wire::{Command, LastKnown, PeerBody, Reason, ResultCode};

/// Site 0 of three sites and two arbitrators. Site 1 led in term 2, as far as it knows; it has won
/// term 4, which nobody acknowledges.
fn winner() -> Bench {
    let mut bench = Bench::settled(3, 2, 0, spec("T"));
    bench.heartbeat(1, 2, stamp(7, true));
    assert_eq!(bench.until_it_stands(SECOND.times(60)).requests()[0].message.term, Term::new(3));
    assert_eq!(bench.until_it_stands(SECOND.times(60)).requests()[0].message.term, Term::new(4));
    bench.vote_telling(3, 4, Some((2, false)));
    assert!(!bench.vote_telling(4, 4, Some((2, false))).heartbeats().is_empty());
    bench
}

/// A member refuses because site 2 leads, or may still be granted, in term 3.
fn refused(bench: &mut Bench, from: usize, valid: Span) {
    let result = ResultCode::TermStillValid;
    let granted = from == 2;
    let body = PeerBody::Rejected { of: Command::Heartbeat, result, granted };
    bench.hear_valid(from, bench.id(2), 3, valid, body);
}

/// Site 1 has revoked in term 2.
fn revoked(bench: &mut Bench) {
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(9, false) };
    bench.hear_valid(1, Holder::Nobody, 2, Span::ZERO, body);
}

/// Another site that was heard to lead in an earlier term than that of the win is what its vote
/// tells of: a candidate that knows the revoke before that leads a lost ticket.
#[test]
fn a_vote_tells_of_the_leader_that_was_heard_of_during_a_win_without_a_lease() {
    for heard in [true, false] {
        let mut bench = winner();
        if heard {
            refused(&mut bench, 3, SECOND);
        }
        bench.advance(SECOND.times(5));
        let voted = bench.asked_for_vote(1, 9);
        let last = voted.sent(|body| matches!(body, PeerBody::Vote { .. }))[0].message.body;
        let term = Term::new(if heard { 3 } else { 2 });
        let told = Some(LastKnown { term, free: false });
        assert!(matches!(last, PeerBody::Vote { last, .. } if last == told), "{last:?}");
    }
}

/// A site whose store may still say granted objects to the win, and then dies: an earlier revoke
/// that comes late does not free the ticket.
#[test]
fn an_objection_to_a_win_without_a_lease_is_later_than_an_earlier_revoke() {
    for objects in [true, false] {
        let mut bench = winner();
        if objects {
            refused(&mut bench, 2, Span::ZERO);
        }
        bench.advance(SECOND.times(5));
        revoked(&mut bench);
        let listed = if objects { Holder::Unknown } else { Holder::Nobody };
        assert_eq!(bench.listed(), listed);
        let stands = !bench.advance(SECOND.times(60)).requests().is_empty();
        assert_eq!(stands, objects, "what site 2 had is lost, not free");
    }
}

/// Whoever followed the win names it: that is no later holder than the revoke before it, whichever
/// of the two is heard first.
#[test]
fn a_win_without_a_lease_that_a_voter_tells_of_is_no_later_holder() {
    for (revoked, first) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut bench = Bench::settled(2, 1, 0, spec("T"));
        bench.heartbeat(1, 2, stamp(7, true));
        let term = bench.until_it_stands(SECOND.times(60)).requests()[0].message.term.get();
        assert!(!bench.vote_telling(2, term, Some((2, false))).heartbeats().is_empty());
        // The arbitrator follows, and what it says of that is lost.
        let again = bench.until_it_stands(SECOND.times(60)).requests()[0].message.term.get();
        let last = Some(LastKnown { term: Term::new(2), free: revoked });
        let body = PeerBody::Vote { vouched: true, unbound_for: Some(Span::ZERO), last };
        let refuses = |bench: &mut Bench| {
            bench.hear_valid(1, bench.id(1), again, Span::ZERO, body);
        };
        if first {
            refuses(&mut bench);
        }
        bench.vote_telling(2, again, Some((term, false)));
        if !first {
            refuses(&mut bench);
        }
        let stands = !bench.advance(SECOND.times(60)).requests().is_empty();
        assert_eq!(stands, !revoked, "first {first}");
    }
}
