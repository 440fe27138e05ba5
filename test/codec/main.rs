// SPDX-License-Identifier: GPL-2.0-or-later
//! Properties of the codecs and of sealing, over messages and bytes of all kinds.
//!
//! What the bytes must be, `test/vectors` says; here is what holds for every message.

mod bytes;
mod clients;
mod members;
mod probes;
mod seals;
mod strategies;
