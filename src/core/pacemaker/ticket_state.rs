// SPDX-License-Identifier: GPL-2.0-or-later
//! Parses the answers of `crm_ticket -q`: some lines of text, then XML elements (P19).

use crate::engine::CibTicket;
use crate::model::{AttrName, AttrValue, Excerpt, Holder, Term, TicketName};
use crate::time::WallTime;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;
use roxmltree::{Document, Node};

/// The XML element that describes a ticket.
const ELEMENT: &str = "ticket_state";

/// Why an answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It contains no XML.
    NoXml,
    /// Its XML is malformed; the text says where.
    BadXml(String),
    /// It does not describe the ticket that was asked for.
    NoTicket,
    /// `granted` is neither true nor false.
    Granted(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::NoXml => write!(f, "the answer has no XML"),
            StateError::BadXml(text) => {
                write!(f, "the answer's XML is damaged: {}", Excerpt::new(text))
            }
            StateError::NoTicket => write!(f, "the answer does not describe this ticket"),
            StateError::Granted(text) => {
                let text = Excerpt::new(text);
                write!(f, "the answer's 'granted' is neither true nor false but {text:?}")
            }
        }
    }
}

impl core::error::Error for StateError {}

/// What an answer says of a ticket, or why it cannot be relied upon.
pub type Read = Result<CibTicket, StateError>;

/// Parses the answer to a query for one ticket.
///
/// # Errors
/// It has no well-formed XML, does not describe the ticket, or does not say whether it is granted.
pub fn read(answer: &str, ticket: &TicketName) -> Read {
    let document = parse(answer)?;
    let node = elements(&document)
        .find(|node| node.attribute("id") == Some(ticket.as_str()))
        .ok_or(StateError::NoTicket)?;
    read_element(node)
}

/// Parses the answer to a query for all tickets. The result has each ticket by its name, as from
/// [`read`].
///
/// # Errors
/// There is no XML, or it is malformed.
pub fn read_all(answer: &str) -> Result<BTreeMap<String, Read>, StateError> {
    let document = parse(answer)?;
    let tickets = elements(&document).filter_map(|node| {
        let name = node.attribute("id")?.to_owned();
        Some((name, read_element(node)))
    });
    Ok(tickets.collect())
}

fn parse(answer: &str) -> Result<Document<'_>, StateError> {
    let start = answer.find('<').ok_or(StateError::NoXml)?;
    Document::parse(&answer[start..]).map_err(|error| StateError::BadXml(error.to_string()))
}

fn elements<'a, 'input: 'a>(
    document: &'a Document<'input>,
) -> impl Iterator<Item = Node<'a, 'input>> {
    document.descendants().filter(|node| node.has_tag_name(ELEMENT))
}

fn read_element(node: Node<'_, '_>) -> Result<CibTicket, StateError> {
    let mut ticket = CibTicket::default();
    for attribute in node.attributes() {
        let value = attribute.value();
        match attribute.name() {
            "granted" => ticket.granted = read_bool(value)?,
            "owner" => ticket.owner = parse_owner(value),
            "expires" => ticket.expires = value.parse().ok().map(WallTime::from_secs),
            "term" => ticket.term = parse_term(value),
            // `AttrName` refuses the other names of the cluster.
            name => {
                if attribute.namespace().is_some() {
                    continue;
                }
                if let (Ok(name), Ok(value)) = (AttrName::new(name), AttrValue::new(value)) {
                    ticket.attrs.push((name, value));
                }
            }
        }
    }
    Ok(ticket)
}

/// The words that Pacemaker accepts as booleans.
fn read_bool(text: &str) -> Result<bool, StateError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "y" | "1" => Ok(true),
        "false" | "off" | "no" | "n" | "0" => Ok(false),
        _ => Err(StateError::Granted(text.chars().take(20).collect())),
    }
}

/// An owner from the store: a decimal number of 32 bits, signed (as the reference writes it) or
/// not.
pub fn parse_owner(text: &str) -> Option<Holder> {
    bits(text).map(Holder::from_raw)
}

/// A term from the store; the reference writes large terms as negative numbers.
pub fn parse_term(text: &str) -> Option<Term> {
    bits(text).map(Term::new)
}

fn bits(text: &str) -> Option<u32> {
    let signed = || text.parse::<i32>().ok().map(|number| u32::from_ne_bytes(number.to_ne_bytes()));
    text.parse::<u32>().ok().or_else(signed)
}
