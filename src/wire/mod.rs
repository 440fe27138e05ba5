// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes to messages and back: no sockets, no clocks, no keys.
//!
//! The formats are those of the C reference (`test/vectors` holds captured packets); what ours
//! adds lives in header fields that the reference sends as 0 and does not read.
#![forbid(unsafe_code)]

mod client;
mod code;
mod peer;

pub use client::{ClientOptions, ClientRequest, TicketAnswer, WaitCause};
pub use code::{Command, Reason, ResultCode};
pub use peer::{PeerBody, PeerMessage, Round, Stamp};
