// SPDX-License-Identifier: GPL-2.0-or-later
//! Text from outside in messages: as much of it as helps.

use alloc::borrow::Cow;
use core::fmt;

/// The most bytes of a text that a message repeats: no name that exists is longer, of a host too.
const TEXT_MAX: usize = 255;
/// The most bytes of a path that a message repeats: the kernel takes none that is longer.
const PATH_MAX: usize = 4096;

/// A text from outside, for a message: whole, or if it is long its beginning, as many whole
/// characters as fit, and its length in bytes. With `{:?}` what is repeated is quoted.
pub struct Excerpt<'a> {
    text: Cow<'a, str>,
    max: usize,
}

impl<'a> Excerpt<'a> {
    /// Of a word, a value or a line: at most 255 bytes of it.
    pub const fn new(text: &'a str) -> Excerpt<'a> {
        Excerpt { text: Cow::Borrowed(text), max: TEXT_MAX }
    }

    /// Of a path: at most 4096 bytes of it. What is no UTF-8 in it is marked as such.
    pub const fn of_path(text: Cow<'a, str>) -> Excerpt<'a> {
        Excerpt { text, max: PATH_MAX }
    }

    /// What is repeated, and how long the text is if that is not all.
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
