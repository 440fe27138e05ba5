// SPDX-License-Identifier: GPL-2.0-or-later
//! The form of the case files.
//!
//! ```text
//! == a name, to find the case again
//! port = abc
//! @members
//! ticket = t
//! -- theirs accept
//! -- ours refuse expected a port number
//! -- quirk 102
//! ```
//!
//! Between the name and the verdicts stands the configuration file, line by line. `@members` is
//! three member lines; `@DIR@` stands for a folder with key files. A line that begins with a
//! backslash is written without it and with these escapes: `\r`, `\t`, `\\`, `\xHH`, `\c` at the
//! end (no newline), `\*N{TEXT}` (the text N times). Behind `refuse` stands what a message must
//! contain; behind `accept`, what a warning must contain, and nothing if there must be none.
//! Lines that begin with `#` outside a case are comments.

use std::fmt;
use std::path::{Path, PathBuf};

const MEMBERS: &str = "site = 127.0.0.1\nsite = 127.0.0.2\narbitrator = 127.0.0.3\n";

/// What a program says of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right; the text is the warning.
    Accept(String),
    /// It is wrong; the text is the message.
    Refuse(String),
    /// The program ended in an unforeseen way.
    Crash(String),
    /// Nothing has been recorded yet.
    Unknown,
}

impl Verdict {
    /// Whether the file was accepted.
    pub const fn accepts(&self) -> bool {
        matches!(self, Verdict::Accept(_))
    }

    /// Whether a verdict that was found is the one expected.
    pub fn matches(&self, found: &Verdict) -> bool {
        match (self, found) {
            (Verdict::Accept(expected), Verdict::Accept(text)) => {
                expected.is_empty() == text.is_empty() && text.contains(expected)
            }
            (Verdict::Refuse(expected), Verdict::Refuse(text)) => text.contains(expected),
            (Verdict::Crash(expected), Verdict::Crash(text)) => text == expected,
            _ => false,
        }
    }

    fn parse(text: &str) -> Verdict {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        match kind {
            "accept" => Verdict::Accept(rest.to_owned()),
            "refuse" => Verdict::Refuse(rest.to_owned()),
            "crash" => Verdict::Crash(rest.to_owned()),
            "?" => Verdict::Unknown,
            other => panic!("{other:?} is no verdict"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Verdict::Accept(text) => ("accept", text.as_str()),
            Verdict::Refuse(text) => ("refuse", text.as_str()),
            Verdict::Crash(text) => ("crash", text.as_str()),
            Verdict::Unknown => ("?", ""),
        };
        let space = if text.is_empty() { "" } else { " " };
        write!(f, "{kind}{space}{text}")
    }
}

/// One configuration file and its verdicts.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file and name of the case, for messages.
    pub place: String,
    name: String,
    body: Vec<String>,
    /// What the reference says.
    pub theirs: Verdict,
    /// What ours says.
    pub ours: Verdict,
    /// The entry in `test/QUIRKS.md`.
    pub quirk: Option<String>,
}

impl Case {
    /// The bytes of the configuration file; key files are in `keys`.
    pub fn text(&self, keys: &Path) -> Vec<u8> {
        let mut text = Vec::new();
        for line in &self.body {
            match line.as_str() {
                "@members" => text.extend_from_slice(MEMBERS.as_bytes()),
                line => match line.strip_prefix('\\') {
                    Some(escaped) => unescape(escaped, &mut text),
                    None => text.extend_from_slice(format!("{line}\n").as_bytes()),
                },
            }
        }
        let at = text.windows(5).position(|part| part == b"@DIR@");
        if let Some(at) = at {
            text.splice(at..at + 5, keys.to_str().expect("the path is text").bytes());
        }
        text
    }

    /// Keeps the recorded words where they still match.
    pub fn record(&mut self, ours: bool, found: Verdict) {
        let slot = if ours { &mut self.ours } else { &mut self.theirs };
        if !slot.matches(&found) {
            *slot = found;
        }
    }
}

fn unescape(line: &str, text: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((plain, after)) = rest.split_once('\\') {
        text.extend_from_slice(plain.as_bytes());
        let (kind, after) = after.split_at(1);
        rest = match kind {
            "r" => push(text, b'\r', after),
            "t" => push(text, b'\t', after),
            "\\" => push(text, b'\\', after),
            "x" => {
                let (digits, after) = after.split_at(2);
                push(text, u8::from_str_radix(digits, 16).expect("two digits follow \\x"), after)
            }
            "c" => return assert!(after.is_empty(), "\\c stands at the end"),
            "*" => {
                let (count, after) = after.split_once('{').expect("\\*N{TEXT}");
                let (part, after) = after.split_once('}').expect("\\*N{TEXT}");
                text.extend(part.repeat(count.parse().expect("N is a number")).bytes());
                after
            }
            other => panic!("\\{other} is no escape"),
        };
    }
    text.extend_from_slice(rest.as_bytes());
    text.push(b'\n');
}

fn push<'a>(text: &mut Vec<u8>, byte: u8, after: &'a str) -> &'a str {
    text.push(byte);
    after
}

/// A file of cases.
#[derive(Clone, Debug)]
pub struct CaseFile {
    path: PathBuf,
    head: String,
    /// The cases in file order.
    pub cases: Vec<Case>,
}

impl CaseFile {
    /// Reads a file.
    pub fn read(path: &Path) -> CaseFile {
        let text = std::fs::read_to_string(path).expect("a case file can be read");
        let mut blocks = text.split("\n== ");
        let head = blocks.next().unwrap_or_default().to_owned();
        let file = path.file_name().expect("a case file has a name").to_string_lossy();
        let cases = blocks.map(|block| read_case(&file, block)).collect();
        CaseFile { path: path.to_owned(), head, cases }
    }

    /// Writes the file as it was read, with new verdicts.
    pub fn write(&self) {
        let mut text = self.head.clone();
        for case in &self.cases {
            text.push_str(&format!("\n== {}\n", case.name));
            for line in &case.body {
                text.push_str(&format!("{line}\n"));
            }
            text.push_str(&format!("-- theirs {}\n-- ours {}\n", case.theirs, case.ours));
            if let Some(quirk) = &case.quirk {
                text.push_str(&format!("-- quirk {quirk}\n"));
            }
        }
        std::fs::write(&self.path, text).expect("a case file can be written");
    }
}

fn read_case(file: &str, block: &str) -> Case {
    let mut lines = block.trim_end_matches('\n').split('\n');
    let name = lines.next().unwrap_or_default().to_owned();
    let mut case = Case {
        place: format!("{file}: {name}"),
        name,
        body: Vec::new(),
        theirs: Verdict::Unknown,
        ours: Verdict::Unknown,
        quirk: None,
    };
    for line in lines {
        match line.strip_prefix("-- ").and_then(|rest| rest.split_once(' ')) {
            Some(("theirs", verdict)) => case.theirs = Verdict::parse(verdict),
            Some(("ours", verdict)) => case.ours = Verdict::parse(verdict),
            Some(("quirk", number)) => case.quirk = Some(number.to_owned()),
            Some((other, _)) => panic!("{}: {other:?} is no verdict", case.place),
            None => case.body.push(line.to_owned()),
        }
    }
    case
}
