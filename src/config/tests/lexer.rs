// SPDX-License-Identifier: GPL-2.0-or-later
//! What the value of a line is.

use crate::config::lexer::{assignments, strip_mark, Assignment, LineError};

/// The only assignment in a text.
fn one(text: &str) -> (usize, Assignment<'_>) {
    let mut found: Vec<(usize, Result<Assignment<'_>, LineError>)> =
        assignments(text.as_bytes()).collect();
    assert_eq!(found.len(), 1, "{text:?}");
    let (line, result) = found.remove(0);
    (line, result.unwrap_or_else(|error| panic!("{text:?}: {error}")))
}

#[test]
fn values_end_where_they_should() {
    let cases: [(&str, &str, bool); 20] = [
        ("k=v", "v", false),
        ("  k  =  v  ", "v", false),
        ("\tk\t=\tv\t\r", "v", false),
        ("k=a b  c", "a b  c", false),
        ("k='a b '", "a b ", false),
        ("k=\" a'b\"", " a'b", false),
        ("k='a\"b'", "a\"b", false),
        ("k=\"\"", "", false),
        ("k=a\"b\"", "a\"b\"", false),
        ("k=a'b", "a'b", false),
        ("k=a#b", "a#b", false),
        ("k=#b", "#b", false),
        ("k=a #b", "a", true),
        ("k=a\t#b # c", "a", true),
        ("k=a## #b", "a##", true),
        ("k='a #b' # c", "a #b", false),
        ("k='a'# c", "a", false),
        ("k==v", "=v", false),
        ("k=a=b", "a=b", false),
        ("k=ü", "ü", false),
    ];
    for (line, value, cut) in cases {
        let (_, found) = one(line);
        assert_eq!((found.key, found.value, found.cut), ("k", value.as_bytes(), cut), "{line:?}");
    }
}

#[test]
fn lines_are_counted_from_one_through_blanks_and_comments() {
    assert_eq!(one("k=v").0, 1);
    assert_eq!(one("\n  \n# x = y\n\t# z\r\nk=v\n\n").0, 5);
    assert_eq!(assignments(b"").count(), 0);
    assert_eq!(assignments(b"\n\r\n # \n").count(), 0);
}

#[test]
fn a_byte_order_mark_is_taken_off_once() {
    let mark = "\u{feff}";
    assert_eq!(
        strip_mark(format!("{mark}{mark}k").as_bytes()),
        (format!("{mark}k").as_bytes(), true)
    );
    assert_eq!(strip_mark(b"k"), (&b"k"[..], false));
}
