// SPDX-License-Identifier: GPL-2.0-or-later
//! When a site stands for election (`RULES.md` L13): a plan that follows from the state at the end
//! of each step, and what must hold when its time has come.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Leased, ProbeFor, Stand};
use super::ticket::Ticket;
use crate::model::{Holder, MemberIndex, RuleMode, Term};
use crate::time::{MonoTime, Span};
use crate::wire::Reason;

/// After so many attempts in a row that no majority answered, the pauses double (L13).
pub(super) const UNHEARD_BEFORE_DOUBLING: u32 = 2;

impl Ticket<Leased> {
    /// Whether the ticket is lost as far as this site knows: nobody gave it up for good. Who had it
    /// need not be known: a term above 0 says that somebody did (what the reference leaves behind).
    pub fn knows_of_a_loss(&self) -> bool {
        match self.known.leader {
            Holder::Member(_) => true,
            Holder::Unknown => self.known.term > Some(Term::ZERO),
            Holder::Nobody => false,
        }
    }

    /// Whether this site is owed a plan to stand (L13): the ticket is lost, it is bound to nobody,
    /// nothing of its own is under way, and it has no plan.
    pub fn lacks_a_plan(&self, now: MonoTime) -> bool {
        self.site
            && self.phase.is_follower()
            && self.knows_of_a_loss()
            && self.kind.stand.is_none()
            && self.grant.is_none()
            && self.quit.is_none()
            && !self.owes_itself()
            && self.promised_to(now).is_none()
            && self.fresh_term().is_some()
    }

    /// Gives this site a plan to stand if it is owed one: `acquire-after` and its place in the
    /// order of weights after its holder's time has ended (L13). At the end of every step.
    pub fn replan(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if !self.lacks_a_plan(now) {
            return;
        }
        if self.known.leader == self.myself(cx) {
            // It was its own: there is nobody whose time has to end.
            self.plan_stand(cx, now, Reason::Reacquire);
        } else {
            let ended = self.known.until.max(self.others_until(cx));
            let from = now.max(ended.plus(self.spec.acquire_after));
            self.plan_stand(cx, from, Reason::TicketLost);
        }
        // What was due in this step has been done: a plan is for a later one.
        self.stand_no_earlier(now.plus(Span::from_micros(1)));
    }

    /// Plans to stand in this site's turn after `from`.
    pub fn plan_stand(&mut self, cx: &mut Cx<'_>, from: MonoTime, reason: Reason) {
        if self.site {
            let step = self.place_step();
            let turn = step.times(self.place(cx)).plus(cx.prng.span_below(step));
            self.kind.stand = Some(Stand { at: from.plus(turn), reason });
        }
    }

    /// The number of this member in the order in which sites stand: higher weights first, then
    /// configuration order (L13).
    fn place(&self, cx: &Cx<'_>) -> u64 {
        let weight = |m: MemberIndex| self.spec.weights.get(m.get()).copied().unwrap_or(0);
        let mine = weight(self.me);
        let ahead = cx
            .roster
            .sites()
            .iter()
            .filter(|m| *m != self.me)
            .filter(|m| weight(*m) > mine || (weight(*m) == mine && *m < self.me))
            .count();
        u64::try_from(ahead).unwrap_or(0)
    }

    /// One step of the order in which sites stand: `min(1 s, τ)/4` (L13).
    fn place_step(&self) -> Span {
        self.spec.timeout.min(Span::from_secs(1)).divided(4)
    }

    /// Whether a due plan to stand may be carried out now.
    pub fn may_stand(&self, now: MonoTime) -> bool {
        self.phase.is_follower()
            && (self.ready() || self.holding())
            && (self.kind.grace.is_none() || self.established(now))
            && (self.owes_itself() || self.promised_to(now).is_none())
            && self.probe.is_none()
    }

    /// Whether the prerequisites of standing do not hold: they are looked at again later.
    pub fn lacks_prerequisites(&mut self, cx: &mut Cx<'_>, reason: Reason) -> bool {
        let lacks = !self.attrs.fulfil(&self.spec.rules, RuleMode::Auto);
        if lacks {
            self.note(cx, NoteLevel::Info, "attribute prerequisites do not hold: not standing");
            self.plan_stand(cx, cx.now.mono.plus(self.spec.renewal), reason);
        }
        lacks
    }

    /// The time of a plan has come: prerequisites, then the handler, then the attempt.
    pub fn stand_due(&mut self, cx: &mut Cx<'_>) {
        let Some(stand) = self.kind.stand else { return };
        if self.established(cx.now.mono) {
            self.stand_for_election(cx, Reason::Reacquire, false);
            return;
        }
        if self.leaving() {
            self.stand_leaving(cx);
            return;
        }
        if self.lacks_prerequisites(cx, stand.reason) {
            return;
        }
        if self.spec.has_handler {
            self.start_probe(cx, ProbeFor::Stand, cx.now.mono.plus(self.spec.expire));
        } else {
            self.stand_for_election(cx, stand.reason, false);
        }
    }

    /// Somebody is heard who had not answered the last attempt: a pause that has grown while no
    /// majority did is cut short.
    pub fn not_alone(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        let early =
            self.kind.unheard < UNHEARD_BEFORE_DOUBLING || self.kind.answered_last.contains(from);
        if early || !self.phase.is_follower() {
            return;
        }
        self.kind.unheard = 0;
        let timeout = self.spec.timeout;
        let soon = cx.now.mono.plus(timeout).plus(cx.prng.span_below(timeout));
        if let Some(stand) = &mut self.kind.stand {
            stand.at = stand.at.min(soon);
        }
        if let Some(job) = &mut self.grant {
            job.next_at = job.next_at.map(|at| at.min(soon));
        }
    }

    /// Whoever has this site's vote gets time to win: a plan to stand, or an administrator's
    /// grant, waits (L13).
    pub fn stand_no_earlier(&mut self, at: MonoTime) {
        if let Some(stand) = &mut self.kind.stand {
            stand.at = stand.at.max(at);
        }
        if let Some(job) = &mut self.grant {
            job.next_at = job.next_at.max(Some(at));
        }
    }
}
