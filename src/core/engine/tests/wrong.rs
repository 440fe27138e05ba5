// SPDX-License-Identifier: GPL-2.0-or-later
//! Proof that the tests bite: each is run with an engine that ignores its clause, and must fail.
//! `cargo test --features mutants --lib wrong`.
//!
//! A new clause needs a line in `mutant.rs`, a branch where the engine keeps the rule, and a line
//! here.

use super::{
    by_hand, clients, endings, grants, handlers, higher_terms, order, prereq, renewals, start,
    store,
};
use crate::engine::mutant::{self, Clause};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// A test of the engine.
type Test = fn();

/// Which tests fail when which clause is ignored. A clause may stand here more than once.
const TABLE: &[(Clause, Test)] = &[
    (Clause::L4RandomRounds, start::each_life_numbers_its_sends_from_elsewhere),
    (Clause::L5NewRenewal, renewals::a_new_renewal_follows_one_that_nobody_acknowledged),
    (Clause::L5SendsKept, renewals::a_late_acknowledgement_counts_for_its_own_send),
    (Clause::L6Expiry, store::a_grant_is_written_with_its_expiry),
    (Clause::L6Expiry, grants::a_restarted_holder_that_is_alone_holds_as_long_as_its_store_says),
    (Clause::L6FirstGrant, store::a_first_grant_that_cannot_be_written_is_given_up),
    (Clause::L6Serial, store::an_outcome_that_comes_late_does_not_count_for_the_next_write),
    (Clause::L6Handler, handlers::a_handler_at_a_renewal_may_run_until_the_holding_ends),
    (Clause::L8CarriedOver, higher_terms::a_commit_delay_is_carried_over_to_the_next_election),
    (Clause::L9FreeTicket, start::a_free_ticket_with_this_sites_name_is_not_held),
    (Clause::L9Silent, start::a_candidate_and_a_winner_without_a_lease_do_not_answer_status),
    (Clause::L9TellGuard, start::a_restarted_holder_tells_its_guard_until_when_it_holds),
    (Clause::L9Cap, start::a_restarted_holder_tells_its_guard_until_when_it_holds),
    (Clause::L9GraceLength, start::grace_lasts_longer_than_any_promise_of_the_life_before),
    (Clause::L10Resend, endings::a_revoke_is_announced_until_it_is_acknowledged),
    (Clause::L10Resend, endings::a_step_down_is_announced_until_it_is_acknowledged),
    (
        Clause::L10KeepRevoke,
        endings::an_announcement_goes_on_beside_an_attempt_but_for_reference_members,
    ),
    (Clause::L11Outdated, higher_terms::an_outdated_leader_is_elected_again_and_goes_on_holding),
    (
        Clause::L11Request,
        higher_terms::a_vote_request_of_a_member_that_does_not_follow_is_answered_by_a_reelection,
    ),
    (Clause::L11Acknowledged, higher_terms::a_vote_request_of_a_follower_is_only_refused),
    (Clause::L11Once, higher_terms::a_leader_stands_again_at_most_once_per_renewal),
    (Clause::L12Attempt, renewals::late_votes_do_not_count),
    (Clause::L13Weights, order::higher_weights_stand_first),
    (Clause::L13EqualWeights, order::equal_weights_stand_in_configuration_order),
    (Clause::L13AcquireAfter, order::acquire_after_is_waited_when_a_promise_has_run_out),
    (Clause::L13BackOffCap, order::the_pauses_of_a_candidate_that_nobody_hears_double_up_to_expire),
    (Clause::L13LostLease, order::a_leader_that_lost_its_lease_lets_the_others_go_first),
    (Clause::L14Repeat, by_hand::a_claim_is_repeated_every_minute),
    (Clause::ClientToldNothing, clients::a_client_is_told_that_its_grant_takes_time),
    (Clause::ClientToldOnce, clients::a_waiting_client_hears_when_the_reason_changes),
    (Clause::PrereqAuto, prereq::automatic_rules_are_looked_at_before_a_site_stands),
    (Clause::PrereqManual, prereq::manual_rules_are_looked_at_before_an_administrators_grant),
    (Clause::PrereqManual, prereq::manual_rules_are_looked_at_before_a_manual_ticket_is_granted),
    (Clause::PrereqNotEqual, prereq::automatic_rules_are_looked_at_before_a_site_stands),
    (Clause::PrereqNotEqual, prereq::manual_rules_are_looked_at_before_an_administrators_grant),
];

/// Whether the test passes with an engine that ignores the clause.
fn passes(clause: Option<Clause>, test: Test) -> bool {
    mutant::switch_off(clause);
    let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
    mutant::switch_off(None);
    passed
}

#[test]
fn every_wrong_engine_fails_its_test() {
    let missed: Vec<Clause> = TABLE
        .iter()
        .filter(|(clause, test)| passes(Some(*clause), *test))
        .map(|(clause, _)| *clause)
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    let untried = |clause: &&Clause| !TABLE.iter().any(|(in_table, _)| in_table == *clause);
    let untried: Vec<&Clause> = Clause::BY_TESTS.iter().filter(untried).collect();
    assert!(untried.is_empty(), "no test is named for {untried:?}");
}

#[test]
fn the_right_engine_passes_the_same_tests() {
    for (clause, test) in TABLE {
        assert!(passes(None, *test), "the test for {clause:?} fails with the right engine");
    }
}
