// SPDX-License-Identifier: GPL-2.0-or-later
//! Words that every part shares: members, tickets, terms, attributes. No behaviour beyond what
//! makes wrong values unwritable; no I/O.

mod attr;
mod excerpt;
mod member;
mod term;
mod ticket;

pub use attr::{
    AttrError, AttrName, AttrOp, AttrRule, AttrValue, RuleMode, ATTRS_MAX, RESERVED_ATTRS,
};
pub use excerpt::Excerpt;
pub use member::{
    Holder, Member, MemberId, MemberIndex, MemberRole, MemberSet, Roster, RosterError, MEMBERS_MAX,
};
pub use term::Term;
pub use ticket::{
    TicketIndex, TicketMode, TicketName, TicketNameError, TicketSpec, TICKET_NAME_MAX,
};
