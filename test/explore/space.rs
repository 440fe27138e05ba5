// SPDX-License-Identifier: GPL-2.0-or-later
//! The small world, the answers that are tried at each question, and the walk through all of them.

use booth_core::model::TicketSpec;
use booth_core::time::Span;
use booth_sim::choice::{answers, Asked, FaultId, Kind, Source};
use booth_sim::clock::{True, MILLI, SECOND};
use booth_sim::plan::{Disturbance, Order, Plan, Target, Trouble};
use booth_sim::quiet::{quiet, three, usual_ticket};
use booth_sim::world::World;
use std::collections::BTreeSet;

/// One fault of a schedule: which question, which answer.
type Fault = (FaultId, u64);

/// What is tried at a question, besides nothing special. The numbers are those that
/// `choice::Dice` is asked for, first one first; a length is 2^n milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Alphabet {
    /// For a datagram.
    datagram: Vec<Vec<u8>>,
    /// For a step, after the place: before the first effect that others can see, or right after
    /// any of them.
    hit: Vec<Vec<u8>>,
    /// For a call of the store's tool.
    store: Vec<Vec<u8>>,
    /// For a timer: it rings a second late.
    timer: bool,
}

/// The datagram is lost.
const LOST: [u8; 1] = [0];
/// The process ends and starts again 4 ms later.
const RESTART: [u8; 4] = [0, 2, 0, 99];
/// The process ends and starts again when its lease has ended.
const AWAY: [u8; 4] = [0, 13, 0, 99];

/// It comes twice, the second time about 2^n ms later (that question is in microseconds).
fn twice(n: u8) -> Vec<u8> {
    vec![1, n + 10, 0]
}

/// It is 2^n ms late.
fn late(n: u8) -> Vec<u8> {
    vec![2, n, 0]
}

impl Alphabet {
    /// Everything; of the lengths, which double from one to the next, every `step`-th.
    pub fn whole(step: usize) -> Alphabet {
        let mut datagram = vec![LOST.to_vec()];
        datagram.extend((0..=14).step_by(step).flat_map(|n| [twice(n), late(n)]));
        let mut hit = vec![];
        // It ends: down for 1 ms to 8.2 s, on the same machine or the other one.
        hit.extend((0..=13).step_by(step).flat_map(|n| [vec![0, n, 0, 99], vec![0, n, 0, 0]]));
        // It is stopped for 1 ms to 16.4 s.
        hit.extend((0..=14).step_by(step).map(|n| vec![2, n, 0]));
        // Its links are cut: both ways, outwards, inwards, for 1 ms to 16.4 s.
        hit.extend((0..=14).step_by(step).flat_map(|n| (0..3).map(move |way| vec![3, way, n, 0])));
        // Slow; fails; hangs without effect; hangs, effect 2^n µs later; lies.
        let mut store = vec![vec![0, 255, 255], vec![1], vec![2, 255, 99]];
        store.extend((8..24).step_by(step).map(|n| vec![2, 255, 0, n, 0]));
        store.push(vec![3]);
        Alphabet { datagram, hit, store, timer: true }
    }

    /// Loss, and copies and originals that come about a lease late.
    pub fn network() -> Alphabet {
        let datagram = vec![LOST.to_vec(), late(13), twice(13)];
        Alphabet { datagram, ..Alphabet::default() }
    }

    /// Restarts at once and after the lease, loss, a datagram 8.2 s late.
    pub fn restarts() -> Alphabet {
        Alphabet {
            datagram: vec![LOST.to_vec(), late(13)],
            hit: vec![RESTART.to_vec(), AWAY.to_vec()],
            ..Alphabet::default()
        }
    }

    /// A restart at once, loss.
    pub fn lean() -> Alphabet {
        Alphabet {
            datagram: vec![LOST.to_vec()],
            hit: vec![RESTART.to_vec()],
            ..Alphabet::default()
        }
    }

    /// What is tried at one question.
    fn at(&self, asked: &Asked) -> Vec<u64> {
        let all = |list: &[Vec<u8>]| list.iter().map(|one| answers(one)).collect();
        match asked.id.kind {
            Kind::Datagram => all(&self.datagram),
            Kind::Store if asked.id.b < 16 => all(&self.store),
            Kind::Timer if self.timer => vec![answers(&[])],
            Kind::Split => {
                let places = (0..64).filter(|place| (asked.places >> place) & 1 == 1);
                let hit = |place: u8| {
                    self.hit.iter().map(move |one| answers(&[&[place][..], one].concat()))
                };
                places.flat_map(hit).collect()
            }
            Kind::Jitter
            | Kind::Seed
            | Kind::Store
            | Kind::Handler
            | Kind::Timer
            | Kind::Disturbance
            | Kind::AtRestart
            | Kind::AtLeader
            | Kind::AtStore
            | Kind::Queue => Vec::new(),
        }
    }
}

/// What is explored.
#[derive(Debug)]
pub struct Space {
    plan: Plan,
    alphabet: Alphabet,
    /// The most faults in one schedule.
    pub depth: usize,
    /// Faults begin before this time.
    pub horizon: True,
}

/// What was covered.
#[derive(Debug, Default)]
pub struct Covered {
    /// Schedules run.
    pub runs: u64,
    /// The same by the number of faults.
    pub by_depth: [u64; 4],
    /// Steps of engines.
    pub steps: u64,
    /// Questions with answers on the calm path.
    pub questions: usize,
    /// All answers to them.
    pub answers: usize,
    /// Digests of whole runs.
    pub histories: BTreeSet<u64>,
    /// Digests of all that had happened when a question was asked.
    pub situations: BTreeSet<u64>,
}

/// One run.
struct Run {
    asked: Vec<Asked>,
    digest: u64,
    steps: u64,
}

impl Space {
    /// The small world with these answers, up to `depth` at a time, in the first `millis`.
    pub fn new(alphabet: Alphabet, depth: usize, millis: u64) -> Space {
        let ticket = TicketSpec {
            expire: Span::from_secs(9),
            timeout: Span::from_secs(1),
            retries: 3,
            renewal: Span::from_millis(4_500),
            ..usual_ticket()
        };
        let mut plan = quiet(0, three(), vec![ticket]);
        plan.net.delay_min = 10 * MILLI;
        plan.net.delay_max = 10 * MILLI;
        plan.net.weights = [1, 1, 1, 0];
        plan.net.late_max = 17 * SECOND;
        plan.store.usual_permille = 50;
        plan.store.weights = [1, 1, 1, 1];
        let order = Trouble::Admin { ticket: 0, order: Order::Grant, patience: 0 };
        let grant = Disturbance { at: SECOND / 2, target: Target::Member(0), what: order };
        plan.disturbances.push(grant);
        Space { plan, alphabet, depth, horizon: millis * MILLI }
    }

    /// Runs every schedule.
    pub fn explore(&self) -> Covered {
        let mut covered = Covered::default();
        self.walk(&mut Vec::new(), &mut covered);
        covered
    }

    fn walk(&self, faults: &mut Vec<Fault>, covered: &mut Covered) {
        let run = self.run(faults);
        covered.runs += 1;
        covered.by_depth[faults.len()] += 1;
        covered.steps += run.steps;
        covered.histories.insert(run.digest);
        let steps = run.asked.iter().filter(|asked| asked.id.kind == Kind::Split);
        covered.situations.extend(steps.map(|asked| asked.digest));
        // Only what is asked after the last fault: so each schedule is run once.
        let last = faults.last().map(|(id, _)| *id);
        let from = last.map_or(0, |last| {
            1 + run.asked.iter().position(|asked| asked.id == last).expect("it was asked")
        });
        if faults.is_empty() {
            let counts = run.asked.iter().map(|asked| self.alphabet.at(asked).len());
            covered.answers = counts.clone().sum();
            covered.questions = counts.filter(|count| *count > 0).count();
        }
        if faults.len() == self.depth {
            return;
        }
        for asked in &run.asked[from..] {
            for answer in self.alphabet.at(asked) {
                faults.push((asked.id, answer));
                self.walk(faults, covered);
                faults.pop();
            }
        }
    }

    fn world(&self, faults: &[Fault], trace: bool) -> World {
        let grant = FaultId { kind: Kind::Disturbance, a: 0, b: 0, n: 0 };
        let mut script = vec![(grant, 0)];
        script.extend_from_slice(faults);
        let mut world = World::new(self.plan.clone(), Source::Script(script), trace);
        world.choices.record_questions();
        world.set_going();
        world
    }

    /// Runs one schedule: faults, two leases for what is on its way, healing, a holder.
    fn run(&self, faults: &[Fault]) -> Run {
        let mut world = self.world(faults, false);
        let asked = self.play(&mut world);
        if let Some(violation) = world.checks.violation().cloned() {
            let mut traced = self.world(faults, true);
            self.play(&mut traced);
            let lines = traced.history.last(80).join("\n");
            panic!("{violation:?} with {faults:?}\n{lines}");
        }
        Run { asked, digest: world.history.digest(), steps: world.steps }
    }

    fn play(&self, world: &mut World) -> Vec<Asked> {
        let expire = self.plan.expire_max();
        world.run(self.horizon);
        let asked = world.choices.stop_asking();
        world.run(self.horizon + 2 * expire);
        if world.checks.violation().is_some() {
            return asked;
        }
        world.heal(0b111);
        let timeout = self.plan.tickets[0].timeout.as_micros();
        // `RULES.md`: a lost ticket is held again after 1.7 E; one that nobody remembers must be
        // granted by an administrator: grace, commit delay, elections.
        world.run_until_granted(0, 0b11, expire * 17 / 10 + 4 * timeout);
        let bound = world.now + expire * 23 / 10 + 20 * timeout;
        world.ask_until_held(0b111, bound);
        asked
    }
}
