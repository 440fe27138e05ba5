// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth metrics`: the report of a member as Prometheus reads it. The names are an interface.
//!
//! Everything is computed when it is asked for: what is left of a lease is right at that moment.

use super::args::MetricsArgs;
use super::client::Session;
use super::options::Exit;
use super::output::Output;
use super::reports::{ask_one, Said};
use super::target::Purpose;
use crate::report::{Figures, HolderState, Peer, PeerState, Report, Ticket};
use std::fmt::Write as _;
use std::time::Duration;

/// Asks a member, and prints its metrics. If it does not report, only `booth_up` is printed, and
/// the command fails.
pub(super) fn run(args: &MetricsArgs, output: &Output) -> Result<Exit, Exit> {
    let session = Session::open(&args.target, Purpose::Read, output)?;
    let address = session.target.address.ip().to_string();
    match ask_one(&session, false).said {
        Said::Report(told) => Ok(output.data(&text(&told.report, Duration::ZERO))),
        Said::List(_) => {
            output.data(&down());
            let why = "is a member of the C version, which has no reports";
            Err(output.failure(&format!("{address} {why}")))
        }
        Said::Nothing(why) => {
            output.data(&down());
            Err(output.failure(&format!("{address} does not report: {why}")))
        }
    }
}

/// The metrics of a member that does not report.
pub(super) fn down() -> String {
    let mut page = Page::default();
    up(&mut page, false);
    page.0
}

fn up(page: &mut Page, up: bool) {
    page.family("booth_up", Kind::Gauge, "Whether the daemon has reported.").add(&[], flag(up));
}

/// The metrics of a report that is so old.
pub(super) fn text(report: &Report, age: Duration) -> String {
    let mut page = Page::default();
    up(&mut page, true);
    page.family("booth_build_info", Kind::Gauge, "The version of the daemon; always 1.")
        .add(&[("version", &report.member.version), ("role", &report.member.role)], 1.0);
    page.family(
        "booth_configuration_info",
        Kind::Gauge,
        "The digest of what must be equal in the configurations of all members; always 1.",
    )
    .add(&[("digest", &report.configuration.digest)], 1.0);
    let started = report.unix_time - report.member.started.seconds_ago;
    page.family("booth_start_time_seconds", Kind::Gauge, "When the daemon has started.")
        .add(&[], started);
    tickets(&mut page, &report.tickets, age.as_secs_f64());
    peers(&mut page, report);
    figures(&mut page, &report.figures);
    let health = &report.health;
    for (name, help, value) in [
        ("booth_queue_drops_total", "Datagrams lost in a full queue.", health.queue_drops),
        ("booth_replays_total", "Datagrams refused because they had come before.", health.replays),
        (
            "booth_refused_requests_total",
            "Requests of clients that were refused.",
            health.refused_requests,
        ),
        ("booth_engine_steps_total", "Steps of the engine.", health.steps),
        (
            "booth_engine_slow_rounds_total",
            "Rounds of the engine's loop of more than 50 ms.",
            health.slow_rounds,
        ),
    ] {
        page.family(name, Kind::Counter, help).add(&[], number(value));
    }
    page.family(
        "booth_engine_longest_round_seconds",
        Kind::Gauge,
        "The longest round of the engine's loop since the start.",
    )
    .add(&[], health.longest_round_seconds);
    page.family(
        "booth_engine_longest_pause_seconds",
        Kind::Gauge,
        "The longest time for which the process stood still since the start.",
    )
    .add(&[], health.longest_pause_seconds);
    page.0
}

fn tickets(page: &mut Page, tickets: &[Ticket], age: f64) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&Ticket) -> Option<f64>| {
        let mut family = page.family(name, Kind::Gauge, help);
        for ticket in tickets {
            if let Some(value) = value(ticket) {
                family.add(&[("ticket", &ticket.name)], value);
            }
        }
    };
    each("booth_ticket_held", "Whether this site holds the ticket.", &|ticket| {
        Some(flag(ticket.held_here()?))
    });
    each("booth_ticket_free", "Whether this member knows that nobody has the ticket.", &|ticket| {
        Some(flag(ticket.holder.state == HolderState::Free))
    });
    each("booth_ticket_holder_known", "Whether this member knows who has the ticket.", &|ticket| {
        Some(flag(ticket.holder.state == HolderState::Held))
    });
    each("booth_ticket_lease_left_seconds", "What is left of this site's lease.", &|ticket| {
        Some((ticket.lease.as_ref()?.until.seconds_left - age).max(0.0))
    });
    each(
        "booth_ticket_majority",
        "Whether a majority acknowledges this site's lease.",
        &|ticket| Some(flag(ticket.lease.as_ref()?.majority)),
    );
    each("booth_ticket_term", "The term of this member.", &|ticket| ticket.term.map(f64::from));
    each("booth_ticket_store_failing", "Whether changes of the ticket store fail.", &|ticket| {
        Some(flag(ticket.store.as_ref()?.failing_since.is_some()))
    });
    each("booth_ticket_prerequisites", "Whether the attribute prerequisites hold.", &|ticket| {
        Some(flag(ticket.prerequisites_hold))
    });
}

fn peers(page: &mut Page, report: &Report) {
    let mut each = |name: &str, kind: Kind, help: &str, value: &dyn Fn(&Peer) -> Option<f64>| {
        let mut family = page.family(name, kind, help);
        for peer in &report.peers {
            if let Some(value) = value(peer) {
                family.add(&[("peer", &peer.address)], value);
            }
        }
    };
    let gauge = Kind::Gauge;
    each("booth_peer_reachable", gauge, "Whether the member answers.", &|peer| match peer.state {
        PeerState::Reachable => Some(1.0),
        PeerState::Unreachable => Some(0.0),
        PeerState::Unheard => None,
    });
    let heard = "When something was last heard from the member.";
    each("booth_peer_last_heard_timestamp_seconds", gauge, heard, &|peer| {
        Some(report.unix_time - peer.last_heard.as_ref()?.seconds_ago)
    });
    let trip = "The last round trip that was measured.";
    each("booth_peer_round_trip_seconds", gauge, trip, &|peer| peer.round_trip_seconds);
    let offset = "How far the clock of the member is ahead, the way of its packet included.";
    each("booth_peer_clock_offset_seconds", gauge, offset, &|peer| peer.clock_offset_seconds);
    let differs = "Whether the member has another configuration where it must not.";
    each("booth_peer_configuration_differs", gauge, differs, &|peer| {
        peer.configuration_differs.map(flag)
    });
    let counter = Kind::Counter;
    each("booth_peer_sent_total", counter, "Datagrams sent.", &|peer| {
        Some(number(peer.counters.sent))
    });
    each("booth_peer_send_errors_total", counter, "Datagrams that could not be sent.", &|peer| {
        Some(number(peer.counters.send_errors))
    });
    let resends = "Datagrams that repeated an unanswered one.";
    each("booth_peer_resends_total", counter, resends, &|peer| Some(number(peer.counters.resends)));
    each("booth_peer_received_total", counter, "Datagrams received.", &|peer| {
        Some(number(peer.counters.received))
    });
    let malformed = "Datagrams received in error.";
    each("booth_peer_receive_errors_total", counter, malformed, &|peer| {
        Some(number(peer.counters.receive_errors))
    });
    let refused = "Datagrams refused by authentication.";
    each("booth_peer_authentication_failures_total", counter, refused, &|peer| {
        Some(number(peer.counters.authentication_failures))
    });
    each("booth_peer_invalid_total", counter, "Datagrams that made no sense.", &|peer| {
        Some(number(peer.counters.invalid))
    });
}

fn figures(page: &mut Page, figures: &Figures) {
    for (name, help, value) in [
        ("booth_elections_total", "Attempts of this site to be elected.", figures.elections),
        ("booth_elections_won_total", "Elections that this site has won.", figures.wins),
        ("booth_tickets_lost_total", "Tickets that this site has lost.", figures.losses),
        (
            "booth_handler_failures_total",
            "Runs of handlers that have failed.",
            figures.handler_failures,
        ),
    ] {
        page.family(name, Kind::Counter, help).add(&[], number(value));
    }
    let mut family =
        page.family("booth_store_changes_total", Kind::Counter, "Changes of the ticket store.");
    family.add(&[("result", "done")], number(figures.store_changes.count));
    family.add(&[("result", "failed")], number(figures.store_failures));
    for (name, help, times) in [
        (
            "booth_store_change_seconds",
            "How long changes of the ticket store took until it had them.",
            &figures.store_changes,
        ),
        (
            "booth_renewal_seconds",
            "How long renewals took until a majority had acknowledged them.",
            &figures.renewals,
        ),
    ] {
        let mut family = page.family(name, Kind::Histogram, help);
        for bucket in &times.buckets {
            let bound = bucket.seconds.to_string();
            family.add_as("_bucket", &[("le", &bound)], number(bucket.count));
        }
        family.add_as("_bucket", &[("le", "+Inf")], number(times.count));
        family.add_as("_sum", &[], times.sum_seconds);
        family.add_as("_count", &[], number(times.count));
    }
}

const fn flag(flag: bool) -> f64 {
    if flag {
        1.0
    } else {
        0.0
    }
}

/// A count; Prometheus has no other numbers than these.
fn number(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// What is printed.
#[derive(Default)]
struct Page(String);

/// The type of a metric.
#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// A metric, to which its samples are added. Without one it is not printed.
struct Family<'a> {
    page: &'a mut Page,
    name: String,
    head: Option<String>,
}

impl Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { page: self, name: name.to_owned(), head: Some(head) }
    }
}

impl Family<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.add_as("", labels, value);
    }

    fn add_as(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let text = &mut self.page.0;
        if let Some(head) = self.head.take() {
            text.push_str(&head);
        }
        let _ = write!(text, "{}{suffix}", self.name);
        for (number, (label, value)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(text, "{before}{label}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{end} {value}");
    }
}

/// The value of a label: a report is written by another member.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_leave_their_quotes_and_nothing_is_said_without_samples() {
        let mut page = Page::default();
        page.family("booth_empty", Kind::Gauge, "Nothing.");
        page.family("booth_a", Kind::Gauge, "Something.")
            .add(&[("x", "a\"} 1\nb\\"), ("y", "")], 0.25);
        let expected = "# HELP booth_a Something.\n# TYPE booth_a gauge\n\
                        booth_a{x=\"a\\\"} 1\\nb\\\\\",y=\"\"} 0.25\n";
        assert_eq!(page.0, expected);
    }

    #[test]
    fn counts_are_exact_as_far_as_a_double_is() {
        for count in [0, 1, 4_294_967_295, 4_294_967_296, (1 << 53) - 1] {
            assert_eq!(number(count).to_string(), count.to_string());
        }
    }
}
