// SPDX-License-Identifier: GPL-2.0-or-later
//! The announcement that a ticket was given up (`RULES.md` L10).

use super::cx::Cx;
use super::state::{Announce, AnnounceKind, Leased, Link};
use super::ticket::{Kind, Ticket};
use crate::model::{Holder, MemberIndex, Term};
use crate::time::Span;
use crate::wire::{Command, PeerBody, Reason, ResultCode, Round, Stamp};

impl<K: Kind> Ticket<K> {
    /// Announces that the ticket was given up; only after the store says *revoked* (L10).
    pub fn start_announcement(&mut self, cx: &mut Cx<'_>, kind: AnnounceKind, term: Term) {
        let retry_at = cx.now.mono.plus(self.spec.timeout);
        // Nobody acquires by itself what an administrator has revoked. Whoever does not hear of it
        // counts on the lease as long as it has promised, which is as long as its own `expire`.
        let until = match kind {
            AnnounceKind::Revoke => {
                cx.now.mono.plus(K::counted_on_for(self).plus(self.spec.patience()))
            }
            AnnounceKind::StepDown => cx.now.mono,
        };
        let to = cx.roster.peers();
        self.announce = Some(Announce::new(kind, term, self.term, to, retry_at, until));
        self.links.iter_mut().for_each(Link::mark);
        self.send_announcement(cx, false);
    }

    /// Sends the announcement to everyone who has not acknowledged it, each with a fresh round.
    fn send_announcement(&mut self, cx: &mut Cx<'_>, resend: bool) {
        let Some(announce) = self.announce else { return };
        for peer in announce.unacked().iter() {
            if !K::is_told(self, peer, &announce) {
                continue;
            }
            let round = self.links[peer.get()].fresh_round();
            let stamp = Stamp { round: Some(round), established: false };
            let body = match announce.kind() {
                AnnounceKind::Revoke => PeerBody::Revoke { reason: Reason::Admin, stamp },
                AnnounceKind::StepDown => PeerBody::StepDown { reason: Reason::LocalFail, stamp },
            };
            let message = self.message(Holder::Nobody, announce.term(), Span::ZERO, body);
            cx.send(peer, message, resend);
        }
    }

    /// The announcement again, until everyone knows, or the retries are used up and its time is
    /// over.
    pub fn announce_retry(&mut self, cx: &mut Cx<'_>) {
        let retries = self.spec.retries;
        let retry_at = cx.now.mono.plus(self.spec.timeout);
        let Some(announce) = &mut self.announce else { return };
        let enough = announce.is_enough(retries, cx.now.mono);
        let next = if enough { K::announces_again(cx.now.mono) } else { Some(retry_at) };
        let Some(next) = next.filter(|_| !announce.unacked().is_empty()) else {
            self.announce = None;
            return;
        };
        announce.note_resent(next);
        self.send_announcement(cx, true);
    }

    /// A member knows that the ticket was given up.
    pub fn announce_acked(&mut self, from: MemberIndex, term: Term, round: Option<Round>) {
        if !self.links[from.get()].is_about_now(round) {
            return;
        }
        if let Some(announce) = &mut self.announce {
            announce.note_ack(from, term);
            if announce.unacked().is_empty() {
                self.announce = None;
            }
        }
    }
}

impl Ticket<Leased> {
    /// This site, or another, is about to lead: a step-down has been heeded, but that the ticket
    /// was revoked is told until somebody has a lease again.
    pub fn keep_revoke(&mut self) {
        let kept = |announce: &Announce| announce.kind() == AnnounceKind::Revoke;
        self.announce = self.announce.filter(kept);
    }

    /// A leader revokes in an earlier term than the one in which this member follows it: it was
    /// restarted before its store had the later one, and does not know it. It is told, instead of
    /// an acknowledgement, so that it goes on until it knows. Tells whether it is.
    pub fn tell_led_term(&mut self, cx: &mut Cx<'_>, from: MemberIndex, term: Term) -> bool {
        let live = self.live_promise(cx.now.mono);
        let later = live.filter(|promise| promise.to() == from && promise.term() > term);
        let Some(promise) = later.filter(|_| self.kind.marking.contains(from)) else {
            return false;
        };
        let (of, result) = (Command::RevokeTicket, ResultCode::TermOutdated);
        let body = PeerBody::Rejected { of, result, granted: false };
        let leader = Holder::Member(cx.roster.member(from).id);
        let message = self.message(leader, promise.term(), Span::ZERO, body);
        cx.send(from, message, false);
        true
    }

    /// A member says that this one leads, in a later term than that of the revoke which it
    /// announces: it led in that one, too, and nobody has heard of its end. Tells whether so.
    pub fn revoked_earlier(&mut self, cx: &mut Cx<'_>, leader: Holder, term: Term) -> bool {
        let Some(announce) = self.announce else { return false };
        let revoked = announce.kind() == AnnounceKind::Revoke;
        let free = self.known.leader == Holder::Nobody && !self.owes_itself();
        if !revoked || !free || leader != self.myself(cx) || term <= announce.term() {
            return false;
        }
        self.adopt_nobody(cx, term);
        self.start_announcement(cx, AnnounceKind::Revoke, term);
        true
    }
}
