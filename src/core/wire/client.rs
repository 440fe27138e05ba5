// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages between clients and the daemon, over TCP (P10, P12).

use super::code::{ResultCode, WaitCause};
use super::life::Life;
use crate::model::{AttrName, AttrValue, Holder, Term, TicketName};
use crate::time::Span;
use alloc::string::String;

/// Options of a client's grant or revoke (header field `options`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// Bit 0, `-F`: grant at once, without waiting for other sites or older leases.
    pub immediate: bool,
    /// Bit 1, `-w`: wait for the outcome.
    pub wait: bool,
    /// Bit 2, `-C`: wait until the ticket is committed to the CIB.
    pub wait_commit: bool,
    /// Bit 3, only in ours: the client understands [`WaitCause`] and wants to hear every change.
    pub explain: bool,
}

impl ClientOptions {
    /// The options as a command line has them; `-C` stands for `-w`, too.
    pub fn flags(self) -> impl Iterator<Item = &'static str> {
        let flags = [
            (self.immediate, "-F"),
            (self.wait && !self.wait_commit, "-w"),
            (self.wait_commit, "-C"),
        ];
        flags.into_iter().filter_map(|(given, flag)| given.then_some(flag))
    }
}

/// What a client asks for. The engine decides whether the names exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientRequest {
    /// Return the text of `booth list`.
    List,
    /// Return the text of `booth peers`.
    Peers,
    /// Report all that the member knows, as text in JSON; only in ours.
    Report {
        /// With the whole history, not only the last few events of each ticket.
        history: bool,
    },
    /// Grant a ticket to the site that is asked.
    Grant {
        /// The ticket; `None` if the name is not a valid ticket name.
        ticket: Option<TicketName>,
        /// `-F`, `-w`, `-C` of the client.
        options: ClientOptions,
    },
    /// Revoke a ticket.
    Revoke {
        /// The ticket; `None` if the name is not a valid ticket name.
        ticket: Option<TicketName>,
        /// `-F`, `-w`, `-C` of the client.
        options: ClientOptions,
    },
    /// Set an attribute.
    AttrSet {
        /// The ticket; `None` if the name is not a valid ticket name.
        ticket: Option<TicketName>,
        /// The attribute; `None` if the name cannot be used (answered with `Fail`).
        name: Option<AttrName>,
        /// Its new value; `None` if it cannot be stored (answered with `Fail`).
        value: Option<AttrValue>,
    },
    /// Read an attribute.
    AttrGet {
        /// The ticket; `None` if the name is not a valid ticket name.
        ticket: Option<TicketName>,
        /// The attribute; `None` if no attribute can have that name.
        name: Option<AttrName>,
    },
    /// Delete an attribute.
    AttrDelete {
        /// The ticket; `None` if the name is not a valid ticket name.
        ticket: Option<TicketName>,
        /// The attribute; `None` if no attribute can have that name.
        name: Option<AttrName>,
    },
    /// List a ticket's attributes.
    AttrList {
        /// The ticket; `None` if the name is not a valid ticket name.
        ticket: Option<TicketName>,
    },
}

/// The ticket payload of an answer to grant and revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketAnswer {
    /// The outcome so far.
    pub result: ResultCode,
    /// The ticket; `None` is an all-zero payload (`InvalidArg`).
    pub ticket: Option<TicketName>,
    /// Who has the ticket; for `Redirect` the site to ask.
    pub leader: Holder,
    /// The term of the ticket at the member that answers.
    pub term: Term,
    /// How long the holder still has the ticket.
    pub valid_for: Span,
    /// What the request waits for, and for how long at most; zero if that is not known.
    pub cause: Option<(WaitCause, Span)>,
}

/// An answer to a client as sent over the wire. Texts are ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientReply {
    /// `Rslt` with ticket payload: to grant and revoke.
    Ticket(TicketAnswer),
    /// `Rslt`, header only: to attribute set and delete, to failed attribute commands, and
    /// `AuthFailed` to everything.
    Result(ResultCode),
    /// `RLst`: the lines of list or peers.
    List(String),
    /// `Rprt`, only in ours: the report in JSON; its MAC covers all of it.
    Report(String),
    /// `AGet`: the attribute's value and a newline.
    Attr(String),
    /// `ALst`: one line for each attribute.
    Attrs(String),
    /// `Hllo`, only in ours: ask again, with a request that is bound to this life of the daemon.
    Hello(Life),
}
