// SPDX-License-Identifier: GPL-2.0-or-later
//! The real program as a daemon on loopback addresses: start, lock file, signals, log, service
//! manager, and what it takes from clients and strangers. What members do together is tested
//! elsewhere.

mod addresses;
mod after_boot;
mod alerts;
mod asked;
mod background;
mod crowd;
mod descriptors;
mod host;
mod life;
mod lock;
mod manager;
mod numbers;
mod owners;
mod procedures;
mod shell;
mod site;
mod start;
mod strangers;
mod support;
