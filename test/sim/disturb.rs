// SPDX-License-Identifier: GPL-2.0-or-later
//! What happens from outside in an ordinary plan, drawn from its seed.

use super::clock::{True, MILLI, SECOND};
use super::plan::{between, chance, pick, spread, Disturbance, Order, Plan, Target, Trouble};
use booth_core::prng::Prng;

/// Draws the disturbances of a plan.
pub fn draw_disturbances(prng: &mut Prng, plan: &mut Plan, expire: True) {
    let members = plan.roles.len() as u64;
    let tickets = plan.tickets.len() as u64;
    let sites = plan.sites().count() as u64;
    let index = |n: u64| u8::try_from(n).unwrap_or(0);
    // Every automatic ticket is granted early in most runs.
    for ticket in 0..tickets {
        let at = between(prng, SECOND / 10, expire / 2);
        let order = Order::Grant;
        let what = Trouble::Admin { ticket: index(ticket), order, patience: 0 };
        let target = Target::Member(index(prng.below(sites)));
        plan.disturbances.push(Disturbance { at, target, what });
    }
    let mut enabled: u32 = 0;
    for kind in 0..10 {
        if chance(prng, 45) {
            enabled |= 1 << kind;
        }
    }
    if enabled == 0 {
        return;
    }
    let count = match prng.below(4) {
        0 => prng.below(6),
        1 => prng.below(20),
        _ => prng.below(60),
    };
    for _ in 0..count {
        let kind = loop {
            let kind = prng.below(10);
            if enabled & (1 << kind) != 0 {
                break kind;
            }
        };
        let at = between(prng, 0, plan.chaos);
        let target = if chance(prng, 40) {
            Target::Holder(index(prng.below(tickets)))
        } else {
            Target::Member(index(prng.below(members)))
        };
        let what = draw_trouble(prng, kind, plan, expire);
        plan.disturbances.push(Disturbance { at, target, what });
    }
    plan.disturbances.sort_by_key(|d| d.at);
}

fn draw_trouble(prng: &mut Prng, kind: u64, plan: &Plan, expire: True) -> Trouble {
    let mask = |prng: &mut Prng| u16::try_from(prng.below(1 << plan.roles.len())).unwrap_or(0);
    let ticket = u8::try_from(prng.below(plan.tickets.len() as u64)).unwrap_or(0);
    let long = spread(prng, 5 * MILLI, expire * 3);
    match kind {
        0 | 1 => Trouble::Crash {
            down: spread(prng, MILLI, if kind == 0 { SECOND / 5 } else { expire * 4 }),
            moves: chance(prng, 20),
            clean: chance(prng, 20),
        },
        2 => Trouble::Pause { length: long },
        3 => {
            let (out, into) = pick(prng, &[(true, true), (true, false), (false, true)]);
            let peers = if chance(prng, 50) { u16::MAX } else { mask(prng) };
            Trouble::Cut { length: long, out, into, peers }
        }
        4 => Trouble::Split { length: long, side: mask(prng) },
        5 => Trouble::Clog { length: long, into: chance(prng, 50) },
        6 => {
            let far = pick(prng, &[SECOND, expire, expire * 20]);
            Trouble::WallJump { by: between(prng, 0, 2 * far) as i64 - far as i64 }
        }
        7 => Trouble::Replay { count: u8::try_from(between(prng, 1, 12)).unwrap_or(1) },
        8 => draw_order(prng, plan.force, ticket, expire),
        _ => match prng.below(3) {
            0 => Trouble::Attribute { ticket },
            1 => Trouble::Garbage { count: 3 },
            _ => draw_order(prng, plan.force, ticket, expire),
        },
    }
}

fn draw_order(prng: &mut Prng, force: bool, ticket: u8, expire: True) -> Trouble {
    let order = match prng.below(10) {
        0 | 1 if force => Order::Force,
        0..=5 => Order::Grant,
        _ => Order::Revoke,
    };
    let patience = if chance(prng, 30) { spread(prng, MILLI, expire) } else { 0 };
    Trouble::Admin { ticket, order, patience }
}
