// SPDX-License-Identifier: GPL-2.0-or-later
//! A scripted member: a socket on the address of a configured member that says what the test
//! wants.

use super::packet::{member_id, Packet};
use super::setup::PORT;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// A member that a test plays.
pub struct FakeMember {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its id.
    pub id: u32,
    socket: UdpSocket,
    key: Option<Vec<u8>>,
}

impl FakeMember {
    /// Takes the place of the member with this address.
    #[track_caller]
    pub fn new(address: Ipv4Addr, key: Option<&[u8]>) -> FakeMember {
        let socket = UdpSocket::bind((address, PORT));
        let socket = socket.unwrap_or_else(|error| panic!("cannot bind {address}: {error}"));
        FakeMember { address, id: member_id(address), socket, key: key.map(<[u8]>::to_vec) }
    }

    /// Sends a packet, sealed if there is a key.
    pub fn send(&self, to: Ipv4Addr, packet: &Packet) {
        self.send_bytes(to, &packet.seal(self.key.as_deref()));
    }

    /// Sends any bytes.
    #[track_caller]
    pub fn send_bytes(&self, to: Ipv4Addr, bytes: &[u8]) {
        let sent = self.socket.send_to(bytes, (to, PORT));
        assert!(matches!(sent, Ok(count) if count == bytes.len()), "{sent:?}");
    }

    /// A packet of this member with its id.
    pub fn packet(&self, cmd: &str) -> Packet {
        Packet::new(self.id, cmd)
    }

    /// The first packet from `from` that `wanted` accepts, if it comes within `limit`. Others
    /// are read and dropped.
    pub fn receive(
        &self,
        from: Ipv4Addr,
        limit: Duration,
        mut wanted: impl FnMut(&Packet) -> bool,
    ) -> Option<Packet> {
        let begun = Instant::now();
        let mut bytes = [0; 2048];
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return None;
            }
            let set = self.socket.set_read_timeout(Some(left));
            assert!(set.is_ok(), "a time limit that is not 0 can be set");
            let Ok((count, sender)) = self.socket.recv_from(&mut bytes) else { continue };
            if sender.ip() != from {
                continue;
            }
            let packet = Packet::read(&bytes[..count], self.key.as_deref())
                .unwrap_or_else(|why| panic!("{from} sent: {why}"));
            if wanted(&packet) {
                return Some(packet);
            }
        }
    }

    /// The next packet of `from` with this command. Panics if none comes within `limit`.
    #[track_caller]
    pub fn expect(&self, from: Ipv4Addr, cmd: &str, limit: Duration) -> Packet {
        self.receive(from, limit, |packet| packet.command() == cmd)
            .unwrap_or_else(|| panic!("no {cmd} from {from} within {limit:?}"))
    }

    /// Drops what has arrived so far.
    pub fn forget(&self) {
        // Nobody has this address: everything is read and dropped until the time is over.
        let nobody = Ipv4Addr::UNSPECIFIED;
        let nothing = self.receive(nobody, Duration::from_millis(1), |_| false);
        debug_assert!(nothing.is_none());
    }
}
