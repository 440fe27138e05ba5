// SPDX-License-Identifier: GPL-2.0-or-later
//! A start with an empty memory (L9): what the store says, grace, and the guard of a restarted
//! holder.

use super::bench::{granted, round, stamp, Bench, World, SECOND};
use super::cluster::spec;
use crate::engine::{CibLoad, CibOutcome, CibTicket, Effect, JobWish, Remark, StoreWish};
use crate::model::{Holder, Term, TicketSpec};
use crate::time::{Span, WallTime};
use crate::wire::{ClientOptions, Command, PeerBody, Reason, ResultCode};
use std::collections::BTreeSet;

/// A site of three that has not started.
fn fresh() -> Bench {
    Bench::new(2, 1, 0, spec("T"))
}

fn later(bench: &Bench, seconds: u64) -> WallTime {
    bench.now.wall.plus(SECOND.times(seconds))
}

/// L9: who competes, or has won without a lease, does not say that it is idle: that would end the
/// grace of whoever asks.
#[test]
pub fn a_candidate_and_a_winner_without_a_lease_do_not_answer_status() {
    let mut bench = Bench::settled(2, 1, 0, spec("T"));
    let said = |body: &PeerBody| matches!(body, PeerBody::MyIndex { .. });
    let status = PeerBody::Status { nonce: 7 };
    let idle = bench.hear(1, Holder::Nobody, 0, status);
    assert_eq!(idle.sent(said).len(), 1, "an idle site answers");
    let (_, stood) = bench.grant(ClientOptions::default());
    assert_eq!(stood.requests().len(), 2);
    assert!(bench.hear(1, Holder::Nobody, 0, status).sent(said).is_empty(), "a candidate");
    let won = bench.elected(&stood);
    assert!(!won.heartbeats().is_empty());
    assert!(bench.hear(1, Holder::Nobody, 0, status).sent(said).is_empty(), "a winner");
    bench.ack(&won.heartbeats()[0]);
    assert_eq!(bench.hear(1, Holder::Nobody, 0, status).sent(said).len(), 1, "a leader answers");
}

/// L9: only *granted* makes a restarted holder, not the owner: a site that lost a ticket, or gave
/// it up, leaves its own name.
#[test]
pub fn a_free_ticket_with_this_sites_name_is_not_held() {
    for owner in [Holder::Unknown, Holder::Nobody, fresh().id(0), fresh().id(1)] {
        let mut bench = fresh();
        let stored = CibTicket { granted: false, ..granted(owner, 4, later(&bench, 8)) };
        let deeds = bench.start(stored);
        assert!(deeds.windows().is_empty() && deeds.grants().is_empty(), "owner {owner:?}");
        assert!(deeds.stood().is_empty(), "grace lasts, owner {owner:?}");
        let later = bench.advance(Span::from_millis(8_500));
        assert!(later.stood().is_empty() && later.writes().is_empty(), "owner {owner:?}");
    }
}

/// L6, L9: a restarted holder tells its keeper before it does anything else.
#[test]
pub fn a_restarted_holder_tells_its_guard_until_when_it_holds() {
    for (left, least) in [(8, 8), (10, 10), (300, 10)] {
        let mut bench = fresh();
        let stored = granted(bench.id(0), 4, later(&bench, left));
        let deeds = bench.start(stored);
        let end = bench.now.mono.plus(SECOND.times(least));
        let first = deeds.windows().first().copied().flatten().expect("a window");
        assert_eq!(first.lease_until, end, "expires, but no more than E from the start");
        assert_eq!(first.hold_until, end.minus(Span::from_millis(1_100)), "g and d less");
        let told =
            deeds.0.iter().position(|(_, e)| matches!(e, Effect::Store(StoreWish::Hold { .. })));
        let sent = deeds.0.iter().position(|(_, e)| matches!(e, Effect::Send { .. }));
        assert!(told < sent, "the guard first");
        assert!(deeds.requests().iter().all(|sent| sent.message.term == Term::new(5)));
        let marked = |body: &PeerBody| matches!(body, PeerBody::ReqVote { established: true, .. });
        assert_eq!(deeds.sent(marked).len(), 2, "it stands at once, established");
    }
}

/// L9: what is not known to last is revoked first: no `expires`, one that has passed, or one that
/// leaves no time for the guard.
#[test]
pub fn a_grant_whose_time_is_over_is_revoked_before_anything_is_said() {
    let bench = fresh();
    let times = [None, Some(WallTime::EPOCH), Some(later(&bench, 0)), Some(later(&bench, 1))];
    for expires in times {
        let mut bench = fresh();
        let stored = CibTicket { expires, ..granted(bench.id(0), 4, WallTime::EPOCH) };
        let deeds = bench.start(stored);
        assert_eq!(deeds.revokes().len(), 1, "{expires:?}");
        assert!(!deeds.0.iter().any(|(_, e)| matches!(e, Effect::Send { .. })), "{expires:?}");
        assert!(deeds.windows().iter().all(Option::is_none));
        let deeds = bench.written(&deeds);
        assert!(!deeds.sent(|body| matches!(body, PeerBody::Status { .. })).is_empty());
    }
}

/// P19: a ticket that is granted here and whose owner is unknown belongs to this site;
/// one that names another does not.
#[test]
pub fn a_grant_without_an_owner_is_ours_and_anothers_is_revoked() {
    let mut bench = fresh();
    let stored = granted(Holder::Unknown, 4, later(&bench, 8));
    assert!(!bench.start(stored).stood().is_empty());
    let mut bench = fresh();
    let stored = granted(bench.id(1), 4, later(&bench, 8));
    let deeds = bench.start(stored);
    assert!(deeds.stood().is_empty());
    assert_eq!(deeds.revokes().len(), 1);
}

/// L9: grace lasts `E + g + d` at least, and accepting an established leader does not end it.
#[test]
pub fn grace_lasts_longer_than_any_promise_of_the_life_before() {
    for heartbeat in [false, true] {
        let mut bench = Bench::new(2, 1, 2, spec("T"));
        bench.start(CibTicket::default());
        if heartbeat {
            bench.heartbeat(0, 3, stamp(7, true));
        }
        bench.advance(Span::from_millis(11_099));
        let answers = bench.asked_for_vote(1, 9);
        let votes = answers.sent(|body| matches!(body, PeerBody::Vote { .. }));
        assert!(votes.is_empty(), "heartbeat {heartbeat}");
        bench.advance(SECOND.times(20));
        let answers = bench.asked_for_vote(1, 9);
        let votes = answers.sent(|body| matches!(body, PeerBody::Vote { vouched: true, .. }));
        assert_eq!(votes.len(), 1, "and ends by itself");
    }
}

/// L9: a leader that was heard in grace, and is lost in it, is replaced after it.
#[test]
pub fn nobody_stands_in_grace() {
    for turn in 0..20 {
        let mut bench = Bench::seeded(2, 1, 0, spec("T"), turn);
        bench.start(CibTicket::default());
        let asked = bench.heartbeat(1, 3, stamp(7, true));
        let PeerBody::Status { nonce } = asked.sent(|_| true)[0].message.body else { panic!() };
        bench.hear(1, bench.id(1), 3, PeerBody::MyIndex { nonce });
        assert_eq!(bench.listed(), bench.id(1), "it follows");
        let alone = World { votes: Vec::new(), ..World::kind() };
        let early = bench.play(Span::from_millis(11_099), &alone);
        assert!(early.stood().is_empty());
        let later = bench.play(SECOND.times(20), &alone);
        assert!(!later.stood().is_empty());
    }
}

/// L9 (b): grace ends when every other site has said that it is idle, and only then.
#[test]
pub fn grace_ends_when_every_other_site_is_idle() {
    let mut bench = Bench::new(3, 1, 3, spec("T"));
    let deeds = bench.start(CibTicket::default());
    let asked = deeds.sent(|body| matches!(body, PeerBody::Status { .. }));
    assert_eq!(asked.len(), 3);
    let PeerBody::Status { nonce } = asked[0].message.body else { panic!("a question") };
    let votes = |bench: &mut Bench| {
        let answers = bench.asked_for_vote(1, 9);
        answers.sent(|body| matches!(body, PeerBody::Vote { .. })).len()
    };
    let idle = PeerBody::MyIndex { nonce };
    bench.hear_valid(0, Holder::Nobody, 0, Span::ZERO, idle);
    bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, idle);
    assert_eq!(votes(&mut bench), 0, "one site is missing");
    let leader = bench.id(2);
    bench.hear_valid(2, leader, 3, SECOND.times(10), idle);
    assert_eq!(votes(&mut bench), 0, "one site leads");
    bench.hear_valid(2, Holder::Nobody, 3, Span::ZERO, idle);
    assert_eq!(votes(&mut bench), 1);
}

/// L9: an answer that is older than a win of its sender does not say that the ticket is free.
#[test]
pub fn an_answer_that_was_overtaken_by_a_win_frees_nothing() {
    for (answered, listed) in [(2, Holder::Unknown), (3, Holder::Nobody)] {
        let mut bench = Bench::new(2, 1, 2, spec("T"));
        let deeds = bench.start(CibTicket::default());
        let asked = deeds.sent(|body| matches!(body, PeerBody::Status { .. }));
        let PeerBody::Status { nonce } = asked[0].message.body else { panic!("a question") };
        let idle = PeerBody::MyIndex { nonce };
        bench.hear_valid(1, Holder::Nobody, 2, Span::ZERO, idle);
        bench.heartbeat(0, 3, stamp(7, false));
        bench.hear_valid(0, Holder::Nobody, answered, Span::ZERO, idle);
        assert_eq!(bench.listed(), listed, "answered in {answered}");
    }
}

/// L9: a site that leads after all, or again, is not idle.
#[test]
pub fn an_idle_site_may_take_its_word_back() {
    let mut bench = Bench::new(3, 1, 3, spec("T"));
    let deeds = bench.start(CibTicket::default());
    let asked = deeds.sent(|body| matches!(body, PeerBody::Status { .. }));
    let PeerBody::Status { nonce } = asked[0].message.body else { panic!("a question") };
    let body = PeerBody::MyIndex { nonce };
    let leader = bench.id(0);
    bench.hear_valid(0, Holder::Nobody, 0, Span::ZERO, body);
    bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, body);
    bench.hear_valid(0, leader, 3, SECOND.times(10), body);
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, body);
    let answers = bench.asked_for_vote(1, 9);
    assert!(answers.sent(|body| matches!(body, PeerBody::Vote { .. })).is_empty());
}

/// L9: nor is one that is heard to lead after it has answered: it is asked again.
#[test]
pub fn a_site_that_leads_after_its_idle_answer_is_asked_again() {
    let mut bench = Bench::new(3, 1, 0, spec("T"));
    let status = |body: &PeerBody| matches!(body, PeerBody::Status { .. });
    let asked = bench.start(CibTicket::default());
    let PeerBody::Status { nonce } = asked.sent(status)[0].message.body else { panic!() };
    let idle = PeerBody::MyIndex { nonce };
    bench.hear_valid(1, Holder::Nobody, 0, Span::ZERO, idle);
    bench.advance(SECOND);
    let heard = bench.heartbeat(1, 3, stamp(7, false));
    assert_eq!(heard.sent(status).len(), 1, "asked again");
    bench.hear_valid(2, Holder::Nobody, 0, Span::ZERO, idle);
    let (client, deeds) = bench.revoke(ClientOptions::default());
    assert_eq!(deeds.final_answer(client), Some(ResultCode::Busy), "it has not learned enough");
}

/// L9 (a): the end of grace is acted upon at once: an administrator's grant waits for it.
#[test]
pub fn a_waiting_grant_is_tried_as_soon_as_grace_ends() {
    let mut bench = fresh();
    bench.start(CibTicket::default());
    let [Remark::StartingUp(Some(until))] = bench.row().remarks[..] else { panic!("grace") };
    let (_, deeds) = bench.grant(ClientOptions { wait: true, ..ClientOptions::default() });
    assert!(deeds.stood().is_empty());
    bench.until_it_stands(SECOND.times(30));
    assert_eq!(bench.now.wall, until);
}

/// L9: `expires` is compared with the wall clock as it was at the start: a clock that is set back
/// while the store is being read adds nothing to a lease.
#[test]
pub fn a_clock_that_is_set_while_the_store_is_read_does_not_count() {
    for (set_to, held) in [(0, true), (-12, true), (12, true)] {
        let mut bench = fresh();
        bench.event(crate::engine::Event::Start);
        let stored = granted(bench.id(0), 4, later(&bench, 8));
        let end = bench.now.mono.plus(SECOND.times(8));
        let wall = bench.now.wall;
        let moved = SECOND.times(12);
        bench.now.wall = match set_to {
            0 => wall,
            -12 => wall.minus(moved),
            _ => wall.plus(moved),
        };
        let deeds = bench.loaded(CibLoad::Loaded(stored));
        let window = deeds.windows().first().copied().flatten();
        assert_eq!(window.is_some(), held);
        assert_eq!(window.map(|window| window.lease_until), Some(end), "set by {set_to} s");
    }
}

/// L9: while grace lasts, STATUS is repeated every `timeout` to the sites that have not answered.
#[test]
pub fn a_starting_member_goes_on_asking_the_sites_that_are_silent() {
    let mut bench = Bench::new(3, 1, 3, spec("T"));
    let deeds = bench.start(CibTicket::default());
    let asked = |body: &PeerBody| matches!(body, PeerBody::Status { .. });
    let PeerBody::Status { nonce } = deeds.sent(asked)[0].message.body else { panic!() };
    bench.hear_valid(0, Holder::Nobody, 0, Span::ZERO, PeerBody::MyIndex { nonce });
    let again = bench.advance(Span::from_millis(5_500)).sent(asked);
    let to: Vec<usize> = again.iter().map(|sent| sent.to).collect();
    assert_eq!(to, [1, 2].repeat(5));
}

/// L9: a store that cannot be read is read again after pauses that grow up to five seconds.
#[test]
pub fn a_store_that_cannot_be_read_is_read_again_for_good() {
    let mut bench = fresh();
    bench.event(crate::engine::Event::Start);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let failed = bench.now.mono;
        bench.loaded(CibLoad::Failed("exit status 1".into()));
        let deeds = bench.advance(SECOND.times(31));
        let again = deeds.0.iter().find(|(_, e)| matches!(e, Effect::Job(JobWish::LoadCib { .. })));
        waits.push(again.expect("read again").0.since(failed).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 5, 5, 5, 5, 5]);
}

/// L4(4), L5: the rounds of a life begin at random, or packets of an earlier life would fit.
#[test]
pub fn each_life_numbers_its_sends_from_elsewhere() {
    let mut rounds = BTreeSet::new();
    for seed in 1..=20 {
        let mut bench = Bench::seeded(2, 1, 0, spec("T"), seed);
        let stored = granted(bench.id(0), 4, later(&bench, 8));
        let stood = bench.start(stored);
        let won = bench.elected(&stood);
        for sent in won.heartbeats() {
            rounds.insert(round(&sent.message.body));
        }
    }
    let rounds: Vec<u32> = rounds.into_iter().collect();
    assert_eq!(rounds.len(), 40, "two members, twenty lives");
    let near = rounds.windows(2).filter(|pair| pair[1] - pair[0] <= 4_096).count();
    assert_eq!(near, 0, "further apart than what is accepted");
}

/// L3, L9: a site whose store is unread refuses a grant by telling that it is starting.
#[test]
pub fn an_unread_store_fails_an_impatient_grant() {
    let mut bench = fresh();
    bench.event(crate::engine::Event::Start);
    let (client, deeds) = bench.grant(ClientOptions::default());
    assert_eq!(deeds.told(client)[0].0, ResultCode::More);
    let deeds = bench.loaded(CibLoad::Failed("exit status 1".into()));
    assert_eq!(deeds.final_answer(client), Some(ResultCode::SyncFail));
}

/// L10: a site that hears of a revoke while its store cannot be read knows it when it can: a grant
/// that waits there and then fails is no loss that another site makes good.
#[test]
pub fn a_revoke_that_is_heard_before_the_store_is_read_counts() {
    for (term, free) in [(2, false), (3, true), (4, true)] {
        let mut bench = fresh();
        bench.event(crate::engine::Event::Start);
        let reason = Reason::Admin;
        let revoke = PeerBody::Revoke { stamp: stamp(9, false), reason };
        bench.hear(1, Holder::Nobody, term, revoke);
        bench.past_grace();
        let owner = bench.id(1);
        let stored = CibTicket { granted: false, ..granted(owner, 3, later(&bench, 0)) };
        bench.grant(ClientOptions::default());
        let stood = bench.loaded(CibLoad::Loaded(stored));
        let shown = bench.listed();
        assert_eq!(shown, if free { Holder::Nobody } else { Holder::Unknown }, "term {term}");
        if free {
            bench.written(&stood);
        }
        let won = bench.elected(&stood);
        let leased = bench.acked_by_all(&won);
        let failed = bench.wrote(leased.grants()[0].0, CibOutcome::Failed("exit 1".into()));
        let gone = bench.written(&failed);
        let revoked = gone.sent(|body| matches!(body, PeerBody::Revoke { .. }));
        let stepped = gone.sent(|body| matches!(body, PeerBody::StepDown { .. }));
        assert_eq!((revoked.is_empty(), stepped.is_empty()), (!free, free), "term {term}");
    }
}

/// The client asked while the store was being read; then an old grant turns out to stand there.
#[test]
fn a_grant_asked_while_reading_is_answered_while_the_first_revoke_fails() {
    let mut bench = Bench::new(2, 1, 0, spec("T"));
    let mut all = bench.event(crate::engine::Event::Start);
    let (client, deeds) = bench.grant(ClientOptions::default());
    all.0.extend(deeds.0);
    let stored = CibTicket {
        granted: true,
        owner: Some(bench.id(0)),
        expires: Some(WallTime::from_secs(1_000_000)),
        term: Some(Term::new(3)),
        attrs: Vec::new(),
    };
    let mut deeds = bench.loaded(CibLoad::Loaded(stored));
    for _ in 0..300 {
        let writes = deeds.writes();
        all.0.extend(deeds.0);
        deeds = match writes.last() {
            Some((serial, _)) => bench.wrote(*serial, CibOutcome::Failed("no".into())),
            None => bench.advance(SECOND),
        };
    }
    all.0.extend(deeds.0);
    let mine = all.0.iter().filter_map(|(at, effect)| match effect {
        Effect::Reply { client: to, reply, last } if *to == client => Some((at, reply, last)),
        _ => None,
    });
    let mine: Vec<_> = mine.collect();
    assert!(mine.iter().any(|(_, _, last)| **last), "{mine:?}, now {:?}", bench.now);
}

/// L10: a restarted holder that was elected, but not acknowledged as far as it knows, announces the
/// revoke in the term that it won: others may have followed it there.
#[test]
pub fn a_restarted_holder_announces_the_end_of_the_term_that_it_won_last() {
    let mut bench = Bench::new(2, 1, 0, TicketSpec { expire: SECOND.times(60), ..spec("T") });
    let stored = granted(bench.id(0), 4, later(&bench, 50));
    let stood = bench.start(stored);
    let won = bench.elected(&stood);
    let term = won.heartbeats()[0].message.term;
    // The acknowledgements are lost: it stands again, and nobody votes.
    bench.advance(SECOND.times(6));
    let (_, deeds) = bench.revoke(ClientOptions::default());
    let gone = bench.written(&deeds);
    let said: Vec<Term> = gone.announcements().iter().map(|sent| sent.message.term).collect();
    assert_eq!(said, [term, term]);
}

/// L9, L11: a restarted holder whose bound has ended, with a win that nobody has acknowledged, does
/// not stand in its grace, whatever term it hears of.
#[test]
fn a_restarted_holder_without_a_bound_does_not_stand_again_in_its_grace() {
    for over in [false, true] {
        let mut bench = Bench::new(2, 1, 0, spec("T"));
        let stored = granted(bench.id(0), 4, later(&bench, 3));
        let term = bench.start(stored).requests()[0].message.term.get();
        assert!(!bench.vote(1, term).heartbeats().is_empty());
        // The store does not obey, so it goes on leading.
        bench.advance(Span::from_millis(if over { 3_500 } else { 500 }));
        let told = bench.reject(2, Command::Heartbeat, ResultCode::TermOutdated, term + 5);
        assert_eq!(told.requests().is_empty(), over, "the bound is over: {over}");
    }
}
