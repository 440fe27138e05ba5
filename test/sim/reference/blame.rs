// SPDX-License-Identifier: GPL-2.0-or-later
//! Who is to blame when two sites hold one ticket in a mixed cluster.
//!
//! By `RULES.md` every lease is a majority of live promises, and two majorities meet. So where
//! two sites are granted at one instant, either one of them had no majority of promises, or a
//! member had given its word to both. If that one runs the reference, the reference broke a rule
//! (L3 to L6, L9). If it is ours, the fault is ours, and the run has failed; but for a member that
//! had given its word to the one, was restarted, and followed in its grace an UPDATE of the other,
//! which runs the reference: an UPDATE counts as established (L9).

use super::super::clock::True;
use super::super::excuses::Excuse;
use super::super::world::World;
use super::Manner;
use booth_core::model::{Holder, Term};
use booth_core::wire::{Command, PeerBody, PeerMessage, ResultCode};

/// What was promised and held, in true time, and what came of it.
#[derive(Debug, Default)]
pub struct Blame {
    members: usize,
    /// Per ticket, member and leader: until when the member's word to it binds, by the rules.
    promised: Vec<True>,
    /// The same: in which term it was given last.
    terms: Vec<Term>,
    /// The same: when the member gave it last.
    given: Vec<True>,
    /// Per ticket, member of ours and leader: when it followed, in its grace, an UPDATE of this
    /// reference leader. Forgotten at its next start.
    followed: Vec<Option<True>>,
    /// Per ticket and site of ours: the end of the latest lease that it told its guard.
    leases: Vec<True>,
    /// Per member: when it last started.
    began: Vec<True>,
    /// How often a site was granted a ticket that another had.
    pub overlaps: u64,
    /// The same, where a site of ours was among them.
    pub with_ours: u64,
    /// How long, in all.
    pub time: True,
    /// A site that runs the reference is among the healed members.
    pub unlive_excused: bool,
    /// The healed cluster did not do what one of ours alone has to do.
    pub unlive: bool,
    /// Per ticket, whether a candidate was told that the ticket had been revoked, since an
    /// administrator's order was carried out last.
    pub told_revoked: Vec<bool>,
    /// When a datagram from or to a member in the reference's format came later than a promise
    /// beside such members allows.
    pub late_at: Option<True>,
    /// Per ticket, since when two sites have had it.
    since: Vec<Option<True>>,
}

impl Blame {
    /// Nothing was promised.
    pub fn new(tickets: usize, members: usize) -> Blame {
        Blame {
            members,
            promised: vec![0; tickets * members * members],
            terms: vec![Term::ZERO; tickets * members * members],
            given: vec![0; tickets * members * members],
            followed: vec![None; tickets * members * members],
            leases: vec![0; tickets * members],
            began: vec![0; members],
            told_revoked: vec![false; tickets],
            since: vec![None; tickets],
            ..Blame::default()
        }
    }

    fn place(&self, ticket: usize, m: usize, leader: usize) -> usize {
        (ticket * self.members + m) * self.members + leader
    }

    /// Those whose word binds them to a leader now, itself included.
    fn backers(&self, now: True, ticket: usize, leader: usize) -> u16 {
        let bound = |m: usize| m == leader || self.promised[self.place(ticket, m, leader)] > now;
        (0..self.members).filter(|m| bound(*m)).fold(0, |set, m| set | (1 << m))
    }

    /// How often sites overlapped, how often one of ours with another, and how long in all.
    pub fn sums(&self) -> (u64, u64, True) {
        (self.overlaps, self.with_ours, self.time)
    }

    /// A process has started.
    pub fn began(&mut self, n: usize, now: True) {
        self.began[n] = now;
        let tickets = self.followed.len() / (self.members * self.members).max(1);
        for ticket in 0..tickets {
            let from = self.place(ticket, n, 0);
            self.followed[from..from + self.members].fill(None);
        }
    }

    /// Whether a restarted member of ours forgot its word to `old` and then believed `new`: the
    /// word to `old` is from before its start, and the first to `new` since was for an UPDATE of
    /// that reference leader, in its grace.
    fn believed(&self, ticket: usize, m: usize, old: usize, new: usize) -> bool {
        self.given[self.place(ticket, m, old)] < self.began[m]
            && self.followed[self.place(ticket, m, new)].is_some()
    }

    /// A site of ours tells its guard a lease.
    pub fn leased(&mut self, n: usize, ticket: usize, until: True) {
        let lease = &mut self.leases[ticket * self.members + n];
        *lease = (*lease).max(until);
    }
}

impl World {
    /// Whether a candidate, or a member that has just started, was told, since the last order was
    /// carried out, that the ticket had been revoked. Reference: it says so also when it has just
    /// started and knows nothing; and it is granted again in the term that it revoked, which others
    /// know as revoked.
    pub fn told_revoked(&self, ticket: usize) -> bool {
        self.checks.blame.told_revoked[ticket]
    }

    /// A member sends something: its acknowledgements are its word.
    pub fn blame_sent(&mut self, n: usize, to: usize, message: &PeerMessage) {
        let ticket = self.plan.tickets.iter().position(|t| t.name == message.ticket);
        let granted = ticket.map(|ticket| self.clients.done_term[ticket]).unwrap_or_default();
        let revoked = match message.body {
            PeerBody::Rejected { result, of: Command::ReqVote, .. } => {
                result == ResultCode::YouOutdated && message.leader.member().is_none()
            }
            // An earlier revoke than the grant hides nothing.
            PeerBody::Vote { last, .. } => {
                last.is_some_and(|last| last.free && last.term >= granted)
            }
            // A reference site was granted in a term that a member of ours knows as revoked, and
            // tells one that has just started.
            PeerBody::MyIndex { .. } => {
                let by = ticket.map(|ticket| self.manners[self.clients.done_by[ticket]]);
                let again = by == Some(Manner::Faithful) && self.manners[n] == Manner::Ours;
                again && message.leader == Holder::Nobody && message.term == granted
            }
            _ => false,
        };
        if let (Some(ticket), true) = (ticket, revoked && self.faithful_among()) {
            self.checks.blame.told_revoked[ticket] = true;
        }
        if let PeerBody::Ack { of: Command::VoteFor | Command::RevokeTicket, .. } = message.body {
            self.blame_released(n, to, message);
        }
        let PeerBody::Ack { of: Command::Heartbeat | Command::Update, round } = message.body else {
            return;
        };
        let Holder::Member(leader) = message.leader else { return };
        let (Some(ticket), Some(leader)) = (ticket, self.index_of(leader)) else { return };
        let spec = &self.plan.tickets[ticket];
        // L4: longer, if there is no round.
        let longer = if round.is_none() { spec.patience() } else { booth_core::time::Span::ZERO };
        let clock = *self.nodes[n].clock();
        let until = clock.when(clock.mono(self.decided).plus(spec.expire).plus(longer));
        let update = matches!(message.body, PeerBody::Ack { of: Command::Update, .. });
        let (now, theirs) = (self.now, self.manners[leader] == Manner::Faithful);
        let in_grace = self.checks.ghosts.rules(n, ticket).grace_lasts(n, self.site_set(), now);
        let blame = &mut self.checks.blame;
        let place = blame.place(ticket, n, leader);
        let first = blame.given[place] < blame.began[n];
        blame.promised[place] = blame.promised[place].max(until);
        blame.given[place] = now;
        blame.terms[place] = message.term;
        if first && update && theirs && in_grace {
            blame.followed[place] = Some(now);
        }
    }

    /// A member has heard that a leader gives a term up: its word to it in that term ends (L10),
    /// whatever the leader's store says.
    fn blame_released(&mut self, n: usize, leader: usize, message: &PeerMessage) {
        let ticket = self.plan.tickets.iter().position(|t| t.name == message.ticket);
        let Some(ticket) = ticket else { return };
        let (now, blame) = (self.now, &mut self.checks.blame);
        let place = blame.place(ticket, n, leader);
        if blame.terms[place] == message.term {
            blame.promised[place] = blame.promised[place].min(now);
        }
    }

    /// A store says *granted* at several sites, or at one at most again.
    pub fn blame_store(&mut self, ticket: usize, granted: &[usize], came: bool) {
        let now = self.now;
        let blame = &mut self.checks.blame;
        match (granted.len() > 1, blame.since[ticket]) {
            (true, None) => blame.since[ticket] = Some(now),
            (false, Some(since)) => {
                blame.time += now - since;
                blame.since[ticket] = None;
            }
            _ => {}
        }
        if granted.len() < 2 || !came {
            return;
        }
        blame.overlaps += 1;
        let ours = |m: &usize| self.manners[*m] != Manner::Faithful;
        self.checks.blame.with_ours += u64::from(granted.iter().any(ours));
        for (at, x) in granted.iter().enumerate() {
            for y in &granted[at + 1..] {
                match self.our_fault(ticket, *x, *y) {
                    Ok(excuse) => self.excuse(excuse),
                    Err(text) => {
                        let text = format!("t{ticket} at the sites {granted:?}: {text}");
                        self.fail_of(ticket, "S1", text);
                    }
                }
            }
        }
    }

    /// Whether it is a fault of ours that two sites have a ticket now: the excuse, or the fault.
    pub fn our_fault(&self, ticket: usize, x: usize, y: usize) -> Result<Excuse, String> {
        let blame = &self.checks.blame;
        let now = self.now;
        let ours = |m: usize| self.manners[m] != Manner::Faithful;
        let majority = self.nodes.len() / 2 + 1;
        let backers = [x, y].map(|site| blame.backers(now, ticket, site));
        let few = |set: u16| usize::try_from(set.count_ones()).unwrap_or(0) < majority;
        for (site, set) in [x, y].into_iter().zip(backers) {
            if ours(site) && few(set) {
                return Err(format!("m{site} is ours and has the word of {set:#b} only"));
            }
        }
        if backers.into_iter().any(few) {
            return Ok(Excuse::ReferenceLease);
        }
        let both = backers[0] & backers[1];
        let members = || (0..blame.members).filter(|m| (both >> m) & 1 == 1);
        if members().any(|m| !ours(m)) {
            return Ok(Excuse::ReferenceWord);
        }
        let misled = |m: usize| {
            let believed = |old, new| blame.believed(ticket, m, old, new);
            (!ours(y) && believed(x, y)) || (!ours(x) && believed(y, x))
        };
        if members().any(misled) {
            return Ok(Excuse::FollowedUpdate);
        }
        Err(format!("ours have given their word to m{x} and m{y}: {both:#b}"))
    }

    /// A site of ours has been revoked: that may not be later than its lease.
    pub fn blame_revoked(&mut self, site: usize, ticket: usize) {
        let lease = self.checks.blame.leases[ticket * self.checks.blame.members + site];
        if self.manners[site] == Manner::Ours && self.now > lease + 8 {
            let text = format!("t{ticket}: m{site} is granted until now, its lease ended {lease}");
            self.fail_of(ticket, "S2", text);
        }
    }

    /// The run ends: what still overlaps is counted.
    pub fn blame_end(&mut self) {
        let now = self.now;
        let blame = &mut self.checks.blame;
        for since in &mut blame.since {
            if let Some(since) = since.take() {
                blame.time += now - since;
            }
        }
    }
}
