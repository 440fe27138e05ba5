// SPDX-License-Identifier: GPL-2.0-or-later
//! Rule tests: a member is prepared through events only, takes one step, and the effects are
//! compared. Each test cites the rule of `lease.md` or the vector that it checks.

mod cluster;
mod expire;
mod grants;
mod member;
mod mixed_grace;
mod starvation;
mod verified;
