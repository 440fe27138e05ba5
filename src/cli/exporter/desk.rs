// SPDX-License-Identifier: GPL-2.0-or-later
//! The reports that the exporter has at hand. Every member is asked at most once a second, and by
//! one request at a time, however many ask the exporter.
//!
//! The local member has a lock of its own, so that those who ask for a ticket do not wait for
//! members that are silent.

use crate::cli::client::Session;
use crate::cli::reports::{ask_but, ask_one, Answer};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long an answer is used.
const KEEP: Duration = Duration::from_secs(1);
/// How long the answers of the others are used while they are being asked anew.
const KEEP_MEANWHILE: Duration = Duration::from_secs(10);
/// The local member is asked for its history, too, so long after somebody has looked at the page.
const PAGE_IN_USE: Duration = Duration::from_secs(30);

/// What is known, and how to learn more.
pub(super) struct Desk {
    session: Session,
    local: Mutex<Local>,
    others: Mutex<Option<Kept<Vec<Answer>>>>,
    /// Held by who asks the others.
    asking: Mutex<()>,
}

/// An answer, and since when it may be out of date.
#[derive(Clone)]
pub(super) struct Kept<T> {
    /// The answer.
    pub answer: T,
    asked: Instant,
    /// From then on it is used: a member that is silent takes longer than an answer is used.
    came: Instant,
}

impl<T> Kept<T> {
    /// What comes of asking.
    fn of(ask: impl FnOnce() -> T) -> Kept<T> {
        let asked = Instant::now();
        Kept { answer: ask(), asked, came: Instant::now() }
    }

    /// How old it is at most.
    pub(super) fn age(&self) -> Duration {
        self.asked.elapsed()
    }

    /// How much longer it is used, of so long.
    fn left(&self, than: Duration) -> Duration {
        than.saturating_sub(self.came.elapsed())
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
        Desk {
            session,
            local: Mutex::default(),
            others: Mutex::default(),
            asking: Mutex::default(),
        }
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
        all.extend(self.others());
        all.sort_by_key(|answer| answer.index);
        all
    }

    /// What the other members say. While one request waits for members that are silent, those
    /// that come meanwhile get the last answers: there are not many threads.
    fn others(&self) -> Vec<Answer> {
        let kept = |than| lock(&self.others).clone().filter(|kept| !kept.left(than).is_zero());
        if let Some(kept) = kept(KEEP) {
            return kept.answer;
        }
        let asking = match self.asking.try_lock() {
            Ok(asking) => asking,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                if let Some(kept) = kept(KEEP_MEANWHILE) {
                    return kept.answer;
                }
                lock(&self.asking)
            }
        };
        if let Some(kept) = kept(KEEP) {
            return kept.answer;
        }
        let Session { config, codec, target } = &self.session;
        let kept = Kept::of(|| ask_but(config, codec, true, Some(target.index)));
        let answer = kept.answer.clone();
        *lock(&self.others) = Some(kept);
        drop(asking);
        answer
    }

    fn local_with(&self, history: bool) -> Kept<Answer> {
        loop {
            let mut local = lock(&self.local);
            if history {
                local.page_wanted = Some(Instant::now());
            }
            let left = local.kept.as_ref().map_or(Duration::ZERO, |kept| kept.left(KEEP));
            if left.is_zero() {
                let wanted = local.page_wanted.is_some_and(|at| at.elapsed() < PAGE_IN_USE);
                local.with_history = wanted;
                return local.kept.insert(Kept::of(|| ask_one(&self.session, wanted))).clone();
            }
            if let Some(kept) = local.kept.as_ref().filter(|_| local.with_history || !history) {
                return kept.clone();
            }
            // Who wants no history does not wait for it.
            drop(local);
            std::thread::sleep(left);
        }
    }
}
