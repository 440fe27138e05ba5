// SPDX-License-Identifier: GPL-2.0-or-later
//! True time, and what the machines' clocks make of it.

use booth_core::time::{MonoTime, Now, WallTime};

/// True time in microseconds since the world began; only the world and its checkers know it.
pub type True = u64;

/// A second of true time.
pub const SECOND: True = 1_000_000;
/// A millisecond of true time.
pub const MILLI: True = 1_000;

/// Where the wall clock stands when the world begins.
const WALL_START: u64 = 1_700_000_000 * SECOND;

/// The clocks of one machine. They run at a constant rate; the wall clock can be set.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What the boot-time clock showed when the world began.
    boot: u64,
    /// How much faster than true time it runs, in millionths; may be negative.
    ppm: i64,
    /// Wall clock minus boot-time clock.
    wall: u64,
}

impl Clock {
    /// A clock that showed `boot` microseconds at the beginning, runs `ppm` millionths fast and
    /// whose wall clock was `wall_off` microseconds ahead or behind.
    pub fn new(boot: u64, ppm: i64, wall_off: i64) -> Clock {
        let wall = WALL_START.saturating_add_signed(wall_off).saturating_sub(boot);
        Clock { boot, ppm, wall }
    }

    /// The boot-time clock at a true time.
    pub fn mono(&self, at: True) -> MonoTime {
        MonoTime::from_micros(self.boot + stretch(at, self.ppm))
    }

    /// The wall clock at a true time.
    pub fn wall(&self, at: True) -> WallTime {
        WallTime::from_micros(self.mono(at).as_micros() + self.wall)
    }

    /// Both clocks at a true time.
    pub fn now(&self, at: True) -> Now {
        Now { mono: self.mono(at), wall: self.wall(at) }
    }

    /// The first true time at which the boot-time clock shows at least `mono`.
    pub fn when(&self, mono: MonoTime) -> True {
        let local = mono.as_micros().saturating_sub(self.boot);
        if local > u64::MAX / 4 {
            return u64::MAX / 4;
        }
        // Off by at most a few microseconds; the loops below end after as many turns.
        let mut at = stretch(local, -self.ppm);
        while stretch(at, self.ppm) < local {
            at += 1 + (local - stretch(at, self.ppm)) / 2;
        }
        while at > 0 && stretch(at - 1, self.ppm) >= local {
            at -= 1;
        }
        at
    }

    /// Sets the wall clock ahead or back.
    pub fn jump(&mut self, micros: i64) {
        self.wall = self.wall.saturating_add_signed(micros);
    }

    /// Makes the wall clock show the right time.
    pub fn set_right(&mut self, at: True) {
        self.wall = (WALL_START + at).saturating_sub(self.mono(at).as_micros());
    }

    /// Makes the wall clock show what another machine's shows at this time.
    pub fn set_wall_like(&mut self, other: &Clock, at: True) {
        self.wall = other.wall(at).as_micros().saturating_sub(self.mono(at).as_micros());
    }
}

fn stretch(at: u64, ppm: i64) -> u64 {
    let part = (i128::from(at) * i128::from(ppm)) / 1_000_000;
    at.saturating_add_signed(i64::try_from(part).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instant_found_is_the_first_that_shows_the_time() {
        for ppm in [-4_900, -1, 0, 1, 4_900] {
            let clock = Clock::new(77, ppm, 0);
            for local in [77, 78, 1_000, 999_999_999, 36_000_000_000] {
                let at = clock.when(MonoTime::from_micros(local));
                assert!(clock.mono(at).as_micros() >= local);
                assert!(at == 0 || clock.mono(at - 1).as_micros() < local);
            }
        }
    }
}
