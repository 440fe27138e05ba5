// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of a configuration file: bytes to key and value, with line numbers.
//!
//! This module knows only the shape of a line. `keyword` knows the keys, and `parse` the meaning of
//! their values. The text is bytes, because comments and paths may be in any encoding.

/// A line `key = value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assignment<'a> {
    /// The key: ASCII letters, digits, `-` and `_`.
    pub key: &'a str,
    /// The value without its quotes.
    pub value: &'a [u8],
    /// Whether a comment was cut off an unquoted value.
    pub cut: bool,
}

/// Why a line is not an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// It has a NUL byte.
    Nul {
        /// The position of that byte, counted from 1.
        column: usize,
    },
    /// It does not begin with a key.
    NoKey,
    /// No `=` follows the key.
    NoEquals {
        /// The key, or what looks like one.
        key: String,
    },
    /// Nothing follows the `=`.
    NoValue {
        /// The key.
        key: String,
        /// Whether there is a comment in place of the value.
        comment: bool,
    },
    /// The value's closing quote is missing.
    Unterminated {
        /// The key.
        key: String,
        /// The quote that opened it.
        quote: char,
    },
    /// Something other than a comment follows the closing quote.
    Surplus {
        /// The key.
        key: String,
        /// What follows.
        text: String,
    },
    /// The value has a control character other than a tab.
    Control {
        /// The key.
        key: String,
        /// The character.
        byte: u8,
    },
}

/// The UTF-8 byte order mark that some editors write first.
///
/// Reference: takes it for a broken key.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The text without a leading byte order mark, and whether there was one.
pub(super) fn strip_mark(text: &[u8]) -> (&[u8], bool) {
    text.strip_prefix(BYTE_ORDER_MARK).map_or((text, false), |rest| (rest, true))
}

/// The lines that are neither blank nor comments, with their numbers from 1. A last line without a
/// newline counts.
pub(super) fn assignments(
    text: &[u8],
) -> impl Iterator<Item = (usize, Result<Assignment<'_>, LineError>)> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .filter_map(|(index, line)| read_line(line).map(|result| (index + 1, result)))
}

/// White space as the reference sees it: `isspace` in the C locale, except the newline.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0B | 0x0C | b'\r')
}

const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// One line; `None` if it is blank or a comment.
fn read_line(line: &[u8]) -> Option<Result<Assignment<'_>, LineError>> {
    if let Some(index) = line.iter().position(|byte| *byte == 0) {
        return Some(Err(LineError::Nul { column: index + 1 }));
    }
    let start = skip_blanks(line, 0);
    match line.get(start) {
        None | Some(b'#') => None,
        Some(_) => Some(read_assignment(line, start)),
    }
}

fn skip_blanks(line: &[u8], from: usize) -> usize {
    let rest = line.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| is_blank(**byte)).count()
}

fn read_assignment(line: &[u8], start: usize) -> Result<Assignment<'_>, LineError> {
    let length = line[start..].iter().take_while(|byte| is_key_byte(**byte)).count();
    // Key bytes are ASCII, so the conversion cannot fail; an empty key is an error anyway.
    let key = std::str::from_utf8(&line[start..start + length]).unwrap_or_default();
    if key.is_empty() {
        return Err(LineError::NoKey);
    }
    let equals = skip_blanks(line, start + length);
    if line.get(equals) != Some(&b'=') {
        return Err(LineError::NoEquals { key: key.to_owned() });
    }
    let first = skip_blanks(line, equals + 1);
    let assignment = match line.get(first) {
        None => return Err(LineError::NoValue { key: key.to_owned(), comment: false }),
        Some(quote @ (b'"' | b'\'')) => read_quoted(line, key, first, *quote)?,
        Some(_) => read_bare(line, key, first, first > equals + 1)?,
    };
    let control = |byte: &&u8| byte.is_ascii_control() && **byte != b'\t';
    match assignment.value.iter().find(control) {
        Some(byte) => Err(LineError::Control { key: key.to_owned(), byte: *byte }),
        None => Ok(assignment),
    }
}

fn read_quoted<'a>(
    line: &'a [u8],
    key: &'a str,
    first: usize,
    quote: u8,
) -> Result<Assignment<'a>, LineError> {
    let inner = &line[first + 1..];
    let Some(length) = inner.iter().position(|byte| *byte == quote) else {
        return Err(LineError::Unterminated { key: key.to_owned(), quote: char::from(quote) });
    };
    let after = &inner[length + 1..];
    let rest = &after[skip_blanks(after, 0)..];
    match rest.first() {
        None | Some(b'#') => Ok(Assignment { key, value: &inner[..length], cut: false }),
        Some(_) => Err(LineError::Surplus {
            key: key.to_owned(),
            text: String::from_utf8_lossy(trim_end(rest)).into_owned(),
        }),
    }
}

/// A value without quotes: up to the end of the line or a `#` after white space.
///
/// Reference: treats such a comment as part of the value, and then usually refuses the value.
fn read_bare<'a>(
    line: &'a [u8],
    key: &'a str,
    first: usize,
    after_blank: bool,
) -> Result<Assignment<'a>, LineError> {
    let rest = &line[first..];
    let comment = (0..rest.len()).find(|at| {
        let blank_before = if *at == 0 { after_blank } else { is_blank(rest[at - 1]) };
        rest[*at] == b'#' && blank_before
    });
    let value = trim_end(&rest[..comment.unwrap_or(rest.len())]);
    if value.is_empty() {
        return Err(LineError::NoValue { key: key.to_owned(), comment: true });
    }
    Ok(Assignment { key, value, cut: comment.is_some() })
}

fn trim_end(text: &[u8]) -> &[u8] {
    let blanks = text.iter().rev().take_while(|byte| is_blank(**byte)).count();
    &text[..text.len() - blanks]
}
