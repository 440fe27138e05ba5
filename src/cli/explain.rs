// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth explain`: why a ticket is where it is, what it waits for, who is next, and what to do, in
//! sentences from the answers of all members.

use super::args::ExplainArgs;
use super::client::load;
use super::findings::{self, address, reports, Verdict};
use super::net::Codec;
use super::options::Exit;
use super::output::Output;
use super::overview::best;
use super::reports::{ask_all, Answer, Said};
use super::words::{and, paragraph, span};
use crate::config::Config;
use crate::model::{AttrOp, AttrRule, MemberRole, RuleMode};
use crate::report::{Attribute, HolderState, Lease, Mode, StoreSays, Ticket, TicketState};

/// Asks all members and explains one ticket, or all.
pub(super) fn run(args: &ExplainArgs, output: &Output) -> Result<Exit, Exit> {
    let config = load(&args.target, output).map_err(|_| Exit::CannotTell)?;
    if let Some(name) = args.ticket.as_ref().filter(|name| config.ticket(name).is_none()) {
        output.error(&format!("there is no ticket \"{name}\" in {}", config.path.display()));
        return Err(Exit::CannotTell);
    }
    let answers = ask_all(&config, &Codec::of(&config), false);
    let only = args.ticket.as_ref().map(|name| name.as_str());
    let mut text = String::new();
    for ticket in &config.tickets {
        let name = ticket.spec.name.as_str();
        if only.is_none_or(|only| only == name) {
            let case = Case { config: &config, answers: &answers, name };
            text += &format!("{name}\n");
            for sentence in case.sentences() {
                text += &paragraph("  ", &sentence);
            }
            text.push('\n');
        }
    }
    let found = findings::find(&config, &answers, only);
    let wrong: Vec<_> = found.iter().filter(|found| found.attention && !found.explained).collect();
    if !wrong.is_empty() {
        text += "What is wrong:\n";
    }
    for finding in wrong {
        text += &paragraph("  ", &finding.text);
    }
    match output.data(&text) {
        Exit::Success if findings::verdict(&answers, &found) == Verdict::Unknown => {
            Err(Exit::CannotTell)
        }
        exit => Ok(exit),
    }
}

/// One ticket, and what all members have said.
struct Case<'a> {
    config: &'a Config,
    answers: &'a [Answer],
    name: &'a str,
}

impl Case<'_> {
    /// All that there is to say, in order.
    fn sentences(&self) -> Vec<String> {
        let Some((by, ticket)) = best(self.config, self.answers, self.name) else {
            return vec![self.without_reports()];
        };
        let mut sentences = match ticket.holder.state {
            HolderState::Unknown => {
                vec![self.listed().unwrap_or_else(|| self.nobody_knows(ticket))]
            }
            HolderState::Held | HolderState::Free => vec![self.holder(&by, ticket)],
        };
        self.beginners(&mut sentences);
        for (member, report) in reports(self.config, self.answers) {
            if let Some(ticket) = report.ticket(self.name) {
                self.attributes(&member, ticket, &mut sentences);
                waits(&member, ticket, &mut sentences);
            }
        }
        sentences.extend(self.next(ticket));
        sentences
    }

    /// No report knows this ticket: what a list says.
    fn without_reports(&self) -> String {
        self.listed().unwrap_or_else(|| {
            let listed = |answer: &&Answer| matches!(answer.said, Said::List(_));
            match self.answers.iter().find(listed) {
                Some(answer) => {
                    let by = address(self.config, answer.index);
                    format!("{by}, a member of the C version, knows no holder.")
                }
                None => "No member that answers knows this ticket.".to_owned(),
            }
        })
    }

    /// Who has it, as the list of a member of the C version says.
    fn listed(&self) -> Option<String> {
        let (by, holder) = findings::listed(self.config, self.answers, self.name)?;
        Some(format!("{by}, a member of the C version, says that {holder} has it."))
    }

    /// Who has it, and why we believe so.
    fn holder(&self, by: &str, ticket: &Ticket) -> String {
        let since = span(ticket.holder.since.seconds_ago);
        let manual = ticket.mode == Mode::Manual;
        match (ticket.holder.state, &ticket.holder.member) {
            (HolderState::Held, Some(_)) if ticket.holder.here => {
                let term = ticket.term.filter(|_| !manual);
                let term = term.map_or_else(String::new, |term| format!(" in term {term}"));
                let mut text = format!("{by} has had it for {since}{term}");
                match &ticket.lease {
                    Some(lease) => text += &self.lease(lease),
                    None if manual => text += ": an administrator granted it there",
                    None => {}
                }
                text + "." + &store(ticket)
            }
            (HolderState::Held, Some(holder)) => self.other_holder(by, holder, ticket),
            (HolderState::Free, _) if manual => {
                format!(
                    "Nobody has it. It is a manual ticket, which only an administrator moves: \
                     `booth grant -s SITE {}`.",
                    self.name
                )
            }
            (HolderState::Free, _) => {
                let free = format!(
                    "Nobody has it, and {by} knows that it is free: it was revoked, or never \
                     granted."
                );
                match self.is_asked_for() {
                    true => free,
                    false => format!(
                        "{free} No site takes it by itself until somebody grants it once: \
                         `booth grant -s SITE {}`.",
                        self.name
                    ),
                }
            }
            (HolderState::Held | HolderState::Unknown, _) => self.nobody_knows(ticket),
        }
    }

    /// Whether a grant is under way.
    fn is_asked_for(&self) -> bool {
        let mut tickets =
            reports(self.config, self.answers).filter_map(|(_, report)| report.ticket(self.name));
        tickets.any(|it| it.state == TicketState::Candidate || !it.requests.is_empty())
    }

    /// The attributes that keep a site from taking it.
    fn attributes(&self, member: &str, ticket: &Ticket, sentences: &mut Vec<String>) {
        let name = self.name;
        if !findings::lacks_attributes(ticket) {
            return;
        }
        let mode = match ticket.mode {
            Mode::Automatic => RuleMode::Auto,
            Mode::Manual => RuleMode::Manual,
        };
        let configured = self.config.tickets.iter().find(|it| it.spec.name.as_str() == name);
        let rules = configured.iter().flat_map(|it| &it.spec.rules).filter(|it| it.mode == mode);
        let fails = |rule: &&AttrRule| {
            let is =
                |it: &Attribute| it.name == rule.name.as_str() && it.value == rule.value.as_str();
            ticket.attributes.iter().any(is) != (rule.op == AttrOp::Equal)
        };
        let words = |rule: &AttrRule| {
            let op = if rule.op == AttrOp::Equal { "eq" } else { "ne" };
            format!("{} {op} {}", rule.name.as_str(), rule.value)
        };
        let failing: Vec<String> = rules.filter(fails).map(words).collect();
        sentences.push(format!(
            "{member} does not take it: an attribute prerequisite (attr-prereq) does not hold \
             there{}{}. `geostore list -s {member} -t {name}` shows the attributes.",
            if failing.is_empty() { "" } else { ": " },
            and(&failing)
        ));
    }

    fn lease(&self, lease: &Lease) -> String {
        let (members, silent) = (self.config.members.len(), lease.unacknowledged.len());
        let left = span(lease.until.seconds_left);
        let renewed = lease.renewed.as_ref().map_or(0.0, |past| past.seconds_ago);
        if lease.majority {
            let count = members - silent;
            format!(
                ": {count} of {members} members, itself included, acknowledge it. The lease was \
                 renewed {} ago and lasts another {left}; the next renewal is in {}",
                span(renewed),
                span(lease.next_renewal.seconds_left)
            )
        } else {
            format!(
                ", but it has no majority: {} did not acknowledge the renewal. The last one that a \
                 majority acknowledged began {} ago, and the lease ends in {left}; then the \
                 ticket is given up",
                and(&lease.unacknowledged),
                span(renewed)
            )
        }
    }

    fn other_holder(&self, by: &str, holder: &str, ticket: &Ticket) -> String {
        let says = format!("{by} says that {holder} has it");
        let until = ticket.expires.as_ref().map_or_else(String::new, |expires| {
            format!(
                " Its lease ends in {}, as {by} knows, unless it is renewed.",
                span(expires.seconds_left)
            )
        });
        let answer = self.answers.iter().find(|a| address(self.config, a.index) == holder);
        match answer.map(|answer| &answer.said) {
            Some(Said::List(_)) => format!("{says}; that is a member of the C version.{until}"),
            Some(Said::Nothing(why)) => {
                format!("{says}, but {holder} does not report: {why}.{until}")
            }
            Some(Said::Report(_)) => {
                format!("{says}, but {holder} does not say so itself.{until}")
            }
            None => format!("{says}, which is no member in this host's configuration.{until}"),
        }
    }

    fn nobody_knows(&self, ticket: &Ticket) -> String {
        if ticket.mode == Mode::Manual {
            return format!(
                "No member that answers knows whether anybody has it. It is a manual ticket, which \
                 only an administrator moves: `booth grant -s SITE {}`.",
                self.name
            );
        }
        let since = span(ticket.holder.since.seconds_ago);
        let how = if ticket.term.is_some_and(|term| term > 0) {
            format!("Its last holder was lost {since} ago, or gave it up")
        } else {
            "It was never granted, as far as they know, or its last holder was lost".to_owned()
        };
        format!(
            "No member that answers knows a holder. {how}. If no site takes it within `expire` and \
             `acquire-after`, grant it: `booth grant -s SITE {}`.",
            self.name
        )
    }

    /// The members that have just started.
    fn beginners(&self, sentences: &mut Vec<String>) {
        let (mut starting, mut quiet, mut longest) = (Vec::new(), Vec::new(), 0.0);
        for (member, report) in reports(self.config, self.answers) {
            let Some(ticket) = report.ticket(self.name) else { continue };
            if ticket.state == TicketState::Starting {
                starting.push(member.clone());
            }
            let left = ticket.grace.as_ref().map_or(0.0, |grace| grace.seconds_left);
            if left > 0.0 && ticket.promise.is_none() && !ticket.holder.here {
                quiet.push(member);
                longest = f64::max(longest, left);
            }
        }
        match starting.as_slice() {
            [] => {}
            [one] => sentences.push(format!(
                "{one} is starting: it reads its ticket store, or revokes what it found."
            )),
            all => sentences.push(format!(
                "{} are starting: they read their ticket stores, or revoke what they found.",
                and(all)
            )),
        }
        let left = span(longest);
        match quiet.as_slice() {
            [] => {}
            [one] => sentences.push(format!(
                "{one} has just started and votes for nobody new for another {left}: before that \
                 it may have given a promise that still counts. `booth grant -F` does not wait \
                 for that: use it only if you know that no other site has the ticket."
            )),
            all => sentences.push(format!(
                "{} have just started and vote for nobody new for another {left} at most: before \
                 that they may have given a promise that still counts. `booth grant -F` does not \
                 wait for that: use it only if you know that no other site has the ticket.",
                and(all)
            )),
        }
    }

    /// Who would take over, and when.
    fn next(&self, ticket: &Ticket) -> Option<String> {
        if ticket.mode == Mode::Manual {
            return None;
        }
        if let Some((member, at, reason)) = self.standing() {
            return Some(format!("{member} stands for election in {} ({reason}).", span(at)));
        }
        if ticket.holder.state != HolderState::Held || ticket.state == TicketState::Leaving {
            return None;
        }
        let after = ticket.settings.acquire_after_seconds;
        let wait = match after {
            after if after > 0.0 => format!(" and acquire-after ({}) has passed", span(after)),
            _ => String::new(),
        };
        let order = self.order(ticket);
        let Some(first) = order.first() else {
            return Some(
                "If the holder is lost, no other site that answers can take it over.".into(),
            );
        };
        let others = match &order[1..] {
            [] => String::new(),
            others => format!(", then {}", others.join(", ")),
        };
        Some(format!(
            "If the holder is lost, {first} stands for election when the lease has ended{wait}\
             {others}."
        ))
    }

    /// The site that stands for election next: in how many seconds, and why.
    fn standing(&self) -> Option<(String, f64, String)> {
        let stands = reports(self.config, self.answers).filter_map(|(member, report)| {
            let stand = report.ticket(self.name)?.stands.as_ref()?;
            Some((member, stand.at.seconds_left, stand.reason.clone()))
        });
        stands.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The sites that do not have it, answer, and may take it, in the order in which they stand.
    fn order(&self, ticket: &Ticket) -> Vec<String> {
        let there = |index: usize| {
            let said = self.answers.iter().find(|answer| answer.index == index);
            said.is_some_and(|answer| match &answer.said {
                Said::Report(told) => {
                    told.report.ticket(self.name).is_some_and(|it| !findings::lacks_attributes(it))
                }
                Said::List(_) => true,
                Said::Nothing(_) => false,
            })
        };
        let weight = |address: &String| ticket.settings.weights.get(address).copied().unwrap_or(0);
        let mut sites: Vec<String> = self
            .config
            .members
            .iter()
            .enumerate()
            .filter(|(index, configured)| {
                configured.member.role == MemberRole::Site && there(*index)
            })
            .map(|(index, _)| address(self.config, index))
            .filter(|site| Some(site) != ticket.holder.member.as_ref())
            .collect();
        // Stable: with equal weights, in configuration order.
        sites.sort_by_key(|site| std::cmp::Reverse(weight(site)));
        sites
    }
}

/// What the store of the holder says, if that is not what it should.
fn store(ticket: &Ticket) -> String {
    let says = ticket.store.as_ref().map(|store| store.says);
    match says {
        Some(StoreSays::Granted) => " Its ticket store says granted.".to_owned(),
        Some(StoreSays::PerhapsGranted) => {
            " The grant is being written to its ticket store.".to_owned()
        }
        Some(StoreSays::Revoked | StoreSays::Unread) => {
            " Its ticket store does not say granted yet.".to_owned()
        }
        None => String::new(),
    }
}

/// What this member waits for.
fn waits(member: &str, ticket: &Ticket, sentences: &mut Vec<String>) {
    let name = &ticket.name;
    let mut say = |text: String| sentences.push(text);
    if ticket.state == TicketState::Candidate {
        say(format!("{member} stands for election and waits for votes."));
    }
    if ticket.state == TicketState::Leaving {
        say(format!(
            "{member} gives it up: nobody else can get it before its ticket store says revoked."
        ));
    }
    if let Some(commit) = &ticket.commit {
        let left = span(commit.until.seconds_left);
        say(match commit.missing.as_slice() {
            [] => format!(
                "{member} was elected and grants it in {left}: acquire-after lets the resources of \
                 the lost holder stop first."
            ),
            missing => format!(
                "{member} was elected, but {} did not answer and may still have it: the grant \
                 waits for that site, at most {left} (expire and acquire-after). If you know that \
                 it is down, `booth grant -F -s {member} {name}` grants at once.",
                and(missing)
            ),
        });
    }
    handler(member, ticket, &mut say);
    let mut waits = ticket.requests.iter().map(|request| {
        let words = format!("{} {}", request.command, request.options.join(" "));
        let from = request.from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
        format!("`{}`{from}", words.trim_end())
    });
    if let Some(first) = waits.next() {
        let more = waits.count();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say(format!("{member} was asked for {first}{more}, and the outcome is not known yet."));
    }
    if let Some(cause) = ticket.waits.as_ref().and_then(|waits| cause_words(&waits.cause)) {
        say(format!("The grant at {member} waits: {cause}."));
    }
}

fn handler(member: &str, ticket: &Ticket, say: &mut impl FnMut(String)) {
    let Some(handler) = &ticket.handler else { return };
    if let Some(since) = &handler.running_since {
        say(format!(
            "The before-acquire handler {} has been running at {member} for {}.",
            handler.path,
            span(since.seconds_ago)
        ));
    }
    if let Some(event) = findings::handler_failure(ticket) {
        say(format!(
            "{member} asked the before-acquire handler {} {} ago: {}. As long as it does not \
             agree, {member} neither takes nor keeps the ticket; `crm_mon` and the log of the \
             handler say why.",
            handler.path,
            span(event.time.seconds_ago),
            event.text
        ));
    }
}

/// What a grant waits for, if it was not said already.
fn cause_words(cause: &str) -> Option<&'static str> {
    match cause {
        "loading" => Some("its ticket store cannot be read yet"),
        "election" => Some("the members are voting"),
        "store-write" => Some("the change of its ticket store has not ended"),
        "store-failing" => Some("its ticket store refuses the change, which is tried again"),
        "objection" => Some("another site says that its ticket store may still say granted"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report is an interface: the words that it has for a wait are those that are explained.
    #[test]
    fn every_cause_that_nothing_else_explains_has_words() {
        for cause in ["loading", "election", "store-write", "store-failing", "objection"] {
            assert!(cause_words(cause).is_some(), "{cause}");
        }
        for cause in ["grace", "handler", "commit-delay"] {
            assert_eq!(cause_words(cause), None, "{cause} is explained by the ticket itself");
        }
    }
}
