// SPDX-License-Identifier: GPL-2.0-or-later
//! Words that have no place in finished code, and casts that lose bits.

use super::exceptions::{apply, Exception};
use super::tree::{rust, Complaint, File};
use super::{assert_tidy, complaints_about};

/// Macros of unfinished code.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// Modules in which numbers are converted with `from` and `try_from` only.
const WITHOUT_CASTS: &[&str] = &["src/core/"];

const NUMBERS: &[&str] = &[
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64",
];

/// The longest pause, in milliseconds, between two looks at a condition that is waited for.
const PAUSE_MILLIS: u64 = 20;
const PAUSE_MICROS: u64 = PAUSE_MILLIS * 1000;

/// Casts that lose nothing and have to be: constant functions cannot call `try_from`.
const CASTS: &[Exception] = &[
    Exception {
        path: "src/core/time.rs",
        complaint: "as u32",
        reason: "the remainder of a division by a million fits, and the function is constant",
    },
    Exception {
        path: "src/core/model/member.rs",
        complaint: "as usize",
        reason: "8 and 16 bits fit, and the functions are constant",
    },
    Exception {
        path: "src/core/model/ticket.rs",
        complaint: "as usize",
        reason: "32 bits fit wherever Booth is built, and the function is constant",
    },
];

/// Pauses that are meant.
const PAUSES: &[Exception] = &[
    Exception {
        path: "src/daemon/mod.rs",
        complaint: "a sleep",
        reason: "only where the kernel has no room to wait for signals; they are looked for later",
    },
    Exception {
        path: "src/cli/overview.rs",
        complaint: "a sleep",
        reason: "`-w` shows the cluster again after a time; there is nothing else to wait for",
    },
    Exception {
        path: "src/cli/exporter/desk.rs",
        complaint: "a sleep",
        reason: "the daemon is asked once a second at most: who comes earlier waits for that",
    },
    Exception {
        path: "src/cli/exporter/serve.rs",
        complaint: "a sleep",
        reason: "only where the kernel cannot wait for connections; it is tried again later",
    },
    Exception {
        path: "test/observe/exporter.rs",
        complaint: "a sleep",
        reason: "the stand-in for a daemon is slow on purpose",
    },
    Exception {
        path: "test/executor/process.rs",
        complaint: "a sleep",
        reason: "waits for a condition, in growing pauses",
    },
    Exception {
        path: "test/threads/storm.rs",
        complaint: "a sleep of more than",
        reason: "a storm lasts for a time; what is asserted comes after it",
    },
    Exception {
        path: "test/cli/server.rs",
        complaint: "a sleep",
        reason: "the scripted server is slow on purpose, for as long as the script says",
    },
    Exception {
        path: "test/daemon/site.rs",
        complaint: "a sleep",
        reason: "a stop at many moments of the start is what is tested",
    },
    Exception {
        path: "test/executor/guarding.rs",
        complaint: "a sleep",
        reason: "renewals at fixed times are what the guard is given",
    },
];

fn unfinished(file: &File) -> Vec<Complaint> {
    let code = file.code();
    let tokens = code.tokens();
    let mut complaints = Vec::new();
    for pair in tokens.windows(2) {
        if UNFINISHED.contains(&pair[0].1) && pair[1].1 == "!" {
            complaints.push(file.complaint(pair[0].0, format!("{}! is unfinished", pair[0].1)));
        }
    }
    let mut before = "";
    for ((number, line), written) in code.lines().zip(file.text.lines()) {
        if line.contains("#[ignore") && !written.contains("issue ") {
            complaints.push(file.complaint(number, "an ignored test names its issue"));
        }
        let says_why = written.contains("reason") || comments(written) || comments(before);
        if line.contains("[allow(") && !says_why {
            complaints.push(file.complaint(number, "allow(…) gives its reason"));
        }
        if line.contains(".unwrap()") && !file.is_test() {
            let text = "instead of unwrap: expect(…) with what makes it impossible, or an error";
            complaints.push(file.complaint(number, text));
        }
        before = written;
    }
    complaints
}

/// Whether the line has a comment that is no documentation.
fn comments(line: &str) -> bool {
    line.starts_with("// ") || line.contains(" // ")
}

fn casts(file: &File) -> Vec<Complaint> {
    if file.is_test() || !WITHOUT_CASTS.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let code = file.code();
    let mut complaints = Vec::new();
    for pair in code.tokens().windows(2) {
        if pair[0].1 == "as" && NUMBERS.contains(&pair[1].1) {
            let text = format!("as {} may lose bits: use from or try_from", pair[1].1);
            complaints.push(file.complaint(pair[0].0, text));
        }
    }
    complaints
}

/// The product never sleeps; it waits for something. Tests may pause shortly between two looks.
fn sleeps(file: &File) -> Vec<Complaint> {
    let code = file.code();
    let tokens = code.tokens();
    let mut complaints = Vec::new();
    for (index, (line, token)) in tokens.iter().enumerate() {
        let near = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
        let method = index > 0 && matches!(near(index - 1), "." | "fn");
        if *token != "sleep" || near(index + 1) != "(" || method {
            continue;
        }
        if !file.is_test() && file.path.starts_with("src/") {
            complaints.push(file.complaint(*line, "a sleep: wait for what is to happen"));
            continue;
        }
        let short = pause(&tokens, index + 2).is_some_and(|micros| micros <= PAUSE_MICROS);
        if !short {
            let text = format!("a sleep of more than {PAUSE_MILLIS} ms: wait for a condition");
            complaints.push(file.complaint(*line, text));
        }
    }
    complaints
}

/// The microseconds of a span that is written out, or of a constant of the same file.
fn pause(tokens: &[(usize, &str)], index: usize) -> Option<u64> {
    let token = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
    let name = token(index);
    if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') && token(index + 1) == ")" {
        let place = tokens.windows(2).position(|two| two[0].1 == "const" && two[1].1 == name)?;
        let value = (place..tokens.len()).find(|at| token(*at) == "=")?;
        return pause(tokens, value + 1);
    }
    let unit = (index..index + 6).find(|at| token(*at).starts_with("from_"))?;
    let number: u64 = token(unit + 2).replace('_', "").parse().ok()?;
    match token(unit) {
        "from_millis" => number.checked_mul(1000),
        "from_micros" => Some(number),
        _ => None,
    }
}

#[test]
fn nothing_is_unfinished() {
    assert_tidy(rust().flat_map(unfinished).collect());
}

#[test]
fn numbers_are_converted_without_loss() {
    assert_tidy(apply(rust().flat_map(casts).collect(), CASTS));
}

#[test]
fn nothing_sleeps_instead_of_waiting() {
    assert_tidy(apply(rust().flat_map(sleeps).collect(), PAUSES));
}

#[test]
fn unfinished_code_is_seen() {
    let see = |text: &str| complaints_about(unfinished, "src/x.rs", text);
    assert_eq!(see("fn f() { todo!() }"), ["src/x.rs:1: todo! is unfinished"]);
    assert_eq!(see("// todo!\nlet x = \"dbg!\";"), Vec::<String>::new());
    assert_eq!(see("x.unwrap()").len(), 1);
    assert_eq!(complaints_about(unfinished, "test/x.rs", "x.unwrap()"), Vec::<String>::new());
    assert_eq!(see("#[ignore]").len(), 1);
    assert_eq!(see("#[ignore = \"issue 7\"]"), Vec::<String>::new());
    assert_eq!(see("#[allow(dead_code)]").len(), 1);
    assert_eq!(see("#[allow(dead_code)] // Half of it."), Vec::<String>::new());
    assert_eq!(see("// Half of it.\n#[allow(dead_code)]"), Vec::<String>::new());
    assert_eq!(see("/// Half of it.\n#[allow(dead_code)]").len(), 1);
}

#[test]
fn casts_are_seen() {
    let see = |text: &str| complaints_about(casts, "src/core/wire/x.rs", text);
    assert_eq!(see("x as u8"), ["src/core/wire/x.rs:1: as u8 may lose bits: use from or try_from"]);
    assert_eq!(see("use x as y; <A as B>::c()"), Vec::<String>::new());
    assert_eq!(complaints_about(casts, "src/cli/x.rs", "x as u8"), Vec::<String>::new());
}

#[test]
fn sleeps_are_seen() {
    let text = |span: &str| format!("thread::sleep(Duration::{span});");
    let see = |path: &str, span: &str| complaints_about(sleeps, path, &text(span)).len();
    assert_eq!(see("src/daemon/x.rs", "from_millis(1)"), 1);
    let other = "fn sleep(&self) {}\nself.sleep();";
    assert_eq!(complaints_about(sleeps, "src/x.rs", other), Vec::<String>::new());
    assert_eq!(see("test/x.rs", "from_millis(20)"), 0);
    assert_eq!(see("test/x.rs", "from_micros(1_000)"), 0);
    assert_eq!(see("test/x.rs", "from_millis(21)"), 1);
    assert_eq!(see("test/x.rs", "from_secs(1)"), 1);
    assert_eq!(complaints_about(sleeps, "test/x.rs", "sleep(left);").len(), 1);
    let named = |span: &str| format!("const SHORT: Duration = Duration::{span};\nsleep(SHORT);");
    let see = |span: &str| complaints_about(sleeps, "test/x.rs", &named(span)).len();
    assert_eq!((see("from_millis(5)"), see("from_millis(50)")), (0, 1));
}
