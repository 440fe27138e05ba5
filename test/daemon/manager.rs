// SPDX-License-Identifier: GPL-2.0-or-later
//! What the daemon tells a service manager, and what the manager's log gets.

use crate::support::{wait_until, Daemon, Lab};
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0u8; 256];
    let len = socket.recv(&mut buffer).expect("a message in time");
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

#[test]
fn the_manager_hears_ready_status_watchdog_and_stopping() {
    let lab = Lab::new(40);
    let path = lab.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&path, open).expect("allowed");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
    let log = lab.path().join("log");
    let child = lab
        .daemon(3)
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000")
        .stderr(File::create(&log).expect("created"))
        .spawn()
        .expect("started");
    let mut daemon = Daemon::adopt(child, log);
    assert_eq!(next(&socket), format!("READY=1\nMAINPID={}", daemon.pid()));
    let mut heard = Vec::new();
    let is_status = |text: &String| text == "STATUS=votes on 1 ticket";
    while heard.iter().filter(|text| *text == "WATCHDOG=1").count() < 3
        || !heard.iter().any(is_status)
    {
        assert!(heard.len() < 50, "{heard:?}");
        heard.push(next(&socket));
    }
    daemon.signal(libc::SIGTERM);
    wait_until("it says that it stops", || next(&socket) == "STOPPING=1");
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn a_journal_gets_levels_and_no_time_of_ours() {
    let lab = Lab::new(41);
    let log = lab.path().join("log");
    let child = lab
        .daemon(3)
        .env("JOURNAL_STREAM", "8:1")
        .stderr(File::create(&log).expect("created"))
        .spawn()
        .expect("started");
    let mut daemon = Daemon::adopt(child, log);
    wait_until("it is up", || daemon.log().contains("daemon started"));
    daemon.stop();
    assert!(daemon.log().lines().all(|line| line.starts_with('<')), "{}", daemon.log());
    assert!(daemon.log().contains("<6>BOOTH arbitrator daemon started"), "{}", daemon.log());
}
