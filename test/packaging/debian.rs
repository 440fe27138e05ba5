// SPDX-License-Identifier: GPL-2.0-or-later
//! `scripts/debian/build` where it cannot succeed. That it does otherwise, `packages` shows.

use super::{end_with, run, source, succeed, top, write_script};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The script with these tools in the place of those of dpkg; they have `$PWD` of the script.
fn build(directory: &tempfile::TempDir, tools: &[(&str, &str)]) -> Command {
    let bin = directory.path().join("bin");
    fs::create_dir_all(&bin).expect("made");
    for (name, text) in tools {
        write_script(&bin.join(name), &format!("#!/bin/sh\n{text}\n"));
    }
    let path = std::env::var("PATH").expect("a PATH");
    let mut command = Command::new(top().join("scripts/debian/build"));
    command.env("PATH", format!("{}:{path}", bin.display())).env("TMPDIR", directory.path());
    command
}

#[test]
fn a_build_without_what_it_needs_says_how_to_get_it_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let lacking = "echo 'Unmet build dependencies: debhelper-compat' >&2; exit 1";
    let errors = end_with(1, build(&directory, &[("dpkg-checkbuilddeps", lacking)]).arg(&out));
    assert!(errors.contains("apt-get build-dep ./scripts"), "{errors}");
    assert!(!out.exists());
    let readme = fs::read_to_string(top().join("README")).expect("readable");
    assert!(readme.contains("apt-get build-dep ./scripts"));
}

#[test]
fn a_build_that_fails_leaves_no_folder_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    // The tree is there and has what a source package needs.
    let source = r#"case $1 in
--build)
	for file in control rules changelog source/format; do
		[ -s "$2/debian/$file" ] || { echo "no $file" >&2; exit 4; }
	done ;;
--extract) mkdir "$3" ;;
esac"#;
    let mut tools = vec![
        ("dpkg-checkbuilddeps", ":"),
        ("dpkg-source", source),
        ("dpkg-buildpackage", "exit 9"),
    ];
    let errors = end_with(9, build(&directory, &tools).arg(&out));
    assert!(errors.contains("Maintainer is a placeholder"), "{errors}");
    assert_eq!(folders(&out), 0, "a folder is left");
    tools[1].1 = "exit 8";
    end_with(8, build(&directory, &tools).arg("--source").arg(&out));
    assert_eq!(folders(&out), 0, "a folder is left");
    // A source package needs nothing that only the build needs.
    tools[0].1 = "exit 1";
    tools[1].1 = "mkdir -p \"$PWD\"; : >booth_0.dsc";
    succeed(build(&directory, &tools).arg("--source").arg(&out));
}

fn folders(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).expect("made");
    entries.filter(|entry| entry.as_ref().expect("an entry").path().is_dir()).count()
}

/// The version of the packages, as `dpkg` sees it, and its upstream part.
fn package_version() -> (String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let keep = "[ $1 != --build ] || cp \"$2/debian/changelog\" .; : >booth_0.dsc";
    let out = directory.path().join("out");
    succeed(build(&directory, &[("dpkg-source", keep)]).arg("--source").arg(&out));
    let changelog = fs::read_to_string(out.join("changelog")).expect("written");
    let (_, rest) = changelog.split_once('(').expect("a version");
    let version = rest.split(')').next().expect("its end").to_owned();
    let upstream = version.rsplit_once('-').expect("a revision").0.to_owned();
    assert!(out.join(format!("booth_{upstream}.orig.tar.gz")).exists(), "{version}");
    (version, upstream)
}

/// The versions that Debian 12 and 13 and their updates have are upgraded, without an epoch.
#[test]
fn the_packages_are_an_upgrade_of_the_c_version() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        println!("not run: the_packages_are_an_upgrade_of_the_c_version: needs dpkg");
        return;
    }
    let (version, upstream) = package_version();
    assert_eq!(upstream, env!("CARGO_PKG_VERSION"));
    for old in ["1.0-283-g9d4029a-2+deb12u1", "1.2-1", "1.2-3", "1.2-3+deb13u9", "1.2-99~bpo13+1"] {
        succeed(Command::new("dpkg").args(["--compare-versions", old, "lt", &version]));
        // What is done once, on the way from the C version, is done for these.
        for path in ["scripts/debian/booth.postinst", "scripts/debian/booth.maintscript"] {
            assert!(source(path).contains(" 2.0.0~"), "{path}");
        }
        succeed(Command::new("dpkg").args(["--compare-versions", old, "lt", "2.0.0~"]));
    }
    succeed(Command::new("dpkg").args(["--compare-versions", &version, "gt", "2.0.0~"]));
    assert!(!version.contains(':'), "{version} has an epoch");
    let spec = source("scripts/rpm/booth.spec");
    assert!(!spec.to_lowercase().contains("epoch"), "an epoch is left");
}

/// What `watch` takes for a new version among the archives of tags. Its pattern is Perl's.
#[test]
fn the_watch_file_sees_versions_of_this_program_only() {
    let watch = source("scripts/debian/watch");
    let pattern = watch.split_whitespace().last().expect("a pattern");
    let matched = |archive: &str| {
        let program = "exit(($ARGV[1] =~ m{^(?:$ARGV[0])$}) ? 0 : 1)";
        let output = run(Command::new("perl").args(["-e", program, pattern, archive]));
        output.status.success()
    };
    if Command::new("perl").arg("-v").output().is_err() {
        println!("not run: the_watch_file_sees_versions_of_this_program_only: needs perl");
        return;
    }
    for (tag, expected) in
        [("v2.0.0", true), ("2.0.1", true), ("v10.3", true), ("v1.2", false), ("v1.0", false)]
    {
        let archive = format!("/ClusterLabs/booth/archive/refs/tags/{tag}.tar.gz");
        assert_eq!(matched(&archive), expected, "{archive}");
    }
}
