// SPDX-License-Identifier: GPL-2.0-or-later
//! What the daemon tells a service manager: that it is up, what it holds, that it lives, that it
//! stops. The protocol is that of `sd_notify(3)`: one datagram of `KEY=value` lines.
//!
//! The watchdog is fed by the engine's loop, so that a loop that stands still is restarted;
//! nothing here waits.

use super::text;
use crate::engine::Held;
use crate::time::{MonoTime, Span};
use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// Where the service manager listens.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// Within how many microseconds the watchdog wants to be fed.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
/// Which process the watchdog means.
const WATCHDOG_PID_VARIABLE: &str = "WATCHDOG_PID";
/// The status text is sent at most this often.
const STATUS_EVERY: Span = Span::from_secs(1);

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// Half of the time within which the watchdog wants to be fed.
    feed_every: Option<Span>,
    last_fed: Option<MonoTime>,
    held: Option<Held>,
    last_status: Option<MonoTime>,
}

impl Notifier {
    /// A notifier without a service manager.
    pub fn none() -> Notifier {
        Notifier::default()
    }

    /// The notifier that the environment describes. The variables are taken out of it, because
    /// children must not speak for the daemon. Call it before any thread is started.
    ///
    /// # Errors
    /// A socket is named but cannot be reached.
    pub fn from_environment() -> io::Result<Notifier> {
        let socket = env::var_os(SOCKET_VARIABLE);
        let watchdog = env::var(WATCHDOG_VARIABLE).ok();
        let watchdog_pid = env::var(WATCHDOG_PID_VARIABLE).ok();
        for name in [SOCKET_VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID_VARIABLE] {
            env::remove_var(name);
        }
        let Some(socket) = socket else {
            return Ok(Notifier::none());
        };
        let meant = watchdog_pid.is_none_or(|pid| pid == std::process::id().to_string());
        let feed = watchdog.filter(|_| meant).and_then(|usec| usec.parse().ok());
        Notifier::connect(socket.as_bytes(), feed.map(Span::from_micros))
    }

    /// A notifier to the socket at this address: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// The socket cannot be reached.
    pub fn connect(address: &[u8], watchdog: Option<Span>) -> io::Result<Notifier> {
        let address = match address.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(address)))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        let feed_every = watchdog.filter(|usec| !usec.is_zero()).map(|usec| usec.divided(2));
        Ok(Notifier { socket: Some(socket), feed_every, ..Notifier::default() })
    }

    /// Whether a service manager listens.
    pub fn is_active(&self) -> bool {
        self.socket.is_some()
    }

    /// Says that the daemon serves, and which process it is.
    pub fn ready(&mut self) {
        self.send(&format!("READY=1\nMAINPID={}", std::process::id()));
    }

    /// Says that the daemon stops.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1");
    }

    /// Feeds the watchdog if it is time to.
    pub fn alive(&mut self, now: MonoTime) {
        if self.next_feed(now).is_some_and(|at| at <= now) {
            self.last_fed = Some(now);
            self.send("WATCHDOG=1");
        }
    }

    /// When the watchdog is to be fed next, if there is one; `now` if it never was.
    pub fn next_feed(&self, now: MonoTime) -> Option<MonoTime> {
        let every = self.feed_every?;
        Some(self.last_fed.map_or(now, |last| last.plus(every)))
    }

    /// Whether [`Notifier::status`] would do anything at `now`.
    pub fn wants_status(&self, now: MonoTime) -> bool {
        let rested = self.last_status.is_none_or(|last| now.since(last) >= STATUS_EVERY);
        self.is_active() && rested
    }

    /// Shows how many tickets are held or voted on, if that has changed.
    pub fn status(&mut self, now: MonoTime, held: Held) {
        self.last_status = Some(now);
        if self.held == Some(held) {
            return;
        }
        self.held = Some(held);
        self.send(&format!("STATUS={}", text::held(held)));
    }

    /// Sends one message. A service manager that does not read misses it: waiting for it would
    /// be worse, and a lost watchdog message is followed by the next.
    fn send(&mut self, message: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(message.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::ZERO.plus(Span::from_millis(millis))
    }

    fn manager() -> (tempfile::TempDir, UnixDatagram, Vec<u8>) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_nonblocking(true).expect("settable");
        (dir, socket, path.as_os_str().as_bytes().to_vec())
    }

    fn received(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0u8; 256];
        let len = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    #[test]
    fn the_manager_hears_of_start_and_stop_and_of_changes_once() {
        let (_dir, socket, address) = manager();
        let mut notifier = Notifier::connect(&address, None).expect("connected");
        notifier.ready();
        let expected = format!("READY=1\nMAINPID={}", std::process::id());
        assert_eq!(received(&socket), Some(expected));
        notifier.status(at(0), Held { here: Some(2), of: 5 });
        assert_eq!(received(&socket).as_deref(), Some("STATUS=holds 2 of 5 tickets"));
        assert!(!notifier.wants_status(at(999)));
        assert!(notifier.wants_status(at(1_000)));
        notifier.status(at(1_000), Held { here: Some(2), of: 5 });
        notifier.alive(at(1_000));
        assert_eq!(received(&socket), None);
        notifier.stopping();
        assert_eq!(received(&socket).as_deref(), Some("STOPPING=1"));
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_time() {
        let (_dir, socket, address) = manager();
        let watchdog = Some(Span::from_secs(2));
        let mut notifier = Notifier::connect(&address, watchdog).expect("connected");
        notifier.alive(at(5));
        assert_eq!(received(&socket).as_deref(), Some("WATCHDOG=1"));
        assert_eq!(notifier.next_feed(at(5)), Some(at(1_005)));
        notifier.alive(at(1_004));
        assert_eq!(received(&socket), None);
        notifier.alive(at(1_005));
        assert_eq!(received(&socket).as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn a_manager_that_does_not_read_stops_nothing() {
        let (_dir, socket, address) = manager();
        let mut notifier = Notifier::connect(&address, None).expect("connected");
        for _ in 0..10_000 {
            notifier.stopping();
        }
        assert_eq!(received(&socket).as_deref(), Some("STOPPING=1"));
        drop(socket);
        notifier.stopping();
        assert!(Notifier::connect(b"/no/such/socket", None).is_err());
        assert!(!Notifier::none().is_active());
    }

    #[test]
    fn abstract_sockets_work_too() {
        let name = format!("booth-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        let mut notifier =
            Notifier::connect(format!("@{name}").as_bytes(), None).expect("connected");
        notifier.stopping();
        assert_eq!(received(&socket).as_deref(), Some("STOPPING=1"));
    }
}
