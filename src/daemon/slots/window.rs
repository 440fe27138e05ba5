// SPDX-License-Identifier: GPL-2.0-or-later
//! The last check before a change of the store, and the `expires` that it writes. Pure.

use crate::engine::{CibExpiry, CibState, HoldWindow};
use crate::time::Now;

/// A grant may not be started any more; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// Whether a change may be made at `now`, and which `expires` it writes, in seconds since the
/// epoch, rounded down (`RULES.md` L6: never later than the lease).
///
/// `window` is the newest one; `now` is read behind the lock, right before the change.
///
/// # Errors
/// It is a grant that lives on a lease, and there is no window, or its time has passed.
pub fn exec_check(state: &CibState, window: Option<&HoldWindow>, now: Now) -> Result<u64, TooLate> {
    let lease_bound = state.granted && state.expires == CibExpiry::Lease;
    if lease_bound && window.is_none_or(|window| now.mono >= window.start_before) {
        return Err(TooLate);
    }
    Ok(match (state.expires, window) {
        (CibExpiry::Lease, Some(window)) => now.wall_at(window.lease_until).as_secs(),
        (CibExpiry::At(wall), _) => wall.as_secs(),
        (CibExpiry::Lease, None) | (CibExpiry::Never, _) => 0,
    })
}
