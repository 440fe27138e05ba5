// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor and the keeper with real processes: fake `crm_ticket`s and handlers of every
//! temper, and daemons that are killed or stopped at the worst moment.
//!
//! Each test starts its own *driver*, a process that is nothing but an executor (see [`driver`]),
//! so that it can be killed, and so that each has a `PATH` of its own.

mod driver;
mod guarding;
mod handlers;
mod keeper;
mod misbehaving;
mod owners;
mod process;
mod random;
mod restarts;
mod retries;
mod site;
mod stores;
mod together;
mod unreachable;
