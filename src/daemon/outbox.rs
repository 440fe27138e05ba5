// SPDX-License-Identifier: GPL-2.0-or-later
//! Seals datagrams and hands them to the kernel, without ever waiting.
//!
//! Each call says "do not wait" for itself. The socket stays a blocking one, because the
//! receiver reads from the very same socket.

use super::clock;
use super::engine_loop::Courier;
use super::text::member_name;
use crate::auth::Sealer;
use crate::model::{MemberIndex, MemberSet, Roster};
use crate::wire::{encode_peer, PeerMessage, TimeUnit};
use socket2::{SockAddr, SockRef};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// The way to all other members.
pub struct Outbox {
    socket: Arc<UdpSocket>,
    /// Each member's address, in configuration order.
    addresses: Vec<SockAddr>,
    roster: Roster,
    sealer: Sealer,
    unit: TimeUnit,
    /// Members to whom the last datagram could not be sent.
    failing: MemberSet,
}

impl Outbox {
    /// An outbox that sends from this socket to members at these addresses, in the order of the
    /// roster.
    pub fn new(
        socket: Arc<UdpSocket>,
        addresses: &[SocketAddr],
        roster: Roster,
        sealer: Sealer,
        unit: TimeUnit,
    ) -> Outbox {
        assert_eq!(addresses.len(), roster.len(), "every member has an address");
        let addresses = addresses.iter().copied().map(SockAddr::from).collect();
        Outbox { socket, addresses, roster, sealer, unit, failing: MemberSet::EMPTY }
    }

    /// Notes the first failure in a row, and the end of the row.
    fn note_outcome(&mut self, to: MemberIndex, outcome: std::io::Result<()>) -> bool {
        match outcome {
            Ok(()) => {
                if self.failing.remove(to) {
                    log::info!("can send to {} again", member_name(&self.roster, to));
                }
                true
            }
            Err(error) => {
                if self.failing.insert(to) {
                    let name = member_name(&self.roster, to);
                    log::warn!("cannot send to {name}: {error}; its datagrams are lost");
                }
                false
            }
        }
    }
}

impl Courier for Outbox {
    fn send(&mut self, to: MemberIndex, message: &PeerMessage) -> bool {
        let packet = encode_peer(self.roster.my_id(), message, self.unit);
        let packet = self.sealer.seal(packet, clock::wall());
        let socket = SockRef::from(&*self.socket);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let sent = socket.send_to_with_flags(&packet, &self.addresses[to.get()], flags);
        // A datagram is sent whole or not at all.
        self.note_outcome(to, sent.map(|_| ()))
    }
}
