// SPDX-License-Identifier: GPL-2.0-or-later
//! The only reader of OS clocks for decisions, and the only place that knows the time zone.

use crate::time::{MonoTime, Now, WallTime};
use nix::time::{clock_gettime, ClockId};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Both clocks at this instant.
pub fn now() -> Now {
    Now { mono: mono(), wall: wall() }
}

/// The boot-time clock, which goes on while the machine is suspended and never goes back.
pub fn mono() -> MonoTime {
    // Linux has had this clock since 2.6.39; without it no lease can be kept.
    let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else {
        panic!("the kernel has no boot-time clock");
    };
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    MonoTime::from_micros(secs.saturating_mul(1_000_000).saturating_add(nanos / 1_000))
}

/// The wall clock. While it is set to a time before the epoch, the time since the machine started,
/// counted from there: were it the epoch each time, packets with a key would look like replays.
pub fn wall() -> WallTime {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => WallTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX)),
        Err(_) => WallTime::from_micros(mono().as_micros()),
    }
}

/// A wall-clock time taken apart in the local time zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalTime(libc::tm);

/// The abbreviations in time stamps of log lines, whatever the locale is.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl LocalTime {
    /// The local time at `wall`.
    pub(crate) fn of(wall: WallTime) -> LocalTime {
        let secs = libc::time_t::try_from(wall.as_secs()).unwrap_or(libc::time_t::MAX);
        // SAFETY: `tm` is a plain C structure for which all zeroes is a value.
        let mut parts: libc::tm = unsafe { std::mem::zeroed() };
        // The crate nix knows no time zones.
        // SAFETY: both pointers are valid for the call; the function is the reentrant one.
        if unsafe { libc::localtime_r(&secs, &mut parts) }.is_null() {
            // The year does not fit: said as the epoch, like a time that is not known.
            (parts.tm_year, parts.tm_mday) = (70, 1);
        }
        LocalTime(parts)
    }

    /// The form of RFC 3339 with milliseconds and the offset of the local zone:
    /// `2026-11-03T07:48:56.250+01:00`.
    pub(crate) fn rfc3339(wall: WallTime) -> String {
        let time = LocalTime::of(wall);
        let (millis, offset) = (wall.subsec_micros() / 1000, time.0.tm_gmtoff);
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs() / 60;
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let text = time.to_string().replace(' ', "T");
        format!("{text}.{millis:03}{sign}{hours:02}:{minutes:02}")
    }

    /// The form of log lines, `Nov  3 07:48:56`.
    pub(crate) fn log_stamp(&self) -> String {
        let libc::tm { tm_mon, tm_mday, tm_hour, tm_min, tm_sec, .. } = self.0;
        let month = MONTHS[usize::try_from(tm_mon.clamp(0, 11)).unwrap_or(0)];
        format!("{month} {tm_mday:>2} {tm_hour:02}:{tm_min:02}:{tm_sec:02}")
    }
}

impl fmt::Display for LocalTime {
    /// The form `%F %T` of the texts for clients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let libc::tm { tm_mday, tm_hour, tm_min, tm_sec, .. } = self.0;
        let (year, month) = (i64::from(self.0.tm_year) + 1900, self.0.tm_mon + 1);
        write!(f, "{year:04}-{month:02}-{tm_mday:02} {tm_hour:02}:{tm_min:02}:{tm_sec:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn the_clocks_go_forward() {
        let first = now();
        let second = now();
        assert!(second.mono >= first.mono);
        assert!(first.wall > WallTime::from_secs(1_600_000_000));
    }

    #[test]
    fn local_times_have_the_forms_of_the_reference() {
        // The test machine's zone is not known: whole hours and half hours shift both alike.
        let time = LocalTime::of(WallTime::from_secs(1_795_420_138));
        let text = time.to_string();
        assert_eq!((text.len(), &text[..8], &text[16..]), (19, "2026-11-", ":58"));
        assert_eq!(time.log_stamp().len(), "Nov 23 07:48:58".len());
        assert!(time.log_stamp().starts_with("Nov 2"));
        let text = LocalTime::rfc3339(WallTime::from_micros(1_795_420_138_250_999));
        assert_eq!((text.len(), &text[..8], &text[16..23]), (29, "2026-11-", ":58.250"));
        assert_eq!((&text[10..11], &text[26..27]), ("T", ":"));
    }

    #[test]
    fn absurd_times_are_printed_too() {
        let end = WallTime::EPOCH.plus(Span::MAX);
        assert!(!LocalTime::of(end).to_string().is_empty());
        assert!(!LocalTime::of(WallTime::EPOCH).log_stamp().is_empty());
    }
}
