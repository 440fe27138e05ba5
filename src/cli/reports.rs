// SPDX-License-Identifier: GPL-2.0-or-later
//! Asks members for their reports (P25): one, or all at once, each in a thread of its own, none for
//! longer than [`LIMIT`]. A member of the C version has no report; its `list` says what there is.

use super::client::{printable, Session};
use super::net::{Codec, Connection, NetError};
use super::target::{self, Target};
use crate::config::Config;
use crate::report::{self, Report};
use crate::sys::clock;
use crate::time::WallTime;
use crate::wire::{ClientReply, ClientRequest, ResultCode};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long all members are waited for.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// What a member has answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Its index in the configuration.
    pub index: usize,
    /// What it said.
    pub said: Said,
}

/// What a member said when it was asked for its report.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Its report.
    Report(Box<Told>),
    /// Its `list`: it is of the C version.
    List(String),
    /// Nothing that helps.
    Nothing(Silence),
}

/// A report, and how it came.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The report.
    pub report: Report,
    /// How far the member's clock is ahead of this host's, in seconds.
    pub clock_offset: f64,
    /// How long the answer took.
    pub took: Duration,
}

/// Why there is neither a report nor a list.
#[derive(Clone, Debug)]
pub(super) enum Silence {
    /// There was no answer.
    Net(Arc<NetError>),
    /// It refused.
    Refused(ResultCode),
    /// The answer is no report that this version knows.
    Unreadable(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::Net(error) if matches!(**error, NetError::Untrusted(..)) => {
                write!(f, "{error}: compare authfile and the clocks")
            }
            Silence::Net(error) => error.fmt(f),
            Silence::Refused(ResultCode::AuthFailed) => {
                write!(f, "it refuses this host's key: compare authfile and the clocks")
            }
            Silence::Refused(ResultCode::SyncFail) => {
                write!(f, "its report is longer than a message can be")
            }
            Silence::Refused(code) => write!(f, "it refuses to report ({code:?})"),
            Silence::Unreadable(why) => write!(f, "its report cannot be read: {why}"),
        }
    }
}

impl From<NetError> for Silence {
    fn from(error: NetError) -> Silence {
        Silence::Net(Arc::new(error))
    }
}

impl std::error::Error for Silence {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Silence::Net(error) => Some(error.as_ref()),
            Silence::Refused(_) | Silence::Unreadable(_) => None,
        }
    }
}

impl Answer {
    /// The report, if there is one.
    pub(super) fn report(&self) -> Option<&Report> {
        match &self.said {
            Said::Report(told) => Some(&told.report),
            Said::List(_) | Said::Nothing(_) => None,
        }
    }
}

/// Asks all members at once. The answers are in configuration order.
pub(super) fn ask_all(config: &Config, codec: &Codec, history: bool) -> Vec<Answer> {
    ask_but(config, codec, history, None)
}

/// The same without this member.
pub(super) fn ask_but(
    config: &Config,
    codec: &Codec,
    history: bool,
    without: Option<usize>,
) -> Vec<Answer> {
    let until = Instant::now() + LIMIT;
    let local = target::local(config);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..config.members.len())
            .filter(|index| Some(*index) != without)
            .map(|index| {
                let target = target::at(config, index, local);
                scope.spawn(move || Answer { index, said: ask(codec, &target, history, until) })
            })
            .collect();
        // A thread that panics has found a bug: so has this one.
        asking.into_iter().map(|thread| thread.join().expect("asking does not panic")).collect()
    })
}

/// Asks the member that was named, or the local one.
pub(super) fn ask_one(session: &Session, history: bool) -> Answer {
    let target = &session.target;
    let said = ask(&session.codec, target, history, Instant::now() + LIMIT);
    Answer { index: target.index, said }
}

fn ask(codec: &Codec, target: &Target, history: bool, until: Instant) -> Said {
    match ask_report(codec, target, history, until) {
        Ok(Ok(told)) => Said::Report(told),
        // Reference: to a command that it does not know it says that an argument is invalid.
        Ok(Err(Silence::Refused(ResultCode::InvalidArg))) => ask_list(codec, target, until),
        Ok(Err(silence)) => Said::Nothing(silence),
        Err(error @ NetError::Closed { .. }) => match ask_list(codec, target, until) {
            // One of ours that is older than reports closes the connection.
            Said::List(list) => Said::List(list),
            Said::Report(_) | Said::Nothing(_) => Said::Nothing(error.into()),
        },
        Err(error) => Said::Nothing(error.into()),
    }
}

type Outcome = Result<Result<Box<Told>, Silence>, NetError>;

fn ask_report(codec: &Codec, target: &Target, history: bool, until: Instant) -> Outcome {
    let request = ClientRequest::Report { history };
    let mut connection = Connection::ask_within(target, codec, &request, left(until))?;
    let (asked, begun) = (clock::wall(), Instant::now());
    let reply = connection.answer(Some(left(until)))?;
    let took = begun.elapsed();
    Ok(match reply {
        ClientReply::Report(text) => read(&text).map(|report| {
            let clock_offset = offset(&report, asked, took);
            Box::new(Told { report, clock_offset, took })
        }),
        ClientReply::Result(code) => Err(Silence::Refused(code)),
        ClientReply::Ticket(_)
        | ClientReply::List(_)
        | ClientReply::Attr(_)
        | ClientReply::Attrs(_)
        | ClientReply::Hello(_) => return Err(NetError::Unexpected(target.address)),
    })
}

fn ask_list(codec: &Codec, target: &Target, until: Instant) -> Said {
    let list = || {
        let request = ClientRequest::List;
        Connection::ask_within(target, codec, &request, left(until))?.answer(Some(left(until)))
    };
    match list() {
        Ok(ClientReply::List(text)) => Said::List(printable(&text)),
        Ok(ClientReply::Result(code)) => Said::Nothing(Silence::Refused(code)),
        Ok(_) => Said::Nothing(NetError::Unexpected(target.address).into()),
        Err(error) => Said::Nothing(error.into()),
    }
}

/// What is left of the time; never nothing, which would mean no limit.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Reads a report. What a member wrote must not control a terminal, nor begin a line: in JSON a
/// control character may be hidden behind an escape.
fn read(text: &str) -> Result<Report, Silence> {
    let report: Report = serde_json::from_str(&uncontrolled(&printable(text)))
        .map_err(|error| Silence::Unreadable(error.to_string()))?;
    if report.report != report::VERSION {
        let text = format!("it has version {}, this is {}", report.report, report::VERSION);
        return Err(Silence::Unreadable(text));
    }
    Ok(report)
}

/// Replaces the escapes of control characters in JSON text. Escapes are only in its strings.
fn uncontrolled(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        clean.push_str(before);
        let hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let code = escape.get(1..5).filter(hex).filter(|_| escape.starts_with('u'));
        let code = code.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let named = escape.starts_with(['b', 'f', 'n', 'r', 't']);
        let length =
            if code.is_some() { 5 } else { escape.chars().next().map_or(0, char::len_utf8) };
        if named || code.and_then(char::from_u32).is_some_and(char::is_control) {
            clean.push('?');
        } else {
            clean.push('\\');
            clean.push_str(&escape[..length]);
        }
        rest = &escape[length..];
    }
    clean.push_str(rest);
    clean
}

/// How far the member's clock is ahead: it wrote its time about when half of the answer's time had
/// passed.
fn offset(report: &Report, asked: WallTime, took: Duration) -> f64 {
    let asked = Duration::from_micros(asked.as_micros()).as_secs_f64();
    report.unix_time - (asked + took.as_secs_f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_report_controls_a_terminal_however_it_is_written() {
        let text = r#"{"a": ["\u001b]0;owned\u0007", "x\ny\\n", "\"\u00e9\ud83d\ude00\/"],
            "\u009Bb": {"c": "\t\\\u007fz"}}"#;
        let clean: serde_json::Value = serde_json::from_str(&uncontrolled(text)).expect("JSON");
        let expected = serde_json::json!({
            "a": ["?]0;owned?", "x?y\\n", "\"\u{e9}\u{1f600}/"],
            "?b": {"c": "?\\?z"},
        });
        assert_eq!(clean, expected);
        for cut in ["\\", "\\u", "\\u00", "\\u00\u{e9}", "\\\u{e9}", "\\u+01b"] {
            assert_eq!(uncontrolled(cut), cut, "no JSON, and unchanged");
        }
        // What is not read as a report is told without them, too.
        let error = read("{\"report\": 1, \"\\u001b[2J\": 2}").expect_err("no report");
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }
}
