// SPDX-License-Identifier: GPL-2.0-or-later
//! Grants, renewals, failovers and revokes between members that behave.

use super::cluster::{spec, Cluster};
use crate::engine::{CibOutcome, ProbeOutcome};
use crate::model::{Holder, TicketMode, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientOptions, ResultCode};

const SECOND: Span = Span::from_secs(1);

fn three() -> Cluster {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster
}

/// `RULES.md` L8, L9: with all members up nothing is waited for.
#[test]
fn a_grant_with_all_members_up_is_done_at_once() {
    let mut cluster = three();
    let client = cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.codes(client), [(ResultCode::More, false), (ResultCode::Success, true)]);
    assert_eq!(cluster.granted(), [0]);
    for node in 0..3 {
        assert_eq!(cluster.listed(node), cluster.id(0), "member {node} knows the holder");
    }
}

/// Issue 1, "Costs": one write per renewal at the holder, none at followers.
#[test]
fn renewals_write_once_at_the_holder_and_nowhere_else() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND);
    let before: Vec<usize> = cluster.nodes.iter().map(|node| node.writes.len()).collect();
    cluster.advance(SECOND.times(50));
    let after: Vec<usize> = cluster.nodes.iter().map(|node| node.writes.len()).collect();
    assert_eq!(cluster.granted(), [0]);
    assert_eq!(after[0] - before[0], 10, "one write per renewal");
    assert_eq!(&after[1..], &before[1..], "followers write nothing");
}

/// `RULES.md` L13 and "Availability": the other site takes over after the end of the lease.
#[test]
fn the_other_site_takes_over_after_the_holder_died() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    cluster.crash(0);
    cluster.advance(SECOND.times(9));
    assert_eq!(cluster.granted(), [0], "not before the lease has ended");
    cluster.advance(SECOND.times(3));
    assert!(cluster.nodes[1].store.granted, "held elsewhere soon after");
}

/// `RULES.md` L10: a revoke is announced after the store says so, and nobody stands afterwards.
#[test]
fn a_revoke_frees_the_ticket_for_good() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::Success, true)]);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0; 0]);
    let again = cluster.revoke(1);
    assert_eq!(cluster.codes(again), [(ResultCode::TicketIdle, true)]);
    let grant = cluster.grant(1, ClientOptions::default());
    assert_eq!(cluster.codes(grant).last(), Some(&(ResultCode::Success, true)));
    assert_eq!(cluster.granted(), [1]);
}

/// P11: a revoke elsewhere is redirected, a second grant refused.
#[test]
fn other_sites_redirect_a_revoke_and_refuse_a_second_grant() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    let revoke = cluster.revoke(1);
    assert_eq!(cluster.codes(revoke), [(ResultCode::Redirect, true)]);
    let grant = cluster.grant(1, ClientOptions::default());
    assert_eq!(cluster.codes(grant), [(ResultCode::Overgrant, true)]);
}

/// `RULES.md` L8: a site that does not answer delays the commit by `A` if the voters keep the
/// rules, which is nothing here; a dead arbitrator never does.
#[test]
fn a_dead_arbitrator_delays_nothing() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start(0);
    cluster.start(1);
    let client = cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::Success, true)));
}

/// `RULES.md` L8, L9: while a site is missing, a start waits for the end of grace.
#[test]
fn a_missing_site_makes_a_start_wait_and_minus_f_does_not() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start(0);
    cluster.start(2);
    let client = cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.codes(client), [(ResultCode::More, false)]);
    cluster.advance(SECOND.times(13));
    assert_eq!(cluster.granted(), [0; 0]);
    cluster.advance(SECOND.times(3));
    assert_eq!(cluster.granted(), [0], "after E + τ(r+1) + d: the missing site may be a reference");
    let mut forced = Cluster::new(2, 1, spec("T"));
    forced.start(0);
    forced.start(2);
    forced.grant(0, ClientOptions { immediate: true, ..ClientOptions::default() });
    assert_eq!(forced.granted(), [0], "an operator may override");
}

/// `RULES.md` L9: the restart of the holder, and of all members at once, loses nothing.
#[test]
fn a_restarted_holder_goes_on_holding() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(2));
    cluster.crash(0);
    cluster.start(0);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [0]);
    for node in 0..3 {
        cluster.crash(node);
    }
    cluster.start_all();
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.granted(), [0]);
    assert!(cluster.nodes[0].writes.iter().all(|state| state.granted), "never given up");
}

/// L6, L9: the store says until when the lease lasts, so that a restarted holder goes on holding
/// just as long: it is alone, and nobody gives it a lease.
#[test]
pub fn a_restarted_holder_that_is_alone_holds_as_long_as_its_store_says() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(2));
    cluster.cut = vec![(0, 1), (1, 0), (0, 2), (2, 0)];
    cluster.crash(0);
    cluster.start(0);
    cluster.advance(Span::from_millis(6_800));
    assert_eq!(cluster.granted(), [0], "8.9 s after the grant it still may");
    cluster.advance(Span::from_millis(200));
    assert_eq!(cluster.granted(), [0; 0], "but no longer");
}

/// `RULES.md` L6, L10: a handler that fails at a renewal moves the ticket in less than two seconds.
#[test]
fn a_failing_handler_moves_the_ticket() {
    let mut with_handler = spec("T");
    with_handler.has_handler = true;
    let mut cluster = Cluster::new(2, 1, with_handler);
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    assert_eq!(cluster.granted(), [0]);
    cluster.nodes[0].handler = Some(ProbeOutcome::Failed("exit 1".into()));
    cluster.advance(SECOND.times(7));
    assert_eq!(cluster.granted(), [1]);
}

/// P10: a failed write is a failure for the client.
#[test]
fn a_failed_write_is_never_reported_as_success() {
    let mut cluster = three();
    cluster.nodes[0].write = Some(CibOutcome::Failed("exit 1".into()));
    let client = cluster.grant(0, ClientOptions::default());
    let waiting = ClientOptions { wait: true, ..ClientOptions::default() };
    assert_eq!(cluster.codes(client), [(ResultCode::More, false), (ResultCode::SyncFail, true)]);
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(3));
    assert!(cluster.granted().is_empty(), "and is none that succeeds later");
    cluster.nodes[0].write = Some(CibOutcome::Failed("exit 1".into()));
    let patient = cluster.grant(0, waiting);
    assert!(cluster.codes(patient).iter().all(|(code, _)| *code == ResultCode::More));
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(3));
    assert_eq!(cluster.codes(patient).last(), Some(&(ResultCode::Success, true)));
}

/// P10: with `-w` a client waits for a majority however long it takes; another one
/// hears that there is none.
#[test]
fn who_waits_without_limit_gets_the_grant_when_a_majority_comes() {
    let waiting = ClientOptions { wait: true, ..ClientOptions::default() };
    let mut cluster = three();
    cluster.crash(1);
    cluster.crash(2);
    let patient = cluster.grant(0, waiting);
    let other = cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.codes(patient), [(ResultCode::More, false)]);
    assert_eq!(cluster.codes(other), [(ResultCode::More, false), (ResultCode::SyncFail, true)]);
    cluster.start(1);
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.codes(patient).last(), Some(&(ResultCode::Success, true)));
    assert_eq!(cluster.granted(), [0]);
}

/// `RULES.md` L5, L6: a leader that hears nobody revokes before the promises to it end.
#[test]
fn a_cut_off_holder_revokes_before_the_lease_ends() {
    let mut cluster = three();
    cluster.grant(0, ClientOptions::default());
    cluster.cut = vec![(1, 0), (2, 0)];
    cluster.advance(SECOND.times(9));
    assert!(!cluster.granted().contains(&0), "revoked at hold_until");
    cluster.advance(SECOND.times(5));
    assert_eq!(cluster.granted(), [1]);
}

/// `RULES.md` L1, L3: a member that has nobody to name refuses a lower term in silence, so a
/// candidate that nobody answers asks the others what they know, and stands above it.
#[test]
fn a_candidate_that_is_many_terms_behind_catches_up_at_once() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.cut = vec![(0, 1), (1, 0), (1, 2), (2, 1)];
    for _ in 0..20 {
        cluster.grant(0, ClientOptions::default());
        cluster.advance(SECOND.times(11));
        assert_eq!(cluster.granted(), [0]);
        cluster.revoke(0);
    }
    for node in [0, 2] {
        cluster.crash(node);
        cluster.start(node);
    }
    cluster.advance(SECOND.times(30));
    cluster.cut.clear();
    let waiting = ClientOptions { wait: true, ..ClientOptions::default() };
    let client = cluster.grant(1, waiting);
    cluster.advance(SECOND.times(5));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::Success, true)));
    assert_eq!(cluster.granted(), [1]);
}

/// P22: a store in which a manual ticket is not granted, but still names this site as
/// its owner (it was an automatic ticket once), makes no holder of it.
#[test]
fn a_manual_ticket_that_is_not_granted_has_no_holder_after_a_start() {
    let mut cluster = Cluster::new(2, 0, manual());
    cluster.nodes[0].store.owner = Some(cluster.id(0));
    cluster.start_all();
    assert_eq!(cluster.listed(0), Holder::Nobody);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::TicketIdle, true)]);
}

/// `RULES.md` L14: a manual ticket whose grant was killed is free again. It was stood for like a
/// lost one, and a revoke was redirected to the very site that answered (simulator, seed 1300221).
#[test]
fn a_manual_ticket_whose_grant_is_killed_is_free_and_not_stood_for() {
    let mut cluster = Cluster::new(2, 0, manual());
    cluster.start_all();
    cluster.nodes[0].write = Some(CibOutcome::Killed);
    let client = cluster.grant(0, ClientOptions { wait: true, ..ClientOptions::default() });
    cluster.nodes[0].write = Some(CibOutcome::Written);
    cluster.advance(SECOND.times(60));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    assert!(cluster.granted().is_empty());
    assert_eq!(cluster.listed(0), Holder::Nobody);
    let client = cluster.revoke(0);
    assert_eq!(cluster.codes(client), [(ResultCode::TicketIdle, true)]);
}

fn manual() -> TicketSpec {
    TicketSpec { mode: TicketMode::Manual, ..spec("T") }
}

/// What the log says of a missing majority: who is missing, where somebody waits for a grant and
/// where a lease is lost.
#[test]
fn members_that_are_missing_are_named() {
    let mut c = three();
    c.isolate(0, true);
    c.grant(0, ClientOptions::default());
    c.advance(SECOND.times(3));
    let silent = "election not won, no answer from 127.0.0.2, 127.0.0.3; next attempt in ";
    assert!(c.logged(0, silent), "{:?}", c.nodes[0].log);
    let mut c = three();
    c.grant(0, ClientOptions::default());
    assert_eq!(c.granted(), [0]);
    c.isolate(0, true);
    c.advance(SECOND.times(12));
    let lost = "the lease could not be renewed in time: giving the ticket up; not acknowledged by \
                127.0.0.2 for 8 s, 127.0.0.3 for 8 s";
    assert!(c.logged(0, lost), "{:?}", c.nodes[0].log);
}
