// SPDX-License-Identifier: GPL-2.0-or-later
//! `scripts/debian/build` where it cannot succeed. That it does otherwise, `packages` shows.

use super::{end_with, succeed, top, write_script};
use std::fs;
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
    let left = fs::read_dir(&out).expect("made").count();
    assert_eq!(left, 0, "a folder is left");
    tools[1].1 = "exit 8";
    end_with(8, build(&directory, &tools).arg("--source").arg(&out));
    assert_eq!(fs::read_dir(&out).expect("made").count(), 0, "a folder is left");
    // A source package needs nothing that only the build needs.
    tools[0].1 = "exit 1";
    tools[1].1 = "mkdir -p \"$PWD\"; : >booth_0.dsc";
    succeed(build(&directory, &tools).arg("--source").arg(&out));
}
