// SPDX-License-Identifier: GPL-2.0-or-later
//! A ticket: what tickets of both kinds have, and what the rules that they share leave to the kind
//! ([`Kind`]). What only one kind has is in `state/leased.rs` and `state/manual.rs`.
//!
//! A ticket holds plain values and reads no clock; what is live and what has passed is decided
//! against the `now` of the step. The rules are in the sibling modules, one subject each.

use super::cx::Cx;
use super::deadline::DeadlineKind;
use super::effect::{CibExpiry, NoteLevel};
use super::event::ClientId;
use super::report::{TicketRow, TicketView};
use super::state::{
    Announce, Attrs, Cib, GrantJob, Known, Link, Outward, Phase, Probe, Revokers, Wait,
};
use crate::model::{Holder, MemberId, MemberIndex, Roster, Term, TicketIndex, TicketSpec};
use crate::prng::Prng;
use crate::time::{MonoTime, Now, Span};
use crate::wire::{ClientOptions, PeerBody, PeerMessage, Round};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

/// One ticket at one member: what every ticket has, and what its kind has besides.
#[derive(Debug)]
pub(super) struct Ticket<K: Kind> {
    pub index: TicketIndex,
    pub spec: TicketSpec,
    pub me: MemberIndex,
    pub my_id: MemberId,
    pub site: bool,
    pub phase: Phase,
    /// The member's own term (L2, L3); of a manual ticket, the highest that it has read or heard.
    pub term: Option<Term>,
    /// Per member: rounds, acknowledgements, refusals.
    pub links: Vec<Link>,
    pub known: Known,
    /// Whether this member has learned in this life that the ticket is free, if it knows no holder:
    /// every other site has answered that it is idle, or the ticket was revoked meanwhile. What
    /// only its store says may be old.
    pub free_is_known: bool,
    /// Both clocks at the start of the process.
    pub started: Now,
    pub cib: Cib,
    /// The ticket is being given up: first the store, then the announcement (L10).
    pub quit: Option<K::Quit>,
    pub announce: Option<Announce>,
    pub probe: Option<Probe<K::Purpose>>,
    pub grant: Option<GrantJob>,
    pub revokers: Revokers,
    pub attrs: Attrs,
    /// What the history was told last.
    pub outward: Outward,
    pub kind: K,
}

/// What was read from the store at the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub granted: bool,
    /// Whom it names, if that is a member.
    pub owner: Holder,
    /// It names somebody who is no member of this configuration.
    pub foreign: bool,
    /// What is left of the lease that it states; at most `expire` of it counts.
    pub left: Span,
}

/// Something that a ticket does.
pub(super) type Act<K> = fn(&mut Ticket<K>, &mut Cx<'_>);

/// A kind of tickets, leased or manual: what the rules that both kinds share leave to it. A method
/// that has a body here does nothing in a kind that does not define its own.
pub(super) trait Kind: Debug + Sized {
    /// What a handler is asked for.
    type Purpose: Copy + Debug;
    /// What is remembered while the ticket is given up.
    type Quit: Copy + Debug;
    /// What a grant says of its expiry in the store.
    const GRANT_EXPIRY: CibExpiry;

    /// What a ticket of this kind has besides, when nothing is known of it yet.
    fn new(roster: &Roster) -> Self;

    /// The process has started; before the store is read.
    fn started(_: &mut Ticket<Self>, _: &mut Cx<'_>) {}
    /// An arbitrator, which has no store, begins.
    fn begins_without_store(t: &mut Ticket<Self>, cx: &mut Cx<'_>);
    /// The store was read: what every ticket has is filled in.
    fn loaded(t: &mut Ticket<Self>, cx: &mut Cx<'_>, loaded: Loaded);

    /// Applies what has ended by now; before every event (L6).
    fn fold(_: &mut Ticket<Self>, _: &mut Cx<'_>) {}
    /// Tells `at` the deadlines that only this kind has.
    fn deadlines(t: &Ticket<Self>, at: &mut impl FnMut(DeadlineKind, Option<MonoTime>, Act<Self>));
    /// Nothing is due: goes on with what is under way. Tells whether something may be due now.
    fn go_on(_: &mut Ticket<Self>, _: &mut Cx<'_>) -> bool {
        false
    }
    /// The end of every step.
    fn end_step(_: &mut Ticket<Self>, _: &mut Cx<'_>) {}
    /// What every step leaves true of this kind.
    fn check(t: &Ticket<Self>, now: MonoTime);

    /// One message of another member. Returns false if it makes no sense, for the counters.
    fn handle_peer(
        t: &mut Ticket<Self>,
        cx: &mut Cx<'_>,
        from: MemberIndex,
        message: &PeerMessage,
    ) -> bool;

    /// A client's grant to this site.
    fn client_grant(t: &mut Ticket<Self>, cx: &mut Cx<'_>, of: ClientId, options: ClientOptions);
    /// A client's revoke.
    fn client_revoke(t: &mut Ticket<Self>, cx: &mut Cx<'_>, of: ClientId, options: ClientOptions);
    /// What an administrator's grant waits for.
    fn waits_for(t: &Ticket<Self>, cx: &Cx<'_>) -> Wait;
    /// The clients of a revoke that has failed were told.
    fn revoke_has_failed(_: &mut Ticket<Self>, _: &mut Cx<'_>) {}
    /// Another site that the client of a revoke must ask, too. `lost`: the ticket may have been
    /// lost before the store obeyed.
    fn held_elsewhere(_: &Ticket<Self>, _: &Cx<'_>, _lost: bool) -> Option<Holder> {
        None
    }
    /// Who has the ticket now, as clients are told.
    fn shown_leader(t: &Ticket<Self>, now: MonoTime) -> Holder;
    /// Until when clients are told that the lease lasts.
    fn shown_until(t: &Ticket<Self>) -> MonoTime;
    /// The ticket's line of `booth list`.
    fn row(t: &Ticket<Self>, cx: &Cx<'_>) -> TicketRow;
    /// Fills in what a report says of a ticket of this kind.
    fn view(_: &Ticket<Self>, _: &Cx<'_>, _: &mut TicketView) {}
    /// Whether the ticket is being given up because somebody has revoked it.
    fn quits_by_revoke(t: &Ticket<Self>) -> bool;
    /// Whether a renewal waits for its majority for longer than it should.
    fn lacks_majority(_: &Ticket<Self>, _: MonoTime) -> bool {
        false
    }
    /// Who does not acknowledge the lease, and for how long, in words.
    fn who_is_silent(_: &Ticket<Self>, _: &Cx<'_>) -> String {
        String::new()
    }
    /// What SIGUSR1 logs besides.
    fn remark(_: &Ticket<Self>, _: &Cx<'_>) -> String {
        String::new()
    }
    /// Until when this member's lease or promise lasts; its log lines begin with what is left.
    fn word_until(_: &Ticket<Self>) -> Option<MonoTime> {
        None
    }

    /// What the store says of the expiry of a ticket that is not granted here.
    fn free_expiry(t: &Ticket<Self>, now: Now, owner: Holder) -> CibExpiry;
    /// Whom a revoke names instead of nobody, because its ticket is lost.
    fn lost_owner(_: &Ticket<Self>, _: &Cx<'_>) -> Option<Holder> {
        None
    }
    /// Whether *granted* may be written now (L6).
    fn may_write_grant(t: &Ticket<Self>, now: MonoTime) -> bool;
    /// A grant stands in the store.
    fn grant_written(t: &mut Ticket<Self>, cx: &mut Cx<'_>);
    /// A grant could not be written, and is tried again.
    fn grant_unwritten(t: &mut Ticket<Self>, cx: &mut Cx<'_>);
    /// *Revoked* stands in the store; it may have said *granted* before.
    fn revoke_written(t: &mut Ticket<Self>, cx: &mut Cx<'_>, was_granted: bool);
    /// *Revoked* could not be written, and is tried again.
    fn revoke_unwritten(t: &mut Ticket<Self>, cx: &mut Cx<'_>);
    /// Gives up a ticket whose grant could not be written.
    fn give_up_ungranted(t: &mut Ticket<Self>, cx: &mut Cx<'_>);

    /// Whether a member is told this announcement.
    fn is_told(t: &Ticket<Self>, to: MemberIndex, announce: &Announce) -> bool;
    /// For how long a member that does not hear of a revoke may count on the ticket.
    fn counted_on_for(t: &Ticket<Self>) -> Span;
    /// When an announcement that has been repeated often enough is made again, if it is.
    fn announces_again(_: MonoTime) -> Option<MonoTime> {
        None
    }

    /// The handler has answered.
    fn probed(t: &mut Ticket<Self>, cx: &mut Cx<'_>, purpose: Self::Purpose, agreed: bool);
}

impl<K: Kind> Ticket<K> {
    /// A ticket of which nothing is known yet.
    pub fn new(index: TicketIndex, spec: TicketSpec, roster: &Roster, prng: &mut Prng) -> Self {
        let site = roster.am_site();
        let link = |_| Link::new(Round::from_random(prng.any()));
        Ticket {
            index,
            spec,
            me: roster.me(),
            my_id: roster.my_id(),
            site,
            phase: Phase::at_start(site),
            term: None,
            links: (0..roster.len()).map(link).collect(),
            known: Known::default(),
            free_is_known: false,
            started: Now::default(),
            cib: Cib::default(),
            quit: None,
            announce: None,
            probe: None,
            grant: None,
            revokers: Revokers::default(),
            attrs: Attrs::default(),
            outward: Outward::default(),
            kind: K::new(roster),
        }
    }

    /// Whether this site holds the ticket, or is granting it: the store may say so and it is not
    /// being given up.
    pub fn holding(&self) -> bool {
        self.cib.maybe_granted() && self.quit.is_none() && !self.phase.is_loading()
    }

    /// Its own term, as its log lines and answers state it: 0 if it has none.
    pub fn wire_term(&self) -> Term {
        self.term.unwrap_or_default()
    }

    /// A message about this ticket.
    pub fn message(&self, leader: Holder, term: Term, valid: Span, body: PeerBody) -> PeerMessage {
        // Members never say "unknown" (P4).
        let leader = if leader == Holder::Unknown { Holder::Nobody } else { leader };
        PeerMessage { ticket: self.spec.name.clone(), leader, term, valid_for: valid, body }
    }

    /// This member as a holder.
    pub fn myself(&self, cx: &Cx<'_>) -> Holder {
        Holder::Member(cx.roster.my_id())
    }

    /// Writes a line about this ticket; the only place that adds the prefix
    /// `NAME (PHASE/TERM/SECONDS LEFT): `.
    pub fn note(&self, cx: &mut Cx<'_>, level: NoteLevel, text: &str) {
        let line = format!("{}: {text}", self.prefix(cx.now));
        cx.note(level, line);
    }

    /// The beginning of this ticket's log lines.
    fn prefix(&self, now: Now) -> String {
        let until = K::word_until(self);
        let left = until.map_or(0, |until| until.since(now.mono).as_secs());
        format!("{} ({}/{}/{left})", self.spec.name, self.phase.word(), self.wire_term())
    }
}
