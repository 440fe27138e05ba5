// SPDX-License-Identifier: GPL-2.0-or-later
//! What needs attention in the answers of all members: who is silent, what disagrees, what fails.

use super::reports::{Answer, Said, Told};
use super::words::{and, count, span};
use crate::config::{Config, TicketStore};
use crate::report::{
    Event, HolderState, Mode, Past, PeerState, Report, StoreSays, Ticket, TicketState,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A clock that is off by more seconds than this is told; the daemon has the same limit.
pub(super) const CLOCK_OFF: f64 = 3.0;
/// A handler that failed longer ago, in seconds, is no reason any more.
const RECENT_FAILURE: f64 = 600.0;
/// What runs for longer, in seconds, is told.
const LONG: f64 = 5.0;
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
    /// `booth explain` says the same, and more, in its sentences.
    #[serde(skip)]
    pub explained: bool,
}

impl Finding {
    fn attention(text: String) -> Finding {
        Finding { attention: true, ticket: None, text, explained: false }
    }

    fn remark(text: String) -> Finding {
        Finding { attention: false, ticket: None, text, explained: false }
    }

    /// With what `booth explain` is there for.
    fn explained(mut self, ticket: &str) -> Finding {
        self.text += &format!(": `booth explain {ticket}` says more");
        Finding { explained: true, ..self }
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
            Said::Report(told) => of_clock(&name, told, found),
        }
        of_links(config, answers, answer, found);
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

fn of_clock(name: &str, told: &Told, found: &mut Vec<Finding>) {
    if told.clock_offset.abs() > CLOCK_OFF {
        let (size, side) = size_and_side(told.clock_offset);
        let size = span(size);
        found.push(Finding::attention(format!(
            "the clock of {name} is {size} {side} this host's: check the time service there"
        )));
    }
}

/// How far a clock is off, and to which side.
pub(super) fn size_and_side(offset: f64) -> (f64, &'static str) {
    (offset.abs(), if offset < 0.0 { "behind" } else { "ahead of" })
}

/// Which members do not hear one, or refuse what it sends.
fn of_links(config: &Config, answers: &[Answer], answer: &Answer, found: &mut Vec<Finding>) {
    let name = address(config, answer.index);
    let (mut deaf, mut refusing) = (Vec::new(), Vec::new());
    for (by, report) in reports(config, answers) {
        let Some(peer) = report.peer(&name) else { continue };
        let refused = peer.counters.authentication_failures > 0;
        match peer.state {
            PeerState::Unreachable | PeerState::Unheard if refused => refusing.push(by),
            PeerState::Unreachable => deaf.push(by),
            PeerState::Reachable | PeerState::Unheard => {}
        }
    }
    if !deaf.is_empty() {
        let runs = match answer.said {
            Said::Nothing(_) => "boothd runs there, and that ",
            Said::Report(_) | Said::List(_) => "",
        };
        found.push(Finding::attention(format!(
            "{} {} not hear {name}: check that {runs}UDP port {} is open both ways",
            and(&deaf),
            if deaf.len() == 1 { "does" } else { "do" },
            config.members[answer.index].port
        )));
    }
    if !refusing.is_empty() {
        found.push(Finding::attention(format!(
            "{} {} packets of {name}: compare the keys (authfile) and the clocks",
            and(&refusing),
            if refusing.len() == 1 { "refuses" } else { "refuse" }
        )));
    }
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
        // Two sites could have the ticket (booth.conf(5), `expire`).
        let lowered = match differing.iter().any(|key| key.contains(" expire is ")) {
            true => "; where expire is lowered, boothd has to stay down for the old expire first",
            false => "",
        };
        found.push(Finding::attention(format!(
            "the configuration of {name} differs from this host's ({}): {}. Make them equal, and \
             restart boothd where it was changed{lowered}",
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
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
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

/// A member of the C version whose list names the holder of a ticket, and the holder.
pub(super) fn listed(config: &Config, answers: &[Answer], name: &str) -> Option<(String, String)> {
    answers.iter().find_map(|answer| match &answer.said {
        Said::List(list) => Some((address(config, answer.index), listed_holder(list, name)?)),
        Said::Report(_) | Said::Nothing(_) => None,
    })
}

/// The last failure of a ticket's handler, unless it is long ago or the ticket was granted since.
pub(super) fn handler_failure(ticket: &Ticket) -> Option<&Event> {
    let words = ["handler-failed", "granted"];
    let mut events = ticket.recent.iter().rev();
    let last = events.find(|event| words.contains(&event.event.as_str()))?;
    let recent = last.time.seconds_ago < RECENT_FAILURE;
    (last.event == "handler-failed" && recent).then_some(last)
}

fn of_ticket(config: &Config, answers: &[Answer], name: &str, found: &mut Vec<Finding>) {
    let mut add = |finding: Finding| found.push(finding.of(name));
    let said = holders(config, answers, name);
    let granted = granted(config, answers, name);
    if granted.len() > 1 {
        add(Finding::attention(format!(
            "{name} is granted at {}: revoke it at all but one of them",
            and(&granted)
        )));
    } else if said.len() > 1 {
        let words: Vec<String> =
            said.iter().map(|(holder, by)| format!("{holder} (says {})", and(by))).collect();
        add(Finding::attention(format!(
            "members name different holders of {name}: {}. Wait for one `expire`; if it stays so, \
             compare the configurations and look at `booth history {name}` of each",
            and(&words)
        )));
    }
    let (mut known, mut lacking) = (0, Vec::new());
    for (address, report) in reports(config, answers) {
        let Some(ticket) = report.ticket(name) else { continue };
        known += usize::from(ticket.holder.state != HolderState::Unknown);
        of_ticket_at(config, &address, ticket, &mut add);
        if lacks_attributes(ticket) {
            lacking.push(address);
        }
    }
    if !lacking.is_empty() {
        let text =
            format!("an attribute prerequisite of {name} does not hold at {}", and(&lacking));
        add(Finding::remark(text).explained(name));
    }
    if said.is_empty() && known == 0 {
        add_unknown(config, answers, name, &mut add);
    }
}

/// No holder is known, nor is it known that there is none.
fn add_unknown(config: &Config, answers: &[Answer], name: &str, add: &mut impl FnMut(Finding)) {
    let tickets = || {
        reports(config, answers)
            .filter_map(|(address, report)| Some((address, report.ticket(name)?)))
    };
    let begins = |ticket: &Ticket| {
        let grace = ticket.grace.as_ref().is_some_and(|grace| grace.seconds_left > 0.0);
        grace || ticket.state == TicketState::Starting
    };
    let beginners: Vec<String> =
        tickets().filter(|(_, ticket)| begins(ticket)).map(|(address, _)| address).collect();
    if !beginners.is_empty() {
        let have = if beginners.len() == 1 { "has" } else { "have" };
        let text =
            format!("no holder of {name} is known yet: {} {have} just started", and(&beginners));
        add(Finding { explained: true, ..Finding::remark(text) });
    } else if tickets().any(|(_, ticket)| ticket.mode == Mode::Automatic) {
        let text = format!("nobody has {name}, and no member knows that it is free");
        add(Finding::attention(text).explained(name));
    }
}

/// The sites at which a ticket is granted, as their stores say or, if it is manual, other members.
pub(super) fn granted(config: &Config, answers: &[Answer], name: &str) -> Vec<String> {
    let mut sites = BTreeSet::new();
    for (address, report) in reports(config, answers) {
        let Some(ticket) = report.ticket(name) else { continue };
        sites.extend(ticket.also_granted.iter().cloned());
        if is_granted(ticket) {
            sites.insert(address);
        }
    }
    sites.into_iter().collect()
}

/// Whether a site that has not got the ticket may not take it because of an attribute. An
/// arbitrator has no attributes.
pub(super) fn lacks_attributes(ticket: &Ticket) -> bool {
    !ticket.prerequisites_hold && ticket.store.is_some() && !ticket.holder.here
}

fn is_granted(ticket: &Ticket) -> bool {
    ticket.store.as_ref().is_some_and(|store| store.says == StoreSays::Granted)
}

/// Why the store has begun to fail, if that is remembered.
fn store_failure(ticket: &Ticket) -> Option<&str> {
    let event = ticket.recent.iter().rev().find(|event| event.event == "store-failing")?;
    event.text.split("; next attempt").next()
}

/// What one member says of its own part in a ticket.
fn of_ticket_at(config: &Config, address: &str, ticket: &Ticket, add: &mut impl FnMut(Finding)) {
    let pacemaker = config.store == TicketStore::Pacemaker;
    let name = &ticket.name;
    if let Some(lease) = ticket.lease.as_ref().filter(|lease| !lease.majority) {
        add(Finding::attention(format!(
            "{address} holds {name} without a majority: the renewal is not acknowledged by {}, and \
             the lease ends in {}",
            and(&lease.unacknowledged),
            span(lease.until.seconds_left)
        )));
    }
    let long = |since: &&Past| since.seconds_ago > LONG;
    if let Some(store) = ticket.store.as_ref() {
        if let Some(since) = &store.failing_since {
            add(Finding::attention(format!(
                "the ticket store of {address} has failed with {name} for {} ({}){}. See the log \
                 of boothd there{}",
                span(since.seconds_ago),
                count(usize::try_from(store.failures).unwrap_or(usize::MAX), "time"),
                store_failure(ticket).map_or_else(String::new, |why| format!(": {why}")),
                if pacemaker { ", and try `crm_ticket --info`" } else { "" }
            )));
        } else if let Some(since) = store.writing_since.as_ref().filter(long) {
            add(Finding::attention(format!(
                "a change of {name} in the ticket store of {address} has been running for {}: {} \
                 hangs there",
                span(since.seconds_ago),
                if pacemaker { "`crm_ticket`" } else { "the file system" }
            )));
        }
    }
    let runs = ticket.handler.as_ref().and_then(|handler| handler.running_since.as_ref());
    if let Some(since) = runs.filter(long) {
        add(Finding::attention(format!(
            "the before-acquire handler of {name} has been running at {address} for {}",
            span(since.seconds_ago)
        )));
    }
    if let Some(event) = handler_failure(ticket) {
        let ago = span(event.time.seconds_ago);
        let text = format!("the before-acquire handler of {name} failed at {address} {ago} ago");
        add(Finding::attention(text).explained(name));
    }
    if !ticket.objectors.is_empty() && ticket.commit.is_none() && !is_granted(ticket) {
        add(Finding::attention(format!(
            "{address} waits with {name}: the store of {} may still say granted",
            and(&ticket.objectors)
        )));
    }
}
