// SPDX-License-Identifier: GPL-2.0-or-later
//! Before anything else: no change of a predecessor may be running or in flight (`RULES.md` L9).

use super::Context;
use crate::config::TicketStore;
use crate::daemon::clock;
use crate::daemon::helper;
use crate::daemon::leases::{Holder, HolderKind, LeaseTable, Past, Slot};
use crate::time::{MonoTime, Span};
use std::io;
use std::ops::ControlFlow;
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
/// finish within *g*. What may have been handed to the cluster is done *g* later, so that is
/// waited for: after each change that was begun and is not known to have ended, whether or not
/// its process is there; and the longest *g* of all, if the table of this machine does not know
/// everything, see [`is_known`].
pub(super) fn settle(
    context: &Context,
    past: Past,
    pause: &dyn Fn(Duration) -> bool,
) -> io::Result<ControlFlow<()>> {
    let table = &context.table;
    let (count, _) = table.header()?;
    let begun = clock::mono();
    let longest = context.config.tickets.iter().map(|ticket| ticket.guard).max();
    let longest = longest.unwrap_or(Span::ZERO);
    let mut quiet_at = begun;
    if !is_known(past, &context.config.store, longest, begun) {
        let why = "an earlier boothd of this site may have begun changes on another node";
        log::info!("{why}: starting after the guard time of {longest}");
        quiet_at = after(begun, longest);
    }
    let Some(locked) = end_what_runs(table, count, pause)? else {
        return Ok(ControlFlow::Break(()));
    };
    let ended = clock::mono();
    let mut unended = Vec::new();
    for slot in (0..count).map(Slot) {
        if locked.contains(&slot) || table.may_be_in_flight(slot)? {
            quiet_at = quiet_at.max(after(ended, table.guard_time(slot)?));
            unended.push((slot, table.holder(slot)?));
        }
    }
    if !unended.is_empty() {
        let what = "changes of the ticket store that an earlier boothd had begun may be in flight";
        log::warn!("{what}: waiting until they are over");
    }
    while let Some(left) = Some(quiet_at.since(clock::mono())).filter(|left| !left.is_zero()) {
        if pause(left.as_duration()) {
            return Ok(ControlFlow::Break(()));
        }
    }
    unended.iter().try_for_each(|(slot, holder)| note_ended(table, *slot, *holder))?;
    table.note_settled(context.generation)?;
    Ok(ControlFlow::Continue(()))
}

/// Whether all that may be in flight stands in the table of this machine.
///
/// The CIB is that of all nodes of the site. A boothd that was stopped here longer than *g* ago
/// may have run elsewhere since; one that starts elsewhere waits for *g* itself, so nothing comes
/// from there earlier. One that died is started here again, as Pacemaker does unless it is told
/// otherwise. The built-in store is that of this machine alone.
fn is_known(past: Past, store: &TicketStore, longest: Span, now: MonoTime) -> bool {
    match (past, store) {
        (Past::Unknown, _) => false,
        (Past::RanHere, _) | (Past::StoppedHere(_), TicketStore::Directory(_)) => true,
        (Past::StoppedHere(at), TicketStore::Pacemaker) => now.since(at) < longest,
    }
}

/// When a change that is in flight at `now` is over: *g*, and what clocks may differ by.
fn after(now: MonoTime, guard: Span) -> MonoTime {
    now.plus(guard).plus(guard.divided(100))
}

/// Ends the changes that run, each after its time. Tells which records are locked still, by
/// processes that cannot be found; `None`: the daemon is to stop.
fn end_what_runs(
    table: &LeaseTable,
    count: u32,
    pause: &dyn Fn(Duration) -> bool,
) -> io::Result<Option<Vec<Slot>>> {
    let mut busy: Vec<Slot> = (0..count).map(Slot).collect();
    let begun = clock::mono();
    let mut patience = Span::ZERO;
    loop {
        let mut still = Vec::new();
        for slot in busy {
            if !is_free(table, slot)? {
                still.push(slot);
            }
        }
        busy = still;
        let waited = clock::mono().since(begun);
        if busy.is_empty() {
            return Ok(Some(busy));
        }
        if !patience.is_zero() && waited >= patience.times(2).plus(SPARE) {
            log::warn!("{} tickets are locked by processes that cannot be found", busy.len());
            return Ok(Some(busy));
        }
        for slot in &busy {
            let guard = table.guard_time(*slot)?;
            patience = patience.max(guard);
            let Some(holder) = table.holder(*slot)? else { continue };
            if holder.kind == HolderKind::Change || waited >= guard {
                helper::kill_holder(&holder);
            }
        }
        if pause(PAUSE) {
            return Ok(None);
        }
    }
}

fn is_free(table: &LeaseTable, slot: Slot) -> io::Result<bool> {
    let free = table.try_lock(slot)?;
    if free {
        table.unlock(slot)?;
    }
    Ok(free)
}

/// Notes that what `holder` had begun is over, unless the lease guard has begun something since.
fn note_ended(table: &LeaseTable, slot: Slot, holder: Option<Holder>) -> io::Result<()> {
    if table.try_lock(slot)? {
        if table.holder(slot)? == holder {
            table.note_ended(slot)?;
        }
        table.unlock(slot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TicketName;

    fn at(secs: u64) -> MonoTime {
        MonoTime::ZERO.plus(Span::from_secs(secs))
    }

    /// The lease guard may begin a revoke while what was there before is waited for: that is not
    /// over when the other is.
    #[test]
    fn what_somebody_else_has_begun_since_is_not_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let tickets = [(TicketName::new("t").expect("a good name"), Span::from_secs(5))];
        let opened = LeaseTable::open(&dir.path().join("table"), &tickets).expect("made");
        let (table, slot) = (opened.table, opened.slots[0]);
        let begin = |group| {
            let holder = Holder { group, started: 1, kind: HolderKind::Revoke };
            table.set_holder(slot, holder).expect("written");
            table.note_begun(slot).expect("written");
            Some(holder)
        };
        let (before, since) = (begin(10), begin(11));
        note_ended(&table, slot, before).expect("possible");
        assert!(table.may_be_in_flight(slot).expect("readable"));
        note_ended(&table, slot, since).expect("possible");
        assert!(!table.may_be_in_flight(slot).expect("readable"));
    }

    #[test]
    fn what_another_node_may_have_begun_is_not_known() {
        let (crm, dir) = (TicketStore::Pacemaker, TicketStore::Directory("/x".into()));
        let known = |past, store| is_known(past, store, Span::from_secs(5), at(100));
        for (past, by_crm, by_dir) in [
            (Past::Unknown, false, false),
            (Past::RanHere, true, true),
            (Past::StoppedHere(at(96)), true, true),
            (Past::StoppedHere(at(95)), false, true),
            (Past::StoppedHere(at(1)), false, true),
        ] {
            assert_eq!((known(past, &crm), known(past, &dir)), (by_crm, by_dir), "{past:?}");
        }
    }
}
