// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads the ticket from every site's CIB many times a second, and what came of it at the end:
//! whether two sites ever had the ticket together, and for how long nobody had it.
//!
//! Two proofs that do not share an error. The histories have, for each change, a time before
//! and a time after it (`intervals`): nothing between two looks can be missed. And the looks
//! themselves, which believe no time stamp: every look reads all sites twice; a site whose last
//! line is the same both times said so at the instant between the two passes, so that two sites
//! with *granted* there held the ticket together, whatever the stamps say.

use super::cluster::Cluster;
use super::crm::{now, says_granted, Crm};
use super::intervals::{all_held, overlaps, Held};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The machine's own clock may run apart from its monotonic one by so much between two looks
/// without being said to have been set.
const DRIFT_MAX: f64 = 0.05;

/// What the looks saw.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// How many.
    pub count: u64,
    /// The longest time between two.
    pub longest_gap: Duration,
    /// When two sites said *granted* at one instant, in seconds since 1970.
    pub both: Vec<f64>,
    /// How often the machine's clock was set, which makes the histories worthless.
    pub clock_set: u64,
}

/// A recording that goes on until it is finished or dropped.
pub struct Recorder {
    ticket: String,
    begun: f64,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Looks>>,
}

impl Recorder {
    /// Begins to read `ticket` at every site.
    pub fn new(cluster: &Cluster, ticket: &str) -> Recorder {
        let sites: Vec<Crm> = (0..cluster.sites()).map(|site| cluster.crm(site).clone()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (told, name) = (Arc::clone(&stop), ticket.to_owned());
        let thread = std::thread::spawn(move || look(&sites, &name, &told));
        Recorder { ticket: ticket.to_owned(), begun: now(), stop, thread: Some(thread) }
    }

    /// Ends the recording and says what came of it.
    #[track_caller]
    pub fn finish(mut self, cluster: &Cluster) -> Outcome {
        let ended = now();
        self.stop.store(true, Ordering::Relaxed);
        let looks = self.thread.take().map(JoinHandle::join);
        let looks = looks.and_then(Result::ok).expect("the recorder has not failed");
        Outcome::of(cluster, &self.ticket, (self.begun, ended), looks)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Dropped while a test fails for another reason.
            let _ = thread.join();
        }
    }
}

/// The recording thread.
fn look(sites: &[Crm], ticket: &str, stop: &AtomicBool) -> Looks {
    let mut looks = Looks::default();
    let (mut last, mut clock) = (Instant::now(), now());
    while !stop.load(Ordering::Relaxed) {
        let read = || sites.iter().map(|site| site.last_line(ticket)).collect::<Vec<_>>();
        let (first, middle, second) = (read(), now(), read());
        let had = first
            .iter()
            .zip(&second)
            .filter(|(one, other)| one == other && one.as_deref().is_some_and(says_granted));
        if had.count() > 1 {
            looks.both.push(middle);
        }
        let gap = last.elapsed();
        let (drift, passed) = (now() - clock, gap.as_secs_f64());
        (last, clock) = (Instant::now(), now());
        looks.clock_set += u64::from((drift - passed).abs() > DRIFT_MAX);
        looks.longest_gap = looks.longest_gap.max(gap);
        looks.count += 1;
        super::wait::pass(LOOK_EVERY);
    }
    looks
}

/// What a run was like. All times in seconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How long it was.
    pub time: f64,
    /// Pairs of times in which two sites may have held the ticket together.
    pub overlaps: Vec<(Held, Held)>,
    /// The length of all of them together, and of the longest.
    pub together: (f64, f64),
    /// How long a site certainly held the ticket.
    pub held: f64,
    /// The longest time in which perhaps nobody held it.
    pub longest_gap: f64,
    /// Who had it when, counted from the beginning: site, from, to.
    pub holders: Vec<(usize, f64, f64)>,
    /// How often another site got it than the one that had it before.
    pub moves: usize,
    /// How often any site got it.
    pub grants: usize,
    /// What the looks saw.
    pub looks: Looks,
}

impl Outcome {
    fn of(cluster: &Cluster, ticket: &str, (begun, ended): (f64, f64), looks: Looks) -> Outcome {
        let histories = cluster.histories(ticket);
        let times: Vec<Held> =
            all_held(&histories).into_iter().filter(|held| held.to > begun).collect();
        let found = overlaps(&histories);
        let lengths = found.iter().map(|(one, other)| one.to.min(other.to) - other.from);
        let together = lengths
            .fold((0.0, 0.0_f64), |(all, longest), length| (all + length, longest.max(length)));
        // Held by anybody: two that hold it together count once.
        let (mut free_from, mut held, mut longest_gap) = (begun, 0.0, 0.0_f64);
        for time in &times {
            let (from, to) = (time.sure_from.max(free_from), time.sure_to.min(ended));
            if to > from {
                longest_gap = longest_gap.max(from - free_from);
                held += to - from;
                free_from = to;
            }
        }
        longest_gap = longest_gap.max(ended - free_from);
        let moves = times.windows(2).filter(|two| two[0].site != two[1].site).count();
        let (time, grants) = (ended - begun, times.len());
        let since = |at: f64| at.min(ended) - begun;
        let holders = times.iter().map(|held| (held.site, since(held.from), since(held.to)));
        let holders = holders.collect();
        Outcome {
            time,
            overlaps: found,
            together,
            held,
            longest_gap,
            holders,
            moves,
            grants,
            looks,
        }
    }

    /// Panics if two sites ever held the ticket together, or if nothing was proven about it.
    #[track_caller]
    pub fn assert_never_two(&self) {
        let looks = &self.looks;
        assert!(looks.clock_set == 0, "the machine's clock was set meanwhile: {looks:?}");
        assert!(looks.count > 0, "nobody looked");
        assert!(self.overlaps.is_empty(), "granted at two sites: {:#?}", self.overlaps);
        assert!(looks.both.is_empty(), "seen granted at two sites: {:?}", looks.both);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks = &self.looks;
        write!(
            f,
            "seconds={:.0} two_holders={} together={:.2} longest_together={:.2} held={:.2}% \
             longest_gap={:.1} moves={} grants={} looks={} a_second={:.0} longest_look={:.3}",
            self.time,
            self.overlaps.len(),
            self.together.0,
            self.together.1,
            100.0 * self.held / self.time,
            self.longest_gap,
            self.moves,
            self.grants,
            looks.count,
            looks.count as f64 / self.time,
            looks.longest_gap.as_secs_f64(),
        )
    }
}
