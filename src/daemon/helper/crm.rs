// SPDX-License-Identifier: GPL-2.0-or-later
//! Changes of the CIB through `crm_ticket`, and the lease guard's revoke.

use super::lock::{self, Taken};
use super::{fail, find_program, myself, HelperExit, Order, Work};
use crate::daemon::child::{self, Finished};
use crate::daemon::guard::{verdict, Decision, Left};
use crate::daemon::leases::{HolderKind, LeaseTable, Mark, Slot, Told, Verdict};
use crate::daemon::{clock, os};
use crate::engine::CibTicket;
use crate::model::{Holder, TicketName};
use crate::pacemaker::{self, TicketValues};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The most of an answer of `crm_ticket -q` that is read: a few thousand attributes.
pub(in crate::daemon) const ANSWER_MAX: usize = 1 << 20;

/// How long looking at the result of a revoke may take; then it is believed.
const READ_BACK: Duration = Duration::from_secs(2);

/// No limit of its own: whoever started the helper kills it.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Changes a ticket: locks, checks, and runs `crm_ticket`, which keeps the lock if this process
/// is ended. After a revoke it looks whether that has worked.
pub(super) fn change(work: &Work<'_>, slot: Slot, order: &Order) -> HelperExit {
    let name = match named(work.table, slot) {
        Ok(name) => name,
        Err(exit) => return exit,
    };
    let program = match find_program(pacemaker::PROGRAM) {
        Ok(program) => program,
        Err(exit) => return exit,
    };
    let taken = match take(work.table, slot, order.kind()) {
        Ok(taken) => taken,
        Err(exit) => return exit,
    };
    let expires = match lock::last_check(work, (slot, taken), order) {
        Ok(expires) => expires,
        Err(exit) => return exit,
    };
    let exit = match order {
        Order::Attr(change) => run(&program, &pacemaker::change_attr(&name, change)),
        Order::Write(state) => {
            let values = TicketValues {
                ticket: &name,
                granted: state.granted,
                owner: state.owner,
                expires,
                term: state.term,
                config_name: work.config_name,
            };
            let args = pacemaker::write(&values);
            if state.granted {
                run(&program, &args)
            } else {
                revoke(&program, &name, &args)
            }
        }
    };
    ended(exit, || lock::end(work.table, slot, taken))
}

/// Notes that the change has ended, if it has succeeded. What failed may have been handed to the
/// cluster all the same.
fn ended(exit: HelperExit, note: impl FnOnce() -> Result<(), HelperExit>) -> HelperExit {
    if exit == HelperExit::Done {
        // It was made; if only the note fails, the next daemon waits in vain, once.
        let _ = note();
    }
    exit
}

/// Runs `crm_ticket` for a grant or an attribute. If it was killed, so is this process: whoever
/// has started it must know that the change may still be made.
fn run(program: &Path, args: &[String]) -> HelperExit {
    match child::run(Command::new(program).args(args), 4096, NO_LIMIT) {
        Ok(finished) if finished.status.success() => HelperExit::Done,
        Ok(finished) if finished.was_killed() => {
            let me = std::process::id();
            os::kill_process(me, os::start_time(me));
            fail(&finished.failure())
        }
        Ok(finished) => fail(&format!("{}: {}", pacemaker::PROGRAM, finished.failure())),
        Err(error) => fail(&format!("cannot run {}: {error}", program.display())),
    }
}

/// Revokes a ticket and looks whether that has worked.
///
/// A `crm_ticket` that has no right to change the CIB may report success all the same. That is
/// looked for after a revoke only: revokes are rare and others rely on them, while a grant that
/// has no effect harms nobody else, and each renewal would cost a second call. An answer that
/// cannot be had or read is no evidence against the success that was reported.
fn revoke(program: &Path, name: &TicketName, args: &[String]) -> HelperExit {
    match child::run(Command::new(program).args(args), 4096, NO_LIMIT) {
        Ok(finished) if finished.status.success() => {}
        Ok(finished) => return fail(&finished.failure()),
        Err(error) => return fail(&format!("cannot run {}: {error}", program.display())),
    }
    match query(program, name, READ_BACK) {
        Ok(Some(ticket)) if ticket.granted => fail(
            "crm_ticket reported success, but the ticket is still granted; may this user change \
             the CIB?",
        ),
        Ok(_) | Err(_) => HelperExit::Done,
    }
}

/// The lease guard's work: revokes a ticket whose window has ended, unless the store has
/// something newer than was told (`RULES.md` L6).
pub(super) fn revoke_due(
    table: &LeaseTable,
    slot: Slot,
    site: Holder,
    config_name: &str,
) -> HelperExit {
    let name = match named(table, slot) {
        Ok(name) => name,
        Err(exit) => return exit,
    };
    let program = match find_program(pacemaker::PROGRAM) {
        Ok(program) => program,
        Err(exit) => return exit,
    };
    let taken = match take(table, slot, HolderKind::Revoke) {
        Ok(taken) => taken,
        Err(exit) => return exit,
    };
    let told = match due(table, slot) {
        Ok(Some(told)) => told,
        Ok(None) => return HelperExit::Done,
        Err(exit) => return exit,
    };
    // A store that cannot be read may say *granted*: then it is revoked.
    let stored = query(&program, &name, NO_LIMIT).map(Option::unwrap_or_default);
    let grant = table.grant(slot).ok().flatten();
    let done = match verdict(site, told.term, grant, stored.as_ref().ok()) {
        Decision::Retire => Verdict::Newer,
        Decision::Revoke(left) => {
            let args = pacemaker::write(&values(&name, &left, config_name));
            if let Err(exit) = lock::begin(table, slot, taken) {
                return exit;
            }
            let exit = ended(revoke(&program, &name, &args), || lock::end(table, slot, taken));
            if exit != HelperExit::Done {
                return exit;
            }
            left.verdict
        }
    };
    set_mark(table, slot, &told, done)
}

/// What the guard writes.
pub(super) fn values<'a>(
    ticket: &'a TicketName,
    left: &Left,
    config_name: &'a str,
) -> TicketValues<'a> {
    let Left { owner, term, expires, verdict: _ } = *left;
    TicketValues { ticket, granted: false, owner, expires, term, config_name }
}

/// What was told of a ticket, if its window has ended and no guard has dealt with it yet.
pub(super) fn due(table: &LeaseTable, slot: Slot) -> Result<Option<Told>, HelperExit> {
    let failed = |error| fail(&format!("the lease table cannot be read: {error}"));
    let Some(told) = table.told(slot).map_err(failed)? else {
        return Ok(None);
    };
    let marked = table.mark(slot).map_err(failed)?.is_some_and(|mark| mark.number == told.number);
    let ended = told.window.is_some_and(|window| clock::mono() >= window.hold_until);
    Ok((ended && !marked).then_some(told))
}

/// Notes what was done, so that it is done once.
pub(super) fn set_mark(
    table: &LeaseTable,
    slot: Slot,
    told: &Told,
    verdict: Verdict,
) -> HelperExit {
    let mark = Mark { number: told.number, verdict, at: clock::wall() };
    match table.set_mark(slot, mark) {
        Ok(()) => HelperExit::Done,
        Err(error) => fail(&format!("the lease table cannot be written: {error}")),
    }
}

/// Asks `crm_ticket` for a ticket; `None`: there is none.
fn query(program: &Path, name: &TicketName, limit: Duration) -> Result<Option<CibTicket>, String> {
    let mut command = Command::new(program);
    let finished = child::run(command.args(pacemaker::load(name)), ANSWER_MAX, limit)
        .map_err(|error| error.to_string())?;
    read_answer(&finished, name)
}

/// The meaning of an answer of `crm_ticket -q`.
pub(in crate::daemon) fn read_answer(
    finished: &Finished,
    name: &TicketName,
) -> Result<Option<CibTicket>, String> {
    if finished.status.code().is_some_and(pacemaker::is_absent) {
        return Ok(None);
    }
    if !finished.status.success() {
        return Err(finished.failure());
    }
    if finished.cut {
        return Err(format!("the answer has more than {ANSWER_MAX} bytes"));
    }
    let answer = String::from_utf8_lossy(&finished.output);
    pacemaker::read(&answer, name).map(Some).map_err(|error| error.to_string())
}

/// Locks a record for this process and what it runs.
fn take(table: &LeaseTable, slot: Slot, kind: HolderKind) -> Result<Taken, HelperExit> {
    let taken = lock::take(table, slot, myself(kind));
    match taken.and_then(|taken| table.hand_on().map(|()| taken)) {
        Ok(taken @ (Taken::Locked | Taken::Forced)) => Ok(taken),
        Ok(Taken::Busy) => Err(fail("another change of this ticket has not ended")),
        Err(error) => Err(fail(&format!("cannot lock the ticket: {error}"))),
    }
}

fn named(table: &LeaseTable, slot: Slot) -> Result<TicketName, HelperExit> {
    match table.name(slot) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err(fail("the lease table is damaged")),
        Err(error) => Err(fail(&format!("the lease table cannot be read: {error}"))),
    }
}
