// SPDX-License-Identifier: GPL-2.0-or-later
//! The operating system, as far as the standard library has no words for it: clocks, waiting,
//! processes and signals, users, addresses, and the lock file. All `unsafe` code is here.

pub(crate) mod accounts;
pub mod clock;
pub(crate) mod directory;
pub(crate) mod filelock;
pub(crate) mod keepalive;
pub mod local_addr;
pub mod lockfile;
pub(crate) mod lockholder;
pub(crate) mod lockwatch;
pub(crate) mod open_files;
pub(crate) mod os;
pub(crate) mod panics;
pub mod poll;
pub(crate) mod presence;
pub(crate) mod process;
pub(crate) mod signals;
mod state_line;
pub mod surroundings;
pub(crate) mod title;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
