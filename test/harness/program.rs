// SPDX-License-Identifier: GPL-2.0-or-later
//! The two programs: ours and the C reference; which is under test, and how each is started.

use super::lab::Lab;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `ours` (default) or `theirs`: what `compliance` runs.
const UNDER_TEST: &str = "BOOTH_UNDER_TEST";
/// Our program, if not the one that cargo built for this test.
const PROGRAM: &str = "BOOTH_PROGRAM";
/// The root directory that has the C reference installed.
const REFERENCE_ROOT: &str = "BOOTH_REFERENCE_ROOT";
/// Where `test/harness/reference-root` puts it.
const REFERENCE_ROOT_DEFAULT: &str = "/var/cache/booth-reference";

/// Where our program lies in a lab for [`Kind::OursInRoot`].
const IN_ROOT: &str = "ours-in-root";

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This repository's.
    Ours,
    /// The C reference, Debian 13's booth 1.2.
    Theirs,
    /// Ours, inside the reference's root, where the real `crm_ticket` is.
    OursInRoot,
    /// Ours there too, with the fake `crm_ticket`, for figures beside the reference's.
    OursBeside,
}

/// What the compliance suite runs against.
///
/// Panics if `BOOTH_UNDER_TEST` is neither `ours` nor `theirs`.
pub fn under_test() -> Kind {
    match std::env::var(UNDER_TEST).as_deref() {
        Err(_) | Ok("ours") => Kind::Ours,
        Ok("theirs") => Kind::Theirs,
        Ok(other) => panic!("{UNDER_TEST} is {other}, which is neither ours nor theirs"),
    }
}

/// The root directory of the reference; it need not exist.
pub fn reference_root() -> PathBuf {
    std::env::var_os(REFERENCE_ROOT)
        .map_or_else(|| PathBuf::from(REFERENCE_ROOT_DEFAULT), PathBuf::from)
}

/// The file of our program: unless the environment names another, the one that cargo has built for
/// this test program, which lies beside the folder of these.
pub fn our_file() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(
        || {
            let own = std::env::current_exe().expect("a test program is a file");
            own.ancestors().nth(2).expect("it lies in deps").join("booth")
        },
        PathBuf::from,
    )
}

/// Makes the names of our program in `dir`.
pub fn link_ours(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for name in ["boothd", "booth", "geostore", "check_booth"] {
        std::os::unix::fs::symlink(our_file(), dir.join(name))?;
    }
    Ok(())
}

/// Copies our program, under its names, to where the reference's root shows it.
#[track_caller]
pub fn copy_ours(lab: &Lab) {
    let dir = lab.dir().join(IN_ROOT);
    if !dir.exists() {
        std::fs::create_dir(&dir).expect("the lab can be written");
        std::fs::copy(our_file(), dir.join("boothd")).expect("our program can be copied");
        for name in ["booth", "geostore"] {
            std::os::unix::fs::symlink("boothd", dir.join(name)).expect("a new directory");
        }
    }
}

/// The same command in another network namespace; the process stays the one that is started.
pub fn enter(command: &Command, place: &Path) -> Command {
    let mut entering = Command::new("/usr/bin/nsenter");
    entering.arg(format!("--net={}", place.display())).arg("--");
    entering.arg(command.get_program()).args(command.get_args());
    entering.env_clear().current_dir("/");
    entering.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    entering
}

/// The same command behind lines for a shell, in the process that is started: limits, for
/// instance, or descriptors that are closed.
pub fn behind(command: &Command, script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{script}\nexec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear().current_dir("/");
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

impl Kind {
    /// A command that runs `name` (boothd, booth or geostore) in `lab`.
    ///
    /// The environment is empty but for PATH and the time zone. A file of the lab has the
    /// same path for both kinds.
    pub fn command(self, lab: &Lab, name: &str, path_first: Option<&Path>) -> Command {
        let mut command = match self {
            Kind::Ours => Command::new(lab.dir().join("ours").join(name)),
            Kind::OursInRoot | Kind::OursBeside => {
                let mut command = Command::new("/usr/sbin/chroot");
                command.arg(reference_root()).arg(lab.dir().join(IN_ROOT).join(name));
                command
            }
            Kind::Theirs => {
                let mut command = Command::new("/usr/sbin/chroot");
                command.arg(reference_root()).arg(format!("/usr/sbin/{name}"));
                command
            }
        };
        let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path = match path_first {
            Some(dir) => format!("{}:{system}", dir.display()),
            None => system.to_owned(),
        };
        command.env_clear().env("PATH", path).env("TZ", "UTC0").current_dir("/");
        command
    }
}
