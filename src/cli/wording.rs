// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers of a daemon in words and exit codes: the only place where a [`ResultCode`] becomes a
//! sentence. The sentences of the reference are kept, since scripts look for them.

use super::options::Exit;
use crate::model::{TicketName, ATTRS_MAX};
use crate::sys::clock::LocalTime;
use crate::time::WallTime;
use crate::wire::{ResultCode, WaitCause};

/// What a client does with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketCommand {
    /// Grant it.
    Grant,
    /// Revoke it.
    Revoke,
}

impl TicketCommand {
    /// The word in sentences.
    pub const fn word(self) -> &'static str {
        match self {
            TicketCommand::Grant => "grant",
            TicketCommand::Revoke => "revoke",
        }
    }
}

/// A sentence and how the program ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How the program ends.
    pub exit: Exit,
    /// What is said on standard error.
    pub text: String,
    /// Whether it leaves open what goes on, so that the ticket's line in `list` is shown too.
    pub open: bool,
}

impl Verdict {
    fn success(text: impl Into<String>) -> Verdict {
        Verdict { exit: Exit::Success, text: text.into(), open: false }
    }

    fn failure(text: impl Into<String>) -> Verdict {
        Verdict { exit: Exit::Failure, text: text.into(), open: false }
    }

    /// The same, leaving open what goes on.
    fn left_open(self) -> Verdict {
        Verdict { open: true, ..self }
    }
}

/// What the final answer to a grant or revoke means.
///
/// Success is only what succeeded, and a grant that is under way as it was asked for.
pub fn ticket_verdict(command: TicketCommand, ticket: &TicketName, code: ResultCode) -> Verdict {
    let word = command.word();
    match (code, command) {
        (ResultCode::Success | ResultCode::SyncSuccess, _) => {
            Verdict::success(format!("{word} succeeded!"))
        }
        (ResultCode::CibPending, TicketCommand::Grant) => {
            Verdict::success("grant succeeded (CIB commit pending)")
        }
        (ResultCode::CibPending, TicketCommand::Revoke) => {
            Verdict::failure("revoke is under way, but the CIB is not updated yet")
        }
        (ResultCode::Async | ResultCode::More, _) => give_up(command, None),
        (ResultCode::TicketIdle, TicketCommand::Revoke) => Verdict::success("ticket is not owned"),
        (ResultCode::TicketIdle, TicketCommand::Grant) => Verdict::failure("ticket is not owned"),
        (ResultCode::Overgrant, _) => Verdict::failure(
            "You're granting a granted ticket. If you wanted to migrate a ticket, \
             use revoke first, then use grant.",
        ),
        (ResultCode::HandlerFailed, _) => Verdict::failure(format!(
            "before-acquire-handler for ticket \"{ticket}\" failed, grant denied"
        )),
        (ResultCode::AttrPrereq, _) => {
            Verdict::failure(format!("attr-prereq for ticket \"{ticket}\" failed, grant denied"))
        }
        (ResultCode::Busy, _) => Verdict::failure(format!("{word} failed: busy, try again later")),
        (ResultCode::SyncFail, _) => Verdict::failure(format!("{word} failed!")).left_open(),
        (ResultCode::InvalidArg, _) => Verdict::failure(no_such_ticket(ticket)),
        (ResultCode::AuthFailed, _) => Verdict::failure(AUTHENTICATION_ERROR),
        (
            ResultCode::ProbableSuccess
            | ResultCode::NoSuchAttr
            | ResultCode::TermOutdated
            | ResultCode::TermStillValid
            | ResultCode::YouOutdated
            | ResultCode::Redirect,
            _,
        ) => Verdict::failure(format!("{word} failed: {}", odd(code))),
    }
}

/// A revoke was refused by a member that does not know who has the ticket.
pub fn holder_unknown() -> Verdict {
    Verdict::failure(
        "revoke failed: it is not known here who has the ticket, or whether it is free; nothing \
         was done. Ask the site that has it, or try again later.",
    )
    .left_open()
}

/// What the answer to an attribute command means, if it is no text.
pub fn attr_verdict(
    word: &str,
    ticket: &TicketName,
    attribute: Option<&str>,
    code: ResultCode,
) -> Verdict {
    match code {
        ResultCode::Success | ResultCode::SyncSuccess => {
            Verdict::success(format!("{word} succeeded!"))
        }
        ResultCode::InvalidArg => Verdict::failure(no_such_ticket(ticket)),
        ResultCode::NoSuchAttr => match attribute {
            Some(name) => Verdict::failure(format!("attribute \"{name}\" not set")),
            None => Verdict::failure("no attributes set"),
        },
        ResultCode::AuthFailed => Verdict::failure(AUTHENTICATION_ERROR),
        ResultCode::SyncFail => Verdict::failure(format!("{word} failed!")),
        ResultCode::Busy => Verdict::failure(format!(
            "{word} failed: so many changes wait already that there is no room for another; \
             nothing was done. Try again later. If that does not help, the ticket store hangs: \
             the member's log says more."
        )),
        ResultCode::Async
        | ResultCode::More
        | ResultCode::CibPending
        | ResultCode::HandlerFailed
        | ResultCode::AttrPrereq
        | ResultCode::TicketIdle
        | ResultCode::Overgrant
        | ResultCode::ProbableSuccess
        | ResultCode::TermOutdated
        | ResultCode::TermStillValid
        | ResultCode::YouOutdated
        | ResultCode::Redirect => Verdict::failure(format!("{word} failed: {}", odd(code))),
    }
}

/// What is added when an attribute could not be set and the ticket has as many as it can have.
pub fn attributes_full() -> String {
    format!("the ticket has {ATTRS_MAX} attributes, which is the most: delete one first")
}

/// The reference's words for every failed authentication.
pub const AUTHENTICATION_ERROR: &str = "authentication error";

/// The reference's words for an unknown ticket.
pub fn no_such_ticket(ticket: &TicketName) -> String {
    format!("ticket \"{ticket}\" does not exist")
}

/// A result that no daemon gives to this command.
fn odd(code: ResultCode) -> String {
    format!("the answer was {code:?}, which does not belong here")
}

/// The client has waited as long as it may. A grant that the daemon is known to carry on with is
/// a success; one that has found no majority until now, or hangs at the CIB, is none.
///
/// Reference: gives up at the third answer and exits 0, whatever is going on.
pub fn give_up(command: TicketCommand, cause: Option<WaitCause>) -> Verdict {
    let text = "Giving up on waiting for the definite result. \
                Please use \"booth list\" later to see the outcome.";
    let under_way = match cause {
        Some(WaitCause::Grace | WaitCause::Handler | WaitCause::CommitDelay) => true,
        None
        | Some(
            WaitCause::Loading
            | WaitCause::Election
            | WaitCause::CibWrite
            | WaitCause::CibFailing
            | WaitCause::Objection,
        ) => false,
    };
    if under_way && command == TicketCommand::Grant {
        Verdict::success(text).left_open()
    } else {
        Verdict::failure(text).left_open()
    }
}

/// For what a request waits, until when at most, and what would end it sooner.
///
/// `end` is the epoch if nobody knows; `forced` says that `-F` was given, or cannot be; `site` is
/// the address of the site that objects, if it is known.
pub fn waiting(cause: WaitCause, end: WallTime, forced: bool, site: Option<&str>) -> String {
    if cause == WaitCause::Objection {
        return objected(site.unwrap_or("another site"), forced);
    }
    let (why, force_helps) = match cause {
        WaitCause::Loading => ("the ticket's state has not been read from the cluster yet", false),
        WaitCause::Grace => {
            ("the site started a short while ago, and older leases must run out first", true)
        }
        WaitCause::Election => ("the members are voting", false),
        WaitCause::Handler => ("the before-acquire-handler runs", false),
        WaitCause::CommitDelay => {
            ("not every site has said that it does not hold the ticket", true)
        }
        WaitCause::CibWrite => ("the CIB is being written", false),
        WaitCause::CibFailing => ("writing the CIB failed and is tried again", false),
        WaitCause::Objection => ("another site may still have it granted", true),
    };
    let until = if end == WallTime::EPOCH {
        "waiting".to_owned()
    } else {
        format!("waiting until {} at most", LocalTime::of(end))
    };
    let way_out = if force_helps && !forced { "; -F would skip this" } else { "" };
    format!("{until}: {why}{way_out}")
}

/// A grant waits because another site's CIB may still say *granted*.
fn objected(site: &str, forced: bool) -> String {
    let way_out = if forced {
        String::new()
    } else {
        format!("; if the resources do not run at {site}, booth grant -F overrides")
    };
    format!("waiting: {site} says that the ticket may still be granted in its CIB{way_out}")
}

/// For what a grant waits at a reference member, whose `list` says until when.
pub fn commit_pending(until: &str, forced: bool) -> String {
    let way_out = if forced { "" } else { "; -F would skip this" };
    format!("waiting until {until}: not every site has answered{way_out}")
}
