// SPDX-License-Identifier: GPL-2.0-or-later
//! As long as a site that can be heard may have the ticket granted in its store, nobody else is
//! granted (`RULES.md` L3, L7), unless an administrator overrides.

use super::cluster::{spec, Cluster, FORCED, PLAIN};
use crate::engine::{CibOutcome, Event, Remark, Reply};
use crate::model::{Holder, MemberIndex, Term};
use crate::time::Span;
use crate::wire::{ClientOptions, Command, PeerBody, PeerMessage, ResultCode, WaitCause};

const SECOND: Span = Span::from_secs(1);
const PATIENT: ClientOptions =
    ClientOptions { immediate: false, wait: true, wait_commit: true, explain: true };

fn at(node: usize) -> MemberIndex {
    MemberIndex::new(node).expect("a test has few members")
}

/// Two sites and an arbitrator; the first site is not there any more, and only its words are.
fn without_the_first() -> Cluster {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.crash(0);
    cluster
}

/// The second site hears a rejection of the first, whose store could not be read yet.
fn rejected(cluster: &mut Cluster, granted: bool, valid_for: Span) {
    rejected_in(cluster, Term::ZERO, granted, valid_for);
}

/// The second site hears that the first had the ticket in a term, and may still have it.
fn objected(cluster: &mut Cluster) {
    rejected_in(cluster, Term::new(1), true, Span::ZERO);
}

fn rejected_in(cluster: &mut Cluster, term: Term, granted: bool, valid_for: Span) {
    let ticket = spec("T").name;
    let result = ResultCode::TermStillValid;
    let body = PeerBody::Rejected { of: Command::ReqVote, result, granted };
    let leader = cluster.id(0);
    let message = PeerMessage { ticket, leader, term, valid_for, body };
    cluster.event(1, Event::Peer { from: at(0), message });
    cluster.settle();
}

fn causes(cluster: &Cluster, client: crate::engine::ClientId) -> Vec<(WaitCause, Holder)> {
    let cause = |reply: &Reply| match reply {
        Reply::Ticket(answer) => answer.cause.map(|(cause, _)| (cause, answer.leader)),
        _ => None,
    };
    let mine = cluster.replies.iter().filter(|(to, ..)| *to == client);
    mine.filter_map(|(_, reply, _)| cause(reply)).collect()
}

#[test]
fn a_winner_does_not_grant_while_somebody_objects() {
    let mut cluster = without_the_first();
    rejected(&mut cluster, true, Span::ZERO);
    let client = cluster.grant(1, PATIENT);
    for _ in 0..20 {
        assert!(cluster.granted().is_empty());
        cluster.advance(SECOND.times(4));
        rejected(&mut cluster, true, Span::ZERO);
    }
    let row = cluster.row(1);
    assert_eq!(row.leader, cluster.id(1), "it has the lease meanwhile");
    assert!(row.commit_pending.is_some());
    assert_eq!(row.remarks, [Remark::Objection(at(0))]);
    assert!(cluster.logged(1, "objected to by 127.0.0.1: the ticket may still be granted"));
    assert_eq!(causes(&cluster, client).last(), Some(&(WaitCause::Objection, cluster.id(0))));
    cluster.advance(Span::from_millis(9_999));
    assert!(cluster.granted().is_empty(), "E after the last word");
    cluster.advance(SECOND.times(2));
    assert_eq!(cluster.granted(), [1]);
    assert!(cluster.codes(client).contains(&(ResultCode::Success, true)));
    assert!(cluster.row(1).remarks.is_empty());
}

#[test]
fn an_administrator_may_override_an_objection() {
    let mut cluster = without_the_first();
    rejected(&mut cluster, true, Span::ZERO);
    cluster.grant(1, PATIENT);
    assert!(cluster.granted().is_empty());
    cluster.grant(1, FORCED);
    assert_eq!(cluster.granted(), [1]);
}

/// A takeover by itself waits, too, and `-F` at its site ends that.
#[test]
fn a_takeover_waits_for_an_objection_or_an_override() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.crash(0);
    cluster.advance(SECOND.times(9));
    cluster.nodes[0].store.granted = false;
    rejected(&mut cluster, true, Span::ZERO);
    cluster.advance(SECOND.times(6));
    assert_eq!(cluster.listed(1), cluster.id(1), "it has won");
    assert!(cluster.granted().is_empty());
    let client = cluster.grant(1, FORCED);
    assert_eq!(cluster.granted(), [1]);
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::Success, true)));
}

/// Back in life, and free of the ticket, the site says so as soon as it is heard.
#[test]
fn an_objection_is_taken_back_by_an_acknowledgement() {
    let mut cluster = without_the_first();
    rejected(&mut cluster, true, Span::ZERO);
    cluster.grant(1, PATIENT);
    cluster.advance(SECOND);
    assert!(cluster.granted().is_empty());
    cluster.start(0);
    cluster.advance(SECOND);
    assert_eq!(cluster.granted(), [1]);
    assert!(cluster.logged(1, "127.0.0.1 does not object any more"));
}

/// L8: the resources of a site that objected until now may have run until now (seed 500 of mixed
/// clusters that keep the rules).
#[test]
fn acquire_after_counts_from_the_end_of_an_objection() {
    let mut spec = spec("T");
    spec.acquire_after = SECOND.times(20);
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    for _ in 0..25 {
        cluster.advance(SECOND.times(4));
        rejected(&mut cluster, true, Span::ZERO);
    }
    assert_eq!(cluster.listed(1), cluster.id(1), "it has won");
    assert!(cluster.granted().is_empty());
    cluster.start(0);
    cluster.advance(SECOND);
    assert!(cluster.logged(1, "127.0.0.1 does not object any more"));
    cluster.advance(SECOND.times(17));
    assert!(cluster.granted().is_empty(), "acquire-after");
    cluster.advance(SECOND.times(4));
    assert_eq!(cluster.granted(), [1]);
}

/// Who does not wait hears of the objection, not only that the store fails: nobody can say how long
/// either lasts (seed quit 30393).
#[test]
fn a_pending_grant_is_told_beside_a_store_that_fails() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.nodes[1].write = Some(CibOutcome::Failed("exit status 1".into()));
    cluster.grant(0, ClientOptions::default());
    cluster.advance(SECOND);
    cluster.crash(0);
    cluster.nodes[0].store.granted = false;
    let mut client = None;
    for round in 0..20 {
        rejected(&mut cluster, true, Span::ZERO);
        cluster.advance(SECOND.times(4));
        if round == 10 {
            client = Some(cluster.grant(1, ClientOptions::default()));
        }
    }
    let client = client.expect("asked in the eleventh round");
    assert!(cluster.row(1).remarks.iter().any(|remark| matches!(remark, Remark::CibFailing(_))));
    assert_eq!(cluster.codes(client).last(), Some(&(ResultCode::CibPending, true)));
}

/// A reference site that holds names itself, without a mark; in its last second with validity 0.
#[test]
fn a_reference_site_objects_by_naming_itself() {
    for valid in [SECOND.times(5), Span::ZERO] {
        let mut cluster = without_the_first();
        rejected(&mut cluster, false, valid);
        cluster.grant(1, PATIENT);
        cluster.advance(SECOND);
        assert!(cluster.granted().is_empty());
    }
}

/// A store that cannot be read may say *granted*.
#[test]
fn a_site_that_cannot_read_its_store_objects() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.nodes[0].unreadable = true;
    cluster.start_all();
    let client = cluster.grant(1, PATIENT);
    cluster.advance(SECOND.times(60));
    assert!(cluster.granted().is_empty());
    assert_eq!(causes(&cluster, client).last(), Some(&(WaitCause::Objection, cluster.id(0))));
    cluster.nodes[0].unreadable = false;
    cluster.advance(SECOND.times(31));
    assert_eq!(cluster.granted(), [1], "read again, every half a minute at least");
}

/// Who holds is not disturbed by it.
#[test]
fn a_holder_goes_on_beside_a_site_that_cannot_read_its_store() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.crash(1);
    cluster.nodes[1].unreadable = true;
    cluster.start(1);
    cluster.advance(SECOND.times(3));
    cluster.crash(0);
    cluster.start(0);
    for _ in 0..60 {
        cluster.advance(SECOND);
        assert_eq!(cluster.granted(), [0]);
    }
}

/// The holder's revoke hangs, its lease ends because it reaches too few, and the one that it does
/// reach wins: nothing is granted there before the store of the other says *revoked*.
#[test]
fn an_ex_holder_whose_revoke_hangs_is_heard() {
    let mut cluster = Cluster::new(2, 3, spec("T"));
    cluster.start_all();
    cluster.grant(0, ClientOptions::default());
    cluster.nodes[0].write = None;
    cluster.cut = (1..5).flat_map(|node| [(0, node), (node, 0)]).collect();
    cluster.advance(SECOND.times(10).plus(Span::from_millis(50)));
    cluster.cut.retain(|(from, to)| *from != 1 && *to != 1);
    cluster.advance(SECOND.times(100));
    assert_eq!(cluster.granted(), [0], "neither by itself");
    cluster.grant(1, FORCED);
    cluster.advance(SECOND.times(15));
    assert_eq!(cluster.granted(), [0, 1], "but by an administrator's override");
}

/// P12: who overrides is not told of what is overridden.
#[test]
fn who_overrides_a_pending_commit_hears_of_no_delay() {
    let mut spec = spec("T");
    spec.acquire_after = SECOND.times(5);
    let mut cluster = Cluster::new(2, 1, spec);
    cluster.start_all();
    cluster.crash(0);
    cluster.grant(1, PATIENT);
    assert!(cluster.granted().is_empty(), "it waits for the site that is not there");
    let client = cluster.grant(1, FORCED);
    assert_eq!(cluster.granted(), [1]);
    let codes = cluster.codes(client);
    assert!(!codes.iter().any(|(code, _)| *code == ResultCode::CibPending), "{codes:?}");
    assert!(codes.contains(&(ResultCode::Success, true)));
}

/// A candidate that cannot hear who objects is not helped by those who can.
#[test]
fn who_has_heard_an_objection_votes_for_no_other_site() {
    let cluster = || {
        let mut cluster = Cluster::new(3, 0, spec("T"));
        cluster.start_all();
        cluster.crash(0);
        objected(&mut cluster);
        cluster
    };
    let mut obeys = cluster();
    for _ in 0..10 {
        obeys.grant(2, PLAIN);
        obeys.advance(SECOND.times(4));
        assert!(obeys.granted().is_empty());
        assert!(!obeys.nodes[2].log.iter().any(|line| line.contains("won the election")));
        objected(&mut obeys);
    }
    // It is silent from now on, so it counts no more after `expire`.
    obeys.advance(SECOND.times(11));
    obeys.grant(2, PLAIN);
    obeys.advance(SECOND.times(2));
    assert_eq!(obeys.granted(), [2]);
    let mut overridden = cluster();
    overridden.grant(2, FORCED);
    overridden.advance(SECOND);
    assert_eq!(overridden.granted(), [2]);
}

/// Its boothd starts again and cannot read its store: that says no less than before.
#[test]
fn a_restart_takes_no_objection_back() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.crash(0);
    objected(&mut cluster);
    rejected(&mut cluster, true, Span::ZERO);
    cluster.grant(2, PLAIN);
    cluster.advance(SECOND.times(3));
    assert!(cluster.granted().is_empty());
    // Where nothing was known before, it is left to the candidate.
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.crash(0);
    rejected(&mut cluster, true, Span::ZERO);
    cluster.grant(2, PLAIN);
    cluster.advance(SECOND.times(3));
    assert_eq!(cluster.granted(), [2]);
}

/// Who waits for a grant waits for the objection that others have heard, too.
#[test]
fn a_grant_that_waits_outlasts_an_objection_that_others_have_heard() {
    let mut cluster = Cluster::new(3, 0, spec("T"));
    cluster.start_all();
    cluster.crash(0);
    objected(&mut cluster);
    let client = cluster.grant(2, PATIENT);
    cluster.advance(SECOND.times(9));
    assert!(cluster.granted().is_empty() && !cluster.codes(client).iter().any(|(_, last)| *last));
    cluster.advance(SECOND.times(30));
    assert_eq!(cluster.granted(), [2]);
    assert!(cluster.codes(client).contains(&(ResultCode::Success, true)));
    let why = "not won, 127.0.0.1 objects elsewhere: the ticket may still be granted in the store";
    assert!(cluster.logged(2, why));
}
