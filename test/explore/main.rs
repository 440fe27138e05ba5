// SPDX-License-Identifier: GPL-2.0-or-later
//! The explorer: every choice tried over a small world, instead of random ones over large worlds.
//!
//! Two sites, an arbitrator, one ticket that is granted at the start. All schedules with one
//! datagram lost, doubled or two thirds of a lease late, with one member that ends and starts
//! again within milliseconds at any of many instants, and with one of each, are run to the end
//! and healed. What was covered is printed (`cargo test --test explore -- --nocapture`).

// Each target that shares the kit uses a part of it.
#[allow(dead_code)]
#[path = "../sim/kit.rs"]
mod kit;

use booth::model::{MemberRole, TicketMode, TicketName, TicketSpec};
use booth::time::Span;
use kit::choice::{FaultId, Kind, Source};
use kit::clock::{MILLI, SECOND};
use kit::plan::{ClockPlan, Disturbance, NetPlan, Order, Plan, StorePlan, Target, Trouble};
use kit::runner::{run_plan, Settings};
use std::collections::BTreeSet;

/// How many instants a member may end at.
const INSTANTS: u64 = 12;
/// How many fates a datagram has besides arriving in time.
const FATES: u64 = 3;
/// Only every so many-th of the schedules with two faults is run: this test is a quick one.
const PAIRS_STRIDE: usize = 13;

fn small_world() -> Plan {
    let expire = Span::from_secs(9);
    let ticket = TicketSpec {
        name: TicketName::new("t0").expect("a plain name"),
        mode: TicketMode::Automatic,
        expire,
        acquire_after: Span::ZERO,
        timeout: Span::from_secs(1),
        retries: 3,
        renewal: Span::from_millis(4_500),
        weights: Vec::new(),
        rules: Vec::new(),
        has_handler: false,
    };
    let order = Trouble::Admin { ticket: 0, order: Order::Grant, patience: 0 };
    let grant = Disturbance { at: SECOND, target: Target::Member(0), what: order };
    let mut disturbances = vec![grant];
    for instant in 0..INSTANTS {
        for member in 0..3 {
            let what = Trouble::Crash { down: 5 * MILLI, moves: false, clean: false };
            let at = SECOND + instant * 1_501 * MILLI;
            disturbances.push(Disturbance { at, target: Target::Member(member), what });
        }
    }
    Plan {
        seed: 0,
        roles: vec![MemberRole::Site, MemberRole::Site, MemberRole::Arbitrator],
        tickets: vec![ticket],
        keyed: false,
        chaos: 20 * SECOND,
        clocks: vec![[ClockPlan { boot: SECOND, ppm: 0, wall: 0 }; 2]; 3],
        net: NetPlan {
            delay_min: 10 * MILLI,
            delay_max: 10 * MILLI,
            fault_ppm: 1,
            weights: [1, 1, 1, 0],
            late_max: 6 * SECOND,
        },
        store: StorePlan { usual_permille: 50, fault_ppm: 0, weights: [0; 4] },
        handler_ppm: 0,
        timer_ppm: 0,
        split_ppm: 0,
        at_restart_ppm: 0,
        at_leader_ppm: 0,
        at_store_ppm: 0,
        force: false,
        disturbances,
    }
}

fn disturbance(number: usize) -> (FaultId, u64) {
    let n = u32::try_from(number).expect("a short list");
    (FaultId { kind: Kind::Disturbance, a: 0, b: 0, n }, 0)
}

/// Runs one schedule; returns its digest and the datagrams that were sent.
fn run(plan: &Plan, faults: &[(FaultId, u64)]) -> (u64, Vec<FaultId>) {
    let mut script = vec![disturbance(0)];
    script.extend_from_slice(faults);
    let settings =
        Settings { source: Source::Script(script.clone()), record: true, ..Settings::default() };
    let outcome = run_plan(plan.clone(), &settings);
    if let Some(violation) = &outcome.violation {
        let traced = run_plan(plan.clone(), &Settings { trace: true, ..settings });
        let from = traced.lines.len().saturating_sub(60);
        panic!("{violation:?} with {script:?}\n{}", traced.lines[from..].join("\n"));
    }
    let datagrams = outcome.asked.into_iter().filter(|id| id.kind == Kind::Datagram).collect();
    (outcome.digest, datagrams)
}

#[test]
fn every_schedule_of_the_small_world_keeps_the_promise() {
    let plan = small_world();
    let (calm, datagrams) = run(&plan, &[]);
    let mut digests = BTreeSet::from([calm]);
    let late: Vec<(FaultId, u64)> =
        datagrams.iter().flat_map(|id| (0..FATES).map(|fate| (*id, fate))).collect();
    let crashes: Vec<(FaultId, u64)> = (1..plan.disturbances.len()).map(disturbance).collect();
    let mut runs = 1;
    for fault in late.iter().chain(&crashes) {
        digests.insert(run(&plan, &[*fault]).0);
        runs += 1;
    }
    let pairs = crashes.iter().flat_map(|crash| late.iter().map(move |late| [*crash, *late]));
    for pair in pairs.step_by(PAIRS_STRIDE) {
        digests.insert(run(&plan, &pair).0);
        runs += 1;
    }
    println!(
        "{} datagrams with {FATES} fates each, {} restarts; {runs} schedules run, {} different \
         histories, no violation",
        datagrams.len(),
        crashes.len(),
        digests.len(),
    );
    assert!(datagrams.len() > 20, "the small world speaks");
    assert!(digests.len() > runs / 2, "the choices matter");
}
