// SPDX-License-Identifier: GPL-2.0-or-later
//! Before anything else: no change of a predecessor may be running or in flight (`lease.md` L9).

use crate::daemon::clock;
use crate::daemon::helper;
use crate::daemon::leases::{HolderKind, LeaseTable, Slot};
use crate::time::Span;
use std::io;
use std::time::Duration;

/// How often records that are still locked are looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// What the slowest start may add to twice *g*, for a kernel that takes its time.
const SPARE: Span = Span::from_secs(1);

/// Ends every change of the store that an earlier daemon of this site has left, and waits until
/// none can take effect any more.
///
/// The table's generation is ours by now, so a helper that has not locked its record yet gives
/// up when it does. Of those that have, a grant or an attribute is killed, and a revoke may
/// finish within *g*. After a kill, *g* passes before this returns: what the killed one had
/// handed to the cluster is done by then.
pub(super) fn settle(table: &LeaseTable) -> io::Result<()> {
    let (count, _) = table.header()?;
    let mut busy = Vec::new();
    for slot in (0..count).map(Slot) {
        if !is_free(table, slot)? {
            busy.push(slot);
        }
    }
    let begun = clock::mono();
    let mut in_flight = Span::ZERO;
    let mut patience = Span::ZERO;
    while !busy.is_empty() {
        let waited = clock::mono().since(begun);
        if !patience.is_zero() && waited >= patience.times(2).plus(SPARE) {
            log::warn!("{} tickets are locked by processes that cannot be found", busy.len());
            break;
        }
        for slot in &busy {
            let guard = table.guard_time(*slot)?;
            patience = patience.max(guard);
            let Some(holder) = table.holder(*slot)? else { continue };
            if holder.kind == HolderKind::Change || waited >= guard {
                helper::kill_holder(&holder);
                in_flight = in_flight.max(guard);
            }
        }
        std::thread::sleep(PAUSE);
        let mut still = Vec::new();
        for slot in busy {
            if !is_free(table, slot)? {
                still.push(slot);
            }
        }
        busy = still;
    }
    if !in_flight.is_zero() {
        log::warn!("ended changes of the ticket store that an earlier boothd had left behind");
        std::thread::sleep(in_flight.as_duration());
    }
    Ok(())
}

fn is_free(table: &LeaseTable, slot: Slot) -> io::Result<bool> {
    let free = table.try_lock(slot)?;
    if free {
        table.unlock(slot)?;
    }
    Ok(free)
}
