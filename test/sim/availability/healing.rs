// SPDX-License-Identifier: GPL-2.0-or-later
//! Random faults stop: how long until a ticket that ought to be granted is held again, for good.

use super::{seeds, Times};
use booth_core::model::{MemberRole, TicketSpec};
use booth_core::time::Span;
use booth_sim::choice::Source;
use booth_sim::clock::SECOND;
use booth_sim::plan::{Order, Plan};
use booth_sim::quiet::{three, usual_ticket};
use booth_sim::world::World;

/// How long the world is watched after the last fault, in leases.
const WATCHED: u64 = 5;

/// Whether everybody wants the ticket to be granted: the last order was a grant that has been
/// carried out, and no revoke was asked for since.
fn wanted(world: &World) -> bool {
    let done = world.clients.last_done[0] == Some(Order::Grant);
    done && !world.clients.revoke_asked(0) && world.checks.asserted(0)
}

/// A world after random faults that all ended at an instant at which the ticket was wanted, and
/// if possible not held; `None`: there was no such instant.
fn healed(seed: u64, roles: Vec<MemberRole>, acquire_after: Span) -> Option<World> {
    let ticket = TicketSpec { acquire_after, ..usual_ticket() };
    let plan = Plan::draw_for(seed, roles, vec![ticket]);
    let chaos = plan.chaos;
    let mut world = World::new(plan, Source::Seed, false);
    world.set_going();
    world.run(chaos / 2);
    let unheld = |world: &World| wanted(world) && world.checks.held_since[0].is_none();
    while world.now < chaos && world.checks.violation().is_none() && !unheld(&world) {
        world.run(world.now + SECOND);
    }
    assert_eq!(world.checks.violation(), None, "seed {seed}");
    if !wanted(&world) {
        return None;
    }
    world.heal(world.everyone());
    Some(world)
}

/// When a ticket was held again after random faults.
#[derive(Default)]
struct Held {
    /// In all runs.
    all: Vec<u64>,
    /// In those in which nobody held it at the healing.
    unheld: Vec<u64>,
}

/// Runs of so many seeds.
fn run(count: u64, roles: &[MemberRole], acquire_after: Span) -> Held {
    let expire = usual_ticket().expire.as_micros();
    let mut held = Held::default();
    for seed in seeds(count) {
        let Some(mut world) = healed(seed, roles.to_vec(), acquire_after) else { continue };
        let start = world.now;
        let lost = world.checks.held_since[0].is_none();
        world.run(start + WATCHED * expire);
        assert_eq!(world.checks.violation(), None, "seed {seed}");
        let since = world.checks.held_since[0];
        let members = roles.len();
        let since =
            since.unwrap_or_else(|| panic!("nobody holds it, seed {seed}, {members} members"));
        held.all.push(since.saturating_sub(start));
        if lost {
            held.unheld.push(since - start);
        }
    }
    held
}

/// Tenths of `E`, and `A`, in seconds.
fn leases(tenths: u64, acquire_after: Span) -> f64 {
    let expire = usual_ticket().expire.as_micros();
    (expire * tenths / 10 + acquire_after.as_micros()) as f64 / SECOND as f64
}

/// The whole of `RULES.md`'s sentence, for one `A`.
fn measure(acquire_after: Span) {
    let held = run(300, &three(), acquire_after);
    let (usual, most) = (leases(10, acquire_after), leases(17, acquire_after));
    let target = format!("p99 1.0 E + A = {usual}, at most 1.7 E + A = {most}");
    for (what, times) in [("", held.all), (", held by nobody", held.unheld)] {
        let times = Times::of(times.into_iter());
        times.print(&format!("random faults stop{what}, A = {acquire_after}"), &target);
        times.at_most(990, usual);
        times.at_most(1000, most);
    }
}

/// The last bound of `RULES.md` for another number of members.
fn measure_members(sites: usize, arbitrators: usize) {
    let mut roles = vec![MemberRole::Site; sites];
    roles.extend(vec![MemberRole::Arbitrator; arbitrators]);
    for acquire_after in [Span::ZERO, Span::from_secs(20)] {
        let held = run(200, &roles, acquire_after);
        let most = leases(17, acquire_after);
        let times = Times::of(held.all.into_iter());
        let members = roles.len();
        let what = format!("random faults stop, {members} members, A = {acquire_after}");
        times.print(&what, &format!("at most 1.7 E + A = {most}"));
        times.at_most(1000, most);
        assert!(held.unheld.len() > 10, "nobody holds it in some runs");
    }
}

#[test]
fn after_random_faults_a_ticket_is_held_again_in_time() {
    measure(Span::ZERO);
}

#[test]
fn after_random_faults_a_ticket_is_held_again_in_time_after_acquire_after() {
    measure(Span::from_secs(20));
}

#[test]
fn after_random_faults_a_ticket_of_two_members_is_held_again_in_time() {
    measure_members(2, 0);
}

#[test]
fn after_random_faults_a_ticket_of_five_members_is_held_again_in_time() {
    measure_members(3, 2);
}

#[test]
fn after_random_faults_a_ticket_of_seven_members_is_held_again_in_time() {
    measure_members(4, 3);
}
