// SPDX-License-Identifier: GPL-2.0-or-later
//! Long runs by hand: `cargo run --release --example sim -- --help`.

use booth_sim::hunt::Hunt;
use booth_sim::panics::run_watched;
use booth_sim::plan::Plan;
use booth_sim::reference::Mode;
use booth_sim::report::totals_of;
use booth_sim::report::{failure, plan_text, transcript, Totals};
use booth_sim::runner::Settings;
use booth_sim::shrink::shrink;
use std::time::Instant;

const HELP: &str = "The simulator: the engine that ships under random faults.

  --seed N      the first seed (1)
  --seeds N     how many seeds (1000; with --ticks: as many as it takes)
  --ticks N     engine steps in all
  --family NAME run only `ordinary` plans, or the aimed ones of one family (bare, duel, reboot,
                quit, again, late, clock, pair, orphan, sick, word, keeper), or `aimed`: all of
                those; otherwise each seed runs its ordinary plan and the aimed one whose turn it is
  --plan        print the plan of the seed and end
  --trace       print everything that happens in the seed
  --promise     only a broken promise (S1, S2, V1..V3) counts, not an invariant
  --holders     only two holders (S1, S2) count, and nothing is healed
  --scenario F  write a failure, shrunk, as a transcript for test/scenario to the file F
  --lines N     how many lines of a failure are printed (50)
  --no-shrink   print only the seeds that fail
  --keep-on     go on after a failure
  --mixed MODE  some members speak as the reference: rules (they keep the rules, their packets
                come in time), rules-late (packets of any age)
                faithful (the reference as it is); arbitrators, one-site, sites, all: it runs
                there and nowhere else
  --compare     the seeds in each of these positions: how often two sites held a ticket at once
  --soak N      N pieces of --ticks steps each (50 million), with seeds that were never run, and
                a line for each in test/sim/SOAK
  --plant-panic N  an engine panics in the N-th step of each run: to see what is printed then
  --replay F    run the transcript in the file F; print how many stores have the ticket then
";

/// The steps of a piece of a soak.
const SOAK_STEPS: u64 = 50_000_000;

#[derive(Debug)]
struct Options {
    seed: u64,
    seeds: u64,
    ticks: Option<u64>,
    plan: bool,
    trace: bool,
    shrink: bool,
    lines: usize,
    keep_on: bool,
    family: Option<String>,
    scenario: Option<String>,
    replay: Option<String>,
    mode: Option<Mode>,
    compare: bool,
    soak: Option<u64>,
    settings: Settings,
}

fn main() -> std::process::ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}\n{HELP}");
            return std::process::ExitCode::FAILURE;
        }
    };
    if let Some(file) = &options.replay {
        return replay(file);
    }
    if options.plan || options.trace {
        let mut clean = true;
        for (name, plan) in plans(&options, options.seed) {
            println!("{name}");
            clean &= show(&options, plan);
        }
        return if clean {
            std::process::ExitCode::SUCCESS
        } else {
            std::process::ExitCode::FAILURE
        };
    }
    if options.compare {
        return compare(&options);
    }
    let Some(count) = options.soak else { return run_many(&options) };
    match soak(&options, count) {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(text) => {
            eprintln!("{text}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Runs a transcript.
fn replay(file: &str) -> std::process::ExitCode {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            println!("{} holders", booth_sim::scenario::lab::holders_at_the_end(&text));
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{file}: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Runs pieces of a soak. False: there was a violation.
fn soak(options: &Options, count: u64) -> Result<bool, String> {
    let steps = options.ticks.unwrap_or(SOAK_STEPS);
    let run = |seed| {
        let all = plans(options, seed).into_iter();
        all.map(|(name, plan)| (name, run_watched(&plan, &options.settings))).collect()
    };
    // What was built is what the tree says now; it may change while this runs.
    let commit = booth_sim::soak::engine_commit();
    let file = booth_sim::soak::FILE.as_ref();
    let done = commit.and_then(|commit| booth_sim::soak::soak(file, &commit, (count, steps), run));
    done.map_err(|error| error.to_string())
}

/// The same seeds with the reference in each position. Fails where a mixed cluster had two holders
/// more often than one that runs the reference alone.
fn compare(options: &Options) -> std::process::ExitCode {
    let seeds = options.seed..options.seed + options.seeds;
    let mut worse = false;
    let mut most = None;
    for mode in Mode::POSITIONS {
        let totals = totals_of(mode, seeds.clone());
        println!("{:>12}: {}", mode.name(), totals.mixed_text());
        let (runs, times, _, _) = totals.mixed;
        let (most_runs, most_times) = *most.get_or_insert((runs, times));
        worse |= runs > most_runs || times > most_times || totals.violations > 0;
    }
    if worse {
        std::process::ExitCode::FAILURE
    } else {
        std::process::ExitCode::SUCCESS
    }
}

/// Prints a plan, or everything that happens in it. False: there was a violation.
fn show(options: &Options, plan: Plan) -> bool {
    if options.plan {
        print!("{}", plan_text(&plan));
        return true;
    }
    let steps_max = options.ticks.unwrap_or(u64::MAX);
    let settings = Settings { trace: true, steps_max, ..options.settings.clone() };
    let outcome = run_watched(&plan, &settings);
    for line in &outcome.lines {
        println!("{line}");
    }
    println!("{:?}", outcome.violation);
    outcome.violation.is_none()
}

/// What a person needs to know of a failure.
fn tell(options: &Options, plan: &Plan, settings: &Settings, name: &str) {
    if !options.shrink {
        return;
    }
    let plant = options.settings.plant.map(|step| format!(" --plant-panic {step}"));
    let mixed = options.mode.map(|mode| format!(" --mixed {}", mode.name()));
    let command = format!(
        "cargo run --release --example sim -- --family {name} --seed {} --seeds 1{}{}",
        plan.seed,
        mixed.unwrap_or_default(),
        plant.unwrap_or_default(),
    );
    let Some(small) = shrink(plan, settings) else {
        println!("the seed does not fail any more");
        return;
    };
    println!("{}", failure(&small, &command, options.lines));
    let transcript = transcript(&small, &command);
    match &options.scenario {
        None => println!("{transcript}"),
        Some(file) => match std::fs::write(file, transcript) {
            Ok(()) => println!("the transcript is in {file}"),
            Err(error) => println!("{file}: {error}"),
        },
    }
}

fn run_many(options: &Options) -> std::process::ExitCode {
    let start = Instant::now();
    let mut totals = Totals::default();
    let mut seed = options.seed;
    loop {
        let enough = match options.ticks {
            Some(ticks) => totals.steps >= ticks,
            None => seed - options.seed >= options.seeds,
        };
        if enough {
            break;
        }
        let mut failed = false;
        for (name, plan) in plans(options, seed) {
            let left = options.ticks.map_or(u64::MAX, |ticks| ticks.saturating_sub(totals.steps));
            let settings = Settings { steps_max: left, ..options.settings.clone() };
            let outcome = run_watched(&plan, &settings);
            totals.add(&outcome);
            if let Some(violation) = &outcome.violation {
                println!("{name} {seed}: {} {}", violation.code, violation.text);
                tell(options, &plan, &settings, &name);
                failed = true;
            }
        }
        if failed && !options.keep_on {
            break;
        }
        seed += 1;
    }
    println!("{}", totals.text(start.elapsed()));
    if options.mode.is_some() {
        println!("{}", totals.mixed_text());
    }
    if totals.violations == 0 {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// A family that exists.
fn family(name: Option<String>) -> Result<String, String> {
    let name = name.ok_or("--family needs a name")?;
    let known = Hunt::named(&name).is_some() || name == "ordinary" || name == "aimed";
    known.then_some(name.clone()).ok_or(format!("there is no family {name:?}"))
}

/// The plans of a seed, with the option that chooses each.
fn plans(options: &Options, seed: u64) -> Vec<(String, Plan)> {
    let wanted = match (&options.family, options.mode) {
        (Some(wanted), _) => wanted,
        (None, Some(_)) => return vec![("ordinary".to_owned(), Plan::draw(seed))],
        (None, None) => return booth_sim::hunt::plans(seed).to_vec(),
    };
    let plan = match Hunt::named(wanted) {
        Some(hunt) => hunt.draw(seed),
        None if wanted == "aimed" => Hunt::of(seed).draw(seed),
        None => Plan::draw(seed),
    };
    vec![(wanted.clone(), plan)]
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seed: 1,
        seeds: 1000,
        ticks: None,
        plan: false,
        trace: false,
        shrink: true,
        lines: 50,
        keep_on: false,
        family: None,
        scenario: None,
        replay: None,
        mode: None,
        compare: false,
        soak: None,
        settings: Settings::default(),
    };
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, String> {
            let text = args.next().ok_or(format!("{arg} needs a number"))?;
            text.parse().map_err(|_| format!("{arg}: {text:?} is no number"))
        };
        match arg.as_str() {
            "--help" => return Err(String::new()),
            "--seed" => options.seed = number()?,
            "--seeds" => options.seeds = number()?,
            "--ticks" => options.ticks = Some(number()?),
            "--lines" => options.lines = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--plan" => options.plan = true,
            "--trace" => options.trace = true,
            "--mixed" => {
                let name = args.next().unwrap_or_default();
                let mode = Mode::named(&name).ok_or("--mixed needs a mode")?;
                let Settings { only_promise, plant, .. } = options.settings;
                options.mode = Some(mode);
                options.settings = Settings { only_promise, plant, ..mode.settings() };
            }
            "--plant-panic" => options.settings.plant = Some(number()?),
            "--soak" => options.soak = Some(number()?),
            "--compare" => options.compare = true,
            "--promise" => options.settings.only_promise = true,
            "--no-shrink" => options.shrink = false,
            "--keep-on" => options.keep_on = true,
            "--scenario" => options.scenario = Some(args.next().ok_or("--scenario needs a file")?),
            "--family" => options.family = Some(family(args.next())?),
            "--holders" => {
                options.settings.only_promise = true;
                options.settings.liveness = false;
            }
            "--replay" => options.replay = Some(args.next().ok_or("--replay needs a file")?),
            _ => return Err(format!("what is {arg:?}?")),
        }
    }
    let part = options.family.is_some() || options.mode.is_some() || options.settings.only_promise;
    if options.soak.is_some() && part {
        return Err("--soak runs everything: its account would not say what was left out".into());
    }
    if options.seeds == 0 || options.ticks == Some(0) || options.soak == Some(0) {
        return Err("nothing would be run".into());
    }
    Ok(options)
}
