// SPDX-License-Identifier: GPL-2.0-or-later
//! The shell under stress: the engine that ships between stuck, slow and flooding neighbours,
//! with every queue full on purpose, stopped at random moments. Nothing here decides whether the
//! engine is right; only whether the loop around it keeps its promises about time and bounds.

mod rig;
mod storm;
