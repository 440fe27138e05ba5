// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether a change may begin, which `expires` it writes, and when a killed change is over.

use crate::engine::{CibExpiry, CibState, HoldWindow};
use crate::time::{MonoTime, Now, Span};

/// Whether this is a grant that depends on a lease, not one of a manual ticket.
pub(super) fn needs_lease(state: &CibState) -> bool {
    state.granted && state.expires == CibExpiry::Lease
}

/// It is too late to start a grant; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// Whether a change may be made at `now`, and which `expires` it writes, in seconds since the
/// epoch, rounded down (`RULES.md` L6: never later than the lease).
///
/// # Errors
/// It is a grant that depends on a lease, and there is no window, or it is too late to start.
pub fn check(state: &CibState, window: Option<&HoldWindow>, now: Now) -> Result<u64, TooLate> {
    if needs_lease(state) && window.is_none_or(|window| now.mono >= window.start_before) {
        return Err(TooLate);
    }
    Ok(expires_of(state, window, now))
}

/// The `expires` that a change writes, rounded down: never later than the lease (L6).
pub(super) fn expires_of(state: &CibState, window: Option<&HoldWindow>, now: Now) -> u64 {
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
