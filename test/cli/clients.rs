// SPDX-License-Identifier: GPL-2.0-or-later
//! Good answers: what is printed, to which exit code they lead, and what was asked.

use crate::captured::{answer, redirect, says, sends, text, with_cause, with_leader};
use crate::lab::Lab;
use crate::server::Server;
use booth::wire::{decode_request, ClientOptions, ClientRequest};
use booth_harness::not_run;

#[test]
fn list_and_peers_print_what_the_daemon_says() {
    let mut lab = Lab::new(1);
    let list = text("CLst", "ticket: T, leader: 10.99");
    let peers = text("Peer", "site ");
    let told = |packet: &[u8]| String::from_utf8_lossy(&packet[48..]).into_owned();
    let scripts = vec![says(&list), says(&list), says(&peers), says(&list), says(&list)];
    lab.serve(1, scripts);
    lab.booth("list").is(0, &told(&list), &[]);
    // Reference: Hawk gives this argument, which no shell has seen.
    lab.booth("list 2>/dev/null").is(0, &told(&list), &[]);
    lab.booth("peers").is(0, &told(&peers), &[]);
    let warning = "booth: warning: argument \"T\" is ignored";
    lab.booth("list T").is(0, &told(&list), &[warning]);
    let warning = "booth: warning: argument \"a.conf\" is ignored: did you mean \"-c ./a.conf\"?";
    lab.booth("list a.conf").is(0, &told(&list), &[warning]);
}

/// A program gets the text as the daemon sends it; a person reads "never".
#[test]
fn a_person_reads_never_and_a_program_the_epoch() {
    let mut lab = Lab::new(48);
    let told = "site         10.0.0.2, last recv: 1970-01-01 00:00:00\n\tSent pkts:0\n\n";
    let mut peers = text("Peer", "site ")[..48].to_vec();
    peers.extend(told.bytes());
    let length = u32::try_from(peers.len()).expect("short");
    peers[24..28].copy_from_slice(&length.to_be_bytes());
    lab.serve(1, vec![says(&peers), says(&peers)]);
    lab.booth("peers").is(0, told, &[]);
    let shown = "site         10.0.0.2, last recv: never\r\n\tSent pkts:0\r\n\r\n";
    let outcome = lab.booth_at_a_terminal("peers");
    // The terminal expands tabs.
    let stdout = outcome.stdout.replace("        Sent", "\tSent");
    assert_eq!((outcome.code, stdout.as_str(), outcome.stderr.as_str()), (0, shown, ""));
}

/// The times of another machine are in its time zone; of this one there is nothing to say.
#[test]
fn a_person_is_told_whose_time_zone_a_list_is_in() {
    let mut lab = Lab::new(49);
    let list = text("CLst", "ticket: T, leader: 10.99");
    lab.serve(2, vec![says(&list), says(&list)]);
    let told = String::from_utf8_lossy(&list[48..]).into_owned();
    lab.booth("list -s other").is(0, &told, &[]);
    let outcome = lab.booth_at_a_terminal("list -s other");
    let zone = format!("(times in the time zone of {})\n", lab.address(2));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, zone.as_str()));
    assert_eq!(outcome.stdout, told.replace('\n', "\r\n"));
}

#[test]
fn the_site_that_is_named_is_asked() {
    let mut lab = Lab::new(2);
    let list = text("CLst", "ticket: T, leader: N");
    let told = String::from_utf8_lossy(&list[48..]).into_owned();
    let other = lab.serve(2, vec![says(&list), says(&list)]);
    let arbitrator = lab.serve(3, vec![sends(&[list])]);
    lab.booth("list -s other").is(0, &told, &[]);
    lab.booth(&format!("list -s {}", lab.address(2))).is(0, &told, &[]);
    lab.booth(&format!("list -s {}", lab.address(3))).is(0, &told, &[]);
    assert_eq!((other.requests().len(), arbitrator.requests().len()), (2, 1));
    for request in other.requests() {
        // The client belongs to the first member, whose address is in a local subnet.
        assert_eq!(decode_request(&request), Ok((lab.id(1).raw(), ClientRequest::List)));
    }
}

/// Every final answer that the reference gives to a grant, and those that it could give.
#[test]
fn every_answer_to_grant_has_its_sentence_and_exit_code() {
    let over = "You're granting a granted ticket. If you wanted to migrate a ticket, use revoke \
                first, then use grant.";
    let handler = "before-acquire-handler for ticket \"T\" failed, grant denied";
    for (net, captured, code, sentence) in [
        (10, answer("CGnt", ""), 0, "grant succeeded!"),
        (11, raw(b"Sccs"), 0, "grant succeeded!"),
        (12, answer("CGnt", "Pend"), 0, "grant succeeded (CIB commit pending)"),
        (13, answer("CGnt", "Over"), 1, over),
        (14, answer("CGnt", "IArg"), 1, "ticket \"T\" does not exist"),
        (15, answer("CGnt", "XPrg"), 1, handler),
        (16, answer("CGnt", "APrq"), 1, "attr-prereq for ticket \"T\" failed, grant denied"),
        (17, raw(b"Fail"), 1, "grant failed!"),
        // QUIRKS 6: for a grant the reference takes this as a success.
        (18, raw(b"Tidl"), 1, "ticket is not owned"),
        (19, raw(b"Busy"), 1, "grant failed: busy, try again later"),
        (
            20,
            raw(b"TVld"),
            1,
            "grant failed: the answer was TermStillValid, which does not \
                               fit the request",
        ),
        (21, header(b"Auth"), 1, "authentication error"),
        (22, header(b"Fail"), 1, "grant failed!"),
        // A grant that cannot be written to the CIB is no success yet.
        (
            23,
            with_cause(answer("CGnt", "Pend"), b"CmmX", 9),
            0,
            "grant succeeded (CIB commit pending)",
        ),
    ] {
        ends_with("grant", net, captured, code, sentence);
    }
}

#[test]
fn every_answer_to_revoke_has_its_sentence_and_exit_code() {
    let over = "You're granting a granted ticket. If you wanted to migrate a ticket, use revoke \
                first, then use grant.";
    for (net, captured, code, sentence) in [
        (30, answer("CRvk", ""), 0, "revoke succeeded!"),
        (31, answer("CRvk", "Tidl"), 0, "ticket is not owned"),
        (32, answer("CGnt", "IArg"), 1, "ticket \"T\" does not exist"),
        (33, raw(b"Fail"), 1, "revoke failed!"),
        (34, raw(b"Over"), 1, over),
        (
            35,
            answer("CGnt", "Pend"),
            1,
            "revoke is in progress, but the CIB has not been updated yet",
        ),
        (36, header(b"Auth"), 1, "authentication error"),
    ] {
        ends_with("revoke", net, captured, code, sentence);
    }
}

/// The captured success with another result.
fn raw(code: &[u8; 4]) -> Vec<u8> {
    let mut bytes = answer("CGnt", "");
    bytes[44..48].copy_from_slice(code);
    bytes
}

/// A refusal without payload.
fn header(code: &[u8; 4]) -> Vec<u8> {
    let mut bytes = raw(code);
    bytes.truncate(48);
    bytes[24..28].copy_from_slice(&48u32.to_be_bytes());
    bytes
}

fn ends_with(operation: &str, net: u8, bytes: Vec<u8>, code: i32, sentence: &str) {
    let mut lab = Lab::new(net);
    lab.serve(1, vec![sends(&[bytes])]);
    // With the first one, a majority.
    lab.serve(3, vec![says(&text("CLst", "ticket: T"))]);
    let prefix = if code == 0 { "" } else { "booth: " };
    let line = format!("{prefix}{sentence} (answered by {})", lab.address(1));
    lab.booth(&format!("{operation} T")).is(code, "", &[&line]);
}

#[test]
fn requests_carry_ticket_options_and_the_member_that_asks() {
    let mut lab = Lab::new(3);
    let done = answer("CGnt", "");
    let server = lab.serve(2, (0..7).map(|_| says(&done)).collect());
    let lines = ["grant", "grant -F", "grant -w", "grant -C", "grant -FCw", "revoke", "revoke -w"];
    for line in lines {
        assert_eq!(lab.booth(&format!("{line} -s other T")).code, 0, "{line}");
    }
    let bits = |immediate, wait, wait_commit| ClientOptions {
        immediate,
        wait,
        wait_commit,
        explain: true,
    };
    let expected = [
        (true, bits(false, false, false)),
        (true, bits(true, false, false)),
        (true, bits(false, true, false)),
        // Reference: -C sends both bits.
        (true, bits(false, true, true)),
        (true, bits(true, true, true)),
        (false, bits(false, false, false)),
        (false, bits(false, true, false)),
    ];
    let ticket = || booth::model::TicketName::new("T").ok();
    for (request, (grant, options)) in server.requests().iter().zip(expected) {
        let wanted = if grant {
            ClientRequest::Grant { ticket: ticket(), options }
        } else {
            ClientRequest::Revoke { ticket: ticket(), options }
        };
        assert_eq!(decode_request(request), Ok((lab.id(1).raw(), wanted)));
    }
    assert_eq!(server.requests().len(), lines.len());
}

#[test]
fn a_revoke_follows_a_redirect_and_says_where() {
    let mut lab = Lab::new(4);
    let there = lab.serve(2, vec![sends(&[answer("CRvk", "")])]);
    lab.serve(1, vec![sends(&[redirect(lab.id(2))])]);
    let address = lab.address(2);
    let asking = format!("the ticket is at {address}, asking there");
    let done = format!("revoke succeeded! (answered by {address})");
    lab.booth("revoke T").is(0, "", &[&asking, &done]);
    assert_eq!(there.requests().len(), 1);
}

/// QUIRKS 214: the reference's client does not even ask.
#[test]
fn an_arbitrator_may_be_asked_to_revoke() {
    let mut lab = Lab::new(43);
    let there = lab.serve(2, vec![says(&answer("CRvk", ""))]);
    lab.serve(3, vec![says(&redirect(lab.id(2)))]);
    let (site, arbitrator) = (lab.address(2), lab.address(3));
    let asking = format!("the ticket is at {site}, asking there");
    let done = format!("revoke succeeded! (answered by {site})");
    lab.booth(&format!("revoke -s {arbitrator} T")).is(0, "", &[&asking, &done]);
    assert_eq!(there.requests().len(), 1);
}

/// QUIRKS 7: the reference goes round in circles, and crashes on a redirect to nobody.
#[test]
fn a_redirect_that_leads_nowhere_ends_the_request() {
    let mut lab = Lab::new(5);
    lab.serve(1, vec![sends(&[redirect(lab.id(2))])]);
    lab.serve(2, vec![sends(&[redirect(lab.id(1))])]);
    let (one, two) = (lab.address(1), lab.address(2));
    let asking = format!("the ticket is at {two}, asking there");
    let circle = format!(
        "booth: {two} refers to {one}, which was asked already: the members disagree on who holds \
         the ticket, try again later"
    );
    lab.booth("revoke T").is(1, "", &[&asking, &circle]);

    for (net, leader) in [(6, 0), (7, u32::MAX), (8, 12345)] {
        let mut lab = Lab::new(net);
        lab.serve(1, vec![sends(&[with_leader(answer("CRvk", "Redr"), leader)])]);
        let nowhere = format!(
            "booth: {} refers to another member, but to none in the configuration",
            lab.address(1)
        );
        lab.booth("revoke T").is(1, "", &[&nowhere]);
    }
}

#[test]
fn a_grant_does_not_follow_a_redirect() {
    let mut lab = Lab::new(9);
    let there = lab.serve(2, vec![sends(&[answer("CGnt", "")])]);
    lab.serve(1, vec![sends(&[redirect(lab.id(2))])]);
    let refused = format!(
        "booth: grant failed: {} says that the ticket is at {}",
        lab.address(1),
        lab.address(2)
    );
    let way = way_to_move(&lab, 9);
    lab.booth("grant T").is(1, "", &[&refused, &way]);
    assert!(there.requests().is_empty());
}

/// How to move the ticket from the second site to the first.
fn way_to_move(lab: &Lab, net: u8) -> String {
    let config = lab.config().display().to_string();
    format!(
        "127.30.{net}.2 has the ticket; to move it to 127.30.{net}.1: booth revoke -c {config} -w \
         T && booth grant -c {config} -s 127.30.{net}.1 T"
    )
}

/// Who grants a granted ticket is told who has it, and how it is moved.
#[test]
fn the_holder_of_a_granted_ticket_is_named() {
    let over = "You're granting a granted ticket. If you wanted to migrate a ticket, use revoke \
                first, then use grant.";
    for (net, holder) in [(45u8, 2), (46, 1), (47, 0)] {
        let mut lab = Lab::new(net);
        let leader = if holder == 0 { u32::MAX } else { lab.id(holder).raw() };
        let line = format!("booth: {over} (answered by {})", lab.address(1));
        let more = match holder {
            2 => way_to_move(&lab, net),
            1 => format!("{} has the ticket already", lab.address(1)),
            _ => String::new(),
        };
        lab.serve(1, vec![sends(&[with_leader(answer("CGnt", "Over"), leader)])]);
        let lines: Vec<&str> =
            [line.as_str(), &more].into_iter().filter(|l| !l.is_empty()).collect();
        lab.booth("grant T").is(1, "", &lines);
    }
}

#[test]
fn without_a_name_the_only_ticket_is_meant() {
    let mut lab = Lab::new(40);
    let server = lab.serve(1, vec![sends(&[answer("CGnt", "")])]);
    assert_eq!(lab.booth("grant").code, 0);
    let options = ClientOptions { explain: true, ..ClientOptions::default() };
    let ticket = booth::model::TicketName::new("T").ok();
    let wanted = ClientRequest::Grant { ticket, options };
    assert_eq!(decode_request(&server.requests()[0]), Ok((lab.id(1).raw(), wanted)));

    let lab = Lab::new(41).with_tickets(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    let names = "booth: No ticket given. There is more than one: a, b, c, d, e, f, g, h, ...";
    lab.booth("grant").is(1, "", &[names]);
    lab.booth("revoke").is(1, "", &[names]);
    let names = names.replace("booth", "geostore");
    lab.geostore("list").is(1, "", &[&names]);
}

#[test]
fn an_answer_about_another_ticket_is_none() {
    let mut lab = Lab::new(42).with_tickets(&["other"]);
    lab.serve(1, vec![sends(&[answer("CGnt", "")])]);
    let line = format!("booth: the answer from {} does not match the request", lab.address(1));
    lab.booth("grant other").is(1, "", &[&line]);
}

#[test]
fn members_with_ipv6_addresses_are_asked() {
    let Ok(listener) = std::net::TcpListener::bind(("::1", 0)) else {
        return not_run("clients::members_with_ipv6_addresses_are_asked", "needs IPv6");
    };
    let port = listener.local_addr().expect("its address").port();
    let lab = Lab::new(44);
    let config = format!(
        "port = {port}\nsite = ::1\nsite = 127.30.44.2\narbitrator = 127.30.44.3\nticket = T\n"
    );
    std::fs::write(lab.config(), config).expect("the configuration is written");
    let server = Server::start(listener, (0..3).map(|_| says(&answer("CGnt", ""))).collect());
    for line in ["grant T", "grant -s ::1 T", "grant -s 0:0:0:0:0:0:0:1 T"] {
        lab.booth(line).is(0, "", &["grant succeeded! (answered by ::1)"]);
    }
    let me =
        booth::model::MemberId::of_address(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST));
    for request in server.requests() {
        assert_eq!(decode_request(&request).map(|(from, _)| from), Ok(me.raw()));
    }
}
