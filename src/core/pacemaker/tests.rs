// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers as the real program gives them, and damaged ones (P19).

use super::*;
use crate::engine::AttrChange;
use crate::model::{AttrName, AttrValue, Holder, MemberId, Term, TicketName};
use crate::time::WallTime;
use proptest::prelude::*;

fn name(text: &str) -> TicketName {
    TicketName::new(text).expect("a good name")
}

fn values(ticket: &TicketName, granted: bool, owner: Holder) -> TicketValues<'_> {
    TicketValues { ticket, granted, owner, expires: 99, term: Term::new(3), config_name: "booth" }
}

/// Recorded from Pacemaker 3.0.0.
const ONE: &str = "State XML:\n\n<ticket_state id=\"t1\" granted=\"true\" \
     last-granted=\"1795420480\" booth-cfg-name=\"booth\" owner=\"12345\" expires=\"99\" \
     term=\"3\"/>\n";

/// Recorded from Pacemaker 3.0.0.
const ALL: &str = "State XML:\n\n<tickets>\n  \
     <ticket_state id=\"t1\" granted=\"true\" owner=\"12345\" expires=\"99\" term=\"3\"/>\n  \
     <ticket_state id=\"t2\" granted=\"false\" owner=\"-1\" expires=\"0\" term=\"3\"/>\n  \
     <ticket_state id=\"t9\" foo=\"1\"/>\n</tickets>\n";

#[test]
fn the_arguments_are_those_of_the_reference() {
    let ticket = name("t/1");
    let args = write(&values(&ticket, true, Holder::Member(MemberId::from_raw(0x7FFF_FFFF))));
    let expected = "-t t/1 -g --force -S owner --attr-value=2147483647 -S expires --attr-value=99 \
         -S term --attr-value=3 -S booth-cfg-name --attr-value=booth";
    assert_eq!(args.join(" "), expected);
    let args = write(&values(&ticket, false, Holder::Nobody));
    assert_eq!(args[2..6].join(" "), "-r --force -S owner");
    assert_eq!(args[6], "--attr-value=-1");
    assert_eq!(owner_number(Holder::Unknown), 0);
    assert_eq!(load(&ticket), ["-t", "t/1", "-q"]);
    assert_eq!(load_all(), ["-q"]);
}

#[test]
fn many_tickets_are_written_as_one_document_that_reads_back() {
    let names = ["t/1", "a-b", "t3"].map(name);
    let owner = Holder::Member(MemberId::from_raw(7));
    let all: Vec<_> = names.iter().map(|ticket| values(ticket, false, owner)).collect();
    let xml = many(&all);
    assert!(
        xml.starts_with("<status><tickets><ticket_state id=\"t/1\" granted=\"false\" owner=\"7\"")
    );
    let read = read_all(&xml).expect("it is good");
    assert_eq!(read.len(), names.len());
    for ticket in &names {
        let one = read[ticket.as_str()].as_ref().expect("it is good");
        assert_eq!((one.granted, one.owner, one.term), (false, Some(owner), Some(Term::new(3))));
        assert_eq!(one.expires, Some(WallTime::from_secs(99)));
    }
    let mut odd = values(&names[0], false, Holder::Nobody);
    odd.config_name = "x\n\"<&>";
    assert!(many(&[odd]).contains("booth-cfg-name=\"x&#10;&quot;&lt;&amp;&gt;\""));
}

#[test]
fn attributes_are_set_and_deleted_by_name() {
    let ticket = name("t1");
    let attr = AttrName::new("foo").expect("a good name");
    let value = AttrValue::new("a b'\"$(x)").expect("a good value");
    let set = change_attr(&ticket, &AttrChange::Set(attr.clone(), value));
    assert_eq!(set, ["-t", "t1", "-S", "foo", "--attr-value=a b'\"$(x)"]);
    assert_eq!(change_attr(&ticket, &AttrChange::Delete(attr)), ["-t", "t1", "-D", "foo"]);
}

#[test]
fn a_ticket_is_read() {
    let ticket = read(ONE, &name("t1")).expect("it is good");
    assert!(ticket.granted);
    assert_eq!(ticket.owner, Some(Holder::Member(MemberId::from_raw(12_345))));
    assert_eq!(ticket.expires, Some(WallTime::from_secs(99)));
    assert_eq!(ticket.term, Some(Term::new(3)));
    assert!(ticket.attrs.is_empty());
}

#[test]
fn all_tickets_are_read_and_one_is_found_among_them() {
    let all = read_all(ALL).expect("it is good");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["t1", "t2", "t9"]);
    let good = |name: &str| all[name].clone().expect("it is good");
    assert_eq!(good("t2").owner, Some(Holder::Nobody));
    assert_eq!(good("t9").attrs[0].0.as_str(), "foo");
    assert_eq!(read(ALL, &name("t1")).expect("it is there"), good("t1"));
    assert_eq!(read(ALL, &name("t3")), Err(StateError::NoTicket));
}

#[test]
fn missing_and_strange_values_are_told_from_good_ones() {
    let text = "<ticket_state id=\"t\" owner=\"4294967296\" expires=\"-3\" term=\"-2\" \
         standby=\"true\" a:b=\"1\" xmlns:a=\"x\" geo=\"&lt;a&gt;\"/>";
    let ticket = read(text, &name("t")).expect("it is good");
    assert!(!ticket.granted);
    assert_eq!((ticket.owner, ticket.expires), (None, None));
    assert_eq!(ticket.term, Some(Term::new(0xFFFF_FFFE)));
    let attrs: Vec<_> = ticket.attrs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(attrs, [("geo", "<a>")]);
}

#[test]
fn damaged_answers_are_refused() {
    let t1 = name("t1");
    for damaged in [&ONE[..ONE.len() - 4], "<", "<!DOCTYPE x [<!ENTITY a 'b'>]><ticket_state/>"] {
        assert!(matches!(read(damaged, &t1), Err(StateError::BadXml(_))), "{damaged}");
    }
    assert_eq!(read("", &t1), Err(StateError::NoXml));
    assert_eq!(read("Could not connect", &t1), Err(StateError::NoXml));
    assert_eq!(read(ONE, &name("t2")), Err(StateError::NoTicket));
    let maybe = ONE.replace("\"true\"", "\"maybe\"");
    assert_eq!(read(&maybe, &t1), Err(StateError::Granted("maybe".to_owned())));
    let all = read_all(&maybe).expect("the others are good");
    assert_eq!(all["t1"], Err(StateError::Granted("maybe".to_owned())));
}

#[test]
fn exit_codes_of_absent_tickets_are_known() {
    assert_eq!([0, 1, 6, 105].map(is_absent), [false, false, true, true]);
}

proptest! {
    #[test]
    fn no_answer_can_hurt(text in ".{0,300}", cut in 0..400usize) {
        let _ = read(&text, &name("t1"));
        let _ = read_all(&text);
        let cut = cut.min(ALL.len());
        if ALL.is_char_boundary(cut) {
            let _ = read_all(&format!("{}{text}", &ALL[..cut]));
        }
    }
}
