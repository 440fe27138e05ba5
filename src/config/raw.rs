// SPDX-License-Identifier: GPL-2.0-or-later
//! A configuration as read: each line is well formed, but lines are not checked against each other.

use super::checked::{Handler, TicketStore};
use super::error::Problem;
use crate::model::{AttrRule, MemberRole, TicketMode, TicketName};
use crate::time::Span;
use std::path::PathBuf;
use std::rc::Rc;

/// A value and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub value: T,
    pub line: usize,
}

/// Warnings with their lines, unless they are about the whole file.
pub(super) type Warnings = Vec<(Option<usize>, String)>;

/// Everything that the text of a file says, and its errors.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub name: Option<Located<String>>,
    pub authfile: Option<Located<PathBuf>>,
    pub enable_authfile: Option<Located<bool>>,
    pub max_skew: Option<Located<Span>>,
    pub debug: Option<Located<u32>>,
    pub store: Option<Located<TicketStore>>,
    pub site_user: Option<Located<String>>,
    pub site_group: Option<Located<String>>,
    pub arbitrator_user: Option<Located<String>>,
    pub arbitrator_group: Option<Located<String>>,
    pub members: Vec<RawMember>,
    pub tickets: Vec<RawTicket>,
    /// Whether any time in the file has a part of a second.
    pub sub_second: bool,
    pub warnings: Warnings,
    pub errors: Vec<(Option<usize>, Problem)>,
}

/// A `site` or `arbitrator` line.
#[derive(Debug)]
pub(super) struct RawMember {
    pub role: MemberRole,
    pub text: String,
    pub port: u16,
    pub line: usize,
}

/// A ticket, and the defaults in force at its line.
#[derive(Debug)]
pub(super) struct RawTicket {
    pub name: TicketName,
    pub line: usize,
    pub own: Settings,
    pub defaults: Rc<Settings>,
}

/// The keys of a ticket or of `__defaults__`.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub expire: Option<Located<Span>>,
    pub acquire_after: Option<Located<Span>>,
    pub timeout: Option<Located<Span>>,
    pub retries: Option<Located<u32>>,
    pub renewal: Option<Located<Span>>,
    pub weights: Option<Located<Vec<i32>>>,
    /// The inner option is `None` if the ticket removes the handler of the defaults.
    pub handler: Option<Located<Option<Handler>>>,
    pub rules: Vec<AttrRule>,
    pub mode: Option<Located<TicketMode>>,
}
