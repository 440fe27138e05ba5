// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper's process, and boothd's end of it.
//!
//! What it decides is in [`crate::keeper`]; [`program`] is the process around that, [`tools`] are
//! the jobs that it starts, [`setup`] is what it is told first, [`link`] is what boothd has of it.
//!
//! In the run directory of the site lie two files: `keeper`, the socket on which a new boothd
//! finds the keeper, and `in-flight`, whose only byte is `1` while a change of the store was begun
//! and may still take effect. Both are opened once, at the start, by a descriptor of the
//! directory: whatever becomes of its path or owner later, the keeper goes on. The directory has
//! one [`owner`], which no other keeper works beside.

mod journal;
mod leftovers;
mod link;
mod owner;
mod packets;
mod program;
mod run_dir;
mod setup;
mod tools;

pub use link::Link;
pub use program::main;
pub use setup::{Setup, NAME};
