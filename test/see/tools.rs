// SPDX-License-Identifier: GPL-2.0-or-later
//! The programs of others, in their root directory.

use booth_harness::{shell, Lab, Need};
use std::path::PathBuf;
use std::process::{Child, Command};

/// What these tests need.
pub const NEEDS: &[Need] = &[Need::Root, Need::ClusterRoot("see")];

/// A root directory that is ready for programs which see the lab under its own path.
pub struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Makes it ready in the namespace of this test.
    pub fn ready(lab: &Lab) -> Tools {
        let roots = std::env::var_os("BOOTH_ROOTS").map(PathBuf::from);
        let root = roots.unwrap_or_else(|| "/var/cache/booth-roots".into()).join("see");
        let script = "set -e
            mount --bind /dev \"$1/dev\"
            mount -t tmpfs -o mode=1777 tmpfs \"$1/dev/shm\"
            mount -t proc proc \"$1/proc\"
            mount -t tmpfs tmpfs \"$1/run\"
            mount -t tmpfs -o mode=1777 tmpfs \"$1/tmp\"
            mount -t tmpfs tmpfs \"$1/root\"
            mkdir -p \"$1$2\"
            mount --bind \"$2\" \"$1$2\"";
        shell(script, &[&root.display().to_string(), &lab.dir().display().to_string()]);
        Tools { root }
    }

    /// A command there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(&self.root).arg(program).env_clear().current_dir("/");
        command.env("PATH", "/usr/sbin:/usr/bin").env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        command
    }
}

/// A process that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
