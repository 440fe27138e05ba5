// SPDX-License-Identifier: GPL-2.0-or-later
//! The replay guard, case by case (L15). `replay_model` compares it with a naive one.

use crate::auth::envelope::Proof;
use crate::auth::{AuthError, ReplayGuard};
use crate::model::MemberId;
use crate::time::{Span, WallTime};

const SKEW: Span = Span::from_secs(600);
const A: MemberId = MemberId::from_raw(1);
const B: MemberId = MemberId::from_raw(2);

fn proof(from: MemberId, secs: u64, mac: u64) -> Option<Proof> {
    Some(Proof { from, secs, mac })
}

fn at(secs: u64) -> WallTime {
    WallTime::from_secs(secs)
}

fn guard(room: usize) -> ReplayGuard {
    ReplayGuard::with_room_for(room, [A, B], SKEW)
}

#[test]
fn the_same_packet_comes_in_once() {
    let mut guard = guard(100);
    assert_eq!(guard.admit(proof(A, 5_000, 7), at(5_000)), Ok(()));
    let replay = Err(AuthError::Replay { from: A });
    for wall in [5_000, 5_001, 5_600] {
        assert_eq!(guard.admit(proof(A, 5_000, 7), at(wall)), replay);
    }
}

#[test]
fn another_sender_stamp_or_mac_is_another_packet() {
    let mut guard = guard(100);
    for (from, secs, mac) in [(A, 5_000, 7), (B, 5_000, 7), (A, 5_001, 7), (A, 5_000, 8)] {
        assert_eq!(guard.admit(proof(from, secs, mac), at(5_000)), Ok(()));
    }
    assert_eq!(guard.remembered(), 4);
}

#[test]
fn late_and_reordered_packets_are_no_replays() {
    let mut guard = guard(100);
    for secs in [5_000, 4_990, 4_401, 5_600, 4_995] {
        assert_eq!(guard.admit(proof(A, secs, 1), at(5_000)), Ok(()), "stamped {secs}");
    }
}

#[test]
fn what_is_older_than_the_skew_is_forgotten_and_stays_out() {
    let mut guard = guard(100);
    assert_eq!(guard.admit(proof(A, 5_000, 1), at(5_000)), Ok(()));
    assert_eq!(guard.admit(proof(A, 5_601, 2), at(5_601)), Ok(()));
    assert_eq!(guard.remembered(), 1);
    // Our clock goes back a little: the old packet is young enough again, and yet refused.
    let forgotten = Err(AuthError::Forgotten { from: A, after: at(5_000) });
    assert_eq!(guard.admit(proof(A, 5_000, 1), at(5_590)), forgotten);
    assert_eq!(guard.admit(proof(A, 5_001, 1), at(5_590)), Ok(()));
}

#[test]
fn a_flood_of_one_member_shortens_its_window_and_no_other() {
    let mut guard = guard(10);
    assert_eq!(guard.admit(proof(B, 4_900, 1), at(5_000)), Ok(()));
    for number in 0..1_000 {
        let secs = 5_000 + number / 5;
        assert_eq!(guard.admit(proof(A, secs, number), at(secs)), Ok(()), "packet {number}");
        assert!(guard.remembered() <= 11, "bounded after packet {number}");
    }
    let forgotten = Err(AuthError::Forgotten { from: A, after: at(5_197) });
    assert_eq!(guard.admit(proof(A, 5_197, 989), at(5_199)), forgotten);
    assert_eq!(guard.admit(proof(A, 5_199, 999), at(5_199)), Err(AuthError::Replay { from: A }));
    assert_eq!(guard.admit(proof(B, 4_900, 1), at(5_199)), Err(AuthError::Replay { from: B }));
    assert_eq!(guard.admit(proof(B, 4_901, 1), at(5_199)), Ok(()));
}

#[test]
fn the_present_second_is_never_forgotten_for_lack_of_room() {
    let mut guard = guard(10);
    for number in 0..10 {
        assert_eq!(guard.admit(proof(A, 5_000, number), at(5_000)), Ok(()));
    }
    let crowded = Err(AuthError::Crowded { from: A });
    assert_eq!(guard.admit(proof(A, 5_000, 10), at(5_000)), crowded);
    assert_eq!(guard.admit(proof(A, 5_100, 11), at(5_000)), crowded);
    for number in 0..10 {
        let replay = Err(AuthError::Replay { from: A });
        assert_eq!(guard.admit(proof(A, 5_000, number), at(5_000)), replay);
    }
    assert_eq!(guard.admit(proof(A, 5_001, 12), at(5_001)), Ok(()));
}

#[test]
fn a_late_packet_makes_no_room_for_itself_in_a_full_window() {
    let mut guard = guard(10);
    for secs in 5_000..5_010 {
        assert_eq!(guard.admit(proof(A, secs, 1), at(5_020)), Ok(()));
    }
    let crowded = Err(AuthError::Crowded { from: A });
    assert_eq!(guard.admit(proof(A, 4_999, 1), at(5_020)), crowded);
    assert_eq!(guard.admit(proof(A, 5_000, 2), at(5_020)), crowded);
    for secs in 5_000..5_010 {
        let replay = Err(AuthError::Replay { from: A });
        assert_eq!(guard.admit(proof(A, secs, 1), at(5_020)), replay, "{secs} is remembered");
    }
}

#[test]
fn after_a_great_set_back_a_small_one_forgets_nothing() {
    let mut guard = guard(10);
    assert_eq!(guard.admit(proof(A, 9_000, 1), at(9_000)), Ok(()));
    for secs in 5_000..5_020 {
        assert_eq!(guard.admit(proof(A, secs, 1), at(secs)), Ok(()));
    }
    let forgotten = Err(AuthError::Forgotten { from: A, after: at(5_009) });
    assert_eq!(guard.admit(proof(A, 5_009, 1), at(5_019)), forgotten);
    assert_eq!(guard.admit(proof(A, 5_009, 1), at(5_001)), forgotten);
}

#[test]
fn a_clock_set_back_by_more_than_the_skew_does_not_shut_members_out() {
    let mut guard = guard(10);
    for secs in 9_000..10_000 {
        assert_eq!(guard.admit(proof(A, secs, 1), at(secs)), Ok(()));
    }
    // Both clocks ran 5000 s ahead and are right now.
    for secs in 5_000..5_700 {
        assert_eq!(guard.admit(proof(A, secs, 1), at(secs)), Ok(()), "stamped {secs}");
        assert_eq!(guard.admit(proof(A, secs, 1), at(secs)), Err(AuthError::Replay { from: A }));
    }
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_forgets_no_floor() {
    let mut guard = guard(10);
    assert_eq!(guard.admit(proof(A, 5_000, 1), at(5_000)), Ok(()));
    // Our clock jumps ahead and is set right; the member's was right all the time.
    assert_eq!(guard.admit(proof(A, 8_500, 2), at(9_000)), Ok(()));
    let forgotten = Err(AuthError::Forgotten { from: A, after: at(5_000) });
    assert_eq!(guard.admit(proof(A, 5_000, 1), at(5_002)), forgotten);
    assert_eq!(guard.admit(proof(A, 5_002, 3), at(5_002)), Ok(()));
}

#[test]
fn strangers_are_refused_and_cost_nothing() {
    let mut guard = guard(10);
    for number in 0..1_000 {
        let from = MemberId::from_raw(100 + u32::try_from(number).expect("small"));
        let stranger = Err(AuthError::Stranger { from });
        assert_eq!(guard.admit(proof(from, 5_000, number), at(5_000)), stranger);
    }
    assert_eq!(guard.remembered(), 0);
}

#[test]
fn without_authentication_everything_passes() {
    let mut guard = guard(10);
    for _ in 0..100 {
        assert_eq!(guard.admit(None, at(5_000)), Ok(()));
    }
    assert_eq!(guard.remembered(), 0);
}

/// Found with real daemons: the clock was hours ahead, then right, then a little behind.
#[test]
fn a_clock_that_was_ahead_may_be_set_back_twice() {
    let mut guard = guard(100);
    for (mac, now) in (1..).zip([100_000, 114_400, 100_020, 99_720, 99_430]) {
        assert_eq!(guard.admit(proof(A, now, mac), at(now)), Ok(()), "at {now}");
    }
}
