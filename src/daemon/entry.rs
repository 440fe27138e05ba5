// SPDX-License-Identifier: GPL-2.0-or-later
//! An event, as the history keeps it and alerts are told of it.

use crate::engine::EventKind;
use crate::model::{MemberIndex, Term, TicketName};
use crate::time::Now;
use std::net::IpAddr;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When, by both clocks: the wall clock may be set later.
    pub at: Now,
    /// What.
    pub kind: EventKind,
    /// To which ticket.
    pub ticket: Option<TicketName>,
    /// Which other member it has to do with.
    pub member: Option<MemberIndex>,
    /// From where a client asked.
    pub client: Option<IpAddr>,
    /// In which term.
    pub term: Option<Term>,
    /// What the log says.
    pub text: String,
    /// Whether the like may come often: clients, or whoever sends packets, can provoke it at will.
    pub provoked: bool,
}

impl Entry {
    /// Something of this kind has happened now; the rest is filled in by who knows it.
    pub fn new(at: Now, kind: EventKind, text: String) -> Entry {
        let (ticket, member, client, term) = (None, None, None, None);
        Entry { number: 0, at, kind, ticket, member, client, term, text, provoked: false }
    }

    /// The same as something of which the like may come often.
    pub fn provoked(self) -> Entry {
        Entry { provoked: true, ..self }
    }
}
