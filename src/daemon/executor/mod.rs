// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor: one thread that reads the ticket store, runs handlers, and speaks with the
//! keeper, which changes the store. It takes no decision.
//!
//! It receives the engine's wishes, carries them out or passes them on, and sends the outcomes
//! back as events. The order of reads and handlers is the business of `slots`, which is pure;
//! processes are that of [`store::child`]; the way to the keeper is [`Link`].

mod bulk;
mod error;
mod jobs;
mod thread;

pub use error::ExecutorError;

use super::channels::ToExecutor;
use crate::config::{Config, Handler, TicketStore};
use crate::engine::Event;
use crate::keeper::Kept;
use crate::model::{MemberId, TicketName};
use crate::store;
use crate::store::keeper::{Link, Setup};
use crate::store::reading::Reader;
use crate::time::Span;
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thread::Executor;

/// Stack of the thread: all of it is locked into memory in a daemon.
const STACK: usize = 256 * 1024;

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
    /// A directory of this site alone that this user can write and that is empty after a reboot:
    /// there the next daemon finds the keeper.
    pub run_dir: PathBuf,
    /// The program that helpers and the keeper are started from: [`own_program`], but for tests,
    /// which are not that program.
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
    /// What `config` says for the member number `me`, with this run directory.
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

    /// By which the tickets are read.
    fn reader(&self) -> Reader<'_> {
        let ExecutorConfig { store, config_name, program, .. } = self;
        Reader { store, config_name, program }
    }

    fn link(&self) -> std::io::Result<Link> {
        let guard = self.tickets.iter().map(|ticket| ticket.guard).max();
        let kept =
            |ticket: &ExecutorTicket| Kept { name: ticket.name.clone(), guard: ticket.guard };
        let setup = Setup {
            store: self.store.clone(),
            config_name: self.config_name.clone(),
            site: self.site,
            guard: guard.unwrap_or_default(),
            replaces: false,
        };
        let kept = self.tickets.iter().map(kept).collect();
        Link::start(setup, &self.program, &self.run_dir, kept)
    }
}

/// The running executor.
#[derive(Debug)]
pub struct ExecutorHandle(Receiver<()>);

impl ExecutorHandle {
    /// Waits, at most so long, until the thread has ended, which [`ToExecutor::Stop`], or the end
    /// of its channel, makes it do within two seconds; false if it takes longer. The tickets stay
    /// as they are, and the keeper stays as long as there is any to keep.
    pub fn wait(&self, limit: Duration) -> bool {
        // Nothing is ever sent: the thread drops its end when it ends.
        self.0.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Takes the keeper of this site over, or starts one, and starts the executor's thread.
///
/// Call it after the daemon has taken its final user, group and directory. Whoever sends wishes
/// wakes the other end of `sleeper`. Results come to `events`; if that is full they wait, and the
/// executor goes on with its duties. A ticket is not read before nothing that was begun earlier
/// can change it any more (`RULES.md` L9): that may take the longest *g* of all where another
/// node of the site may have begun it.
///
/// # Errors
/// There is no keeper, or the thread cannot be started.
pub fn spawn(
    mut config: ExecutorConfig,
    (wishes, sleeper): (Receiver<ToExecutor>, UnixStream),
    events: Sender<Event>,
) -> Result<ExecutorHandle, ExecutorError> {
    store::prepare(&mut config.store);
    let link = config.link().map_err(ExecutorError::Keeper)?;
    let thread = std::thread::Builder::new().name("executor".to_owned()).stack_size(STACK);
    let (alive, ended) = bounded::<()>(0);
    let executor = move || {
        Executor::new(config, link, (wishes, sleeper), events).run();
        drop(alive);
    };
    thread.spawn(executor).map_err(ExecutorError::Thread)?;
    Ok(ExecutorHandle(ended))
}
