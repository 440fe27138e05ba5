// SPDX-License-Identifier: GPL-2.0-or-later
//! Spans of time, lists and lines for people, and colours on a terminal.

use std::io::IsTerminal;

/// Columns of a terminal.
const WIDTH: usize = 80;

/// A number of seconds in words: `0.4 s`, `51 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 1.0 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |d| d.as_secs());
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {big_unit}"),
        small => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => two(whole / 60, "min", whole % 60, "s"),
        3_600..86_400 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// A short span for a column: `0.3 ms`, `30 ms`, `51 s`, `3 min`, `2 h`, `4 d`.
pub(super) fn short(seconds: f64) -> String {
    let millis = seconds.max(0.0) * 1000.0;
    if millis < 1000.0 {
        return if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") };
    }
    let text = span(seconds);
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Names in a sentence: `A`, `A and B`, `A, B and C`.
pub(super) fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A number of things: `1 ticket`, `2 tickets`.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Two parts of a line, or of two lines if one of 80 columns is too short.
pub(super) fn two_parts(first: &str, second: &str) -> String {
    let fits = first.chars().count() + 2 + second.chars().count() <= WIDTH;
    format!("{first}{}  {second}\n", if fits { "" } else { "\n" })
}

/// What is left of a lease as a bar of so many characters.
pub(super) fn bar(left: f64, of: f64, width: usize) -> String {
    let part = if of > 0.0 { (left / of).clamp(0.0, 1.0) } else { 0.0 };
    let full = (0..width)
        .filter(|at| {
            (f64::from(u32::try_from(*at).unwrap_or(0)) + 0.5)
                / f64::from(u32::try_from(width).unwrap_or(1))
                <= part
        })
        .count();
    format!("[{}{}]", "=".repeat(full), " ".repeat(width - full))
}

/// A text in lines of at most 80 columns, the first of which begins with `first`, and the others
/// as far to the right.
pub(super) fn paragraph(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let (mut lines, mut line) = (String::new(), first.to_owned());
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let len = word.chars().count();
        if !empty && line.chars().count() + 1 + len > WIDTH {
            lines += &(std::mem::replace(&mut line, " ".repeat(indent)) + "\n");
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line += word;
        empty = false;
    }
    lines + &line + "\n"
}

/// Whether standard output is a terminal that can place its cursor and has colours.
pub(super) fn is_screen() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

/// The text in red and in green, if standard output is a terminal and nobody objects
/// (<https://no-color.org>).
pub(super) struct Paint(bool);

impl Paint {
    /// Colours if standard output may have them.
    pub(super) fn of_output() -> Paint {
        let objected = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint(is_screen() && !objected)
    }

    /// For what needs attention.
    pub(super) fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    /// For what is well.
    pub(super) fn green(&self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_two_largest_units() {
        for (seconds, words, column) in [
            (-1.0, "0.0 s", "0.0 ms"),
            (0.42, "0.4 s", "420 ms"),
            (51.9, "51 s", "51 s"),
            (60.0, "1 min", "1 min"),
            (200.0, "3 min 20 s", "3 min"),
            (7_500.0, "2 h 5 min", "2 h"),
            (356_400.0, "4 d 3 h", "4 d"),
        ] {
            assert_eq!((span(seconds), short(seconds)), (words.to_owned(), column.to_owned()));
        }
    }

    #[test]
    fn paragraphs_are_wrapped_behind_their_mark() {
        let text = paragraph("! ", &"word ".repeat(20));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("! word") && lines[1].starts_with("  word"), "{lines:?}");
        assert!(lines.iter().all(|line| line.len() <= 80), "{lines:?}");
        assert_eq!(paragraph("  ", &"x".repeat(90)), format!("  {}\n", "x".repeat(90)));
    }

    #[test]
    fn names_and_numbers_are_put_into_words() {
        let names: Vec<String> = ["A", "B", "C"].map(str::to_owned).into();
        let of = |count: usize| and(&names[..count]);
        assert_eq!([of(0), of(1), of(2), of(3)], ["", "A", "A and B", "A, B and C"]);
        assert_eq!(
            (count(1, "ticket"), count(0, "ticket")),
            ("1 ticket".into(), "0 tickets".into())
        );
        assert_eq!(two_parts(&"x".repeat(70), "eight ch"), "x".repeat(70) + "  eight ch\n");
        assert_eq!(two_parts(&"x".repeat(70), "nine char"), "x".repeat(70) + "\n  nine char\n");
    }

    #[test]
    fn a_bar_shows_what_is_left() {
        assert_eq!(bar(60.0, 60.0, 4), "[====]");
        assert_eq!(bar(30.0, 60.0, 4), "[==  ]");
        assert_eq!(bar(0.0, 60.0, 4), "[    ]");
        assert_eq!(bar(5.0, 0.0, 4), "[    ]");
    }
}
