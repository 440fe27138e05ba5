// SPDX-License-Identifier: GPL-2.0-or-later
//! What a ticket may use while it handles one event: the time, the members, the generator, and
//! the list of effects. Everything a ticket sends goes through here, so that it is counted.

use super::effect::{Effect, Note, NoteEvent, NoteLevel};
use super::event::{ClientId, ProbeRun, WriteSerial};
use super::report::{Figures, PeerCounters, PeerRow, Reply};
use crate::model::{MemberIndex, MemberRole, MemberSet, Roster, TicketIndex};
use crate::prng::Prng;
use crate::time::{MonoTime, Now, Span};
use crate::wire::{PeerMessage, NONCE_MAX};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What is known of another member, over all tickets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerBook {
    /// When something was last heard from it.
    pub last_recv: Option<MonoTime>,
    /// The last round trip that was measured.
    pub round_trip: Option<Span>,
    /// Its counters.
    pub counters: PeerCounters,
}

impl PeerBook {
    /// Its row of `booth peers`. It has wall-clock times, as the clock is set now.
    pub fn row(&self, now: Now, member: MemberIndex) -> PeerRow {
        let (last_recv, counters) = (self.last_recv.map(|at| now.wall_at(at)), self.counters);
        PeerRow { member, last_recv, unreachable_since: None, counters }
    }
}

/// The numbers that are never used twice.
#[derive(Debug, Default)]
pub(super) struct Serials {
    write: u64,
    probe: u64,
}

/// The surroundings of one step.
pub(super) struct Cx<'a> {
    /// Both clocks.
    pub now: Now,
    /// How many tickets there are.
    pub tickets: usize,
    /// All members.
    pub roster: &'a Roster,
    /// The seeded generator.
    pub prng: &'a mut Prng,
    /// Where effects go.
    pub effects: &'a mut Vec<Effect>,
    /// One entry per member.
    pub books: &'a mut [PeerBook],
    /// Fresh numbers.
    pub serials: &'a mut Serials,
    /// Which ticket each waiting client waits for.
    pub clients: &'a mut BTreeMap<ClientId, TicketIndex>,
    /// What is counted over all tickets.
    pub figures: &'a mut Figures,
    /// Whether somebody only asks: what has changed is told in the next step that does something.
    pub asked: bool,
    /// Where in the effects the last log line of this step is that people see.
    pub said: Option<usize>,
}

/// The longest pause between two attempts at a store that fails, with few tickets: whoever mends
/// the store sees soon that it is well.
const STORE_PAUSE: Span = Span::from_secs(5);

/// With many tickets the pause is longer: all together make so many attempts a second.
const STORE_ATTEMPTS: u64 = 20;

/// But no pause is longer than this.
const STORE_PAUSE_MAX: Span = Span::from_secs(30);

impl Cx<'_> {
    /// How long a ticket waits before it uses the store again after so many failures in a row.
    pub fn store_pause(&self, failures: u32) -> Span {
        let tickets = u64::try_from(self.tickets).unwrap_or(u64::MAX);
        let all = Span::from_millis((1000 / STORE_ATTEMPTS).saturating_mul(tickets));
        Span::from_secs(1 << failures.min(16)).min(STORE_PAUSE.max(all)).min(STORE_PAUSE_MAX)
    }

    /// Sends `message` to a peer and counts it.
    pub fn send(&mut self, to: MemberIndex, message: PeerMessage, resend: bool) {
        assert!(to != self.roster.me(), "a member does not send to itself");
        let counters = &mut self.books[to.get()].counters;
        counters.sent += 1;
        counters.resends += u64::from(resend);
        self.effects.push(Effect::Send { to, message, resend });
    }

    /// Answers a client.
    pub fn reply(&mut self, client: ClientId, reply: Reply, last: bool) {
        if last {
            self.clients.remove(&client);
        }
        self.effects.push(Effect::Reply { client, reply, last });
    }

    /// Writes a line to the log.
    pub fn note(&mut self, level: NoteLevel, text: String) {
        if level <= NoteLevel::Info {
            self.said = Some(self.effects.len());
        }
        self.effects.push(Effect::Note(Note { level, text, event: None }));
    }

    /// The last log line of this step tells this event. False: there is none that tells no other.
    pub fn tell_by_last_note(&mut self, event: NoteEvent) -> bool {
        let said = self.said.take().and_then(|at| self.effects.get_mut(at));
        match said {
            Some(Effect::Note(note)) if note.event.is_none() => {
                note.event = Some(event);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A number that marks the answers to one question; in `1..=NONCE_MAX`.
    pub fn fresh_nonce(&mut self) -> u32 {
        u32::try_from(self.prng.below(u64::from(NONCE_MAX))).unwrap_or(0).saturating_add(1)
    }

    /// A number for a write to the store.
    pub fn write_serial(&mut self) -> WriteSerial {
        self.serials.write += 1;
        WriteSerial(self.serials.write)
    }

    /// A number for a run of the handler.
    pub fn probe_run(&mut self) -> ProbeRun {
        self.serials.probe += 1;
        ProbeRun(self.serials.probe)
    }

    /// Whether a member may hold tickets.
    pub fn is_site(&self, member: MemberIndex) -> bool {
        self.roster.member(member).role == MemberRole::Site
    }

    /// The other sites.
    pub fn other_sites(&self) -> MemberSet {
        let mut sites = self.roster.sites();
        sites.remove(self.roster.me());
        sites
    }

    /// The address of a member, for people.
    pub fn name(&self, member: MemberIndex) -> String {
        self.roster.member(member).address.to_string()
    }

    /// The addresses of several members, for people.
    pub fn names(&self, members: MemberSet) -> String {
        members.iter().map(|m| self.name(m)).collect::<Vec<_>>().join(", ")
    }
}
