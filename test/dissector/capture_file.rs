// SPDX-License-Identifier: GPL-2.0-or-later
//! A file of captured packets (pcap), each in IP and UDP or TCP.

/// Of both ends of all packets; the server's, or of both members, is 9929.
const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];
/// Booth's port.
pub const PORT: u16 = 9929;
/// The link type of packets that begin with an IP header.
const RAW: u32 = 101;

/// The file, in memory.
pub struct CaptureFile {
    bytes: Vec<u8>,
    packets: u32,
    connections: u16,
}

/// A TCP connection of a client: what comes next at each end.
pub struct Connection {
    client: u16,
    server: u16,
    sent: [u32; 2],
}

/// Who sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Client,
    Server,
}

impl CaptureFile {
    pub fn new() -> CaptureFile {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 262_144, RAW] {
            bytes.extend(word.to_be_bytes());
        }
        CaptureFile { bytes, packets: 0, connections: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a datagram between these ports.
    pub fn datagram(&mut self, from: u16, to: u16, payload: &[u8]) {
        let length = u16::try_from(8 + payload.len()).expect("a datagram");
        let header = [from, to, length, 0].map(u16::to_be_bytes).concat();
        self.packet(17, CLIENT, SERVER, &[&header, payload].concat());
    }

    /// A new connection to this port.
    pub fn connect(&mut self, server: u16) -> Connection {
        self.connections += 1;
        Connection { client: 40_000 + self.connections, server, sent: [1, 1] }
    }

    /// Adds a segment.
    pub fn segment(&mut self, connection: &mut Connection, end: End, payload: &[u8]) {
        let (own, other) = if end == End::Client { (0, 1) } else { (1, 0) };
        let ports = [connection.client, connection.server];
        let mut header = [ports[own], ports[other]].map(u16::to_be_bytes).concat();
        header.extend(connection.sent[own].to_be_bytes());
        header.extend(connection.sent[other].to_be_bytes());
        // The length of the header, PSH and ACK, the window; no checksum.
        header.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
        connection.sent[own] += u32::try_from(payload.len()).expect("a segment");
        let (from, to) = if end == End::Client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        self.packet(6, from, to, &[&header, payload].concat());
    }

    fn packet(&mut self, protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) {
        let length = u16::try_from(20 + payload.len()).expect("an IP packet");
        let [high, low] = length.to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend(from);
        packet.extend(to);
        packet.extend(payload);
        self.packets += 1;
        let size = u32::from(length);
        for word in [self.packets, 0, size, size] {
            self.bytes.extend(word.to_be_bytes());
        }
        self.bytes.extend(packet);
    }
}
