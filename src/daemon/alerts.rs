// SPDX-License-Identifier: GPL-2.0-or-later
//! Alerts: the executables in a directory are told of events, one event and one executable after
//! the other, in a thread of its own, so that none of them is in the way of anything else.
//!
//! They run as the daemon's user. An executable counts only if root or that user owns it and nobody
//! else can write to it, and so does the directory: whoever could write there would run programs as
//! the daemon's user.
#![forbid(unsafe_code)]

use super::entry::Entry;
use super::limiter::Limiter;
use super::spawn::spawn;
use crate::engine::EventKind;
use crate::model::Roster;
use crate::store::program::{self, Executables};
use crate::sys::clock::LocalTime;
use crossbeam_channel::{bounded, Receiver, Sender, TrySendError};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the executables are.
pub const DIRECTORY: &str = "/etc/booth/alert.d";
/// So many events wait; more are lost, and counted.
pub const ALERT_QUEUE: usize = 200;
/// What others can provoke at will is told so often, for each kind and member.
pub const PROVOKED_EVERY: Duration = Duration::from_secs(3600);
/// How long an executable may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The way to the thread.
#[derive(Clone, Debug)]
pub struct Alerts {
    queue: Sender<Entry>,
    lost: Arc<AtomicU64>,
}

/// What every alert says of the member that gives it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The name of the cluster.
    pub cluster: String,
    /// The members; this one's address is told.
    pub roster: Roster,
}

impl Alerts {
    /// Starts the thread, which runs what is in `directory` for at most `limit` each. The program
    /// with the `helper` sees to the limit when the daemon has ended.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        directory: &Path,
        limit: Duration,
        helper: Option<&Path>,
        origin: Origin,
    ) -> io::Result<Alerts> {
        let (queue, events) = bounded(ALERT_QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let (directory, counted) = (directory.to_owned(), Arc::clone(&lost));
        let helper = helper.map(Path::to_owned);
        let runner = Runner { directory, limit, helper, origin, events, lost: counted };
        spawn("alerts", move || runner.run())?;
        Ok(Alerts { queue, lost })
    }

    /// Tells of an event, if it is one that alerts are for; never waits.
    pub fn tell(&self, entry: &Entry) {
        // What others can provoke must not be in the way of anything else.
        if !is_alert(entry.kind) || entry.provoked && !self.queue.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.queue.try_send(entry.clone()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether alerts are for events of this kind.
pub const fn is_alert(kind: EventKind) -> bool {
    match kind {
        EventKind::Granted
        | EventKind::Lost
        | EventKind::Revoked
        | EventKind::Moved
        | EventKind::Freed
        | EventKind::NoMajority
        | EventKind::MajorityBack
        | EventKind::StoreFailing
        | EventKind::StoreWorking
        | EventKind::HandlerFailed
        | EventKind::ConfigDiffers
        | EventKind::ConfigAgrees
        | EventKind::MemberLost
        | EventKind::MemberBack
        | EventKind::ClockOff
        | EventKind::ClockRight
        | EventKind::AuthFailed => true,
        EventKind::Standing
        | EventKind::Elected
        | EventKind::Refused
        | EventKind::Asked
        | EventKind::Answered
        | EventKind::Started => false,
    }
}

/// The thread.
struct Runner {
    directory: PathBuf,
    limit: Duration,
    helper: Option<PathBuf>,
    origin: Origin,
    events: Receiver<Entry>,
    lost: Arc<AtomicU64>,
}

impl Runner {
    /// Runs until the daemon ends.
    fn run(self) {
        let mut provoked = BTreeMap::new();
        while let Ok(entry) = self.events.recv() {
            let limiter = || Limiter::new(PROVOKED_EVERY);
            let again = entry
                .provoked
                .then(|| provoked.entry((entry.kind, entry.member)).or_insert_with(limiter));
            if again.is_some_and(|limiter| limiter.pass(Instant::now()).is_none()) {
                continue;
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                log::warn!("{lost} alerts were lost because those before them took too long");
            }
            match program::executables(&self.directory) {
                Ok(Executables { programs, refused }) => {
                    for refusal in refused {
                        log::warn!("{refusal}");
                    }
                    programs.iter().for_each(|program| self.alert(program, &entry));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    log::warn!("no alert of {}: {}: {error}", entry.kind.word(), self.shown());
                }
            }
        }
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.directory.display()
    }

    /// Runs one executable for one event, to its end or until its time is over.
    fn alert(&self, program: &Path, entry: &Entry) {
        let (kind, shown) = (entry.kind.word(), program.display());
        let helper = self.helper.as_deref();
        match program::run(program, helper, self.environment(entry), self.limit) {
            Ok(Some(Ok(()))) => log::debug!("alert {shown} was told: {kind}"),
            Ok(Some(Err(failure))) => log::warn!("alert {shown} ({kind}): {failure}"),
            Ok(None) => {
                let secs = self.limit.as_secs();
                log::warn!("alert {shown} ({kind}) was ended because it took more than {secs} s");
            }
            Err(error) => log::warn!("alert {shown} ({kind}): {error}"),
        }
    }

    /// What an executable is told. What does not apply is empty, as in Pacemaker's alerts.
    fn environment(&self, entry: &Entry) -> Vec<(&'static str, String)> {
        let roster = &self.origin.roster;
        let address = |member| roster.member(member).address.to_string();
        let or_empty = |text: Option<String>| text.unwrap_or_default();
        vec![
            ("BOOTH_ALERT_VERSION", env!("CARGO_PKG_VERSION").to_owned()),
            ("BOOTH_ALERT_KIND", entry.kind.word().to_owned()),
            ("BOOTH_ALERT_TIME", LocalTime::rfc3339(entry.at.wall)),
            ("BOOTH_ALERT_TIME_EPOCH", entry.at.wall.as_secs().to_string()),
            ("BOOTH_ALERT_NUMBER", entry.number.to_string()),
            ("BOOTH_ALERT_CLUSTER", self.origin.cluster.clone()),
            ("BOOTH_ALERT_MEMBER", address(roster.me())),
            ("BOOTH_ALERT_TICKET", or_empty(entry.ticket.as_ref().map(|name| name.to_string()))),
            ("BOOTH_ALERT_PEER", or_empty(entry.member.map(address))),
            ("BOOTH_ALERT_TERM", or_empty(entry.term.map(|term| term.to_string()))),
            ("BOOTH_ALERT_DETAIL", entry.text.clone()),
        ]
    }
}

#[cfg(test)]
mod tests;
