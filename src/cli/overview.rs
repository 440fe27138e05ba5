// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth overview`: the whole cluster in one table, from the answers of all members.

use super::args::{Format, OverviewArgs};
use super::client::load;
use super::findings::{self, Finding, Verdict};
use super::net::Codec;
use super::options::Exit;
use super::output::Output;
use super::reports::{ask_all, Answer, Said};
use super::words::{and, bar, count, is_screen, paragraph, short, span, two_parts, Paint};
use crate::config::Config;
use crate::report::{HolderState, Mode, Peer, Report, StoreSays, Ticket, TicketState};
use crate::sys::clock::{self, LocalTime};
use crate::sys::os;
use serde::Serialize;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// An address that is longer has a line of its own.
const ADDRESS_WIDTH: usize = 15;
/// How wide the bar of a lease is.
const BAR_WIDTH: usize = 20;
/// What clears the rest of a terminal's line, and of its screen.
const CLEAR_LINE: &str = "\x1b[K\n";
const HOME: &str = "\x1b[H";
const CLEAR_BELOW: &str = "\x1b[J";

/// The overview for programs.
#[derive(Serialize)]
struct Overview<'a> {
    overview: u32,
    time: String,
    cluster: &'a str,
    verdict: Verdict,
    findings: &'a [Finding],
    members: Vec<MemberAnswer<'a>>,
}

/// What a member has answered, for programs.
#[derive(Serialize)]
struct MemberAnswer<'a> {
    address: String,
    role: &'static str,
    clock_offset_seconds: Option<f64>,
    answer_seconds: Option<f64>,
    report: Option<&'a Report>,
    list: Option<&'a str>,
    error: Option<String>,
}

/// Asks all members, and prints what they say; again and again if that is wanted.
pub(super) fn run(args: &OverviewArgs, output: &Output) -> Result<Exit, Exit> {
    let config = load(&args.target, output).map_err(|_| Exit::CannotTell)?;
    let only = args.ticket.as_ref().map(|name| name.as_str());
    if let Some(name) = args.ticket.as_ref().filter(|name| config.ticket(name).is_none()) {
        output.error(&format!("there is no ticket \"{name}\" in {}", config.path.display()));
        return Err(Exit::CannotTell);
    }
    let codec = Codec::of(&config);
    loop {
        let begun = Instant::now();
        let answers = ask_all(&config, &codec, false);
        let found = findings::find(&config, &answers, only);
        let verdict = findings::verdict(&answers, &found);
        let text = match args.format {
            Format::Json => json(&config, &answers, &found, verdict),
            Format::Text => text(&config, &answers, &found, only),
        };
        let Some(pause) = args.watch else {
            output.more_data(&text)?;
            return Ok(exit_of(verdict));
        };
        if !output.more_data(&again(&text))? {
            return Ok(exit_of(verdict));
        }
        std::thread::sleep(Duration::from_secs(pause).saturating_sub(begun.elapsed()));
    }
}

const fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Well => Exit::Success,
        Verdict::Attention => Exit::Failure,
        Verdict::Unknown => Exit::CannotTell,
    }
}

/// The text in place of the one before it on a terminal, else behind it.
fn again(text: &str) -> String {
    if is_screen() {
        let text = fitted(text, os::screen_rows(io::stdout().as_fd()));
        format!("{HOME}{}{CLEAR_BELOW}", text.replace('\n', CLEAR_LINE))
    } else {
        format!("{text}\n")
    }
}

/// As many lines as a screen has without the last one, where the cursor is: it must not scroll.
fn fitted(text: &str, rows: Option<usize>) -> String {
    let (lines, rows) = (text.lines().count(), rows.unwrap_or(usize::MAX));
    if lines < rows {
        return text.to_owned();
    }
    let shown = rows.saturating_sub(2);
    let mut cut: String = text.split_inclusive('\n').take(shown).collect();
    cut += &format!("... {} more lines; the screen is too short\n", lines - shown);
    cut
}

fn json(config: &Config, answers: &[Answer], findings: &[Finding], verdict: Verdict) -> String {
    let members = answers.iter().map(|answer| member_answer(config, answer)).collect();
    let time = LocalTime::rfc3339(clock::wall());
    let cluster = config.name.as_str();
    let overview = Overview { overview: 1, time, cluster, verdict, findings, members };
    super::json::text(&overview)
}

fn member_answer<'a>(config: &Config, answer: &'a Answer) -> MemberAnswer<'a> {
    let mut member = MemberAnswer {
        address: findings::address(config, answer.index),
        role: config.members[answer.index].member.role.word(),
        clock_offset_seconds: None,
        answer_seconds: None,
        report: None,
        list: None,
        error: None,
    };
    match &answer.said {
        Said::Report(told) => {
            member.clock_offset_seconds = Some(told.clock_offset);
            member.answer_seconds = Some(told.took.as_secs_f64());
            member.report = Some(&told.report);
        }
        Said::List(list) => member.list = Some(list),
        Said::Nothing(why) => member.error = Some(why.to_string()),
    }
    member
}

fn text(config: &Config, answers: &[Answer], findings: &[Finding], only: Option<&str>) -> String {
    let paint = Paint::of_output();
    let now = LocalTime::of(clock::wall());
    let members = count(config.members.len(), "member");
    let tickets = count(config.tickets.len(), "ticket");
    let mut text =
        paragraph("", &format!("cluster {} at {now}: {members}, {tickets}", config.name)) + "\n";
    text += "MEMBER          ROLE STATE  HEARD   TRIP    CLOCK   VERSION  CONFIG\n";
    for answer in answers {
        text += &member_line(config, answers, answer, &paint);
    }
    for ticket in &config.tickets {
        let name = ticket.spec.name.as_str();
        if only.is_none_or(|only| only == name) {
            text += &ticket_lines(config, answers, name, &paint);
        }
    }
    text.push('\n');
    for finding in findings {
        let lines = paragraph(if finding.attention { "! " } else { "- " }, &finding.text);
        text += &if finding.attention { paint.red(&lines) } else { lines };
    }
    if !findings.iter().any(|finding| finding.attention) {
        text += &format!("{}\n", paint.green("All is well."));
    }
    text
}

fn member_line(config: &Config, answers: &[Answer], answer: &Answer, paint: &Paint) -> String {
    let address = findings::address(config, answer.index);
    let role = match config.members[answer.index].member.role {
        crate::model::MemberRole::Site => "site",
        crate::model::MemberRole::Arbitrator => "arb",
    };
    let seen: Vec<&Peer> = findings::reports(config, answers)
        .filter_map(|(_, report)| report.peer(&address))
        .collect();
    let heard = seen.iter().filter_map(|peer| peer.last_heard.as_ref());
    let heard = heard.map(|past| past.seconds_ago).reduce(f64::min);
    let heard = heard.map_or_else(|| "never".to_owned(), short);
    let trip = seen.iter().filter_map(|peer| peer.round_trip_seconds).reduce(f64::min);
    let trip = trip.map_or_else(|| "-".to_owned(), short);
    let own = format!("{:08x}", config.digest());
    let (state, clock, version, same) = match &answer.said {
        Said::Report(told) => {
            let report = &told.report;
            let same = if report.configuration.digest == own { "same" } else { "DIFFERS" };
            let clock = match told.clock_offset {
                offset if offset.abs() < 0.05 => "right".to_owned(),
                offset => {
                    format!("{}{}", if offset < 0.0 { '-' } else { '+' }, short(offset.abs()))
                }
            };
            ("up", clock, report.member.version.clone(), same)
        }
        Said::List(_) => ("up", "-".to_owned(), "C".to_owned(), "-"),
        Said::Nothing(_) => ("SILENT", "-".to_owned(), "-".to_owned(), "-"),
    };
    let state = format!("{state:<6}");
    let state = if matches!(answer.said, Said::Nothing(_)) { paint.red(&state) } else { state };
    let long = address.len() > ADDRESS_WIDTH;
    let (above, column) =
        if long { (format!("{address}\n"), "") } else { (String::new(), &*address) };
    format!(
        "{above}{column:<15} {role:<4} {state} {heard:<7} {trip:<7} {clock:<7} {version:<8} \
         {same}\n"
    )
}

/// The member whose word of a ticket counts most: the one that holds it, else one that knows the
/// holder, else the first that knows anything.
pub(super) fn best<'a>(
    config: &'a Config,
    answers: &'a [Answer],
    name: &str,
) -> Option<(String, &'a Ticket)> {
    let all = || {
        findings::reports(config, answers)
            .filter_map(|(address, report)| Some((address, report.ticket(name)?)))
    };
    all()
        .find(|(_, ticket)| ticket.holder.here && ticket.holder.state == HolderState::Held)
        .or_else(|| all().find(|(_, ticket)| ticket.holder.state == HolderState::Held))
        .or_else(|| all().find(|(_, ticket)| ticket.holder.state == HolderState::Free))
        .or_else(|| all().next())
}

fn ticket_lines(config: &Config, answers: &[Answer], name: &str, paint: &Paint) -> String {
    let mut title = format!("TICKET {name}");
    let listed = findings::listed(config, answers, name)
        .map(|(by, holder)| format!("held by {holder}, as the list of {by} says"));
    let Some((by, ticket)) = best(config, answers, name) else {
        let known = listed.unwrap_or_else(|| "no member that answers knows it".to_owned());
        return format!("\n{}", two_parts(&title, &known));
    };
    if ticket.mode == Mode::Manual {
        title += "  (manual)";
    }
    let holder = match (ticket.holder.state, &ticket.holder.member) {
        (HolderState::Held, Some(member)) => format!("held by {member}"),
        (HolderState::Free, _) => "free".to_owned(),
        (HolderState::Held | HolderState::Unknown, _) => match listed {
            Some(listed) => return format!("\n{}", two_parts(&title, &listed)),
            None => "no holder is known".to_owned(),
        },
    };
    let since = span(ticket.holder.since.seconds_ago);
    let term = ticket.term.filter(|_| ticket.mode == Mode::Automatic);
    let term = term.map_or_else(String::new, |term| format!(", term {term}"));
    let head = two_parts(&title, &format!("{holder} for {since}{term}"));
    let unknown = ticket.holder.state == HolderState::Unknown;
    let mut text = format!("\n{}", if unknown { paint.red(&head) } else { head });
    if let Some(lease) = &ticket.lease {
        let left = lease.until.seconds_left;
        let bar = bar(left, lease.length_seconds, BAR_WIDTH);
        let renewed = lease.renewed.as_ref().map_or_else(String::new, |renewed| {
            format!("renewed {} ago, ", span(renewed.seconds_ago))
        });
        let majority = match lease.majority {
            true => "majority".to_owned(),
            false => paint.red("NO MAJORITY"),
        };
        text += &format!("  {bar} {renewed}{} left, {majority}\n", span(left));
    } else if let Some(expires) = &ticket.expires {
        let of = ticket.settings.expire_seconds;
        let bar = bar(expires.seconds_left, of, BAR_WIDTH);
        text += &format!("  {bar} {} left, as {by} knows\n", span(expires.seconds_left));
    }
    if let Some(store) = ticket.store.as_ref().filter(|_| ticket.holder.here) {
        let says = match store.says {
            StoreSays::Granted => "granted",
            StoreSays::PerhapsGranted => "perhaps granted",
            StoreSays::Revoked => "not granted yet",
            StoreSays::Unread => "not read yet",
        };
        text += &format!("  the ticket store there says: {says}\n");
    }
    if let Some(commit) = &ticket.commit {
        let left = span(commit.until.seconds_left);
        text += &match commit.missing.as_slice() {
            [] => format!("  the grant waits for acquire-after: another {left}\n"),
            sites => paragraph("  ", &format!("the grant waits {left} at most for {}", and(sites))),
        };
    }
    if ticket.state == TicketState::Leaving {
        text += "  it is given up: waits until the ticket store there says revoked\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_that_is_too_short_does_not_scroll() {
        let text = "1\n2\n3\n4\n";
        for (rows, expected) in [
            (None, text),
            (Some(5), text),
            (Some(4), "1\n2\n... 2 more lines; the screen is too short\n"),
            (Some(1), "... 4 more lines; the screen is too short\n"),
        ] {
            assert_eq!(fitted(text, rows), expected);
        }
    }
}
