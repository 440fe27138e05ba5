// SPDX-License-Identifier: GPL-2.0-or-later
//! A daemon that can be found although its lock file is gone, and its directory is none that it
//! may write to.
//!
//! It listens at a local socket whose name comes from the path of the lock file. That name is in
//! no directory, so nobody can remove it, and it ends with the process. Whoever connects is sent
//! the state line; the kernel says whose process listens. Anybody may take the name, so only a
//! process that passes for a daemon of the users who are asked for counts.

use super::lockholder::{self, Users};
use super::os;
use super::state_line::StateLine;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What names of this kind begin with, behind the NUL that says that they are in no directory.
const PREFIX: &[u8] = b"\0boothd";
/// The most bytes of a name: those of a socket's address, less its family.
const NAME_MAX: usize = 107;
/// Those who ask at once; who comes then tries once more.
const BACKLOG: i32 = 16;
/// The most bytes that are sent: a state line and a path.
const ANSWER_MAX: u64 = 16 << 10;
/// How long a daemon is waited for that is stopped or busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// The name for a lock file: the end of its path, as much as fits. What is behind the NUL, `ss`
/// shows.
fn name_of(path: &Path) -> io::Result<SockAddr> {
    let bytes = path.as_os_str().as_bytes();
    let room = NAME_MAX - PREFIX.len();
    let end = &bytes[bytes.len().saturating_sub(room)..];
    let name = [PREFIX, end].concat();
    SockAddr::unix(std::ffi::OsStr::from_bytes(&name))
}

/// The daemon's socket, at which those ask who look for it.
#[derive(Debug)]
pub(crate) struct Presence {
    listener: Option<Socket>,
}

impl Presence {
    /// Begins to listen for who holds this lock file. Must be called as the user as whom the
    /// daemon goes on, because that one is seen.
    ///
    /// Without it the daemon goes on as well: somebody else may have the name.
    pub(crate) fn new(lock_file: &Path) -> Presence {
        let path = lock_file.display();
        let listener = listen(lock_file).inspect_err(|error| {
            log::debug!("cannot be found without the file {path}: {error}");
        });
        Presence { listener: listener.ok() }
    }

    /// What becomes readable when somebody asks.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// Tells all who ask what stands in the lock file, or would. Never waits.
    pub(crate) fn answer(&mut self, lock_file: &Path, line: Option<&StateLine>) {
        let Some(listener) = &self.listener else {
            return;
        };
        let line = line.map(ToString::to_string).unwrap_or_default();
        let text = [line.as_bytes(), b"\n", &identity(&lookup_path(lock_file))].concat();
        // As many as can wait; more are answered in the next turn.
        for _ in 0..=BACKLOG {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // Those who ask would wake this for ever.
                    log::debug!("cannot be found without the lock file any more: {error}");
                    self.listener = None;
                    return;
                }
            };
            // A new socket has room for it. Who has gone misses it.
            let _ = socket.set_nonblocking(true).and_then(|()| socket.write_all(&text));
        }
    }
}

fn listen(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&name_of(&lookup_path(path))?)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Which file it is: its path, the root directory in which that is its path, and the directory in
/// which it lies or would lie, since a container may share our network, even our root directory,
/// and have a file of the same name.
fn identity(path: &Path) -> Vec<u8> {
    let number = |directory: &Path| {
        let found = std::fs::metadata(directory).ok()?;
        Some(format!("\n{}:{}", found.dev(), found.ino()))
    };
    let root = number(Path::new("/")).unwrap_or_default();
    // One that was removed is looked for above, where it will be made again.
    let nearest = path.ancestors().skip(1).find_map(number).unwrap_or_default();
    [path.as_os_str().as_bytes(), root.as_bytes(), nearest.as_bytes()].concat()
}

/// The path under which the file is known, whichever way leads to it.
fn lookup_path(path: &Path) -> std::path::PathBuf {
    lockholder::resolved(path).unwrap_or_else(|| path.to_owned())
}

/// A daemon that says of itself that it holds this lock file: its process, and its state line,
/// which is empty if it does not tell it now. Asks for a second at most.
pub(crate) fn find(path: &Path, users: &Users) -> Option<(u32, String)> {
    let path = lookup_path(path);
    let mut socket = Socket::new(Domain::UNIX, Type::STREAM, None).ok()?;
    // Where too many ask, this returns at once.
    socket.set_nonblocking(true).ok()?;
    socket.connect(&name_of(&path).ok()?).ok()?;
    let (pid, user) = os::peer_of(socket.as_fd()).ok()?;
    if !users.contains(user) || !lockholder::may_be_daemon(pid, users) {
        return None;
    }
    let answer = read_all(&mut socket);
    let Some(end) = answer.iter().position(|byte| *byte == b'\n') else {
        return Some((pid, String::new()));
    };
    // Of two long paths with the same end, this may be the other.
    let is_this = answer[end + 1..] == identity(&path);
    is_this.then(|| (pid, String::from_utf8_lossy(&answer[..end]).into_owned()))
}

/// All that is sent until the other end closes; nothing if it does not in time.
fn read_all(socket: &mut Socket) -> Vec<u8> {
    let until = Instant::now() + PATIENCE;
    let mut answer = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        os::wait_readable(&[socket.as_fd()], Some(left));
        match socket.take(ANSWER_MAX).read_to_end(&mut answer) {
            Ok(_) => return answer,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !left.is_zero() => {}
            Err(_) => return Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn listener_at(path: &Path) -> Socket {
        listen(path).expect("nobody else has the name")
    }

    #[test]
    fn who_does_not_answer_is_there_all_the_same_and_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.pid");
        assert_eq!(find(&path, &Users::own()), None);
        let listener = listener_at(&path);
        let begun = Instant::now();
        let own = std::process::id();
        assert_eq!(find(&path, &Users::own()), Some((own, String::new())));
        assert!(begun.elapsed() < PATIENCE * 3, "{:?}", begun.elapsed());
        drop(listener);
        assert_eq!(find(&path, &Users::own()), None);
    }

    #[test]
    fn the_end_of_a_long_path_is_its_name_and_the_whole_path_decides() {
        let long = "d".repeat(120);
        let (one, other) = (format!("/one/{long}/x.pid"), format!("/other/{long}/x.pid"));
        let (one, other) = (PathBuf::from(one), PathBuf::from(other));
        let name = |path: &Path| name_of(path).expect("it fits");
        assert_eq!(name(&one), name(&other));
        assert_ne!(name(&one), name(Path::new("/one/x.pid")));
        let listener = listener_at(&one);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2 {
                    os::wait_readable(&[listener.as_fd()], Some(PATIENCE * 5));
                    let (mut socket, _) = listener.accept().expect("somebody asks");
                    let text = [b"booth_pid=1\n".as_slice(), &identity(&one)].concat();
                    socket.write_all(&text).expect("sent");
                }
            });
            let expected = Some((std::process::id(), "booth_pid=1".to_owned()));
            assert_eq!(find(&one, &Users::own()), expected);
            assert_eq!(find(&other, &Users::own()), None);
        });
    }
}
