// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes that no correct program sends (P1, P7): they are counted and dropped, and nothing else
//! happens.

use crate::quirk::differs;
use booth_harness::{
    ask_with, run, test_name, under_test, until, Cluster, End, FakeMember, Need, Packet, Setup,
    NOBODY,
};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(3);

/// Every way in which a heartbeat can be wrong, but for its leader.
fn wrong_datagrams(fake: &FakeMember) -> Vec<(&'static str, Vec<u8>)> {
    let good = || fake.packet("HrtB").ticket("t1", fake.id, 7, 10);
    let mut cases = Vec::new();
    let mut add = |name, bytes| cases.push((name, bytes));
    add("magic", Packet { magic: 0x5F1B_A08D, ..good() }.bytes());
    add("version", Packet { version: 0x0001_0002, ..good() }.bytes());
    add("unknown sender", Packet { from: 12345, ..good() }.bytes());
    add("length too small", Packet { length: 123, ..good() }.bytes());
    add("length too large", Packet { length: 125, ..good() }.bytes());
    add("unknown ticket", good().ticket("nix", fake.id, 7, 10).bytes());
    add("unknown leader", good().ticket("t1", 12345, 7, 10).bytes());
    add("leader 0", good().ticket("t1", 0, 7, 10).bytes());
    add("unknown command", Packet { cmd: 0x4142_4344, ..good() }.bytes());
    add("name without end", good().ticket(&"x".repeat(64), fake.id, 7, 10).bytes());
    add("authenticated, without a MAC", Packet { opts: 1, ..good() }.bytes());
    let whole = good().bytes();
    for cut in [0, 1, 47, 48, 100, 123] {
        add("cut", whole[..cut].to_vec());
    }
    add("long", [whole.clone(), vec![0; 1000]].concat());
    add("a header alone", fake.packet("HrtB").bytes());
    add("a client's request", fake.packet("CLst").bytes());
    cases
}

#[test]
fn wrong_datagrams_change_nothing() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let fake = FakeMember::new(cluster.address(1), None);
        cluster.start(0);
        cluster.start(2);
        let before = cluster.leader(0, "t1").to_lowercase();
        for (name, bytes) in wrong_datagrams(&fake) {
            fake.forget();
            fake.send_bytes(cluster.address(0), &bytes);
            let answer = fake.receive(cluster.address(0), Duration::from_millis(150), |packet| {
                // What the daemon says by itself while it starts.
                !["Stat", "RVot"].contains(&packet.command().as_str())
            });
            assert!(answer.is_none(), "{name}: {answer:?}");
            assert_eq!(cluster.members[0].exited(), None, "{name} ended the daemon");
            assert_eq!(cluster.leader(0, "t1").to_lowercase(), before, "{name}");
        }
    });
}

#[test]
fn wrong_datagrams_are_counted() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let fake = FakeMember::new(cluster.address(1), None);
        cluster.start(0);
        for _ in 0..5 {
            let packet = fake.packet("HrtB").ticket("nix", fake.id, 7, 10);
            fake.send(cluster.address(0), &packet);
        }
        until(SOON, "five are counted", || {
            let text = cluster.booth(0, &["peers"]).expect_code(0).stdout;
            let block = text.split("\n\n").find(|block| block.contains("site "))?;
            let invalid = block.rsplit("invalid:").next()?.trim().parse::<u32>().ok()?;
            (invalid >= 5).then_some(())
        });
    });
}

/// What `peers` counts for the fake member under this name.
fn count_of(cluster: &Cluster<'_>, name: &str) -> Option<u32> {
    let text = cluster.booth(0, &["peers"]).expect_code(0).stdout;
    let block = text.split("\n\n").find(|block| block.contains("site "))?;
    let received = block.lines().find(|line| line.contains("Recv"))?;
    let number = received.split_once(&format!(" {name}:"))?.1.split(' ').next()?;
    number.trim().parse().ok()
}

/// What is no packet of the protocol counts as `error`, what says something impossible as
/// `invalid`: so a member that speaks another version shows.
#[test]
fn each_wrong_datagram_of_a_member_has_its_counter() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let fake = FakeMember::new(cluster.address(1), None);
        cluster.start(0);
        let good = || fake.packet("HrtB").ticket("t1", fake.id, 7, 10);
        let cases = [
            ("error", "magic", Packet { magic: 1, ..good() }),
            ("error", "version", Packet { version: 0x0001_0002, ..good() }),
            ("error", "length", Packet { length: 200, ..good() }),
            ("invalid", "ticket", good().ticket("nix", fake.id, 7, 10)),
            ("invalid", "leader", good().ticket("t1", 12345, 7, 10)),
        ];
        for (counter, name, packet) in cases {
            let [errors, invalid] = ["error", "invalid"].map(|name| count_of(&cluster, name));
            fake.send_bytes(cluster.address(0), &packet.bytes());
            let more = |before: Option<u32>, name| before.map(|n| n + u32::from(name == counter));
            let expected = [more(errors, "error"), more(invalid, "invalid")];
            until(SOON, &format!("{name} is counted as {counter}"), || {
                let now = ["error", "invalid"].map(|name| count_of(&cluster, name));
                (now == expected).then_some(())
            });
        }
    });
}

#[test]
fn a_heartbeat_for_somebody_else_does_not_end_the_daemon() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::new(lab, &Setup::usual());
        let fake = FakeMember::new(cluster.address(1), None);
        cluster.start(0);
        let leader = cluster.id(2);
        fake.send(cluster.address(0), &fake.packet("HrtB").ticket("t1", leader, 7, 10));
        let ended =
            booth_harness::value_within(Duration::from_secs(1), || cluster.members[0].exited());
        assert_eq!(ended.is_some(), differs(211, false, true), "{ended:?}");
    });
}

#[test]
fn wrong_bytes_over_tcp_change_nothing() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        let good = || cluster.request(0, "CGnt", "t1");
        let cases = [
            Packet { magic: 1, ..good() }.bytes(),
            Packet { version: 0x0001_0002, ..good() }.bytes(),
            Packet { cmd: 0x4142_4344, ..good() }.bytes(),
            Packet { length: 20, ..good() }.bytes(),
            Packet { length: 0xFFFF_FFFF, ..good() }.bytes(),
            good().ticket(&"x".repeat(64), 0, 0, 0).bytes(),
            b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            vec![0xFF; 5000],
            good().bytes()[..60].to_vec(),
            Vec::new(),
        ];
        for bytes in cases {
            let answers = ask_with(cluster.address(0), &bytes, None, Duration::from_millis(300));
            let fine = answers.outcomes();
            assert!(
                fine.iter().all(|code| ["IArg", "Auth"].contains(&code.as_str())),
                "{answers:?}"
            );
        }
        assert_eq!(cluster.members[0].exited(), None);
        assert!(cluster.crm(0).calls_of("grant").is_empty());
        cluster.booth(0, &["list"]).expect_code(0);
    });
}

#[test]
fn an_idle_connection_is_closed() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let answers = ask_with(cluster.address(0), &[], None, Duration::from_secs(8));
        let half = cluster.request(0, "CGnt", "t1").bytes()[..60].to_vec();
        let halfway = ask_with(cluster.address(0), &half, None, Duration::from_secs(8));
        for answers in [answers, halfway] {
            assert_eq!(answers.end == End::Open, differs(212, false, true), "{answers:?}");
        }
    });
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        let address = (cluster.address(0), booth_harness::PORT);
        let idle: Vec<_> = (0..40)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect(address).expect("it listens");
                stream.write_all(&[0x5F]).expect("a new connection takes a byte");
                stream
            })
            .collect();
        let told = cluster.booth(0, &["list"]).expect_code(0);
        assert!(told.took < SOON, "{:?}", told.took);
        drop(idle);
    });
}

#[test]
fn a_client_may_leave_before_its_answer() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut cluster = Cluster::started(lab, &Setup::usual());
        cluster.kill(1);
        cluster.kill(2);
        // No majority: the server goes on to answer a client that is gone.
        let request = cluster.request(0, "CGnt", "t1");
        for _ in 0..3 {
            cluster.ask(0, &request, Duration::from_millis(100));
        }
        let limit = Duration::from_secs(4);
        let ended = booth_harness::value_within(limit, || cluster.members[0].exited());
        assert_eq!(ended, None);
        assert!(cluster.list(0).to_lowercase().contains("leader: none"), "{}", cluster.list(0));
        assert_ne!(cluster.id(0), NOBODY);
    });
}
