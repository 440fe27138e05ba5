// SPDX-License-Identifier: GPL-2.0-or-later
//! The ticket stores of a site: what reads and changes them, and the processes that guard them.
//!
//! [`keeper`] has the process that changes the store and outlives the daemon, and the daemon's end
//! of it; [`helper`] the one that works on the built-in store, [`ticket_dir`], and runs handlers;
//! [`child`] runs any of them, or Pacemaker's tools, beside whoever has started it, and [`program`]
//! what the administrator has put into a directory. [`reading`] asks a store of either kind;
//! [`after_boot`] revokes what an earlier boot left granted.

pub(crate) mod after_boot;
pub(crate) mod child;
pub mod helper;
pub mod keeper;
pub(crate) mod program;
pub(crate) mod reading;
mod ticket_dir;

use crate::config::TicketStore;

/// Makes the directory of a built-in store if it is missing, and its path independent of the
/// working directory: helpers and the keeper may have another.
pub fn prepare(store: &mut TicketStore) {
    if let TicketStore::Directory(dir) = store {
        *dir = std::path::absolute(&*dir).unwrap_or_else(|_| dir.clone());
        if let Err(error) = ticket_dir::TicketDir::new(dir).ensure() {
            // Reading the tickets will fail too, again and again, and say so.
            log::error!("{error}");
        }
    }
}
