// SPDX-License-Identifier: GPL-2.0-or-later
//! What the ticket's store says, as far as is known, and the write under way.

use crate::engine::effect::CibState;
use crate::engine::event::WriteSerial;
use crate::model::{Holder, Term};
use crate::time::{MonoTime, Span};

/// A write that takes longer than this is shown by `booth list`.
const SLOW_WRITE: Span = Span::from_secs(1);

/// The store of one ticket as the engine sees it.
#[derive(Debug, Default)]
pub struct Cib {
    maybe_granted: bool,
    granted: bool,
    handed: bool,
    /// What the store is known to say.
    confirmed: Option<Said>,
    /// What it shall say.
    wanted: Option<CibState>,
    /// The newest write under way.
    flight: Option<Flight>,
    /// Whether the write under way is to be followed by another one.
    again: bool,
    failures: u32,
    failing_since: Option<MonoTime>,
    /// When the first grant of this holding was first tried.
    grant_tried_at: Option<MonoTime>,
    retry_at: Option<MonoTime>,
    window_told: bool,
}

/// What a store says of a ticket, but for its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub granted: bool,
    pub owner: Holder,
    pub term: Term,
}

/// A write under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    serial: WriteSerial,
    state: CibState,
    since: MonoTime,
}

impl Said {
    fn of(state: &CibState) -> Said {
        Said { granted: state.granted, owner: state.owner, term: state.term }
    }
}

impl Cib {
    /// The store may say *granted*: from the first wish to write it until a revoke has completed.
    pub fn maybe_granted(&self) -> bool {
        self.maybe_granted
    }

    /// Whether a grant is known to stand in the store.
    pub fn granted(&self) -> bool {
        self.granted
    }

    /// Whether a grant was handed to the store since it said *revoked*; until then the wish can
    /// still be taken back.
    pub fn handed(&self) -> bool {
        self.handed
    }

    /// Notes what was read at the start.
    pub fn loaded(&mut self, said: Said) {
        (self.maybe_granted, self.granted, self.handed) =
            (said.granted, said.granted, said.granted);
        self.confirmed = Some(said);
    }

    /// A grant is about to be written.
    pub fn will_grant(&mut self, now: MonoTime) {
        self.maybe_granted = true;
        self.grant_tried_at.get_or_insert(now);
    }

    /// For how long this holding's first grant has been tried.
    pub fn grant_tried_for(&self, now: MonoTime) -> Span {
        self.grant_tried_at.map_or(Span::ZERO, |since| now.since(since))
    }

    /// The first grant of this holding stands.
    pub fn first_grant_done(&mut self) {
        self.grant_tried_at = None;
    }

    /// Makes the store say `state`; true: at once, since nothing is under way, or only a grant that
    /// a revoke pre-empts. Else after that.
    pub fn want(&mut self, state: CibState) -> bool {
        self.wanted = Some(state);
        self.retry_at = None;
        let busy = self.flight.is_some_and(|flight| state.granted || !flight.state.granted);
        self.again |= busy;
        !busy
    }

    /// What is wanted is handed over as this write.
    pub fn hand_over(&mut self, serial: WriteSerial, now: MonoTime) -> Option<CibState> {
        let state = self.wanted?;
        self.again = false;
        self.retry_at = None;
        self.flight = Some(Flight { serial, state, since: now });
        self.maybe_granted |= state.granted;
        self.handed |= state.granted;
        Some(state)
    }

    /// What is wanted names this owner, if it has to be written again.
    pub fn name_owner(&mut self, owner: Holder) {
        if let Some(wanted) = &mut self.wanted {
            wanted.owner = owner;
        }
    }

    /// What the store will say when all that is under way has succeeded.
    pub fn target(&self) -> Option<Said> {
        match (self.flight, &self.wanted) {
            (Some(_), Some(wanted)) => Some(Said::of(wanted)),
            (Some(_), None) | (None, _) => self.confirmed,
        }
    }

    /// The write has ended; `None`: it is not the newest.
    pub fn end_flight(&mut self, serial: WriteSerial) -> Option<(CibState, MonoTime)> {
        let flight = self.flight.take_if(|flight| flight.serial == serial)?;
        Some((flight.state, flight.since))
    }

    /// Whether a write is under way.
    pub fn is_busy(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether another write waits that can begin now.
    pub fn is_wanted_again(&self) -> bool {
        self.again && self.flight.is_none()
    }

    /// The store says `state` now. Tells whether writes had failed before.
    pub fn note_written(&mut self, state: &CibState) -> bool {
        let failed = core::mem::take(&mut self.failures) > 0;
        self.failing_since = None;
        self.confirmed = Some(Said::of(state));
        self.granted = state.granted;
        failed
    }

    /// Whether a grant is wanted; if so, it has not been written yet.
    pub fn wants_grant(&self) -> bool {
        self.wanted.is_some_and(|wanted| wanted.granted)
    }

    /// Whether a grant follows the write that has ended.
    pub fn grant_follows(&self) -> bool {
        self.again && self.wants_grant()
    }

    /// A revoke has completed and nothing follows it. Tells whether the store may have said
    /// *granted* before.
    pub fn note_revoked(&mut self) -> bool {
        self.handed = false;
        self.grant_tried_at = None;
        core::mem::replace(&mut self.maybe_granted, false)
    }

    /// A write has failed. Returns how many in a row had failed before.
    pub fn note_failure(&mut self, now: MonoTime) -> u32 {
        self.failing_since.get_or_insert(now);
        let before = self.failures;
        self.failures = before.saturating_add(1);
        before
    }

    /// When what is wanted is written again, after a failure.
    pub fn retry_at(&self) -> Option<MonoTime> {
        self.retry_at
    }

    /// It is written again then (`None`: not before something else happens).
    pub fn set_retry(&mut self, at: Option<MonoTime>) {
        self.retry_at = at;
    }

    /// The keeper is told a window.
    pub fn note_window(&mut self) {
        self.window_told = true;
    }

    /// The window is over. Tells whether the keeper knows one.
    pub fn end_window(&mut self) -> bool {
        core::mem::replace(&mut self.window_told, false)
    }

    /// Whether it is known to say that nobody has the ticket since this term.
    pub fn says_free(&self, term: Term) -> bool {
        self.confirmed == Some(Said { granted: false, owner: Holder::Nobody, term })
    }

    /// Since when writes have been failing.
    pub fn failing_since(&self) -> Option<MonoTime> {
        self.failing_since
    }

    /// How many writes in a row have failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Since when the write under way runs.
    pub fn writing_since(&self) -> Option<MonoTime> {
        self.flight.map(|flight| flight.since)
    }

    /// Since when a write has been taking longer than it should.
    pub fn slow_since(&self, now: MonoTime) -> Option<MonoTime> {
        self.flight.map(|flight| flight.since).filter(|since| now.since(*since) >= SLOW_WRITE)
    }
}
