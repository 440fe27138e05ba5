// SPDX-License-Identifier: GPL-2.0-or-later
//! The table's promises: values are whole at any byte, places stay, lives are told apart.

use super::*;
use crate::time::WallTime;
use std::fs;

fn name(text: &str) -> TicketName {
    TicketName::new(text).expect("a good name")
}

fn tickets(names: &[&str]) -> Vec<(TicketName, Span)> {
    names.iter().map(|text| (name(text), Span::from_secs(5))).collect()
}

fn window(secs: u64) -> HoldWindow {
    let at = |secs| MonoTime::ZERO.plus(Span::from_secs(secs));
    HoldWindow {
        hold_until: at(secs),
        lease_until: at(secs + 6),
        start_before: at(secs - 10),
        kill_at: at(secs - 5),
    }
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("x.leases")
    }

    fn open(&self, names: &[&str]) -> Opened {
        LeaseTable::open(&self.path(), &tickets(names)).expect("it can be opened")
    }
}

#[test]
fn the_cells_of_a_record_do_not_overlap_and_fit() {
    let mut end = 0;
    for (name, place, len) in record::layout() {
        assert!(place >= end, "{name} overlaps what is before it");
        end = place + len;
    }
    assert!(end <= RECORD_LEN);
    const { assert!(Cell::<4>::LEN <= 128 && 128 + Cell::<3>::LEN <= 256) };
    const { assert!(256 + Cell::<2>::LEN <= HEADER_LEN as usize) };
}

#[test]
fn tickets_keep_their_places_when_the_configuration_changes() {
    let dir = Dir::new();
    let first = dir.open(&["a", "b/c"]);
    assert_eq!(first.slots, [Slot(0), Slot(1)]);
    let generation = first.generation;
    drop(first);
    let second = dir.open(&["x", "b/c", "y"]);
    assert_eq!(second.slots, [Slot(2), Slot(1), Slot(3)]);
    assert!(second.generation > generation);
    assert_eq!(second.table.header().expect("read"), (4, second.generation));
    assert_eq!(second.table.name(Slot(0)).expect("read"), Some(name("a")));
    assert_eq!(second.table.guard_time(Slot(3)).expect("read"), Span::from_secs(5));
}

#[test]
fn only_one_daemon_can_have_the_table() {
    let dir = Dir::new();
    let first = dir.open(&["a"]);
    let again = LeaseTable::open(&dir.path(), &tickets(&["a"]));
    assert!(matches!(again, Err(OpenError::InUse)));
    drop(first);
    dir.open(&["a"]);
}

#[test]
fn what_is_written_is_read_and_survives_the_next_daemon() {
    let dir = Dir::new();
    let opened = dir.open(&["a"]);
    let (table, slot) = (&opened.table, Slot(0));
    assert_eq!(table.told(slot).expect("read"), None);
    for number in 1..4 {
        table.tell(slot, Some(&window(60 + number)), Term::new(7)).expect("written");
        let told = table.told(slot).expect("read").expect("told");
        let expected = Told { number, window: Some(window(60 + number)), term: Term::new(7) };
        assert_eq!(told, expected);
    }
    let holder = Holder { group: 4242, started: 99, kind: HolderKind::Revoke };
    table.set_holder(slot, holder).expect("written");
    let mark = Mark { number: 3, verdict: Verdict::Newer, at: WallTime::from_secs(5) };
    table.set_mark(slot, mark).expect("written");
    let guard = GuardEntry { generation: opened.generation, pid: 17, started: 3 };
    table.set_guard(guard).expect("written");
    drop(opened);
    let opened = dir.open(&["a"]);
    let table = &opened.table;
    assert_eq!(table.told(slot).expect("read").expect("told").window, Some(window(63)));
    assert_eq!(table.holder(slot).expect("read"), Some(holder));
    assert_eq!(table.mark(slot).expect("read"), Some(mark));
    assert_eq!(table.guard().expect("read"), Some(guard));
    table.tell(slot, None, Term::new(7)).expect("written");
    assert_eq!(table.told(slot).expect("read").expect("told").window, None);
}

#[test]
fn what_is_known_of_the_last_daemon_is_only_what_it_has_said_itself() {
    let dir = Dir::new();
    let next = |says: &dyn Fn(&LeaseTable, Generation)| {
        let opened = dir.open(&[]);
        says(&opened.table, opened.generation);
        opened.past
    };
    let now = MonoTime::from_micros(7);
    let nothing = |_: &LeaseTable, _| ();
    let settled = |table: &LeaseTable, own| table.note_settled(own).expect("written");
    let stopped = |table: &LeaseTable, own| table.note_stopped(own, now).expect("written");
    assert_eq!(next(&settled), Past::Unknown, "the first");
    assert_eq!(next(&nothing), Past::RanHere);
    assert_eq!(next(&stopped), Past::Unknown, "one that died before it knew");
    assert_eq!(next(&settled), Past::Unknown, "one that stopped before it knew");
    assert_eq!(next(&|table, own| [settled(table, own), stopped(table, own)][0]), Past::RanHere);
    assert_eq!(next(&settled), Past::StoppedHere(now));
    fs::write(dir.path(), "damaged").expect("written");
    assert_eq!(next(&settled), Past::Unknown);
    fs::remove_file(dir.path()).expect("removed");
    assert_eq!(next(&settled), Past::Unknown);
}

#[test]
fn a_change_may_be_in_flight_from_its_begin_until_it_or_a_later_one_has_ended() {
    let dir = Dir::new();
    let opened = dir.open(&["a"]);
    let (table, slot) = (&opened.table, Slot(0));
    let in_flight = || table.may_be_in_flight(slot).expect("read");
    assert!(!in_flight());
    for kind in [HolderKind::Change, HolderKind::Revoke] {
        let holder = Holder { group: 4242, started: 99, kind };
        let later = Holder { group: 4243, ..holder };
        table.set_holder(slot, holder).expect("written");
        assert!(!in_flight(), "it has only the lock");
        table.note_begun(slot).expect("written");
        assert!(in_flight());
        table.set_holder(slot, later).expect("written");
        assert!(in_flight(), "the lock of another ends nothing");
        assert_eq!(table.holder(slot).expect("read"), Some(later));
        table.note_ended(slot).expect("written");
        assert!(!in_flight());
        assert_eq!(table.holder(slot).expect("read"), Some(later));
    }
    // As a version that does not know it writes the holder.
    record::holder(start_of(slot)).write(&table.file, [4242, 99, 0]).expect("written");
    assert!(in_flight(), "nobody has said that it has ended");
}

#[test]
fn the_latest_expires_of_a_term_is_kept() {
    let dir = Dir::new();
    let opened = dir.open(&["a"]);
    let mut seen = Vec::new();
    for (term, expires) in [(1, 100), (1, 90), (2, 50), (2, 60), (1, 10)] {
        let entry = Grant { term: Term::new(term), expires };
        opened.table.note_grant(Slot(0), entry).expect("written");
        let grant = opened.table.grant(Slot(0)).expect("read").expect("noted");
        seen.push((grant.term.get(), grant.expires));
    }
    assert_eq!(seen, [(1, 100), (1, 100), (2, 50), (2, 60), (1, 10)]);
}

#[test]
fn a_write_that_stops_at_any_byte_leaves_the_old_value_or_the_new_one() {
    let dir = Dir::new();
    let opened = dir.open(&["a"]);
    let slot = Slot(0);
    opened.table.tell(slot, Some(&window(60)), Term::new(1)).expect("written");
    opened.table.tell(slot, Some(&window(61)), Term::new(1)).expect("written");
    let before = fs::read(dir.path()).expect("read");
    opened.table.tell(slot, Some(&window(62)), Term::new(1)).expect("written");
    let after = fs::read(dir.path()).expect("read");
    let changed: Vec<usize> = (0..after.len()).filter(|i| before[*i] != after[*i]).collect();
    assert!(changed.len() > 8);
    for cut in *changed.first().expect("some")..=changed.last().expect("some") + 1 {
        let mut torn = before.clone();
        torn[..cut].copy_from_slice(&after[..cut]);
        fs::write(dir.path(), &torn).expect("written");
        let told = opened.table.told(slot).expect("read").expect("told");
        let hold_until = told.window.expect("armed").hold_until;
        assert!([window(61).hold_until, window(62).hold_until].contains(&hold_until), "{cut}");
    }
}

#[test]
fn a_table_of_another_boot_or_no_table_is_made_anew() {
    let dir = Dir::new();
    for content in [vec![], vec![0u8; 100], vec![0xA5u8; 4096]] {
        fs::write(dir.path(), content).expect("written");
        let opened = dir.open(&["a"]);
        assert_eq!(opened.table.told(Slot(0)).expect("read"), None);
        assert_eq!(opened.table.name(Slot(0)).expect("read"), Some(name("a")));
    }
    let opened = dir.open(&["a"]);
    opened.table.tell(Slot(0), Some(&window(60)), Term::ZERO).expect("written");
    HEADER.write(&opened.table.file, [MAGIC, 1, 1, 1]).expect("written");
    drop(opened);
    let opened = dir.open(&["a"]);
    assert_eq!(opened.table.told(Slot(0)).expect("read"), None, "instants of another boot");
}

#[test]
fn records_are_locked_one_by_one_and_per_description() {
    let dir = Dir::new();
    let opened = dir.open(&["a", "b"]);
    let descriptor = opened.table.descriptor().expect("a descriptor");
    let one = LeaseTable::reopen(descriptor.as_fd()).expect("a helper's");
    let other = LeaseTable::reopen(descriptor.as_fd()).expect("the guard's");
    assert!(one.try_lock(Slot(0)).expect("possible"));
    assert!(!other.try_lock(Slot(0)).expect("possible"));
    assert!(other.try_lock(Slot(1)).expect("possible"));
    one.unlock(Slot(0)).expect("possible");
    assert!(other.try_lock(Slot(0)).expect("possible"));
    drop(other);
    assert!(one.try_lock(Slot(1)).expect("possible"));
}

#[test]
fn a_removed_table_is_still_shared_through_descriptors() {
    let dir = Dir::new();
    let opened = dir.open(&["a"]);
    assert!(!opened.table.is_removed());
    fs::remove_file(dir.path()).expect("removed");
    assert!(opened.table.is_removed());
    let descriptor = opened.table.descriptor().expect("a descriptor");
    let guard = LeaseTable::reopen(descriptor.as_fd()).expect("the guard's");
    opened.table.tell(Slot(0), Some(&window(60)), Term::ZERO).expect("written");
    assert!(guard.told(Slot(0)).expect("read").is_some());
}
