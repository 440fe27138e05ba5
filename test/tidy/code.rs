// SPDX-License-Identifier: GPL-2.0-or-later
//! Rust with its comments and literals blanked out, so that words in them do not count as code.

/// Code of which comments, strings and characters are spaces. Lines and columns stay the same.
#[derive(Clone, Debug)]
pub struct Code {
    text: String,
}

impl Code {
    /// The code in a Rust file.
    pub fn of(text: &str) -> Code {
        let mut scanner = Scanner { rest: text, out: String::with_capacity(text.len()) };
        while scanner.step() {}
        Code { text: scanner.out }
    }

    /// The lines, with their numbers from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Words and single punctuation marks, with their lines; `::` is one token.
    pub fn tokens(&self) -> Vec<(usize, &str)> {
        let mut tokens = Vec::new();
        for (number, line) in self.lines() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let length = if is_word(first) {
                    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
                } else if rest.starts_with("::") {
                    2
                } else {
                    first.len_utf8()
                };
                let (token, after) = rest.split_at(length);
                tokens.push((number, token));
                rest = after.trim_start();
            }
        }
        tokens
    }
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    /// Takes one piece; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        let blank = if self.rest.starts_with("//") {
            self.rest.find('\n').unwrap_or(self.rest.len())
        } else if self.rest.starts_with("/*") {
            block_comment(self.rest)
        } else if let Some(length) = self.literal() {
            length
        } else {
            self.rest = &self.rest[first.len_utf8()..];
            self.out.push(first);
            return true;
        };
        let (blanked, rest) = self.rest.split_at(blank);
        self.out.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
        true
    }

    /// The length of the string or character that begins here, with its prefix.
    fn literal(&self) -> Option<usize> {
        let after_word = self.out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let letters = self.rest.len() - self.rest.trim_start_matches(['b', 'c', 'r']).len();
        let (prefix, body) = self.rest.split_at(letters);
        if letters > 0 && after_word {
            return None;
        }
        if body.starts_with('"') && !prefix.contains('r') {
            return Some(letters + quoted(body, '"'));
        }
        if body.starts_with(['"', '#']) && prefix.contains('r') {
            return raw_string(body).map(|length| letters + length);
        }
        if body.starts_with('\'') && matches!(prefix, "" | "b") && is_character(body) {
            return Some(letters + quoted(body, '\''));
        }
        None
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a text in quotes, in which a backslash hides what follows it.
fn quoted(text: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in text.char_indices().skip(1) {
        if hidden {
            hidden = false;
        } else if c == '\\' {
            hidden = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The length of `#"…"#` with any number of marks; `None` for a name such as `r#type`.
fn raw_string(text: &str) -> Option<usize> {
    let marks = text.len() - text.trim_start_matches('#').len();
    let body = text[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    Some(body.find(&end).map_or(text.len(), |at| marks + 1 + at + end.len()))
}

/// Whether a quote begins a character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_not() {
    let cases = [
        ("a // b", "a     "),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"x // y\") // z", "f(        )     "),
        (r#"f("a\"b", c)"#, "f(      , c)"),
        ("f(r#\"a\"b\"#, c)", "f(        , c)"),
        ("f(b\"x\", br\"y\\\", c)", "f(    ,       , c)"),
        ("let x: &'a str = 'b';", "let x: &'a str =    ;"),
        ("'\\'' + '\"' + b'\\\\'", "     +     +      "),
        ("r#type + for_r \"x\"", "r#type + for_r    "),
        ("'label: loop {}", "'label: loop {}"),
        ("/* ü\n*/ x", "    \n   x"),
    ];
    for (text, code) in cases {
        assert_eq!(Code::of(text).text(), code, "{text}");
    }
}

#[test]
fn tokens_have_their_lines() {
    let code = Code::of("use a::b_c;\n  x.y()");
    let expected = [(1, "use"), (1, "a"), (1, "::"), (1, "b_c"), (1, ";"), (2, "x"), (2, ".")];
    assert_eq!(code.tokens()[..7], expected);
}
