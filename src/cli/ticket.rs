// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth grant` and `revoke`: asks a daemon, follows redirects, waits and says for what, and
//! ends with the exit code of the answer.

use super::args::{TicketArgs, DEFAULT_CONFIG};
use super::client::{fetch_text, printable, Session};
use super::missing;
use super::net::{Connection, NetError, CHANGE_LIMIT};
use super::options::Exit;
use super::output::Output;
use super::target::{self, Purpose, Target};
use super::wording::{self, TicketCommand, Verdict, Waiting};
use crate::model::{Excerpt, Holder, MemberId, TicketName};
use crate::sys::clock;
use crate::time::{Span, WallTime};
use crate::wire::{ClientOptions, ClientReply, ClientRequest, ResultCode, TicketAnswer, WaitCause};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Two ends of a wait count as the same if they differ by no more: they are sent in whole seconds
/// and over a network.
const SAME_END: Span = Span::from_secs(3);
/// A shorter wait is not reported.
const QUIET: Duration = Duration::from_millis(500);
/// How much longer than `timeout` the client waits for the final answer without `-w`: an election
/// that takes all of `timeout` still has to be answered. Reference: it is, up to 0.9 s later.
const WAIT_SLACK: Duration = Duration::from_secs(2);
/// The `timeout` of a ticket that the local configuration does not have: the default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// `booth grant` and `booth revoke`.
pub(super) fn run(
    command: TicketCommand,
    args: &TicketArgs,
    output: &Output,
) -> Result<Exit, Exit> {
    let purpose = match command {
        TicketCommand::Grant => Purpose::Grant,
        // Every member can name the holder.
        TicketCommand::Revoke => Purpose::Read,
    };
    let session = &Session::open(&args.target, purpose, output)?;
    let ticket = &session.ticket(args.ticket.as_ref(), output)?;
    let (options, config, looked) = (args.options, &args.target.config, Cell::new(false));
    Ok(TicketTalk { session, command, ticket, options, config, output, looked }.run())
}

/// One grant or revoke, from the first question to the last answer.
struct TicketTalk<'a> {
    session: &'a Session,
    command: TicketCommand,
    ticket: &'a TicketName,
    options: ClientOptions,
    /// `-c` as typed.
    config: &'a str,
    output: &'a Output,
    /// Whether it was looked which members answer.
    looked: Cell<bool>,
}

/// The last answer of one member.
enum Ended {
    /// The outcome, and the holder if another one has the ticket that was to be granted.
    Verdict(Verdict, Holder),
    /// Another member must be asked: the holder.
    Redirect(Holder),
}

/// What was heard and said so far.
#[derive(Default)]
struct Heard {
    /// When the request was accepted; the time limit without `-w` counts from then.
    under_way: Option<Instant>,
    /// Whether the CIB commit is pending.
    pending: bool,
    /// What it waits for, as heard last.
    waiting: Option<Waiting>,
    /// What it waits for, as reported last.
    told: Option<Waiting>,
    /// Whether the member was asked for its list because it gave no cause.
    asked_list: bool,
}

impl TicketTalk<'_> {
    /// Asks the target, and follows redirects, but asks no member twice.
    fn run(&self) -> Exit {
        let mut target = self.session.target.clone();
        let mut asked = vec![target.index];
        loop {
            match self.ask(&target) {
                Ok(Ended::Verdict(verdict, holder)) => {
                    return self.say(&target, &verdict, holder);
                }
                Ok(Ended::Redirect(leader)) => match self.next_target(&target, leader, &asked) {
                    Ok(next) => {
                        asked.push(next.index);
                        target = next;
                    }
                    Err(text) => return self.output.failure(&text),
                },
                Err(error) => return self.output.failure(&error),
            }
        }
    }

    /// Prints the outcome, and the member that answered.
    fn say(&self, target: &Target, verdict: &Verdict, holder: Holder) -> Exit {
        let text = format!("{} (answered by {})", verdict.text, target.address.ip());
        self.output.outcome(verdict.exit, &text);
        if let Some(text) = self.way_to_move(target, holder) {
            self.output.message(&text);
        }
        if verdict.open {
            if let Some(line) = self.list_line(target) {
                self.output.message(&line);
            }
        }
        verdict.exit
    }

    /// Who has the ticket, and how to move it to the member that was asked; `None` if nobody is
    /// known to be in the way.
    fn way_to_move(&self, target: &Target, holder: Holder) -> Option<String> {
        let config = &self.session.config;
        let holder = target::redirected(config, holder.member()?, target.from)?;
        let (here, there) = (target.address.ip(), holder.address.ip());
        if there == here {
            return Some(format!("{here} has the ticket already"));
        }
        let config = match self.config {
            DEFAULT_CONFIG => String::new(),
            config => format!(" -c {}", Excerpt::new(config)),
        };
        let ticket = self.ticket;
        Some(format!(
            "{there} has the ticket; to move it to {here}: booth revoke{config} -w {ticket} && \
             booth grant{config} -s {here} {ticket}"
        ))
    }

    /// Says once which members are missing, if a grant waits for votes, or for what nobody says,
    /// and so many do not answer that it cannot succeed.
    fn tell_missing(&self, target: &Target, heard: &Heard) {
        let cause = heard.waiting.as_ref().map(|waiting| waiting.cause);
        let votes = cause.is_none_or(|cause| cause == WaitCause::Election) && !heard.pending;
        if self.command != TicketCommand::Grant || !votes || self.looked.replace(true) {
            return;
        }
        if let Some(text) = missing::look(&self.session.config, target) {
            self.output.message(&text);
        }
    }

    /// The member to ask instead, or why there is none.
    ///
    /// Reference: follows redirects for ever, and crashes on a redirect to nobody.
    fn next_target(
        &self,
        from: &Target,
        leader: Holder,
        asked: &[usize],
    ) -> Result<Target, String> {
        let here = from.address.ip();
        let found = leader
            .member()
            .and_then(|id: MemberId| target::redirected(&self.session.config, id, from.from));
        let Some(next) = found else {
            return Err(format!(
                "{here} refers to another member, but to none in the configuration"
            ));
        };
        if self.command == TicketCommand::Grant {
            let holder = Holder::Member(next.to);
            let way = self.way_to_move(from, holder).map(|way| format!("\n{way}"));
            return Err(format!(
                "grant failed: {here} says that the ticket is at {}{}",
                next.address.ip(),
                way.unwrap_or_default()
            ));
        }
        if asked.contains(&next.index) {
            return Err(format!(
                "{here} refers to {}, which was asked already: the members disagree on who holds \
                 the ticket, try again later",
                next.address.ip()
            ));
        }
        self.output.message(&format!("the ticket is at {}, asking there", next.address.ip()));
        Ok(next)
    }

    /// Asks one member and waits for its last answer.
    fn ask(&self, target: &Target) -> Result<Ended, NetError> {
        let ticket = Some(self.ticket.clone());
        let options = self.options;
        let request = match self.command {
            TicketCommand::Grant => ClientRequest::Grant { ticket, options },
            TicketCommand::Revoke => ClientRequest::Revoke { ticket, options },
        };
        let codec = &self.session.codec;
        let mut connection = Connection::ask(target, codec, &request)?;
        let mut heard = Heard::default();
        loop {
            let reply = match self.next_answer(target, &mut connection, &mut heard) {
                Ok(reply) => reply,
                Err(NetError::TimedOut(..)) if heard.under_way.is_some() => {
                    self.tell_missing(target, &heard);
                    let cause = heard.waiting.map(|waiting| waiting.cause);
                    let verdict = wording::give_up(self.command, cause);
                    return Ok(Ended::Verdict(verdict, Holder::Nobody));
                }
                Err(error) => {
                    if heard.under_way.is_some() {
                        self.output.message(
                            "The request may still be in progress. \
                             Please use \"booth list\" later to see the outcome.",
                        );
                    }
                    return Err(error);
                }
            };
            if let Some(ended) = self.judge(target, reply, &mut heard)? {
                return Ok(ended);
            }
        }
    }

    /// The next answer. If it does not come soon, first says what the request waits for.
    fn next_answer(
        &self,
        target: &Target,
        connection: &mut Connection<'_>,
        heard: &mut Heard,
    ) -> Result<ClientReply, NetError> {
        let limit = self.limit(heard);
        if heard.waiting.is_some() && limit.is_none_or(|limit| limit > QUIET) {
            match connection.answer(Some(QUIET)) {
                Err(NetError::TimedOut(..)) => self.tell_cause(target, heard),
                answer => return answer,
            }
        }
        connection.answer(self.limit(heard))
    }

    /// How long the next answer may take; `None`: without limit.
    fn limit(&self, heard: &Heard) -> Option<Duration> {
        if self.options.wait {
            return None;
        }
        let Some(since) = heard.under_way else {
            return Some(CHANGE_LIMIT);
        };
        let configured = self.session.config.ticket(self.ticket);
        let timeout = configured.map_or(DEFAULT_TIMEOUT, |t| t.spec.timeout.as_duration());
        Some((timeout + WAIT_SLACK).saturating_sub(since.elapsed()))
    }

    /// What an answer means; `None`: another one follows.
    fn judge(
        &self,
        target: &Target,
        reply: ClientReply,
        heard: &mut Heard,
    ) -> Result<Option<Ended>, NetError> {
        let answer = match reply {
            ClientReply::Ticket(answer) => answer,
            ClientReply::Result(code) => {
                let verdict = wording::ticket_verdict(self.command, self.ticket, code);
                return Ok(Some(Ended::Verdict(verdict, Holder::Nobody)));
            }
            ClientReply::List(_)
            | ClientReply::Attr(_)
            | ClientReply::Report(_)
            | ClientReply::Attrs(_)
            | ClientReply::Hello(_) => return Err(NetError::Unexpected(target.address)),
        };
        if answer.ticket.as_ref().is_some_and(|name| name != self.ticket) {
            return Err(NetError::Unexpected(target.address));
        }
        match answer.result {
            ResultCode::More => {
                self.note_under_way(heard);
                self.note_cause(target, &answer, heard);
                Ok(None)
            }
            ResultCode::CibPending if self.options.wait_commit => {
                if !heard.pending {
                    heard.pending = true;
                    self.output.message("grant succeeded (CIB commit pending)");
                    self.output.message("waiting for the CIB commit ...");
                }
                self.note_under_way(heard);
                self.note_cause(target, &answer, heard);
                Ok(None)
            }
            ResultCode::CibPending => {
                self.note_cause(target, &answer, heard);
                self.tell_cause(target, heard);
                let code = ResultCode::CibPending;
                let mut verdict = wording::ticket_verdict(self.command, self.ticket, code);
                // A pending grant is a success, unless the CIB cannot be written.
                if matches!(answer.cause, Some((WaitCause::CibFailing, _))) {
                    verdict.exit = Exit::Failure;
                }
                Ok(Some(Ended::Verdict(verdict, Holder::Nobody)))
            }
            ResultCode::Redirect => Ok(Some(Ended::Redirect(answer.leader))),
            ResultCode::SyncFail
                if self.command == TicketCommand::Revoke && answer.leader == Holder::Unknown =>
            {
                Ok(Some(Ended::Verdict(wording::holder_unknown(), Holder::Nobody)))
            }
            code => {
                if code == ResultCode::SyncFail {
                    self.tell_missing(target, heard);
                }
                let verdict = wording::ticket_verdict(self.command, self.ticket, code);
                let in_the_way =
                    code == ResultCode::Overgrant && self.command == TicketCommand::Grant;
                let holder = if in_the_way { answer.leader } else { Holder::Nobody };
                Ok(Some(Ended::Verdict(verdict, holder)))
            }
        }
    }

    /// Says once that the request was accepted.
    fn note_under_way(&self, heard: &mut Heard) {
        if heard.under_way.is_none() {
            heard.under_way = Some(Instant::now());
            if !heard.pending {
                let word = self.command.word();
                self.output.message(&format!("{word} request sent, waiting for the result ..."));
            }
        }
    }

    /// Remembers what the request waits for, to report it if the wait lasts.
    fn note_cause(&self, target: &Target, answer: &TicketAnswer, heard: &mut Heard) {
        match answer.cause {
            Some((cause, left)) => {
                let end = (!left.is_zero()).then(|| clock::wall().plus(left));
                let site = self.objector(target, answer);
                heard.waiting = Some(Waiting { cause, end, site });
            }
            None if answer.result == ResultCode::CibPending && !heard.asked_list => {
                heard.asked_list = true;
                // A reference member gives no cause, but its list may; if not, nothing is said.
                if let Some(until) = self.list_line(target).as_deref().and_then(pending_until) {
                    let forced = self.options.immediate;
                    self.output.message(&wording::commit_pending(until, forced));
                }
            }
            None => {}
        }
    }

    /// Says what the request waits for: once for each cause and each new end.
    fn tell_cause(&self, target: &Target, heard: &mut Heard) {
        let Some(waiting) = &heard.waiting else { return };
        let near = |a: WallTime, b: WallTime| a.since(b) <= SAME_END && b.since(a) <= SAME_END;
        let known = heard.told.as_ref().is_some_and(|told| {
            let same_end = match (told.end, waiting.end) {
                (Some(told), Some(end)) => near(told, end),
                (told, end) => told == end,
            };
            told.cause == waiting.cause && same_end
        });
        if !known {
            let forced = self.options.immediate || self.command == TicketCommand::Revoke;
            self.output.message(&wording::waiting(waiting, forced));
            heard.told = heard.waiting.clone();
            if heard.told.as_ref().is_some_and(|told| told.cause == WaitCause::Election) {
                self.tell_missing(target, heard);
            }
        }
    }

    /// The address of the site whose objection a grant waits for.
    fn objector(&self, target: &Target, answer: &TicketAnswer) -> Option<String> {
        let (WaitCause::Objection, _) = answer.cause? else { return None };
        let id = answer.leader.member()?;
        let site = target::redirected(&self.session.config, id, target.from)?;
        Some(site.address.ip().to_string())
    }

    /// The ticket's line in the member's `list`. This is optional, so it must not take long.
    fn list_line(&self, target: &Target) -> Option<String> {
        const LIST_LIMIT: Duration = Duration::from_secs(2);
        let codec = &self.session.codec;
        match fetch_text(codec, target, &ClientRequest::List, LIST_LIMIT) {
            Ok(Ok(text)) => line_of(&text, self.ticket).map(printable),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// The line of this ticket in a list.
fn line_of<'a>(list: &'a str, ticket: &TicketName) -> Option<&'a str> {
    let start = format!("ticket: {ticket},");
    list.lines().find(|line| line.starts_with(&start))
}

/// The time in `(commit pending until TIME)` of a ticket's line.
fn pending_until(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("(commit pending until ")?;
    rest.split_once(')').map(|(until, _)| until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_pending_commit_is_found_in_the_right_line() {
        let list = "ticket: t-1, leader: 10.0.0.1, expires: 2026-01-01 00:00:00 (commit pending \
                    until 2026-01-01 00:01:00)\n\
                    ticket: t, leader: 10.0.0.1, expires: 2026-01-01 00:00:00 (commit pending \
                    until 2026-02-02 00:02:00) [manual mode]\nticket: u, leader: none\n";
        let of =
            |name| TicketName::new(name).map(|name| line_of(list, &name).and_then(pending_until));
        assert_eq!(of("t"), Ok(Some("2026-02-02 00:02:00")));
        assert_eq!(of("u"), Ok(None));
        assert_eq!(of("v"), Ok(None));
    }
}
