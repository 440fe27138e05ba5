// SPDX-License-Identifier: GPL-2.0-or-later
//! The names of deadlines.

/// What a deadline is for, in the order in which those are handled that have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineKind {
    /// A promise to another member ends (L4).
    PromiseEnd,
    /// The store may not say *granted* any more (L6).
    HoldEnd,
    /// A winner without a lease gives up (L12).
    GiveUp,
    /// Grace ends (L9).
    GraceEnd,
    /// An attempt has failed (L12).
    ElectionEnd,
    /// STATUS is sent again (L9).
    AskAgain,
    /// The store is read again after a failure.
    LoadRetry,
    /// The store is written again after a failure.
    CibRetry,
    /// The commit delay ends (L8).
    CommitDelay,
    /// The next renewal begins.
    Renewal,
    /// A heartbeat is sent again.
    Retry,
    /// An UPDATE is sent again.
    UpdateRetry,
    /// REVOKE or step-down is sent again.
    Announce,
    /// Those who object are asked again.
    Objection,
    /// A site stands (L13).
    Stand,
    /// The next attempt of an administrator's grant.
    GrantRetry,
    /// A handler has not answered long after its deadline.
    ProbeLimit,
    /// A manual ticket's claim is repeated.
    Claim,
}

impl DeadlineKind {
    /// Its name in reports.
    pub const fn word(self) -> &'static str {
        match self {
            DeadlineKind::PromiseEnd => "promise-end",
            DeadlineKind::HoldEnd => "hold-end",
            DeadlineKind::GiveUp => "give-up",
            DeadlineKind::GraceEnd => "grace-end",
            DeadlineKind::ElectionEnd => "election-end",
            DeadlineKind::AskAgain => "ask-again",
            DeadlineKind::LoadRetry => "load-retry",
            DeadlineKind::CibRetry => "cib-retry",
            DeadlineKind::CommitDelay => "commit-delay",
            DeadlineKind::Renewal => "renewal",
            DeadlineKind::Retry => "retry",
            DeadlineKind::UpdateRetry => "update-retry",
            DeadlineKind::Announce => "announce",
            DeadlineKind::Objection => "objection",
            DeadlineKind::Stand => "stand",
            DeadlineKind::GrantRetry => "grant-retry",
            DeadlineKind::ProbeLimit => "probe-limit",
            DeadlineKind::Claim => "claim",
        }
    }
}
