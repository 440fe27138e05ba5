// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes from outside (P1): whatever they are, there is an answer or a precise error, and never a
//! panic.

use crate::strategies::{key, peer_message, unit, wall};
use booth::auth::{Opened, Opener, Sealer};
use booth::model::MemberId;
use booth::time::{Span, WallTime};
use booth::wire::{
    decode_peer, decode_reply, decode_request, encode_peer, encode_reply, encode_request,
    frame_len, request_len, PeerBody, PeerMessage, TimeUnit, HEADER_LEN,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// The unit in which a decoded message can be written again: an acknowledgement with a round says
/// which one it has, whatever the configuration says.
fn unit_of(message: &PeerMessage, configured: TimeUnit) -> TimeUnit {
    let whole = Span::from_secs(message.valid_for.as_secs()) == message.valid_for;
    match message.body {
        PeerBody::Ack { round: Some(_), .. } if whole => TimeUnit::Seconds,
        PeerBody::Ack { round: Some(_), .. } => TimeUnit::Millis,
        _ => configured,
    }
}

/// Decodes bytes in every way; what comes out goes in again and means the same.
fn decode_all(packet: &[u8], unit: TimeUnit) {
    if let Ok((from, message)) = decode_peer(packet, unit) {
        let again = encode_peer(from, &message, unit_of(&message, unit));
        assert_eq!(decode_peer(&again, unit), Ok((from, message)));
    }
    if let Ok((from, request)) = decode_request(packet) {
        let again = encode_request(from, &request);
        let (_, decoded) = decode_request(&again).expect("our own request decodes");
        assert_eq!(encode_request(from, &decoded), again);
    }
    if let Ok(reply) = decode_reply(packet, unit) {
        let again = encode_reply(MemberId::from_raw(1), &reply, unit);
        let decoded = decode_reply(&again, unit).expect("our own answer decodes");
        assert_eq!(encode_reply(MemberId::from_raw(1), &decoded, unit), again);
    }
    if let Some(header) = packet.first_chunk::<HEADER_LEN>() {
        let frame = frame_len(header);
        if let Ok(len) = request_len(header) {
            assert_eq!(frame, Ok(len), "what a server reads, a client would too");
        }
    }
}

/// Opens bytes in every way and decodes what opens; what does not open has words for it.
fn open_all(opener: &Opener, bytes: &[u8], unit: TimeUnit, wall: WallTime) {
    let opened: [Result<Opened<'_>, _>; 3] = [
        opener.open(bytes, wall),
        opener.open_request(bytes, wall),
        opener.open_reply(bytes, wall),
    ];
    for opened in opened {
        match opened {
            Ok(opened) => decode_all(&opened.packet, unit),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #[test]
    fn noise_is_refused(
        key in key(),
        bytes in vec(any::<u8>(), 0..400),
        unit in unit(),
        wall in wall(),
    ) {
        decode_all(&bytes, unit);
        open_all(&Opener::new(key, Span::from_secs(600)), &bytes, unit, wall);
    }

    /// Noise behind the eight bytes that make it Booth's, with a length that fits.
    #[test]
    fn noise_in_the_shape_of_a_packet_is_refused_or_understood(
        key in key(),
        mut bytes in vec(any::<u8>(), 48..340),
        command in proptest::sample::select(booth::wire::Command::ALL),
        unit in unit(),
        wall in wall(),
    ) {
        let len = u32::try_from(bytes.len()).expect("small");
        bytes[12..20].copy_from_slice(&[0x5F, 0x1B, 0xA0, 0x8C, 0, 1, 0, 3]);
        bytes[24..28].copy_from_slice(&len.to_be_bytes());
        bytes[28..32].copy_from_slice(&command.raw().to_be_bytes());
        bytes[3] &= 0xFE;
        decode_all(&bytes, unit);
        open_all(&Opener::new(key, Span::from_secs(600)), &bytes, unit, wall);
    }

    /// A good packet with a few bytes changed and cut somewhere.
    #[test]
    fn a_spoilt_packet_is_refused_or_understood(
        key in key(),
        (unit, message) in peer_message(),
        wall in wall(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let packet = encode_peer(MemberId::from_raw(5), &message, unit);
        let mut bytes = Sealer::new(key.clone()).seal(packet, wall);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        decode_all(&bytes, unit);
        let opener = Opener::new(key, Span::from_secs(600));
        open_all(&opener, &bytes, unit, wall);
        bytes.truncate(cut.index(bytes.len()));
        decode_all(&bytes, unit);
        open_all(&opener, &bytes, unit, wall);
    }
}
