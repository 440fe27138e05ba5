// SPDX-License-Identifier: GPL-2.0-or-later
//! The messages between boothd and the keeper: a line of text for each message, with fields
//! separated by tabs. A packet has as many lines as fit.
//!
//! A boothd begins with [`Message::Hello`], its tickets and [`Message::Taken`]. The keeper answers
//! with the words of the previous boothd ([`Message::Word`]) and then `Taken`, or with
//! [`Message::Other`]. Numbers are decimal; instants are microseconds of the boot-time clock.

use super::before::Before;
use super::message::{Answer, Kept, Word};
use super::verdict::Grant;
use crate::engine::{AttrChange, CibExpiry, CibOutcome, CibState, HoldWindow, WriteSerial};
use crate::model::{AttrName, AttrValue, Holder, Term, TicketIndex, TicketName};
use crate::time::{MonoTime, Span, WallTime};
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::{FromStr, Split};

/// The version of these messages. A keeper of another version guards what it was told until the
/// end.
pub const VERSION: u32 = 1;

/// The longest packet, in bytes.
pub const PACKET_MAX: usize = 32 * 1024;

/// A message between boothd and the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// boothd wants to take over.
    Hello {
        /// The [`VERSION`] of boothd.
        version: u32,
        /// The store and the configuration of boothd. The keeper must be for the same.
        setup: String,
    },
    /// A ticket of boothd, in the order of its configuration.
    Ticket(Kept),
    /// From boothd: there are no more tickets. From the keeper: the take-over is complete.
    Taken,
    /// The keeper has another version or another setup. It guards what it was told, accepts no more
    /// wishes, and ends when it is no longer needed.
    Other,
    /// From boothd, a word. From the keeper, a word of the previous boothd.
    Word(Word),
    /// From the keeper, an answer to a wish or a take-over.
    Answer(Answer),
}

impl Message {
    /// The message as a line, without the newline.
    pub fn to_line(&self) -> String {
        let mut line = Line(String::new());
        match self {
            Message::Hello { version, setup } => line.word("hello").word(version).word(setup),
            Message::Ticket(kept) => {
                line.word("ticket").word(kept.guard.as_micros()).word(&kept.name)
            }
            Message::Taken => line.word("taken"),
            Message::Other => line.word("other"),
            Message::Word(word) => line.boothd_says(word),
            Message::Answer(answer) => line.keeper_says(answer),
        };
        line.0
    }

    /// The message in a line; `None` if the line is not a message.
    pub fn parse(line: &str) -> Option<Message> {
        let mut fields = Fields(line.split('\t'));
        let message = match fields.text()? {
            "hello" => {
                Message::Hello { version: fields.number()?, setup: fields.text()?.to_owned() }
            }
            "ticket" => {
                let guard = fields.span()?;
                Message::Ticket(Kept { guard, name: TicketName::new(fields.text()?).ok()? })
            }
            "taken" => Message::Taken,
            "other" => Message::Other,
            "hold" => Message::Word(Word::Hold {
                ticket: fields.ticket()?,
                term: fields.term()?,
                window: fields.window()?,
            }),
            word @ ("grant" | "revoke") => Message::Word(fields.write(word == "grant")?),
            "attr" => Message::Word(Word::Attr {
                ticket: fields.ticket()?,
                serial: fields.serial()?,
                limit: fields.span()?,
                change: fields.attr()?,
            }),
            "read" => {
                Message::Word(Word::Read { ticket: fields.ticket()?, grant: fields.grant()?? })
            }
            word @ ("written" | "attr-written") => {
                let (ticket, serial) = (fields.ticket()?, fields.serial()?);
                let outcome = fields.outcome()?;
                Message::Answer(match word {
                    "written" => Answer::Written { ticket, serial, outcome },
                    _ => Answer::AttrWritten { ticket, serial, outcome },
                })
            }
            "quiet" => {
                let ticket = fields.ticket()?;
                let before = Before { grant: fields.grant()?, window: fields.window()? };
                Message::Answer(Answer::Quiet { ticket, before })
            }
            _ => return None,
        };
        fields.0.next().is_none().then_some(message)
    }
}

/// Packs messages into as few packets as possible, of at most [`PACKET_MAX`] bytes.
pub fn packets<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for message in messages {
        let line = message.to_line();
        match packets.last_mut() {
            Some(packet) if packet.len() + line.len() < PACKET_MAX => {
                packet.push(b'\n');
                packet.extend_from_slice(line.as_bytes());
            }
            Some(_) | None => packets.push(line.into_bytes()),
        }
    }
    packets
}

/// The messages of a packet. Lines that are not messages are skipped.
pub fn messages(packet: &[u8]) -> Vec<Message> {
    String::from_utf8_lossy(packet).split('\n').filter_map(Message::parse).collect()
}

/// A line that is being written.
struct Line(String);

impl Line {
    fn word(&mut self, word: impl core::fmt::Display) -> &mut Line {
        if !self.0.is_empty() {
            self.0.push('\t');
        }
        self.0.push_str(&word.to_string());
        self
    }

    /// Appends text from outside: at most 1024 characters, with blanks for control characters.
    fn text(&mut self, text: &str) -> &mut Line {
        let clean = text.chars().take(1024).map(|c| if c.is_control() { ' ' } else { c });
        self.word(clean.collect::<String>())
    }

    fn boothd_says(&mut self, word: &Word) -> &mut Line {
        match word {
            Word::Hold { ticket, window, term } => {
                self.word("hold").word(ticket.get()).word(term.get()).window(*window)
            }
            Word::Write { ticket, serial, state } => {
                let line = self.word(if state.granted { "grant" } else { "revoke" });
                line.word(ticket.get()).word(serial.0).word(state.owner.raw());
                line.word(state.term.get()).word(state.limit.as_micros());
                match state.expires {
                    CibExpiry::Lease => line.word("lease"),
                    CibExpiry::Never => line.word("never"),
                    CibExpiry::At(wall) => line.word(wall.as_micros()),
                }
            }
            Word::Attr { ticket, serial, change, limit } => {
                self.word("attr").word(ticket.get()).word(serial.0).word(limit.as_micros());
                match change {
                    AttrChange::Set(name, value) => {
                        self.word("set").word(name.as_str()).word(value.as_str())
                    }
                    AttrChange::Delete(name) => self.word("delete").word(name.as_str()),
                }
            }
            Word::Read { ticket, grant } => {
                self.word("read").word(ticket.get()).grant(Some(*grant))
            }
        }
    }

    fn keeper_says(&mut self, answer: &Answer) -> &mut Line {
        match answer {
            Answer::Written { ticket, serial, outcome } => {
                self.word("written").word(ticket.get()).word(serial.0).outcome(outcome)
            }
            Answer::AttrWritten { ticket, serial, outcome } => {
                self.word("attr-written").word(ticket.get()).word(serial.0).outcome(outcome)
            }
            Answer::Quiet { ticket, before } => {
                self.word("quiet").word(ticket.get()).grant(before.grant).window(before.window)
            }
        }
    }

    fn outcome(&mut self, outcome: &CibOutcome) -> &mut Line {
        match outcome {
            CibOutcome::Written => self.word("done"),
            CibOutcome::TooLate => self.word("late"),
            CibOutcome::Superseded => self.word("superseded"),
            CibOutcome::Killed => self.word("killed"),
            CibOutcome::Failed(text) => self.word("failed").text(text),
        }
    }

    fn window(&mut self, window: Option<HoldWindow>) -> &mut Line {
        let Some(window) = window else { return self.word("none") };
        let HoldWindow { hold_until, lease_until, start_before, kill_at } = window;
        for at in [hold_until, lease_until, start_before, kill_at] {
            self.word(at.as_micros());
        }
        self
    }

    fn grant(&mut self, grant: Option<Grant>) -> &mut Line {
        match grant {
            Some(Grant { term, expires }) => self.word(term.get()).word(expires),
            None => self.word("none"),
        }
    }
}

/// The remaining fields of a line that is being read.
struct Fields<'a>(Split<'a, char>);

impl<'a> Fields<'a> {
    fn text(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    fn ticket(&mut self) -> Option<TicketIndex> {
        self.number().map(TicketIndex::new)
    }

    fn serial(&mut self) -> Option<WriteSerial> {
        self.number().map(WriteSerial)
    }

    fn span(&mut self) -> Option<Span> {
        self.number().map(Span::from_micros)
    }

    fn term(&mut self) -> Option<Term> {
        self.number().map(Term::new)
    }

    fn write(&mut self, granted: bool) -> Option<Word> {
        let (ticket, serial) = (self.ticket()?, self.serial()?);
        let owner = Holder::from_raw(self.number()?);
        let (term, limit) = (self.term()?, self.span()?);
        let expires = match self.text()? {
            "lease" => CibExpiry::Lease,
            "never" => CibExpiry::Never,
            micros => CibExpiry::At(WallTime::from_micros(micros.parse().ok()?)),
        };
        let state = CibState { granted, owner, term, expires, limit };
        Some(Word::Write { ticket, serial, state })
    }

    fn attr(&mut self) -> Option<AttrChange> {
        let word = self.text()?;
        let name = AttrName::new(self.text()?).ok()?;
        match word {
            "set" => Some(AttrChange::Set(name, AttrValue::new(self.text()?).ok()?)),
            "delete" => Some(AttrChange::Delete(name)),
            _ => None,
        }
    }

    fn outcome(&mut self) -> Option<CibOutcome> {
        Some(match self.text()? {
            "done" => CibOutcome::Written,
            "late" => CibOutcome::TooLate,
            "superseded" => CibOutcome::Superseded,
            "killed" => CibOutcome::Killed,
            "failed" => CibOutcome::Failed(self.text()?.to_owned()),
            _ => return None,
        })
    }

    fn window(&mut self) -> Option<Option<HoldWindow>> {
        let first = self.text()?;
        if first == "none" {
            return Some(None);
        }
        let mut instant = || self.number().map(MonoTime::from_micros);
        let hold_until = first.parse().ok().map(MonoTime::from_micros)?;
        let (lease_until, start_before, kill_at) = (instant()?, instant()?, instant()?);
        Some(Some(HoldWindow { hold_until, lease_until, start_before, kill_at }))
    }

    fn grant(&mut self) -> Option<Option<Grant>> {
        let first = self.text()?;
        if first == "none" {
            return Some(None);
        }
        let (term, expires) = (Term::new(first.parse().ok()?), self.number()?);
        Some(Some(Grant { term, expires }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MemberId;

    fn window() -> HoldWindow {
        let at = MonoTime::from_micros;
        HoldWindow { hold_until: at(4), lease_until: at(5), start_before: at(2), kill_at: at(3) }
    }

    fn every_kind() -> Vec<Message> {
        let (ticket, serial) = (TicketIndex::new(7), WriteSerial(u64::MAX));
        let (term, limit) = (Term::new(u32::MAX), Span::from_secs(3));
        let name = AttrName::new("x").expect("good");
        let value = AttrValue::new(" a=b; \"$(c)\" ").expect("good");
        let empty = AttrValue::new("").expect("good");
        let grant = Grant { term, expires: 9 };
        let mut all = vec![
            Message::Hello { version: 3, setup: "cib booth 7".to_owned() },
            Message::Taken,
            Message::Other,
            Message::Ticket(Kept { name: TicketName::new("t/1").expect("good"), guard: limit }),
            Message::Word(Word::Hold { ticket, window: None, term }),
            Message::Word(Word::Hold { ticket, window: Some(window()), term }),
            Message::Word(Word::Read { ticket, grant }),
        ];
        let owners = [Holder::Unknown, Holder::Nobody, Holder::Member(MemberId::from_raw(7))];
        let wall = WallTime::from_micros(1_234_567_890);
        for (owner, expires) in
            owners.into_iter().zip([CibExpiry::Lease, CibExpiry::At(wall), CibExpiry::Never])
        {
            for granted in [false, true] {
                let state = CibState { granted, owner, term, expires, limit };
                all.push(Message::Word(Word::Write { ticket, serial, state }));
            }
        }
        for change in [
            AttrChange::Set(name.clone(), value),
            AttrChange::Set(name.clone(), empty),
            AttrChange::Delete(name),
        ] {
            all.push(Message::Word(Word::Attr { ticket, serial, change, limit }));
        }
        for outcome in [
            CibOutcome::Written,
            CibOutcome::TooLate,
            CibOutcome::Superseded,
            CibOutcome::Killed,
            CibOutcome::Failed("no space left".to_owned()),
            CibOutcome::Failed(String::new()),
        ] {
            let again = outcome.clone();
            all.push(Message::Answer(Answer::Written { ticket, serial, outcome }));
            all.push(Message::Answer(Answer::AttrWritten { ticket, serial, outcome: again }));
        }
        for (grant, window) in [(None, None), (Some(grant), Some(window())), (None, Some(window()))]
        {
            let before = Before { window, grant };
            all.push(Message::Answer(Answer::Quiet { ticket, before }));
        }
        all
    }

    #[test]
    fn every_message_survives_its_line() {
        for message in every_kind() {
            let line = message.to_line();
            assert_eq!(Message::parse(&line), Some(message.clone()), "{line}");
            assert_eq!(Message::parse(&format!("{line}\tx")), None, "{line} and more");
            assert_eq!(Message::parse(&format!("x{line}")), None);
            if let Some((less, _)) = line.rsplit_once('\t') {
                assert_eq!(Message::parse(less), None, "{line} and less");
            }
        }
    }

    #[test]
    fn a_text_from_elsewhere_cannot_make_another_message() {
        let outcome = CibOutcome::Failed("a\nother\t7".to_owned());
        let (ticket, serial) = (TicketIndex::new(0), WriteSerial(1));
        let message = Message::Answer(Answer::Written { ticket, serial, outcome });
        let packets = packets([&message]);
        let Message::Answer(Answer::Written { outcome, .. }) = &messages(&packets[0])[0] else {
            panic!("one message")
        };
        assert_eq!(*outcome, CibOutcome::Failed("a other 7".to_owned()));
    }

    #[test]
    fn packets_hold_as_many_messages_as_have_room() {
        let all: Vec<Message> = every_kind().into_iter().cycle().take(5000).collect();
        let packets = packets(&all);
        assert!(packets.iter().all(|packet| packet.len() <= PACKET_MAX));
        let bytes: usize = packets.iter().map(Vec::len).sum();
        assert!(packets.len() <= bytes / (PACKET_MAX - 2048) + 1, "{}", packets.len());
        let read: Vec<Message> = packets.iter().flat_map(|packet| messages(packet)).collect();
        assert_eq!(read, all);
    }
}
