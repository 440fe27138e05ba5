// SPDX-License-Identifier: GPL-2.0-or-later
//! The explorer: every choice tried over a small world, instead of random ones over large worlds.
//!
//! Two sites, an arbitrator, one ticket (`E` = 9 s, `τ` = 1 s, `r` = 3) that is granted at the
//! start; ordinary delays are constant. The questions that the world asks in the first seconds
//! (what becomes of this datagram, of this call of `crm_ticket`, of this timer; is the process hit
//! at this place of this step) are the branches of a tree; *every* path with up to the stated
//! number of answers that are not "nothing special" is run to the end, healed and checked, once.
//! `space.rs` says what the answers are. The output says what was covered:
//!
//!     cargo test --test explore -- --nocapture
//!     EXPLORE=deep cargo test --release --test explore -- --nocapture

mod space;

use space::{Alphabet, Space};

fn deep() -> bool {
    std::env::var("EXPLORE").is_ok_and(|how| how == "deep")
}

/// Explores a space and prints what was covered.
fn explore(name: &str, space: &Space) {
    let covered = space.explore();
    println!(
        "{name}: every schedule with up to {} of the {} answers at {} questions in the first \
         {} ms: {} schedules ({} with {} faults), {} steps, {} different histories, {} different \
         situations; no violation",
        space.depth,
        covered.answers,
        covered.questions,
        space.horizon / booth_sim::clock::MILLI,
        covered.runs,
        covered.by_depth[space.depth],
        space.depth,
        covered.steps,
        covered.histories.len(),
        covered.situations.len(),
    );
    assert!(covered.questions > 10, "the small world speaks");
    assert!(covered.histories.len() as u64 > covered.runs / 3, "the choices matter");
}

#[test]
fn every_single_fault_of_the_whole_alphabet_keeps_the_promise() {
    let horizon = if deep() { 20_000 } else { 600 };
    let alphabet = Alphabet::whole(if deep() { 1 } else { 3 });
    explore("one fault of any kind", &Space::new(alphabet, 1, horizon));
}

#[test]
fn every_pair_of_network_faults_keeps_the_promise() {
    let horizon = if deep() { 12_000 } else { 540 };
    explore("two datagrams", &Space::new(Alphabet::network(), 2, horizon));
}

#[test]
fn every_pair_of_a_crash_and_a_network_fault_keeps_the_promise() {
    let horizon = if deep() { 7_000 } else { 540 };
    let alphabet = if deep() { Alphabet::restarts() } else { Alphabet::lean() };
    explore("restarts and datagrams", &Space::new(alphabet, 2, horizon));
}

#[test]
fn every_triple_of_faults_at_the_start_keeps_the_promise() {
    let horizon = if deep() { 560 } else { 15 };
    explore("three faults", &Space::new(Alphabet::lean(), 3, horizon));
}
