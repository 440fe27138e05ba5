// SPDX-License-Identifier: GPL-2.0-or-later
//! What a person reads: a failure with its plan, its last happenings and the command that shows
//! it again; the totals of many runs.

use super::choice::Kind;
use super::coverage::Coverage;
use super::excuses::Excuses;
use super::plan::{Disturbance, Plan};
use super::reference::Mode;
use super::runner::{run_seed, Outcome, Settings};
use super::shrink::{shrink, Shrunk};
use booth_core::model::MemberRole;
use std::time::Duration;

/// Sums over many runs.
#[derive(Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Steps of engines.
    pub steps: u64,
    /// Simulated ticket-hours.
    pub ticket_hours: f64,
    /// Grants in any store.
    pub grants: u64,
    /// What was excused how often.
    pub excuses: Excuses,
    /// Overlaps in mixed clusters without an override: runs, how often, with ours, how long.
    pub mixed: (u64, u64, u64, u64),
    /// Runs with a reference site in which the healed members did not do what ours do.
    pub unlive: u64,
    /// Time held, and time there was.
    pub held: (u64, u64),
    /// Lost tickets that recovered by themselves, and all lost ones.
    pub recovered: (u64, u64),
    /// What happened how often.
    pub coverage: Coverage,
    /// A digest over all runs.
    pub digest: u64,
    /// Violations.
    pub violations: u64,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.steps += outcome.steps;
        self.ticket_hours += outcome.ticket_hours;
        self.grants += outcome.grants;
        self.excuses.add(&outcome.excuses);
        let (overlaps, with_ours, time) = outcome.mixed;
        self.mixed.0 += u64::from(overlaps > 0);
        self.mixed.1 += overlaps;
        self.mixed.2 += with_ours;
        self.mixed.3 += time;
        self.unlive += u64::from(outcome.unlive);
        self.held.0 += outcome.held.0;
        self.held.1 += outcome.held.1;
        self.recovered.0 += outcome.recovered.0;
        self.recovered.1 += outcome.recovered.1;
        self.digest = super::choice::mix(self.digest ^ outcome.digest);
        self.coverage.add(&outcome.coverage);
        self.violations += u64::from(outcome.violation.is_some());
    }

    /// What overlapped beside members that run the reference, as text.
    pub fn mixed_text(&self) -> String {
        let (runs, overlaps, ours, time) = self.mixed;
        format!(
            "two sites at once: in {runs} of {} runs, {overlaps} times, {:.1} s in all; a site of \
             ours among them: {ours} times; held {:.1} %, \
             recovered {} of {}; not as it should be after healing: {} runs",
            self.runs,
            time as f64 / 1e6,
            self.held.0 as f64 * 100.0 / (self.held.1.max(1)) as f64,
            self.recovered.0,
            self.recovered.1,
            self.unlive,
        )
    }

    /// The totals as text.
    pub fn text(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64().max(1e-9);
        format!(
            "{} runs, {} steps, {:.0} ticket-hours, {} grants, {} violations\n\
             {:.0} steps a second, {:.0} ticket-hours a minute\n\
             in the chaos tickets were held {:.1} % of the time; {} of {} lost tickets found a \
             holder by themselves after healing\n\
             {}\n\
             {}\n\
             digest {:016x}",
            self.runs,
            self.steps,
            self.ticket_hours,
            self.grants,
            self.violations,
            self.steps as f64 / seconds,
            self.ticket_hours / seconds * 60.0,
            self.held.0 as f64 * 100.0 / (self.held.1.max(1)) as f64,
            self.recovered.0,
            self.recovered.1,
            self.excuses.text(),
            self.coverage.text(),
            self.digest,
        )
    }
}

/// The totals of some seeds in a mode.
pub fn totals_of(mode: Mode, seeds: std::ops::Range<u64>) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        let outcome = run_seed(seed, &mode.settings());
        if let Some(violation) = &outcome.violation {
            println!("{} seed {seed}: {} {}", mode.name(), violation.code, violation.text);
        }
        totals.add(&outcome);
    }
    totals
}

/// Where the sources were when this was built, if that is known.
fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

/// A shrunk failure as text with its `last` lines.
pub fn failure(small: &Shrunk, command: &str, last: usize) -> String {
    let mut text = String::new();
    if let Some(violation) = &small.outcome.violation {
        text += &format!("{}: {}\n", violation.code, violation.text);
    }
    text += &format!("seed {} at commit {}\n", small.plan.seed, commit());
    text += &format!("shown again by: {command}\n");
    text += &plan_text(&small.plan);
    text += &needed(small);
    let lines = &small.outcome.lines;
    for line in &lines[lines.len().saturating_sub(last)..] {
        text += line;
        text += "\n";
    }
    text
}

/// A plan that fails, shrunk, as text; for tests.
pub fn failure_of(plan: &Plan, settings: &Settings, command: &str, last: usize) -> String {
    match shrink(plan, settings) {
        Some(small) => failure(&small, command, last),
        None => "the seed does not fail any more".to_owned(),
    }
}

/// A shrunk failure as a transcript for `test/scenario`; `UPDATE=1` adds the outputs there.
pub fn transcript(small: &Shrunk, command: &str) -> String {
    let commands = small.outcome.transcript.clone().unwrap_or_default();
    format!("# From the simulator: {command}\n{commands}")
}

/// What a shrunk failure needs, as text.
pub fn needed(small: &Shrunk) -> String {
    let roles: String = small
        .plan
        .roles
        .iter()
        .map(|role| if *role == MemberRole::Site { 'S' } else { 'A' })
        .collect();
    let mut text = format!(
        "needed: members {roles}, {} tickets, {} faults (found in {} runs{})\n",
        small.plan.tickets.len(),
        small.keep.len(),
        small.runs,
        if small.calm { ", ordinary delays constant" } else { "" },
    );
    for id in &small.keep {
        let number = usize::try_from(id.n).unwrap_or(usize::MAX);
        let disturbance = small.plan.disturbances.get(number);
        match disturbance.filter(|_| id.kind == Kind::Disturbance) {
            Some(Disturbance { at, target, what }) => {
                let at = super::history::stamp(*at);
                text += &format!("{at:>12} {target:?} {what:?}\n");
            }
            None => {
                text += &format!("{:>12} {:?} {}/{} number {}\n", "", id.kind, id.a, id.b, id.n)
            }
        }
    }
    text
}

/// The happenings of a traced run without what follows from them or only keeps it going.
pub fn essence(lines: &[String]) -> Vec<String> {
    let boring = |line: &&String| {
        !["<- Tick", " Stat ", " MIdx ", " child ", " Debug", " Info", "wants t", " is asked"]
            .iter()
            .any(|part| line.contains(part))
    };
    lines.iter().filter(boring).cloned().collect()
}

/// A plan as text.
pub fn plan_text(plan: &Plan) -> String {
    let mut text = format!(
        "plan: {} members {:?}, keyed {}, chaos {} s\n  net {:?}\n  store {:?}\n  handler {} \
         timer {} split {} restart {} leader {} at-store {} ppm, force {}\n",
        plan.members(),
        plan.roles,
        plan.keyed,
        plan.chaos / 1_000_000,
        plan.net,
        plan.store,
        plan.handler_ppm,
        plan.timer_ppm,
        plan.split_ppm,
        plan.at_restart_ppm,
        plan.at_leader_ppm,
        plan.at_store_ppm,
        plan.force,
    );
    text += &format!("  {:?}\n", plan.worlds);
    for spec in &plan.tickets {
        text += &format!(
            "  {} {:?}: expire {} acquire-after {} timeout {} retries {} renewal {} handler {}\n",
            spec.name,
            spec.mode,
            spec.expire,
            spec.acquire_after,
            spec.timeout,
            spec.retries,
            spec.renewal,
            spec.has_handler,
        );
    }
    for (number, disturbance) in plan.disturbances.iter().enumerate() {
        let at = super::history::stamp(disturbance.at);
        text += &format!("  {number}: {at} {:?} {:?}\n", disturbance.target, disturbance.what);
    }
    text
}
