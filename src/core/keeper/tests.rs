// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper's laws: each with the schedule that would break it, and all of them under random
//! schedules (`random`).

mod asked;
mod attacks;
mod attributes;
mod by_hand;
mod checks;
mod laws;
mod many;
mod others;
mod random;
mod revokes;
mod told;

use super::*;
use crate::engine::{AttrChange, CibExpiry, CibLoad, CibOutcome, CibState, NoteLevel, WriteSerial};
use crate::model::{MemberId, Term};
use crate::time::{Span, WallTime};

const G: u64 = 4;

fn secs(secs: u64) -> Span {
    Span::from_secs(secs)
}

fn millis(millis: u64) -> MonoTime {
    MonoTime::ZERO.plus(Span::from_millis(millis))
}

fn now(millis_: u64) -> Now {
    Now {
        mono: millis(millis_),
        wall: WallTime::from_secs(1_000_000).plus(Span::from_millis(millis_)),
    }
}

/// A window that ends at this second.
fn window(hold: u64) -> HoldWindow {
    let at = |secs: u64| millis(secs * 1000);
    HoldWindow {
        hold_until: at(hold),
        lease_until: at(hold + 1),
        start_before: at(hold - 2 * G),
        kill_at: at(hold - G),
    }
}

fn name(n: usize) -> TicketName {
    TicketName::new(&format!("t{n}")).expect("a good name")
}

fn state(granted: bool, term: u32) -> CibState {
    let owner = if granted { Holder::Member(MemberId::from_raw(1)) } else { Holder::Nobody };
    let expires = if granted { CibExpiry::Lease } else { CibExpiry::Never };
    CibState { granted, owner, term: Term::new(term), expires, limit: secs(G) }
}

/// A keeper, and everything that it has put out and nobody has looked at.
struct Bench {
    keeper: Keeper,
    out: Vec<Output>,
    now: u64,
}

impl Bench {
    /// With so many tickets, taken over at 0.
    fn new(store: StoreKind, tickets: usize) -> Bench {
        let site = Holder::Member(MemberId::from_raw(1));
        let keeper = Keeper::new(site, store, MonoTime::ZERO);
        let mut bench = Bench { keeper, out: Vec::new(), now: 0 };
        bench.take_over(tickets);
        let quiet = |output: &Output| matches!(output, Output::Say(Answer::Quiet { .. }));
        assert!(bench.out.iter().all(quiet) && bench.out.len() == tickets, "{:?}", bench.out);
        bench.out.clear();
        bench
    }

    fn one() -> Bench {
        Bench::new(StoreKind::Cib, 1)
    }

    fn take_over(&mut self, tickets: usize) {
        let kept = |n| Kept { name: name(n), guard: secs(G) };
        self.step(Input::TakeOver((0..tickets).map(kept).collect()));
    }

    fn step(&mut self, input: Input) {
        self.keeper.step(now(self.now), input, &mut self.out);
    }

    fn hold(&mut self, ticket: usize, window: Option<HoldWindow>, term: u32) {
        let (ticket, term) = (TicketIndex::new(ticket), Term::new(term));
        self.step(Input::Said(Word::Hold { ticket, window, term }));
    }

    fn write(&mut self, ticket: usize, serial: u64, state: CibState) {
        let (ticket, serial) = (TicketIndex::new(ticket), WriteSerial(serial));
        self.step(Input::Said(Word::Write { ticket, serial, state }));
    }

    /// Lets time pass, deadline by deadline, up to this millisecond.
    fn until(&mut self, end: u64) {
        for _ in 0..10_000 {
            let next = self.keeper.next_deadline().map(|at| at.as_micros().div_ceil(1000));
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.step(Input::Tick);
        }
        let left = self.keeper.next_deadline();
        assert!(left.is_none_or(|at| at > millis(end)), "a deadline that never passes: {left:?}");
        self.now = end;
        self.step(Input::Tick);
    }

    /// Lets a hundred seconds pass in which changes are made at once and looks hang, as many as the
    /// keeper runs beside each other.
    fn let_looks_hang(&mut self) {
        for second in 0..100 {
            self.until(second * 1000);
            for (job, work) in self.started() {
                if let Work::Change(changes) = work {
                    let ends = changes.iter().map(|(place, _)| (*place, JobEnd::Done));
                    self.step(Input::Ended(job, ends.collect()));
                }
            }
        }
        assert_eq!(self.keeper.running(), 64, "all looks hang");
    }

    fn end(&mut self, job: JobId, end: JobEnd) {
        self.step(Input::Ended(job, vec![(Place(0), end)]));
    }

    /// Takes out the jobs that were started.
    fn started(&mut self) -> Vec<(JobId, Work)> {
        let mut jobs = Vec::new();
        self.out.retain(|output| match output {
            Output::Start(job, work) => {
                jobs.push((*job, work.clone()));
                false
            }
            _ => true,
        });
        jobs
    }

    /// Takes out the one job that was started, which must make one change.
    #[track_caller]
    fn change(&mut self) -> (JobId, Change) {
        match &self.started()[..] {
            [(job, Work::Change(changes))] if changes.len() == 1 => (*job, changes[0].1.clone()),
            other => panic!("not one change: {other:?}; {:?}", self.out),
        }
    }

    #[track_caller]
    fn grant(&mut self) -> JobId {
        match self.change() {
            (job, Change::Grant { .. }) => job,
            other => panic!("no grant: {other:?}"),
        }
    }

    #[track_caller]
    fn revoke(&mut self) -> JobId {
        match self.change() {
            (job, Change::Revoke(_)) => job,
            other => panic!("no revoke: {other:?}"),
        }
    }

    /// Takes out the look that was started, and answers it.
    #[track_caller]
    fn look(&mut self, load: CibLoad) {
        match &self.started()[..] {
            [(job, Work::Look(places))] if *places == [Place(0)] => {
                let job = *job;
                self.end(job, JobEnd::Looked(load));
            }
            other => panic!("no look: {other:?}"),
        }
    }

    /// Takes out which jobs were killed.
    fn killed(&mut self) -> Vec<JobId> {
        let mut jobs = Vec::new();
        self.out.retain(|output| match output {
            Output::Kill(job) => {
                jobs.push(*job);
                false
            }
            _ => true,
        });
        jobs
    }

    /// Takes out what boothd was told of writes.
    fn told(&mut self) -> Vec<(u64, CibOutcome)> {
        let mut told = Vec::new();
        self.out.retain(|output| match output {
            Output::Say(Answer::Written { serial, outcome, .. }) => {
                told.push((serial.0, outcome.clone()));
                false
            }
            _ => true,
        });
        told
    }

    /// A ticket that is held: granted at 0 with a window up to this second, and written.
    #[track_caller]
    fn held(hold: u64) -> Bench {
        let mut bench = Bench::one();
        bench.hold(0, Some(window(hold)), 1);
        bench.write(0, 1, state(true, 1));
        let job = bench.grant();
        bench.end(job, JobEnd::Done);
        assert_eq!(bench.told(), [(1, CibOutcome::Written)]);
        bench
    }
}

fn stored(granted: bool, term: u32, expires: u64) -> CibLoad {
    CibLoad::Loaded(crate::engine::CibTicket {
        granted,
        owner: Some(Holder::Member(MemberId::from_raw(1))),
        expires: Some(WallTime::from_secs(expires)),
        term: Some(Term::new(term)),
        attrs: Vec::new(),
    })
}

/// What a grant with [`window`] writes as `expires`.
fn expires(hold: u64) -> u64 {
    1_000_000 + hold + 1
}
