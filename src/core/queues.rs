// SPDX-License-Identifier: GPL-2.0-or-later
//! How much waits for an engine, where the simulator has to have what the daemon has.

/// Datagrams that wait for the engine; the kernel's socket buffer comes before it.
pub const PEER_QUEUE: usize = 256;
