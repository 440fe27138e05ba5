// SPDX-License-Identifier: GPL-2.0-or-later
//! `booth peers`: a block of lines with counters for each other member (P15).

use booth_harness::{run, test_name, under_test, Cluster, Need, Setup};

#[test]
fn each_other_member_has_a_block_of_lines() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let cluster = Cluster::started(lab, &Setup::usual());
        cluster.grant(0, &[0, 1, 2]);
        let text = cluster.booth(0, &["peers"]).expect_code(0).stdout;
        let blocks: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(blocks.len(), 2, "{text:?}");
        for (block, (role, member)) in blocks.iter().zip([("site", 1), ("arbitrator", 2)]) {
            let lines: Vec<&str> = block.lines().collect();
            assert_eq!(lines.len(), 3, "{text:?}");
            let begin = format!("{role:<12} {}, last recv: ", cluster.address(member));
            let time = lines[0].strip_prefix(begin.as_str());
            let time = time.unwrap_or_else(|| panic!("not {begin:?}: {text:?}"));
            assert_eq!(time.len(), "2026-11-23 08:00:00".len(), "{text:?}");
            for (line, names) in [
                (lines[1], &["\tSent pkts", " error", " resends"][..]),
                (lines[2], &["\tRecv pkts", " error", " authfail", " invalid"]),
            ] {
                let found: Vec<&str> = line.split([':', ' ']).collect();
                assert!(found.len() >= names.len(), "{line:?}");
                for name in names {
                    let number = line.split(&format!("{name}:")).nth(1);
                    let number = number.and_then(|rest| rest.split(' ').next());
                    assert!(number.is_some_and(|n| n.parse::<u64>().is_ok()), "{name} in {line:?}");
                }
            }
        }
    });
}
