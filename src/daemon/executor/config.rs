// SPDX-License-Identifier: GPL-2.0-or-later
//! What the executor needs to know.

use crate::config::{Config, Handler, TicketConfig, TicketStore};
use crate::keeper::Kept;
use crate::model::{MemberId, TicketName};
use crate::store::keeper::{Link, Setup};
use crate::store::reading::Reader;
use crate::time::Span;
use std::io;
use std::path::{Path, PathBuf};

/// What the executor needs to know; a site's only, arbitrators have no executor.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// Where the tickets are kept.
    pub store: TicketStore,
    /// `BOOTH_CONF_PATH`.
    pub config_path: PathBuf,
    /// `BOOTH_CONF_NAME`, and `booth-cfg-name` in the store.
    pub config_name: String,
    /// The id of this site.
    pub site: MemberId,
    /// `BOOTH_LOCAL`: the address of this site as people know it.
    pub site_address: String,
    /// The tickets in configuration order.
    pub tickets: Vec<ExecutorTicket>,
    /// A directory of this site alone that this user can write and that is empty after a reboot:
    /// there the next daemon finds the keeper.
    pub run_dir: PathBuf,
    /// The program that helpers and the keeper are started from: the running one, also when its
    /// file has been replaced by an upgrade since; tests are not that program, and name it.
    pub program: PathBuf,
}

/// What the executor needs to know of one ticket.
#[derive(Clone, Debug)]
pub struct ExecutorTicket {
    /// Its name.
    pub name: TicketName,
    /// *g*, the time that one change of the store is given.
    pub guard: Span,
    /// Its before-acquire handler.
    pub handler: Option<Handler>,
}

impl ExecutorConfig {
    /// What `config` says for the member number `me`, with this run directory.
    ///
    /// Panics if `me` is not an index into the members.
    pub fn new(config: &Config, me: usize, run_dir: &Path) -> ExecutorConfig {
        let member = &config.members[me].member;
        let ticket = |ticket: &TicketConfig| ExecutorTicket {
            name: ticket.spec.name.clone(),
            guard: ticket.spec.guard(),
            handler: ticket.handler.clone(),
        };
        ExecutorConfig {
            store: config.store.clone(),
            config_path: config.path.clone(),
            config_name: config.name.clone(),
            site: member.id,
            site_address: member.address.to_string(),
            tickets: config.tickets.iter().map(ticket).collect(),
            run_dir: run_dir.to_path_buf(),
            program: PathBuf::from("/proc/self/exe"),
        }
    }

    /// By which the tickets are read.
    pub(super) fn reader(&self) -> Reader<'_> {
        let ExecutorConfig { store, config_name, program, .. } = self;
        Reader { store, config_name, program }
    }

    /// Takes the keeper of this site over, or starts one.
    pub(super) fn link(&self) -> io::Result<Link> {
        let guard = self.tickets.iter().map(|ticket| ticket.guard).max();
        let kept =
            |ticket: &ExecutorTicket| Kept { name: ticket.name.clone(), guard: ticket.guard };
        let setup = Setup {
            store: self.store.clone(),
            config_name: self.config_name.clone(),
            site: self.site,
            guard: guard.unwrap_or_default(),
            replaces: false,
        };
        let kept = self.tickets.iter().map(kept).collect();
        Link::start(setup, &self.program, &self.run_dir, kept)
    }
}
