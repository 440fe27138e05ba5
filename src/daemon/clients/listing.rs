// SPDX-License-Identifier: GPL-2.0-or-later
//! The last answer to `list`, for those who ask again before the engine has done anything.
//!
//! Status scripts ask for the list far more often than it changes. What the engine has not
//! stepped since is still its answer: it is given again without waking the engine. After any step
//! the engine is asked anew, so that nobody who has seen the outcome of a request sees the list
//! from before it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer counts at most: it may say how long something has been waited for.
const FRESH: Duration = Duration::from_millis(100);
/// The longest answer that is kept, in bytes: where there are more tickets, the memory is better
/// used.
const TEXT_MAX: usize = 4000;

/// Counts what the engine does, apart from answers to `list`.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<AtomicU64>);

impl Steps {
    /// The engine is about to do something.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it has been about to do something.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The last answer to `list`.
#[derive(Debug)]
pub(super) struct Listing {
    steps: Steps,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    steps: u64,
    at: Instant,
    text: String,
}

impl Listing {
    /// None yet. `steps` counts what the engine does.
    pub(super) const fn new(steps: Steps) -> Listing {
        Listing { steps, kept: None }
    }

    /// What [`Listing::keep`] is to be told by who is about to ask the engine.
    pub(super) fn steps(&self) -> u64 {
        self.steps.now()
    }

    /// Keeps an answer of the engine, which was asked after so many steps.
    pub(super) fn keep(&mut self, steps: u64, text: &str) {
        if steps == self.steps.now() && text.len() <= TEXT_MAX {
            self.kept = Some(Kept { steps, at: Instant::now(), text: text.to_owned() });
        }
    }

    /// What the engine would answer now, if that is known.
    pub(super) fn fresh(&mut self) -> Option<String> {
        let now = self.steps.now();
        self.kept.take_if(|kept| kept.steps != now || kept.at.elapsed() >= FRESH);
        self.kept.as_ref().map(|kept| kept.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_until_the_engine_does_something_or_it_is_old() {
        let steps = Steps::default();
        let mut listing = Listing::new(steps.clone());
        assert_eq!(listing.fresh(), None);
        listing.keep(steps.now(), "first");
        assert_eq!(listing.fresh().as_deref(), Some("first"));
        steps.count();
        assert_eq!(listing.fresh(), None);
        // The engine has done something after it was asked: was the answer given before that?
        let asked = listing.steps();
        steps.count();
        listing.keep(asked, "second");
        assert_eq!(listing.fresh(), None);
        listing.keep(steps.now(), &"x".repeat(TEXT_MAX + 1));
        assert_eq!(listing.fresh(), None);
        listing.keep(steps.now(), "third");
        let kept = Instant::now();
        while listing.fresh().is_some() {
            assert!(kept.elapsed() < FRESH * 100, "it counts for ever");
            std::thread::yield_now();
        }
        assert!(kept.elapsed() >= FRESH);
    }
}
