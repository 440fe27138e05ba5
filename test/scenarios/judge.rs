// SPDX-License-Identifier: GPL-2.0-or-later
//! What every case is judged by: the CIBs, `list` of every member, and the agents' view.

use crate::play::{Play, SOON};
use crate::reference;
use booth_harness::{enter, finish, value_within, Finished, Held, Kind};
use std::time::Duration;

/// No `status` takes longer.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

impl Play<'_> {
    /// Waits until all that runs agrees that this site holds the ticket, or nobody does.
    #[track_caller]
    pub fn settle(&self, holder: Option<usize>) {
        self.settle_within(holder, SOON);
    }

    /// The same, within `seconds` in fair weather.
    #[track_caller]
    pub fn settle_within(&self, holder: Option<usize>, seconds: u64) {
        let mut why = Vec::new();
        let agreed = value_within(self.setting.limit(seconds), || {
            why = self.complaints(holder);
            if !why.is_empty() {
                booth_harness::pass(Duration::from_millis(150));
            }
            why.is_empty().then_some(())
        });
        let limit = self.setting.limit(seconds);
        assert!(agreed.is_some(), "not agreed on {holder:?} within {limit:?}: {why:#?}");
    }

    /// The verdict at the end of a case: who holds the ticket, and that no two ever did.
    #[track_caller]
    pub fn ends_with(mut self, holder: Option<usize>) {
        self.settle(holder);
        assert!(self.traffic() > 0, "the members never spoke to each other");
        let recorder = self.recorder.take().expect("a case ends once");
        let mut outcome = recorder.finish(&self.cluster);
        let before = outcome.overlaps.len();
        let two = std::mem::take(&mut outcome.overlaps);
        outcome.overlaps =
            two.into_iter().filter(|(old, new)| !self.is_excused(old, new)).collect();
        if outcome.overlaps.len() < before && outcome.overlaps.is_empty() {
            // Those looks saw what has just been excused.
            outcome.looks.both.clear();
        }
        outcome.assert_never_two();
    }

    /// Whose program a member runs.
    pub fn kind(&self, member: usize) -> Kind {
        self.cluster.members[member].kind
    }

    /// Whether the reference is known to keep a ticket too long as the site `old` did, here.
    fn is_excused(&self, old: &Held, new: &Held) -> bool {
        let Some(fault) = reference::keeps_too_long(self.kind(old.site), self.case) else {
            return false;
        };
        let together = old.to.min(new.to) - new.from;
        self.remark(&format!("the reference let two hold it for {together:.2} s: {fault}"));
        true
    }

    /// What is not as it has to be when this site holds the ticket, or nobody does.
    fn complaints(&self, holder: Option<usize>) -> Vec<String> {
        let mut found = Vec::new();
        for site in self.sites() {
            if self.cluster.crm(site).is_granted("t1") != (holder == Some(site)) {
                found.push(format!("the CIB of site {site} says otherwise"));
            }
        }
        // Starting clients costs more.
        if found.is_empty() {
            found.extend(self.members().filter_map(|member| self.complaint(member, holder)));
        }
        found
    }

    /// What a member says that it should not.
    fn complaint(&self, member: usize, holder: Option<usize>) -> Option<String> {
        let status = self.status(member);
        if !self.cluster.members[member].runs() {
            let right = status.code == Some(7);
            return (!right).then(|| format!("{member} does not run, but has {status:?}"));
        }
        if let Some(why) = self.monitor(member, &status) {
            return Some(format!("{member}: {why}: {status:?}"));
        }
        let list = self.cluster.booth(member, &["list"]);
        let line = list.stdout.lines().find_map(|line| line.strip_prefix("ticket: t1, leader: "));
        // Nothing else may stand in the field, which other programs compare.
        let named = line.and_then(|line| line.split(',').next()).unwrap_or_default();
        let named = named.strip_suffix(" [manual mode]").unwrap_or(named);
        let right = match holder {
            Some(site) => named == self.cluster.address(site).to_string(),
            None => named == "none" || reference::lists_as_free(self.kind(member), named),
        };
        if list.code != Some(0) || !right {
            return Some(format!("{member} lists {list:?}"));
        }
        self.owner(member, holder)
    }

    /// `booth status` on a member's machine.
    fn status(&self, member: usize) -> Finished {
        let member = &self.cluster.members[member];
        let mut command = member.kind.command(self.lab, "booth", None);
        command.args(["status", "-c", &member.config, "-l"]).arg(member.lock_file());
        let place = member.place.as_ref().expect("every member has a place");
        finish(&mut enter(&command, place), STATUS_LIMIT)
    }

    /// What an agent's monitor does not like about a member that runs.
    fn monitor(&self, member: usize, status: &Finished) -> Option<&'static str> {
        if status.code != Some(0) {
            return Some("status has another exit code than 0");
        }
        let value = |name: &str| {
            let words = status.stdout.split_whitespace();
            words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')).next()
        };
        let pid = self.cluster.members[member].pid().map(|pid| pid.to_string());
        if value("booth_lockpid") != pid.as_deref() || value("booth_pid") != pid.as_deref() {
            return Some("another process");
        }
        let role = if member < self.cluster.sites() { "site" } else { "arbitrator" };
        (value("booth_state") != Some("started") || value("booth_type") != Some(role))
            .then_some("another state or role")
    }

    /// What is wrong with the owner that a site's CIB names for its agents.
    fn owner(&self, site: usize, holder: Option<usize>) -> Option<String> {
        if !self.sites().contains(&site)
            || reference::leaves_owner_alone(self.kind(site), self.case, holder == Some(site))
        {
            return None;
        }
        let state = self.cluster.crm(site).state("t1");
        let owner = state.as_ref().and_then(|state| state.attributes.get("owner"));
        let right = match (holder, owner.and_then(|text| text.parse::<i64>().ok())) {
            // Some print it with a sign.
            (Some(holder), Some(owner)) => {
                owner.rem_euclid(1 << 32) == i64::from(self.cluster.id(holder))
            }
            (Some(_), None) => false,
            (None, owner) => owner.is_none_or(|owner| owner <= 0),
        };
        (!right).then(|| format!("the CIB of site {site} names as owner {owner:?}"))
    }
}
