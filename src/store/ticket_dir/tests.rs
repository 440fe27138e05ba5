// SPDX-License-Identifier: GPL-2.0-or-later
//! The built-in store (P21): format, atomic replacement, damaged files.

use super::*;
use crate::engine::AttrChange;
use crate::model::{AttrName, AttrValue, Holder, MemberId, Term};
use crate::pacemaker::TicketValues;
use crate::time::WallTime;
use proptest::prelude::*;
use std::os::unix::fs::MetadataExt;

fn name(text: &str) -> TicketName {
    TicketName::new(text).expect("a good name")
}

fn attr(text: &str, value: &str) -> AttrChange {
    let value = AttrValue::new(value).expect("a good value");
    AttrChange::Set(AttrName::new(text).expect("a good name"), value)
}

fn values(ticket: &TicketName, granted: bool) -> TicketValues<'_> {
    let owner = Holder::Member(MemberId::from_raw(12_345));
    let owner = if granted { owner } else { Holder::Nobody };
    TicketValues { ticket, granted, owner, expires: 99, term: Term::new(3), config_name: "c=%n" }
}

fn put(dir: &TicketDir, ticket: &TicketName, granted: bool) -> Result<(), DirError> {
    let now = WallTime::from_secs(1_000);
    dir.update(ticket, &Update::Ticket { values: &values(ticket, granted), now, boot: None })
}

fn store() -> (tempfile::TempDir, TicketDir) {
    let outer = tempfile::tempdir().expect("a directory");
    let dir = TicketDir::new(&outer.path().join("tickets"));
    dir.ensure().expect("it can be made");
    dir.ensure().expect("it is there");
    (outer, dir)
}

#[test]
fn a_grant_and_a_revoke_keep_attributes_and_have_the_keys_of_the_cib() {
    let (outer, dir) = store();
    let ticket = name("a/b");
    assert_eq!(dir.read(&ticket).expect("read"), None);
    put(&dir, &ticket, true).expect("written");
    dir.update(&ticket, &Update::Attr(&attr("geo", "100%"))).expect("written");
    let path = outer.path().join("tickets/a%2Fb");
    let text = fs::read_to_string(&path).expect("read");
    let expected = "booth-cfg-name=c=%25n\nexpires=99\ngeo=100%25\ngranted=true\n\
         last-granted=1000\nowner=12345\nterm=3\n";
    assert_eq!(text, expected);
    assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    put(&dir, &ticket, false).expect("written");
    let read = dir.read(&ticket).expect("read").expect("there").ticket().expect("good");
    assert!(!read.granted);
    assert_eq!((read.owner, read.term), (Some(Holder::Nobody), Some(Term::new(3))));
    assert_eq!(read.expires, Some(WallTime::from_secs(99)));
    let attrs: Vec<_> = read.attrs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(attrs, [("geo", "100%")]);
    assert_eq!(fs::read_dir(outer.path().join("tickets")).expect("read").count(), 1);
}

#[test]
fn a_grant_keeps_the_boot_on_which_it_was_written_until_it_is_revoked() {
    let (outer, dir) = store();
    let ticket = name("a/b");
    let path = outer.path().join("tickets/a%2Fb");
    let [boot, other] = ["k 5", "k 6"].map(|text| BootMark::parse(text).expect("a mark"));
    let grant = |boot| {
        let values = values(&ticket, true);
        dir.update(&ticket, &Update::Ticket { values: &values, now: WallTime::EPOCH, boot })
    };
    let left = |now| dir.left_by_an_earlier_boot(&path, now).expect("read");
    grant(Some(&boot)).expect("written");
    assert!(fs::read_to_string(&path).expect("read").starts_with(".boot=k 5\n"));
    assert_eq!((left(&boot), left(&other)), (None, Some(ticket.clone())));
    // It is no attribute, and one of that name is not possible.
    let read = dir.read(&ticket).expect("read").expect("there").ticket().expect("good");
    assert!(read.granted && read.attrs.is_empty());
    assert!(AttrName::new(".boot").is_err());
    put(&dir, &ticket, false).expect("written");
    assert!(!fs::read_to_string(&path).expect("read").contains("boot="));
    assert_eq!((left(&boot), left(&other)), (None, None));
    // One that was written where no boot is known.
    grant(None).expect("written");
    assert_eq!(left(&boot), Some(ticket.clone()));
    dir.revoke_left(&ticket, &boot).expect("written");
    assert_eq!(left(&boot), None);
    assert_eq!(dir.files().expect("read"), [path]);
    fs::write(outer.path().join("tickets/.a%2Fb.new"), "").expect("written");
    assert_eq!(dir.files().expect("read").len(), 1, "what a killed writer left is no ticket");
}

#[test]
fn attributes_can_come_first_and_go() {
    let (_outer, dir) = store();
    let ticket = name("t");
    dir.update(&ticket, &Update::Attr(&attr("a", "1"))).expect("written");
    let delete = AttrChange::Delete(AttrName::new("a").expect("a good name"));
    dir.update(&ticket, &Update::Attr(&delete)).expect("written");
    let read = dir.read(&ticket).expect("read").expect("there").ticket().expect("good");
    assert_eq!((read.granted, read.attrs.len(), read.term), (false, 0, None));
}

#[test]
fn a_damaged_file_is_an_error_that_says_where_and_a_revoke_replaces_it() {
    let (outer, dir) = store();
    let path = outer.path().join("tickets/t");
    let cases: [(&[u8], &str); 6] = [
        (b"", "it is empty"),
        (b"granted=true\nowner", "line 2 is no key=value"),
        (b"a=1\nb=2\na=3\n", "line 3 has \"a\" once more"),
        (b"a=%4\n", "line 1 has a damaged % escape"),
        (b"a=%ff\n", "line 1 has a damaged % escape"),
        (b"\xff", "it is no text"),
    ];
    for (content, expected) in cases {
        fs::write(&path, content).expect("written");
        let error = dir.read(&name("t")).expect_err("it is damaged").to_string();
        assert!(error.ends_with(expected), "{error}");
        assert!(error.contains("/tickets/t"), "{error}");
        assert!(put(&dir, &name("t"), true).is_err(), "no grant over it");
        put(&dir, &name("t"), false).expect("a revoke over it");
    }
    let text = "granted=maybe\n";
    let entries = Entries::parse(text.as_bytes()).expect("lines are good");
    assert_eq!(entries.ticket(), Err(EntriesError::Granted("maybe".to_owned())));
}

#[test]
fn a_missing_directory_is_no_absent_ticket() {
    let (outer, dir) = store();
    fs::remove_dir_all(outer.path().join("tickets")).expect("removed");
    assert!(dir.read(&name("t")).is_err());
    assert!(put(&dir, &name("t"), false).is_err());
    assert!(TicketDir::new(&outer.path().join("x/y")).ensure().is_err());
}

#[test]
fn a_link_in_place_of_the_file_is_not_followed_and_a_huge_file_not_read() {
    let (outer, dir) = store();
    let path = outer.path().join("tickets/t");
    std::os::unix::fs::symlink(outer.path().join("elsewhere"), &path).expect("linked");
    assert!(dir.read(&name("t")).is_err());
    fs::remove_file(&path).expect("removed");
    fs::write(&path, vec![b'a'; 1 << 21]).expect("written");
    assert!(matches!(dir.read(&name("t")), Err(DirError::TooLong(_))));
}

/// What is in the place of the temporary file stands for a disk without room for one.
#[test]
fn a_revoke_needs_no_room_for_another_file() {
    let (outer, dir) = store();
    let ticket = name("t");
    put(&dir, &ticket, true).expect("written");
    dir.update(&ticket, &Update::Attr(&attr("geo", "1"))).expect("written");
    fs::create_dir(outer.path().join("tickets/.t.new")).expect("made");
    assert!(put(&dir, &ticket, true).is_err(), "a grant does");
    put(&dir, &ticket, false).expect("overwritten");
    let read = dir.read(&ticket).expect("read").expect("there").ticket().expect("good");
    assert_eq!((read.granted, read.owner, read.attrs.len()), (false, Some(Holder::Nobody), 1));
    // What cannot be overwritten goes.
    let path = outer.path().join("tickets/t");
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink(outer.path().join("elsewhere"), &path).expect("linked");
    put(&dir, &ticket, false).expect("removed");
    assert_eq!(dir.read(&ticket).expect("read"), None);
    assert!(
        put(&dir, &ticket, false).is_err(),
        "there is nothing to revoke, and no room to note it"
    );
}

#[test]
fn what_a_killed_writer_left_is_overwritten() {
    let (outer, dir) = store();
    let left = outer.path().join("tickets/.t.new");
    fs::write(&left, "half a li").expect("written");
    put(&dir, &name("t"), true).expect("written");
    assert!(!left.exists());
}

proptest! {
    #[test]
    fn values_come_back_as_they_were(value in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{0,30}") {
        let mut entries = Entries::default();
        entries.apply(&Update::Attr(&attr("x", &value)));
        let text = entries.to_text();
        prop_assert_eq!(Entries::parse(text.as_bytes()).expect("good"), entries);
    }

    #[test]
    fn no_file_can_hurt(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(entries) = Entries::parse(&bytes) {
            let _ = entries.ticket();
            let again = Entries::parse(entries.to_text().as_bytes());
            prop_assert_eq!(again.as_ref(), Ok(&entries));
        }
    }
}
