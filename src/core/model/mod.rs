// SPDX-License-Identifier: GPL-2.0-or-later
//! Types that all parts share: members, tickets, terms, attributes. They only prevent invalid
//! values; they do no I/O.

mod attr;
mod digest;
mod excerpt;
mod member;
mod term;
mod ticket;

pub use attr::{
    AttrError, AttrName, AttrOp, AttrRule, AttrValue, RuleMode, ATTRS_MAX, RESERVED_ATTRS,
};
pub use digest::digest_of;
pub use excerpt::Excerpt;
pub use member::{
    Holder, Member, MemberId, MemberIndex, MemberRole, MemberSet, Roster, RosterError, MEMBERS_MAX,
};
pub use term::Term;
pub use ticket::{
    TicketIndex, TicketMode, TicketName, TicketNameError, TicketSpec, TICKET_NAME_MAX,
};
