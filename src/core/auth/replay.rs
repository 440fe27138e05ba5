// SPDX-License-Identifier: GPL-2.0-or-later
//! Remembers accepted authenticated packets, so that none is accepted twice (`RULES.md` L15).
//!
//! Every member has a window of stamps, in whole seconds. A packet inside the window is accepted if
//! its MAC (which covers sender and stamp) is not among those remembered for its second. The lower
//! edge of the window, the *floor*, is the newest second that was forgotten. A packet stamped at or
//! before it is never accepted. So lack of memory never causes a replay to be accepted: what is
//! forgotten is refused.
//!
//! Seconds are forgotten when they are older than `maxtimeskew`; the opener refuses them anyway. If
//! [`REMEMBERED_MAX`] packets of one member are remembered, the oldest second is forgotten, too. So
//! the window gets shorter under a flood: fresh packets are still accepted, and only late ones are
//! lost. Only past seconds are forgotten for lack of room. If there are none (the member's clock is
//! ahead of ours, and it floods us), new packets are refused.
//!
//! Only those who have the key can add an entry, and only to the window of the member that the
//! packet names. So nobody else can push entries out, and a faulty member does not affect the
//! others.
//!
//! If our clock is set back by more than `maxtimeskew`, a floor in the future is dropped, at once
//! or when the clock is set back a little more. So are seconds that no opener accepts now.
//! Otherwise they would shut the member out, or fill the window, until the clock reaches them
//! again. An old packet can pass this guard again only in this case and after a restart of the
//! process. What members and clients of ours send is also bound to the receiver's life
//! ([`super::Bond`]). No rule of `RULES.md` except L15 depends on this guard; the others tolerate
//! packets of any age.

use super::envelope::Proof;
use super::error::AuthError;
use crate::model::MemberId;
use crate::time::{Span, WallTime};
use alloc::collections::{BTreeMap, BTreeSet};

/// The most packets of one member that are remembered.
///
/// 10 000 tickets that are renewed every 30 s with two packets each are 400 000 packets in 600 s,
/// and as many again if the member's clock is 600 s ahead. Each takes about 17 bytes (measured): 17
/// MiB for a member that sends 1750 packets per second for ten minutes, 3.3 MB for 10 000 tickets
/// with one packet each in 30 s, 0.1 MB at one packet per second.
pub const REMEMBERED_MAX: usize = 1 << 20;

/// The accepted packets of all members, which must not be accepted again.
#[derive(Clone, Debug)]
pub struct ReplayGuard {
    max_skew: Span,
    remembered_max: usize,
    windows: BTreeMap<MemberId, Window>,
}

/// The accepted packets of one member.
#[derive(Clone, Debug, Default)]
struct Window {
    /// Fingerprints of MACs by the seconds of their stamp. No entry is empty, and none is at or
    /// below the floor.
    seconds: BTreeMap<u64, BTreeSet<u64>>,
    /// How many MACs there are in all seconds.
    count: usize,
    /// The newest second that was forgotten.
    floor: Option<u64>,
    /// The newest second that our clock has shown since it was last set back.
    shown: u64,
    /// The floor that was kept when our clock was last set back by more than the skew.
    kept_floor: Option<u64>,
}

impl ReplayGuard {
    /// A guard for the packets of these members, with the `max_skew` of the opener.
    pub fn new(members: impl IntoIterator<Item = MemberId>, max_skew: Span) -> ReplayGuard {
        ReplayGuard::with_room_for(REMEMBERED_MAX, members, max_skew)
    }

    /// A guard that remembers at most `remembered_max` packets (at least 1) of each member.
    pub fn with_room_for(
        remembered_max: usize,
        members: impl IntoIterator<Item = MemberId>,
        max_skew: Span,
    ) -> ReplayGuard {
        let windows = members.into_iter().map(|member| (member, Window::default())).collect();
        ReplayGuard { max_skew, remembered_max: remembered_max.max(1), windows }
    }

    /// Accepts a packet and remembers it, or says why not. `wall` is the time at which it was
    /// opened. A packet without authentication (`None`) is always accepted.
    ///
    /// # Errors
    /// It was or may have been accepted before, there is no room to remember it, or its sender is
    /// not a member.
    pub fn admit(&mut self, proof: Option<Proof>, wall: WallTime) -> Result<(), AuthError> {
        let Some(proof) = proof else {
            return Ok(());
        };
        let from = proof.from;
        let Some(window) = self.windows.get_mut(&from) else {
            return Err(AuthError::Stranger { from });
        };
        window.notice_set_back(wall, self.max_skew);
        window.forget_aged(wall, self.max_skew);
        if let Some(floor) = window.floor.filter(|floor| proof.secs <= *floor) {
            return Err(AuthError::Forgotten { from, after: WallTime::from_secs(floor) });
        }
        if window.has(proof) {
            return Err(AuthError::Replay { from });
        }
        if window.count >= self.remembered_max && !window.make_room(proof.secs, wall) {
            return Err(AuthError::Crowded { from });
        }
        window.add(proof);
        assert!(window.count <= self.remembered_max, "a window stays within its bound");
        Ok(())
    }

    /// How many packets of all members are remembered.
    pub fn remembered(&self) -> usize {
        self.windows.values().map(|window| window.count).sum()
    }
}

impl Window {
    /// Drops what lies in the future if our clock was set back by more than the skew.
    fn notice_set_back(&mut self, wall: WallTime, max_skew: Span) {
        let newest = wall.plus(max_skew).as_secs();
        if newest < self.shown {
            self.shown = 0;
            self.floor = self.floor.filter(|floor| *floor < wall.as_secs());
            self.kept_floor = self.floor;
            while let Some(last) = self.seconds.last_entry().filter(|last| *last.key() > newest) {
                self.count -= last.remove().len();
            }
        }
        self.shown = self.shown.max(wall.as_secs());
        // The floor dates from when the clock was wrong, which was set back once more, by less.
        let shuts_out = |floor: &u64| self.kept_floor == Some(*floor) && *floor >= wall.as_secs();
        if self.floor.as_ref().is_some_and(shuts_out) {
            self.floor = None;
        }
    }

    /// Forgets the seconds that no opener accepts any longer.
    fn forget_aged(&mut self, wall: WallTime, max_skew: Span) {
        let oldest = wall.minus(max_skew).as_secs();
        while self.first_second().is_some_and(|second| second < oldest) {
            self.forget_first();
        }
    }

    /// Makes room for a packet of this second: forgets the oldest second if that is before both the
    /// packet's and the current one. Returns whether there is room now.
    fn make_room(&mut self, second: u64, wall: WallTime) -> bool {
        match self.first_second() {
            Some(first) if first < second && first < wall.as_secs() => {
                self.forget_first();
                true
            }
            Some(_) | None => false,
        }
    }

    fn first_second(&self) -> Option<u64> {
        self.seconds.first_key_value().map(|(second, _)| *second)
    }

    fn forget_first(&mut self) {
        if let Some((second, macs)) = self.seconds.pop_first() {
            self.count -= macs.len();
            self.floor = self.floor.max(Some(second));
        }
    }

    fn has(&self, proof: Proof) -> bool {
        self.seconds.get(&proof.secs).is_some_and(|macs| macs.contains(&proof.mac))
    }

    fn add(&mut self, proof: Proof) {
        if self.seconds.entry(proof.secs).or_default().insert(proof.mac) {
            self.count += 1;
        }
    }
}
