// SPDX-License-Identifier: GPL-2.0-or-later
//! Keeps a line that strangers can provoke from filling the log.

use std::time::{Duration, Instant};

/// Lets one line through per period and counts the others.
#[derive(Debug)]
pub(super) struct Limiter {
    every: Duration,
    last: Option<Instant>,
    held_back: u32,
}

impl Limiter {
    /// A limiter that lets one line through each `every`.
    pub(super) const fn new(every: Duration) -> Limiter {
        Limiter { every, last: None, held_back: 0 }
    }

    /// Whether a line may be written at `now`; then ` (3 more since the last time)` for its end, or
    /// nothing.
    pub(super) fn pass(&mut self, now: Instant) -> Option<String> {
        if self.last.is_some_and(|last| now.duration_since(last) < self.every) {
            self.held_back = self.held_back.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(match std::mem::take(&mut self.held_back) {
            0 => String::new(),
            count => format!(" ({count} more since the last time)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_period_and_the_others_are_counted() {
        let mut limiter = Limiter::new(Duration::from_secs(10));
        let begun = Instant::now();
        let after = |secs| begun + Duration::from_secs(secs);
        assert_eq!(limiter.pass(after(0)).as_deref(), Some(""));
        assert_eq!(limiter.pass(after(1)), None);
        assert_eq!(limiter.pass(after(9)), None);
        let more = limiter.pass(after(10));
        assert_eq!(more.as_deref(), Some(" (2 more since the last time)"));
        assert_eq!(limiter.pass(after(20)).as_deref(), Some(""));
    }
}
