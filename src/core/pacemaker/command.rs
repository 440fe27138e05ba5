// SPDX-License-Identifier: GPL-2.0-or-later
//! Argument vectors of `crm_ticket` and `cibadmin`, without the program's name (P18, P20). Nothing
//! is quoted, because no shell is involved.

use crate::engine::AttrChange;
use crate::model::{Holder, Term, TicketName};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The program's name, looked up in `PATH`.
pub const PROGRAM: &str = "crm_ticket";

/// The program that changes many tickets in one call; it comes with [`PROGRAM`].
pub const MANY_PROGRAM: &str = "cibadmin";

/// What one call writes to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketValues<'a> {
    /// The name of the ticket.
    pub ticket: &'a TicketName,
    /// Whether it is granted to this site.
    pub granted: bool,
    /// Attribute `owner`, written as [`owner_number`].
    pub owner: Holder,
    /// Attribute `expires`, in seconds since the epoch; 0 if there is no lease.
    pub expires: u64,
    /// Attribute `term`, in which the owner was elected.
    pub term: Term,
    /// Attribute `booth-cfg-name`: the name of the configuration.
    pub config_name: &'a str,
}

/// Grants or revokes a ticket, and writes all attributes of Booth, in one call.
///
/// Reference: the same arguments in the same order.
pub fn write(values: &TicketValues<'_>) -> Vec<String> {
    let mut args = about(values.ticket);
    args.push(if values.granted { "-g" } else { "-r" }.to_owned());
    args.push("--force".to_owned());
    set(&mut args, "owner", &owner_number(values.owner).to_string());
    set(&mut args, "expires", &values.expires.to_string());
    set(&mut args, "term", &values.term.to_string());
    set(&mut args, "booth-cfg-name", values.config_name);
    args
}

/// Prints one ticket as XML.
pub fn load(ticket: &TicketName) -> Vec<String> {
    let mut args = about(ticket);
    args.push("-q".to_owned());
    args
}

/// Prints all tickets as XML. Pacemaker 3 can do this; older ones refuse it.
pub fn load_all() -> Vec<String> {
    vec!["-q".to_owned()]
}

/// Changes many tickets in one call of [`MANY_PROGRAM`], which reads [`many`] from standard input
/// and ends when the change is made.
pub fn write_many() -> Vec<String> {
    ["-M", "-o", "status", "-s", "-p"].map(str::to_owned).into()
}

/// Prints all tickets in one call of [`MANY_PROGRAM`].
pub fn load_many() -> Vec<String> {
    ["-Q", "-A", "/cib/status/tickets"].map(str::to_owned).into()
}

/// The XML that [`write_many`] reads. Attributes of a ticket that it does not name are kept, as
/// with [`write`].
pub fn many(tickets: &[TicketValues<'_>]) -> String {
    let mut xml = String::from("<status><tickets>");
    for values in tickets {
        let attributes = [
            ("id", values.ticket.as_str().to_owned()),
            ("granted", values.granted.to_string()),
            ("owner", owner_number(values.owner).to_string()),
            ("expires", values.expires.to_string()),
            ("term", values.term.to_string()),
            ("booth-cfg-name", values.config_name.to_owned()),
        ];
        xml.push_str("<ticket_state");
        for (name, value) in attributes {
            xml.push_str(&format!(" {name}=\"{}\"", escaped(&value)));
        }
        xml.push_str("/>");
    }
    xml.push_str("</tickets></status>");
    xml
}

/// The text, escaped for use between double quotes in XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push_str(&format!("&#{};", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes or deletes one attribute of a ticket.
pub fn change_attr(ticket: &TicketName, change: &AttrChange) -> Vec<String> {
    let mut args = about(ticket);
    match change {
        AttrChange::Set(name, value) => set(&mut args, name.as_str(), value.as_str()),
        AttrChange::Delete(name) => {
            args.push("-D".to_owned());
            args.push(name.as_str().to_owned());
        }
    }
    args
}

/// Whether this exit code of a query means that there is no such ticket yet.
///
/// Old versions of Pacemaker exit with 6 (ENXIO), current ones with 105.
pub const fn is_absent(exit_code: i32) -> bool {
    matches!(exit_code, 6 | 105)
}

/// The owner as written to the CIB: a signed 32-bit decimal number, -1 for nobody, 0 for unknown.
pub fn owner_number(owner: Holder) -> i32 {
    i32::from_ne_bytes(owner.raw().to_ne_bytes())
}

fn about(ticket: &TicketName) -> Vec<String> {
    vec!["-t".to_owned(), ticket.as_str().to_owned()]
}

fn set(args: &mut Vec<String>, name: &str, value: &str) {
    args.extend(["-S".to_owned(), name.to_owned(), format!("--attr-value={value}")]);
}
