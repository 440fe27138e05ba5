// SPDX-License-Identifier: GPL-2.0-or-later
//! What `booth list` and `booth peers` show of a ticket's state.

use super::bench::{stamp, Bench, World, SECOND};
use super::cluster::spec;
use crate::engine::{CibLoad, CibOutcome, CibTicket, Event, Remark};
use crate::model::{Holder, TicketSpec};
use crate::wire::ClientOptions;

/// The holder, its expiry at the lease's end, and nothing else while all is well.
#[test]
pub fn a_held_ticket_is_listed_with_its_expiry() {
    let mut bench = Bench::three();
    bench.hold();
    let row = bench.row();
    assert_eq!(row.leader, bench.id(0));
    assert_eq!(row.expires, Some(bench.now.wall.plus(SECOND.times(10))));
    assert_eq!((row.commit_pending, row.remarks, row.manual), (None, Vec::new(), false));
    bench.advance(SECOND.times(3));
    assert_eq!(bench.row().expires, Some(bench.now.wall.plus(SECOND.times(7))));
}

/// A commit that waits is listed at the leader, with its end.
#[test]
pub fn a_pending_commit_is_listed() {
    let slow = TicketSpec { acquire_after: SECOND.times(5), ..spec("T") };
    let mut bench = Bench::settled(2, 1, 0, slow);
    let (_, stood) = bench.grant(ClientOptions { wait_commit: true, ..ClientOptions::default() });
    let won = bench.vote(2, stood.requests()[0].message.term.get());
    bench.acked_by(&[2], &won);
    assert_eq!(bench.row().commit_pending, Some(bench.now.wall.plus(SECOND.times(5))));
    bench.acked_by(&[1], &won);
    assert_eq!(bench.row().commit_pending, None);
}

/// What takes long or fails stands in the line, with the time since when.
#[test]
pub fn slow_and_failing_things_are_listed() {
    let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
    let asked_at = bench.now.wall;
    let (_, deeds) = bench.grant(ClientOptions { wait: true, ..ClientOptions::default() });
    assert_eq!(bench.row().remarks, []);
    bench.advance(SECOND);
    assert_eq!(bench.row().remarks, [Remark::HandlerRunning(asked_at)]);
    let stood = bench.probed(&deeds, crate::engine::ProbeOutcome::Success);
    let won = bench.elected(&stood);
    let wrote_at = bench.now.wall;
    let leased = bench.acked_by_all(&won);
    assert_eq!(bench.row().remarks, []);
    bench.advance(SECOND);
    assert_eq!(bench.row().remarks, [Remark::CibSlow(wrote_at)]);
    let failed_at = bench.now.wall;
    bench.wrote(leased.grants()[0].0, CibOutcome::Failed("exit 1".into()));
    assert_eq!(bench.row().remarks, [Remark::CibFailing(failed_at)]);
    let again = bench.advance(SECOND);
    bench.written(&again);
    assert_eq!(bench.row().remarks, []);
}

/// What takes long or fails is shown by the clock as it is now: it may have been set since.
#[test]
pub fn times_are_those_of_a_clock_that_has_been_set() {
    for ahead in [-36_000i64, 36_000] {
        let mut bench = Bench::settled(2, 1, 0, TicketSpec { has_handler: true, ..spec("T") });
        let set = |bench: &mut Bench| {
            let by = SECOND.times(ahead.unsigned_abs());
            let wall = bench.now.wall;
            bench.now.wall = if ahead < 0 { wall.minus(by) } else { wall.plus(by) };
            bench.now.wall
        };
        let (_, deeds) = bench.grant(ClientOptions { wait: true, ..ClientOptions::default() });
        let asked_at = set(&mut bench);
        assert_eq!(bench.row().remarks, [], "it has only begun");
        bench.advance(SECOND);
        assert_eq!(bench.row().remarks, [Remark::HandlerRunning(asked_at)]);
        let stood = bench.probed(&deeds, crate::engine::ProbeOutcome::Success);
        let won = bench.elected(&stood);
        let leased = bench.acked_by_all(&won);
        let wrote_at = set(&mut bench);
        bench.advance(SECOND);
        assert_eq!(bench.row().remarks, [Remark::CibSlow(wrote_at)]);
        bench.wrote(leased.grants()[0].0, CibOutcome::Failed("exit 1".into()));
        let failed_at = set(&mut bench);
        assert_eq!(bench.row().remarks, [Remark::CibFailing(failed_at)]);
    }
}

/// A member that is starting says so: until its store is read, then until its grace ends.
#[test]
pub fn a_starting_member_is_listed_as_such() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    bench.event(Event::Start);
    assert_eq!(bench.row().remarks, [Remark::StartingUp(None)]);
    bench.loaded(CibLoad::Loaded(CibTicket::default()));
    let [Remark::StartingUp(Some(until))] = bench.row().remarks[..] else { panic!("grace") };
    assert!(until >= bench.now.wall.plus(SECOND.times(11)), "E + g + d");
    bench.past_grace();
    assert_eq!(bench.row().remarks, []);
}

/// Every other member has a row, with what was sent, sent again and heard.
#[test]
pub fn peers_are_listed_with_their_counters() {
    let mut bench = Bench::three();
    let before = bench.peer_rows();
    assert_eq!(before.iter().map(|row| row.member.get()).collect::<Vec<_>>(), [1, 2]);
    assert!(before.iter().all(|row| row.last_recv.is_none() && row.counters.received == 0));
    bench.hold();
    let heard = bench.now.wall;
    bench.play(SECOND.times(8), &World { acks: vec![1], ..World::kind() });
    let after = bench.peer_rows();
    assert_eq!(after[0].counters.resends, before[0].counters.resends);
    assert_eq!(after[1].counters.resends, before[1].counters.resends + 3);
    assert!(after.iter().all(|row| row.counters.received >= 3));
    assert_eq!(after[1].last_recv, Some(heard));
    assert!(after[0].last_recv > Some(heard));
    // A step of the wall clock makes it neither older nor younger.
    bench.now.wall = bench.now.wall.minus(SECOND.times(3_600));
    let stepped = bench.peer_rows();
    assert_eq!(stepped[1].last_recv, Some(heard.minus(SECOND.times(3_600))));
}

/// A holder that is not heard of any more is unknown once its time has passed; a ticket that was
/// revoked has none.
#[test]
pub fn a_lost_holder_is_listed_as_unknown() {
    let mut bench = Bench::settled(2, 1, 2, spec("T"));
    bench.heartbeat(1, 3, stamp(7, true));
    assert_eq!(bench.listed(), bench.id(1));
    bench.advance(SECOND.times(9));
    assert_eq!(bench.listed(), bench.id(1));
    bench.advance(SECOND.times(2));
    assert_eq!(bench.listed(), Holder::Unknown);
}
