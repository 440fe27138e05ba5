// SPDX-License-Identifier: GPL-2.0-or-later
//! The executor's end of the process that serves the built-in store.
//!
//! Requests go through a socket and are kept until they are answered. When a job must be killed,
//! the process is killed and a new one gets what the other jobs had asked for: every request can
//! be made twice.

use super::Context;
use crate::daemon::helper::{self, call::Call};
use crate::daemon::leases::Slot;
use crate::daemon::os;
use crate::daemon::slots::{JobEnd, JobId};
use crate::daemon::ticket_dir::Entries;
use crate::engine::CibLoad;
use crate::time::{MonoTime, Span};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// How often a request is sent when the process ends without having answered it.
const SENDS_MAX: u32 = 3;
/// How long the process is kept without work.
const IDLE: Span = Span::from_secs(5);

/// All processes of the store: one that works, and those that have been ended.
#[derive(Debug)]
pub(super) struct Workers {
    dir: PathBuf,
    current: Option<Worker>,
    leaving: Vec<Worker>,
    idle_since: Option<MonoTime>,
}

#[derive(Debug)]
struct Worker {
    process: Child,
    exit: Option<OwnedFd>,
    socket: Option<UnixStream>,
    heard: Vec<u8>,
    asked: BTreeMap<JobId, Request>,
}

#[derive(Debug)]
struct Request {
    line: String,
    sends: u32,
}

impl Workers {
    pub(super) fn new(dir: PathBuf) -> Workers {
        Workers { dir, current: None, leaving: Vec::new(), idle_since: None }
    }

    /// Sends a request, to a new process if there is none.
    pub(super) fn ask(
        &mut self,
        context: &Context,
        (id, slot): (JobId, Slot),
        fields: &[String],
    ) -> io::Result<()> {
        let line = format!("{}\t{}\t{}\n", id.0, slot.0, fields.join("\t"));
        self.send(context, id, Request { line, sends: 0 })
    }

    fn send(&mut self, context: &Context, id: JobId, mut request: Request) -> io::Result<()> {
        self.idle_since = None;
        let worker = match &mut self.current {
            Some(worker) => worker,
            None => self.current.insert(start(context, &self.dir)?),
        };
        let sent = match &mut worker.socket {
            // The socket takes far more than all jobs that can run at once.
            Some(socket) => socket.write_all(request.line.as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        request.sends += 1;
        worker.asked.insert(id, request);
        match sent {
            Ok(()) => Ok(()),
            // It has just ended: the next look finds that out and sends the request again.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                worker.asked.remove(&id);
                Err(error)
            }
        }
    }

    /// Kills a job, which means its process; what others have asked for goes to a new one.
    pub(super) fn kill(&mut self, context: &Context, id: JobId, ends: &mut Vec<(JobId, JobEnd)>) {
        let Some(mut worker) = self.current.take() else { return };
        if !worker.asked.contains_key(&id) {
            self.current = Some(worker);
            return;
        }
        os::signal_group(worker.process.id(), os::Signal::Kill);
        worker.hear(ends);
        let doomed = worker.asked.remove(&id);
        let others = std::mem::take(&mut worker.asked);
        worker.asked.extend(doomed.map(|request| (id, request)));
        self.leaving.push(worker);
        self.send_again(context, others, ends);
    }

    fn send_again(
        &mut self,
        context: &Context,
        requests: BTreeMap<JobId, Request>,
        ends: &mut Vec<(JobId, JobEnd)>,
    ) {
        for (id, request) in requests {
            if request.sends >= SENDS_MAX {
                ends.push((id, JobEnd::Killed));
            } else if let Err(error) = self.send(context, id, request) {
                ends.push((id, JobEnd::Failed(error.to_string())));
            }
        }
    }

    /// Takes in answers and collects processes that have ended, without waiting.
    pub(super) fn look(
        &mut self,
        context: &Context,
        now: MonoTime,
        ends: &mut Vec<(JobId, JobEnd)>,
    ) {
        self.leaving.retain_mut(|worker| {
            worker.hear(ends);
            let gone = worker.collect();
            if gone {
                let asked = std::mem::take(&mut worker.asked);
                ends.extend(asked.into_keys().map(|id| (id, JobEnd::Killed)));
            }
            !gone
        });
        let Some(worker) = &mut self.current else { return };
        worker.hear(ends);
        if worker.socket.is_none() || worker.collect() {
            log::warn!("the process of the ticket store has ended; starting another");
            if let Some(mut worker) = self.current.take() {
                os::signal_group(worker.process.id(), os::Signal::Kill);
                let asked = std::mem::take(&mut worker.asked);
                self.leaving.push(worker);
                self.send_again(context, asked, ends);
            }
            return;
        }
        if !worker.asked.is_empty() {
            self.idle_since = None;
            return;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now >= since.plus(IDLE) {
            self.retire();
        }
    }

    /// Lets the process end: it does when its socket is closed and everything is answered.
    pub(super) fn retire(&mut self) {
        self.idle_since = None;
        if let Some(mut worker) = self.current.take() {
            worker.socket = None;
            self.leaving.push(worker);
        }
    }

    /// When [`Workers::look`] has something to do without being woken.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        self.idle_since.map(|since| since.plus(IDLE))
    }

    /// Whether an end can only be seen by looking now and then.
    pub(super) fn needs_looks(&self) -> bool {
        self.current.iter().chain(&self.leaving).any(|worker| worker.exit.is_none())
    }

    /// Which descriptors tell that something has happened.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.current.iter().chain(&self.leaving).flat_map(|worker| {
            let exit = worker.exit.as_ref().map(AsFd::as_fd);
            exit.into_iter().chain(worker.socket.as_ref().map(AsFd::as_fd))
        })
    }
}

fn start(context: &Context, dir: &std::path::Path) -> io::Result<Worker> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let call = Call::Serve {
        dir: dir.to_path_buf(),
        generation: context.generation,
        config_name: context.config.config_name.clone(),
    };
    let mut command = Command::new(&context.config.program);
    command.arg0(helper::NAME).args(call.to_args()).process_group(0);
    command.stdin(context.table.descriptor()?).stdout(OwnedFd::from(theirs));
    let process = command.stderr(Stdio::null()).spawn()?;
    let exit = os::pid_descriptor(process.id());
    Ok(Worker { process, exit, socket: Some(ours), heard: Vec::new(), asked: BTreeMap::new() })
}

impl Worker {
    /// Takes in what has been answered; closes the socket if the other end is closed.
    fn hear(&mut self, ends: &mut Vec<(JobId, JobEnd)>) {
        let mut buffer = [0u8; 4096];
        while let Some(socket) = &mut self.socket {
            match socket.read(&mut buffer) {
                Ok(len) if len > 0 => {
                    self.heard.extend_from_slice(&buffer[..len]);
                    self.answers(ends);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.socket = None,
            }
        }
    }

    /// Takes whole lines out of what was heard.
    fn answers(&mut self, ends: &mut Vec<(JobId, JobEnd)>) {
        let mut rest = self.heard.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            if let Some((id, end)) = answer(&line) {
                if self.asked.remove(&id).is_some() {
                    ends.push((id, end));
                }
            }
        }
        self.heard = rest.to_vec();
    }

    /// Collects the process if it has ended.
    fn collect(&mut self) -> bool {
        let ended = os::has_exited(self.process.id()).unwrap_or(true);
        if ended {
            let _ = self.process.wait();
        }
        ended
    }
}

/// The meaning of an answer; `None` if it is none.
fn answer(line: &str) -> Option<(JobId, JobEnd)> {
    let mut fields = line.split('\t');
    let id = JobId(fields.next()?.parse().ok()?);
    let end = match fields.next()? {
        "done" => JobEnd::Done,
        "late" => JobEnd::TooLate,
        "failed" => JobEnd::Failed(fields.next().unwrap_or("no reason given").to_owned()),
        "absent" => JobEnd::Loaded(CibLoad::Absent),
        "ticket" => {
            let lines: Vec<&str> = fields.collect();
            let ticket =
                Entries::parse(lines.join("\n").as_bytes()).and_then(|entries| entries.ticket());
            JobEnd::Loaded(match ticket {
                Ok(ticket) => CibLoad::Loaded(ticket),
                Err(error) => CibLoad::Failed(error.to_string()),
            })
        }
        _ => return None,
    };
    Some((id, end))
}
