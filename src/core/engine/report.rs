// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients are told, as data: the shell formats times and text.

use super::deadline::DeadlineKind;
use super::event::ClientId;
use crate::model::{AttrName, AttrValue, Holder, MemberIndex, MemberSet, Term, TicketName};
use crate::time::{Now, Span, WallTime};
use crate::wire::{ClientOptions, Reason, ResultCode, TicketAnswer, WaitCause};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

/// An answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To list (`RLst` with text).
    Tickets(Vec<TicketRow>),
    /// To peers (`RLst` with text).
    Peers(Vec<PeerRow>),
    /// To grant and revoke (`Rslt` with ticket payload).
    Ticket(TicketAnswer),
    /// To attribute set and delete, and to every failed attribute command (`Rslt`, header only).
    Result(ResultCode),
    /// To report (`Rprt` with text in JSON, P25).
    Report(Box<MemberView>),
    /// To attribute get (`AGet` with text).
    Attr(AttrValue),
    /// To attribute list (`ALst` with text).
    Attrs(Vec<AttrRow>),
}

impl Reply {
    /// The result code that it has or, as an answer with a text, stands for.
    pub fn result(&self) -> ResultCode {
        match self {
            Reply::Ticket(answer) => answer.result,
            Reply::Result(code) => *code,
            Reply::Tickets(_)
            | Reply::Peers(_)
            | Reply::Report(_)
            | Reply::Attr(_)
            | Reply::Attrs(_) => ResultCode::Success,
        }
    }
}

/// How many tickets a member holds or votes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many are held here, or being granted; `None`: an arbitrator holds none.
    pub here: Option<usize>,
    /// How many there are.
    pub of: usize,
}

/// One ticket of `booth list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// Its name.
    pub name: TicketName,
    /// Whether it is a manual ticket.
    pub manual: bool,
    /// Who has it: `NONE`, `none` or an address.
    pub leader: Holder,
    /// When it expires; only shown if somebody has it. `None`: `INF`.
    pub expires: Option<WallTime>,
    /// Until when the commit is pending; only at the leader.
    pub commit_pending: Option<WallTime>,
    /// Further remarks, in a field of their own at the end of the line.
    pub remarks: Vec<Remark>,
    /// A manual ticket that several sites hold: which.
    pub also_granted: Vec<MemberIndex>,
}

/// A remark at the end of a ticket's line; the reference has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// `CIB update failing since TIME`.
    CibFailing(WallTime),
    /// `CIB update running since TIME`: a write takes longer than a second.
    CibSlow(WallTime),
    /// `starting up until TIME`: grace; `None`: the CIB has not been read.
    StartingUp(Option<WallTime>),
    /// `handler running since TIME`.
    HandlerRunning(WallTime),
    /// `expire differs at ADDR and ADDR`: these members are configured with another `expire`.
    ExpireDiffers(MemberSet),
    /// `ADDR may still have it granted: grant -F overrides`: this site waits because
    /// another one says that its store may say *granted*.
    Objection(MemberIndex),
}

/// One member of `booth peers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Which member.
    pub member: MemberIndex,
    /// When something was last heard from it; `None`: never.
    pub last_recv: Option<WallTime>,
    /// Since when it does not answer; `None`: it does, or that is not known. The engine does not
    /// know it.
    pub unreachable_since: Option<WallTime>,
    /// Its counters.
    pub counters: PeerCounters,
}

/// What was counted of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounters {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that could not be sent.
    pub sent_errors: u64,
    /// Datagrams that repeated an unanswered one.
    pub resends: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams received in error.
    pub recv_errors: u64,
    /// Datagrams refused by authentication.
    pub auth_failures: u64,
    /// Datagrams that made no sense.
    pub invalid: u64,
}

/// One attribute of `geostore list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrRow {
    /// Its name.
    pub name: AttrName,
    /// Its value.
    pub value: AttrValue,
    /// When it was set; `None` if it came from the CIB.
    pub set_at: Option<WallTime>,
}

/// All that a member knows: what its report is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// When it was asked, by both clocks.
    pub now: Now,
    /// Its tickets, in configuration order.
    pub tickets: Vec<TicketView>,
    /// The other members.
    pub peers: Vec<PeerView>,
    /// What was counted over all tickets.
    pub figures: Figures,
    /// Whether the whole history is wanted.
    pub history: bool,
}

/// What a member knows of one ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketView {
    /// Its line of `booth list`.
    pub row: TicketRow,
    /// What this member does with it.
    pub stage: Stage,
    /// The member's own term.
    pub term: Option<Term>,
    /// Since when it has known this holder, or none.
    pub holder_since: WallTime,
    /// What the ticket store says; `None`: an arbitrator has none.
    pub store: Option<StoreView>,
    /// The lease of this site, if it has one that lasts.
    pub lease: Option<LeaseView>,
    /// The word that this member has given to another one.
    pub promise: Option<PromiseView>,
    /// Until when this member, which has just started, helps nobody new.
    pub grace_until: Option<WallTime>,
    /// What an administrator's grant waits for here, and until when if that is known.
    pub waits_for: Option<(WaitCause, Option<WallTime>)>,
    /// Sites whose answers the first grant waits for, and until when.
    pub commit: Option<CommitView>,
    /// Clients that wait for a grant or a revoke of it.
    pub requests: Vec<RequestView>,
    /// Since when the handler runs.
    pub handler_since: Option<WallTime>,
    /// When this site stands for election, if nothing comes between, and why.
    pub stands: Option<(WallTime, Reason)>,
    /// Its attributes.
    pub attributes: Vec<AttrRow>,
    /// Whether the attribute prerequisites hold here.
    pub prerequisites: bool,
    /// The store may still say *granted* there: these sites say so.
    pub objectors: MemberSet,
    /// Members that state another `expire`, and which.
    pub expire_differs: Vec<(MemberIndex, Span)>,
    /// The next deadline.
    pub next: Option<(DeadlineKind, WallTime)>,
}

/// What a member does with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A site reads its store, or revokes what it found there.
    Starting,
    /// Follows a holder, or nobody.
    Follower,
    /// Asks the others for their votes.
    Candidate,
    /// Was elected, or holds a manual ticket.
    Leader,
    /// Gives the ticket up: its store still has to say *revoked*.
    Leaving,
}

/// What a ticket store says, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreView {
    /// A grant is known to stand in it.
    pub granted: bool,
    /// A grant may stand in it.
    pub maybe_granted: bool,
    /// Since when calls have failed.
    pub failing_since: Option<WallTime>,
    /// How many in a row.
    pub failures: u32,
    /// Since when the running write runs.
    pub writing_since: Option<WallTime>,
}

/// The lease of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// When it ends.
    pub until: WallTime,
    /// How long a renewal makes it last.
    pub length: Span,
    /// When the renewal began that a majority has acknowledged.
    pub renewed: Option<WallTime>,
    /// When the next renewal begins.
    pub next_renewal: WallTime,
    /// Whether a majority has acknowledged the current renewal.
    pub majority: bool,
    /// Who has not acknowledged it.
    pub silent: MemberSet,
}

/// A word given to another member: to follow nobody else until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromiseView {
    /// To whom.
    pub to: MemberIndex,
    /// In which term.
    pub term: Term,
    /// Until when.
    pub until: WallTime,
}

/// What the first grant waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitView {
    /// Until when at most.
    pub until: WallTime,
    /// Sites that have not answered; empty if only `acquire-after` is waited for.
    pub missing: MemberSet,
}

/// A client that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// Which.
    pub client: ClientId,
    /// From which address it asked. The engine does not know that: whoever answers the client does.
    pub from: Option<IpAddr>,
    /// Whether it waits for a grant, or else for a revoke.
    pub grant: bool,
    /// Its options.
    pub options: ClientOptions,
}

/// What a member knows of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its row of `booth peers`.
    pub row: PeerRow,
    /// Whether it can be reached. The engine does not know that: whoever answers the client does.
    pub reachable: Option<bool>,
    /// When it became unreachable, or was last heard.
    pub since: Option<WallTime>,
    /// Whether its configuration differs. The engine does not know that either.
    pub differs: Option<bool>,
    /// The last round trip of a renewal.
    pub round_trip: Option<Span>,
    /// Whether it numbers its sends, as ours do; `None`: not known.
    pub ours: Option<bool>,
}

/// The upper bounds of the buckets of [`Times`], in microseconds; the last bucket has none.
pub const TIME_BOUNDS: [u64; 8] =
    [1_000, 5_000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000];

/// How long something took, how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How often, by [`TIME_BOUNDS`].
    pub buckets: [u64; TIME_BOUNDS.len() + 1],
    /// The sum of all times.
    pub sum: Span,
}

/// What was counted over all tickets since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Attempts of this site to be elected.
    pub elections: u64,
    /// Those that it has won.
    pub wins: u64,
    /// How often this site has lost a ticket that it held.
    pub losses: u64,
    /// How long renewals took until a majority had acknowledged them.
    pub renewals: Times,
    /// How long changes of the ticket store that have succeeded took, from the wish to the report.
    pub store_changes: Times,
    /// Those that have failed.
    pub store_failures: u64,
    /// Runs of handlers that have failed.
    pub handler_failures: u64,
}

impl Times {
    /// It took this long once more.
    pub(super) fn note(&mut self, took: Span) {
        let bucket = TIME_BOUNDS.iter().position(|bound| took.as_micros() <= *bound);
        self.buckets[bucket.unwrap_or(TIME_BOUNDS.len())] += 1;
        self.sum = self.sum.plus(took);
    }
}
