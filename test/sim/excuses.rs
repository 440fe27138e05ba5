// SPDX-License-Identifier: GPL-2.0-or-later
//! What looks like a broken promise and is none. Every reason that the judge accepts is in this
//! list, is as narrow as its sentence says, and is counted wherever it is accepted: a long run
//! prints the counts (`report.rs`). Nothing else excuses anything.

use super::checkers::Violation;
use super::clients::Connection;
use super::clock::True;
use super::plan::Order;
use super::world::World;
use booth_core::engine::Event;
use booth_core::model::{TicketName, TicketSpec};
use booth_core::time::Span;
use booth_core::wire::ClientRequest;

/// A reason why something is no violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// Condition 4 of the promise.
    DeadMachine,
    /// Condition 3.
    ClockSet,
    /// Condition 5.
    Override,
    /// V4: nobody can say whether it is wanted.
    RevokeAsked,
    /// V4: it is not known to be lost.
    NobodyKnows,
    /// Mixed clusters: a reference member's word.
    ReferenceWord,
    /// Mixed clusters: a reference site's lease.
    ReferenceLease,
    /// Mixed clusters: a restarted member of ours believed a reference leader.
    FollowedUpdate,
    /// Mixed clusters: two leaders in a term.
    ReferenceTerm,
    /// Mixed clusters: rules that show by marks only.
    Unmarked,
    /// Mixed clusters: no promise of life with a reference site.
    ReferenceHealed,
    /// Mixed clusters: what a reference member that knows nothing says.
    ReferenceRevoked,
    /// Mixed clusters: a packet that came too late.
    ReferenceLate,
    /// Mixed clusters: clients of reference members.
    ReferenceClient,
    /// Mixed clusters: the resources' time.
    ReferenceResources,
    /// `expire` was lowered by a restart.
    LoweredExpire,
    /// A store that is ill for longer than a lease.
    SickStore,
    /// A store's tool that says *done* and does nothing.
    StoreMisled,
    /// A grant of a ticket that may be lost.
    FreeUnknown,
    /// V4: a revoke in a later term than the one that it rests on.
    EarlierRevoke,
}

impl Excuse {
    /// Every excuse there is.
    pub const ALL: [Excuse; 20] = [
        Excuse::DeadMachine,
        Excuse::ClockSet,
        Excuse::Override,
        Excuse::RevokeAsked,
        Excuse::NobodyKnows,
        Excuse::ReferenceWord,
        Excuse::ReferenceLease,
        Excuse::FollowedUpdate,
        Excuse::ReferenceTerm,
        Excuse::Unmarked,
        Excuse::ReferenceHealed,
        Excuse::ReferenceRevoked,
        Excuse::ReferenceLate,
        Excuse::ReferenceClient,
        Excuse::ReferenceResources,
        Excuse::LoweredExpire,
        Excuse::SickStore,
        Excuse::StoreMisled,
        Excuse::FreeUnknown,
        Excuse::EarlierRevoke,
    ];

    /// What is excused, why, and until when.
    pub fn sentence(self) -> &'static str {
        match self {
            Excuse::DeadMachine => {
                "S1, C1: a site's guard died with its machine, or was dead or stopped with boothd, \
                 and what it was told has passed, or boothd has no such ticket; until boothd has \
                 told a guard, written, or run for the time of a read and a revoke (`machine.rs`)"
            }
            Excuse::ClockSet => {
                "S1, S2, S11: a site started with a grant in its store that was written by \
                 another wall clock, and its keeper knows no better; for two leases from that \
                 start, and until one site at most holds"
            }
            Excuse::Override => {
                "an administrator used -F; until every lease from before the last forced \
                 attempt has ended, and one site at most holds"
            }
            Excuse::RevokeAsked => "V4: a revoke was asked for after the grant",
            Excuse::NobodyKnows => "V4: no site among the healed knows of the grant",
            Excuse::ReferenceWord => "S1, S2: a reference member gave its word to both sites",
            Excuse::ReferenceLease => "S1, S2: a reference site holds without a majority's word",
            Excuse::FollowedUpdate => {
                "S1, S2: a member of ours that forgot its word at a restart followed, in its \
                 grace, the UPDATE of a reference leader, which is one of the two sites"
            }
            Excuse::ReferenceTerm => {
                "S3: two of ours lead in one term beside reference members, which vote twice"
            }
            Excuse::Unmarked => {
                "L4, L5, L9, K3: beside reference members, whose packets carry no round, mark or \
                 nonce"
            }
            Excuse::ReferenceHealed => {
                "V1, V3, V4, and V2 for who waits for a holder: a site that runs the reference is \
                 among the healed members"
            }
            Excuse::ReferenceResources => {
                "S11: beside members that run the reference, which do not wait for resources"
            }
            Excuse::ReferenceRevoked => {
                "V4: beside members that run the reference, a candidate or one that has just \
                 started was told, since the last order, that the ticket had been revoked: they \
                 say so also without knowing, and are granted again in a term that they revoked"
            }
            Excuse::ReferenceLate => {
                "S1, S2, S11, C2: within two leases before, a datagram from or to a member in the \
                 reference's format came later than timeout * (retries + 1), which is outside of \
                 the promise (mode rules-late alone lets it through)"
            }
            Excuse::ReferenceClient => "V2: a client of a member that runs the reference",
            Excuse::LoweredExpire => {
                "S1, S2, S11: a member started with a lower expire before the old one had \
                 passed since it ended; until then, and until one site at most holds"
            }
            Excuse::SickStore => {
                "S1: the first site's store was ill when its lease ended, and its daemon had \
                 ended, was stopped, or had not heard the same majority both ways since its \
                 lease lived; nor had it heard the second site both ways when that stood for \
                 election"
            }
            Excuse::FreeUnknown => {
                "C2: the site whose grant failed stood without having heard in this life that the \
                 ticket is free, or was refused a vote in favour of another's lease, so that it \
                 steps down as from a ticket that was lost"
            }
            Excuse::EarlierRevoke => {
                "V4: a revoke was said in a later term than it rests on (RULES.md, L10, not kept)"
            }
            Excuse::StoreMisled => "C1: the store's tool said done to a grant, and did nothing",
        }
    }
}

/// How often each excuse was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excuses([u64; Excuse::ALL.len()]);

impl Excuses {
    /// An excuse is accepted.
    pub fn note(&mut self, excuse: Excuse) {
        self.0[excuse as usize] += 1;
    }

    /// How often an excuse was accepted.
    pub fn count(&self, excuse: Excuse) -> u64 {
        self.0[excuse as usize]
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Excuses) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    /// Each excuse with its count and, where it was accepted, its sentence; one a line.
    pub fn text(&self) -> String {
        let line = |excuse: &Excuse| match self.count(*excuse) {
            0 => format!("excused 0 times: {excuse:?}"),
            count => format!("excused {count} times: {excuse:?}: {}", excuse.sentence()),
        };
        Excuse::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// A time in which a ticket is not judged as usual, because something happened that the promise
/// does not cover.
#[derive(Clone, Copy, Debug)]
pub struct Suspension {
    /// What happened: [`Excuse::Override`] (nothing is asserted) or [`Excuse::ClockSet`] (S1, S2
    /// and S11 are not).
    pub why: Excuse,
    /// When it began.
    since: True,
    /// Not before this it ends.
    until: True,
}

/// The suspensions of all tickets.
#[derive(Debug)]
pub struct Suspensions {
    all: Vec<Vec<Suspension>>,
    /// Per ticket, when the last override that is over began, and when it ended.
    overridden: Vec<(True, True)>,
}

impl Suspensions {
    /// None.
    pub fn new(tickets: usize) -> Suspensions {
        Suspensions { all: vec![Vec::new(); tickets], overridden: vec![(0, 0); tickets] }
    }

    /// Begins one now, or makes it longer.
    pub fn begin(&mut self, now: True, ticket: usize, why: Excuse, until: True) {
        let all = &mut self.all[ticket];
        match all.iter_mut().find(|suspension| suspension.why == why) {
            Some(suspension) => suspension.until = suspension.until.max(until),
            None => all.push(Suspension { why, since: now, until }),
        }
    }

    /// Whether this one lasts for a ticket.
    pub fn lasts(&self, ticket: usize, why: Excuse) -> bool {
        self.all[ticket].iter().any(|suspension| suspension.why == why)
    }
}

impl World {
    /// Something that must never happen has happened; the first counts.
    pub fn fail(&mut self, code: &'static str, text: String) {
        if matches!(code, "V1" | "V3" | "V4") && self.checks.blame.unlive_excused {
            self.checks.blame.unlive = true;
            self.excuse(Excuse::ReferenceHealed);
            return;
        }
        if code == "S11" && self.faithful_among() {
            self.excuse(Excuse::ReferenceResources);
            return;
        }
        if matches!(code, "S1" | "S2" | "S11" | "C2") && self.reference_was_late() {
            self.excuse(Excuse::ReferenceLate);
            return;
        }
        if code == "S3" && self.faithful_among() {
            self.excuse(Excuse::ReferenceTerm);
            return;
        }
        if matches!(code, "L4" | "L5" | "L9" | "K3") && self.checks.ghosts.unmarked {
            self.excuse(Excuse::Unmarked);
            return;
        }
        let promise = matches!(code, "S0" | "S1" | "S2" | "V1" | "V2" | "V3" | "V4");
        let counts = promise || !self.checks.only_promise;
        if self.checks.violation().is_none() && counts {
            self.trace(|_| format!("VIOLATION {code}: {text}"));
            self.checks.found(Violation { code, text, at: self.now });
        }
    }

    /// The same for something about a ticket, which may not be judged now.
    pub fn fail_of(&mut self, ticket: usize, code: &'static str, text: String) {
        let lasts = |why| self.checks.suspended.lasts(ticket, why);
        // What was decided under an override may be said later, by a process that was stopped.
        let (since, ended) = self.checks.suspended.overridden[ticket];
        let decided = since <= self.decided && self.decided < ended;
        if lasts(Excuse::Override) || (code == "L9" && decided) {
            self.excuse(Excuse::Override);
        } else if matches!(code, "S1" | "S2" | "S11" | "K1") && lasts(Excuse::ClockSet) {
            self.excuse(Excuse::ClockSet);
        } else if matches!(code, "S1" | "S2" | "S11" | "K1") && lasts(Excuse::LoweredExpire) {
            self.excuse(Excuse::LoweredExpire);
        } else {
            self.fail(code, text);
        }
    }

    /// An excuse is accepted.
    pub fn excuse(&mut self, excuse: Excuse) {
        self.trace(|_| format!("excused: {excuse:?}"));
        self.checks.excuses.note(excuse);
    }

    /// `-F`: an administrator orders it, or a member sends a vote request that carries it. A
    /// member in its grace may now help a candidate although it gave its word to another before
    /// its restart: for as long as the attempt lives (`timeout`), and the winner may be without a
    /// lease (`timeout * (retries + 1)`, L12). Every lease from before has ended one `expire`
    /// later; what is given from then on is given by the rules.
    pub fn overridden(&mut self, ticket: usize) {
        // Of members that differ, the slowest counts.
        let longest = |f: fn(&TicketSpec) -> Span| {
            let all = (0..self.nodes.len()).map(|n| f(self.spec(n, ticket)));
            all.max().unwrap_or(Span::ZERO)
        };
        let attempt = longest(|spec| spec.timeout.plus(spec.patience()));
        let after = attempt.plus(longest(|spec| spec.expire)).as_micros();
        // Clocks run up to 0.5 % apart.
        let until = self.now + after * 101 / 100 + super::clock::MILLI;
        self.checks.suspended.begin(self.now, ticket, Excuse::Override, until);
    }

    /// A member sends a vote request with `-F`: C5, somebody who asked for that still waits there.
    pub fn check_force(&mut self, n: usize, ticket: usize) {
        let life = self.nodes[n].life;
        let asks = |c: &Connection| {
            c.node == n && c.life == life && c.ticket == ticket && c.order == Some(Order::Force)
        };
        if !self.clients.open.iter().any(asks) && !self.faithful(n) {
            let text = format!("t{ticket}: m{n} stands with -F, which nobody has asked for");
            self.fail("C5", text);
        }
        self.overridden(ticket);
    }

    /// Something reaches an engine: an administrator's `-F`?
    pub fn check_forced(&mut self, event: &Event) {
        let Event::Client { request: ClientRequest::Grant { ticket, options }, .. } = event else {
            return;
        };
        let named = |name: &TicketName| self.plan.tickets.iter().position(|t| t.name == *name);
        if let (Some(ticket), true) = (ticket.as_ref().and_then(named), options.immediate) {
            self.overridden(ticket);
        }
    }

    /// A process starts: which of its tickets are granted by a wall clock that was set since?
    pub fn check_wall(&mut self, n: usize) {
        for ticket in 0..self.plan.tickets.len() {
            let here = &self.sites[n];
            let set = here.written_at[ticket] <= self.nodes[n].clock_set_at;
            if here.granted(ticket) && set && !self.keeper_knows(n, ticket) {
                self.misread(ticket);
            }
        }
    }

    /// A site starts whose store says *granted* by a wall clock that was set since (condition 3):
    /// it may count on one `expire` from its start that it does not have, and members in their
    /// grace may follow it; what they had promised before ends one `expire` later.
    fn misread(&mut self, ticket: usize) {
        let all = (0..self.nodes.len()).map(|n| self.spec(n, ticket).expire.as_micros());
        let expire = all.max().unwrap_or(0);
        let until = self.now + 2 * expire * 101 / 100;
        self.checks.suspended.begin(self.now, ticket, Excuse::ClockSet, until);
    }

    /// Ends the suspensions whose time has passed, of tickets that one site at most holds: has in
    /// its store, may hold, or has a lease for by what was acknowledged.
    pub fn end_suspensions(&mut self) {
        for ticket in 0..self.plan.tickets.len() {
            let now = self.now;
            if !self.checks.suspended.all[ticket].iter().any(|one| one.until <= now) {
                continue;
            }
            let expire = |m: usize| self.spec(m, ticket).expire.as_micros();
            let holds = |m: usize| {
                self.sites[m].granted(ticket)
                    || self.checks.claims(ticket, m, now)
                    || self.checks.ghosts.leads_until(m, ticket, expire(m)) > now
            };
            let quiet = (0..self.nodes.len()).filter(|m| holds(*m)).count() <= 1;
            // What an override or a wrong clock has begun ends by itself: two leases, at most.
            let longest = (0..self.nodes.len()).map(expire).max().unwrap_or(0);
            let over = |one: &Suspension| one.until + if quiet { 0 } else { 2 * longest } <= now;
            if self.checks.suspended.all[ticket].iter().any(over) {
                self.trace(|_| format!("t{ticket} is judged again"));
                let suspended = &mut self.checks.suspended;
                let forced = |one: &Suspension| one.why == Excuse::Override && over(one);
                if let Some(one) = suspended.all[ticket].iter().find(|one| forced(one)) {
                    suspended.overridden[ticket] = (one.since, now);
                }
                suspended.all[ticket].retain(|one| !over(one));
                self.check_one_holder(ticket);
            }
        }
    }
}
