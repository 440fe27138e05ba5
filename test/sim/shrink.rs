// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes a failing run small: drops faults and disturbances, then whole classes of variation,
//! members and tickets, for as long as it still fails in the same way.

use super::choice::{FaultId, Source};
use super::panics::run_watched;
use super::plan::Plan;
use super::runner::{Outcome, Settings};
use std::collections::BTreeSet;

/// The most runs that one shrinking takes; each takes a few milliseconds.
const RUNS_MAX: usize = 3_000;
/// The same for a panic: each run that panics keeps its memory (`panics.rs`).
const PANICS_MAX: usize = 300;

/// A failing run with as few faults as could be found.
#[derive(Debug)]
pub struct Shrunk {
    /// The plan, simpler than it was.
    pub plan: Plan,
    /// The faults that are needed.
    pub keep: BTreeSet<FaultId>,
    /// Whether ordinary delays need not vary.
    pub calm: bool,
    /// The run, traced.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: usize,
}

struct Shrinker<'a> {
    plan: Plan,
    settings: &'a Settings,
    code: &'static str,
    calm: bool,
    runs: usize,
}

impl Shrinker<'_> {
    fn run(&mut self, keep: &BTreeSet<FaultId>, trace: bool) -> Outcome {
        self.runs += 1;
        let source = Source::Only(keep.clone());
        let settings = Settings {
            source,
            calm: self.calm,
            trace,
            script: trace,
            record: true,
            ..self.settings.clone()
        };
        run_watched(&self.plan, &settings)
    }

    /// Whether it still fails; then only the faults that really happened are kept.
    fn fails(&mut self, keep: &BTreeSet<FaultId>) -> Option<BTreeSet<FaultId>> {
        let outcome = self.run(keep, false);
        let violation = outcome.violation?;
        (violation.code == self.code).then(|| outcome.taken.into_iter().collect())
    }

    fn most(&self) -> usize {
        if self.code == "S0" {
            PANICS_MAX
        } else {
            RUNS_MAX
        }
    }

    fn drop_chunks(&mut self, mut keep: BTreeSet<FaultId>) -> BTreeSet<FaultId> {
        let mut chunk = keep.len().div_ceil(2).max(1);
        loop {
            let mut smaller = false;
            let all: Vec<FaultId> = keep.iter().copied().collect();
            for part in all.chunks(chunk) {
                if self.runs >= self.most() {
                    return keep;
                }
                let without: BTreeSet<FaultId> =
                    keep.iter().copied().filter(|id| !part.contains(id)).collect();
                if without.len() == keep.len() {
                    continue;
                }
                if let Some(taken) = self.fails(&without) {
                    keep = taken;
                    smaller = true;
                }
            }
            if chunk == 1 && !smaller {
                return keep;
            }
            if !smaller || chunk > keep.len() {
                chunk = chunk.div_ceil(2).max(1);
            }
        }
    }
}

/// A way to make a plan simpler; false: there is nothing to simplify in this way.
type Simpler = fn(&mut Plan) -> bool;

/// All ways, the most worthwhile first.
const SIMPLER: [Simpler; 14] = [
    |plan| plan.tickets.len() > 1 && plan.tickets.pop().is_some(),
    |plan| {
        let last = plan.roles.len() > 3 && plan.roles.pop().is_some();
        plan.clocks.truncate(plan.roles.len());
        last
    },
    |plan| {
        let queues = std::mem::take(&mut plan.worlds.queues);
        queues.usual > 0 || queues.slow_ppm > 0
    },
    |plan| !std::mem::take(&mut plan.worlds.configs).is_empty(),
    |plan| !std::mem::take(&mut plan.worlds.left).is_empty(),
    |plan| {
        let had = std::mem::replace(&mut plan.worlds.rules, false);
        plan.tickets.iter_mut().for_each(|spec| spec.rules.clear());
        had
    },
    |plan| std::mem::replace(&mut plan.keyed, false),
    |plan| {
        let odd = plan.clocks.iter().flatten().any(|clock| clock.ppm != 0 || clock.wall != 0);
        for clock in plan.clocks.iter_mut().flatten() {
            (clock.ppm, clock.wall) = (0, 0);
        }
        odd
    },
    |plan| {
        let had = plan.tickets.iter().any(|spec| spec.has_handler);
        plan.tickets.iter_mut().for_each(|spec| spec.has_handler = false);
        had
    },
    |plan| {
        let had = plan.tickets.iter().any(|spec| !spec.acquire_after.is_zero());
        plan.tickets.iter_mut().for_each(|spec| spec.acquire_after = booth_core::time::Span::ZERO);
        had
    },
    |plan| {
        let had = plan.tickets.iter().any(|spec| !spec.weights.is_empty());
        plan.tickets.iter_mut().for_each(|spec| spec.weights.clear());
        had
    },
    |plan| {
        let had = plan.net.delay_max > plan.net.delay_min;
        plan.net.delay_max = plan.net.delay_min;
        had
    },
    |plan| std::mem::take(&mut plan.net.far) > 0,
    |plan| std::mem::replace(&mut plan.store.usual_permille, 5) > 5,
];

impl Shrinker<'_> {
    /// Tries every way to a simpler plan, each as often as it helps.
    fn simplify(&mut self, mut keep: BTreeSet<FaultId>) -> BTreeSet<FaultId> {
        for simpler in SIMPLER {
            loop {
                let before = self.plan.clone();
                if !simpler(&mut self.plan) {
                    break;
                }
                match self.fails(&keep) {
                    Some(taken) => keep = taken,
                    None => {
                        self.plan = before;
                        break;
                    }
                }
            }
        }
        keep
    }
}

/// Shrinks a plan that fails with these settings; `None` if it does not.
pub fn shrink(plan: &Plan, settings: &Settings) -> Option<Shrunk> {
    let first = run_watched(plan, &Settings { record: true, ..settings.clone() });
    let code = first.violation.as_ref()?.code;
    let mut shrinker = Shrinker { plan: plan.clone(), settings, code, calm: true, runs: 1 };
    let all: BTreeSet<FaultId> = first.taken.iter().copied().collect();
    let start = match shrinker.fails(&all) {
        Some(taken) => taken,
        None => {
            shrinker.calm = false;
            all
        }
    };
    let keep = shrinker.drop_chunks(start);
    let keep = shrinker.simplify(keep);
    let keep = shrinker.drop_chunks(keep);
    let outcome = shrinker.run(&keep, true);
    let (plan, calm, runs) = (shrinker.plan, shrinker.calm, shrinker.runs);
    Some(Shrunk { plan, keep, calm, outcome, runs })
}
