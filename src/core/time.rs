// SPDX-License-Identifier: GPL-2.0-or-later
//! Instants and durations. Arithmetic saturates: a hostile or absurd value never overflows.
//!
//! Pure: nothing here reads a clock. `src/sys/clock.rs` is the only reader of OS clocks.

use core::fmt;

/// A length of time in microseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// An instant of `CLOCK_BOOTTIME` in microseconds; it goes on while the machine is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(u64);

/// An instant of the wall clock in microseconds since the epoch.
///
/// It is printed, stored in the CIB and put in packet stamps; only the stored `expires` after a
/// restart is ever decided upon (`RULES.md` L9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

/// Both clocks, read once for one step of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The boot-time clock, which decides.
    pub mono: MonoTime,
    /// The wall clock, which is shown.
    pub wall: WallTime,
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// The longest span there is.
    pub const MAX: Span = Span(u64::MAX);

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Span {
        Span(secs.saturating_mul(1_000_000))
    }

    /// A span of milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(millis.saturating_mul(1_000))
    }

    /// A span of microseconds.
    pub const fn from_micros(micros: u64) -> Span {
        Span(micros)
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The same span as the standard library's duration.
    pub const fn as_duration(self) -> core::time::Duration {
        core::time::Duration::from_micros(self.0)
    }

    /// The sum of two spans, at most [`Span::MAX`].
    pub const fn plus(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }

    /// The difference of two spans, at least zero.
    pub const fn minus(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }

    /// This span `factor` times.
    pub const fn times(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }

    /// One part of this span cut into `divisor` parts (0 counts as 1), rounded down.
    pub const fn divided(self, divisor: u64) -> Span {
        Span(self.0 / if divisor == 0 { 1 } else { divisor })
    }
}

impl MonoTime {
    /// The start of the clock.
    pub const ZERO: MonoTime = MonoTime(0);
    /// The last instant there is; used as "never".
    pub const MAX: MonoTime = MonoTime(u64::MAX);

    /// An instant from its microseconds.
    pub const fn from_micros(micros: u64) -> MonoTime {
        MonoTime(micros)
    }

    /// Microseconds since the start of the clock.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The instant `span` later, at most [`MonoTime::MAX`].
    pub const fn plus(self, span: Span) -> MonoTime {
        MonoTime(self.0.saturating_add(span.0))
    }

    /// The instant `span` earlier, at least the start of the clock.
    pub const fn minus(self, span: Span) -> MonoTime {
        MonoTime(self.0.saturating_sub(span.0))
    }

    /// The time from `earlier` until this instant, or zero if `earlier` is later.
    pub const fn since(self, earlier: MonoTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl WallTime {
    /// The epoch; also "no time known" in the CIB.
    pub const EPOCH: WallTime = WallTime(0);

    /// An instant from whole seconds since the epoch.
    pub const fn from_secs(secs: u64) -> WallTime {
        WallTime(secs.saturating_mul(1_000_000))
    }

    /// An instant from microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> WallTime {
        WallTime(micros)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The microseconds within the second.
    pub const fn subsec_micros(self) -> u32 {
        (self.0 % 1_000_000) as u32
    }

    /// The instant `span` later, at most the last there is.
    pub const fn plus(self, span: Span) -> WallTime {
        WallTime(self.0.saturating_add(span.0))
    }

    /// The instant `span` earlier, at least the epoch.
    pub const fn minus(self, span: Span) -> WallTime {
        WallTime(self.0.saturating_sub(span.0))
    }

    /// The time from `earlier` until this instant, or zero if `earlier` is later.
    pub const fn since(self, earlier: WallTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Now {
    /// The wall time that the clock will show at `at`, or showed if `at` is past.
    pub fn wall_at(&self, at: MonoTime) -> WallTime {
        if at >= self.mono {
            self.wall.plus(at.since(self.mono))
        } else {
            self.wall.minus(self.mono.since(at))
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if micros == 0 {
            write!(f, "{secs}s")
        } else if micros % 1_000 == 0 {
            write!(f, "{}ms", self.0 / 1_000)
        } else {
            write!(f, "{}us", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_span_is_written_in_the_largest_unit_that_keeps_all_of_it() {
        let written = |micros| Span::from_micros(micros).to_string();
        assert_eq!(written(0), "0s");
        assert_eq!(written(7_000_000), "7s");
        assert_eq!(written(7_250_000), "7250ms");
        assert_eq!(written(7_250_001), "7250001us");
    }

    #[test]
    fn a_span_is_divided_into_parts_rounded_down() {
        assert_eq!(Span::from_micros(10).divided(4), Span::from_micros(2));
        assert_eq!(Span::from_micros(10).divided(0), Span::from_micros(10));
        assert!(Span::ZERO.is_zero() && !Span::from_micros(1).is_zero());
    }

    #[test]
    fn the_wall_time_of_an_instant_is_as_far_from_now_as_the_instant() {
        let mono = MonoTime::ZERO.plus(Span::from_secs(100));
        let now = Now { mono, wall: WallTime::from_secs(5_000) };
        assert_eq!(now.wall_at(mono), now.wall);
        assert_eq!(now.wall_at(mono.plus(Span::from_secs(7))), WallTime::from_secs(5_007));
        assert_eq!(now.wall_at(mono.minus(Span::from_secs(7))), WallTime::from_secs(4_993));
        let micros = mono.plus(Span::from_micros(1)).as_micros();
        assert_eq!((micros, now.wall.as_micros()), (100_000_001, 5_000_000_000));
    }
}
