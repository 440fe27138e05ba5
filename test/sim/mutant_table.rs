// SPDX-License-Identifier: GPL-2.0-or-later
//! Proof that the simulator bites: for each clause of `RULES.md` that shows, an engine that
//! ignores it is caught within a fixed number of seeds; those that hardly show in a run are caught
//! by tests of the engine (`src/core/engine/tests/wrong.rs`). Run with
//! `cargo test --release --features mutants --test mutants -- --nocapture`.

use booth_core::engine::mutant::Clause;
use booth_sim::hunt::Hunt;
use booth_sim::plan::Plan;
use booth_sim::rates::two_holders;
use booth_sim::report::{essence, needed};
use booth_sim::runner::{run_plan, Settings};
use booth_sim::shrink::shrink;

/// How many lines of a minimal schedule are printed.
const LINES: usize = 24;

/// What must find a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Two sites hold (S1, S2): the promise to the user is broken.
    Holders,
    /// Any checker: the clause cannot, or hardly ever, break the promise alone.
    Any,
}

/// Each clause, the family of plans that finds it, the first seed and how many seeds it may
/// take. The honest rates, from seed 1 on, are in `test/README.md`.
const TABLE: [(Clause, Option<Hunt>, u64, u64, By); 32] = [
    (Clause::L1FreshTerm, None, 1, 20, By::Any),
    (Clause::L2OneVote, Some(Hunt::Duel), 1, 20, By::Any),
    (Clause::L3LivePromise, Some(Hunt::Bare), 1, 20, By::Any),
    (Clause::L3OwnVote, Some(Hunt::Again), 1, 20, By::Holders),
    (Clause::L4PromiseLength, Some(Hunt::Quit), 1, 20, By::Holders),
    (Clause::L4LivePromise, Some(Hunt::Duel), 1, 20, By::Any),
    (Clause::L4Round, Some(Hunt::Again), 1, 500, By::Any),
    (Clause::L5SendTime, Some(Hunt::Quit), 1, 20, By::Holders),
    (Clause::L5Round, Some(Hunt::Late), 1, 50, By::Holders),
    (Clause::L6Guard, Some(Hunt::Quit), 1, 100, By::Holders),
    (Clause::L6RevokeFirst, Some(Hunt::Quit), 1, 60, By::Holders),
    (Clause::L7Lease, Some(Hunt::Duel), 1, 20, By::Holders),
    (Clause::L8Wait, Some(Hunt::Late), 1, 100, By::Any),
    (Clause::L9Unread, Some(Hunt::Reboot), 1, 20, By::Holders),
    (Clause::L9Grace, Some(Hunt::Reboot), 1, 20, By::Holders),
    (Clause::L9GraceVote, Some(Hunt::Bare), 1, 20, By::Any),
    (Clause::L9GraceAck, Some(Hunt::Duel), 1, 20, By::Any),
    (Clause::L9GraceStand, Some(Hunt::Bare), 1, 100, By::Holders),
    (Clause::L9Nonce, Some(Hunt::Bare), 1, 50, By::Holders),
    (Clause::L9Cap, Some(Hunt::Clock), 1, 20, By::Any),
    (Clause::L10RevokeFirst, Some(Hunt::Duel), 1, 20, By::Holders),
    (Clause::L10Term, Some(Hunt::Again), 1, 100, By::Holders),
    (Clause::L10Round, Some(Hunt::Duel), 1, 150, By::Any),
    (Clause::L10LastWord, Some(Hunt::Bare), 1, 60, By::Any),
    (Clause::L12Attempt, Some(Hunt::Duel), 1, 50, By::Any),
    (Clause::KeeperWindow, None, 1, 60, By::Any),
    (Clause::KeeperBeside, Some(Hunt::Duel), 1, 60, By::Any),
    (Clause::KeeperPatience, Some(Hunt::Keeper), 1, 20, By::Any),
    (Clause::KeeperRing, Some(Hunt::Reboot), 1, 20, By::Any),
    (Clause::KeeperQuiet, Some(Hunt::Again), 1, 150, By::Any),
    (Clause::KeeperWall, Some(Hunt::Keeper), 1, 50, By::Any),
    (Clause::KeeperTells, Some(Hunt::Keeper), 1, 100, By::Any),
];

/// Runs seeds until one is caught; prints its minimal schedule.
fn hunt(clause: Clause, family: Option<Hunt>, first: u64, most: u64, by: By) -> bool {
    let settings = if by == By::Holders { two_holders() } else { Settings::default() };
    let draw = |seed| family.map_or_else(|| Plan::draw(seed), |hunt| hunt.draw(seed));
    let name = family.map_or("ordinary".to_owned(), Hunt::name);
    for seed in first..first + most {
        let plan = draw(seed);
        if run_plan(plan.clone(), &settings).violation.is_none() {
            continue;
        }
        let Some(small) = shrink(&plan, &settings) else { return false };
        let Some(violation) = &small.outcome.violation else { return false };
        let tried = seed + 1 - first;
        println!(
            "== {clause:?}: caught by {} in seed {seed}, after {tried} of at most {most} seeds of \
             {name}\n{}",
            violation.code, violation.text,
        );
        print!("{}", needed(&small));
        let lines = essence(&small.outcome.lines);
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            println!("{}", line.chars().take(160).collect::<String>());
        }
        return true;
    }
    false
}

#[test]
fn every_engine_that_ignores_a_clause_is_caught() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (clause, family, first, most, by) in TABLE {
        booth_sim::mutants::switch_off(Some(clause)).expect("built with the feature");
        if !hunt(clause, family, first, most, by) {
            missed.push(clause);
        }
    }
    booth_sim::mutants::switch_off(None).expect("built with the feature");
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    let all = Clause::BY_SEEDS.iter().all(|clause| TABLE.iter().any(|row| row.0 == *clause));
    assert!(all, "every clause that is proven by seeds is in the table");
}

/// Runs a transcript; says how many stores have the ticket at its end.
fn holders_at_the_end(transcript: &str) -> usize {
    let mut lab = booth_sim::scenario::lab::Lab::default();
    let mut said = Vec::new();
    let commands =
        transcript.lines().filter(|l| !l.is_empty() && *l != "----" && !l.starts_with('#'));
    for command in commands {
        lab.command(command);
        said = lab.take_output();
    }
    said.iter().filter(|line| line.contains("has it granted in its store")).count()
}

#[test]
fn a_shrunk_run_becomes_a_transcript_that_shows_two_holders() {
    let cases = [
        (Clause::L3OwnVote, Hunt::Again),
        (Clause::L4PromiseLength, Hunt::Quit),
        (Clause::L6RevokeFirst, Hunt::Sick),
        (Clause::L9Grace, Hunt::Reboot),
        (Clause::L9Nonce, Hunt::Bare),
        // Elsewhere two windows overlap, but not two stores.
        (Clause::L10RevokeFirst, Hunt::Word),
    ];
    for (clause, hunt) in cases {
        booth_sim::mutants::switch_off(Some(clause)).expect("built with the feature");
        let settings = two_holders();
        let small = (1..100).find_map(|seed| shrink(&hunt.draw(seed), &settings)).expect("a run");
        let transcript = small.outcome.transcript.expect("a transcript");
        let wrong = holders_at_the_end(&transcript);
        booth_sim::mutants::switch_off(None).expect("built with the feature");
        let right = holders_at_the_end(&transcript);
        println!(
            "{clause:?}: {} lines, {wrong} holders, {right} by the rules",
            transcript.lines().count()
        );
        assert_eq!(wrong, 2, "{clause:?}:\n{transcript}");
        assert!(right < 2, "{clause:?}:\n{transcript}");
    }
}
