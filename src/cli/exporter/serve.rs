// SPDX-License-Identifier: GPL-2.0-or-later
//! Who is served, and by whom.
//!
//! One thread waits for all connections at once, and does for each what can be done without
//! waiting. So a client that is slow to ask, to read or to leave keeps only its own place, and when
//! all places are taken, who has had one for the longest time gives way to the one that comes. A
//! few other threads make the answers, for which they may have to wait for members; half of them
//! only the page, the others all the rest, which waits for no other member.

use super::connection::Connection;
use super::http::{Reply, PAGE};
use crate::sys::poll::{self, Entry, Wanted};
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many connections are served at a time; the kernel lets some more wait.
const PLACES: usize = 64;
/// So many threads make the page, and as many all other answers.
const MAKERS: usize = 2;
/// So many more requests for the page may wait for them: never all places.
const PAGES: usize = PLACES / 2;
/// So many are accepted before the others have their turn.
const AT_ONCE: usize = 16;
/// As many bytes may wait for readers that are slow.
const UNREAD_MAX: usize = 16 << 20;
/// How long to wait if the kernel gives no connection, for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves for ever. `answer` gets the path of each GET, HEAD and OPTIONS request, without what
/// follows a `?`; for the latter two no body is sent. Unless `any_name`, who asks has to call this
/// host by a name or address that nobody else can give to it.
///
/// # Errors
/// There are too many open descriptors.
pub(super) fn serve(
    listener: &TcpListener,
    any_name: bool,
    answer: impl Fn(&str) -> Reply + Sync,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let (sleeper, waker) = poll::waker_pair()?;
    let (pages, others, answered) = <(Queue, Queue, Queue)>::default();
    let make = |queue: &Queue| loop {
        let mut connection = queue.take();
        connection.answer(&answer);
        answered.put(connection);
        poll::wake(&waker);
    };
    std::thread::scope(|scope| {
        for _ in 0..MAKERS {
            scope.spawn(|| make(&pages));
            scope.spawn(|| make(&others));
        }
        let (pages, others, answered) = (&pages, &others, &answered);
        let (open, away, rests) = (Vec::new(), 0, None);
        Room { listener, any_name, sleeper, pages, others, answered, open, away, rests }.run();
    });
    Ok(())
}

/// Connections on their way to other threads. There are never more than places.
#[derive(Default)]
struct Queue(Mutex<VecDeque<Connection>>, Condvar);

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        // A panic ends the process: nothing is half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, connection: Connection) {
        self.lock().push_back(connection);
        self.1.notify_one();
    }

    /// The first, as soon as there is one.
    fn take(&self) -> Connection {
        let mut connections = self.lock();
        loop {
            if let Some(first) = connections.pop_front() {
                return first;
            }
            connections = self.1.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What the thread has that waits for connections.
struct Room<'a> {
    listener: &'a TcpListener,
    any_name: bool,
    /// What is woken when an answer is made.
    sleeper: UnixStream,
    /// Where requests for the page go, and those for anything else.
    pages: &'a Queue,
    others: &'a Queue,
    answered: &'a Queue,
    open: Vec<Connection>,
    /// How many connections are there whose answers are being made.
    away: usize,
    /// Until when nothing is accepted after an error.
    rests: Option<Instant>,
}

impl Room<'_> {
    fn run(mut self) {
        loop {
            let mut ready = self.wait().into_iter();
            let comes = ready.next() == Some(true);
            let _ = poll::drain(&self.sleeper);
            for (connection, ready) in std::mem::take(&mut self.open).into_iter().zip(ready) {
                match ready {
                    true => self.go_on(connection),
                    false => self.open.push(connection),
                }
            }
            loop {
                // Those who put more there do not wait until this one has gone on.
                let first = self.answered.lock().pop_front();
                let Some(connection) = first else { break };
                self.away -= 1;
                self.go_on(connection);
                self.forget_unread();
            }
            let now = Instant::now();
            self.open.retain(|connection| connection.deadline() > now);
            if comes {
                self.accept();
            }
        }
    }

    /// Waits until something can be done. Says whether a client comes, and at which connections
    /// something has happened.
    fn wait(&self) -> Vec<bool> {
        let now = Instant::now();
        let accepts_at = self.accepts_at(now);
        let accepts = accepts_at.is_some_and(|at| at <= now);
        let until = self.open.iter().map(Connection::deadline);
        let until = until.chain(accepts_at.filter(|_| !accepts)).min();
        let mut entries = Vec::with_capacity(2 + self.open.len());
        entries.push(Entry::new(self.listener.as_fd(), Wanted { read: accepts, write: false }));
        entries.extend(self.open.iter().map(Connection::entry));
        entries.push(Entry::new(self.sleeper.as_fd(), Wanted::READ));
        let limit = until.map(|until| until.saturating_duration_since(now));
        if poll::wait_for(&mut entries, limit).is_err() {
            // Nothing here waits: all can be tried, but not too often.
            std::thread::sleep(PAUSE);
            return vec![true; entries.len()];
        }
        entries.iter().map(Entry::is_ready).collect()
    }

    /// From when on a connection may be accepted, as far as that is known.
    fn accepts_at(&self, now: Instant) -> Option<Instant> {
        let room_at = match self.has_room() {
            true => Some(now),
            false => self.open.iter().map(Connection::yields_at).min(),
        };
        room_at.map(|at| at.max(self.rests.unwrap_or(at)))
    }

    fn has_room(&self) -> bool {
        self.open.len() + self.away < PLACES
    }

    /// Accepts those who have come, and begins with each: most have sent their requests.
    fn accept(&mut self) {
        for _ in 0..AT_ONCE {
            let now = Instant::now();
            let first = (0..self.open.len()).min_by_key(|index| self.open[*index].yields_at());
            let first = first.filter(|index| self.open[*index].yields_at() <= now);
            if !self.has_room() && first.is_none() {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some(index) = first.filter(|_| !self.has_room()) {
                        self.open.swap_remove(index);
                    }
                    // If the client has gone, there is nobody to tell.
                    if let Ok(connection) = Connection::new(stream) {
                        self.go_on(connection);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.rests = Some(now + PAUSE);
                        return;
                    }
                },
            }
        }
    }

    /// Does for a connection what can be done now. It is kept until it is over.
    fn go_on(&mut self, mut connection: Connection) {
        if !connection.go_on(self.any_name) {
            return;
        }
        let Some(request) = connection.request() else { return self.open.push(connection) };
        let is_page = request.path == PAGE;
        if is_page && self.pages.lock().len() >= PAGES {
            connection.answer(|_| {
                let reply = Reply::text(503, "Too many ask for this at once; ask again.");
                // A browser that shows the page does so itself.
                reply.also("Refresh", "5")
            });
            return self.go_on(connection);
        }
        let queue = if is_page { self.pages } else { self.others };
        queue.put(connection);
        self.away += 1;
    }

    /// Closes those that have been reading for the longest time until all that is unread takes no
    /// more memory than it may; the last to come stays, whatever it reads.
    fn forget_unread(&mut self) {
        while self.open.iter().map(Connection::unread).sum::<usize>() > UNREAD_MAX {
            let readers = (0..self.open.len() - 1).filter(|index| self.open[*index].unread() > 0);
            match readers.min_by_key(|index| self.open[*index].yields_at()) {
                Some(index) => self.open.remove(index),
                None => return,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::{Arc, RwLock};

    /// No test waits for longer; far less than a slow client may take.
    const SOON: Duration = Duration::from_secs(8);

    /// Serves until the tests end.
    fn served(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> SocketAddr {
        let any = SocketAddr::from(([127, 20, 0, 3], 0));
        let listener = crate::daemon::clients::bind(any).expect("bound");
        let at = listener.local_addr().expect("an address");
        std::thread::spawn(move || serve(&listener, false, answer));
        at
    }

    fn client(at: SocketAddr, said: &str) -> TcpStream {
        let mut stream = TcpStream::connect(at).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a limit");
        stream.write_all(said.as_bytes()).expect("sent");
        stream
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.0\r\n\r\n")
    }

    /// All that comes until the connection ends.
    fn heard(mut stream: &TcpStream) -> String {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    }

    /// Whether the connection has ended, or its answer has come.
    fn has_news(stream: &TcpStream) -> bool {
        poll::wait([stream.as_fd()], Some(Duration::ZERO)).expect("polled") == [true]
    }

    #[test]
    fn who_has_kept_a_place_for_longest_gives_way() {
        let at = served(|path| Reply::text(200, path));
        let silent: Vec<_> = (0..PLACES).map(|_| client(at, "GET")).collect();
        // The first that comes has room, or the first of them has to go.
        let leaving = client(at, &get("/a"));
        assert!(heard(&leaving).ends_with("\r\n\r\n/a\n"));
        assert_eq!(heard(&silent[0]), "");
        // Then it is the one that has its answer.
        assert!(heard(&client(at, &get("/b"))).ends_with("\r\n\r\n/b\n"));
        assert!(!has_news(&silent[PLACES - 1]));
    }

    #[test]
    fn pages_that_are_long_in_coming_keep_neither_each_other_nor_anybody_else() {
        let gate = Arc::new(RwLock::new(()));
        let shut = gate.write();
        let entry = Arc::clone(&gate);
        let at = served(move |path| {
            if path == PAGE {
                drop(entry.read());
            }
            Reply::text(200, path)
        });
        let pages: Vec<_> = (0..PLACES).map(|_| client(at, &get(PAGE))).collect();
        let _silent: Vec<_> = (0..2 * PLACES).map(|_| client(at, "GET")).collect();
        assert!(heard(&client(at, &get("/a"))).ends_with("\r\n\r\n/a\n"));
        assert!(pages.iter().take(PAGES).all(|page| !has_news(page)));
        drop(shut);
        let answers: Vec<_> = pages.iter().map(heard).collect();
        let made = |answer: &&String| answer.starts_with("HTTP/1.0 200 ");
        let made = answers.iter().filter(made).count();
        assert!((PAGES..=PAGES + MAKERS).contains(&made), "{made} of {answers:?}");
        let refused = answers.iter().find(|answer| answer.starts_with("HTTP/1.0 503 "));
        assert!(refused.is_some_and(|text| text.contains("\r\nRefresh: 5\r\n")), "{answers:?}");
    }

    #[test]
    fn what_slow_readers_leave_unread_is_bounded_and_the_last_of_them_is_served() {
        let long = UNREAD_MAX / 2;
        let at = served(move |_| Reply::text(200, &"x".repeat(long)));
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let reader = client(at, &get("/a"));
                poll::wait([reader.as_fd()], Some(SOON)).expect("polled");
                reader
            })
            .collect();
        let whole: Vec<bool> = readers.iter().map(|reader| heard(reader).len() > long).collect();
        assert!(!whole[0] && whole[4], "{whole:?}");
    }
}
