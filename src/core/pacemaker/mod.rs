// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known about Pacemaker's `crm_ticket`, and of `cibadmin` for many tickets at once:
//! argument vectors, exit codes, and how to read the answers (P18, P19).
//!
//! Pure: nothing is run here, nothing read from anywhere. The executor runs it.

mod command;
mod ticket_state;

#[cfg(test)]
mod tests;

pub use command::{
    change_attr, is_absent, load, load_all, load_many, many, owner_number, write, write_many,
    TicketValues, MANY_PROGRAM, PROGRAM,
};
pub use ticket_state::{parse_owner, parse_term, read, read_all, Read, StateError};
