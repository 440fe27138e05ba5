// SPDX-License-Identifier: GPL-2.0-or-later
//! The unit of the payload's `valid-for`, which is the same at all members of a cluster (P2).

use crate::time::Span;

/// The unit of `valid-for` on the wire.
///
/// Reference: seconds, unless any time in the configuration is not a whole number of seconds
/// (`1500ms`); see the vectors `*-millis-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Whole seconds, rounded down.
    #[default]
    Seconds,
    /// Whole milliseconds, rounded down.
    Millis,
}

impl TimeUnit {
    /// The span as a number on the wire, rounded down; the largest number if it does not fit.
    ///
    /// Reference: also rounds down (9999 ms are sent as 9).
    pub fn number(self, span: Span) -> u32 {
        let number = match self {
            TimeUnit::Seconds => span.as_secs(),
            TimeUnit::Millis => span.as_millis(),
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// The span that a number on the wire stands for.
    pub fn span(self, number: u32) -> Span {
        match self {
            TimeUnit::Seconds => Span::from_secs(u64::from(number)),
            TimeUnit::Millis => Span::from_millis(u64::from(number)),
        }
    }
}
