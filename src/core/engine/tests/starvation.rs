// SPDX-License-Identifier: GPL-2.0-or-later
//! Tickets do not wait for each other: a step leaves nothing due, and every ticket that is has its
//! turn.

use super::cluster::{roster, spec};
use crate::engine::{
    CibLoad, CibOutcome, ClientId, Effect, Engine, Event, Held, JobWish, ProbeOutcome, Setup,
    StoreWish,
};
use crate::model::{Holder, MemberIndex, Term, TicketIndex, TicketName, TicketSpec};
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{ClientOptions, ClientRequest, Command, PeerBody, PeerMessage, ResultCode};
use std::collections::{BTreeMap, BTreeSet};

/// A site whose peers agree to everything, with a store that obeys and a handler that hangs or
/// agrees.
struct Site {
    engine: Engine,
    /// What it has armed.
    alarms: BTreeMap<TicketIndex, MonoTime>,
    now: Now,
    handler_hangs: bool,
    /// Heartbeats sent, by ticket.
    heartbeats: Vec<(TicketName, MonoTime)>,
    /// The highest term in which it has asked for votes, and for which ticket.
    stood: Vec<(TicketName, Term)>,
}

impl Site {
    fn started(tickets: Vec<TicketSpec>) -> Site {
        let setup = Setup { roster: roster(2, 1, 0), tickets, seed: 3 };
        let now = Now {
            mono: MonoTime::from_micros(50_000_000),
            wall: WallTime::from_secs(1_800_000_000),
        };
        let (heartbeats, stood) = (Vec::new(), Vec::new());
        let (engine, alarms) = (Engine::new(setup), BTreeMap::new());
        let mut site = Site { engine, alarms, now, handler_hangs: false, heartbeats, stood };
        site.event(Event::Start);
        site
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message, .. } => self.answer(to, message),
            Effect::Arm { ticket, at } => {
                self.alarms.insert(ticket, at);
            }
            Effect::Disarm { ticket } => {
                self.alarms.remove(&ticket);
            }
            Effect::Job(JobWish::LoadCib { ticket, .. }) => {
                self.event(Event::CibLoaded { ticket, outcome: CibLoad::Absent });
            }
            Effect::Store(StoreWish::WriteCib { ticket, serial, .. }) => {
                let outcome = CibOutcome::Written;
                self.event(Event::CibWritten { ticket, serial, outcome });
            }
            Effect::Job(JobWish::StartProbe { ticket, run, .. }) if !self.handler_hangs => {
                self.event(Event::ProbeDone { ticket, run, outcome: ProbeOutcome::Success });
            }
            _ => {}
        }
    }

    /// What the other members answer.
    fn answer(&mut self, from: MemberIndex, said: PeerMessage) {
        let body = match said.body {
            PeerBody::Status { nonce } => {
                let body = PeerBody::MyIndex { nonce };
                let idle = PeerMessage { leader: Holder::Nobody, term: Term::ZERO, body, ..said };
                self.event(Event::Peer { from, message: idle });
                return;
            }
            PeerBody::ReqVote { .. } => {
                self.stood.push((said.ticket.clone(), said.term));
                PeerBody::Vote {
                    vouched: true,
                    unbound_for: Some(Span::from_secs(3_600)),
                    last: None,
                }
            }
            PeerBody::Heartbeat { stamp } => {
                self.heartbeats.push((said.ticket.clone(), self.now.mono));
                PeerBody::Ack { of: Command::Heartbeat, round: stamp.round }
            }
            PeerBody::Update { stamp } => PeerBody::Ack { of: Command::Update, round: stamp.round },
            _ => return,
        };
        self.event(Event::Peer { from, message: PeerMessage { body, ..said } });
    }

    fn grant(&mut self, client: u64, ticket: &str) {
        let ticket = Some(TicketName::new(ticket).expect("valid"));
        let request = ClientRequest::Grant { ticket, options: ClientOptions::default() };
        self.event(Event::Client { client: ClientId(client), request });
    }

    /// Another member says that the leader's term is outdated.
    fn outdated(&mut self, ticket: &str) {
        let ticket = TicketName::new(ticket).expect("valid");
        let stood = self.stood.iter().filter(|(name, _)| *name == ticket);
        let term = stood.map(|(_, term)| *term).max().and_then(Term::next).expect("it stood");
        let result = ResultCode::TermOutdated;
        let body = PeerBody::Rejected { of: Command::Heartbeat, result, granted: false };
        let leader = Holder::Member(roster(2, 1, 0).my_id());
        let message = PeerMessage { ticket, leader, term, valid_for: Span::ZERO, body };
        let from = MemberIndex::new(2).expect("a test has few members");
        self.event(Event::Peer { from, message });
    }

    /// Its nearest alarm.
    fn next(&self) -> Option<(MonoTime, TicketIndex)> {
        self.alarms.iter().map(|(ticket, at)| (*at, *ticket)).min()
    }

    /// Every ticket that is due has its turn, once: none is due again.
    fn ring(&mut self) {
        let mut served = BTreeSet::new();
        while let Some((_, ticket)) = self.next().filter(|(at, _)| *at <= self.now.mono) {
            self.alarms.remove(&ticket);
            assert!(served.insert(ticket), "left due");
            self.event(Event::Due { ticket });
        }
    }

    /// Time passes as in the daemon: the loop steps at the nearest deadline, and no more than
    /// once in 50 ms.
    fn advance(&mut self, span: Span) {
        let end = self.now.mono.plus(span);
        while let Some((at, _)) = self.next().filter(|_| self.now.mono < end) {
            let at = at.max(self.now.mono.plus(Span::from_millis(50))).min(end);
            self.now = Now { mono: at, wall: self.now.wall.plus(at.since(self.now.mono)) };
            self.ring();
        }
    }

    fn last_heartbeat(&self, ticket: &str) -> MonoTime {
        let of = self.heartbeats.iter().filter(|(name, _)| name.as_str() == ticket);
        of.map(|(_, at)| *at).max().expect("a heartbeat")
    }
}

/// L11: a leader that was elected again while its handler runs waits for the handler when its
/// next renewal comes, and other tickets are renewed meanwhile. The renewal used to stay due: that
/// ticket alone was served, again and again, and the other lease ran out.
#[test]
fn a_handler_that_hangs_starves_no_other_ticket() {
    let slow = TicketSpec { has_handler: true, expire: Span::from_secs(60), ..spec("slow") };
    let slow = TicketSpec { renewal: Span::from_secs(8), ..slow };
    let mut site = Site::started(vec![slow, spec("other")]);
    site.grant(1, "slow");
    site.grant(2, "other");
    assert_eq!(site.engine.held(), Held { here: Some(2), of: 2 });
    site.handler_hangs = true;
    site.advance(Span::from_secs(9));
    site.outdated("slow");
    site.advance(Span::from_secs(30));
    assert_eq!(site.engine.held(), Held { here: Some(2), of: 2 }, "both leases last");
    assert!(site.now.mono.since(site.last_heartbeat("other")) <= Span::from_secs(5));
}

/// No deadline that has passed is left after a ticket's turn.
#[test]
fn a_turn_leaves_nothing_due() {
    let slow = TicketSpec { has_handler: true, expire: Span::from_secs(60), ..spec("slow") };
    let slow = TicketSpec { renewal: Span::from_secs(8), ..slow };
    let mut site = Site::started(vec![slow]);
    site.grant(1, "slow");
    site.handler_hangs = true;
    site.advance(Span::from_secs(9));
    site.outdated("slow");
    for _ in 0..30 {
        site.advance(Span::from_secs(1));
        site.now = Now { mono: site.now.mono.plus(Span::from_secs(1)), ..site.now };
        site.ring();
        let next = site.next().map(|(at, _)| at);
        assert!(next > Some(site.now.mono), "left due");
    }
}

/// A step for a ticket that is not due changes nothing but that its alarm is set again; one for a
/// ticket that waits for nothing, or that there is not, does nothing.
#[test]
fn an_alarm_that_rings_early_does_no_harm() {
    let mut site = Site::started(vec![spec("T")]);
    site.grant(1, "T");
    site.advance(Span::from_secs(9));
    let ticket = TicketIndex::new(0);
    let at = site.engine.deadline_of(ticket).expect("it waits for its renewal");
    assert_eq!(site.alarms.get(&ticket), Some(&at));
    let mut effects = Vec::new();
    let mut due = |engine: &mut Engine, ticket| {
        engine.step(site.now, Event::Due { ticket }, &mut effects);
        std::mem::take(&mut effects)
    };
    assert_eq!(due(&mut site.engine, ticket), [Effect::Arm { ticket, at }]);
    let before = format!("{:?}", site.engine);
    assert_eq!(due(&mut site.engine, ticket), [Effect::Arm { ticket, at }]);
    assert_eq!(due(&mut site.engine, TicketIndex::new(1)), []);
    assert_eq!(format!("{:?}", site.engine), before);
}

/// The handler's answer lets the renewal go on at once.
#[test]
fn a_renewal_that_waited_for_the_handler_follows_it() {
    let slow = TicketSpec { has_handler: true, expire: Span::from_secs(60), ..spec("slow") };
    let slow = TicketSpec { renewal: Span::from_secs(8), ..slow };
    let mut site = Site::started(vec![slow]);
    site.grant(1, "slow");
    site.handler_hangs = true;
    site.advance(Span::from_secs(9));
    site.outdated("slow");
    site.advance(Span::from_secs(20));
    let before = site.last_heartbeat("slow");
    site.now = Now { mono: site.now.mono.plus(Span::from_secs(1)), ..site.now };
    let run = crate::engine::ProbeRun(2);
    let ticket = TicketIndex::new(0);
    site.event(Event::ProbeDone { ticket, run, outcome: ProbeOutcome::Success });
    assert!(before < site.last_heartbeat("slow"), "renewed");
    assert_eq!(site.engine.held(), Held { here: Some(1), of: 1 });
}

/// Renewals of many tickets go out together, none of them late or much too early, so that a
/// hundred held tickets wake the machine hardly more often than a dozen.
#[test]
pub fn renewals_that_are_nearly_due_go_out_with_one_that_is() {
    const TICKETS: usize = 60;
    let renewal = Span::from_secs(30);
    let ticket = |n| TicketSpec { expire: renewal.times(2), renewal, ..spec(&format!("T{n}")) };
    let mut site = Site::started((0..TICKETS).map(ticket).collect());
    site.advance(Span::from_secs(200));
    for n in 0..TICKETS {
        site.grant(n as u64, &format!("T{n}"));
        site.advance(Span::from_millis(450));
    }
    site.advance(renewal.times(4));
    let begun = site.now.mono;
    site.advance(renewal.times(4));
    let recent = |(name, at): &(TicketName, MonoTime)| (*at >= begun).then(|| (name.clone(), *at));
    let recent: Vec<_> = site.heartbeats.iter().filter_map(recent).collect();
    let instants: BTreeSet<MonoTime> = recent.iter().map(|(_, at)| *at).collect();
    assert!((4..=4 * 17).contains(&instants.len()), "{} instants", instants.len());
    for n in 0..TICKETS {
        let own: Vec<MonoTime> = recent
            .iter()
            .filter(|(name, _)| name.as_str() == format!("T{n}"))
            .map(|(_, at)| *at)
            .collect();
        // Each goes to two members.
        let pauses: Vec<Span> =
            own.chunks(2).zip(own.chunks(2).skip(1)).map(|(a, b)| b[0].since(a[0])).collect();
        assert!(pauses.len() >= 3, "{own:?}");
        for pause in pauses {
            let early = renewal.minus(renewal.divided(16));
            assert!(pause >= early && pause <= renewal.plus(Span::from_millis(50)), "{pause:?}");
        }
    }
}
