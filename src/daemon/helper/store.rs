// SPDX-License-Identifier: GPL-2.0-or-later
//! The process that serves the built-in store, and the lease guard's work on it.
//!
//! A process per write would cost more than the write, so one process makes all changes of a
//! daemon, told line by line through a socket. It obeys the same rules as one that makes a single
//! change: a lock per ticket, checks behind it. It can be killed at any moment; what it has not
//! answered is sent to its successor.
//!
//! A request is `NUMBER SLOT load` or `NUMBER SLOT` and an order, separated by tabs; an answer is
//! `NUMBER` and `done`, `late`, `failed TEXT`, `absent` or `ticket LINE...`.

use super::crm::{due, set_mark, values};
use super::lock::{self, Taken};
use super::{fail, myself, HelperExit, Order, Work};
use crate::daemon::clock;
use crate::daemon::guard::{verdict, Decision};
use crate::daemon::leases::{Holder, HolderKind, LeaseTable, Slot, Verdict};
use crate::daemon::ticket_dir::{DirError, Entries, TicketDir, Update};
use crate::model::{self, TicketName};
use crate::pacemaker::TicketValues;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// Serves requests until the other end is closed.
pub(super) fn serve(work: &Work<'_>, path: &Path) -> HelperExit {
    let socket = match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(socket) => File::from(socket),
        Err(error) => return fail(&format!("cannot use the socket: {error}")),
    };
    let dir = TicketDir::new(path);
    let mine = myself(HolderKind::Change);
    let mut requests = BufReader::new(&socket);
    let mut line = String::new();
    loop {
        line.clear();
        match requests.read_line(&mut line) {
            Ok(0) => return HelperExit::Done,
            Ok(_) => {}
            Err(error) => return fail(&format!("cannot read requests: {error}")),
        }
        let Some((number, answer)) = answer_line(work, &dir, mine, line.trim_end_matches('\n'))
        else {
            return fail("a request makes no sense");
        };
        let text = format!("{number}\t{}\n", answer.text());
        if (&socket).write_all(text.as_bytes()).is_err() {
            // Nobody wants to know any more.
            return HelperExit::Done;
        }
    }
}

/// An answer to one request.
enum Answer {
    Done,
    Late,
    Failed(String),
    Absent,
    Ticket(Entries),
}

impl Answer {
    fn text(&self) -> String {
        match self {
            Answer::Done => "done".to_owned(),
            Answer::Late => "late".to_owned(),
            Answer::Failed(text) => {
                let text: String = text.chars().filter(|c| !c.is_control()).collect();
                format!("failed\t{text}")
            }
            Answer::Absent => "absent".to_owned(),
            // The file's lines have no control characters.
            Answer::Ticket(entries) => {
                format!("ticket\t{}", entries.to_text().trim_end().replace('\n', "\t"))
            }
        }
    }
}

/// The number of a request and its answer; `None` if it is none.
fn answer_line<'a>(
    work: &Work<'_>,
    dir: &TicketDir,
    mine: Holder,
    line: &'a str,
) -> Option<(&'a str, Answer)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [number, slot, order @ ..] = fields.as_slice() else {
        return None;
    };
    let slot = Slot(slot.parse().ok()?);
    let name = match work.table.name(slot) {
        Ok(Some(name)) => name,
        Ok(None) => return Some((number, Answer::Failed("no such ticket".to_owned()))),
        Err(error) => return Some((number, Answer::Failed(error.to_string()))),
    };
    let answer = match order {
        ["load"] => match dir.read(&name) {
            Ok(Some(entries)) => Answer::Ticket(entries),
            Ok(None) => Answer::Absent,
            Err(error) => Answer::Failed(error.to_string()),
        },
        order => change(work, dir, mine, (slot, &name), &Order::parse(order)?),
    };
    Some((number, answer))
}

/// Changes a ticket: locks, checks, writes, unlocks.
fn change(
    work: &Work<'_>,
    dir: &TicketDir,
    mine: Holder,
    (slot, name): (Slot, &TicketName),
    order: &Order,
) -> Answer {
    let mine = Holder { kind: order.kind(), ..mine };
    let taken = match lock::take(work.table, slot, mine) {
        Ok(taken @ (Taken::Locked | Taken::Forced)) => taken,
        Ok(Taken::Busy) => {
            return Answer::Failed("another change of this ticket has not ended".to_owned());
        }
        Err(error) => return Answer::Failed(format!("cannot lock the ticket: {error}")),
    };
    let result = match lock::last_check(work, (slot, taken), order) {
        Ok(expires) => {
            let result = write(work, dir, name, order, expires);
            // The system has done what it was asked to, or has not: nothing goes on behind it.
            let _ = lock::end(work.table, slot, taken);
            result
        }
        Err(HelperExit::TooLate) => {
            let _ = work.table.unlock(slot);
            return Answer::Late;
        }
        Err(HelperExit::Failed | HelperExit::Done) => {
            let _ = work.table.unlock(slot);
            return Answer::Failed(
                "a newer boothd has started, or the lease table is damaged".into(),
            );
        }
    };
    // If that fails, whoever comes next finds this process in the record and waits for it.
    let _ = work.table.unlock(slot);
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn write(
    work: &Work<'_>,
    dir: &TicketDir,
    name: &TicketName,
    order: &Order,
    expires: u64,
) -> Result<(), DirError> {
    match order {
        Order::Attr(change) => dir.update(name, &Update::Attr(change)),
        Order::Write(state) => {
            let values = TicketValues {
                ticket: name,
                granted: state.granted,
                owner: state.owner,
                expires,
                term: state.term,
                config_name: work.config_name,
            };
            dir.update(name, &Update::Ticket { values: &values, now: clock::wall() })
        }
    }
}

/// The lease guard's work: revokes every ticket whose window has ended, unless the store has
/// something newer than was told.
pub(super) fn sweep(
    table: &LeaseTable,
    path: &Path,
    site: model::Holder,
    config_name: &str,
) -> HelperExit {
    let dir = TicketDir::new(path);
    let mine = myself(HolderKind::Revoke);
    let count = match table.header() {
        Ok((count, _)) => count,
        Err(error) => return fail(&format!("the lease table cannot be read: {error}")),
    };
    let mut exit = HelperExit::Done;
    for slot in (0..count).map(Slot) {
        // Looked at twice: without the lock, because most are not due; then behind it.
        match due(table, slot) {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            Err(failed) => {
                exit = failed;
                continue;
            }
        }
        let swept = match lock::take(table, slot, mine) {
            Ok(taken) => sweep_one(table, &dir, (slot, taken), (site, config_name)),
            Err(error) => fail(&format!("cannot lock the ticket: {error}")),
        };
        let _ = table.unlock(slot);
        if swept != HelperExit::Done {
            exit = swept;
        }
    }
    exit
}

fn sweep_one(
    table: &LeaseTable,
    dir: &TicketDir,
    (slot, taken): (Slot, Taken),
    (site, config_name): (model::Holder, &str),
) -> HelperExit {
    let told = match due(table, slot) {
        Ok(Some(told)) => told,
        Ok(None) => return HelperExit::Done,
        Err(exit) => return exit,
    };
    let Ok(Some(name)) = table.name(slot) else {
        return fail("the lease table is damaged");
    };
    // A file that cannot be read may say *granted*: then it is revoked.
    let stored = match dir.read(&name) {
        Ok(None) => Some(crate::engine::CibTicket::default()),
        Ok(Some(entries)) => entries.ticket().ok(),
        Err(_) => None,
    };
    let grant = table.grant(slot).ok().flatten();
    let done = match verdict(site, told.term, grant, stored.as_ref()) {
        Decision::Retire => Verdict::Newer,
        Decision::Revoke(left) => {
            let values = values(&name, &left, config_name);
            let update = Update::Ticket { values: &values, now: clock::wall() };
            if let Err(exit) = lock::begin(table, slot, taken) {
                return exit;
            }
            let updated = dir.update(&name, &update);
            let _ = lock::end(table, slot, taken);
            if let Err(error) = updated {
                return fail(&error.to_string());
            }
            left.verdict
        }
    };
    set_mark(table, slot, &told, done)
}
