// SPDX-License-Identifier: GPL-2.0-or-later
//! `make install` and `make uninstall` into a directory of the test's own.

use super::{end_with, files_below, succeed, top};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs and handlers, with PREFIX=/usr.
const EXECUTABLE: &[&str] = &[
    "etc/init.d/booth-arbitrator",
    "usr/lib/ocf/resource.d/booth/geostore",
    "usr/lib/ocf/resource.d/booth/sharedrsc",
    "usr/lib/ocf/resource.d/pacemaker/booth-site",
    "usr/sbin/booth-keygen",
    "usr/sbin/boothd",
    "usr/share/booth/service-runnable",
    "usr/share/doc/booth/alerts/mail",
    "usr/share/doc/booth/alerts/syslog",
    "usr/share/doc/booth/alerts/webhook",
];
/// Other files, with PREFIX=/usr, without manual pages.
const READABLE: &[&str] = &[
    "etc/booth/booth.conf.example",
    "usr/lib/firewalld/services/booth.xml",
    "usr/lib/ocf/lib/booth/geo_attr.sh",
    "usr/lib/systemd/system/booth-after-boot.service",
    "usr/lib/systemd/system/booth-arbitrator.service",
    "usr/lib/systemd/system/booth-exporter.service",
    "usr/lib/systemd/system/booth-metrics.service",
    "usr/lib/systemd/system/booth-metrics.timer",
    "usr/lib/systemd/system/booth@.service",
    "usr/lib/sysusers.d/booth.conf",
    "usr/lib/tmpfiles.d/booth.conf",
    "usr/lib/wireshark/plugins/booth.lua",
    "usr/share/bash-completion/completions/booth",
    "usr/share/booth/report.schema.json",
    "usr/share/doc/booth/COPYING",
    "usr/share/doc/booth/README",
    "usr/share/doc/booth/monitoring/booth-dashboard.json",
    "usr/share/doc/booth/monitoring/booth-rules.yml",
    "usr/share/fish/vendor_completions.d/booth.fish",
    "usr/share/pkgconfig/booth.pc",
    "usr/share/zsh/site-functions/_booth",
];
/// Links, with PREFIX=/usr, and where they lead.
const LINKS: &[(&str, &str)] = &[
    ("usr/lib/nagios/plugins/check_booth", "../../../sbin/boothd"),
    ("usr/sbin/booth", "boothd"),
    ("usr/sbin/geostore", "boothd"),
    ("usr/share/bash-completion/completions/boothd", "booth"),
    ("usr/share/bash-completion/completions/geostore", "booth"),
    ("usr/share/fish/vendor_completions.d/boothd.fish", "booth.fish"),
    ("usr/share/fish/vendor_completions.d/geostore.fish", "booth.fish"),
    (
        "usr/lib/systemd/system/sysinit.target.wants/booth-after-boot.service",
        "../booth-after-boot.service",
    ),
    ("usr/share/booth/booth-after-boot", "../../sbin/boothd"),
    ("usr/share/man/man8/booth.8", "boothd.8"),
];
/// Directories of which nothing may be left.
const OWN_DIRECTORIES: &[&str] = &[
    "etc/booth",
    "usr/lib/ocf/lib/booth",
    "usr/lib/ocf/resource.d/booth",
    "usr/share/booth",
    "usr/share/doc/booth",
];

/// Make, without what an outer make has set.
fn quiet_make() -> Command {
    let mut command = Command::new("make");
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR", "PREFIX", "prefix"] {
        command.env_remove(name);
    }
    let program = format!("PROGRAM={}", env!("CARGO_BIN_EXE_booth"));
    command.current_dir(top()).arg("-s").arg(program);
    command
}

/// Runs make with these arguments.
fn make(arguments: &[String]) -> String {
    succeed(quiet_make().args(arguments))
}

/// `make TARGET DESTDIR=directory` with more assignments.
fn make_in(directory: &Path, target: &str, assignments: &[&str]) {
    let mut arguments = vec![target.to_owned(), format!("DESTDIR={}", directory.display())];
    arguments.extend(assignments.iter().map(|text| (*text).to_owned()));
    make(&arguments);
}

/// The manual pages of the source tree, where they are installed with PREFIX=/usr.
fn manual_pages() -> Vec<PathBuf> {
    let pages = fs::read_dir(top().join("man")).expect("man is a directory");
    pages
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .map(|name| {
            let section = name.rsplit('.').next().expect("a section");
            PathBuf::from(format!("usr/share/man/man{section}/{name}"))
        })
        .collect()
}

#[test]
fn every_file_is_where_distributions_have_it() {
    let directory = tempfile::tempdir().expect("a directory");
    make_in(directory.path(), "install", &["PREFIX=/usr"]);
    let files = files_below(directory.path());
    let mut expected: BTreeSet<PathBuf> = BTreeSet::new();
    for path in EXECUTABLE {
        assert_eq!(files.get(Path::new(path)), Some(&0o755), "{path}");
        expected.insert(path.into());
    }
    for path in READABLE {
        assert_eq!(files.get(Path::new(path)), Some(&0o644), "{path}");
        expected.insert(path.into());
    }
    for path in manual_pages() {
        assert_eq!(files.get(&path), Some(&0o644), "{}", path.display());
        expected.insert(path);
    }
    for (path, target) in LINKS {
        let found = fs::read_link(directory.path().join(path)).expect("a link");
        assert_eq!(found, Path::new(target), "{path}");
        expected.insert(path.into());
    }
    let installed: BTreeSet<PathBuf> = files.into_keys().collect();
    assert_eq!(installed, expected);
}

#[test]
fn uninstall_leaves_no_file_and_no_directory_of_booth() {
    let directory = tempfile::tempdir().expect("a directory");
    make_in(directory.path(), "install", &["PREFIX=/usr"]);
    make_in(directory.path(), "uninstall", &["PREFIX=/usr"]);
    assert_eq!(
        files_below(directory.path()).into_keys().collect::<Vec<_>>(),
        Vec::<PathBuf>::new()
    );
    for path in OWN_DIRECTORIES {
        assert!(!directory.path().join(path).exists(), "{path} is left");
    }
}

#[test]
fn uninstall_keeps_what_an_administrator_wrote() {
    let directory = tempfile::tempdir().expect("a directory");
    make_in(directory.path(), "install", &["PREFIX=/usr"]);
    let config = directory.path().join("etc/booth/booth.conf");
    fs::write(&config, "port = 9929\n").expect("written");
    make_in(directory.path(), "uninstall", &["PREFIX=/usr"]);
    assert!(config.exists());
    assert!(!directory.path().join("etc/booth/booth.conf.example").exists());
}

#[test]
fn every_directory_can_be_chosen() {
    let directory = tempfile::tempdir().expect("a directory");
    let choices = [
        ("sbindir", "boothd"),
        ("boothdir", "service-runnable"),
        ("mandir", "man8/booth-keygen.8"),
        ("sysconfdir", "booth/booth.conf.example"),
        ("initdir", "booth-arbitrator"),
        ("unitdir", "booth@.service"),
        ("tmpfilesdir", "booth.conf"),
        ("sysusersdir", "booth.conf"),
        ("ocfdir", "resource.d/pacemaker/booth-site"),
        ("firewalldir", "booth.xml"),
        ("pkgconfigdir", "booth.pc"),
        ("completiondir", "booth"),
        ("zshcompletiondir", "_booth"),
        ("fishcompletiondir", "booth.fish"),
        ("wiresharkdir", "booth.lua"),
        ("docdir", "README"),
        ("plugindir", "check_booth"),
    ];
    let assignments: Vec<String> =
        choices.iter().map(|(name, _)| format!("{name}=/chosen/{name}")).collect();
    let assignments: Vec<&str> = assignments.iter().map(String::as_str).collect();
    make_in(directory.path(), "install", &assignments);
    let files = files_below(directory.path());
    for (name, file) in choices {
        let path = PathBuf::from(format!("chosen/{name}/{file}"));
        assert!(files.contains_key(&path), "{}", path.display());
    }
    let elsewhere = files.keys().find(|path| !path.starts_with("chosen"));
    assert_eq!(elsewhere, None);
    make_in(directory.path(), "uninstall", &assignments);
    assert!(files_below(directory.path()).is_empty());
}

#[test]
fn no_placeholder_is_left_and_paths_are_filled_in() {
    let directory = tempfile::tempdir().expect("a directory");
    make_in(directory.path(), "install", &["PREFIX=/opt/booth"]);
    for path in files_below(directory.path()).into_keys() {
        let Ok(text) = fs::read_to_string(directory.path().join(&path)) else { continue };
        for name in ["prefix", "exec_prefix", "sbindir", "sysconfdir", "boothdir", "version"] {
            assert!(!text.contains(&format!("@{name}@")), "{} has @{name}@", path.display());
        }
        assert!(!text.contains("/usr/share/booth"), "{} looks for it elsewhere", path.display());
    }
    let read = |path: &str| fs::read_to_string(directory.path().join(path)).expect(path);
    let unit = read("opt/booth/lib/systemd/system/booth@.service");
    assert!(unit.contains("\nExecStart=/opt/booth/sbin/boothd daemon -S -c %i\n"), "{unit}");
    let script = read("etc/init.d/booth-arbitrator");
    assert!(script.contains("\ndaemon=/opt/booth/sbin/boothd\n"));
    // Reference: pcs reads these two variables.
    let variables = read("opt/booth/share/pkgconfig/booth.pc");
    assert!(variables.contains("exec_prefix=/opt/booth\n"), "{variables}");
    assert!(variables.contains("confdir=/etc/booth\n"), "{variables}");
}

/// Units, scripts and lists of make would have other names in them than were meant.
#[test]
fn names_of_directories_that_cannot_be_installed_into_are_refused_by_both_targets() {
    let outer = tempfile::tempdir().expect("a directory");
    let directory = outer.path().join("with a blank");
    let message = |target: &str, assignments: &[String]| {
        let mut command = quiet_make();
        command.arg(target).args(assignments);
        end_with(2, &mut command)
    };
    let bystander = outer.path().join("with a blank/opt/my");
    fs::create_dir_all(directory.join("opt")).expect("made");
    fs::write(&bystander, "").expect("written");
    let destination = format!("DESTDIR={}", directory.display());
    for target in ["install", "uninstall"] {
        for odd in ["PREFIX=/opt/my booth", "unitdir=/a|b", "sbindir=/%i", "docdir=/it's"] {
            let said = message(target, &[destination.clone(), odd.to_owned()]);
            assert!(
                said.contains("must not contain blanks or special characters"),
                "{odd}: {said}"
            );
        }
        let said = message(target, &[destination.clone(), "PREFIX=opt".to_owned()]);
        assert!(said.contains("prefix=opt: must begin with /"), "{said}");
        let said = message(target, &["DESTDIR=/it's".to_owned()]);
        assert!(said.contains("DESTDIR=/it's: must not contain a quote"), "{said}");
    }
    assert_eq!(files_below(&directory).into_keys().collect::<Vec<_>>(), [Path::new("opt/my")]);
    // What a packager may well have.
    make_in(&directory, "install", &["PREFIX=/opt/b-1.0_x+y,z:1"]);
    assert!(directory.join("opt/b-1.0_x+y,z:1/sbin/boothd").exists());
}
