// SPDX-License-Identifier: GPL-2.0-or-later
//! Booth: a ticket manager for geo-clusters.
//!
//! The members of a geo-cluster (sites and arbitrators) agree, per ticket, on one site that may
//! hold it. The [`engine`] decides and is pure; the [`daemon`] carries: threads, sockets, child
//! processes. [`wire`] and [`auth`] speak the protocol of the C reference, [`config`] reads its
//! files, [`cli`] is what people and scripts call.
//!
//! `model`, `time`, `prng`, `wire`, `auth`, `pacemaker` and `engine` perform no I/O, read no
//! clock and start no thread; a test (`test/tidy`) reads the sources and enforces that.

pub mod auth;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod keeper;
pub mod model;
pub mod pacemaker;
pub mod prng;
pub mod time;
pub mod wire;
