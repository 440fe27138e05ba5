// SPDX-License-Identifier: GPL-2.0-or-later
//! Shortens text from outside for messages.

use alloc::borrow::Cow;
use core::fmt;

/// The most bytes of a text that a message repeats: no valid name is longer, not even of a host.
const TEXT_MAX: usize = 255;
/// The most bytes of a path that a message repeats: the kernel accepts no longer path.
const PATH_MAX: usize = 4096;

/// A text from outside, for a message. A long text is cut after a whole character, and its length
/// in bytes is added. `{:?}` quotes the text.
pub struct Excerpt<'a> {
    text: Cow<'a, str>,
    max: usize,
}

impl<'a> Excerpt<'a> {
    /// At most 255 bytes of a word, a value or a line.
    pub const fn new(text: &'a str) -> Excerpt<'a> {
        Excerpt { text: Cow::Borrowed(text), max: TEXT_MAX }
    }

    /// At most 4096 bytes of a path, in which the caller has replaced bytes that are not UTF-8.
    pub const fn of_path(text: Cow<'a, str>) -> Excerpt<'a> {
        Excerpt { text, max: PATH_MAX }
    }

    /// The part that is repeated, and the length of the whole text if it was cut.
    fn parts(&self) -> (&str, Option<usize>) {
        let length = self.text.len();
        if length <= self.max {
            return (&self.text, None);
        }
        let ends = (0..=self.max).rev().find(|at| self.text.is_char_boundary(*at));
        (&self.text[..ends.unwrap_or(0)], Some(length))
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, length) = self.parts();
        f.write_str(begin)?;
        length.map_or(Ok(()), |bytes| write!(f, "... ({bytes} bytes)"))
    }
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, length) = self.parts();
        write!(f, "{begin:?}")?;
        length.map_or(Ok(()), |bytes| write!(f, "... ({bytes} bytes)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters_and_its_length_said() {
        let whole = "x".repeat(TEXT_MAX);
        assert_eq!(Excerpt::new(&whole).to_string(), whole);
        assert_eq!(format!("{:?}", Excerpt::new("a\tb")), "\"a\\tb\"");
        let long = whole.clone() + "x";
        assert_eq!(Excerpt::new(&long).to_string(), format!("{whole}... (256 bytes)"));
        assert_eq!(format!("{:?}", Excerpt::new(&long)), format!("\"{whole}\"... (256 bytes)"));
        // The third byte of a sign of three bytes would be the 256th.
        let signs = |count| format!("x{}", "\u{20ac}".repeat(count));
        let cut = format!("{}... (300001 bytes)", signs(84));
        assert_eq!(Excerpt::new(&signs(100_000)).to_string(), cut);
        let path = format!("/{}", "d".repeat(PATH_MAX));
        let cut = format!("{}... (4097 bytes)", &path[..PATH_MAX]);
        assert_eq!(Excerpt::of_path(path.as_str().into()).to_string(), cut);
        assert_eq!(Excerpt::of_path("/x".into()).to_string(), "/x");
    }
}
