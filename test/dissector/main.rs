// SPDX-License-Identifier: GPL-2.0-or-later
//! Wireshark's view of the packets: `scripts/wireshark/booth.lua` in a real `tshark`, which reads
//! captured packets of the C version and packets that ours encodes.
//!
//! Needs root, and the first time debootstrap and the network, for a root directory with `tshark`.

mod capture_file;
mod ours;
mod theirs;

use booth_harness::{run, test_name, Need};
use capture_file::CaptureFile;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Wireshark is to say of a packet: names of fields without `booth.`, and values.
type Row = Vec<(&'static str, String)>;

/// Fields that every test looks at besides those it names: there must be neither.
const TROUBLE: [&str; 3] = ["_ws.lua.error", "_ws.malformed", "_ws.expert.message"];

/// The directory with `tshark` (`test/pacemaker/make-root`).
fn root_directory() -> PathBuf {
    let roots = std::env::var_os("BOOTH_ROOTS");
    roots.map_or_else(|| PathBuf::from("/var/cache/booth-roots"), PathBuf::from).join("wireshark")
}

/// What every test needs.
const NEEDS: &[Need] = &[Need::Root, Need::ClusterRoot("wireshark")];

/// A `tshark` without rights: for root, it runs no scripts.
fn unprivileged() -> Command {
    let mut command = Command::new("chroot");
    command.arg("--userspec=65534:65534").arg(root_directory());
    command.args(["timeout", "60", "env", "-i", "PATH=/usr/bin", "HOME=/tmp", "tshark"]);
    command
}

/// Runs `tshark` with our script on these packets.
/// Returns a line for each packet.
fn tshark(packets: &CaptureFile, arguments: &[&str]) -> Vec<String> {
    let root = root_directory();
    let place = tempfile::tempdir_in(root.join("tmp")).expect("a directory in the root");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/wireshark/booth.lua");
    fs::copy(script, place.path().join("booth.lua")).expect("copied");
    fs::write(place.path().join("packets"), packets.bytes()).expect("written");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("readable");
    let inside = Path::new("/tmp").join(place.path().file_name().expect("a name"));
    let output = unprivileged()
        .args(["-n", "-X"])
        .arg(format!("lua_script:{}/booth.lua", inside.display()))
        .arg("-r")
        .arg(inside.join("packets"))
        .args(arguments)
        .output()
        .expect("chroot is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// The values of these fields in each packet.
fn fields(packets: &CaptureFile, names: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-T", "fields"];
    let full: Vec<String> = names
        .iter()
        .map(|name| if name.starts_with('_') { (*name).into() } else { format!("booth.{name}") })
        .collect();
    for name in &full {
        arguments.extend(["-e", name]);
    }
    let lines = tshark(packets, &arguments);
    lines.iter().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Checks what Wireshark says of each of these packets; `None`: nothing is looked at.
#[track_caller]
fn expect(packets: &CaptureFile, rows: &[(String, Row)]) {
    let mut names: Vec<&str> = TROUBLE.to_vec();
    for (name, _) in rows.iter().flat_map(|(_, row)| row) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let seen = fields(packets, &names);
    assert_eq!(seen.len(), rows.len(), "packets");
    for ((place, row), seen) in rows.iter().zip(&seen) {
        assert_eq!(seen[..TROUBLE.len()], ["", "", ""], "{place}");
        for (name, value) in row {
            let at = names.iter().position(|other| other == name).expect("it is asked for");
            assert_eq!(&seen[at], value, "{place}: {name}");
        }
    }
}

/// A number as Wireshark prints it in hexadecimal.
fn hex(number: u32) -> String {
    format!("0x{number:08x}")
}

/// The same of bytes.
fn hex_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_package_installs_it_where_wireshark_looks() {
    run(test_name!(), NEEDS, |_| {
        let output = unprivileged().args(["-G", "folders"]).output().expect("chroot is there");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let line = said.lines().find_map(|line| line.strip_prefix("Global Lua Plugins:"));
        let folder = line.expect("it has one").trim();
        let (before, after) = folder.split_once("-linux-gnu").expect("a name of an architecture");
        assert_eq!((&before[..9], after), ("/usr/lib/", "/wireshark/plugins"));
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/debian/rules");
        let rules = fs::read_to_string(rules).expect("readable");
        assert!(rules.contains("/usr/lib/$(DEB_HOST_MULTIARCH)/wireshark/plugins\n"));
    });
}
