// SPDX-License-Identifier: GPL-2.0-or-later
//! The shared key (P3, L15): its file, requests with a wrong one or none, old stamps.

use crate::quirk::differs;
use booth_harness::{
    ask, ask_with, finish, run, test_name, under_test, Cluster, Finished, Lab, Need, Packet, Setup,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SOON: Duration = Duration::from_secs(5);

/// `status` with a key file of this content and mode: 7 if it is good.
fn status(lab: &Lab, key: &[u8], mode: u32) -> Finished {
    let key_file = lab.write("case.key", key, mode);
    let cluster = Cluster::new(lab, &Setup::usual());
    let text = std::fs::read_to_string(&cluster.config).expect("it was written");
    let config = lab.write("case.conf", format!("authfile = {key_file}\n{text}"), 0o644);
    let mut command = under_test().command(lab, "booth", None);
    command.args(["status", "-c", &config, "-l"]).arg(lab.dir().join("case.pid"));
    finish(&mut command, SOON)
}

#[test]
fn a_cluster_with_a_key_works() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual().with_key());
        cluster.grant(0, &[0, 1, 2]);
        cluster.geostore(0, "set", &["foo", "bar"]).expect_code(0);
        assert_eq!(cluster.geostore(0, "get", &["foo"]).expect_code(0).stdout, "bar\n");
        cluster.booth(0, &["peers"]).expect_code(0);
        cluster.booth(1, &["revoke", "t1"]).expect_code(0);
    });
}

#[test]
fn key_files_are_checked() {
    run(test_name!(), Need::of(under_test()), |lab| {
        status(lab, b"12345678", 0o600).expect_code(7);
        status(lab, &[b'k'; 64], 0o400).expect_code(7);
        // Reference: status says nothing, other operations say that the key is bad.
        let wanted = differs(120, "case.key", "");
        let told = status(lab, b"1234567", 0o600).expect_code(1);
        assert!(told.stderr.contains(wanted), "{told:?}");
        for mode in [0o640, 0o604, 0o644] {
            let told = status(lab, b"12345678", mode).expect_code(1);
            assert!(told.stderr.contains(wanted), "{mode:o}: {told:?}");
        }
        // White space at both ends does not count.
        status(lab, b"\n 1234567 \n", 0o600).expect_code(1);
        status(lab, b"\n 12345678 \n", 0o600).expect_code(7);
    });
}

#[test]
fn a_wrong_key_no_key_and_an_unwanted_key_are_refused() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let setup = Setup::usual().with_key();
        let with = Cluster::started(lab, &setup);
        let key = setup.key.as_deref();
        let request = with.request(0, "CRvk", "t1");
        assert_eq!(with.ask(0, &request, SOON).only().outcome(), "Tidl");
        for wrong in [Some(&b"another key than theirs"[..]), None] {
            let answers = ask_with(with.address(0), &request.seal(wrong), key, SOON);
            assert_eq!(answers.last().outcome(), "Auth", "{answers:?}");
            assert!(answers.last().ticket.is_none(), "{answers:?}");
        }
        let text = std::fs::read_to_string(&with.config).expect("it was written");
        let without = text.lines().filter(|line| !line.starts_with("authfile"));
        let without: Vec<String> = without.map(|line| format!("{line}\n")).collect();
        let without = without.concat();
        let config = lab.write("without.conf", without, 0o644);
        let mut command = under_test().command(lab, "booth", None);
        command.args(["grant", "t1", "-c", &config, "-s", &with.address(0).to_string()]);
        let told = finish(&mut command, SOON).expect_code(1);
        assert!(!told.stderr.is_empty(), "{told:?}");
        assert!(with.crm(0).calls_of("grant").is_empty());

        let plain = Cluster::started(lab, &Setup::usual());
        let sealed = plain.request(0, "CGnt", "t1").seal(key);
        let answers = ask_with(plain.address(0), &sealed, None, Duration::from_secs(2));
        drop(answers);
        assert_eq!(plain.crm(0).is_granted("t1"), differs(213, false, true));
    });
}

#[test]
fn a_stamp_may_be_off_by_maxtimeskew() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let setup = Setup::usual().with_key().global("maxtimeskew = 100\n");
        let cluster = Cluster::started(lab, &setup);
        let key = setup.key.as_deref().expect("it has a key");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970");
        let now = u32::try_from(now.as_secs()).expect("not so late");
        // Each from another client, so that no stamp is older than one before.
        let request = |index: usize, secs: u32| {
            let packet = cluster.request(index, "CRvk", "t1").seal_at(key, secs, 0);
            ask_with(cluster.address(0), &packet, Some(key), SOON).last().outcome()
        };
        assert_eq!(request(0, now - 90), "Tidl");
        assert_eq!(request(0, now - 110), "Auth");
        assert_eq!(request(1, now + 90), "Tidl");
        assert_eq!(request(1, now + 110), differs(208, "Auth", "Tidl"));
    });
}

#[test]
fn a_request_that_came_before_is_a_replay() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let setup = Setup::usual().with_key();
        let cluster = Cluster::started(lab, &setup);
        let key = setup.key.as_deref();
        let bytes = cluster.request(0, "CRvk", "t1").seal(key);
        let first = ask_with(cluster.address(0), &bytes, key, SOON);
        assert_eq!(first.last().outcome(), "Tidl");
        let again = ask_with(cluster.address(0), &bytes, key, SOON);
        assert_eq!(again.last().outcome(), differs(209, "Auth", "Tidl"));
    });
}

#[test]
fn a_key_whose_first_byte_is_zero_is_a_key() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let mut setup = Setup::usual();
        setup.key = Some([&[0], &[b'k'; 40][..]].concat());
        let cluster = Cluster::started(lab, &setup);
        let request: Packet = cluster.request(0, "CRvk", "t1");
        let key = differs(121, setup.key.as_deref(), None);
        assert_eq!(ask(cluster.address(0), &request, key, SOON).last().outcome(), "Tidl");
    });
}
