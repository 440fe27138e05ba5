// SPDX-License-Identifier: GPL-2.0-or-later
//! What must hold after every step: S1 to S10 (`README.md`). The checkers see what
//! production can show (messages, effects, stores) and true time, never the engine's inside.

use super::answers::Answers;
use super::clock::True;
use super::excuses::{Excuse, Excuses, Suspensions};
use super::ghost::Ghosts;
use super::machine::Unguarded;
use super::plan::Plan;
use super::prereq::Prereqs;
use super::reference::blame::Blame;
use super::resources::Resources;
use super::rules::Said;
use super::world::World;
use booth_core::engine::{CibState, Effect, HoldWindow, JobWish, StoreWish};
use booth_core::model::{Holder, MemberId, Term, TicketIndex, TicketMode};
use booth_core::time::Span;
use booth_core::wire::{PeerBody, PeerMessage};

/// The most effects that one step may have for each ticket and member: two messages to each
/// member, and a dozen of everything else (S9).
const EFFECTS_MAX: usize = 24;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property (`README.md`), or a rule.
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
    /// Per ticket: the guard time and the drift of the shortest `expire` that any member has had.
    kept_back: Vec<Option<(Span, Span)>>,
    /// Per ticket, what keeps it from being judged as usual.
    pub suspended: Suspensions,
    /// Whether rules are kept.
    pub prereqs: Prereqs,
    /// Whether clients are told the truth.
    pub answers: Answers,
    /// How long resources had to stop.
    pub resources: Resources,
    /// How often each excuse was accepted.
    pub excuses: Excuses,
    /// Per ticket and member, its live claim.
    claims: Vec<Option<Claim>>,
    /// Per ticket and member: its machine has died, and nobody watches over its store.
    pub unguarded: Vec<Vec<Option<Unguarded>>>,
    /// What the messages say of votes, promises and leases.
    pub ghosts: Ghosts,
    /// Some members run the reference: who is to blame for an overlap.
    pub blame: Blame,
    /// Only S1 and S2 count: the proof that a wrong engine breaks the promise itself.
    pub only_promise: bool,
    /// How often each ticket was granted in a store.
    pub grants: u64,
    /// How often a store went from granted to revoked.
    pub losses: u64,
    /// The same for the stores of each member.
    pub losses_at: Vec<u64>,
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
            kept_back: vec![None; plan.tickets.len()],
            automatic: plan.tickets.iter().map(|spec| automatic(spec.mode)).collect(),
            suspended: Suspensions::new(tickets),
            prereqs: Prereqs::new(tickets, members),
            answers: Answers::new(tickets, members),
            resources: Resources::new(tickets, members),
            excuses: Excuses::default(),
            claims: vec![None; tickets * members],
            unguarded: vec![vec![None; members]; tickets],
            ghosts: Ghosts::new(tickets, members),
            blame: Blame::new(tickets, members),
            only_promise: false,
            grants: 0,
            losses: 0,
            losses_at: vec![0; members],
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

    /// Keeps what was found, unless something was before.
    pub fn found(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Whether the rules of automatic tickets hold for a ticket.
    pub fn automatic(&self, ticket: usize) -> bool {
        self.automatic[ticket]
    }

    /// Whether safety is asserted for a ticket.
    pub fn asserted(&self, ticket: usize) -> bool {
        self.automatic[ticket] && !self.suspended.lasts(ticket, Excuse::Override)
    }

    fn claim(&mut self, ticket: usize, n: usize) -> &mut Option<Claim> {
        &mut self.claims[ticket * self.members + n]
    }

    /// Whether a site has the right to hold now, as far as its daemon knows.
    pub fn claims(&self, ticket: usize, n: usize, now: True) -> bool {
        self.claims[ticket * self.members + n].is_some_and(|claim| claim.until > now)
    }

    /// When a site's right to hold ends or ended, as its daemon said last.
    pub fn claim_end(&self, ticket: usize, n: usize) -> Option<True> {
        self.claims[ticket * self.members + n].map(|claim| claim.until)
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
        for ticket in 0..self.automatic.len() {
            self.resources.revokes(n, ticket);
        }
        self.answers.forget(n);
        self.prereqs.forget(n);
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
        if let Some(ticket) = self.ghosts.ticket_of(m) {
            self.answers.hears(n, from, ticket, m, ids);
        }
    }
}

impl World {
    /// A store has changed: S1.
    pub fn check_store(&mut self, site: usize, ticket: usize, before: bool) {
        let after = self.sites[site].granted(ticket);
        if before == after {
            return;
        }
        self.answers_store(site, ticket, after);
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
        if self.faithful_among() && self.checks.automatic[ticket] {
            self.blame_store(ticket, &granted, after);
            if !after {
                self.blame_revoked(site, ticket);
            }
        }
        if !after {
            let lost = u64::from(self.checks.automatic[ticket]);
            self.checks.losses += lost;
            self.checks.losses_at[site] += lost;
            self.check_dead_claim(site, ticket);
            // Where the machine died, what was told to its guard counts, not the late revoke.
            let told = self.checks.unguarded[ticket][site].map_or(now, |left| left.from().min(now));
            self.checks.resources.revoked(site, ticket, told);
            return;
        }
        self.checks.grants += 1;
        self.check_resources(site, ticket);
        self.check_one_holder(ticket);
    }

    /// S1: the stores of two sites say *granted*. In mixed clusters that is [`Blame`]'s question.
    pub fn check_one_holder(&mut self, ticket: usize) {
        if self.faithful_among() || !self.checks.automatic[ticket] {
            return;
        }
        let granted: Vec<usize> =
            (0..self.sites.len()).filter(|m| self.sites[*m].granted(ticket)).collect();
        if granted.len() < 2 {
            return;
        }
        if self.check_sick(ticket, &granted) {
            return;
        }
        if granted.iter().filter(|m| !self.left_alone(**m, ticket)).count() < 2 {
            self.excuse(Excuse::DeadMachine);
            self.check_kept_lease(ticket, &granted);
        } else {
            self.fail_of(ticket, "S1", format!("t{ticket} is granted at the sites {granted:?}"));
        }
    }

    fn check_dead_claim(&mut self, site: usize, ticket: usize) {
        let claim = self.checks.claim(ticket, site);
        if claim.is_some_and(|claim| claim.dead) {
            *claim = None;
        }
    }

    /// The least that a lease of this ticket has to keep back. One that is renewed for less than
    /// `expire`, because a member promises less, keeps back what that is worth: never less than by
    /// the shortest `expire` that a member has had, whose acknowledgement may still be under way.
    pub fn kept_back(&mut self, t: usize) -> (Span, Span) {
        let members = 0..self.nodes.len();
        let specs = members.map(|m| self.spec(m, t)).filter(|spec| !spec.expire.is_zero());
        let now = specs.min_by_key(|spec| spec.expire).map(|spec| (spec.guard(), spec.drift()));
        let least = &mut self.checks.kept_back[t];
        *least = now.into_iter().chain(*least).min();
        least.unwrap_or_default()
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
        if !self.checks.automatic[t] {
            return;
        }
        self.check_heir(n, t, lease);
        let (guard, drift) = self.kept_back(t);
        let kept = guard.plus(drift);
        if window.hold_until > window.lease_until.minus(kept)
            || window.kill_at > window.hold_until.minus(guard)
            || window.start_before > window.hold_until.minus(guard.times(2))
        {
            self.fail_of(t, "S6", format!("m{n} keeps too little of t{t}'s lease: {window:?}"));
        }
        let now = self.now;
        if until <= now {
            return;
        }
        for m in 0..self.nodes.len() {
            let other = *self.checks.claim(t, m);
            let store = self.sites[m].granted(t);
            if m == n || !other.is_some_and(|c| c.until > now && (!c.dead || store)) {
                continue;
            }
            let excuse = if self.faithful_among() { self.our_fault(t, m, n).ok() } else { None };
            if let Some(excuse) = excuse {
                self.excuse(excuse);
                continue;
            }
            let text = format!("t{t}: m{n} may hold until {until}, so may m{m} ({other:?})");
            self.fail_of(t, "S2", text);
        }
        self.check_lease(n, t, lease, window, term);
    }

    /// The lease of a window must follow from acknowledged sends, or be a restarted holder's.
    fn check_lease(&mut self, n: usize, t: usize, lease: True, window: HoldWindow, term: Term) {
        let spec = self.spec(n, t);
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
            let text = format!("t{t}: m{n}, just started, claims a lease until {lease}");
            self.fail_of(t, "L9", text);
        } else if lease > allowed && !self.checks.ghosts.restarted(n, t) {
            let text = format!("t{t}: m{n} claims a lease until {lease}, its acks give {allowed}");
            self.fail_of(t, "L5", text);
        } else if revived && lease > known + 8 && !self.checks.ghosts.fresh(n, t, term) {
            let text = format!("t{t}: m{n} revives a lease that ended at {known}: {window:?}");
            self.fail_of(t, "L5", text);
        }
        self.checks.ghosts.hold(n, t, lease, term);
    }

    /// An engine wants a grant written: S6.
    pub fn check_grant(&mut self, n: usize, ticket: usize, state: CibState) {
        self.check_commit(n, ticket, state.granted);
        if !state.granted {
            self.checks.ghosts.gives_up(n, ticket);
            self.checks.resources.revokes(n, ticket);
        }
        if !self.checks.automatic[ticket] || !state.granted {
            return;
        }
        let ordered = self.grant_ordered(n, ticket);
        self.checks.resources.grants(n, ticket, ordered);
        let clock = *self.nodes[n].clock();
        let (window, _) = self.nodes[n].wished[ticket];
        let inside = window.is_some_and(|window| clock.mono(self.decided) < window.hold_until);
        if !inside {
            let text = format!("m{n} grants t{ticket} outside a lease: {window:?}");
            self.fail_of(ticket, "S6", text);
            return;
        }
        if self.sites[n].granted(ticket) {
            // A renewal: the delay was over, or overridden, before the first grant.
            return;
        }
        let spec = self.spec(n, ticket);
        let wait = spec.acquire_after.as_micros() * 199 / 200;
        let long = spec.expire.as_micros() * 199 / 200 + wait;
        let sites = self.site_set();
        let rules = self.checks.ghosts.rules(n, ticket);
        if let Some(until) = rules.wait_until(n, sites, wait, long).filter(|t| self.decided < *t) {
            let text = format!("m{n} grants t{ticket} although its delay lasts until {until}");
            self.fail_of(ticket, "S6", text);
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
                Effect::Store(StoreWish::WriteCib { .. })
                | Effect::Job(JobWish::LoadCib { .. })
                | Effect::Store(StoreWish::WriteAttr { .. })
                | Effect::Job(JobWish::StartProbe { .. }) => true,
                Effect::Store(StoreWish::Hold { window, .. }) => window.is_some(),
                Effect::Send { .. }
                | Effect::Reply { .. }
                | Effect::Arm { .. }
                | Effect::Disarm { .. }
                | Effect::Job(JobWish::StopProbe { .. })
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

    /// The timer of each ticket is what the engine says it waits for, and a ticket that `rang` is
    /// not due any more (S9).
    pub fn check_deadlines(&mut self, n: usize, rang: Option<TicketIndex>) {
        let node = &self.nodes[n];
        let Some(engine) = &node.engine else { return };
        if node.paused.is_some() {
            return;
        }
        for ticket in (0..self.plan.tickets.len()).map(TicketIndex::new) {
            let (armed, wanted) = (node.wheel.alarm_of(ticket), engine.deadline_of(ticket));
            if armed != wanted {
                let t = ticket.get();
                let text = format!("m{n} armed {armed:?} for t{t}, its deadline is {wanted:?}");
                return self.fail("S9", text);
            }
        }
        let left = rang.filter(|_| !self.faithful(n)).and_then(|t| node.wheel.alarm_of(t));
        if let Some(at) = left.filter(|at| *at <= node.clock().mono(self.now)) {
            self.fail("S9", format!("m{n} leaves {at:?} due after it rang"));
        }
    }

    /// A message is sent: S3, S4, S5, S10, and what it promises.
    pub fn check_send(&mut self, n: usize, to: usize, message: &PeerMessage) {
        let Some(ticket) = self.plan.tickets.iter().position(|t| t.name == message.ticket) else {
            self.fail("S10", format!("m{n} speaks of a ticket that nobody has: {message:?}"));
            return;
        };
        if let Some(again) = self.codec.misread(n, message) {
            self.fail("S10", format!("m{n} sends {message:?}, it reads {again}"));
        }
        if !self.checks.automatic[ticket] {
            return;
        }
        if let PeerBody::ReqVote { force, reason, .. } = message.body {
            if force {
                self.check_force(n, ticket);
            }
            self.checks.answers.stands(self.now, n, ticket, message.term, reason);
            self.prereq_stands(n, ticket, message.term, reason);
        }
        self.checks.answers.says(n, ticket, message);
        let clock = *self.nodes[n].clock();
        let expire = self.spec(n, ticket).expire;
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
            self.fail_of(ticket, "L3", text);
        }
        let spec = self.spec(n, ticket).clone();
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
            sites: self.site_set(),
        };
        for (code, text) in self.checks.ghosts.sent(&said, message) {
            self.fail_of(ticket, code, text);
        }
    }
}
