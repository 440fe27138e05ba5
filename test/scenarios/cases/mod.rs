// SPDX-License-Identifier: GPL-2.0-or-later
//! The cases. Each begins with a stage that says where it is played, and ends with a verdict.

pub mod conditions;
pub mod granting;
pub mod losses;
pub mod manual;
pub mod restarts;
