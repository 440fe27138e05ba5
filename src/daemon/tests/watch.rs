// SPDX-License-Identifier: GPL-2.0-or-later
//! What is told of other members, and when.

use super::roster;
use crate::daemon::health::Health;
use crate::daemon::history::{Entry, History};
use crate::daemon::transport::Transport;
use crate::daemon::watch::Watch;
use crate::engine::EventKind;
use crate::model::{MemberIndex, TicketName};
use crate::reach::Reach;
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::{PeerMessage, Probe};
use log::Level;

/// Nobody is there.
struct Nowhere;

impl Transport for Nowhere {
    fn send(&mut self, _: MemberIndex, _: &PeerMessage) -> bool {
        true
    }

    fn probe(&mut self, _: MemberIndex, _: &TicketName, _: Probe) {}
}

struct Bench {
    watch: Watch,
    health: Health,
    history: History,
}

const BEGIN: u64 = 1_000_000;

fn at(secs: u64) -> Now {
    let mono = MonoTime::ZERO.plus(Span::from_secs(secs));
    Now { mono, wall: WallTime::from_secs(BEGIN + secs) }
}

fn other() -> MemberIndex {
    MemberIndex::new(1).expect("an index")
}

impl Bench {
    fn new() -> Bench {
        let (roster, health) = (roster(), Health::default());
        let history = History::new(roster.clone());
        let reach = Reach::new(roster.clone(), Vec::new(), 1, 1, MonoTime::ZERO);
        let watch = Watch::new(roster, reach, health.clone(), history.clone());
        Bench { watch, health, history }
    }

    fn look(&mut self, secs: u64) {
        self.watch.look(at(secs), &mut Nowhere);
    }

    fn told(&self) -> Vec<EventKind> {
        self.history.all().entries.into_iter().map(|entry| entry.kind).collect()
    }
}

/// What came while the process was stopped is read when it goes on: it is old by then, and no clock
/// is off.
#[test]
fn packets_that_have_waited_for_a_stopped_process_say_nothing_of_clocks() {
    let mut bench = Bench::new();
    let stamp = |bench: &Bench, sent: u64, read: u64| {
        bench.health.note_stamp(other(), at(sent).wall, at(read).wall);
    };
    stamp(&bench, 1, 1);
    bench.look(5);
    // It is stopped from then on for twenty seconds.
    stamp(&bench, 10, 25);
    bench.watch.woke(at(25).mono, Span::from_secs(19));
    bench.look(25);
    assert_eq!((bench.health.offset(other()), bench.told()), (None, Vec::new()));
    // Some are read a little later than that.
    stamp(&bench, 20, 25);
    bench.look(26);
    assert_eq!(bench.health.offset(other()), None);
    for secs in 27..40 {
        bench.look(secs);
    }
    assert_eq!(bench.told(), []);
    // One that is really off is told with the next packet.
    stamp(&bench, 30, 40);
    bench.look(40);
    assert_eq!(bench.told(), [EventKind::ClockOff]);
    bench.watch.woke(at(41).mono, Span::from_millis(200));
    assert!(bench.health.offset(other()).is_some(), "that was no pause");
}

/// Two daemons with the key and the address of one member, of two configurations.
#[test]
fn a_configuration_that_differs_and_agrees_by_turns_drives_nothing_out_of_the_history() {
    let mut bench = Bench::new();
    let granted = Entry::new(at(0), EventKind::Granted, "granted here".to_owned());
    bench.history.tell(Level::Info, granted, "granted here");
    let digest = |bench: &mut Bench, secs: u64, digest: u32| {
        let probe = Probe { answer: false, nonce: 1, digest };
        bench.watch.probed(at(secs), other(), probe, &mut Nowhere);
        bench.look(secs);
    };
    digest(&mut bench, 1, 2);
    assert_eq!(bench.told(), [EventKind::Granted, EventKind::ConfigDiffers], "at once");
    for secs in 2..3_600 {
        digest(&mut bench, secs, 1 + u32::try_from(secs % 2).expect("a bit"));
    }
    let told = bench.told();
    assert!(told.len() <= 15, "{} in an hour", told.len());
    assert_eq!(told[0], EventKind::Granted);
    // In the end it agrees, which is told however often it was.
    digest(&mut bench, 3_600, 1);
    (3_601..4_500).for_each(|secs| bench.look(secs));
    let last = bench.told().pop();
    assert_eq!(last, Some(EventKind::ConfigAgrees));
}
