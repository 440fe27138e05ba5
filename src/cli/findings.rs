// SPDX-License-Identifier: GPL-2.0-or-later
//! What needs attention in the answers of all members: who is silent, what disagrees, what fails.

use super::reports::{Answer, Said, Told};
use crate::config::Config;
use crate::report::{HolderState, Mode, PeerState, Report, StoreSays, Ticket};
use serde::Serialize;
use std::collections::BTreeMap;

/// A clock that is off by more seconds than this is told.
pub(super) const CLOCK_OFF: f64 = 2.0;
/// So many names of what differs are told.
const KEYS_TOLD: usize = 3;

/// Something to know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Finding {
    /// Whether somebody has to do something about it.
    pub attention: bool,
    /// Which ticket it is about, if it is about one.
    pub ticket: Option<String>,
    /// What there is to say, and what to do.
    pub text: String,
}

impl Finding {
    fn attention(text: String) -> Finding {
        Finding { attention: true, ticket: None, text }
    }

    fn remark(text: String) -> Finding {
        Finding { attention: false, ticket: None, text }
    }

    fn of(self, ticket: &str) -> Finding {
        Finding { ticket: Some(ticket.to_owned()), ..self }
    }
}

/// How the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// All is well.
    Well,
    /// Something needs attention.
    Attention,
    /// No member has answered.
    Unknown,
}

/// How the whole is, by what was found.
pub(super) fn verdict(answers: &[Answer], findings: &[Finding]) -> Verdict {
    let told = |answer: &Answer| !matches!(answer.said, Said::Nothing(_));
    if !answers.iter().any(told) {
        Verdict::Unknown
    } else if findings.iter().any(|finding| finding.attention) {
        Verdict::Attention
    } else {
        Verdict::Well
    }
}

/// All that there is to know, members first. `only`: of the tickets, only this one.
pub(super) fn find(config: &Config, answers: &[Answer], only: Option<&str>) -> Vec<Finding> {
    let mut found = Vec::new();
    of_members(config, answers, &mut found);
    of_configurations(config, answers, &mut found);
    for ticket in &config.tickets {
        let name = ticket.spec.name.as_str();
        if only.is_none_or(|only| only == name) {
            of_ticket(config, answers, name, &mut found);
        }
    }
    found
}

/// The address of a member as reports write it.
pub(super) fn address(config: &Config, index: usize) -> String {
    config.members[index].member.address.to_string()
}

/// The members that have a report, with their addresses.
pub(super) fn reports<'a>(
    config: &'a Config,
    answers: &'a [Answer],
) -> impl Iterator<Item = (String, &'a Report)> {
    answers.iter().filter_map(|answer| Some((address(config, answer.index), answer.report()?)))
}

fn of_members(config: &Config, answers: &[Answer], found: &mut Vec<Finding>) {
    let majority = config.members.len() / 2 + 1;
    let mut silent = 0;
    for answer in answers {
        let name = address(config, answer.index);
        match &answer.said {
            Said::Nothing(why) => {
                silent += 1;
                found.push(Finding::attention(format!("{name} does not report: {why}")));
            }
            Said::List(_) => {
                let text = format!("{name} has no reports (the C version): only its list is shown");
                found.push(Finding::remark(text));
            }
            Said::Report(told) => of_report(&name, told, found),
        }
    }
    let there = answers.len() - silent;
    if there < majority && there > 0 {
        found.push(Finding::attention(format!(
            "{there} of {} members answer, {majority} are a majority: as far as the others do not \
             run, nothing is granted or renewed. Start boothd there, or mend the network",
            answers.len()
        )));
    }
}

fn of_report(name: &str, told: &Told, found: &mut Vec<Finding>) {
    if told.clock_offset.abs() > CLOCK_OFF {
        let (size, side) = size_and_side(told.clock_offset);
        found.push(Finding::attention(format!(
            "the clock of {name} is {size:.0} s {side} this host's: check the time service there"
        )));
    }
    let lost = |state: PeerState| state == PeerState::Unreachable;
    for peer in told.report.peers.iter().filter(|peer| lost(peer.state)) {
        found.push(Finding::attention(format!(
            "{name} does not hear {}: check that boothd runs there, and that UDP port {} is open \
             both ways",
            peer.address, told.report.member.port
        )));
    }
}

/// How far a clock is off, and to which side.
pub(super) fn size_and_side(offset: f64) -> (f64, &'static str) {
    (offset.abs(), if offset < 0.0 { "behind" } else { "ahead of" })
}

/// Configurations that are not equal: those of the members, and this host's.
fn of_configurations(config: &Config, answers: &[Answer], found: &mut Vec<Finding>) {
    let own = config.shared();
    for (name, report) in reports(config, answers) {
        let differing = differing(&own, &report.configuration.shared);
        if differing.is_empty() {
            continue;
        }
        let mut told: Vec<String> = differing.iter().take(KEYS_TOLD).cloned().collect();
        if differing.len() > KEYS_TOLD {
            told.push(format!("and {} more", differing.len() - KEYS_TOLD));
        }
        found.push(Finding::attention(format!(
            "the configuration of {name} differs from this host's ({}): {}. Make them equal, and \
             restart boothd where it was changed",
            config.path.display(),
            told.join("; ")
        )));
    }
}

/// What differs, in words: `ticket "A" expire is 60s there, 30s here`.
pub(super) fn differing(
    here: &BTreeMap<String, String>,
    there: &BTreeMap<String, String>,
) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let value = |side: &BTreeMap<String, String>, name: &String| {
        side.get(name).map_or_else(|| "missing".to_owned(), Clone::clone)
    };
    let differs = |name: &&&String| here.get(**name) != there.get(**name);
    let words = |name: &String| {
        format!("{name} is {} there, {} here", value(there, name), value(here, name))
    };
    names.iter().filter(differs).map(|name| words(name)).collect()
}

/// What members say of the holder of a ticket: by address, `None` if they know of nobody.
fn holders(config: &Config, answers: &[Answer], name: &str) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for answer in answers {
        let by = address(config, answer.index);
        let holder = match &answer.said {
            Said::Report(told) => told.report.ticket(name).and_then(|t| t.holder.member.clone()),
            Said::List(list) => listed_holder(list, name),
            Said::Nothing(_) => None,
        };
        if let Some(holder) = holder {
            said.entry(holder).or_default().push(by);
        }
    }
    said
}

/// The holder in a ticket's line of a list; `None` if it names nobody.
pub(super) fn listed_holder(list: &str, ticket: &str) -> Option<String> {
    let start = format!("ticket: {ticket}, leader: ");
    let rest = list.lines().find_map(|line| line.strip_prefix(&start))?;
    let leader = rest.split([',', ' ']).next()?;
    (!leader.eq_ignore_ascii_case("none")).then(|| leader.to_owned())
}

fn of_ticket(config: &Config, answers: &[Answer], name: &str, found: &mut Vec<Finding>) {
    let mut add = |finding: Finding| found.push(finding.of(name));
    let said = holders(config, answers, name);
    if said.len() > 1 {
        let words: Vec<String> =
            said.iter().map(|(holder, by)| format!("{holder} (says {})", by.join(", "))).collect();
        add(Finding::attention(format!(
            "members name different holders of {name}: {}. Wait for one `expire`; if it stays so, \
             compare the configurations and look at `booth history {name}` of each",
            words.join(" and ")
        )));
    }
    let granted: Vec<String> = reports(config, answers)
        .filter(|(_, report)| report.ticket(name).is_some_and(is_granted))
        .map(|(address, _)| address)
        .collect();
    if granted.len() > 1 {
        add(Finding::attention(format!(
            "the stores of {} say that {name} is granted there: revoke it at all but one of them",
            granted.join(" and ")
        )));
    }
    let mut known = 0;
    for (address, report) in reports(config, answers) {
        let Some(ticket) = report.ticket(name) else { continue };
        known += usize::from(ticket.holder.state != HolderState::Unknown);
        of_ticket_at(&address, ticket, &mut add);
    }
    let anybody = answers.iter().any(|answer| !matches!(answer.said, Said::Nothing(_)));
    let somebody = !said.is_empty() || known > 0;
    if anybody && !somebody && is_automatic(config, answers, name) {
        add(Finding::attention(format!(
            "nobody has {name}, and no member knows that it is free: `booth explain {name}` says \
             what it waits for"
        )));
    }
}

fn is_automatic(config: &Config, answers: &[Answer], name: &str) -> bool {
    let mut tickets = reports(config, answers).filter_map(|(_, report)| report.ticket(name));
    tickets.any(|ticket| ticket.mode == Mode::Automatic && ticket.term.is_some())
}

fn is_granted(ticket: &Ticket) -> bool {
    ticket.store.as_ref().is_some_and(|store| store.says == StoreSays::Granted)
}

/// What one member says of its own part in a ticket.
fn of_ticket_at(address: &str, ticket: &Ticket, add: &mut impl FnMut(Finding)) {
    let name = &ticket.name;
    if let Some(lease) = ticket.lease.as_ref().filter(|lease| !lease.majority) {
        add(Finding::attention(format!(
            "{address} holds {name} without a majority: {} not acknowledged by {}, the lease ends \
             in {}",
            if lease.unacknowledged.len() == 1 { "it is" } else { "its renewal is" },
            lease.unacknowledged.join(", "),
            super::words::span(lease.until.seconds_left)
        )));
    }
    if let Some(store) = ticket.store.as_ref() {
        if let Some(since) = &store.failing_since {
            add(Finding::attention(format!(
                "the ticket store of {address} has failed for {} ({} times): see the log of boothd \
                 there, and try `crm_ticket --info`",
                super::words::span(since.seconds_ago),
                store.failures
            )));
        } else if store.writing_since.as_ref().is_some_and(|since| since.seconds_ago > 5.0) {
            add(Finding::attention(format!(
                "a change of the ticket store of {address} has been running for {}: `crm_ticket` \
                 hangs there",
                super::words::span(store.writing_since.as_ref().map_or(0.0, |s| s.seconds_ago))
            )));
        }
    }
    let runs = ticket.handler.as_ref().and_then(|handler| handler.running_since.as_ref());
    if let Some(since) = runs.filter(|since| since.seconds_ago > 5.0) {
        add(Finding::attention(format!(
            "the before-acquire handler of {name} has been running at {address} for {}",
            super::words::span(since.seconds_ago)
        )));
    }
    if !ticket.objectors.is_empty() && ticket.commit.is_none() && !is_granted(ticket) {
        add(Finding::attention(format!(
            "{address} waits with {name}: the store of {} may still say granted",
            ticket.objectors.join(", ")
        )));
    }
    if ticket.also_granted.len() > 1 {
        add(Finding::attention(format!(
            "{name} is granted at {}: revoke it at all but one of them",
            ticket.also_granted.join(" and ")
        )));
    }
}
