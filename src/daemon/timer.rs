// SPDX-License-Identifier: GPL-2.0-or-later
//! The timer's thread around the wheel, and the engine's end of it.
//!
//! Timers are hints: the engine compares its deadlines with the clock in every step, so a lost
//! alarm costs at most the second until the loop's next look. Wishes are collected during a round
//! of the loop, so that at most one per ticket goes through the queue; what finds no room there
//! is offered again after the next round. They are handed on only when they change which alarm is
//! the nearest: all others can wait until that one has rung, and the thread sleeps meanwhile. A
//! ring that is waiting already says all that another one could say.
#![forbid(unsafe_code)]

use super::channels::TIMER_QUEUE;
use crate::model::TicketIndex;
use crate::time::{MonoTime, Now, Span};
use crate::wheel::Wheel;
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender, TrySendError};
use std::collections::BTreeMap;
use std::io;

/// The loop looks at everything this often although nothing happens.
pub const LOOK_EVERY: Span = Span::from_secs(1);
/// How soon a deadline is looked at again that a look at the time has left behind: the engine
/// handles so many tickets per step, the rest after the other queues had their turn.
const LEFT_BEHIND: Span = Span::from_millis(1);
/// The timer's stack: it calls nothing that is deep.
const STACK: usize = 64 * 1024;

/// A ticket's alarm, or none.
type Wish = (TicketIndex, Option<MonoTime>);

/// The engine's end: sets alarms, hears them ring, and knows when the last look was.
#[derive(Debug)]
pub struct Timer {
    wishes: Sender<Wish>,
    rings: Receiver<()>,
    /// Wishes that have not been handed on.
    changed: BTreeMap<TicketIndex, Option<MonoTime>>,
    /// The alarms among them.
    wanted: Wheel,
    /// The alarms that the thread knows.
    known: Wheel,
    /// Whether some found no room. Only then is it worth coming back for them soon: all others
    /// are handed on at the end of the round.
    crowded: bool,
    last_look: MonoTime,
    /// Whether the last look has left something behind that is due.
    left: bool,
}

impl Timer {
    /// Starts the thread; it ends when the timer is dropped.
    ///
    /// # Errors
    /// There cannot be another thread.
    pub fn start(clock: fn() -> Now) -> io::Result<Timer> {
        let (wishes, wishes_end) = bounded(TIMER_QUEUE);
        let (ring, rings) = bounded(1);
        let builder = std::thread::Builder::new().name("timer".to_owned()).stack_size(STACK);
        builder.spawn(move || run(clock, &wishes_end, &ring))?;
        let last_look = clock().mono;
        Ok(Timer::around(wishes, rings, last_look))
    }

    /// The engine's end of these queues.
    fn around(wishes: Sender<Wish>, rings: Receiver<()>, last_look: MonoTime) -> Timer {
        let (changed, wanted, known) = (BTreeMap::new(), Wheel::new(), Wheel::new());
        Timer { wishes, rings, changed, wanted, known, crowded: false, last_look, left: false }
    }

    /// Sets the ticket's alarm, in place of an earlier one.
    pub fn arm(&mut self, ticket: TicketIndex, at: MonoTime) {
        self.changed.insert(ticket, Some(at));
        self.wanted.arm(ticket, at);
    }

    /// Takes the ticket's alarm away.
    pub fn disarm(&mut self, ticket: TicketIndex) {
        self.changed.insert(ticket, None);
        self.wanted.disarm(ticket);
    }

    /// Hands on what has changed, if it changes which alarm is the nearest; true if all of it found
    /// room.
    pub fn flush(&mut self) -> bool {
        if !self.crowded && !self.is_urgent() {
            return true;
        }
        self.crowded = false;
        while let Some((ticket, at)) = self.changed.pop_first() {
            match self.wishes.try_send((ticket, at)) {
                Ok(()) => {
                    self.wanted.disarm(ticket);
                    match at {
                        Some(at) => self.known.arm(ticket, at),
                        None => {
                            self.known.disarm(ticket);
                        }
                    }
                }
                Err(TrySendError::Full(_)) => {
                    self.changed.insert(ticket, at);
                    self.crowded = true;
                    return false;
                }
                Err(TrySendError::Disconnected(_)) => panic!("the timer's thread lives on"),
            }
        }
        true
    }

    /// Whether a wish is for an alarm before the nearest that the thread knows, or instead of that.
    fn is_urgent(&self) -> bool {
        let wanted = self.wanted.next().map(|(at, _)| at);
        match self.known.next() {
            None => wanted.is_some(),
            Some((nearest, ticket)) => {
                wanted.is_some_and(|at| at < nearest) || self.changed.contains_key(&ticket)
            }
        }
    }

    /// Where the alarms ring.
    pub fn rings(&self) -> Receiver<()> {
        self.rings.clone()
    }

    /// When the next look is due although nothing rings.
    pub fn next_look(&self) -> MonoTime {
        let pause = if self.left || self.crowded { LEFT_BEHIND } else { LOOK_EVERY };
        self.last_look.plus(pause)
    }

    /// Whether a look is due: something rang, the engine's nearest deadline has passed, or a
    /// second is over.
    pub fn look(&mut self, now: MonoTime, deadline: Option<MonoTime>) -> bool {
        let rang = self.rings.try_recv().is_ok();
        let passed = deadline.is_some_and(|at| at <= now) && !self.left;
        if !rang && !passed && now < self.next_look() {
            return false;
        }
        self.last_look = now;
        // These ring by themselves, if they have not yet.
        while self.known.ring(now).is_some() {}
        true
    }

    /// Notes the engine's nearest deadline after the step that a look led to.
    pub fn looked(&mut self, deadline: Option<MonoTime>) {
        self.left = deadline.is_some_and(|at| at <= self.last_look);
    }
}

/// The thread: waits for the nearest alarm or for another wish.
fn run(clock: fn() -> Now, wishes: &Receiver<Wish>, ring: &Sender<()>) {
    let mut wheel = Wheel::new();
    loop {
        let now = clock().mono;
        let mut rang = false;
        while wheel.ring(now).is_some() {
            rang = true;
        }
        if rang {
            let _ = ring.try_send(());
        }
        let wish = match wheel.next() {
            Some((at, _)) => wishes.recv_timeout(at.since(now).as_duration()),
            None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match wish {
            Ok((ticket, Some(at))) => wheel.arm(ticket, at),
            Ok((ticket, None)) => {
                wheel.disarm(ticket);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use std::time::Duration;

    #[test]
    fn the_nearest_alarm_rings_and_a_disarmed_one_does_not() {
        let mut timer = Timer::start(clock::now).expect("a thread");
        let begun = clock::mono();
        timer.arm(TicketIndex::new(0), begun.plus(Span::from_millis(80)));
        timer.arm(TicketIndex::new(1), begun.plus(Span::from_millis(10)));
        timer.disarm(TicketIndex::new(1));
        assert!(timer.flush());
        timer.rings().recv_timeout(Duration::from_secs(5)).expect("it rings");
        assert!(clock::mono().since(begun) >= Span::from_millis(80), "not before its time");
        assert!(timer.rings().recv_timeout(Duration::from_millis(50)).is_err(), "only once");
    }

    #[test]
    fn an_idle_loop_looks_once_a_second() {
        let mut timer = Timer::start(clock::now).expect("a thread");
        let begun = timer.last_look;
        assert_eq!(timer.next_look(), begun.plus(LOOK_EVERY));
        assert!(!timer.look(begun.plus(Span::from_millis(999)), None));
        assert!(timer.look(begun.plus(LOOK_EVERY), None));
    }

    #[test]
    fn a_passed_deadline_is_looked_at_in_the_next_round_and_soon_again_if_it_stays() {
        let mut timer = Timer::start(clock::now).expect("a thread");
        let due = timer.last_look.plus(Span::from_millis(10));
        assert!(!timer.look(due.minus(Span::from_millis(1)), Some(due)));
        assert!(timer.look(due, Some(due)));
        timer.looked(Some(due));
        assert!(!timer.look(due, Some(due)), "it does not keep the processor busy");
        assert_eq!(timer.next_look(), due.plus(LEFT_BEHIND));
        assert!(timer.look(due.plus(LEFT_BEHIND), Some(due)));
    }

    #[test]
    fn an_alarm_is_no_reason_to_look_before_its_time_unless_it_found_no_room() {
        let ((wishes, wishes_end), (_ring, rings)) = (bounded(1), bounded(1));
        let begun = clock::mono();
        let mut timer = Timer::around(wishes, rings, begun);
        timer.arm(TicketIndex::new(0), begun.plus(Span::from_secs(30)));
        assert_eq!(timer.next_look(), begun.plus(LOOK_EVERY), "it is handed on after this round");
        assert!(!timer.look(begun.plus(LEFT_BEHIND), None));
        timer.arm(TicketIndex::new(1), begun.plus(Span::from_secs(20)));
        assert!(!timer.flush(), "there is room for one");
        assert_eq!(timer.next_look(), begun.plus(LEFT_BEHIND), "the other is offered again soon");
        assert_eq!(wishes_end.try_iter().count(), 1);
        assert!(timer.flush());
        assert_eq!(wishes_end.try_iter().count(), 1, "it has not been forgotten");
        assert_eq!(timer.next_look(), begun.plus(LOOK_EVERY));
    }

    #[test]
    fn an_alarm_waits_behind_the_nearest_until_that_has_rung() {
        let ((wishes, wishes_end), (_ring, rings)) = (bounded(8), bounded(1));
        let begun = clock::mono();
        let at = |secs| begun.plus(Span::from_secs(secs));
        let ticket = TicketIndex::new;
        let mut timer = Timer::around(wishes, rings, begun);
        let handed_on = |timer: &mut Timer| {
            assert!(timer.flush());
            wishes_end.try_iter().collect::<Vec<Wish>>()
        };
        timer.arm(ticket(0), at(10));
        assert_eq!(handed_on(&mut timer), [(ticket(0), Some(at(10)))]);
        timer.arm(ticket(1), at(20));
        timer.arm(ticket(2), at(30));
        timer.disarm(ticket(2));
        assert_eq!(handed_on(&mut timer), []);
        // It rings: the next one is the nearest now.
        assert!(timer.look(at(10), Some(at(10))));
        let both = [(ticket(1), Some(at(20))), (ticket(2), None)];
        assert_eq!(handed_on(&mut timer), both);
        // A sooner one takes the others with it.
        timer.arm(ticket(3), at(40));
        assert_eq!(handed_on(&mut timer), []);
        timer.arm(ticket(4), at(15));
        assert_eq!(handed_on(&mut timer).len(), 2);
        // So does one in place of the nearest, which would ring for nothing.
        timer.arm(ticket(3), at(50));
        assert_eq!(handed_on(&mut timer), []);
        timer.arm(ticket(4), at(60));
        assert_eq!(handed_on(&mut timer).len(), 2);
        timer.disarm(ticket(1));
        assert_eq!(handed_on(&mut timer), [(ticket(1), None)]);
    }

    #[test]
    fn more_alarms_than_the_queue_has_room_for_all_arrive() {
        let mut timer = Timer::start(clock::now).expect("a thread");
        let soon = clock::mono().plus(Span::from_millis(1));
        for index in 0..4 * TIMER_QUEUE {
            timer.arm(TicketIndex::new(index), soon);
        }
        let begun = clock::mono();
        while !timer.flush() {
            assert!(clock::mono().since(begun) < Span::from_secs(5), "the thread takes them");
            std::thread::yield_now();
        }
        timer.rings().recv_timeout(Duration::from_secs(5)).expect("it rings");
    }
}
