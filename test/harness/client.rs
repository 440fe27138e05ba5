// SPDX-License-Identifier: GPL-2.0-or-later
//! A client of the tests' own: sends any bytes, collects the answers, within a time limit.

use super::packet::{Packet, HEADER};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed the connection.
    Closed,
    /// The server reset it, or did not accept it.
    Reset,
    /// The time limit passed, with the connection open.
    Open,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Each with the time since the connection was made.
    pub packets: Vec<(Duration, Packet)>,
    /// How it ended.
    pub end: End,
    /// When.
    pub ended: Duration,
}

impl Answers {
    /// The results, in order, as four letters ("0" is success).
    pub fn outcomes(&self) -> Vec<String> {
        self.packets.iter().map(|(_, packet)| packet.outcome()).collect()
    }

    /// The only answer. Panics unless there is exactly one and the server closed then.
    #[track_caller]
    pub fn only(&self) -> &Packet {
        assert!(self.end == End::Closed && self.packets.len() == 1, "{self:?}");
        &self.packets[0].1
    }

    /// The last answer. Panics if there is none.
    #[track_caller]
    pub fn last(&self) -> &Packet {
        &self.packets.last().unwrap_or_else(|| panic!("no answer: {self:?}")).1
    }
}

/// Sends `request`, sealed with `key`, and collects answers until the server closes.
#[track_caller]
pub fn ask(to: Ipv4Addr, request: &Packet, key: Option<&[u8]>, limit: Duration) -> Answers {
    ask_with(to, &request.seal(key), key, limit)
}

/// The same with any bytes.
#[track_caller]
pub fn ask_with(to: Ipv4Addr, bytes: &[u8], key: Option<&[u8]>, limit: Duration) -> Answers {
    let begun = Instant::now();
    let mut answers = Answers { packets: Vec::new(), end: End::Reset, ended: Duration::ZERO };
    let address = SocketAddr::from((to, super::setup::PORT));
    if let Ok(mut stream) = TcpStream::connect_timeout(&address, limit) {
        let mut received = Vec::new();
        answers.end = match stream.write_all(bytes) {
            Ok(()) => collect(&mut stream, &mut received, key, begun, limit, &mut answers.packets),
            Err(_) => End::Reset,
        };
        assert!(received.is_empty() || answers.end == End::Open, "half an answer: {received:?}");
    }
    answers.ended = begun.elapsed();
    answers
}

/// Reads answers until the end or the limit.
#[track_caller]
fn collect(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    key: Option<&[u8]>,
    begun: Instant,
    limit: Duration,
    packets: &mut Vec<(Duration, Packet)>,
) -> End {
    let mut chunk = [0; 4096];
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return End::Open;
        }
        let set = stream.set_read_timeout(Some(left));
        assert!(set.is_ok(), "a time limit that is not 0 can be set");
        match stream.read(&mut chunk) {
            Ok(0) => return End::Closed,
            Ok(count) => received.extend(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return End::Reset,
        }
        while let Some(length) = whole_packet(received) {
            let bytes: Vec<u8> = received.drain(..length).collect();
            let packet = Packet::read(&bytes, key).unwrap_or_else(|why| panic!("{why}: {bytes:?}"));
            packets.push((begun.elapsed(), packet));
        }
    }
}

/// The length of the first packet, if all of it is there.
fn whole_packet(received: &[u8]) -> Option<usize> {
    let field: [u8; 4] = received.get(24..28)?.try_into().ok()?;
    let length = u32::from_be_bytes(field) as usize;
    (length >= HEADER && received.len() >= length).then_some(length)
}
