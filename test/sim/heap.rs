// SPDX-License-Identifier: GPL-2.0-or-later
//! The future: happenings ordered by true time, then by the order in which they were planned.

use super::clock::True;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One entry of the future.
#[derive(Debug)]
struct Entry<T> {
    at: True,
    sequence: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.sequence == other.sequence
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        // The greatest entry of the heap is the earliest.
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// All happenings to come.
#[derive(Debug)]
pub struct Future<T> {
    heap: BinaryHeap<Entry<T>>,
    sequence: u64,
}

impl<T> Default for Future<T> {
    /// Nothing will happen.
    fn default() -> Future<T> {
        Future { heap: BinaryHeap::with_capacity(256), sequence: 0 }
    }
}

impl<T> Future<T> {
    /// Something will happen at this time, after everything that was planned for it before.
    pub fn plan(&mut self, at: True, what: T) {
        self.sequence += 1;
        self.heap.push(Entry { at, sequence: self.sequence, what });
    }

    /// Takes the next happening if it comes no later than `until`.
    pub fn next(&mut self, until: True) -> Option<(True, T)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }
}
