// SPDX-License-Identifier: GPL-2.0-or-later
//! Kinds of worlds that are drawn beside the rest of a plan, each from dice of its own: so a seed
//! keeps the other parts of its plan when a kind is added.

use super::choice::mix;
use super::clock::{True, MILLI, SECOND};
use super::configs::{draw_configs, Variant};
use super::plan::{between, chance, pick, Disturbance, Plan, Trouble};
use super::queues::QueuePlan;
use super::stores::Left;
use booth_core::model::{MemberRole, TicketSpec};
use booth_core::prng::Prng;

/// What a plan has beyond weather and disturbances. The default is the world of a quiet day.
#[derive(Clone, Debug, Default)]
pub struct Worlds {
    /// The queues between each engine and its executor.
    pub queues: QueuePlan,
    /// All machines have just been started: no keeper is there.
    pub fresh: bool,
    /// Each member's configuration, where they differ.
    pub configs: Vec<Variant>,
    /// Tickets have rules.
    pub rules: bool,
    /// And the attributes that they look at change.
    pub rules_change: bool,
    /// What the stores hold at the beginning.
    pub left: Vec<Left>,
}

/// What an aimed plan has of it.
pub fn finish_aimed(seed: u64, plan: &mut Plan) {
    plan.worlds.queues = draw_queues(&mut dice(seed, 2), &plan.tickets);
    plan.worlds.fresh = chance(&mut dice(seed, 3), 20);
}

/// What is drawn when everything else is there.
pub fn finish(seed: u64, plan: &mut Plan) {
    plan.worlds.queues = draw_queues(&mut dice(seed, 2), &plan.tickets);
    plan.worlds.fresh = chance(&mut dice(seed, 3), 20);
    draw_configs(&mut dice(seed, 4), plan);
    super::prereq::draw_rules(&mut dice(seed, 6), plan);
    super::stores::draw_stores(&mut dice(seed, 7), plan);
    super::busy::draw_busy(&mut dice(seed, 8), plan);
    super::sick::draw_sickness(&mut dice(seed, 5), plan);
    super::wardens::draw_keepers(&mut dice(seed, 9), plan);
    // With a store go the attributes.
    let loses = |d: &Disturbance| {
        matches!(d.what, Trouble::Lose { .. } | Trouble::MachineDies { alone: true, .. })
    };
    plan.worlds.rules_change |= plan.worlds.rules && plan.disturbances.iter().any(loses);
}

/// Dice for one kind of world.
fn dice(seed: u64, kind: u64) -> Prng {
    Prng::new(mix(mix(seed ^ 0x776F_726C) ^ kind))
}

/// In a few runs there are more members than anybody has.
pub fn crowd(seed: u64) -> Option<Vec<MemberRole>> {
    let prng = &mut dice(seed, 1);
    if !chance(prng, 2) {
        return None;
    }
    let members = between(prng, 10, 16);
    let sites = members - between(prng, 0, members / 2);
    let role = |m| if m < sites { MemberRole::Site } else { MemberRole::Arbitrator };
    Some((0..members).map(role).collect())
}

fn draw_queues(prng: &mut Prng, tickets: &[TicketSpec]) -> QueuePlan {
    let timeout = tickets.iter().map(|spec| spec.timeout.as_micros()).min().unwrap_or(SECOND);
    let usual: True = pick(prng, &[0, MILLI, 10 * MILLI, 50 * MILLI]).min(timeout / 10);
    let slow_ppm = pick(prng, &[0, 10_000, 100_000, 300_000]);
    QueuePlan { usual, slow_ppm, slow_max: timeout / pick(prng, &[10, 2, 1]) }
}
