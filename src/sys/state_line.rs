// SPDX-License-Identifier: GPL-2.0-or-later
//! The line by which a daemon describes itself in its lock file (P17).

use crate::model::{MemberId, MemberRole};
use std::fmt;
use std::net::IpAddr;

/// What the state line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateLine {
    /// Its process number, `booth_pid`.
    pub pid: u32,
    /// Whether it has begun to work on its tickets.
    pub state: DaemonState,
    /// Its role, `booth_type`.
    pub role: MemberRole,
    /// The configuration's name, `booth_cfg_name`.
    pub config_name: String,
    /// Its id, `booth_id`.
    pub id: MemberId,
    /// Its address, `booth_addr_string`.
    pub address: IpAddr,
    /// Its port, `booth_port`, of UDP and TCP.
    pub port: u16,
}

/// How far a daemon's start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DaemonState {
    /// It has not yet an answer from the store about every ticket.
    Starting,
    /// It has one about every ticket.
    Started,
}

impl fmt::Display for StateLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            DaemonState::Starting => "starting",
            DaemonState::Started => "started",
        };
        // Scripts evaluate the line in a shell: nothing may leave the quotes.
        let name = self.config_name.replace('\'', "");
        write!(
            f,
            "booth_pid={} booth_state={state} booth_type={} booth_cfg_name='{name}' \
             booth_id={} booth_addr_string='{}' booth_port={}",
            self.pid,
            self.role.word(),
            self.id.raw(),
            self.address,
            self.port
        )
    }
}
