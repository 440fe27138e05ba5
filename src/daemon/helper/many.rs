// SPDX-License-Identifier: GPL-2.0-or-later
//! Many revokes in the CIB with one call.
//!
//! A site that loses a thousand tickets at the same instant must have revoked all of them within
//! *g*, and a thousand calls of `crm_ticket` take minutes of processor time. One call of
//! `cibadmin` writes the same into the same places, all or nothing, in about the time of one
//! `crm_ticket`. Everything else is as with a single revoke: the lock of each ticket, the checks
//! behind it, and the look whether it has worked.
//!
//! Whatever stands in the way of this, the tickets that are not printed or marked are revoked one
//! by one by whoever has started it.

use super::crm::{due, set_mark, values};
use super::lock::{self, Taken};
use super::{fail, find_program, myself, HelperExit, Order, Work};
use crate::daemon::child;
use crate::daemon::clock;
use crate::daemon::guard::{verdict, Decision};
use crate::daemon::leases::{HolderKind, LeaseTable, Slot, Told, Verdict};
use crate::engine::CibTicket;
use crate::model::{Holder, TicketName};
use crate::pacemaker::{self, TicketValues};
use crate::time::Span;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The most of an answer that is read: ten thousand tickets with a few attributes.
const ANSWER_MAX: usize = 16 << 20;

/// How long looking at the result may take; then it is believed.
const READ_BACK: Duration = Duration::from_secs(2);

/// No limit of its own: whoever started the helper kills it.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How long a killed change may take to let its lock go, when there is other work.
const LET_GO: Span = Span::from_millis(100);

/// How often locks that are taken are tried again.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a call for all may run before it counts as one that may hang, so that those that have
/// come since are revoked one by one and wait for it no longer: half the guard time, and a second
/// at least. It takes about as long as a call for a single ticket. Not earlier: on a busy machine
/// every call is slow, and a process for each ticket would keep all from ending in time.
pub fn may_hang_after(guard: Span) -> Span {
    guard.divided(2).max(Span::from_secs(1))
}

/// The daemon's revokes.
pub(super) fn revoke(work: &Work<'_>, orders: &[(Slot, Order)]) -> HelperExit {
    let program = match find_program(pacemaker::MANY_PROGRAM) {
        Ok(program) => program,
        Err(exit) => return exit,
    };
    let orders: BTreeMap<Slot, &Order> =
        orders.iter().map(|(slot, order)| (*slot, order)).collect();
    in_rounds(work.table, orders.keys().copied().collect(), |locked| {
        let mut revokes = Vec::with_capacity(locked.len());
        for slot in locked {
            let Order::Write(state) = orders[slot] else {
                return Err(fail("only revokes can be made together"));
            };
            let expires = lock::last_check(work, (*slot, Taken::Locked), orders[slot])?;
            revokes.push((name_of(work.table, *slot)?, state, expires));
        }
        let values: Vec<_> = revokes
            .iter()
            .map(|(ticket, state, expires)| TicketValues {
                ticket,
                granted: false,
                owner: state.owner,
                expires: *expires,
                term: state.term,
                config_name: work.config_name,
            })
            .collect();
        write(&program, &values)?;
        locked.iter().try_for_each(|slot| lock::end(work.table, *slot, Taken::Locked))?;
        let lines: Vec<String> = locked.iter().map(|slot| format!("{}\n", slot.0)).collect();
        let text = lines.concat();
        // If nobody reads it, nobody wants to know any more.
        let _ = io::stdout().write_all(text.as_bytes());
        Ok(())
    })
}

/// The lease guard's work: revokes every ticket in the CIB whose window has ended, unless the
/// CIB has something newer than was told (`RULES.md` L6).
pub(super) fn sweep(table: &LeaseTable, site: Holder, config_name: &str) -> HelperExit {
    let program = match find_program(pacemaker::MANY_PROGRAM) {
        Ok(program) => program,
        Err(exit) => return exit,
    };
    let count = match table.header() {
        Ok((count, _)) => count,
        Err(error) => return fail(&format!("the lease table cannot be read: {error}")),
    };
    let mut slots = Vec::new();
    for slot in (0..count).map(Slot) {
        match due(table, slot) {
            Ok(Some(_)) => slots.push(slot),
            Ok(None) => {}
            Err(exit) => return exit,
        }
    }
    in_rounds(table, slots, |locked| sweep_locked(table, &program, locked, (site, config_name)))
}

fn sweep_locked(
    table: &LeaseTable,
    program: &Path,
    locked: &[Slot],
    (site, config_name): (Holder, &str),
) -> Result<(), HelperExit> {
    // Asked again behind the locks.
    let mut ended: Vec<(Slot, Told, TicketName)> = Vec::with_capacity(locked.len());
    for slot in locked {
        if let Some(told) = due(table, *slot)? {
            ended.push((*slot, told, name_of(table, *slot)?));
        }
    }
    if ended.is_empty() {
        return Ok(());
    }
    let mut stored = query(program, NO_LIMIT).map_err(|text| fail(&text))?;
    let mut revokes = Vec::with_capacity(ended.len());
    let mut newer = Vec::new();
    for (slot, told, name) in &ended {
        let stored = stored.remove(name.as_str()).unwrap_or_default();
        let grant = table.grant(*slot).ok().flatten();
        match verdict(site, told.term, grant, Some(&stored)) {
            Decision::Retire => newer.push((slot, told)),
            Decision::Revoke(left) => revokes.push((slot, told, name, left)),
        }
    }
    let all: Vec<_> =
        revokes.iter().map(|(_, _, name, left)| values(name, left, config_name)).collect();
    if !all.is_empty() {
        revokes.iter().try_for_each(|(slot, ..)| lock::begin(table, **slot, Taken::Locked))?;
        write(program, &all)?;
        revokes.iter().try_for_each(|(slot, ..)| lock::end(table, **slot, Taken::Locked))?;
    }
    let done = revokes.iter().map(|(slot, told, _, left)| (*slot, *told, left.verdict));
    let left = newer.into_iter().map(|(slot, told)| (slot, told, Verdict::Newer));
    for (slot, told, verdict) in done.chain(left) {
        match set_mark(table, *slot, told, verdict) {
            HelperExit::Done => {}
            exit @ (HelperExit::Failed | HelperExit::TooLate) => return Err(exit),
        }
    }
    Ok(())
}

/// Does `act` to all tickets, those first whose locks are free: another revoke that has the lock
/// of one must not keep the others waiting. It fails if some locks are not to be had in time.
fn in_rounds(
    table: &LeaseTable,
    mut slots: Vec<Slot>,
    mut act: impl FnMut(&[Slot]) -> Result<(), HelperExit>,
) -> HelperExit {
    while !slots.is_empty() {
        let locked = match lock_free(table, &mut slots) {
            Ok(locked) if locked.is_empty() => {
                return fail(&format!("{} tickets are being changed by others", slots.len()));
            }
            Ok(locked) => locked,
            Err(error) => return fail(&format!("cannot lock the tickets: {error}")),
        };
        let acted = table.hand_on().map_err(|error| fail(&error.to_string()));
        let acted = acted.and_then(|()| act(&locked));
        for slot in &locked {
            // If that fails, whoever comes next finds this process in the record.
            let _ = table.unlock(*slot);
        }
        if let Err(exit) = acted {
            return exit;
        }
    }
    HelperExit::Done
}

/// Locks and takes out what is free. Changes that are in the way are killed, as a single revoke
/// does; while there is nothing else to do, other revokes are waited for, for *g*.
fn lock_free(table: &LeaseTable, slots: &mut Vec<Slot>) -> io::Result<Vec<Slot>> {
    let mine = myself(HolderKind::Revoke);
    let begun = clock::mono();
    let mut locked = Vec::with_capacity(slots.len());
    loop {
        let mut killed = false;
        let mut patience = Span::ZERO;
        let mut busy = Vec::new();
        for slot in slots.drain(..) {
            if table.try_lock(slot)? {
                table.set_holder(slot, mine)?;
                locked.push(slot);
                continue;
            }
            busy.push(slot);
            patience = patience.max(table.guard_time(slot)?);
            let holder = table.holder(slot)?;
            if let Some(holder) = holder.filter(|holder| holder.kind == HolderKind::Change) {
                killed |= lock::kill(&holder);
            }
        }
        *slots = busy;
        let waited = clock::mono().since(begun);
        let limit = if locked.is_empty() { patience } else { LET_GO };
        let hope = killed || locked.is_empty();
        if slots.is_empty() || !hope || waited >= limit {
            return Ok(locked);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Writes *revoked* and looks whether that has worked. An answer that cannot be had is no
/// evidence against the success that was reported.
fn write(program: &Path, tickets: &[TicketValues<'_>]) -> Result<(), HelperExit> {
    let cannot = |error: io::Error| fail(&format!("cannot run {}: {error}", program.display()));
    let mut command = Command::new(program);
    command.args(pacemaker::write_many());
    match child::run_with(&mut command, pacemaker::many(tickets), 4096, NO_LIMIT) {
        Ok(finished) if finished.status.success() => {}
        Ok(finished) => {
            return Err(fail(&format!("{}: {}", pacemaker::MANY_PROGRAM, finished.failure())));
        }
        Err(error) => return Err(cannot(error)),
    }
    let Ok(stored) = query(program, READ_BACK) else { return Ok(()) };
    let granted = |ticket: &&TicketValues<'_>| {
        stored.get(ticket.ticket.as_str()).is_some_and(|stored| stored.granted)
    };
    match tickets.iter().find(granted) {
        None => Ok(()),
        Some(ticket) => Err(fail(&format!(
            "{} reported success, but {} is still granted; may this user change the CIB?",
            pacemaker::MANY_PROGRAM,
            ticket.ticket
        ))),
    }
}

/// What the CIB says of all tickets.
fn query(program: &Path, limit: Duration) -> Result<BTreeMap<String, CibTicket>, String> {
    let mut command = Command::new(program);
    let finished = child::run(command.args(pacemaker::load_many()), ANSWER_MAX, limit)
        .map_err(|error| error.to_string())?;
    if finished.status.code().is_some_and(pacemaker::is_absent) {
        return Ok(BTreeMap::new());
    }
    if !finished.status.success() {
        return Err(finished.failure());
    }
    if finished.cut {
        return Err(format!("the answer has more than {ANSWER_MAX} bytes"));
    }
    let answer = String::from_utf8_lossy(&finished.output);
    pacemaker::read_all(&answer).map_err(|error| error.to_string())
}

fn name_of(table: &LeaseTable, slot: Slot) -> Result<TicketName, HelperExit> {
    match table.name(slot) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err(fail("the lease table is damaged")),
        Err(error) => Err(fail(&format!("the lease table cannot be read: {error}"))),
    }
}
