// SPDX-License-Identifier: GPL-2.0-or-later
//! One child process: started without a shell in a process group of its own, its output capped,
//! never waited for.
//!
//! When to start and when to end it, others decide.

use super::helper::exit;
use crate::slots::Ending;
use crate::sys::os::{self, BeforeExec, Signal};
use crate::time::{MonoTime, Span};
use std::borrow::Cow;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How much is read from one pipe before others have their turn: more than a pipe holds.
const READ_AT_ONCE: usize = 128 * 1024;

/// How much of what a child says on standard error is kept: a few lines for the log.
const ERRORS_MAX: usize = 2048;

/// How much of the output of handlers and changes is kept: it is only for a message.
pub(crate) const CHATTER_MAX: usize = 2048;
/// How much of an answer about one ticket is read: a few thousand attributes.
pub(super) const ANSWER_MAX: usize = 1 << 20;
/// How much of an answer about all tickets is read: ten thousand with a few attributes.
pub(super) const ANSWERS_MAX: usize = 16 << 20;

/// How long a child that says little is not listened to.
const SHORT: Span = Span::from_secs(1);

/// How much of one line goes into a message.
const LINE_MAX: usize = 300;

/// How often a child is looked at where the kernel cannot tell when it ends.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// A child process that has not been collected.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    handle: os::Handle,
    output: Pipe,
    errors: Pipe,
    /// From when on what it says is read before it ends; the descriptors have more to tell then.
    pub(super) listened_to_at: MonoTime,
    /// Whether what is left of its group when it ends is killed.
    alone: bool,
    /// Whether it was told to end by [`Child::end`].
    pub(super) ended: bool,
}

/// The reading end of a pipe, and what came out of it.
#[derive(Debug)]
struct Pipe {
    end: Option<OwnedFd>,
    kept: Vec<u8>,
    max: usize,
    cut: bool,
}

/// A child that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// The beginning of its output.
    pub(super) output: Vec<u8>,
    /// Whether there was more of it.
    pub(super) cut: bool,
    /// The beginning of what it said on standard error.
    pub(super) errors: Vec<u8>,
}

impl Child {
    /// Starts a command as the leader of a new process group. Standard input is the business of
    /// the command, and empty by default; of the output `output_max` bytes are kept. It becomes an
    /// ordinary process, see [`BeforeExec`].
    ///
    /// # Errors
    /// The program is missing or not executable, or there is no room for a process; the text names
    /// it. Or it was too late to run it, see [`os::is_late`].
    pub(crate) fn spawn(
        command: &mut Command,
        before: BeforeExec,
        output_max: usize,
    ) -> io::Result<Child> {
        before.add_to(command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut process = command.spawn().map_err(|error| match os::is_late(&error) {
            true => error,
            false => {
                let program = Path::new(command.get_program()).display();
                io::Error::other(format!("cannot run {program}: {error}"))
            }
        })?;
        let output = Pipe::new(process.stdout.take().map(OwnedFd::from), output_max);
        let errors = Pipe::new(process.stderr.take().map(OwnedFd::from), ERRORS_MAX);
        let handle = os::Handle::new(process.id());
        let listened_to_at = MonoTime::ZERO;
        Ok(Child { process, handle, output, errors, listened_to_at, alone: false, ended: false })
    }

    /// The process, which is also the number of its group.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Which descriptors tell at `now` that something has happened.
    pub(crate) fn descriptors(&self, now: MonoTime) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listens = now >= self.listened_to_at || self.handle.end().is_none();
        let pipes = [&self.output.end, &self.errors.end].into_iter().filter(move |_| listens);
        self.handle.end().into_iter().chain(pipes.flatten().map(AsFd::as_fd))
    }

    /// It is short and says little, which is read when it has ended: the end of its pipes shortly
    /// before its own need not wake anybody. Should it last, it is listened to, see
    /// [`Child::listened_to_at`], so that a full pipe does not hold it up for long.
    pub(super) fn says_little(mut self, now: MonoTime) -> Child {
        self.listened_to_at = now.plus(SHORT);
        self
    }

    /// Whether its end can only be seen by looking now and then, see [`LOOK`].
    pub(crate) fn needs_looks(&self) -> bool {
        self.handle.end().is_none()
    }

    /// Whatever it has started must end with it: a change of the store is over when its process
    /// is, or a later one could overtake what is left.
    pub(super) fn ends_alone(mut self) -> Child {
        self.alone = true;
        self
    }

    /// Ends everything in its group.
    pub(crate) fn end(&mut self, how: Ending) {
        (self.alone, self.ended) = (true, true);
        let signal = match how {
            Ending::Ask => Signal::SIGTERM,
            Ending::Kill => Signal::SIGKILL,
        };
        // It has not been collected, so the number is still its own.
        os::signal_group(self.id(), signal);
    }

    /// Takes what it has said, without waiting; tells if it has ended.
    ///
    /// A grandchild may keep the pipes open: what it says later is not waited for. If the child
    /// was ended by us, or [`Child::ends_alone`], what is left of its group is killed.
    pub(crate) fn look(&mut self) -> Option<Finished> {
        // Asked first: what was said before the end is then in the pipes.
        let exited = os::has_exited(self.id());
        self.output.drain();
        self.errors.drain();
        if !exited {
            return None;
        }
        if self.alone {
            os::signal_group(self.id(), Signal::SIGKILL);
        }
        // It has exited: this collects it and does not wait.
        let status = self.process.wait().unwrap_or_else(|_| ExitStatus::from_raw(0x7F00));
        Some(Finished {
            status,
            output: std::mem::take(&mut self.output.kept),
            cut: self.output.cut,
            errors: std::mem::take(&mut self.errors.kept),
        })
    }
}

impl Pipe {
    fn new(end: Option<OwnedFd>, max: usize) -> Pipe {
        // A pipe that would block could hold us up: rather no output at all.
        let end = end.filter(|end| os::set_nonblocking(end.as_fd()).is_ok());
        Pipe { end, kept: Vec::new(), max, cut: false }
    }

    /// Takes what is there, keeps the first bytes and drops the rest.
    fn drain(&mut self) {
        let Some(end) = self.end.take() else {
            return;
        };
        let mut file = std::fs::File::from(end);
        let mut buffer = [0u8; 4096];
        let mut taken = 0;
        while taken < READ_AT_ONCE {
            match file.read(&mut buffer) {
                Ok(0) => return,
                Ok(len) => {
                    taken += len;
                    let room = self.max.saturating_sub(self.kept.len()).min(len);
                    self.kept.extend_from_slice(&buffer[..room]);
                    self.cut |= room < len;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return,
            }
        }
        self.end = Some(OwnedFd::from(file));
    }
}

impl Finished {
    /// Whether it was ended by a signal.
    pub(super) fn was_killed(&self) -> bool {
        self.status.signal().is_some()
    }

    /// Whether a helper of ours gave up before it became or ran anything else.
    pub(crate) fn was_refused(&self) -> bool {
        self.status.code() == Some(i32::from(exit::FAILED))
    }

    /// All of its output as text, if it succeeded and there is no more of it than these bytes.
    ///
    /// # Errors
    /// Why not, for a message.
    pub(super) fn answer(&self, max: usize) -> Result<Cow<'_, str>, String> {
        if !self.status.success() {
            Err(self.failure())
        } else if self.cut {
            Err(format!("the answer has more than {max} bytes"))
        } else {
            Ok(String::from_utf8_lossy(&self.output))
        }
    }

    /// What it said first on standard error, or else how it failed.
    pub(super) fn why(&self) -> String {
        self.said().unwrap_or_else(|| self.failure())
    }

    /// How it failed, for a message: its exit code or signal, and what it said first.
    pub(crate) fn failure(&self) -> String {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        let line = self.said().or_else(|| first_line(&self.output));
        line.map_or(how.clone(), |line| format!("{how}: {line}"))
    }

    /// What it said first on standard error, if anything.
    pub(crate) fn said(&self) -> Option<String> {
        first_line(&self.errors)
    }
}

/// The first line with anything in it, without control characters, cut to a sane length.
fn first_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(LINE_MAX).collect())
}
