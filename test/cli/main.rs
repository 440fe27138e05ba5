// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line from outside: what arguments mean, and what the clients print and return
//! when a daemon answers well, badly or not at all. The daemon is a script in the test; what it
//! says was captured from the reference.

mod arguments;
mod bonds;
mod captured;
mod clients;
mod daemon;
mod geostore;
mod keys;
mod lab;
mod printing;
mod refusals;
mod server;
mod status;
mod waiting;
