// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs one seed from its plan to its verdict: chaos, then healing and what must come of it.

use super::checkers::Violation;
use super::choice::{FaultId, Source};
use super::clock::{True, SECOND};
use super::coverage::Coverage;
use super::excuses::Excuses;
use super::panics::{run_watched, Panic};
use super::plan::Plan;
use super::reference::Mix;
use super::script::Script;
use super::world::World;
use booth_core::model::TicketMode;

/// How a seed is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where choices come from.
    pub source: Source,
    /// Text is kept.
    pub trace: bool,
    /// A transcript for `test/scenario` is made.
    pub script: bool,
    /// The faults that happen are remembered.
    pub record: bool,
    /// Ordinary delays do not vary.
    pub calm: bool,
    /// Only a broken promise counts, not an invariant.
    pub only_promise: bool,
    /// Phase two, healing, takes place.
    pub liveness: bool,
    /// No more steps than this.
    pub steps_max: u64,
    /// Who the members are.
    pub mix: Mix,
    /// What is sent from or to a reference member arrives in time or never.
    pub prompt: bool,
    /// Where the run is known to panic.
    pub panics: Option<Panic>,
    /// The step at which an engine shall panic: to prove that it is reported.
    pub plant: Option<u64>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            source: Source::Seed,
            trace: false,
            script: false,
            record: false,
            calm: false,
            only_promise: false,
            liveness: true,
            steps_max: u64::MAX,
            mix: Mix::None,
            prompt: false,
            panics: None,
            plant: None,
        }
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first thing found.
    pub violation: Option<Violation>,
    /// Steps of all engines.
    pub steps: u64,
    /// A digest of all happenings.
    pub digest: u64,
    /// Simulated time in hours, times the tickets.
    pub ticket_hours: f64,
    /// The faults that happened.
    pub taken: Vec<FaultId>,
    /// What happened, as a transcript; [`Settings::script`].
    pub transcript: Option<String>,
    /// What happened, as text.
    pub lines: Vec<String>,
    /// What was excused how often.
    pub excuses: Excuses,
    /// Two sites at once in mixed clusters: how often, how often with a site of ours, and for how
    /// long.
    pub mixed: (u64, u64, True),
    /// A healed cluster with a site that runs the reference stayed without a holder, changed it, or
    /// did not become quiet.
    pub unlive: bool,
    /// Grants in any store.
    pub grants: u64,
    /// How long automatic tickets were held, and could have been, in microseconds.
    pub held: (True, True),
    /// What happened how often.
    pub coverage: Coverage,
    /// Tickets that were granted and lost and found a holder by themselves after healing, and
    /// how many there were.
    pub recovered: (u64, u64),
}

/// Runs a plan.
pub fn run_plan(plan: Plan, settings: &Settings) -> Outcome {
    let tickets = plan.tickets.len() as u64;
    let chaos = plan.chaos;
    let mut world = World::new(plan, settings.source.clone(), settings.trace);
    world.manners = settings.mix.cast(world.plan.seed, &world.plan.roles);
    if world.faithful_among() {
        // The model has none that are manual.
        for spec in &mut world.plan.tickets {
            spec.mode = TicketMode::Automatic;
        }
        world.checks.all_automatic();
    }
    world.checks.ghosts.unmarked = settings.mix != Mix::None;
    world.prompt = settings.prompt;
    world.panics = (settings.panics.clone(), settings.plant);
    world.choices.calm = settings.calm;
    world.checks.only_promise = settings.only_promise;
    if settings.record {
        world.choices.record();
    }
    world.script = settings.script.then(|| Script::new(world.nodes.len()));
    world.set_going();
    world.run_steps(chaos, settings.steps_max);
    let held = held(&world);
    let mut recovered = (0, 0);
    // Where rules have come not to hold, nobody promises a holder.
    let liveness = settings.liveness && !world.plan.worlds.rules_change;
    if liveness && world.checks.violation().is_none() && world.steps < settings.steps_max {
        recovered = world.phase_two();
    }
    world.blame_end();
    let found = world.checks.violation().map(|v| format!("{}: {}", v.code, v.text));
    let transcript = world.transcript(&found.unwrap_or_default());
    let hours = world.now as f64 / (3600 * SECOND) as f64;
    Outcome {
        violation: world.checks.violation().cloned(),
        steps: world.steps,
        digest: world.history.digest(),
        ticket_hours: hours * tickets as f64,
        taken: world.choices.taken().to_vec(),
        transcript,
        lines: world.history.last(usize::MAX),
        excuses: world.checks.excuses,
        grants: world.checks.grants,
        mixed: world.checks.blame.sums(),
        unlive: world.checks.blame.unlive,
        held,
        coverage: world.coverage,
        recovered,
    }
}

fn held(world: &World) -> (True, True) {
    let mut sum = 0;
    let mut whole = 0;
    for ticket in 0..world.plan.tickets.len() {
        if world.checks.asserted(ticket) {
            let open = world.checks.held_since[ticket].map_or(0, |since| world.now - since);
            sum += world.checks.held_sum[ticket] + open;
            whole += world.now;
        }
    }
    (sum, whole)
}

/// Runs a seed.
pub fn run_seed(seed: u64, settings: &Settings) -> Outcome {
    run_watched(&Plan::draw(seed), settings)
}
