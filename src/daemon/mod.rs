// SPDX-License-Identifier: GPL-2.0-or-later
//! The shell around the engine: threads, sockets, child processes, signals.
//!
//! The threads carry, the engine decides. [`run`] is the whole life of a daemon.

pub mod channels;
pub mod clock;
pub mod connection;
pub mod engine_loop;
pub mod executor;
pub mod leases;
pub mod limiter;
pub mod local_addr;
pub mod lockfile;
pub mod notify;
pub mod os;
pub mod outbox;
pub mod poll;
pub mod slots;
pub mod tcp;
pub mod text;
pub mod ticket_dir;
pub mod timer;
pub mod udp;
pub mod wheel;

use crate::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the command line says about a daemon.
#[derive(Clone, Debug, Default)]
pub struct DaemonOptions {
    /// `-D`, how often: added to the configuration's debug level.
    pub debug: u32,
    /// `-S`: stay in the foreground.
    pub foreground: bool,
    /// `-l`: the lock file; without it [`lockfile::default_path`].
    pub lock_file: Option<PathBuf>,
    /// `-c` as given: the process title names it, since resource agents search for it.
    pub config_given: String,
}

/// Runs the daemon for the member number `me` (see [`local_addr::find_daemon`]) until it is told
/// to stop. Into the background it returns in the parent as soon as the child is up.
///
/// The exit code is 0 after a clean stop, and in the parent of a daemon that is up; else 1, with
/// the reason on stderr.
pub fn run(config: Config, me: usize, options: DaemonOptions) -> ExitCode {
    let _ = (config, me, options);
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests;
