// SPDX-License-Identifier: GPL-2.0-or-later
//! One end of the socket between boothd and a keeper: whole packets of messages, never waited for.

use crate::daemon::os;
use crate::keeper::words::{self, Message, PACKET_MAX};
use socket2::Socket;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// How soon a packet that the other end had no room for should be offered again.
pub(super) const OFFER_AGAIN: crate::time::Span = crate::time::Span::from_millis(20);

/// The other end has gone, and everything that it had said has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// A socket, and what the other end had no room for.
#[derive(Debug)]
pub(super) struct Packets {
    socket: Socket,
    unsent: VecDeque<Vec<u8>>,
    /// Whether the other end has ended; what it had said is still to be read.
    reset: bool,
}

impl Packets {
    /// Of a socket that does not block.
    pub(super) fn new(socket: Socket) -> Packets {
        Packets { socket, unsent: VecDeque::new(), reset: false }
    }

    /// Sends messages, behind those that wait.
    pub(super) fn send(&mut self, messages: &[Message]) {
        self.unsent.extend(words::packets(messages));
        self.flush();
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
