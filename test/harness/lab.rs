// SPDX-License-Identifier: GPL-2.0-or-later
//! One test's own place: a directory, addresses and, as root, namespaces.
//!
//! As root the test program starts itself again for the one test, inside new namespaces: the
//! port is free there whatever runs on the machine, links can be cut, and every process ends
//! with the test. Without root the test runs where it is, on loopback addresses of its own.

use super::needs::{is_root, met, Need};
use super::process::exit_within;
use super::program::{link_ours, reference_root};
use super::switch::{Network, Switch};
use std::cell::{Cell, OnceCell};
use std::fs::{File, Permissions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set for the run inside the namespaces.
const INSIDE: &str = "BOOTH_TEST_INSIDE";
/// Begins a line of a test inside that is to be seen outside.
const REPORT: &str = "report: ";
/// A test that runs longer is ended; none is meant to take more than half of it.
const LIMIT: Duration = Duration::from_secs(150);

/// One test's own place.
pub struct Lab {
    /// Before the directory: what runs in it ends first.
    switched: OnceCell<Network>,
    dir: tempfile::TempDir,
    network: Cell<[u8; 3]>,
    inside: bool,
    clusters: Cell<u32>,
}

/// Runs the test `name` (see `test_name!`), if what it needs is there.
#[track_caller]
pub fn run(name: &str, needs: &[Need], body: impl FnOnce(&Lab)) {
    run_for(name, needs, LIMIT, body);
}

/// The same for a test that may take as long as `limit`.
#[track_caller]
pub fn run_for(name: &str, needs: &[Need], limit: Duration, body: impl FnOnce(&Lab)) {
    // type_name gives the name of the test program first, which libtest leaves out.
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    if std::env::var_os(INSIDE).is_some() {
        body(&Lab::new(true));
    } else if met(name, needs) {
        if is_root() {
            run_inside(name, limit);
        } else {
            body(&Lab::new(false));
        }
    }
}

/// Runs this program again, for one test, in namespaces of its own.
#[track_caller]
fn run_inside(name: &str, limit: Duration) {
    let dir = new_dir();
    let log = dir.path().join("output");
    // Both streams in one file, in the order in which they were written.
    let out = File::create(&log).expect("a file in a new directory");
    let err = out.try_clone().expect("a second handle of a file");
    let own = std::env::current_exe().expect("the running program has a file");
    let mut child = Command::new("unshare")
        .args(["--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg("--")
        .arg(own)
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start unshare: {error}"));
    let status = exit_within(&mut child, limit);
    if status.is_none() {
        // The namespace's first process dies with its parent, and all others with it.
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = std::fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let passed = status.is_some_and(|status| status.success()) && text.contains("1 passed");
    assert!(passed, "{name}, in namespaces of its own: {status:?}\n{text}");
    // Seen with --nocapture; what the test reports is seen always.
    println!("{text}");
    // With one thread, the test's name stands before its first line.
    for (_, line) in text.lines().filter_map(|line| line.split_once(REPORT)) {
        let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    }
}

/// Prints a line that is to be seen although the test passes.
pub fn report(line: &str) {
    println!("{REPORT}{line}");
}

/// A new directory in /tmp, which the reference sees under the same path.
fn new_dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new()
        .prefix("booth-lab.")
        .tempdir_in("/tmp")
        .expect("/tmp can be written");
    make_open(dir.path());
    dir
}

/// Gives everybody every right: a member may run as another user.
pub fn make_open(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o777))
        .unwrap_or_else(|error| panic!("cannot open {} to all: {error}", path.display()));
}

/// Lets everybody put something there, and nobody touch what is others', as in `/tmp`.
pub fn make_shared(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o1777))
        .unwrap_or_else(|error| panic!("cannot share {} with all: {error}", path.display()));
}

/// Gives the lab the user and the group of sites where the machine has no Pacemaker: without them
/// none starts.
fn have_default_user(dir: &Path) {
    let tables = [
        ("passwd", "hacluster", "x:64011:64011::/nonexistent:/usr/sbin/nologin"),
        ("group", "haclient", "x:64011:"),
    ];
    for (table, name, entry) in tables {
        let known = Command::new("getent").args([table, name]).stdout(Stdio::null()).status();
        if known.is_ok_and(|status| status.success()) {
            continue;
        }
        let place = format!("/etc/{table}");
        let old = std::fs::read_to_string(&place).expect("every machine has users and groups");
        let file = dir.join(format!("lab-{table}"));
        std::fs::write(&file, format!("{}\n{name}:{entry}\n", old.trim_end()))
            .and_then(|()| std::fs::set_permissions(&file, Permissions::from_mode(0o644)))
            .expect("the lab can be written");
        shell("mount --bind \"$1\" \"$2\"", &[&file.display().to_string(), &place]);
    }
}

impl Lab {
    fn new(inside: bool) -> Lab {
        let dir = new_dir();
        link_ours(&dir.path().join("ours")).expect("a new directory can be written");
        if inside {
            shell("ip link set lo up", &[]);
            have_default_user(dir.path());
            if reference_root().join("usr/sbin/boothd").exists() {
                show_lab_to_reference(dir.path());
            }
        }
        let network = Cell::new([127, random_byte(), random_byte()]);
        Lab { switched: OnceCell::new(), dir, network, inside, clusters: Cell::new(0) }
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether the lab has a network of its own.
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// An address of this lab; `host` is 1 to 254.
    pub fn address(&self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.network.get();
        Ipv4Addr::new(a, b, c, host)
    }

    /// Puts the first members that the lab will have, so many, into network namespaces of their
    /// own, with a switch between them, and this process at a port of its own. Its address is
    /// [`Lab::address`] 200.
    #[track_caller]
    pub fn plug(&self, members: u8, seed: u64) -> &Switch {
        assert!(self.inside, "devices are made only inside a namespace");
        assert!(self.switched.get().is_none() && self.clusters.get() == 0, "once, and first");
        self.network.set([10, 98, 76]);
        let addresses: Vec<Ipv4Addr> = (1..=members).map(|host| self.address(host)).collect();
        let make = || Network::new(&addresses, self.address(200), seed);
        &self.switched.get_or_init(make).switch
    }

    /// The network namespace of the member with this address, for `nsenter --net=`, if it is not
    /// the lab's.
    pub fn place(&self, address: Ipv4Addr) -> Option<PathBuf> {
        let host = usize::from(address.octets()[3]);
        self.switched.get().map(|network| network.place(host - 1))
    }

    /// Gives the lab a /dev of its own with an empty /dev/shm and no /dev/log.
    pub fn own_devices(&self) {
        assert!(self.inside, "devices are replaced only inside a namespace");
        let script = "set -e
            mkdir \"$1\"
            mount -t tmpfs -o mode=755 tmpfs \"$1\"
            for name in null zero full random urandom tty; do
                cp -a \"/dev/$name\" \"$1\"
            done
            ln -s /proc/self/fd \"$1/fd\"
            mkdir \"$1/net\" \"$1/pts\"
            cp -a /dev/net/tun \"$1/net\"
            mkdir -m 1777 \"$1/shm\"
            mount --move \"$1\" /dev
            [ ! -d \"$2/dev\" ] || mount --bind /dev \"$2/dev\"";
        let dir = self.dir().join("dev").display().to_string();
        shell(script, &[&dir, &reference_root().display().to_string()]);
    }

    /// Gives this machine an address of the lab, if the network is the lab's own: a program
    /// that looks for itself among the interfaces finds it.
    pub fn own(&self, address: Ipv4Addr) {
        if self.inside && self.switched.get().is_none() {
            shell("ip address add \"$1/32\" dev lo", &[&address.to_string()]);
        }
    }

    /// A directory for one more cluster, and the first host number of its members.
    pub fn next_cluster(&self) -> (String, u8) {
        let number = self.clusters.get();
        self.clusters.set(number + 1);
        let host = u8::try_from(number * 20 + 1).expect("at most twelve clusters in a lab");
        (format!("c{number}"), host)
    }

    /// Writes a file of the lab and returns its path.
    #[track_caller]
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> String {
        let path = self.dir().join(name);
        // An older one may be readable only.
        if path.exists() {
            std::fs::remove_file(&path).expect("the lab can be written");
        }
        std::fs::write(&path, text)
            .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(mode)))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path.display().to_string()
    }
}

/// Makes a usable root of the reference's directory, in this mount namespace only: devices,
/// processes, and the lab's directory under its own path.
fn show_lab_to_reference(dir: &Path) {
    let root = reference_root().display().to_string();
    let script = "set -e
        mount --bind /dev \"$1/dev\"
        mount -t proc proc \"$1/proc\"
        mount -t tmpfs tmpfs \"$1/run\"
        mkdir -m 1777 \"$1/run/lock\"
        mount -t tmpfs tmpfs \"$1/tmp\"
        mkdir -p \"$1$2\"
        mount --bind \"$2\" \"$1$2\"
        mkdir \"$2/etc-booth\"
        mount --bind \"$2/etc-booth\" \"$1/etc/booth\"";
    shell(script, &[&root, &dir.display().to_string()]);
}

/// Runs a shell script that has to succeed.
#[track_caller]
pub fn shell(script: &str, arguments: &[&str]) {
    let output = Command::new("/bin/sh").args(["-c", script, "sh"]).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start a shell: {error}"));
    assert!(output.status.success(), "{script}: {output:?}");
}

/// A byte in 1 to 254, from the standard library's random hash keys.
fn random_byte() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    // The remainder is below 254.
    u8::try_from(random % 254).map_or(1, |byte| byte + 1)
}
