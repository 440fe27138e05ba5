// SPDX-License-Identifier: GPL-2.0-or-later
//! What the keeper does at the end of a window.

use super::Values;
use crate::engine::CibTicket;
use crate::model::{Holder, Term};

/// What the newest grant wrote, or what the store said when boothd read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Attribute `term`.
    pub term: Term,
    /// Attribute `expires` in seconds: the latest that was written in this term.
    pub expires: u64,
}

/// What the keeper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the store has something newer.
    Retire,
    /// It writes *revoked* and leaves this beside it, as boothd does when it loses a ticket, so
    /// that whoever reads it knows a lost ticket from one that was given back.
    Revoke(Values),
}

/// Decides about a ticket of `site` whose window has ended (`RULES.md` L6).
///
/// `told` is the term that came with the window; `grant` the newest grant that was begun here, or
/// that boothd read when it started; `stored` what the store says now, `None` if that cannot be
/// read; a ticket that is not there says nothing of itself.
///
/// The store is *newer* if its term is higher than that of `grant`, or `expires` is later in the
/// same term: then boothd has been started on another node of the site, and the keeper there
/// watches. `expires` is compared with what was written, never with a clock: the wall clock may
/// have been set meanwhile.
///
/// It revokes also what does not say *granted*: a grant that was killed may still be on its way,
/// and only a later change of this site keeps it from taking effect. Whose that was and in which
/// term stays as it is: what was won here was never granted here, and the store may have been
/// written since by a member that knows better. Terms do not tell: where all members have
/// restarted, a later leader may have a lower one than the keeper was told.
pub fn verdict(
    site: Holder,
    told: Term,
    grant: Option<Grant>,
    stored: Option<&CibTicket>,
) -> Decision {
    let Some(stored) = stored else {
        let expires = grant.map_or(0, |grant| grant.expires);
        let term = grant.map_or(told, |grant| grant.term.max(told));
        return Decision::Revoke(Values { owner: site, term, expires });
    };
    let term = stored.term.unwrap_or(Term::ZERO);
    let expires = stored.expires.map_or(0, |expires| expires.as_secs());
    let newer = match grant {
        Some(grant) => Grant { term, expires } > grant,
        None => term > told,
    };
    if newer && stored.term.is_some() {
        return Decision::Retire;
    }
    if let (false, Some(owner), Some(term)) = (stored.granted, stored.owner, stored.term) {
        return Decision::Revoke(Values { owner, term, expires });
    }
    let known = stored.owner.filter(|owner| *owner != Holder::Unknown);
    let (owner, term) = (known.unwrap_or(site), term.max(told));
    Decision::Revoke(Values { owner, term, expires })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MemberId;
    use crate::time::WallTime;

    const SITE: Holder = Holder::Member(MemberId::from_raw(42));

    fn stored(granted: bool, term: u32, expires: u64) -> CibTicket {
        CibTicket {
            granted,
            owner: Some(Holder::Nobody),
            expires: Some(WallTime::from_secs(expires)),
            term: Some(Term::new(term)),
            attrs: Vec::new(),
        }
    }

    fn decide(grant: Option<(u32, u64)>, stored: Option<CibTicket>) -> Decision {
        let grant = grant.map(|(term, expires)| Grant { term: Term::new(term), expires });
        verdict(SITE, Term::new(7), grant, stored.as_ref())
    }

    fn revoke(owner: Holder, term: u32, expires: u64) -> Decision {
        Decision::Revoke(Values { owner, term: Term::new(term), expires })
    }

    #[test]
    fn a_grant_of_ours_is_revoked() {
        let revoked = |expires| revoke(Holder::Nobody, 7, expires);
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 7, 100))), revoked(100));
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 7, 90))), revoked(90), "killed");
        assert_eq!(decide(Some((7, 100)), Some(stored(true, 6, 200))), revoked(200), "older");
        assert_eq!(decide(None, Some(stored(true, 7, 100))), revoked(100), "never written");
    }

    #[test]
    fn something_newer_is_left_alone() {
        for granted in [true, false] {
            let decide = |grant, term, expires| decide(grant, Some(stored(granted, term, expires)));
            assert_eq!(decide(Some((7, 100)), 8, 50), Decision::Retire);
            assert_eq!(decide(Some((7, 100)), 7, 101), Decision::Retire);
            assert_eq!(decide(None, 8, 100), Decision::Retire);
            // Told of term 7, but the newest grant here was in term 6: 7 is somebody else's.
            assert_eq!(decide(Some((6, 100)), 7, 10), Decision::Retire);
        }
    }

    #[test]
    fn what_is_not_granted_is_written_once_more_as_it_is() {
        let free = revoke(Holder::Nobody, 7, 50);
        assert_eq!(decide(Some((7, 100)), Some(stored(false, 7, 50))), free);
        let earlier = revoke(Holder::Nobody, 5, 50);
        assert_eq!(decide(Some((7, 100)), Some(stored(false, 5, 50))), earlier, "won, not granted");
        assert_eq!(decide(None, Some(CibTicket::default())), revoke(SITE, 7, 0));
    }

    #[test]
    fn what_cannot_be_read_is_revoked() {
        assert_eq!(decide(Some((7, 100)), None), revoke(SITE, 7, 100));
        assert_eq!(decide(Some((9, 100)), None), revoke(SITE, 9, 100));
        // What was granted last is older than the term that was told: that one is never taken back.
        assert_eq!(decide(Some((6, 100)), None), revoke(SITE, 7, 100));
        assert_eq!(decide(None, None), revoke(SITE, 7, 0));
        let nothing = CibTicket { granted: true, ..CibTicket::default() };
        assert_eq!(decide(Some((7, 1)), Some(nothing)), revoke(SITE, 7, 0));
    }
}
