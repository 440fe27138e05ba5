// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes a failing seed small: drops faults for as long as it still fails in the same way.

use super::choice::{FaultId, Source};
use super::plan::Plan;
use super::runner::{run_plan, Outcome, Settings};
use std::collections::BTreeSet;

/// The most runs that one shrinking takes; each takes a few milliseconds.
const RUNS_MAX: usize = 3_000;

/// A failing run with as few faults as could be found.
#[derive(Debug)]
pub struct Shrunk {
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
    plan: &'a Plan,
    settings: &'a Settings,
    code: &'static str,
    calm: bool,
    runs: usize,
}

impl Shrinker<'_> {
    fn run(&mut self, keep: &BTreeSet<FaultId>, trace: bool) -> Outcome {
        self.runs += 1;
        let source = Source::Only(keep.clone());
        let settings =
            Settings { source, calm: self.calm, trace, record: true, ..self.settings.clone() };
        run_plan(self.plan.clone(), &settings)
    }

    /// Whether it still fails; then only the faults that really happened are kept.
    fn fails(&mut self, keep: &BTreeSet<FaultId>) -> Option<BTreeSet<FaultId>> {
        let outcome = self.run(keep, false);
        let violation = outcome.violation?;
        (violation.code == self.code).then(|| outcome.taken.into_iter().collect())
    }

    fn drop_chunks(&mut self, mut keep: BTreeSet<FaultId>) -> BTreeSet<FaultId> {
        let mut chunk = keep.len().div_ceil(2).max(1);
        loop {
            let mut smaller = false;
            let all: Vec<FaultId> = keep.iter().copied().collect();
            for part in all.chunks(chunk) {
                if self.runs >= RUNS_MAX {
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

/// Shrinks a plan that fails with these settings; `None` if it does not.
pub fn shrink(plan: &Plan, settings: &Settings) -> Option<Shrunk> {
    let first = run_plan(plan.clone(), &Settings { record: true, ..settings.clone() });
    let code = first.violation.as_ref()?.code;
    let mut shrinker = Shrinker { plan, settings, code, calm: true, runs: 1 };
    let all: BTreeSet<FaultId> = first.taken.iter().copied().collect();
    let start = match shrinker.fails(&all) {
        Some(taken) => taken,
        None => {
            shrinker.calm = false;
            all
        }
    };
    let keep = shrinker.drop_chunks(start);
    let outcome = shrinker.run(&keep, true);
    Some(Shrunk { keep, calm: shrinker.calm, outcome, runs: shrinker.runs })
}
