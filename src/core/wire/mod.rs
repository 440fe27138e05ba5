// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes to messages and back: no sockets, no clocks, no keys.
//!
//! The formats are those of the C reference (`test/vectors` has captured packets). What ours adds
//! is in header fields that the reference sends as 0 and does not read.

mod client;
mod client_codec;
mod code;
mod error;
pub(crate) mod header;
mod life;
mod payload;
mod peer;
mod peer_codec;
mod probe;
mod reader;
mod unit;

pub use client::{ClientOptions, ClientReply, ClientRequest, TicketAnswer};
pub use client_codec::{
    decode_reply, decode_request, encode_reply, encode_report_header, encode_request,
};
pub use code::{Command, Reason, ResultCode, WaitCause};
pub use error::{Field, WireError};
pub use header::{
    claimed_sender, frame_len, request_len, stamp_of, DATAGRAM_MAX, FRAME_MAX, HEADER_LEN, MAC_LEN,
    PEER_LEN, REQUEST_MAX, REQUEST_TAIL,
};
pub use life::{encode_hello, is_hello, life_of, put_life, Life};
pub use peer::{LastKnown, PeerBody, PeerMessage, Round, Stamp, NONCE_MAX};
pub use peer_codec::{decode_peer, encode_peer};
pub use probe::{decode_probe, encode_probe, Probe};
pub use unit::TimeUnit;

#[cfg(test)]
mod tests;
