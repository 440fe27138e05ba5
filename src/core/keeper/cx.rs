// SPDX-License-Identifier: GPL-2.0-or-later
//! What a line needs from its keeper.

use super::jobs::JobId;
use super::message::Output;
use crate::model::Holder;
use crate::time::{MonoTime, Now};
use alloc::vec::Vec;

/// What a line needs from its keeper.
pub(super) struct Cx<'a> {
    pub(super) now: Now,
    pub(super) site: Holder,
    pub(super) quiet_at: MonoTime,
    /// How many tickets the keeper has.
    pub(super) lines: u64,
    /// Whether somebody else may change the store by hand.
    pub(super) checks: bool,
    pub(super) out: &'a mut Vec<Output>,
    /// Jobs that this line no longer needs; other lines may need them.
    pub(super) unwanted: Vec<JobId>,
}
