// SPDX-License-Identifier: GPL-2.0-or-later
//! Random words, ends and pauses, beside a model of the store and of a boothd that keeps to the
//! engine's contract.

use super::*;
use crate::prng::Prng;
use std::collections::BTreeMap;

const TICKETS: usize = 3;
const G_MS: u64 = G * 1000;

/// A process of the store's tool.
#[derive(Debug)]
struct Process {
    job: JobId,
    place: Place,
    change: Option<Change>,
    /// When it takes effect; `None`: not, or it has.
    effect_at: Option<u64>,
    /// When it ends by itself; `None`: it hangs.
    end_at: Option<u64>,
    end: JobEnd,
    killed: bool,
}

struct Model {
    bench: Bench,
    dice: Prng,
    seed: u64,
    /// Whether every call ends well within *g*, as condition 2 of the promise wants.
    well: bool,
    running: Vec<Process>,
    /// What may still take effect after its process has gone.
    late: Vec<Process>,
    granted: [bool; TICKETS],
    /// The latest change that took effect.
    effect: [JobId; TICKETS],
    window: [Option<HoldWindow>; TICKETS],
    /// Until when a window that was told is the keeper's business.
    due: [Option<u64>; TICKETS],
    renewed: [u64; TICKETS],
    serial: u64,
    open: BTreeMap<u64, (usize, bool)>,
}

impl Model {
    fn new(seed: u64, well: bool, store: StoreKind) -> Model {
        Model {
            bench: Bench::new(store, TICKETS),
            dice: Prng::new(seed),
            seed,
            well,
            running: Vec::new(),
            late: Vec::new(),
            granted: [false; TICKETS],
            effect: [JobId(0); TICKETS],
            window: [None; TICKETS],
            due: [None; TICKETS],
            renewed: [0; TICKETS],
            serial: 0,
            open: BTreeMap::new(),
        }
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.dice.below(12) {
                0..=2 => self.hold_and_grant(),
                3 => self.revoke(),
                4 if self.dice.below(20) == 0 => self.take_over(),
                _ => {
                    let longest = [20, 500, 6000][self.dice.below(3) as usize];
                    let until = self.bench.now + self.dice.below(longest);
                    self.pass(until);
                }
            }
            self.perform();
        }
    }

    fn hold_and_grant(&mut self) {
        let ticket = self.dice.below(TICKETS as u64) as usize;
        let revoking = self.open.values().any(|(of, grants)| *of == ticket && !grants);
        if revoking && self.dice.below(3) > 0 {
            return;
        }
        let hold = self.bench.now / 1000 + 3 * G + self.dice.below(10);
        let window = window(hold);
        if self.window[ticket].is_some_and(|old| old.hold_until > window.hold_until) {
            return;
        }
        self.tell(ticket, Some(window));
        self.perform();
        self.wish(ticket, true);
    }

    fn tell(&mut self, ticket: usize, window: Option<HoldWindow>) {
        self.window[ticket] = window;
        self.due[ticket] = window.map(|window| window.hold_until.as_micros() / 1000);
        self.renewed[ticket] = self.bench.now;
        self.bench.hold(ticket, window, 1);
    }

    fn wish(&mut self, ticket: usize, granted: bool) {
        self.serial += 1;
        self.open.insert(self.serial, (ticket, granted));
        self.bench.write(ticket, self.serial, state(granted, 1));
    }

    fn revoke(&mut self) {
        let ticket = self.dice.below(TICKETS as u64) as usize;
        self.wish(ticket, false);
    }

    fn take_over(&mut self) {
        self.open.clear();
        self.bench.take_over(TICKETS);
    }

    /// Lets time pass, event by event.
    fn pass(&mut self, until: u64) {
        for _ in 0..100_000 {
            let effects = self.running.iter().chain(&self.late).filter_map(|p| p.effect_at);
            let ends = self.running.iter().filter_map(|process| process.end_at);
            let deadline = self.bench.keeper.next_deadline();
            let deadline = deadline.map(|at| at.as_micros().div_ceil(1000).max(self.bench.now));
            let next = effects.chain(ends).chain(deadline).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.bench.now = self.bench.now.max(next);
            self.happen();
        }
        self.bench.now = until;
        self.bench.step(Input::Tick);
        let left = self.bench.keeper.next_deadline();
        assert!(left.is_none_or(|at| at > millis(until)), "seed {}: it never passes", self.seed);
        self.perform();
    }

    fn happen(&mut self) {
        let now = self.bench.now;
        for process in self.running.iter_mut().chain(&mut self.late) {
            if process.effect_at.is_some_and(|at| at <= now) {
                process.effect_at = None;
                let ticket = process.place.0 as usize;
                // A change that began later has taken effect: this one did unseen before it.
                if process.change.is_some() && process.job >= self.effect[ticket] {
                    self.effect[ticket] = process.job;
                    match process.change {
                        Some(Change::Grant { .. }) => self.granted[ticket] = true,
                        Some(Change::Revoke(_)) => self.granted[ticket] = false,
                        Some(Change::Attr(_)) | None => {}
                    }
                }
            }
        }
        self.late.retain(|process| process.effect_at.is_some());
        if let Some(at) = self.running.iter().position(|p| p.end_at.is_some_and(|at| at <= now)) {
            let mut process = self.running.remove(at);
            let end = match (process.killed, process.change.is_some()) {
                (true, _) => JobEnd::Killed,
                (false, false) => JobEnd::Looked(CibLoad::Failed("a model".to_owned())),
                (false, true) => process.end.clone(),
            };
            let (job, place) = (process.job, process.place);
            if process.killed && process.effect_at.is_some() {
                process.end_at = None;
                self.late.push(process);
            }
            self.bench.step(Input::Ended(job, vec![(place, end)]));
        } else {
            self.bench.step(Input::Tick);
        }
        self.perform();
    }

    fn perform(&mut self) {
        let now = self.bench.now;
        for output in std::mem::take(&mut self.bench.out) {
            match output {
                Output::Start(job, work) => self.start(job, work),
                Output::Kill(job) => self.kill(job),
                Output::Say(Answer::Written { serial, outcome, .. }) => {
                    let open = self.open.remove(&serial.0);
                    let (ticket, granted) =
                        open.unwrap_or_else(|| panic!("seed {}: {serial:?} twice", self.seed));
                    let newest = !self.open.values().any(|(of, _)| *of == ticket);
                    if !granted && outcome == CibOutcome::Written && newest {
                        assert!(!self.granted[ticket], "seed {}: {now}: not revoked", self.seed);
                        self.tell(ticket, None);
                    }
                }
                Output::Say(_) | Output::Tell(_) | Output::Note(..) => {}
            }
        }
        for ticket in 0..TICKETS {
            let over = self.due[ticket].is_some_and(|due| now > due + G_MS);
            let bad = self.well && over && self.granted[ticket];
            assert!(!bad, "seed {}: {now}: t{ticket} is granted after its window", self.seed);
        }
        if !self.bench.out.is_empty() {
            self.perform();
        }
    }

    fn start(&mut self, job: JobId, work: Work) {
        let changes: Vec<(Place, Option<Change>)> = match work {
            Work::Change(changes) => changes.into_iter().map(|(p, c)| (p, Some(c))).collect(),
            Work::Look(places) => places.into_iter().map(|place| (place, None)).collect(),
        };
        assert_eq!(changes.len(), 1, "so few tickets need no job for many");
        for (place, change) in changes {
            self.check_start(place, change.as_ref());
            let process = self.course(job, place, change);
            self.running.push(process);
        }
    }

    fn check_start(&self, place: Place, change: Option<&Change>) {
        let (now, seed) = (self.bench.now, self.seed);
        let same = |process: &&Process| process.place == place;
        let alive = self.running.iter().filter(same).filter(|process| process.change.is_some());
        match change {
            Some(Change::Grant { start_before, .. }) => {
                assert!(start_before.is_some_and(|at| millis(now) < at), "seed {seed}: late");
                assert_eq!(alive.count(), 0, "seed {seed}: {now}: a grant beside another change");
                let revokes = self.late.iter().filter(same);
                let count = revokes.filter(|p| matches!(p.change, Some(Change::Revoke(_)))).count();
                assert_eq!(count, 0, "seed {seed}: {now}: a revoke may still take effect");
            }
            Some(Change::Revoke(_)) => {
                let mut grants = alive.filter(|p| !matches!(p.change, Some(Change::Revoke(_))));
                assert!(grants.all(|p| p.killed), "seed {seed}: {now}: a revoke beside a grant");
            }
            Some(Change::Attr(_)) | None => {}
        }
    }

    /// How a process goes.
    fn course(&mut self, job: JobId, place: Place, change: Option<Change>) -> Process {
        let begun = self.bench.now;
        let dice = &mut self.dice;
        let quick = dice.below(G_MS * 8 / 10);
        let (effect, end, success) = match dice.below(if self.well { 4 } else { 8 }) {
            0..=3 => (Some(dice.below(quick + 1)), Some(quick), true),
            4 => (None, Some(quick), false),
            5 => (Some(dice.below(quick + 1)), Some(quick), false),
            6 => {
                let end = dice.below(10 * G_MS);
                (Some(dice.below(end + 1)), Some(end), true)
            }
            _ => (None, None, false),
        };
        let failed = JobEnd::Failed("a model".to_owned());
        Process {
            job,
            place,
            change,
            effect_at: effect.map(|after| begun + after),
            end_at: end.map(|after| begun + after),
            end: if success { JobEnd::Done } else { failed },
            killed: false,
        }
    }

    fn kill(&mut self, job: JobId) {
        let now = self.bench.now;
        let Some(at) = self.running.iter().position(|process| process.job == job) else { return };
        let place = self.running[at].place;
        let revokes = self.running.iter().filter(|process| {
            process.place == place && matches!(process.change, Some(Change::Revoke(_)))
        });
        let count = revokes.count();
        let process = &mut self.running[at];
        if matches!(process.change, Some(Change::Revoke(_))) {
            let done = !self.granted[place.0 as usize] || count >= 8;
            assert!(done, "seed {}: {now}: a revoke is killed for being slow", self.seed);
        }
        process.killed = true;
        process.end_at = Some(now + self.dice.below(100));
        // What it had handed on takes effect within g, or not at all.
        process.effect_at = process.effect_at.map(|at| at.min(now + self.dice.below(G_MS)));
    }

    /// The store gets well, boothd is gone: in the end everything is revoked and over.
    fn rest(&mut self) {
        self.well = false;
        let seed = self.seed;
        for process in &mut self.running {
            process.end_at = process.end_at.or(Some(self.bench.now));
        }
        let mut heal = Model::new(seed, true, StoreKind::Cib);
        std::mem::swap(&mut heal.bench, &mut self.bench);
        std::mem::swap(&mut heal.running, &mut self.running);
        std::mem::swap(&mut heal.late, &mut self.late);
        (heal.granted, heal.effect, heal.open) = (self.granted, self.effect, self.open.clone());
        let until = heal.bench.now + 300_000;
        heal.pass(until);
        for (ticket, window) in self.window.iter().enumerate() {
            let free = !heal.granted[ticket] || window.is_none();
            assert!(free, "seed {seed}: t{ticket} is never revoked");
        }
        assert_eq!(heal.bench.keeper.running(), 0, "seed {seed}");
        let end = millis(heal.bench.now);
        assert!(!heal.bench.keeper.is_needed(end), "seed {seed}: it never ends");
        assert!(heal.open.is_empty(), "seed {seed}: unanswered: {:?}", heal.open);
    }
}

#[test]
fn with_a_store_that_is_well_no_window_is_overrun() {
    for seed in 0..1500 {
        let store = if seed % 2 == 0 { StoreKind::Cib } else { StoreKind::Directory };
        let mut model = Model::new(seed, true, store);
        model.run(300);
        model.rest();
    }
}

#[test]
fn with_a_sick_store_the_order_is_kept_and_all_is_revoked_in_the_end() {
    for seed in 10_000..11_500 {
        let mut model = Model::new(seed, false, StoreKind::Cib);
        model.run(300);
        model.rest();
    }
}
