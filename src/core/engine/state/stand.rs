// SPDX-License-Identifier: GPL-2.0-or-later
//! A site's plan to stand (L13).

use crate::time::MonoTime;
use crate::wire::Reason;

/// A site's plan to stand.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    pub at: MonoTime,
    pub reason: Reason,
}
