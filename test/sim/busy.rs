// SPDX-License-Identifier: GPL-2.0-or-later
//! An engine's loop that has too much to do: what reaches it waits in its queues, datagrams beyond
//! what fits are dropped, and everything is handled late, timers too. The executor and the lease
//! guard are other threads and processes, and go on.

use super::clock::{True, MILLI, SECOND};
use super::plan::{between, chance, spread, Disturbance, Plan, Target, Trouble};
use super::world::{Happening, World};
use booth_core::engine::Event;
use booth_core::prng::Prng;
use booth_core::queues::PEER_QUEUE;
use std::collections::VecDeque;

/// What one round of the loop takes from each queue and from the wheel, as
/// `daemon/engine_loop.rs` does.
const RESULTS: usize = 64;
const DUE: usize = 128;
const PEERS: usize = 32;
const CLIENTS: usize = 16;
/// The datagrams of a flood.
const FLOOD: usize = 400;

/// The queues of a loop that is busy.
#[derive(Debug)]
pub struct Busy {
    until: True,
    /// When the next round is.
    next: True,
    /// The longest time from one round to the next.
    pause: True,
    results: VecDeque<Event>,
    /// Each with its sender and when it was sent.
    peers: VecDeque<(usize, True, Event)>,
    clients: VecDeque<Event>,
}

impl World {
    /// A loop has too much to do for a while.
    pub fn make_busy(&mut self, n: usize, (length, pause): (True, True), flood: Option<u64>) {
        if !self.nodes[n].runs() || !self.faulty(n) || self.faithful(n) {
            return;
        }
        if let Some(salt) = flood {
            self.replay(n, FLOOD, pause, salt);
        }
        self.coverage.note("loop: overloaded");
        let until = self.now + length;
        if let Some(busy) = &mut self.nodes[n].busy {
            busy.until = busy.until.max(until);
            return;
        }
        let (results, peers, clients) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        self.nodes[n].busy = Some(Busy { until, next: 0, pause, results, peers, clients });
        self.plan_round(n);
    }

    /// Plans the next round of a busy loop.
    pub fn plan_round(&mut self, n: usize) {
        let Some(busy) = &self.nodes[n].busy else { return };
        let (pause, over) = (busy.pause, self.now >= busy.until);
        let wait = if over { MILLI } else { self.choices.jitter(n, 28, MILLI, pause) };
        let (at, life) = (self.now + wait, self.nodes[n].life);
        if let Some(busy) = &mut self.nodes[n].busy {
            busy.next = at;
        }
        self.future.plan(at, Happening::Round { node: n, life });
    }

    /// A datagram waits for a busy loop; it is given back if the loop is not busy.
    pub fn queue_mail(&mut self, n: usize, from: usize, sent: True, event: Event) -> Option<Event> {
        let Some(busy) = &mut self.nodes[n].busy else { return Some(event) };
        if busy.peers.len() < PEER_QUEUE {
            busy.peers.push_back((from, sent, event));
        } else {
            self.coverage.note("loop: a datagram finds no room");
        }
        None
    }

    /// Something else waits for a busy loop; it is given back if the loop is not busy.
    pub fn queue(&mut self, n: usize, event: Event) -> Option<Event> {
        let Some(busy) = &mut self.nodes[n].busy else { return Some(event) };
        match event {
            Event::Client { .. } | Event::ClientGone { .. } => busy.clients.push_back(event),
            event => busy.results.push_back(event),
        }
        None
    }

    /// One round of a busy loop.
    pub fn round(&mut self, n: usize) {
        let now = self.now;
        let due = self.nodes[n].busy.as_ref().is_some_and(|busy| busy.next == now);
        if !due || self.nodes[n].paused.is_some() {
            // It goes on when the process does.
            return;
        }
        let life = self.nodes[n].life;
        for (number, most) in [RESULTS, PEERS, CLIENTS].into_iter().enumerate() {
            for _ in 0..most {
                let Some(busy) = &mut self.nodes[n].busy else { return };
                let event = match number {
                    0 => busy.results.pop_front(),
                    1 => {
                        let Some((from, sent, event)) = busy.peers.pop_front() else { break };
                        // The time in the queue counts as time under way.
                        if self.reference_lost(from, n, sent) {
                            continue;
                        }
                        Some(event)
                    }
                    _ => busy.clients.pop_front(),
                };
                let Some(event) = event else { break };
                self.step(n, event);
                if self.nodes[n].life != life || !self.nodes[n].runs() {
                    return;
                }
            }
            if number == 0 && !self.look_at_wheel(n) {
                return;
            }
        }
        let Some(busy) = &self.nodes[n].busy else { return };
        let left = busy.results.len() + busy.peers.len() + busy.clients.len();
        if self.now >= busy.until && left == 0 {
            self.nodes[n].busy = None;
            (self.nodes[n].wake_at, self.nodes[n].deaf_until) = (u64::MAX, 0);
            if self.look_at_wheel(n) {
                self.plan_wake(n);
            }
        } else {
            self.plan_round(n);
        }
    }

    /// A loop looks at its wheel: every ticket that is due has its turn, as far as the quota goes.
    /// Whether the process goes on.
    pub fn look_at_wheel(&mut self, n: usize) -> bool {
        let life = self.nodes[n].life;
        for _ in 0..DUE {
            let node = &mut self.nodes[n];
            let mono = node.clocks[node.machine].mono(self.now);
            let Some((_, ticket)) = node.wheel.ring(mono) else { break };
            self.step(n, Event::Due { ticket });
            if self.nodes[n].life != life || !self.nodes[n].runs() {
                return false;
            }
        }
        true
    }

    /// No loop has too much to do any more.
    pub fn calm_loops(&mut self) {
        let now = self.now;
        for busy in self.nodes.iter_mut().filter_map(|node| node.busy.as_mut()) {
            busy.until = busy.until.min(now);
        }
    }
}

/// In some runs loops have too much to do for a while.
pub fn draw_busy(prng: &mut Prng, plan: &mut Plan) {
    if !chance(prng, 15) {
        return;
    }
    let expire = plan.expire_max();
    let index = |n: u64| u8::try_from(n).unwrap_or(0);
    for _ in 0..between(prng, 1, 6) {
        let at = between(prng, SECOND, plan.chaos);
        let target = if chance(prng, 60) {
            Target::Holder(index(prng.below(plan.tickets.len() as u64)))
        } else {
            Target::Member(index(prng.below(plan.members() as u64)))
        };
        let length = spread(prng, 100 * MILLI, expire * 3);
        let pause = spread(prng, 20 * MILLI, expire / 4);
        let what = Trouble::Busy { length, pause, flood: chance(prng, 30) };
        plan.disturbances.push(Disturbance { at, target, what });
    }
    plan.disturbances.sort_by_key(|d| d.at);
}
