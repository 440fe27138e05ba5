// SPDX-License-Identifier: GPL-2.0-or-later
//! The HTTP of the exporter: what a head asks for, and what an answer looks like. Here is no I/O.
//!
//! The server of `tiny_http` reads heads without bound of size or time and starts a thread for each
//! connection. So heads are read here; `tiny_http` knows the methods, writes the answer and leaves
//! out its body for HEAD.

use std::net::Ipv4Addr;
use tiny_http::{HTTPVersion, Header, Method, Response};

/// The path of the page for people.
pub(super) const PAGE: &str = "/";

const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The status code.
    pub status: u16,
    /// The type of the body, for `Content-Type`.
    pub kind: &'static str,
    /// The body.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// What a client wants to read.
#[derive(Debug)]
pub(super) struct Request {
    /// The path, without what follows a `?`.
    pub path: String,
    /// The body is left out: HEAD and OPTIONS.
    no_body: bool,
}

/// Whether the end of a head is in these bytes; it was not in those before `new`.
pub(super) fn has_end(head: &[u8], new: usize) -> bool {
    let tail = &head[new.saturating_sub(3)..];
    let has = |end: &[u8]| tail.windows(end.len()).any(|window| window == end);
    has(b"\r\n\r\n") || has(b"\n\n")
}

/// What this head asks for, or the bytes of a refusal. With `any_name`, the client may call this
/// host as it likes.
pub(super) fn request(head: &[u8], any_name: bool) -> Result<Request, Vec<u8>> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().trim_end().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Reply::text(400, "This is no HTTP request.").bytes());
    };
    let known = matches!(version, "HTTP/1.0" | "HTTP/1.1");
    let Some(path) = path_of(target).filter(|_| known) else {
        return Err(Reply::text(400, "This is no HTTP request that is known here.").bytes());
    };
    let no_body = match method.parse() {
        Ok(Method::Get) => false,
        Ok(Method::Head | Method::Options) => true,
        Ok(_) | Err(()) => {
            let text = "Use GET, HEAD or OPTIONS: nothing can be changed here.";
            return Err(Reply::text(405, text).also("Allow", ALLOWED).bytes());
        }
    };
    let request = Request { path: path.to_owned(), no_body };
    let hosts = lines.filter_map(|line| line.split_once(':'));
    let mut hosts = hosts.filter(|(name, _)| name.trim().eq_ignore_ascii_case("host"));
    if !any_name && !hosts.all(|(_, host)| is_own(host.trim())) {
        let text = "Only this host is served: use localhost or an address in place of the name. \
                    A proxy has to send \"Host: localhost\".";
        return Err(request.answer(Reply::text(403, text)));
    }
    Ok(request)
}

/// The path in the target of a request, which may be a whole URL.
fn path_of(target: &str) -> Option<&str> {
    let rest = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => target,
    };
    // Reference: `OPTIONS *` of RFC 9110 asks about the server as a whole.
    let rest = if rest.is_empty() || rest == "*" { PAGE } else { rest };
    let path = rest.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
}

/// Whether this is an address, or the name of no other host. The owner of any other name can have
/// it point here, and then a browser lets the pages under that name read what is served.
fn is_own(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    let is_ipv4 = || name.parse::<Ipv4Addr>().is_ok();
    host.is_empty() || host.starts_with('[') || name.eq_ignore_ascii_case("localhost") || is_ipv4()
}

impl Request {
    /// The bytes of this answer to it.
    pub(super) fn answer(&self, reply: Reply) -> Vec<u8> {
        match self.no_body {
            true => print(reply.also("Allow", ALLOWED), true),
            false => print(reply, false),
        }
    }
}

impl Reply {
    /// A line of text.
    pub(super) fn text(status: u16, line: &str) -> Reply {
        let kind = "text/plain; charset=utf-8";
        Reply { status, kind, body: format!("{line}\n"), headers: Vec::new() }
    }

    /// The same with another header.
    pub(super) fn also(mut self, name: &'static str, value: &'static str) -> Reply {
        self.headers.push((name, value));
        self
    }

    /// Its bytes, where the request is not known.
    pub(super) fn bytes(self) -> Vec<u8> {
        print(self, false)
    }
}

/// The bytes of an answer. HTTP/1.0 says that the connection ends with it.
fn print(reply: Reply, no_body: bool) -> Vec<u8> {
    let Reply { status, kind, body, headers } = reply;
    let mut response = Response::from_string(body).with_status_code(status);
    let server = concat!("booth/", env!("CARGO_PKG_VERSION"));
    let always = [
        ("Content-Type", kind),
        ("Server", server),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ];
    for (name, value) in always.into_iter().chain(headers) {
        let header = Header::from_bytes(name, value).expect("a constant header is ASCII");
        response.add_header(header);
    }
    let mut bytes = Vec::new();
    let printed = response.raw_print(&mut bytes, HTTPVersion(1, 0), &[], no_body, None);
    printed.expect("memory takes everything");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path, and whether the body is left out; or the status of a refusal.
    fn asked(head: &str) -> Result<(String, bool), u16> {
        let asked = request(head.as_bytes(), false);
        asked.map(|request| (request.path, request.no_body)).map_err(|bytes| status(&bytes))
    }

    fn status(answer: &[u8]) -> u16 {
        let word = answer.split(|byte| *byte == b' ').nth(1).expect("a status");
        std::str::from_utf8(word).expect("text").parse().expect("a number")
    }

    #[test]
    fn only_what_reads_is_answered() {
        for (head, path, no_body) in [
            ("GET /a?b=c HTTP/1.1\r\nHost: [::1]\r\n\r\n", "/a", false),
            ("GET http://x:1/a HTTP/1.0\n\n", "/a", false),
            ("GET http://x HTTP/1.1\r\n\r\n", "/", false),
            ("HEAD /a HTTP/1.1\r\n\r\n", "/a", true),
            ("OPTIONS * HTTP/1.1\r\n\r\n", "/", true),
        ] {
            assert_eq!(asked(head), Ok((path.to_owned(), no_body)), "{head}");
        }
        for (head, status) in [
            ("POST / HTTP/1.1\r\n\r\n", 405),
            ("DELETE /ticket/a HTTP/1.1\r\n\r\n", 405),
            ("get / HTTP/1.1\r\n\r\n", 405),
            ("GET / HTTP/2.0\r\n\r\n", 400),
            ("GET a HTTP/1.1\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / b HTTP/1.1\r\n\r\n", 400),
            ("\r\n\r\n", 400),
        ] {
            assert_eq!(asked(head), Err(status), "{head}");
        }
    }

    #[test]
    fn a_name_that_others_can_point_here_is_refused_unless_any_will_do() {
        let head = |header: &str| format!("GET / HTTP/1.1\r\nX: y\r\n{header}\r\n\r\n");
        for host in ["", "127.0.0.1", "192.0.2.1:9930", "[::1]", "[2001:db8::1]:80", "LocalHost:1"]
        {
            assert!(asked(&head(&format!("Host: {host}"))).is_ok(), "{host}");
        }
        assert!(asked(&head("Accept: */*")).is_ok(), "HTTP/1.0 has no Host");
        for header in [
            "Host: evil.example.com",
            "host:evil.example.com:9930",
            "HOST : evil",
            "Host: localhost.evil.example.com",
            "Host: 127.0.0.1.evil.example.com",
            "Host: \u{fc}",
            "Host: localhost\r\nHost: evil",
        ] {
            assert_eq!(asked(&head(header)), Err(403), "{header}");
            assert!(request(head(header).as_bytes(), true).is_ok(), "{header}");
        }
        let latin = request(b"GET / HTTP/1.1\r\nHost: \xfc\r\n\r\n", false);
        assert_eq!(status(&latin.expect_err("refused")), 403);
        let bodiless = request(b"HEAD / HTTP/1.1\r\nHost: evil\r\n\r\n", false);
        assert!(bodiless.expect_err("refused").ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_its_parts_end() {
        for (head, len) in [("GET /\r\n\r\nabc", 9), ("GET /\n\nabc", 7), ("\r\n\n", 3)] {
            for new in 0..len {
                assert!(has_end(&head.as_bytes()[..len], new), "{head:?} {new}");
                let (part, new) = (&head.as_bytes()[..len - 1], new.min(len - 1));
                assert!(!has_end(part, new), "{head:?} {new}");
            }
        }
    }

    #[test]
    fn the_answer_ends_with_its_connection_and_says_what_it_is() {
        let print = |no_body| {
            let reply = Reply::text(503, "no").also("Refresh", "5");
            let bytes = Request { path: PAGE.to_owned(), no_body }.answer(reply);
            String::from_utf8(bytes).expect("text")
        };
        let whole = print(false);
        assert!(whole.starts_with("HTTP/1.0 503 Service Unavailable\r\n"), "{whole}");
        for part in [
            "\r\nContent-Type: text/plain; charset=utf-8\r\n",
            "\r\nContent-Length: 3\r\n",
            "\r\nX-Content-Type-Options: nosniff\r\n",
            "\r\nX-Frame-Options: DENY\r\n",
            "\r\nCross-Origin-Resource-Policy: same-origin\r\n",
            "\r\nCache-Control: no-store\r\n",
            "\r\nRefresh: 5\r\n",
            "\r\n\r\nno\n",
        ] {
            assert!(whole.contains(part), "{part:?} in {whole}");
        }
        let head = print(true);
        for part in ["\r\nContent-Length: 3\r\n", "\r\nAllow: GET, HEAD, OPTIONS\r\n"] {
            assert!(head.contains(part) && head.ends_with("\r\n\r\n"), "{part:?} in {head}");
        }
    }
}
