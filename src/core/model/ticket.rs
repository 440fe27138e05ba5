// SPDX-License-Identifier: GPL-2.0-or-later
//! Tickets as the configuration describes them.

use super::attr::AttrRule;
use crate::time::Span;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The longest ticket name in bytes: 64 on the wire with its NUL.
pub const TICKET_NAME_MAX: usize = 63;

/// A ticket's position in the configuration, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketIndex(u32);

impl TicketIndex {
    /// The index with this number.
    ///
    /// Panics above `u32::MAX`, which no configuration in memory can reach.
    pub fn new(index: usize) -> TicketIndex {
        TicketIndex(u32::try_from(index).expect("a configuration has fewer than 2^32 tickets"))
    }

    /// The position in the list of tickets.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A ticket's name: 1 to 63 letters, digits, `-` and `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketName(Arc<str>);

/// Why a text is not a ticket name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketNameError {
    /// It is empty.
    Empty,
    /// It is longer than [`TICKET_NAME_MAX`] bytes.
    TooLong(usize),
    /// It has this character, which is not allowed.
    BadCharacter(char),
}

impl fmt::Display for TicketNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TicketNameError::Empty => write!(f, "a ticket name cannot be empty"),
            TicketNameError::TooLong(len) => {
                write!(f, "it has {len} characters, at most {TICKET_NAME_MAX} are possible")
            }
            TicketNameError::BadCharacter(c) => {
                write!(f, "{c:?} is not allowed: use letters, digits, '-' and '/'")
            }
        }
    }
}

impl core::error::Error for TicketNameError {}

impl TicketName {
    /// The name in `text`.
    ///
    /// # Errors
    /// The text is empty, too long, or has a character other than letters, digits, `-`, `/`.
    pub fn new(text: &str) -> Result<TicketName, TicketNameError> {
        if text.is_empty() {
            return Err(TicketNameError::Empty);
        }
        if text.len() > TICKET_NAME_MAX {
            return Err(TicketNameError::TooLong(text.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/';
        match text.chars().find(|c| !allowed(*c)) {
            Some(c) => Err(TicketNameError::BadCharacter(c)),
            None => Ok(TicketName(text.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TicketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who moves a ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TicketMode {
    /// The members elect a holder and renew its lease.
    #[default]
    Automatic,
    /// Administrators grant and revoke; no election, no lease, no expiry.
    Manual,
}

/// What the engine needs to know about a ticket from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketSpec {
    /// The name, unique in the configuration.
    pub name: TicketName,
    /// `mode`: whether the members or only administrators move it.
    pub mode: TicketMode,
    /// `expire`: the length of a lease, *E* in `RULES.md`.
    pub expire: Span,
    /// `acquire-after`: the time that the resources of a lost site need to stop, *A*.
    pub acquire_after: Span,
    /// `timeout`: how long an answer is awaited before a message is sent again, *τ*.
    pub timeout: Span,
    /// `retries`: how often an unanswered message is sent again, *r*.
    pub retries: u32,
    /// `renewal-freq`: the time between two renewals, *R*.
    pub renewal: Span,
    /// `weights`, one per member in configuration order; missing ones are 0.
    pub weights: Vec<i32>,
    /// `attr-prereq`: what must be true before this site acquires the ticket or is granted it.
    pub rules: Vec<AttrRule>,
    /// Whether a `before-acquire-handler` is configured; the daemon knows which.
    pub has_handler: bool,
}

impl TicketSpec {
    /// *g*: the time that one `crm_ticket` call is given, `min(E/10, 5 s)`.
    pub fn guard(&self) -> Span {
        TicketSpec::guard_of(self.expire)
    }

    /// *g* for another `expire`.
    pub fn guard_of(expire: Span) -> Span {
        expire.divided(10).min(Span::from_secs(5))
    }

    /// *d*: the allowance for different clock rates, `E/100`.
    pub fn drift(&self) -> Span {
        self.expire.divided(100)
    }

    /// How long a call of the store's tool may take: the longer of `τ·(r+1)` and the guard time,
    /// which every call is granted (`RULES.md` L6, condition 2).
    pub fn call_limit(&self) -> Span {
        self.patience().max(self.guard())
    }

    /// `τ·(r+1)`: the longest time for one message with all its repetitions.
    pub fn patience(&self) -> Span {
        self.timeout.times(u64::from(self.retries).saturating_add(1))
    }
}
