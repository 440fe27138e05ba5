// SPDX-License-Identifier: GPL-2.0-or-later
//! A stream of bytes from a client, and from a server: framed, opened, decoded.

use super::seed_key;
use booth::auth::{Opened, Opener};
use booth::model::MemberId;
use booth::time::{Span, WallTime};
use booth::wire::{
    decode_reply, decode_request, encode_reply, encode_request, frame_len, request_len, TimeUnit,
    FRAME_MAX, HEADER_LEN, REQUEST_MAX,
};

/// Opens something at a time.
type Open = for<'a> fn(&Opener, &'a [u8], WallTime) -> Option<Opened<'a>>;

pub fn run(bytes: &[u8]) {
    let mut stream = bytes;
    // A server reads one request; a client reads answers until the stream ends.
    while let Some(header) = stream.first_chunk::<HEADER_LEN>() {
        if let Ok(len) = request_len(header) {
            assert!((HEADER_LEN..=REQUEST_MAX).contains(&len), "a server reads {len} bytes");
            assert_eq!(frame_len(header), Ok(len));
            if let Some(frame) = stream.get(..len) {
                request(frame);
            }
        }
        let Ok(len) = frame_len(header) else {
            return;
        };
        assert!((HEADER_LEN..=FRAME_MAX).contains(&len), "a client reads {len} bytes");
        let Some((frame, rest)) = stream.split_at_checked(len) else {
            return;
        };
        reply(frame);
        stream = rest;
    }
}

fn request(frame: &[u8]) {
    let open: Open = |opener, frame, wall| opener.open_request(frame, wall).ok();
    for_both_keys(frame, open, |packet| {
        if let Ok((from, request)) = decode_request(packet) {
            let again = encode_request(from, &request);
            let (_, decoded) = decode_request(&again).expect("our own request decodes");
            assert_eq!(encode_request(from, &decoded), again);
        }
    });
}

fn reply(frame: &[u8]) {
    let open: Open = |opener, frame, wall| opener.open_reply(frame, wall).ok();
    let me = MemberId::from_raw(1);
    for_both_keys(frame, open, |packet| {
        for unit in [TimeUnit::Seconds, TimeUnit::Millis] {
            if let Ok(reply) = decode_reply(packet, unit) {
                let again = encode_reply(me, &reply, unit);
                let decoded = decode_reply(&again, unit).expect("our own answer decodes");
                assert_eq!(encode_reply(me, &decoded, unit), again);
            }
        }
    });
}

fn for_both_keys(frame: &[u8], open: Open, decode: impl Fn(&[u8])) {
    decode(frame);
    let secs = frame.get(4..8).map_or([0; 4], |secs| [secs[0], secs[1], secs[2], secs[3]]);
    let wall = WallTime::from_secs(u64::from(u32::from_be_bytes(secs)));
    for key in [None, seed_key()] {
        if let Some(opened) = open(&Opener::new(key, Span::from_secs(600)), frame, wall) {
            decode(&opened.packet);
        }
    }
}
