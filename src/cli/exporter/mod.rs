// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth exporter`: what a member knows over HTTP, for Prometheus (`/metrics`), load balancers
//! (`/ticket/NAME`), programs (`/report`) and people (`/`). It is a client like the others: it
//! costs the daemon nothing while nobody asks, and can change nothing.

mod connection;
mod desk;
mod http;
mod page;
mod serve;
mod timeline;

use super::args::ExporterArgs;
use super::client::Session;
use super::options::Exit;
use super::output::Output;
use super::reports::{Answer, Said, Told};
use super::target::Purpose;
use super::{json, metrics};
use crate::config;
use crate::daemon::clients;
use crate::report::Ticket;
use crate::sys::surroundings::WithCredentials;
use desk::Desk;
use http::{Reply, PAGE};
use std::time::Duration;

/// The type of Prometheus's text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until it is ended.
pub(super) fn run(args: &ExporterArgs, output: &Output) -> Result<Exit, Exit> {
    let session = Session::open_in(&args.target, Purpose::Read, &mut WithCredentials, output)?;
    let about = session.target.address.ip();
    let listener = clients::bind(args.listen).map_err(|error| {
        let text = config::system_words(&error);
        output.failure(&format!("cannot listen on {}: {text}", args.listen))
    })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    output.message(&format!("http://{address}/ shows what {about} knows"));
    let desk = Desk::new(session);
    // On loopback nobody needs a name but localhost; elsewhere any may be in use.
    let any_name = !address.ip().to_canonical().is_loopback();
    serve::serve(&listener, any_name, |path| answer(&desk, path)).map_err(|error| {
        output.failure(&format!("cannot serve: {}", config::system_words(&error)))
    })?;
    Ok(Exit::Success)
}

/// The answer to a request for this path.
fn answer(desk: &Desk, path: &str) -> Reply {
    match path {
        PAGE => {
            let body = page::page(&desk.session().config, &desk.all());
            let kind = "text/html; charset=utf-8";
            Reply {
                status: 200,
                kind,
                body,
                headers: vec![("Content-Security-Policy", page::POLICY)],
            }
        }
        "/metrics" => {
            let kept = desk.local();
            let body = match told(&kept.answer) {
                Ok(told) => metrics::text(&told.report, kept.age()),
                Err(_) => metrics::down(),
            };
            Reply { status: 200, kind: METRICS, body, headers: Vec::new() }
        }
        "/report" => {
            let kind = "application/json";
            let (status, body) = match told(&desk.local().answer) {
                Ok(told) => (200, json::text(&told.report)),
                Err(why) => (503, json::text(&serde_json::json!({ "error": why }))),
            };
            Reply { status, kind, body, headers: Vec::new() }
        }
        _ => match path.strip_prefix("/ticket/") {
            Some(name) => ticket(desk, &decoded(name)),
            None => Reply::text(404, "Here are /, /metrics, /report and /ticket/NAME."),
        },
    }
}

/// The report in an answer, or why there is none.
fn told(answer: &Answer) -> Result<&Told, String> {
    match &answer.said {
        Said::Report(told) => Ok(told),
        Said::List(_) => Err("the member is of the C version, which has no reports".to_owned()),
        Said::Nothing(why) => Err(why.to_string()),
    }
}

/// 200 while the member holds the ticket, 503 if it does not or cannot be asked.
fn ticket(desk: &Desk, name: &str) -> Reply {
    let known = desk.session().config.tickets.iter().any(|t| t.spec.name.as_str() == name);
    if !known {
        return Reply::text(404, "There is no such ticket in the configuration.");
    }
    let kept = desk.local();
    match told(&kept.answer) {
        Ok(told) => match told.report.ticket(name) {
            Some(ticket) if is_held(ticket, kept.age()) => Reply::text(200, "held here"),
            Some(ticket) => {
                let holder = ticket.holder.member.as_deref().filter(|_| !ticket.holder.here);
                let holder = holder.map_or_else(String::new, |who| format!("; {who} has it"));
                Reply::text(503, &format!("not held here{holder}"))
            }
            None => Reply::text(503, "the daemon has no such ticket: restart it"),
        },
        Err(why) => Reply::text(503, &why),
    }
}

/// Whether the member still holds the ticket if it said so that long ago.
fn is_held(ticket: &Ticket, age: Duration) -> bool {
    let lasts = |left: f64| left > age.as_secs_f64();
    ticket.held_here() == Some(true)
        && ticket.lease.as_ref().is_none_or(|lease| lasts(lease.until.seconds_left))
}

/// The text without percent signs: `a%20b` is `a b`. What is no text is left as it is; no ticket
/// has such a name.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let is_hex = |hex: &&str| hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        match hex.filter(is_hex).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            Some(_) | None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_may_be_encoded() {
        for (text, name) in [
            ("ticket-A", "ticket-A"),
            ("a%2Fb%20c", "a/b c"),
            ("50%", "50%"),
            ("%zz%+1", "%zz%+1"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(decoded(text), name);
        }
    }
}
