// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper's process: one thread that starts and ends jobs as the keeper says, hears boothd,
//! and sleeps while nothing is near.

use super::journal::log;
use super::leftovers::Label;
use super::owner;
use super::packets::{Gone, Packets, OFFER_AGAIN};
use super::run_dir::{path_in, socket_at, MARK, SOCKET};
use super::setup::Setup;
use super::tools::{Ends, Tools};
use crate::config::TicketStore;
use crate::engine::NoteLevel;
use crate::keeper::words::{Message, VERSION};
use crate::keeper::{Input, JobId, Keeper, Kept, Output};
use crate::model::Holder;
use crate::store::child;
use crate::sys::{accounts, clock, filelock, open_files, os, panics, process};
use crate::time::{MonoTime, Span};
use socket2::Socket;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(test)]
mod tests;

/// How many boothds may be about to take over. There is one; others are strangers.
const CALLERS_MAX: usize = 4;
/// How soon the next boothd is let in after that has failed for lack of descriptors.
const ACCEPT_AGAIN: Span = Span::from_millis(100);
/// How soon a socket that could not be made is tried again.
const LISTEN_AGAIN: Span = Span::from_secs(1);
/// What a keeper without its socket cannot do, for the log.
const UNHEARD: &str = "be found by the next boothd, which will have to end this keeper; make the \
                       run directory writable";
/// How many tickets a boothd may name.
const TICKETS_MAX: usize = 100_000;
/// How many packets of one boothd are heard before jobs have their turn.
const PACKETS_AT_ONCE: usize = 64;

/// The program: keeps until there is nothing to keep and no boothd.
pub fn main(args: &[OsString]) -> ExitCode {
    os::set_name(c"booth-keeper");
    os::close_inherited();
    open_files::adopt();
    std::panic::set_hook(Box::new(|info| {
        log(NoteLevel::Error, &panics::in_words(info, "the keeper of the tickets"));
    }));
    let Some(setup) = Setup::parse(args) else {
        eprintln!("this program is started by boothd only");
        return ExitCode::FAILURE;
    };
    match Program::start(setup).and_then(Program::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(NoteLevel::Error, &format!("the keeper of the tickets ends: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A boothd, at the other end of a socket.
struct Boothd {
    packets: Packets,
    /// What it has named since its hello.
    naming: Option<Vec<Kept>>,
}

struct Program {
    setup: Setup,
    keeper: Keeper,
    tools: Tools,
    /// The run directory, locked as long as this keeper owns it.
    dir: File,
    mark: Option<File>,
    /// What the mark says.
    marked: bool,
    listener: Option<Socket>,
    /// When somebody could not be let in, for lack of descriptors.
    refused_at: Option<MonoTime>,
    /// When the socket could not be made.
    unheard_at: Option<MonoTime>,
    boothd: Option<Boothd>,
    /// Those that want to take over.
    callers: Vec<Boothd>,
    /// When the last boothd left.
    left_at: MonoTime,
    /// Whether a boothd that keeps something else has come: no other takes over.
    resigned: bool,
    timer: os::TimerFd,
}

impl Program {
    /// Standard input is the run directory, standard output the socket of boothd.
    fn start(setup: Setup) -> io::Result<Program> {
        // A session of its own, so that nobody who ends boothd's session ends the keeper.
        os::new_session()?;
        if let Err(error) = process::enter_realtime() {
            log(NoteLevel::Info, &format!("cannot use real-time scheduling: {error}"));
        }
        let dir = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let socket = Socket::from(io::stdout().as_fd().try_clone_to_owned()?);
        os::point_to_null(&[0, 1])?;
        socket.set_nonblocking(true)?;
        let program = Program::new(setup, dir, socket)?;
        // Last, so that everything above is in memory.
        os::lock_memory();
        Ok(program)
    }

    /// In this run directory, with a boothd that has begun to take over.
    fn new(setup: Setup, dir: File, socket: Socket) -> io::Result<Program> {
        // Before everything else: another keeper may still change what is looked at here.
        owner::own(&dir)?;
        let label = Label::new(&dir);
        label.end_all();
        let mark = noted(open_mark(&dir, setup.replaces), "open the mark of what is in flight");
        let marked = mark.as_ref().is_none_or(is_set);
        let now = clock::mono();
        let unknown = match setup.store {
            TicketStore::Pacemaker => marked || !setup.replaces,
            TicketStore::Directory(_) => marked,
        };
        let guard = setup.guard.plus(setup.guard.divided(100));
        let quiet_at = if unknown { now.plus(guard) } else { now };
        let keeper = Keeper::new(Holder::Member(setup.site), setup.kind(), quiet_at);
        let listener = noted(listen(&dir), UNHEARD);
        let timer = os::boot_timer()?;
        let tools = Tools::new(setup.clone(), PathBuf::from("/proc/self/exe"), label);
        let boothd = Boothd::new(socket);
        let mut program = Program {
            setup,
            keeper,
            tools,
            dir,
            mark,
            marked,
            unheard_at: listener.is_none().then_some(now),
            listener,
            refused_at: None,
            boothd: None,
            callers: vec![boothd],
            left_at: now,
            resigned: false,
            timer,
        };
        // One that takes the place of this one has to wait as well.
        program.note_flight();
        Ok(program)
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let mut ends = Ends::new();
            self.tools.collect(&mut ends);
            for (job, ends) in ends {
                self.step(Input::Ended(job, ends));
            }
            self.listen_again(clock::mono());
            self.hear();
            self.step(Input::Tick);
            self.note_flight();
            if self.is_over() {
                return Ok(());
            }
            self.sleep()?;
        }
    }

    /// Gives the keeper an input and does what it says.
    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let mut answers = Vec::new();
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.keeper.step(clock::now(), input, &mut outputs);
            let mut ends = Ends::new();
            let mut kills: Vec<JobId> = Vec::new();
            for output in outputs {
                match output {
                    Output::Start(job, work) => {
                        self.tools.kill(&std::mem::take(&mut kills));
                        self.set_mark(true);
                        let keeper = &self.keeper;
                        let name = |place| keeper.name(place).clone();
                        self.tools.start(job, work, name, &mut ends);
                    }
                    Output::Kill(job) => kills.push(job),
                    Output::Say(answer) => answers.push(Message::Answer(answer)),
                    Output::Tell(word) => answers.push(Message::Word(word)),
                    Output::Note(level, _, text) => log(level, &text),
                }
            }
            self.tools.kill(&kills);
            inputs.extend(ends.into_iter().map(|(job, ends)| Input::Ended(job, ends)));
        }
        self.tell(answers);
    }

    /// Tells boothd, at once or when the jobs that run have ended.
    fn tell(&mut self, answers: Vec<Message>) {
        let more = self.tools.is_busy();
        if let Some(boothd) = &mut self.boothd {
            boothd.packets.gather(clock::mono(), answers, more);
        }
    }

    /// Takes in what those at the other ends say.
    fn hear(&mut self) {
        self.accept();
        for mut caller in std::mem::take(&mut self.callers) {
            match self.hear_caller(&mut caller) {
                Heard::More => self.callers.push(caller),
                Heard::Gone => {}
                Heard::TakesOver(tickets, words) => {
                    self.boothd = Some(caller);
                    self.step(Input::TakeOver(tickets));
                    // Behind the windows: who has taken over knows them.
                    if let Some(boothd) = &mut self.boothd {
                        boothd.packets.send(&[Message::Taken]);
                    }
                    self.hear_words(words);
                }
            }
        }
        for _ in 0..PACKETS_AT_ONCE {
            let Some(boothd) = &mut self.boothd else { return };
            boothd.packets.flush();
            match boothd.packets.receive() {
                Ok(None) => return,
                Ok(Some(messages)) => self.hear_words(messages),
                Err(Gone) => {
                    self.boothd = None;
                    self.left_at = clock::mono();
                    self.step(Input::Left);
                }
            }
        }
    }

    /// Makes the socket that could not be made before: the next boothd has to find this keeper.
    fn listen_again(&mut self, now: MonoTime) {
        let due = |at: MonoTime| now >= at.plus(LISTEN_AGAIN);
        if !self.resigned && self.unheard_at.is_some_and(due) {
            self.listener = listen(&self.dir).ok();
            self.unheard_at = self.listener.is_none().then_some(now);
        }
    }

    fn accept(&mut self) {
        for _ in 0..CALLERS_MAX {
            let socket = match self.listener.as_ref().map(Socket::accept) {
                Some(Ok((socket, _))) => socket,
                Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    self.refused_at = Some(clock::mono());
                    return;
                }
                Some(Err(_)) | None => return,
            };
            let mine = accounts::own_user();
            let known =
                os::peer_of(socket.as_fd()).is_ok_and(|(_, user)| user == 0 || user == mine);
            if !known || socket.set_nonblocking(true).is_err() {
                continue;
            }
            if self.callers.len() >= CALLERS_MAX {
                // Who has said nothing of use for the longest time is none.
                self.callers.remove(0);
            }
            self.callers.push(Boothd::new(socket));
        }
    }

    fn hear_words(&mut self, messages: Vec<Message>) {
        for message in messages {
            if let Message::Word(word) = message {
                self.step(Input::Said(word));
            }
        }
    }

    fn hear_caller(&mut self, caller: &mut Boothd) -> Heard {
        for _ in 0..PACKETS_AT_ONCE {
            let messages = match caller.packets.receive() {
                Ok(Some(messages)) => messages,
                Ok(None) => return Heard::More,
                Err(Gone) => return Heard::Gone,
            };
            let mut messages = messages.into_iter();
            while let Some(message) = messages.next() {
                match (message, &mut caller.naming) {
                    (Message::Hello { version, setup }, _) => {
                        if self.resigned || version != VERSION || setup != self.setup.fingerprint()
                        {
                            log(NoteLevel::Info, "another boothd has come; guarding what is left");
                            self.resign();
                            caller.packets.send(&[Message::Other]);
                            return Heard::Gone;
                        }
                        caller.naming = Some(Vec::new());
                    }
                    (Message::Ticket(kept), Some(named)) if named.len() < TICKETS_MAX => {
                        named.push(kept);
                    }
                    (Message::Taken, Some(named)) if !self.resigned => {
                        return Heard::TakesOver(std::mem::take(named), messages.collect());
                    }
                    _ => return Heard::Gone,
                }
            }
        }
        Heard::More
    }

    /// Another keeper works for a boothd that has come, and for the one that was here, which is
    /// told so. That keeper tells from the mark what this one has in flight, which is why it is
    /// left as it is.
    fn resign(&mut self) {
        if !self.resigned {
            self.step(Input::Resigned);
            self.left_at = clock::mono();
        }
        if let Some(mut boothd) = self.boothd.take() {
            boothd.packets.send(&[Message::Other]);
        }
        (self.resigned, self.listener, self.mark) = (true, None, None);
        filelock::unlock(&self.dir);
    }

    /// Whether there is nothing to keep any more. While a boothd could come back within *g*, this
    /// keeper is the only one that knows that nothing is in flight.
    fn is_over(&self) -> bool {
        if self.boothd.is_some() || !self.callers.is_empty() {
            return false;
        }
        let now = clock::mono();
        let lingers = now < self.left_at.plus(self.setup.guard);
        let removed = self.dir.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        let hopeless = removed && self.keeper.is_in_vain();
        hopeless || (!lingers && !self.keeper.is_needed(now))
    }

    /// Sets the mark, or takes it back when nothing is in flight any more.
    fn note_flight(&mut self) {
        self.set_mark(self.keeper.is_unsettled(clock::mono()));
    }

    fn set_mark(&mut self, set: bool) {
        if self.marked != set {
            self.marked = set;
            if let Some(mark) = &self.mark {
                let byte = if set { b"1" } else { b"0" };
                let _ = noted(mark.write_all_at(byte, 0), "note what is in flight");
            }
        }
    }

    /// Sleeps until something happens.
    fn sleep(&mut self) -> io::Result<()> {
        let now = clock::mono();
        let mut wakes = vec![self.keeper.next_deadline(), self.tools.next_deadline(now)];
        if self.marked || self.boothd.is_none() {
            wakes.push(self.keeper.settles_at().filter(|at| *at > now));
        }
        if self.boothd.is_none() && !self.keeper.is_needed(now) {
            let over = self.left_at.plus(self.setup.guard);
            wakes.push((over > now).then_some(over));
        } else if self.boothd.as_ref().is_some_and(|boothd| !boothd.packets.is_sent()) {
            wakes.push(Some(now.plus(OFFER_AGAIN)));
        }
        let refused_until = self.refused_at.map(|at| at.plus(ACCEPT_AGAIN));
        let refuses = refused_until.filter(|until| now < *until);
        wakes.push(refuses);
        wakes.push(self.boothd.as_ref().and_then(|boothd| boothd.packets.gathers_until()));
        // While boothd is there it need not be woken for that.
        let unheard = self.unheard_at.filter(|_| self.boothd.is_none() && !self.resigned);
        wakes.push(unheard.map(|at| at.plus(LISTEN_AGAIN)));
        let wake = wakes.into_iter().flatten().min();
        os::set_boot_timer(&self.timer, wake.map(MonoTime::as_micros))?;
        let mut descriptors = vec![self.timer.as_fd()];
        let listener = self.listener.as_ref().filter(|_| refuses.is_none());
        descriptors.extend(listener.map(AsFd::as_fd));
        descriptors.extend(self.callers.iter().chain(&self.boothd).map(|one| one.packets.as_fd()));
        descriptors.extend(self.tools.descriptors(now));
        let limit = self.tools.needs_looks().then_some(child::LOOK);
        os::wait_readable(&descriptors, limit);
        Ok(())
    }
}

/// What a caller has said.
enum Heard {
    /// A part of what takes over; the rest is still to come.
    More,
    /// Nothing of use; the connection is over.
    Gone,
    /// It takes over with these tickets, and has said this since.
    TakesOver(Vec<Kept>, Vec<Message>),
}

impl Boothd {
    fn new(socket: Socket) -> Boothd {
        Boothd { packets: Packets::new(socket), naming: None }
    }
}

fn listen(dir: &File) -> io::Result<Socket> {
    let socket = socket_at(dir, SOCKET)?;
    socket.set_nonblocking(true)?;
    socket.listen(CALLERS_MAX as i32)?;
    Ok(socket)
}

/// Opens the mark. One that belongs to somebody else tells nothing that can be believed, and is
/// replaced by one that says that something is in flight; so does one without its byte, and a new
/// one where it `replaces` that of another keeper: that one could not write it.
fn open_mark(dir: &File, replaces: bool) -> io::Result<File> {
    let path = path_in(dir, MARK);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW);
    let known = std::fs::symlink_metadata(&path).is_ok();
    let (mark, mut unknown) = match options.open(&path) {
        Ok(mark) => (mark, replaces && !known),
        Err(_) => {
            std::fs::remove_file(&path)?;
            (options.open(&path)?, true)
        }
    };
    unknown |= known && mark.metadata()?.len() == 0;
    // From now on it has its byte: changing that needs no room.
    let set = unknown || is_set(&mark);
    mark.write_all_at(if set { b"1" } else { b"0" }, 0)?;
    Ok(mark)
}

/// Whether the mark says that something is in flight.
fn is_set(mark: &File) -> bool {
    let mut byte = [0u8];
    matches!(mark.read_at(&mut byte, 0), Ok(1) if byte == *b"1")
}

/// The result, or a line in the log.
fn noted<T>(result: io::Result<T>, what: &str) -> Option<T> {
    let say = |error: &io::Error| log(NoteLevel::Error, &format!("cannot {what}: {error}"));
    result.inspect_err(say).ok()
}
