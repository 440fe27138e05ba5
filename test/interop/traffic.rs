// SPDX-License-Identifier: GPL-2.0-or-later
//! What members of both kinds sent (P1, P7): every datagram is read by our codec and by the tests'
//! own reader, and no member counted one of another as wrong.

use booth::auth::{Key, Opener};
use booth::time::{Span, WallTime};
use booth::wire::{decode_peer, is_hello, TimeUnit};
use booth_harness::{member_id, Cluster, Kind, Packet, Seen, Sniffer};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Checks everything that was recorded and what `peers` counts.
#[track_caller]
pub fn is_clean(cluster: &Cluster, sniffer: &Sniffer) {
    let seen = sniffer.seen();
    assert!(seen.len() > 20, "only {} datagrams were recorded", seen.len());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for datagram in &seen {
        let command = check(cluster, datagram);
        *kinds.entry(command).or_default() += 1;
    }
    for wanted in ["Stat", "MIdx", "RVot", "VtFr", "HrtB", "Ack.", "Revk"] {
        assert!(kinds.contains_key(wanted), "no {wanted} among {kinds:?}");
    }
    for index in 0..cluster.members.len() {
        let text = cluster.booth(index, &["peers"]).expect_code(0).stdout;
        for counter in ["authfail", "invalid"] {
            for part in text.split(&format!("{counter}:")).skip(1) {
                assert!(part.starts_with("0"), "member {index} counts {counter}:\n{text}");
            }
        }
    }
}

/// Reads one datagram in both ways and returns its command.
#[track_caller]
fn check(cluster: &Cluster, datagram: &Seen) -> String {
    let key = cluster.key.as_deref();
    let packet = Packet::read(&datagram.bytes, key);
    let packet = packet.unwrap_or_else(|why| panic!("{why}: {datagram:?}"));
    assert_eq!(packet.from, member_id(datagram.from), "{packet:?}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970");
    let wall = WallTime::from_secs(now.as_secs());
    let key = key.map(|key| Key::new(key).expect("the key of the tests is a key"));
    let opener = Opener::new(key, Span::from_secs(600));
    let opened = opener.open(&datagram.bytes, wall);
    let opened = opened.unwrap_or_else(|error| panic!("{error}: {packet:?}"));
    if is_hello(&opened.packet) {
        let ours = |address| {
            cluster.members.iter().any(|m| m.address == address && m.kind != Kind::Theirs)
        };
        assert!(ours(datagram.from) && ours(datagram.to), "only ours know it: {datagram:?}");
        return packet.command();
    }
    let decoded = decode_peer(&opened.packet, TimeUnit::Seconds);
    let (from, message) = decoded.unwrap_or_else(|error| panic!("{error}: {packet:?}"));
    assert_eq!(from.raw(), packet.from);
    assert_eq!(message.ticket.as_str(), packet.payload().name);
    packet.command()
}
