// SPDX-License-Identifier: GPL-2.0-or-later
//! A switch between the members of a lab, whose links lose, delay, double, reorder and hold
//! back what goes over them, each direction of each link on its own.
//!
//! Each member's network namespace has a TAP device, whose other end a thread here holds. Port
//! `n` is member `n`'s; the last port is the lab's own, for clients: its links are always fair.
//! Who has which port is known beforehand, so that nothing is learnt and no ARP is needed.

mod ports;
mod tap;
mod weather;

pub use ports::Network;
pub use weather::{Copy, Counts, Link, Weather};

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the thread looks at least what it shall do.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Frames that are on their way together; what comes on top is lost.
const ON_THE_WAY_MAX: usize = 100_000;
/// Frames read from one port before the next one's turn.
const BATCH: usize = 64;
/// More than a frame has.
const FRAME_MAX: usize = 4096;

/// The links, by sending and receiving port.
type Links = Vec<Vec<Link>>;

/// A switch that works until it is dropped.
pub struct Switch {
    links: Arc<Mutex<Links>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    members: usize,
}

impl Switch {
    /// A switch with one port for each of these files, the last one being the lab's.
    fn new(taps: Vec<File>, seed: u64) -> Switch {
        let ports = taps.len();
        let link = |from: usize, to: usize| {
            // Any different numbers: each link draws on its own.
            Link::new(
                seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(((from << 8) | to) as u64),
            )
        };
        let links: Links =
            (0..ports).map(|from| (0..ports).map(|to| link(from, to)).collect()).collect();
        let links = Arc::new(Mutex::new(links));
        let stop = Arc::new(AtomicBool::new(false));
        let work =
            Work { taps, links: Arc::clone(&links), on_the_way: BinaryHeap::new(), count: 0 };
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || work.run(&told));
        Switch { links, stop, thread: Some(thread), members: ports - 1 }
    }

    /// Changes the weather on one direction of one link.
    #[track_caller]
    pub fn set(&self, from: usize, to: usize, change: impl FnOnce(&mut Weather)) {
        assert!(from < self.members && to < self.members && from != to, "{from} to {to}");
        self.with(|links| change(&mut links[from][to].weather));
    }

    /// Changes the weather on all links between members.
    pub fn set_all(&self, change: impl Fn(&mut Weather)) {
        for from in 0..self.members {
            for to in (0..self.members).filter(|to| *to != from) {
                self.set(from, to, &change);
            }
        }
    }

    /// Fair weather everywhere.
    pub fn heal(&self) {
        self.set_all(|weather| *weather = Weather::default());
    }

    /// What has happened between members so far.
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.with(|links| {
            for link in links[..self.members].iter().flat_map(|row| &row[..self.members]) {
                all += link.counts;
            }
        });
        all
    }

    /// Whether a link holds frames back.
    pub fn holds(&self) -> bool {
        self.with(|links| links.iter().flatten().any(Link::holds))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Links) -> T) -> T {
        act(&mut self.links.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A switch that failed has been noticed: nothing went through it any more.
            let _ = thread.join();
        }
    }
}

/// A copy of a frame on its way: when it arrives, in which order among those of one time, its
/// link, its number there, and the frame.
type OnTheWay = Reverse<(Instant, u64, usize, usize, u64, Vec<u8>)>;

/// The thread.
struct Work {
    taps: Vec<File>,
    links: Arc<Mutex<Links>>,
    on_the_way: BinaryHeap<OnTheWay>,
    count: u64,
}

impl Work {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let next = self.on_the_way.peek().map(|Reverse(first)| first.0);
            let wait = next.map_or(LOOK_EVERY, |at| at.saturating_duration_since(Instant::now()));
            tap::wait_readable(&self.taps, wait.min(LOOK_EVERY));
            let links = Arc::clone(&self.links);
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            self.release(&mut links);
            for port in 0..self.taps.len() {
                self.read(port, &mut links);
            }
            self.deliver(&mut links);
        }
    }

    /// Sends on what clogged links held back.
    fn release(&mut self, links: &mut Links) {
        for (from, row) in links.iter_mut().enumerate() {
            for (to, link) in row.iter_mut().enumerate().filter(|(_, link)| link.holds()) {
                for copy in link.released() {
                    self.send(from, to, copy);
                }
            }
        }
    }

    /// Takes the frames that a port has.
    fn read(&mut self, from: usize, links: &mut Links) {
        let mut bytes = [0; FRAME_MAX];
        for _ in 0..BATCH {
            // Nothing there, or a device whose namespace is not up yet.
            let Ok(length) = self.taps[from].read(&mut bytes) else { return };
            let frame = &bytes[..length];
            let Some(receiver) = ports::receiver(frame) else { continue };
            for to in (0..self.taps.len()).filter(|to| *to != from) {
                if receiver.is_none_or(|port| port == to) {
                    for copy in links[from][to].take(frame) {
                        self.send(from, to, copy);
                    }
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, copy: Copy) {
        if self.on_the_way.len() < ON_THE_WAY_MAX {
            self.count += 1;
            let at = Instant::now() + copy.after;
            self.on_the_way.push(Reverse((at, self.count, from, to, copy.number, copy.bytes)));
        }
    }

    /// Hands on what arrives now. A port that takes no more loses it, as a real one does.
    fn deliver(&mut self, links: &mut Links) {
        let now = Instant::now();
        while self.on_the_way.peek().is_some_and(|Reverse(first)| first.0 <= now) {
            let Some(Reverse((_, _, from, to, number, bytes))) = self.on_the_way.pop() else {
                return;
            };
            // A device takes a frame as a whole or not at all.
            match self.taps[to].write_all(&bytes) {
                Ok(()) => links[from][to].arrives(number),
                Err(_) => links[from][to].counts.lost += 1,
            }
        }
    }
}
