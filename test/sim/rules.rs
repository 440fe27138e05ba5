// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules of `RULES.md` that rarely break the promise when they are broken, held against what a
//! member hears and says: grace and its end (L9), elections and their majorities (L12), the wait
//! of an administrative grant (L8).

use super::clock::True;
use super::ghost::Found;
use booth_core::model::{Holder, MemberId, Term};
use booth_core::wire::{Command, PeerBody, PeerMessage, Reason, Round};

/// How many rounds that open the grace are remembered of each member.
const ROUNDS_KEPT: usize = 64;

/// What is said, and what it can be judged by.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// When.
    pub now: True,
    /// By whom.
    pub n: usize,
    /// To whom.
    pub to: usize,
    /// About which ticket.
    pub ticket: usize,
    /// The leader field, if it names a member.
    pub leader: Option<usize>,
    /// `E` from the step on: how long an acknowledgement binds.
    pub until: True,
    /// When an attempt that begins now ends.
    pub attempt_until: True,
    /// `τ·(r+1)`.
    pub patience: True,
    /// How many members are a majority.
    pub majority: u32,
    /// All sites, as bits.
    pub sites: u16,
}

/// What one member has heard and said of one ticket since it started.
#[derive(Debug, Default)]
pub struct Rules {
    /// Until when it must keep still, unless every other site has answered that it is idle.
    pub grace_until: True,
    /// What its STATUS carries.
    nonce: Option<u32>,
    /// Who has answered it.
    answered: u16,
    /// Who has answered that it, or another member, leads.
    said_leads: u16,
    /// Per member, the term of its promise to this one, as it has answered, and until when that
    /// lasts at most.
    backed: Vec<Option<(Term, True)>>,
    /// Per member, the rounds of heartbeats that open the grace; each once, the last ones.
    heartbeat_opens: Vec<Vec<Option<Round>>>,
    /// The same for vote requests.
    request_opens: Vec<bool>,
    /// The term in which it stands or leads, and until when votes count.
    stands: Option<(Term, True)>,
    /// Votes heard in that term.
    votes: u16,
    /// Every one of them vouched for its voter.
    vouched: bool,
    /// An administrator ordered it, without `-F`.
    ordered: bool,
    /// An administrator ordered it.
    by_admin: bool,
    /// Until when a grant waits for it that came when it stood already.
    joined: Option<True>,
    /// When it won.
    won: Option<True>,
    /// Who has acknowledged it in this term.
    acked: u16,
    /// It may be in the middle of an attempt, in which it does not answer STATUS.
    silent_until: True,
}

impl Rules {
    /// Nothing heard, nothing said.
    pub fn new(members: usize) -> Rules {
        let (heartbeat_opens, request_opens) = (vec![Vec::new(); members], vec![false; members]);
        let backed = vec![None; members];
        Rules { heartbeat_opens, request_opens, backed, ..Rules::default() }
    }

    /// It hears something.
    pub fn hears(&mut self, now: True, from: usize, m: &PeerMessage, me: MemberId) {
        if matches!(m.body, PeerBody::MyIndex { nonce } if nonce != 0 && Some(nonce) == self.nonce)
        {
            let word = m.leader == Holder::Member(me) && !m.valid_for.is_zero();
            self.backed[from] = word.then_some((m.term, now + m.valid_for.as_micros()));
            if self.suffices(now) {
                self.grace_until = now;
            }
        }
        match m.body {
            // A reference member returns none.
            PeerBody::MyIndex { nonce } if nonce == 0 || Some(nonce) == self.nonce => {
                self.answered |= 1 << from;
                if !m.valid_for.is_zero() && m.leader != Holder::Member(me) {
                    self.said_leads |= 1 << from;
                }
            }
            PeerBody::Heartbeat { stamp } | PeerBody::Update { stamp } => {
                let opens = &mut self.heartbeat_opens[from];
                if stamp.established && !opens.contains(&stamp.round) {
                    opens.truncate(ROUNDS_KEPT - 1);
                    opens.insert(0, stamp.round);
                }
            }
            PeerBody::ReqVote { established, force, nonce, .. } => {
                // One that is older than this life does not answer what it has asked.
                self.request_opens[from] = established || (force && Some(nonce) == self.nonce);
            }
            PeerBody::Vote { vouched, last, .. } => {
                let ours = self.stands.is_some_and(|(term, _)| term == m.term);
                let stands = self.stands.map(|(term, _)| term);
                let over = last.is_some_and(|last| last.free || Some(last.term) >= stands);
                if m.leader != Holder::Member(me) || over {
                    // It may see that it cannot win any more, that the ticket was revoked, or that
                    // its term is used up.
                    self.silent_until = 0;
                }
                if ours && m.leader == Holder::Member(me) {
                    // Votes that come after the win do not make its majority.
                    if self.votes & (1 << from) == 0 && self.won.is_none() {
                        self.vouched &= vouched;
                    }
                    self.votes |= 1 << from;
                }
            }
            PeerBody::Ack { of: Command::Heartbeat | Command::Update, .. } => {
                if self.stands.is_some_and(|(term, _)| term == m.term) {
                    self.acked |= 1 << from;
                }
            }
            PeerBody::Rejected { .. } => self.silent_until = 0,
            PeerBody::Status { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::StepDown { .. }
            | PeerBody::Revoke { .. }
            | PeerBody::Ack { .. } => {}
        }
    }

    /// It has revoked: whatever it was competing for, it does not any more.
    pub fn gives_up(&mut self) {
        self.silent_until = 0;
    }

    /// An administrator's grant waits for the attempt under way, if there is one.
    pub fn order_joins(&mut self) {
        self.joined = Some(True::MAX);
    }

    /// Every such grant has had its last answer.
    pub fn orders_are_answered(&mut self, now: True) {
        self.joined = self.joined.map(|until| until.min(now));
    }

    /// A revoke was answered, perhaps with whom to ask instead: an attempt that an administrator's
    /// grant waits for is over all the same. One of its own goes on.
    pub fn order_ends(&mut self, now: True) {
        if self.by_admin || self.joined.is_some_and(|until| now <= until) {
            self.silent_until = 0;
        }
    }

    fn in_grace(&self, said: &Said) -> bool {
        self.grace_lasts(said.n, said.sites, said.now)
    }

    /// Whether a member must keep still at this time: not every other site has answered.
    pub fn grace_lasts(&self, n: usize, sites: u16, now: True) -> bool {
        let others = sites & !(1 << n);
        now < self.grace_until && others & !self.answered != 0
    }

    /// Whether more than half of the others are promised to this member, in one term.
    fn suffices(&self, now: True) -> bool {
        let live = self.backed.iter().flatten().filter(|word| now < word.1);
        let mut terms: Vec<Term> = live.map(|word| word.0).collect();
        terms.sort_unstable();
        let most = terms.chunk_by(|a, b| a == b).map(<[Term]>::len).max();
        most.unwrap_or(0) > (self.backed.len() - 1) / 2
    }

    /// It says something.
    pub fn says(&mut self, said: &Said, m: &PeerMessage) -> Result<(), Found> {
        let (n, t) = (said.n, said.ticket);
        let early = |what: &str| Err(("L9", format!("t{t}: m{n} {what} in its grace")));
        match m.body {
            PeerBody::Status { nonce } => self.nonce = Some(nonce),
            PeerBody::Vote { .. } if said.leader == Some(said.to) => {
                self.silent_until = 0;
                if self.in_grace(said) && !self.request_opens[said.to] {
                    return early("votes");
                }
            }
            PeerBody::Ack { of: Command::Heartbeat | Command::Update, round } => {
                self.silent_until = 0;
                if self.in_grace(said) && !self.heartbeat_opens[said.to].contains(&round) {
                    return early("acknowledges a leader without a lease");
                }
                if self.in_grace(said) && self.said_leads & (1 << said.to) == 0 {
                    return early("acknowledges a leader that did not answer");
                }
            }
            PeerBody::ReqVote { reason, established, force, .. } => {
                if self.stands.is_none_or(|(term, _)| term != m.term) {
                    self.stands = Some((m.term, said.attempt_until));
                    (self.votes, self.acked, self.won, self.vouched) = (1 << n, 0, None, true);
                    self.by_admin = reason == Reason::Admin;
                    self.joined = None;
                    self.ordered = self.by_admin && !force;
                    // The clocks are told apart by a few microseconds only.
                    self.silent_until = said.attempt_until.saturating_sub(32);
                }
                if self.in_grace(said) && !established && !force {
                    return early("stands");
                }
            }
            PeerBody::Heartbeat { .. } => return self.leads(said, m.term),
            // A restarted holder, and a leader that stands again, may say that they lead.
            PeerBody::MyIndex { .. }
                if said.now < self.silent_until
                    && (said.leader != Some(n) || m.valid_for.is_zero()) =>
            {
                return Err(("L9", format!("t{t}: m{n} answers STATUS while it competes")));
            }
            // Who hears that the ticket was revoked does not compete for it any more.
            PeerBody::Ack { of: Command::RevokeTicket, .. }
            | PeerBody::StepDown { .. }
            | PeerBody::Revoke { .. } => self.silent_until = 0,
            PeerBody::Vote { .. }
            | PeerBody::MyIndex { .. }
            | PeerBody::Update { .. }
            | PeerBody::Ack { .. }
            | PeerBody::Rejected { .. } => {}
        }
        Ok(())
    }

    /// The first heartbeat of a term: a majority has voted, in time (L12).
    fn leads(&mut self, said: &Said, term: Term) -> Result<(), Found> {
        let Some((stood, until)) = self.stands.filter(|(stood, _)| *stood == term) else {
            let text = format!("t{}: m{} leads in {term} without standing", said.ticket, said.n);
            return Err(("L12", text));
        };
        if self.won.is_some() {
            return Ok(());
        }
        self.won = Some(said.now);
        self.silent_until = 0;
        let votes = self.votes.count_ones();
        if votes < said.majority || said.now > until {
            let text = format!(
                "t{}: m{} leads in {stood} with {votes} votes at {}, its attempt ended at {until}",
                said.ticket, said.n, said.now,
            );
            return Err(("L12", text));
        }
        Ok(())
    }

    /// Until when an administrative grant waits (L8), if it does: `wait` is `A`, `long` is
    /// `E + A`.
    pub fn wait_until(&self, n: usize, sites: u16, wait: True, long: True) -> Option<True> {
        let known = self.votes | self.acked | self.answered | (1 << n);
        let won = self.won.filter(|_| self.ordered && sites & !known != 0)?;
        Some(won + if self.vouched { wait } else { long })
    }
}
