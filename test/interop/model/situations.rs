// SPDX-License-Identifier: GPL-2.0-or-later
//! The situations in which both are compared. m0 and m1 are sites, m2 is an arbitrator.

use super::play::{Found, Play};
use booth_harness::{run, test_name, Need, NOBODY};

const NEEDS: &[Need] = &[Need::Root, Need::Reference];

impl Play<'_> {
    fn vote(&mut self, from: usize, whom: usize, term: u32) {
        let id = self.id(whom);
        self.say(from, "VtFr", |p| p.answering("RVot").ticket("t1", id, term, 0));
    }

    fn stand(&mut self, from: usize, reason: &str, term: u32) {
        let id = self.id(from);
        self.say(from, "RVot", |p| p.because(reason).ticket("t1", id, term, 0));
    }

    fn acks(&mut self, of: &str, term: u32) {
        let id = self.id(0);
        self.both_say("Ack.", |p| p.answering(of).ticket("t1", id, term, 8));
    }

    fn lead_as(&mut self, from: usize, cmd: &str, term: u32, valid: u32) {
        let id = self.id(from);
        self.say(from, cmd, |p| p.ticket("t1", id, term, valid));
    }

    fn status(&mut self, from: usize) {
        self.say(from, "Stat", |p| p.ticket("t1", NOBODY, 0, 0));
    }

    fn reject(&mut self, from: usize, result: &str, leader: u32, term: u32, valid: u32) {
        self.say(from, "RJC!", |p| {
            p.answering("RVot").result(result).ticket("t1", leader, term, valid)
        });
    }

    /// m0 is granted the ticket in term 0.
    fn let_it_win(&mut self) {
        self.order("CGnt");
        self.vote(1, 0, 0);
        self.vote(2, 0, 0);
        self.acks("HrtB", 0);
        self.acks("UpdE", 0);
    }

    /// The running member follows m1.
    fn follow(&mut self, term: u32) {
        self.lead_as(1, "HrtB", term, 10);
        self.lead_as(1, "UpdE", term, 10);
    }
}

#[test]
fn a_grant_and_a_revoke() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.let_it_win();
        play.status(1);
        play.order("CRvk");
        play.both_say("Ack.", |p| p.answering("Revk").ticket("t1", NOBODY, 0, 0));
        play.stand(1, "TLst", 1);
        play.stand(1, "Admn", 1);
        play.stand(2, "Admn", 1);
        play.same_writes();
    });
}

#[test]
fn an_election_that_nobody_wins_is_repeated_in_the_same_term() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.order("CGnt");
        play.quiet(4);
        play.status(1);
        play.vote(1, 0, 5);
        play.vote(2, 0, 0);
        play.same_writes();
    });
}

#[test]
fn a_leader_is_told_much() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.let_it_win();
        for reason in ["TLst", "Admn", "Racq"] {
            play.stand(1, reason, 1);
        }
        for (cmd, term) in [("HrtB", 1), ("UpdE", 2)] {
            play.lead_as(1, cmd, term, 10);
        }
        let one = play.id(1);
        for result in ["TVld", "TOdt", "Outd"] {
            play.reject(1, result, one, 3, 5);
        }
        play.say(1, "Revk", |p| p.because("Admn").ticket("t1", NOBODY, 3, 0));
        play.say(1, "VtFr", |p| p.because("LocF").ticket("t1", NOBODY, 3, 0));
        play.status(2);
        play.stand(1, "Spdn", 0);
        play.status(2);
        play.stand(1, "Spdn", 2);
        play.stand(2, "Racq", 2);
        play.same_writes();
    });
}

#[test]
fn a_leader_whose_heartbeats_are_acknowledged_late() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.let_it_win();
        // The renewal, and what is left of the lease in it.
        play.forget();
        play.until_it_speaks(6);
        play.quiet(2);
        // Whenever it comes, it counts, and from its arrival.
        play.acks("HrtB", 0);
        play.status(1);
        play.same_writes();
    });
}

#[test]
fn a_leader_without_acknowledgements_loses_its_lease() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.let_it_win();
        play.forget();
        play.until_it_speaks(6);
        play.until_it_speaks(9);
        play.same_writes();
    });
}

#[test]
fn a_candidate_is_told_much() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.order("CGnt");
        play.status(1);
        play.stand(1, "Admn", 0);
        let zero = play.id(0);
        play.reject(1, "TVld", zero, 0, 0);
        // It votes for a higher term, and stands again in that without raising it.
        play.stand(1, "Admn", 4);
        play.until_it_speaks(3);
        play.lead_as(1, "HrtB", 4, 10);
        play.status(2);
    });
}

#[test]
fn a_candidate_is_refused() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.order("CGnt");
        let one = play.id(1);
        // With a leader it follows that one; its time is over at once, and it stands.
        play.reject(2, "TVld", one, 6, 0);
        play.until_it_speaks(4);
        play.reject(2, "TVld", NOBODY, 6, 0);
        play.quiet(3);
        play.same_writes();
    });
}

#[test]
fn a_candidate_is_told_of_a_living_leader() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.order("CGnt");
        let one = play.id(1);
        play.reject(2, "TVld", one, 6, 4);
        play.status(1);
        play.until_it_speaks(7);
        play.same_writes();
    });
}

#[test]
fn a_candidate_hears_of_votes_for_another() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.order("CGnt");
        play.vote(1, 1, 0);
        play.vote(2, 1, 3);
        play.until_it_speaks(4);
        play.same_writes();
    });
}

#[test]
fn a_follower_is_told_much() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.follow(4);
        play.status(2);
        for reason in ["TLst", "Admn", "Racq", ""] {
            play.stand(2, reason, 6);
        }
        play.lead_as(2, "HrtB", 3, 10);
        play.lead_as(2, "UpdE", 5, 10);
        play.say(2, "Revk", |p| p.because("Admn").ticket("t1", NOBODY, 4, 0));
        play.stand(1, "TLst", 5);
        play.stand(1, "Admn", 2);
        play.stand(1, "Racq", 5);
        play.lead_as(1, "HrtB", 3, 10);
        play.lead_as(1, "UpdE", 2, 10);
        // A second leader is followed although the first one's time is not over.
        play.lead_as(2, "HrtB", 7, 10);
        play.status(1);
        play.same_writes();
    });
}

#[test]
fn a_follower_loses_its_leader() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.lead_as(1, "HrtB", 2, 3);
        play.lead_as(1, "UpdE", 2, 3);
        play.until_it_speaks(6);
        play.vote(1, 0, 3);
        play.vote(2, 0, 3);
        play.acks("HrtB", 3);
        play.same_writes();
    });
}

#[test]
fn a_follower_is_revoked() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.follow(4);
        play.say(1, "Revk", |p| p.because("Admn").ticket("t1", NOBODY, 9, 0));
        play.status(1);
        play.stand(1, "TLst", 9);
        play.stand(2, "Admn", 3);
        play.stand(2, "Admn", 5);
        play.stand(1, "Admn", 5);
        play.stand(1, "Admn", 6);
        play.lead_as(1, "UpdE", 6, 10);
        play.same_writes();
    });
}

#[test]
fn a_leader_steps_down() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 0);
        play.follow(4);
        play.say(1, "VtFr", |p| p.because("LocF").ticket("t1", NOBODY, 4, 0));
        play.until_it_speaks(3);
        play.same_writes();
    });
}

#[test]
fn an_arbitrator_is_told_much() {
    run(test_name!(), NEEDS, |lab| {
        let mut play = Play::new(lab, 2);
        play.status(0);
        play.stand(1, "Admn", 0);
        play.stand(0, "Admn", 0);
        play.lead_as(1, "HrtB", 0, 3);
        play.lead_as(1, "UpdE", 0, 3);
        play.stand(0, "TLst", 1);
        play.lead_as(0, "HrtB", 1, 3);
        play.quiet(4);
        play.stand(1, "TLst", 2);
        play.stand(0, "TLst", 2);
        play.lead_as(1, "HrtB", 2, 10);
        play.say(1, "VtFr", |p| p.because("LocF").ticket("t1", NOBODY, 2, 0));
        play.quiet(2);
        play.stand(0, "Spdn", 3);
    });
}

#[test]
fn a_holder_starts_again() {
    run(test_name!(), NEEDS, |lab| {
        let found = Found { granted: true, owner: Some(0), term: 3, left: 8 };
        let mut play = Play::cold(lab, 0, Some(found));
        let zero = play.id(0);
        play.both_say("MIdx", |p| p.answering("Stat").ticket("t1", zero, 3, 7));
        play.until_it_speaks(3);
        play.vote(1, 0, 4);
        play.vote(2, 0, 4);
        play.acks("HrtB", 4);
    });
}

#[test]
fn a_holder_starts_again_and_is_not_heard() {
    run(test_name!(), NEEDS, |lab| {
        let found = Found { granted: true, owner: Some(0), term: 3, left: 4 };
        let mut play = Play::cold(lab, 0, Some(found));
        play.until_it_speaks(4);
        play.until_it_speaks(8);
    });
}

#[test]
fn a_holder_starts_late_and_another_leads() {
    run(test_name!(), NEEDS, |lab| {
        let found = Found { granted: true, owner: Some(0), term: 3, left: -20 };
        let mut play = Play::cold(lab, 0, Some(found));
        let one = play.id(1);
        play.both_say("MIdx", |p| p.answering("Stat").ticket("t1", one, 5, 7));
        play.status(2);
        play.lead_as(1, "HrtB", 5, 8);
    });
}
