// SPDX-License-Identifier: GPL-2.0-or-later
//! A datagram from anywhere: opened with a key and without, decoded, admitted once.

use super::seed_key;
use booth::auth::{Opener, ReplayGuard};
use booth::time::{Span, WallTime};
use booth::wire::{claimed_sender, decode_peer, encode_peer, PeerBody, TimeUnit};

const SKEW: Span = Span::from_secs(600);

pub fn run(bytes: &[u8]) {
    for unit in [TimeUnit::Seconds, TimeUnit::Millis] {
        decode(bytes, unit);
    }
    for key in [None, seed_key()] {
        let keyed = key.is_some();
        let opener = Opener::new(key, SKEW);
        let wall = stamp_of(bytes);
        match opener.open(bytes, wall) {
            Ok(opened) => {
                decode(&opened.packet, TimeUnit::Seconds);
                assert_eq!(opened.proof.is_some(), keyed, "only a MAC proves anything");
                let sender = claimed_sender(bytes).expect("it opened, so it has a header");
                let mut guard = ReplayGuard::new([sender], SKEW);
                assert!(guard.admit(opened.proof, wall).is_ok(), "it comes for the first time");
                assert_eq!(guard.admit(opened.proof, wall).is_ok(), !keyed, "a second time");
                let late = wall.plus(Span::from_secs(601));
                assert_eq!(opener.open(bytes, late).is_ok(), !keyed, "after the skew");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty(), "an error has words");
                if let Some(sender) = error.sender() {
                    assert_eq!(claimed_sender(bytes), Some(sender), "the sender it names");
                }
            }
        }
    }
}

fn decode(packet: &[u8], unit: TimeUnit) {
    match decode_peer(packet, unit) {
        Ok((from, message)) => {
            // An acknowledgement says which unit it has, whatever the configuration says.
            let whole = Span::from_secs(message.valid_for.as_secs()) == message.valid_for;
            let unit = match message.body {
                PeerBody::Ack { round: Some(_), .. } if !whole => TimeUnit::Millis,
                PeerBody::Ack { round: Some(_), .. } => TimeUnit::Seconds,
                _ => unit,
            };
            let again = encode_peer(from, &message, unit);
            assert_eq!(decode_peer(&again, unit), Ok((from, message)));
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error has words"),
    }
}

/// The wall clock at which the packet is fresh, so that the checks behind the age are reached.
fn stamp_of(bytes: &[u8]) -> WallTime {
    let secs = bytes.get(4..8).map_or([0; 4], |secs| [secs[0], secs[1], secs[2], secs[3]]);
    WallTime::from_secs(u64::from(u32::from_be_bytes(secs)))
}
