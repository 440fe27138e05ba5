// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients of an automatic ticket are told, and when (P10, P12, boothd(8)).

use super::bench::{Bench, Deeds, World, SECOND};
use super::cluster::spec;
use crate::engine::{
    CibOutcome, CibTicket, ClientId, Effect, Event, ProbeOutcome, Reply, StoreWish,
};
use crate::model::{Holder, TicketSpec};
use crate::time::Span;
use crate::wire::{ClientOptions, PeerBody, Reason, ResultCode, WaitCause};

/// A client that understands reasons and wants every change.
fn explain() -> ClientOptions {
    ClientOptions { explain: true, wait: true, ..ClientOptions::default() }
}

/// The reasons that a client was told, in order.
fn causes(deeds: &Deeds, client: ClientId) -> Vec<WaitCause> {
    deeds.told(client).into_iter().filter_map(|(_, cause, _)| cause).collect()
}

/// Adds what follows.
fn then(deeds: &mut Deeds, more: Deeds) -> Deeds {
    deeds.0.extend(more.0.clone());
    more
}

/// Whoever asks for a grant that takes time hears at once that it does, and why; in the end the
/// outcome, and nothing after it.
#[test]
pub fn a_client_is_told_that_its_grant_takes_time() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.start(CibTicket::default());
    let (client, deeds) = bench.grant(ClientOptions::default());
    assert_eq!(deeds.told(client), [(ResultCode::More, Some(WaitCause::Grace), false)]);
    let later = bench.play(SECOND.times(20), &World::kind());
    assert_eq!(later.told(client), [(ResultCode::Success, None, true)]);
}

/// P12: a client that asked for it hears of every change of the reason, each once; another one only
/// of the first.
#[test]
pub fn a_waiting_client_hears_when_the_reason_changes() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    bench.start(CibTicket::default());
    let (client, mut all) = bench.grant(explain());
    let (plain, more) = bench.grant(ClientOptions { wait: true, ..ClientOptions::default() });
    then(&mut all, more);
    let world = World { handler: None, ..World::kind() };
    let asked = bench.play(SECOND.times(14), &world);
    let asked = if asked.probes().is_empty() {
        let later = bench.advance(SECOND);
        then(&mut all, later)
    } else {
        then(&mut all, asked)
    };
    let stood = bench.probed(&asked, ProbeOutcome::Success);
    then(&mut all, stood.clone());
    let won = bench.elected(&stood);
    then(&mut all, won.clone());
    let leased = bench.acked_by_all(&won);
    then(&mut all, leased.clone());
    let failed = bench.wrote(leased.grants()[0].0, CibOutcome::Failed("exit 1".into()));
    then(&mut all, failed);
    let again = bench.advance(SECOND.times(2));
    then(&mut all, again.clone());
    let done = bench.written(&again);
    then(&mut all, done);
    let order = [
        WaitCause::Grace,
        WaitCause::Handler,
        WaitCause::Election,
        WaitCause::CibWrite,
        WaitCause::CibFailing,
    ];
    let told = causes(&all, client);
    let mut at = 0;
    for cause in &told {
        if order.get(at) == Some(cause) {
            at += 1;
        }
    }
    assert_eq!(at, order.len(), "all of it, in this order: {told:?}");
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "changes only: {told:?}");
    assert_eq!(all.final_answer(client), Some(ResultCode::Success));
    assert_eq!(causes(&all, plain), [WaitCause::Grace]);
    assert_eq!(all.final_answer(plain), Some(ResultCode::Success));
}

/// A pending commit is told to everyone: to most as the last answer, with `-C` as one before it.
#[test]
pub fn a_pending_commit_is_told_to_everyone() {
    let slow = TicketSpec { acquire_after: SECOND.times(5), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    let (plain, stood) = bench.grant(ClientOptions::default());
    let (until, _) = bench.grant(ClientOptions { wait_commit: true, ..ClientOptions::default() });
    let term = stood.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    let deeds = bench.acked_by(&[2], &won);
    let pending = (ResultCode::CibPending, Some(WaitCause::CommitDelay));
    assert_eq!(deeds.told(plain), [(pending.0, pending.1, true)]);
    assert_eq!(deeds.told(until), [(pending.0, pending.1, false)]);
    let world = World { acks: vec![2], votes: vec![2], ..World::kind() };
    let deeds = bench.play(Span::from_millis(4_900), &world);
    assert_eq!(deeds.told(until), [], "told once");
    let deeds = bench.play(SECOND, &world);
    assert_eq!(deeds.told(until), [(ResultCode::Success, None, true)]);
    assert!(deeds.told(plain).is_empty(), "nothing comes after the last answer");
}

/// L8: the wait ends as soon as the missing site has acknowledged, or `-F` is given.
#[test]
pub fn a_commit_delay_ends_with_the_missing_answer_or_with_force() {
    let slow = TicketSpec { acquire_after: SECOND.times(5), ..spec("T") };
    for force in [false, true] {
        let mut bench = Bench::settled(2, 1, 0, slow.clone());
        let (_, stood) = bench.grant(ClientOptions { wait_commit: true, ..explain() });
        let term = stood.requests()[0].message.term.get();
        let won = bench.vote(2, term);
        assert!(bench.acked_by(&[2], &won).grants().is_empty());
        let deeds = if force {
            bench.grant(ClientOptions { immediate: true, ..ClientOptions::default() }).1
        } else {
            bench.acked_by(&[1], &won)
        };
        assert_eq!(deeds.grants().len(), 1, "force {force}");
    }
}

/// L8: a vote of the missing site that comes late is an answer, too.
#[test]
pub fn a_late_vote_of_the_missing_site_ends_the_commit_delay() {
    let slow = TicketSpec { acquire_after: SECOND.times(5), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    let (_, stood) = bench.grant(ClientOptions { wait_commit: true, ..explain() });
    let term = stood.requests()[0].message.term.get();
    let won = bench.vote(2, term);
    assert!(bench.acked_by(&[2], &won).grants().is_empty());
    assert!(bench.vote(1, term - 1).grants().is_empty(), "an old vote is none");
    assert_eq!(bench.vote(1, term).grants().len(), 1);
}

/// Members that say that another site holds the ticket end an administrator's grant.
#[test]
pub fn a_grant_ends_when_another_site_turns_out_to_hold_the_ticket() {
    let mut bench = Bench::three();
    let (client, _) = bench.grant(explain());
    let leader = bench.id(1);
    let mut all = Deeds(Vec::new());
    for from in [1, 2] {
        let body = crate::wire::PeerBody::Rejected {
            of: crate::wire::Command::ReqVote,
            result: ResultCode::TermStillValid,
            granted: false,
        };
        all.0.extend(bench.hear(from, leader, 3, body).0);
    }
    assert_eq!(all.final_answer(client), Some(ResultCode::Overgrant));
    assert_eq!(bench.listed(), leader);
}

/// A revoke where the ticket is lost is sent on to its last holder, and changes nothing here: what
/// was not done must not show later.
#[test]
pub fn a_revoke_of_a_lost_ticket_is_sent_on_and_has_no_effect() {
    let slow = TicketSpec { acquire_after: SECOND.times(7), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    bench.heartbeat(1, 3, super::bench::stamp(7, true));
    bench.advance(SECOND.times(12));
    let (client, deeds) = bench.revoke(ClientOptions::default());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Redirect));
    assert!(!bench.advance(SECOND.times(60)).stood().is_empty(), "it stands as planned");
}

/// L8: when a voter does not vouch, leases may be alive: `expire` is waited for as well.
#[test]
pub fn a_commit_waits_for_expire_when_a_voter_does_not_vouch() {
    let slow = TicketSpec { acquire_after: SECOND.times(5), ..spec("T") };
    for (vouched, wait) in [(true, 5), (false, 15)] {
        let mut bench = Bench::settled(2, 1, 0, slow.clone());
        let (_, stood) = bench.grant(explain());
        let term = stood.requests()[0].message.term.get();
        let me = bench.id(0);
        let body = crate::wire::PeerBody::Vote {
            vouched,
            unbound_for: Some(crate::time::Span::MAX),
            last: None,
        };
        let won = bench.hear_valid(2, me, term, Span::ZERO, body);
        let began = bench.now.mono;
        let world = World { acks: vec![2], votes: vec![2], ..World::kind() };
        let mut deeds = bench.answered(won, &world);
        deeds.0.extend(bench.play(SECOND.times(20), &world).0);
        let grant = deeds.0.iter().find(|(_, effect)| {
            matches!(effect, Effect::Store(StoreWish::WriteCib { state, .. }) if state.granted)
        });
        let waited = grant.expect("granted in the end").0.since(began);
        assert_eq!(waited, SECOND.times(wait), "vouched {vouched}");
    }
}

/// Who does not wait for the outcome however long it takes hears after `timeout * (retries + 1)`
/// that there is no majority; who does goes on waiting.
#[test]
pub fn an_impatient_client_hears_that_there_is_no_majority() {
    let mut bench = Bench::three();
    let (client, _) = bench.grant(ClientOptions::default());
    let (patient, _) = bench.grant(explain());
    let early = bench.advance(Span::from_millis(3_900));
    assert_eq!(early.final_answer(client), None);
    let late = bench.advance(SECOND.times(20));
    assert_eq!(late.final_answer(client), Some(ResultCode::SyncFail));
    assert_eq!(late.final_answer(patient), None);
    let deeds = bench.play(SECOND.times(20), &World::kind());
    assert_eq!(deeds.final_answer(patient), Some(ResultCode::Success));
}

/// A client that has gone gets no answer; what it asked for goes on.
#[test]
pub fn a_client_that_has_gone_is_not_answered() {
    let mut bench = Bench::three();
    let (client, stood) = bench.grant(explain());
    assert!(bench.event(Event::ClientGone { client }).0.is_empty());
    let won = bench.elected(&stood);
    let deeds = bench.answered(won, &World::kind());
    assert_eq!(deeds.grants().len(), 1);
    assert_eq!(deeds.told(client), []);
}

/// A second grant where the ticket is held is refused, and so is one where another site holds it.
#[test]
pub fn a_grant_of_a_held_ticket_is_refused() {
    let mut bench = Bench::three();
    bench.hold();
    let (client, deeds) = bench.grant(explain());
    assert_eq!(deeds.told(client), [(ResultCode::Overgrant, None, true)]);
    let mut bench = Bench::three();
    bench.heartbeat(1, 3, super::bench::stamp(7, true));
    let (client, deeds) = bench.grant(explain());
    assert_eq!(deeds.told(client), [(ResultCode::Overgrant, None, true)]);
    let (client, deeds) = bench.revoke(explain());
    assert_eq!(deeds.told(client), [(ResultCode::Redirect, None, true)]);
}

/// An arbitrator grants nothing, and says so at once.
#[test]
pub fn an_arbitrator_refuses_a_grant() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    let (client, deeds) = bench.grant(explain());
    assert_eq!(deeds.told(client), [(ResultCode::SyncFail, None, true)]);
}

/// A revoke is answered when the store says so; while it fails, a client that asked for it hears
/// that, once, and one that does not wait hears of the failure.
#[test]
pub fn a_client_hears_how_its_revoke_goes() {
    let mut bench = Bench::three();
    bench.hold();
    let (client, deeds) = bench.revoke(explain());
    assert_eq!(causes(&deeds, client), [WaitCause::CibWrite]);
    let (plain, _) = bench.revoke(ClientOptions::default());
    let world = World { revokes: Some(CibOutcome::Failed("exit 1".into())), ..World::kind() };
    let failing = bench.answered(deeds, &world);
    let mut told = causes(&failing, client);
    let more = bench.play(SECOND.times(20), &world);
    told.extend(causes(&more, client));
    assert_eq!(told, [WaitCause::CibWrite, WaitCause::CibFailing]);
    let answers = [failing.final_answer(plain), more.final_answer(plain)];
    assert!(answers.contains(&Some(ResultCode::SyncFail)));
    let done = bench.play(SECOND.times(40), &World::kind());
    assert_eq!(done.final_answer(client), Some(ResultCode::Success));
    assert_eq!(bench.listed(), Holder::Nobody);
}

/// A revoke where this site only stands, or waits to, ends that.
#[test]
pub fn a_revoke_ends_an_attempt_to_acquire() {
    let mut bench = Bench::three();
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: super::bench::stamp(8, false) };
    bench.hear(1, Holder::Nobody, 3, body);
    let (grant, _) = bench.grant(explain());
    let (client, deeds) = bench.revoke(ClientOptions::default());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    assert_eq!(deeds.final_answer(grant), Some(ResultCode::SyncFail));
    assert!(bench.advance(SECOND.times(60)).stood().is_empty());
}

/// One ticket cannot take all places of those who wait: the 33rd client that waits for its grant
/// is refused, unless it says `-F`; when one has left there is room again.
#[test]
pub fn the_clients_that_wait_for_one_grant_are_bounded() {
    let mut bench = Bench::three();
    let waiting: Vec<ClientId> = (0..32).map(|_| bench.grant(explain()).0).collect();
    let (client, deeds) = bench.grant(explain());
    assert_eq!(deeds.told(client), [(ResultCode::Busy, None, true)]);
    let (client, deeds) = bench.grant(ClientOptions { immediate: true, ..explain() });
    assert_eq!(deeds.told(client).len(), 1);
    assert!(deeds.final_answer(client).is_none(), "it waits with the others");
    for client in [client, waiting[0]] {
        bench.event(Event::ClientGone { client });
    }
    let (client, deeds) = bench.grant(explain());
    assert!(deeds.final_answer(client).is_none(), "there is room again");
    let done = bench.play(SECOND.times(20), &World::kind());
    for client in waiting.iter().skip(1).chain([&client]) {
        assert_eq!(done.final_answer(*client), Some(ResultCode::Success));
    }
}

/// The 33rd client that waits for a revoke of one ticket hears at once that it is under way.
#[test]
pub fn the_clients_that_wait_for_one_revoke_are_bounded() {
    let mut bench = Bench::three();
    bench.hold();
    let (first, asked) = bench.revoke(explain());
    let waiting: Vec<ClientId> = (1..32).map(|_| bench.revoke(explain()).0).collect();
    let (client, deeds) = bench.revoke(explain());
    let pending = (ResultCode::CibPending, Some(WaitCause::CibWrite), true);
    assert_eq!(deeds.told(client), [pending]);
    let done = bench.answered(asked, &World::kind());
    for client in waiting.into_iter().chain([first]) {
        assert_eq!(done.final_answer(client), Some(ResultCode::Success));
    }
}

#[test]
pub fn an_answer_states_the_term_of_the_ticket() {
    let mut bench = Bench::three();
    let term = bench.hold();
    let (_, deeds) = bench.grant(ClientOptions::default());
    let stated = deeds.0.iter().find_map(|(_, effect)| match effect {
        Effect::Reply { reply: Reply::Ticket(answer), .. } => Some(answer.term.get()),
        _ => None,
    });
    assert_eq!(stated, Some(term));
}
