// SPDX-License-Identifier: GPL-2.0-or-later
//! How the daemon is: what its threads count, for reports.
#![forbid(unsafe_code)]

use crate::model::{MemberIndex, MEMBERS_MAX};
use crate::report;
use crate::time::{Span, WallTime};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::Arc;

/// What the threads count; shared by all.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    steps: AtomicU64,
    longest_round: AtomicU64,
    slow_rounds: AtomicU64,
    longest_pause: AtomicU64,
    queue_drops: AtomicU64,
    replays: AtomicU64,
    refused_requests: AtomicU64,
    /// Per member, how far its clock is ahead in microseconds; [`NO_OFFSET`]: not known.
    offsets: Offsets,
}

#[derive(Debug)]
struct Offsets([AtomicI64; MEMBERS_MAX]);

/// No packet has told.
const NO_OFFSET: i64 = i64::MIN;

impl Default for Offsets {
    fn default() -> Offsets {
        Offsets([const { AtomicI64::new(NO_OFFSET) }; MEMBERS_MAX])
    }
}

impl Health {
    /// The engine's loop has gone round once more.
    pub fn note_round(&self, steps: u64, took: Span, slow: bool) {
        self.0.steps.store(steps, Ordering::Relaxed);
        self.0.longest_round.fetch_max(took.as_micros(), Ordering::Relaxed);
        self.0.slow_rounds.fetch_add(u64::from(slow), Ordering::Relaxed);
    }

    /// The process stood still for so long.
    pub fn note_pause(&self, late: Span) {
        self.0.longest_pause.fetch_max(late.as_micros(), Ordering::Relaxed);
    }

    /// A datagram was lost because the engine's queue was full.
    pub fn note_drop(&self) {
        self.0.queue_drops.fetch_add(1, Ordering::Relaxed);
    }

    /// A datagram was refused that had come before.
    pub fn note_replay(&self) {
        self.0.replays.fetch_add(1, Ordering::Relaxed);
    }

    /// A request of a client was refused.
    pub fn note_refused(&self) {
        self.0.refused_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A member's packet stated this time when it came.
    pub fn note_stamp(&self, member: MemberIndex, stamp: WallTime, now: WallTime) {
        let ahead = i64::try_from(stamp.since(now).as_micros()).unwrap_or(i64::MAX);
        let behind = i64::try_from(now.since(stamp).as_micros()).unwrap_or(i64::MAX);
        if let Some(offset) = self.0.offsets.0.get(member.get()) {
            offset.store(ahead.saturating_sub(behind), Ordering::Relaxed);
        }
    }

    /// What packets said of the clocks of members is not to be believed.
    pub(super) fn forget_stamps(&self) {
        let offsets = self.0.offsets.0.iter();
        offsets.for_each(|offset| offset.store(NO_OFFSET, Ordering::Relaxed));
    }

    /// How far a member's clock is ahead in microseconds, the way of its packet included.
    pub fn offset(&self, member: MemberIndex) -> Option<i64> {
        let offset = self.0.offsets.0.get(member.get())?.load(Ordering::Relaxed);
        (offset != NO_OFFSET).then_some(offset)
    }

    /// All of it, for a report.
    pub fn report(&self) -> report::Health {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let seconds = |micros: &AtomicU64| Span::from_micros(count(micros)).as_duration();
        report::Health {
            steps: count(&self.0.steps),
            longest_round_seconds: seconds(&self.0.longest_round).as_secs_f64(),
            slow_rounds: count(&self.0.slow_rounds),
            longest_pause_seconds: seconds(&self.0.longest_pause).as_secs_f64(),
            queue_drops: count(&self.0.queue_drops),
            replays: count(&self.0.replays),
            refused_requests: count(&self.0.refused_requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_known_once_a_packet_has_told() {
        let health = Health::default();
        let member = MemberIndex::new(1).expect("an index");
        assert_eq!(health.offset(member), None);
        let (now, ahead) = (WallTime::from_secs(100), WallTime::from_secs(103));
        health.note_stamp(member, ahead, now);
        assert_eq!(health.offset(member), Some(3_000_000));
        health.note_stamp(member, now, ahead);
        assert_eq!(health.offset(member), Some(-3_000_000));
        assert_eq!(health.offset(MemberIndex::new(2).expect("an index")), None);
    }
}
