// SPDX-License-Identifier: GPL-2.0-or-later
//! The network between the members: it loses, doubles, delays, damages, holds back and repeats.

use super::aimed::Kinds;
use super::choice::{mix, Kind};
use super::clock::{True, MILLI};
use super::codec::{damaged, Mail};
use super::node::Waiting;
use super::reference::{plain, Manner};
use super::world::{Happening, World};
use booth_core::wire::PeerMessage;
use std::collections::VecDeque;
use std::rc::Rc;

/// How many datagrams wait for a process that is stopped; the kernel drops what is beyond.
const SOCKET_BUFFER: usize = 256;
/// How many datagrams per receiver are kept to be repeated.
const KEPT: usize = 96;

/// One direction between two members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// What is sent before this time is lost.
    pub cut_until: True,
    /// What is sent before this time arrives after it.
    pub clog_until: True,
}

/// All links, and old datagrams.
#[derive(Debug)]
pub struct Network {
    members: usize,
    links: Vec<Link>,
    kept: Vec<VecDeque<(usize, Mail)>>,
    sent: u64,
    /// Old datagrams by kind.
    pub kinds: Kinds,
    /// How many datagrams each member has sent.
    pub sent_by: Vec<u64>,
    /// The datagram with this number is so much later than usual; `None`: it is lost.
    pub one: Option<(u64, Option<True>)>,
}

impl Network {
    /// Links between this many members.
    pub fn new(members: usize) -> Network {
        Network {
            members,
            links: vec![Link::default(); members * members],
            kept: vec![VecDeque::new(); members],
            sent: 0,
            kinds: Kinds::new(members),
            sent_by: vec![0; members],
            one: None,
        }
    }

    /// How many datagrams have been sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The link between two members.
    pub fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.members + to]
    }

    /// Ends every cut and clog between the members of `core` now.
    pub fn heal(&mut self, core: u16, now: True) {
        for from in 0..self.members {
            for to in 0..self.members {
                if core & (1 << from) != 0 && core & (1 << to) != 0 {
                    let link = self.link(from, to);
                    let ended = |until: True| until.min(now);
                    *link = Link {
                        cut_until: ended(link.cut_until),
                        clog_until: ended(link.clog_until),
                    };
                }
            }
        }
    }

    fn keep(&mut self, to: usize, from: usize, mail: &Mail) {
        let kept = &mut self.kept[to];
        if kept.len() == KEPT {
            // The oldest half thins out slowly, so that very old datagrams are there too.
            let at = usize::try_from(self.sent % (KEPT as u64 / 2)).unwrap_or(0);
            kept.remove(at);
        }
        kept.push_back((from, Rc::clone(mail)));
    }
}

impl World {
    /// A member says something to another.
    pub fn say_to(&mut self, n: usize, to: usize, mut message: PeerMessage) {
        if self.manners[n] != Manner::Ours {
            message = plain(&message);
        }
        self.history.mix(self.now, 2, ((n as u64) << 8) | to as u64);
        self.trace(|w| format!("{} -> {}: {}", w.name(n), w.name(to), w.say(&message)));
        self.blame_sent(n, to, &message);
        if !self.faithful(n) {
            self.check_send(n, to, &message);
        }
        let wall = self.nodes[n].clock().wall(self.now);
        let mail = self.codec.seal(n, &message, self.now, wall);
        self.net.kinds.keep(to, n, &message, &mail);
        self.script_sent(n, to, &mail);
        self.send(n, to, mail);
    }

    /// A member hands a datagram to its kernel.
    pub fn send(&mut self, from: usize, to: usize, mail: Mail) {
        let net = self.plan.net;
        self.net.sent += 1;
        self.net.sent_by[from] += 1;
        self.net.keep(to, from, &mail);
        let link = *self.net.link(from, to);
        if self.now < link.cut_until {
            self.coverage.note("datagram: cut off");
            return;
        }
        let mut usual = self.choices.jitter(from, to, net.delay_min, net.delay_max);
        if net.far > 0 && self.are_far(from, to) {
            self.coverage.note("datagram: on a far link");
            usual += net.far;
        }
        let mut at = self.now.max(link.clog_until) + usual;
        let mut late = link.clog_until > self.now;
        if late {
            self.coverage.note("datagram: clogged");
        }
        match self.net.one {
            Some((number, None)) if number == self.net.sent => return,
            Some((number, Some(by))) if number == self.net.sent => at += by,
            Some(_) | None => {}
        }
        let ppm = if self.faulty(from) && self.faulty(to) { net.fault_ppm } else { 0 };
        if let Some(mut dice) = self.choices.fault(Kind::Datagram, from, to, ppm) {
            let mut roll = dice.below(net.weights.iter().sum::<u64>().max(1));
            let mut kind = 0;
            while kind < 3 && roll >= net.weights[kind] {
                roll -= net.weights[kind];
                kind += 1;
            }
            self.trace(|w| format!("{} -> {}: fault {kind}", w.name(from), w.name(to)));
            self.coverage.note(
                ["datagram: lost", "datagram: doubled", "datagram: late", "datagram: damaged"]
                    [kind],
            );
            match kind {
                0 => return,
                1 => {
                    let again = at + dice.spread(1, net.late_max);
                    let late = true;
                    let mail = Rc::clone(&mail);
                    self.future.plan(again, Happening::Arrive { to, from, mail, late });
                }
                2 => {
                    let by = dice.spread(MILLI, net.late_max);
                    if by > self.plan.expire_max() {
                        self.coverage.note("datagram: late by more than a lease");
                    }
                    at += by;
                    late = true;
                }
                _ => {
                    let mail = damaged(&mail, self.codec.keyed(), &mut dice);
                    self.future.plan(at, Happening::Arrive { to, from, mail, late });
                    return;
                }
            }
        }
        self.future.plan(at, Happening::Arrive { to, from, mail, late });
    }

    /// Whether two members are farther apart than others, where some are.
    fn are_far(&self, one: usize, other: usize) -> bool {
        let pair = (one.min(other) * self.nodes.len() + one.max(other)) as u64;
        mix(self.plan.seed ^ (pair << 32)) % 3 == 0
    }

    /// A datagram arrives at a member's machine.
    pub fn arrive(&mut self, to: usize, from: usize, mail: Mail) {
        if self.nodes[to].engine.is_none() {
            return;
        }
        let full = self.nodes[to].inbox.len() >= SOCKET_BUFFER;
        if self.nodes[to].paused.is_some() && full {
            return;
        }
        self.reach(to, Waiting::Mail(from, mail));
    }

    /// Old datagrams arrive once more, spread over `within`.
    pub fn replay(&mut self, to: usize, count: usize, within: True, salt: u64) {
        let kept = self.net.kept[to].len() as u64;
        for number in 0..count as u64 {
            let roll = super::choice::mix(salt.wrapping_add(number));
            if kept == 0 {
                return;
            }
            let (from, mail) = &self.net.kept[to][usize::try_from(roll % kept).unwrap_or(0)];
            let (from, mail) = (*from, Rc::clone(mail));
            let at = self.now + (roll >> 32) % within.max(1);
            let late = true;
            self.future.plan(at, Happening::Arrive { to, from, mail, late });
        }
    }
}
