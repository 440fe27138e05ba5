// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth health`, or `check_booth`: the health of the cluster as plugins of Nagios and Icinga
//! tell it, one line on standard output with performance data, and the exit code.

use super::args::{self, CheckHealthArgs, Invocation};
use super::client;
use super::findings::{self, Finding};
use super::net::Codec;
use super::options::{Exit, Program};
use super::output::Output;
use super::overview::best;
use super::reports::{ask_all, Answer, Said};
use super::target::{self, Purpose, Target};
use super::usage;
use super::words::span;
use crate::config::Config;
use crate::report::HolderState;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;

/// The name under which this is a program.
pub(super) const NAME: &str = "check_booth";
/// The operation that it stands for.
const OPERATION: &str = "health";

/// How it is, from good to bad; a plugin's exit code says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Health {
    const fn word(self) -> &'static str {
        match self {
            Health::Ok => "OK",
            Health::Warning => "WARNING",
            Health::Critical => "CRITICAL",
            Health::Unknown => "UNKNOWN",
        }
    }

    const fn exit(self) -> Exit {
        match self {
            Health::Ok => Exit::Success,
            Health::Warning => Exit::Failure,
            Health::Critical => Exit::CannotTell,
            Health::Unknown => Exit::Unchecked,
        }
    }
}

/// The program `check_booth`, whose arguments are those of the operation.
pub(super) fn main(arguments: &[OsString], output: &Output) -> Exit {
    let mut all = vec![OsString::from(OPERATION)];
    all.extend_from_slice(arguments);
    match args::parse(Program::Booth, &all) {
        Ok(Invocation::CheckHealth(args)) => run(&args, output).unwrap_or_else(|exit| exit),
        Ok(Invocation::Help(program, about)) => output.data(&usage::usage(program, about)),
        Ok(_) => output.data(&usage::version(Program::Booth)),
        Err(error) => say(Health::Unknown, &error.to_string(), "", output),
    }
}

/// Asks all members, and tells how it is.
pub(super) fn run(args: &CheckHealthArgs, output: &Output) -> Result<Exit, Exit> {
    let quiet = output.keeping();
    let asked = client::load(&args.target, &quiet);
    let unknown = |why: &str| say(Health::Unknown, why, "", output);
    let Ok(config) = asked else {
        return Err(unknown(&quiet.kept().errors.join("; ")));
    };
    let own = match target::choose(&config, &args.target.site, Purpose::Read) {
        Ok(Target { index, .. }) => Some(index),
        // The host that watches may have a copy of the configuration and no member.
        Err(target::TargetError::NoLocalMember(_)) => None,
        Err(error) => return Err(unknown(&error.to_string())),
    };
    let ticket = args.ticket.as_ref().map(|name| name.as_str());
    if let Some(name) = args.ticket.as_ref().filter(|name| config.ticket(name).is_none()) {
        let text = format!("there is no ticket \"{name}\" in {}", config.path.display());
        return Err(unknown(&text));
    }
    let answers = ask_all(&config, &Codec::of(&config), false);
    let found = findings::find(&config, &answers, ticket);
    let (health, text) = judge(&config, &answers, &found, own, ticket);
    Ok(say(health, &text, &figures(&config, &answers, &found), output))
}

/// How it is, and the words for it: what is critical first, then what else needs attention.
fn judge(
    config: &Config,
    answers: &[Answer],
    found: &[Finding],
    own: Option<usize>,
    ticket: Option<&str>,
) -> (Health, String) {
    let mut critical: Vec<String> = Vec::new();
    let there = there(answers);
    if there <= answers.len() / 2 {
        critical.push(format!("{there} of {} members answer, no majority", answers.len()));
    }
    let silent =
        |answer: &&Answer| Some(answer.index) == own && matches!(answer.said, Said::Nothing(_));
    if let Some(answer) = answers.iter().find(silent) {
        critical.push(format!("{} is silent", findings::address(config, answer.index)));
    }
    let tickets = config.tickets.iter().map(|t| t.spec.name.as_str());
    for name in tickets.filter(|name| ticket.is_none_or(|only| only == *name)) {
        let granted = findings::granted(config, answers, name);
        if granted.len() > 1 {
            critical.push(format!("{name} is granted at {}", granted.join(" and ")));
        }
        let holder = best(config, answers, name).map(|(_, ticket)| ticket);
        if holder.is_some_and(|t| t.lease.as_ref().is_some_and(|lease| !lease.majority)) {
            critical.push(format!("{name} is held without a majority"));
        }
        if ticket.is_some() && holder_of(config, answers, name).is_none() {
            critical.push(format!("nobody holds {name}"));
        }
    }
    let mut texts = critical.clone();
    texts.extend(found.iter().filter(|f| f.attention).map(|finding| finding.text.clone()));
    let health = match (critical.is_empty(), texts.is_empty()) {
        (false, _) => Health::Critical,
        (true, false) => Health::Warning,
        (true, true) => Health::Ok,
    };
    if texts.is_empty() {
        texts.push(format!("{there} of {} members answer", answers.len()));
        texts.extend(ticket.into_iter().map(|name| held_words(config, answers, name)));
    }
    (health, texts.join("; "))
}

/// How many members answer.
fn there(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| !matches!(answer.said, Said::Nothing(_))).count()
}

/// Who holds the ticket, as those know who answer.
fn holder_of(config: &Config, answers: &[Answer], name: &str) -> Option<String> {
    let reported = best(config, answers, name)
        .filter(|(_, ticket)| ticket.holder.state == HolderState::Held)
        .and_then(|(_, ticket)| ticket.holder.member.clone());
    reported.or_else(|| {
        answers.iter().find_map(|answer| match &answer.said {
            Said::List(list) => findings::listed_holder(list, name),
            Said::Report(_) | Said::Nothing(_) => None,
        })
    })
}

fn held_words(config: &Config, answers: &[Answer], name: &str) -> String {
    let holder = holder_of(config, answers, name).unwrap_or_else(|| "nobody".to_owned());
    let since = best(config, answers, name).map(|(_, ticket)| ticket.holder.since.seconds_ago);
    let since = since.map_or_else(String::new, |since| format!(" for {}", span(since)));
    format!("{name} held by {holder}{since}")
}

/// The performance data: `'label'=value[unit];warn;crit;min;max`, separated by blanks.
fn figures(config: &Config, answers: &[Answer], found: &[Finding]) -> String {
    let all = answers.len();
    let names: Vec<&str> = config.tickets.iter().map(|t| t.spec.name.as_str()).collect();
    let held: BTreeSet<&str> =
        names.iter().filter(|name| holder_of(config, answers, name).is_some()).copied().collect();
    let attention = found.iter().filter(|finding| finding.attention).count();
    let mut text = format!(
        "members={};;{}:;0;{all} tickets_held={};;;0;{} findings={attention};0;;0;",
        there(answers),
        all / 2 + 1,
        held.len(),
        names.len()
    );
    for name in names {
        let lease = best(config, answers, name).and_then(|(_, ticket)| ticket.lease.as_ref());
        if let Some(lease) = lease {
            let (left, length) = (lease.until.seconds_left, lease.length_seconds);
            let _ = write!(text, " '{}_lease'={left:.1}s;;;0;{length:.1}", label(name));
        }
    }
    text
}

/// A label in quotes has neither of these.
fn label(name: &str) -> String {
    name.replace(['\'', '='], "_")
}

/// Prints the line. A `|` would end its words, and a new line the line.
fn say(health: Health, text: &str, figures: &str, output: &Output) -> Exit {
    let text = text.replace('|', "/").replace('\n', " ");
    let bar = if figures.is_empty() { "" } else { " | " };
    let printed = output.data(&format!("BOOTH {} - {text}{bar}{figures}\n", health.word()));
    if printed == Exit::Success {
        health.exit()
    } else {
        Exit::Unchecked
    }
}
