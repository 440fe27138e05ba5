// SPDX-License-Identifier: GPL-2.0-or-later
//! What the threads that serve clients share: the connections that are open, what each waits for,
//! and which of them goes when there is no room for another.

use super::desk::Desk;
use super::limiter::{self, Limiter};
use super::places::{Places, Wait};
use super::socket::Frame;
use crate::sys::poll;
use crossbeam_channel::{Receiver, Sender};
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A client that has not said what it wants within this may be cut off if others have no place: no
/// sooner, or one that is about to say it would be.
pub(super) const SILENCE: Duration = Duration::from_millis(10);
/// A long answer that has not been taken after this may be cut off if others have no place.
const SLOW_READER: Duration = Duration::from_millis(250);
/// Such an error is logged this often.
pub(super) const LOG_EVERY: Duration = Duration::from_secs(10);

/// A connection that the acceptor hands over.
pub(super) struct Visit {
    pub(super) stream: TcpStream,
    /// What has come of its request.
    pub(super) frame: Box<Frame>,
}

/// A connection that a thread works on.
pub(super) struct Live {
    pub(super) stream: Arc<TcpStream>,
    pub(super) stage: Stage,
}

/// For what a connection waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Since then for its request.
    Silent(Instant),
    /// For the engine.
    Asked,
    /// In a place of its own, for what may take long.
    Waits(Wait),
    /// Since then for its client, which has to take a long answer.
    Reads(Instant),
    /// For nothing but its client's end: it has its answer.
    Answered,
    /// For its thread: it has been closed to make room.
    Closed,
}

impl Stage {
    /// Whether the client has been silent for long enough to be cut off.
    fn is_silent(self) -> bool {
        matches!(self, Stage::Silent(since) if since.elapsed() >= SILENCE)
    }

    /// For what it has a place of its own, if it has one.
    pub(super) fn waits(self) -> Option<Wait> {
        match self {
            Stage::Waits(wait) => Some(wait),
            Stage::Silent(_) | Stage::Asked | Stage::Reads(_) | Stage::Answered | Stage::Closed => {
                None
            }
        }
    }
}

/// What the threads share.
pub(super) struct Shared {
    pub(super) listener: TcpListener,
    /// Where the acceptor hands over what it does not answer itself.
    pub(super) accepted: Receiver<Visit>,
    pub(super) desk: Desk,
    /// Connections by the order in which they came.
    pub(super) live: Mutex<BTreeMap<u64, Live>>,
    pub(super) next_number: AtomicU64,
    /// How many threads there are.
    pub(super) threads: AtomicUsize,
    /// How many of them wait for a connection, or are about to.
    pub(super) idle: AtomicUsize,
    pub(super) places: Places,
    /// Something comes out whenever a connection has ended: then there is room.
    pub(super) room: (Sender<()>, Receiver<()>),
    pub(super) stopping: AtomicBool,
    pub(super) errors: Mutex<Limiter>,
}

impl Shared {
    pub(super) fn live(&self) -> MutexGuard<'_, BTreeMap<u64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a thread is there for the next connection.
    pub(super) fn has_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) > 0
    }

    /// Closes a connection, but not the one given: one that has its answer, or else the oldest
    /// that has not said what it wants (one whose request has come and only has not been read is
    /// not meant), or else the one that has been reading its answer for the longest time. False
    /// if there is none of these.
    pub(super) fn make_room(&self, but: Option<u64>) -> bool {
        let mut live = self.live();
        let others = || live.iter().filter(|(number, _)| Some(**number) != but);
        let answered = || others().find(|(_, entry)| entry.stage == Stage::Answered);
        let silent =
            || others().find(|(_, entry)| entry.stage.is_silent() && !has_sent(&entry.stream));
        let slow = || {
            let since = |entry: &Live| match entry.stage {
                Stage::Reads(since) => Some(since).filter(|at| at.elapsed() >= SLOW_READER),
                Stage::Silent(_)
                | Stage::Asked
                | Stage::Waits(_)
                | Stage::Answered
                | Stage::Closed => None,
            };
            let slow = others().filter(|(_, entry)| since(entry).is_some());
            slow.min_by_key(|(_, entry)| since(entry))
        };
        let found = answered().or_else(silent).or_else(slow).map(|(number, _)| *number);
        if let Some(entry) = found.and_then(|number| live.get_mut(&number)) {
            // Its thread wakes up and finds it closed.
            let _ = entry.stream.shutdown(Shutdown::Both);
            entry.stage = Stage::Closed;
        }
        found.is_some()
    }

    /// Logs what would fill the log if it came again and again.
    pub(super) fn complain(&self, text: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held_back) = errors.pass(Instant::now()) {
            let more = limiter::more(held_back);
            log::warn!("{text}{more}");
        }
    }
}

/// Whether there is something to read, without waiting for it.
fn has_sent(stream: &TcpStream) -> bool {
    matches!(poll::wait([stream.as_fd()], Some(Duration::ZERO)), Ok([true]))
}
