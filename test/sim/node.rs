// SPDX-License-Identifier: GPL-2.0-or-later
//! One member: the engine that ships, and what the shell around it remembers.

use super::busy::Busy;
use super::clock::{Clock, True};
use super::codec::{Codec, Ears, Mail};
use super::configs::{Variant, SAME};
use super::exec::{Pending, Read, Windows};
use super::plan::Plan;
use super::queues::Queues;
use super::reference::brain::Brain;
use booth_core::engine::{ClientId, Effect, Event};
use booth_core::keeper::{Answer, Told};
use booth_core::model::{MemberRole, Term, TicketSpec};
use booth_core::slots::{Action, JobEnd, JobId, Limits, Slots};
use booth_core::time::{MonoTime, Now, WallTime};
use booth_core::wheel::Wheel;
use std::collections::VecDeque;

/// Something that reaches a process, or waits while the process is stopped.
#[derive(Debug)]
pub enum Waiting {
    /// A datagram.
    Mail(usize, Mail),
    /// An event for the engine.
    Event(Box<Event>),
    /// A job of the executor has ended.
    Job(JobId, JobEnd),
    /// The keeper has said something.
    Answer(Box<Answer>),
}

/// One member of the cluster.
#[derive(Debug)]
pub struct Node {
    /// The engine while the process lives.
    pub engine: Option<Brain>,
    /// Counts the lives of the process.
    pub life: u32,
    /// On which of its two machines it runs.
    pub machine: usize,
    /// The clocks of both.
    pub clocks: [Clock; 2],
    /// Stopped, until the resumption with this number.
    pub paused: Option<u32>,
    /// When its wall clock last came too far from another's, or back.
    pub strange_at: True,
    /// When it went on after a stop.
    pub resumed_at: True,
    /// Counts the stops.
    pub stops: u32,
    /// What waits while it is stopped.
    pub inbox: VecDeque<Waiting>,
    /// Effects of the step in which it was stopped, and when that was.
    pub deferred: VecDeque<(True, Effect)>,
    /// Its configuration file.
    pub variant: Variant,
    /// The tickets with which it runs, or ran last; `None`: the plan's.
    pub tickets: Option<Vec<TicketSpec>>,
    /// When its process ended last.
    pub ended_at: True,
    /// Whether it is a site.
    pub site: bool,
    /// The timers that the engine armed.
    pub wheel: Wheel,
    /// Until when the rings of its timer are lost.
    pub deaf_until: True,
    /// When the world will look at its timers next, and for which.
    pub wake_at: True,
    pub wake_for: MonoTime,
    /// The order and the deadlines of reads and handlers.
    pub slots: Slots,
    /// Per ticket, the read that is wanted or runs.
    pub reads: Vec<Read>,
    /// Per ticket, what its keeper was told, and has not answered yet.
    pub told: Vec<Told>,
    /// Per ticket, the end of the lease of which the life before had told this machine's keeper.
    pub heirs: Vec<Option<True>>,
    /// Both clocks when its engine began.
    pub started: Now,
    /// What its engine wished last of each ticket's window; the executor may not know yet.
    pub wished: Windows,
    /// What waits for its loop while that has too much to do.
    pub busy: Option<Busy>,
    /// What is on its way between its engine and its executor.
    pub queues: Queues,
    /// Handlers that run.
    pub pending: Vec<Pending>,
    /// When the world will look at the executor's deadlines next.
    pub exec_wake_at: True,
    /// Room for the executor's actions.
    pub actions: Vec<Action>,
    /// What opens datagrams.
    pub ears: Ears,
    /// The last client of this life.
    pub last_client: u64,
    /// When its engine began.
    pub began: True,
    /// Whether it ended for good (phase two leaves it broken).
    pub gone: bool,
    /// The wall clock was set after the last grant of a ticket was written.
    pub jumped_at: True,
    /// When the wall clock was last set against condition 3 of the promise.
    pub clock_set_at: True,
}

impl Node {
    /// A member that has not started.
    pub fn new(plan: &Plan, codec: &Codec, m: usize) -> Node {
        let tickets = plan.tickets.len();
        let clock = |machine: usize| {
            let clock = plan.clocks[m][machine];
            Clock::new(clock.boot, clock.ppm, clock.wall)
        };
        Node {
            engine: None,
            life: 0,
            machine: 0,
            clocks: [clock(0), clock(1)],
            site: plan.roles[m] == MemberRole::Site,
            paused: None,
            strange_at: 0,
            resumed_at: 0,
            stops: 0,
            variant: SAME,
            tickets: None,
            ended_at: 0,
            inbox: VecDeque::new(),
            deferred: VecDeque::new(),
            wheel: Wheel::new(),
            deaf_until: 0,
            wake_at: u64::MAX,
            wake_for: MonoTime::ZERO,
            slots: Slots::new(tickets, Limits::processes()),
            reads: vec![Read::default(); tickets],
            told: vec![Told::default(); tickets],
            heirs: vec![None; tickets],
            started: Now { mono: MonoTime::ZERO, wall: WallTime::EPOCH },
            wished: vec![(None, Term::ZERO); tickets],
            queues: Queues::default(),
            busy: None,
            pending: Vec::new(),
            exec_wake_at: u64::MAX,
            actions: Vec::new(),
            ears: codec.ears(),
            last_client: 0,
            began: 0,
            gone: false,
            jumped_at: 0,
            clock_set_at: 0,
        }
    }

    /// The clock of the machine on which it runs.
    pub fn clock(&self) -> &Clock {
        &self.clocks[self.machine]
    }

    /// Whether it lives and is not stopped.
    pub fn runs(&self) -> bool {
        self.engine.is_some() && self.paused.is_none()
    }

    /// A client that was never seen in this life.
    pub fn new_client(&mut self) -> ClientId {
        self.last_client += 1;
        ClientId(self.last_client)
    }
}
