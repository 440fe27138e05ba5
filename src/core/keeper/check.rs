// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether a grant may begin, which `expires` a change writes, and when a killed change is over.

use crate::engine::{CibExpiry, CibState, HoldWindow};
use crate::time::{MonoTime, Now, Span};

/// Whether this is a grant that depends on a lease, not one of a manual ticket.
pub(super) fn needs_lease(state: &CibState) -> bool {
    state.granted && state.expires == CibExpiry::Lease
}

/// Whether it is too late for a change to begin: it is a grant that depends on a lease, and there
/// is no window, or the time in which it may begin has passed (`RULES.md` L6).
pub fn is_late(state: &CibState, window: Option<&HoldWindow>, now: MonoTime) -> bool {
    needs_lease(state) && window.is_none_or(|window| now >= window.start_before)
}

/// The `expires` that a change writes at `now`, in seconds since the epoch, rounded down: never
/// later than the lease (`RULES.md` L6).
pub fn expires_of(state: &CibState, window: Option<&HoldWindow>, now: Now) -> u64 {
    match (state.expires, window) {
        (CibExpiry::Lease, Some(window)) => now.wall_at(window.lease_until).as_secs(),
        (CibExpiry::At(wall), _) => wall.as_secs(),
        (CibExpiry::Lease, None) | (CibExpiry::Never, _) => 0,
    }
}

/// When a change that was killed at `now` can no longer take effect: after *g*, plus an allowance
/// for clock rates.
pub(super) fn over_after(now: MonoTime, guard: Span) -> MonoTime {
    now.plus(guard).plus(guard.divided(100))
}
