// SPDX-License-Identifier: GPL-2.0-or-later
//! A process that is nothing but an executor: wishes come as lines on standard input, events go
//! out as lines that begin with `@`. This test program plays it when it is started that way.

use booth::config::{Handler, TicketStore};
use booth::daemon::channels::ToExecutor;
use booth::daemon::executor::{self, ExecutorConfig, ExecutorTicket};
use booth::engine::{
    AttrChange, CibExpiry, CibState, Event, HoldWindow, JobWish, ProbeRun, StoreWish, WriteSerial,
};
use booth::model::{AttrName, AttrValue, Holder, MemberId, Term, TicketIndex, TicketName};
use booth::sys::clock;
use booth::sys::poll;
use booth::time::{Span, WallTime};
use crossbeam_channel::{bounded, Sender};
use std::io::{BufRead, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The id of the site that a driver plays.
pub const SITE_ID: u32 = 12_345;

/// The variable that makes this program a driver; its value is the site's directory.
pub const DIR: &str = "EXECUTOR_DRIVER";
/// The tickets, separated by spaces.
pub const TICKETS: &str = "EXECUTOR_TICKETS";
/// The store, if it is the built-in one.
pub const STORE: &str = "EXECUTOR_STORE";
/// The handler and its arguments, separated by tabs.
pub const HANDLER: &str = "EXECUTOR_HANDLER";
/// The name of the configuration, if it is not `some`.
pub const NAME: &str = "EXECUTOR_NAME";
/// What the keeper and helpers are started from, if not from the program itself.
pub const PROGRAM: &str = "EXECUTOR_PROGRAM";
/// If it is set, events are not taken until the wish `listen`.
pub const DEAF: &str = "EXECUTOR_DEAF";
/// *g* in milliseconds: of all tickets, or of each in turn; the first is that of those without one.
pub const GUARD: &str = "EXECUTOR_GUARD";

/// Plays the driver, if this process was started as one; otherwise there is nothing to test.
#[test]
fn driver() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    play(PathBuf::from(dir));
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn config(dir: &std::path::Path) -> ExecutorConfig {
    let guards = var(GUARD);
    let guards = guards.split(' ').map(|text| Span::from_millis(text.parse().expect("a time")));
    let guards: Vec<Span> = guards.collect();
    let handler = Some(var(HANDLER)).filter(|text| !text.is_empty()).map(|text| {
        let mut words = text.split('\t');
        let path = PathBuf::from(words.next().expect("a path"));
        Handler { path, args: words.map(Into::into).collect() }
    });
    let ticket = |(n, name): (usize, &str)| ExecutorTicket {
        name: TicketName::new(name).expect("a good name"),
        guard: guards.get(n).copied().unwrap_or(guards[0]),
        handler: handler.clone(),
    };
    let store = match var(STORE).as_str() {
        "" => TicketStore::Pacemaker,
        dir => TicketStore::Directory(PathBuf::from(dir)),
    };
    ExecutorConfig {
        store,
        config_path: PathBuf::from("/etc/booth/some.conf"),
        config_name: match var(NAME) {
            name if name.is_empty() => "some".to_owned(),
            name => name,
        },
        site: MemberId::from_raw(SITE_ID),
        site_address: "192.0.2.7".to_owned(),
        tickets: var(TICKETS).split(' ').enumerate().map(ticket).collect(),
        run_dir: dir.join("run"),
        program: match var(PROGRAM).as_str() {
            "" => PathBuf::from(env!("CARGO_BIN_EXE_booth")),
            program => PathBuf::from(program),
        },
    }
}

fn play(dir: PathBuf) {
    let (wishes, wishes_end) = bounded(64);
    let (events_end, events) = bounded(64);
    let begun = Instant::now();
    let (sleeper, waker) = poll::waker_pair().expect("a pair");
    let handle = match executor::spawn(config(&dir), (wishes_end, sleeper), events_end) {
        Ok(handle) => handle,
        Err(error) => return say(&format!("error {error}")),
    };
    say(&format!("ready {}", begun.elapsed().as_millis()));
    let (listen, told_to_listen) = bounded::<()>(1);
    if var(DEAF).is_empty() {
        listen.send(()).expect("there is room");
    }
    let printer = std::thread::spawn(move || {
        // If nobody ever says it, the end of the sender does.
        let _ = told_to_listen.recv();
        events.iter().for_each(|event| tell(&event));
    });
    hear(&wishes, &waker, &listen);
    drop(listen);
    // Standard input has ended, which means: stop.
    wishes.send(ToExecutor::Stop).expect("the executor lives");
    poll::wake(&waker);
    assert!(handle.wait(Duration::from_secs(30)), "it ends");
    printer.join().expect("the printer ends with the executor");
    say("stopped");
}

/// Passes wishes on until standard input ends.
fn hear(wishes: &Sender<ToExecutor>, waker: &UnixStream, listen: &Sender<()>) {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        if words == ["listen"] {
            listen.send(()).expect("the printer lives");
            continue;
        }
        let wish = wish(&words);
        wishes.send(wish).expect("the executor lives");
        poll::wake(waker);
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "@{text}").and_then(|()| stdout.flush()).expect("somebody listens");
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn ticket(word: &str) -> TicketIndex {
    TicketIndex::new(usize::try_from(number(word)).expect("a small number"))
}

fn term(word: &str) -> Term {
    Term::new(u32::try_from(number(word)).expect("a term"))
}

fn span(word: &str) -> Span {
    Span::from_millis(number(word))
}

fn wish(words: &[&str]) -> ToExecutor {
    match *words {
        ["load", t, limit] => {
            ToExecutor::Job(JobWish::LoadCib { ticket: ticket(t), limit: span(limit) })
        }
        // Times are milliseconds from now.
        ["hold", t, at, hold_until, lease_until, start_before, kill_at] => {
            let now = clock::mono();
            // For whoever compares times: no event.
            say(&format!("held {t} {}", now.plus(span(hold_until)).as_micros()));
            let window = Some(HoldWindow {
                hold_until: now.plus(span(hold_until)),
                lease_until: now.plus(span(lease_until)),
                start_before: now.plus(span(start_before)),
                kill_at: now.plus(span(kill_at)),
            });
            ToExecutor::Store(StoreWish::Hold { ticket: ticket(t), window, term: term(at) })
        }
        ["unhold", t, at] => {
            ToExecutor::Store(StoreWish::Hold { ticket: ticket(t), window: None, term: term(at) })
        }
        [word @ ("grant" | "manual" | "revoke"), t, serial, at, limit] => {
            let granted = word != "revoke";
            let owner =
                if granted { Holder::Member(MemberId::from_raw(SITE_ID)) } else { Holder::Nobody };
            let expires = if word == "grant" { CibExpiry::Lease } else { CibExpiry::Never };
            let state = CibState { granted, owner, term: term(at), expires, limit: span(limit) };
            ToExecutor::Store(StoreWish::WriteCib {
                ticket: ticket(t),
                serial: WriteSerial(number(serial)),
                state,
            })
        }
        ["set", t, serial, name, value, limit] => {
            let value = AttrValue::new(value).expect("a good value");
            let change = AttrChange::Set(AttrName::new(name).expect("a good name"), value);
            let (serial, limit) = (WriteSerial(number(serial)), span(limit));
            ToExecutor::Store(StoreWish::WriteAttr { ticket: ticket(t), serial, change, limit })
        }
        ["delete", t, serial, name, limit] => {
            let change = AttrChange::Delete(AttrName::new(name).expect("a good name"));
            let (serial, limit) = (WriteSerial(number(serial)), span(limit));
            ToExecutor::Store(StoreWish::WriteAttr { ticket: ticket(t), serial, change, limit })
        }
        ["probe", t, run, expires, deadline] => ToExecutor::Job(JobWish::StartProbe {
            ticket: ticket(t),
            run: ProbeRun(number(run)),
            expires: WallTime::from_secs(number(expires)),
            deadline: clock::mono().plus(span(deadline)),
        }),
        ["unprobe", t, run] => {
            ToExecutor::Job(JobWish::StopProbe { ticket: ticket(t), run: ProbeRun(number(run)) })
        }
        _ => panic!("no wish: {words:?}"),
    }
}

fn tell(event: &Event) {
    say(&match event {
        Event::CibLoaded { ticket, outcome } => format!("loaded {} {outcome:?}", ticket.get()),
        Event::CibWritten { serial, outcome, .. } => format!("written {} {outcome:?}", serial.0),
        Event::AttrWritten { serial, outcome, .. } => format!("attr {} {outcome:?}", serial.0),
        Event::ProbeDone { run, outcome, .. } => format!("probed {} {outcome:?}", run.0),
        other => panic!("the executor does not send {other:?}"),
    });
}
