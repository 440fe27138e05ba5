// SPDX-License-Identifier: GPL-2.0-or-later
//! Random schedules against the promises of the slots.

use super::*;
use crate::engine::CibLoad;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const TICKETS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Grant(usize),
    Revoke(usize),
    Hold(usize, u64),
    Unhold(usize),
    Attr(usize, u8),
    Load(usize),
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
        3 => ticket.clone().prop_map(Step::Grant),
        2 => ticket.clone().prop_map(Step::Revoke),
        4 => (ticket.clone(), 11..60u64).prop_map(|(t, s)| Step::Hold(t, s)),
        1 => ticket.clone().prop_map(Step::Unhold),
        2 => (ticket.clone(), 0..3u8).prop_map(|(t, n)| Step::Attr(t, n)),
        1 => ticket.clone().prop_map(Step::Load),
        2 => (ticket.clone(), 1..40u64).prop_map(|(t, s)| Step::Probe(t, s)),
        1 => ticket.prop_map(Step::StopProbe),
        6 => (0..8usize, 0..6u8).prop_map(|(n, how)| Step::Finish(n, how)),
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
    windows: Vec<Option<HoldWindow>>,
    /// Writes, attributes and probes without an outcome.
    open: BTreeSet<(char, u64)>,
    unwanted: BTreeSet<u64>,
    last_probe: Vec<u64>,
    last_write_started: Vec<u64>,
}

impl World {
    fn new() -> World {
        World {
            slots: Slots::new(TICKETS, Limits::processes()),
            now: at(0),
            serial: 0,
            jobs: BTreeMap::new(),
            windows: vec![None; TICKETS],
            open: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            last_probe: vec![0; TICKETS],
            last_write_started: vec![0; TICKETS],
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn offer(&mut self, wish: Effect) {
        let mut actions = Vec::new();
        self.slots.offer(self.now, wish, &mut actions);
        self.look(actions);
    }

    fn look(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Guard { ticket, window, .. } => self.windows[ticket.get()] = window,
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
        self.check();
    }

    fn started(&mut self, id: JobId, job: Job) {
        let (Job::Load { ticket }
        | Job::Write { ticket, .. }
        | Job::Attr { ticket, .. }
        | Job::Probe { ticket, .. }) = &job;
        let is_probe = matches!(job, Job::Probe { .. });
        for other in self.jobs.values() {
            let (Job::Load { ticket: t }
            | Job::Write { ticket: t, .. }
            | Job::Attr { ticket: t, .. }
            | Job::Probe { ticket: t, .. }) = &other.job;
            if t == ticket && matches!(other.job, Job::Probe { .. }) == is_probe {
                assert!(other.killed, "two live jobs in one place: {other:?} and {job:?}");
            }
        }
        if let Job::Write { ticket, state } = &job {
            if state.granted {
                let window = self.windows[ticket.get()].expect("a grant has a window");
                assert!(self.now < window.start_before, "a grant starts in time");
            }
            // The term carries the serial in this test: writes start in the order of wishes.
            let serial = u64::from(state.term.get());
            assert!(serial > self.last_write_started[ticket.get()]);
            self.last_write_started[ticket.get()] = serial;
        }
        assert!(self.jobs.insert(id, Known { job, killed: false, asked: false }).is_none());
    }

    fn reported(&mut self, event: &Event) {
        match event {
            Event::CibWritten { serial, .. } => {
                assert!(self.open.remove(&('w', serial.0)), "one outcome for each write");
            }
            Event::AttrWritten { serial, .. } => {
                assert!(self.open.remove(&('a', serial.0)), "one outcome for each attribute");
            }
            Event::ProbeDone { run, .. } => {
                assert!(self.open.remove(&('p', run.0)), "one outcome for each probe");
                assert!(!self.unwanted.contains(&run.0), "none after a stop");
            }
            // Reads have no number; that each gets an answer the other tests show.
            Event::CibLoaded { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn check(&self) {
        for known in self.jobs.values() {
            let Job::Write { ticket, state } = &known.job else { continue };
            let in_time = self.windows[ticket.get()].is_some_and(|w| self.now < w.kill_at);
            // What is due is done by the next tick; no deadline at all is no excuse.
            let due = self.slots.next_deadline().is_some_and(|at| at <= self.now);
            if state.granted && !in_time && !due {
                assert!(known.killed, "a grant is killed at the moving deadline");
            }
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

    fn write(&mut self, ticket: usize, granted: bool) {
        let serial = self.next_serial();
        let expires = if granted { CibExpiry::Lease } else { CibExpiry::Never };
        let mut wish = state(granted, expires);
        wish.term = Term::new(u32::try_from(serial).expect("a short test"));
        self.open.insert(('w', serial));
        self.offer(write(ticket, serial, wish));
        if !granted {
            let live = self.jobs.values().any(|known| match &known.job {
                Job::Load { ticket: t } | Job::Attr { ticket: t, .. } => {
                    t.get() == ticket && !known.killed
                }
                Job::Write { ticket: t, state } => {
                    t.get() == ticket && !known.killed && state.granted
                }
                Job::Probe { .. } => false,
            });
            assert!(!live, "a revoke ends what runs before it");
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Grant(ticket) => self.write(ticket, true),
            Step::Revoke(ticket) => self.write(ticket, false),
            Step::Hold(ticket, secs) => {
                let since = self.now.since(at(0)).as_secs();
                self.offer(hold(ticket, since + secs));
            }
            Step::Unhold(ticket) => {
                self.offer(Effect::Hold { ticket: t(ticket), window: None, term: Term::ZERO });
            }
            Step::Attr(ticket, name) => {
                let serial = self.next_serial();
                self.open.insert(('a', serial));
                self.offer(attr(ticket, serial, &format!("n{name}")));
            }
            Step::Load(ticket) => self.offer(load(ticket)),
            Step::Probe(ticket, secs) => {
                let run = self.next_serial();
                let since = self.now.since(at(0)).as_secs();
                self.open.insert(('p', run));
                self.last_probe[ticket] = run;
                self.offer(probe(ticket, run, since + secs));
            }
            Step::StopProbe(ticket) => {
                let run = self.last_probe[ticket];
                self.open.remove(&('p', run));
                self.unwanted.insert(run);
                self.offer(Effect::StopProbe { ticket: t(ticket), run: ProbeRun(run) });
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
            0 | 1 => JobEnd::Done,
            2 => JobEnd::TooLate,
            3 => JobEnd::Failed("no".to_owned()),
            4 => JobEnd::Killed,
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
            world.finish(0, 4);
            world.pass(1_000);
        }
        prop_assert!(world.jobs.is_empty() && world.slots.is_idle());
        prop_assert!(world.slots.next_deadline().is_none());
        prop_assert!(world.open.is_empty(), "outcomes are owed: {:?}", world.open);
    }
}
