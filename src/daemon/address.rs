// SPDX-License-Identifier: GPL-2.0-or-later
//! The address of this member: taking it at the start, and noticing when this machine loses it
//! and gets it back.
//!
//! A start may be too early: a daemon that was just killed has not let go of its sockets, an IPv6
//! address is not usable before nobody else on the link claims it. Both are over in seconds, and
//! waited for. An address that this machine does not have at all is the business of whoever moves
//! it and of the service manager: then the start fails, and says what was looked for and what
//! there is.
//!
//! Sockets stay bound to an address that goes, and work again when it comes back.

use super::{clients, udp};
use crate::sys::local_addr::{self, in_words, LocalAddress};
use crate::sys::poll;
use crate::sys::signals::Signals;
use crate::sys::watch::Watch;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a start waits for its address.
const BIND_LIMIT: Duration = Duration::from_secs(5);
/// How often it tries in that time.
const BIND_AGAIN: Duration = Duration::from_millis(50);

/// The sockets of a member.
pub(super) struct Bound {
    /// For datagrams.
    pub(super) datagrams: UdpSocket,
    /// For clients.
    pub(super) listener: TcpListener,
}

/// Binds the sockets. While another process has the address, or it is not there, that is tried
/// again for some seconds. `None`: a signal asks to stop meanwhile; it has not been taken.
///
/// # Errors
/// The address cannot be had; the text says why, and what there is instead.
pub(super) fn bind(address: SocketAddr, signals: &Signals) -> io::Result<Option<Bound>> {
    let until = Instant::now() + BIND_LIMIT;
    let mut said = false;
    loop {
        let error = match bind_once(address) {
            Ok(bound) => {
                if said {
                    log::info!("bound {address} now");
                }
                return Ok(Some(bound));
            }
            Err(error) => error,
        };
        if !may_pass(&error) || Instant::now() >= until {
            return Err(io::Error::other(explain(address, &error)));
        }
        if !said {
            let limit = BIND_LIMIT.as_secs();
            log::warn!("cannot bind {address}: {error}; trying again for {limit} s");
            said = true;
        }
        // Without this, a signal that is looked at later would make this loop run hot.
        signals.quiet();
        if signals.wants_stop().is_some() {
            return Ok(None);
        }
        // If there cannot be a wait, the loop runs hot, for no longer than the limit.
        let _ = poll::wait([signals.descriptor()], Some(BIND_AGAIN));
    }
}

/// Neither socket shares its address with a socket of another process that lives: the one for
/// datagrams is alone, and of listeners the kernel allows one.
fn bind_once(address: SocketAddr) -> io::Result<Bound> {
    Ok(Bound { datagrams: udp::bind(address)?, listener: clients::bind(address)? })
}

/// Whether what hinders may be over soon.
fn may_pass(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

/// Why the sockets cannot be bound, and what there is instead.
fn explain(address: SocketAddr, error: &io::Error) -> String {
    let what = format!("failed to bind socket {address}: {error}");
    let needs_interface = matches!(address, SocketAddr::V6(v6)
        if v6.scope_id() == 0 && v6.ip().is_unicast_link_local());
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("{what}; does another daemon run here?"),
        io::ErrorKind::AddrNotAvailable => {
            let ip = address.ip();
            match local_addr::local_addresses() {
                Ok(here) if here.iter().any(|local| local.address == ip) => {
                    format!("{what}; {ip} is on another interface, or cannot be used yet")
                }
                Ok(here) => {
                    format!("{what}; this machine does not have {ip}, it has {}", in_words(&here))
                }
                Err(_) => what,
            }
        }
        _ if needs_interface => format!(
            "{what}; a link-local address needs its interface: {}%eth0 in the configuration",
            address.ip()
        ),
        _ => what,
    }
}

/// Where the address of this member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Here,
    /// On an interface that the sockets are not bound to, of which this is the number. One that
    /// was removed and made anew has another number.
    Elsewhere(u32),
    Gone,
}

/// Where `address` is among these.
fn place(address: SocketAddr, here: &[LocalAddress]) -> Place {
    let scope = match address {
        SocketAddr::V6(v6) => v6.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let mut all = here.iter().filter(|local| local.address == address.ip());
    match all.clone().next() {
        None => Place::Gone,
        Some(_) if all.any(|local| scope == 0 || local.scope == scope) => Place::Here,
        Some(first) => Place::Elsewhere(first.scope),
    }
}

/// Notices that this machine loses the address or gets it back, without looking for it again and
/// again.
pub(super) struct AddressWatch {
    address: SocketAddr,
    changes: Watch<OwnedFd>,
    place: Place,
}

impl AddressWatch {
    /// Watches an address; only changes are spoken of.
    ///
    /// # Errors
    /// The kernel does not tell of changes here.
    pub(super) fn new(address: SocketAddr) -> io::Result<AddressWatch> {
        let changes = Watch::addresses()?;
        // Some that can be bound are in no list: 127.0.0.2, or one of a local route.
        let here = local_addr::local_addresses();
        let place = here.map_or(Place::Gone, |here| place(address, &here));
        Ok(AddressWatch { address, changes, place })
    }

    /// What becomes readable when addresses have changed.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.changes.descriptor()
    }

    /// Looks where the address is, and says so if that has changed.
    pub(super) fn look(&mut self) {
        self.changes.drain();
        let Ok(here) = local_addr::local_addresses() else {
            // It is asked again at the next change.
            return;
        };
        let place = place(self.address, &here);
        if place == self.place {
            return;
        }
        self.place = place;
        let address = self.address.ip();
        match place {
            Place::Here => log::info!("this machine has the address {address} again"),
            Place::Elsewhere(interface) => log::warn!(
                "this machine has the address {address} of this member on another interface than \
                 the one of the start: number {interface}; nobody reaches this member: restart it \
                 if the interface was made anew, else move the address back"
            ),
            Place::Gone => log::warn!(
                "this machine no longer has the address {address} of this member, it has {}; \
                 nobody reaches this member until it is back",
                in_words(&here)
            ),
        }
    }
}
