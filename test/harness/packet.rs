// SPDX-License-Identifier: GPL-2.0-or-later
//! The wire format, read and written a second time, independently of `booth_core::wire`.
//!
//! A [`Packet`] holds every header field as a number, so that a test can send what no correct
//! program would.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a header.
pub const HEADER: usize = 48;
/// Bytes of a header with a ticket payload.
const TICKET: usize = 124;
/// Bytes of a MAC with its framing.
const MAC: usize = 28;
/// Leader field: nobody.
pub const NOBODY: u32 = 0xFFFF_FFFF;
/// Sender of clients that belong to no member; leader in requests.
pub const ANYONE: u32 = 0;

/// The number of a four-letter code; "" is 0.
pub fn four(code: &str) -> u32 {
    match code.as_bytes() {
        [] => 0,
        bytes => u32::from_be_bytes(bytes.try_into().expect("a code has four letters")),
    }
}

/// The four letters of a number, or the number.
fn letters(number: u32) -> String {
    let bytes = number.to_be_bytes();
    if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        number.to_string()
    }
}

/// The id of the member with this address.
pub fn member_id(address: Ipv4Addr) -> u32 {
    crc32fast::hash(&address.octets()) & 0x7FFF_FFFF
}

/// One packet; the ticket payload is `None` for a header alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// Bit 0: authenticated. Set by [`Packet::seal`].
    pub opts: u32,
    /// Time stamp; 0 without authentication.
    pub secs: u32,
    /// Its microseconds.
    pub usecs: u32,
    /// `0x5F1BA08C`.
    pub magic: u32,
    /// `0x00010003`.
    pub version: u32,
    /// Sender's id.
    pub from: u32,
    /// Bytes in all; set when bytes are made, unless it is not 0.
    pub length: u32,
    /// Command.
    pub cmd: u32,
    /// The command that is answered.
    pub request: u32,
    /// Options, or a round.
    pub options: u32,
    /// Why an election was started.
    pub reason: u32,
    /// Result.
    pub result: u32,
    /// Ticket payload.
    pub ticket: Option<Ticket>,
    /// What follows the header otherwise: text, or an attribute payload.
    pub rest: Vec<u8>,
}

/// The payload that names a ticket.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Ticket {
    /// At most 63 bytes.
    pub name: String,
    /// Site id.
    pub leader: u32,
    /// Term.
    pub term: u32,
    /// Remaining validity.
    pub valid_for: u32,
}

impl Packet {
    /// A packet of `from` with this command and no payload.
    pub fn new(from: u32, cmd: &str) -> Packet {
        Packet {
            opts: 0,
            secs: 0,
            usecs: 0,
            magic: 0x5F1B_A08C,
            version: 0x0001_0003,
            from,
            length: 0,
            cmd: four(cmd),
            request: 0,
            options: 0,
            reason: 0,
            result: 0,
            ticket: None,
            rest: Vec::new(),
        }
    }

    /// With a ticket payload.
    pub fn ticket(mut self, name: &str, leader: u32, term: u32, valid_for: u32) -> Packet {
        self.ticket = Some(Ticket { name: name.to_owned(), leader, term, valid_for });
        self
    }

    /// With the command that it answers.
    pub fn answering(mut self, request: &str) -> Packet {
        self.request = four(request);
        self
    }

    /// With options.
    pub fn options(mut self, options: u32) -> Packet {
        self.options = options;
        self
    }

    /// With a reason.
    pub fn because(mut self, reason: &str) -> Packet {
        self.reason = four(reason);
        self
    }

    /// With a result.
    pub fn result(mut self, result: &str) -> Packet {
        self.result = four(result);
        self
    }

    /// With an attribute payload: ticket, name, value.
    pub fn attribute(mut self, ticket: &str, name: &str, value: &str) -> Packet {
        for (text, size) in [(ticket, 64), (name, 64), (value, 128)] {
            self.rest.extend(padded(text, size));
        }
        self
    }

    /// The command in letters.
    pub fn command(&self) -> String {
        letters(self.cmd)
    }

    /// The result in letters; "0" is success.
    pub fn outcome(&self) -> String {
        letters(self.result)
    }

    /// The ticket payload. Panics if there is none.
    #[track_caller]
    pub fn payload(&self) -> &Ticket {
        self.ticket.as_ref().unwrap_or_else(|| panic!("no ticket payload in {self:?}"))
    }

    /// The bytes without authentication.
    pub fn bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Some(ticket) = &self.ticket {
            payload.extend(padded(&ticket.name, 64));
            for number in [ticket.leader, ticket.term, ticket.valid_for] {
                payload.extend(number.to_be_bytes());
            }
        }
        payload.extend(&self.rest);
        let mac = if self.opts & 1 == 1 { MAC } else { 0 };
        let length = match self.length {
            0 => u32::try_from(HEADER + payload.len() + mac).expect("packets are small"),
            wanted => wanted,
        };
        let head = [
            self.opts,
            self.secs,
            self.usecs,
            self.magic,
            self.version,
            self.from,
            length,
            self.cmd,
            self.request,
            self.options,
            self.reason,
            self.result,
        ];
        let mut bytes: Vec<u8> = head.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes.extend(payload);
        bytes
    }

    /// The bytes with stamp and MAC; plain ones without a key.
    pub fn seal(&self, key: Option<&[u8]>) -> Vec<u8> {
        let Some(key) = key else { return self.bytes() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let secs = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        self.seal_at(key, secs, now.subsec_micros())
    }

    /// The same with a given stamp.
    pub fn seal_at(&self, key: &[u8], secs: u32, usecs: u32) -> Vec<u8> {
        let stamped = Packet { opts: self.opts | 1, secs, usecs, ..self.clone() };
        let mut bytes = stamped.bytes();
        let mac = mac_of(key, &bytes);
        bytes.extend(2_u32.to_be_bytes());
        bytes.extend(mac);
        bytes.extend([0; 4]);
        bytes
    }

    /// Reads a packet; with a key its MAC has to be right, wherever it lies.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(bytes: &[u8], key: Option<&[u8]>) -> Result<Packet, String> {
        let head = bytes.get(..HEADER).ok_or(format!("only {} bytes", bytes.len()))?;
        let field =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if (field(12), field(16)) != (0x5F1B_A08C, 0x0001_0003) {
            return Err("wrong magic or version".to_owned());
        }
        if field(24) as usize != bytes.len() {
            return Err(format!("length field {} in {} bytes", field(24), bytes.len()));
        }
        if (field(0) & 1 == 1) != key.is_some() {
            return Err(format!("opts {} with key: {}", field(0), key.is_some()));
        }
        let is_text = ["RLst", "AGet", "ALst"].iter().any(|code| four(code) == field(28));
        let payload = match key {
            None => &bytes[HEADER..],
            Some(key) => checked(bytes, key, is_text && field(32) == 0)?,
        };
        let mut packet = Packet::new(field(20), "");
        (packet.opts, packet.secs, packet.usecs) = (field(0), field(4), field(8));
        (packet.length, packet.cmd, packet.request) = (field(24), field(28), field(32));
        (packet.options, packet.reason, packet.result) = (field(36), field(40), field(44));
        if payload.len() == TICKET - HEADER && !is_text {
            packet.ticket = Some(ticket_of(payload));
        } else {
            packet.rest = payload.to_vec();
        }
        Ok(packet)
    }
}

/// The bytes of a text field.
fn padded(text: &str, size: usize) -> Vec<u8> {
    let mut field = text.as_bytes().to_vec();
    field.resize(size, 0);
    field
}

/// HMAC-SHA1.
fn mac_of(key: &[u8], covered: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(covered);
    mac.finalize().into_bytes().to_vec()
}

/// The payload, if the MAC is right: behind the header for texts, at the end otherwise.
fn checked<'a>(bytes: &'a [u8], key: &[u8], behind_header: bool) -> Result<&'a [u8], String> {
    let at = if behind_header { HEADER } else { bytes.len().saturating_sub(MAC) };
    let mac = bytes.get(at..at + MAC).filter(|_| at >= HEADER).ok_or("no room for a MAC")?;
    if mac[4..24] != mac_of(key, &bytes[..at])[..] {
        return Err("wrong MAC".to_owned());
    }
    Ok(if behind_header { &bytes[at + MAC..] } else { &bytes[HEADER..at] })
}

/// Reads 76 bytes.
fn ticket_of(payload: &[u8]) -> Ticket {
    let number = |at: usize| {
        u32::from_be_bytes([payload[at], payload[at + 1], payload[at + 2], payload[at + 3]])
    };
    let name = payload[..64].split(|byte| *byte == 0).next().unwrap_or_default();
    Ticket {
        name: String::from_utf8_lossy(name).into_owned(),
        leader: number(64),
        term: number(68),
        valid_for: number(72),
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from={:#x}", letters(self.cmd), self.from)?;
        for (name, code) in
            [("req", self.request), ("reason", self.reason), ("result", self.result)]
        {
            if code != 0 {
                write!(f, " {name}={}", letters(code))?;
            }
        }
        if self.options != 0 {
            write!(f, " options={:#x}", self.options)?;
        }
        match &self.ticket {
            Some(ticket) => write!(f, " {ticket:?}"),
            None => write!(f, " {:?}", String::from_utf8_lossy(&self.rest)),
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ticket { name, leader, term, valid_for } = self;
        write!(f, "{name} leader={leader:#x} term={term} valid={valid_for}")
    }
}
