// SPDX-License-Identifier: GPL-2.0-or-later
//! Rule tests: a member is prepared through events only, takes one step, and the effects are
//! compared. Each test cites the rule of `lease.md` or the vector that it checks.

mod answers;
mod cluster;
mod giving_up;
mod grants;
mod manual;
mod member;
mod objections;
