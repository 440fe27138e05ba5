// SPDX-License-Identifier: GPL-2.0-or-later
//! Mixed clusters: ours and the C reference as leader, follower and arbitrator of each other,
//! with and without a key. Needs root and the reference.

mod bonds;
mod life;
mod lists;
mod manual;
mod model;
mod overview;
mod pacemaker;
mod replacement;
mod steps;
mod traffic;
