// SPDX-License-Identifier: GPL-2.0-or-later
//! The queues inside a daemon: what its engine wishes reaches the executor a little later, and
//! what the executor reports reaches the engine a little later, each in order. So an outcome may
//! cross a wish that was made without knowing of it. A stopped process stops both.

use super::choice::Kind;
use super::clock::{True, MILLI};
use super::node::Waiting;
use super::reference::{plain, Manner};
use super::world::{Happening, World};
use booth_core::engine::{Event, JobWish, StoreWish};
use booth_core::keeper::Answer;
use booth_core::slots::{JobEnd, JobId};
use std::collections::VecDeque;

/// What an engine wishes of its executor.
#[derive(Clone, Debug)]
pub enum Wish {
    /// For the keeper.
    Store(StoreWish),
    /// For the slots.
    Job(JobWish),
}

/// Choices of the queues are told apart from a member's other ones by numbers from here on.
const PLACE: usize = 24;

/// How long things wait in the queues.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueuePlan {
    /// The longest ordinary wait.
    pub usual: True,
    /// Chance that one waits for longer.
    pub slow_ppm: u32,
    /// The longest wait of all.
    pub slow_max: True,
}

/// Which queue.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From the engine to the executor.
    Wish,
    /// From the executor to the engine.
    Report,
    /// From a process that has ended, in any order, or from the keeper, in order, to the executor.
    End,
}

/// The queues of one process.
#[derive(Debug, Default)]
pub struct Queues {
    /// Wishes under way, each with the time at which it arrives.
    wishes: VecDeque<(True, Wish)>,
    /// When the last report arrives.
    reported: True,
    /// When the last answer of the keeper arrives.
    answered: True,
}

impl World {
    /// Something reaches a process: at once, or when it goes on.
    pub fn reach(&mut self, n: usize, waiting: Waiting) {
        if self.nodes[n].engine.is_none() {
            return;
        }
        if self.nodes[n].paused.is_some() {
            self.nodes[n].inbox.push_back(waiting);
            return;
        }
        match waiting {
            Waiting::Event(event) => {
                if let Some(event) = self.queue(n, *event) {
                    self.step(n, event);
                }
            }
            Waiting::Job(id, end) => self.exec_finished(n, id, end),
            Waiting::Answer(answer) => self.exec_answered(n, *answer),
            Waiting::Mail(from, mail) => {
                if self.reference_lost(from, n, mail.sent) {
                    return;
                }
                let wall = self.nodes[n].clock().wall(self.now);
                let (ears, roster) = (&mut self.nodes[n].ears, &self.rosters[n]);
                let mut event = self.codec.open(ears, &mail.bytes, wall, roster);
                if let Event::Peer { from: sender, message } = &mut event {
                    assert!(sender.get() == from, "a sealed datagram names its sender");
                    if self.manners[n] != Manner::Ours {
                        *message = plain(message);
                    }
                    self.script_mail(from, n, &mail);
                }
                if let Some(event) = self.queue_mail(n, from, mail.sent, event) {
                    self.step(n, event);
                }
            }
        }
    }

    fn lag(&mut self, n: usize, way: Way) -> True {
        let queues = self.plan.worlds.queues;
        if queues.usual == 0 && queues.slow_ppm == 0 {
            return 0;
        }
        let usual = self.choices.jitter(n, PLACE + way as usize, 0, queues.usual);
        let ppm = if self.faulty(n) { queues.slow_ppm } else { 0 };
        match self.choices.fault(Kind::Queue, n, way as usize, ppm) {
            Some(mut dice) => {
                self.coverage.note("queue: slow");
                usual + dice.spread(MILLI, queues.slow_max)
            }
            None => usual,
        }
    }

    /// The engine wishes something of the executor.
    pub fn send_wish(&mut self, n: usize, wish: Wish) {
        let at = self.now + self.lag(n, Way::Wish);
        let wishes = &mut self.nodes[n].queues.wishes;
        let last = wishes.back().map_or(0, |(at, _)| *at);
        if wishes.is_empty() && at == self.now {
            self.exec_offer(n, wish);
            return;
        }
        let at = at.max(last);
        wishes.push_back((at, wish));
        let life = self.nodes[n].life;
        self.future.plan(at, Happening::Wish { node: n, life });
    }

    /// The executor takes the wishes that have arrived.
    pub fn take_wishes(&mut self, n: usize) {
        while self.nodes[n].runs() {
            let wishes = &mut self.nodes[n].queues.wishes;
            if wishes.front().is_none_or(|(at, _)| *at > self.now) {
                return;
            }
            if let Some((_, wish)) = wishes.pop_front() {
                self.exec_offer(n, wish);
            }
        }
    }

    /// The executor reports something to the engine.
    pub fn report(&mut self, n: usize, event: Event) {
        let at = self.now + self.lag(n, Way::Report);
        let queues = &mut self.nodes[n].queues;
        queues.reported = queues.reported.max(at);
        if !queues.wishes.is_empty() {
            self.coverage.note("queue: a report crosses a wish");
        }
        let (at, life) = (self.nodes[n].queues.reported, self.nodes[n].life);
        self.future.plan(at, Happening::Post { node: n, life, event: Box::new(event) });
    }

    /// When the last answer of a keeper that has died reaches the shell.
    pub fn answers_end(&self, n: usize) -> True {
        self.nodes[n].queues.answered.max(self.now)
    }

    /// The keeper says something to the shell.
    pub fn keeper_answer(&mut self, n: usize, answer: Answer) {
        let at = self.now + self.lag(n, Way::End);
        let queues = &mut self.nodes[n].queues;
        queues.answered = queues.answered.max(at);
        let (at, life) = (queues.answered, self.nodes[n].life);
        let answer = Box::new(answer);
        self.future.plan(at, Happening::Answer { node: n, life, answer });
    }

    /// A job of this life's executor has ended, and it hears of that.
    pub fn job_ended(&mut self, n: usize, id: JobId, end: JobEnd) {
        match self.lag(n, Way::End) {
            0 => self.reach(n, Waiting::Job(id, end)),
            lag => {
                let (at, life, end) = (self.now + lag, self.nodes[n].life, Box::new(end));
                self.future.plan(at, Happening::JobEnd { node: n, life, id, end });
            }
        }
    }
}
