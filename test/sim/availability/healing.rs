// SPDX-License-Identifier: GPL-2.0-or-later
//! Random faults stop: how long until a ticket that ought to be granted is held again, for good.

use super::kit::choice::Source;
use super::kit::clock::SECOND;
use super::kit::plan::{Order, Plan};
use super::kit::quiet::{three, usual_ticket};
use super::kit::world::World;
use super::{seeds, Times};
use booth::model::TicketSpec;
use booth::time::Span;

/// How long the world is watched after the last fault, in leases.
const WATCHED: u64 = 5;

/// Whether everybody wants the ticket to be granted: the last order was a grant that has been
/// carried out, and no revoke is on its way.
fn wanted(world: &World) -> bool {
    let asked = (world.clients.last_asked[0], world.clients.last_done[0]);
    let revoke = |c: &super::kit::clients::Connection| c.order == Some(Order::Revoke);
    asked == (Some(Order::Grant), Some(Order::Grant))
        && !world.clients.open.iter().any(revoke)
        && world.checks.asserted(0)
}

/// A world after random faults that all ended at an instant at which the ticket was wanted, and
/// if possible not held; `None`: there was no such instant.
fn healed(seed: u64, acquire_after: Span) -> Option<World> {
    let ticket = TicketSpec { acquire_after, ..usual_ticket() };
    let plan = Plan::draw_for(seed, three(), vec![ticket]);
    let chaos = plan.chaos;
    let mut world = World::new(plan, Source::Seed, false);
    world.set_going();
    world.run(chaos / 2);
    while world.now < chaos && !(wanted(&world) && world.checks.held_since[0].is_none()) {
        world.run(world.now + SECOND);
    }
    assert_eq!(world.checks.violation(), None, "seed {seed}");
    if !wanted(&world) {
        return None;
    }
    world.heal(0b111);
    Some(world)
}

/// The whole of `lease.md`'s sentence, for one `A`.
fn measure(acquire_after: Span) {
    let expire = usual_ticket().expire.as_micros();
    let (mut times, mut unheld) = (Vec::new(), Vec::new());
    for seed in seeds(300) {
        let Some(mut world) = healed(seed, acquire_after) else { continue };
        let start = world.now;
        let lost = world.checks.held_since[0].is_none();
        world.run(start + WATCHED * expire);
        assert_eq!(world.checks.violation(), None, "seed {seed}");
        let since = world.checks.held_since[0];
        let since = since.unwrap_or_else(|| panic!("nobody holds it, seed {seed}"));
        times.push(since.saturating_sub(start));
        if lost {
            unheld.push(since - start);
        }
    }
    let leases =
        |tenths: u64| (expire * tenths / 10 + acquire_after.as_micros()) as f64 / SECOND as f64;
    let target = format!("p99 1.0 E + A = {}, at most 1.7 E + A = {}", leases(10), leases(17));
    for (what, times) in [("", times), (", held by nobody", unheld)] {
        let times = Times::of(times.into_iter());
        times.print(&format!("random faults stop{what}, A = {acquire_after}"), &target);
        times.at_most(990, leases(10));
        times.at_most(1000, leases(17));
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
