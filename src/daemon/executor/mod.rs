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
use super::spawn::{spawn as spawn_thread, Ended};
use crate::engine::Event;
use crate::store;
use crossbeam_channel::{Receiver, Sender};
use std::io;
use std::os::unix::net::UnixStream;
use thread::Executor;

/// Takes the keeper of this site over, or starts one, and starts the executor's thread.
///
/// Call it after the daemon has taken its final user, group and directory. Whoever sends wishes
/// wakes the other end of `sleeper`. Results come to `events`; if that is full they wait, and the
/// executor goes on with its duties. A ticket is not read before nothing that was begun earlier
/// can change it any more (`RULES.md` L9): that may take the longest *g* of all where another
/// node of the site may have begun it.
///
/// The thread ends within two seconds after [`ToExecutor::Stop`], or the end of its channel. The
/// tickets stay as they are, and the keeper stays as long as there is any to keep.
///
/// # Errors
/// There is no keeper, or the thread cannot be started.
pub fn spawn(
    mut config: ExecutorConfig,
    (wishes, sleeper): (Receiver<ToExecutor>, UnixStream),
    events: Sender<Event>,
) -> io::Result<Ended> {
    store::prepare(&mut config.store);
    // Without a keeper nothing may be granted.
    let link = config.link().map_err(cannot_start("the keeper of the tickets"))?;
    let executor = Executor::new(config, link, (wishes, sleeper), events);
    spawn_thread("executor", move || executor.run()).map_err(cannot_start("the executor"))
}

fn cannot_start(what: &str) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::other(format!("cannot start {what}: {error}"))
}
