// SPDX-License-Identifier: GPL-2.0-or-later
//! What the engine wants done.

use super::event::{ClientId, HoldWindow, ProbeRun, WriteSerial};
use super::report::Reply;
use crate::model::{AttrName, AttrValue, Holder, MemberIndex, Term, TicketIndex};
use crate::time::{MonoTime, Span, WallTime};
use crate::wire::PeerMessage;
use alloc::string::String;

/// One thing that the shell must do. The shell performs effects in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Seal and send a datagram; never wait for it.
    Send {
        /// To whom; never this member.
        to: MemberIndex,
        /// What.
        message: PeerMessage,
        /// Whether it repeats an unanswered one (counted as resend by `booth peers`).
        resend: bool,
    },
    /// Answer a client.
    Reply {
        /// Which.
        client: ClientId,
        /// What.
        reply: Reply,
        /// Whether the connection ends with it.
        last: bool,
    },
    /// Ring for this ticket at this instant; replaces the ticket's earlier wish.
    Arm {
        /// The ticket.
        ticket: TicketIndex,
        /// When; may be past.
        at: MonoTime,
    },
    /// Do not ring for this ticket any more.
    Disarm {
        /// The ticket.
        ticket: TicketIndex,
    },
    /// Tell the keeper of the ticket store, in order.
    Store(StoreWish),
    /// Start or end a job of the executor.
    Job(JobWish),
    /// A line for the log.
    Note(Note),
}

/// What the keeper of the ticket store is told; the order counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreWish {
    /// The window of a ticket that is held or about to be. Comes *before* the grant that needs
    /// it and moves on with each renewal; also while a grant is running. The shell tells the
    /// keeper before it passes a grant with this window on.
    Hold {
        /// The ticket.
        ticket: TicketIndex,
        /// The window; `None`: the store says *revoked* now, the keeper may forget it.
        window: Option<HoldWindow>,
        /// The term, by which the keeper recognises newer entries in the store.
        term: Term,
    },
    /// Write the ticket to the store. A newer wish replaces one that has not been started
    /// (`Superseded`); a revoke (not granted) also kills a running grant first.
    WriteCib {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the write; its outcome comes back with it.
        serial: WriteSerial,
        /// What to write.
        state: CibState,
    },
    /// Write or delete one attribute in the store.
    WriteAttr {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the write.
        serial: WriteSerial,
        /// What to write.
        change: AttrChange,
        /// How long it may take.
        limit: Span,
    },
}

/// What the executor starts or ends a job for: to read the store, or to ask a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobWish {
    /// Read the ticket from the store. A site emits it at the start; retries come from the
    /// engine, with growing pauses.
    LoadCib {
        /// The ticket.
        ticket: TicketIndex,
        /// How long it may take.
        limit: Span,
    },
    /// Run the before-acquire handler.
    StartProbe {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the run.
        run: ProbeRun,
        /// `BOOTH_TICKET_EXPIRES`; the epoch if nobody holds the ticket.
        expires: WallTime,
        /// When it is ended.
        deadline: MonoTime,
    },
    /// End the run; its outcome is not wanted any more.
    StopProbe {
        /// The ticket.
        ticket: TicketIndex,
        /// The number of the run.
        run: ProbeRun,
    },
}

/// What a write leaves in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CibState {
    /// Whether the ticket is granted to this site.
    pub granted: bool,
    /// Attribute `owner`.
    pub owner: Holder,
    /// Attribute `term`.
    pub term: Term,
    /// Attribute `expires`.
    pub expires: CibExpiry,
    /// How long one write may take (`TicketSpec::call_limit`); a grant also obeys its
    /// [`HoldWindow`].
    pub limit: Span,
}

/// Where the attribute `expires` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CibExpiry {
    /// From the ticket's [`HoldWindow`] at the instant of the exec.
    Lease,
    /// This wall-clock time, rounded down to seconds.
    At(WallTime),
    /// None: the number 0. Also what a manual ticket has.
    Never,
}

/// A change of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttrChange {
    /// It gets this value.
    Set(AttrName, AttrValue),
    /// It goes.
    Delete(AttrName),
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteLevel {
    /// A person must do something.
    Error,
    /// Unusual, handled.
    Warning,
    /// A change of holder, phase or majority, or an operator's command.
    Info,
    /// Everything else.
    Debug,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub level: NoteLevel,
    /// Lower case, without full stop; begins with the ticket's prefix if it is about one.
    pub text: String,
    /// What it tells for the history and the alerts, if it is of that kind.
    pub event: Option<NoteEvent>,
}

/// What a log line tells that an administrator looks for afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteEvent {
    /// What has happened.
    pub kind: EventKind,
    /// To which ticket.
    pub ticket: Option<TicketIndex>,
    /// Which other member it has to do with.
    pub member: Option<MemberIndex>,
    /// In which term.
    pub term: Option<Term>,
}

/// The kinds of events in the history. The words are an interface: alerts, logs and reports carry
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// The store of this site says *granted*.
    Granted,
    /// This site had the ticket and gives it up, for another reason than a revoke.
    Lost,
    /// This site had the ticket and gives it up because somebody revoked it.
    Revoked,
    /// Another member has the ticket now, as far as this one knows.
    Moved,
    /// Nobody has the ticket any more, as far as this member knows.
    Freed,
    /// A renewal was not acknowledged by a majority in time.
    NoMajority,
    /// A majority acknowledges renewals again.
    MajorityBack,
    /// The ticket store cannot be read or written.
    StoreFailing,
    /// It can be used again.
    StoreWorking,
    /// The before-acquire handler failed or did not end in time.
    HandlerFailed,
    /// A member has another `expire`, or another configuration.
    ConfigDiffers,
    /// It has the same again.
    ConfigAgrees,
    /// This site stands for election.
    Standing,
    /// It has won.
    Elected,
    /// A member was not heard from for a while, nor does it answer.
    MemberLost,
    /// It was heard from again.
    MemberBack,
    /// A member's clock is off.
    ClockOff,
    /// It is right again.
    ClockRight,
    /// Packets were refused that a key should have sealed.
    AuthFailed,
    /// A request of a client was refused.
    Refused,
    /// A client asks for a grant or revoke, or changes an attribute.
    Asked,
    /// What came of that.
    Answered,
    /// The daemon has started.
    Started,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [EventKind; 23] = [
        EventKind::Granted,
        EventKind::Lost,
        EventKind::Revoked,
        EventKind::Moved,
        EventKind::Freed,
        EventKind::NoMajority,
        EventKind::MajorityBack,
        EventKind::StoreFailing,
        EventKind::StoreWorking,
        EventKind::HandlerFailed,
        EventKind::ConfigDiffers,
        EventKind::ConfigAgrees,
        EventKind::Standing,
        EventKind::Elected,
        EventKind::MemberLost,
        EventKind::MemberBack,
        EventKind::ClockOff,
        EventKind::ClockRight,
        EventKind::AuthFailed,
        EventKind::Refused,
        EventKind::Asked,
        EventKind::Answered,
        EventKind::Started,
    ];

    /// Its name in the history, in logs, alerts and reports.
    pub const fn word(self) -> &'static str {
        match self {
            EventKind::Granted => "granted",
            EventKind::Lost => "lost",
            EventKind::Revoked => "revoked",
            EventKind::Moved => "moved",
            EventKind::Freed => "freed",
            EventKind::NoMajority => "no-majority",
            EventKind::MajorityBack => "majority-back",
            EventKind::StoreFailing => "store-failing",
            EventKind::StoreWorking => "store-working",
            EventKind::HandlerFailed => "handler-failed",
            EventKind::ConfigDiffers => "config-differs",
            EventKind::ConfigAgrees => "config-agrees",
            EventKind::Standing => "standing",
            EventKind::Elected => "elected",
            EventKind::MemberLost => "member-lost",
            EventKind::MemberBack => "member-back",
            EventKind::ClockOff => "clock-off",
            EventKind::ClockRight => "clock-right",
            EventKind::AuthFailed => "auth-failed",
            EventKind::Refused => "refused",
            EventKind::Asked => "asked",
            EventKind::Answered => "answered",
            EventKind::Started => "started",
        }
    }
}
