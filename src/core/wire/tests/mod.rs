// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules of the codecs that no captured packet shows. Captured packets: `test/vectors`.

mod round;
mod unit;
