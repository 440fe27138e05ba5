// SPDX-License-Identifier: GPL-2.0-or-later
//! Choices taken from bytes: when they run out, every choice is the first one.

use booth::model::{Holder, MemberId, Term, TicketName};
use booth::time::Span;
use booth::wire::{Command, LastKnown, PeerBody, Reason, ResultCode, Round, Stamp, NONCE_MAX};

pub struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    pub fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None => 0,
        }
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number below `count`, which is at least 1 and at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Text of at most `max` letters of the alphabet.
    pub fn text(&mut self, alphabet: &[u8], max: usize) -> String {
        let len = self.below(max + 1);
        (0..len).map(|_| char::from(self.pick(alphabet))).collect()
    }

    pub fn ticket(&mut self) -> TicketName {
        let name = format!("t{}", self.text(b"abcXYZ059-/", 62));
        TicketName::new(&name).expect("made of the letters of a ticket name")
    }

    pub fn span(&mut self, max_millis: u64) -> Span {
        Span::from_millis(u64::from(self.u32()) % (max_millis + 1))
    }

    /// Small numbers mostly, since terms are compared; sometimes any.
    pub fn term(&mut self) -> Term {
        match self.byte() {
            255 => Term::new(self.u32()),
            254 => Term::new(u32::MAX),
            byte => Term::new(u32::from(byte % 6)),
        }
    }

    pub fn round(&mut self) -> Option<Round> {
        Round::new(self.u32() & Round::MAX)
    }

    pub fn stamp(&mut self) -> Stamp {
        Stamp { round: self.round(), established: self.flag() }
    }

    pub fn reason(&mut self) -> Reason {
        self.pick(Reason::ALL)
    }

    /// How long a voter has been unbound, as far as a vote can say it.
    pub fn unbound(&mut self) -> Option<Span> {
        self.flag().then(|| Span::from_millis(u64::from(self.u32() >> 1).min(0x7FFF_FFFE)))
    }

    /// A vote with any marks.
    pub fn vote(&mut self) -> PeerBody {
        let known = LastKnown { term: Term::new((self.u32() >> 1).max(1)), free: self.flag() };
        let last = self.flag().then_some(known);
        PeerBody::Vote { vouched: self.flag(), unbound_for: self.unbound(), last }
    }

    /// What a message between members says, and its leader field.
    pub fn body(&mut self, members: &[MemberId]) -> (PeerBody, Holder) {
        let acknowledged =
            [Command::Heartbeat, Command::Update, Command::RevokeTicket, Command::VoteFor];
        let results =
            [ResultCode::TermOutdated, ResultCode::TermStillValid, ResultCode::YouOutdated];
        let somebody = Holder::Member(self.pick(members));
        let anybody = if self.flag() { somebody } else { Holder::Nobody };
        match self.below(10) {
            0 => (PeerBody::Status { nonce: self.u32() }, anybody),
            1 => (PeerBody::MyIndex { nonce: self.u32() }, anybody),
            2 => {
                let (established, force) = (self.flag(), self.flag());
                let (reason, nonce) = (self.reason(), self.u32() & NONCE_MAX);
                (PeerBody::ReqVote { reason, established, force, nonce }, somebody)
            }
            3 => (self.vote(), somebody),
            4 => {
                let body = PeerBody::StepDown { reason: self.reason(), stamp: self.stamp() };
                (body, Holder::Nobody)
            }
            5 => (PeerBody::Heartbeat { stamp: self.stamp() }, anybody),
            6 => (PeerBody::Update { stamp: self.stamp() }, anybody),
            7 => {
                let body = PeerBody::Revoke { reason: self.reason(), stamp: self.stamp() };
                (body, anybody)
            }
            8 => (PeerBody::Ack { of: self.pick(&acknowledged), round: self.round() }, anybody),
            _ => {
                let of = self.pick(&[Command::ReqVote, Command::Heartbeat, Command::Update]);
                (
                    PeerBody::Rejected { of, result: self.pick(&results), granted: self.flag() },
                    anybody,
                )
            }
        }
    }
}
