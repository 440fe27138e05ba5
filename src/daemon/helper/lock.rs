// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting for a ticket's record in the lease table, and the last check behind its lock.

use super::{fail, HelperExit, Order, Work};
use crate::daemon::leases::{Grant, Holder, HolderKind, LeaseTable, Slot};
use crate::daemon::os::{self, Signal};
use crate::daemon::{clock, slots};
use crate::time::Span;
use std::io;
use std::time::Duration;

/// How a record was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is locked.
    Locked,
    /// Somebody else keeps it; only a change gives up.
    Busy,
    /// Whoever has the lock is no writer that could be found: the group in the record was killed
    /// and had its time. A revoke goes on without the lock, because nothing else would.
    Forced,
}

/// The least that somebody else's change is given, for tickets with tiny lease times.
const PATIENCE_MIN: Span = Span::from_millis(500);

/// Locks a record and writes who has it.
///
/// A change waits for at most `g`. A revoke kills a change that is in its way, since in this
/// site's order it comes before: it is a hung one, or one whose time has passed. It lets another
/// revoke finish for `g`.
pub(super) fn take(table: &LeaseTable, slot: Slot, mine: Holder) -> io::Result<Taken> {
    let patience = table.guard_time(slot)?.max(PATIENCE_MIN);
    let begun = clock::mono();
    let mut pause = Duration::from_millis(1);
    loop {
        if table.try_lock(slot)? {
            table.set_holder(slot, mine)?;
            return Ok(Taken::Locked);
        }
        let waited = clock::mono().since(begun);
        match mine.kind {
            HolderKind::Change if waited >= patience => return Ok(Taken::Busy),
            HolderKind::Change => {}
            HolderKind::Revoke => {
                let holder = table.holder(slot)?;
                let in_the_way =
                    holder.filter(|holder| holder.kind == HolderKind::Change || waited >= patience);
                if let Some(holder) = in_the_way.filter(|holder| holder.group != mine.group) {
                    kill(&holder);
                }
                if waited >= patience.times(2) {
                    return Ok(Taken::Forced);
                }
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Kills the group of a holder, unless its number belongs to somebody else by now. While any
/// member of the group lives, its number is not given to a new process; so if there is a process
/// of that number, it must have started when the holder did.
pub(in crate::daemon) fn kill(holder: &Holder) -> bool {
    let started = os::start_time(holder.group);
    let same = started == 0 || holder.started == 0 || started == holder.started;
    same && os::signal_group(holder.group, Signal::Kill)
}

/// Everything that must be true right before the change itself: the daemon that wants it is
/// still the newest, and a grant is in time. Tells the `expires` to write; a grant's is noted in
/// the table, where the lease guard finds it. The change has begun when this returns.
pub(super) fn last_check(
    work: &Work<'_>,
    (slot, taken): (Slot, Taken),
    order: &Order,
) -> Result<u64, HelperExit> {
    let failed = |error: io::Error| fail(&format!("the lease table cannot be used: {error}"));
    let (_, generation) = work.table.header().map_err(failed)?;
    if generation != work.generation {
        return Err(fail("a newer boothd has started"));
    }
    let Order::Write(state) = order else {
        begin(work.table, slot, taken)?;
        return Ok(0);
    };
    let told = work.table.told(slot).map_err(failed)?;
    let window = told.and_then(|told| told.window);
    let expires = slots::exec_check(state, window.as_ref(), clock::now())
        .map_err(|slots::TooLate| HelperExit::TooLate)?;
    if state.granted {
        work.table.note_grant(slot, Grant { term: state.term, expires }).map_err(failed)?;
    }
    begin(work.table, slot, taken)?;
    Ok(expires)
}

/// Notes that a change begins, so that the next daemon knows that it may be in flight (L9).
pub(super) fn begin(table: &LeaseTable, slot: Slot, taken: Taken) -> Result<(), HelperExit> {
    noted(taken, || table.note_begun(slot))
}

/// Notes that a change has ended: the store has made it, and nothing earlier can follow.
pub(super) fn end(table: &LeaseTable, slot: Slot, taken: Taken) -> Result<(), HelperExit> {
    noted(taken, || table.note_ended(slot))
}

/// Without the lock the record is that of whoever has it, and what that one has begun stands in
/// it already.
fn noted(taken: Taken, note: impl FnOnce() -> io::Result<()>) -> Result<(), HelperExit> {
    match taken {
        Taken::Locked => {
            note().map_err(|error| fail(&format!("the lease table cannot be used: {error}")))
        }
        Taken::Forced | Taken::Busy => Ok(()),
    }
}
