// SPDX-License-Identifier: GPL-2.0-or-later
//! Proof that the simulator bites: for each clause of `lease.md` that shows, an engine that
//! ignores it is caught within a fixed number of seeds. Run with
//! `cargo test --release --features mutants --test mutants -- --nocapture`.

// Each target that shares the kit uses a part of it.
#[allow(dead_code)]
#[path = "kit.rs"]
mod kit;

use booth::engine::mutant::Clause;
use kit::runner::{run_seed, Settings};

/// Each clause and within how many seeds it must be caught; the rates are in `README.md`.
const TABLE: [(Clause, u64); 19] = [
    (Clause::L1FreshTerm, 20),
    (Clause::L2OneVote, 50),
    (Clause::L3LivePromise, 50),
    (Clause::L4PromiseLength, 20),
    (Clause::L4LivePromise, 100),
    (Clause::L4Round, 300),
    (Clause::L5SendTime, 10),
    (Clause::L5Round, 20),
    (Clause::L5Revive, 2_000),
    (Clause::L6Guard, 10),
    (Clause::L8Wait, 300),
    (Clause::L9Unread, 300),
    (Clause::L9GraceVote, 20),
    (Clause::L9GraceAck, 50),
    (Clause::L9Nonce, 150),
    (Clause::L9Silent, 20),
    (Clause::L10RevokeFirst, 400),
    (Clause::L10Round, 1_500),
    (Clause::L12Attempt, 50),
];

#[test]
fn every_engine_that_ignores_a_clause_is_caught() {
    let mut missed = Vec::new();
    std::panic::set_hook(Box::new(|_| {}));
    for (clause, most) in TABLE {
        kit::mutants::switch_off(Some(clause)).expect("built with the feature");
        let caught = (1..=most).find_map(|seed| {
            let violation = run_seed(seed, &Settings::default()).violation?;
            Some((seed, violation))
        });
        match caught {
            Some((seed, violation)) => println!(
                "{clause:?}: caught after {seed} of at most {most} seeds by {}: {}",
                violation.code, violation.text,
            ),
            None => missed.push(clause),
        }
    }
    kit::mutants::switch_off(None).expect("built with the feature");
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
