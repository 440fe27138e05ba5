// SPDX-License-Identifier: GPL-2.0-or-later
//! Rule tests: a member is prepared through events only, takes one step, and the effects are
//! compared. Each test cites the rule of `RULES.md` or the vector that it checks.
//!
//! Tests that are `pub` stand in the table of wrong engines (`wrong`), or may.

mod answers;
mod attributes;
mod bench;
mod breaches;
mod by_hand;
mod clients;
mod cluster;
mod deeds;
mod ears;
mod endings;
mod expire;
mod gaps;
mod giving_up;
mod grants;
mod handlers;
mod heard;
mod hearsay;
mod higher_terms;
mod ill_stores;
mod last_word;
mod later;
mod listing;
mod lost;
mod manual;
mod member;
mod mixed_grace;
mod moments;
mod objections;
mod order;
mod orders;
mod prereq;
mod promises;
mod renewals;
mod resources;
mod slips;
mod standing;
mod start;
mod starvation;
mod store;
mod told;
mod true_answers;
mod undone;
mod unnoticed;
mod verified;
mod waits;
#[cfg(feature = "mutants")]
mod wrong;
