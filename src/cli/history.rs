// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth history`: what has happened lately, as one member remembers it.

use super::args::{Format, HistoryArgs};
use super::client::Session;
use super::options::Exit;
use super::output::Output;
use super::reports::{ask_one, Said};
use super::target::Purpose;
use crate::report::{Event, Report};
use serde::Serialize;

/// The history for programs.
#[derive(Serialize)]
struct History<'a> {
    report: u32,
    time: &'a str,
    member: &'a crate::report::Member,
    history: Vec<&'a Event>,
    history_forgotten: u64,
}

/// Asks one member, and prints what it remembers.
pub(super) fn run(args: &HistoryArgs, output: &Output) -> Result<Exit, Exit> {
    let session = Session::open(&args.target, Purpose::Read, output)?;
    let only = args.ticket.as_ref().map(|name| name.as_str());
    let address = session.target.address.ip();
    let told = match ask_one(&session, true).said {
        Said::Report(told) => told,
        Said::List(_) => {
            let text = format!("{address} keeps no history: it is a member of the C version");
            return Err(output.failure(&text));
        }
        Said::Nothing(why) => {
            return Err(output.failure(&format!("{address} does not report: {why}")));
        }
    };
    let report = &told.report;
    if let Some(name) = only.filter(|name| report.ticket(name).is_none()) {
        return Err(output.failure(&format!("{address} has no ticket \"{name}\"")));
    }
    let wanted = |event: &&Event| only.is_none_or(|only| event.ticket.as_deref() == Some(only));
    let events: Vec<&Event> = report.history.iter().filter(wanted).collect();
    Ok(output.data(&match args.format {
        Format::Json => json(report, events),
        Format::Text => text(report, &events, only),
    }))
}

fn json(report: &Report, history: Vec<&Event>) -> String {
    let history = History {
        report: report.report,
        time: &report.time,
        member: &report.member,
        history,
        history_forgotten: report.history_forgotten,
    };
    super::json::text(&history)
}

/// A line for each event: when, by the member's clock, what, of which ticket, and the words of the
/// log. `only`: they are those of this ticket.
fn text(report: &Report, events: &[&Event], only: Option<&str>) -> String {
    let mut text = String::new();
    if report.history_forgotten > 0 {
        text += &format!("({} earlier events were forgotten)\n", report.history_forgotten);
    }
    for event in events {
        let ticket = event.ticket.as_deref().unwrap_or("-");
        text += &format!("{} {:<14} {ticket:<12} {}\n", event.time.at, event.event, event.text);
    }
    if events.is_empty() {
        let known = if report.history_forgotten > 0 { " that is remembered" } else { "" };
        let whom = only.map_or_else(String::new, |name| format!(" to {name}"));
        text += &format!(
            "nothing{known} has happened{whom} since {} started at {}\n",
            report.member.address, report.member.started.at
        );
    }
    text
}
