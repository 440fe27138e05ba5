// SPDX-License-Identifier: GPL-2.0-or-later
//! Pacemaker's `crm_ticket`, and `cibadmin` for many tickets at once: argument vectors, exit codes,
//! and how to read the answers (P18, P19).
//!
//! This module only converts text; it runs nothing. The executor and the keeper run the programs.

mod command;
mod ticket_state;

#[cfg(test)]
mod tests;

pub use command::{
    change_attr, is_absent, load, load_all, load_many, many, owner_number, write, write_many,
    TicketValues, MANY_PROGRAM, PROGRAM,
};
pub use ticket_state::{parse_owner, parse_term, read, read_all, Read, StateError};
