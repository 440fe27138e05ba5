// SPDX-License-Identifier: GPL-2.0-or-later
//! The arithmetic of leases and promises (`RULES.md` L3 to L6): who acknowledged which send,
//! until when a lease lasts, and until when a member is bound by its word.

use crate::engine::event::HoldWindow;
use crate::model::{MemberIndex, Term, TicketSpec};
use crate::time::{MonoTime, Span};
use crate::wire::{Command, Round};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// So many sends per ticket and member are remembered at most: late acknowledgements still matter,
/// as long as the lease that they would give.
const SENDS_KEPT: usize = 256;

/// How far an accepted round may lie from the last accepted one of the same leader and term (L4).
pub const ROUND_WINDOW: i64 = 4096;

/// Renewals do not follow each other faster, however short the words of other members are.
const PAUSE_MIN: Span = Span::from_millis(100);

/// A member's word not to help anyone else (L3, L4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    to: MemberIndex,
    term: Term,
    until: MonoTime,
    /// The newest round accepted from it in this term; `None`: a reference leader.
    round: Option<Round>,
}

impl Promise {
    /// The word that accepting a heartbeat of `to` gives, for `length` from now on. It makes an
    /// earlier word to the same member no shorter, in whatever term that was (L4).
    pub fn after(
        before: Option<Promise>,
        to: MemberIndex,
        term: Term,
        round: Option<Round>,
        now: MonoTime,
        length: Span,
    ) -> Promise {
        let before = before.filter(|before| before.to == to);
        let same = before.filter(|before| before.term == term && before.lives(now));
        let until = now.plus(length);
        let mut promise = same.unwrap_or(Promise { to, term, until, round });
        promise.until = before.map_or(until, |before| before.until.max(until));
        promise.saw_round(round);
        promise
    }

    /// To whom.
    pub fn to(&self) -> MemberIndex {
        self.to
    }

    /// In which term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Until when.
    pub fn until(&self) -> MonoTime {
        self.until
    }

    /// Whether it lasts.
    pub fn lives(&self, now: MonoTime) -> bool {
        now < self.until
    }

    /// Whether a heartbeat with this round can come from the same life of the leader (L4(4)).
    pub fn round_fits(&self, round: Option<Round>) -> bool {
        match (round, self.round) {
            (Some(new), Some(last)) => new.distance_from(last).abs() <= ROUND_WINDOW,
            _ => true,
        }
    }

    /// Whether an announcement with this round comes after the last accepted heartbeat (L10).
    pub fn round_ends(&self, round: Option<Round>) -> bool {
        match (round, self.round) {
            (Some(new), Some(last)) => (1..ROUND_WINDOW).contains(&new.distance_from(last)),
            (None, None) => true,
            // A leader that numbers its sends does so from its first packet on; one that does
            // not never begins. Anything else is from another life.
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Notes an accepted round; an older one changes nothing.
    fn saw_round(&mut self, round: Option<Round>) {
        self.round = match (round, self.round) {
            (Some(new), Some(last)) if new.distance_from(last) < 0 => Some(last),
            (Some(new), _) => Some(new),
            (None, last) => last,
        };
    }
}

/// One send of a heartbeat or update to one member.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    of: Command,
    round: Round,
    /// When.
    pub at: MonoTime,
    /// For which renewal.
    pub renewal: u64,
    acked: bool,
}

/// What was sent to one member about one ticket, and what it has acknowledged or refused. A manual
/// ticket uses only the rounds.
#[derive(Clone, Debug)]
pub struct Link {
    next_round: Round,
    /// Where what is said now began: acknowledgements of earlier rounds are about something else.
    marked: Round,
    sent: VecDeque<Sent>,
    /// The most recent send that it acknowledged in the current term.
    acked_at: Option<MonoTime>,
    /// Until when its acknowledgements in the current term bind it, as far as a lease may count
    /// on them.
    bound_by_acks: Option<MonoTime>,
    /// For how long its last acknowledgement in the current term counts after the send.
    word: Option<Span>,
    /// Whether it returns rounds; `None`: not known yet.
    pub echoes: Option<bool>,
    /// Until when it refused its vote because of somebody else's lease (L13).
    pub bound_until: MonoTime,
}

impl Link {
    /// A link to a member that was never heard from; its rounds begin at `first`.
    pub fn new(first: Round) -> Link {
        Link {
            next_round: first,
            marked: first,
            sent: VecDeque::new(),
            acked_at: None,
            bound_by_acks: None,
            word: None,
            echoes: None,
            bound_until: MonoTime::ZERO,
        }
    }

    /// The round of the next packet: an announcement, or a claim of a manual ticket. No lease
    /// counts on its acknowledgement.
    pub fn fresh_round(&mut self) -> Round {
        let round = self.next_round;
        self.next_round = round.next();
        round
    }

    /// Something new is said from now on: an announcement, or a manual ticket's claim.
    pub fn mark(&mut self) {
        self.marked = self.next_round;
    }

    /// Whether an acknowledgement with this round is about what is said now; one of a reference
    /// peer, which has none, always is.
    pub fn is_about_now(&self, round: Option<Round>) -> bool {
        round.is_none_or(|round| round.distance_from(self.marked) >= 0)
    }

    /// Notes a send of a heartbeat or update and gives its round.
    pub fn note_sent(&mut self, of: Command, at: MonoTime, renewal: u64, expire: Span) -> Round {
        let round = self.fresh_round();
        let old = |sent: &Sent| at.since(sent.at) >= expire;
        while self.sent.len() >= SENDS_KEPT || self.sent.front().is_some_and(old) {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { of, round, at, renewal, acked: false });
        round
    }

    /// Notes an acknowledgement that counts for `word` after the send, no longer than `expire`;
    /// returns the send that it counts for (L5). Without a round it counts for the
    /// oldest unacknowledged send of this kind in this renewal.
    pub fn note_ack(
        &mut self,
        of: Command,
        round: Option<Round>,
        renewal: u64,
        word: Span,
    ) -> Option<Sent> {
        self.echoes = Some(round.is_some());
        let entry = match round {
            Some(round) => self.sent.iter_mut().find(|sent| sent.round == round),
            None => self
                .sent
                .iter_mut()
                .find(|sent| (sent.of, sent.renewal) == (of, renewal) && !sent.acked),
        }?;
        entry.acked = true;
        self.acked_at = self.acked_at.max(Some(entry.at));
        self.bound_by_acks = self.bound_by_acks.max(Some(entry.at.plus(word)));
        self.word = Some(word);
        Some(*entry)
    }

    /// Forgets what was acknowledged: a new term begins.
    pub fn begin_term(&mut self) {
        self.sent.clear();
        self.acked_at = None;
        self.bound_by_acks = None;
        self.word = None;
    }

    /// The most recent send that was acknowledged in this term.
    pub fn acked_at(&self) -> Option<MonoTime> {
        self.acked_at
    }
}

/// What a majority bears out: of one value per member that has acknowledged, and the leader's own,
/// the greatest that a majority reaches. `None`: too few have acknowledged.
///
/// Of the ends of words it is the end of the lease (L5): until then a majority is bound. Each word
/// has its own length after its own send, so it is the ends that are sorted, not the sends.
fn majority_bears<T: Ord + Copy>(
    others: impl Iterator<Item = Option<T>>,
    own: T,
    majority: usize,
) -> Option<T> {
    let mut values: Vec<T> = others.flatten().collect();
    values.push(own);
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(majority.saturating_sub(1)).copied()
}

/// The end of the lease that acknowledgements give (L5): the majority-th latest end of a word.
///
/// `own` is the end of the leader's word to itself, `expire` after its latest send; `majority`
/// counts the leader.
pub fn lease_end(links: &[Link], own: MonoTime, majority: usize) -> Option<MonoTime> {
    majority_bears(links.iter().map(|link| link.bound_by_acks), own, majority)
}

/// How long a renewal that began at `since` makes the lease last: `expire`, or less where the
/// majority needs members whose words are shorter. Whoever has not acknowledged this renewal may be
/// gone: its word does not count. `None`: too few have acknowledged it yet.
pub fn lease_length(
    links: &[Link],
    expire: Span,
    majority: usize,
    since: MonoTime,
) -> Option<Span> {
    let word = |link: &Link| link.word.filter(|_| link.acked_at >= Some(since));
    majority_bears(links.iter().map(word), expire, majority)
}

/// When the next renewal begins after one that makes the lease last `length`: `renewal-freq`, or
/// the same part of a shorter lease.
pub fn renewal_pause(spec: &TicketSpec, length: Span) -> Span {
    if length >= spec.expire {
        return spec.renewal;
    }
    let parts = u128::from(spec.renewal.as_micros()) * u128::from(length.as_micros());
    let micros = parts / u128::from(spec.expire.as_micros().max(1));
    // A word of nothing gives no lease, and must not make renewals follow each other at once.
    Span::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).max(PAUSE_MIN).min(spec.renewal)
}

/// After how long a heartbeat that is not acknowledged is sent again: `timeout`, or sooner where a
/// lease is shorter than `expire`, so that all repetitions come before the next renewal.
pub fn resend_pause(spec: &TicketSpec, length: Span) -> Span {
    if length >= spec.expire {
        return spec.timeout;
    }
    let sends = u64::from(spec.retries).saturating_add(1);
    spec.timeout.min(renewal_pause(spec, length).divided(sends).max(PAUSE_MIN))
}

/// The window that a lease which is renewed for `length`, or a restarted holder's bound, gives to
/// the store (L6). The guard time is that of the shorter `expire`, or a short lease would leave no
/// time to grant; what is kept back for the clocks covers the longest word that may count.
pub fn window(spec: &TicketSpec, lease_until: MonoTime, length: Span) -> HoldWindow {
    let guard = TicketSpec::guard_of(length.min(spec.expire));
    let hold_until = lease_until.minus(guard).minus(spec.drift());
    HoldWindow {
        hold_until,
        lease_until,
        start_before: hold_until.minus(guard.times(2)),
        kill_at: hold_until.minus(guard),
    }
}
