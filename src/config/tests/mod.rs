// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the configuration, in a world of their own: no network, no key files.

mod advice;
mod basics;
mod defaults;
mod errors;
mod files;
mod lexer;
mod print;
mod properties;
mod times;
mod warnings;

use super::{read_text, Config, ConfigError, KeyFileProblem, Surroundings};
use crate::auth::Key;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Three members, for tests that are about something else.
const MEMBERS: &str = "site = 10.0.0.1\nsite = 10.0.0.2\narbitrator = 10.0.0.3\n";

/// A world that knows a few hosts and key files.
struct World;

impl Surroundings for World {
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let texts: &[&str] = match host {
            "one.example" => &["10.0.0.7:0"],
            "two.example" => &["[fd00::7]:0", "10.0.0.7:0", "[fd00::7]:0"],
            "link.example" => &["[fe80::7%3]:0"],
            "none.example" => &[],
            "broken.example" => return Err(io::Error::other("the name server sleeps")),
            _ => return Err(io::Error::other("no such host")),
        };
        Ok(texts.iter().map(|text| text.parse().expect("the table holds addresses")).collect())
    }

    fn read_key(&mut self, path: &Path, owners: &[&str]) -> Result<Key, KeyFileProblem> {
        let bytes: &[u8] = match path.to_str() {
            Some("/key") => b"0123456789",
            Some("/zero-key") => b"\x00123456789",
            Some("/open-key") => return Err(KeyFileProblem::OpenToOthers { mode: 0o644 }),
            Some("/key-of-webapp") if owners.contains(&"webapp") => b"0123456789",
            Some("/key-of-hacluster") if owners.contains(&"hacluster") => b"0123456789",
            Some("/key-of-webapp" | "/key-of-hacluster") => {
                return Err(KeyFileProblem::Owner { user: 4242 });
            }
            _ => {
                return Err(KeyFileProblem::Open { reason: "no such file".to_owned() });
            }
        };
        Ok(Key::new(bytes).expect("the table holds keys"))
    }
}

fn read(text: impl AsRef<[u8]>) -> Result<Config, Vec<ConfigError>> {
    read_text(Path::new("/etc/booth/test.conf"), text.as_ref(), &mut World)
}

/// The configuration in a text that must be right.
fn accepted(text: impl AsRef<[u8]>) -> Config {
    match read(text.as_ref()) {
        Ok(config) => config,
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
            panic!("refused: {errors:#?}\n{}", String::from_utf8_lossy(text.as_ref()))
        }
    }
}

/// The errors in a text that must be wrong, without the file's name.
fn refused(text: impl AsRef<[u8]>) -> Vec<String> {
    match read(text.as_ref()) {
        Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(text.as_ref())),
        Err(errors) => errors.iter().map(|error| short(&error.to_string())).collect(),
    }
}

/// The warnings about a text that must be right, without the file's name.
fn warned(text: impl AsRef<[u8]>) -> Vec<String> {
    accepted(text).warnings.iter().map(|warning| short(warning)).collect()
}

fn short(message: &str) -> String {
    let rest = message.strip_prefix("/etc/booth/test.conf");
    rest.expect("a message begins with the file's name").trim_start_matches(':').to_owned()
}

/// A text with three members and these lines.
fn with_members(lines: &str) -> String {
    format!("{MEMBERS}{lines}\n")
}
