// SPDX-License-Identifier: GPL-2.0-or-later
//! What can be known of votes, promises and leases from the messages alone: a second account,
//! kept in true time, against which the engines are held.

use super::clock::True;
use super::rules::{Rules, Said};
use booth_core::model::{MemberId, Term};
use booth_core::time::Span;
use booth_core::wire::{Command, PeerBody, PeerMessage, Round};
use std::collections::VecDeque;

/// How many sends to each member are remembered; more than the engine does.
const SENDS_KEPT: usize = 512;

/// A word given by an acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Promise {
    to: usize,
    term: Term,
    round: Option<Round>,
    until: True,
}

/// An acknowledged send.
#[derive(Clone, Copy, Debug)]
struct Acked {
    term: Term,
    at: True,
    /// The promise that the acknowledgement states.
    word: Span,
}

/// What one member's messages say about one ticket.
#[derive(Debug, Default)]
struct Account {
    promise: Option<Promise>,
    /// The highest term in which it voted for another, and for whom.
    voted: Option<(Term, usize)>,
    /// The highest term in which it stood.
    stood: Option<Term>,
    /// The highest term in which it acknowledged another that leads.
    followed: Option<Term>,
    /// Per member, its sends as a leader: in which term and round, when.
    sends: Vec<VecDeque<(Term, Round, True)>>,
    /// The sends that each member has acknowledged in the latest term: of those for which it
    /// stated the same promise, the latest one.
    acked: Vec<Vec<Acked>>,
    /// The lease that it claims, and its term.
    lease: Option<(True, Term)>,
    /// It has not claimed anything since it started.
    restarted: bool,
    /// What it may not do yet, and how it stands for election.
    pub(super) rules: Rules,
}

impl Account {
    fn new(members: usize, restarted: bool) -> Account {
        let sends = vec![VecDeque::new(); members];
        let rules = Rules::new(members);
        Account { sends, acked: vec![Vec::new(); members], restarted, rules, ..Account::default() }
    }
}

/// Who leads in a term.
#[derive(Clone, Copy, Debug)]
struct Leader {
    member: usize,
    term: Term,
    /// When it last said so.
    at: True,
}

/// All accounts.
#[derive(Debug)]
pub struct Ghosts {
    members: usize,
    accounts: Vec<Account>,
    /// Per ticket: who leads in which term. Terms may be used again once those who led in them
    /// have given up or died, since memories are empty after a start.
    leaders: Vec<VecDeque<Leader>>,
    /// There are reference members: what needs rounds, marks and nonces cannot be judged.
    pub unmarked: bool,
}

/// What was found: a code and a text.
pub type Found = (&'static str, String);

impl Ghosts {
    /// Accounts of members that have said nothing.
    pub fn new(tickets: usize, members: usize) -> Ghosts {
        let account = || Account::new(members, false);
        Ghosts {
            members,
            accounts: (0..tickets * members).map(|_| account()).collect(),
            leaders: vec![VecDeque::new(); tickets],
            unmarked: false,
        }
    }

    fn account(&mut self, n: usize, ticket: usize) -> &mut Account {
        &mut self.accounts[ticket * self.members + n]
    }

    /// A process starts with an empty memory; `grace` says until when, per ticket, it must keep
    /// still.
    pub fn forget(&mut self, n: usize, grace: &[True]) {
        for (ticket, until) in grace.iter().enumerate() {
            *self.account(n, ticket) = Account::new(self.members, true);
            self.account(n, ticket).rules.grace_until = *until;
            self.leaders[ticket].retain(|leader| leader.member != n);
        }
    }

    /// What a member may do.
    pub fn rules(&self, n: usize, ticket: usize) -> &Rules {
        &self.accounts[ticket * self.members + n].rules
    }

    /// A site gives up whatever it was competing for.
    pub fn gives_up(&mut self, n: usize, ticket: usize) {
        self.account(n, ticket).rules.gives_up();
    }

    /// A site has answered a grant that it takes time: if it stands, that is for the grant, too.
    pub fn order_joins(&mut self, n: usize, ticket: usize) {
        self.account(n, ticket).rules.order_joins();
    }

    /// A site has given every such grant its last answer.
    pub fn orders_are_answered(&mut self, now: True, n: usize, ticket: usize) {
        self.account(n, ticket).rules.orders_are_answered(now);
    }

    /// A site has answered a revoke that was not carried out there.
    pub fn order_ends(&mut self, now: True, n: usize, ticket: usize) {
        self.account(n, ticket).rules.order_ends(now);
    }

    /// A site has revoked.
    pub fn released(&mut self, n: usize, ticket: usize) {
        let account = self.account(n, ticket);
        account.lease = None;
        account.restarted = false;
        account.rules.gives_up();
    }

    /// A site claims a lease.
    pub fn hold(&mut self, n: usize, ticket: usize, lease: True, term: Term) {
        let account = self.account(n, ticket);
        account.lease = Some((lease, term));
    }

    /// Until when the lease goes that a site claimed last.
    pub fn holding(&self, n: usize, ticket: usize) -> Option<True> {
        self.accounts[ticket * self.members + n].lease.map(|(until, _)| until)
    }

    /// Whether a site has claimed nothing yet since it started, or what its store gave it.
    pub fn restarted(&self, n: usize, ticket: usize) -> bool {
        let account = &self.accounts[ticket * self.members + n];
        account.restarted && account.acked.iter().all(Vec::is_empty)
    }

    /// Whether a claim in this term is the first of a new election.
    pub fn fresh(&self, n: usize, ticket: usize, term: Term) -> bool {
        self.accounts[ticket * self.members + n].lease.is_none_or(|(_, claimed)| claimed != term)
    }

    /// When a lease in this term ends, given that so many others must have acknowledged: `end`
    /// says when an acknowledged send counts no more, by what was stated.
    pub fn lease(
        &self,
        n: usize,
        ticket: usize,
        term: Term,
        others: usize,
        end: impl Fn(True, Span) -> True,
    ) -> Option<True> {
        let account = &self.accounts[ticket * self.members + n];
        let of_term = |acks: &Vec<Acked>| {
            acks.iter().filter(|ack| ack.term == term).map(|ack| end(ack.at, ack.word)).max()
        };
        let mut ends: Vec<True> = account.acked.iter().filter_map(of_term).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        others.checked_sub(1).and_then(|at| ends.get(at).copied())
    }

    /// Until when a member has a lease by what was acknowledged in its newest term, each send
    /// counting for `expire` or for the promise that was stated; 0: it has none.
    pub fn leads_until(&self, n: usize, ticket: usize, expire: True) -> True {
        let acked = &self.accounts[ticket * self.members + n].acked;
        let Some(term) = acked.iter().flatten().map(|ack| ack.term).max() else { return 0 };
        let end = |sent: True, word: Span| sent + expire.min(word.as_micros());
        self.lease(n, ticket, term, self.members / 2, end).unwrap_or(0)
    }

    /// The highest term in which a member has acknowledged a leader since it started.
    pub fn acknowledged(&self, n: usize, ticket: usize) -> Option<Term> {
        self.accounts[ticket * self.members + n].followed
    }

    /// Which ticket a message is about.
    pub fn ticket_of(&self, m: &PeerMessage) -> Option<usize> {
        let number = m.ticket.as_str().strip_prefix('t').and_then(|t| t.parse().ok());
        number.filter(|ticket| *ticket < self.leaders.len())
    }

    /// A member hears something.
    pub fn delivered(
        &mut self,
        now: True,
        n: usize,
        from: usize,
        m: &PeerMessage,
        ids: &[MemberId],
    ) {
        let Some(ticket) = self.ticket_of(m) else { return };
        let account = self.account(n, ticket);
        account.rules.hears(now, from, m, ids[n]);
        match m.body {
            PeerBody::Revoke { stamp, .. } | PeerBody::StepDown { stamp, .. } => {
                // L10: only the end of exactly what was promised.
                let ended = |p: Promise| {
                    let follows = match (p.round, stamp.round) {
                        (Some(old), Some(new)) => (1..=4095).contains(&new.distance_from(old)),
                        (None, _) | (_, None) => true,
                    };
                    p.to == from && p.term == m.term && follows
                };
                if account.promise.is_some_and(ended) {
                    account.promise = None;
                }
            }
            PeerBody::Ack { of: Command::Heartbeat | Command::Update, round: Some(round) } => {
                if m.leader.member() != Some(ids[n]) {
                    return;
                }
                let sends = &account.sends[from];
                let sent = sends.iter().find(|(term, r, _)| *term == m.term && *r == round);
                if let Some((term, _, at)) = sent.copied() {
                    let acks = &mut account.acked[from];
                    if acks.iter().any(|ack| ack.term > term) {
                        return;
                    }
                    let word = m.valid_for;
                    let latest = acks.iter().filter(|ack| (ack.term, ack.word) == (term, word));
                    let at = latest.map(|ack| ack.at).max().map_or(at, |before| before.max(at));
                    acks.retain(|ack| ack.term == term && ack.word != word);
                    acks.push(Acked { term, at, word });
                }
            }
            PeerBody::Status { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::ReqVote { .. }
            | PeerBody::Vote { .. }
            | PeerBody::Heartbeat { .. }
            | PeerBody::Update { .. }
            | PeerBody::Ack { .. }
            | PeerBody::Rejected { .. } => {}
        }
    }

    /// A member says something. Everything is noted, whatever is wrong with it.
    pub fn sent(&mut self, said: &Said, m: &PeerMessage) -> Vec<Found> {
        let by_rules = self.account(said.n, said.ticket).rules.says(said, m);
        let by_words = self.said(said, m);
        by_rules.err().into_iter().chain(by_words.err()).collect()
    }

    fn said(&mut self, said: &Said, m: &PeerMessage) -> Result<(), Found> {
        let Said { now, n, to, ticket, leader, .. } = *said;
        match m.body {
            PeerBody::Heartbeat { stamp } | PeerBody::Update { stamp } => {
                if let Some(round) = stamp.round {
                    let sends = &mut self.account(n, ticket).sends[to];
                    if sends.len() == SENDS_KEPT {
                        sends.pop_front();
                    }
                    sends.push_back((m.term, round, now));
                }
                self.leads(said, m.term)
            }
            PeerBody::Vote { .. } => self.votes(said, m.term),
            PeerBody::ReqVote { .. } => {
                let account = self.account(n, ticket);
                account.stood = account.stood.max(Some(m.term));
                // L2.
                if let Some((term, other)) = account.voted {
                    if term == m.term && other != n {
                        let text = format!("t{ticket}: m{n} stands in {term}, voted for m{other}");
                        return Err(("S5", text));
                    }
                }
                self.backs(now, n, ticket, n, "stands")
            }
            PeerBody::Ack { of: Command::Heartbeat | Command::Update, round } => {
                let Some(leader) = leader else { return Ok(()) };
                let found = self.backs(now, n, ticket, leader, "acknowledges");
                let promise = Promise { to: leader, term: m.term, round, until: said.until };
                let account = self.account(n, ticket);
                account.followed = account.followed.max(Some(m.term));
                let before = account.promise.replace(promise);
                found?;
                if let Some(Promise { to, term, round: Some(old), until }) = before {
                    let live = to == leader && term == m.term && now < until;
                    if live && round.is_some_and(|new| new.distance_from(old).abs() > 4096) {
                        let text = format!("t{ticket}: m{n} accepts round {round:?} after {old:?}");
                        return Err(("L4", text));
                    }
                }
                Ok(())
            }
            PeerBody::StepDown { .. } | PeerBody::Revoke { .. } => {
                self.leaders[ticket].retain(|leader| leader.member != n);
                Ok(())
            }
            PeerBody::Status { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::Ack { .. }
            | PeerBody::Rejected { .. } => Ok(()),
        }
    }

    /// L3, L4(1): a live promise to another forbids it.
    fn backs(&self, now: True, n: usize, t: usize, whom: usize, how: &str) -> Result<(), Found> {
        match self.accounts[t * self.members + n].promise {
            Some(promise) if promise.to != whom && now < promise.until => {
                Err(("L3", format!("t{t}: m{n} {how} m{whom} despite {promise:?}")))
            }
            _ => Ok(()),
        }
    }

    /// S3: one leader in a term, at any time.
    fn leads(&mut self, said: &Said, term: Term) -> Result<(), Found> {
        let Said { now, n, ticket, patience, .. } = *said;
        let leaders = &mut self.leaders[ticket];
        leaders.retain(|leader| leader.at + patience > now);
        match leaders.iter_mut().find(|leader| leader.term == term) {
            Some(leader) if leader.member != n => {
                let other = leader.member;
                let text = format!("t{ticket}: m{n} and m{other} both lead in term {term}");
                return Err(("S3", text));
            }
            Some(leader) => leader.at = now,
            None => leaders.push_back(Leader { member: n, term, at: now }),
        }
        Ok(())
    }

    /// S4, S5: votes of one life.
    fn votes(&mut self, said: &Said, term: Term) -> Result<(), Found> {
        let Said { now, n, to, ticket, leader, .. } = *said;
        let Some(leader) = leader.filter(|leader| *leader == to) else { return Ok(()) };
        let account = self.account(n, ticket);
        let before = account.voted;
        if before.is_none_or(|(voted, _)| voted <= term) {
            account.voted = Some((term, leader));
        }
        if account.stood == Some(term) {
            let text = format!("t{ticket}: m{n} votes for m{leader} in {term}, in which it stood");
            return Err(("S5", text));
        }
        match before {
            Some((voted, _)) if term < voted => {
                return Err(("S4", format!("t{ticket}: m{n} votes in {term} after {voted}")));
            }
            Some((voted, other)) if term == voted && other != leader => {
                let text = format!("t{ticket}: m{n} votes for m{leader} and m{other} in {term}");
                return Err(("S5", text));
            }
            _ => {}
        }
        self.backs(now, n, ticket, leader, "votes for")
    }
}
