// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages, replies and writes in words, without what differs from seed to seed (rounds and
//! nonces are shown as present or not).

use booth_core::engine::{CibState, Remark, Reply, TicketRow};
use booth_core::model::Holder;
use booth_core::wire::{Command, PeerBody, PeerMessage, Reason, ResultCode};

/// The four letters of a code.
fn letters(raw: u32) -> String {
    match raw {
        0 => "0".to_owned(),
        raw => String::from_utf8_lossy(&raw.to_be_bytes()).into_owned(),
    }
}

fn command(code: Command) -> String {
    letters(code.raw())
}

fn reason(code: Reason) -> String {
    letters(code.raw())
}

fn mark(established: bool) -> &'static str {
    if established {
        " established"
    } else {
        ""
    }
}

/// What a member says to another.
pub fn message(message: &PeerMessage, holder: impl Fn(Holder) -> String) -> String {
    let said = match message.body {
        PeerBody::Status { .. } => "Stat".to_owned(),
        PeerBody::MyIndex { .. } => "MIdx".to_owned(),
        PeerBody::ReqVote { reason: why, established, force, .. } => {
            let force = if force { " force" } else { "" };
            format!("RVot {}{}{force}", reason(why), mark(established))
        }
        PeerBody::Vote { vouched, last, .. } => {
            let last = match last {
                Some(last) if last.free => format!(" free in {}", last.term),
                Some(last) => format!(" led in {}", last.term),
                None => String::new(),
            };
            format!("VtFr{}{last}", if vouched { " vouched" } else { "" })
        }
        PeerBody::StepDown { reason: why, .. } => format!("VtFr step-down {}", reason(why)),
        PeerBody::Heartbeat { stamp } => format!("HrtB{}", mark(stamp.established)),
        PeerBody::Update { stamp } => format!("UpdE{}", mark(stamp.established)),
        PeerBody::Revoke { reason: why, .. } => format!("Revk {}", reason(why)),
        PeerBody::Ack { of, .. } => format!("Ack. of {}", command(of)),
        PeerBody::Rejected { of, result, granted } => {
            let objects = if granted { " granted" } else { "" };
            format!("RJC! {} of {}{objects}", letters(result.raw()), command(of))
        }
    };
    let leader = holder(message.leader);
    format!("{said} leader={leader} term={} valid={}", message.term, message.valid_for)
}

/// What a client is told.
pub fn reply(reply: &Reply, last: bool) -> String {
    let code = |code: ResultCode| match code {
        ResultCode::Success => "success".to_owned(),
        code => letters(code.raw()),
    };
    let said = match reply {
        Reply::Ticket(answer) => match answer.cause {
            Some((cause, left)) => format!("{} ({cause:?}, {left})", code(answer.result)),
            None => code(answer.result),
        },
        Reply::Result(result) => code(*result),
        Reply::Tickets(rows) => format!("{} tickets", rows.len()),
        Reply::Peers(rows) => format!("{} peers", rows.len()),
        Reply::Report(view) => format!("a report of {} tickets", view.tickets.len()),
        Reply::Attr(value) => format!("value {value}"),
        Reply::Attrs(rows) => format!("{} attributes", rows.len()),
    };
    format!("{said}{}", if last { ", the last answer" } else { "" })
}

/// What is written to a store.
pub fn write(state: &CibState, holder: impl Fn(Holder) -> String) -> String {
    let verb = if state.granted { "grant" } else { "revoke" };
    format!("{verb} owner={} term={}", holder(state.owner), state.term)
}

/// A line of list.
pub fn row(row: &TicketRow, holder: impl Fn(Holder) -> String) -> String {
    let remarks: Vec<String> = row
        .remarks
        .iter()
        .map(|remark| match remark {
            Remark::CibFailing(_) => " (CIB update failing)".to_owned(),
            Remark::CibSlow(_) => " (CIB update running)".to_owned(),
            Remark::StartingUp(_) => " (starting up)".to_owned(),
            Remark::HandlerRunning(_) => " (handler running)".to_owned(),
            Remark::ExpireDiffers(_) => " (expire differs)".to_owned(),
            Remark::Objection(site) => format!(" (member {} may have it granted)", site.get()),
        })
        .collect();
    let pending = if row.commit_pending.is_some() { " (commit pending)" } else { "" };
    format!("{}: {}{pending}{}", row.name, holder(row.leader), remarks.concat())
}
