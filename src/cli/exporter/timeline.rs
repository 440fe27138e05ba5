// SPDX-License-Identifier: GPL-2.0-or-later
//! Who held a ticket when, put together from the histories of all members: each knows what it had
//! itself, and what it heard of the others. Times are counted back from now, so that clocks that
//! differ do no harm.

use crate::cli::findings;
use crate::cli::overview::best;
use crate::cli::reports::Answer;
use crate::config::Config;
use crate::report::{Event, HolderState};

/// A time during which a member held a ticket.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tenure {
    /// The address of the member.
    pub member: String,
    /// How many seconds ago it began.
    pub from: f64,
    /// How many seconds ago it ended; 0: it lasts.
    pub to: f64,
}

/// What an event says of the holder.
struct Change<'a> {
    ago: f64,
    term: Option<u32>,
    /// Who has the ticket, or had it.
    member: &'a str,
    begins: bool,
}

/// The tenures of a ticket, the oldest first.
pub(super) fn tenures(config: &Config, answers: &[Answer], ticket: &str) -> Vec<Tenure> {
    let mut changes: Vec<Change<'_>> = findings::reports(config, answers)
        .flat_map(|(_, report)| {
            let own = report.member.address.as_str();
            let mine = |event: &&Event| event.ticket.as_deref() == Some(ticket);
            report.history.iter().filter(mine).filter_map(|event| change(event, own))
        })
        .collect();
    changes.sort_by(|a, b| b.ago.total_cmp(&a.ago));
    let mut tenures = Tenures::default();
    for change in &changes {
        tenures.apply(change);
    }
    let known = best(config, answers, ticket).map(|(_, ticket)| &ticket.holder);
    if let Some(holder) = known {
        match (holder.state, &holder.member) {
            (HolderState::Held, Some(member)) if tenures.current() != Some(member) => {
                tenures.begin(member, holder.since.seconds_ago);
            }
            (HolderState::Free, _) => tenures.end(holder.since.seconds_ago),
            (HolderState::Held | HolderState::Unknown, _) => {}
        }
    }
    tenures.all
}

/// What an event at the member `own` says of the holder, if it does.
fn change<'a>(event: &'a Event, own: &'a str) -> Option<Change<'a>> {
    let other = event.member.as_deref();
    let (member, begins) = match event.event.as_str() {
        "granted" => (own, true),
        "lost" | "revoked" => (own, false),
        "moved" => (other?, true),
        "freed" => (other?, false),
        _ => return None,
    };
    Some(Change { ago: event.time.seconds_ago, term: event.term, member, begins })
}

/// The tenures so far; the last one lasts if its end is 0.
#[derive(Default)]
struct Tenures {
    all: Vec<Tenure>,
    /// The term of the last change that was heeded.
    term: u32,
}

impl Tenures {
    fn current(&self) -> Option<&String> {
        self.all.last().filter(|last| last.to == 0.0).map(|last| &last.member)
    }

    /// Members learn of changes one after the other: what is of an older term is old news.
    fn apply(&mut self, change: &Change<'_>) {
        if change.term.is_some_and(|term| term < self.term) {
            return;
        }
        self.term = change.term.unwrap_or(self.term);
        let is_current = self.current().is_some_and(|current| current == change.member);
        match (change.begins, is_current) {
            (true, false) => self.begin(change.member, change.ago),
            (false, true) => self.end(change.ago),
            (true, true) | (false, false) => {}
        }
    }

    fn begin(&mut self, member: &str, ago: f64) {
        self.end(ago);
        self.all.push(Tenure { member: member.to_owned(), from: ago, to: 0.0 });
    }

    fn end(&mut self, ago: f64) {
        if let Some(last) = self.all.last_mut().filter(|last| last.to == 0.0) {
            // It lasted a moment at least: an end of 0 means that it lasts.
            last.to = ago.min(last.from).max(f64::MIN_POSITIVE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tenures after these changes: seconds ago, term, member, whether it begins.
    fn after(changes: &[(f64, u32, &str, bool)]) -> Vec<(String, f64, f64)> {
        let mut tenures = Tenures::default();
        for (ago, term, member, begins) in changes {
            let (ago, term, begins) = (*ago, Some(*term), *begins);
            tenures.apply(&Change { ago, term, member, begins });
        }
        tenures.all.into_iter().map(|t| (t.member, t.from, t.to)).collect()
    }

    #[test]
    fn a_failover_is_two_tenures_however_many_tell_of_it() {
        let told = after(&[
            (100.0, 1, "a", true),
            (99.9, 1, "a", true),
            (40.0, 1, "a", false),
            (39.0, 1, "a", false),
            (30.0, 2, "b", true),
            (29.5, 2, "b", true),
            // A member that was cut off learns it late.
            (20.0, 1, "a", true),
            (19.0, 1, "a", false),
        ]);
        assert_eq!(told, [("a".to_owned(), 100.0, 40.0), ("b".to_owned(), 30.0, 0.0)]);
    }

    #[test]
    fn a_holder_that_died_untold_ends_where_the_next_begins() {
        let told = after(&[(100.0, 1, "a", true), (30.0, 2, "b", true), (0.0, 2, "b", false)]);
        assert_eq!(told[0], ("a".to_owned(), 100.0, 30.0));
        assert!(told[1].2 > 0.0 && told[1].2 < 1.0, "{told:?}");
    }
}
