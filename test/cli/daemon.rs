// SPDX-License-Identifier: GPL-2.0-or-later
//! Hosts that are no member: what daemon and clients say there.

use crate::lab::Lab;
use booth::sys::local_addr::{local_addresses, nearest};
use std::fs;

/// Networks for documentation (RFC 5737): few hosts have one of them, and none has all.
const ELSEWHERE: [&str; 3] = ["192.0.2", "198.51.100", "203.0.113"];

/// A laboratory without a member here, and the network that its members have instead.
fn elsewhere(net: u8) -> (Lab, &'static str) {
    let local = local_addresses().expect("the addresses of this host");
    let is_far = |network: &&str| {
        let member = format!("{network}.1").parse().expect("an address");
        nearest(&[member], &local).is_none()
    };
    let network = ELSEWHERE.into_iter().find(is_far).expect("a network that is not here");
    let lab = Lab::new(net);
    let config = format!(
        "site = {network}.1\nsite = {network}.2\narbitrator = {network}.3\nticket = \"T\"\n"
    );
    fs::write(lab.config(), config).expect("the configuration is written");
    (lab, network)
}

#[test]
fn a_daemon_on_a_host_that_is_no_member_does_not_start() {
    let (lab, network) = elsewhere(170);
    let outcome = lab.booth("daemon -S");
    let said = &outcome.stderr;
    // The first sentence is looked for by programs.
    let begins = format!(
        "booth: Cannot find myself in the configuration. None of its addresses ({network}.1, \
         {network}.2, {network}.3) is on this machine, which has 127.0.0.1"
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{said}");
    assert!(said.starts_with(&begins), "{said}");
    let line = format!(
        "booth: Cannot find myself in the configuration. (cannot find site \"{network}.9\": it is \
         not a site or arbitrator in the configuration, which has {network}.1, {network}.2, \
         {network}.3)"
    );
    lab.booth(&format!("daemon -DS -s {network}.9")).is(1, "", &[&line]);
}

/// QUIRKS 9: the reference's client dies of an assertion.
#[test]
fn a_client_on_a_host_that_belongs_to_no_member_needs_s() {
    let (lab, network) = elsewhere(171);
    let line = &format!(
        "booth: this host has neither the address of a member nor one in a member's subnet; use -s \
         to name the member to ask: {network}.1, {network}.2, {network}.3"
    );
    for operation in ["list", "peers", "grant T", "revoke T"] {
        lab.booth(operation).is(1, "", &[line]);
    }
    lab.geostore("list").is(1, "", &[&line.replace("booth: ", "geostore: ")]);
    let line = "booth: there is no other site: \"-s other\" needs a host that belongs to a \
                member, and a second site";
    lab.booth("list -s other").is(1, "", &[line]);
}

/// The name of a configuration is the name of its lock file.
#[test]
fn without_l_status_looks_at_the_usual_place() {
    let lab = Lab::new(172);
    let outcome = lab.booth("status");
    let line = "not running: no process holds /var/run/booth/lab.pid\n";
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (7, "", line));
}
