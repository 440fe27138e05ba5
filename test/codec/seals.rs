// SPDX-License-Identifier: GPL-2.0-or-later
//! Sealing and opening, with and without a key (P3).

use crate::strategies::{key, life, member, peer_message, reply, request, wall};
use booth::auth::{bond_of_answers, Key, Opener, ReplayGuard, Sealer};
use booth::time::Span;
use booth::wire::{
    decode_peer, decode_reply, decode_request, encode_hello, encode_peer, encode_reply,
    encode_request, is_hello, life_of, put_life, ClientReply, ResultCode, DATAGRAM_MAX,
};
use proptest::option;
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
        prop_assert_eq!((opened.bond, opened.answer), (None, None));
        prop_assert_eq!(decode_peer(&opened.packet, unit), Ok((from, message)));

        let sealed = sealer.seal(encode_request(from.raw(), &request), wall);
        let opened = opener.open_request(&sealed, wall).expect("it opens");
        prop_assert_eq!(decode_request(&opened.packet), Ok((from.raw(), request)));

        let sealed = sealer.seal_reply(encode_reply(from, &reply, reply_unit), wall);
        let opened = opener.open_reply(&sealed, wall).expect("it opens");
        prop_assert_eq!(decode_reply(&opened.packet, reply_unit), Ok(reply));
    }

    /// Bound or not, a packet means the same, and its receiver sees to whom it is bound.
    #[test]
    fn bonds_and_lives_change_nothing_else(
        key in key(),
        (from, to, other) in (member(), member(), member()),
        (unit, message) in peer_message(),
        (mine, its, before) in (life(), option::of(life()), life()),
        wall in wall(),
    ) {
        let keyed = key.is_some();
        let (sealer, opener) = (Sealer::new(key.clone()), Opener::new(key, SKEW));
        let bond = sealer.bond(to, its);
        prop_assert_eq!(bond.is_some(), keyed);
        let mut packet = encode_peer(from, &message, unit);
        prop_assert_eq!(life_of(&packet), None);
        put_life(&mut packet, mine);
        let sealed = sealer.seal_bound(packet, wall, bond);
        let opened = opener.open(&sealed, wall).expect("it opens");
        prop_assert_eq!(decode_peer(&opened.packet, unit), Ok((from, message)));
        prop_assert_eq!(life_of(&opened.packet), Some(mine));
        prop_assert!(!is_hello(&opened.packet));
        let bare = ClientReply::Result(ResultCode::Success);
        prop_assert!(!is_hello(&encode_reply(from, &bare, unit)));
        prop_assert_eq!(opened.bond, bond);
        prop_assert_eq!(opened.answer, bond_of_answers(&sealed));
        prop_assert_eq!(opened.answer.is_some(), keyed);
        if keyed {
            prop_assume!(to != other && its != Some(before));
            prop_assert!(sealer.bond(other, its) != bond);
            prop_assert!(sealer.bond(to, Some(before)) != bond);
        }

        let sealed = sealer.seal_bound(encode_hello(from, mine), wall, bond);
        let opened = opener.open(&sealed, wall).expect("it opens");
        prop_assert!(is_hello(&opened.packet) && life_of(&opened.packet) == Some(mine));
    }

    /// P9: bits 4 to 31 of an answer's `opts` are those of the request's digest.
    #[test]
    fn an_answer_is_bound_to_its_request(
        from in member(),
        request in request(),
        (unit, reply) in reply(),
        wall in wall(),
    ) {
        let key = Some(Key::new(b"a key of the test").expect("long enough"));
        let (sealer, opener) = (Sealer::new(key.clone()), Opener::new(key, SKEW));
        let packet = encode_request(from.raw(), &request);
        let sealed = sealer.seal_bound(packet, wall, sealer.bond(from, None));
        let bond = opener.open_request(&sealed, wall).expect("it opens").answer;
        let answer = sealer.seal_reply_to(encode_reply(from, &reply, unit), wall, bond);
        let opened = opener.open_reply(&answer, wall).expect("it opens");
        prop_assert_eq!(opened.bond, bond_of_answers(&sealed));
        // The trailer has four bytes before the digest and four behind it.
        let digest = &sealed[sealed.len() - 24..];
        prop_assert_eq!(&answer[..3], &digest[..3]);
        prop_assert_eq!(answer[3] & 0xF0, digest[3] & 0xF0);
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        from in member(),
        (unit, message) in peer_message(),
        wall in wall(),
        bit in 0..148_usize * 8,
    ) {
        let key = Key::new(b"a key of the test").expect("long enough");
        let sealer = Sealer::new(Some(key.clone()));
        let packet = encode_peer(from, &message, unit);
        let mut sealed = sealer.seal_bound(packet, wall, sealer.bond(from, None));
        prop_assert_eq!(sealed.len(), DATAGRAM_MAX);
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
