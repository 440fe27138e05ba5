// SPDX-License-Identifier: GPL-2.0-or-later
//! Network namespaces of members, each with a device at the switch. Everything lies inside the
//! lab's own namespaces and ends with the test.

use super::{tap, Switch};
use crate::wait::until;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The first five bytes of every address here: local, of a single device.
const MAC: [u8; 5] = [0x02, 0, 0, 0x62, 0x74];

/// The port that a frame is for; `None` in it: for all. Frames of others are `None` altogether.
pub fn receiver(frame: &[u8]) -> Option<Option<usize>> {
    let (to, _) = frame.split_at_checked(6)?;
    if to[0] & 1 == 1 {
        return Some(None);
    }
    to.starts_with(&MAC).then(|| Some(usize::from(to[5])))
}

/// The address of the device at a port.
fn mac(port: usize) -> String {
    let [a, b, c, d, e] = MAC;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{port:02x}")
}

/// The namespaces and the switch between them.
pub struct Network {
    /// The switch.
    pub switch: Switch,
    /// Each keeps a namespace alive.
    namespaces: Vec<File>,
}

impl Network {
    /// Makes a namespace for each of `members` and a port of the lab's own with the address
    /// `own`, all in one network of 24 bits.
    #[track_caller]
    pub fn new(members: &[Ipv4Addr], own: Ipv4Addr, seed: u64) -> Network {
        let addresses: Vec<Ipv4Addr> = members.iter().copied().chain([own]).collect();
        let mut taps = Vec::new();
        let mut namespaces = Vec::new();
        for (port, address) in addresses.iter().enumerate() {
            let name = format!("port{port}");
            let tap = tap::open(&name).unwrap_or_else(|error| panic!("no TAP device: {error}"));
            taps.push(tap);
            let mut command = Command::new("sh");
            if port < members.len() {
                namespaces.push(new_namespace());
                let path = path_of(&namespaces[port]);
                let to = path.display().to_string();
                run(Command::new("ip").args(["link", "set", &name, "netns", &to]));
                command = Command::new("nsenter");
                command.arg(format!("--net={to}")).arg("sh");
            }
            let mut script = format!(
                "set -e
                echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
                ip link set lo up
                ip link set {name} address {} up
                ip address add {address}/24 dev {name}\n",
                mac(port)
            );
            for (other, to) in addresses.iter().enumerate().filter(|(other, _)| *other != port) {
                script.push_str(&format!(
                    "ip neighbour replace {to} lladdr {} nud permanent dev {name}\n",
                    mac(other)
                ));
            }
            run(command.args(["-c", &script]));
        }
        Network { switch: Switch::new(taps, seed), namespaces }
    }

    /// What `nsenter --net=` takes to enter a member's namespace.
    pub fn place(&self, member: usize) -> PathBuf {
        path_of(&self.namespaces[member])
    }
}

/// The path under which other processes of the lab find a namespace.
fn path_of(namespace: &File) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()))
}

/// A new network namespace, which lives as long as something has it open.
#[track_caller]
fn new_namespace() -> File {
    // It ends when its standard input does.
    let child = Command::new("unshare")
        .args(["--net", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("cannot start unshare: {error}"));
    let path = format!("/proc/{}/ns/net", child.id());
    let own = std::fs::read_link("/proc/self/ns/net").ok();
    let file = until(Duration::from_secs(10), "a network namespace is there", || {
        let new = std::fs::read_link(&path).ok();
        (new.is_some() && new != own).then(|| File::open(&path).ok()).flatten()
    });
    drop(child.stdin.take());
    let ended = child.wait();
    assert!(ended.as_ref().is_ok_and(std::process::ExitStatus::success), "{ended:?}");
    file
}

/// Runs a command that has to succeed.
#[track_caller]
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
