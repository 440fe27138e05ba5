// SPDX-License-Identifier: GPL-2.0-or-later
//! The commands with which a transcript repeats a run of the simulator exactly: one message at a
//! time, stores by hand, stopped daemons, clocks that run at their own rates.

use super::lab::{due, member, Lab};
use crate::clock::Clock;
use booth_core::engine::{
    CibLoad, CibOutcome, CibState, CibTicket, Event, HoldWindow, WriteSerial,
};
use booth_core::keeper::expires_of;
use booth_core::model::{MemberIndex, TicketIndex};
use booth_core::time::{MonoTime, Now, Span, WallTime};
use booth_core::wire::{decode_peer, encode_peer, PeerMessage, TimeUnit};

/// What one member's store, clock and process do by hand.
#[derive(Debug, Default)]
pub struct Hand {
    /// Its clock runs this many millionths fast.
    pub ppm: i64,
    /// Its daemon is stopped.
    pub stopped: bool,
    /// A read has been asked for.
    pub reading: Option<TicketIndex>,
    /// What its engine has told of its window.
    pub window: Option<HoldWindow>,
    /// Writes that have been asked for, oldest first.
    pub writes: Vec<(WriteSerial, CibState, WallTime)>,
    /// How many of them can take effect no more, because a later one has.
    pub past: usize,
}

/// A message as it is after the wire, which has no parts of a millisecond.
fn wired(message: &PeerMessage, from: usize, millis: bool) -> PeerMessage {
    let unit = if millis { TimeUnit::Millis } else { TimeUnit::Seconds };
    let packet = encode_peer(member(from).0, message, unit);
    decode_peer(&packet, unit).expect("what ours says can be read").1
}

impl Lab {
    /// Carries out one of these commands; false: it is none.
    pub fn by_hand(&mut self, words: &[&str]) -> bool {
        match *words {
            ["by-hand"] => self.by_hand = true,
            ["clock", name, ppm] => {
                let index = self.index(name);
                let rate = ppm.strip_suffix("ppm").and_then(|n| n.parse().ok());
                self.nodes[index].hand.ppm = rate.expect("a rate in ppm");
            }
            ["stop", name] => self.halt(name, true),
            ["continue", name] => self.halt(name, false),
            ["pass", from, to] => self.pass(from, to, None),
            ["pass", from, to, number] => {
                self.pass(from, to, Some(number.parse().expect("the number of a message")));
            }
            ["reads", name] => self.reads(name, true),
            ["reads", name, "fails"] => self.reads(name, false),
            ["ends", name, serial, how] => {
                self.ends(name, WriteSerial(serial.parse().expect("a number")), how);
            }
            ["effect", name, what] => self.effect(name, what == "grant"),
            ["claims", name] => self.claims(name),
            ["guard", name] => {
                let index = self.index(name);
                self.nodes[index].store.granted = false;
                self.nodes[index].hand.past = self.nodes[index].hand.writes.len();
                self.say(index, "store: revoked by the keeper");
            }
            _ => return false,
        }
        true
    }

    fn halt(&mut self, name: &str, stopped: bool) {
        let index = self.index(name);
        self.nodes[index].hand.stopped = stopped;
        if !stopped {
            self.event(index, due());
        }
    }

    /// A message that was sent is delivered: the one after the last that was, or any other again.
    fn pass(&mut self, from: &str, to: &str, number: Option<usize>) {
        let (from, to) = (self.index(from), self.index(to));
        let link = (from, to);
        let at = number.unwrap_or(self.passed.get(&link).copied().unwrap_or(0) + 1);
        self.passed.insert(link, at);
        let sent = self.sent.get(&link).and_then(|sent| sent.get(at - 1)).cloned();
        let Some(message) = sent else {
            let name = self.nodes[from].name.clone();
            self.say(to, &format!("hears nothing: {name} has sent no message {at}"));
            return;
        };
        let message = wired(&message, from, self.millis());
        let from = MemberIndex::new(from).expect("a small cluster");
        self.event(to, Event::Peer { from, message });
    }

    fn reads(&mut self, name: &str, works: bool) {
        let index = self.index(name);
        let Some(ticket) = self.nodes[index].hand.reading.take() else {
            self.say(index, "was not reading its store");
            return;
        };
        let store = self.nodes[index].store.clone();
        let outcome = if !works {
            CibLoad::Failed("exit status 1".to_owned())
        } else if store == CibTicket::default() {
            CibLoad::Absent
        } else {
            CibLoad::Loaded(store)
        };
        self.event(index, Event::CibLoaded { ticket, outcome });
    }

    /// A write has been asked for.
    pub fn asks_to_write(&mut self, index: usize, serial: WriteSerial, state: CibState) {
        let now = self.clock(index);
        let window = self.nodes[index].hand.window;
        let secs = expires_of(&state, window.as_ref(), now);
        self.nodes[index].hand.writes.push((serial, state, WallTime::from_secs(secs)));
    }

    fn ends(&mut self, name: &str, serial: WriteSerial, how: &str) {
        let index = self.index(name);
        let known = self.nodes[index].hand.writes.iter().any(|write| write.0 == serial);
        if !known {
            self.say(index, "has no such write under way");
            return;
        }
        let outcome = match how {
            "written" => CibOutcome::Written,
            "failed" => CibOutcome::Failed("exit status 1".to_owned()),
            "killed" => CibOutcome::Killed,
            "late" => CibOutcome::TooLate,
            "superseded" => CibOutcome::Superseded,
            _ => panic!("a write does not end so: {how}"),
        };
        let ticket = TicketIndex::new(0);
        self.event(index, Event::CibWritten { ticket, serial, outcome });
    }

    /// The newest write of this kind takes effect in the store, unless a later one has: a site
    /// changes its store through one path, in order.
    fn effect(&mut self, name: &str, granted: bool) {
        let index = self.index(name);
        let node = &mut self.nodes[index];
        let newest = node.hand.writes.iter().rposition(|write| write.1.granted == granted);
        let Some(newest) = newest else {
            self.say(index, "has asked for no such write");
            return;
        };
        if newest < node.hand.past {
            self.say(index, "has made a later write");
            return;
        }
        node.hand.past = newest;
        self.apply(index, newest);
    }

    /// What a member may hold stands in its store: its newest grant takes effect if the window
    /// that its engine has told lasts.
    fn claims(&mut self, name: &str) {
        let index = self.index(name);
        let now = self.clock(index).mono;
        let hand = &self.nodes[index].hand;
        let may = hand.window.is_some_and(|window| now < window.hold_until);
        match hand.writes.iter().rposition(|write| write.1.granted).filter(|_| may) {
            Some(newest) => self.apply(index, newest),
            None => self.say(index, "may not hold"),
        }
    }

    fn apply(&mut self, index: usize, write: usize) {
        let node = &mut self.nodes[index];
        let (_, state, expires) = node.hand.writes[write];
        node.store.granted = state.granted;
        node.store.owner = Some(state.owner);
        node.store.term = Some(state.term);
        node.store.expires = Some(expires);
        let what = if state.granted { "granted" } else { "revoked" };
        self.say(index, &format!("store: {what} now"));
    }

    fn millis(&self) -> bool {
        let spec = self.spec.as_ref().expect("a ticket");
        let odd = |micros: u64| micros % 1_000_000 != 0;
        [spec.expire, spec.timeout, spec.renewal, spec.acquire_after]
            .iter()
            .any(|span| odd(span.as_micros()))
    }

    /// What a member's clocks show now.
    pub fn clock(&self, index: usize) -> Now {
        let clock = Clock::new(0, self.nodes[index].hand.ppm, 0);
        let local = clock.mono(self.now.mono.since(self.base.mono).as_micros());
        let since = local.since(MonoTime::ZERO);
        Now { mono: self.base.mono.plus(since), wall: self.base.wall.plus(since) }
    }

    /// When, by the lab's own time, a member's clock shows `at`.
    pub fn when(&self, index: usize, at: MonoTime) -> MonoTime {
        let clock = Clock::new(0, self.nodes[index].hand.ppm, 0);
        let local = MonoTime::ZERO.plus(at.since(self.base.mono));
        self.base.mono.plus(Span::from_micros(clock.when(local)))
    }
}
