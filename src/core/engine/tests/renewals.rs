// SPDX-License-Identifier: GPL-2.0-or-later
//! What a leader sends, how often, and what acknowledgements give it (L5, L12).

use super::bench::{round, Bench, Deeds, World, SECOND};
use super::cluster::spec;
use crate::engine::{CibOutcome, Effect, StoreWish};
use crate::model::{Holder, TicketSpec};
use crate::time::{MonoTime, Span};
use crate::wire::{ClientOptions, Command, PeerBody, ResultCode};
use std::collections::BTreeSet;

/// A ticket whose lease outlives all retries: `E` 60 s, `R` 30 s.
fn long(retries: u32) -> TicketSpec {
    TicketSpec { expire: SECOND.times(60), renewal: SECOND.times(30), retries, ..spec("T") }
}

/// A site of three that has just been elected for an administrator's grant.
fn winner(spec: TicketSpec) -> (Bench, Deeds) {
    let mut bench = Bench::settled(2, 1, 0, spec);
    let (_, stood) = bench.grant(ClientOptions::default());
    let won = bench.elected(&stood);
    (bench, won)
}

/// The end of the lease that the shell was told last.
fn lease_until(deeds: &Deeds) -> Option<MonoTime> {
    deeds.windows().last().copied().flatten().map(|window| window.lease_until)
}

/// L5: an acknowledgement that comes late counts for its own send; eight sends are remembered.
#[test]
pub fn a_late_acknowledgement_counts_for_its_own_send() {
    let (mut bench, won) = winner(long(10));
    let began = bench.now.mono;
    let again = bench.advance(SECOND.times(7));
    assert_eq!(again.heartbeats().len(), 14, "two members, seven resends");
    let leased = bench.ack(&won.heartbeats()[0]);
    assert_eq!(lease_until(&leased), Some(began.plus(SECOND.times(60))));
    assert_eq!(leased.grants().len(), 1);
    let fourth = &again.heartbeats()[6];
    let longer = bench.ack(fourth);
    assert_eq!(lease_until(&longer), Some(fourth.at.plus(SECOND.times(60))), "it grows");
    let older = bench.ack(&again.heartbeats()[1]);
    assert!(older.windows().is_empty(), "and never shrinks");
}

/// L5: the lease ends before the commit's wait for a silent site is over; late acknowledgements of
/// newer sends do not bring it back.
#[test]
pub fn a_lease_that_has_ended_is_not_revived() {
    let waiting = TicketSpec { acquire_after: SECOND.times(55), ..long(10) };
    let mut bench = Bench::settled(4, 1, 0, waiting);
    let (_, stood) = bench.grant(ClientOptions::default());
    let won = bench.elected(&stood);
    let began = bench.now.mono;
    bench.acked_by(&[1, 2], &won);
    let later = bench.advance(SECOND.times(40));
    let newer = |member: usize| later.heartbeats().into_iter().rfind(|sent| sent.to == member);
    let newer = [newer(1), newer(2)].map(|sent| sent.expect("it goes on renewing"));
    assert!(newer[0].at > began.plus(SECOND.times(25)) && later.grants().is_empty());
    let ended = bench.advance(SECOND.times(17));
    assert!(ended.grants().is_empty(), "the lease was over first");
    let mut granted: Vec<_> = newer.iter().flat_map(|sent| bench.ack(sent).grants()).collect();
    granted.extend(bench.advance(SECOND.times(30)).grants());
    assert!(granted.is_empty());
}

/// L5: every send has a round of its own, the next one of its member.
#[test]
pub fn every_send_has_its_own_round() {
    let (mut bench, won) = winner(long(10));
    let mut sent = won.heartbeats();
    sent.extend(bench.advance(SECOND.times(5)).heartbeats());
    for member in [1, 2] {
        let rounds: Vec<u32> =
            sent.iter().filter(|s| s.to == member).map(|s| round(&s.message.body)).collect();
        assert_eq!(rounds.len(), 6);
        assert!(rounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{rounds:?}");
    }
}

/// L5: the lease counts from the majority-th most recent acknowledged send.
#[test]
pub fn a_lease_needs_a_majority_and_counts_from_its_oldest_send() {
    let mut bench = Bench::settled(3, 2, 0, long(10));
    let (_, stood) = bench.grant(ClientOptions::default());
    let won = bench.elected(&stood);
    let began = bench.now.mono;
    let again = bench.advance(SECOND);
    let to = |deeds: &Deeds, member: usize| {
        deeds.heartbeats().into_iter().find(|sent| sent.to == member).expect("a heartbeat")
    };
    let one = bench.ack(&to(&again, 1));
    assert!(one.windows().is_empty() && one.grants().is_empty(), "two of five");
    let two = bench.ack(&to(&won, 2));
    assert_eq!(lease_until(&two), Some(began.plus(SECOND.times(60))), "its first send");
    let three = bench.ack(&to(&again, 3));
    assert_eq!(lease_until(&three), Some(began.plus(SECOND.times(61))));
}

/// L5: only who acknowledges this leader in this term counts.
#[test]
pub fn acknowledgements_of_another_term_or_leader_give_nothing() {
    let (mut bench, won) = winner(long(10));
    let sent = &won.heartbeats()[0];
    let PeerBody::Heartbeat { stamp } = sent.message.body else { panic!("a heartbeat") };
    let body = PeerBody::Ack { of: Command::Heartbeat, round: stamp.round };
    let term = sent.message.term.get();
    let me = bench.id(0);
    for (leader, term) in [(bench.id(1), term), (Holder::Nobody, term), (me, term - 1)] {
        let deeds = bench.hear(sent.to, leader, term, body);
        assert!(deeds.windows().is_empty() && deeds.grants().is_empty());
    }
    assert_eq!(bench.hear(sent.to, me, term, body).grants().len(), 1);
}

/// L5: when the retries are used up without a majority, a new renewal begins at once.
#[test]
pub fn a_new_renewal_follows_one_that_nobody_acknowledged() {
    let mut bench = Bench::settled(2, 1, 0, long(3));
    bench.hold();
    let held = bench.now.mono;
    let sent = bench.advance(SECOND.times(45)).heartbeats();
    let fresh: BTreeSet<u64> =
        sent.iter().filter(|s| !s.resend).map(|s| s.at.since(held).as_secs()).collect();
    assert_eq!(fresh.into_iter().collect::<Vec<_>>(), [30, 34, 38, 42]);
    let all: BTreeSet<u64> = sent.iter().map(|s| s.at.since(held).as_secs()).collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), (30..=45).collect::<Vec<_>>());
}

/// P6: who has acknowledged is left alone; the others get it again every `timeout`,
/// `retries` times, and then wait for the next renewal.
#[test]
pub fn resends_go_to_those_who_have_not_acknowledged() {
    let mut bench = Bench::settled(2, 1, 0, long(3));
    bench.hold();
    let held = bench.now.mono;
    let world = World { acks: vec![1], ..World::kind() };
    let deeds = bench.play(SECOND.times(95), &world);
    let to = |member: usize| -> Vec<u64> {
        let sent = deeds.heartbeats();
        sent.iter().filter(|s| s.to == member).map(|s| s.at.since(held).as_secs()).collect()
    };
    assert_eq!(to(1), [30, 60, 90]);
    assert_eq!(to(2), [30, 31, 32, 33, 60, 61, 62, 63, 90, 91, 92, 93]);
    assert_eq!(deeds.grants().len(), 3, "one write per renewal");
    let marked =
        deeds.heartbeats().iter().all(|s| s.resend == (s.at.since(held).as_secs() % 30 != 0));
    assert!(marked, "resends are counted as such");
}

/// L5, L9: heartbeats state the full `expire`, and are established once there is a lease.
#[test]
pub fn a_heartbeat_states_what_its_sender_has() {
    let (mut bench, won) = winner(long(3));
    for sent in won.heartbeats() {
        let PeerBody::Heartbeat { stamp } = sent.message.body else { panic!("a heartbeat") };
        assert!(!stamp.established, "no lease yet");
        assert_eq!(sent.message.valid_for, SECOND.times(60));
        assert_eq!(sent.message.leader, bench.id(0));
    }
    let leased = bench.acked_by_all(&won);
    let granted = bench.written(&leased);
    assert_eq!(granted.updates().len(), 2, "everyone is told of the grant");
    bench.acked_by_all(&granted);
    for sent in bench.advance(SECOND.times(30)).heartbeats() {
        let PeerBody::Heartbeat { stamp } = sent.message.body else { panic!("a heartbeat") };
        assert!(stamp.established);
    }
}

/// P6: UPDATE is sent again to those who have not acknowledged it, `retries` times.
#[test]
pub fn an_update_is_sent_again_until_it_is_heard() {
    let (mut bench, won) = winner(long(3));
    let leased = bench.acked_by_all(&won);
    let granted = bench.written(&leased);
    let first = granted.updates().into_iter().find(|sent| sent.to == 1).expect("an update");
    bench.ack(&first);
    let again = bench.advance(SECOND.times(20)).updates();
    let to: Vec<usize> = again.iter().map(|sent| sent.to).collect();
    assert_eq!(to, [2, 2, 2]);
}

/// L12, L7: a winner that no majority acknowledges within `timeout * (retries + 1)` gives up, and
/// the client hears that it failed.
#[test]
pub fn a_winner_that_nobody_follows_gives_up() {
    let mut bench = Bench::settled(2, 1, 0, long(3));
    let (client, stood) = bench.grant(ClientOptions::default());
    bench.elected(&stood);
    let waiting = bench.advance(Span::from_millis(3_999));
    assert_eq!(waiting.final_answer(client), None);
    let over = bench.advance(SECOND);
    assert_eq!(over.final_answer(client), Some(ResultCode::SyncFail));
    let later = bench.advance(SECOND.times(2));
    assert!(later.heartbeats().is_empty() && later.grants().is_empty());
}

/// L12: votes that come after `timeout` do not count, nor do those of another term.
#[test]
pub fn late_votes_do_not_count() {
    let mut bench = Bench::settled(2, 1, 0, long(3));
    let (_, stood) = bench.grant(ClientOptions::default());
    let term = stood.requests()[0].message.term.get();
    assert!(bench.vote(1, term + 1).heartbeats().is_empty(), "another term");
    bench.advance(SECOND);
    assert!(bench.vote(1, term).heartbeats().is_empty(), "too late");
}

/// L5: the shell is told a longer window with every renewal, before the write that needs it.
#[test]
pub fn the_window_moves_on_before_each_write() {
    let mut bench = Bench::settled(2, 1, 0, long(3));
    bench.hold();
    let deeds = bench.play(SECOND.times(100), &World::kind());
    assert_eq!(deeds.grants().len(), 3);
    let mut newest = None;
    let mut told = None;
    for (at, effect) in &deeds.0 {
        match effect {
            Effect::Store(StoreWish::Hold { window, .. }) => told = *window,
            Effect::Store(StoreWish::WriteCib { state, .. }) if state.granted => {
                let window = told.take().expect("a new window before each write");
                assert!(Some(window.lease_until) > newest);
                assert_eq!(window.lease_until, at.plus(SECOND.times(60)));
                newest = Some(window.lease_until);
            }
            _ => {}
        }
    }
    assert_eq!(World::kind().grants, Some(CibOutcome::Written));
}
