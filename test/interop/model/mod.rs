// SPDX-License-Identifier: GPL-2.0-or-later
//! The simulator's model of the reference (`test/sim/reference/model`) against the real program:
//! both are told the same by two scripted members and have to say the same, in the same order,
//! and write the same.
//!
//! What may differ, because the model leaves it to chance or the real time does: validities by a
//! second, by four after a start with something in the store; when a repetition comes (one that
//! was seen before is passed over); the `expires` that is written; how
//! often the same is written in a row.

mod play;
mod situations;
