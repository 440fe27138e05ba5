// SPDX-License-Identifier: GPL-2.0-or-later
//! Seals datagrams and hands them to the kernel, without ever waiting.
//!
//! Each call says "do not wait" for itself. The socket stays a blocking one, because the
//! receiver reads from the very same socket.

use super::bonds::Bonds;
use super::text::member_name;
use super::transport::Transport;
use crate::model::{MemberIndex, MemberSet, Roster, TicketName};
use crate::sys::clock;
use crate::wire::{encode_peer, encode_probe, PeerMessage, Probe, TimeUnit};
use socket2::{SockAddr, SockRef};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// The socket, and where the members are.
pub(super) struct Post {
    socket: Arc<UdpSocket>,
    /// Each member's address, in configuration order.
    addresses: Vec<SockAddr>,
}

impl Post {
    /// Sends from this socket to members at these addresses, in the order of the roster.
    pub(super) fn new(socket: Arc<UdpSocket>, addresses: &[SocketAddr]) -> Post {
        Post { socket, addresses: addresses.iter().copied().map(SockAddr::from).collect() }
    }

    /// Hands a sealed datagram to the kernel.
    ///
    /// # Errors
    /// The kernel does not take it, or would have to wait.
    pub(super) fn send(&self, to: MemberIndex, packet: &[u8]) -> std::io::Result<()> {
        let socket = SockRef::from(&*self.socket);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // A datagram is sent whole or not at all.
        socket.send_to_with_flags(packet, &self.addresses[to.get()], flags).map(|_| ())
    }
}

/// The way to all other members.
pub(super) struct Outbox {
    post: Arc<Post>,
    roster: Roster,
    bonds: Arc<Bonds>,
    unit: TimeUnit,
    /// Members to whom the last datagram could not be sent.
    failing: MemberSet,
}

impl Outbox {
    /// An outbox that sends by this post to the members of the roster.
    pub(super) fn new(
        post: Arc<Post>,
        roster: Roster,
        bonds: Arc<Bonds>,
        unit: TimeUnit,
    ) -> Outbox {
        assert_eq!(post.addresses.len(), roster.len(), "every member has an address");
        Outbox { post, roster, bonds, unit, failing: MemberSet::EMPTY }
    }
}

impl Outbox {
    /// Seals a packet for a member and hands it to the kernel. False: it was not taken.
    fn post(&mut self, to: MemberIndex, packet: Vec<u8>) -> bool {
        let packet = self.bonds.seal(to, packet, clock::wall());
        let sent = self.post.send(to, &packet);
        // The first failure in a row is noted, and the end of the row.
        match &sent {
            Ok(()) if self.failing.remove(to) => {
                log::info!("can send to {} again", member_name(&self.roster, to));
            }
            Err(error) if self.failing.insert(to) => {
                let name = member_name(&self.roster, to);
                log::warn!("cannot send to {name}: {error}; its datagrams are lost");
            }
            Ok(()) | Err(_) => {}
        }
        sent.is_ok()
    }
}

impl Transport for Outbox {
    fn send(&mut self, to: MemberIndex, message: &PeerMessage) -> bool {
        let packet = encode_peer(self.roster.my_id(), message, self.unit);
        self.post(to, packet)
    }

    fn probe(&mut self, to: MemberIndex, ticket: &TicketName, probe: Probe) {
        let packet = encode_probe(self.roster.my_id(), ticket, probe);
        self.post(to, packet);
    }
}
