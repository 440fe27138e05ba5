// SPDX-License-Identifier: GPL-2.0-or-later
//! One change of a ticket in the store, as text fields without tabs or line ends. Pure.

use crate::daemon::leases::HolderKind;
use crate::engine::{AttrChange, CibExpiry, CibState};
use crate::model::{AttrName, AttrValue, Term};
use crate::pacemaker::{owner_number, parse_owner};
use crate::time::{Span, WallTime};

/// One change of a ticket in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Grant or revoke it; the limit is not part of the order.
    Write(CibState),
    /// Set or delete an attribute.
    Attr(AttrChange),
}

impl Order {
    /// What others may do to its process.
    pub fn kind(&self) -> HolderKind {
        match self {
            Order::Write(state) if !state.granted => HolderKind::Revoke,
            Order::Write(_) | Order::Attr(_) => HolderKind::Change,
        }
    }

    /// The order as fields.
    pub fn fields(&self) -> Vec<String> {
        match self {
            Order::Write(state) => {
                let word = if state.granted { "grant" } else { "revoke" };
                let expires = match state.expires {
                    CibExpiry::Lease => "lease".to_owned(),
                    CibExpiry::At(wall) => wall.as_micros().to_string(),
                    CibExpiry::Never => "never".to_owned(),
                };
                let owner = owner_number(state.owner).to_string();
                vec![word.to_owned(), owner, state.term.to_string(), expires]
            }
            Order::Attr(AttrChange::Set(name, value)) => {
                vec!["set".to_owned(), name.to_string(), value.to_string()]
            }
            Order::Attr(AttrChange::Delete(name)) => vec!["delete".to_owned(), name.to_string()],
        }
    }

    /// The order in these fields; `None` if they are none.
    pub fn parse(fields: &[&str]) -> Option<Order> {
        match *fields {
            ["set", name, value] => {
                let (name, value) = (AttrName::new(name).ok()?, AttrValue::new(value).ok()?);
                Some(Order::Attr(AttrChange::Set(name, value)))
            }
            ["delete", name] => Some(Order::Attr(AttrChange::Delete(AttrName::new(name).ok()?))),
            [word @ ("grant" | "revoke"), owner, term, expires] => {
                let expires = match expires {
                    "lease" => CibExpiry::Lease,
                    "never" => CibExpiry::Never,
                    micros => CibExpiry::At(WallTime::from_micros(micros.parse().ok()?)),
                };
                Some(Order::Write(CibState {
                    granted: word == "grant",
                    owner: parse_owner(owner)?,
                    term: Term::new(term.parse().ok()?),
                    expires,
                    limit: Span::ZERO,
                }))
            }
            _ => None,
        }
    }
}
