// SPDX-License-Identifier: GPL-2.0-or-later
//! One end of the socket between boothd and a keeper: whole packets of messages, never waited for.

use crate::engine::CibOutcome;
use crate::keeper::words::{self, Message, PACKET_MAX};
use crate::keeper::Answer;
use crate::sys::os;
use crate::time::{MonoTime, Span};
use socket2::Socket;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// How soon a packet that the other end had no room for should be offered again.
pub(super) const OFFER_AGAIN: Span = Span::from_millis(20);

/// How long good news may wait for more of it: short beside what a change of the store takes.
const GATHER: Span = Span::from_millis(50);

/// The other end has gone, and everything that it had said has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// A socket, and what the other end had no room for.
#[derive(Debug)]
pub(super) struct Packets {
    socket: Socket,
    unsent: VecDeque<Vec<u8>>,
    /// Good news that waits for more of it, and until when.
    news: Vec<Message>,
    news_until: MonoTime,
    /// Whether the other end has ended; what it had said is still to be read.
    reset: bool,
}

impl Packets {
    /// Of a socket that does not block.
    pub(super) fn new(socket: Socket) -> Packets {
        let (unsent, news, news_until) = (VecDeque::new(), Vec::new(), MonoTime::ZERO);
        Packets { socket, unsent, news, news_until, reset: false }
    }

    /// Sends messages, behind those that wait.
    pub(super) fn send(&mut self, messages: &[Message]) {
        let news = std::mem::take(&mut self.news);
        if !news.is_empty() {
            self.unsent.extend(words::packets(&news));
        }
        self.unsent.extend(words::packets(messages));
        self.flush();
    }

    /// Sends answers, or keeps them for a moment as long as `more` are to come and all of them say
    /// that a write has gone well: each packet wakes two threads of the other end.
    pub(super) fn gather(&mut self, now: MonoTime, answers: Vec<Message>, more: bool) {
        let is_good = |message: &Message| {
            let done = CibOutcome::Written;
            matches!(message, Message::Answer(Answer::Written { outcome, .. }) if *outcome == done)
        };
        if self.news.is_empty() {
            self.news_until = now.plus(GATHER);
        }
        let waits = more && now < self.news_until && answers.iter().all(is_good);
        self.news.extend(answers);
        if !waits && !self.news.is_empty() {
            self.send(&[]);
        }
    }

    /// When [`Packets::gather`] is to be called again although there are no answers.
    pub(super) fn gathers_until(&self) -> Option<MonoTime> {
        (!self.news.is_empty()).then_some(self.news_until)
    }

    /// Sends as much as the other end has room for; what is left is offered again.
    pub(super) fn flush(&mut self) {
        while let Some(packet) = self.unsent.front() {
            match self.socket.send(packet) {
                // Full, or no memory for it now.
                Err(error) if os::is_shortage(&error) => return,
                // Receiving tells that it is gone.
                Ok(_) | Err(_) => {}
            }
            self.unsent.pop_front();
        }
    }

    /// Whether the other end has, or had, room for everything.
    pub(super) fn is_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// How much of what was sent the other end has not read.
    pub(super) fn unread(&self) -> usize {
        os::unread(self.socket.as_fd())
    }

    /// The messages of the next packet; `None`: there is none yet.
    pub(super) fn receive(&mut self) -> Result<Option<Vec<Message>>, Gone> {
        let mut buffer = [0u8; PACKET_MAX];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(len) if len > 0 => return Ok(Some(words::messages(&buffer[..len]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It had not read everything when it ended; what it had said is behind this.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !self.reset => {
                    self.reset = true;
                }
                Ok(_) | Err(_) => return Err(Gone),
            }
        }
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::WriteSerial;
    use crate::model::TicketIndex;
    use socket2::{Domain, Type};

    fn answer(number: u64, outcome: CibOutcome) -> Message {
        let (ticket, serial) = (TicketIndex::new(0), WriteSerial(number));
        Message::Answer(Answer::Written { ticket, serial, outcome })
    }

    #[test]
    fn good_news_waits_for_more_and_for_nothing_else() {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).expect("a pair");
        for end in [&ours, &theirs] {
            end.set_nonblocking(true).expect("possible");
        }
        let (mut keeper, mut boothd) = (Packets::new(ours), Packets::new(theirs));
        let begun = MonoTime::from_micros(1_000_000);
        let good = |number| answer(number, CibOutcome::Written);
        let bad = |number| answer(number, CibOutcome::Failed("no".to_owned()));
        let mut heard = || boothd.receive().expect("it is there");
        // Nothing else runs.
        keeper.gather(begun, vec![good(1)], false);
        assert_eq!(heard(), Some(vec![good(1)]));
        keeper.gather(begun, vec![good(2)], true);
        keeper.gather(begun, Vec::new(), true);
        assert_eq!((heard(), keeper.gathers_until()), (None, Some(begun.plus(GATHER))));
        // Bad news does not wait, and does not overtake.
        keeper.gather(begun, vec![bad(3)], true);
        assert_eq!((heard(), keeper.gathers_until()), (Some(vec![good(2), bad(3)]), None));
        // The last job has ended.
        keeper.gather(begun, vec![good(4)], true);
        keeper.gather(begun, vec![good(5)], false);
        assert_eq!(heard(), Some(vec![good(4), good(5)]));
        // Others hang.
        keeper.gather(begun, vec![good(6)], true);
        keeper.gather(begun.plus(GATHER), Vec::new(), true);
        assert_eq!(heard(), Some(vec![good(6)]));
        // What is said otherwise does not overtake either.
        keeper.gather(begun, vec![good(7)], true);
        keeper.send(&[Message::Other]);
        assert_eq!(heard(), Some(vec![good(7)]));
        assert_eq!(heard(), Some(vec![Message::Other]));
    }
}
