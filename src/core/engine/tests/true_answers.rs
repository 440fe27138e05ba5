// SPDX-License-Identifier: GPL-2.0-or-later
//! What administrators and clients cause: schedules that break a promise, each beside the same
//! schedule without the bad ingredient.

use super::bench::{stamp, Bench, Deeds, World, SECOND};
use super::cluster::{failing, spec, the_ticket, Cluster, PLAIN};
use crate::engine::{CibLoad, CibOutcome, CibTicket, Effect, Event, ProbeOutcome, StoreWish};
use crate::model::{AttrName, AttrValue, Holder, TicketMode, TicketName, TicketSpec};
use crate::wire::{ClientRequest, Command, PeerBody, ResultCode};

/// The store fails the last write of `deeds`.
fn failed(bench: &mut Bench, deeds: &Deeds) -> Deeds {
    let (serial, _) = *deeds.writes().last().expect("a write");
    bench.wrote(serial, CibOutcome::Failed("exit status 1".into()))
}

// L13: an administrator's attempt that is abandoned in favour of another site has failed, but what
// the handler said for it is used for the next one.

fn abandoned(voted: bool) {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let (_, asked) = bench.grant(super::cluster::PATIENT);
    let stood = bench.probed(&asked, ProbeOutcome::Success);
    let term = stood.requests()[0].message.term.get();
    if voted {
        let deeds = bench.asked_for_vote(1, term + 1);
        assert!(!deeds.sent(|body| matches!(body, PeerBody::Vote { .. })).is_empty());
    } else {
        bench.reject(1, Command::ReqVote, ResultCode::TermOutdated, term + 1);
        bench.reject(2, Command::ReqVote, ResultCode::TermOutdated, term + 1);
    }
    // The rival is never heard again, and the handler would say no now.
    let mut all = Deeds(Vec::new());
    for _ in 0..50 {
        all.0.extend(bench.advance(SECOND.divided(10)).0);
        if !all.probes().is_empty() || !all.requests().is_empty() {
            break;
        }
    }
    assert!(all.requests().is_empty(), "voted {voted}: it stands again without the handler");
    assert!(!all.probes().is_empty(), "voted {voted}: the handler is asked for each attempt");
}

#[test]
fn the_handler_is_asked_again_after_an_attempt_that_was_abandoned() {
    abandoned(true);
}

#[test]
fn control_the_attempt_was_refused() {
    abandoned(false);
}

// Answers: a revoke of a win without a lease waits for the lease. An earlier write that fails
// meanwhile makes its answer *failed*, and then it is carried out all the same.

fn waiting_revoke(fails: bool) {
    let mut bench = Bench::settled(2, 3, 0, spec("T"));
    // The write of what it follows takes its time.
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    assert_eq!(followed.writes().len(), 1);
    let stood = bench.until_it_stands(SECOND.times(60));
    let term = stood.requests()[0].message.term.get();
    bench.vote_telling(2, term, Some((5, false)));
    let won = bench.vote_telling(3, term, Some((5, false)));
    assert!(!won.heartbeats().is_empty());
    let (client, asked) = bench.revoke(PLAIN);
    assert_eq!(asked.final_answer(client), None);
    let early = if fails { failed(&mut bench, &followed) } else { bench.written(&followed) };
    let quiet = World { votes: vec![], acks: vec![], ..World::kind() };
    let acked = bench.acked_by_all(&won);
    let mut all = bench.answered(acked, &quiet);
    all.0.extend(bench.play(SECOND.times(20), &quiet).0);
    let answer = early.final_answer(client).or(all.final_answer(client));
    let revoked = !all.sent(|body| matches!(body, PeerBody::Revoke { .. })).is_empty();
    assert_eq!(
        answer == Some(ResultCode::Success),
        revoked,
        "fails {fails}: the client was told {answer:?}, REVOKE was said: {revoked}"
    );
}

#[test]
fn a_revoke_that_waits_for_a_lease_and_was_called_failed_is_not_carried_out() {
    waiting_revoke(true);
}

#[test]
fn control_the_earlier_write_succeeds() {
    waiting_revoke(false);
}

// Answers, L10: success is said when the store says *not granted, owner this site*; that nobody
// owns it is written later.

fn success_and_owner(stepping_down: bool) {
    let mut c = Cluster::new(2, 1, TicketSpec { has_handler: stepping_down, ..spec("T") });
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    // The other site is down.
    c.crash(1);
    // The store is slow: the revoke that it is asked for takes a second.
    c.nodes[0].write = None;
    if stepping_down {
        c.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
        let writes = c.nodes[0].writes.len();
        while !c.nodes[0].writes[writes..].iter().any(|state| !state.granted) {
            c.advance(SECOND.divided(10));
        }
        c.nodes[0].handler = Some(ProbeOutcome::Success);
    }
    let client = c.revoke(0);
    for _ in 0..=usize::from(stepping_down) {
        assert_eq!(c.codes(client), [], "{:?}", c.nodes[0].store.owner);
        // It obeys; the next call is slow again.
        let (serial, state) = c.hung_write(0);
        c.obey(0, serial, state);
    }
    assert_eq!(c.codes(client), [(ResultCode::Success, true)]);
    assert_eq!(c.nodes[0].store.owner, Some(Holder::Nobody), "success is said when it says so");
}

#[test]
fn a_revoke_beside_a_step_down_is_a_success_when_the_store_says_nobody() {
    success_and_owner(true);
}

#[test]
fn control_a_revoke_alone_is_a_success_when_the_store_says_nobody() {
    success_and_owner(false);
}

// The same for a lost ticket that an administrator's grant has won, while its commit waits: the
// revoke is a success before anything is written.

fn revoked_before_the_grant(slow: bool) {
    let after = SECOND.times(60);
    let mut c = Cluster::new(2, 1, TicketSpec { acquire_after: after, ..spec("T") });
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    // The holder dies for good.
    c.crash(0);
    c.nodes[0].store.granted = false;
    c.advance(SECOND.times(20));
    let client = c.grant(1, PLAIN);
    assert_eq!(c.codes(client).last(), Some(&(ResultCode::CibPending, true)));
    if slow {
        c.nodes[1].write = None;
    }
    let client = c.revoke(1);
    let success = c.codes(client).last() == Some(&(ResultCode::Success, true));
    assert!(success || slow);
    c.advance(SECOND.divided(10));
    let owner = c.nodes[1].store.owner;
    // All that live lose their power.
    c.crash(1);
    c.crash(2);
    c.nodes[1].write = Some(CibOutcome::Written);
    c.start(1);
    c.start(2);
    c.advance(SECOND.times(300));
    let acquired = !c.granted().is_empty();
    assert!(!(success && acquired), "revoked with success, acquired; the store said {owner:?}");
}

#[test]
fn the_revoke_of_a_pending_win_is_a_success_when_the_store_says_so() {
    revoked_before_the_grant(true);
}

#[test]
fn control_the_store_obeys_at_once() {
    revoked_before_the_grant(false);
}

// Answers: a revoke whose first write fails is answered with failure, and carried out all the same
// a second later, while the lease lives: nobody acquires the ticket.

fn failed_revoke(revoke: bool) {
    let mut c = Cluster::new(2, 1, TicketSpec { has_handler: true, ..spec("T") });
    c.start_all();
    c.grant(0, PLAIN);
    c.advance(SECOND);
    assert_eq!(c.granted(), [0]);
    // Its handler fails, so that it steps down; its store fails for two seconds.
    c.nodes[0].handler = Some(ProbeOutcome::Failed("exit status 1".into()));
    c.nodes[0].write = failing();
    while !c.logged(0, "giving the ticket up for another site") {
        c.advance(SECOND.divided(10));
    }
    let client = revoke.then(|| c.revoke(0));
    c.advance(SECOND.times(2));
    let codes = client.map(|client| c.codes(client));
    if let Some(codes) = &codes {
        assert_eq!(codes.last(), Some(&(ResultCode::SyncFail, true)));
    }
    c.nodes[0].write = Some(CibOutcome::Written);
    c.advance(SECOND.times(100));
    assert_eq!(c.granted(), [1], "revoke {revoke} {codes:?}: it has failed, and has an effect");
}

#[test]
fn a_revoke_that_failed_beside_a_step_down_has_no_effect() {
    failed_revoke(true);
}

#[test]
fn control_no_revoke_beside_a_step_down() {
    failed_revoke(false);
}

// Answers: a write of an attribute that was killed is answered with failure, and may take effect.

fn killed_attribute(outcome: CibOutcome, takes_effect: bool) {
    let mut bench = Bench::three();
    let (name, value) = (AttrName::new("a").ok(), AttrValue::new("x").ok());
    let ticket = TicketName::new("T").ok();
    let (client, deeds) = bench.ask(ClientRequest::AttrSet { ticket, name, value });
    let write = |deeds: &Deeds| {
        deeds.0.iter().find_map(|(_, effect)| match effect {
            Effect::Store(StoreWish::WriteAttr { serial, .. }) => Some(*serial),
            _ => None,
        })
    };
    let serial = write(&deeds).expect("a write");
    let mut done = bench.event(Event::AttrWritten { ticket: the_ticket(), serial, outcome });
    assert_eq!(done.final_answer(client), Some(ResultCode::SyncFail));
    done.0.extend(bench.advance(SECOND.times(100)).0);
    // The call that was killed may take effect, but not after a later write of this site.
    assert!(!takes_effect || write(&done).is_some(), "what has failed is not taken back");
}

#[test]
fn an_attribute_whose_write_was_killed_is_taken_back() {
    killed_attribute(CibOutcome::Killed, true);
}

#[test]
fn control_a_write_that_took_no_effect() {
    killed_attribute(CibOutcome::Failed("exit status 1".into()), false);
}

// Answers: while the store is unread, no attribute is known, not known to be missing.

fn attributes_while_loading(unread: bool) {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let name = AttrName::new("a").expect("a name");
    let attrs = vec![(name.clone(), AttrValue::new("x").expect("a value"))];
    bench.event(Event::Start);
    let stored = CibTicket { attrs, ..CibTicket::default() };
    let outcome = match unread {
        true => CibLoad::Failed("exit status 1".into()),
        false => CibLoad::Loaded(stored),
    };
    bench.loaded(outcome);
    for delete in [false, true] {
        let (ticket, name) = (TicketName::new("T").ok(), Some(name.clone()));
        let request = match delete {
            true => ClientRequest::AttrDelete { ticket, name },
            false => ClientRequest::AttrGet { ticket, name },
        };
        let (client, deeds) = bench.ask(request);
        let told = deeds.final_answer(client);
        assert_ne!(told, Some(ResultCode::NoSuchAttr), "delete {delete}: it is in the store");
    }
}

#[test]
fn an_attribute_of_an_unread_store_is_not_called_missing() {
    attributes_while_loading(true);
}

#[test]
fn control_the_store_was_read() {
    attributes_while_loading(false);
}

// L14: a failed grant makes a site that has heard nobody call a manual ticket free.

fn failed_manual_grant(grant: bool) {
    let mut c = Cluster::new(2, 1, TicketSpec { mode: TicketMode::Manual, ..spec("T") });
    c.start(1);
    c.start(2);
    c.grant(1, PLAIN);
    assert_eq!(c.granted(), [1]);
    c.isolate(0, true);
    c.start(0);
    c.advance(SECOND.times(5));
    assert_eq!(c.listed(0), Holder::Unknown);
    if grant {
        c.nodes[0].write = failing();
        let client = c.grant(0, PLAIN);
        c.advance(SECOND.times(5));
        assert_eq!(c.codes(client).last(), Some(&(ResultCode::SyncFail, true)));
        assert_eq!(c.granted(), [1]);
        c.nodes[0].write = Some(CibOutcome::Written);
        c.advance(SECOND.times(5));
    }
    let client = c.revoke(0);
    let codes = c.codes(client);
    assert_eq!(codes, [(ResultCode::SyncFail, true)], "grant {grant}: not known; site 1 holds it");
    assert_eq!(c.listed(0), Holder::Unknown);
}

#[test]
fn a_failed_grant_of_a_manual_ticket_does_not_make_it_known_to_be_free() {
    failed_manual_grant(true);
}

#[test]
fn control_no_grant_of_the_manual_ticket() {
    failed_manual_grant(false);
}

// L13: an administrator's grant pauses after an attempt, and the last holder steps down meanwhile:
// the plan to stand that follows is due before the pause is over, and starts the handler, whose
// answer goes to the grant, which still pauses; the plan is due at once again.

fn paused_grant(steps_down: bool) {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let followed = bench.heartbeat(1, 3, stamp(7, true));
    bench.written(&followed);
    // Its lease ends.
    bench.advance(SECOND.times(10));
    let (_, deeds) = bench.grant(super::cluster::PATIENT);
    let mut open: Vec<_> = deeds.probes();
    // Nobody answers two attempts; the handler agrees each time, after 10 ms.
    let milli = SECOND.divided(1_000);
    let mut attempts = 0;
    let mut runs = 0;
    let mut heard = false;
    for _ in 0..2_000 {
        let mut deeds = bench.advance(milli.times(10));
        for asked in std::mem::take(&mut open) {
            let (ticket, run) = (the_ticket(), asked.run);
            let outcome = ProbeOutcome::Success;
            deeds.0.extend(bench.event(Event::ProbeDone { ticket, run, outcome }).0);
        }
        attempts += deeds.stood().len();
        runs += if heard { deeds.probes().len() } else { 0 };
        open = deeds.probes();
        let failed = !deeds.sent(|body| matches!(body, PeerBody::Status { .. })).is_empty();
        if attempts == 2 && !heard && failed {
            heard = true;
            let reason = crate::wire::Reason::LocalFail;
            let body = PeerBody::StepDown { reason, stamp: stamp(9, false) };
            if steps_down {
                bench.hear(1, Holder::Nobody, 3, body);
            }
        }
        if attempts > 2 {
            break;
        }
    }
    assert!(heard && attempts > 2, "{heard} {attempts}");
    assert!(runs <= 2, "steps down {steps_down}: {runs} runs of the handler for one attempt");
}

#[test]
fn a_plan_to_stand_beside_a_paused_grant_does_not_run_the_handler_over_and_over() {
    paused_grant(true);
}

#[test]
fn control_nobody_steps_down() {
    paused_grant(false);
}
