// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets captured from the C reference: each must mean to us what it meant to whoever
//! captured it, and the same meaning must give the same bytes, MAC included.

mod clients;
mod members;
mod seals;
