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
/// What could not be sent is tried again after this, or sooner if the watchdog wants to be fed.
const RETRY: Span = Span::from_secs(1);
/// The status text is sent at most this often.
const STATUS_EVERY: Span = Span::from_secs(1);

/// The way to the service manager, if there is one; by default there is none.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// Where the service manager listens.
    address: Option<SocketAddr>,
    /// A part of the time within which the watchdog wants to be fed: two messages may get lost.
    feed_every: Option<Span>,
    /// When to send next what is repeated: the watchdog's food, or what could not be sent.
    next_at: Option<MonoTime>,
    /// What the service manager must not miss, and what could not be sent yet.
    unsent: Option<String>,
    /// Whether the last message could not be sent.
    failing: bool,
    held: Option<Held>,
    last_status: Option<MonoTime>,
}

impl Notifier {
    /// The notifier that the environment describes. The variables are taken out of it, because
    /// children must not speak for the daemon. Call it before any thread is started.
    ///
    /// # Errors
    /// A socket is named but cannot be reached.
    pub(super) fn from_environment() -> io::Result<Notifier> {
        let socket = env::var_os(SOCKET_VARIABLE);
        let watchdog = env::var(WATCHDOG_VARIABLE).ok();
        let watchdog_pid = env::var(WATCHDOG_PID_VARIABLE).ok();
        for name in [SOCKET_VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID_VARIABLE] {
            env::remove_var(name);
        }
        let Some(socket) = socket else {
            return Ok(Notifier::default());
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
        let socket = connected(&address)?;
        let feed_every = watchdog.filter(|usec| !usec.is_zero()).map(|usec| usec.divided(4));
        let (socket, address) = (Some(socket), Some(address));
        Ok(Notifier { socket, address, feed_every, ..Notifier::default() })
    }

    /// Whether a service manager listens.
    fn is_active(&self) -> bool {
        self.socket.is_some()
    }

    /// Says that the daemon serves, and which process it is; until it could be said. How many
    /// tickets are held it cannot know yet.
    pub fn ready(&mut self, now: MonoTime) {
        self.last_status = Some(now);
        let message = format!("READY=1\nMAINPID={}", std::process::id());
        if !self.send(&message) && self.is_active() {
            self.unsent = Some(message);
        }
    }

    /// Says that the daemon stops.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1");
    }

    /// Feeds the watchdog if it is time to, and says again what could not be said. What fails is
    /// tried again soon.
    pub fn alive(&mut self, now: MonoTime) {
        if self.next_feed(now).is_none_or(|at| at > now) {
            return;
        }
        let unsent = self.unsent.take();
        let said = unsent.as_ref().is_none_or(|message| self.send(message));
        let fed = said && (self.feed_every.is_none() || self.send("WATCHDOG=1"));
        if !said {
            self.unsent = unsent;
        }
        let every = self.feed_every.unwrap_or(RETRY);
        self.next_at = Some(now.plus(if fed { every } else { every.min(RETRY) }));
    }

    /// When [`Notifier::alive`] has something to send next, if it ever has; `now` if it never had.
    pub(super) fn next_feed(&self, now: MonoTime) -> Option<MonoTime> {
        if self.feed_every.is_none() && self.unsent.is_none() {
            return None;
        }
        Some(self.next_at.unwrap_or(now))
    }

    /// Whether [`Notifier::status`] would do anything at `now`.
    pub(super) fn wants_status(&self, now: MonoTime) -> bool {
        let rested = self.last_status.is_none_or(|last| now.since(last) >= STATUS_EVERY);
        self.is_active() && rested
    }

    /// Shows how many tickets are held or voted on, if that has changed.
    pub fn status(&mut self, now: MonoTime, held: Held) {
        self.last_status = Some(now);
        if self.held == Some(held) {
            return;
        }
        // What could not be said is said the next time.
        let said = self.send(&format!("STATUS={}", text::held(held)));
        self.held = Some(held).filter(|_| said);
    }

    /// Sends one message, and says whether it is under way. A service manager that does not read
    /// is not waited for; one that has been started anew is looked for once.
    fn send(&mut self, message: &str) -> bool {
        let Some(socket) = &self.socket else { return false };
        let mut sent = socket.send(message.as_bytes());
        let full = matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if let (Err(_), false, Some(address)) = (&sent, full, &self.address) {
            if let Ok(fresh) = connected(address) {
                sent = fresh.send(message.as_bytes());
                self.socket = Some(fresh);
            }
        }
        match &sent {
            Ok(_) if self.failing => log::info!("the service manager hears this daemon again"),
            Err(error) if !self.failing => {
                log::warn!("the service manager does not hear this daemon: {error}; trying again");
            }
            Ok(_) | Err(_) => {}
        }
        self.failing = sent.is_err();
        sent.is_ok()
    }
}

/// A socket that sends there and never waits.
fn connected(address: &SocketAddr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(address)?;
    Ok(socket)
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
        notifier.ready(at(0));
        let expected = format!("READY=1\nMAINPID={}", std::process::id());
        assert_eq!(received(&socket), Some(expected));
        assert!(!notifier.wants_status(at(999)));
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
    fn the_watchdog_is_fed_so_often_that_two_messages_may_get_lost() {
        let (_dir, socket, address) = manager();
        let watchdog = Some(Span::from_secs(2));
        let mut notifier = Notifier::connect(&address, watchdog).expect("connected");
        notifier.alive(at(5));
        assert_eq!(received(&socket).as_deref(), Some("WATCHDOG=1"));
        assert_eq!(notifier.next_feed(at(5)), Some(at(505)));
        notifier.alive(at(504));
        assert_eq!(received(&socket), None);
        notifier.alive(at(505));
        assert_eq!(received(&socket).as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn what_could_not_be_sent_is_sent_again_soon() {
        let (_dir, socket, address) = manager();
        let watchdog = Some(Span::from_secs(60));
        let mut notifier = Notifier::connect(&address, watchdog).expect("connected");
        while notifier.send("STATUS=full") {}
        notifier.ready(at(0));
        notifier.alive(at(0));
        assert_eq!(notifier.next_feed(at(0)), Some(at(1_000)));
        while received(&socket).is_some() {}
        notifier.alive(at(1_000));
        let expected = format!("READY=1\nMAINPID={}", std::process::id());
        assert_eq!(received(&socket), Some(expected));
        assert_eq!(received(&socket).as_deref(), Some("WATCHDOG=1"));
        assert_eq!(notifier.next_feed(at(1_000)), Some(at(16_000)));
    }

    #[test]
    fn a_manager_that_is_started_anew_is_found() {
        let (dir, socket, address) = manager();
        let watchdog = Some(Span::from_secs(60));
        let mut notifier = Notifier::connect(&address, watchdog).expect("connected");
        drop(socket);
        notifier.alive(at(0));
        let path = dir.path().join("notify");
        std::fs::remove_file(&path).expect("removed");
        let anew = UnixDatagram::bind(&path).expect("a socket");
        anew.set_nonblocking(true).expect("settable");
        assert_eq!(notifier.next_feed(at(0)), Some(at(1_000)), "it was not heard");
        notifier.alive(at(1_000));
        assert_eq!(received(&anew).as_deref(), Some("WATCHDOG=1"));
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
        assert!(!Notifier::default().is_active());
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
