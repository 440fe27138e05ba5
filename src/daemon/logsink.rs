// SPDX-License-Identifier: GPL-2.0-or-later
//! The log: every thread hands its lines to a bounded queue, one thread writes them to syslog or
//! to standard error. A log that is stuck stops nobody; what it misses is counted and said.

use super::channels::LOG_QUEUE;
use super::journal::Journal;
use super::spawn::spawn;
use crate::sys::clock::{self, LocalTime};
use crate::time::WallTime;
use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use log::kv::{self, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use syslog::LoggerBackend;

/// How long the log may take at the end. A daemon that has a bug holds up nobody for longer.
pub(super) const LOG_LIMIT: Duration = Duration::from_millis(500);
/// Longer lines are cut: syslog daemons take a few kilobytes at most.
const LINE_MAX: usize = 2000;
/// How long a line is held back to see whether the same comes again.
const REPEAT_WAIT: Duration = Duration::from_secs(30);
/// How long one line may take a syslog daemon that does not read.
const SYSLOG_LIMIT: Duration = Duration::from_secs(1);
/// The socket of the syslog daemon.
const SYSLOG_SOCKET: &str = "/dev/log";
/// Facility *daemon*, in its place in a priority.
const FACILITY_DAEMON: u8 = 3 << 3;

/// Where lines go, and how they look there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Standard error, with time, host and process as the reference writes them.
    Stderr,
    /// Standard error that a journal reads: `<priority>text`, it knows the rest.
    Journal,
    /// The syslog daemon.
    Syslog,
}

/// A line on its way.
enum Message {
    Line(Line),
    /// Write everything out and say so.
    Flush(Sender<()>),
}

/// What a thread had to say.
#[derive(Clone, Debug)]
struct Line {
    wall: WallTime,
    level: Level,
    text: String,
    /// What it tells, for a journal: names and values.
    fields: Vec<(String, String)>,
}

impl Line {
    /// A line without fields.
    const fn plain(wall: WallTime, level: Level, text: String) -> Line {
        Line { wall, level, text, fields: Vec::new() }
    }
}

/// The fields of a line.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push((key.to_string(), clean(&value.to_string())));
        Ok(())
    }
}

/// The end that the `log` macros use.
struct Front {
    queue: Sender<Message>,
    lost: Arc<AtomicU64>,
}

/// The log, to be flushed at the end.
#[derive(Clone)]
pub(super) struct LogSink {
    queue: Sender<Message>,
    target: Target,
    ident: String,
}

impl LogSink {
    /// Starts the log thread and makes it the log of this process, for lines of `ident`
    /// (`boothd-site`). Levels beyond `level` are not written.
    ///
    /// # Errors
    /// The thread cannot be started, or this process has a log already.
    pub(super) fn start(target: Target, ident: &str, level: LevelFilter) -> io::Result<LogSink> {
        let (sink, front) = LogSink::detached(Writer::new(target, ident))?;
        log::set_boxed_logger(Box::new(front)).map_err(io::Error::other)?;
        log::set_max_level(level);
        Ok(sink)
    }

    /// A log thread around a writer, and the front that feeds it.
    fn detached(writer: Writer) -> io::Result<(LogSink, Front)> {
        let (queue, lines) = bounded(LOG_QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let (target, ident) = (writer.target, writer.ident.clone());
        let back = Back { lines, lost: Arc::clone(&lost), writer, last: None, repeated: 0 };
        spawn("log", move || back.run())?;
        Ok((LogSink { queue: queue.clone(), target, ident }, Front { queue, lost }))
    }

    /// Waits until everything said so far is written, but no longer than this; whether it is.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let (done, done_end) = bounded(1);
        self.queue.send_timeout(Message::Flush(done), limit).is_ok()
            && done_end.recv_timeout(limit).is_ok()
    }

    /// The last words of a process that has a bug, perhaps in this very file: to standard error,
    /// and, unless the log has `written` them, past the queue to where the log goes.
    pub(super) fn last_words(&self, text: &str, written: bool) {
        let line = Line::plain(clock::wall(), Level::Error, clean(text));
        if self.target == Target::Syslog {
            // Nobody may be there any more to read it.
            let _ = writeln!(io::stderr(), "boothd: {text}");
        }
        if !written {
            Writer::new(self.target, &self.ident).write(&line);
        }
    }
}

impl Log for Front {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = clean(&record.args().to_string());
        let mut fields = Fields::default();
        // Only a field that cannot be read fails; the line is worth more than it.
        let _ = record.key_values().visit(&mut fields);
        let Fields(fields) = fields;
        let line = Line { wall: clock::wall(), level: record.level(), text, fields };
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// One line of at most [`LINE_MAX`] bytes: what others wrote must not forge lines of ours.
fn clean(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > LINE_MAX {
        let cut = (0..=LINE_MAX).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(cut);
        line.push_str(" ...");
    }
    line
}

/// The log thread.
struct Back {
    lines: Receiver<Message>,
    lost: Arc<AtomicU64>,
    writer: Writer,
    last: Option<Line>,
    /// How often `last` came again since it was written.
    repeated: u64,
}

impl Back {
    fn run(mut self) {
        loop {
            // A wake-up of its own only while something is held back.
            let message = if self.repeated > 0 {
                self.lines.recv_timeout(REPEAT_WAIT)
            } else {
                self.lines.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match message {
                Ok(Message::Line(line)) => self.take(line),
                Ok(Message::Flush(done)) => {
                    self.write_repeats();
                    self.write_lost();
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.write_repeats(),
                Err(RecvTimeoutError::Disconnected) => return self.write_repeats(),
            }
        }
    }

    fn take(&mut self, line: Line) {
        let same = |last: &&mut Line| (last.level, &last.text) == (line.level, &line.text);
        if let Some(last) = self.last.as_mut().filter(same) {
            self.repeated += 1;
            last.wall = line.wall;
            return;
        }
        self.write_repeats();
        self.write(&line);
        self.last = Some(line);
        self.write_lost();
    }

    /// Writes a line, or counts it as lost.
    fn write(&mut self, line: &Line) {
        if !self.writer.write(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sums up a line that came again and again.
    fn write_repeats(&mut self) {
        let times = std::mem::take(&mut self.repeated);
        if let (Some(last), true) = (&self.last, times > 0) {
            let text = format!("the last message came {times} more time(s)");
            let line = Line::plain(last.wall, last.level, text);
            self.write(&line);
        }
    }

    fn write_lost(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} lines were lost because the log was slow");
            let line = Line::plain(clock::wall(), Level::Warn, text);
            if !self.writer.write(&line) {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }
}

/// Turns lines into text and brings it to where it shall be.
struct Writer {
    target: Target,
    ident: String,
    host: String,
    pid: u32,
    out: Box<dyn Out>,
    journal: Journal,
}

/// Where text goes. False: it got lost.
trait Out: Send {
    fn write(&mut self, text: &str) -> bool;
}

impl Writer {
    fn new(target: Target, ident: &str) -> Writer {
        let out: Box<dyn Out> = match target {
            Target::Stderr | Target::Journal => Box::new(StandardError),
            Target::Syslog => Box::new(SyslogOut { path: SYSLOG_SOCKET.into(), open: None }),
        };
        Writer::with_out(target, ident, out)
    }

    fn with_out(target: Target, ident: &str, out: Box<dyn Out>) -> Writer {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.split(['.', '\n']).next().unwrap_or_default().to_owned();
        let (ident, pid) = (ident.to_owned(), std::process::id());
        Writer { target, ident, host, pid, out, journal: Journal::default() }
    }

    fn write(&mut self, line: &Line) -> bool {
        if self.target == Target::Journal && !line.fields.is_empty() {
            // Fields go to the journal's own socket; where there is none, the line goes without.
            let (_, severity) = names(line.level);
            if self.journal.send(&self.ident, severity, &line.text, &line.fields) {
                return true;
            }
        }
        let text = self.form(line);
        self.out.write(&text)
    }

    /// The line as the target wants it.
    fn form(&self, line: &Line) -> String {
        let (ident, pid, text) = (&self.ident, self.pid, &line.text);
        let stamp = LocalTime::of(line.wall).log_stamp();
        let (word, severity) = names(line.level);
        match self.target {
            // Reference: this very form on standard error.
            Target::Stderr => format!("{stamp} {} {ident}: [{pid}]: {word}: {text}", self.host),
            Target::Journal => format!("<{severity}>{text}"),
            Target::Syslog => {
                let priority = FACILITY_DAEMON | severity;
                format!("<{priority}>{stamp} {ident}[{pid}]: {word}: {text}")
            }
        }
    }
}

/// Standard error.
struct StandardError;

impl Out for StandardError {
    fn write(&mut self, text: &str) -> bool {
        writeln!(io::stderr().lock(), "{text}").is_ok()
    }
}

/// The syslog daemon, which may be restarted at any time.
struct SyslogOut {
    path: PathBuf,
    open: Option<LoggerBackend>,
}

impl Out for SyslogOut {
    fn write(&mut self, text: &str) -> bool {
        // Once more with a new connection if the old one turns out to be dead.
        for _ in 0..2 {
            if self.open.is_none() {
                self.open = connect(&self.path).ok();
            }
            let Some(syslog) = &mut self.open else {
                return false;
            };
            // The library writes all of it at once, and ends the messages of a stream with a NUL.
            match syslog.write_all(text.as_bytes()).and_then(|()| syslog.flush()) {
                Ok(()) => return true,
                Err(error) => {
                    self.open = None;
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
                        // It lives but does not read; another wait would not help.
                        return false;
                    }
                }
            }
        }
        false
    }
}

/// The word of the reference for a level, and its severity for syslog.
const fn names(level: Level) -> (&'static str, u8) {
    match level {
        Level::Error => ("ERROR", 3),
        Level::Warn => ("WARN", 4),
        Level::Info => ("info", 6),
        Level::Debug | Level::Trace => ("debug", 7),
    }
}

/// A connection to the syslog daemon, which listens in one of two ways.
///
/// The library connects and sends. The line is ours: the library's own would state UTC, since it
/// cannot learn the local time in a program with several threads.
fn connect(path: &Path) -> io::Result<LoggerBackend> {
    let logger = syslog::unix_custom((), path)
        .map_err(|error| io::Error::new(io::ErrorKind::NotConnected, error.to_string()))?;
    match &logger.backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(SYSLOG_LIMIT))?,
        LoggerBackend::UnixStream(stream) => {
            stream.get_ref().set_write_timeout(Some(SYSLOG_LIMIT))?;
        }
        LoggerBackend::Udp(..) | LoggerBackend::Tcp(_) => {}
    }
    Ok(logger.backend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    /// Text as it would be written.
    struct Copies(Sender<String>);

    impl Out for Copies {
        fn write(&mut self, text: &str) -> bool {
            self.0.send(text.to_owned()).is_ok()
        }
    }

    fn sink(target: Target) -> (LogSink, Front, Receiver<String>) {
        let (copy, copies) = crossbeam_channel::unbounded();
        let writer = Writer::with_out(target, "boothd-site", Box::new(Copies(copy)));
        let (sink, front) = LogSink::detached(writer).expect("started");
        (sink, front, copies)
    }

    fn say(front: &Front, level: Level, text: &str) {
        // The global level is that of the test runner: the front is asked behind that check.
        let line = Line::plain(WallTime::from_secs(9), level, clean(text));
        if front.queue.try_send(Message::Line(line)).is_err() {
            front.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flushed(sink: &LogSink, copies: &Receiver<String>) -> Vec<String> {
        sink.flush(Duration::from_secs(5));
        copies.try_iter().collect()
    }

    #[test]
    fn lines_have_the_form_of_the_reference() {
        let (sink, front, copies) = sink(Target::Stderr);
        say(&front, Level::Info, "caught signal 15");
        say(&front, Level::Warn, "w");
        let lines = flushed(&sink, &copies);
        let pid = std::process::id();
        assert!(lines[0].ends_with(&format!(" boothd-site: [{pid}]: info: caught signal 15")));
        assert!(lines[1].ends_with("]: WARN: w"), "{lines:?}");
        let writer = Writer::new(Target::Syslog, "boothd-arbitrator");
        let line = Line::plain(WallTime::EPOCH, Level::Error, "e".to_owned());
        let text = writer.form(&line);
        assert!(text.starts_with("<27>") && text.ends_with("]: ERROR: e"), "{text}");
        assert_eq!(Writer::new(Target::Journal, "x").form(&line), "<3>e");
    }

    #[test]
    fn a_repeated_line_is_summed_up() {
        let (sink, front, copies) = sink(Target::Journal);
        for text in ["a", "a", "a", "b", "a"] {
            say(&front, Level::Info, text);
        }
        let expected = ["<6>a", "<6>the last message came 2 more time(s)", "<6>b", "<6>a"];
        assert_eq!(flushed(&sink, &copies), expected);
    }

    #[test]
    fn a_stuck_log_loses_lines_counts_them_and_stops_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        // A syslog daemon that reads only when the test wants it to.
        let daemon = UnixDatagram::bind(&path).expect("bound");
        let out = SyslogOut { path, open: None };
        let writer = Writer::with_out(Target::Syslog, "boothd-site", Box::new(out));
        let (sink, front) = LogSink::detached(writer).expect("started");
        let begun = std::time::Instant::now();
        for number in 0..3 * LOG_QUEUE {
            say(&front, Level::Info, &format!("line {number}"));
        }
        sink.flush(Duration::from_millis(100));
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        daemon.set_read_timeout(Some(Duration::from_secs(5))).expect("settable");
        let mut buffer = [0u8; 4096];
        let mut heard_of_loss = false;
        while !heard_of_loss {
            let len = daemon.recv(&mut buffer).expect("the loss is said in time");
            heard_of_loss = String::from_utf8_lossy(&buffer[..len]).contains("were lost");
        }
    }

    #[test]
    fn what_others_wrote_cannot_forge_lines() {
        assert_eq!(clean("a\nb\tc\u{1b}[0m"), "a b c [0m");
        let long = clean(&"ä".repeat(LINE_MAX));
        assert!(long.len() <= LINE_MAX + 4 && long.ends_with(" ..."));
    }

    #[test]
    fn both_kinds_of_syslog_sockets_work() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stream");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        let mut syslog = SyslogOut { path, open: None };
        assert!(syslog.write("text"));
        drop(syslog);
        let (mut stream, _) = listener.accept().expect("accepted");
        let mut text = String::new();
        io::Read::read_to_string(&mut stream, &mut text).expect("read");
        assert_eq!(text, "text\0");
        assert!(connect(Path::new("/no/such/socket")).is_err());
    }
}
