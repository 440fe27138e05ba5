// SPDX-License-Identifier: GPL-2.0-or-later
//! Real files: which one an argument means, which may be read, what is in a key file.

use crate::auth::{Key, KeyError};
use crate::config::error::KeyFileProblem;
use crate::config::keyfile::{read, trim};
use crate::config::locate::{default_name, locate};
use crate::config::{
    load, load_instance, load_store, Account, ConfigError, StoreConfig, Surroundings, TicketStore,
    CONFIG_BYTES_MAX,
};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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
        let errors =
            load(path.to_str().expect("the path is text"), &mut Disk).expect_err("it is refused");
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
    let given = path.to_str().expect("the path is text");
    let config = load(given, &mut Disk).expect("it is right");
    assert_eq!((config.name.as_str(), config.path), ("geo", path.clone()));
    assert_eq!(config.key, Key::new(b"secret-key").ok());
    assert_eq!(config.authfile, Some(key));
}

/// A world with key files, and nothing else.
struct Disk;

impl Surroundings for Disk {
    fn resolve(&mut self, host: &str) -> io::Result<Vec<SocketAddr>> {
        panic!("nobody asks for {host}")
    }

    fn read_key(&mut self, path: &Path, _owners: &[&str]) -> Result<Key, KeyFileProblem> {
        read_as_any(path)
    }
}

/// Reads a key file, whoever owns it.
fn read_as_any(path: &Path) -> Result<Key, KeyFileProblem> {
    let file = File::open(path).map_err(|error| KeyFileProblem::open(&error))?;
    read(&file, |_| true)
}

/// Which daemon it is can be told without a name server, but not without all that is right.
#[test]
fn of_which_daemon_a_configuration_is_needs_no_name_server() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("geo.conf");
    let given = path.to_str().expect("the path is text");
    let text = "site = far.example\nsite = farther.example\narbitrator = 10.0.0.1\n\
                site-user = webapp\narbitrator-group = voters\nticket = t\n";
    fs::write(&path, text).expect("a file can be written");
    let found = load_instance(given, &mut Disk).expect("it is right");
    assert_eq!(found.name, "geo");
    let names = |account: &Account| (account.user.clone(), account.group.clone());
    assert_eq!(names(&found.site_account), ("webapp".to_owned(), "haclient".to_owned()));
    assert_eq!(names(&found.arbitrator_account), ("nobody".to_owned(), "voters".to_owned()));
    fs::write(&path, format!("{text}name = other\n")).expect("a file can be written");
    assert_eq!(load_instance(given, &mut Disk).expect("it is right").name, "other");
    let wrong = "frobnicate = 1\nauthfile = /none\nsite = 10.0.0.1\n";
    fs::write(&path, format!("{text}name = a/b\n{wrong}")).expect("written");
    let errors = load_instance(given, &mut Disk).expect_err("four lines are wrong");
    let lines: Vec<Option<usize>> = errors.iter().map(ConfigError::line).collect();
    assert_eq!(lines, [Some(7), Some(8), Some(9), Some(10)]);
    assert!(load_instance("/none/at/all.conf", &mut Disk).is_err());
}

#[test]
fn a_key_file_on_which_others_have_rights_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    fs::write(&path, "12345678").expect("a file can be written");
    for mode in [0o400, 0o600, 0o700, 0o610, 0o601, 0o620, 0o602, 0o640, 0o604, 0o644, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
        match read_as_any(&path) {
            Ok(_) => assert_eq!(mode & 0o077, 0, "{mode:o}"),
            Err(problem) => {
                assert_ne!(mode & 0o077, 0, "{mode:o}");
                assert_eq!(problem, KeyFileProblem::OpenToOthers { mode });
            }
        }
    }
}

#[test]
fn a_key_file_belongs_to_root_or_to_whoever_may_own_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    fs::write(&path, "12345678").expect("a file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    let user = fs::metadata(&path).expect("it is there").uid();
    let open = || File::open(&path).expect("it can be opened");
    assert!(read(&open(), |owner| owner == user).is_ok());
    // Root's is everybody's.
    let expected = if user == 0 { None } else { Some(KeyFileProblem::Owner { user }) };
    assert_eq!(read(&open(), |_| false).err(), expected);
}

#[test]
fn what_is_no_key_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    fs::write(&path, "  1234567\n").expect("a file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    assert_eq!(read_as_any(&path), Err(KeyFileProblem::Unfit(KeyError::TooShort { len: 7 })));
    assert_eq!(read_as_any(folder.path()), Err(KeyFileProblem::NotAFile));
    assert_eq!(read_as_any(Path::new("/dev/zero")), Err(KeyFileProblem::NotAFile));
    let missing = read_as_any(&folder.path().join("none"));
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
        let found = read_as_any(&path).expect("it is a key");
        assert_eq!(Some(found), Key::new(key).ok(), "{content:?}");
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
