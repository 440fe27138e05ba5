// SPDX-License-Identifier: GPL-2.0-or-later
//! Clauses of the rules that no other test and no seed holds: each test here fails with a small
//! edit of the engine that everything else let pass.

use super::bench::{stamp, Bench, Deeds, World, SECOND};
use super::cluster::{spec, Cluster, FORCED, PATIENT, PLAIN};
use crate::engine::{CibLoad, CibOutcome, CibTicket, Effect, Event, RejectKind, StoreWish};
use crate::model::{Holder, Term, TicketMode, TicketSpec};
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, Command, PeerBody, ResultCode};

/// A refusal of a vote or heartbeat for a live lease; `granted`: an objection.
fn refusal(of: Command, granted: bool) -> PeerBody {
    PeerBody::Rejected { of, result: ResultCode::TermStillValid, granted }
}

/// A ticket whose resources need five seconds.
fn slow() -> TicketSpec {
    TicketSpec { acquire_after: SECOND.times(5), ..spec("T") }
}

fn manual() -> TicketSpec {
    TicketSpec { mode: TicketMode::Manual, ..spec("T") }
}

/// When the first grant of `deeds` was wanted.
fn granted_at(deeds: &Deeds) -> MonoTime {
    let (serial, _) = deeds.grants()[0];
    let is = |effect: &Effect| {
        let Effect::Store(StoreWish::WriteCib { serial: s, .. }) = effect else { return false };
        *s == serial
    };
    deeds.0.iter().find(|(_, effect)| is(effect)).expect("it was just found").0
}

/// L10: the announcement carries the current term, also where the site was elected again while its
/// store took its time: others have followed it there, and an older one would end no promise. Its
/// own store says so, too: a restart must not take it for an earlier one.
#[test]
fn who_is_elected_again_while_its_revoke_hangs_announces_the_newer_term() {
    let mut bench = Bench::three();
    let term = bench.hold();
    let (_, revoking) = bench.revoke(PATIENT);
    let stood = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 3);
    let newer = stood.requests()[0].message.term;
    let won = bench.elected(&stood);
    bench.acked_by_all(&won);
    let done = bench.written(&revoking);
    assert_eq!(done.revokes().last().map(|(_, state)| state.term), Some(newer));
    let told = done.announcements();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|sent| sent.message.term == newer), "{told:?}");
}

/// L3: an objection whose validity is 0 is no refusal, because that site votes as soon as its store
/// says revoked: here every vote is needed.
#[test]
fn an_objection_without_a_lease_does_not_end_an_attempt() {
    let mut bench = Bench::settled(2, 0, 0, spec("T"));
    let (_, stood) = bench.grant(PATIENT);
    let term = stood.requests()[0].message.term.get();
    let other = bench.id(1);
    bench.hear_valid(1, other, 0, Span::ZERO, refusal(Command::ReqVote, true));
    assert!(!bench.vote(1, term).heartbeats().is_empty(), "it has won");
}

/// L13: a pause that has grown ends when anybody is heard, that of an administrator's grant too.
#[test]
fn the_grown_pause_of_a_grant_ends_when_somebody_is_heard() {
    let mut bench = Bench::three();
    bench.grant(PATIENT);
    bench.advance(SECOND.times(100));
    bench.until_it_stands(SECOND.times(30));
    bench.advance(Span::from_millis(1_001));
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::Status { nonce: 8 });
    let deeds = bench.advance(Span::from_millis(2_001));
    assert!(!deeds.requests().is_empty(), "it stands within two timeouts");
}

/// A site that has followed site 1, which is lost then, and stands; its vote request.
fn lost(bench: &mut Bench, term: u32) -> u32 {
    let followed = bench.heartbeat(1, term, stamp(7, true));
    bench.written(&followed);
    let stood = bench.until_it_stands(SECOND.times(30));
    stood.requests()[0].message.term.get()
}

/// Two of four vote, having been unbound for so long; site 1 objects.
fn won_beside_an_objection(bench: &mut Bench, term: u32, unbound: Span) -> World {
    let (me, other) = (bench.id(0), bench.id(1));
    let mut won = Deeds(Vec::new());
    for from in [2, 3] {
        let body = PeerBody::Vote { vouched: true, unbound_for: Some(unbound), last: None };
        won.0.extend(bench.hear_valid(from, me, term, Span::ZERO, body).0);
    }
    bench.hear_valid(1, other, term - 1, Span::ZERO, refusal(Command::Heartbeat, true));
    assert!(bench.acked_by(&[2, 3], &won).grants().is_empty());
    World { votes: vec![2, 3], acks: vec![2, 3], ..World::kind() }
}

/// L8: `acquire-after` counts from the end of an objection, also if an earlier wait has not ended
/// yet: the resources there may have run until now.
#[test]
fn the_end_of_an_objection_moves_a_wait_on_that_is_under_way() {
    let mut bench = Bench::settled(2, 2, 0, slow());
    let term = lost(&mut bench, 5);
    let world = won_beside_an_objection(&mut bench, term, SECOND);
    bench.play(SECOND.times(3), &world);
    let freed = bench.now.mono;
    let mut deeds = bench.vote(1, term);
    deeds.0.extend(bench.play(SECOND.times(12), &world).0);
    let at = granted_at(&deeds);
    assert!(at >= freed.plus(SECOND.times(5)), "{} after", at.since(freed));
}

/// L8: only who has followed *this* lead has nothing to stop when its objection ends: that a site
/// followed an earlier one says nothing.
#[test]
fn who_followed_an_earlier_lead_may_have_held_since() {
    let mut bench = Bench::settled(2, 2, 0, slow());
    let held = bench.hold();
    let (_, revoking) = bench.revoke(PLAIN);
    bench.written(&revoking);
    let term = lost(&mut bench, held + 5);
    let world = won_beside_an_objection(&mut bench, term, SECOND.times(100));
    bench.play(SECOND.times(3), &world);
    let freed = bench.now.mono;
    let mut deeds = bench.vote(1, term);
    deeds.0.extend(bench.play(SECOND.times(12), &world).0);
    let at = granted_at(&deeds);
    assert!(at >= freed.plus(SECOND.times(5)), "{} after", at.since(freed));
}

/// L8: an administrator's grant that all sites have answered waits for nothing, also where its
/// winner has to be elected once more before it has a lease.
#[test]
fn an_administrators_grant_that_is_elected_again_does_not_wait_for_the_resources() {
    let mut bench = Bench::settled(2, 1, 0, slow());
    let followed = bench.heartbeat(1, 5, stamp(7, true));
    bench.written(&followed);
    bench.advance(Span::from_millis(10_050));
    let (_, stood) = bench.grant(PLAIN);
    let term = stood.requests()[0].message.term.get();
    bench.elected(&stood);
    let again = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 3);
    let won = bench.elected(&again);
    assert_eq!(bench.acked_by_all(&won).grants().len(), 1);
}

/// Answers: a revoke that comes after the lease is *not known*, and the store names the site from
/// the first write on: a crash right after it must not leave a free ticket.
#[test]
fn the_first_write_after_the_lease_says_whose_the_ticket_was() {
    let mut bench = Bench::three();
    bench.hold();
    let me = bench.id(0);
    let (_, revoking) = bench.revoke(PATIENT);
    let failed = CibOutcome::Failed("exit status 1".into());
    let ill = World { revokes: Some(failed), votes: vec![], acks: vec![], ..World::kind() };
    assert_eq!(revoking.revokes()[0].1.owner, Holder::Nobody, "as long as the lease lives");
    bench.answered(revoking, &ill);
    bench.play(SECOND.times(11), &ill);
    let deeds = bench.play(SECOND.times(3), &ill);
    assert!(!deeds.revokes().is_empty());
    assert!(deeds.revokes().iter().all(|(_, state)| state.owner == me), "{:?}", deeds.revokes());
}

/// Answers: what was revoked after its lease is not known to be free, also where nobody had it
/// before; so neither `list` nor a second revoke says so.
#[test]
fn a_free_ticket_that_was_revoked_too_late_is_not_called_free() {
    let mut cluster = Cluster::new(2, 1, spec("T"));
    cluster.start_all();
    cluster.nodes[0].write = None;
    cluster.grant(0, ClientOptions { wait: true, ..PLAIN });
    cluster.isolate(0, true);
    cluster.revoke(0);
    cluster.advance(Span::from_millis(10_050));
    cluster.release(0);
    assert_eq!(cluster.listed(0), Holder::Unknown);
    let second = cluster.revoke(0);
    assert_eq!(cluster.codes(second), [(ResultCode::SyncFail, true)]);
}

/// `-F` of a client that has left stays in force: what it asked for goes on (boothd(8), `-w`), and
/// the failure of another client's request does not take it back.
#[test]
fn the_force_of_a_client_that_has_left_outlasts_the_failure_of_another() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.event(Event::Start);
    let (forced, _) = bench.grant(FORCED);
    bench.event(Event::ClientGone { client: forced });
    bench.grant(PATIENT);
    let (plain, _) = bench.grant(PLAIN);
    let failed = bench.loaded(CibLoad::Failed("exit status 1".into()));
    assert_eq!(failed.final_answer(plain), Some(ResultCode::SyncFail));
    bench.advance(SECOND.times(2));
    let deeds = bench.loaded(CibLoad::Absent);
    assert!(!deeds.requests().is_empty(), "it does not wait for the end of its grace");
}

/// Answers: after `-F` two stores may say granted; a revoke here then says where the ticket may
/// still be, though this site's own lease lived to the end.
#[test]
fn a_revoke_of_a_holder_that_is_objected_to_is_sent_on() {
    let mut bench = Bench::three();
    let term = bench.hold();
    let (other, valid) = (bench.id(1), SECOND.times(5));
    bench.hear_valid(1, other, term, valid, refusal(Command::Heartbeat, true));
    let (client, revoking) = bench.revoke(PLAIN);
    assert_eq!(bench.written(&revoking).final_answer(client), Some(ResultCode::Redirect));
}

/// The same where the lease has ended: then a site that only cannot read its store counts, too.
#[test]
fn a_lost_holders_revoke_is_sent_on_to_a_site_that_cannot_read_its_store() {
    let mut bench = Bench::three();
    bench.hold();
    let other = bench.id(1);
    let (client, revoking) = bench.revoke(PATIENT);
    bench.advance(SECOND.times(11));
    bench.hear_valid(1, other, 0, Span::ZERO, refusal(Command::ReqVote, true));
    assert_eq!(bench.written(&revoking).final_answer(client), Some(ResultCode::Redirect));
}

/// L9, list: when every other site has answered that it is idle, what was said before of a leader
/// is over: a ticket that nobody has had is free.
#[test]
fn what_was_rumoured_before_all_sites_were_idle_is_over() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let started = bench.start(CibTicket::default());
    let other = bench.id(1);
    bench.hear_valid(2, other, 5, SECOND, refusal(Command::ReqVote, false));
    let asked = started.sent(|body| matches!(body, PeerBody::Status { .. }));
    let PeerBody::Status { nonce } = asked[0].message.body else { unreachable!() };
    bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, PeerBody::MyIndex { nonce });
    assert_eq!(bench.listed(), Holder::Nobody);
}

/// L9: a reference site rounds what is left of its lease down to whole seconds: it leads also in
/// the last one, and its answer does not end grace.
#[test]
fn a_reference_leader_in_its_last_second_is_not_idle() {
    let mut bench = Bench::new(3, 0, 0, spec("T"));
    let started = bench.start(CibTicket::default());
    let asked = started.sent(|body| matches!(body, PeerBody::Status { .. }));
    let PeerBody::Status { nonce } = asked[0].message.body else { unreachable!() };
    let leader = bench.id(1);
    bench.hear_valid(1, leader, 5, Span::ZERO, PeerBody::Status { nonce: 0 });
    bench.hear_valid(1, leader, 5, Span::ZERO, PeerBody::MyIndex { nonce: 0 });
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, PeerBody::MyIndex { nonce });
    let votes = bench.asked_for_vote(2, 9).sent(|body| matches!(body, PeerBody::Vote { .. }));
    assert!(votes.is_empty(), "its earlier life may be promised to the first site");
}

/// L13: the end that is known is the latest that anybody has stated in that term.
#[test]
fn an_older_answer_does_not_bring_the_end_of_a_lease_forward() {
    let mut bench = Bench::settled(2, 2, 0, spec("T"));
    let leader = bench.id(1);
    let answer = PeerBody::MyIndex { nonce: 9 };
    bench.hear_valid(2, leader, 5, SECOND.times(9), answer);
    bench.hear_valid(3, leader, 5, SECOND, answer);
    assert!(bench.advance(SECOND.times(8)).requests().is_empty(), "its lease may live");
}

/// What only its own store says of a revoke may be old: a leader of that term is followed.
#[test]
fn a_leader_of_a_term_that_only_the_store_calls_revoked_is_followed() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let (owner, term) = (Some(Holder::Nobody), Some(Term::new(5)));
    bench.start(CibTicket { owner, term, ..CibTicket::default() });
    bench.past_grace();
    let answers = bench.heartbeat(1, 5, stamp(7, true));
    assert_eq!(answers.sent(|body| matches!(body, PeerBody::Ack { .. })).len(), 1);
}

/// UPDATE says that the ticket is granted: a leader whose commit is pending answers STATUS without.
#[test]
fn a_pending_leader_does_not_answer_a_starting_member_with_an_update() {
    let mut bench = Bench::settled(2, 1, 0, slow());
    let (_, stood) = bench.grant(PLAIN);
    let won = bench.vote(2, stood.requests()[0].message.term.get());
    assert!(bench.acked_by(&[2], &won).grants().is_empty(), "its commit waits");
    let status = PeerBody::Status { nonce: 77 };
    let deeds = bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, status);
    assert_eq!(deeds.sent(|body| matches!(body, PeerBody::MyIndex { .. })).len(), 1);
    assert!(deeds.updates().is_empty(), "nothing is granted yet");
}

/// L5: an acknowledgement without a round counts for a send of its own kind: a late one of an
/// UPDATE is none of the heartbeat that was sent since.
#[test]
fn an_acknowledgement_of_an_update_without_a_round_is_none_of_a_heartbeat() {
    let mut bench = Bench::three();
    let (_, stood) = bench.grant(PLAIN);
    let term = stood.requests()[0].message.term.get();
    bench.elected(&stood);
    let me = bench.id(0);
    let ack = |of| PeerBody::Ack { of, round: None };
    let late = bench.hear(1, me, term, ack(Command::Update));
    assert!(late.updates().is_empty(), "no lease: {:?}", late.updates());
    assert!(!bench.hear(1, me, term, ack(Command::Heartbeat)).updates().is_empty());
}

/// L5: every reference member that the majority may need hears of a renewal by UPDATE, which is
/// sent again until it is acknowledged, whoever else is sent one meanwhile.
#[test]
fn an_update_is_sent_again_to_each_reference_member() {
    let mut bench = Bench::three();
    let (_, stood) = bench.grant(PLAIN);
    let term = stood.requests()[0].message.term.get();
    bench.elected(&stood);
    let me = bench.id(0);
    for from in [1, 2] {
        let body = PeerBody::Ack { of: Command::Heartbeat, round: None };
        assert_eq!(bench.hear(from, me, term, body).updates().len(), 1);
    }
    let mut again: Vec<usize> =
        bench.advance(SECOND).updates().iter().map(|sent| sent.to).collect();
    again.sort_unstable();
    assert_eq!(again, [1, 2]);
}

/// L10: a reference member's late acknowledgement of an earlier REVOKE does not end that of now.
#[test]
fn an_acknowledgement_of_an_earlier_term_does_not_end_the_announcement() {
    let mut bench = Bench::three();
    bench.hold();
    let (_, revoking) = bench.revoke(PLAIN);
    bench.written(&revoking);
    let term = bench.hold();
    let (_, revoking) = bench.revoke(PLAIN);
    bench.written(&revoking);
    let late = PeerBody::Ack { of: Command::RevokeTicket, round: None };
    bench.hear_valid(1, Holder::Nobody, term - 1, Span::ZERO, late);
    let again = bench.advance(SECOND).announcements();
    assert!(again.iter().any(|sent| sent.to == 1), "it has not heard of this one: {again:?}");
}

/// List: a site that gives up and whose store takes its time goes on renewing its lease: `expires`
/// is the end of it.
#[test]
fn a_ticket_that_is_being_given_up_is_listed_with_the_end_of_its_lease() {
    let mut bench = Bench::three();
    bench.hold();
    bench.revoke(PATIENT);
    let row = bench.row();
    assert_eq!(row.leader, bench.id(0));
    assert_eq!(row.expires, Some(bench.now.wall.plus(SECOND.times(10))));
}

/// List: a commit is pending only at a site that has won.
#[test]
fn no_commit_is_pending_at_a_candidate_that_is_objected_to() {
    let mut bench = Bench::three();
    bench.grant(PATIENT);
    let other = bench.id(1);
    bench.hear_valid(1, other, 0, Span::ZERO, refusal(Command::ReqVote, true));
    assert_eq!(bench.row().commit_pending, None);
}

/// Peers: what was refused together is counted one by one.
#[test]
fn every_datagram_that_found_no_room_is_counted() {
    let mut bench = Bench::three();
    let Holder::Member(from) = bench.id(1) else { unreachable!() };
    let (from, why) = (Some(from), RejectKind::Overflow);
    bench.event(Event::PeerRejected { from, why, count: 3 });
    let counted = bench.peer_rows().into_iter().find(|row| row.member.get() == 1);
    assert_eq!(counted.expect("a member").counters.recv_errors, 3);
}

/// L14: a site whose store names it, but does not say granted, claims nothing: it is not one of
/// several holders in the warning of `list`.
#[test]
fn a_site_that_does_not_hold_a_manual_ticket_is_not_warned_of() {
    let mut bench = Bench::new(2, 1, 0, manual());
    let owner = Some(bench.id(0));
    bench.start(CibTicket { owner, term: Some(Term::new(1)), ..CibTicket::default() });
    let (leader, body) = (bench.id(1), PeerBody::Heartbeat { stamp: stamp(7, false) });
    bench.hear_valid(1, leader, 1, Span::ZERO, body);
    let row = bench.row();
    assert_eq!((row.leader, row.also_granted.len()), (leader, 0));
}

/// A manual ticket that was granted here and revoked again; what was announced.
fn revoked_by_hand(bench: &mut Bench) -> Deeds {
    bench.start(CibTicket::default());
    let (_, deeds) = bench.grant(PLAIN);
    bench.written(&deeds);
    let (_, deeds) = bench.revoke(PLAIN);
    bench.written(&deeds)
}

/// L14: who has acknowledged the REVOKE and names this site all the same, because it was restarted
/// before its store had it, hears it again beside those that have not acknowledged it yet.
#[test]
fn a_member_that_forgot_a_manual_revoke_hears_it_again() {
    let mut bench = Bench::new(2, 1, 0, manual());
    let announced = revoked_by_hand(&mut bench).announcements();
    let to_site = announced.iter().find(|sent| sent.to == 1).expect("it is told");
    bench.ack(to_site);
    assert!(bench.advance(SECOND).announcements().iter().all(|sent| sent.to == 2));
    let me = bench.id(0);
    bench.hear_valid(1, me, 0, Span::ZERO, PeerBody::MyIndex { nonce: 7 });
    assert!(bench.advance(SECOND).announcements().iter().any(|sent| sent.to == 1));
}

/// L14: whoever does not acknowledge the REVOKE of a manual ticket hears it once a minute, not
/// every `timeout` for good.
#[test]
fn a_manual_revoke_that_nobody_hears_is_repeated_once_a_minute() {
    let mut bench = Bench::new(2, 1, 0, manual());
    revoked_by_hand(&mut bench);
    bench.advance(SECOND.times(60));
    let later = bench.advance(SECOND.times(600)).announcements();
    let count = later.iter().filter(|sent| sent.to == 1).count();
    assert!((9..=11).contains(&count), "{count} in ten minutes");
}

/// Answers: a client whose grant of a held manual ticket is overtaken by a revoke hears of it.
#[test]
fn a_manual_grant_that_a_revoke_overtakes_is_answered() {
    let mut bench = Bench::new(2, 1, 0, manual());
    bench.start(CibTicket::default());
    let (_, deeds) = bench.grant(PLAIN);
    bench.written(&deeds);
    let (again, _) = bench.grant(PATIENT);
    let (client, revoking) = bench.revoke(PLAIN);
    let done = bench.written(&revoking);
    assert_eq!(done.final_answer(client), Some(ResultCode::Success));
    assert_eq!(done.final_answer(again), Some(ResultCode::SyncFail));
}
