// SPDX-License-Identifier: GPL-2.0-or-later
//! What happened: a digest of everything, and the last lines as text if somebody wants to read
//! them. Text is made only when tracing, which is done by running a seed again.

use super::choice::mix;
use super::clock::{True, SECOND};
use std::collections::VecDeque;

/// How many lines a trace keeps.
const LINES_MAX: usize = 4_000;

/// The history of one run.
#[derive(Debug)]
pub struct History {
    digest: u64,
    happenings: u64,
    lines: Option<VecDeque<String>>,
    dropped: usize,
}

impl History {
    /// An empty history, with text or without.
    pub fn new(trace: bool) -> History {
        let lines = trace.then(VecDeque::new);
        History { digest: 0, happenings: 0, lines, dropped: 0 }
    }

    /// Mixes a happening into the digest.
    pub fn mix(&mut self, at: True, what: u64, detail: u64) {
        self.happenings += 1;
        self.digest = mix(self.digest ^ at.rotate_left(17) ^ what.rotate_left(40) ^ detail);
    }

    /// Adds a line, if this run is traced.
    pub fn line(&mut self, at: True, text: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() == LINES_MAX {
            lines.pop_front();
            self.dropped += 1;
        }
        lines.push_back(format!("{:>12} {}", stamp(at), text()));
    }

    /// Whether lines are kept.
    pub fn traced(&self) -> bool {
        self.lines.is_some()
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How many happenings there were.
    pub fn happenings(&self) -> u64 {
        self.happenings
    }

    /// The last `count` lines, oldest first.
    pub fn last(&self, count: usize) -> Vec<String> {
        let Some(lines) = &self.lines else { return Vec::new() };
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }
}

/// A true time in seconds with six decimals.
pub fn stamp(at: True) -> String {
    format!("{}.{:06}", at / SECOND, at % SECOND)
}
