// SPDX-License-Identifier: GPL-2.0-or-later
//! What independent readers broke: each schedule ended with two holders, a ticket that was lost for
//! ever or taken against an order, or an answer that was not true. Beside most of them stands the
//! same schedule without the one thing that made it so.

use super::cluster::{failing, spec, Cluster, FORCED, PATIENT, PLAIN};
use crate::engine::CibOutcome;
use crate::model::{Holder, TicketMode};
use crate::time::Span;
use crate::wire::{ClientOptions, ClientRequest, PeerBody, ResultCode};

const SECOND: Span = Span::from_secs(1);

/// *A request that was answered with failure has no effect later*: its `-F` has. Another
/// client's grant, without `-F`, overrides the objection, and two stores say granted.
#[test]
fn the_force_of_a_request_that_has_failed_is_gone() {
    force_that_failed(true);
}

#[test]
fn an_objection_stands_without_any_force() {
    force_that_failed(false);
}

fn force_that_failed(with_force: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    // The first site's boothd ends, its store is ill: the guard cannot revoke, nothing can be read.
    cluster.crash(0);
    cluster.crash(1);
    cluster.advance(SECOND.times(15));
    cluster.nodes[0].unreadable = true;
    cluster.nodes[1].unreadable = true;
    cluster.start(0);
    cluster.start(1);
    let forced = cluster.grant(1, if with_force { FORCED } else { PLAIN });
    let patient = cluster.grant(1, PATIENT);
    cluster.advance(SECOND.times(3));
    assert_eq!(cluster.codes(forced).last(), Some(&(ResultCode::SyncFail, true)), "it has failed");
    cluster.nodes[1].unreadable = false;
    cluster.advance(SECOND.times(40));
    assert_eq!(cluster.granted(), [0], "the first site objects; {:?}", cluster.codes(patient));
    assert!(!cluster.two_holders);
}

/// The same with stores that obey: the holder is cut off within its lease, the other two have
/// just restarted, and one reading of the store fails.
#[test]
fn the_force_of_a_request_that_has_failed_does_not_end_grace() {
    grace_ended_by(FORCED);
}

#[test]
fn grace_lasts_without_any_force() {
    grace_ended_by(PLAIN);
}

fn grace_ended_by(options: ClientOptions) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.crash(1);
    cluster.crash(2);
    cluster.nodes[1].unreadable = true;
    cluster.start(1);
    cluster.start(2);
    let first = cluster.grant(1, options);
    let patient = cluster.grant(1, PATIENT);
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.codes(first).last(), Some(&(ResultCode::SyncFail, true)), "it has failed");
    cluster.nodes[1].unreadable = false;
    cluster.advance(SECOND.times(30));
    assert!(!cluster.two_holders, "two stores said granted; {:?}", cluster.codes(patient));
    assert_eq!(cluster.granted(), [1]);
}

/// A revoke that could not be written was answered with failure; then the lease ended and
/// another site won. The former holder says that the ticket is known to be free.
#[test]
fn a_revoke_that_failed_does_not_make_the_ticket_known_to_be_free() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.nodes[0].write = failing();
    let first = cluster.revoke(0);
    assert_eq!(cluster.codes(first), [(ResultCode::SyncFail, true)]);
    cluster.advance(SECOND.times(14));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(3));
    assert_eq!(cluster.granted(), [1], "the other site has it");
    let second = cluster.revoke(0);
    let listed = cluster.listed(0);
    assert_eq!(
        cluster.codes(second),
        [(ResultCode::SyncFail, true)],
        "not known; listed: {listed:?}"
    );
    assert_eq!(listed, Holder::Unknown);
}

/// A revoke is answered *not known* and *has no effect but here*; but the store says that nobody
/// owns the ticket: after a restart nobody ever takes it again.
#[test]
fn a_revoke_that_was_taken_back_is_taken_back_in_the_store() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.crash(1);
    cluster.nodes[0].write = failing();
    let client = cluster.revoke_with(0, PATIENT);
    cluster.advance(SECOND.times(12));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    let owner = cluster.nodes[0].store.owner;
    cluster.crash(0);
    cluster.isolate(0, false);
    cluster.start(0);
    cluster.start(1);
    cluster.advance(SECOND.times(200));
    assert_eq!(cluster.granted().len(), 1, "a lost ticket; the store said {owner:?}");
}

/// The same without the restart of that site, for comparison: it is taken again.
#[test]
fn a_revoke_that_was_taken_back_leaves_a_lost_ticket() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    cluster.crash(1);
    cluster.nodes[0].write = failing();
    cluster.revoke_with(0, PATIENT);
    cluster.advance(SECOND.times(12));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(2));
    cluster.isolate(0, false);
    cluster.start(1);
    cluster.advance(SECOND.times(200));
    assert_eq!(cluster.granted().len(), 1);
}

/// A revoke succeeded; a cut of five seconds swallows its announcement. Five seconds after the
/// cut another site acquires the ticket, although the site that knows better can be heard.
#[test]
fn a_short_cut_does_not_undo_a_revoke() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.grant(2, PLAIN);
    assert_eq!(cluster.granted(), [2]);
    cluster.isolate(2, true);
    let client = cluster.revoke(2);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(SECOND.times(5));
    cluster.isolate(2, false);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [] as [usize; 0], "an administrator revoked it");
}

/// A grant fails at a site that does not know that the ticket was lost meanwhile: it announces
/// that the ticket is free, and the site that knew of the loss does not take it any more.
#[test]
fn a_failed_grant_does_not_free_a_lost_ticket() {
    let mut cluster = lost_beside_one_that_does_not_know();
    cluster.nodes[0].write = failing();
    let client = cluster.grant(0, PATIENT);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(200));
    assert_eq!(cluster.granted(), [2], "it knew that the ticket was lost");
}

#[test]
fn a_lost_ticket_is_taken_by_the_site_that_knows_of_the_loss() {
    let mut cluster = lost_beside_one_that_does_not_know();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [2]);
}

/// Site 1 held the ticket while site 0 was cut off, and is gone for good; site 2 waits for
/// `acquire-after` before it stands.
fn lost_beside_one_that_does_not_know() -> Cluster {
    let mut spec = spec("T");
    spec.acquire_after = SECOND.times(20);
    let mut cluster = Cluster::new(3, 0, spec);
    cluster.start_all();
    cluster.isolate(0, true);
    cluster.grant(1, PATIENT);
    cluster.advance(SECOND.times(40));
    assert_eq!(cluster.granted(), [1]);
    cluster.crash(1);
    cluster.nodes[1].store.granted = false;
    cluster.advance(SECOND.times(11));
    cluster.isolate(0, false);
    cluster
}

/// A site hears REVOKE and then the heartbeats of the next holder before it can read its store;
/// that holder dies. The site knows of a later leader, but counts the ticket as free for ever.
#[test]
fn a_later_leader_counts_for_a_revoke_heard_early() {
    later_leader(true);
}

#[test]
fn a_later_leader_counts_without_a_revoke() {
    later_leader(false);
}

fn later_leader(revoked: bool) {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.advance(SECOND);
    cluster.crash(1);
    cluster.nodes[1].unreadable = true;
    cluster.start(1);
    if !revoked {
        cluster.cut.push((0, 1));
    }
    cluster.cut.push((1, 0));
    assert_eq!(cluster.nodes[1].store.owner, Some(cluster.id(0)));
    cluster.revoke(0);
    cluster.advance(SECOND.times(6));
    cluster.cut.retain(|link| *link != (0, 1));
    cluster.advance(SECOND.times(11));
    cluster.grant(0, PLAIN);
    cluster.advance(SECOND.times(12));
    assert_eq!(cluster.granted(), [0]);
    cluster.crash(0);
    cluster.crash(2);
    cluster.nodes[0].store.granted = false;
    cluster.start(2);
    cluster.nodes[1].unreadable = false;
    cluster.advance(SECOND.times(300));
    assert_eq!(cluster.granted(), [1], "it was lost; list: {:?}", cluster.listed(1));
}

/// A manual ticket's REVOKE is lost in a cut that outlasts the retries: the other site believes
/// for ever that it is held, and can be granted with `-F` only.
#[test]
fn the_revoke_of_a_manual_ticket_gets_through_in_the_end() {
    let mut spec = spec("T");
    spec.mode = TicketMode::Manual;
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.isolate(0, true);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(SECOND.times(6));
    cluster.isolate(0, false);
    cluster.advance(SECOND.times(600));
    let there = cluster.revoke(1);
    let here = cluster.revoke(0);
    let listed = cluster.listed(1);
    let grant = cluster.grant(1, PLAIN);
    assert_eq!(
        cluster.codes(grant).last(),
        Some(&(ResultCode::Success, true)),
        "listed as {listed:?}; revoke there: {:?}, here: {:?}",
        cluster.codes(there),
        cluster.codes(here),
    );
}

/// A win that nobody has acknowledged: the revoke is called a success while another site holds.
#[test]
fn the_revoke_of_a_win_without_a_lease_is_not_known() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.advance(SECOND);
    let ticket = Some(spec("T").name);
    cluster.ask_only(0, ClientRequest::Grant { ticket: ticket.clone(), options: PATIENT });
    // Both requests arrive, and both votes; no heartbeat does.
    cluster.deliver(4);
    cluster.isolate(0, true);
    cluster.lose(|_, _| true);
    assert!(cluster.logged(0, "won the election"));
    let other = cluster.grant(1, PATIENT);
    cluster.advance(Span::from_millis(3_500));
    assert_eq!(cluster.granted(), [1], "{:?}", cluster.codes(other));
    let client = cluster.revoke(0);
    cluster.advance(SECOND);
    assert_eq!(cluster.codes(client), [(ResultCode::SyncFail, true)], "the other site holds it");
}

/// A site restarts every fifteen seconds: each time its objection is taken back, `acquire-after`
/// begins anew, and a lost ticket is not granted as long as that goes on.
#[test]
fn a_flapping_site_does_not_keep_a_lost_ticket_from_being_granted() {
    flapping(SECOND.times(20));
}

#[test]
fn a_flapping_site_is_in_nobodys_way_without_acquire_after() {
    flapping(Span::ZERO);
}

fn flapping(acquire_after: Span) {
    let mut spec = spec("T");
    spec.acquire_after = acquire_after;
    let mut cluster = Cluster::new(3, 2, spec);
    cluster.start_all();
    cluster.grant(2, PATIENT);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [2]);
    cluster.crash(2);
    cluster.nodes[2].store.granted = false;
    let mut taken = false;
    for _ in 0..40 {
        cluster.crash(1);
        cluster.nodes[1].unreadable = true;
        cluster.start(1);
        cluster.advance(SECOND.times(2));
        cluster.nodes[1].unreadable = false;
        cluster.advance(SECOND.times(13));
        taken |= cluster.granted() == [0];
    }
    assert!(taken, "ten minutes");
}

/// The holder revokes with a live lease; the client is sent to a site that only cannot read its
/// store, and is told there that it failed.
#[test]
fn the_revoke_of_a_holder_is_a_success() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.crash(1);
    cluster.nodes[1].unreadable = true;
    cluster.start(1);
    cluster.advance(SECOND.times(6));
    let client = cluster.revoke(0);
    assert!(cluster.granted().is_empty());
    let there = cluster.revoke(1);
    assert_eq!(
        cluster.codes(client),
        [(ResultCode::Success, true)],
        "and there: {:?}",
        cluster.codes(there)
    );
}

/// A site that can be heard both ways all the time, and may still be granted, objects a tenth
/// of a second later than the others vote and acknowledge: nobody waits for its word.
#[test]
fn a_slow_objection_is_waited_for() {
    slow_objection(Span::from_millis(100));
}

#[test]
fn an_objection_in_time_is_heard() {
    slow_objection(Span::ZERO);
}

fn slow_objection(delay: Span) {
    let mut cluster = Cluster::new(2, 3, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.advance(SECOND);
    cluster.nodes[0].write = failing();
    for arbitrator in [2, 3, 4] {
        cluster.cut.push((0, arbitrator));
        cluster.cut.push((arbitrator, 0));
    }
    if !delay.is_zero() {
        cluster.delay = delay;
        cluster.slow = vec![(0, 1), (1, 0)];
    }
    for _ in 0..300 {
        cluster.advance(Span::from_millis(200));
        let (granted, objected) = (cluster.granted(), cluster.logged(1, "objected to by"));
        assert_eq!(granted, [0], "the holder objects; heard in time: {objected}");
    }
    assert!(cluster.logged(1, "objected to by"));
}

/// One authentic packet with the highest term, of any kind: nobody ever stands again.
#[test]
fn one_packet_does_not_use_up_the_terms() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    let message = crate::wire::PeerMessage {
        ticket: spec("T").name,
        leader: Holder::Nobody,
        term: crate::model::Term::new(u32::MAX),
        valid_for: Span::ZERO,
        body: PeerBody::Status { nonce: 0 },
    };
    let from = crate::model::MemberIndex::new(2).expect("an arbitrator");
    cluster.event(1, crate::engine::Event::Peer { from, message });
    cluster.settle();
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    cluster.advance(SECOND.times(300));
    assert_eq!(cluster.granted(), [1]);
}

/// A restarted holder that has not been elected yet is revoked: success is said, but nothing is
/// announced, however well it is heard from then on, and another site acquires the ticket.
#[test]
fn the_revoke_of_a_restarted_holder_is_announced() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.grant(2, PLAIN);
    cluster.advance(SECOND);
    cluster.crash(2);
    cluster.isolate(2, true);
    cluster.start(2);
    let client = cluster.revoke(2);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(Span::from_millis(100));
    cluster.isolate(2, false);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [] as [usize; 0], "an administrator revoked it");
}

/// A site that has read an old grant cannot revoke it: a grant is answered all the same.
#[test]
fn a_grant_is_answered_while_the_first_revoke_fails() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, PLAIN);
    cluster.crash(0);
    cluster.advance(SECOND.times(15));
    cluster.nodes[0].write = failing();
    cluster.start(0);
    let client = cluster.grant(0, PLAIN);
    cluster.advance(SECOND.times(300));
    assert!(cluster.codes(client).iter().any(|(_, last)| *last), "{:?}", cluster.codes(client));
}

/// A site with eighty times the `expire` of the others wins and cannot start a grant.
#[test]
fn a_lease_that_is_too_short_to_grant_is_given_up() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.configure(0, SECOND.times(800));
    cluster.start_all();
    let client = cluster.grant(0, PLAIN);
    cluster.advance(SECOND.times(3_000));
    let codes = cluster.codes(client);
    assert!(codes.iter().any(|(_, last)| *last), "{codes:?}, listed {:?}", cluster.listed(0));
}
