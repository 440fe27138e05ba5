// SPDX-License-Identifier: GPL-2.0-or-later
//! The helper programs that the executor and the lease guard start from the daemon's own binary:
//! every change of the ticket store and every handler goes through one.
//!
//! A helper is a process of its own, leader of its own process group, with nothing inherited but
//! standard input, output and error. Before it changes the store it locks the ticket's record in
//! the lease table, writes its group there, and makes the last check of `RULES.md` L6 behind the
//! lock, with the newest window and the clock read there. `crm_ticket`, which it then becomes or
//! runs, inherits the lock; the daemon has no part in it, so that a daemon that is stopped or
//! killed at any moment blocks nobody.
//!
//! Standard input is the lease table where one is needed.

pub mod call;
mod crm;
mod handler;
mod lock;
mod many;
mod order;
mod store;

pub(super) use crm::{read_answer, ANSWER_MAX};
pub(super) use lock::kill as kill_holder;
pub(super) use many::may_hang_after;
pub use order::Order;

use super::leases::{self, Generation, HolderKind, LeaseTable};
use super::os;
use crate::model::Holder;
use call::Call;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

/// The name under which the helpers run: no resource agent and no init script looks for it.
pub const NAME: &str = "booth-ticket-writer";

/// How a helper ended, where it was not the program that it became. `crm_ticket` has no exit
/// codes beyond 124.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperExit {
    /// It did what it was asked to.
    Done,
    /// It failed; standard error says how.
    Failed,
    /// The grant came too late; nothing was written.
    TooLate,
}

impl HelperExit {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            HelperExit::Done => 0,
            HelperExit::Failed => 201,
            HelperExit::TooLate => 202,
        }
    }
}

/// The program: does what the arguments behind its name say.
pub fn main(args: &[OsString]) -> ExitCode {
    os::set_name(c"booth-ticket-wr");
    os::close_inherited();
    os::become_ordinary();
    let exit = match Call::parse(args) {
        Some(call) => run(call),
        None => fail("this program is started by boothd only"),
    };
    ExitCode::from(exit.code())
}

fn run(call: Call) -> HelperExit {
    match call {
        Call::Run { program, args } => handler::become_program(&program, &args),
        Call::Handler { path, args } => handler::run(&path, &args),
        Call::Change { slot, generation, config_name, order } => match given_table() {
            Ok(table) => {
                let work = Work { table: &table, generation, config_name: &config_name };
                crm::change(&work, slot, &order)
            }
            Err(exit) => exit,
        },
        Call::RevokeMany { generation, config_name, orders } => match given_table() {
            Ok(table) => {
                let work = Work { table: &table, generation, config_name: &config_name };
                many::revoke(&work, &orders)
            }
            Err(exit) => exit,
        },
        Call::Serve { dir, generation, config_name } => match given_table() {
            Ok(table) => {
                let work = Work { table: &table, generation, config_name: &config_name };
                store::serve(&work, &dir)
            }
            Err(exit) => exit,
        },
        Call::Revoke { slot, site, config_name } => match given_table() {
            Ok(table) => crm::revoke_due(&table, slot, Holder::Member(site), &config_name),
            Err(exit) => exit,
        },
        Call::Sweep { dir, site, config_name } => match given_table() {
            Ok(table) => match dir {
                Some(dir) => store::sweep(&table, &dir, Holder::Member(site), &config_name),
                None => many::sweep(&table, Holder::Member(site), &config_name),
            },
            Err(exit) => exit,
        },
    }
}

/// What every change needs to know.
struct Work<'a> {
    table: &'a LeaseTable,
    /// The daemon that wants it; a later one makes it void.
    generation: Generation,
    config_name: &'a str,
}

/// The lease table on standard input, which is then empty.
fn given_table() -> Result<LeaseTable, HelperExit> {
    let stdin = std::io::stdin();
    let table = LeaseTable::reopen(stdin.as_fd());
    let table = table.and_then(|table| os::point_to_null(stdin.as_fd()).map(|()| table));
    table.map_err(|error| fail(&format!("cannot open the lease table: {error}")))
}

/// This process as it stands in the lease table.
fn myself(kind: HolderKind) -> leases::Holder {
    let group = std::process::id();
    leases::Holder { group, started: os::start_time(group), kind }
}

/// Says why it failed.
fn fail(why: &str) -> HelperExit {
    // Nobody to tell if that fails.
    let _ = writeln!(std::io::stderr(), "{why}");
    HelperExit::Failed
}

/// The program of this name in `PATH`, or where programs of administrators are. A service often
/// has a `PATH` without them.
fn find_program(name: &str) -> Result<PathBuf, HelperExit> {
    const USUAL: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(std::env::split_paths(OsStr::new(USUAL)));
    let mut candidates = dirs.map(|dir| dir.join(name));
    candidates
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| fail(&format!("{name} is not in PATH nor in {USUAL}")))
}
