// SPDX-License-Identifier: GPL-2.0-or-later
//! Sealing and opening, with and without a key.

use crate::strategies::{key, member, peer_message, reply, request, wall};
use booth::auth::{Key, Opener, ReplayGuard, Sealer};
use booth::time::Span;
use booth::wire::{
    decode_peer, decode_reply, decode_request, encode_peer, encode_reply, encode_request,
};
use proptest::prelude::*;

const SKEW: Span = Span::from_secs(600);

proptest! {
    #[test]
    fn what_is_sealed_opens_and_means_the_same(
        key in key(),
        from in member(),
        (unit, message) in peer_message(),
        request in request(),
        (reply_unit, reply) in reply(),
        wall in wall(),
    ) {
        let (sealer, opener) = (Sealer::new(key.clone()), Opener::new(key, SKEW));
        let sealed = sealer.seal(encode_peer(from, &message, unit), wall);
        let opened = opener.open(&sealed, wall).expect("it opens");
        prop_assert_eq!(decode_peer(&opened.packet, unit), Ok((from, message)));

        let sealed = sealer.seal(encode_request(from.raw(), &request), wall);
        let opened = opener.open_request(&sealed, wall).expect("it opens");
        prop_assert_eq!(decode_request(&opened.packet), Ok((from.raw(), request)));

        let sealed = sealer.seal_reply(encode_reply(from, &reply, reply_unit), wall);
        let opened = opener.open_reply(&sealed, wall).expect("it opens");
        prop_assert_eq!(decode_reply(&opened.packet, reply_unit), Ok(reply));
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        from in member(),
        (unit, message) in peer_message(),
        wall in wall(),
        bit in 0..148_usize * 8,
    ) {
        let key = Key::new(b"a key of the test").expect("long enough");
        let mut sealed =
            Sealer::new(Some(key.clone())).seal(encode_peer(from, &message, unit), wall);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Opener::new(Some(key), SKEW).open(&sealed, wall).is_err());
    }

    /// The reference sends the same bytes to several members; each of them lets them in once,
    /// and a later seal of the same message is another packet.
    #[test]
    fn a_packet_comes_in_once_and_its_repetition_is_another(
        from in member(),
        (unit, message) in peer_message(),
        wall in wall(),
        later in 1..100_000_u64,
    ) {
        let key = Some(Key::new(b"a key of the test").expect("long enough"));
        let (sealer, opener) = (Sealer::new(key.clone()), Opener::new(key, SKEW));
        let mut guard = ReplayGuard::new([from], SKEW);
        let sealed = sealer.seal(encode_peer(from, &message, unit), wall);
        let proof = opener.open(&sealed, wall).expect("it opens").proof;
        prop_assert!(guard.admit(proof, wall).is_ok());
        prop_assert!(guard.admit(proof, wall).is_err());
        prop_assert!(ReplayGuard::new([from], SKEW).admit(proof, wall).is_ok());

        let wall = wall.plus(Span::from_micros(later));
        let again = sealer.seal(encode_peer(from, &message, unit), wall);
        let proof = opener.open(&again, wall).expect("it opens").proof;
        prop_assert!(guard.admit(proof, wall).is_ok());
    }
}
