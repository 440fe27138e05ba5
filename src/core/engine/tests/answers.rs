// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients are told is true (P10): a request that was answered with failure has
//! no effect later, and what is not known is called not known.

use super::bench::Bench;
use super::cluster::{spec, Cluster};
use crate::engine::CibOutcome;
use crate::model::{Holder, MemberIndex, Term};
use crate::time::Span;
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, ResultCode};

const SECOND: Span = Span::from_secs(1);
const PLAIN: ClientOptions =
    ClientOptions { immediate: false, wait: false, wait_commit: false, explain: false };
const PATIENT: ClientOptions = ClientOptions { wait: true, ..PLAIN };
const FAILED: Option<&(ResultCode, bool)> = Some(&(ResultCode::SyncFail, true));

fn failed() -> Option<CibOutcome> {
    Some(CibOutcome::Failed("exit status 1".into()))
}

fn three() -> Cluster {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster
}

#[test]
fn a_grant_that_failed_while_the_store_could_not_be_read_is_over() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.nodes[0].unreadable = true;
    cluster.start_all();
    let client = cluster.grant(0, PLAIN);
    cluster.advance(SECOND.times(20));
    assert_eq!(cluster.codes(client).last(), FAILED);
    cluster.nodes[0].unreadable = false;
    cluster.advance(SECOND.times(3_600));
    assert!(cluster.granted().is_empty(), "an hour later it is forgotten");
}

/// A client that has left, and one that waits, keep their grant.
#[test]
fn who_leaves_or_waits_gets_the_grant_when_the_store_can_be_read() {
    for options in [None, Some(PATIENT)] {
        let mut cluster = Cluster::new(2, 1, spec("T"));
        cluster.nodes[0].unreadable = true;
        cluster.start_all();
        let client = cluster.grant(0, options.unwrap_or(PLAIN));
        if options.is_none() {
            cluster.event(0, crate::engine::Event::ClientGone { client });
        }
        cluster.advance(SECOND.times(20));
        cluster.nodes[0].unreadable = false;
        cluster.advance(SECOND.times(60));
        assert_eq!(cluster.granted(), [0]);
    }
}

/// Failed at A, and neither A nor B has it later: nobody granted it to B.
#[test]
fn a_failed_grant_of_a_free_ticket_leaves_it_free() {
    for outcome in [failed(), Some(CibOutcome::Killed)] {
        let mut cluster = three();
        cluster.nodes[0].write = outcome;
        let client = cluster.grant(0, PLAIN);
        cluster.advance(SECOND.times(2));
        assert_eq!(cluster.codes(client).last(), FAILED);
        cluster.nodes[0].write = Some(CibOutcome::Written);
        cluster.advance(SECOND.times(100));
        assert!(cluster.granted().is_empty());
        for node in 0..3 {
            assert_eq!(cluster.listed(node), Holder::Nobody, "member {node} knows that it is free");
        }
        assert_eq!(cluster.nodes[0].store.owner, Some(Holder::Nobody));
    }
}

/// Nobody who waits is impatient: tried again, and given up after a while, all the same for good.
#[test]
fn a_patient_grant_that_cannot_be_written_leaves_a_free_ticket_free() {
    let mut cluster = three();
    cluster.nodes[0].write = failed();
    let client = cluster.grant(0, PATIENT);
    cluster.advance(SECOND.times(20));
    assert_eq!(cluster.codes(client).last(), FAILED);
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(100));
    assert!(cluster.granted().is_empty());
}

/// Won, and then cut off, before anybody acknowledged.
#[test]
fn a_grant_that_finds_no_majority_after_the_win_leaves_a_free_ticket_free() {
    let mut spec = spec("T");
    spec.acquire_after = SECOND.times(20);
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.crash(1);
    let client = cluster.grant(0, ClientOptions { wait_commit: true, ..PATIENT });
    cluster.cut = vec![(0, 2), (2, 0)];
    cluster.advance(SECOND.times(9));
    assert_eq!(cluster.codes(client).last(), FAILED, "its lease is over before the commit");
    cluster.cut.clear();
    cluster.start(1);
    cluster.advance(SECOND.times(100));
    assert!(cluster.granted().is_empty());
}

/// A member that has not heard of the revoke refuses its vote and names the former holder: the
/// ticket was free all the same (seed quit 1443).
#[test]
fn a_failed_grant_leaves_free_what_one_member_takes_for_held() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.grant(2, PLAIN);
    cluster.advance(SECOND);
    assert_eq!(cluster.granted(), [2]);
    cluster.cut = vec![(2, 0), (0, 2)];
    cluster.revoke(2);
    cluster.advance(SECOND);
    assert_eq!(cluster.listed(0), cluster.id(2), "it has not heard of the revoke");
    cluster.nodes[1].write = failed();
    let client = cluster.grant(1, PLAIN);
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.codes(client).last(), FAILED);
    cluster.nodes[1].write = Some(CibOutcome::Written);
    cluster.cut.clear();
    cluster.advance(SECOND.times(100));
    assert!(cluster.granted().is_empty());
}

/// Whoever hears that another member leads in a later term, in a refusal too, does not call the
/// ticket free any more (seed again 3657).
#[test]
fn a_ticket_is_not_free_where_a_later_leader_was_heard_of() {
    let refused = PeerBody::Rejected {
        of: Command::Heartbeat,
        result: ResultCode::TermOutdated,
        granted: false,
    };
    for body in [refused, PeerBody::MyIndex { nonce: 0 }] {
        let mut cluster = three();
        cluster.grant(0, PLAIN);
        cluster.revoke(0);
        assert_eq!(cluster.listed(1), Holder::Nobody);
        let leader = cluster.id(0);
        // What was said before the revoke does not count.
        for (term, free) in [(1, true), (9, false)] {
            let ticket = spec("T").name;
            let (term, valid_for) = (Term::new(term), Span::ZERO);
            let message = PeerMessage { ticket, leader, term, valid_for, body };
            let from = MemberIndex::new(2).expect("three members");
            cluster.event(1, crate::engine::Event::Peer { from, message });
            assert_eq!(cluster.listed(1) == Holder::Nobody, free, "{body:?} in {term:?}");
        }
        let client = cluster.revoke(1);
        let code = cluster.codes(client).last().map(|(code, _)| *code);
        assert!(code.is_some_and(|code| code != ResultCode::TicketIdle), "{code:?}");
    }
}

/// A lost ticket is acquired by itself anyway: there, another site may take over.
#[test]
fn a_failed_grant_of_a_lost_ticket_is_a_step_down() {
    let mut cluster = three();
    cluster.grant(0, PLAIN);
    cluster.crash(0);
    cluster.advance(SECOND.times(9));
    cluster.nodes[0].store.granted = false;
    cluster.nodes[1].write = failed();
    cluster.advance(SECOND.times(8));
    assert!(cluster.logged(1, "the grant cannot be written: giving the ticket up"));
    cluster.start(0);
    cluster.nodes[1].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0], "the other site has taken over");
}

#[test]
fn terms_that_are_used_up_are_a_failure() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    for node in 0..2 {
        cluster.nodes[node].store.owner = Some(Holder::Nobody);
        cluster.nodes[node].store.term = Some(Term::new(u32::MAX));
    }
    cluster.start_all();
    for options in [PLAIN, PATIENT] {
        let client = cluster.grant(0, options);
        assert_eq!(cluster.codes(client).last(), FAILED);
    }
    assert!(cluster.logged(0, "the terms are used up"));
    cluster.advance(SECOND.times(100));
}

/// Lost by this very site: who has it now is not known.
#[test]
fn a_revoke_where_the_ticket_was_lost_is_a_failure_without_effect() {
    let mut cluster = three();
    cluster.grant(0, PLAIN);
    cluster.cut = vec![(0, 1), (0, 2), (1, 0), (2, 0)];
    cluster.advance(SECOND.times(12));
    assert_eq!(cluster.granted(), [1]);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::SyncFail, true)]);
    cluster.advance(SECOND.times(12));
    assert_eq!(cluster.granted(), [1]);
}

/// Its last known holder is asked, also when its time is over.
#[test]
fn a_revoke_elsewhere_is_sent_to_the_last_known_holder() {
    let mut cluster = three();
    cluster.grant(0, PLAIN);
    cluster.nodes[0].write = None;
    cluster.cut = (1..3).flat_map(|node| [(0, node), (node, 0)]).collect();
    cluster.cut.push((1, 2));
    cluster.cut.push((2, 1));
    cluster.advance(SECOND.times(30));
    for node in [1, 2] {
        let client = cluster.revoke(node);
        assert_eq!(cluster.codes(client), [(ResultCode::Redirect, true)]);
    }
    assert_eq!(cluster.granted(), [0], "it still says so");
    cluster.cut.clear();
    cluster.release(0);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted().len(), 1, "a revoke that was not carried out has no effect");
}

/// A grant that waits is ended by a revoke; that is a success only if the ticket is free then.
#[test]
fn a_revoke_that_ends_a_grant_says_what_is_known() {
    let mut cluster = three();
    cluster.crash(1);
    cluster.crash(2);
    let grant = cluster.grant(0, PATIENT);
    cluster.advance(SECOND.times(2));
    let revoke = cluster.revoke(0);
    assert_eq!(cluster.codes(grant).last(), FAILED);
    assert_eq!(cluster.codes(revoke), [(ResultCode::Success, true)]);
    let mut cluster = three();
    cluster.grant(1, PLAIN);
    cluster.cut = vec![(0, 1), (1, 0), (0, 2), (2, 0)];
    cluster.advance(SECOND.times(11));
    let grant = cluster.grant(0, PATIENT);
    cluster.advance(SECOND.times(2));
    let revoke = cluster.revoke(0);
    assert_eq!(cluster.codes(grant).last(), FAILED);
    assert_eq!(cluster.codes(revoke), [(ResultCode::Redirect, true)]);
}

/// A revoke that comes after the lease has ended is not known, also when the site has been elected
/// again meanwhile so that nobody else is granted: it tells nobody that the ticket is free.
#[test]
pub fn a_revoke_beside_another_win_after_the_lease_frees_nothing() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    bench.hold();
    // The revoke at the end of the lease hangs, and the site stands for election again.
    let mut deeds = bench.advance(SECOND.times(10));
    let revoke = deeds.revokes().last().expect("the lease was not renewed").0;
    let (client, _) = bench.revoke(ClientOptions { wait: true, ..ClientOptions::default() });
    deeds.0.extend(bench.until_it_stands(SECOND.times(5)).0);
    bench.elected(&deeds);
    let gone = bench.wrote(revoke, CibOutcome::Written);
    assert_eq!(gone.final_answer(client), Some(ResultCode::SyncFail), "it may be elsewhere");
    assert!(gone.sent(|body| matches!(body, PeerBody::Revoke { .. })).is_empty());
    assert_eq!(bench.listed(), Holder::Unknown);
}
