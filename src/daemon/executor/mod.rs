// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor: one thread that owns every child process of a site and takes no decision.
//!
//! It receives the engine's wishes about the ticket store and the handlers, carries them out
//! under the deadlines of `RULES.md` L6, and sends the outcomes back as events. The order of
//! things is the business of `slots`, which is pure; processes are that of
//! `child`; what has to survive this process is in `leases` and guarded by
//! `guard`.

mod bulk;
mod error;
mod jobs;
mod keeper;
mod revokes;
mod settle;
mod thread;
mod worker;

pub use error::ExecutorError;

use super::channels::ToExecutor;
use super::leases::{Generation, LeaseTable, OpenError, Opened, Slot, Verdict};
use super::poll;
use super::ticket_dir::TicketDir;
use crate::config::{Config, Handler, TicketStore};
use crate::engine::Event;
use crate::model::{MemberId, TicketName};
use crate::time::Span;
use crossbeam_channel::{Receiver, Sender};
use keeper::Keeper;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thread::Executor;

/// Wishes on their way from the channel to the thread, which waits for descriptors.
const INBOX: usize = 64;

/// Stack of each thread: all of it is locked into memory in a daemon.
const STACK: usize = 256 * 1024;

/// How long a predecessor that was just killed may keep the lease table.
const LET_GO: Duration = Duration::from_secs(2);

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
    /// the lease table lies there, shared with the lease guard and with the next daemon.
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

/// What every part of the executor needs.
#[derive(Debug)]
struct Context {
    config: ExecutorConfig,
    table: LeaseTable,
    generation: Generation,
    /// The places of the tickets in the table, in configuration order.
    slots: Vec<Slot>,
}

/// The running executor.
#[derive(Debug)]
pub struct ExecutorHandle {
    intake: JoinHandle<()>,
    thread: JoinHandle<()>,
}

impl ExecutorHandle {
    /// Waits until the threads have ended, which [`ToExecutor::Stop`], or the end of its channel,
    /// makes them do within two seconds. The tickets stay as they are, and the lease guard stays
    /// as long as there is any to guard.
    pub fn join(self) {
        // A panic has already ended the process (`panic = "abort"`); there is no other error.
        let _ = self.intake.join();
        let _ = self.thread.join();
    }
}

/// Makes sure that no change of a predecessor of this site is running or in flight (`RULES.md`
/// L9), starts the lease guard, and starts the executor's thread.
///
/// It returns after that is certain: at once as a rule; after *g* of a ticket of which a
/// change was begun and is not known to have ended; after the longest *g* of all if a daemon
/// may have run on another node of the site meanwhile, which at the first start on this
/// machine since it was booted nobody can know. Call it before any packet is sent or
/// answered, after the daemon has taken its final user, group and directory, and before the
/// first wish. Results come to `events`; if that is full they wait, and the executor goes on
/// with its duties. What is waited for at the start, `pause` waits for: at most so long, less
/// if it likes; true ends the start.
///
/// # Errors
/// The lease table cannot be made or is in use, the thread or the guard cannot be started, or
/// `pause` says that the daemon is to stop.
pub fn spawn(
    mut config: ExecutorConfig,
    wishes: Receiver<ToExecutor>,
    events: Sender<Event>,
    pause: &dyn Fn(Duration) -> bool,
) -> Result<ExecutorHandle, ExecutorError> {
    if let TicketStore::Directory(dir) = &mut config.store {
        // Helpers and guard may live in another directory than this process does now.
        *dir = std::path::absolute(&*dir).unwrap_or_else(|_| dir.clone());
        if let Err(error) = TicketDir::new(dir).ensure() {
            // Reading the tickets will fail too, again and again, and say so.
            log::error!("{error}");
        }
    }
    let path = config.run_dir.join(TABLE);
    let opened = open_table(&path, &config)?;
    let Opened { table, generation, slots, past } = opened;
    let context = Context { config, table, generation, slots };
    let keeper = Keeper::start(&context).map_err(ExecutorError::Guard)?;
    let table_error = |error| ExecutorError::Table(path.clone(), error);
    if settle::settle(&context, past, pause).map_err(table_error)?.is_break() {
        return Err(ExecutorError::Stopped);
    }
    report_marks(&context).map_err(table_error)?;
    start_threads(context, keeper, wishes, events).map_err(ExecutorError::Thread)
}

/// The lease table inside its directory.
const TABLE: &str = "table";

/// Opens the table; a predecessor that is just being killed may need a moment to let it go.
fn open_table(path: &Path, config: &ExecutorConfig) -> Result<Opened, ExecutorError> {
    let tickets: Vec<_> =
        config.tickets.iter().map(|ticket| (ticket.name.clone(), ticket.guard)).collect();
    let begun = Instant::now();
    loop {
        match LeaseTable::open(path, &tickets) {
            Ok(opened) => return Ok(opened),
            Err(OpenError::Io(error)) => {
                return Err(ExecutorError::Table(path.to_path_buf(), error));
            }
            Err(OpenError::InUse) if begun.elapsed() >= LET_GO => {
                return Err(ExecutorError::InUse(path.to_path_buf()));
            }
            Err(OpenError::InUse) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Says what a lease guard has done since the last daemon of this site.
fn report_marks(context: &Context) -> std::io::Result<()> {
    for (ticket, slot) in context.config.tickets.iter().zip(&context.slots) {
        let (mark, told) = (context.table.mark(*slot)?, context.table.told(*slot)?);
        let Some(mark) = mark.filter(|mark| told.is_some_and(|told| told.number == mark.number))
        else {
            continue;
        };
        let time = super::clock::LocalTime::of(mark.at);
        match mark.verdict {
            Verdict::Revoked => {
                log::warn!("{}: revoked by the lease guard at {time}", ticket.name);
            }
            Verdict::Newer | Verdict::WasFree => {}
        }
    }
    Ok(())
}

fn start_threads(
    context: Context,
    keeper: Keeper,
    wishes: Receiver<ToExecutor>,
    events: Sender<Event>,
) -> std::io::Result<ExecutorHandle> {
    let (bell, ringer) = poll::waker_pair()?;
    let (put, inbox) = crossbeam_channel::bounded(INBOX);
    let intake = std::thread::Builder::new().name("exec-intake".to_owned()).stack_size(STACK);
    let intake = intake.spawn(move || {
        for message in &wishes {
            let last = message == ToExecutor::Stop;
            // If the executor has ended, so does this.
            if put.send(message).is_err() {
                return;
            }
            poll::wake(&ringer);
            if last {
                return;
            }
        }
        let _ = put.send(ToExecutor::Stop);
        poll::wake(&ringer);
    })?;
    let thread = std::thread::Builder::new().name("executor".to_owned()).stack_size(STACK);
    let executor = move || {
        crate::daemon::process::spare_children();
        Executor::new(context, keeper, (inbox, bell), events).run();
    };
    Ok(ExecutorHandle { intake, thread: thread.spawn(executor)? })
}
