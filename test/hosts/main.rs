// SPDX-License-Identifier: GPL-2.0-or-later
//! Hostile and poor hosts, with real processes: no descriptors, no memory, no room, no network,
//! clocks of another century, directories and addresses that go away. What is proven each time:
//! a daemon says why it cannot start or go on, and ends, or it works; none half lives. Needs
//! root.

mod addresses;
mod centuries;
mod means;
mod names;
mod rooms;
mod several;
mod support;
mod surroundings;
