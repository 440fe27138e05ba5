// SPDX-License-Identifier: GPL-2.0-or-later
//! The timer wheel: at most one alarm per ticket, and which one is next. A pure data structure,
//! used by the daemon's loop and by the simulator alike; it reads no clock.
//!
//! It is an indexed heap rather than a ring of slots: the next alarm is known exactly, so that
//! an idle daemon never wakes for an empty slot. Every operation takes O(log n) steps, and
//! memory is three words for each ticket there is.

use crate::model::TicketIndex;
use crate::time::MonoTime;
use alloc::vec::Vec;

/// The alarms of all tickets.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    /// A binary heap by (instant, ticket), the nearest first.
    heap: Vec<(MonoTime, TicketIndex)>,
    /// Each ticket's place in the heap, if it has an alarm.
    places: Vec<Option<usize>>,
}

impl Wheel {
    /// A wheel without alarms.
    pub fn new() -> Wheel {
        Wheel::default()
    }

    /// Sets the ticket's alarm, in place of an earlier one.
    pub fn arm(&mut self, ticket: TicketIndex, at: MonoTime) {
        if self.places.len() <= ticket.get() {
            self.places.resize(ticket.get() + 1, None);
        }
        let place = match self.places[ticket.get()] {
            Some(place) => {
                self.heap[place].0 = at;
                place
            }
            None => {
                self.heap.push((at, ticket));
                self.heap.len() - 1
            }
        };
        self.places[ticket.get()] = Some(place);
        self.settle(place);
    }

    /// Takes the ticket's alarm away; returns whether there was one.
    pub fn disarm(&mut self, ticket: TicketIndex) -> bool {
        let Some(place) = self.places.get(ticket.get()).copied().flatten() else {
            return false;
        };
        self.places[ticket.get()] = None;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.places[self.heap[place].1.get()] = Some(place);
            self.settle(place);
        }
        true
    }

    /// The nearest alarm; of several at the same instant that of the first ticket.
    pub fn next(&self) -> Option<(MonoTime, TicketIndex)> {
        self.heap.first().copied()
    }

    /// Takes out the nearest alarm if it is due at `now`.
    pub fn ring(&mut self, now: MonoTime) -> Option<(MonoTime, TicketIndex)> {
        let (at, ticket) = self.next().filter(|(at, _)| *at <= now)?;
        self.disarm(ticket);
        Some((at, ticket))
    }

    /// The ticket's alarm, if it has one.
    pub fn alarm_of(&self, ticket: TicketIndex) -> Option<MonoTime> {
        let place = self.places.get(ticket.get()).copied().flatten()?;
        Some(self.heap[place].0)
    }

    /// How many alarms are set.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no alarm is set.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Moves the alarm at `place` up or down to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            place = self.swap(place, (place - 1) / 2);
        }
        loop {
            let left = 2 * place + 1;
            let below = [left, left + 1].into_iter().filter(|child| *child < self.heap.len());
            match below.min_by_key(|child| self.heap[*child]) {
                Some(child) if self.heap[child] < self.heap[place] => {
                    place = self.swap(place, child);
                }
                _ => return,
            }
        }
    }

    /// Exchanges two alarms and returns the second place.
    fn swap(&mut self, a: usize, b: usize) -> usize {
        self.heap.swap(a, b);
        self.places[self.heap[a].1.get()] = Some(a);
        self.places[self.heap[b].1.get()] = Some(b);
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Arm(usize, u64),
        Disarm(usize),
        Ring(u64),
    }

    fn operations() -> impl Strategy<Value = Vec<Operation>> {
        let one = prop_oneof![
            4 => (0..12usize, 0..50u64).prop_map(|(ticket, at)| Operation::Arm(ticket, at)),
            1 => (0..14usize).prop_map(Operation::Disarm),
            1 => (0..50u64).prop_map(Operation::Ring),
        ];
        proptest::collection::vec(one, 0..200)
    }

    /// The same alarms as a plain list.
    #[derive(Default)]
    struct List(Vec<(MonoTime, TicketIndex)>);

    impl List {
        fn nearest(&self) -> Option<(MonoTime, TicketIndex)> {
            let mut sorted = self.0.clone();
            sorted.sort();
            sorted.first().copied()
        }

        fn drop_ticket(&mut self, ticket: TicketIndex) -> bool {
            let before = self.0.len();
            self.0.retain(|(_, other)| *other != ticket);
            self.0.len() < before
        }
    }

    proptest! {
        #[test]
        fn the_wheel_behaves_as_a_sorted_list(operations in operations()) {
            let (mut wheel, mut list) = (Wheel::new(), List::default());
            for operation in operations {
                match operation {
                    Operation::Arm(ticket, at) => {
                        let (ticket, at) = (TicketIndex::new(ticket), MonoTime::from_micros(at));
                        wheel.arm(ticket, at);
                        list.drop_ticket(ticket);
                        list.0.push((at, ticket));
                        prop_assert_eq!(wheel.alarm_of(ticket), Some(at));
                    }
                    Operation::Disarm(ticket) => {
                        let ticket = TicketIndex::new(ticket);
                        prop_assert_eq!(wheel.disarm(ticket), list.drop_ticket(ticket));
                        prop_assert_eq!(wheel.alarm_of(ticket), None);
                    }
                    Operation::Ring(now) => {
                        let now = MonoTime::from_micros(now);
                        while let Some(rung) = wheel.ring(now) {
                            prop_assert_eq!(Some(rung), list.nearest());
                            prop_assert!(rung.0 <= now);
                            list.drop_ticket(rung.1);
                        }
                        prop_assert!(list.nearest().is_none_or(|(at, _)| at > now));
                    }
                }
                prop_assert_eq!(wheel.next(), list.nearest());
                prop_assert_eq!(wheel.len(), list.0.len());
                prop_assert_eq!(wheel.is_empty(), list.0.is_empty());
            }
        }
    }
}
