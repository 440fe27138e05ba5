// SPDX-License-Identifier: GPL-2.0-or-later
//! What clients are told, as data: the shell formats times and text.

use crate::model::{AttrName, AttrValue, Holder, MemberIndex, MemberSet, TicketName};
use crate::time::WallTime;
use crate::wire::{ResultCode, TicketAnswer};
use alloc::vec::Vec;

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
    /// To attribute get (`AGet` with text).
    Attr(AttrValue),
    /// To attribute list (`ALst` with text).
    Attrs(Vec<AttrRow>),
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
