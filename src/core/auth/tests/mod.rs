// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules of authentication that no captured packet shows. Captured packets: `test/vectors`.

mod envelope;
mod mac;
mod replay;
mod replay_model;
