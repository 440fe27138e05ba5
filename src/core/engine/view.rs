// SPDX-License-Identifier: GPL-2.0-or-later
//! All that this member knows, for its report: taken from the state, never stored beside it.

use super::any::{either, AnyTicket};
use super::cx::Cx;
use super::effect::Effect;
use super::event::ClientId;
use super::report::{
    CommitView, LeaseView, MemberView, PeerView, PromiseView, Reply, RequestView, Stage, StoreView,
    TicketView,
};
use super::state::{Leased, Waiter};
use super::ticket::{Kind, Ticket};
use super::Engine;
use crate::model::{MemberIndex, MemberSet, RuleMode, TicketIndex, TicketMode};
use crate::time::{MonoTime, Now, WallTime};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Engine {
    /// Answers a client that wants a report.
    pub(super) fn report(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
        client: ClientId,
        history: bool,
    ) {
        let mut tickets = Vec::with_capacity(self.tickets.len());
        for index in 0..self.tickets.len() {
            self.with(now, effects, TicketIndex::new(index), |ticket, cx| {
                tickets.push(either!(ticket, t => t.view(cx)));
            });
        }
        let peers = self.roster.peers().iter().map(|peer| self.peer_view(now, peer)).collect();
        let view = MemberView { now, tickets, peers, figures: self.figures, history };
        effects.push(Effect::Reply { client, reply: Reply::Report(Box::new(view)), last: true });
    }

    fn peer_view(&self, now: Now, member: MemberIndex) -> PeerView {
        let book = &self.books[member.get()];
        let ours = self.tickets.iter().find_map(|t| either!(t, t => t.links[member.get()].echoes));
        PeerView {
            row: book.row(now, member),
            reachable: None,
            since: None,
            differs: None,
            round_trip: book.round_trip,
            ours,
        }
    }
}

impl<K: Kind> Ticket<K> {
    /// What a report says of this ticket.
    fn view(&self, cx: &Cx<'_>) -> TicketView {
        let wall = |at: MonoTime| cx.now.wall_at(at);
        let next = self.first(|deadline| Some((deadline.at, deadline.of)));
        let wait = self.grant.is_some().then(|| K::waits_for(self, cx));
        let until = |left: crate::time::Span| (!left.is_zero()).then(|| cx.now.wall.plus(left));
        let mode = match self.spec.mode {
            TicketMode::Manual => RuleMode::Manual,
            TicketMode::Automatic => RuleMode::Auto,
        };
        let mut view = TicketView {
            row: K::row(self, cx),
            stage: self.stage(),
            term: self.term,
            holder_since: wall(self.outward.since),
            store: self.site.then(|| self.store_view(cx)),
            lease: None,
            promise: None,
            grace_until: None,
            waits_for: wait.map(|wait| (wait.cause, until(wait.left))),
            commit: None,
            requests: self.request_views(),
            handler_since: self.probe.map(|probe| wall(probe.since)),
            stands: None,
            attributes: self.attr_rows(),
            prerequisites: self.attrs.fulfil(&self.spec.rules, mode),
            objectors: MemberSet::EMPTY,
            expire_differs: Vec::new(),
            next: next.map(|deadline| (deadline.of, wall(deadline.at))),
        };
        K::view(self, cx, &mut view);
        view
    }

    fn stage(&self) -> Stage {
        if self.phase.is_loading() {
            Stage::Starting
        } else if self.quit.is_some() {
            Stage::Leaving
        } else if self.phase.is_candidate() {
            Stage::Candidate
        } else if self.phase.is_leader() {
            Stage::Leader
        } else {
            Stage::Follower
        }
    }

    fn store_view(&self, cx: &Cx<'_>) -> StoreView {
        let wall = |at: MonoTime| -> WallTime { cx.now.wall_at(at) };
        StoreView {
            granted: self.cib.granted(),
            maybe_granted: self.cib.maybe_granted(),
            failing_since: self.cib.failing_since().map(wall),
            failures: self.cib.failures() + self.phase.loading().map_or(0, |l| l.failures()),
            writing_since: self.cib.writing_since().map(wall),
        }
    }

    fn request_views(&self) -> Vec<RequestView> {
        let of = |grant: bool| {
            move |waiter: &Waiter| RequestView {
                client: waiter.client,
                from: None,
                grant,
                options: waiter.options,
            }
        };
        let grants = self.grant.iter().flat_map(|job| &job.waiters).map(of(true));
        grants.chain(self.revokers.0.iter().map(of(false))).collect()
    }
}

impl Ticket<Leased> {
    /// Fills in what only a ticket with a lease has.
    pub fn fill_view(&self, cx: &Cx<'_>, view: &mut TicketView) {
        let now = cx.now.mono;
        let wall = |at: MonoTime| cx.now.wall_at(at);
        view.lease = self.lease_view(cx);
        view.promise = self.live_promise(now).map(|promise| PromiseView {
            to: promise.to(),
            term: promise.term(),
            until: wall(promise.until()),
        });
        view.grace_until = self.grace_until().map(wall);
        view.commit = self.commit_pending(cx).map(|until| {
            let lead = self.kind.lead.as_ref();
            let missing = lead.filter(|lead| lead.commit.until().is_some_and(|at| now < at));
            CommitView {
                until: wall(until),
                missing: missing
                    .map_or(MemberSet::EMPTY, |lead| lead.commit.missing(cx.other_sites())),
            }
        });
        view.stands = self.kind.stand.map(|stand| (wall(stand.at), stand.reason));
        view.objectors = self.objectors(now);
        view.expire_differs.clone_from(&self.kind.differs.0);
    }

    fn lease_view(&self, cx: &Cx<'_>) -> Option<LeaseView> {
        let (now, until) = (cx.now.mono, self.bound()?);
        if now >= until {
            return None;
        }
        let lead = self.kind.lead.as_ref();
        let renewal = lead.map(|lead| &lead.renewal);
        let started = renewal.filter(|renewal| renewal.extended()).map(|r| r.started());
        let renewed = started.or_else(|| {
            let length = lead.map(|lead| lead.length())?;
            Some(until.minus(length))
        });
        Some(LeaseView {
            until: cx.now.wall_at(until),
            length: lead.map_or(self.spec.expire, |lead| lead.length()),
            renewed: renewed.map(|at| cx.now.wall_at(at)),
            next_renewal: cx.now.wall_at(renewal.map_or(until, |renewal| renewal.next_at())),
            majority: !self.waits_for_majority(now) && lead.is_some(),
            silent: renewal.map_or(MemberSet::EMPTY, |renewal| renewal.unacked()),
        })
    }
}
