// SPDX-License-Identifier: GPL-2.0-or-later
//! Values of the configuration file: text to numbers, times, words.
//!
//! This module checks that a value is well formed; `check` checks that values fit each other.

use super::checked::Handler;
use super::error::Expected;
use super::limits::{RETRIES_MAX, RETRIES_MIN, TIME_MAX_MILLIS};
use super::times::in_words;
use crate::model::{AttrName, AttrOp, AttrRule, AttrValue, RuleMode, TicketMode};
use crate::time::Span;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The highest accepted level of log messages. Levels above 2 do not log more.
const DEBUG_MAX: u64 = 2_147_483_647;

/// A time that must be positive.
pub(super) fn time(text: &str) -> Result<Span, Expected> {
    match read_time(text) {
        Some(span) if !span.is_zero() => Ok(span),
        _ => Err(Expected::Time { meant: meant(text, |millis| millis > 0) }),
    }
}

/// A time that may be zero.
pub(super) fn time_or_zero(text: &str) -> Result<Span, Expected> {
    read_time(text).ok_or_else(|| Expected::TimeOrZero { meant: meant(text, |_| true) })
}

/// Whole seconds.
pub(super) fn seconds(text: &str) -> Result<Span, Expected> {
    let secs = number_in(text, 0, TIME_MAX_MILLIS / 1000);
    let whole = |millis| millis % 1000 == 0;
    secs.map(Span::from_secs).ok_or_else(|| Expected::Seconds { meant: meant(text, whole) })
}

/// A level of log messages.
pub(super) fn level(text: &str) -> Result<u32, Expected> {
    let level = number_in(text, 0, DEBUG_MAX).and_then(|level| u32::try_from(level).ok());
    level.ok_or(Expected::Level)
}

/// Whole seconds, or whole milliseconds directly followed by `ms`.
///
/// Reference: decimal, even with leading zeros; accepts a sign and white space before the digits.
fn read_time(text: &str) -> Option<Span> {
    let text = without_plus(text);
    let digits = text.strip_suffix("ms").unwrap_or(text);
    let number = decimal(digits)?;
    let millis = if digits.len() == text.len() { number.checked_mul(1000)? } else { number };
    (millis <= TIME_MAX_MILLIS).then(|| Span::from_millis(millis))
}

/// How the file spells a time that is written as for other programs: 600 for `10m`.
fn meant(text: &str, fits: impl Fn(u64) -> bool) -> Option<String> {
    time_with_unit(text).filter(|millis| fits(*millis)).map(in_words)
}

/// The milliseconds of a time such as `10m`, `5 s`, `1h` or `1.5`; `None` if it is no such time, or
/// too long for the file.
fn time_with_unit(text: &str) -> Option<u64> {
    let text = without_plus(text);
    let (number, unit) =
        text.split_at(text.find(|c| !matches!(c, '0'..='9' | '.')).unwrap_or(text.len()));
    let unit: u64 = match unit.trim_matches(is_blank).to_ascii_lowercase().as_str() {
        "ms" | "msec" => 1,
        "" | "s" | "sec" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let scale = 10u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let parts = decimal(part)?.checked_mul(unit)?;
    let millis = decimal(whole)?.checked_mul(unit)?.checked_add(parts / scale)?;
    (parts % scale == 0 && millis <= TIME_MAX_MILLIS).then_some(millis)
}

/// The text without leading white space and a plus sign, which the reference skips.
fn without_plus(text: &str) -> &str {
    let text = text.trim_start_matches(is_blank);
    text.strip_prefix('+').unwrap_or(text)
}

fn decimal(digits: &str) -> Option<u64> {
    // A plus sign is taken by `parse`, too.
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A decimal number between `min` and `max`.
pub(super) fn number_in(text: &str, min: u64, max: u64) -> Option<u64> {
    decimal(without_plus(text)).filter(|number| (min..=max).contains(number))
}

/// A number, or several, as in C.
#[derive(Debug)]
pub(super) struct Spelled<T> {
    pub value: T,
    /// Whether any was spelled octal or hexadecimal.
    pub odd: bool,
}

impl<T> Spelled<T> {
    fn try_map<U>(self, convert: impl FnOnce(T) -> Option<U>) -> Option<Spelled<U>> {
        Some(Spelled { value: convert(self.value)?, odd: self.odd })
    }
}

/// A number of retries.
pub(super) fn retries(text: &str) -> Result<Spelled<u32>, Expected> {
    let in_range = |number: i64| {
        u32::try_from(number).ok().filter(|number| (RETRIES_MIN..=RETRIES_MAX).contains(number))
    };
    let number = whole_integer(text.trim_start_matches(is_blank));
    number.and_then(|number| number.try_map(in_range)).ok_or(Expected::Retries)
}

/// The integer that is all of `text`.
fn whole_integer(text: &str) -> Option<Spelled<i64>> {
    read_integer(text).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
}

/// The integer at the start of `text`, and the rest.
///
/// Reference: reads these numbers as in C, so `010` is 8.
fn read_integer(text: &str) -> Option<(Spelled<i64>, &str)> {
    let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let hex = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    let (digits, radix) = match hex {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => (digits, 16),
        _ if unsigned.starts_with('0') => (unsigned, 8),
        _ => (unsigned, 10),
    };
    let length = digits.bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    let (digits, rest) = digits.split_at(length);
    let number = i64::from_str_radix(digits, radix).ok()?;
    let odd = radix == 16 || (radix == 8 && digits.len() > 1);
    Some((Spelled { value: if negative { -number } else { number }, odd }, rest))
}

/// The number of a user or group that is given by number. If a name of this spelling exists, it
/// takes precedence.
pub(crate) fn account_number(text: &str) -> Option<u32> {
    spelled_account(text).map(|number| number.value)
}

/// As [`account_number`]; `None` if the text can only be a name. The largest number means nobody to
/// the kernel.
///
/// Reference: the same spellings. It ignores what follows the digits, and takes what is not a
/// number as 4294967294.
pub(super) fn spelled_account(text: &str) -> Option<Spelled<u32>> {
    let known = |number| u32::try_from(number).ok().filter(|number| *number != u32::MAX);
    whole_integer(text)?.try_map(known)
}

/// The numbers of a `weights` line.
///
/// Reference: numbers are separated by white space, `,`, `;`, `:` or `-`; several separators count
/// as one. Ours accepts `-` only as a sign, because `1-2` would be ambiguous.
pub(super) fn weights(text: &str) -> Result<Spelled<Vec<i32>>, Expected> {
    let separator = |c: char| is_blank(c) || matches!(c, ',' | ';' | ':');
    let mut rest = text.trim_start_matches(is_blank);
    let mut weights = Spelled { value: Vec::new(), odd: false };
    while !rest.is_empty() {
        let wrong = || Expected::Weights { at: rest.to_owned() };
        let (number, after) = read_integer(rest).ok_or_else(wrong)?;
        if !after.is_empty() && !after.starts_with(separator) {
            return Err(Expected::Weights { at: after.to_owned() });
        }
        weights.value.push(i32::try_from(number.value).map_err(|_| wrong())?);
        weights.odd |= number.odd;
        rest = after.trim_start_matches(separator);
    }
    Ok(weights)
}

/// A ticket's mode.
///
/// Reference: ignores case; every other word silently means automatic.
pub(super) fn mode(text: &str) -> Result<TicketMode, Expected> {
    match text.to_ascii_lowercase().as_str() {
        "manual" => Ok(TicketMode::Manual),
        "auto" | "automatic" => Ok(TicketMode::Automatic),
        _ => Err(Expected::Mode),
    }
}

/// The four words of an `attr-prereq` line.
pub(super) fn attr_rule(text: &str) -> Result<AttrRule, Expected> {
    let words: Vec<&str> = text.split(is_blank).filter(|word| !word.is_empty()).collect();
    let [mode, name, op, value] = words[..] else {
        return Err(Expected::PrereqWords { found: words.len() });
    };
    let mode = match mode {
        "auto" => RuleMode::Auto,
        "manual" => RuleMode::Manual,
        other => return Err(Expected::PrereqMode { found: other.to_owned() }),
    };
    let op = match op {
        "eq" => AttrOp::Equal,
        "ne" => AttrOp::NotEqual,
        other => return Err(Expected::PrereqOp { found: other.to_owned() }),
    };
    let name = AttrName::new(name)
        .map_err(|error| Expected::PrereqAttr { found: name.to_owned(), error })?;
    let value = AttrValue::new(value)
        .map_err(|error| Expected::PrereqAttr { found: value.to_owned(), error })?;
    Ok(AttrRule { mode, name, op, value })
}

/// A program and its arguments, `None` if there is no program.
///
/// Reference: words are separated by white space; quotes inside the value are ordinary characters.
pub(super) fn handler(text: &[u8]) -> Option<Handler> {
    let blank = |byte: &u8| is_blank(char::from(*byte));
    let mut words = text.split(blank).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let path = PathBuf::from(words.next()?);
    Some(Handler { path, args: words.map(OsStr::to_owned).collect() })
}

/// A boolean: yes, true, on or 1; no, false, off or 0; in any case.
pub(super) fn yes_or_no(text: &str) -> Result<bool, Expected> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(Expected::YesOrNo),
    }
}

/// White space inside values.
const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0B' | '\x0C' | '\r')
}
