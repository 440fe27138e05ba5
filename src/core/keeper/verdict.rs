// SPDX-License-Identifier: GPL-2.0-or-later
//! Decides what the keeper does at the end of a window.

use super::jobs::Values;
use crate::engine::CibTicket;
use crate::model::{Holder, Term};

/// The newest grant: what it wrote, or what the store said when boothd read it. The greater of two
/// is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Attribute `term`, in which the holder was elected.
    pub term: Term,
    /// Attribute `expires` in seconds: the latest that was written in this term.
    pub expires: u64,
}

/// What the keeper does with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the store has a newer grant.
    Retire,
    /// Write *revoked* and these values, as boothd does when it loses a ticket, so that a reader
    /// can tell a lost ticket from one that was given up.
    Revoke(Values),
}

/// Decides about a ticket of `site` whose window has ended (`RULES.md` L6).
///
/// `told` is the term that came with the window. `grant` is the newest grant that was begun here,
/// or that boothd read when it started. `stored` is what the store says now; `None` if it cannot be
/// read. A ticket that does not exist has no values.
///
/// The store is *newer* if its term is higher than that of `grant`, or if `expires` is later in the
/// same term. Then boothd was started on another node of the site, and the keeper there guards the
/// ticket. `expires` is compared with what was written, never with a clock, because the wall clock
/// may have been set meanwhile.
///
/// The keeper also revokes a ticket that does not say *granted*: a killed grant may still be in
/// flight, and only a later change of this site prevents it from taking effect. Then owner and term
/// are not changed: what was won here was never granted here, and a member that knows better may
/// have written the store since. Terms cannot decide this: if all members have restarted, a later
/// leader may have a lower term than the keeper was told.
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
