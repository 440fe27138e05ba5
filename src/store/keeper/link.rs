// SPDX-License-Identifier: GPL-2.0-or-later
//! boothd's end of the keeper: finds the one that is there or starts one, tells it windows and
//! wishes, hears its answers, and puts another in its place when it is gone or does not listen.

use super::packets::{Gone, OFFER_AGAIN};
use super::setup::{Setup, NAME};
use crate::keeper::words::{Message, VERSION};
use crate::keeper::{Answer, Before, Kept, Told, Word};
use crate::model::TicketIndex;
use crate::sys::{clock, open_files, os};
use crate::time::{MonoTime, Span};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

mod find;
mod peer;
#[cfg(test)]
mod tests;

use peer::{Peer, LOOK, PATIENCE_MIN};

/// How long a keeper may leave words unread while no deadline is near.
const PATIENCE: Span = Span::from_secs(5);
/// How long before the end of a window a keeper that does not listen has to be noticed.
const NOTICE: Span = Span::from_millis(1500);
/// How often a keeper that seems not to listen is looked at before that is believed.
const LOOKS: u32 = 5;
/// The pause before a keeper that ended is replaced, when that happens again; it doubles.
const PAUSE_MIN: Span = Span::from_millis(100);
/// The longest that this pause becomes.
const PAUSE_MAX: Span = Span::from_secs(30);

/// The keeper of this site, whichever process that is.
#[derive(Debug)]
pub struct Link {
    setup: Setup,
    program: PathBuf,
    dir: File,
    kept: Vec<Kept>,
    told: Vec<Told>,
    /// Said since the last flush.
    said: Vec<Message>,
    peer: Option<Peer>,
    /// Processes of keepers that are gone, or will be.
    leaving: Vec<process::Child>,
    /// Answers to wishes that newer ones stand in for.
    superseded: Vec<Answer>,
    /// Up to when the ends of windows were thought of.
    asked: MonoTime,
    retry_at: MonoTime,
    pause: Span,
}

impl Link {
    /// Takes the keeper of this run directory over, or starts one, and waits until it has
    /// answered.
    ///
    /// # Errors
    /// The directory cannot be opened, or no keeper can be started or answers.
    pub fn start(setup: Setup, program: &Path, dir: &Path, kept: Vec<Kept>) -> io::Result<Link> {
        let path = dir;
        let named = |error| io::Error::other(format!("{}: {error}", path.display()));
        let dir = find::open(path).map_err(named)?;
        let told = kept.iter().map(|_| Told::default()).collect();
        let mut link = Link {
            setup,
            program: program.to_path_buf(),
            dir,
            kept,
            told,
            said: Vec::new(),
            peer: None,
            leaving: Vec::new(),
            superseded: Vec::new(),
            asked: clock::mono(),
            retry_at: MonoTime::ZERO,
            pause: PAUSE_MIN,
        };
        let peer = match find::find(&link.dir, link.setup.guard.max(PATIENCE_MIN)) {
            Ok(Some((socket, found))) => Peer { found: Some(found), ..Peer::new(socket, None) },
            Ok(None) => link.begin()?,
            Err(error) => return Err(named(error)),
        };
        link.greet(peer);
        let mut started = false;
        while link.peer.as_ref().is_some_and(|peer| peer.ready_by.is_some()) {
            let mut answers = Vec::new();
            link.hear(&mut answers);
            link.keep(answers);
            if link.is_late(clock::mono()) {
                link.replace();
            }
            if let Some(peer) = &link.peer {
                let socket = peer.packets.as_fd();
                os::wait_readable(&[socket], Some(LOOK.as_duration()));
                link.offer();
            }
            if link.peer.is_none() && !started {
                // The one that was there has refused, or does not answer.
                started = true;
                let peer = link.begin()?;
                link.greet(peer);
            }
        }
        if link.peer.is_none() {
            return Err(io::Error::other("it does not become ready"));
        }
        // From now on this boothd knows what its keepers have begun.
        link.setup.replaces = true;
        Ok(link)
    }

    fn begin(&mut self) -> io::Result<Peer> {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.program);
        command.arg0(NAME).args(self.setup.to_args()).stdin(self.dir.try_clone()?);
        command.stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
        open_files::hand_on(&mut command);
        let named = |error| io::Error::other(format!("{}: {error}", self.program.display()));
        let process = command.spawn().map_err(named)?;
        Ok(Peer::new(ours, Some(process)))
    }

    /// Tells a keeper everything that one must know.
    fn greet(&mut self, mut peer: Peer) {
        // None of them was told to a keeper that lives.
        let superseded = self.told.iter_mut().flat_map(Told::drop_superseded);
        self.superseded.extend(superseded);
        let hello = Message::Hello { version: VERSION, setup: self.setup.fingerprint() };
        let tickets = self.kept.iter().cloned().map(Message::Ticket);
        let mut messages: Vec<Message> = [hello].into_iter().chain(tickets).collect();
        messages.push(Message::Taken);
        for (index, told) in self.told.iter().enumerate() {
            messages.extend(told.words(TicketIndex::new(index)).map(Message::Word));
        }
        self.said.clear();
        peer.send(&messages);
        self.peer = Some(peer);
    }

    /// Says something, with the next [`Link::flush`]. It is said again to each keeper that takes
    /// the place of this one, as long as it is of importance.
    pub fn say(&mut self, word: Word) {
        let told = &mut self.told[word.ticket().get()];
        told.say(&word, clock::now());
        if self.peer.is_some() {
            self.said.push(Message::Word(word));
        } else {
            self.superseded.extend(told.drop_superseded());
        }
    }

    /// Sends what was said.
    pub fn flush(&mut self) {
        let said = std::mem::take(&mut self.said);
        if let Some(peer) = self.peer.as_mut().filter(|_| !said.is_empty()) {
            peer.send(&said);
        }
        self.offer();
    }

    fn offer(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.flush();
        }
    }

    /// Takes in what the keeper answers.
    pub fn hear(&mut self, answers: &mut Vec<Answer>) {
        while let Some(peer) = &mut self.peer {
            let messages = match peer.packets.receive() {
                Ok(Some(messages)) => messages,
                Ok(None) => return,
                Err(Gone) => return self.lost(),
            };
            for message in messages {
                match message {
                    Message::Taken => {
                        peer.ready_by = None;
                        self.pause = PAUSE_MIN;
                    }
                    // It guards what it was told to the end.
                    Message::Other => {
                        // Its process is collected when it has nothing to guard any more.
                        let process = peer.process.take();
                        self.leaving.extend(process);
                        self.peer = None;
                        return;
                    }
                    Message::Answer(answer) => answers.push(answer),
                    Message::Word(word) => {
                        if let Some(told) = self.told.get_mut(word.ticket().get()) {
                            told.inherit(word);
                        }
                    }
                    Message::Hello { .. } | Message::Ticket(_) => {}
                }
            }
        }
    }

    /// Takes note of answers, whose wishes are not open any more. Returns those that somebody
    /// waits for.
    pub fn keep(&mut self, answers: Vec<Answer>) -> Vec<Answer> {
        let now = clock::now();
        let mut wanted = std::mem::take(&mut self.superseded);
        wanted.extend(answers.into_iter().filter(|answer| {
            let told = self.told.get_mut(answer.ticket().get());
            told.is_some_and(|told| told.hear(answer, now))
        }));
        wanted
    }

    /// The ticket was read, and is not granted.
    pub fn free(&mut self, ticket: TicketIndex) {
        self.told[ticket.get()].is_free();
    }

    /// What is known of a ticket from before this boothd; `None`: it cannot be read yet.
    pub fn before(&self, ticket: TicketIndex) -> Option<Before> {
        self.told[ticket.get()].before()
    }

    /// Whether a wish has no answer yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.told.iter().any(|told| !told.open().is_empty())
    }

    /// Collects and replaces keepers that are gone, or that do not listen.
    pub fn look(&mut self, now: MonoTime) {
        self.leaving.retain_mut(|process| !matches!(process.try_wait(), Ok(Some(_)) | Err(_)));
        self.ask(now);
        if self.is_deaf(now) {
            log::error!("the keeper of the tickets does not listen; starting another");
            self.replace();
        }
        if self.peer.is_some() || now < self.retry_at {
            return;
        }
        // One that ends at once is not replaced in a hot loop.
        self.retry_at = now.plus(self.pause);
        self.pause = self.pause.times(2).min(PAUSE_MAX);
        match self.begin() {
            Ok(peer) => self.greet(peer),
            Err(error) => {
                log::error!("cannot start the keeper of the tickets: {error}; trying again");
            }
        }
    }

    /// When the keeper is needed next: from then on nothing more can be granted by a window, and
    /// its end comes. With `after`: of the windows of which that is later.
    fn needed_at(&self, after: MonoTime) -> Option<MonoTime> {
        let windows = self.told.iter().filter_map(Told::window);
        let needed = windows.map(|window| window.start_before.min(window.hold_until.minus(NOTICE)));
        needed.filter(|at| *at > after).min()
    }

    /// A keeper that was told nothing for long may have been stopped since. Tells it once more
    /// what it knows, when a window comes near its end, to see whether it listens. While leases
    /// are renewed, no window does.
    fn ask(&mut self, now: MonoTime) {
        let ready = self.peer.as_ref().is_some_and(|peer| peer.ready_by.is_none());
        if !ready || self.needed_at(self.asked).is_none_or(|at| now < at) {
            return;
        }
        self.asked = now;
        let nearest = |told: &&Told| told.window().map(|window| window.hold_until);
        let near = self.told.iter().filter(|told| nearest(told).is_some_and(|at| at > now));
        if let Some(hold) = near.min_by_key(nearest).and_then(Told::hold).cloned() {
            self.said.push(Message::Word(hold));
        }
    }

    /// Whether the first keeper is not waited for any longer.
    fn is_late(&mut self, now: MonoTime) -> bool {
        let Some(peer) = &self.peer else { return false };
        if peer.process.is_none() {
            return self.is_deaf(now);
        }
        peer.ready_by.is_some_and(|by| now >= by)
    }

    /// Whether the keeper has to be replaced. That it has read something is seen without asking
    /// it; what it leaves unread for long, or until a deadline comes, it does not hear.
    fn is_deaf(&mut self, now: MonoTime) -> bool {
        let patience = self.patience();
        let Some(peer) = &mut self.peer else { return false };
        if peer.ready_by.is_some_and(|by| now >= by) {
            return true;
        }
        let Some(since) = peer.unread_since else { return false };
        peer.note_progress(now);
        if peer.unread == 0 && peer.packets.is_sent() {
            (peer.unread_since, peer.looks) = (None, 0);
            return false;
        }
        if now < since.plus(patience).plus(LOOK.times(u64::from(peer.looks))) {
            return false;
        }
        peer.looks += 1;
        peer.looks > LOOKS
    }

    /// How long the keeper may leave something unread: until the nearest window needs it. The
    /// windows of one that was found are not known, and may end soon.
    fn patience(&self) -> Span {
        let found = |peer: &Peer| peer.process.is_none() && peer.ready_by.is_some();
        if self.peer.as_ref().is_some_and(found) {
            return self.setup.guard.max(PATIENCE_MIN);
        }
        let since = self.peer.as_ref().and_then(|peer| peer.unread_since);
        let nearest = self.needed_at(MonoTime::ZERO);
        let left = since.zip(nearest).map_or(PATIENCE, |(since, at)| at.since(since));
        left.min(PATIENCE).max(PATIENCE_MIN)
    }

    /// The keeper is gone.
    fn lost(&mut self) {
        if self.peer.as_ref().is_some_and(|peer| peer.ready_by.is_none()) {
            log::error!("the keeper of the tickets has ended; starting another");
        }
        self.replace();
    }

    /// Ends a keeper that is of no use; what it has started ends with it.
    fn replace(&mut self) {
        let Some(peer) = self.peer.take() else { return };
        if let Some(mut process) = peer.process {
            let _ = process.kill();
            self.leaving.push(process);
        } else if let Some(found) = peer.found {
            found.kill();
        }
        self.said.clear();
    }

    /// When [`Link::look`] or [`Link::flush`] has something to do without being woken.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        let Some(peer) = &self.peer else { return Some(self.retry_at) };
        let deaf = peer
            .unread_since
            .map(|since| since.plus(self.patience()).plus(LOOK.times(u64::from(peer.looks))));
        let ask = self.needed_at(self.asked).filter(|_| peer.ready_by.is_none());
        let offer = (!peer.packets.is_sent()).then(|| clock::mono().plus(OFFER_AGAIN));
        [deaf, peer.ready_by, offer, ask].into_iter().flatten().min()
    }

    /// What tells that the keeper has answered, or has ended.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.peer.as_ref().map(|peer| peer.packets.as_fd())
    }
}
