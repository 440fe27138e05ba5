// SPDX-License-Identifier: GPL-2.0-or-later
//! What the ticket's store says, as far as is known, and the write under way.

use crate::engine::effect::CibState;
use crate::engine::event::WriteSerial;
use crate::model::{Holder, Term};
use crate::time::{MonoTime, Span};

/// A write that takes longer than this is shown by `booth list`.
pub const SLOW_WRITE: Span = Span::from_secs(1);

/// The store of one ticket as the engine sees it.
#[derive(Debug, Default)]
pub struct Cib {
    /// The store may say *granted*: from the first wish to write it until a revoke has completed.
    pub maybe_granted: bool,
    /// Whether a grant is known to stand in the store.
    pub granted: bool,
    /// Whether a grant was handed to the store since it said *revoked*; until then the wish can
    /// still be taken back.
    pub handed: bool,
    /// What the store is known to say.
    pub confirmed: Option<(bool, Holder, Term)>,
    /// What it shall say.
    pub wanted: Option<CibState>,
    /// The newest write under way.
    pub flight: Option<Flight>,
    /// Whether the write under way is to be followed by another one.
    pub again: bool,
    /// Failures in a row, and since when.
    pub failures: u32,
    pub failing_since: Option<MonoTime>,
    /// When the first grant of this holding was first tried.
    pub grant_tried_at: Option<MonoTime>,
    pub retry_at: Option<MonoTime>,
    /// Whether the shell was told a window.
    pub window_told: bool,
}

/// A write under way.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pub serial: WriteSerial,
    pub state: CibState,
    pub since: MonoTime,
}

impl Cib {
    /// Notes what was read at the start.
    pub fn loaded(&mut self, granted: bool, owner: Holder, term: Term) {
        self.maybe_granted = granted;
        self.granted = granted;
        self.handed = granted;
        self.confirmed = Some((granted, owner, term));
    }

    /// Whether it is known to say that nobody has the ticket since this term.
    pub fn says_free(&self, term: Term) -> bool {
        self.confirmed == Some((false, Holder::Nobody, term))
    }

    /// Since when writes have been failing.
    pub fn failing_since(&self) -> Option<MonoTime> {
        self.failing_since
    }

    /// Since when a write has been taking longer than it should.
    pub fn slow_since(&self, now: MonoTime) -> Option<MonoTime> {
        self.flight.map(|flight| flight.since).filter(|since| now.since(*since) >= SLOW_WRITE)
    }
}
