// SPDX-License-Identifier: GPL-2.0-or-later
//! How long, how many and how much: the limits of a configuration.

/// The port of members before the first `port` line, for UDP and TCP.
pub const DEFAULT_PORT: u16 = 9929;

/// The longest configuration file in bytes: enough for a hundred thousand tickets, and a limit for
/// files like `/dev/zero`.
pub const CONFIG_BYTES_MAX: usize = 32 << 20;

/// The most tickets of one configuration; each costs memory and a line of `booth list`.
pub const TICKETS_MAX: usize = 100_000;

/// The longest name of a configuration in bytes: followed by `.pid`, it names the lock file.
pub const NAME_BYTES_MAX: usize = 251;

/// The most errors, or warnings, that are reported about one file.
pub const ERRORS_MAX: usize = 100;

/// The longest time, in milliseconds: 24 days.
///
/// Reference: refuses longer times, because its times are signed 32-bit milliseconds.
pub(super) const TIME_MAX_MILLIS: u64 = 2_147_483_647;

/// The fewest repetitions of an unanswered message, as in the reference.
pub(super) const RETRIES_MIN: u32 = 3;
/// The most repetitions of an unanswered message, as in the reference.
pub(super) const RETRIES_MAX: u32 = 100;
