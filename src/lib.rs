// SPDX-License-Identifier: GPL-2.0-or-later
//! Booth: a ticket manager for geo-clusters.
//!
//! The members of a geo-cluster (sites and arbitrators) agree, per ticket, on one site that may
//! hold it. The [`engine`] decides and is pure; the [`daemon`] carries: threads and sockets. The
//! [`store`] is where a site keeps its tickets, [`sys`] the operating system. [`wire`] and
//! [`auth`] speak the protocol of the C reference, [`config`] reads its files, and [`cli`] is what
//! people and scripts call. A [`report`] is all that a member knows. `src/README.md` is a guide.
//!
//! What is pure is a crate of its own, `booth_core`, without the standard library: the compiler
//! keeps clocks, files, threads and processes out of it.

// `pub` is what other crates use: the test programs and the fuzz targets.
#![warn(unreachable_pub)]

pub mod cli;
pub mod config;
pub mod daemon;
pub mod report;
pub mod store;
pub mod sys;

pub use booth_core::{
    auth, engine, keeper, model, pacemaker, prng, queues, reach, slots, time, wheel, wire,
};
