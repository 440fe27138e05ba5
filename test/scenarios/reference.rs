// SPDX-License-Identifier: GPL-2.0-or-later
//! What the reference is known to get wrong in these cases, with the reason. Nothing here ever
//! excuses a member of ours.

use crate::setting::Setting;

/// Cases in which a reference site may keep a ticket for longer than its lease.
const KEEPS_TOO_LONG: &[(&str, &str)] = &[];

/// Why a reference site may hold the ticket beside another one in this case, if it may.
pub fn keeps_too_long(case: &str, _setting: Setting) -> Option<&'static str> {
    KEEPS_TOO_LONG.iter().find(|(name, _)| *name == case).map(|(_, why)| *why)
}
