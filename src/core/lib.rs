// SPDX-License-Identifier: GPL-2.0-or-later
//! The pure core of Booth: what decides, and the packets by which members and clients speak.
//!
//! It has no `std`: it cannot read a clock, open a file, or start a thread or a process. The
//! [`engine`] decides which site holds a ticket, the [`keeper`] what a site's ticket store is told
//! and when; [`slots`] orders reads and handlers, [`wheel`] keeps alarms; [`wire`] and [`auth`]
//! turn messages into bytes and back, [`pacemaker`] knows the words of Pacemaker's tools. Whoever
//! calls them says what time it is and carries out what they want.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod auth;
pub mod engine;
pub mod keeper;
pub mod model;
pub mod pacemaker;
pub mod prng;
pub mod queues;
pub mod reach;
pub mod slots;
pub mod time;
pub mod wheel;
pub mod wire;
