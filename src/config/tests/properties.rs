// SPDX-License-Identifier: GPL-2.0-or-later
//! What holds for every text.

use super::print::print;
use super::{accepted, read, with_members};
use crate::config::{keywords, Config, ERRORS_MAX};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Instant;

/// Values of all kinds, right and wrong.
fn value() -> impl Strategy<Value = String> {
    let number = (0u32..700).prop_map(|number| number.to_string());
    let time = prop_oneof![number.clone(), (0u32..9000).prop_map(|number| format!("{number}ms"))];
    let host = (1u8..=30).prop_map(|number| format!("10.0.0.{number}"));
    let rule = "(auto|manual) [a-z]{1,5} (eq|ne) [a-zA-Z0-9_\"']{0,4}";
    prop_oneof![
        8 => time,
        4 => host,
        2 => rule,
        2 => "(auto|manual|udp|UDP|yes|no|pacemaker|/var/x|/key|/zero-key)",
        2 => "-?[0-9]{1,3}([,;: ]-?[0-9]{1,3}){0,4}",
        2 => "/[a-z]{1,4}( [a-z\"'#]{1,3}){0,3}",
        2 => "(one|two|link|none|broken)\\.example",
        2 => "[a-z]{1,6}|__defaults__",
        1 => "\\PC{0,8}",
    ]
}

/// Values that the key may have, whatever else stands in the file.
fn right_value(key: &'static str) -> BoxedStrategy<String> {
    match key {
        "port" => (1u16..).prop_map(|port| port.to_string()).boxed(),
        "site" | "arbitrator" => (4u8..=250).prop_map(|n| format!("10.0.0.{n}")).boxed(),
        "authfile" => "(/key|/key-of-hacluster|/zero-key)".boxed(),
        "ticket-store" => "(pacemaker|/[a-z]{1,9})".boxed(),
        "ticket" => "[a-zA-Z0-9/-]{5,9}|__defaults__".boxed(),
        "expire" => (200u32..99_999).prop_map(|secs| secs.to_string()).boxed(),
        "timeout" => (1u32..9000).prop_map(|millis| format!("{millis}ms")).boxed(),
        "retries" => (3u8..10).prop_map(|number| number.to_string()).boxed(),
        "renewal-freq" => (56u32..700).prop_map(|secs| secs.to_string()).boxed(),
        "acquire-after" | "maxtimeskew" | "debug" => {
            (0u32..9999).prop_map(|number| number.to_string()).boxed()
        }
        "weights" => "(-?[0-9]{1,3}([,;: ]{1,2}-?[1-9][0-9]{0,3}){0,3}){0,1}".boxed(),
        "before-acquire-handler" => "/[a-z#]{1,4}( [a-z#]{1,3}){0,3}".boxed(),
        "attr-prereq" => "(auto|manual) [a-z]{1,5} (eq|ne) [a-zA-Z0-9_#]{1,4}".boxed(),
        "mode" => "(auto|manual|Manual)".boxed(),
        "transport" => "(udp|UDP)".boxed(),
        "enable-authfile" => "(yes|no)".boxed(),
        _ => "[a-z]{1,8}".boxed(),
    }
}

/// A line with a key that exists, mostly right, in one of the ways in which lines are written.
fn key_line() -> impl Strategy<Value = String> {
    let words: Vec<&'static str> = keywords().collect();
    let line = |key: &'static str| {
        let value = prop_oneof![9 => right_value(key), 1 => value()];
        (value, 0u8..5).prop_map(move |(value, style)| match style {
            0 => format!("{key}={value}"),
            1 => format!("  {key} = \"{value}\"   # {value}"),
            2 => format!("{key} = '{value}'\r"),
            3 => format!("{key}\t=\t{value} # comment"),
            _ => format!("{key} = {value}"),
        })
    };
    prop::sample::select(words).prop_flat_map(line)
}

/// Text that looks like a file: members, then keys of all kinds in any order.
fn likely_file() -> impl Strategy<Value = String> {
    vec(prop_oneof![9 => key_line(), 1 => "\\PC{0,20}"], 0..12)
        .prop_map(|lines| with_members(&format!("ticket = base\n{}", lines.join("\n"))))
}

/// What a file means, as far as it can be written down again.
fn meaning(mut config: Config) -> Config {
    config.warnings.clear();
    for member in &mut config.members {
        member.line = 0;
    }
    config
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        check_errors(&bytes)?;
    }

    #[test]
    fn no_likely_text_makes_it_panic(text in likely_file()) {
        check_errors(text.as_bytes())?;
    }

    /// One line each, so that most of them pass.
    #[test]
    fn what_is_printed_means_the_same(lines in vec(key_line(), 1..6)) {
        let lines = lines.join("\n");
        if let Ok(config) = read(with_members(&format!("ticket = base\n{lines}"))) {
            let text = print(&config);
            let again = accepted(&text);
            prop_assert_eq!(format!("{:?}", meaning(config)), format!("{:?}", meaning(again)));
        }
    }
}

/// Errors are in file order, bounded, on lines that exist, and each is one line of text.
fn check_errors(text: &[u8]) -> Result<(), TestCaseError> {
    let Err(errors) = read(text) else { return Ok(()) };
    prop_assert!(!errors.is_empty() && errors.len() <= ERRORS_MAX + 1);
    let count = text.split(|byte| *byte == b'\n').count();
    let lines: Vec<usize> = errors.iter().filter_map(|error| error.line()).collect();
    prop_assert!(lines.iter().all(|line| (1..=count).contains(line)));
    prop_assert!(lines.windows(2).all(|pair| pair[0] <= pair[1]));
    for error in errors {
        let message = error.to_string();
        prop_assert!(!message.contains(char::is_control), "{message:?}");
    }
    Ok(())
}

#[test]
fn enough_of_the_likely_files_are_right() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut right = 0;
    for _ in 0..1000 {
        let lines = vec(key_line(), 1..6).new_tree(&mut runner).expect("a value can be made");
        let text = with_members(&format!("ticket = base\n{}", lines.current().join("\n")));
        right += u32::from(read(&text).is_ok());
    }
    assert!(right > 500, "only {right} of 1000 texts are right: the property proves little");
}

/// How often each size is read; the fastest counts: others may have the processor meanwhile.
const ATTEMPTS: usize = 5;
/// A text may take so many times as long as ten texts of a tenth of the size: it is one where
/// reading is linear, ten where it is quadratic.
const STEEP: f64 = 4.0;

/// How much longer it takes to read a text of ten times the size than to read ten texts. Both take
/// about as long, so that whoever else wants the processor meets both.
fn growth(size: usize, text: impl Fn(usize) -> String, read: impl Fn(&str)) -> f64 {
    let texts = [text(size), text(size * 10)];
    let mut fastest = [f64::MAX; 2];
    for _ in 0..ATTEMPTS {
        for ((text, times), fastest) in texts.iter().zip([10, 1]).zip(&mut fastest) {
            let start = Instant::now();
            (0..times).for_each(|_| read(text));
            *fastest = fastest.min(start.elapsed().as_secs_f64());
        }
    }
    fastest[1] / fastest[0]
}

#[test]
fn thousands_of_tickets_and_long_lines_are_read_fast() {
    let tickets = |count: usize| {
        let mut text =
            with_members("ticket = __defaults__\nexpire = 700\nattr-prereq = auto a eq b\n");
        for number in 0..count {
            text.push_str(&format!("ticket = \"t-{number}\"\n  timeout = 6\n  weights = 1,2,3\n"));
        }
        text
    };
    let handler = |words: usize| {
        with_members(&format!("ticket = t\nbefore-acquire-handler = /{}", " x".repeat(words)))
    };
    assert_eq!(accepted(tickets(10_000)).tickets.len(), 10_000);
    let many = growth(1_000, tickets, |text| drop(accepted(text)));
    assert!(many < STEEP, "each of ten times the tickets takes {many} times as long");
    let long = growth(50_000, handler, |text| drop(accepted(text)));
    assert!(long < STEEP, "each word of ten times the words takes {long} times as long");
    let wrong = growth(
        10_000,
        |lines| "=\n".repeat(lines),
        |text| {
            let errors = read(text).expect_err("nothing is right");
            assert_eq!(errors.len(), ERRORS_MAX + 1);
        },
    );
    assert!(wrong < STEEP, "each of ten times the errors takes {wrong} times as long");
}
