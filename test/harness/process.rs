// SPDX-License-Identifier: GPL-2.0-or-later
//! Child processes that end, with their output, within a time limit.

use super::wait::value_within;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A child that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; `None`: a signal ended it, see `status`.
    pub code: Option<i32>,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Finished {
    /// Both outputs, one after the other.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Panics unless the exit code is `code`; returns itself.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Finished {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// Reads `pipe` to its end in a thread.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is kept, and compared by the test.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Runs `command` to its end; after `limit` it is killed and the test fails.
#[track_caller]
pub fn finish(command: &mut Command, limit: Duration) -> Finished {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let status = exit_within(&mut child, limit);
    let took = begun.elapsed();
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = |thread: JoinHandle<Vec<u8>>| {
        // The thread cannot panic: it only reads.
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    let (stdout, stderr) = (text(out), text(err));
    let Some(status) = status else {
        panic!("not finished within {limit:?}: {command:?}\n{stdout}{stderr}");
    };
    Finished { code: status.code(), status, stdout, stderr, took }
}

/// How `child` ended, if it does within `limit`.
pub fn exit_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    value_within(limit, || child.try_wait().ok().flatten())
}

/// Sends a signal to a process that this test started, by its id.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    // A process that is gone already is what most callers want.
    drop(status);
}
