// SPDX-License-Identifier: GPL-2.0-or-later
//! Processes start, end, are stopped and go on; handlers run; disturbances of the plan take
//! place.

use super::choice::{Dice, Kind};
use super::clock::{True, MILLI, SECOND};
use super::codec::{Datagram, MAX_SKEW};
use super::exec::Read;
use super::plan::{Target, Trouble};
use super::queues::Queues;
use super::world::{Happening, World};
use booth_core::engine::Event;
use booth_core::keeper::Told;
use booth_core::model::{Term, TicketIndex, TicketSpec};
use booth_core::slots::{Limits, Slots};
use booth_core::wheel::Wheel;
use std::rc::Rc;

impl World {
    /// A process starts.
    pub fn boot(&mut self, n: usize) {
        if self.nodes[n].engine.is_some() || self.nodes[n].gone {
            return;
        }
        self.exec_boot(n);
        let node = &mut self.nodes[n];
        node.life += 1;
        let life = node.life;
        if let Some(site) = self.sites.get_mut(n) {
            site.read.fill(None);
        }
        self.future.plan(self.now, Happening::Begin { node: n, life });
    }

    /// The engine of a started process begins.
    pub fn begin(&mut self, n: usize) {
        self.read_config(n);
        let engine = self.new_engine(n);
        let tickets = self.plan.tickets.len();
        let ears = self.codec.ears();
        let node = &mut self.nodes[n];
        node.engine = Some(engine);
        node.paused = None;
        node.inbox.clear();
        node.deferred.clear();
        node.wheel = Wheel::new();
        node.deaf_until = 0;
        node.wake_at = u64::MAX;
        node.slots = Slots::new(tickets, Limits::processes());
        node.reads = vec![Read::default(); tickets];
        node.told = vec![Told::default(); tickets];
        node.heirs = vec![None; tickets];
        node.started = node.clocks[node.machine].now(self.now);
        node.wished = vec![(None, Term::ZERO); tickets];
        node.queues = Queues::default();
        node.busy = None;
        node.pending.clear();
        node.actions = Vec::new();
        node.exec_wake_at = u64::MAX;
        node.ears = ears;
        node.last_client = 0;
        self.nodes[n].began = self.now;
        self.keeper_takes_over(n);
        self.runs_again(n);
        self.check_wall(n);
        let clock = *self.nodes[n].clock();
        let grace = |spec: &TicketSpec| {
            let length = spec.expire.plus(spec.guard()).plus(spec.drift());
            clock.when(clock.mono(self.now).plus(length)).saturating_sub(8)
        };
        let grace: Vec<True> = self.specs(n).iter().map(grace).collect();
        self.checks.booted(n, &grace);
        let now = self.now;
        self.checks.blame.began(n, now);
        self.trace(|w| format!("{} starts, life {}", w.name(n), w.nodes[n].life));
        self.aim_at_restart(n);
        self.step(n, Event::Start);
        if (self.wall_wrong >> n) & 1 == 1 {
            self.wall_wrong &= !(1 << n);
            self.set_right(n);
        }
    }

    /// A process ends, and starts again after `down` (never, if that is endless).
    pub fn crash(&mut self, n: usize, down: True, moves: bool, clean: bool) {
        let spared = !self.faulty(n) || !self.wall_is_safe(n, moves);
        if self.nodes[n].engine.is_none() || spared {
            return;
        }
        self.coverage.note(if clean { "process: is asked to end" } else { "process: ends" });
        if clean && self.nodes[n].paused.is_none() {
            self.step(n, Event::Shutdown);
        }
        self.trace(|w| format!("{} ends, moves: {moves}", w.name(n)));
        self.script_end(n, moves);
        self.history.mix(self.now, 4, n as u64);
        let all_die = moves || self.choices.jitter(n, 1, 0, 1) == 1;
        self.exec_orphan(n, all_die);
        self.keeper_is_left(n);
        self.hang_up(n);
        self.checks.died(n);
        let now = self.now;
        let node = &mut self.nodes[n];
        node.ended_at = now;
        node.busy = None;
        node.engine = None;
        node.paused = None;
        node.inbox.clear();
        node.deferred.clear();
        self.keeper_missing(n);
        let node = &mut self.nodes[n];
        if moves && node.site {
            self.coverage.note("process: starts on the other machine");
            node.machine = 1 - node.machine;
            // The machines of one site agree on the wall clock.
            let (here, other) = (node.clocks[node.machine], node.clocks[1 - node.machine]);
            node.clocks[node.machine] = here;
            node.clocks[node.machine].set_wall_like(&other, now);
        }
        if down < u64::MAX / 4 {
            self.future.plan(self.now + down, Happening::Boot { node: n });
        }
    }

    /// Condition 3 of the promise: what a store says of a lease must have been written by the
    /// wall clock that the next life will read, or the keeper that it will take over knows better.
    fn wall_is_safe(&self, n: usize, moves: bool) -> bool {
        let jumped = self.nodes[n].jumped_at;
        let known = |ticket| !moves && self.keeper_knows(n, ticket);
        jumped == 0
            || (0..self.plan.tickets.len()).all(|ticket| {
                let safe = !self.sites[n].granted(ticket);
                safe || self.sites[n].written_at[ticket] > jumped || known(ticket)
            })
    }

    /// Whether a start that knows nothing but the store reads it right.
    pub fn wall_needs_no_keeper(&self, n: usize) -> bool {
        self.wall_is_safe(n, true)
    }

    /// A process is stopped, for `length`.
    pub fn pause(&mut self, n: usize, length: True) {
        if !self.nodes[n].runs() || !self.faulty(n) {
            return;
        }
        self.trace(|w| format!("{} is stopped for {}", w.name(n), length / MILLI));
        self.history.mix(self.now, 5, n as u64);
        self.coverage.note("process: is stopped");
        self.script_pause(n, true);
        let node = &mut self.nodes[n];
        node.stops += 1;
        node.paused = Some(node.stops);
        let stop = node.stops;
        self.future.plan(self.now + length, Happening::Resume { node: n, stop });
        self.keeper_missing(n);
    }

    /// A stopped process goes on: first what it was doing, then what waits.
    pub fn resume(&mut self, n: usize, stop: u32) {
        if self.nodes[n].paused != Some(stop) || self.reference_calls(n) {
            return;
        }
        self.trace(|w| format!("{} goes on", w.name(n)));
        self.script_pause(n, false);
        self.nodes[n].paused = None;
        self.nodes[n].resumed_at = self.now;
        self.runs_again(n);
        while let Some((decided, effect)) = self.nodes[n].deferred.pop_front() {
            self.decided = decided;
            self.perform(n, effect);
            if !self.nodes[n].runs() {
                return;
            }
        }
        self.nodes[n].exec_wake_at = u64::MAX;
        self.keeper_again(n);
        self.exec_tick(n);
        self.take_wishes(n);
        let time_first = self.choices.jitter(n, 2, 0, 1) == 1;
        let life = self.nodes[n].life;
        if time_first && self.nodes[n].runs() && self.nodes[n].busy.is_none() {
            self.look_again(n);
        }
        while self.nodes[n].runs() && self.nodes[n].life == life {
            let Some(waiting) = self.nodes[n].inbox.pop_front() else { break };
            self.reach(n, waiting);
        }
        if !self.nodes[n].runs() || self.nodes[n].life != life {
            return;
        }
        (self.nodes[n].wake_at, self.nodes[n].deaf_until) = (u64::MAX, 0);
        if self.nodes[n].busy.is_some() {
            self.plan_round(n);
        } else if self.look_again(n) {
            self.plan_wake(n);
        }
    }

    /// A process that has gone on looks at the time; the reference at all its tickets.
    fn look_again(&mut self, n: usize) -> bool {
        if self.faithful(n) {
            self.step(n, Event::Due { ticket: TicketIndex::new(0) });
        }
        self.look_at_wheel(n)
    }

    fn target(&self, target: Target) -> usize {
        match target {
            Target::Member(m) => usize::from(m),
            Target::Holder(ticket) => {
                let ticket = usize::from(ticket).min(self.plan.tickets.len() - 1);
                (0..self.nodes.len()).find(|m| self.sites[*m].granted(ticket)).unwrap_or(0)
            }
        }
    }

    /// A disturbance of the plan.
    pub fn disturb(&mut self, number: usize) {
        let disturbance = self.plan.disturbances[number];
        let n = self.target(disturbance.target);
        let ticket = match disturbance.what {
            Trouble::Admin { ticket, .. }
            | Trouble::Attribute { ticket }
            | Trouble::Lose { ticket } => usize::from(ticket),
            _ => 0,
        };
        // A plan that was made simpler may have fewer members and tickets.
        let there = n < self.nodes.len() && ticket < self.plan.tickets.len();
        if !there || !self.faulty(n) {
            return;
        }
        self.trace(|w| format!("{}: {:?}", w.name(n), disturbance.what));
        self.history.mix(self.now, 6, number as u64);
        self.coverage.trouble(disturbance.what);
        match disturbance.what {
            Trouble::Busy { length, pause, flood } => {
                self.make_busy(n, (length, pause), flood.then_some(number as u64));
            }
            Trouble::Lose { ticket } => self.lose_ticket(n, usize::from(ticket)),
            Trouble::Sick { length, what } => self.sicken(n, what, length),
            Trouble::Keeper { length, both } => self.keeper_trouble(n, length, both),
            Trouble::Configure { expire } => self.configure(n, expire),
            Trouble::MachineDies { down, alone } => self.machine_dies(n, down, alone),
            Trouble::Crash { down, moves, clean } => self.crash(n, down, moves, clean),
            Trouble::Pause { length } => self.pause(n, length),
            Trouble::Cut { length, out, into, peers } => self.cut(n, length, out, into, peers),
            Trouble::Split { length, side } => {
                for a in 0..self.nodes.len() {
                    for b in 0..self.nodes.len() {
                        if ((side >> a) & 1) != ((side >> b) & 1) {
                            self.cut_link(a, b, length);
                        }
                    }
                }
            }
            Trouble::Only { length, side, rest } => self.only(length, side, rest),
            Trouble::Clog { length, into } => {
                let until = self.now + length;
                for m in 0..self.nodes.len() {
                    self.net.link(n, m).clog_until = until;
                    if into {
                        self.net.link(m, n).clog_until = until;
                    }
                }
            }
            Trouble::WallJump { by } => self.wall_jump(n, by),
            Trouble::Replay { count } => {
                self.replay(n, usize::from(count), SECOND, number as u64);
            }
            Trouble::Admin { ticket, order, patience } => {
                let site = if self.nodes[n].site { n } else { 0 };
                self.order(site, usize::from(ticket), order, patience);
            }
            Trouble::Attribute { ticket } => self.attribute(n, usize::from(ticket)),
            Trouble::Aim(what) => self.aim(n, what, number),
            Trouble::Garbage { count } => self.garbage(n, count),
        }
    }

    /// The wall clock of a running daemon is set.
    pub fn wall_jump(&mut self, n: usize, by: i64) {
        let known = (0..self.plan.tickets.len())
            .all(|ticket| !self.sites[n].granted(ticket) || self.keeper_knows(n, ticket));
        if self.nodes[n].engine.is_none() {
            if !known || !self.nodes[n].site {
                return;
            }
            self.coverage.note("wall clock: set while boothd is down, and the keeper knows");
        }
        let now = self.now;
        let strange = self.is_strange(n);
        let node = &mut self.nodes[n];
        node.jumped_at = now;
        for clock in &mut node.clocks {
            clock.jump(by);
        }
        if strange || self.is_strange(n) {
            self.nodes[n].strange_at = now;
        }
    }

    /// Whether the wall clock of a member is too far from that of another for the two to hear each
    /// other.
    fn is_strange(&self, n: usize) -> bool {
        (0..self.nodes.len()).any(|m| self.strangers(m, n))
    }

    /// Whether the wall clocks of two members are too far apart for their packets' seals.
    pub fn strangers(&self, a: usize, b: usize) -> bool {
        let wall = |m: usize| self.nodes[m].clock().wall(self.now);
        let apart = wall(a).since(wall(b)).max(wall(b).since(wall(a)));
        self.codec.keyed() && apart >= MAX_SKEW
    }

    fn garbage(&mut self, n: usize, count: u8) {
        for number in 0..usize::from(count) {
            let bytes: Vec<u8> = (0..number * 61).map(|i| (i * 37 + number) as u8).collect();
            let from = (n + 1) % self.nodes.len();
            let sent = self.now;
            self.arrive(n, from, Rc::new(Datagram { bytes, sent }));
        }
    }

    /// Cuts links of a member.
    pub fn cut(&mut self, n: usize, length: True, out: bool, into: bool, peers: u16) {
        for m in 0..self.nodes.len() {
            if m == n || (peers >> m) & 1 == 0 {
                continue;
            }
            if out {
                self.cut_link(n, m, length);
            }
            if into {
                self.cut_link(m, n, length);
            }
        }
    }

    fn cut_link(&mut self, from: usize, to: usize, length: True) {
        let until = self.now + length;
        if self.faulty(from) || self.faulty(to) {
            let link = self.net.link(from, to);
            link.cut_until = link.cut_until.max(until);
        }
    }

    /// A process is hit exactly between two effects of a step.
    pub fn hit_between(&mut self, n: usize, mut dice: Dice) {
        let expire = self.plan.expire_max();
        match dice.below(4) {
            0 | 1 => {
                let down = dice.spread(MILLI, expire);
                let moves = dice.percent(10);
                self.crash(n, down, moves, false);
            }
            2 => self.pause(n, dice.spread(MILLI, expire * 2)),
            _ => {
                let (out, into) = [(true, true), (true, false), (false, true)]
                    [usize::try_from(dice.below(3)).unwrap_or(0)];
                self.cut(n, dice.spread(MILLI, expire * 2), out, into, u16::MAX);
            }
        }
    }

    /// Something aimed at a process that has just started.
    fn aim_at_restart(&mut self, n: usize) {
        let ppm =
            if self.faulty(n) && self.nodes[n].life > 1 { self.plan.at_restart_ppm } else { 0 };
        let life = self.nodes[n].life;
        let expire = self.plan.expire_max();
        let Some(mut dice) = self.choices.fault(Kind::AtRestart, n, 0, ppm) else { return };
        match dice.below(6) {
            0..=3 => {
                let within = dice.spread(MILLI, expire * 2);
                let count = usize::try_from(dice.between(1, 24)).unwrap_or(1);
                let salt = dice.below(u64::MAX);
                self.replay(n, count, within, salt);
            }
            4 => {
                let at = self.now + dice.spread(1, SECOND / 5);
                let down = dice.spread(MILLI, SECOND);
                self.future.plan(at, Happening::Crash { node: n, life, down, moves: false });
            }
            _ => {
                let (out, into) = [(true, true), (true, false), (false, true)]
                    [usize::try_from(dice.below(3)).unwrap_or(0)];
                self.cut(n, dice.spread(MILLI, expire), out, into, u16::MAX);
            }
        }
    }

    /// Something aimed at a member that has just won or renewed a lease.
    pub fn aim_at_leader(&mut self, n: usize, holds: bool) {
        let ppm = if holds && self.faulty(n) { self.plan.at_leader_ppm } else { 0 };
        let Some(mut dice) = self.choices.fault(Kind::AtLeader, n, 0, ppm) else { return };
        let expire = self.plan.expire_max();
        let length = dice.between(expire / 4, expire * 2);
        match dice.below(8) {
            0 | 1 => self.cut(n, length, true, true, u16::MAX),
            2 => self.cut(n, length, true, false, u16::MAX),
            3 => self.cut(n, length, false, true, u16::MAX),
            4 => self.pause(n, length),
            5 => {
                // One of the others ends and comes back at once.
                let m = (n + 1 + usize::try_from(dice.below(8)).unwrap_or(0)) % self.nodes.len();
                let down = dice.spread(MILLI, SECOND);
                self.crash(m, down, false, false);
            }
            6 => self.crash(n, dice.spread(MILLI, expire), dice.percent(20), false),
            _ => {
                let most = 1u64 << self.nodes.len();
                let side = u16::try_from(dice.below(most)).unwrap_or(0) | (1 << n);
                self.cut(n, length, true, true, !side);
            }
        }
    }

    /// Something aimed at the instant of a write.
    pub fn aim_at_store(&mut self, n: usize, ticket: usize) {
        let ppm = if self.faulty(n) { self.plan.at_store_ppm } else { 0 };
        let Some(mut dice) = self.choices.fault(Kind::AtStore, n, ticket, ppm) else { return };
        let expire = self.plan.expire_max();
        let at = self.now + dice.below(self.spec(n, ticket).guard().as_micros());
        let life = self.nodes[n].life;
        match dice.below(3) {
            0 => {
                let (down, moves) = (dice.spread(MILLI, expire), dice.percent(20));
                self.future.plan(at, Happening::Crash { node: n, life, down, moves });
            }
            1 => self.pause(n, dice.spread(MILLI, expire * 2)),
            _ => self.cut(n, dice.between(expire / 4, expire * 2), true, true, u16::MAX),
        }
    }
}
