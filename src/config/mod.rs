// SPDX-License-Identifier: GPL-2.0-or-later
//! The configuration file: from a path or a short name to a checked [`Config`].
//!
//! All errors of the file are reported at once, each with file, line and what was expected. Other
//! modules decide which member this host is, and what happens to the values.
#![forbid(unsafe_code)]

mod advice;
mod check;
mod checked;
mod error;
mod keyfile;
mod keyword;
mod lexer;
mod limits;
mod locate;
mod parse;
mod raw;
mod shared;
mod surroundings;
#[cfg(test)]
mod tests;
mod times;
mod value;

pub use checked::{Account, Config, ConfiguredMember, Handler, TicketConfig, TicketStore};
pub use error::{ConfigError, KeyFileProblem};
pub use keyfile::{read as read_key_file, read_unjudged as read_key_file_unjudged};
pub(crate) use keyword::one_step_apart;
pub use keyword::{words as keywords, GlobalKey, TicketKey};
pub use limits::{CONFIG_BYTES_MAX, DEFAULT_PORT, ERRORS_MAX, NAME_BYTES_MAX, TICKETS_MAX};
pub use surroundings::Surroundings;

pub(crate) use checked::{Instance, StoreConfig};
pub(crate) use error::system_words;
pub(crate) use locate::DIRECTORY;
pub(crate) use value::account_number;

use check::Names;
use error::Problem;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads and checks the configuration in `path_or_name`: a path, or a short name that stands
/// for `/etc/booth/NAME.conf`.
///
/// Asks the system for the addresses of host names, which may take a long time.
///
/// # Errors
/// All errors of the file, in file order; at least one.
pub fn load(
    path_or_name: &str,
    surroundings: &mut dyn Surroundings,
) -> Result<Config, Vec<ConfigError>> {
    let (found, text) = find_text(path_or_name)?;
    let mut config = read_text(&found.path, &text, surroundings)?;
    config.warnings.extend(found.warning);
    Ok(config)
}

/// Reads the [`Instance`] from the configuration in `path_or_name`, which means the same as for
/// [`load`]. No host name is looked up: members with names are left out, and their errors are not
/// found.
///
/// # Errors
/// All other errors of the file, in file order; at least one.
pub(crate) fn load_instance(
    path_or_name: &str,
    surroundings: &mut dyn Surroundings,
) -> Result<Instance, Vec<ConfigError>> {
    let (found, text) = find_text(path_or_name)?;
    let config = check::check(parse::parse(&text), &found.path, Names::LeaveOut, surroundings)?;
    let Config { name, site_account, arbitrator_account, .. } = config;
    Ok(Instance { name, site_account, arbitrator_account })
}

/// The file that is meant, and its text.
fn find_text(path_or_name: &str) -> Result<(locate::Found, Vec<u8>), Vec<ConfigError>> {
    let found = locate::locate(path_or_name, Path::new(locate::DIRECTORY));
    match read_file(&found.path) {
        Ok(text) => Ok((found, text)),
        Err(problem) => Err(vec![ConfigError::new(&found.path, None, problem)]),
    }
}

/// Reads and checks the text of a configuration file. Addresses of host names and the key come from
/// `surroundings`.
///
/// # Errors
/// All errors of the text, in file order; at least one.
pub fn read_text(
    path: &Path,
    text: &[u8],
    surroundings: &mut dyn Surroundings,
) -> Result<Config, Vec<ConfigError>> {
    check::check(parse::parse(text), path, Names::LookUp, surroundings)
}

/// Reads only what a configuration says about its ticket store, and ignores other errors. No host
/// name is looked up, and no key is read.
///
/// # Errors
/// The file cannot be read, or the line about the store is wrong.
pub(crate) fn load_store(path_or_name: &str) -> Result<StoreConfig, Box<ConfigError>> {
    let path = locate::locate(path_or_name, Path::new(locate::DIRECTORY)).path;
    let failed = |line, problem| Box::new(ConfigError::new(&path, line, problem));
    let text = read_file(&path).map_err(|problem| failed(None, problem))?;
    let raw = parse::parse(&text);
    let word = GlobalKey::TicketStore.word();
    let about = |problem: &Problem| matches!(problem, Problem::Value { key, .. } if *key == word);
    if let Some((line, problem)) = raw.errors.into_iter().find(|(_, problem)| about(problem)) {
        return Err(failed(line, problem));
    }
    let name = raw.name.map(|name| name.value).filter(|name| !name.is_empty());
    Ok(StoreConfig {
        name: name.unwrap_or_else(|| locate::default_name(&path)),
        store: raw.store.map_or(TicketStore::Pacemaker, |store| store.value),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error: io::Error| Problem::File { reason: error::system_words(&error) };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Problem::File { reason: "it is a directory".to_owned() });
    }
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    file.take(limit).read_to_end(&mut text).map_err(failed)?;
    if text.len() > CONFIG_BYTES_MAX {
        return Err(Problem::FileTooLong);
    }
    Ok(text)
}
