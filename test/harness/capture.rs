// SPDX-License-Identifier: GPL-2.0-or-later
//! The captured sessions as data: which packets went where, and what their fields say.

use crate::json::Json;
use booth_core::auth::{Key, Opener, Sealer};
use booth_core::model::MemberId;
use booth_core::time::{Span, WallTime};
use booth_core::wire::TimeUnit;
use std::net::IpAddr;
use std::path::PathBuf;

/// One file of `data`.
pub struct Capture {
    pub file: String,
    pub key: Option<Key>,
    pub unit: TimeUnit,
    pub members: Vec<(MemberId, IpAddr)>,
    pub messages: Vec<Message>,
}

/// What was captured at once.
pub enum Message {
    Datagram(Packet),
    Connection { request: Vec<Packet>, reply: Vec<Packet> },
}

/// Bytes and what they mean; no fields: the zero bytes behind a request.
pub struct Packet {
    pub place: String,
    pub bytes: Vec<u8>,
    pub fields: Option<Json>,
}

impl Packet {
    fn new(file: &str, message: &Json, packet: &Json) -> Packet {
        let place = format!("{file} at {:?}", message.at("t"));
        Packet { place, bytes: packet.at("hex").hex(), fields: packet.get("fields").cloned() }
    }

    pub fn fields(&self) -> &Json {
        self.fields.as_ref().unwrap_or_else(|| panic!("{}: a packet has fields", self.place))
    }

    /// A field of the header.
    pub fn number(&self, name: &str) -> u32 {
        self.fields().at(name).u32()
    }

    /// The four letters of a field, or "" if it is 0.
    pub fn code(&self, name: &str) -> &str {
        match self.fields().at(&format!("{name}_s")) {
            Json::Text(letters) => letters,
            _ => {
                assert_eq!(self.number(name), 0, "{}: {name}", self.place);
                ""
            }
        }
    }

    /// The wall clock of the sender when it sealed the packet.
    pub fn stamp(&self) -> WallTime {
        let secs = WallTime::from_secs(self.number("secs").into());
        secs.plus(Span::from_micros(self.number("usecs").into()))
    }

    /// Whether the MAC was made with the key of the capture; `None`: there is no MAC at all.
    pub fn mac_is_right(&self) -> Option<bool> {
        self.fields().get("hmac_check").map(|check| check.at("ok").bool())
    }
}

impl Capture {
    fn read(path: PathBuf) -> Capture {
        let file = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
        let json = Json::parse(&text);
        let key = json.get("auth_key_hex").map(|hex| Key::new(&hex.hex()).expect("a key"));
        let has_millis = json.at("config_of_A").text().lines().any(|line| line.ends_with("ms"));
        let member = |member: &Json| {
            let address = member.at("addr").text().parse().expect("an address");
            (MemberId::from_raw(member.at("id").u32()), address)
        };
        let members = json.at("members").members().iter().map(|(_, m)| member(m)).collect();
        let messages = json.at("messages").list().iter().map(|m| message(&file, m)).collect();
        let unit = if has_millis { TimeUnit::Millis } else { TimeUnit::Seconds };
        Capture { file, key, unit, members, messages }
    }

    /// A sealer with the key of the capture.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(self.key.clone())
    }

    /// An opener with the key of the capture and the default skew.
    pub fn opener(&self) -> Opener {
        Opener::new(self.key.clone(), Span::from_secs(600))
    }

    /// Every datagram.
    pub fn datagrams(&self) -> impl Iterator<Item = &Packet> {
        self.messages.iter().filter_map(|message| match message {
            Message::Datagram(packet) => Some(packet),
            Message::Connection { .. } => None,
        })
    }

    /// Every request of a client, without the bytes that follow some of them.
    pub fn requests(&self) -> impl Iterator<Item = &Packet> {
        let lists = self.messages.iter().filter_map(|message| match message {
            Message::Datagram(_) => None,
            Message::Connection { request, .. } => Some(request),
        });
        lists.flatten().filter(|packet| packet.fields.is_some())
    }

    /// Every answer to a client.
    pub fn replies(&self) -> impl Iterator<Item = &Packet> {
        let lists = self.messages.iter().filter_map(|message| match message {
            Message::Datagram(_) => None,
            Message::Connection { reply, .. } => Some(reply),
        });
        lists.flatten()
    }
}

/// Every capture, in the order of their names.
pub fn captures() -> Vec<Capture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/data");
    let entries = std::fs::read_dir(folder).expect("the captures are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    assert!(paths.len() >= 49, "only {} captures", paths.len());
    paths.into_iter().map(Capture::read).collect()
}

fn message(file: &str, message: &Json) -> Message {
    let packets = |key| {
        let list = message.at(key).list();
        list.iter().map(|packet| Packet::new(file, message, packet)).collect()
    };
    match message.at("proto").text() {
        "udp" => Message::Datagram(Packet::new(file, message, message)),
        "tcp" => Message::Connection { request: packets("request"), reply: packets("reply") },
        other => panic!("{file}: protocol {other}"),
    }
}
