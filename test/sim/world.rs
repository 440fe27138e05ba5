// SPDX-License-Identifier: GPL-2.0-or-later
//! The world: members, their machines and clocks, the network, the ticket stores, the people.
//! One heap of happenings ordered by true time, one seed.
//!
//! Each turn takes the first happening, lets it reach a process, steps the engine that ships,
//! performs the effects in the model and lets the checkers look.

use super::checkers::Checks;
use super::choice::{Choices, Dice, Kind, Source};
use super::clients::Clients;
use super::clock::{True, MILLI, SECOND};
use super::codec::{Codec, Mail};
use super::coverage::Coverage;
use super::heap::Future;
use super::history::History;
use super::keeper::Over;
use super::network::Network;
use super::node::{Node, Waiting};
use super::panics::Panic;
use super::plan::{Order, Plan};
use super::queues::Wish;
use super::reference::Manner;
use super::script::Script;
use super::store::Site;
use booth_core::engine::{ClientId, Effect, Event, JobWish, StoreWish};
use booth_core::keeper::Answer;
use booth_core::model::{Member, MemberId, Roster, Term};
use booth_core::slots::{JobEnd, JobId};
use std::net::{IpAddr, Ipv4Addr};

/// The longest a lost ring is missed: the loop looks once a second.
const LOOK: True = SECOND;

/// Which part of a process's run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It takes effect, or reads.
    Effect,
    /// It ends.
    End,
}

/// Something that will happen.
#[derive(Debug)]
pub enum Happening {
    /// A process's timer rings, or its loop looks at the wheel.
    Wake { node: usize, life: u32 },
    /// A datagram arrives; `late`: much later than it should.
    Arrive { to: usize, from: usize, mail: Mail, late: bool },
    /// Something reaches the engine from another thread.
    Post { node: usize, life: u32, event: Box<Event> },
    /// A process of a ticket store.
    Child { site: usize, child: u32, stage: Stage },
    /// A round of a loop that is busy.
    Round { node: usize, life: u32 },
    /// A wish of an engine reaches its executor.
    Wish { node: usize, life: u32 },
    /// A deadline of an executor.
    ExecTick { node: usize, life: u32 },
    /// A deadline of a keeper.
    KeeperTick { site: usize, machine: usize, number: u32 },
    /// A job of a keeper (machine and number) has ended.
    KeeperJob { site: usize, keeper: (usize, u32), over: Box<Over> },
    /// A keeper that was stopped goes on.
    KeeperGoesOn { site: usize, machine: usize, number: u32 },
    /// A boothd replaces its keeper.
    KeeperAgain { node: usize, life: u32 },
    /// What a keeper has said reaches its boothd.
    Answer { node: usize, life: u32, answer: Box<Answer> },
    /// The time for which the death of a machine is an excuse.
    ExcuseEnds { site: usize, life: u32, stops: u32, blind: bool },
    /// The time for which a guard that was told late is waited for.
    GuardEnds { site: usize, ticket: usize },
    /// A job of an executor has ended.
    JobEnd { node: usize, life: u32, id: JobId, end: Box<JobEnd> },
    /// A disturbance of the plan, by its number.
    Disturb { number: usize },
    /// A process starts.
    Boot { node: usize },
    /// A process that was started may use the store and begins.
    Begin { node: usize, life: u32 },
    /// A stopped process goes on.
    Resume { node: usize, stop: u32 },
    /// A process ends.
    Crash { node: usize, life: u32, down: True, moves: bool },
    /// An administrator asks again elsewhere.
    Order { node: usize, ticket: usize, order: Order },
    /// A client closes its connection.
    Leave { node: usize, life: u32, client: ClientId },
}

/// The world of one run.
#[derive(Debug)]
pub struct World {
    /// True time.
    pub now: True,
    /// What the seed decided.
    pub plan: Plan,
    /// Every choice.
    pub choices: Choices,
    /// What will happen.
    pub future: Future<Happening>,
    /// The members.
    pub nodes: Vec<Node>,
    /// Their ids.
    pub ids: Vec<MemberId>,
    /// Each member's view of all members.
    pub rosters: Vec<Roster>,
    /// The ticket stores; those of arbitrators stay empty.
    pub sites: Vec<Site>,
    /// The network.
    pub net: Network,
    /// The codec and the seal.
    pub codec: Codec,
    /// The administrators.
    pub clients: Clients,
    /// The checkers.
    pub checks: Checks,
    /// What happened.
    pub history: History,
    /// What happened, as commands of a transcript, if that is wanted.
    pub script: Option<Script>,
    /// How many steps the engines have taken.
    pub steps: u64,
    /// Members that nothing bad happens to any more; all faults end with the chaos.
    pub healed: u16,
    /// Whose programs the members run.
    pub manners: Vec<Manner>,
    /// What is sent from or to a reference member arrives in time or never.
    pub prompt: bool,
    /// There is no keeper in this world: safety then needs living daemons.
    pub no_guard: bool,
    /// Members whose wall clocks are set right when they have started.
    pub wall_wrong: u16,
    /// Members whose handlers fail, whatever the plan says; bit set: fails.
    pub ill: u16,
    /// The longest ordinary run of a handler; `None`: a quarter of `timeout`.
    pub handler_usual: Option<True>,
    /// How many runs of handlers have failed.
    pub handlers_failed: u64,
    /// What happened how often.
    pub coverage: Coverage,
    /// The step at which the engine is known to panic, and the one at which it shall.
    pub panics: (Option<Panic>, Option<u64>),
    /// When the step was taken whose effects are being performed.
    pub decided: True,
    effects: Vec<Effect>,
}

impl World {
    /// The world of a plan, before anything has happened.
    pub fn new(plan: Plan, source: Source, trace: bool) -> World {
        let addresses: Vec<IpAddr> = (0..plan.roles.len())
            .map(|m| IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(m + 1).unwrap_or(1))))
            .collect();
        let member = |m: usize| Member {
            id: MemberId::of_address(addresses[m]),
            role: plan.roles[m],
            address: addresses[m],
        };
        let all: Vec<Member> = (0..plan.roles.len()).map(member).collect();
        let ids: Vec<MemberId> = all.iter().map(|member| member.id).collect();
        // The addresses differ and there are no more than sixteen.
        let roster = |m| Roster::new(all.clone(), m).expect("a valid list of members");
        let codec = Codec::new(plan.keyed, plan.millis(), ids.clone());
        let tickets = plan.tickets.len();
        let mut world = World {
            now: 0,
            choices: Choices::new(plan.seed, source),
            future: Future::default(),
            nodes: (0..all.len()).map(|m| Node::new(&plan, &codec, m)).collect(),
            rosters: (0..all.len()).map(roster).collect(),
            sites: (0..all.len()).map(|_| Site::new(tickets)).collect(),
            net: Network::new(all.len()),
            codec,
            clients: Clients::default(),
            checks: Checks::new(&plan),
            history: History::new(trace),
            script: None,
            steps: 0,
            healed: 0,
            manners: vec![Manner::Ours; all.len()],
            prompt: false,
            no_guard: false,
            coverage: Coverage::default(),
            wall_wrong: 0,
            ill: 0,
            handler_usual: None,
            handlers_failed: 0,
            decided: 0,
            panics: (None, None),
            effects: Vec::new(),
            ids,
            plan,
        };
        world.clients.last_done = vec![None; tickets];
        world.clients.last_asked = vec![None; tickets];
        world.clients.asked_at = vec![0; tickets];
        world.clients.done_term = vec![Term::ZERO; tickets];
        world.clients.done_by = vec![0; tickets];
        world.clients.revoked_since = vec![0; tickets];
        world
    }

    /// Plans the start of every member and all disturbances.
    pub fn set_going(&mut self) {
        self.coverage.begin(&self.plan);
        self.configure_all();
        self.keepers_of_before();
        self.fill_stores();
        self.fulfil_rules();
        for node in 0..self.nodes.len() {
            let at = self.choices.jitter(node, 0, 0, 50 * MILLI);
            self.future.plan(at, Happening::Boot { node });
        }
        for number in 0..self.plan.disturbances.len() {
            if self.choices.disturbance(number) {
                let at = self.plan.disturbances[number].at;
                self.future.plan(at, Happening::Disturb { number });
            }
        }
    }

    /// Lets everything happen up to this time, or until a checker finds something.
    pub fn run(&mut self, until: True) {
        while self.checks.violation().is_none() {
            let Some((at, happening)) = self.future.next(until) else {
                self.now = self.now.max(until);
                return;
            };
            self.now = at;
            self.happen(happening);
        }
    }

    /// Like [`World::run`], but no further than this many steps of engines.
    pub fn run_steps(&mut self, until: True, steps: u64) {
        while self.checks.violation().is_none() && self.steps < steps {
            let Some((at, happening)) = self.future.next(until) else {
                self.now = self.now.max(until);
                return;
            };
            self.now = at;
            self.happen(happening);
        }
    }

    /// Whether a process lives, and is the one of this life.
    pub fn alive(&self, node: usize, life: u32) -> bool {
        self.nodes[node].life == life && self.nodes[node].engine.is_some()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { node, life } => self.wake(node, life),
            Happening::Arrive { to, from, mail, late } => {
                // Lateness is a fault, and faults end with the chaos.
                if self.healed == 0 || !late {
                    self.arrive(to, from, mail);
                }
            }
            Happening::Post { node, life, event } => {
                if self.alive(node, life) {
                    self.reach(node, Waiting::Event(event));
                }
            }
            Happening::Child { site, child, stage: Stage::Effect } => {
                self.child_effect(site, child)
            }
            Happening::Child { site, child, stage: Stage::End } => self.child_end(site, child),
            Happening::Round { node, life } => {
                if self.alive(node, life) {
                    self.round(node);
                }
            }
            Happening::Wish { node, life } => {
                if self.alive(node, life) {
                    self.take_wishes(node);
                }
            }
            Happening::ExecTick { node, life } => {
                if self.alive(node, life) && self.nodes[node].paused.is_none() {
                    self.exec_tick(node);
                }
            }
            keeper @ (Happening::KeeperTick { .. }
            | Happening::KeeperJob { .. }
            | Happening::KeeperGoesOn { .. }
            | Happening::KeeperAgain { .. }
            | Happening::Answer { .. }) => self.happen_to_keeper(keeper),
            Happening::ExcuseEnds { site, life, stops, blind } => {
                self.excuse_ends(site, life, stops, blind);
            }
            Happening::GuardEnds { site, ticket } => self.guard_ends(site, ticket),
            Happening::JobEnd { node, life, id, end } => {
                if self.alive(node, life) {
                    let handler = self.nodes[node].pending.iter().any(|p| p.id == id);
                    let failed = handler && matches!(*end, JobEnd::Failed(_));
                    self.handlers_failed += u64::from(failed);
                    self.reach(node, Waiting::Job(id, *end));
                }
            }
            Happening::Disturb { number } => self.disturb(number),
            Happening::Boot { node } => self.boot(node),
            Happening::Begin { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].engine.is_none() {
                    self.begin(node);
                }
            }
            Happening::Resume { node, stop } => self.resume(node, stop),
            Happening::Crash { node, life, down, moves } => {
                if self.alive(node, life) {
                    self.crash(node, down, moves, false);
                }
            }
            Happening::Order { node, ticket, order } => self.order(node, ticket, order, 0),
            Happening::Leave { node, life, client } => self.leave(node, life, client),
        }
    }

    /// One step of a member's engine, with all that follows from it.
    pub fn step(&mut self, n: usize, event: Event) {
        self.steps += 1;
        self.end_suspensions();
        self.check_forced(&event);
        self.script_event(n, &event);
        self.prereq_event(n, &event);
        self.history.mix(self.now, 1, n as u64);
        if self.history.traced() {
            let text = format!("{} <- {}", self.name(n), self.tell(&event));
            self.history.line(self.now, || text);
        }
        if let Event::Peer { from, message } = &event {
            self.checks.delivered(self.now, n, from.get(), message, &self.ids);
        }
        let mut effects = std::mem::take(&mut self.effects);
        let rang = if let Event::Due { ticket } = event { Some(ticket) } else { None };
        if !self.step_engine(n, event, &mut effects) {
            return;
        }
        if !self.faithful(n) {
            self.check_step(n, &effects);
        }
        let ppm = if effects.len() > 1 && self.faulty(n) { self.plan.split_ppm } else { 0 };
        let split = self.choices.fault(Kind::Split, n, 0, ppm);
        if self.choices.asking() {
            self.choices.note_asked(super::choice::places(&effects), self.history.digest());
        }
        let hit = split.map(|mut dice| {
            // The explorer also hits right after the last effect.
            let most = effects.len() as u64 + u64::from(matches!(dice, Dice::Fixed(_)));
            (dice.below(most), dice)
        });
        self.decided = self.now;
        let (mut at, mut hit) = (0, hit);
        for effect in effects.drain(..) {
            if hit.as_ref().is_some_and(|(place, _)| *place == at) {
                if let Some((_, dice)) = hit.take() {
                    self.hit_between(n, dice);
                }
            }
            at += 1;
            self.perform(n, effect);
        }
        if let Some((_, dice)) = hit {
            self.hit_between(n, dice);
        }
        self.effects = effects;
        self.reference_arm(n);
        self.check_deadlines(n, rang);
        self.look_at_list(n);
        self.plan_wake(n);
    }

    /// Performs one effect, unless the process has ended or is stopped.
    pub fn perform(&mut self, n: usize, effect: Effect) {
        if self.nodes[n].engine.is_none() {
            return;
        }
        if self.nodes[n].paused.is_some() {
            let decided = self.decided;
            self.nodes[n].deferred.push_back((decided, effect));
            return;
        }
        match effect {
            Effect::Send { to, message, resend: _ } => self.say_to(n, to.get(), message),
            Effect::Reply { client, reply, last } => self.reply(n, client, &reply, last),
            Effect::Arm { ticket, at } => self.nodes[n].wheel.arm(ticket, at),
            Effect::Disarm { ticket } => {
                self.nodes[n].wheel.disarm(ticket);
            }
            Effect::Store(StoreWish::Hold { ticket, window, term }) => {
                self.trace(|w| format!("{} {}", w.name(n), w.wish(n, &effect)));
                self.check_hold(n, ticket.get(), window, term);
                self.nodes[n].wished[ticket.get()] = (window, term);
                self.send_wish(n, Wish::Store(StoreWish::Hold { ticket, window, term }));
                self.aim_at_leader(n, window.is_some());
            }
            Effect::Job(JobWish::LoadCib { .. }) | Effect::Store(StoreWish::WriteCib { .. })
                if self.faithful(n) =>
            {
                self.trace(|w| format!("{} {}", w.name(n), w.wish(n, &effect)));
                self.reference_call(n, &effect);
            }
            Effect::Job(JobWish::StartProbe { ticket, .. }) if self.faithful(n) => {
                self.reference_probe(n, ticket);
            }
            Effect::Store(ref wish) => {
                self.trace(|w| format!("{} {}", w.name(n), w.wish(n, &effect)));
                if let StoreWish::WriteCib { ticket, state, .. } = *wish {
                    self.check_grant(n, ticket.get(), state);
                }
                self.prereq_wish(n, &effect);
                self.send_wish(n, Wish::Store(wish.clone()));
            }
            Effect::Job(ref wish) => {
                self.trace(|w| format!("{} {}", w.name(n), w.wish(n, &effect)));
                self.prereq_wish(n, &effect);
                self.send_wish(n, Wish::Job(wish.clone()));
            }
            Effect::Note(note) => {
                self.trace(|w| format!("{} {:?}: {}", w.name(n), note.level, note.text));
            }
        }
    }

    /// Plans the next ring of a process's timer.
    pub fn plan_wake(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if node.engine.is_none() || node.paused.is_some() {
            return;
        }
        let Some((next, _)) = node.wheel.next() else { return };
        if node.wake_at < u64::MAX && node.wake_for == next {
            return;
        }
        let at = node.clocks[node.machine].when(next).max(self.now).max(node.deaf_until);
        if at < node.wake_at {
            (node.wake_at, node.wake_for) = (at, next);
            let life = node.life;
            self.future.plan(at, Happening::Wake { node: n, life });
        }
    }

    fn wake(&mut self, n: usize, life: u32) {
        if !self.alive(n, life) || self.nodes[n].paused.is_some() || self.nodes[n].busy.is_some() {
            return;
        }
        let node = &mut self.nodes[n];
        if node.wake_at <= self.now {
            node.wake_at = u64::MAX;
        }
        let mono = node.clocks[node.machine].mono(self.now);
        // When its rings are lost, the loop's next look is the end of that.
        if node.deaf_until < self.now && node.wheel.next().is_some_and(|(at, _)| at <= mono) {
            let ppm = if self.faulty(n) { self.plan.timer_ppm } else { 0 };
            if let Some(mut dice) = self.choices.fault(Kind::Timer, n, 0, ppm) {
                self.coverage.note("timer: late");
                self.nodes[n].deaf_until = self.now + dice.spread(1, LOOK);
            }
        }
        if self.nodes[n].deaf_until <= self.now {
            self.look_at_wheel(n);
        }
        self.plan_wake(n);
    }

    /// Whether bad things may still happen to a member.
    pub fn faulty(&self, n: usize) -> bool {
        self.healed & (1 << n) == 0
    }

    /// All members, as bits; there are sixteen at most.
    pub fn everyone(&self) -> u16 {
        (0..self.nodes.len()).fold(0, |set, m| set | (1 << m))
    }

    /// All sites, as bits.
    pub fn site_set(&self) -> u16 {
        self.plan.sites().fold(0, |set, site| set | (1 << site))
    }

    /// The index of a member's id.
    pub fn index_of(&self, id: MemberId) -> Option<usize> {
        self.ids.iter().position(|other| *other == id)
    }
}
