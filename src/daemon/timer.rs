// SPDX-License-Identifier: GPL-2.0-or-later
//! When the engine's loop has to look at the time: at the wheel's next alarm, at the engine's
//! own next deadline, and once a second besides.
//!
//! Timers are hints: the engine compares its deadlines with the clock in every step, so a lost
//! alarm costs at most the second until the next look. There is no thread behind this, because
//! the loop knows how long it may sleep; a thread could only add a queue that fills and a second
//! wake-up for each deadline. Pure: the loop brings the time.
#![forbid(unsafe_code)]

use super::wheel::Wheel;
use crate::model::TicketIndex;
use crate::time::{MonoTime, Span};

/// The loop looks at everything this often although nothing happens.
pub const LOOK_EVERY: Span = Span::from_secs(1);
/// How soon a deadline is looked at again that a look at the time has left behind. The engine
/// leaves none; if it did, it would cost some processor time, not the daemon.
const LEFT_BEHIND: Span = Span::from_millis(1);

/// The alarms, and when the last look was.
#[derive(Clone, Debug)]
pub struct Timer {
    wheel: Wheel,
    last_look: MonoTime,
    /// The engine's deadline that was due at the last look and still stands.
    left: Option<MonoTime>,
}

impl Timer {
    /// A timer without alarms that looked at `now` for the last time.
    pub fn new(now: MonoTime) -> Timer {
        Timer { wheel: Wheel::new(), last_look: now, left: None }
    }

    /// Sets the ticket's alarm.
    pub fn arm(&mut self, ticket: TicketIndex, at: MonoTime) {
        self.wheel.arm(ticket, at);
    }

    /// Takes the ticket's alarm away.
    pub fn disarm(&mut self, ticket: TicketIndex) {
        self.wheel.disarm(ticket);
    }

    /// When the next look is due, with the engine's own nearest deadline.
    pub fn next_look(&self, deadline: Option<MonoTime>) -> MonoTime {
        let deadline = match (deadline, self.left) {
            (Some(at), Some(left)) if at == left => Some(self.last_look.plus(LEFT_BEHIND)),
            _ => deadline,
        };
        let alarm = self.wheel.next().map(|(at, _)| at);
        let idle = self.last_look.plus(LOOK_EVERY);
        [alarm, deadline].into_iter().flatten().fold(idle, MonoTime::min)
    }

    /// Whether a look is due; then the alarms that rang are gone and the second begins anew.
    pub fn ring(&mut self, now: MonoTime, deadline: Option<MonoTime>) -> bool {
        if self.next_look(deadline) > now {
            return false;
        }
        while self.wheel.ring(now).is_some() {}
        self.last_look = now;
        true
    }

    /// Notes the engine's nearest deadline after the step that a ring led to.
    pub fn looked(&mut self, deadline: Option<MonoTime>) {
        self.left = deadline.filter(|at| *at <= self.last_look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::ZERO.plus(Span::from_millis(millis))
    }

    #[test]
    fn an_idle_timer_looks_once_a_second() {
        let mut timer = Timer::new(at(0));
        assert_eq!(timer.next_look(None), at(1_000));
        assert!(!timer.ring(at(999), None));
        assert!(timer.ring(at(1_300), None));
        assert_eq!(timer.next_look(None), at(2_300));
    }

    #[test]
    fn the_nearest_of_alarm_and_deadline_comes_first() {
        let mut timer = Timer::new(at(0));
        let ticket = TicketIndex::new(3);
        timer.arm(ticket, at(500));
        assert_eq!(timer.next_look(Some(at(700))), at(500));
        assert_eq!(timer.next_look(Some(at(400))), at(400));
        assert!(timer.ring(at(500), Some(at(700))));
        assert_eq!(timer.next_look(Some(at(700))), at(700));
        timer.arm(ticket, at(600));
        timer.disarm(ticket);
        assert_eq!(timer.next_look(None), at(1_500));
    }

    #[test]
    fn a_deadline_that_stays_due_does_not_keep_the_processor_busy() {
        let mut timer = Timer::new(at(0));
        let stuck = Some(at(10));
        assert!(timer.ring(at(20), stuck));
        timer.looked(stuck);
        assert_eq!(timer.next_look(stuck), at(21));
        assert!(!timer.ring(at(20), stuck));
        assert!(timer.ring(at(21), stuck));
        timer.looked(None);
        assert_eq!(timer.next_look(Some(at(15))), at(15));
    }
}
