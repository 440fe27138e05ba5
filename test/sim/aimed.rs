// SPDX-License-Identifier: GPL-2.0-or-later
//! Disturbances that are aimed: at whoever holds and the others as seen from there, at a majority
//! that is just large enough, at restarts, and with old datagrams of rare kinds.

use super::choice::{mix, Dice};
use super::clock::{True, MILLI};
use super::codec::Mail;
use super::plan::Order;
use super::world::{Happening, World};
use booth_core::prng::Prng;
use booth_core::wire::{PeerBody, PeerMessage};
use std::collections::VecDeque;
use std::rc::Rc;

/// Kinds of messages that are kept apart.
const KINDS: usize = 10;
/// How many old datagrams of each kind are kept for each receiver.
const KEPT: usize = 12;
/// Old datagrams of any kind.
pub const ANY: u8 = u8::MAX;
/// Old answers to STATUS.
pub const MY_INDEX: u8 = 1;
/// Old announcements that a leader gave up.
pub const STEP_DOWN: u8 = 4;
/// Old announcements that an administrator took the ticket back.
pub const REVOKE: u8 = 7;

/// Something aimed; the target is usually whoever holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aimed {
    /// The target keeps links only to as many others as make a majority with it.
    Bare {
        /// For how long.
        length: True,
        /// What it sends to the rest is lost.
        out: bool,
        /// What the rest sends to it is lost.
        into: bool,
        /// Which others it keeps.
        turn: u8,
    },
    /// One of the others ends and starts again.
    CrashOther {
        /// Which.
        turn: u8,
        /// How long it is away.
        down: True,
    },
    /// One of the others is stopped and goes on.
    PauseOther {
        /// Which.
        turn: u8,
        /// For how long.
        length: True,
    },
    /// All members end within this time, and start again.
    Everyone {
        /// Within which they end, and how long they are away at most.
        within: True,
    },
    /// Links of one of the others to the target hold everything back.
    ClogOther {
        /// Which.
        turn: u8,
        /// For how long.
        length: True,
    },
    /// Old datagrams reach a member, a rare kind as likely as a frequent one.
    Stale {
        /// Which of the others; 0: the target.
        turn: u8,
        /// Of which kind; [`ANY`].
        kind: u8,
        /// How many.
        count: u8,
        /// Within which time.
        within: True,
    },
    /// Its wall clock is set, and before anything is written by it, its daemon ends and starts
    /// again: the promise (`RULES.md`, condition 3) does not cover that.
    SetClock {
        /// By how much.
        far: True,
        /// Back, or ahead.
        back: bool,
        /// How long it is away.
        down: True,
    },
    /// An administrator asks another site.
    AskOther {
        /// Which.
        turn: u8,
        /// About which ticket.
        ticket: u8,
        /// For what.
        order: Order,
    },
}

/// Old datagrams by receiver and kind.
#[derive(Debug, Default)]
pub struct Kinds {
    kept: Vec<VecDeque<(usize, Mail)>>,
    count: usize,
}

/// A small number for each kind of message.
fn kind(message: &PeerMessage) -> usize {
    match message.body {
        PeerBody::Status { .. } => 0,
        PeerBody::MyIndex { .. } => usize::from(MY_INDEX),
        PeerBody::ReqVote { .. } => 2,
        PeerBody::Vote { .. } => 3,
        PeerBody::StepDown { .. } => usize::from(STEP_DOWN),
        PeerBody::Heartbeat { .. } => 5,
        PeerBody::Update { .. } => 6,
        PeerBody::Revoke { .. } => usize::from(REVOKE),
        PeerBody::Ack { .. } => 8,
        PeerBody::Rejected { .. } => 9,
    }
}

impl Kinds {
    /// Nothing has been sent between so many members.
    pub fn new(members: usize) -> Kinds {
        Kinds { kept: vec![VecDeque::new(); members * KINDS], count: 0 }
    }

    /// Keeps a datagram; when there is no more room, one of the newer half goes, so that very
    /// old ones are there too.
    pub fn keep(&mut self, to: usize, from: usize, message: &PeerMessage, mail: &Mail) {
        let kept = &mut self.kept[to * KINDS + kind(message)];
        self.count += 1;
        if kept.len() == KEPT {
            kept.remove(KEPT / 2 + self.count % (KEPT / 2));
        }
        kept.push_back((from, Rc::clone(mail)));
    }

    fn draw(&self, to: usize, kind: u8, dice: &mut Dice) -> Option<(usize, Mail)> {
        let kinds: Vec<&VecDeque<(usize, Mail)>> = self.kept[to * KINDS..(to + 1) * KINDS]
            .iter()
            .enumerate()
            .filter(|(at, kept)| !kept.is_empty() && (kind == ANY || *at == usize::from(kind)))
            .map(|(_, kept)| kept)
            .collect();
        let index = |n: u64| usize::try_from(n).unwrap_or(0);
        let kept = kinds.get(index(dice.below((kinds.len() as u64).max(1))))?;
        kept.get(index(dice.below(kept.len() as u64))).map(|(from, mail)| (*from, Rc::clone(mail)))
    }
}

impl World {
    /// The member that is `turn` places after `n`; never `n` itself.
    fn other(&self, n: usize, turn: u8) -> usize {
        (n + 1 + usize::from(turn) % (self.nodes.len() - 1)) % self.nodes.len()
    }

    /// Something aimed happens to `n`; `number` is that of the disturbance.
    pub fn aim(&mut self, n: usize, what: Aimed, number: usize) {
        let members = self.nodes.len();
        match what {
            Aimed::Bare { length, out, into, turn } => {
                let mut peers = u16::MAX;
                for step in 0..members / 2 {
                    let turn = usize::from(turn) + step;
                    peers &= !(1 << self.other(n, u8::try_from(turn).unwrap_or(0)));
                }
                self.cut(n, length, out, into, peers);
            }
            Aimed::CrashOther { turn, down } => {
                self.crash(self.other(n, turn), down, false, false);
            }
            Aimed::PauseOther { turn, length } => self.pause(self.other(n, turn), length),
            Aimed::Everyone { within } => {
                let mut prng = Prng::new(mix(self.plan.seed ^ number as u64));
                for m in 0..members {
                    let at = self.now + prng.below(within);
                    let (life, down) = (self.nodes[m].life, MILLI + prng.below(within));
                    self.future.plan(at, Happening::Crash { node: m, life, down, moves: false });
                }
            }
            Aimed::ClogOther { turn, length } => {
                let until = self.now + length;
                self.net.link(self.other(n, turn), n).clog_until = until;
            }
            Aimed::Stale { turn, kind, count, within } => {
                let to = if turn == 0 { n } else { self.other(n, turn) };
                self.stale(to, (kind, count), within, number);
            }
            Aimed::SetClock { far, back, down } => {
                self.nodes[n].clock_set_at = self.now;
                let far = i64::try_from(far).unwrap_or(i64::MAX);
                for clock in &mut self.nodes[n].clocks {
                    clock.jump(if back { -far } else { far });
                }
                self.crash(n, down, false, false);
                // A keeper that lives through it knows better than the wall clock.
                if down % 2 == 1 && self.nodes[n].engine.is_none() && self.nodes[n].site {
                    self.keeper_dies(n);
                }
            }
            Aimed::AskOther { turn, ticket, order } => {
                let mut m = self.other(n, turn);
                for _ in 0..members {
                    if self.nodes[m].site && m != n {
                        break;
                    }
                    m = (m + 1) % members;
                }
                self.order(m, usize::from(ticket), order, 0);
            }
        }
    }

    fn stale(&mut self, to: usize, what: (u8, u8), within: True, number: usize) {
        let (kind, count) = what;
        let salt = mix(self.plan.seed.rotate_left(7) ^ number as u64);
        let mut dice = Dice::Random(Prng::new(salt));
        for _ in 0..count {
            let at = self.now + dice.below(within.max(1));
            let Some((from, mail)) = self.net.kinds.draw(to, kind, &mut dice) else { return };
            self.future.plan(at, Happening::Arrive { to, from, mail, late: true });
        }
    }
}
