// SPDX-License-Identifier: GPL-2.0-or-later
//! One suite, two programs: what a user, a script or another member can observe of a daemon
//! and its clients, run against ours (default) or against the C reference
//! (`BOOTH_UNDER_TEST=theirs`). How: `test/README.md`; differences: `test/QUIRKS.md`.

mod arguments;
mod attributes;
mod configuration;
mod handlers;
mod ipv6;
mod keys;
mod lock_file;
mod manual;
mod members;
mod packets;
mod peers;
mod quirk;
mod replays;
mod signals;
mod store;
mod tickets;
mod waiting;
