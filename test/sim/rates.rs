// SPDX-License-Identifier: GPL-2.0-or-later
//! How often a wrong engine is caught: by any checker, and by the promise to the user alone.

use super::hunt::Hunt;
use super::mutants::switch_off;
use super::panics::run_watched;
use super::plan::Plan;
use super::runner::Settings;
use booth_core::engine::mutant::Clause;
use std::collections::BTreeMap;

/// Counts of one clause over so many seeds, each with its ordinary and its aimed plan.
#[derive(Debug, Default)]
pub struct Rate {
    /// Seeds in which any checker found something.
    pub any: u64,
    /// Seeds in which two sites held (S1, S2).
    pub promise: u64,
    /// By kind of plan, how many of its runs broke the promise, and the first seed.
    pub by_plan: BTreeMap<String, (u64, u64)>,
    /// By code, what was found first.
    pub codes: BTreeMap<&'static str, u64>,
}

/// The plans of a seed with their names: the ordinary one, and the aimed one whose turn it is.
pub fn plans(seed: u64) -> [(String, Plan); 2] {
    let hunt = Hunt::of(seed);
    [("ordinary".to_owned(), Plan::draw(seed)), (hunt.name(), hunt.draw(seed))]
}

/// Settings under which only two holders count.
pub fn two_holders() -> Settings {
    Settings { only_promise: true, liveness: false, ..Settings::default() }
}

/// Measures a clause.
///
/// # Errors
/// This was built without the feature `mutants`.
pub fn measure(clause: Clause, seeds: u64) -> Result<Rate, String> {
    switch_off(Some(clause))?;
    let mut rate = Rate::default();
    for seed in 1..=seeds {
        let (mut any, mut promise) = (false, false);
        for (name, plan) in plans(seed) {
            if let Some(found) = run_watched(&plan, &Settings::default()).violation {
                any = true;
                *rate.codes.entry(found.code).or_default() += 1;
            }
            if run_watched(&plan, &two_holders()).violation.is_some() {
                promise = true;
                let entry = rate.by_plan.entry(name).or_insert((0, seed));
                entry.0 += 1;
            }
        }
        rate.any += u64::from(any);
        rate.promise += u64::from(promise);
    }
    switch_off(None)?;
    Ok(rate)
}

/// The table of `test/README.md`.
///
/// # Errors
/// This was built without the feature `mutants`.
pub fn table(seeds: u64, only: Option<Clause>) -> Result<(), String> {
    println!("| clause off | caught | two holders | by |");
    println!("|---|---|---|---|");
    for clause in Clause::BY_SEEDS.iter().copied().filter(|c| only.is_none_or(|only| only == *c)) {
        let rate = measure(clause, seeds)?;
        let codes: Vec<String> =
            rate.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        let plans: Vec<String> =
            rate.by_plan.iter().map(|(name, (count, _))| format!("{name} {count}")).collect();
        println!(
            "| {clause:?} | {} of {seeds} ({}) | {} | {} |",
            rate.any,
            codes.join(", "),
            rate.promise,
            plans.join(", "),
        );
    }
    Ok(())
}
