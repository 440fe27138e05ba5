// SPDX-License-Identifier: GPL-2.0-or-later
//! Manual tickets (L14, P22): claims, and what the others note of them.

use super::bench::{stamp, Bench, Deeds, World, SECOND};
use super::cluster::spec;
use crate::engine::{CibExpiry, CibOutcome, CibTicket, ProbeOutcome};
use crate::model::{Holder, MemberIndex, TicketMode, TicketSpec};
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, PeerBody, Reason, ResultCode};

fn manual() -> TicketSpec {
    TicketSpec { mode: TicketMode::Manual, ..spec("T") }
}

/// A site of three that has started with nothing in its store.
fn site() -> Bench {
    let mut bench = Bench::new(2, 1, 0, manual());
    bench.start(CibTicket::default());
    bench
}

/// The seconds since `began` at which a member got heartbeats.
fn beats(deeds: &Deeds, member: usize, began: MonoTime) -> Vec<u64> {
    let sent = deeds.heartbeats();
    sent.iter().filter(|s| s.to == member).map(|s| s.at.since(began).as_secs()).collect()
}

/// Which sites `booth list` warns of.
fn claims(bench: &mut Bench) -> Vec<usize> {
    bench.row().also_granted.into_iter().map(MemberIndex::get).collect()
}

/// The nonce of a question to a member.
fn asked(deeds: &Deeds, member: usize) -> u32 {
    let questions = deeds.sent(|body| matches!(body, PeerBody::Status { .. }));
    let question = questions.iter().rfind(|sent| sent.to == member).expect("it has asked");
    let PeerBody::Status { nonce } = question.message.body else { panic!("it was filtered") };
    nonce
}

/// A site says that it holds the ticket, and again when it is asked.
fn claimed_by(bench: &mut Bench, site: usize) -> Deeds {
    let (leader, body) = (bench.id(site), PeerBody::Heartbeat { stamp: stamp(7, false) });
    let deeds = bench.hear_valid(site, leader, 0, Span::ZERO, body);
    let nonce = asked(&deeds, site);
    bench.hear_valid(site, leader, 0, Span::ZERO, PeerBody::MyIndex { nonce });
    bench.answered(deeds, &World::kind())
}

fn claimed_by_site_1(bench: &mut Bench) -> Deeds {
    claimed_by(bench, 1)
}

fn revoke_of(bench: &mut Bench, from: usize) -> Deeds {
    let body = PeerBody::Revoke { reason: Reason::Admin, stamp: stamp(9, false) };
    bench.hear_valid(from, Holder::Nobody, 0, Span::ZERO, body)
}

/// P22: a grant is written and answered without waiting for anyone, and claimed.
#[test]
pub fn a_manual_grant_waits_for_nobody() {
    let mut bench = site();
    let (client, deeds) = bench.grant(ClientOptions::default());
    assert!(deeds.stood().is_empty(), "no election");
    assert!(deeds.windows().is_empty(), "no guard");
    let [(_, state)] = deeds.writes()[..] else { panic!("one write") };
    assert!(state.granted);
    assert_eq!((state.owner, state.expires), (bench.id(0), CibExpiry::Never));
    assert_eq!(deeds.heartbeats().len(), 2);
    assert!(deeds.heartbeats().iter().all(|sent| sent.message.valid_for.is_zero()));
    assert_eq!(bench.written(&deeds).final_answer(client), Some(ResultCode::Success));
    assert_eq!(bench.listed(), bench.id(0));
}

/// P22: the claim is repeated about every 60 s while the ticket is granted, to
/// everyone; and every `timeout`, `retries` times, to those who have not acknowledged it.
#[test]
pub fn a_claim_is_repeated_every_minute() {
    let mut bench = site();
    let began = bench.now.mono;
    let (_, deeds) = bench.grant(ClientOptions::default());
    let world = World { acks: vec![1], ..World::kind() };
    let mut deeds = bench.answered(deeds, &world);
    deeds.0.extend(bench.play(SECOND.times(140), &world).0);
    let minutes = beats(&deeds, 1, began);
    assert_eq!(minutes.len(), 3, "{minutes:?}");
    for (count, second) in (0..).zip(&minutes) {
        let rest = count * 60;
        assert!((rest..=rest + 8 * count).contains(second), "about every 60 s: {minutes:?}");
    }
    let others = beats(&deeds, 2, began);
    assert_eq!(others[..4], [0, 1, 2, 3]);
    assert_eq!(others.len(), 12, "{others:?}");
    let (_, deeds) = bench.revoke(ClientOptions::default());
    bench.answered(deeds, &World::kind());
    assert!(bench.play(SECOND.times(140), &World::kind()).heartbeats().is_empty());
}

/// A ticket that is held elsewhere is granted only with `-F`; held here, it is a success.
#[test]
pub fn a_manual_ticket_is_granted_twice_only_by_force() {
    let mut bench = site();
    claimed_by_site_1(&mut bench);
    let (client, deeds) = bench.grant(ClientOptions::default());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Overgrant));
    assert!(deeds.writes().is_empty());
    let force = ClientOptions { immediate: true, ..ClientOptions::default() };
    let (client, deeds) = bench.grant(force);
    let deeds = bench.answered(deeds, &World::kind());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    assert_eq!(claims(&mut bench), [0, 1], "list warns");
    let (client, deeds) = bench.grant(ClientOptions::default());
    assert_eq!(deeds.grants().len(), 1, "the store may have lost it meanwhile");
    let deeds = bench.answered(deeds, &World::kind());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success), "granted here already");
    // Who does not wait hears that the store fails.
    let failing = World { grants: Some(CibOutcome::Failed("exit 1".into())), ..World::kind() };
    let (client, deeds) = bench.grant(ClientOptions::default());
    let deeds = bench.answered(deeds, &failing);
    assert_eq!(deeds.final_answer(client), Some(ResultCode::SyncFail));
}

/// A revoke at one of two holders clears its mark at the others and leaves the other holder.
#[test]
pub fn a_revoke_of_one_of_two_holders_leaves_the_other() {
    let mut bench = site();
    let (_, deeds) = bench.grant(ClientOptions::default());
    bench.answered(deeds, &World::kind());
    claimed_by_site_1(&mut bench);
    assert_eq!(claims(&mut bench), [0, 1]);
    let deeds = revoke_of(&mut bench, 1);
    assert_eq!(deeds.sent(|body| matches!(body, PeerBody::Ack { .. })).len(), 1);
    assert_eq!(deeds.heartbeats().len(), 2, "a site that still holds it says so");
    assert_eq!(claims(&mut bench), [0; 0]);
    assert_eq!(bench.listed(), bench.id(0));
}

/// An observer follows whoever claims the ticket, and the other one when the first gives it up.
#[test]
pub fn an_observer_notes_every_claim() {
    let mut bench = Bench::settled(3, 1, 3, manual());
    for site in [0, 2] {
        let deeds = claimed_by(&mut bench, site);
        assert_eq!(deeds.sent(|body| matches!(body, PeerBody::Ack { .. })).len(), 1);
    }
    assert_eq!(claims(&mut bench), [0, 2]);
    assert_eq!(bench.listed(), bench.id(2));
    revoke_of(&mut bench, 2);
    assert_eq!(bench.listed(), bench.id(0));
    revoke_of(&mut bench, 0);
    assert_eq!(bench.listed(), Holder::Nobody);
}

/// A revoke is written, answered and announced; elsewhere it is redirected.
#[test]
pub fn a_manual_revoke_is_written_and_announced() {
    let mut bench = site();
    let (_, deeds) = bench.grant(ClientOptions::default());
    bench.answered(deeds, &World::kind());
    let (client, deeds) = bench.revoke(ClientOptions::default());
    assert_eq!(deeds.revokes().len(), 1);
    assert!(deeds.announcements().is_empty() && deeds.final_answer(client).is_none());
    let deeds = bench.written(&deeds);
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Success));
    assert_eq!(deeds.announcements().len(), 2);
    assert_eq!(bench.advance(SECOND).announcements().len(), 2, "again until acknowledged");
    claimed_by_site_1(&mut bench);
    let (client, deeds) = bench.revoke(ClientOptions::default());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Redirect));
}

/// What the store says at the start goes on: granted is claimed at once, without a window.
#[test]
pub fn a_manual_ticket_is_claimed_at_a_start() {
    let mut bench = Bench::new(2, 1, 0, manual());
    let owner = bench.id(0);
    let stored = CibTicket { granted: true, owner: Some(owner), ..CibTicket::default() };
    let deeds = bench.start(stored);
    assert_eq!(deeds.heartbeats().len(), 2);
    assert!(deeds.windows().is_empty() && deeds.writes().is_empty() && deeds.stood().is_empty());
    assert_eq!(bench.listed(), owner);
    let later = bench.play(SECOND.times(1_000), &World::kind());
    assert!(later.revokes().is_empty() && later.stood().is_empty(), "no expiry");
}

/// A manual ticket is never stood for, whoever dies and however long ago; nor is it voted for.
#[test]
pub fn a_manual_ticket_does_not_move_by_itself() {
    let mut bench = site();
    claimed_by_site_1(&mut bench);
    let deeds = bench.advance(SECOND.times(3_600));
    assert!(deeds.stood().is_empty());
    assert_eq!(bench.listed(), bench.id(1));
    let asked = bench.asked_for_vote(1, 9);
    assert!(asked.sent(|body| matches!(body, PeerBody::Vote { .. })).is_empty());
}

/// Whoever asks is told who holds the ticket, and takes it as a claim.
#[test]
pub fn a_starting_member_hears_of_the_claims() {
    let mut bench = site();
    let (_, deeds) = bench.grant(ClientOptions::default());
    bench.answered(deeds, &World::kind());
    let deeds = bench.hear(2, Holder::Nobody, 0, PeerBody::Status { nonce: 99 });
    let answers = deeds.sent(|body| matches!(body, PeerBody::MyIndex { nonce: 99 }));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].message.leader, bench.id(0));
    let mut bench = Bench::new(2, 1, 0, manual());
    let started = bench.start(CibTicket::default());
    let (leader, nonces) = (bench.id(1), [1, 2].map(|member| asked(&started, member)));
    let mut says = |member, nonce| {
        bench.hear_valid(member, leader, 0, Span::ZERO, PeerBody::MyIndex { nonce });
        bench.listed()
    };
    assert_eq!(says(2, nonces[1]), Holder::Unknown, "hearsay");
    assert_eq!(says(1, 99), Holder::Unknown, "an answer to another question");
    assert_eq!(says(1, nonces[0]), leader);
}

/// A handler that does not agree keeps a manual ticket from being taken.
#[test]
pub fn a_handler_decides_about_a_manual_grant() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { has_handler: true, ..manual() });
    bench.start(CibTicket::default());
    let (client, asked) = bench.grant(ClientOptions::default());
    assert!(asked.writes().is_empty() && asked.heartbeats().is_empty());
    let refused = bench.probed(&asked, ProbeOutcome::Failed("exit 1".into()));
    assert_eq!(refused.final_answer(client), Some(ResultCode::HandlerFailed));
    let (client, asked) = bench.grant(ClientOptions::default());
    let agreed = bench.probed(&asked, ProbeOutcome::Success);
    assert_eq!(agreed.grants().len(), 1);
    let done = bench.wrote(agreed.grants()[0].0, CibOutcome::Written);
    assert_eq!(done.final_answer(client), Some(ResultCode::Success));
}
