// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes to begin with: captured packets for the wire, files and command lines that people
//! write for the rest.

use booth_harness::capture::{captures, Message, Packet};

/// A configuration as pcs writes it.
const CONFIG_PCS: &str = "authfile = /etc/booth/booth.key
site = 192.0.2.1
site = 192.0.2.2
arbitrator = 192.0.2.3
ticket = \"ticketA\"
  expire = 300
  renewal-freq = 60
  timeout = 10
  retries = 3
  mode = auto
";
/// A configuration as crmsh writes it, with everything that a ticket can have.
const CONFIG_CRMSH: &str = "# The booth configuration file\ntransport=\"UDP\"\nport=\"9929\"
arbitrator=\"2001:db8::3\"\nsite=\"2001:db8::1\"\nsite=\"host\"\nmaxtimeskew=\"600\"\ndebug=1
ticket=\"__defaults__\"\nexpire=\"1500ms\"\ntimeout=\"100ms\"\nretries=\"3\"\nrenewal-freq=\"700ms\"
ticket=\"a/b-9\"\nacquire-after=\"60\"\nweights=\"1,2,3\"\nattr-prereq=\"auto eq eq 1\"
before-acquire-handler=\"/usr/share/booth/service-runnable a 'b c'\"\nmode=\"manual\"
ticket-store=\"/var/lib/booth\"\nsite-user=\"root\"\nsite-group=\"root\"\n";

/// The example that is installed.
const CONFIG_EXAMPLE: &str = include_str!("../../booth.conf.example");

const TICKET_STATE: [&str; 4] = [
    "<ticket_state id=\"T\" owner=\"1690149663\" expires=\"1795330804\" term=\"3\" \
     granted=\"true\" booth-cfg-name=\"booth\" last-granted=\"1795330794\" user=\"a &lt; b\"/>\n",
    "State of ticket 'ticketA':\n\n<ticket_state id=\"ticketA\" granted=\"false\" owner=\"-1\" \
     expires=\"0\" term=\"-2\" standby=\"false\"/>\n",
    "<tickets><ticket_state id=\"a/b-9\" granted=\"yes\"/><ticket_state id=\"T\"/></tickets>",
    "<!DOCTYPE x [<!ENTITY a \"b\">]><ticket_state id=\"&a;\" granted=\"&a;\"/>",
];

const ARGV: [&[&str]; 9] = [
    &["boothd", "daemon", "-c", "/etc/booth/booth.conf", "-SD", "-s", "127.0.0.1", "-l", "/run/x"],
    &["booth", "status", "-c", "booth"],
    &["booth", "client", "grant", "-F", "-w", "-C", "-t", "ticketA", "-s", "other"],
    &["booth", "revoke", "-s", "192.0.2.1", "ticketA"],
    &["/usr/sbin/booth", "client", "list", "2>/dev/null"],
    &["booth", "peers", "-c", "a.b"],
    &["geostore", "set", "-t", "T", "-s", "host", "name", "value of it"],
    &["geostore", "list", "-t", "T"],
    &["booth", "--version"],
];

const KEY_FILE: [&[u8]; 5] = [
    b"secretsecret\n",
    b" \t\x0B12345678\x0C\r\n",
    b"\0zero at the front",
    b"\xFF\xFE \n",
    b"short",
];

/// Every target that has seeds.
pub const TARGETS: [&str; 8] = [
    "argv",
    "client_frame",
    "config_text",
    "datagram",
    "engine_events",
    "key_file",
    "roundtrip",
    "ticket_state",
];

/// The seeds of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match target {
        "argv" => ARGV.iter().map(|words| words.join("\0").into_bytes()).collect(),
        "client_frame" => frames(),
        "config_text" => texts(&[CONFIG_PCS, CONFIG_CRMSH, CONFIG_EXAMPLE]),
        "datagram" => datagrams(),
        "engine_events" | "roundtrip" => choices(),
        "key_file" => KEY_FILE.iter().map(|bytes| bytes.to_vec()).collect(),
        "ticket_state" => texts(&TICKET_STATE),
        other => panic!("no seeds for {other}"),
    }
}

fn datagrams() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for capture in captures() {
        all.extend(capture.datagrams().map(|packet| packet.bytes.clone()));
    }
    all
}

/// What a server hears on one connection, and what its client hears.
fn frames() -> Vec<Vec<u8>> {
    let joined = |packets: &[Packet]| packets.iter().flat_map(|p| p.bytes.clone()).collect();
    let mut all = Vec::new();
    for capture in captures() {
        for message in &capture.messages {
            if let Message::Connection { request, reply } = message {
                all.push(joined(request));
                all.push(joined(reply));
            }
        }
    }
    all
}

/// Bytes for targets that take choices from them: even, uneven, and mixed by a multiplier.
fn choices() -> Vec<Vec<u8>> {
    let mixed = |seed: u32, len: u32| -> Vec<u8> {
        let number = |at: u32| (at ^ seed).wrapping_mul(0x9E37_79B1).rotate_left(at % 32);
        (0..len).map(|at| number(at).to_be_bytes()[0]).collect()
    };
    let mut all: Vec<Vec<u8>> = (0..40).map(|seed| mixed(seed, 600 + 100 * seed)).collect();
    all.push(vec![0; 100]);
    all.push(vec![0xFF; 100]);
    all
}
