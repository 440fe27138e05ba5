// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth exporter` as a test runs it, and what a client of HTTP gets from it.

use super::lab::Lab;
use super::program::Kind;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

/// No answer takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// An exporter; it ends with the test.
pub struct Exporter {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Its head, with the line of the status.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Exporter {
    /// Starts one for the member with this address, which it also uses itself, at a port that is
    /// free. It serves when this returns.
    #[track_caller]
    pub fn start(lab: &Lab, config: &str, member: Ipv4Addr) -> Exporter {
        Exporter::start_at(lab, config, member, member)
    }

    /// The same with another address to listen on.
    #[track_caller]
    pub fn start_at(lab: &Lab, config: &str, member: Ipv4Addr, at: Ipv4Addr) -> Exporter {
        let mut command = Kind::Ours.command(lab, "booth", None);
        command.args(["exporter", "-c", config, "-s", &member.to_string()]);
        command.args(["-L", &format!("{at}:0")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the exporter starts");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("it is piped");
        BufReader::new(stderr).read_line(&mut line).expect("a line");
        let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let address = address.and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("it says where it listens: {line:?}"));
        Exporter { child, address }
    }

    /// The answer to a request with this method.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str) -> Page {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.send(head.as_bytes())
    }

    /// The answer to GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Page {
        self.ask("GET", path)
    }

    /// The answer to these bytes.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> Page {
        http(self.address, bytes)
    }
}

/// What comes back for these bytes until the connection ends.
#[track_caller]
pub fn http(address: SocketAddr, bytes: &[u8]) -> Page {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.write_all(bytes).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer that ends");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {text:?}"));
    Page { status, head: head.to_owned(), body: body.to_owned() }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It may have ended, or the test is failing already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
