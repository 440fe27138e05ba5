// SPDX-License-Identifier: GPL-2.0-or-later
//! Probes (P24), and that the MAC of a report covers its text (P25).

use crate::strategies::{life, member, peer_message, wall};
use booth::auth::{Key, Opener, Sealer};
use booth::model::{Holder, MemberId, TicketName};
use booth::time::{Span, WallTime};
use booth::wire::{
    decode_peer, decode_probe, encode_peer, encode_probe, encode_reply, life_of, put_life,
    ClientReply, PeerBody, Probe, TimeUnit, NONCE_MAX, PEER_LEN,
};
use proptest::prelude::*;

fn probe() -> impl Strategy<Value = Probe> {
    (any::<bool>(), 1..=NONCE_MAX, any::<u32>()).prop_map(|(answer, nonce, digest)| Probe {
        answer,
        nonce,
        digest,
    })
}

proptest! {
    #[test]
    fn a_probe_survives_its_packet_and_the_life_in_it(
        from in member(),
        probe in probe(),
        life in life(),
    ) {
        let ticket = TicketName::new("t").expect("a name");
        let mut packet = encode_probe(from, &ticket, probe);
        prop_assert_eq!(packet.len(), PEER_LEN);
        prop_assert_eq!(decode_probe(&packet), Some(probe));
        put_life(&mut packet, life);
        prop_assert_eq!((decode_probe(&packet), life_of(&packet)), (Some(probe), Some(life)));
        // What a member of the C version, or one of ours that knows no probes, sees of it.
        let (sender, message) = decode_peer(&packet, TimeUnit::Seconds).expect("a message");
        prop_assert_eq!((sender, message.leader, message.ticket), (from, Holder::Nobody, ticket));
        let index = matches!(message.body, PeerBody::MyIndex { .. });
        prop_assert_eq!(index, probe.answer);
        prop_assert_eq!(matches!(message.body, PeerBody::Status { .. }), !probe.answer);
    }

    /// What the engine sends is no probe: its nonces leave the bit free.
    #[test]
    fn no_message_about_a_ticket_is_taken_for_a_probe(
        from in member(),
        (unit, mut message) in peer_message(),
    ) {
        match &mut message.body {
            PeerBody::Status { nonce } | PeerBody::MyIndex { nonce } => *nonce &= NONCE_MAX,
            _ => {}
        }
        prop_assert_eq!(decode_probe(&encode_peer(from, &message, unit)), None);
    }

    #[test]
    fn no_byte_of_a_report_can_be_changed(at in any::<prop::sample::Index>(), wall in wall()) {
        let key = Some(Key::new(b"a key for tests").expect("long enough"));
        let (sealer, opener) =
            (Sealer::new(key.clone()), Opener::new(key, Span::from_secs(600)));
        let reply = ClientReply::Report("{\"report\":1}".to_owned());
        let packet = encode_reply(MemberId::from_raw(7), &reply, TimeUnit::Seconds);
        let text = packet.len() - 12;
        let mut sealed = sealer.seal_reply(packet, wall);
        prop_assert!(opener.open_reply(&sealed, wall).is_ok());
        sealed[text + at.index(12)] ^= 1;
        prop_assert!(opener.open_reply(&sealed, wall).is_err());
        let later: WallTime = wall.plus(Span::from_secs(601));
        sealed[text + at.index(12)] ^= 1;
        prop_assert!(opener.open_reply(&sealed, later).is_err(), "an old one");
    }
}
