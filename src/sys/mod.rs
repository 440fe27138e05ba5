// SPDX-License-Identifier: GPL-2.0-or-later
//! The operating system, as far as the standard library has no words for it: clocks, waiting,
//! processes and signals, users, addresses, and the lock file. All `unsafe` code is here.

pub mod accounts;
pub mod clock;
pub mod directory;
pub mod filelock;
pub mod local_addr;
pub mod lockfile;
pub mod lockholder;
pub mod lockwatch;
pub mod open_files;
pub mod os;
pub mod panics;
pub mod poll;
pub mod presence;
pub mod process;
pub mod signals;
pub mod state_line;
pub mod surroundings;
pub mod title;
pub mod watch;

#[cfg(test)]
mod tests;
