// SPDX-License-Identifier: GPL-2.0-or-later
//! Random words, ends and pauses, beside a model of the store and of a boothd that keeps to the
//! engine's contract.

use super::*;
use crate::prng::Prng;
use std::collections::BTreeMap;

/// Too few for jobs that change many at once.
const FEW: usize = 3;
/// Enough.
const MANY: usize = 20;
const G_MS: u64 = G * 1000;

/// A process of the store's tool.
#[derive(Debug)]
struct Process {
    job: JobId,
    parts: Vec<(Place, Option<Change>)>,
    /// When it takes effect; `None`: not, or it has.
    effect_at: Option<u64>,
    /// When it ends by itself; `None`: it hangs.
    end_at: Option<u64>,
    end: JobEnd,
    killed: bool,
}

impl Process {
    /// What it does to a ticket; `None`: nothing, or it looks.
    fn change_of(&self, ticket: Place) -> Option<&Change> {
        let (_, change) = self.parts.iter().find(|(place, _)| *place == ticket)?;
        change.as_ref()
    }

    fn revokes(&self, ticket: Place) -> bool {
        matches!(self.change_of(ticket), Some(Change::Revoke(_)))
    }
}

struct Model {
    tickets: usize,
    /// How many jobs were for more than one.
    shared: usize,
    bench: Bench,
    dice: Prng,
    seed: u64,
    /// Whether every call ends well within *g*, as condition 2 of the promise wants.
    well: bool,
    running: Vec<Process>,
    /// What may still take effect after its process has gone.
    late: Vec<Process>,
    granted: Vec<bool>,
    /// The latest change that took effect.
    effect: Vec<JobId>,
    window: Vec<Option<HoldWindow>>,
    /// Until when a window that was told is the keeper's business.
    due: Vec<Option<u64>>,
    renewed: Vec<u64>,
    serial: u64,
    open: BTreeMap<u64, (usize, bool)>,
}

impl Model {
    fn new(seed: u64, well: bool, store: StoreKind, tickets: usize) -> Model {
        Model {
            tickets,
            shared: 0,
            bench: Bench::new(store, tickets),
            dice: Prng::new(seed),
            seed,
            well,
            running: Vec::new(),
            late: Vec::new(),
            granted: vec![false; tickets],
            effect: vec![JobId(0); tickets],
            window: vec![None; tickets],
            due: vec![None; tickets],
            renewed: vec![0; tickets],
            serial: 0,
            open: BTreeMap::new(),
        }
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.dice.below(12) {
                0..=2 if self.tickets == MANY => {
                    // As when many are renewed at once.
                    (0..MANY).for_each(|ticket| self.hold_and_grant(ticket));
                }
                0..=2 => {
                    let ticket = self.any();
                    self.hold_and_grant(ticket);
                }
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

    fn any(&mut self) -> usize {
        self.dice.below(self.tickets as u64) as usize
    }

    fn hold_and_grant(&mut self, ticket: usize) {
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
        let ticket = self.any();
        self.wish(ticket, false);
    }

    fn take_over(&mut self) {
        self.open.clear();
        self.bench.take_over(self.tickets);
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
                for (place, change) in &process.parts {
                    let ticket = place.0;
                    // A change that began later has taken effect: this one did unseen before it.
                    if change.is_some() && process.job >= self.effect[ticket] {
                        self.effect[ticket] = process.job;
                        match change {
                            Some(Change::Grant { .. }) => self.granted[ticket] = true,
                            Some(Change::Revoke(_)) => self.granted[ticket] = false,
                            Some(Change::Attr(_)) | None => {}
                        }
                    }
                }
            }
        }
        self.late.retain(|process| process.effect_at.is_some());
        if let Some(at) = self.running.iter().position(|p| p.end_at.is_some_and(|at| at <= now)) {
            let mut process = self.running.remove(at);
            let end = |changes| match (process.killed, changes) {
                (true, _) => JobEnd::Killed,
                (false, false) => JobEnd::Looked(CibLoad::Failed("a model".to_owned())),
                (false, true) => process.end.clone(),
            };
            let job = process.job;
            let ends = process.parts.iter().map(|(place, change)| (*place, end(change.is_some())));
            let ends = ends.collect();
            if process.killed && process.effect_at.is_some() {
                process.end_at = None;
                self.late.push(process);
            }
            self.bench.step(Input::Ended(job, ends));
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
        for ticket in 0..self.tickets {
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
        assert!(changes.len() == 1 || self.tickets == MANY, "so few need no job for many");
        self.shared += usize::from(changes.len() > 1);
        for (place, change) in &changes {
            self.check_start(*place, change.as_ref());
        }
        let process = self.course(job, changes);
        self.running.push(process);
    }

    fn check_start(&self, place: Place, change: Option<&Change>) {
        let (now, seed) = (self.bench.now, self.seed);
        let alive = self.running.iter().filter(|process| process.change_of(place).is_some());
        match change {
            Some(Change::Grant { start_before, .. }) => {
                assert!(start_before.is_some_and(|at| millis(now) < at), "seed {seed}: late");
                assert_eq!(alive.count(), 0, "seed {seed}: {now}: a grant beside another change");
                let revokes = self.late.iter().any(|process| process.revokes(place));
                assert!(!revokes, "seed {seed}: {now}: a revoke may still take effect");
            }
            Some(Change::Revoke(_)) => {
                let mut grants = alive.filter(|process| !process.revokes(place));
                assert!(grants.all(|p| p.killed), "seed {seed}: {now}: a revoke beside a grant");
            }
            Some(Change::Attr(_)) | None => {}
        }
    }

    /// How a process goes.
    fn course(&mut self, job: JobId, parts: Vec<(Place, Option<Change>)>) -> Process {
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
        let why = "a model".to_owned();
        let failed = if parts.len() > 1 { JobEnd::Apart(why) } else { JobEnd::Failed(why) };
        Process {
            job,
            parts,
            effect_at: effect.map(|after| begun + after),
            end_at: end.map(|after| begun + after),
            end: if success { JobEnd::Done } else { failed },
            killed: false,
        }
    }

    fn kill(&mut self, job: JobId) {
        let now = self.bench.now;
        let Some(at) = self.running.iter().position(|process| process.job == job) else { return };
        for (place, _) in
            self.running[at].parts.iter().filter(|(place, _)| self.running[at].revokes(*place))
        {
            let count = self.running.iter().filter(|process| process.revokes(*place)).count();
            let done = !self.granted[place.0] || count >= 8;
            assert!(done, "seed {}: {now}: a revoke is killed for being slow", self.seed);
        }
        let process = &mut self.running[at];
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
        let mut heal = Model::new(seed, true, StoreKind::Cib, self.tickets);
        std::mem::swap(&mut heal.bench, &mut self.bench);
        std::mem::swap(&mut heal.running, &mut self.running);
        std::mem::swap(&mut heal.late, &mut self.late);
        (heal.granted, heal.effect) = (self.granted.clone(), self.effect.clone());
        heal.open = self.open.clone();
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
        let mut model = Model::new(seed, true, store, FEW);
        model.run(300);
        model.rest();
    }
}

#[test]
fn with_a_sick_store_the_order_is_kept_and_all_is_revoked_in_the_end() {
    for seed in 10_000..11_500 {
        let mut model = Model::new(seed, false, StoreKind::Cib, FEW);
        model.run(300);
        model.rest();
    }
}

/// The same where changes are made together.
#[test]
fn with_many_tickets_no_window_is_overrun_and_the_order_is_kept() {
    let mut shared = 0;
    for seed in 20_000..20_400 {
        let store = if seed % 4 < 3 { StoreKind::Cib } else { StoreKind::Directory };
        let mut model = Model::new(seed, seed % 2 == 0, store, MANY);
        model.run(150);
        model.rest();
        shared += model.shared;
    }
    assert!(shared > 1000, "only {shared} jobs for many");
}
