// SPDX-License-Identifier: GPL-2.0-or-later
//! The unit of the payload's `valid-for`, which all members of a cluster share (P2).

use crate::time::Span;

/// The unit of `valid-for` on the wire.
///
/// Reference: seconds, unless any time in the configuration has a part of a second (`1500ms`);
/// see the vectors `*-millis-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Whole seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Millis,
}

impl TimeUnit {
    /// The span as a number on the wire, rounded down; the largest number if it does not fit.
    ///
    /// Reference: rounds down too (9999 ms are announced as 9).
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
