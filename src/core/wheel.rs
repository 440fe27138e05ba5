// SPDX-License-Identifier: GPL-2.0-or-later
//! The timer wheel: at most one alarm per ticket, and which one is next. A pure data structure,
//! used by the daemon's timer and by the simulator alike; it reads no clock.
//!
//! Nine levels of 64 slots, like the hands of a clock: a slot of the first level is one tick long,
//! a slot of each other level as long as all of the level before it, and together they cover every
//! instant there is. An alarm lies in the level of the first digit, in base 64, in which its tick
//! differs from the wheel's; when the wheel gets there, it moves down to a finer level. So all
//! alarms of a level are before those of the next, and a bit for each slot tells where the nearest
//! are. Alarms keep their exact instants: none rings early, and nobody wakes up for a slot.
//! Setting an alarm or taking it away takes constant time, finding the nearest a look at one slot.

use crate::model::TicketIndex;
use crate::time::MonoTime;
use alloc::vec::Vec;

/// A tick is so many bits of microseconds: 1.024 ms.
const TICK_BITS: usize = 10;
/// The bits of a digit, and the slots of a level.
const DIGIT_BITS: usize = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// The levels: digits enough for 64 bits of microseconds.
const LEVELS: usize = 9;

/// An alarm.
type Alarm = (MonoTime, TicketIndex);

/// The alarms of all tickets.
#[derive(Clone, Debug)]
pub struct Wheel {
    /// The tick up to which alarms have been moved down.
    tick: u64,
    levels: [Level; LEVELS],
    /// Where each ticket's alarm lies, if it has one.
    places: Vec<Option<Place>>,
}

#[derive(Clone, Debug)]
struct Level {
    /// A bit for each slot that has alarms.
    occupied: u64,
    slots: [Vec<Alarm>; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Place {
    level: usize,
    slot: usize,
    /// Its index in the slot.
    index: usize,
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel::new()
    }
}

impl Wheel {
    /// A wheel without alarms.
    pub const fn new() -> Wheel {
        const EMPTY: Level = Level { occupied: 0, slots: [const { Vec::new() }; SLOTS] };
        Wheel { tick: 0, levels: [EMPTY; LEVELS], places: Vec::new() }
    }

    /// Sets the ticket's alarm, in place of an earlier one.
    pub fn arm(&mut self, ticket: TicketIndex, at: MonoTime) {
        self.disarm(ticket);
        if self.places.len() <= ticket.get() {
            self.places.resize(ticket.get() + 1, None);
        }
        self.put((at, ticket));
    }

    /// Takes the ticket's alarm away; returns whether there was one.
    pub fn disarm(&mut self, ticket: TicketIndex) -> bool {
        let Some(Place { level, slot, index }) =
            self.places.get_mut(ticket.get()).and_then(Option::take)
        else {
            return false;
        };
        let Level { occupied, slots } = &mut self.levels[level];
        slots[slot].swap_remove(index);
        if let Some((_, moved)) = slots[slot].get(index) {
            self.places[moved.get()] = Some(Place { level, slot, index });
        } else if slots[slot].is_empty() {
            *occupied &= !(1 << slot);
        }
        true
    }

    /// The nearest alarm; of several at the same instant that of the first ticket.
    pub fn next(&self) -> Option<(MonoTime, TicketIndex)> {
        let level = self.levels.iter().find(|level| level.occupied != 0)?;
        level.slots[first(level.occupied)].iter().min().copied()
    }

    /// The nearest instant after `now` for which an alarm is set.
    pub fn next_after(&self, now: MonoTime) -> Option<MonoTime> {
        let slots = self.levels.iter().flat_map(|level| &level.slots);
        let later = |slot: &Vec<Alarm>| slot.iter().map(|(at, _)| *at).filter(|at| *at > now).min();
        slots.filter_map(later).next()
    }

    /// Takes out the nearest alarm if it is due at `now`.
    pub fn ring(&mut self, now: MonoTime) -> Option<(MonoTime, TicketIndex)> {
        self.advance(tick(now));
        let (at, ticket) = self.next().filter(|(at, _)| *at <= now)?;
        self.disarm(ticket);
        Some((at, ticket))
    }

    /// The ticket's alarm, if it has one.
    pub fn alarm_of(&self, ticket: TicketIndex) -> Option<MonoTime> {
        let Place { level, slot, index } = (*self.places.get(ticket.get())?)?;
        Some(self.levels[level].slots[slot][index].0)
    }

    /// Puts an alarm where it belongs: what is past, into the slot of the wheel's own tick.
    fn put(&mut self, alarm: Alarm) {
        let tick = tick(alarm.0).max(self.tick);
        let level = self.level_of(tick);
        let slot = digit(tick, level);
        let Level { occupied, slots } = &mut self.levels[level];
        let index = slots[slot].len();
        slots[slot].push(alarm);
        *occupied |= 1 << slot;
        self.places[alarm.1.get()] = Some(Place { level, slot, index });
    }

    /// The first digit in which a tick differs from the wheel's.
    fn level_of(&self, tick: u64) -> usize {
        (1..LEVELS).rev().find(|level| digit(tick ^ self.tick, *level) != 0).unwrap_or(0)
    }

    /// Turns the wheel on to `tick`, and moves down the alarms of every slot that it reaches.
    fn advance(&mut self, tick: u64) {
        if tick <= self.tick {
            return;
        }
        let top = self.level_of(tick);
        self.tick = tick;
        let mut reached = Vec::new();
        for (number, level) in self.levels.iter_mut().enumerate().take(top + 1) {
            let last = if number == top { digit(tick, top) } else { SLOTS - 1 };
            while level.occupied != 0 && first(level.occupied) <= last {
                let slot = first(level.occupied);
                level.occupied &= !(1 << slot);
                reached.append(&mut level.slots[slot]);
            }
        }
        reached.into_iter().for_each(|alarm| self.put(alarm));
    }
}

/// The tick in which an instant lies.
fn tick(at: MonoTime) -> u64 {
    at.as_micros() >> TICK_BITS
}

/// A digit of a tick, the last one at level 0.
fn digit(tick: u64, level: usize) -> usize {
    let digits = tick >> (DIGIT_BITS * level);
    usize::try_from(digits % 64).unwrap_or(0)
}

/// The first of the slots that have alarms.
fn first(occupied: u64) -> usize {
    usize::try_from(occupied.trailing_zeros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Arm(usize, u64),
        Disarm(usize),
        /// Time goes on by so much, and everything that is due rings.
        Pass(u64),
        /// One alarm rings, if it is due.
        Ring,
    }

    /// From microseconds to centuries.
    fn micros() -> impl Strategy<Value = u64> {
        (0..64u32, any::<u64>()).prop_map(|(bits, any)| any >> bits)
    }

    fn operations() -> impl Strategy<Value = Vec<Operation>> {
        let soon = prop_oneof![0..5_000u64, micros()];
        let one = prop_oneof![
            6 => (0..12usize, soon).prop_map(|(ticket, after)| Operation::Arm(ticket, after)),
            1 => (0..14usize).prop_map(Operation::Disarm),
            2 => prop_oneof![4 => 0..300_000u64, 1 => micros()].prop_map(Operation::Pass),
            1 => Just(Operation::Ring),
        ];
        proptest::collection::vec(one, 0..300)
    }

    /// The same alarms as a plain map.
    #[derive(Default)]
    struct Model(BTreeMap<TicketIndex, MonoTime>);

    impl Model {
        fn next(&self) -> Option<(MonoTime, TicketIndex)> {
            let sorted: BTreeSet<_> = self.0.iter().map(|(ticket, at)| (*at, *ticket)).collect();
            sorted.first().copied()
        }

        fn ring(&mut self, now: MonoTime) -> Option<(MonoTime, TicketIndex)> {
            let (at, ticket) = self.next().filter(|(at, _)| *at <= now)?;
            self.0.remove(&ticket);
            Some((at, ticket))
        }
    }

    proptest! {
        #[test]
        fn the_wheel_behaves_as_a_sorted_map(start in micros(), operations in operations()) {
            let (mut wheel, mut model) = (Wheel::new(), Model::default());
            let mut now = start;
            for operation in operations {
                let instant = MonoTime::from_micros(now);
                match operation {
                    // From two milliseconds ago on.
                    Operation::Arm(ticket, after) => {
                        let at = now.saturating_sub(2_000).saturating_add(after);
                        let (ticket, at) = (TicketIndex::new(ticket), MonoTime::from_micros(at));
                        wheel.arm(ticket, at);
                        model.0.insert(ticket, at);
                    }
                    Operation::Disarm(ticket) => {
                        let ticket = TicketIndex::new(ticket);
                        prop_assert_eq!(wheel.disarm(ticket), model.0.remove(&ticket).is_some());
                    }
                    Operation::Pass(by) => {
                        now = now.saturating_add(by);
                        let instant = MonoTime::from_micros(now);
                        while let Some(rung) = model.ring(instant) {
                            prop_assert_eq!(wheel.ring(instant), Some(rung));
                        }
                        prop_assert_eq!(wheel.ring(instant), None);
                    }
                    Operation::Ring => prop_assert_eq!(wheel.ring(instant), model.ring(instant)),
                }
                prop_assert_eq!(wheel.next(), model.next());
                let instant = MonoTime::from_micros(now);
                let later = model.0.values().filter(|at| **at > instant).min().copied();
                prop_assert_eq!(wheel.next_after(instant), later);
                for ticket in (0..14).map(TicketIndex::new) {
                    prop_assert_eq!(wheel.alarm_of(ticket), model.0.get(&ticket).copied());
                }
            }
        }
    }
}
