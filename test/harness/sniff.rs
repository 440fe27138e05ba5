// SPDX-License-Identifier: GPL-2.0-or-later
//! Records every datagram between members, inside a lab's network namespace.

use super::lab::Lab;
use super::setup::PORT;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// EtherType of IPv4. A packet socket for one protocol sees each packet of the loopback once,
/// where it arrives: what a cut link dropped is not seen.
const ETH_P_IP: u16 = 0x0800;
/// How often the recording thread looks whether it shall end.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Recorded packets; more than any test sends, and a bound for one that runs wild.
const SEEN_MAX: usize = 500_000;

/// A datagram between members.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When, since the recording began.
    pub at: Duration,
    /// Sender.
    pub from: Ipv4Addr,
    /// Receiver.
    pub to: Ipv4Addr,
    /// Payload.
    pub bytes: Vec<u8>,
}

/// A recording that goes on until it is dropped.
pub struct Sniffer {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Begins to record.
    #[track_caller]
    pub fn new(lab: &Lab) -> Sniffer {
        assert!(lab.is_inside(), "a recording sees only a namespace");
        let protocol = Protocol::from(i32::from(ETH_P_IP.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol));
        let socket = socket.unwrap_or_else(|error| panic!("cannot record packets: {error}"));
        let limited = socket
            .set_read_timeout(Some(LOOK_EVERY))
            .and_then(|()| socket.set_recv_buffer_size(4 << 20));
        assert!(limited.is_ok(), "{limited:?}");
        let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || record(socket, &seen, &stop))
        };
        Sniffer { seen, stop, thread: Some(thread) }
    }

    /// What has been seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    /// How many have been seen so far.
    pub fn count(&self) -> usize {
        self.seen.lock().map(|seen| seen.len()).unwrap_or_default()
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A recorder that failed has been noticed by the test that looked at it.
            let _ = thread.join();
        }
    }
}

/// The recording thread.
fn record(mut socket: Socket, seen: &Mutex<Vec<Seen>>, stop: &AtomicBool) {
    let begun = Instant::now();
    let mut bytes = vec![0; 70_000];
    while !stop.load(Ordering::Relaxed) {
        let Ok(count) = socket.read(&mut bytes) else { continue };
        let Some((from, to, payload)) = member_datagram(&bytes[..count]) else { continue };
        let Ok(mut seen) = seen.lock() else { return };
        if seen.len() < SEEN_MAX {
            seen.push(Seen { at: begun.elapsed(), from, to, bytes: payload.to_vec() });
        }
    }
}

/// Sender, receiver and payload of a UDP datagram for a member, from the IPv4 header on.
fn member_datagram(bytes: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, &[u8])> {
    let address = |at: usize| {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(four))
    };
    let header = usize::from(bytes.first()? & 15) * 4;
    let is_udp = *bytes.get(9)? == 17;
    let port = u16::from_be_bytes(bytes.get(header + 2..header + 4)?.try_into().ok()?);
    (is_udp && port == PORT).then_some(())?;
    Some((address(12)?, address(16)?, bytes.get(header + 8..)?))
}
