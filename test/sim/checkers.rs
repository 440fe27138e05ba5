// SPDX-License-Identifier: GPL-2.0-or-later
//! What must hold after every step: S1 to S10 of `architecture.md` 9. The checkers see what
//! production can show (messages, effects, stores) and true time, never the engine's inside.

use super::clock::True;
use super::ghost::Ghosts;
use super::plan::Plan;
use super::reference::blame::Blame;
use super::rules::Said;
use super::world::World;
use booth::engine::{CibState, Effect, HoldWindow};
use booth::model::{Holder, MemberId, Term, TicketMode};
use booth::time::Span;
use booth::wire::{PeerBody, PeerMessage};

/// The most effects that one step may have for each ticket and member: two messages to each
/// member, and a dozen of everything else (S9).
const EFFECTS_MAX: usize = 24;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property: `S1` to `S10`, `V1` to `V3`, or a rule.
    pub code: &'static str,
    /// What happened.
    pub text: String,
    /// When.
    pub at: True,
}

/// A site's right to hold, as its daemon has told the shell.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// When it ends, in true time.
    pub until: True,
    /// Its daemon has died since: the store alone counts.
    pub dead: bool,
}

/// The checkers' memory.
#[derive(Debug)]
pub struct Checks {
    violation: Option<Violation>,
    members: usize,
    automatic: Vec<bool>,
    /// Per ticket, whether an operator has overridden the rules; nothing is asserted then.
    overridden: Vec<bool>,
    /// Per ticket and member, its live claim.
    claims: Vec<Option<Claim>>,
    /// Per ticket and member: its machine has died, and nothing was written there since.
    pub unguarded: Vec<Vec<Option<super::machine::Unguarded>>>,
    /// Per ticket, how often two sites were granted although an operator had overridden.
    pub overlaps: u64,
    /// What the messages say of votes, promises and leases.
    pub ghosts: Ghosts,
    /// Some members run the reference: who is to blame for an overlap.
    pub blame: Blame,
    /// Only S1 and S2 count: the proof that a mutant breaks the promise itself.
    pub only_promise: bool,
    /// Something has happened that the promise does not cover: S1 and S2 are not asserted.
    pub beyond_promise: bool,
    /// How often each ticket was granted in a store.
    pub grants: u64,
    /// How often a store went from granted to revoked.
    pub losses: u64,
    /// Per ticket, when the sum was last brought up to date, and whether it is held.
    pub held_since: Vec<Option<True>>,
    /// Per ticket, for how long it was granted somewhere.
    pub held_sum: Vec<True>,
}

impl Checks {
    /// Nothing has happened yet.
    pub fn new(plan: &Plan) -> Checks {
        let (tickets, members) = (plan.tickets.len(), plan.members());
        let automatic = |mode| mode == TicketMode::Automatic;
        Checks {
            violation: None,
            members,
            automatic: plan.tickets.iter().map(|spec| automatic(spec.mode)).collect(),
            overridden: vec![false; tickets],
            claims: vec![None; tickets * members],
            unguarded: vec![vec![None; members]; tickets],
            overlaps: 0,
            ghosts: Ghosts::new(tickets, members),
            blame: Blame::new(tickets, members),
            only_promise: false,
            beyond_promise: false,
            grants: 0,
            losses: 0,
            held_since: vec![None; tickets],
            held_sum: vec![0; tickets],
        }
    }

    /// No ticket is manual.
    pub fn all_automatic(&mut self) {
        self.automatic.fill(true);
    }

    /// The first thing found.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// An operator overrides the rules for a ticket.
    pub fn override_ticket(&mut self, ticket: usize) {
        self.overridden[ticket] = true;
    }

    /// Whether safety is asserted for a ticket.
    pub fn asserted(&self, ticket: usize) -> bool {
        self.automatic[ticket] && !self.overridden[ticket]
    }

    fn claim(&mut self, ticket: usize, n: usize) -> &mut Option<Claim> {
        &mut self.claims[ticket * self.members + n]
    }

    /// Whether a site has the right to hold now, as far as its daemon knows.
    pub fn claims(&self, ticket: usize, n: usize, now: True) -> bool {
        self.claims[ticket * self.members + n].is_some_and(|claim| claim.until > now)
    }

    /// A process has died.
    pub fn died(&mut self, n: usize) {
        for ticket in 0..self.automatic.len() {
            if let Some(claim) = self.claim(ticket, n) {
                claim.dead = true;
            }
        }
    }

    /// A process has started.
    pub fn booted(&mut self, n: usize, grace: &[True]) {
        self.ghosts.forget(n, grace);
    }

    /// A message reaches a living engine.
    pub fn delivered(
        &mut self,
        now: True,
        n: usize,
        from: usize,
        m: &PeerMessage,
        ids: &[MemberId],
    ) {
        self.ghosts.delivered(now, n, from, m, ids);
    }
}

impl World {
    /// Something that must never happen has happened; the first counts.
    pub fn fail(&mut self, code: &'static str, text: String) {
        if matches!(code, "V1" | "V3") && self.checks.blame.unlive_excused {
            self.checks.blame.unlive = true;
            return;
        }
        if self.checks.beyond_promise && matches!(code, "S1" | "S2") {
            self.checks.overlaps += 1;
            return;
        }
        let promise = matches!(code, "S0" | "S1" | "S2" | "V1" | "V2" | "V3");
        let twice = code == "S3" && self.faithful_among();
        let by_marks = twice || matches!(code, "L4" | "L5" | "L9") && self.checks.ghosts.unmarked;
        let counts = promise || !(self.checks.only_promise || by_marks);
        if self.checks.violation.is_none() && counts {
            self.trace(|_| format!("VIOLATION {code}: {text}"));
            self.checks.violation = Some(Violation { code, text, at: self.now });
        }
    }

    /// A store has changed: S1.
    pub fn check_store(&mut self, site: usize, ticket: usize, before: bool) {
        let after = self.sites[site].granted(ticket);
        if before == after {
            return;
        }
        let granted: Vec<usize> =
            (0..self.sites.len()).filter(|m| self.sites[*m].granted(ticket)).collect();
        let now = self.now;
        let since = &mut self.checks.held_since[ticket];
        match (granted.is_empty(), *since) {
            (true, Some(from)) => {
                *since = None;
                self.checks.held_sum[ticket] += now - from;
            }
            (false, None) => *since = Some(now),
            _ => {}
        }
        if self.faithful_among() && self.checks.asserted(ticket) {
            self.blame_store(ticket, &granted, after);
            if !after {
                self.blame_revoked(site, ticket);
            }
        }
        if !after {
            self.checks.losses += u64::from(self.checks.automatic[ticket]);
            self.check_dead_claim(site, ticket);
            return;
        }
        self.checks.grants += 1;
        let guarded = granted.iter().filter(|m| !self.unguarded(**m, ticket)).count();
        if guarded > 1 && self.checks.automatic[ticket] {
            if self.faithful_among() {
                return;
            }
            if self.checks.asserted(ticket) {
                self.fail("S1", format!("t{ticket} is granted at the sites {granted:?}"));
            } else {
                self.checks.overlaps += 1;
            }
        }
    }

    fn check_dead_claim(&mut self, site: usize, ticket: usize) {
        let claim = self.checks.claim(ticket, site);
        if claim.is_some_and(|claim| claim.dead) {
            *claim = None;
        }
    }

    /// A daemon states how long its site may hold: S2, S6.
    pub fn check_hold(&mut self, n: usize, t: usize, window: Option<HoldWindow>, term: Term) {
        let Some(window) = window else {
            *self.checks.claim(t, n) = None;
            self.checks.ghosts.released(n, t);
            return;
        };
        let until = self.nodes[n].clock().when(window.hold_until);
        let lease = self.nodes[n].clock().when(window.lease_until);
        *self.checks.claim(t, n) = Some(Claim { until, dead: false });
        self.checks.blame.leased(n, t, lease);
        if !self.checks.asserted(t) {
            return;
        }
        let spec = &self.plan.tickets[t];
        let kept = spec.guard().plus(spec.drift());
        if window.hold_until > window.lease_until.minus(kept)
            || window.kill_at > window.hold_until.minus(spec.guard())
            || window.start_before > window.hold_until.minus(spec.guard().times(2))
        {
            self.fail("S6", format!("m{n} keeps too little of t{t}'s lease back: {window:?}"));
        }
        let now = self.now;
        if until <= now {
            return;
        }
        for m in 0..self.nodes.len() {
            let other = *self.checks.claim(t, m);
            let store = self.sites[m].granted(t);
            let both = m != n && other.is_some_and(|c| c.until > now && (!c.dead || store));
            if both && (!self.faithful_among() || self.our_fault(t, m, n).is_some()) {
                let text = format!("t{t}: m{n} may hold until {until}, so may m{m} ({other:?})");
                self.fail("S2", text);
            }
        }
        self.check_lease(n, t, lease, window, term);
    }

    /// The lease of a window must follow from acknowledged sends, or be a restarted holder's.
    fn check_lease(&mut self, n: usize, t: usize, lease: True, window: HoldWindow, term: Term) {
        let spec = &self.plan.tickets[t];
        let clock = *self.nodes[n].clock();
        let expire = spec.expire;
        let majority = self.nodes.len() / 2 + 1;
        // An acknowledgement counts for what it states, but for no longer than `expire`.
        let end = |sent, word: Span| clock.when(clock.mono(sent).plus(word.min(expire)));
        let from_sends = self.checks.ghosts.lease(n, t, term, majority - 1, end);
        let known = self.checks.ghosts.holding(n, t).unwrap_or(0);
        // A few microseconds are lost between the clocks.
        let allowed = from_sends.unwrap_or(0).max(known) + 8;
        let revived = known > 0 && known + 8 < self.decided;
        let started = self.nodes[n].began;
        let cap = clock.when(clock.mono(started).plus(expire)) + 8;
        if self.checks.ghosts.restarted(n, t) && lease > cap {
            self.fail("L9", format!("t{t}: m{n}, just started, claims a lease until {lease}"));
        } else if lease > allowed && !self.checks.ghosts.restarted(n, t) {
            let text = format!("t{t}: m{n} claims a lease until {lease}, its acks give {allowed}");
            self.fail("L5", text);
        } else if revived && lease > known + 8 && !self.checks.ghosts.fresh(n, t, term) {
            self.fail(
                "L5",
                format!("t{t}: m{n} revives a lease that ended at {known}: {window:?}"),
            );
        }
        self.checks.ghosts.hold(n, t, lease, term);
    }

    /// An engine wants a grant written: S6.
    pub fn check_grant(&mut self, n: usize, ticket: usize, state: CibState) {
        if !state.granted {
            self.checks.ghosts.gives_up(n, ticket);
        }
        if !self.checks.asserted(ticket) || !state.granted {
            return;
        }
        let clock = *self.nodes[n].clock();
        let (window, _) = self.nodes[n].windows[ticket];
        let inside = window.is_some_and(|window| clock.mono(self.decided) < window.hold_until);
        if !inside {
            self.fail("S6", format!("m{n} grants t{ticket} outside a lease: {window:?}"));
            return;
        }
        let spec = &self.plan.tickets[ticket];
        let wait = spec.acquire_after.as_micros() * 199 / 200;
        let long = spec.expire.as_micros() * 199 / 200 + wait;
        let sites = self.plan.sites().fold(0, |set, site| set | (1 << site));
        let rules = self.checks.ghosts.rules(n, ticket);
        if let Some(until) = rules.wait_until(n, sites, wait, long).filter(|t| self.decided < *t) {
            let text = format!("m{n} grants t{ticket} although its delay lasts until {until}");
            self.fail("S6", text);
        }
    }

    /// A step's effects: S7, S9.
    pub fn check_step(&mut self, n: usize, effects: &[Effect]) {
        let most = EFFECTS_MAX * (1 + self.plan.tickets.len()) + 4 * self.nodes.len();
        if effects.len() > most {
            let count = effects.len();
            self.fail("S9", format!("m{n} has {count} effects in one step, at most {most}"));
        }
        if self.nodes[n].site {
            return;
        }
        for effect in effects {
            let wrong = match effect {
                Effect::WriteCib { .. }
                | Effect::LoadCib { .. }
                | Effect::WriteAttr { .. }
                | Effect::StartProbe { .. } => true,
                Effect::Hold { window, .. } => window.is_some(),
                Effect::Send { .. }
                | Effect::Reply { .. }
                | Effect::Arm { .. }
                | Effect::Disarm { .. }
                | Effect::StopProbe { .. }
                | Effect::Note(_) => false,
            };
            if wrong {
                self.fail("S7", format!("an arbitrator wants {effect:?}"));
            }
        }
    }

    /// A handler is started: S7 again, from the other side.
    pub fn check_probe(&mut self, n: usize, ticket: usize) {
        if !self.plan.tickets[ticket].has_handler || !self.nodes[n].site {
            self.fail("S7", format!("m{n} runs a handler that t{ticket} does not have there"));
        }
    }

    /// The armed timers are what the engine says it waits for (S9).
    pub fn check_deadline(&mut self, n: usize) {
        let node = &self.nodes[n];
        let Some(engine) = &node.engine else { return };
        if node.paused.is_some() {
            return;
        }
        let armed = node.wheel.next().map(|(at, _)| at);
        let wanted = engine.next_deadline();
        // A timer that rang and got lost is made up for by the loop's next look.
        let missed = wanted.is_some_and(|at| at <= node.clock().mono(self.now));
        if armed != wanted && !missed {
            let text = format!("m{n} armed {armed:?}, its nearest deadline is {wanted:?}");
            self.fail("S9", text);
        }
    }

    /// A message is sent: S3, S4, S5, S10, and what it promises.
    pub fn check_send(&mut self, n: usize, to: usize, message: &PeerMessage) {
        let Some(ticket) = self.plan.tickets.iter().position(|t| t.name == message.ticket) else {
            self.fail("S10", format!("m{n} speaks of a ticket that nobody has: {message:?}"));
            return;
        };
        match self.codec.again(n, message) {
            Some(again)
                if again.body == message.body
                    && again.term == message.term
                    && again.leader == as_sent(message.leader)
                    && again.valid_for == self.codec.rounded(message.valid_for) => {}
            again => {
                self.fail("S10", format!("m{n} sends {message:?}, it reads {again:?}"));
            }
        }
        if !self.checks.asserted(ticket) {
            return;
        }
        let clock = *self.nodes[n].clock();
        let expire = self.plan.tickets[ticket].expire;
        let until = clock.when(clock.mono(self.decided).plus(expire)).saturating_sub(4);
        let own = self.sites[n].granted(ticket);
        let leader = match message.leader {
            Holder::Member(id) => self.index_of(id),
            Holder::Nobody | Holder::Unknown => None,
        };
        let to_id = self.ids[to];
        let backs = match message.body {
            PeerBody::Vote { .. } => message.leader == Holder::Member(to_id),
            PeerBody::Ack { .. } => leader.is_some() && leader != Some(n),
            PeerBody::ReqVote { .. } => leader == Some(n),
            PeerBody::Status { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::StepDown { .. }
            | PeerBody::Heartbeat { .. }
            | PeerBody::Update { .. }
            | PeerBody::Revoke { .. }
            | PeerBody::Rejected { .. } => false,
        };
        if own && backs && leader != Some(n) {
            let text = format!("m{n} backs m{leader:?} for t{ticket}, its own store is granted");
            self.fail("L3", text);
        }
        let spec = &self.plan.tickets[ticket];
        let mono = clock.mono(self.decided);
        let said = Said {
            now: self.decided,
            n,
            to,
            ticket,
            leader,
            until,
            attempt_until: clock.when(mono.plus(spec.timeout)) + 8,
            patience: spec.patience().as_micros(),
            majority: u32::try_from(self.nodes.len() / 2 + 1).unwrap_or(u32::MAX),
            sites: self.plan.sites().fold(0, |set, site| set | (1 << site)),
        };
        let found = self.checks.ghosts.sent(&said, message);
        if let Err((code, text)) = found {
            self.fail(code, text);
        }
    }
}

/// Whom the wire says: *unknown* is never sent between members.
fn as_sent(leader: Holder) -> Holder {
    match leader {
        Holder::Unknown | Holder::Nobody => Holder::Nobody,
        Holder::Member(id) => Holder::Member(id),
    }
}
