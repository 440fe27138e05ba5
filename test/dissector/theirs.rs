// SPDX-License-Identifier: GPL-2.0-or-later
//! Captured packets of the C version: each field as the capture says it.

use super::capture_file::{CaptureFile, End, PORT};
use super::{expect, hex, Row, NEEDS};
use booth_harness::capture::{captures, Message, Packet};
use booth_harness::{run, test_name};

/// What Wireshark is to say of a captured packet.
fn row(packet: &Packet) -> Row {
    let number = |name| packet.number(name);
    let fields = packet.fields();
    let mut row: Row = vec![
        ("opts", hex(number("opts"))),
        ("secs", number("secs").to_string()),
        ("usecs", number("usecs").to_string()),
        ("magic", hex(number("magic"))),
        ("version", hex(number("version"))),
        ("from", hex(number("from"))),
        ("length", number("length").to_string()),
        ("cmd", packet.code("cmd").to_owned()),
        ("request", packet.code("request").to_owned()),
        ("options", hex(number("options"))),
        ("reason_raw", hex(number("reason"))),
        ("result_raw", hex(number("result"))),
        ("zeroes", String::new()),
    ];
    // Those of our own members are numbers in other packets.
    if matches!(packet.code("cmd"), "Rslt" | "RJC!") {
        row.push(("result", packet.code("result").to_owned()));
    }
    if matches!(packet.code("cmd"), "RVot" | "Revk") {
        row.push(("reason", packet.code("reason").to_owned()));
    }
    let mut add = |names: &[(&'static str, &str)], group: &str| {
        for (name, key) in names {
            let value = fields.get(group).map(|group| group.at(key));
            let value = value.map_or_else(String::new, |value| match *name {
                "leader" => hex(value.u32()),
                "term" | "valid_for" | "mac_hash" => value.u32().to_string(),
                _ => value.text().to_owned(),
            });
            row.push((name, value));
        }
    };
    add(
        &[
            ("ticket", "id"),
            ("leader", "leader"),
            ("term", "term"),
            ("valid_for", "term_valid_for"),
        ],
        "ticket",
    );
    add(&[("attr_ticket", "tkt_id"), ("attr_name", "name"), ("attr_value", "val")], "attr");
    add(&[("mac_hash", "hid")], "hmac");
    let hash = fields.get("hmac").map_or("", |hmac| hmac.at("hash").text());
    row.push(("mac", hash.get(..40).unwrap_or("").to_owned()));
    let text = fields.get("text").map_or("", |text| text.text());
    row.push(("text", text.replace('\n', "\\n").replace('\t', "\\t")));
    row
}

#[test]
fn every_captured_packet_of_the_c_version_is_shown_field_by_field() {
    run(test_name!(), NEEDS, |_| shows_all());
}

fn shows_all() {
    let mut file = CaptureFile::new();
    let mut rows = Vec::new();
    for capture in captures() {
        for message in &capture.messages {
            match message {
                Message::Datagram(packet) => {
                    file.datagram(PORT, PORT, &packet.bytes);
                    rows.push((packet.place.clone(), row(packet)));
                }
                Message::Connection { request, reply } => {
                    let mut connection = file.connect(PORT);
                    let ends = [(End::Client, request), (End::Server, reply)];
                    for (end, packet) in
                        ends.iter().flat_map(|(end, list)| list.iter().map(|it| (*end, it)))
                    {
                        file.segment(&mut connection, end, &packet.bytes);
                        let zeroes = || vec![("zeroes", "00".repeat(packet.bytes.len()))];
                        let expected = packet.fields.as_ref().map_or_else(zeroes, |_| row(packet));
                        rows.push((packet.place.clone(), expected));
                    }
                }
            }
        }
    }
    assert!(rows.len() > 1000, "only {} packets", rows.len());
    expect(&file, &rows);
}
