// SPDX-License-Identifier: GPL-2.0-or-later
//! What stores hold when the world begins, and stores that lose a ticket: no ticket, or one that
//! is granted or not, with an owner that is nobody, not known, this site, another member, or an id
//! that no member has, and with `expires` past or to come.

use super::clock::SECOND;
use super::machine::Unguarded;
use super::plan::{between, chance, pick, Disturbance, Plan, Target, Trouble};
use super::store::Entry;
use super::world::World;
use booth_core::engine::HoldWindow;
use booth_core::keeper::{Grant, Word};
use booth_core::model::{Holder, MemberId, Term, TicketIndex};
use booth_core::prng::Prng;
use booth_core::time::{Span, WallTime};

/// An owner as a store names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Known to be free.
    Nobody,
    /// Not known: what the C version leaves of a lost ticket.
    Unknown,
    /// This member.
    Member(u8),
    /// An id that no member has.
    Stranger,
}

/// What one store holds of one ticket at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Whose store.
    pub site: u8,
    /// Which ticket.
    pub ticket: u8,
    /// Whether it is granted there.
    pub granted: bool,
    /// Attribute `owner`.
    pub owner: Owner,
    /// Attribute `term`.
    pub term: u32,
    /// Attribute `expires`, from the beginning, in microseconds.
    pub expires: i64,
}

/// In some runs stores hold something at the beginning, or lose a ticket later.
pub fn draw_stores(prng: &mut Prng, plan: &mut Plan) {
    let members = plan.members() as u64;
    let sites: Vec<u8> = plan.sites().filter_map(|m| u8::try_from(m).ok()).collect();
    if chance(prng, 15) {
        for ticket in 0..plan.tickets.len() {
            draw_left(prng, plan, &sites, ticket);
        }
    }
    if chance(prng, 15) {
        for _ in 0..between(prng, 1, 4) {
            let at = between(prng, SECOND, plan.chaos);
            let index = |n: u64| u8::try_from(n).unwrap_or(0);
            let ticket = index(prng.below(plan.tickets.len() as u64));
            let target = if chance(prng, 70) {
                Target::Holder(ticket)
            } else {
                Target::Member(index(prng.below(members)))
            };
            plan.disturbances.push(Disturbance { at, target, what: Trouble::Lose { ticket } });
            if chance(prng, 40) {
                // While boothd is down, or right before it starts again.
                let (down, moves) = (between(prng, SECOND / 10, plan.expire_max()), false);
                let what = Trouble::Crash { down, moves, clean: false };
                plan.disturbances.push(Disturbance { at: at - 1, target, what });
            }
        }
    }
    plan.disturbances.sort_by_key(|d| d.at);
}

fn draw_left(prng: &mut Prng, plan: &mut Plan, sites: &[u8], ticket: usize) {
    let expire = plan.tickets[ticket].expire.as_micros();
    let ticket = u8::try_from(ticket).unwrap_or(0);
    let one = pick(prng, sites);
    let holder = chance(prng, 40).then_some(one);
    let base = u32::try_from(between(prng, 1, 40)).unwrap_or(1);
    // What a store says of `expires` when nobody holds the ticket is old, or a lease from now.
    let old = |prng: &mut Prng| between(prng, 0, 2 * expire) as i64 - expire as i64;
    for site in sites.iter().copied() {
        let owner = pick(prng, &[Owner::Nobody, Owner::Unknown, Owner::Stranger, Owner::Member(0)]);
        let lost = holder.unwrap_or(pick(prng, sites));
        let owner = if matches!(owner, Owner::Member(_)) { Owner::Member(lost) } else { owner };
        let left = if holder == Some(site) {
            let owner = Owner::Member(site);
            Left { site, ticket, granted: true, owner, term: base + 1, expires: old(prng) }
        } else if chance(prng, 30) {
            continue;
        } else {
            let term = u32::try_from(between(prng, 0, u64::from(base))).unwrap_or(0);
            Left { site, ticket, granted: false, owner, term, expires: old(prng) }
        };
        plan.worlds.left.push(left);
    }
}

impl World {
    /// A store has the ticket, which nobody holds.
    pub fn store_idle(&mut self, n: usize, ticket: usize) {
        let owner = Holder::Nobody;
        let (term, expires) = (Term::ZERO, WallTime::from_secs(0));
        self.sites[n].entries[ticket].get_or_insert(Entry { granted: false, owner, term, expires });
    }

    /// The stores are as the plan says.
    pub fn fill_stores(&mut self) {
        if self.faithful_among() {
            return;
        }
        for left in self.plan.worlds.left.clone() {
            let (n, ticket) = (usize::from(left.site), usize::from(left.ticket));
            // A plan that was made simpler may have fewer members and tickets.
            if n < self.nodes.len() && ticket < self.plan.tickets.len() && self.nodes[n].site {
                self.fill_store(n, ticket, left);
            }
        }
    }

    fn fill_store(&mut self, n: usize, ticket: usize, left: Left) {
        let owner = match left.owner {
            Owner::Nobody => Holder::Nobody,
            Owner::Unknown => Holder::Unknown,
            Owner::Stranger => Holder::Member(MemberId::from_raw(4_711)),
            Owner::Member(m) => {
                let m = usize::from(m).min(self.nodes.len() - 1);
                Holder::Member(self.ids[m])
            }
        };
        self.coverage.note(match (left.granted, left.expires < 0, left.owner) {
            (true, true, _) => "store at the start: granted, expired",
            (true, false, _) => "store at the start: granted",
            (false, _, Owner::Nobody) => "store at the start: owned by nobody",
            (false, _, Owner::Unknown) => "store at the start: owner not known",
            (false, _, Owner::Stranger) => "store at the start: owner is no member",
            (false, _, Owner::Member(_)) => "store at the start: owned by a member",
        });
        let clock = *self.nodes[n].clock();
        let expires = clock.wall(0).as_micros().saturating_add_signed(left.expires);
        let expires = WallTime::from_secs(expires / SECOND);
        let (granted, term) = (left.granted, Term::new(left.term));
        let entry = Entry { granted, owner, term, expires };
        if entry.tells_of_a_holder() && !matches!(left.owner, Owner::Stranger) {
            self.checks.answers.own(ticket);
        }
        self.sites[n].entries[ticket] = Some(entry);
        if !granted {
            return;
        }
        self.checks.held_since[ticket] = Some(0);
        self.checks.answers.own(ticket);
        if !self.checks.automatic(ticket) {
            // It has no guard and no end.
            return;
        }
        let until = u64::try_from(left.expires).unwrap_or(0);
        let (guard, drift) = (self.spec(n, ticket).guard(), self.spec(n, ticket).drift());
        let kept = guard.plus(drift).plus(Span::from_secs(1));
        if until <= kept.as_micros() {
            // Its machine died, and was started again (condition 4).
            self.checks.unguarded[ticket][n] = Some(Unguarded::since(0));
            return;
        }
        // The keeper of the last boothd goes on.
        let hold_until = clock.mono(0).plus(Span::from_micros(until - kept.as_micros()));
        let window = HoldWindow {
            hold_until,
            lease_until: hold_until.plus(guard).plus(drift),
            start_before: hold_until.minus(guard.times(2)),
            kill_at: hold_until.minus(guard),
        };
        let (ticket, window) = (TicketIndex::new(ticket), Some(window));
        let grant = Grant { term, expires: expires.as_secs() };
        let words = vec![Word::Hold { ticket, window, term }, Word::Read { ticket, grant }];
        self.keeper_told_before(n, words);
    }

    /// A store loses a ticket, with everything that it says of it.
    pub fn lose_ticket(&mut self, n: usize, ticket: usize) {
        if !self.nodes[n].site || !self.faulty(n) || self.faithful_among() {
            return;
        }
        self.coverage.note(if self.nodes[n].engine.is_some() {
            "store: loses a ticket while boothd runs"
        } else {
            "store: loses a ticket while boothd is down"
        });
        let before = self.sites[n].granted(ticket);
        self.sites[n].entries[ticket] = None;
        self.sites[n].attrs[ticket].clear();
        self.trace(|w| format!("{} store: t{ticket} is lost", w.name(n)));
        self.check_store(n, ticket, before);
    }
}
