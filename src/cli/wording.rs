// SPDX-License-Identifier: GPL-2.0-or-later
//! Turns a daemon's answers into messages and exit codes. Only this module turns a [`ResultCode`]
//! into a message. It keeps the messages of the reference, because scripts look for them.

use super::options::Exit;
use crate::model::{TicketName, ATTRS_MAX};
use crate::sys::clock::LocalTime;
use crate::time::WallTime;
use crate::wire::{ResultCode, WaitCause};

/// What a client does with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TicketCommand {
    /// `booth grant`.
    Grant,
    /// `booth revoke`.
    Revoke,
}

impl TicketCommand {
    /// The word in messages.
    pub(super) const fn word(self) -> &'static str {
        match self {
            TicketCommand::Grant => "grant",
            TicketCommand::Revoke => "revoke",
        }
    }
}

/// A message and how the program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How the program ends.
    pub exit: Exit,
    /// The message on standard error.
    pub text: String,
    /// Whether the outcome is open, so that the ticket's line in `list` is shown, too.
    pub open: bool,
}

impl Verdict {
    fn success(text: impl Into<String>) -> Verdict {
        Verdict { exit: Exit::Success, text: text.into(), open: false }
    }

    fn failure(text: impl Into<String>) -> Verdict {
        Verdict { exit: Exit::Failure, text: text.into(), open: false }
    }

    /// The same, with an open outcome.
    fn left_open(self) -> Verdict {
        Verdict { open: true, ..self }
    }
}

/// What the final answer to a grant or revoke means.
///
/// Only a command that succeeded is a success, and a grant that continues as asked.
pub(super) fn ticket_verdict(
    command: TicketCommand,
    ticket: &TicketName,
    code: ResultCode,
) -> Verdict {
    let word = command.word();
    match (code, command) {
        (ResultCode::Success | ResultCode::SyncSuccess, _) => {
            Verdict::success(format!("{word} succeeded!"))
        }
        (ResultCode::CibPending, TicketCommand::Grant) => {
            Verdict::success("grant succeeded (CIB commit pending)")
        }
        (ResultCode::CibPending, TicketCommand::Revoke) => {
            Verdict::failure("revoke is in progress, but the CIB has not been updated yet")
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

/// For a revoke that was refused by a member that does not know who has the ticket.
pub(super) fn holder_unknown() -> Verdict {
    Verdict::failure(
        "revoke failed: this member does not know who has the ticket, or whether it is free; \
         nothing was done. Ask the site that has it, or try again later.",
    )
    .left_open()
}

/// What the answer to an attribute command means, if the answer is a result code.
pub(super) fn attr_verdict(
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
            "{word} failed: too many changes are waiting already; nothing was done. Try again \
             later. If that does not help, the ticket store hangs: see the member's log."
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

/// Added if an attribute could not be set because the ticket has as many as possible.
pub(super) fn attributes_full() -> String {
    format!("the ticket has {ATTRS_MAX} attributes, which is the maximum: delete one first")
}

/// The reference's message for every failed authentication.
pub(super) const AUTHENTICATION_ERROR: &str = "authentication error";

/// The reference's message for an unknown ticket.
fn no_such_ticket(ticket: &TicketName) -> String {
    format!("ticket \"{ticket}\" does not exist")
}

/// The message for a result that no daemon gives to this command.
fn odd(code: ResultCode) -> String {
    format!("the answer was {code:?}, which does not fit the request")
}

/// For a client that has waited as long as it may. A grant is a success if the daemon is known to
/// carry on with it; it is a failure if it has found no majority yet, or hangs at the CIB.
///
/// Reference: gives up at the third answer and exits with 0 in any case.
pub(super) fn give_up(command: TicketCommand, cause: Option<WaitCause>) -> Verdict {
    let text = "Giving up on waiting for the definite result. \
                Please use \"booth list\" later to see the outcome.";
    let goes_on = [WaitCause::Grace, WaitCause::Handler, WaitCause::CommitDelay];
    let under_way = cause.is_some_and(|cause| goes_on.contains(&cause));
    if under_way && command == TicketCommand::Grant {
        Verdict::success(text).left_open()
    } else {
        Verdict::failure(text).left_open()
    }
}

/// What a request waits for.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub cause: WaitCause,
    /// Until when at most, if that is known.
    pub end: Option<WallTime>,
    /// The address of the site that objects, if it is known.
    pub site: Option<String>,
}

/// Says what a request waits for, until when at most, and what would end the wait sooner. `forced`
/// says that `-F` was given or does not apply.
pub(super) fn waiting(waiting: &Waiting, forced: bool) -> String {
    let (why, force_helps) = match waiting.cause {
        WaitCause::Loading => ("the ticket's state has not been read from the cluster yet", false),
        WaitCause::Grace => ("the site has just started, and older leases must end first", true),
        WaitCause::Election => ("the members are voting", false),
        WaitCause::Handler => ("the before-acquire-handler is running", false),
        WaitCause::CommitDelay => {
            ("not all sites have confirmed that they do not hold the ticket", true)
        }
        WaitCause::CibWrite => ("the CIB is being written", false),
        WaitCause::CibFailing => ("writing to the CIB failed, trying again", false),
        WaitCause::Objection => {
            return objected(waiting.site.as_deref().unwrap_or("another site"), forced)
        }
    };
    let until = match waiting.end {
        None => "waiting".to_owned(),
        Some(end) => format!("waiting until {} at most", LocalTime::of(end)),
    };
    let way_out = if force_helps && !forced { "; -F would skip this" } else { "" };
    format!("{until}: {why}{way_out}")
}

/// For a grant that waits because another site's CIB may still say *granted*.
fn objected(site: &str, forced: bool) -> String {
    let why = format!("waiting: {site} says that the ticket may still be granted in its CIB");
    if forced {
        return why;
    }
    format!("{why}; if the resources do not run at {site}, booth grant -F overrides")
}

/// For a grant that waits at a reference member, whose `list` says until when.
pub(super) fn commit_pending(until: &str, forced: bool) -> String {
    let way_out = if forced { "" } else { "; -F would skip this" };
    format!("waiting until {until}: not every site has answered{way_out}")
}
