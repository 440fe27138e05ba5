// SPDX-License-Identifier: GPL-2.0-or-later
//! The holder is lost: how long until the other site is granted.

use super::{held, seeds, Times};
use booth_core::model::TicketSpec;
use booth_sim::clock::{True, MILLI, SECOND};
use booth_sim::quiet::{quiet, three, usual_ticket};
use booth_sim::world::World;

/// How long it took until the second site had the ticket.
fn until_elsewhere(world: &mut World) -> True {
    let time = world.run_until_granted(0, 0b10, 600 * SECOND);
    assert_eq!(world.checks.violation(), None, "seed {}", world.plan.seed);
    time.unwrap_or_else(|| panic!("nobody takes it over, seed {}", world.plan.seed))
}

#[test]
fn a_ticket_whose_holder_dies_is_held_elsewhere_in_time() {
    let times = Times::of(seeds(400).map(|seed| {
        let mut world = held(seed);
        world.crash(0, u64::MAX, false, false);
        until_elsewhere(&mut world)
    }));
    times.print("holder crashes", "48.7 median, 64.0 p99");
    times.median_within(48.7);
    times.at_most(990, 64.0);
}

#[test]
fn a_holder_that_cannot_hear_is_replaced_in_time() {
    let times = Times::of(seeds(400).map(|seed| {
        let mut world = held(seed);
        world.cut(0, u64::MAX / 2, false, true, u16::MAX);
        until_elsewhere(&mut world)
    }));
    times.print("holder can send but not hear", "42 median, at most 58");
    times.median_within(42.0);
    times.at_most(1000, 58.0);
}

/// From the failure of the holder's handler, found by a renewal, to the grant at the other site,
/// whose own handler is fast: the step-down, an election, two writes.
#[test]
fn a_holder_that_steps_down_is_replaced_at_once() {
    let times = Times::of(seeds(400).map(|seed| {
        let ticket = TicketSpec { has_handler: true, ..usual_ticket() };
        let mut world = booth_sim::quiet::held(quiet(seed, three(), vec![ticket]));
        world.handler_usual = Some(10 * MILLI);
        world.ill = 1;
        let asked = world.handlers_failed;
        while world.handlers_failed == asked {
            assert!(world.sites[0].granted(0), "the handler fails at a renewal, seed {seed}");
            world.run(world.now + MILLI);
        }
        until_elsewhere(&mut world)
    }));
    times.print("holder steps down", "0.6 median, at most 1.0");
    times.median_within(0.6);
    times.at_most(1000, 1.0);
}
