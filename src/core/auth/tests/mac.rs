// SPDX-License-Identifier: GPL-2.0-or-later
//! Keys and the trailer (P3).

use crate::auth::mac::{MacMaker, MacMismatch};
use crate::auth::{Key, KeyError, KEY_MAX, KEY_MIN};

fn maker(key: &[u8]) -> MacMaker {
    MacMaker::new(&Key::new(key).expect("the test has a key"))
}

/// Published test cases of HMAC-SHA1 (RFC 2202, numbers 1, 3, 4 and 5): those whose keys have
/// between 8 and 64 bytes.
#[test]
fn the_digest_is_hmac_sha1() {
    let rising: Vec<u8> = (1..=25).collect();
    let cases: [(&[u8], &[u8], &str); 4] = [
        (&[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (&[0xaa; 20], &[0xdd; 50], "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        (&rising, &[0xcd; 50], "4c9007f4026250c6bc8414f9bf50c86c2d7235da"),
        (&[0x0c; 20], b"Test With Truncation", "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"),
    ];
    for (key, data, digest) in cases {
        let trailer = maker(key).trailer(data);
        let hex: Vec<String> = trailer.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.concat();
        assert_eq!(hex, format!("00000002{digest}00000000"));
        assert_eq!(maker(key).verify(data, &trailer), Ok(()));
    }
}

#[test]
fn a_trailer_is_checked_but_for_its_padding() {
    // The first published case: id, digest, padding.
    let maker = maker(&[0x0b; 20]);
    let text = b"Hi There";
    let mut trailer = [0; 28];
    trailer[3] = 2;
    trailer[4..24].copy_from_slice(
        b"\xb6\x17\x31\x86\x55\x05\x72\x64\xe2\x8b\xc0\xb6\xfb\x37\x8c\x8e\xf1\x46\xbe\x00",
    );
    assert_eq!(maker.verify(text, &trailer), Ok(()));
    for at in 0..trailer.len() {
        let mut changed = trailer;
        changed[at] ^= 0x80;
        let expected = match at {
            0 => Err(MacMismatch::HashId(0x8000_0002)),
            1 => Err(MacMismatch::HashId(0x0080_0002)),
            2 => Err(MacMismatch::HashId(0x0000_8002)),
            3 => Err(MacMismatch::HashId(0x0000_0082)),
            4..24 => Err(MacMismatch::Digest),
            _ => Ok(()),
        };
        assert_eq!(maker.verify(text, &changed), expected, "byte {at}");
    }
    assert_eq!(maker.verify(b"hi There", &trailer), Err(MacMismatch::Digest));
}

#[test]
fn a_key_has_at_least_eight_bytes_and_the_first_64_count() {
    assert_eq!(Key::new(&[7; KEY_MIN - 1]), Err(KeyError::TooShort { len: 7 }));
    assert_eq!(Key::new(&[]), Err(KeyError::TooShort { len: 0 }));
    assert!(Key::new(&[7; KEY_MIN]).is_ok());
    assert_eq!(Key::new(&[7; KEY_MAX]), Key::new(&[7; KEY_MAX + 1]));
    assert_ne!(Key::new(&[7; KEY_MAX]), Key::new(&[7; KEY_MAX - 1]));
}

#[test]
fn a_key_that_begins_with_zero_is_known_as_such_and_still_authenticates() {
    let key = Key::new(b"\0secret secret").expect("it is long enough");
    assert!(key.disarms_reference());
    assert!(!Key::new(b"secret\0secret").expect("it is long enough").disarms_reference());
    let trailer = MacMaker::new(&key).trailer(b"text");
    assert_eq!(MacMaker::new(&key).verify(b"text", &trailer), Ok(()));
    assert!(maker(b"secret secret").verify(b"text", &trailer).is_err());
}

#[test]
fn nothing_prints_a_key() {
    let key = Key::new(b"sesame sesame").expect("it is long enough");
    assert_eq!(format!("{key:?}"), "Key(13 bytes)");
    assert!(!format!("{:?}", MacMaker::new(&key)).contains("sesame"));
}
