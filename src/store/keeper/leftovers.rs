// SPDX-License-Identifier: GPL-2.0-or-later
//! What the programs that change the store have started themselves.
//!
//! A site may have put a script in the place of `crm_ticket`. The kernel ends the script with the
//! keeper, and a signal reaches its process group; what the script runs in a group of its own
//! (`timeout` makes one), or when the keeper has been killed, neither. It is known by a variable
//! of its environment that says for which keeper and job it works.

use super::setup::is_keeper;
use crate::keeper::JobId;
use crate::sys::clock;
use crate::sys::os::Handle;
use crate::time::Span;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

const VARIABLE: &str = "BOOTHD_KEEPER";
/// How long looking goes on: what is found may be about to start more. What hangs in the kernel
/// does not end by then, and is not waited for: the keeper has other deadlines.
const LIMIT: Span = Span::from_millis(100);

/// By which the processes of the keepers of one run directory are known.
#[derive(Clone, Debug)]
pub(super) struct Label(String);

impl Label {
    /// That of a run directory: no two that exist at a time have the same.
    pub(super) fn new(dir: &File) -> Label {
        let place = dir.metadata().map(|file| format!("{}:{}", file.dev(), file.ino()));
        Label(format!("{VARIABLE}={} ", place.unwrap_or_default()))
    }

    /// Has a program, and what it starts, known as one of this job of this process.
    pub(super) fn put_on(&self, command: &mut Command, job: JobId) {
        let label = self.of(job);
        let value = label.split_once('=').map_or("", |(_, value)| value);
        command.env(VARIABLE, value);
    }

    fn of(&self, job: JobId) -> String {
        format!("{}{} {}", self.0, std::process::id(), job.0)
    }

    /// Ends what is left of these jobs of this process.
    pub(super) fn end_jobs(&self, jobs: &[JobId]) {
        let labels: Vec<String> = jobs.iter().map(|job| self.of(*job)).collect();
        end(|variable| labels.iter().any(|label| label.as_bytes() == variable));
    }

    /// Ends what is left of keepers of this run directory that have ended. One that has resigned
    /// goes on with its work.
    pub(super) fn end_all(&self) {
        end(|variable| {
            let rest = variable.strip_prefix(self.0.as_bytes());
            let keeper = rest.and_then(|rest| std::str::from_utf8(rest).ok()?.split(' ').next());
            keeper.is_some_and(|keeper| !is_keeper(keeper))
        });
    }
}

/// Kills all processes with a variable like that, until there is none, or the time is over.
fn end(is_known: impl Fn(&[u8]) -> bool) {
    let until = clock::mono().plus(LIMIT);
    let mut first = true;
    while first || clock::mono() < until {
        first = false;
        let found = find(&is_known);
        if found.is_empty() {
            return;
        }
        for process in &found {
            // With a descriptor its number was its own then, or this finds nobody.
            if process.end().is_none() || has(process.number(), &is_known) {
                process.kill();
            }
        }
        for process in found.iter().filter(|process| process.end().is_some()) {
            process.wait_end(until.since(clock::mono()).as_duration());
        }
    }
}

/// All processes with a variable like that, but for this one and the one that has started it. One
/// that has ended has no environment.
fn find(is_known: &impl Fn(&[u8]) -> bool) -> Vec<Handle> {
    let spared = [std::process::id(), std::os::unix::process::parent_id()];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let known = pids.filter(|pid| !spared.contains(pid)).filter(|pid| has(*pid, is_known));
    known.map(Handle::new).collect()
}

fn has(pid: u32, is_known: &impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_known)
}
