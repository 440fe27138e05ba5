// SPDX-License-Identifier: GPL-2.0-or-later
//! A digest of what must be equal at all members: so short that a packet can carry it.

/// The CRC-32 of a text, never 0, which stands for no digest. It finds mistakes, not forgeries.
pub fn digest_of(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_have_other_digests_and_none_is_0() {
        assert_eq!(digest_of("a = 1"), digest_of("a = 1"));
        assert_ne!(digest_of("a = 1"), digest_of("a = 2"));
        assert_ne!(digest_of(""), 0);
    }
}
