// SPDX-License-Identifier: GPL-2.0-or-later
//! The simulator's parts, shared by `test/sim`, `test/explore` and `test/scenario`.

pub mod checkers;
pub mod choice;
pub mod clients;
pub mod clock;
pub mod codec;
pub mod exec;
pub mod ghost;
pub mod guard;
pub mod heap;
pub mod history;
pub mod liveness;
pub mod mutants;
pub mod network;
pub mod node;
pub mod plan;
pub mod process;
pub mod quiet;
pub mod reference;
pub mod report;
pub mod rules;
pub mod runner;
pub mod shrink;
pub mod store;
pub mod words;
pub mod world;
