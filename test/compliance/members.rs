// SPDX-License-Identifier: GPL-2.0-or-later
//! What another member sees: the exchanges of an election, a renewal, a revoke, a step-down,
//! played with scripted members on the addresses of two other sites (P6).

use booth_harness::{
    run, test_name, under_test, until, Cluster, FakeMember, Lab, Need, Packet, Setup, NOBODY,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(4);

/// One running site; two other sites are scripted. (From an arbitrator, which never stands,
/// ours does not take what only a candidate or a leader says.)
struct Stage<'lab> {
    cluster: Cluster<'lab>,
    site: FakeMember,
    third: FakeMember,
}

/// Starts it and answers its first query: nobody has the ticket, term `term`.
fn stage<'lab>(lab: &'lab Lab, setup: &Setup, term: u32) -> Stage<'lab> {
    let setup = Setup { sites: 3, arbitrators: 0, ..setup.clone() };
    let mut cluster = Cluster::new(lab, &setup);
    let site = FakeMember::new(cluster.address(1), setup.key.as_deref());
    let third = FakeMember::new(cluster.address(2), setup.key.as_deref());
    cluster.members[0].spawn(lab);
    for fake in [&site, &third] {
        let query = fake.expect(cluster.address(0), "Stat", Duration::from_secs(8));
        assert_eq!(query.payload().name, "t1");
        let answer = fake.packet("MIdx").answering("Stat").options(query.options);
        fake.send(cluster.address(0), &answer.ticket("t1", NOBODY, term, 0));
    }
    cluster.members[0].wait_started();
    Stage { cluster, site, third }
}

impl Stage<'_> {
    /// Sends a packet of the scripted site about `t1`.
    fn say(&self, packet: Packet) {
        self.site.send(self.cluster.address(0), &packet);
    }

    /// The next packet of this kind that the running site sends to the scripted one.
    #[track_caller]
    fn hear(&self, cmd: &str) -> Packet {
        self.site.expect(self.cluster.address(0), cmd, SOON)
    }

    /// Votes as both scripted members, acknowledges as both, until the ticket is granted.
    #[track_caller]
    fn let_it_win(&self) -> Packet {
        self.let_it_win_by(|vote| vote)
    }

    /// The same with votes that are marked in some way.
    #[track_caller]
    fn let_it_win_by(&self, mark: impl Fn(Packet) -> Packet) -> Packet {
        let address = self.cluster.address(0);
        let ask = self.cluster.request(0, "CGnt", "t1").seal(self.cluster.key.as_deref());
        let key = self.cluster.key.clone();
        let client = std::thread::spawn(move || {
            booth_harness::ask_with(address, &ask, key.as_deref(), Duration::from_secs(10))
        });
        let request = self.hear("RVot");
        let candidate = request.payload();
        assert_eq!((candidate.leader, request.reason), (self.cluster.id(0), four("Admn")));
        for fake in [&self.site, &self.third] {
            let vote = fake.packet("VtFr").answering("RVot");
            fake.send(address, &mark(vote.ticket("t1", candidate.leader, candidate.term, 0)));
        }
        let heartbeat = self.hear("HrtB");
        self.acknowledge(&heartbeat);
        let answers = client.join().expect("the client thread ends in time");
        assert_eq!(answers.last().outcome(), "0", "{answers:?}");
        heartbeat
    }

    /// Acknowledges a packet as both scripted members.
    fn acknowledge(&self, packet: &Packet) {
        let payload = packet.payload();
        for fake in [&self.site, &self.third] {
            let mut ack = fake.packet("Ack.").options(packet.options & 0x7FFF_FFFF);
            ack.request = packet.cmd;
            let ack = ack.ticket("t1", payload.leader, payload.term, payload.valid_for);
            fake.send(self.cluster.address(0), &ack);
        }
    }

    /// Makes the running site a follower of the scripted one in `term`.
    #[track_caller]
    fn lead(&self, term: u32) {
        let id = self.site.id;
        // As a new leader does: it was elected first, and a renewal follows the majority.
        self.say(self.site.packet("RVot").because("Admn").ticket("t1", id, term, 0));
        self.hear("VtFr");
        self.say(self.site.packet("HrtB").ticket("t1", id, term, 10));
        let ack = self.hear("Ack.");
        assert_eq!((ack.request, ack.payload().leader), (four("HrtB"), id), "{ack:?}");
        assert_eq!(ack.payload().term, term);
        self.say(self.site.packet("UpdE").ticket("t1", id, term, 10));
        let ack = self.hear("Ack.");
        assert_eq!((ack.request, ack.payload().leader), (four("UpdE"), id), "{ack:?}");
    }
}

use booth_harness::four;

#[test]
fn a_grant_is_an_election_a_heartbeat_and_an_update() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        let heartbeat = stage.let_it_win();
        let payload = heartbeat.payload();
        assert_eq!(payload.leader, stage.cluster.id(0));
        assert!((9..=10).contains(&payload.valid_for), "{heartbeat:?}");
        assert!(stage.cluster.crm(0).is_granted("t1"));
    });
}

/// A vote counts whatever its sender tells with it (`RULES.md`, what the rules need on the wire):
/// members of all kinds must be able to vote for each other.
#[test]
fn votes_that_tell_of_a_revoke_count() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 1);
        stage.let_it_win_by(|vote| Packet { reason: 0x8000_0001, ..vote });
        assert!(stage.cluster.crm(0).is_granted("t1"));
    });
}

/// The same with all that a vote can say.
#[test]
fn votes_with_all_marks_count() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 1);
        stage.let_it_win_by(|vote| Packet { reason: 1, ..vote.options(0x8000_03E9) });
        assert!(stage.cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn a_member_answers_a_query() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        stage.say(stage.site.packet("Stat").ticket("t1", NOBODY, 0, 0));
        let answer = stage.hear("MIdx");
        assert_eq!((answer.request, answer.payload().leader), (four("Stat"), NOBODY));
        stage.lead(3);
        stage.say(stage.site.packet("Stat").ticket("t1", NOBODY, 0, 0));
        let answer = stage.hear("MIdx");
        let payload = answer.payload();
        assert_eq!((payload.leader, payload.term), (stage.site.id, 3));
        assert!((7..=10).contains(&payload.valid_for), "{answer:?}");
    });
}

#[test]
fn a_follower_writes_its_cib_and_refuses_others() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        stage.lead(3);
        until(SOON, "the follower's CIB names the leader", || {
            let state = stage.cluster.crm(0).state("t1")?;
            let owner = i64::from(stage.site.id);
            (state.granted == Some(false) && state.number("owner") == owner).then_some(())
        });
        let fake = &stage.third;
        let address = stage.cluster.address(0);
        for (reason, term) in [("TLst", 4), ("Admn", 5), ("Racq", 6), ("", 7)] {
            fake.send(address, &fake.packet("RVot").because(reason).ticket("t1", fake.id, term, 0));
            let answer = fake.expect(address, "RJC!", SOON);
            assert_eq!((answer.outcome().as_str(), answer.request), ("TVld", four("RVot")));
            assert_eq!((answer.payload().leader, answer.payload().term), (stage.site.id, 3));
        }
        fake.send(address, &fake.packet("HrtB").ticket("t1", fake.id, 2, 10));
        let answer = fake.expect(address, "RJC!", SOON);
        assert_eq!((answer.outcome().as_str(), answer.request), ("TOdt", four("HrtB")));
        fake.send(address, &fake.packet("UpdE").ticket("t1", fake.id, 9, 10));
        let answer = fake.expect(address, "RJC!", SOON);
        assert_eq!((answer.outcome().as_str(), answer.request), ("TVld", four("UpdE")));
        assert_eq!(answer.payload().leader, stage.site.id);
    });
}

#[test]
fn a_revoke_is_acknowledged_and_frees_the_ticket() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        stage.lead(3);
        // Only the leader can revoke.
        let (fake, address) = (&stage.third, stage.cluster.address(0));
        fake.send(address, &fake.packet("Revk").because("Admn").ticket("t1", NOBODY, 3, 0));
        let leader = stage.cluster.address(1).to_string();
        assert_eq!(stage.cluster.leader(0, "t1"), leader);
        stage.say(stage.site.packet("Revk").because("Admn").ticket("t1", NOBODY, 3, 0));
        let ack = stage.hear("Ack.");
        assert_eq!((ack.request, ack.payload().leader), (four("Revk"), NOBODY));
        assert_eq!(stage.cluster.leader(0, "t1"), "none");
        // A site that lost it before is outdated.
        let lost = stage.site.packet("RVot").because("TLst").ticket("t1", stage.site.id, 4, 0);
        stage.say(lost);
        let answer = stage.hear("RJC!");
        assert_eq!((answer.outcome().as_str(), answer.payload().leader), ("Outd", NOBODY));
    });
}

#[test]
fn after_a_step_down_the_other_site_stands_at_once() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        stage.lead(3);
        stage.say(stage.site.packet("VtFr").because("LocF").ticket("t1", NOBODY, 3, 0));
        let request = stage.site.expect(stage.cluster.address(0), "RVot", Duration::from_secs(3));
        assert_eq!(request.reason, four("Spdn"), "{request:?}");
        assert_eq!(request.payload().leader, stage.cluster.id(0));
        assert!(request.payload().term > 3, "{request:?}");
    });
}

#[test]
fn a_leader_rejects_another() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        let term = stage.let_it_win().payload().term;
        let id = stage.site.id;
        for packet in [
            stage.site.packet("HrtB").ticket("t1", id, term + 1, 10),
            stage.site.packet("UpdE").ticket("t1", id, term + 1, 10),
            stage.site.packet("RVot").because("TLst").ticket("t1", id, term, 0),
            stage.site.packet("RVot").because("Admn").ticket("t1", id, term, 0),
        ] {
            let cmd = packet.cmd;
            stage.say(packet);
            let answer = stage.hear("RJC!");
            assert_eq!((answer.request, answer.outcome().as_str()), (cmd, "TVld"), "{answer:?}");
            assert_eq!(answer.payload().leader, stage.cluster.id(0), "{answer:?}");
        }
        assert!(stage.cluster.crm(0).is_granted("t1"));
    });
}

#[test]
fn renewals_are_resent_until_the_retries_are_used_up() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        stage.let_it_win();
        // Nobody acknowledges any more.
        let mut heard = 0;
        let lost = booth_harness::value_within(Duration::from_secs(12), || {
            let packet = stage.site.receive(
                stage.cluster.address(0),
                Duration::from_millis(100),
                |packet| packet.command() == "HrtB",
            );
            heard += usize::from(packet.is_some());
            (!stage.cluster.crm(0).is_granted("t1")).then_some(())
        });
        assert!(lost.is_some(), "it holds the ticket without a majority");
        assert!(heard >= 3, "{heard} heartbeats");
    });
}

#[test]
fn a_revoke_is_resent_until_it_is_acknowledged() {
    run(test_name!(), Need::of(under_test()), |lab| {
        let stage = stage(lab, &Setup::usual(), 0);
        stage.let_it_win();
        stage.cluster.booth(0, &["revoke", "t1"]).expect_code(0);
        let first = stage.hear("Revk");
        assert_eq!((first.reason, first.payload().leader), (four("Admn"), NOBODY));
        let second = stage.hear("Revk");
        stage.acknowledge(&second);
        let third =
            stage.site.receive(stage.cluster.address(0), Duration::from_millis(1500), |p| {
                p.command() == "Revk"
            });
        assert!(third.is_none(), "{third:?}");
    });
}
