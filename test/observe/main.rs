// SPDX-License-Identifier: GPL-2.0-or-later
//! What `overview`, `explain`, `history` and `-o json` say of real clusters: in every state that a
//! ticket can be in, of every trouble that they are for, and of what has happened.

mod alerts;
mod exporter;
mod health;
mod metrics;
mod past;
mod schema;
mod shown;
mod states;
mod troubles;
