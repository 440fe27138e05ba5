// SPDX-License-Identifier: GPL-2.0-or-later
//! Parts of a machine that a lab has for itself: devices, a syslog daemon, wall clocks.

use super::lab::Lab;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Where programs send what is for the syslog daemon.
const SYSLOG_SOCKET: &str = "/dev/log";
/// What the buffer is filled up with.
const FILLER: &str = "filler";
/// How often the reading thread looks whether it shall stop or end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A syslog daemon that writes what it gets to a file, and that can be frozen. Needs
/// [`Lab::own_devices`].
pub struct Syslog {
    socket: UnixDatagram,
    file: PathBuf,
    frozen: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Syslog {
    /// Starts it.
    #[track_caller]
    pub fn new(lab: &Lab) -> Syslog {
        assert!(lab.is_inside(), "there is one /dev/log in a machine");
        let socket = UnixDatagram::bind(SYSLOG_SOCKET).expect("the lab's devices are its own");
        super::lab::make_open(Path::new(SYSLOG_SOCKET));
        let reader = socket.try_clone().expect("a second handle of a socket");
        reader.set_read_timeout(Some(LOOK_EVERY)).expect("the limit is not 0");
        let file = lab.dir().join("syslog");
        let (frozen, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (frozen, stop, file) = (Arc::clone(&frozen), Arc::clone(&stop), file.clone());
            std::thread::spawn(move || read(&reader, &file, &frozen, &stop))
        };
        Syslog { socket, file, frozen, stop, thread: Some(thread) }
    }

    /// It reads no more, and its buffer is full.
    #[track_caller]
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
        let filler = UnixDatagram::unbound().expect("a socket");
        filler.set_nonblocking(true).expect("a socket of our own");
        super::wait::until(Duration::from_secs(10), "the syslog buffer is full", || {
            // The thread may still take some before it sees that it is frozen.
            let full =
                (0..10_000).any(|_| filler.send_to(FILLER.as_bytes(), SYSLOG_SOCKET).is_err());
            (full && self.is_full_for(LOOK_EVERY * 2)).then_some(())
        });
    }

    /// Whether nothing is taken out of the full buffer for this time.
    fn is_full_for(&self, time: Duration) -> bool {
        let filler = UnixDatagram::unbound().expect("a socket");
        filler.set_nonblocking(true).expect("a socket of our own");
        super::wait::value_within(time, || filler.send_to(FILLER.as_bytes(), SYSLOG_SOCKET).ok())
            .is_none()
    }

    /// It reads again.
    pub fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
    }

    /// What programs have said, without what filled the buffer.
    pub fn lines(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| *line != FILLER).collect();
        lines.join("\n")
    }

    /// What it has read so far.
    pub fn text(&self) -> String {
        let bytes = std::fs::read(&self.file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only reads; what is missing in the file has been noticed.
            let _ = thread.join();
        }
        if std::thread::panicking() {
            println!("---- syslog\n{}", self.lines());
        }
        // Its buffer ends with it.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// The reading thread.
fn read(socket: &UnixDatagram, file: &Path, frozen: &AtomicBool, stop: &AtomicBool) {
    let out = OpenOptions::new().create(true).append(true).open(file);
    let Ok(mut out) = out else { return };
    let mut bytes = [0; 8192];
    while !stop.load(Ordering::Relaxed) {
        if frozen.load(Ordering::Relaxed) {
            super::wait::pass(LOOK_EVERY / 5);
            continue;
        }
        if let Ok(length) = socket.recv(&mut bytes) {
            // A full disk shows as missing lines.
            let _ = out.write_all(&bytes[..length]).and_then(|()| out.write_all(b"\n"));
        }
    }
}

/// A small file system. Taken away at the end: what is mounted cannot be removed with the lab.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Makes one of 64 KiB on `dir`.
    #[track_caller]
    pub fn new(dir: &Path) -> SmallDisk {
        SmallDisk::with(dir, "size=64k")
    }

    /// Makes one with these options of tmpfs on `dir`.
    #[track_caller]
    pub fn with(dir: &Path, options: &str) -> SmallDisk {
        std::fs::create_dir_all(dir).expect("the lab can be written");
        let (options, dir_text) = (format!("mode=1777,{options}"), dir.display().to_string());
        super::lab::shell("mount -t tmpfs -o \"$1\" tmpfs \"$2\"", &[&options, &dir_text]);
        SmallDisk(dir.to_path_buf())
    }

    /// Changes options of it: `ro`, `size=`.
    #[track_caller]
    pub fn change(&self, options: &str) {
        let dir = self.0.display().to_string();
        super::lab::shell("mount -o \"remount,$1\" \"$2\"", &[options, &dir]);
    }

    /// Fills it up to the last byte.
    #[track_caller]
    pub fn fill(&self) {
        // Ends with an error, as it has to.
        let script = "! cat /dev/zero 2>/dev/null >\"$1/full\"";
        super::lab::shell(script, &[&self.0.display().to_string()]);
    }

    /// Makes room again.
    #[track_caller]
    pub fn clear(&self) {
        std::fs::remove_file(self.0.join("full")).expect("it was made");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        super::lab::shell("umount -l \"$1\"", &[&self.0.display().to_string()]);
    }
}

/// The wall clock of one member, which can be set while its program runs: libfaketime, preloaded,
/// with the monotonic and the boot-time clock left alone, and timers, too (`true_timers.c`).
/// Needs [`super::Need::Faketime`] and [`Lab::own_devices`], as the library keeps files in
/// /dev/shm.
#[derive(Clone, Debug)]
pub struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// A right clock.
    #[track_caller]
    pub fn new(lab: &Lab, name: &str) -> WallClock {
        let clock = WallClock { file: lab.dir().join(format!("clock-{name}")) };
        clock.set(0);
        clock
    }

    /// Sets it so many seconds ahead of the right time, or, below 0, behind it.
    #[track_caller]
    pub fn set(&self, seconds: i64) {
        // Replaced in one step: every look at the clock reads it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("the lab can be written");
        std::fs::rename(&new, &self.file).expect("the lab can be written");
    }

    /// The environment of a program that goes by it.
    #[track_caller]
    pub fn environment(&self, lab: &Lab) -> Vec<(String, String)> {
        let library = lab.dir().join("libfaketime.so");
        if !library.exists() {
            // Under a path that the reference's root has, too.
            let found = faketime_library().expect("the case needs it");
            std::fs::copy(found, &library).expect("the lab can be written");
        }
        let timers = lab.dir().join("true_timers.so");
        if !timers.exists() {
            let (from, to) = (TRUE_TIMERS, timers.display().to_string());
            super::lab::shell("cc -shared -fPIC -o \"$2\" \"$1\"", &[from, &to]);
        }
        let pairs = [
            ("LD_PRELOAD", format!("{}:{}", timers.display(), library.display())),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// What libfaketime must not do to timers.
const TRUE_TIMERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/true_timers.c");

/// The library, where Debian's package `libfaketime` has it.
pub fn faketime_library() -> Option<PathBuf> {
    let dirs = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let found = dirs.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
    found.chain([PathBuf::from("/usr/lib/faketime/libfaketimeMT.so.1")]).find(|path| path.exists())
}
