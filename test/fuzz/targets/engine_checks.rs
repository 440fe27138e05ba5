// SPDX-License-Identifier: GPL-2.0-or-later
//! What must hold for everything that leaves an engine, whatever went in.

use booth::engine::{ClientId, Effect, JobWish, StoreWish};
use booth::model::{MemberRole, Roster, TicketIndex};
use booth::time::Now;
use booth::wire::{decode_peer, encode_peer, PeerMessage, TimeUnit};
use std::collections::{BTreeMap, BTreeSet};

/// Effects of one step: two tickets, six members, and a few replies and notes each.
const EFFECTS_MAX: usize = 200;

pub struct Checks {
    roster: Roster,
    /// Clients that wait for an answer.
    waiting: BTreeSet<ClientId>,
    /// Tickets with a window, by which the keeper knows when to revoke.
    windows: BTreeMap<TicketIndex, bool>,
    manual: BTreeSet<TicketIndex>,
}

impl Checks {
    pub fn new(roster: Roster, manual: BTreeSet<TicketIndex>) -> Checks {
        Checks { roster, waiting: BTreeSet::new(), windows: BTreeMap::new(), manual }
    }

    /// A client asks; it gets exactly one last answer at most.
    pub fn asked(&mut self, client: ClientId) {
        self.waiting.insert(client);
    }

    pub fn check(&mut self, now: Now, effects: &[Effect]) {
        assert!(effects.len() <= EFFECTS_MAX, "{} effects of one step", effects.len());
        let site = self.roster.member(self.roster.me()).role == MemberRole::Site;
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => {
                    assert_ne!(*to, self.roster.me(), "nobody sends to itself");
                    assert!(to.get() < self.roster.len(), "there is no member {to:?}");
                    self.check_message(message);
                }
                Effect::Reply { client, last, .. } => {
                    assert!(self.waiting.contains(client), "{client:?} does not wait");
                    if *last {
                        self.waiting.remove(client);
                    }
                }
                Effect::Store(StoreWish::Hold { ticket, window, .. }) => {
                    self.windows.insert(*ticket, window.is_some());
                    if let Some(window) = window {
                        assert!(window.start_before <= window.kill_at, "{window:?}");
                        assert!(window.kill_at <= window.hold_until, "{window:?}");
                        assert!(window.hold_until < window.lease_until, "{window:?}");
                        assert!(now.mono < window.hold_until, "{window:?} at {now:?}");
                    }
                }
                Effect::Store(StoreWish::WriteCib { ticket, state, .. }) => {
                    assert!(site, "an arbitrator writes nothing");
                    let bounded = self.windows.get(ticket).copied().unwrap_or(false);
                    let needs_bound = state.granted && !self.manual.contains(ticket);
                    assert!(bounded || !needs_bound, "a grant without a window: {state:?}");
                }
                Effect::Job(JobWish::LoadCib { .. })
                | Effect::Store(StoreWish::WriteAttr { .. })
                | Effect::Job(JobWish::StartProbe { .. }) => {
                    assert!(site, "an arbitrator runs nothing: {effect:?}");
                }
                Effect::Note(note) => assert!(!note.text.is_empty(), "a note has words"),
                Effect::Job(JobWish::StopProbe { .. })
                | Effect::Arm { .. }
                | Effect::Disarm { .. } => {}
            }
        }
    }

    /// A message comes out of the wire as it went in, but for the rounding of its validity.
    fn check_message(&self, message: &PeerMessage) {
        for unit in [TimeUnit::Seconds, TimeUnit::Millis] {
            let me = self.roster.my_id();
            let packet = encode_peer(me, message, unit);
            let (from, decoded) = decode_peer(&packet, unit)
                .unwrap_or_else(|error| panic!("{error}: {message:?} cannot be read"));
            assert_eq!(from, me);
            let valid_for = unit.span(unit.number(message.valid_for));
            assert_eq!(decoded, PeerMessage { valid_for, ..message.clone() });
        }
    }
}
