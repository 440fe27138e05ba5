// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor: one thread that reads the ticket store, runs handlers, and speaks with the
//! keeper, which changes the store. It takes no decision.
//!
//! It receives the engine's wishes, carries them out or passes them on, and sends the outcomes
//! back as events. The order of reads and handlers is the business of `slots`, which is pure;
//! processes are that of [`store::child`]; the way to the keeper is [`store::keeper::Link`].

mod bulk;
mod config;
mod jobs;
mod thread;

pub use config::{ExecutorConfig, ExecutorTicket};

use super::channels::ToExecutor;
use crate::engine::Event;
use crate::store;
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use thread::Executor;

/// Stack of the thread: all of it is locked into memory in a daemon.
const STACK: usize = 256 * 1024;

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
) -> io::Result<ExecutorHandle> {
    store::prepare(&mut config.store);
    // Without a keeper nothing may be granted.
    let link = config.link().map_err(cannot_start("the keeper of the tickets"))?;
    let thread = std::thread::Builder::new().name("executor".to_owned()).stack_size(STACK);
    let (alive, ended) = bounded::<()>(0);
    let executor = move || {
        Executor::new(config, link, (wishes, sleeper), events).run();
        drop(alive);
    };
    thread.spawn(executor).map_err(cannot_start("the executor"))?;
    Ok(ExecutorHandle(ended))
}

fn cannot_start(what: &str) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::other(format!("cannot start {what}: {error}"))
}
