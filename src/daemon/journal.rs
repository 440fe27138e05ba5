// SPDX-License-Identifier: GPL-2.0-or-later
//! The journal's own socket, which takes lines with fields (systemd.journal-fields(7)).

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// The socket where the journal takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The way to the journal.
pub(super) struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal::at(SOCKET)
    }
}

impl Journal {
    fn at(path: impl Into<PathBuf>) -> Journal {
        let socket = UnixDatagram::unbound().ok();
        // A journal that does not read must not hold up the log.
        let socket = socket.filter(|socket| socket.set_nonblocking(true).is_ok());
        Journal { path: path.into(), socket }
    }

    /// Sends a line of `ident` and its fields, none of which has a line break. False: there is no
    /// journal, or no room.
    pub(super) fn send(
        &self,
        ident: &str,
        severity: u8,
        text: &str,
        fields: &[(String, String)],
    ) -> bool {
        let mut entry = format!(
            "MESSAGE={text}\nPRIORITY={severity}\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER={ident}\n"
        );
        for (name, value) in fields {
            entry += &format!("{name}={value}\n");
        }
        let socket = self.socket.as_ref();
        socket.is_some_and(|socket| socket.send_to(entry.as_bytes(), &self.path).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_arrives_with_its_fields_or_the_sender_knows() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let journal = Journal::at(&path);
        let fields = [("BOOTH_TICKET".to_owned(), "t".to_owned())];
        assert!(!journal.send("boothd-site", 6, "granted", &fields));
        let daemon = UnixDatagram::bind(&path).expect("bound");
        assert!(journal.send("boothd-site", 6, "granted", &fields));
        let mut buffer = [0; 200];
        let len = daemon.recv(&mut buffer).expect("a datagram");
        let expected = "MESSAGE=granted\nPRIORITY=6\nSYSLOG_FACILITY=3\n\
                        SYSLOG_IDENTIFIER=boothd-site\nBOOTH_TICKET=t\n";
        assert_eq!(String::from_utf8_lossy(&buffer[..len]), expected);
    }
}
