// SPDX-License-Identifier: GPL-2.0-or-later
//! What a keeper is told at its start, and by what name it is known.

use crate::config::TicketStore;
use crate::keeper::StoreKind;
use crate::model::MemberId;
use crate::time::Span;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// The name under which the keeper runs: no resource agent and no init script looks for it.
pub const NAME: &str = "booth-keeper";

/// What a keeper keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Where its tickets are.
    pub store: TicketStore,
    /// The name of the configuration, which the store keeps as `booth-cfg-name`.
    pub config_name: String,
    /// The site whose tickets they are.
    pub site: MemberId,
    /// The longest *g* of all tickets.
    pub guard: Span,
    /// Whether it takes the place of a keeper that has just ended on this machine: then the mark
    /// tells what is in flight, also for a store that others can change.
    pub replaces: bool,
}

impl Setup {
    /// What kind of store it is.
    pub(super) fn kind(&self) -> StoreKind {
        match self.store {
            TicketStore::Pacemaker => StoreKind::Cib,
            TicketStore::Directory(_) => StoreKind::Directory,
        }
    }

    /// What a boothd and its keeper must agree on, as a line.
    pub(super) fn fingerprint(&self) -> String {
        let store = match &self.store {
            TicketStore::Pacemaker => "cib".to_owned(),
            TicketStore::Directory(dir) => format!("dir {}", dir.display()),
        };
        let text = format!("{} {} {store}", self.site.raw(), self.config_name);
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The arguments behind the keeper's name.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let replaces = if self.replaces { "again" } else { "first" };
        let mut args: Vec<OsString> = vec![
            self.site.raw().to_string().into(),
            self.guard.as_micros().to_string().into(),
            replaces.into(),
            self.config_name.clone().into(),
        ];
        if let TicketStore::Directory(dir) = &self.store {
            args.push(dir.into());
        }
        args
    }

    /// The setup in these arguments; `None` if they are none.
    pub(super) fn parse(args: &[OsString]) -> Option<Setup> {
        let (needed, dir) = args.split_at_checked(4)?;
        let text = |index: usize| needed[index].to_str();
        let store = match dir {
            [] => TicketStore::Pacemaker,
            [dir] => TicketStore::Directory(PathBuf::from(dir)),
            _ => return None,
        };
        Some(Setup {
            store,
            site: MemberId::from_raw(text(0)?.parse().ok()?),
            guard: Span::from_micros(text(1)?.parse().ok()?),
            replaces: match text(2)? {
                "again" => true,
                "first" => false,
                _ => return None,
            },
            config_name: text(3)?.to_owned(),
        })
    }
}

/// Whether a keeper has this process id. One that is about to end has no memory any more, and no
/// arguments, before it leaves the run directory to another.
pub(super) fn is_keeper(pid: &str) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).next() == Some(NAME.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_survives_its_arguments() {
        for store in [TicketStore::Pacemaker, TicketStore::Directory("/a b".into())] {
            for replaces in [false, true] {
                let setup = Setup {
                    store: store.clone(),
                    config_name: "booth".to_owned(),
                    site: MemberId::from_raw(u32::MAX - 1),
                    guard: Span::from_millis(1500),
                    replaces,
                };
                let mut args = setup.to_args();
                assert_eq!(Setup::parse(&args), Some(setup));
                args.push("/more".into());
                args.push("/more".into());
                assert_eq!(Setup::parse(&args), None);
                assert_eq!(Setup::parse(&args[..3]), None);
            }
        }
    }

    #[test]
    fn what_is_kept_elsewhere_has_another_fingerprint() {
        let setup = |store, name: &str, site| Setup {
            store,
            config_name: name.to_owned(),
            site: MemberId::from_raw(site),
            guard: Span::ZERO,
            replaces: false,
        };
        let dir = |path: &str| TicketStore::Directory(path.into());
        let all = [
            setup(TicketStore::Pacemaker, "a", 1),
            setup(TicketStore::Pacemaker, "b", 1),
            setup(TicketStore::Pacemaker, "a", 2),
            setup(dir("/x"), "a", 1),
            setup(dir("/y"), "a", 1),
        ];
        for (n, one) in all.iter().enumerate() {
            for other in &all[n + 1..] {
                assert_ne!(one.fingerprint(), other.fingerprint());
            }
        }
    }
}
