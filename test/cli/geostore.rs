// SPDX-License-Identifier: GPL-2.0-or-later
//! `geostore`: what is sent, printed and returned.

use crate::captured::{answer, says, sends, text};
use crate::lab::Lab;
use booth::auth::Sealer;
use booth::model::{AttrName, AttrValue, TicketName};
use booth::time::WallTime;
use booth::wire::{decode_request, encode_reply, ClientReply, ClientRequest, TimeUnit};

/// A captured refusal of an attribute command with another result.
fn result(code: &[u8; 4]) -> Vec<u8> {
    let mut bytes = answer("AGet", "NAtr");
    bytes[44..48].copy_from_slice(code);
    bytes
}

#[test]
fn values_are_printed_and_changes_confirmed() {
    let mut lab = Lab::new(130);
    let list = text("ALst", "k1 v1");
    let scripts = vec![
        sends(&[text("AGet", "v1")]),
        says(&list),
        sends(&[text("ALst", "")]),
        sends(&[answer("ASet", "")]),
        sends(&[answer("ADel", "")]),
    ];
    let server = lab.serve(1, scripts);
    let told = String::from_utf8_lossy(&list[48..]).into_owned();
    let by = format!("(answered by {})", lab.address(1));
    lab.geostore("get k1").is(0, "v1\n", &[]);
    lab.geostore("list").is(0, &told, &[]);
    // Reference: a ticket without attributes prints nothing.
    let outcome = lab.geostore("list -t T");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    lab.geostore("set k1 v1").is(0, "", &[&format!("set succeeded! {by}")]);
    lab.geostore("delete k1").is(0, "", &[&format!("delete succeeded! {by}")]);

    let ticket = TicketName::new("T").ok();
    let name = AttrName::new("k1").ok();
    let value = AttrValue::new("v1").ok();
    let wanted = [
        ClientRequest::AttrGet { ticket: ticket.clone(), name: name.clone() },
        ClientRequest::AttrList { ticket: ticket.clone() },
        ClientRequest::AttrList { ticket: ticket.clone() },
        ClientRequest::AttrSet { ticket: ticket.clone(), name: name.clone(), value },
        ClientRequest::AttrDelete { ticket, name },
    ];
    let requests = server.requests();
    assert_eq!(requests.len(), wanted.len());
    for (request, wanted) in requests.iter().zip(wanted) {
        assert_eq!(decode_request(request), Ok((lab.id(1).raw(), wanted)));
    }
}

#[test]
fn refusals_have_their_sentences() {
    for (net, line, bytes, sentence) in [
        (131, "get k1", answer("AGet", "NAtr"), "attribute \"k1\" not set"),
        (132, "delete k1", result(b"NAtr"), "attribute \"k1\" not set"),
        (133, "list", result(b"NAtr"), "no attributes set"),
        (134, "get k1", result(b"IArg"), "ticket \"T\" does not exist"),
        (135, "set k1 v1", result(b"Fail"), "set failed!"),
        (136, "delete k1", result(b"Fail"), "delete failed!"),
        (137, "set k1 v1", result(b"Auth"), "authentication error"),
        (
            145,
            "set k1 v1",
            result(b"Busy"),
            "set failed: too many changes are waiting already; nothing was done. Try again \
             later. If that does not help, the ticket store hangs: see the member's log.",
        ),
        (
            138,
            "set k1 v1",
            result(b"Over"),
            "set failed: the answer was Overgrant, which does \
                                             not fit the request",
        ),
    ] {
        let mut lab = Lab::new(net);
        lab.serve(1, vec![sends(&[bytes])]);
        let told = format!("geostore: {sentence} (answered by {})", lab.address(1));
        lab.geostore(line).is(1, "", &[&told]);
    }
    for (net, line, bytes) in [
        (139, "get k1", text("ALst", "k1")),
        (140, "list", text("AGet", "v1")),
        (141, "set k1 v1", text("AGet", "v1")),
        (142, "get k1", answer("CGnt", "")),
    ] {
        let mut lab = Lab::new(net);
        lab.serve(1, vec![sends(&[bytes])]);
        let line = (line, format!("the answer from {} does not match the request", lab.address(1)));
        lab.geostore(line.0).is(1, "", &[&format!("geostore: {}", line.1)]);
    }
}

/// Who cannot set an attribute because the ticket has as many as it can have is told so; not who
/// changes one of them.
#[test]
fn who_sets_one_attribute_too_many_is_told_what_to_do() {
    let full: String = (0..256).map(|number| format!("a{number} v \n")).collect();
    let more = "; the ticket has 256 attributes, which is the maximum: delete one first";
    for (net, name, list, more) in
        [(146, "b", full.as_str(), more), (147, "a7", &full, ""), (148, "b", &full[6..], "")]
    {
        let mut lab = Lab::new(net);
        let list = ClientReply::Attrs(list.to_owned());
        let list = encode_reply(lab.id(1), &list, TimeUnit::Seconds);
        let list = Sealer::new(None).seal_reply(list, WallTime::EPOCH);
        lab.serve(1, vec![sends(&[result(b"Fail")]), sends(&[list])]);
        let told = format!("geostore: set failed! (answered by {}){more}", lab.address(1));
        lab.geostore(&format!("set {name} v")).is(1, "", &[&told]);
    }
}

/// QUIRKS 8: the reference sends them, and `crm_ticket` makes the CIB unreadable.
#[test]
fn names_that_the_cib_cannot_hold_are_not_sent() {
    let mut lab = Lab::new(143);
    let server = lab.serve(1, vec![]);
    for name in ["9a", "a!", "owner", "granted", "-", "a:b"] {
        for line in [format!("set {name} v"), format!("get {name}"), format!("delete {name}")] {
            let outcome = lab.geostore(&line);
            let begin = format!("geostore: attribute name \"{name}\" cannot be used: ");
            assert!(outcome.stderr.starts_with(&begin), "{line}: {outcome:?}");
            assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{line}");
        }
    }
    let outcome = lab.geostore("set a b\tc");
    assert!(outcome.stderr.contains("cannot be stored: it has a control character"));
    assert!(server.requests().is_empty());
}
