// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for conditions, always with a limit.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until `look` returns something, at most `limit`.
///
/// Panics with `what` when the limit has passed.
#[track_caller]
pub fn until<T>(limit: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    value_within(limit, look).unwrap_or_else(|| panic!("not within {limit:?}: {what}"))
}

/// What `look` returns within `limit`, if it does.
pub fn value_within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        // Looked at once more after the limit: this process may have been kept waiting.
        let late = begun.elapsed() >= limit;
        if let Some(value) = look() {
            return Some(value);
        }
        if late {
            return None;
        }
        sleep(Duration::from_millis(10));
    }
}

/// Lets time pass, where time is what is tested.
pub fn pass(time: Duration) {
    let nothing = value_within(time, || None::<()>);
    debug_assert!(nothing.is_none());
}
