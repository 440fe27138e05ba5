// SPDX-License-Identifier: GPL-2.0-or-later
//! Orders, objections, prerequisites and members that lag behind: what a stranger's schedules
//! broke, each beside the same schedule without the bad ingredient.

use super::bench::{stamp, writes, Bench, Deeds, SECOND};
use super::cluster::{failing, spec, the_ticket, Cluster, FORCED, PATIENT, PLAIN};
use crate::engine::{CibOutcome, CibTicket, Effect, Event, ProbeOutcome, StoreWish};
use crate::model::{
    AttrName, AttrOp, AttrRule, AttrValue, Holder, RuleMode, Term, TicketName, TicketSpec,
};
use crate::time::{Span, WallTime};
use crate::wire::{ClientOptions, ClientRequest, ResultCode};

const MILLI: Span = Span::from_millis(1);

fn cut(c: &mut Cluster, one: usize, others: &[usize]) {
    for other in others {
        c.cut.push((one, *other));
        c.cut.push((*other, one));
    }
}

fn auto_rule() -> AttrRule {
    AttrRule {
        mode: RuleMode::Auto,
        name: AttrName::new("a").expect("a name"),
        op: AttrOp::Equal,
        value: AttrValue::new("x").expect("a value"),
    }
}

// the force of a request that has just been answered with failure is used for the attempt
// that begins in the same step.

fn force_at_the_deadline(options: ClientOptions) {
    let spec = TicketSpec { expire: SECOND.times(20), renewal: SECOND.times(10), ..spec("T") };
    let mut c = Cluster::new(2, 1, spec);
    c.start_all();
    c.grant(0, PLAIN);
    assert_eq!(c.granted(), [0]);
    // The holder is cut off within its lease; the two others restart, and do not hear each other.
    c.isolate(0, true);
    c.crash(1);
    c.crash(2);
    cut(&mut c, 1, &[2]);
    // One reading of the store fails.
    c.nodes[1].unreadable = true;
    c.start(1);
    c.start(2);
    c.nodes[1].unreadable = false;
    let first = c.grant(1, options);
    let patient = c.grant(1, PATIENT);
    let failed = |c: &Cluster| c.codes(first).last() == Some(&(ResultCode::SyncFail, true));
    for _ in 0..1_200 {
        if failed(&c) {
            break;
        }
        c.advance(MILLI.times(10));
    }
    // From now on there is no request with -F.
    c.cut.retain(|link| *link != (1, 2) && *link != (2, 1));
    for _ in 0..400 {
        c.advance(MILLI.times(10));
        assert!(!c.two_holders, "failed: {}; {:?}", failed(&c), c.codes(patient));
    }
    c.advance(SECOND.times(40));
    assert!(!c.two_holders);
    assert_eq!(c.granted(), [1]);
}

#[test]
fn the_force_of_a_request_that_fails_now_is_not_used_for_the_other_one() {
    force_at_the_deadline(FORCED);
}

#[test]
fn control_without_any_force() {
    force_at_the_deadline(PLAIN);
}

// a store that could not be read until now counts as possibly granted, but not for
// acquire-after.

fn unread_until_now(unread: bool) {
    let after = SECOND.times(60);
    let spec = TicketSpec { acquire_after: after, has_handler: true, ..spec("T") };
    let mut c = Cluster::new(2, 3, spec);
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    // The other site reaches one arbitrator only: that is no majority.
    cut(&mut c, 1, &[0, 3, 4]);
    // The holder's daemon restarts, its store is ill: it cannot be read (or not be written).
    c.crash(0);
    c.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    if unread {
        c.nodes[0].unreadable = true;
    } else {
        c.nodes[0].write = failing();
    }
    c.start(0);
    c.advance(SECOND.times(200));
    assert_eq!(c.granted(), [0]);
    // It is well again. The keeper, which has tried all the time, is the first to revoke.
    let revoked = c.now.mono;
    if unread {
        c.nodes[0].store.granted = false;
        c.nodes[0].unreadable = false;
    } else {
        c.nodes[0].write = Some(CibOutcome::Written);
    }
    c.advance(SECOND.times(31));
    assert!(c.granted().is_empty());
    c.cut.clear();
    for _ in 0..4_000 {
        c.advance(MILLI.times(100));
        if c.granted() == [1] {
            break;
        }
    }
    assert_eq!(c.granted(), [1]);
    let pause = c.now.mono.since(revoked);
    assert!(pause >= after, "unread {unread}: granted {pause} after the old store said revoked");
}

#[test]
fn acquire_after_counts_from_when_a_store_was_read_at_last() {
    unread_until_now(true);
}

#[test]
fn control_the_store_was_read_and_could_not_be_written() {
    unread_until_now(false);
}

// an administrator's plain grant does not wait for a slow objection.

fn slow_objection(delay: Span) {
    let spec = TicketSpec { rules: vec![auto_rule()], ..spec("T") };
    let mut c = Cluster::new(2, 3, spec);
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    c.nodes[0].write = failing();
    cut(&mut c, 0, &[2, 3, 4]);
    c.advance(SECOND.times(25));
    assert_eq!(c.granted(), [0], "its store does not obey");
    if !delay.is_zero() {
        c.delay = delay;
        c.slow = vec![(0, 1), (1, 0)];
    }
    let client = c.grant(1, PLAIN);
    for _ in 0..50 {
        c.advance(MILLI.times(100));
        let codes = c.codes(client);
        assert_eq!(c.granted(), [0], "the ex-holder objects; {codes:?}");
    }
}

#[test]
fn a_plain_grant_waits_for_a_slow_objection() {
    slow_objection(MILLI.times(50));
}

#[test]
fn control_an_objection_in_time() {
    slow_objection(Span::ZERO);
}

// attr-prereq is looked at before the handler runs, not when the site stands.

fn prereq(changes: bool) {
    let mut bench = Bench::new(
        2,
        1,
        0,
        TicketSpec { rules: vec![auto_rule()], has_handler: true, ..spec("T") },
    );
    let name = AttrName::new("a").expect("a name");
    let attrs = vec![(name.clone(), AttrValue::new("x").expect("a value"))];
    bench.start(CibTicket { attrs, ..CibTicket::default() });
    bench.past_grace();
    bench.heartbeat(1, 3, stamp(7, true));
    let mut probing = bench.advance(SECOND);
    for _ in 0..3_000 {
        if !probing.probes().is_empty() {
            break;
        }
        probing = bench.advance(MILLI.times(10));
    }
    if changes {
        let ticket = TicketName::new("T").ok();
        let value = AttrValue::new("y").ok();
        let (client, deeds) = bench.ask(ClientRequest::AttrSet { ticket, name: Some(name), value });
        let serial = deeds.0.iter().find_map(|(_, effect)| match effect {
            Effect::Store(StoreWish::WriteAttr { serial, .. }) => Some(*serial),
            _ => None,
        });
        let (serial, outcome) = (serial.expect("a write"), CibOutcome::Written);
        let done = bench.event(Event::AttrWritten { ticket: the_ticket(), serial, outcome });
        assert_eq!(done.final_answer(client), Some(ResultCode::Success));
    }
    let done = bench.probed(&probing, ProbeOutcome::Success);
    assert_eq!(done.requests().is_empty(), changes, "changed {changes}");
}

#[test]
fn an_attribute_that_changes_while_the_handler_runs_is_heeded() {
    prereq(true);
}

#[test]
fn control_the_attribute_stays() {
    prereq(false);
}

// a candidate far behind that one member answers.

/// The same for a ticket that was lost: who may stand never wins.
fn far_behind_lost(handler: bool) {
    far_behind_lost_with(handler, true);
}

fn far_behind_lost_with(handler: bool, arbitrator: bool) {
    let mut c = Cluster::new(3, 1, TicketSpec { has_handler: true, ..spec("T") });
    // What the reference leaves behind: the owner is not known.
    for node in [0, 2] {
        c.nodes[node].store = CibTicket {
            granted: false,
            owner: Some(Holder::Unknown),
            expires: Some(WallTime::EPOCH),
            term: Some(Term::new(5_000)),
            attrs: Vec::new(),
        };
        if handler {
            c.nodes[node].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
        }
    }
    c.nodes[1].store = CibTicket {
        granted: false,
        owner: Some(c.id(0)),
        expires: Some(WallTime::EPOCH),
        term: Some(Term::new(12)),
        attrs: Vec::new(),
    };
    cut(&mut c, 1, &[0, 2]);
    if arbitrator {
        c.start(3);
    }
    for node in 0..3 {
        c.start(node);
    }
    c.advance(SECOND.times(60));
    c.cut.clear();
    for _ in 0..600 {
        c.advance(SECOND);
    }
    assert!(!c.granted().is_empty(), "ten minutes with all members alive and reachable");
}

#[test]
fn a_lost_ticket_is_acquired_by_who_is_far_behind() {
    far_behind_lost(true);
}

#[test]
fn control_the_others_may_stand() {
    far_behind_lost(false);
}

// a handler that takes longer than timeout * (retries + 1).

fn slow_handler(takes: Span) {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let (client, probing) = bench.grant(PLAIN);
    let mut all = bench.advance(takes);
    all.0.extend(bench.probed(&probing, ProbeOutcome::Success).0);
    let told = all.told(client);
    assert!(!all.requests().is_empty(), "nobody was asked; the client was told {told:?}");
}

#[test]
fn a_grant_whose_handler_takes_its_time_is_tried() {
    slow_handler(MILLI.times(4_100));
}

#[test]
fn control_a_faster_handler() {
    slow_handler(MILLI.times(3_900));
}

/// Control of F5: with one member fewer nobody answers, it asks, and wins.
#[test]
fn control_without_the_arbitrator_it_is_acquired() {
    far_behind_lost_with(true, false);
}

// REVOKE is repeated for the expire of the site that revokes, but a follower with a longer one
// counts on the lease for longer.

fn longer_expire_there(leader: u64, follower: u64) {
    let mut c = Cluster::new(2, 1, spec("T"));
    c.configure(0, SECOND.times(leader));
    c.configure(1, SECOND.times(follower));
    c.configure(2, SECOND.times(leader));
    c.start_all();
    c.advance(SECOND);
    c.grant(0, PATIENT);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    // The other site misses the revoke, in a cut that is shorter than its promise.
    c.isolate(1, true);
    let client = c.revoke(0);
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    c.advance(SECOND.times(20));
    c.isolate(1, false);
    // All hear each other for half a minute.
    c.advance(SECOND.times(30));
    let told = c.logged(1, "has revoked the ticket") || c.logged(1, "revoked meanwhile");
    // Then site 0 dies, and the arbitrator restarts.
    c.crash(0);
    c.crash(2);
    c.start(2);
    c.advance(SECOND.times(200));
    assert!(c.granted().is_empty(), "{leader}/{follower}: acquired what was revoked; told {told}");
}

#[test]
fn a_revoke_is_repeated_for_as_long_as_anyone_counts_on_the_lease() {
    longer_expire_there(10, 60);
}

#[test]
fn control_all_long() {
    longer_expire_there(60, 60);
}

#[test]
fn control_all_short() {
    longer_expire_there(10, 10);
}

// an idle answer that names the lost holder moves the end that is known to now.

fn after_a_cut(in_an_attempt: bool) {
    let after = SECOND.times(60);
    let spec = TicketSpec { acquire_after: after, has_handler: true, ..spec("T") };
    let mut c = Cluster::new(2, 1, spec);
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    c.isolate(1, true);
    c.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    c.advance(SECOND.times(300));
    assert!(c.granted().is_empty(), "given up nearly 300 s ago");
    let wanted = if in_an_attempt { "standing for election" } else { "election not won" };
    while !c.nodes[1].log.last().is_some_and(|line| line.contains(wanted)) {
        c.advance(MILLI.times(10));
    }
    if !in_an_attempt {
        c.advance(MILLI.times(100));
    }
    let healed = c.now.mono;
    c.isolate(1, false);
    while c.granted() != [1] {
        c.advance(MILLI.times(100));
        let waited = c.now.mono.since(healed);
        assert!(waited < SECOND.times(200), "{waited}");
    }
    let waited = c.now.mono.since(healed);
    assert!(waited < SECOND.times(20), "in an attempt {in_an_attempt}: {waited}");
}

#[test]
fn a_lost_ticket_is_acquired_soon_after_a_long_cut() {
    after_a_cut(true);
}

#[test]
fn control_the_cut_ends_between_two_attempts() {
    after_a_cut(false);
}

// more attributes than are kept after a restart are set with success.

fn attributes(at_once: usize) {
    let name = |n: usize| AttrName::new(&format!("a{n:03}")).expect("a name");
    let value = || AttrValue::new("x").expect("a value");
    let attrs = (0..255).map(|n| (name(n), value())).collect();
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.start(CibTicket { attrs, ..CibTicket::default() });
    let mut writes = Vec::new();
    for n in 0..at_once {
        let ticket = TicketName::new("T").ok();
        let (name, value) = (Some(name(300 + n)), Some(value()));
        let (client, deeds) = bench.ask(ClientRequest::AttrSet { ticket, name, value });
        let serial = deeds.0.iter().find_map(|(_, effect)| match effect {
            Effect::Store(StoreWish::WriteAttr { serial, .. }) => Some(*serial),
            _ => None,
        });
        writes.extend(serial.map(|serial| (client, serial)));
    }
    let mut set = 0;
    for (client, serial) in writes {
        let outcome = CibOutcome::Written;
        let done = bench.event(Event::AttrWritten { ticket: the_ticket(), serial, outcome });
        set += usize::from(done.final_answer(client) == Some(ResultCode::Success));
    }
    assert_eq!(set, 1, "256 are kept after a start");
}

#[test]
fn attributes_that_are_set_at_once_are_bounded_too() {
    attributes(10);
}

#[test]
fn control_one() {
    attributes(1);
}

// where the lease is shorter than the leader's expire, it is renewed more often, but a lost
// heartbeat is repeated after the leader's own timeout.

fn one_lost_heartbeat(word: Span, lose: bool) {
    let spec = TicketSpec {
        expire: SECOND.times(60),
        renewal: SECOND.times(30),
        timeout: SECOND.times(8),
        retries: 2,
        ..spec("T")
    };
    let mut bench = Bench::settled(2, 1, 0, spec);
    let (client, stood) = bench.grant(PLAIN);
    let mut deeds = bench.elected(&stood);
    let mut renewals = 0;
    let mut granted = false;
    for _ in 0..600 {
        let mut next = Vec::new();
        if deeds.heartbeats().iter().any(|sent| sent.to == 2 && !sent.resend) {
            renewals += 1;
        }
        for sent in deeds.heartbeats().into_iter().chain(deeds.updates()) {
            // One packet of the third renewal is lost; the other site is down.
            if sent.to != 2 || (lose && renewals == 3 && !sent.resend) {
                continue;
            }
            let body = super::deeds::ack(sent.message.body).expect("an ack");
            let term = sent.message.term.get();
            next.extend(bench.hear_valid(2, sent.message.leader, term, word, body).0);
        }
        for (serial, state) in Deeds(next.clone()).writes().into_iter().chain(deeds.writes()) {
            granted |= state.granted;
            assert!(state.granted, "word {word}, lose {lose}: given up");
            next.extend(bench.wrote(serial, CibOutcome::Written).0);
        }
        next.extend(bench.advance(MILLI.times(100)).0);
        deeds = Deeds(next.into_iter().filter(|(_, e)| !writes(e, true)).collect());
    }
    assert!(granted, "{renewals} {client:?}");
}

#[test]
fn one_lost_heartbeat_unseats_no_holder_whose_followers_state_less() {
    one_lost_heartbeat(SECOND.times(10), true);
}

#[test]
fn control_none_is_lost() {
    one_lost_heartbeat(SECOND.times(10), false);
}

#[test]
fn control_all_state_the_same() {
    one_lost_heartbeat(SECOND.times(60), true);
}
