// SPDX-License-Identifier: GPL-2.0-or-later
//! Starting with an empty memory (`RULES.md` L9): what the store says, what the other members
//! are asked, and what this member may not do until it knows enough.

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{Grace, Leased, Loading, Told};
use super::ticket::{Loaded, Ticket};
use crate::model::{Holder, MemberIndex, MemberSet, Term};
use crate::time::{MonoTime, Span};
use crate::wire::{PeerBody, Reason};
use alloc::vec::Vec;

/// How often at most a member is asked again because something was heard from it, as a part of
/// `timeout`: two members in grace must not keep each other busy.
const ASK_AGAIN_PARTS: u64 = 8;

impl Ticket<Leased> {
    /// The store has been read: what it grants goes on, if its time has not passed.
    pub fn begin_read(&mut self, cx: &mut Cx<'_>, loaded: Loaded) {
        let Loaded { granted, owner, foreign, left } = loaded;
        let me = self.myself(cx);
        self.kind.seen = self.kind.seen.max(self.term);
        if !granted {
            self.follow_at_last(cx);
            return;
        }
        self.known.leader = me;
        let mine = owner == me || owner == Holder::Unknown;
        let stated = cx.now.mono.plus(left);
        let cap = self.started.mono.plus(self.spec.expire);
        self.kind.inherited = Some(stated.min(cap));
        let usable = self.hold_window().is_some_and(|window| cx.now.mono < window.hold_until);
        if mine && usable {
            self.resume(cx);
        } else {
            self.kind.inherited = None;
            self.note(
                cx,
                NoteLevel::Warning,
                "granted here in the store, but its time has passed: revoking",
            );
            self.phase.become_loading(Loading::Revoking);
            if foreign {
                self.known.leader = Holder::Nobody;
            }
            self.write_revoke(cx, self.known.leader);
        }
    }

    /// A restarted holder: it stands at once, and holds until its old lease ends.
    fn resume(&mut self, cx: &mut Cx<'_>) {
        self.phase.become_follower();
        self.note(cx, NoteLevel::Info, "granted here before the restart: standing for re-election");
        self.tell_window(cx);
        self.ask_everyone(cx);
        self.stand_for_election(cx, Reason::Reacquire, false);
    }

    /// The store has been read, and nothing is granted there, or not any more. That the ticket was
    /// revoked may have been heard before (L10): a grant that waits for this finds it free.
    pub fn follow_at_last(&mut self, cx: &mut Cx<'_>) {
        self.phase.become_follower();
        self.believe_revoke(cx);
        self.ask_everyone(cx);
    }

    /// A revoke that was heard and could not be believed yet, in a term as high as that of the last
    /// leader that was heard of or a higher one: the ticket is free.
    pub fn believe_revoke(&mut self, cx: &mut Cx<'_>) {
        let last = self.last_term();
        let last = |term: &Term| Some(*term) >= last;
        if let Some(term) = self.kind.heard.take_revoked().filter(last) {
            self.heard_of(term);
            self.adopt_nobody(cx, term);
        }
    }

    /// When grace ends whatever the others say: when every word has ended that this member gave
    /// before it started, and the clocks have been allowed for.
    ///
    /// A leader that keeps the rules counts a word from its send, and revokes `g + d` before the
    /// end; `E + g + d` covers that. A reference leader counts from the acknowledgements of a
    /// majority, up to `τ·(r+1)` after the first, keeps nothing back, and has been promised as much
    /// more (L4). So as long as any other member may be one, grace is as long as that promise. Who
    /// is down cannot be told from a reference member.
    pub fn grace_until(&self) -> Option<MonoTime> {
        let words = self.words_until()?;
        let shortest = self.started.mono.plus(self.kind.grace.as_ref()?.word());
        Some(words.max(shortest.plus(self.spec.guard())).plus(self.spec.drift()))
    }

    /// While grace lasts: when the last word has ended that an earlier life can have given, by this
    /// member's own clock.
    pub fn words_until(&self) -> Option<MonoTime> {
        let grace = self.kind.grace.as_ref()?;
        let reference = if grace.all_ours() { Span::ZERO } else { self.spec.patience() };
        Some(self.started.mono.plus(grace.word()).plus(reference))
    }

    /// Notes who keeps the rules: only such members send a nonce, a round, or since when they are
    /// unbound.
    pub fn note_ours(&mut self, from: MemberIndex, body: &PeerBody) {
        let marked = match body {
            PeerBody::Status { nonce } | PeerBody::MyIndex { nonce } => *nonce != 0,
            PeerBody::Heartbeat { stamp }
            | PeerBody::Update { stamp }
            | PeerBody::Revoke { stamp, .. }
            | PeerBody::StepDown { stamp, .. } => stamp.round.is_some(),
            PeerBody::Ack { round, .. } => round.is_some(),
            PeerBody::Vote { unbound_for, .. } => unbound_for.is_some(),
            PeerBody::ReqVote { .. } | PeerBody::Rejected { .. } => return,
        };
        if !marked {
            self.kind.marking.remove(from);
            return;
        }
        self.kind.marking.insert(from);
        if let Some(grace) = &mut self.kind.grace {
            grace.note_ours(from);
        }
    }

    /// Sends STATUS to all other members.
    pub fn ask_everyone(&mut self, cx: &mut Cx<'_>) {
        for peer in cx.roster.peers().iter() {
            self.ask(cx, peer);
        }
        if let Some(grace) = &mut self.kind.grace {
            grace.ask_again_at(cx.now.mono.plus(self.spec.timeout));
        }
        self.check_grace(cx);
    }

    /// Sends STATUS to one member.
    pub fn ask(&mut self, cx: &mut Cx<'_>, to: MemberIndex) {
        let nonce = match (&self.kind.grace, &self.kind.lead) {
            (Some(grace), _) => grace.nonce(),
            (None, Some(lead)) => lead.nonce(),
            (None, None) => return,
        };
        if let Some(grace) = &mut self.kind.grace {
            grace.note_asked(to, cx.now.mono);
        }
        self.send_status(cx, to, nonce);
    }

    /// All but these have not answered a vote request. A member that knows a higher term and has no
    /// site to name refuses in silence (L3): asked what it knows, it tells its term, and the next
    /// attempt stands above it (L1).
    pub fn ask_for_terms(&mut self, cx: &mut Cx<'_>, answered: MemberSet) {
        if self.kind.grace.is_some() {
            return;
        }
        let nonce = cx.fresh_nonce();
        for peer in cx.roster.peers().without(answered).iter() {
            self.send_status(cx, peer, nonce);
        }
    }

    fn send_status(&self, cx: &mut Cx<'_>, to: MemberIndex, nonce: u32) {
        let (leader, term, valid) = self.stated(self.known.until.since(cx.now.mono));
        let message = self.message(leader, term, valid, PeerBody::Status { nonce });
        cx.send(to, message, false);
    }

    /// Leader, term and validity as this member tells what it knows. Members never say *unknown*,
    /// and *nobody* in a term means that it was revoked: a member that does not know the leader of
    /// its term says what one that knows nothing says.
    pub fn stated(&self, left: Span) -> (Holder, Term, Span) {
        match self.known.leader {
            Holder::Unknown => (Holder::Nobody, Term::ZERO, Span::ZERO),
            leader => (leader, self.known.term.unwrap_or_default(), left),
        }
    }

    /// Who asks with a lower term than that of a ticket whose leader is not known here learns the
    /// term (L1) from a question of this member: its answer cannot say it. A reference member asks
    /// without a nonce and is told nothing.
    pub fn tell_term(&self, cx: &mut Cx<'_>, to: MemberIndex, nonce: u32, theirs: Term) {
        let unknown = self.known.leader == Holder::Unknown;
        let Some(term) = self.known.term.filter(|term| unknown && *term > theirs) else { return };
        if nonce == 0 || self.phase.is_loading() {
            return;
        }
        let nonce = self.kind.grace.as_ref().map_or_else(|| cx.fresh_nonce(), Grace::nonce);
        let message = self.message(Holder::Nobody, term, Span::ZERO, PeerBody::Status { nonce });
        cx.send(to, message, false);
    }

    /// STATUS again, every `timeout`: to the sites that have not answered that they are idle, and
    /// to the arbitrators that have not answered.
    pub fn ask_again(&mut self, cx: &mut Cx<'_>) {
        let Some(grace) = &mut self.kind.grace else { return };
        grace.ask_again_at(cx.now.mono.plus(self.spec.timeout));
        let sites = cx.roster.sites();
        let missing = grace.unanswered(sites, cx.roster.peers().without(sites));
        for peer in missing.iter().filter(|peer| *peer != self.me).collect::<Vec<_>>() {
            self.ask(cx, peer);
        }
    }

    /// Something was heard from a member: while grace lasts, a site that has not answered is asked
    /// at once, so that a cluster whose members start one after the other need not wait.
    pub fn heard_from(&mut self, cx: &mut Cx<'_>, from: MemberIndex) {
        if self.phase.is_loading() || !cx.is_site(from) {
            return;
        }
        let pause = self.spec.timeout.divided(ASK_AGAIN_PARTS);
        let Some(grace) = &mut self.kind.grace else { return };
        if grace.is_to_be_asked(from, cx.now.mono, pause) {
            self.ask(cx, from);
        }
    }

    /// Whether a message of this member may be answered although grace lasts.
    pub fn grace_allows(&self, from: MemberIndex, term: Term, established: bool) -> bool {
        match &self.kind.grace {
            None => true,
            Some(grace) => established || grace.is_waived(from, term),
        }
    }

    /// Whether a candidate with `-F` stands now: its request answers this start's STATUS, if grace
    /// lasts. Else it is asked: one that is older than this start opens no door. A stream of old
    /// ones leads to no stream of questions.
    pub fn stands_now(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        term: Term,
        nonce: u32,
    ) -> bool {
        let pause = self.spec.timeout.divided(ASK_AGAIN_PARTS);
        let Some(grace) = &mut self.kind.grace else { return true };
        if nonce == grace.nonce() {
            return true;
        }
        if grace.doubts(from, term, cx.now.mono, pause) {
            self.ask(cx, from);
        }
        false
    }

    /// `-F` opens the door to one candidate and its term.
    pub fn waive_grace(&mut self, to: MemberIndex, term: Term) {
        if let Some(grace) = &mut self.kind.grace {
            grace.waive(to, term);
        }
    }

    /// A site says that it is idle, or that it leads: counts if it answers this start's question.
    pub fn note_answer(
        &mut self,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        nonce: u32,
        told: Told,
        leads: bool,
    ) {
        let (now, timeout) = (cx.now.mono, self.spec.timeout);
        let other = told.leader.member().is_some_and(|id| id != self.my_id);
        let last = (other && cx.is_site(from)).then_some(told.term);
        let Some(grace) = &mut self.kind.grace else { return };
        if grace.is_answered_by(from, nonce, now, timeout) {
            grace.note_answer(from, told.term, !leads, last);
            self.check_grace(cx);
        }
    }

    /// Ends the grace when every other site has answered that it is idle.
    fn check_grace(&mut self, cx: &mut Cx<'_>) {
        let Some(grace) = &self.kind.grace else { return };
        let mut others = cx.roster.sites();
        others.remove(self.me);
        if grace.all_idle(others) {
            // What they name themselves is what they know, not what was said before. An answer
            // that a win has overtaken does not know of that.
            let (named, overtaken) = (grace.named(), grace.overtaken());
            self.free_is_known = true;
            self.kind.rumour = named.max(overtaken);
            self.kind.heard.forget_led(named);
            self.end_grace(cx);
        }
    }

    /// Grace is over.
    pub fn end_grace(&mut self, cx: &mut Cx<'_>) {
        if self.kind.grace.take().is_some() {
            self.kind.verified.clear();
            self.note(cx, NoteLevel::Debug, "start-up is over");
            self.advance_grant(cx);
        }
    }
}
