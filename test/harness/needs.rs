// SPDX-License-Identifier: GPL-2.0-or-later
//! What a test needs of the machine, and what happens if it is not there.

use super::machine::faketime_library;
use super::not_run::not_run;
use super::program::{reference_root, Kind};
use std::path::Path;
use std::process::{Command, Stdio};

/// Something that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To be root, for namespaces.
    Root,
    /// The root directory with the C reference (`test/harness/reference-root` makes it).
    Reference,
    /// `nft`, to cut links.
    Nft,
    /// TAP devices, for a switch.
    Tap,
    /// libfaketime, to set the wall clock of one program.
    Faketime,
    /// A root directory with other programs, of this name; it is made if it is not there
    /// (`test/pacemaker/make-root`).
    ClusterRoot(&'static str),
}

impl Need {
    /// What running programs of `kind` needs.
    pub fn of(kind: Kind) -> &'static [Need] {
        match kind {
            Kind::Ours => &[],
            Kind::Theirs | Kind::OursInRoot | Kind::OursBeside => &[Need::Root, Need::Reference],
        }
    }

    /// Why it is not met, if it is not.
    fn missing(self) -> Option<String> {
        match self {
            Need::Root if !is_root() => Some("needs root".to_owned()),
            Need::Reference if !reference_root().join("usr/sbin/boothd").exists() => Some(format!(
                "needs the C reference below {} (BOOTH_REFERENCE_ROOT)",
                reference_root().display()
            )),
            Need::Nft if find_in_path("nft").is_none() => Some("needs nft".to_owned()),
            Need::Tap if !Path::new("/dev/net/tun").exists() => Some("needs /dev/net/tun".into()),
            Need::Faketime if faketime_library().is_none() => Some("needs libfaketime".into()),
            Need::Faketime if find_in_path("cc").is_none() => Some("needs cc".into()),
            Need::ClusterRoot(name) => make_root(name).err(),
            Need::Root | Need::Reference | Need::Nft | Need::Tap | Need::Faketime => None,
        }
    }
}

/// Whether this process is root. Its own directory in /proc belongs to its effective user.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Makes a root directory, or finds that it is there; the error says why that failed.
fn make_root(name: &str) -> Result<(), String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pacemaker/make-root");
    let output = Command::new(program).arg(name).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("make-root cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("needs the root directory {name}: {}", errors.trim_end()))
}

/// The program `name` in PATH.
fn find_in_path(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_path_buf()])
        .map(|dir| dir.join(name))
        .find(|file| file.exists())
}

/// Whether the test `name` can run here. If not, says so, or fails where all have to run.
///
/// Panics if something is missing and `BOOTH_TEST_REQUIRE_ALL` is 1.
pub fn met(name: &str, needs: &[Need]) -> bool {
    let Some(why) = needs.iter().find_map(|need| need.missing()) else {
        return true;
    };
    not_run(name, &why);
    false
}
