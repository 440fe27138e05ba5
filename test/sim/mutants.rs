// SPDX-License-Identifier: GPL-2.0-or-later
//! Proof that the simulator bites: engines that ignore one clause of `RULES.md` must be caught.

use booth_core::engine::mutant::Clause;
use std::cell::Cell;

/// The clause with this name.
pub fn clause(name: &str) -> Option<Clause> {
    Clause::ALL.iter().copied().find(|clause| format!("{clause:?}") == name)
}

/// Makes the engines of this thread ignore the clause with this name.
///
/// # Errors
/// There is no such clause, or this was built without the feature `mutants`.
pub fn choose(name: &str) -> Result<(), String> {
    let Some(clause) = clause(name) else {
        return Err(format!("there is no clause {name:?}; there are {:?}", Clause::ALL));
    };
    switch_off(Some(clause))
}

thread_local! {
    static CURRENT: Cell<Option<Clause>> = const { Cell::new(None) };
}

/// The clause that the engines of this thread ignore.
pub fn current() -> Option<Clause> {
    CURRENT.get()
}

/// Makes the engines of this thread ignore a clause; `None`: they keep them all.
///
/// # Errors
/// This was built without the feature `mutants`.
#[cfg(feature = "mutants")]
pub fn switch_off(clause: Option<Clause>) -> Result<(), String> {
    CURRENT.set(clause);
    booth_core::engine::mutant::switch_off(clause);
    Ok(())
}

/// Makes the engines of this thread ignore a clause; `None`: they keep them all.
///
/// # Errors
/// This was built without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
pub fn switch_off(clause: Option<Clause>) -> Result<(), String> {
    match clause {
        None => Ok(()),
        Some(clause) => Err(format!("build with --features mutants to ignore {clause:?}")),
    }
}
