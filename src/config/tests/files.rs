// SPDX-License-Identifier: GPL-2.0-or-later
//! Real files: which one an argument means, which may be read, what is in a key file.

use crate::auth::{Key, KeyError};
use crate::config::keyfile::{read, trim, KeyFileProblem};
use crate::config::locate::{default_name, locate};
use crate::config::{load, load_store, StoreConfig, TicketStore, CONFIG_BYTES_MAX};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[test]
fn a_short_name_stands_for_a_file_in_the_directory() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path();
    for name in ["plain.conf", "a.b", "c.d.conf", "both.x", "both.x.conf", "twice.conf.conf"] {
        fs::write(folder.join(name), "").expect("a file can be written");
    }
    let file = |given: &str| {
        let found = locate(given, folder);
        let path = found.path.strip_prefix(folder).unwrap_or(&found.path).to_owned();
        (path, found.warning.is_some())
    };
    let expected = |path: &str, warning| (PathBuf::from(path), warning);
    assert_eq!(file("plain"), expected("plain.conf", false));
    assert_eq!(file("plain.conf"), expected("plain.conf", false));
    assert_eq!(file("missing"), expected("missing.conf", false));
    assert_eq!(file("a.b"), expected("a.b", false));
    assert_eq!(file("c.d"), expected("c.d.conf", false));
    assert_eq!(file("c.e"), expected("c.e", false));
    assert_eq!(file("both.x"), expected("both.x.conf", true));
    assert_eq!(file("both.x.conf"), expected("both.x.conf", false));
    assert_eq!(file("twice.conf"), expected("twice.conf.conf", false));
    assert_eq!(file("./plain"), expected("./plain", false));
    assert_eq!(file("/x/y.conf"), expected("/x/y.conf", false));
}

#[test]
fn a_configuration_is_named_after_its_file() {
    let cases = [
        ("/etc/booth/booth.conf", "booth"),
        ("/etc/booth/a.b.conf", "a.b"),
        ("/etc/booth/a.b", "a"),
        ("plain", "plain"),
        ("/x.d/zz", "zz"),
        ("/etc/booth/.conf", ""),
        ("/etc/booth/..", ""),
        ("/", ""),
    ];
    for (path, name) in cases {
        assert_eq!(default_name(Path::new(path)), name, "{path}");
    }
}

#[test]
fn what_is_no_configuration_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let refuse = |path: &Path| {
        let errors = load(path.to_str().expect("the path is text")).expect_err("it is refused");
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("\n").replace(folder.path().to_str().expect("the path is text"), "DIR")
    };
    let text = refuse(&folder.path().join("none"));
    assert!(text.starts_with("failed to open DIR/none: No such file or directory"), "{text}");
    let text = refuse(folder.path());
    assert_eq!(text, "failed to open DIR: it is a directory");
    let huge = folder.path().join("huge.conf");
    fs::write(&huge, vec![b'\n'; CONFIG_BYTES_MAX + 1]).expect("a file can be written");
    assert!(refuse(&huge).starts_with("DIR/huge.conf: the file is longer than 33554432 bytes"));
    assert!(refuse(Path::new("/dev/zero")).contains("the file is longer than"));
}

#[test]
fn a_file_is_read_from_the_disk_with_its_key() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (path, key) = (folder.path().join("geo.conf"), folder.path().join("key"));
    fs::write(&key, " secret-key \n").expect("a file can be written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    let text = format!("authfile = {}\nsite = 10.0.0.1\nticket = t\n", key.display());
    fs::write(&path, text).expect("a file can be written");
    let config = load(path.to_str().expect("the path is text")).expect("it is right");
    assert_eq!((config.name.as_str(), config.path), ("geo", path));
    assert_eq!(config.key, Key::new(b"secret-key").ok());
    assert_eq!(config.authfile, Some(key));
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    fs::write(&path, "12345678").expect("a file can be written");
    for mode in [0o400, 0o600, 0o700, 0o610, 0o601, 0o620, 0o602, 0o640, 0o604, 0o644, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
        let readable = mode & 0o044 != 0;
        match read(&path) {
            Ok(found) => {
                assert!(!readable, "{mode:o}");
                assert_eq!(found.writable_by_others, mode & 0o022 != 0, "{mode:o}");
            }
            Err(problem) => {
                assert!(readable, "{mode:o}");
                assert_eq!(problem, KeyFileProblem::Readable { mode });
            }
        }
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    fs::write(&path, "  1234567\n").expect("a file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    assert_eq!(read(&path), Err(KeyFileProblem::Unfit(KeyError::TooShort { len: 7 })));
    assert_eq!(read(folder.path()), Err(KeyFileProblem::NotAFile));
    assert_eq!(read(Path::new("/dev/zero")), Err(KeyFileProblem::NotAFile));
    let missing = read(&folder.path().join("none"));
    assert!(matches!(missing, Err(KeyFileProblem::Open { .. })), "{missing:?}");
}

/// Each of these was held against what the reference says of the key's size.
#[test]
fn keys_are_cut_first_and_trimmed_then() {
    let text = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+/";
    let sizes: [(&[u8], usize); 9] = [
        (b"12345678", 8),
        (b"12345678\n", 8),
        (b"\t12345678\t\r\n\x0B\x0C", 8),
        (b"1234 5678\n", 9),
        (b"  \xFF1234567  ", 12),
        (b"1234\x00567 ", 8),
        (b"1234567\x00", 8),
        (b"                    ", 0),
        (b"", 0),
    ];
    for (head, size) in sizes {
        assert_eq!(trim(head).len(), size, "{head:?}");
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    let cut: [(Vec<u8>, &[u8]); 4] = [
        ([&text[..], b"\n"].concat(), text),
        ([b"          ", &text[..60]].concat(), &text[..54]),
        ([&text[..62], b"\n\n\xFF"].concat(), &text[..62]),
        ([&text[..63], b"\xFF\n"].concat(), &[&text[..63], b"\xFF"].concat()),
    ];
    for (content, key) in cut {
        fs::write(&path, &content).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
        let found = read(&path).expect("it is a key");
        assert_eq!(Some(found.key), Key::new(key).ok(), "{content:?}");
    }
}

#[test]
fn the_store_is_read_whatever_else_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("x.conf");
    let given = path.to_string_lossy().into_owned();
    let read = |text: &str| {
        fs::write(&path, text).expect("a file can be written");
        load_store(&given).map_err(|error| error.to_string())
    };
    let found = |name: &str, store| Ok(StoreConfig { name: name.to_owned(), store });
    let directory = || TicketStore::Directory(PathBuf::from("/d"));
    assert_eq!(read(""), found("x", TicketStore::Pacemaker));
    assert_eq!(read("ticket-store = pacemaker"), found("x", TicketStore::Pacemaker));
    let broken = "site = no-such-host.invalid\nunheard-of\nticket-store = /d\nauthfile = /none\n";
    assert_eq!(read(broken), found("x", directory()));
    assert_eq!(read("name = n\nticket-store = \"/d\""), found("n", directory()));
    let refused = read("ticket-store = d").expect_err("no absolute path");
    assert!(refused.contains("x.conf:1") && refused.contains("ticket-store"), "{refused}");
    fs::remove_file(&path).expect("removed");
    assert!(load_store(&given).is_err());
}
