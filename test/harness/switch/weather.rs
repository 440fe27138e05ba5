// SPDX-License-Identifier: GPL-2.0-or-later
//! What happens to the frames of one direction of one link. Pure: no time is read, nothing is
//! sent, and the same seed gives the same frames the same fate.

use std::time::Duration;

/// Frames that a clogged link keeps; what comes on top is lost.
const HELD_MAX: usize = 4096;

/// What one direction of one link does to frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Of a hundred frames, so many are lost.
    pub loss: u8,
    /// Of a hundred frames, so many arrive twice, each copy with its own delay.
    pub twice: u8,
    /// Every frame arrives so much later,
    pub delay: Duration,
    /// and up to so much later than that, at random: frames overtake each other.
    pub jitter: Duration,
    /// Nothing gets through.
    pub cut: bool,
    /// Nothing arrives before the link is clogged no more; then all of it does, at once.
    pub clogged: bool,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that came.
    pub came: u64,
    /// Frames, copies among them, that were handed on.
    pub went: u64,
    /// Frames that were lost, in whatever way.
    pub lost: u64,
    /// Frames that were sent twice.
    pub twice: u64,
    /// Frames that arrived after one that had been sent later.
    pub overtaken: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.came += other.came;
        self.went += other.went;
        self.lost += other.lost;
        self.twice += other.twice;
        self.overtaken += other.overtaken;
    }
}

/// One copy of a frame on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// When it arrives, counted from when it came.
    pub after: Duration,
    /// Number of its frame on this link.
    pub number: u64,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// One direction of one link.
#[derive(Debug)]
pub struct Link {
    /// What it does now.
    pub weather: Weather,
    /// What it has done.
    pub counts: Counts,
    random: fastrand::Rng,
    held: Vec<(u64, Vec<u8>)>,
    newest: u64,
}

impl Link {
    /// A link in fair weather.
    pub fn new(seed: u64) -> Link {
        Link {
            weather: Weather::default(),
            counts: Counts::default(),
            random: fastrand::Rng::with_seed(seed),
            held: Vec::new(),
            newest: 0,
        }
    }

    /// A frame comes; the copies of it that go on.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Copy> {
        self.counts.came += 1;
        let number = self.counts.came;
        // Drawn for every frame, so that the fate of later ones does not depend on the weather.
        let (lost, twice) = (self.random.u8(0..100), self.random.u8(0..100));
        let parts = [self.random.u32(..), self.random.u32(..)];
        if self.weather.cut || lost < self.weather.loss {
            self.counts.lost += 1;
            return Vec::new();
        }
        if self.weather.clogged {
            if self.held.len() < HELD_MAX {
                self.held.push((number, bytes.to_vec()));
            } else {
                self.counts.lost += 1;
            }
            return Vec::new();
        }
        let both = twice < self.weather.twice;
        self.counts.twice += u64::from(both);
        let copy = |part: u32| {
            let after = self.weather.delay + self.weather.jitter.mul_f64(f64::from(part) / U32_END);
            Copy { after, number, bytes: bytes.to_vec() }
        };
        parts[..if both { 2 } else { 1 }].iter().map(|part| copy(*part)).collect()
    }

    /// What was held back while the link was clogged, if it is no more.
    pub fn released(&mut self) -> Vec<Copy> {
        if self.weather.clogged || self.held.is_empty() {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        let copy = |(number, bytes)| Copy { after: Duration::ZERO, number, bytes };
        held.into_iter().map(copy).collect()
    }

    /// Whether frames are held back.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// A copy of frame `number` arrives.
    pub fn arrives(&mut self, number: u64) {
        self.counts.went += 1;
        self.counts.overtaken += u64::from(number < self.newest);
        self.newest = self.newest.max(number);
    }
}

/// One more than the greatest `u32`.
const U32_END: f64 = 4_294_967_296.0;
