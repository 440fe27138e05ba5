// SPDX-License-Identifier: GPL-2.0-or-later
//! Reports: one text for all who want one at a time, and only so many texts.
//!
//! For a report the engine looks at every ticket, and this thread works far longer to write it
//! down. Who has recorded a request for one can send it again, as often as the network allows: so
//! the engine is asked by the gateway, and not for each client. What is known is given again as
//! long as nothing has happened since. Otherwise the client waits for the next text, for which the
//! engine is asked after its request has come: nobody gets a report from before that. Between two
//! texts there is a pause.
#![forbid(unsafe_code)]

use crate::daemon::channels::Answer;
use crate::engine::Reply;
use crate::wire::ResultCode;
use crossbeam_channel::{Receiver, TryRecvError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a text counts at most although nothing has happened: it says how long ago things were.
const FRESH: Duration = Duration::from_millis(50);
/// The pause after a text is so many times as long as it took to write that down: so this thread
/// has four fifths of its time for clients that want something else.
const PAUSE: u32 = 4;
/// But it is no shorter than this, for the engine, which is not asked more often.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Nor longer than this, however busy the machine is.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The longest text that is kept for those who come later, in bytes.
const TEXT_MAX: usize = 100_000;
/// Who still takes a text when so many have been made since may be cut off: or each client could
/// keep one of its own in memory.
pub(super) const TEXTS_MAX: u64 = 8;

/// The reports without the whole history, and those with it.
#[derive(Debug, Default)]
pub(super) struct Reports {
    kinds: [Kind; 2],
    /// When the engine may be asked again.
    rests_until: Option<Instant>,
    /// How many texts there were.
    made: u64,
}

/// One of them.
#[derive(Debug, Default)]
struct Kind {
    /// The number of the text for which the engine was asked last.
    asked: u64,
    /// The number of the last text that somebody waits for.
    wanted: u64,
    /// What had happened when the engine was asked.
    seen: u64,
    /// Where its answer comes; `None`: it is there.
    answers: Option<Receiver<Answer>>,
    /// The last text; none if it was too long to be sent or kept.
    text: Option<Arc<str>>,
    /// When it was written down; `None`: the engine has not answered.
    written: Option<Instant>,
}

/// The text that a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    /// Whether it has the whole history.
    pub(super) history: bool,
    number: u64,
}

impl Reports {
    fn kind(&mut self, history: bool) -> &mut Kind {
        &mut self.kinds[usize::from(history)]
    }

    /// Notes that a client wants a report; `seen` tells what has happened so far.
    pub(super) fn want(&mut self, history: bool, seen: u64) -> Awaited {
        let kind = self.kind(history);
        let fresh = || kind.written.is_some_and(|at| at.elapsed() < FRESH);
        // One that the engine is about to answer will do as well.
        let known = kind.answers.is_some() || kind.text.is_some() && fresh();
        let known = known && kind.seen == seen;
        let number = if known { kind.asked } else { kind.asked + 1 };
        kind.wanted = kind.wanted.max(number);
        Awaited { history, number }
    }

    /// The text that is waited for, or a later one, if it is there; or why there is none.
    pub(super) fn get(&mut self, wanted: Awaited) -> Option<Result<Arc<str>, ResultCode>> {
        let kind = self.kind(wanted.history);
        let why = if kind.written.is_some() { ResultCode::SyncFail } else { ResultCode::Busy };
        let there = kind.asked >= wanted.number && kind.answers.is_none();
        there.then(|| kind.text.clone().ok_or(why))
    }

    /// Whether the engine has to be asked now for a report.
    pub(super) fn is_due(&mut self, history: bool, now: Instant) -> bool {
        let rests = self.rests_until.is_some_and(|until| now < until);
        !rests && self.kind(history).waits()
    }

    /// When it has to be asked next, if anybody waits for that.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let waits = self.kinds.iter().any(Kind::waits);
        waits.then(|| self.rests_until.unwrap_or_else(Instant::now))
    }

    /// The engine has been asked, and answers there; `seen` tells what had happened before.
    pub(super) fn ask(&mut self, history: bool, answers: Receiver<Answer>, seen: u64) {
        let kind = self.kind(history);
        (kind.asked, kind.seen, kind.answers) = (kind.asked + 1, seen, Some(answers));
        (kind.text, kind.written) = (None, None);
    }

    /// What the engine has answered, once. If it will not, nobody waits for it any more.
    pub(super) fn answer(&mut self, history: bool) -> Option<Reply> {
        let kind = self.kind(history);
        let answer = kind.answers.as_ref()?.try_recv();
        if answer != Err(TryRecvError::Empty) {
            kind.answers = None;
        }
        Some(answer.ok()?.reply)
    }

    /// Keeps a text that took so long to write, or notes that it is too long.
    pub(super) fn keep(&mut self, history: bool, text: Option<String>, took: Duration) {
        let now = Instant::now();
        let pause = (took * PAUSE).clamp(PAUSE_MIN, PAUSE_MAX);
        self.rests_until = Some(self.rests_until.map_or(now, |until| until.max(now)) + pause);
        self.made += 1;
        let kind = self.kind(history);
        (kind.text, kind.written) = (text.map(Arc::from), Some(now));
    }

    /// All who waited have got what there is: a long text would only take up memory.
    pub(super) fn tidy(&mut self) {
        for kind in &mut self.kinds {
            kind.text.take_if(|text| text.len() > TEXT_MAX);
        }
    }

    /// How many texts there were.
    pub(super) const fn made(&self) -> u64 {
        self.made
    }
}

impl Kind {
    /// Whether somebody waits for a text for which nobody has asked.
    fn waits(&self) -> bool {
        self.wanted > self.asked && self.answers.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    /// Reports for which the engine has been asked and has answered, after so much.
    fn with_text(text: &str, seen: u64) -> Reports {
        let mut reports = Reports::default();
        reports.want(false, seen);
        let (_, answers) = bounded(1);
        reports.ask(false, answers, seen);
        assert_eq!(reports.answer(false), None, "the other end is gone");
        reports.keep(false, Some(text.to_owned()), Duration::ZERO);
        reports
    }

    #[test]
    fn a_text_counts_until_something_happens_or_it_is_old() {
        let mut reports = with_text("first", 7);
        let same = reports.want(false, 7);
        assert_eq!(reports.get(same), Some(Ok("first".into())));
        assert_eq!(reports.due_at(), None);
        for (history, seen) in [(false, 8), (true, 7)] {
            let later = reports.want(history, seen);
            assert_eq!(reports.get(later), None, "it is from before");
            assert!(reports.due_at().is_some());
        }
        let mut reports = with_text("second", 7);
        let kept = Instant::now();
        loop {
            let same = reports.want(false, 7);
            if reports.get(same).is_none() {
                break;
            }
            assert!(kept.elapsed() < FRESH * 100, "it counts for ever");
            std::thread::yield_now();
        }
        assert!(kept.elapsed() >= FRESH - Duration::from_millis(1));
        let mut reports = with_text(&"x".repeat(TEXT_MAX + 1), 7);
        reports.tidy();
        let long = reports.want(false, 7);
        assert_eq!(reports.get(long), None);
    }

    #[test]
    fn who_comes_while_the_engine_is_asked_joins_only_if_nothing_has_happened() {
        let mut reports = Reports::default();
        let first = reports.want(false, 1);
        let (answer, answers) = bounded::<Answer>(1);
        reports.ask(false, answers, 1);
        assert_eq!(reports.want(false, 1), first);
        let later = reports.want(false, 2);
        assert_ne!(later, first);
        assert!(!reports.is_due(false, Instant::now()), "one after the other");
        drop(answer);
        assert_eq!((reports.get(first), reports.answer(false)), (None, None));
        assert_eq!(reports.get(first), Some(Err(ResultCode::Busy)), "the engine lets go");
        assert_eq!(reports.get(later), None);
        assert!(reports.is_due(false, Instant::now()));
    }

    #[test]
    fn the_pause_grows_with_what_a_text_takes() {
        for (took, pause) in [(0, 20), (10, 40), (50, 200), (10_000, 500)] {
            let mut reports = Reports::default();
            reports.want(false, 0);
            let begun = Instant::now();
            reports.keep(true, None, Duration::from_millis(took));
            let due = reports.due_at().expect("somebody waits");
            let (pause, kept) = (Duration::from_millis(pause), Instant::now());
            assert!(due >= begun + pause && due <= kept + pause);
            assert!(!reports.is_due(false, due - Duration::from_millis(1)));
            assert!(reports.is_due(false, due));
        }
    }
}
