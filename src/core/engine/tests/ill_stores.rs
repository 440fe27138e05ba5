// SPDX-License-Identifier: GPL-2.0-or-later
//! Schedules of a stranger around the ticket store; each beside the same one without what makes it
//! bad.

use super::bench::{granted, stamp, Bench, World};
use super::cluster::{failing, spec, Cluster, PATIENT, PLAIN};
use crate::engine::CibOutcome;
use crate::model::{Holder, Term, TicketSpec};
use crate::time::Span;
use crate::wire::{LastKnown, PeerBody, ResultCode};

const SECOND: Span = Span::from_secs(1);
const MILLI: Span = Span::from_millis(1);
const NOBODY: [usize; 0] = [];

fn after(seconds: u64) -> TicketSpec {
    TicketSpec { acquire_after: SECOND.times(seconds), ..spec("T") }
}

fn state(c: &mut Cluster) -> String {
    let mut text = String::new();
    for node in 0..c.nodes.len() {
        if c.nodes[node].engine.is_some() {
            let row = c.row(node);
            text += &format!("{node}: {:?} {:?}; ", row.leader, c.nodes[node].store);
        }
    }
    text
}

fn won(c: &Cluster, node: usize) -> usize {
    c.nodes[node].log.iter().filter(|l| l.contains("won the election")).count()
}

fn until_won(c: &mut Cluster, node: usize, times: usize) {
    for _ in 0..12_000 {
        if won(c, node) >= times {
            return;
        }
        c.advance(MILLI.times(10));
    }
    panic!("member {node} does not win");
}

fn successful(c: &Cluster, client: crate::engine::ClientId) -> bool {
    c.codes(client).last() == Some(&(ResultCode::Success, true))
}

// The revoke of a win that waits for acquire-after is a success before any store says so.

fn revoked_while_pending(ill: bool) {
    let mut c = Cluster::new(2, 1, after(5));
    c.start_all();
    c.grant(1, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [1]);
    c.crash(1);
    c.nodes[1].store.granted = false;
    until_won(&mut c, 0, 1);
    c.advance(MILLI.times(200));
    assert_eq!(c.granted(), NOBODY, "the other site could object");
    if ill {
        c.nodes[0].write = failing();
    }
    let client = c.revoke(0);
    c.advance(SECOND);
    let success = successful(&c, client);
    c.crash(0);
    c.crash(2);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.start(2);
    c.start(0);
    c.advance(SECOND.times(200));
    let text = state(&mut c);
    assert!(!success || c.granted() == NOBODY, "ill {ill}: revoked with success; {text}");
}

#[test]
fn a_revoke_of_a_pending_win_is_no_success_before_the_store_says_so() {
    revoked_while_pending(true);
}

#[test]
fn control_the_store_works() {
    revoked_while_pending(false);
}

// Elected again while its revoke is ill; the store is told the earlier term.

#[test]
fn a_revoke_is_no_success_before_the_store_has_its_term() {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.nodes[0].write = None;
    let client = c.revoke_with(0, PATIENT);
    // The other site loses sight of the holder, and stands.
    c.cut = vec![(0, 1), (1, 0)];
    c.advance(SECOND.times(14));
    c.cut.clear();
    for _ in 0..4_000 {
        if won(&c, 0) > 1 {
            break;
        }
        c.advance(MILLI.times(10));
    }
    assert!(won(&c, 0) > 1, "elected again");
    c.advance(SECOND.times(2));
    assert_eq!(c.listed(1), c.id(0));
    c.isolate(0, true);
    let (serial, state) = c.hung_write(0);
    c.obey(0, serial, state);
    assert!(!successful(&c, client), "the store has the earlier term");
    let (serial, state) = c.hung_write(0);
    c.obey(0, serial, state);
    assert!(successful(&c, client), "{:?}", c.codes(client));
    c.crash(0);
    c.isolate(0, false);
    c.nodes[0].write = Some(CibOutcome::Written);
    c.start(0);
    c.advance(SECOND.times(200));
    assert_eq!(c.granted(), NOBODY, "revoked with success");
}

// An objector falls silent; acquire-after does not count from there.

fn objection_ends(silent: bool) {
    let pause = SECOND.times(40);
    let mut c = Cluster::new(2, 3, after(40));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.nodes[0].write = failing();
    // It reaches the other site only.
    for node in 2..5 {
        c.cut.push((0, node));
        c.cut.push((node, 0));
    }
    c.advance(SECOND.times(120));
    assert_eq!(c.granted(), [0], "its store is ill, and it objects");
    if silent {
        c.isolate(0, true);
    }
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(2));
    assert_eq!(c.granted(), NOBODY);
    let revoked = c.nodes[0].turned.last().expect("it was granted").0;
    for _ in 0..4_000 {
        if c.granted() == [1] {
            break;
        }
        c.advance(MILLI.times(100));
    }
    assert_eq!(c.granted(), [1]);
    let waited = c.now.mono.since(revoked);
    assert!(waited >= pause, "silent {silent}: granted {waited} after the old store said revoked");
}

#[test]
fn acquire_after_counts_from_the_silent_end_of_an_objection() {
    objection_ends(true);
}

#[test]
fn control_the_objection_is_taken_back() {
    objection_ends(false);
}

// An ex-holder that has stood in higher terms while it was alone refuses the candidate and
// follows the winner without a vote: nothing states its bound.

fn healed_ex_holder(heard: bool) {
    let pause = SECOND.times(60);
    let mut c = Cluster::new(2, 3, after(60));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.nodes[0].write = failing();
    c.isolate(0, true);
    c.advance(SECOND.times(58));
    assert_eq!(c.granted(), [0], "its store is ill; it cannot be heard");
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(2));
    assert_eq!(c.granted(), NOBODY);
    let revoked = c.nodes[0].turned.last().expect("it was granted").0;
    // Its step-down has been said for the last time.
    c.advance(SECOND.times(5));
    c.isolate(0, false);
    if heard {
        // The other site hears of the higher term.
        c.again(0, 1, |m| matches!(m.body, PeerBody::ReqVote { .. }));
    }
    assert_eq!(won(&c, 1), 0);
    for _ in 0..4_000 {
        if !c.granted().is_empty() {
            break;
        }
        c.advance(MILLI.times(100));
    }
    assert_eq!(c.granted(), [1]);
    let waited = c.now.mono.since(revoked);
    assert!(waited >= pause, "heard {heard}: granted {waited} after the old store said revoked");
}

#[test]
fn acquire_after_counts_from_the_late_revoke_of_a_site_in_a_higher_term() {
    healed_ex_holder(false);
}

#[test]
fn control_the_higher_term_was_heard_of() {
    healed_ex_holder(true);
}

// A site that has revoked with success stands in higher terms for an order that fails, then
// refuses a candidate in a lower one and follows it, without telling the last that it knows.

fn last_word_in_a_higher_term(orders: bool) {
    let mut c = Cluster::new(2, 1, after(30));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    c.isolate(0, true);
    let client = c.revoke(0);
    assert!(successful(&c, client));
    if orders {
        let client = c.grant(0, PLAIN);
        c.advance(SECOND.times(9));
        assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    } else {
        c.advance(SECOND.times(9));
    }
    c.advance(SECOND.times(15));
    assert_eq!(won(&c, 1), 0, "acquire-after");
    c.isolate(0, false);
    c.advance(SECOND.times(200));
    let text = state(&mut c);
    assert_eq!(c.granted(), NOBODY, "orders {orders}: revoked with success; {text}");
}

#[test]
fn who_follows_in_a_lower_term_than_its_own_tells_the_last_that_it_knows() {
    last_word_in_a_higher_term(true);
}

#[test]
fn control_it_has_not_stood() {
    last_word_in_a_higher_term(false);
}

// The same for one that was restarted: in grace it follows without a word.

fn last_word_in_grace(restarts: bool) {
    let mut c = Cluster::new(2, 1, after(40));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.isolate(0, true);
    let client = c.revoke(0);
    assert!(successful(&c, client));
    // What the arbitrator has promised is forgotten: the winner waits.
    c.advance(SECOND.times(4));
    c.crash(2);
    c.start(2);
    until_won(&mut c, 1, 1);
    c.advance(SECOND.times(2));
    assert_eq!(c.granted(), NOBODY, "acquire-after");
    assert_eq!(c.nodes[0].store.owner, Some(Holder::Nobody));
    if restarts {
        c.crash(0);
        c.start(0);
    }
    c.isolate(0, false);
    c.advance(SECOND.times(200));
    let text = state(&mut c);
    assert_eq!(c.granted(), NOBODY, "restarts {restarts}: revoked with success; {text}");
}

#[test]
fn who_follows_in_grace_tells_the_last_that_it_knows() {
    last_word_in_grace(true);
}

#[test]
fn control_it_goes_on_living() {
    last_word_in_grace(false);
}

// A revoke whose client was told that it failed is under way when the lease ends, and is done
// later: the store says nobody, for good.

fn revoke_across_the_end(across: bool) {
    let mut c = Cluster::new(2, 1, after(40));
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.isolate(0, true);
    c.advance(SECOND.times(5));
    c.nodes[0].write = failing();
    let client = c.revoke(0);
    assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
    if !across {
        c.advance(SECOND.times(4));
    }
    // The next attempt takes a while.
    c.nodes[0].write = None;
    c.advance(SECOND.times(6));
    assert!(c.logged(0, "the lease has ended"));
    c.release(0);
    assert_eq!(c.granted(), NOBODY);
    c.advance(SECOND.times(5));
    let stored = c.nodes[0].store.clone();
    c.crash(0);
    c.start(0);
    c.isolate(0, false);
    c.advance(SECOND.times(300));
    let text = state(&mut c);
    assert_ne!(c.granted(), NOBODY, "across {across}: it is lost; {stored:?}; {text}");
}

#[test]
fn a_failed_revoke_that_is_written_after_the_lease_frees_nothing() {
    revoke_across_the_end(true);
}

#[test]
fn control_the_write_begins_after_the_lease() {
    revoke_across_the_end(false);
}

// A grant that is asked for while an expired grant of the store is being revoked.

fn grant_while_revoking(early: bool) {
    let mut c = Cluster::new(2, 1, spec("T"));
    let (me, past) = (c.id(0), c.now.wall);
    c.nodes[0].store = granted(me, 1, past);
    c.nodes[0].write = None;
    c.start(2);
    c.nodes[0].unreadable = true;
    c.start(0);
    let client = early.then(|| c.grant(0, PATIENT));
    c.nodes[0].unreadable = false;
    c.advance(SECOND.times(2));
    assert_eq!(c.nodes[0].writes.len(), 1, "it is being revoked");
    let client = client.unwrap_or_else(|| c.grant(0, PATIENT));
    c.advance(SECOND.times(3));
    c.release(0);
    c.advance(SECOND.times(60));
    let codes = c.codes(client);
    assert!(codes.contains(&(ResultCode::Success, true)), "early {early}: {codes:?}");
}

#[test]
fn a_grant_waits_while_an_old_grant_is_revoked() {
    grant_while_revoking(false);
}

#[test]
fn control_it_was_asked_for_before() {
    grant_while_revoking(true);
}

// A vote for the re-election of a pending winner states that its voter's store said granted
// until a second ago.

fn bound_stated_at_a_reelection(again: bool) {
    let mut bench = Bench::settled(3, 2, 0, after(8));
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(60));
    let t = stood.requests()[0].message.term.get();
    let theirs = |bench: &mut Bench, term: u32| {
        let last = Some(LastKnown { term: Term::new(5), free: false });
        let body = PeerBody::Vote { vouched: true, unbound_for: Some(SECOND), last };
        bench.hear_valid(1, bench.id(0), term, Span::ZERO, body)
    };
    let others = |bench: &mut Bench, term: u32| bench.vote_telling(4, term, Some((5, false)));
    bench.vote_telling(3, t, Some((5, false)));
    let won = if again { others(&mut bench, t) } else { theirs(&mut bench, t) };
    bench.acked_by(&[3, 4], &won);
    // Another site has stood in a higher term meanwhile.
    let stood = bench.asked_for_vote(2, t + 2);
    let s = stood.requests().last().expect("it stands again").message.term.get();
    bench.vote_telling(3, s, Some((5, false)));
    let won = if again { theirs(&mut bench, s) } else { others(&mut bench, s) };
    assert!(!won.heartbeats().is_empty(), "won again");
    let world = World { votes: vec![], acks: vec![1, 3, 4], ..World::kind() };
    let mut all = bench.answered(won, &world);
    all.0.extend(bench.play(SECOND.times(6), &world).0);
    assert!(all.grants().is_empty(), "again {again}: its store said granted 7 s ago");
    all.0.extend(bench.play(SECOND.times(4), &world).0);
    assert!(!all.grants().is_empty(), "again {again}");
}

#[test]
fn acquire_after_counts_from_what_a_vote_of_the_reelection_states() {
    bound_stated_at_a_reelection(true);
}

#[test]
fn control_it_is_stated_at_the_election() {
    bound_stated_at_a_reelection(false);
}
