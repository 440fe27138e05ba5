// SPDX-License-Identifier: GPL-2.0-or-later
//! Random schedules against the promises of the slots.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const TICKETS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Load(usize),
    /// The ticket is about to be changed.
    Spoil(usize),
    Probe(usize, u64),
    StopProbe(usize),
    /// Ends the n-th of the running jobs.
    Finish(usize, u8),
    /// Goes on by so many milliseconds, ticking where asked.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ticket = 0..TICKETS;
    prop_oneof![
        4 => ticket.clone().prop_map(Step::Load),
        2 => ticket.clone().prop_map(Step::Spoil),
        2 => (ticket.clone(), 1..40u64).prop_map(|(t, s)| Step::Probe(t, s)),
        1 => ticket.prop_map(Step::StopProbe),
        6 => (0..8usize, 0..4u8).prop_map(|(n, how)| Step::Finish(n, how)),
        6 => (1..20_000u64).prop_map(Step::Pass),
    ]
}

/// What a job is, and what has been done to it.
#[derive(Debug)]
struct Known {
    job: Job,
    killed: bool,
    asked: bool,
}

/// The world outside the slots, which believes nothing.
struct World {
    slots: Slots,
    now: MonoTime,
    serial: u64,
    jobs: BTreeMap<JobId, Known>,
    /// Probes without an outcome.
    open: BTreeSet<u64>,
    /// Reads that are wanted, and have no answer.
    unread: BTreeSet<usize>,
    unwanted: BTreeSet<u64>,
    last_probe: Vec<u64>,
}

impl World {
    fn new() -> World {
        World {
            slots: Slots::new(TICKETS, Limits::processes()),
            now: at(0),
            serial: 0,
            jobs: BTreeMap::new(),
            open: BTreeSet::new(),
            unread: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            last_probe: vec![0; TICKETS],
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn offer(&mut self, wish: JobWish) {
        let mut actions = Vec::new();
        self.slots.offer(self.now, wish, &mut actions);
        self.look(actions);
    }

    fn look(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start { id, job } => self.started(id, job),
                Action::End { id, how } => {
                    let known = self.jobs.get_mut(&id).expect("only known jobs are ended");
                    match how {
                        Ending::Ask => assert!(!known.asked && !known.killed),
                        Ending::Kill => assert!(!known.killed),
                    }
                    known.asked |= how == Ending::Ask;
                    known.killed |= how == Ending::Kill;
                }
                Action::Report(event) => self.reported(&event),
            }
        }
    }

    fn started(&mut self, id: JobId, job: Job) {
        let (Job::Load { ticket } | Job::Probe { ticket, .. }) = &job;
        let is_probe = matches!(job, Job::Probe { .. });
        for other in self.jobs.values() {
            let (Job::Load { ticket: t } | Job::Probe { ticket: t, .. }) = &other.job;
            if t == ticket && matches!(other.job, Job::Probe { .. }) == is_probe {
                assert!(other.killed, "two live jobs in one place: {other:?} and {job:?}");
            }
        }
        assert!(self.jobs.insert(id, Known { job, killed: false, asked: false }).is_none());
    }

    fn reported(&mut self, event: &Event) {
        match event {
            Event::ProbeDone { run, .. } => {
                assert!(self.open.remove(&run.0), "one outcome for each probe");
                assert!(!self.unwanted.contains(&run.0), "none after a stop");
            }
            Event::CibLoaded { ticket, .. } => {
                self.unread.remove(&ticket.get());
            }
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now.plus(Span::from_millis(millis));
        // Bounded: every deadline that is handled lets the next one be later.
        for _ in 0..10_000 {
            let Some(next) = self.slots.next_deadline().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let mut actions = Vec::new();
            self.slots.tick(self.now, &mut actions);
            self.look(actions);
            assert!(self.slots.next_deadline().is_none_or(|at| at > self.now), "time is used up");
        }
        panic!("deadlines without end");
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Load(ticket) => {
                self.unread.insert(ticket);
                self.offer(load(ticket));
            }
            Step::Spoil(ticket) => {
                let mut actions = Vec::new();
                self.slots.spoil(self.now, t(ticket), &mut actions);
                self.look(actions);
                let live = |known: &Known| {
                    let reads = matches!(known.job, Job::Load { ticket: of } if of == t(ticket));
                    reads && !known.asked && !known.killed
                };
                assert!(!self.jobs.values().any(live), "what is read is old");
            }
            Step::Probe(ticket, secs) => {
                let run = self.next_serial();
                let since = self.now.since(at(0)).as_secs();
                self.open.insert(run);
                self.last_probe[ticket] = run;
                self.offer(probe(ticket, run, since + secs));
            }
            Step::StopProbe(ticket) => {
                let run = self.last_probe[ticket];
                self.open.remove(&run);
                self.unwanted.insert(run);
                self.offer(JobWish::StopProbe { ticket: t(ticket), run: ProbeRun(run) });
            }
            Step::Finish(index, how) => self.finish(index, how),
            Step::Pass(millis) => self.pass(millis),
        }
    }

    fn finish(&mut self, index: usize, how: u8) {
        let Some(id) = self.jobs.keys().copied().nth(index) else {
            return;
        };
        self.jobs.remove(&id);
        let end = match how {
            0 => JobEnd::Done,
            1 => JobEnd::Failed("no".to_owned()),
            2 => JobEnd::Killed,
            _ => JobEnd::Loaded(CibLoad::Absent),
        };
        let mut actions = Vec::new();
        self.slots.finished(self.now, id, end, &mut actions);
        self.look(actions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn promises_hold_in_random_schedules(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        // At last everything ends: no outcome is owed, no deadline is left.
        for _ in 0..1_000 {
            if world.jobs.is_empty() && world.slots.next_deadline().is_none() {
                break;
            }
            world.finish(0, 2);
            world.pass(1_000);
        }
        prop_assert!(world.jobs.is_empty() && world.slots.is_idle());
        prop_assert!(world.slots.next_deadline().is_none());
        prop_assert!(world.open.is_empty(), "outcomes are owed: {:?}", world.open);
        prop_assert!(world.unread.is_empty(), "answers are owed: {:?}", world.unread);
    }
}
