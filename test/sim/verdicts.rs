// SPDX-License-Identifier: GPL-2.0-or-later
//! The judge judged: what it must report, it reports, and what it excuses, it excuses no longer
//! than it says.

use booth_core::model::{Holder, MemberRole, Term, TicketSpec};
use booth_core::time::{Span, WallTime};
use booth_sim::clock::{MILLI, SECOND};
use booth_sim::excuses::Excuse;
use booth_sim::hunt::Hunt;
use booth_sim::panics::run_watched;
use booth_sim::plan::{Order, Plan};
use booth_sim::quiet::{held, quiet, three, usual_ticket};
use booth_sim::report::transcript;
use booth_sim::runner::{run_plan, Settings};
use booth_sim::shrink::shrink;
use booth_sim::soak::{next_seed, pieces, soak, sums, Piece};
use booth_sim::store::Entry;
use booth_sim::world::World;

/// A store comes to say granted, or revoked, whatever the engines think.
fn store(world: &mut World, site: usize, granted: bool) {
    let owner = Holder::Member(world.ids[site]);
    let before = world.sites[site].granted(0);
    let expires = WallTime::from_secs(0);
    world.sites[site].entries[0] = Some(Entry { granted, owner, term: Term::new(1), expires });
    world.check_store(site, 0, before);
}

fn code(world: &World) -> Option<&'static str> {
    world.checks.violation().map(|violation| violation.code)
}

/// A world whose first site holds the ticket, with this `acquire-after`.
fn held_with(acquire_after: Span) -> World {
    held(quiet(7, three(), vec![TicketSpec { acquire_after, ..usual_ticket() }]))
}

#[test]
fn two_stores_that_say_granted_are_found() {
    let mut world = held_with(Span::ZERO);
    store(&mut world, 1, true);
    assert_eq!(code(&world), Some("S1"));
}

/// Condition 5: for as long as a lease from before the override may live, and no longer.
#[test]
fn an_override_is_an_excuse_until_the_leases_from_before_have_ended() {
    let most = |spec: &TicketSpec| spec.timeout.plus(spec.patience()).plus(spec.expire);
    let after = most(&usual_ticket()).as_micros();
    // The end is seen when something happens after it: at the next renewal.
    let renewal = usual_ticket().renewal.as_micros();
    for (pause, found) in [(after * 9 / 10, None), (after * 11 / 10 + renewal, Some("S1"))] {
        let mut world = held_with(Span::ZERO);
        // The site that holds it refuses: nothing comes of the order.
        world.order(0, 0, Order::Force, 0);
        world.run(world.now + pause);
        store(&mut world, 1, true);
        assert_eq!(code(&world), found, "after {} s", pause / SECOND);
        assert_eq!(world.checks.excuses.count(Excuse::Override), u64::from(found.is_none()));
    }
}

/// Two that hold when the time of an override is over are still its work for two leases, or until
/// one lets go.
#[test]
fn an_override_is_an_excuse_until_one_site_at_most_holds() {
    let spec = usual_ticket();
    let over = spec.timeout.plus(spec.patience()).plus(spec.expire.times(2)).as_micros();
    let mut world = held_with(Span::ZERO);
    world.order(0, 0, Order::Force, 0);
    world.run(world.now + SECOND);
    store(&mut world, 1, true);
    world.run(world.now + over);
    store(&mut world, 1, false);
    store(&mut world, 1, true);
    assert_eq!(code(&world), None, "it has never been judged again");
    store(&mut world, 1, false);
    world.run(world.now + 60 * SECOND);
    store(&mut world, 1, true);
    assert_eq!(code(&world), Some("S1"), "the first one alone held for a while");
}

/// Condition 4: until boothd has run for the time of a read and a revoke, and no longer.
#[test]
fn a_dead_machine_is_an_excuse_until_boothd_has_run_there_for_long_enough() {
    let mut world = held_with(Span::ZERO);
    let guard = usual_ticket().guard().as_micros();
    world.machine_dies(0, 200 * SECOND, false);
    let start = world.now + 200 * SECOND;
    assert!(world.run_until_granted(0, 0b10, 100 * SECOND).is_some(), "the other takes over");
    assert_eq!(world.checks.excuses.count(Excuse::DeadMachine), 1);
    // It starts after g, reads and revokes; then somebody makes its store say granted again.
    world.run(start + 3 * guard + 2 * SECOND);
    assert_eq!(code(&world), None);
    assert!(!world.sites[0].granted(0), "revoked when boothd runs again");
    store(&mut world, 0, true);
    assert_eq!(code(&world), Some("S1"), "no machine is dead any more");
}

/// What the dead guard was told had not passed yet: a second holder is no dead machine's fault.
#[test]
fn a_dead_machine_excuses_nobody_who_takes_the_ticket_within_its_lease() {
    let mut world = held_with(Span::ZERO);
    world.machine_dies(0, 200 * SECOND, false);
    world.run(world.now + SECOND);
    store(&mut world, 1, true);
    assert_eq!(code(&world), Some("S1"));
}

#[test]
fn resources_that_have_no_time_to_stop_are_found() {
    let after = Span::from_secs(20);
    for (pause, found) in [(19 * SECOND, Some("S11")), (21 * SECOND, None)] {
        let mut world = held_with(after);
        store(&mut world, 0, false);
        let now = world.now;
        world.now = now + pause;
        store(&mut world, 1, true);
        assert_eq!(code(&world), found, "after {} s", pause / SECOND);
    }
    let mut world = held_with(after);
    store(&mut world, 0, false);
    store(&mut world, 0, true);
    assert_eq!(code(&world), None, "from a site to itself nothing is waited for");
}

/// A holder ends for good, and no handler ever agrees elsewhere: V4. With handlers that agree,
/// nothing is found.
#[test]
fn a_lost_ticket_that_nobody_takes_is_found() {
    let ticket = TicketSpec { has_handler: true, ..usual_ticket() };
    let mut found = 0;
    for seed in 0..24 {
        for ill in [0b110, 0] {
            let mut world = held(quiet(seed, three(), vec![ticket.clone()]));
            world.ill = ill;
            world.phase_two();
            let lost = code(&world) == Some("V4");
            assert!(lost || code(&world).is_none(), "{:?}", world.checks.violation());
            assert!(!lost || ill > 0, "handlers that agree, seed {seed}");
            found += u32::from(lost);
        }
    }
    assert!(found > 3, "the holder is left outside in some runs");
}

/// As many members as there can be.
#[test]
fn sixteen_members_are_judged() {
    let mut roles = vec![MemberRole::Site; 9];
    roles.extend(vec![MemberRole::Arbitrator; 7]);
    for seed in 1..4 {
        let plan = Plan::draw_for(seed, roles.clone(), vec![usual_ticket()]);
        let outcome = run_plan(plan, &Settings::default());
        assert!(outcome.grants > 0, "seed {seed}");
        assert_eq!(outcome.violation, None, "seed {seed}");
    }
}

/// In a build that ends at a panic, too: that is how programs are released.
#[test]
fn a_panic_is_reported_with_its_step_shrunk_and_written_as_a_transcript() {
    let settings = Settings { plant: Some(200), ..Settings::default() };
    let plan = Hunt::Bare.draw(3);
    let outcome = run_watched(&plan, &settings);
    let violation = outcome.violation.expect("it panics");
    assert_eq!((violation.code, outcome.steps), ("S0", 200));
    let text = &violation.text;
    assert!(text.contains("panics in step 200: planted (") && text.contains(".rs:"), "{text}");
    let small = shrink(&plan, &settings).expect("it fails again");
    assert_eq!(small.outcome.violation.as_ref().map(|found| found.code), Some("S0"));
    assert!(small.outcome.lines.last().is_some_and(|line| line.contains("VIOLATION S0")));
    let transcript = transcript(&small, "a command");
    assert!(transcript.contains("S0: m") && transcript.lines().count() > 20, "{transcript}");
    let calm = Settings::default();
    assert_eq!(run_watched(&plan, &calm).digest, run_plan(plan, &calm).digest, "no other run");
}

/// Nobody hears that a process is stopped.
#[test]
fn a_guard_that_is_told_late_has_its_time_to_revoke() {
    let mut world = held_with(Span::ZERO);
    world.machine_dies(0, MILLI, false);
    world.run(world.now + SECOND);
    let guard = usual_ticket().guard().as_micros();
    world.told_again(0, 0, world.now - 1, 0);
    assert!(world.unwatched(0, 0), "the guard has not revoked yet");
    world.run(world.now + guard * 102 / 100);
    assert!(!world.unwatched(0, 0), "it has had its time");
}

/// A soak continues where the file ends, and counts what is the engine's own.
#[test]
fn a_soak_continues_where_it_ended_and_says_both_sums() {
    let old = "# a comment\n1 40 1000 00000000000000ff abc1234 clean\n\
               41 90 2000 000000000000000a def5678 ordinary 77: S1 t0 is granted at [0, 1]\n\
               91 95 4000 000000000000000b def5678+ clean\n";
    let known = pieces(old).expect("three pieces");
    assert_eq!(known.iter().map(Piece::line).collect::<String>(), old[12..]);
    assert_eq!((next_seed(&known), next_seed(&[])), (96, 1));
    let text = sums(&known, "def5678");
    let (own, all) = text.split_once('\n').expect("two lines");
    assert!(own.ends_with("(def5678): 2000 steps in 1 pieces, 1 of them not clean"), "{text}");
    assert!(all.ends_with("all engines: 7000 steps in 3 pieces, 1 of them not clean"), "{text}");
    assert!(sums(&known, "def5678+").contains("(def5678+): 0 steps"), "it is nobody's");
    assert!(pieces("1 2 three 4 5 clean\n").is_err());
}

#[test]
fn a_soak_runs_no_seed_twice_and_ends_at_a_violation() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("SOAK");
    let mut seen = Vec::new();
    for plant in [None, None, Some(50)] {
        let settings = Settings { plant, ..Settings::default() };
        let run = |seed| {
            seen.push(seed);
            vec![("bare".to_owned(), run_watched(&Hunt::Bare.draw(seed), &settings))]
        };
        let clean = soak(&file, "abc1234", (2, 1), run).expect("it can be written");
        assert_eq!(clean, plant.is_none());
    }
    assert_eq!(seen, [1, 2, 3, 4, 5], "two pieces, two pieces, and one that ends it");
    let known = pieces(&std::fs::read_to_string(&file).expect("a file")).expect("pieces");
    assert_eq!((known.len(), next_seed(&known)), (5, 6));
    assert!(known[4].verdict.starts_with("bare 5: S0 m"), "{:?}", known[4]);
    assert!(!file.with_extension("lock").exists(), "it is given back");
    std::fs::write(file.with_extension("lock"), "1").expect("another's");
    assert!(soak(&file, "abc1234", (1, 1), |_| Vec::new()).is_err(), "another soak runs");
}
