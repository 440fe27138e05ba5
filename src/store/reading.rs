// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading tickets: what is started for that, and what its end says (P20).

use super::child::{Child, Finished, ANSWERS_MAX, ANSWER_MAX};
use super::helper::{builtin, tool, Call};
use crate::config::TicketStore;
use crate::engine::{CibLoad, CibTicket};
use crate::keeper::JobEnd;
use crate::model::TicketName;
use crate::pacemaker;
use crate::sys::os::{self, BeforeExec};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

/// A store that can be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    /// Where the tickets are kept.
    pub store: &'a TicketStore,
    /// The name of the configuration.
    pub config_name: &'a str,
    /// The program whose helper reads the built-in store.
    pub program: &'a Path,
}

impl Reader<'_> {
    /// Starts reading a ticket.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start_one(self, name: &TicketName) -> io::Result<Child> {
        match self.store {
            TicketStore::Pacemaker => {
                spawn(tool(pacemaker::PROGRAM, pacemaker::load(name))?, ANSWER_MAX)
            }
            TicketStore::Directory(_) => self.start_all([name].into_iter()),
        }
    }

    /// Starts reading tickets in one call. Pacemaker tells of all that it has.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start_all<'n>(
        self,
        names: impl Iterator<Item = &'n TicketName>,
    ) -> io::Result<Child> {
        let command = match self.store {
            TicketStore::Pacemaker => tool(pacemaker::PROGRAM, pacemaker::load_all())?,
            TicketStore::Directory(dir) => {
                let config_name = self.config_name.to_owned();
                let mut command =
                    Call::Store { dir: dir.clone(), config_name }.command(self.program);
                let requests: String = names.map(|name| builtin::request(name, None)).collect();
                command.stdin(os::memory_file(requests.as_bytes())?);
                command
            }
        };
        spawn(command, ANSWERS_MAX)
    }

    /// What the end of [`Reader::start_one`] says.
    pub(crate) fn one(self, name: &TicketName, finished: &Finished) -> CibLoad {
        match self.store {
            TicketStore::Pacemaker => read_one(finished, name),
            TicketStore::Directory(_) => {
                lines(finished).next().unwrap_or_else(|| CibLoad::Failed(finished.why()))
            }
        }
    }

    /// The tickets that the end of [`Reader::start_all`], with these names, tells of; none if it
    /// failed. A ticket that is missing may be there all the same: it must be asked for alone.
    pub(crate) fn all<'n>(
        self,
        names: impl Iterator<Item = &'n TicketName>,
        finished: &Finished,
    ) -> BTreeMap<String, CibTicket> {
        let Ok(answer) = finished.answer(ANSWERS_MAX) else { return BTreeMap::new() };
        match self.store {
            TicketStore::Pacemaker => {
                let all = pacemaker::read_all(&answer).unwrap_or_default();
                all.into_iter().filter_map(|(name, read)| Some((name, read.ok()?))).collect()
            }
            TicketStore::Directory(_) => {
                let known = names.zip(lines(finished)).filter_map(|(name, load)| match load {
                    CibLoad::Loaded(ticket) => Some((name.to_string(), ticket)),
                    CibLoad::Absent | CibLoad::Failed(_) => None,
                });
                known.collect()
            }
        }
    }
}

fn spawn(mut command: Command, output_max: usize) -> io::Result<Child> {
    Ok(Child::spawn(&mut command, BeforeExec::default(), output_max)?.ends_alone())
}

/// What the helper of the built-in store says of each ticket.
fn lines(finished: &Finished) -> impl Iterator<Item = CibLoad> {
    builtin::answers(&finished.output).into_iter().map(|answer| match answer {
        Some(JobEnd::Looked(load)) => load,
        _ => CibLoad::Failed("it answered a read like a change".to_owned()),
    })
}

/// The meaning of an answer of `crm_ticket -q`.
pub(super) fn read_one(finished: &Finished, name: &TicketName) -> CibLoad {
    if finished.status.code().is_some_and(pacemaker::is_absent) {
        return CibLoad::Absent;
    }
    let read =
        |answer: Cow<'_, str>| pacemaker::read(&answer, name).map_err(|error| error.to_string());
    match finished.answer(ANSWER_MAX).and_then(read) {
        Ok(ticket) => CibLoad::Loaded(ticket),
        Err(text) => CibLoad::Failed(format!("{}: {text}", pacemaker::PROGRAM)),
    }
}
