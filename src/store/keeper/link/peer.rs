// SPDX-License-Identifier: GPL-2.0-or-later
//! A keeper as boothd sees it: a socket, a process, and whether it listens.

use crate::keeper::words::Message;
use crate::store::keeper::packets::Packets;
use crate::sys::clock;
use crate::sys::os::Handle;
use crate::time::{MonoTime, Span};
use socket2::Socket;
use std::process;

/// How long a keeper may take until boothd has taken over.
const READY: Span = Span::from_secs(10);
/// How long it may leave words unread in any case: a busy machine is no reason to end it.
pub(super) const PATIENCE_MIN: Span = Span::from_millis(500);
/// The pause between two looks at a keeper that seems not to listen, or not to be there.
pub(super) const LOOK: Span = Span::from_millis(20);

/// A keeper at the other end of a socket.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) packets: Packets,
    /// Its process, if this boothd has started it.
    pub(super) process: Option<process::Child>,
    /// Its process, if it was there before.
    pub(super) found: Option<Handle>,
    /// Until when it must have answered; `None`: it has.
    pub(super) ready_by: Option<MonoTime>,
    /// Since when it has left something unread and read nothing, as far as known.
    pub(super) unread_since: Option<MonoTime>,
    /// How much it had left unread when that was looked at last.
    pub(super) unread: usize,
    /// How often it was looked at since it seems not to listen.
    pub(super) looks: u32,
}

impl Peer {
    pub(super) fn new(socket: Socket, process: Option<process::Child>) -> Peer {
        Peer {
            packets: Packets::new(socket),
            process,
            found: None,
            ready_by: Some(clock::mono().plus(READY)),
            unread_since: None,
            unread: 0,
            looks: 0,
        }
    }

    pub(super) fn send(&mut self, messages: &[Message]) {
        self.note_progress(clock::mono());
        self.unread_since.get_or_insert_with(clock::mono);
        self.packets.send(messages);
        self.unread = self.packets.unread();
    }

    /// It lives if it has read something, however much is left.
    pub(super) fn note_progress(&mut self, now: MonoTime) {
        let unread = self.packets.unread();
        if unread < self.unread {
            (self.unread_since, self.looks) = (Some(now), 0);
        }
        self.unread = unread;
    }

    /// Offers again what the keeper had no room for.
    pub(super) fn flush(&mut self) {
        if !self.packets.is_sent() {
            self.note_progress(clock::mono());
            self.packets.flush();
            self.unread = self.packets.unread();
        }
    }
}
