// SPDX-License-Identifier: GPL-2.0-or-later
//! Giving a ticket up (`RULES.md` L6, L10, L12): the store is revoked, then the others are told.
//! What happens between the two is in [`super::giving_up`].

use super::cx::Cx;
use super::effect::NoteLevel;
use super::state::{AnnounceKind, Lead, Leased, Quit, QuitKind, Stand, Unleased};
use super::ticket::Ticket;
use crate::model::{Holder, Term};
use crate::time::MonoTime;
use crate::wire::{LastKnown, ResultCode};
use alloc::format;
use alloc::string::String;

impl Ticket<Leased> {
    /// Gives the ticket up in favour of another site; this one comes after the others. What was
    /// free before an administrator's grant that has failed is free again: nobody shall take it.
    pub fn step_down(&mut self, cx: &mut Cx<'_>) {
        let over =
            self.won_what_was_free() || self.kind.revoke_wanted || self.heard_to_end().is_some();
        if over {
            self.quit(cx, QuitKind::Revoke, None);
            return;
        }
        let timeout = self.spec.timeout;
        let at = cx.now.mono.plus(timeout.times(2)).plus(cx.prng.span_below(timeout));
        self.quit(cx, QuitKind::StepDown, Some(at.plus(self.spec.acquire_after)));
    }

    /// Whether nobody had the ticket that this site has won, as far as it has heard since.
    fn won_what_was_free(&self) -> bool {
        self.kind.won_free && self.kind.heard.led() <= self.kind.won_over
    }

    /// A winner that has not been granted yet hears that the last holder that it knew of, or a
    /// later one, revoked: nobody has lost the ticket, and nobody acquires it but by an order
    /// (L10). Who has not answered yet may know a later holder (L3), so it decides when everyone
    /// has, or need not be waited for any more. Tells whether it gives the win up.
    pub fn give_up_win(&mut self, cx: &mut Cx<'_>, revoked: Term) -> bool {
        if !self.is_win() || Some(revoked) < self.kind.won_over.max(self.kind.heard.led()) {
            return false;
        }
        if self.grant.is_some() {
            // If the grant fails, the ticket is free again.
            self.kind.won_free = true;
            self.kind.won_over = self.kind.won_over.max(Some(revoked));
            self.kind.heard.note_revoked(revoked);
            return false;
        }
        self.kind.heard.note_revoked(revoked);
        self.end_revoked_win(cx)
    }

    /// Gives the win up if its ticket was heard to be revoked and nobody can say better. Tells
    /// whether it does.
    pub fn end_revoked_win(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.heard_to_end().is_none() || self.hear_pending(cx).is_some() {
            return false;
        }
        self.note(cx, NoteLevel::Info, "the ticket was revoked meanwhile: giving up");
        self.quit(cx, QuitKind::Revoke, None);
        true
    }

    /// Whether this site has won, and its store was not told to say *granted* yet: a grant may wait
    /// behind an earlier write.
    fn is_win(&self) -> bool {
        let told = self.cib.maybe_granted() && self.cib.handed();
        self.kind.lead.is_some() && self.quit.is_none() && !told
    }

    /// The term in which the ticket that this site has won was heard to be revoked, if it knows of
    /// no later holder and no administrator has granted it.
    pub fn heard_to_end(&self) -> Option<Term> {
        let last = |term: &Term| Some(*term) >= self.kind.won_over;
        let won = self.is_win() && self.grant.is_none();
        self.kind.heard.revoked().filter(last).filter(|_| won)
    }

    /// Gives the ticket up: revoke in the store, then announce (L10).
    pub fn quit(&mut self, cx: &mut Cx<'_>, kind: QuitKind, stand_at: Option<MonoTime>) {
        let term = self.term_to_end(kind);
        let free = self.won_what_was_free() || self.heard_to_end().is_some();
        // Also if its client does not wait any more.
        let ordered =
            kind == QuitKind::Revoke && (self.kind.revoke_wanted || !self.revokers.is_empty());
        (self.kind.won_free, self.kind.revoke_wanted) = (false, false);
        if let Some(until) = self.commit_pending(cx) {
            self.kind.commit_not_before = Some(until);
        }
        self.stop_probe(cx);
        if let Some(lead) = self.kind.lead.as_ref().filter(|_| self.has_no_lease_yet()) {
            let before = self.last_known().max(LastKnown::held(self.kind.won_over));
            self.kind.unleased = Some(Unleased { term: lead.term(), before });
        }
        let owner = match kind {
            QuitKind::Revoke => Holder::Nobody,
            QuitKind::StepDown => self.myself(cx),
        };
        let known_term = term.or(self.known.term);
        self.free_is_known |= owner == Holder::Nobody;
        self.known.leader = owner;
        self.known.term = known_term;
        self.known.until = cx.now.mono;
        let lapsed = self.lease_is_over(cx.now.mono);
        self.quit = Some(Quit {
            kind,
            term,
            since: known_term,
            stand_at,
            told: false,
            lapsed,
            ordered,
            free,
            stepped_down: false,
        });
        self.lead_on_or_follow(cx);
        if self.cib.maybe_granted() {
            self.write_revoke(cx, owner);
        } else {
            self.follow_in_store(cx);
            self.quit_done(cx);
        }
    }

    /// The term whose end is announced when this site gives up now. That of a restarted holder is
    /// in its store, or is one that it has won since, and in which others may have followed it;
    /// when an administrator has revoked, they hear of its end, too.
    pub fn term_to_end(&self, kind: QuitKind) -> Option<Term> {
        let stored = self.known.term.max(self.last_won()).filter(|_| kind == QuitKind::Revoke);
        let stored = stored.filter(|_| self.kind.inherited.is_some() && self.cib.maybe_granted());
        self.kind.lead.as_ref().map(Lead::term).or(stored)
    }

    /// Whether this site has won, and a majority has not acknowledged it yet.
    pub fn has_no_lease_yet(&self) -> bool {
        self.kind.lead.as_ref().is_some_and(|lead| !lead.leased()) && !self.cib.maybe_granted()
    }

    /// Whether this site had a lease, or counted on one, that has ended; or has won without one:
    /// then another may have won since.
    fn lease_is_over(&self, now: MonoTime) -> bool {
        self.bound().map_or(self.has_no_lease_yet(), |until| now >= until)
    }

    /// Whether another site may have the ticket by the time the store here says *revoked*.
    fn lost_meanwhile(&self, quit: &Quit, now: MonoTime) -> bool {
        let over = quit.lapsed || self.bound().is_some_and(|until| now >= until);
        over && !self.lease_lives(now)
    }

    /// Whose the ticket was, if it is given up by a revoke that will be answered as not known,
    /// because the lease has ended.
    pub fn lost_owner(&self, cx: &Cx<'_>) -> Option<Holder> {
        let quit = self.quit.filter(|quit| quit.is_taken_back())?;
        self.lost_meanwhile(&quit, cx.now.mono).then(|| self.myself(cx))
    }

    /// A revoke that is answered with failure, because another site may have the ticket, has no
    /// effect but here: the ticket is lost, not free. A win that nobody acknowledged was of a
    /// ticket that nobody had, and nobody shall take it.
    fn take_back_revoke(&mut self, cx: &mut Cx<'_>, quit: &mut Quit) {
        self.free_is_known = false;
        if quit.is_taken_back() {
            self.lose(cx, quit);
        } else if quit.free {
            // The failed grant alone decides, as in `forget_failed_revoke`.
            quit.ordered = false;
        }
    }

    /// What is given up is lost, whatever it was meant to be.
    fn lose(&mut self, cx: &mut Cx<'_>, quit: &mut Quit) {
        self.free_is_known = false;
        (quit.kind, quit.ordered) = (QuitKind::StepDown, false);
        quit.stand_at = Some(cx.now.mono);
        self.known.leader = self.myself(cx);
        // The store says *nobody*, or will: a restart must not take that for the last word.
        self.name_owner(cx);
        self.follow_in_store(cx);
    }

    /// A revoke that has to be written again names this site: the ticket is lost.
    fn name_owner(&mut self, cx: &Cx<'_>) {
        if self.cib.maybe_granted() {
            self.cib.name_owner(self.myself(cx));
        }
    }

    /// A revoke has failed. If nobody waits for it any more, it must have no effect but here, when
    /// the store obeys at last, whatever this site has won by then.
    pub fn forget_failed_revoke(&mut self, cx: &mut Cx<'_>) {
        let Some(mut quit) = self.quit.filter(|_| self.revokers.is_empty()) else { return };
        if quit.is_taken_back() && self.lost_meanwhile(&quit, cx.now.mono) {
            self.lose(cx, &mut quit);
            self.quit = Some(quit);
        } else if quit.free {
            // The failed grant alone decides: free again, unless another site has held it since.
            quit.ordered = false;
            self.quit = Some(quit);
        } else if core::mem::take(&mut quit.stepped_down) {
            // Given up for another site, as it was before the order.
            (quit.kind, quit.ordered) = (QuitKind::StepDown, false);
            self.quit = Some(quit);
            (self.known.leader, self.free_is_known) = (self.myself(cx), false);
            self.name_owner(cx);
        }
    }

    /// The grant of a free ticket failed, and while the store did not obey, another site has held
    /// it: it is lost, not free.
    fn heed_later_holder(&mut self, cx: &mut Cx<'_>, quit: &mut Quit) {
        let unordered = quit.kind == QuitKind::Revoke && !quit.ordered;
        if unordered && self.kind.heard.led() > quit.since {
            self.lose(cx, quit);
        }
    }

    /// A revoke of a later holder, heard while the store of this one still said *granted*: the
    /// ticket is free, whatever this one gives it up for.
    fn heed_revoke(&mut self, cx: &mut Cx<'_>, quit: &mut Quit) {
        let later = |term: &Term| Some(*term) > quit.since;
        let Some(revoked) = self.kind.heard.revoked().filter(later) else { return };
        self.kind.heard.take_revoked();
        quit.kind = QuitKind::Revoke;
        self.adopt_nobody(cx, self.known.term.map_or(revoked, |known| known.max(revoked)));
    }

    /// The store says that the ticket is not granted here any more: the others are told, and
    /// whoever waited for it.
    pub fn quit_done(&mut self, cx: &mut Cx<'_>) {
        let Some(mut quit) = self.quit.take() else { return };
        let lost = self.lost_meanwhile(&quit, cx.now.mono);
        if lost {
            self.take_back_revoke(cx, &mut quit);
        }
        self.heed_later_holder(cx, &mut quit);
        self.heed_revoke(cx, &mut quit);
        self.kind.lead = None;
        self.phase.become_follower();
        self.kind.unheard = 0;
        self.note(cx, NoteLevel::Info, "not granted here any more");
        self.end_of_leaving(cx, &quit);
        if let Some(term) = quit.term {
            self.start_announcement(cx, AnnounceKind::of(quit.kind), term);
        }
        match quit.kind {
            QuitKind::Revoke => self.kind.stand = None,
            QuitKind::StepDown => {
                self.kind.stand = quit.stand_at.map(|at| {
                    // Counted from the announcement, which the revoke may have delayed.
                    let turn = self.spec.timeout.times(2).plus(self.spec.acquire_after);
                    let at = at.max(cx.now.mono.plus(turn));
                    Stand { at, reason: crate::wire::Reason::TicketLost }
                });
            }
        }
        // Whatever was on its way when it was decided.
        self.follow_in_store(cx);
        if lost || self.store_says_free() {
            self.answer_revoke(cx, lost);
        }
        self.answer_grant(cx, ResultCode::SyncFail);
    }

    /// Whether the store says that nobody has the ticket, as a revoke leaves it: before that its
    /// client hears no success.
    fn store_says_free(&self) -> bool {
        let free = self.known.leader == Holder::Nobody;
        !free || self.cib.says_free(self.known.term.unwrap_or_default())
    }

    /// The clients of a revoke that is done, but for what the store says of the owner, hear of it
    /// when it does, or when something else begins; at the end of every step.
    pub fn answer_late_revoke(&mut self, cx: &mut Cx<'_>) {
        let done = self.quit.is_none() && !self.kind.revoke_wanted && !self.cib.maybe_granted();
        if self.revokers.is_empty() || !done || self.phase.is_loading() {
            return;
        }
        let waits = self.phase.is_follower() && self.grant.is_none();
        if !waits || self.store_says_free() {
            self.answer_revoke(cx, false);
        }
    }

    /// Applies the end of the time in which this site may hold, or may wait for a lease, before
    /// anything else is looked at (L6, L12).
    pub fn fold_lease(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.quit.is_some() || self.phase.is_loading() {
            self.fold_leaving(cx);
            return;
        }
        let ended = self.hold_window().is_some_and(|window| now >= window.hold_until);
        if ended {
            let text = "the lease could not be renewed in time: giving the ticket up";
            self.note_silence(cx, text);
            self.step_down(cx);
            return;
        }
        let patience = self.spec.patience();
        let hopeless = |lead: &Lead| !lead.leased() && now >= lead.gives_up_at(patience);
        let no_lease = self.kind.lead.as_ref().is_some_and(hopeless);
        if no_lease && self.holding() {
            // A restarted holder announces nothing while it holds; it stands again (L9).
            self.kind.lead = None;
            self.phase.become_follower();
            self.kind.stand = Some(Stand { at: now, reason: crate::wire::Reason::Reacquire });
        } else if no_lease {
            self.note_silence(cx, "elected, but not acknowledged by a majority: giving up");
            self.step_down(cx);
        }
    }

    /// Warns, and names the members that have not acknowledged this leader.
    fn note_silence(&self, cx: &mut Cx<'_>, text: &str) {
        let all = self.kind.lead.as_ref().is_none_or(|lead| lead.renewal.unacked().is_empty());
        let who = if all { String::new() } else { format!("; {}", self.unacknowledged(cx)) };
        self.note(cx, NoteLevel::Warning, &format!("{text}{who}"));
    }
}
