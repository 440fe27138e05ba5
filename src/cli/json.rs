// SPDX-License-Identifier: GPL-2.0-or-later
//! What `list`, `peers`, `status` and `geostore list` print with `-o json`; `booth-report(5)` has
//! the fields.

use super::args::ListArgs;
use super::client::Session;
use super::options::Exit;
use super::output::Output;
use super::reports::{ask_one, Said};
use super::target::Purpose;
use crate::model::TicketName;
use crate::report::{Attribute, Member, Peer, Report, Ticket};
use serde::Serialize;
use std::collections::BTreeMap;

/// What `list` prints. Of a member of the C version only `text` is there.
#[derive(Default, Serialize)]
struct List<'a> {
    report: Option<u32>,
    time: Option<&'a str>,
    member: Option<&'a Member>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tickets: Option<&'a [Ticket]>,
    text: Option<&'a str>,
}

/// What `peers` prints.
#[derive(Serialize)]
struct Peers<'a> {
    report: u32,
    time: &'a str,
    member: &'a Member,
    peers: &'a [Peer],
}

/// What `geostore list` prints.
#[derive(Serialize)]
struct Attributes<'a> {
    report: u32,
    time: &'a str,
    member: &'a Member,
    ticket: &'a str,
    attributes: &'a [Attribute],
}

/// What `status` prints.
#[derive(Serialize)]
struct Status<'a> {
    running: bool,
    lockfile: &'a str,
    #[serde(flatten)]
    values: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// The value in JSON. There is nothing in ours that JSON lacks.
pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("there is nothing that JSON lacks") + "\n"
}

/// `list` or, if these are `peers`, `peers`.
pub(super) fn show(args: &ListArgs, peers: bool, output: &Output) -> Result<Exit, Exit> {
    let session = Session::open(&args.target, Purpose::Read, output)?;
    let address = session.target.address.ip();
    match ask_one(&session, false).said {
        Said::Report(told) => {
            let Report { report, time, member, tickets, peers: others, .. } = &told.report;
            Ok(output.data(&match peers {
                true => text(&Peers { report: *report, time, member, peers: others }),
                false => text(&List {
                    report: Some(*report),
                    time: Some(time),
                    member: Some(member),
                    tickets: Some(tickets),
                    text: None,
                }),
            }))
        }
        Said::List(list) if !peers => {
            Ok(output.data(&text(&List { text: Some(&list), ..List::default() })))
        }
        Said::List(_) => {
            let why = "is a member of the C version, which has no reports: leave out -o json";
            Err(output.failure(&format!("{address} {why}")))
        }
        Said::Nothing(why) => Err(output.failure(&format!("{address} does not report: {why}"))),
    }
}

/// `geostore list`: the attributes of a ticket.
pub(super) fn attributes(
    session: &Session,
    ticket: &TicketName,
    output: &Output,
) -> Result<Exit, Exit> {
    let address = session.target.address.ip();
    let told = match ask_one(session, false).said {
        Said::Report(told) => told,
        Said::List(_) => {
            let why = "is a member of the C version, which has no reports: leave out -o json";
            return Err(output.failure(&format!("{address} {why}")));
        }
        Said::Nothing(why) => {
            return Err(output.failure(&format!("{address} does not report: {why}")));
        }
    };
    let report: &Report = &told.report;
    let Some(found) = report.ticket(ticket.as_str()) else {
        return Err(output.failure(&format!("{address} has no ticket \"{ticket}\"")));
    };
    Ok(output.data(&text(&Attributes {
        report: report.report,
        time: &report.time,
        member: &report.member,
        ticket: &found.name,
        attributes: &found.attributes,
    })))
}

/// `status` of a daemon that runs: `line` is what it says of itself, `booth_NAME=VALUE` words whose
/// values may be quoted.
pub(super) fn running(lockfile: &str, line: &str) -> String {
    let mut values = BTreeMap::new();
    let mut rest = line.trim();
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        let name = name.trim_start_matches("booth_");
        if name != "lockfile" {
            values.insert(name, value);
        }
        rest = after.trim_start();
    }
    text(&Status { running: true, lockfile, values, why: None })
}

/// `status` if no daemon runs, or that cannot be found out.
pub(super) fn not_running(lockfile: &str, why: &str) -> String {
    text(&Status { running: false, lockfile, values: BTreeMap::new(), why: Some(why) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_daemon_becomes_an_object() {
        let line = "booth_pid=12 booth_state=started booth_cfg_name='my conf' booth_port=9929";
        let value: serde_json::Value =
            serde_json::from_str(&running("/run/x.pid", line)).expect("JSON");
        let expected = serde_json::json!({
            "running": true, "lockfile": "/run/x.pid", "pid": "12", "state": "started",
            "cfg_name": "my conf", "port": "9929"
        });
        assert_eq!(value, expected);
        let value: serde_json::Value =
            serde_json::from_str(&not_running("/run/x.pid", "no")).expect("JSON");
        let expected = serde_json::json!({
            "running": false, "lockfile": "/run/x.pid", "why": "no"
        });
        assert_eq!(value, expected);
    }
}
