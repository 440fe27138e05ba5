// SPDX-License-Identifier: GPL-2.0-or-later
//! Ours, in this process, with a table in place of a name server.

use super::case::{Case, Verdict};
use booth::auth::Key;
use booth::config::{self, KeyFileProblem, Surroundings};
use booth::sys::surroundings::System;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What each case gets.
pub fn verdicts(cases: &[&Case]) -> Vec<Verdict> {
    let keys = tempfile::tempdir().expect("a folder for keys can be made");
    write_keys(keys.path());
    let folder = keys.path().to_str().expect("the path is text");
    cases.iter().map(|case| verdict(&case.text(keys.path()), folder)).collect()
}

/// The key files that cases name with `@DIR@`.
pub fn write_keys(folder: &Path) {
    let files: [(&str, &[u8], u32); 6] = [
        ("good", b"123456789", 0o600),
        ("short", b" 1234567 \n", 0o600),
        ("group", b"123456789", 0o640),
        ("world", b"123456789", 0o604),
        ("writable", b"123456789", 0o620),
        ("zero", b"\x00123456789", 0o400),
    ];
    for (name, bytes, mode) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a key file can be written");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode can be set");
    }
}

fn verdict(text: &[u8], folder: &str) -> Verdict {
    match config::read_text(Path::new("case.conf"), text, &mut Table) {
        Ok(config) => Verdict::Accept(shorten(&config.warnings, folder)),
        Err(errors) => {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Verdict::Refuse(shorten(&texts, folder))
        }
    }
}

/// The first message without the file's name, with the line if it has one.
fn shorten(messages: &[String], folder: &str) -> String {
    let first = messages.first().map(String::as_str).unwrap_or_default();
    first.trim_start_matches("case.conf:").trim().replace(folder, "@DIR@")
}

/// Host names as the reference's machine has them, and its numeric forms of addresses.
struct Table;

impl Surroundings for Table {
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let address = match host {
            "localhost" | "ip6-localhost" => "[::1]:0",
            "127.2" | "0x7f000002" | "2130706434" | "127.0.0.002" => "127.0.0.2:0",
            "fe80::1%lo" => "[fe80::1%1]:0",
            "1.2.3" => "1.2.0.3:0",
            _ => return Err(io::Error::other("no such host")),
        };
        Ok(vec![address.parse().expect("the table holds addresses")])
    }

    fn read_key(&mut self, path: &Path, owners: &[&str]) -> Result<Key, KeyFileProblem> {
        System.read_key(path, owners)
    }
}
