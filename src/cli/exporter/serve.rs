// SPDX-License-Identifier: GPL-2.0-or-later
//! The HTTP of the exporter: a fixed number of threads, each of which serves one connection with
//! one request at a time.
//!
//! The server of `tiny_http` reads heads without bound of size or time and starts a thread for each
//! connection. Here the head is read with bounds; `tiny_http` knows the methods, writes the answer
//! and leaves out its body for HEAD.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tiny_http::{HTTPVersion, Header, Method, Response};

/// So many connections are served at a time; the kernel lets a few more wait.
const THREADS: usize = 8;
/// The longest head of a request in bytes.
const HEAD_MAX: usize = 8192;
/// How long a request may take to arrive.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer may take to be sent.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long, and with how many bytes, a client may go on sending after its answer.
const LINGER: (Duration, usize) = (Duration::from_millis(500), 65_536);
/// How long to wait if no connection can be accepted, for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(200);

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

/// Serves for ever. `answer` gets the path of each GET, HEAD and OPTIONS request, without what
/// follows a `?`; for the latter two no body is sent.
pub(super) fn serve(listener: &TcpListener, answer: impl Fn(&str) -> Reply + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| loop {
                match listener.accept() {
                    // If the client has gone, there is nobody to tell.
                    Ok((stream, _)) => drop(converse(&stream, &answer)),
                    Err(_) => std::thread::sleep(PAUSE),
                }
            });
        }
    });
}

/// Reads one request, answers it, and closes the connection.
fn converse(stream: &TcpStream, answer: &impl Fn(&str) -> Reply) -> io::Result<()> {
    let until = Instant::now() + REQUEST_LIMIT;
    let head = read_head(&mut Timed { stream, until })?;
    let (reply, no_body) = reply(head.as_deref(), answer);
    let until = Instant::now() + ANSWER_LIMIT;
    let mut bytes = Vec::new();
    print(reply, no_body, &mut bytes)?;
    Timed { stream, until }.write_all(&bytes)?;
    // Closing while the client still sends would take the answer back.
    stream.shutdown(Shutdown::Write)?;
    let rest = Timed { stream, until: Instant::now() + LINGER.0 };
    let most = u64::try_from(LINGER.1).unwrap_or(u64::MAX);
    io::copy(&mut rest.take(most), &mut io::sink())?;
    Ok(())
}

/// The head of a request up to its empty line; `None` if it is too long.
fn read_head(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while head.len() < HEAD_MAX {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&part[..count]);
        let is_end = |end: &[u8]| head.windows(end.len()).any(|window| window == end);
        if is_end(b"\r\n\r\n") || is_end(b"\n\n") {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// What to answer to this head, and whether to leave out the body.
fn reply(head: Option<&[u8]>, answer: &impl Fn(&str) -> Reply) -> (Reply, bool) {
    let Some(head) = head else {
        return (Reply::text(431, "The head of the request is too long."), false);
    };
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let mut words = line.trim_end().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return (Reply::text(400, "This is no HTTP request."), false);
    };
    let known = version.starts_with("HTTP/1.");
    let Some(path) = path_of(target).filter(|_| known) else {
        return (Reply::text(400, "This is no HTTP request that is known here."), false);
    };
    match method.parse() {
        Ok(Method::Get) => (answer(path), false),
        Ok(Method::Head | Method::Options) => (answer(path).also("Allow", ALLOWED), true),
        Ok(_) | Err(()) => {
            let text = "Use GET, HEAD or OPTIONS: nothing can be changed here.";
            (Reply::text(405, text).also("Allow", ALLOWED), false)
        }
    }
}

const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// The path in the target of a request, which may be a whole URL.
fn path_of(target: &str) -> Option<&str> {
    let rest = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => target,
    };
    // Reference: `OPTIONS *` of RFC 9110 asks about the server as a whole.
    let rest = if rest.is_empty() || rest == "*" { "/" } else { rest };
    let path = rest.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
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
}

/// Writes an answer. HTTP/1.0 says that the connection ends with it.
fn print(reply: Reply, no_body: bool, to: &mut Vec<u8>) -> io::Result<()> {
    let Reply { status, kind, body, headers } = reply;
    let mut response = Response::from_string(body).with_status_code(status);
    let server = concat!("booth/", env!("CARGO_PKG_VERSION"));
    let always = [
        ("Content-Type", kind),
        ("Server", server),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    for (name, value) in always.into_iter().chain(headers) {
        let header = Header::from_bytes(name, value).expect("a constant header is ASCII");
        response.add_header(header);
    }
    response.raw_print(to, HTTPVersion(1, 0), &[], no_body, None)
}

/// A connection that is waited for until an instant only.
struct Timed<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            Some(_) | None => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        (&mut &*self.stream).read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        (&mut &*self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(request: &str) -> (u16, bool, String) {
        let head = read_head(&mut request.as_bytes()).expect("a whole head");
        let (reply, no_body) = reply(head.as_deref(), &|path| Reply::text(200, path));
        (reply.status, no_body, reply.body)
    }

    #[test]
    fn only_what_reads_is_answered() {
        for (request, status, no_body, body) in [
            ("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", 200, false, "/a\n"),
            ("GET http://x:1/a HTTP/1.0\n\n", 200, false, "/a\n"),
            ("GET http://x HTTP/1.1\r\n\r\n", 200, false, "/\n"),
            ("HEAD /a HTTP/1.1\r\n\r\n", 200, true, "/a\n"),
            ("OPTIONS * HTTP/1.1\r\n\r\n", 200, true, "/\n"),
        ] {
            assert_eq!(answered(request), (status, no_body, body.to_owned()), "{request}");
        }
        for (request, status) in [
            ("POST / HTTP/1.1\r\n\r\n", 405),
            ("DELETE /ticket/a HTTP/1.1\r\n\r\n", 405),
            ("get / HTTP/1.1\r\n\r\n", 405),
            ("GET / HTTP/2.0\r\n\r\n", 400),
            ("GET a HTTP/1.1\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / b HTTP/1.1\r\n\r\n", 400),
            ("\r\n\r\n", 400),
        ] {
            assert_eq!(answered(request).0, status, "{request}");
        }
    }

    #[test]
    fn a_head_is_not_read_beyond_its_bound_and_never_taken_in_part() {
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2 * HEAD_MAX));
        assert_eq!(answered(&long).0, 431);
        let cut = read_head(&mut "GET / HTTP/1.1\r\n".as_bytes());
        assert_eq!(cut.expect_err("cut off").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_answer_ends_with_its_connection_and_says_what_it_is() {
        let print = |no_body| {
            let mut bytes = Vec::new();
            let reply = Reply::text(503, "no").also("Allow", "GET");
            print(reply, no_body, &mut bytes).expect("into memory");
            String::from_utf8(bytes).expect("text")
        };
        let whole = print(false);
        assert!(whole.starts_with("HTTP/1.0 503 Service Unavailable\r\n"), "{whole}");
        for part in [
            "\r\nContent-Type: text/plain; charset=utf-8\r\n",
            "\r\nContent-Length: 3\r\n",
            "\r\nX-Content-Type-Options: nosniff\r\n",
            "\r\nCache-Control: no-store\r\n",
            "\r\nAllow: GET\r\n",
            "\r\n\r\nno\n",
        ] {
            assert!(whole.contains(part), "{part:?} in {whole}");
        }
        let head = print(true);
        assert!(head.contains("\r\nContent-Length: 3\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
}
