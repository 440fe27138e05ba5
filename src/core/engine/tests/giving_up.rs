// SPDX-License-Identifier: GPL-2.0-or-later
//! A site that must give up while its store may still say *granted* goes on leading (`RULES.md`
//! L10): no other site is granted as long as its daemon lives and reaches a majority.

use super::bench::{granted, stamp, Bench, World};
use super::cluster::{failing, spec, the_ticket, Cluster};
use crate::engine::{CibOutcome, Effect, Event, EventKind, NoteEvent, ProbeOutcome};
use crate::model::{Holder, TicketSpec};
use crate::time::{Now, Span};
use crate::wire::{ClientOptions, PeerBody, Reason, ResultCode};

const SECOND: Span = Span::from_secs(1);

/// Two sites and an arbitrator; the first site holds.
fn held(handler: bool) -> Cluster {
    let mut cluster = Cluster::new(2, 1, TicketSpec { has_handler: handler, ..spec("T") });
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.granted(), [0]);
    cluster
}

#[test]
fn nobody_else_is_granted_while_a_revoke_fails() {
    let mut cluster = held(false);
    cluster.nodes[0].write = failing();
    let told = cluster.nodes[0].tellings;
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::SyncFail, true)]);
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0], "the lease goes on for as long as it takes");
    assert_eq!(cluster.listed(1), cluster.id(0));
    assert!(cluster.logged(0, "renewing the lease until it says revoked"));
    assert_eq!(cluster.nodes[0].tellings, told, "the guard is told of no later window");
    let grants = cluster.nodes[0].writes.iter().filter(|state| state.granted).count();
    assert_eq!(grants, 1, "nothing is granted any more");
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(31));
    assert!(cluster.granted().is_empty());
    cluster.advance(SECOND.times(60));
    assert!(cluster.granted().is_empty(), "revoked for good");
    for node in 0..3 {
        assert_eq!(cluster.listed(node), Holder::Nobody, "member {node} knows");
    }
}

#[test]
fn a_step_down_whose_revoke_hangs_is_announced_when_it_is_done() {
    let mut cluster = held(true);
    cluster.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    cluster.nodes[0].write = None;
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
    cluster.release(0);
    cluster.advance(SECOND);
    assert_eq!(cluster.granted(), [1], "the other site takes over at once");
}

#[test]
fn a_first_grant_that_was_killed_keeps_the_lease_until_it_is_revoked() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.nodes[0].write = Some(CibOutcome::Killed);
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(100));
    let client = cluster.grant(1, ClientOptions::default());
    assert_eq!(cluster.codes(client), [(ResultCode::Overgrant, true)]);
    assert!(cluster.granted().is_empty());
    assert_eq!(cluster.listed(2), cluster.id(0));
}

/// A handler that hangs has held the renewals up: they go on when the ticket is given up.
#[test]
fn a_handler_that_hung_until_the_end_of_the_window_costs_no_lease() {
    let mut cluster = held(true);
    cluster.nodes[0].handler = None;
    cluster.nodes[0].write = None;
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
}

#[test]
fn a_restarted_arbitrator_follows_a_site_that_gives_up() {
    let mut cluster = held(false);
    cluster.nodes[0].write = None;
    cluster.revoke(0);
    cluster.advance(SECOND.times(7));
    cluster.crash(2);
    cluster.crash(1);
    cluster.start(2);
    cluster.advance(SECOND.times(100));
    cluster.start(1);
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
    assert!(!cluster.logged(0, "the lease has ended"));
}

/// A lease that ends nevertheless is won again, for as long as the store may say *granted*.
#[test]
fn a_site_that_gives_up_stands_again_when_its_lease_has_ended() {
    let mut cluster = held(false);
    cluster.nodes[0].write = None;
    let told = cluster.nodes[0].tellings;
    cluster.revoke(0);
    cluster.crash(1);
    cluster.cut = vec![(0, 2), (2, 0)];
    cluster.advance(SECOND.times(60));
    assert!(cluster.logged(0, "the lease has ended"));
    cluster.cut.clear();
    // Back-off, at most `E` and a timeout.
    cluster.advance(SECOND.times(12));
    assert_eq!(cluster.listed(2), cluster.id(0), "a majority has promised again");
    cluster.start(1);
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
    assert_eq!(cluster.nodes[0].tellings, told, "won without a window");
    let grants = cluster.nodes[0].writes.iter().filter(|state| state.granted).count();
    assert_eq!(grants, 1, "and without a grant");
    cluster.release(0);
    for node in 0..3 {
        assert_eq!(cluster.listed(node), Holder::Nobody, "announced in the term of the last lead");
    }
    cluster.advance(SECOND.times(60));
    assert!(cluster.granted().is_empty());
}

/// A restarted holder that is told to give up before it was elected again.
#[test]
fn a_restarted_holder_that_gives_up_wins_its_lease_first() {
    let mut cluster = held(false);
    cluster.crash(0);
    cluster.nodes[0].write = None;
    cluster.cut = vec![(0, 1), (0, 2), (1, 0), (2, 0)];
    cluster.start(0);
    cluster.revoke(0);
    cluster.advance(SECOND.times(2));
    cluster.cut.clear();
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0]);
    cluster.release(0);
    cluster.advance(SECOND.times(60));
    assert!(cluster.granted().is_empty());
}

/// A restarted holder whose store does not obey steps down, and hears a REVOKE: that of a later
/// holder makes the ticket free, an old one of its own nothing.
#[test]
fn only_the_revoke_of_a_later_holder_is_heeded_when_the_store_obeys() {
    for (term, free) in [(5, false), (6, false), (8, true)] {
        let mut bench = Bench::new(2, 1, 0, spec("T"));
        let expires = bench.now.wall.plus(SECOND.times(4));
        let me = bench.id(0);
        bench.start(granted(me, 6, expires));
        let fails = failing();
        let alone = World { revokes: fails, votes: vec![], acks: vec![], ..World::kind() };
        bench.play(Span::from_millis(3_500), &alone);
        let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(9, false) };
        bench.hear_valid(1, Holder::Nobody, term, Span::ZERO, body);
        bench.play(SECOND.times(5), &World { votes: vec![], acks: vec![], ..World::kind() });
        assert_eq!(bench.listed() == Holder::Nobody, free, "REVOKE of {term}");
    }
}

/// A late step ends the window and renews at once, or ends the lease as well: the history tells
/// why the ticket was lost, not what the site does then.
#[test]
fn a_ticket_that_is_lost_in_a_late_step_is_told_with_the_reason() {
    let mut seen = [false; 2];
    for late in (1..200).map(|tenths| Span::from_millis(100).times(tenths)) {
        let mut bench = Bench::three();
        bench.hold();
        bench.now = Now { mono: bench.now.mono.plus(late), wall: bench.now.wall.plus(late) };
        let deeds = bench.event(Event::Due { ticket: the_ticket() });
        let note = |(_, effect)| match effect {
            Effect::Note(note) => Some(note),
            _ => None,
        };
        let notes: Vec<_> = deeds.0.into_iter().filter_map(note).collect();
        for (seen, text) in seen.iter_mut().zip(["renewing the lease until", "to get another one"])
        {
            *seen |= notes.iter().any(|note| note.text.contains(text));
        }
        let is_lost = |event: NoteEvent| event.kind == EventKind::Lost;
        for note in notes.iter().filter(|note| note.event.is_some_and(is_lost)) {
            assert!(note.text.contains("could not be renewed in time"), "{late:?}: {notes:?}");
        }
    }
    assert_eq!(seen, [true; 2], "both were said");
}
