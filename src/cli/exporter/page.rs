// SPDX-License-Identifier: GPL-2.0-or-later
//! The page for people: one document without scripts, which its reader loads again by itself. All
//! that comes from elsewhere goes through [`escaped`].

use super::timeline::{tenures, Tenure};
use crate::cli::findings::{self, Finding, Verdict};
use crate::cli::overview::best;
use crate::cli::reports::{Answer, Said};
use crate::cli::words::{short, span};
use crate::config::Config;
use crate::model::MemberRole;
use crate::report::{HolderState, Mode, Report, Ticket};
use crate::sys::clock::{self, LocalTime};
use std::fmt::Write as _;

/// After how many seconds a reader loads the page again.
const REFRESH: u32 = 5;
/// The time line reaches back this far at least and at most, in seconds.
const BACK: (f64, f64) = (600.0, 86_400.0);
/// The width of a bar in its own units.
const WIDTH: f64 = 1000.0;
/// So many of a ticket's last holders are told in words.
const TOLD: usize = 5;
/// So many sites have colours of their own; further ones begin again with the first.
const COLOURS: usize = 8;

const STYLE: &str = include_str!("style.css");
/// What the page may do: nothing but use its own style, which has this digest.
pub(super) const POLICY: &str = "default-src 'none'; style-src \
                                 'sha256-Pv5TEBCFqJuhVGCOtR4tk3q329DVwFnDiQcSCPLK3WQ='; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page for these answers of all members.
pub(super) fn page(config: &Config, answers: &[Answer]) -> String {
    let found = findings::find(config, answers, None);
    let verdict = findings::verdict(answers, &found);
    let name = escaped(&config.name);
    let now = LocalTime::of(clock::wall());
    let attention = found.iter().filter(|finding| finding.attention).count();
    let (class, words) = match verdict {
        Verdict::Well => ("good", "All is well.".to_owned()),
        Verdict::Attention if attention == 1 => ("bad", "1 thing needs attention.".to_owned()),
        Verdict::Attention => ("bad", format!("{attention} things need attention.")),
        Verdict::Unknown => ("bad", "No member answers.".to_owned()),
    };
    let mark = if class == "good" { "" } else { "(!) " };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{REFRESH}\">\n\
         <title>{mark}Booth {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Booth cluster {name}</h1>\n\
         <p class=\"verdict {class}\">{words}</p>\n\
         <p class=\"dim\">as of {now}; loads again every {REFRESH} seconds</p>\n</header>\n"
    );
    page += &findings_part(&found);
    page += "<h2>Tickets</h2>\n<div class=\"cards\">\n";
    for ticket in &config.tickets {
        page += &ticket_card(config, answers, ticket.spec.name.as_str());
    }
    page += "</div>\n<h2>Members</h2>\n<div class=\"cards\">\n";
    for answer in answers {
        page += &member_card(config, answers, answer);
    }
    page += "</div>\n<h2>Who held which ticket</h2>\n";
    page += &times(config, answers);
    page += "<footer class=\"dim\"><a href=\"/metrics\">metrics</a> · \
             <a href=\"/report\">report</a></footer>\n</body>\n</html>\n";
    page
}

fn findings_part(found: &[Finding]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut part = "<h2>To know</h2>\n<ul class=\"findings\">\n".to_owned();
    // What somebody has to do something about comes first.
    for attention in [true, false] {
        for finding in found.iter().filter(|finding| finding.attention == attention) {
            let class = if attention { " class=\"attention\"" } else { "" };
            let _ = writeln!(part, "<li{class}>{}</li>", escaped(&finding.text));
        }
    }
    part + "</ul>\n"
}

fn ticket_card(config: &Config, answers: &[Answer], name: &str) -> String {
    let shown = escaped(name);
    let Some((by, ticket)) = best(config, answers, name) else {
        let line = answers.iter().find_map(|answer| match &answer.said {
            Said::List(list) => list.lines().find(|l| l.starts_with(&format!("ticket: {name},"))),
            Said::Report(_) | Said::Nothing(_) => None,
        });
        let text = escaped(line.unwrap_or("No member that answers knows it."));
        return format!("<section class=\"card\">\n<h3>{shown}</h3>\n<p>{text}</p>\n</section>\n");
    };
    let since = span(ticket.holder.since.seconds_ago);
    let holder = match (ticket.holder.state, &ticket.holder.member) {
        (HolderState::Held, Some(member)) => {
            format!("held by <strong>{}</strong> for {since}", escaped(member))
        }
        (HolderState::Free, _) => format!("free for {since}"),
        (HolderState::Held | HolderState::Unknown, _) => {
            format!("<span class=\"bad\">no holder is known</span> for {since}")
        }
    };
    let manual = if ticket.mode == Mode::Manual { "manual" } else { "automatic" };
    let term = ticket.term.map_or_else(String::new, |term| format!(", term {term}"));
    let trouble = ticket.lease.as_ref().is_some_and(|lease| !lease.majority)
        || ticket.holder.state == HolderState::Unknown;
    let class = if trouble { " trouble" } else { "" };
    format!(
        "<section class=\"card{class}\">\n<h3>{shown}</h3>\n<p>{holder}</p>\n{}\
         <p class=\"dim\">{manual}{term}</p>\n</section>\n",
        lease_part(&by, ticket)
    )
}

/// What is left of the lease, as a bar and in words.
fn lease_part(by: &str, ticket: &Ticket) -> String {
    let (left, of, words, trouble) = match (&ticket.lease, &ticket.expires) {
        (Some(lease), _) => {
            let left = lease.until.seconds_left;
            let renewed = lease.renewed.as_ref().map_or_else(String::new, |renewed| {
                format!("renewed {} ago, ", span(renewed.seconds_ago))
            });
            let majority = match lease.majority {
                true => "majority",
                false => "<strong class=\"bad\">no majority</strong>",
            };
            let words = format!("{renewed}{} left, {majority}", span(left));
            (left, lease.length_seconds, words, !lease.majority)
        }
        (None, Some(expires)) => {
            let left = expires.seconds_left;
            let words = format!("{} left, as {} knows", span(left), escaped(by));
            (left, ticket.settings.expire_seconds, words, false)
        }
        (None, None) => return String::new(),
    };
    let part = if of > 0.0 { (left / of).clamp(0.0, 1.0) } else { 0.0 };
    let class = if trouble { "lease trouble" } else { "lease" };
    let bar = bars(class, &format!("{left:.0} of {of:.0} s left"), &rect(0.0, part * WIDTH, ""));
    format!("{bar}<p class=\"dim\">{words}</p>\n")
}

fn member_card(config: &Config, answers: &[Answer], answer: &Answer) -> String {
    let address = findings::address(config, answer.index);
    let role = match config.members[answer.index].member.role {
        MemberRole::Site => "site",
        MemberRole::Arbitrator => "arbitrator",
    };
    let own = format!("{:08x}", config.digest());
    let (trouble, state, mut rows) = match &answer.said {
        Said::Report(told) => {
            let report: &Report = &told.report;
            let same = match report.configuration.digest == own {
                true => "the same",
                false => "<span class=\"bad\">differs</span>",
            };
            let rows = [
                ("version", escaped(&report.member.version)),
                ("runs for", span(report.member.started.seconds_ago)),
                ("clock", clock_words(told.clock_offset)),
                ("configuration", same.to_owned()),
            ];
            (false, "<span class=\"good\">up</span>".to_owned(), rows.to_vec())
        }
        Said::List(_) => {
            let rows = vec![("version", "the C version".to_owned())];
            (false, "<span class=\"good\">up</span>".to_owned(), rows)
        }
        // What is to be known says why.
        Said::Nothing(_) => (true, "<span class=\"bad\">silent</span>".to_owned(), Vec::new()),
    };
    let seen =
        || findings::reports(config, answers).filter_map(|(_, report)| report.peer(&address));
    let heard = seen().filter_map(|peer| peer.last_heard.as_ref()).map(|past| past.seconds_ago);
    if let Some(ago) = heard.reduce(f64::min) {
        rows.push(("last heard", format!("{} ago", span(ago))));
    }
    if let Some(trip) = seen().filter_map(|peer| peer.round_trip_seconds).reduce(f64::min) {
        rows.push(("round trip", short(trip)));
    }
    let mut list = String::new();
    for (name, value) in rows {
        let _ = writeln!(list, "<dt>{name}</dt><dd>{value}</dd>");
    }
    let class = if trouble { " trouble" } else { "" };
    let address = escaped(&address);
    format!(
        "<section class=\"card{class}\">\n<h3>{address}</h3>\n<p>{role}, {state}</p>\n\
         <dl>\n{list}</dl>\n</section>\n"
    )
}

fn clock_words(offset: f64) -> String {
    match offset.abs() {
        size if size < 0.05 => "right".to_owned(),
        size if size > findings::CLOCK_OFF => {
            let (size, side) = findings::size_and_side(offset);
            format!("<span class=\"bad\">{size:.1} s {side} this host's</span>")
        }
        _ => format!("{offset:+.1} s"),
    }
}

/// The time line: a bar for each ticket, with a colour for each site.
fn times(config: &Config, answers: &[Answer]) -> String {
    let of = |name: &str| tenures(config, answers, name);
    let all: Vec<(&str, Vec<Tenure>)> =
        config.tickets.iter().map(|t| t.spec.name.as_str()).map(|name| (name, of(name))).collect();
    let oldest = all.iter().flat_map(|(_, tenures)| tenures).map(|t| t.from);
    let back = oldest.fold(BACK.0, f64::max).min(BACK.1);
    let sites: Vec<String> = (0..config.members.len())
        .filter(|index| config.members[*index].member.role == MemberRole::Site)
        .map(|index| findings::address(config, index))
        .collect();
    let colour = |member: &str| {
        let at = sites.iter().position(|site| site == member).unwrap_or(sites.len());
        format!("s{}", at % COLOURS)
    };
    let mut part = "<div class=\"times\">\n<ul class=\"legend\">\n".to_owned();
    for site in &sites {
        let square = bars("", site, &rect(0.0, WIDTH, &colour(site)));
        let _ = writeln!(part, "<li>{} {}</li>", square.trim_end(), escaped(site));
    }
    part += "</ul>\n";
    for (name, tenures) in &all {
        let shown = tenures.iter().filter(|tenure| tenure.to < back);
        let x = |ago: f64| (1.0 - ago.min(back) / back) * WIDTH;
        let rects: String =
            shown.clone().map(|t| rect(x(t.from), x(t.to), &colour(&t.member))).collect();
        let words = all_words(&shown.collect::<Vec<_>>());
        let bar = bars("", &words, &rects);
        let words = escaped(&words);
        let _ = write!(
            part,
            "<div><h3>{}</h3>\n{bar}<p class=\"dim\">{words}</p></div>\n",
            escaped(name)
        );
    }
    let _ = write!(
        part,
        "<p class=\"axis dim\"><span>{} ago</span><span>now</span></p>\n</div>\n",
        span(back)
    );
    part
}

/// The last of these tenures in words.
fn all_words(tenures: &[&Tenure]) -> String {
    let earlier = tenures.len().saturating_sub(TOLD);
    let mut words: Vec<String> = tenures[earlier..].iter().map(|t| tenure_words(t)).collect();
    if earlier > 0 {
        words.insert(0, format!("{earlier} earlier"));
    }
    match words.is_empty() {
        true => "nobody, as far as known".to_owned(),
        false => words.join("; "),
    }
}

fn tenure_words(tenure: &Tenure) -> String {
    let Tenure { member, from, to } = tenure;
    let lasted = span(from - to);
    match *to == 0.0 {
        true => format!("{member} for {lasted} until now"),
        false => format!("{member} for {lasted} until {} ago", span(*to)),
    }
}

/// A rectangle in a bar from `x` to `end`.
fn rect(x: f64, end: f64, class: &str) -> String {
    // A moment is seen, too.
    let width = (end - x).max(2.0);
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<rect{class} x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"10\"/>")
}

/// A bar with these rectangles; `label` says in words what it shows.
fn bars(class: &str, label: &str, rects: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let label = escaped(label);
    format!(
        "<svg{class} viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{label}\">{rects}</svg>\n"
    )
}

/// The text in a document, or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::reports::{Silence, Told};
    use crate::sys::surroundings::System;
    use std::path::Path;
    use std::time::Duration;

    const EVIL: &str = "<script>alert('x')</script>\"&";
    const CONFIG: &str = "site = 127.0.0.1\nsite = 127.0.0.2\narbitrator = 127.0.0.3\n\
                          ticket = \"a\"\nticket = \"t\"\n";

    /// A report in which every text is evil.
    fn evil_report() -> Report {
        let past = |ago: f64| serde_json::json!({ "at": EVIL, "seconds_ago": ago });
        let event = |number: u64, ago: f64, word: &str| {
            serde_json::json!({
                "number": number, "time": past(ago), "event": word, "ticket": "t",
                "member": EVIL, "client": EVIL, "term": 1, "text": EVIL
            })
        };
        let ticket = serde_json::json!({
            "name": "t", "mode": "automatic", "state": "follower", "term": 1,
            "holder": { "state": "held", "member": EVIL, "here": false, "since": past(30.0) },
            "expires": { "at": EVIL, "seconds_left": 5.0 },
            "lease": null, "promise": null, "grace": null, "waits": null, "commit": null,
            "requests": [], "handler": null, "store": null, "stands": null, "attributes": [],
            "prerequisites_hold": true, "objectors": [EVIL], "also_granted": [EVIL, EVIL],
            "expire_differs": [], "next": null, "recent": [],
            "settings": {
                "expire_seconds": 10.0, "acquire_after_seconds": 0.0, "timeout_seconds": 1.0,
                "renewal_seconds": 5.0, "retries": 10, "weights": {}
            }
        });
        let report = serde_json::json!({
            "report": 1, "time": EVIL, "unix_time": 0.0,
            "member": {
                "address": EVIL, "port": 1, "role": EVIL, "id": 1, "version": EVIL,
                "started": past(60.0), "pid": 1
            },
            "configuration": {
                "name": EVIL, "path": EVIL, "digest": EVIL, "shared": { EVIL: EVIL },
                "authenticated": true
            },
            "health": {
                "steps": 0, "longest_round_seconds": 0.0, "slow_rounds": 0,
                "longest_pause_seconds": 0.0, "queue_drops": 0, "replays": 0,
                "refused_requests": 0
            },
            "tickets": [ticket], "peers": [],
            "figures": {
                "held": null, "elections": 0, "wins": 0, "losses": 0,
                "renewals": { "buckets": [], "count": 0, "sum_seconds": 0.0 },
                "store_changes": { "buckets": [], "count": 0, "sum_seconds": 0.0 },
                "store_failures": 0, "handler_failures": 0
            },
            "history": [event(1, 40.0, "moved"), event(2, 35.0, "freed"), event(3, 30.0, "moved")],
            "history_forgotten": 0
        });
        serde_json::from_value(report).expect("a report")
    }

    #[test]
    fn nothing_that_members_say_becomes_a_part_of_the_document() {
        let path = Path::new("/etc/booth/x.conf");
        let mut config =
            crate::config::read_text(path, CONFIG.as_bytes(), &mut System).expect("sound");
        config.name = EVIL.to_owned();
        let told = Told { report: evil_report(), clock_offset: 9.0, took: Duration::ZERO };
        let list = format!("ticket: a, leader: {EVIL}\n");
        let answers = [
            Answer { index: 0, said: Said::Report(Box::new(told)) },
            Answer { index: 1, said: Said::List(list) },
            Answer { index: 2, said: Said::Nothing(Silence::Unreadable(EVIL.to_owned())) },
        ];
        let page = page(&config, &answers);
        let safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;";
        assert!(page.matches(safe).count() >= 8, "{page}");
        for part in ["<script", "alert('x')", "'x'"] {
            assert!(!page.contains(part), "{part} in {page}");
        }
        // Without its texts the document has only tags of its own.
        let tags: std::collections::BTreeSet<&str> = page
            .split('<')
            .skip(1)
            .filter_map(|rest| rest.split([' ', '>', '/']).find(|name| !name.is_empty()))
            .collect();
        let own = [
            "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "header", "h1", "h2",
            "h3", "p", "div", "section", "ul", "li", "dl", "dt", "dd", "span", "strong", "svg",
            "rect", "footer", "a",
        ];
        assert!(tags.iter().all(|tag| own.contains(tag)), "{tags:?}");
    }

    #[test]
    fn who_held_a_ticket_is_told_in_words() {
        let tenure = |from, to| Tenure { member: "192.0.2.1".to_owned(), from, to };
        assert_eq!(tenure_words(&tenure(90.0, 0.0)), "192.0.2.1 for 1 min 30 s until now");
        assert_eq!(tenure_words(&tenure(90.0, 60.0)), "192.0.2.1 for 30 s until 1 min ago");
        assert_eq!(all_words(&[]), "nobody, as far as known");
        let many: Vec<Tenure> = (1..=7).rev().map(|ago| tenure(f64::from(ago), 0.5)).collect();
        let words = all_words(&many.iter().collect::<Vec<_>>());
        assert!(words.starts_with("2 earlier; 192.0.2.1 for 4 s until "), "{words}");
        assert_eq!(words.matches("; ").count(), TOLD);
    }
}
