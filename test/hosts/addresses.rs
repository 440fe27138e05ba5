// SPDX-License-Identifier: GPL-2.0-or-later
//! Hosts without IPv6, and addresses that come and go.

use crate::support::{fate, frees, granted, holds, works, GRANTED, NEEDS, POOR, SOON};
use booth_harness::{
    finish, overlaps, pass, run, shell, test_name, until, Cluster, Kind, Lab, Need, Setup,
};
use std::time::Duration;

/// Each member has a device of its own, whose address can be taken away.
const DEVICE_NEEDS: &[Need] = &[Need::Root, Need::Tap];
/// The lease of these tests.
const LEASE: Duration = Duration::from_secs(10);

/// Takes IPv6 away from the lab's network.
#[track_caller]
fn without_ipv6() {
    let script = "for which in all default lo; do
        echo 1 >\"/proc/sys/net/ipv6/conf/$which/disable_ipv6\"
    done
    ! ip -6 address show 2>/dev/null | grep -q inet6";
    shell(script, &[]);
}

#[test]
fn without_ipv6_members_with_other_addresses_work() {
    run(test_name!(), NEEDS, |lab| {
        without_ipv6();
        let cluster = Cluster::started(lab, &Setup::usual());
        for index in 0..3 {
            works(&cluster, index);
        }
    });
}

#[test]
fn without_ipv6_a_member_with_such_an_address_says_which() {
    run(test_name!(), NEEDS, |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        without_ipv6();
        let text = std::fs::read_to_string(&cluster.config).expect("it was written");
        let six = "fd00:b007::1";
        let text = text.replacen(&cluster.address(POOR).to_string(), six, 1);
        cluster.members[POOR].config = lab.write("six.conf", text, 0o644);
        let member = &cluster.members[POOR];
        let fake = cluster.crm(POOR).bin();
        let mut command = Kind::Ours.command(lab, "boothd", Some(&fake));
        command.args(["daemon", "-D", "-S", "-c", &member.config, "-s", six, "-l"]);
        let told = finish(command.arg(member.lock_file()), SOON * 3).expect_code(1).stderr;
        assert!(told.contains(six), "{told}");
        // A member whose own address is another one works, although it cannot reach this one.
        let config = cluster.members[POOR].config.clone();
        for index in [1, 2] {
            cluster.members[index].config = config.clone();
            cluster.start(index);
        }
        works(&cluster, 1);
    });
}

/// A member's address is taken from its device, or given to it.
#[track_caller]
fn address(cluster: &Cluster, index: usize, what: &str) {
    let member = &cluster.members[index];
    let place = member.place.as_ref().expect("each member has its own").display().to_string();
    let script =
        "device=$(nsenter --net=\"$1\" ip -o link | sed -n 's/^[0-9]*: \\(port[0-9]*\\):.*/\\1/p')
        nsenter --net=\"$1\" ip address \"$2\" \"$3/24\" dev \"$device\"";
    shell(script, &[&place, what, &member.address.to_string()]);
}

/// A cluster on devices of its own with the ticket at the poor site.
#[track_caller]
fn holding(lab: &Lab) -> Cluster<'_> {
    lab.plug(3, 10);
    let cluster = Cluster::started(lab, &Setup::usual());
    holds(&cluster, POOR);
    cluster.wait_leader(&[0, 1, 2], POOR, SOON);
    cluster
}

#[track_caller]
fn never_two(cluster: &Cluster) {
    let both = overlaps(&cluster.histories("t1"));
    assert!(both.is_empty(), "granted at two sites: {both:#?}");
}

#[test]
fn a_holder_whose_address_goes_for_a_moment_keeps_its_ticket() {
    run(test_name!(), DEVICE_NEEDS, |lab| {
        let cluster = holding(lab);
        for _ in 0..2 {
            address(&cluster, POOR, "del");
            pass(Duration::from_secs(2));
            address(&cluster, POOR, "add");
            pass(LEASE);
            assert!(granted(&cluster, POOR), "{}", cluster.members[POOR].log_tail(20));
        }
        never_two(&cluster);
        frees(&cluster, POOR);
    });
}

#[test]
fn a_holder_whose_address_is_gone_gives_up_in_time_and_is_back_with_it() {
    run(test_name!(), DEVICE_NEEDS, |lab| {
        let cluster = holding(lab);
        address(&cluster, POOR, "del");
        until(LEASE + Duration::from_secs(2), "it gives the ticket up", || {
            (!granted(&cluster, POOR)).then_some(())
        });
        until(GRANTED, "the other site has it", || granted(&cluster, 1).then_some(()));
        assert!(cluster.members[POOR].runs(), "{}", cluster.members[POOR].log_tail(20));
        address(&cluster, POOR, "add");
        // It hears of the holder again, answers, and can have the ticket again.
        cluster.wait_leader(&[0, 1, 2], 1, GRANTED);
        frees(&cluster, 1);
        works(&cluster, POOR);
        never_two(&cluster);
    });
}

/// Without its address a daemon ends with a reason, or waits for it; with it, it works.
#[test]
fn a_daemon_that_starts_before_its_address_is_there_works_when_it_is() {
    run(test_name!(), DEVICE_NEEDS, |lab| {
        lab.plug(3, 11);
        let mut cluster = Cluster::new(lab, &Setup::usual());
        cluster.start(1);
        cluster.start(2);
        address(&cluster, POOR, "del");
        cluster.members[POOR].spawn(lab);
        let early = cluster.members[POOR].has_started(Duration::from_secs(3));
        assert!(early.is_err(), "there is no such address yet");
        let log = cluster.members[POOR].log();
        assert!(log.contains(&cluster.address(POOR).to_string()), "it says which: {log}");
        address(&cluster, POOR, "add");
        if cluster.members[POOR].exited().is_some() {
            assert_eq!(cluster.members[POOR].wait_end(SOON).code(), Some(1));
            assert!(fate(lab, &mut cluster, POOR, &[]).is_alive());
        } else {
            cluster.members[POOR].has_started(GRANTED).expect("its address is there");
            works(&cluster, POOR);
        }
    });
}
