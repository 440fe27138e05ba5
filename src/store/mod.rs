// SPDX-License-Identifier: GPL-2.0-or-later
//! The ticket stores of a site: what reads and changes them, and the processes that guard them.
//!
//! [`keeper`] has the process that changes the store and outlives the daemon, and the daemon's end
//! of it; [`helper`] the one that works on the built-in store, [`ticket_dir`], and runs handlers;
//! [`child`] runs any of them, or Pacemaker's tools, beside whoever has started it.

pub mod after_boot;
pub mod child;
pub mod helper;
pub mod keeper;
pub mod reading;
pub mod ticket_dir;
