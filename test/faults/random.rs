// SPDX-License-Identifier: GPL-2.0-or-later
//! Faults of all kinds at random, from a seed, for a minute or as long as wanted; then all is
//! healed, and somebody has to hold the ticket.

use crate::harness::{pass, run, test_name, until, Cluster, Links, Setup};
use crate::watch::{holding, never_two, FAIL_OVER, LEASE, LINK_NEEDS};
use std::time::{Duration, Instant};

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill(usize),
    Stop(usize),
    Go(usize),
    Cut(usize, usize),
    CutOneWay(usize, usize),
    Lose(u8),
    Heal,
    Slow(usize),
    Hang(usize),
    Fail(usize),
    Well(usize),
    Revoke(usize),
    Grant(usize),
}

fn draw(random: &mut fastrand::Rng) -> Fault {
    let member = random.usize(0..3);
    let site = random.usize(0..2);
    let other = (member + random.usize(1..3)) % 3;
    match random.u8(0..20) {
        0 | 1 => Fault::Kill(member),
        2 | 3 => Fault::Stop(member),
        4..=6 => Fault::Go(member),
        7 => Fault::Cut(member, other),
        8 => Fault::CutOneWay(member, other),
        9 => Fault::Lose(random.u8(5..60)),
        10..=12 => Fault::Heal,
        13 => Fault::Slow(site),
        14 => Fault::Hang(site),
        15 => Fault::Fail(site),
        16 | 17 => Fault::Well(site),
        18 => Fault::Revoke(site),
        _ => Fault::Grant(site),
    }
}

/// Lets it happen. A killed member is started again at once: what is dead for long is `Stop`.
fn happen(cluster: &mut Cluster, links: &Links, fault: Fault) {
    let limit = Duration::from_millis(300);
    match fault {
        Fault::Kill(member) => {
            cluster.kill(member);
            cluster.start(member);
        }
        Fault::Stop(member) => cluster.members[member].signal("STOP"),
        Fault::Go(member) => cluster.members[member].signal("CONT"),
        Fault::Cut(one, other) => links.cut(cluster.address(one), cluster.address(other)),
        Fault::CutOneWay(from, to) => {
            links.cut_one_way(cluster.address(from), cluster.address(to));
        }
        Fault::Lose(percent) => links.lose(percent),
        Fault::Heal => links.heal(),
        Fault::Slow(site) => cluster.crm(site).control("any delay 2"),
        Fault::Hang(site) => cluster.crm(site).control("grant hang"),
        Fault::Fail(site) => cluster.crm(site).control("grant exit 1"),
        Fault::Well(site) => cluster.crm(site).control(""),
        Fault::Revoke(site) => {
            let request = cluster.request(site, "CRvk", "t1");
            drop(cluster.ask(site, &request, limit));
        }
        Fault::Grant(site) => {
            let request = cluster.request(site, "CGnt", "t1");
            drop(cluster.ask(site, &request, limit));
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_there_is_never_a_second_holder() {
    run(test_name!(), LINK_NEEDS, |lab| {
        let seed = number("BOOTH_FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..));
        let time = Duration::from_secs(number("BOOTH_FAULTS_SECONDS").unwrap_or(60));
        println!("BOOTH_FAULTS_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cluster = holding(lab, &Setup::usual());
        let links = Links::new(lab);
        let begun = Instant::now();
        while begun.elapsed() < time {
            let fault = draw(&mut random);
            println!("{:8.3} {fault:?}", begun.elapsed().as_secs_f64());
            happen(&mut cluster, &links, fault);
            pass(Duration::from_millis(random.u64(50..1500)));
            never_two(&cluster);
        }
        links.heal();
        for site in [0, 1] {
            cluster.crm(site).control("");
        }
        for member in 0..3 {
            cluster.members[member].signal("CONT");
        }
        // Revoked by a client, it stays free; so it is granted.
        pass(Duration::from_secs(1));
        drop(cluster.ask(0, &cluster.request(0, "CGnt", "t1"), Duration::from_secs(2)));
        until(FAIL_OVER + LEASE * 2, "somebody has it in the end", || {
            (cluster.crm(0).is_granted("t1") || cluster.crm(1).is_granted("t1")).then_some(())
        });
        never_two(&cluster);
    });
}
