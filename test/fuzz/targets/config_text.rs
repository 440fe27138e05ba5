// SPDX-License-Identifier: GPL-2.0-or-later
//! A configuration file: read, or refused with lines that a person can use.

use booth::auth::Key;
use booth::config::{read_text, Config, KeyFileProblem, Surroundings, ERRORS_MAX};
use booth::model::{TicketMode, TicketSpec, MEMBERS_MAX};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// A world that depends on nothing: names with an `x` have no address, files with an `x` are
/// no key files.
struct Nowhere;

impl Surroundings for Nowhere {
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        if host.contains('x') {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let last = host.bytes().fold(1_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        Ok(vec![SocketAddr::from(([192, 0, 2, last], 0))])
    }

    fn read_key(&mut self, path: &Path, _owners: &[&str]) -> Result<Key, KeyFileProblem> {
        if path.as_os_str().to_string_lossy().contains('x') {
            return Err(KeyFileProblem::NotAFile);
        }
        Ok(super::seed_key().expect("there is one"))
    }
}

pub fn run(bytes: &[u8]) {
    match read_text(Path::new("/etc/booth/fuzz.conf"), bytes, &mut Nowhere) {
        Ok(config) => {
            assert!(config.members.len() <= MEMBERS_MAX, "{} members", config.members.len());
            for me in 0..config.members.len() {
                assert_eq!(config.roster(me).me().get(), me);
            }
            for ticket in &config.tickets {
                let spec = &ticket.spec;
                assert!(!spec.expire.is_zero(), "{}: a lease has a length", spec.name);
                assert!(!spec.timeout.is_zero(), "{}: answers take time", spec.name);
                check_times(&config, spec);
                assert_eq!(config.ticket(&spec.name).map(|t| &t.spec), Some(spec));
            }
            assert!(config.warnings.iter().all(|warning| !warning.is_empty()));
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "a refusal says why");
            assert!(errors.len() <= ERRORS_MAX + 1, "{} errors", errors.len());
            for error in errors {
                assert!(error.to_string().contains("fuzz.conf"), "{error} names the file");
            }
        }
    }
}

/// Repetitions fit into a renewal period, unless that was shortened, which is warned about; and a
/// renewal of an automatic ticket comes in time to be written (`RULES.md` L6).
fn check_times(config: &Config, spec: &TicketSpec) {
    let shortened = |warning: &String| {
        warning.contains(spec.name.as_str()) && warning.contains("is used instead")
    };
    let fits = spec.patience() < spec.renewal || config.warnings.iter().any(shortened);
    assert!(fits, "{}: repetitions do not fit into {}", spec.name, spec.renewal);
    assert!(spec.timeout < spec.renewal, "{}: one answer fits", spec.name);
    if spec.mode == TicketMode::Automatic {
        let window = spec.expire.minus(spec.drift()).minus(spec.guard().times(3));
        assert!(spec.renewal < window, "{}: a renewal is written in time", spec.name);
    }
}
