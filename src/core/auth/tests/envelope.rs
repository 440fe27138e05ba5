// SPDX-License-Identifier: GPL-2.0-or-later
//! What a sealer writes, and the order in which an opener checks (P3).

use crate::auth::{AuthError, Key, Opener, Sealer};
use crate::model::{MemberId, Term, TicketName};
use crate::time::{Span, WallTime};
use crate::wire::{
    decode_reply, encode_peer, encode_reply, ClientReply, PeerBody, PeerMessage, TimeUnit,
    WireError, HEADER_LEN, MAC_LEN, PEER_LEN,
};

const SKEW: Span = Span::from_secs(600);
const FROM: MemberId = MemberId::from_raw(0x64BD_A31F);

fn key() -> Option<Key> {
    Some(Key::new(b"a key of the test").expect("it is long enough"))
}

fn status() -> Vec<u8> {
    let message = PeerMessage {
        ticket: TicketName::new("T").expect("a name"),
        leader: crate::model::Holder::Nobody,
        term: Term::ZERO,
        valid_for: Span::ZERO,
        body: PeerBody::Status { nonce: 0 },
    };
    encode_peer(FROM, &message, TimeUnit::Seconds)
}

fn wall(secs: u64) -> WallTime {
    WallTime::from_secs(secs).plus(Span::from_micros(654_321))
}

#[test]
fn without_a_key_packets_have_neither_stamp_nor_mac() {
    let sealed = Sealer::new(None).seal(status(), wall(1_000));
    assert_eq!(sealed, status());
    let opened = Opener::new(None, SKEW).open(&sealed, wall(9_999_999)).expect("it opens");
    assert_eq!(opened.packet, status());
    assert_eq!(opened.proof, None);
}

#[test]
fn a_sealer_stamps_and_a_mac_follows() {
    let sealed = Sealer::new(key()).seal(status(), wall(1_000));
    assert_eq!(sealed.len(), PEER_LEN + MAC_LEN);
    assert_eq!(sealed[..4], [0, 0, 0, 1], "authenticated");
    assert_eq!(sealed[4..12], [0, 0, 0x03, 0xE8, 0, 0x09, 0xFB, 0xF1], "1000 s, 654321 us");
    assert_eq!(sealed[24..28], [0, 0, 0, 152], "length with the MAC");
    let opened = Opener::new(key(), SKEW).open(&sealed, wall(1_000)).expect("it opens");
    assert_eq!(&opened.packet[..], &sealed[..PEER_LEN]);
}

#[test]
fn the_mac_of_a_text_lies_behind_the_header_and_covers_only_that() {
    let reply = ClientReply::List("ticket: T\n".to_owned());
    let packet = encode_reply(FROM, &reply, TimeUnit::Seconds);
    let mut sealed = Sealer::new(key()).seal_reply(packet, wall(1_000));
    assert_eq!(&sealed[HEADER_LEN + MAC_LEN..], b"ticket: T\n");
    let opener = Opener::new(key(), SKEW);
    let opened = opener.open_reply(&sealed, wall(1_000)).expect("it opens");
    assert_eq!(decode_reply(&opened.packet, TimeUnit::Seconds), Ok(reply));

    // A limit of the protocol, stated here so that nobody relies on more.
    *sealed.last_mut().expect("it has a text") = b'!';
    assert!(opener.open_reply(&sealed, wall(1_000)).is_ok());
}

#[test]
fn checks_come_in_a_fixed_order() {
    let (from, opener) = (FROM, Opener::new(key(), SKEW));
    let good = Sealer::new(key()).seal(status(), wall(1_000));
    let with = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] ^= byte;
        packet
    };
    let late = wall(5_000);
    let malformed = |from, error| Err(AuthError::Malformed { from, error });
    // Each packet is late as well; whatever is found first is what is said.
    assert_eq!(
        opener.open(&good[..47], late),
        malformed(None, WireError::TooShort { len: 47, need: 48 })
    );
    assert_eq!(opener.open(&with(12, 1), late), malformed(None, WireError::Magic(0x5E1B_A08C)));
    assert_eq!(opener.open(&with(19, 1), late), malformed(None, WireError::Version(0x0001_0002)));
    assert_eq!(
        opener.open(&with(27, 1), late),
        malformed(Some(from), WireError::LengthField { stated: 153, actual: 152 })
    );
    assert_eq!(opener.open(&with(3, 1), late), Err(AuthError::NotAuthenticated { from }));
    assert_eq!(opener.open(&with(127, 1), late), Err(AuthError::HashId { from, id: 3 }));
    assert_eq!(opener.open(&with(128, 1), late), Err(AuthError::WrongMac { from }));
    let by = Span::from_secs(4_000);
    assert_eq!(opener.open(&good, late), Err(AuthError::TooOld { from, by }));
}

#[test]
fn a_header_alone_that_claims_to_be_authenticated_is_malformed() {
    let mut packet = Sealer::new(key()).seal(status(), wall(1_000));
    packet.truncate(HEADER_LEN + MAC_LEN - 1);
    packet[27] = 75;
    let error = WireError::TooShort { len: 75, need: 76 };
    let expected = Err(AuthError::Malformed { from: Some(FROM), error });
    assert_eq!(Opener::new(key(), SKEW).open(&packet, wall(1_000)), expected);
}

#[test]
fn too_many_bytes_are_refused_by_what_they_are_for() {
    let bytes = vec![0; 153];
    let expected = WireError::TooLong { len: 153, max: 152 };
    let error = Opener::new(None, SKEW).open(&bytes, wall(0)).expect_err("too long");
    let from = Some(MemberId::from_raw(0));
    assert_eq!(error, AuthError::Malformed { from, error: expected });
    let bytes = vec![0; 333];
    let expected = WireError::TooLong { len: 333, max: 332 };
    let error = Opener::new(None, SKEW).open_request(&bytes, wall(0)).expect_err("too long");
    assert_eq!(error, AuthError::Malformed { from, error: expected });
}

#[test]
fn stamps_go_around_in_2106_without_a_gap() {
    let end = u64::from(u32::MAX);
    let opener = Opener::new(key(), SKEW);
    for (sent, received) in [(end, end + 1), (end + 1, end), (end - 300, end + 300)] {
        let sealed = Sealer::new(key()).seal(status(), wall(sent));
        let opened = opener.open(&sealed, wall(received));
        let proof = opened.expect("it opens").proof.expect("it is authenticated");
        assert_eq!(proof.secs, sent);
    }
    let sealed = Sealer::new(key()).seal(status(), wall(end));
    let by = Span::from_secs(601);
    assert_eq!(opener.open(&sealed, wall(end + 601)), Err(AuthError::TooOld { from: FROM, by }));
}
