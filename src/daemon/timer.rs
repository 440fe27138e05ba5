// SPDX-License-Identifier: GPL-2.0-or-later
//! The timer: the wheel with every ticket's alarm, and a thread that wakes the engine's loop when
//! the nearest one is due.
//!
//! The loop sets the alarms and takes out those that are due, the thread only sleeps until the
//! nearest and rings; both hold the wheel for moments. A ring that is lost costs at most a second,
//! because the loop looks at the wheel in every round and begins one at least every [`LOOK_EVERY`].
#![forbid(unsafe_code)]

use crate::model::TicketIndex;
use crate::time::{MonoTime, Now, Span};
use crate::wheel::Wheel;
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest time between two looks of the loop at the wheel.
pub const LOOK_EVERY: Span = Span::from_secs(1);
/// The thread's stack: it calls nothing that is deep.
const STACK: usize = 64 * 1024;

/// The loop's end of the timer.
#[derive(Debug)]
pub struct Timer {
    shared: Arc<Mutex<Shared>>,
    wake: Sender<()>,
    rings: Receiver<()>,
}

/// What the loop and the thread share.
#[derive(Debug)]
struct Shared {
    wheel: Wheel,
    /// Until when the thread sleeps; `None`: until it is woken.
    asleep_until: Option<MonoTime>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Timer {
    /// Starts the thread; it ends when the timer is dropped.
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn start(clock: fn() -> Now) -> io::Result<Timer> {
        let shared = Arc::new(Mutex::new(Shared { wheel: Wheel::new(), asleep_until: None }));
        let ((wake, woken), (ring, rings)) = (bounded(1), bounded(1));
        let timer = Timer { shared: Arc::clone(&shared), wake, rings };
        let builder = std::thread::Builder::new().name("timer".to_owned()).stack_size(STACK);
        builder.spawn(move || run(clock, &shared, &woken, &ring))?;
        Ok(timer)
    }

    /// Sets the ticket's alarm, in place of an earlier one. The thread hears of it with
    /// [`Timer::flush`].
    pub fn arm(&mut self, ticket: TicketIndex, at: MonoTime) {
        lock(&self.shared).wheel.arm(ticket, at);
    }

    /// Takes the ticket's alarm away.
    pub fn disarm(&mut self, ticket: TicketIndex) {
        lock(&self.shared).wheel.disarm(ticket);
    }

    /// Wakes the thread if it would sleep past the nearest alarm. One that sleeps less than it may
    /// looks again by itself.
    pub fn flush(&mut self) {
        let mut shared = lock(&self.shared);
        let Some((at, _)) = shared.wheel.next() else { return };
        if shared.asleep_until.is_none_or(|until| at < until) {
            shared.asleep_until = Some(at);
            // One that waits there already says the same.
            let _ = self.wake.try_send(());
        }
    }

    /// Where the alarms ring.
    pub fn rings(&self) -> Receiver<()> {
        self.rings.clone()
    }

    /// Takes out the nearest alarm that is due, if there is one.
    pub fn due(&mut self, now: MonoTime) -> Option<TicketIndex> {
        lock(&self.shared).wheel.ring(now).map(|(_, ticket)| ticket)
    }
}

/// The thread: rings if something is due, then sleeps until the nearest alarm that is not, or until
/// it is woken. So a ring does not cost a second wake-up of the thread.
fn run(clock: fn() -> Now, shared: &Mutex<Shared>, woken: &Receiver<()>, ring: &Sender<()>) {
    loop {
        let now = clock().mono;
        let (rings, next) = {
            let mut shared = lock(shared);
            let rings = shared.wheel.next().is_some_and(|(at, _)| at <= now);
            shared.asleep_until = shared.wheel.next_after(now);
            (rings, shared.asleep_until)
        };
        if rings {
            // A ring that has not been heard yet says the same.
            let _ = ring.try_send(());
        }
        let woken = match next {
            Some(at) => woken.recv_timeout(at.since(now).as_duration()),
            None => woken.recv().map_err(RecvTimeoutError::from),
        };
        if woken == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use std::time::Duration;

    /// A timer whose thread is the test, and the thread's ends.
    fn by_hand() -> (Timer, Receiver<()>) {
        let shared = Arc::new(Mutex::new(Shared { wheel: Wheel::new(), asleep_until: None }));
        let ((wake, woken), (_ring, rings)) = (bounded(1), bounded(1));
        (Timer { shared, wake, rings }, woken)
    }

    fn at(secs: u64) -> MonoTime {
        MonoTime::from_micros(secs * 1_000_000)
    }

    #[test]
    fn the_nearest_alarm_rings_and_a_disarmed_one_does_not() {
        let mut timer = Timer::start(clock::now).expect("a thread");
        let begun = clock::mono();
        timer.arm(TicketIndex::new(0), begun.plus(Span::from_millis(80)));
        timer.arm(TicketIndex::new(1), begun.plus(Span::from_millis(10)));
        timer.disarm(TicketIndex::new(1));
        timer.flush();
        timer.rings().recv_timeout(Duration::from_secs(5)).expect("it rings");
        assert!(clock::mono().since(begun) >= Span::from_millis(80), "not before its time");
        assert!(timer.rings().recv_timeout(Duration::from_millis(50)).is_err(), "only once");
        assert_eq!(timer.due(clock::mono()), Some(TicketIndex::new(0)));
        assert_eq!(timer.due(clock::mono()), None);
    }

    #[test]
    fn an_alarm_after_a_ring_rings_too() {
        let mut timer = Timer::start(clock::now).expect("a thread");
        for _ in 0..20 {
            let soon = clock::mono().plus(Span::from_millis(2));
            (0..300).for_each(|index| timer.arm(TicketIndex::new(index), soon));
            timer.flush();
            // A ring that was on its way when the last round took its tickets comes early.
            while timer.due(clock::mono()).is_none() {
                timer.rings().recv_timeout(Duration::from_secs(5)).expect("it rings");
            }
            // It has rung for all of them; what is left is rung for again.
            timer.flush();
            timer.rings().recv_timeout(Duration::from_secs(5)).expect("it rings");
            let rest = std::iter::from_fn(|| timer.due(clock::mono()));
            assert_eq!(rest.count(), 299);
        }
    }

    #[test]
    fn the_thread_is_woken_only_for_an_alarm_before_the_one_it_sleeps_until() {
        let (mut timer, woken) = by_hand();
        let ticket = TicketIndex::new;
        let wakes = |timer: &mut Timer| {
            timer.flush();
            woken.try_recv().is_ok()
        };
        assert!(!wakes(&mut timer), "there is nothing to wait for");
        timer.arm(ticket(0), at(10));
        assert!(wakes(&mut timer));
        timer.arm(ticket(1), at(20));
        assert!(!wakes(&mut timer), "a later one");
        timer.arm(ticket(0), at(30));
        assert!(!wakes(&mut timer), "it looks at 10 anyway");
        timer.arm(ticket(2), at(25));
        timer.disarm(ticket(1));
        assert!(!wakes(&mut timer));
        timer.arm(ticket(2), at(5));
        assert!(wakes(&mut timer), "an earlier one");
        // It has rung for that and sleeps until it is woken.
        lock(&timer.shared).asleep_until = None;
        assert_eq!(timer.due(at(5)), Some(ticket(2)));
        assert!(wakes(&mut timer), "the next one is at 30");
        assert!(!wakes(&mut timer), "said once");
    }
}
