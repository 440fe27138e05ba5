// SPDX-License-Identifier: GPL-2.0-or-later
//! The reports that the exporter has at hand. Every member is asked at most once a second, and by
//! one request at a time, however many ask the exporter.
//!
//! The local member has a lock of its own, so that those who ask for a ticket do not wait for
//! members that are silent.

use crate::cli::client::Session;
use crate::cli::reports::{ask_but, ask_one, Answer};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is used.
const KEEP: Duration = Duration::from_secs(1);
/// The local member is asked for its history, too, so long after somebody has looked at the page.
const PAGE_IN_USE: Duration = Duration::from_secs(30);

/// What is known, and how to learn more.
pub(super) struct Desk {
    session: Session,
    local: Mutex<Local>,
    others: Mutex<Option<Kept<Vec<Answer>>>>,
}

/// An answer, and when it was asked for.
#[derive(Clone)]
pub(super) struct Kept<T> {
    /// The answer.
    pub answer: T,
    asked: Instant,
}

impl<T> Kept<T> {
    /// How old it is at most.
    pub(super) fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

#[derive(Default)]
struct Local {
    kept: Option<Kept<Answer>>,
    with_history: bool,
    page_wanted: Option<Instant>,
}

/// A panic ends the process: nothing is half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Nothing has been asked yet.
    pub(super) fn new(session: Session) -> Desk {
        Desk { session, local: Mutex::default(), others: Mutex::default() }
    }

    /// What all requests need.
    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    /// What the local member says.
    pub(super) fn local(&self) -> Kept<Answer> {
        self.local_with(false)
    }

    /// What all members say, with their histories, in configuration order.
    pub(super) fn all(&self) -> Vec<Answer> {
        let mut all = vec![self.local_with(true).answer];
        let mut others = lock(&self.others);
        let kept = match others.take().filter(|kept| kept.age() < KEEP) {
            Some(kept) => kept,
            None => {
                let Session { config, codec, target } = &self.session;
                let asked = Instant::now();
                Kept { answer: ask_but(config, codec, true, Some(target.index)), asked }
            }
        };
        all.extend(others.insert(kept).answer.iter().cloned());
        all.sort_by_key(|answer| answer.index);
        all
    }

    fn local_with(&self, history: bool) -> Kept<Answer> {
        let mut local = lock(&self.local);
        if history {
            local.page_wanted = Some(Instant::now());
        }
        if let Some(kept) = &local.kept {
            let left = KEEP.saturating_sub(kept.age());
            if !left.is_zero() && (local.with_history || !history) {
                return kept.clone();
            }
            std::thread::sleep(left);
        }
        local.with_history = local.page_wanted.is_some_and(|at| at.elapsed() < PAGE_IN_USE);
        let asked = Instant::now();
        let answer = ask_one(&self.session, local.with_history);
        local.kept.insert(Kept { answer, asked }).clone()
    }
}
