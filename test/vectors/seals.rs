// SPDX-License-Identifier: GPL-2.0-or-later
//! Authentication of the captured packets: wrong keys, changed bits, age (P3).

use booth::auth::{AuthError, Key, Opened, Opener};
use booth::model::MemberId;
use booth::time::{Span, WallTime};
use booth::wire::HEADER_LEN;
use booth_harness::capture::{captures, Capture, Packet};

/// The last four bytes of a MAC are no part of the hash.
const MAC_PADDING: usize = 4;

type Open = for<'a> fn(&Opener, &'a [u8], WallTime) -> Result<Opened<'a>, AuthError>;

/// Every authenticated packet of a capture, how it is opened, and how many of its bytes the
/// MAC does not cover: its padding, and text.
fn authenticated(capture: &Capture) -> Vec<(&Packet, Open, usize)> {
    let text = |packet: &Packet| packet.bytes.len() - HEADER_LEN - 28;
    let datagrams = capture.datagrams().map(|packet| (packet, Opener::open as Open, 0));
    let requests = capture.requests().map(|packet| (packet, Opener::open_request as Open, 0));
    let replies = capture.replies().map(|packet| {
        let behind = if packet.code("cmd") == "Rslt" { 0 } else { text(packet) };
        (packet, Opener::open_reply as Open, behind)
    });
    let all = datagrams.chain(requests).chain(replies);
    all.filter(|(packet, ..)| packet.mac_is_right() == Some(true)).collect()
}

fn keyed() -> impl Iterator<Item = Capture> {
    captures().into_iter().filter(|capture| capture.key.is_some())
}

fn sender(packet: &Packet) -> MemberId {
    MemberId::from_raw(packet.number("from"))
}

#[test]
fn requests_with_another_key_or_none_are_refused() {
    let (mut wrong, mut missing) = (0, 0);
    for capture in keyed() {
        for packet in capture.requests().filter(|packet| packet.mac_is_right() != Some(true)) {
            let from = sender(packet);
            let error = capture.opener().open_request(&packet.bytes, packet.stamp()).unwrap_err();
            if packet.number("opts") == 1 {
                assert_eq!(error, AuthError::WrongMac { from }, "{}", packet.place);
                wrong += 1;
            } else {
                assert_eq!(error, AuthError::NotAuthenticated { from }, "{}", packet.place);
                missing += 1;
            }
            assert!(!error.is_invalid(), "{} counts as authfail", packet.place);
        }
    }
    assert!(wrong >= 6, "{wrong} requests with another key");
    assert!(missing >= 4, "{missing} requests without a key");
}

#[test]
fn one_changed_bit_in_any_covered_byte_is_seen() {
    for capture in keyed() {
        let opener = capture.opener();
        for (packet, open, text) in authenticated(&capture) {
            let covered = packet.bytes.len() - text - MAC_PADDING;
            for at in 0..covered {
                let mut changed = packet.bytes.clone();
                changed[at] ^= 1 << (at % 8);
                let opened = open(&opener, &changed, packet.stamp());
                assert!(opened.is_err(), "{}: byte {at} of {covered}", packet.place);
            }
        }
    }
}

#[test]
fn another_key_opens_nothing() {
    let other = Opener::new(Some(Key::new(b"another key").expect("a key")), Span::from_secs(600));
    for capture in keyed() {
        for (packet, open, _) in authenticated(&capture) {
            let from = sender(packet);
            let error = open(&other, &packet.bytes, packet.stamp()).unwrap_err();
            assert_eq!(error, AuthError::WrongMac { from }, "{}", packet.place);
        }
    }
}

#[test]
fn without_a_key_authenticated_packets_are_refused() {
    let keyless = Opener::new(None, Span::from_secs(600));
    for capture in keyed() {
        for (packet, open, _) in authenticated(&capture) {
            let from = sender(packet);
            let error = open(&keyless, &packet.bytes, packet.stamp()).unwrap_err();
            assert_eq!(error, AuthError::NoKeyHere { from }, "{}", packet.place);
        }
    }
}

#[test]
fn packets_of_another_time_are_refused_and_it_is_said_by_how_much() {
    for capture in keyed() {
        let opener = capture.opener();
        for (packet, open, _) in authenticated(&capture) {
            let (from, stamp) = (sender(packet), WallTime::from_secs(packet.number("secs").into()));
            for skew in [0, 1, 600] {
                let skew = Span::from_secs(skew);
                assert!(open(&opener, &packet.bytes, stamp.plus(skew)).is_ok(), "{skew} later");
                assert!(open(&opener, &packet.bytes, stamp.minus(skew)).is_ok(), "{skew} earlier");
            }
            let by = Span::from_secs(601);
            let late = open(&opener, &packet.bytes, stamp.plus(by)).unwrap_err();
            assert_eq!(late, AuthError::TooOld { from, by }, "{}", packet.place);
            let early = open(&opener, &packet.bytes, stamp.minus(by)).unwrap_err();
            assert_eq!(early, AuthError::TooNew { from, by }, "{}", packet.place);
        }
    }
}

#[test]
fn a_cut_or_lengthened_packet_is_malformed() {
    for capture in captures() {
        let opener = capture.opener();
        for packet in capture.datagrams() {
            for len in 0..packet.bytes.len() {
                let error = opener.open(&packet.bytes[..len], packet.stamp()).unwrap_err();
                assert!(error.is_invalid(), "{}: {len} bytes: {error}", packet.place);
            }
            let longer = [&packet.bytes[..], &[0]].concat();
            let error = opener.open(&longer, packet.stamp()).unwrap_err();
            assert!(error.is_invalid(), "{}: {error}", packet.place);
            assert_eq!(error.sender(), Some(sender(packet)), "{}", packet.place);
        }
    }
}
