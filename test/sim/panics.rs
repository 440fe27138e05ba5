// SPDX-License-Identifier: GPL-2.0-or-later
//! A panic is a finding like any other, in every build. Programs that are released end at a panic
//! (`panic = "abort"`), so it cannot be caught there; but its hook runs. A run takes place in a
//! thread of its own; when it panics, the hook says so to the thread that waits for the run, and
//! the panicking one sleeps for ever. What it has is lost until the program ends, so the runs of a
//! shrinking are fewer then (`shrink.rs`).
//!
//! That thread knows neither the world nor what has happened in it. So the run takes place again,
//! up to the step that panics; there the world reports S0 instead of taking it.

use super::plan::Plan;
use super::runner::{run_plan, Outcome, Settings};
use super::world::World;
use booth_core::engine::{Effect, Event};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, AssertUnwindSafe, PanicHookInfo};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Once;
use std::thread;

/// Where a run panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The step of all engines, counted from 1; 0: before the first.
    pub step: u64,
    /// Whose step, the message, and its place in the source.
    pub text: String,
}

/// How a run ended.
enum Ended {
    Done(Box<Outcome>),
    Panicked(Panic),
}

/// A run that is asked for.
type Job = (Plan, Settings);

/// A thread that takes runs, one after the other.
struct Worker {
    jobs: Sender<Job>,
    ends: Receiver<Ended>,
}

thread_local! {
    /// In a worker: who hears of its end.
    static TELL: RefCell<Option<Sender<Ended>>> = const { RefCell::new(None) };
    /// In a worker: the member that takes a step, and the how-manieth it is.
    static PLACE: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
    /// Where in the source the last panic of this thread was.
    static SOURCE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The worker of a thread that waits.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Runs a plan; a panic of the engine, or of the simulator, is a violation S0.
pub fn run_watched(plan: &Plan, settings: &Settings) -> Outcome {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            SOURCE.set(place(info));
            tell_and_sleep(info);
            before(info);
        }));
    });
    if cfg!(panic = "unwind") {
        // It can be caught. And a thread that sleeps in the hook would keep its lock, for which
        // the end of a test program waits.
        return run_plan(plan.clone(), settings);
    }
    let worker = WORKER.take().unwrap_or_else(start);
    let job = (plan.clone(), settings.clone());
    let ended = match worker.jobs.send(job) {
        Ok(()) => worker.ends.recv().ok(),
        Err(_) => None,
    };
    match ended {
        Some(Ended::Done(outcome)) => {
            WORKER.set(Some(worker));
            *outcome
        }
        Some(Ended::Panicked(panic)) => {
            run_plan(plan.clone(), &Settings { panics: Some(panic), ..settings.clone() })
        }
        // The worker ended without a word: then it is said here.
        None => run_plan(plan.clone(), settings),
    }
}

fn start() -> Worker {
    let (jobs, asked) = channel::<Job>();
    let (tell, ends) = channel();
    thread::spawn(move || {
        TELL.set(Some(tell.clone()));
        for (plan, settings) in asked {
            PLACE.set((0, 0));
            let outcome = Box::new(run_plan(plan, &settings));
            if tell.send(Ended::Done(outcome)).is_err() {
                return;
            }
        }
    });
    Worker { jobs, ends }
}

/// The hook: in a worker it does not return.
fn tell_and_sleep(info: &PanicHookInfo<'_>) {
    let Some(tell) = TELL.take() else { return };
    let message = message(info.payload());
    let place = place(info);
    let (n, step) = PLACE.get();
    let text = format!("m{n} panics in step {step}: {message}{place}");
    if tell.send(Ended::Panicked(Panic { step, text })).is_ok() {
        loop {
            thread::park();
        }
    }
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map_or(String::new(), |at| format!(" ({}:{})", at.file(), at.line()))
}

fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl World {
    /// The step of the engine itself; false: it panics.
    pub fn step_engine(&mut self, n: usize, event: Event, effects: &mut Vec<Effect>) -> bool {
        let (step, node) = (self.steps, &mut self.nodes[n]);
        let Some(engine) = node.engine.as_mut() else { return false };
        let now = node.clocks[node.machine].now(self.now);
        let (known, planted) = &self.panics;
        PLACE.set((n, step));
        let act = || {
            assert!(*planted != Some(step), "planted");
            engine.step(now, event, effects);
        };
        let found = if known.as_ref().is_some_and(|known| known.step == step) {
            known.as_ref().map(|known| known.text.clone())
        } else if TELL.with_borrow(Option::is_some) {
            act();
            None
        } else {
            let caught = catch_unwind(AssertUnwindSafe(act));
            caught.err().map(|panic| {
                format!("m{n} panics in step {step}: {}{}", message(&*panic), SOURCE.take())
            })
        };
        let Some(text) = found else { return true };
        self.nodes[n].engine = None;
        self.fail("S0", text);
        false
    }
}
