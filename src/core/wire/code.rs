// SPDX-License-Identifier: GPL-2.0-or-later
//! The four-letter codes of the header: commands, results, reasons (P5).

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use core::fmt;

/// Packs four ASCII letters big-endian.
const fn four(code: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*code)
}

/// A code for people: its four letters, or its number if these are not printable.
pub(crate) fn printable(raw: u32) -> String {
    let letters = raw.to_be_bytes();
    match core::str::from_utf8(&letters) {
        Ok(text) if letters.iter().all(u8::is_ascii_graphic) => text.to_owned(),
        _ => raw.to_string(),
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $raw:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All codes, in the order of their definition.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The number on the wire.
            pub const fn raw(self) -> u32 {
                match self { $($name::$variant => $raw,)* }
            }

            /// The code with this number, if there is one.
            pub fn from_raw(raw: u32) -> Option<$name> {
                $name::ALL.iter().copied().find(|code| code.raw() == raw)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&printable(self.raw()))
            }
        }
    };
}

codes! {
    /// The command of a packet (header field `cmd`), or the one that it answers (`request`).
    Command {
        /// Client: list the tickets.
        List = four(b"CLst");
        /// Client: grant a ticket.
        Grant = four(b"CGnt");
        /// Client: revoke a ticket.
        Revoke = four(b"CRvk");
        /// Client: show the other members.
        Peers = four(b"Peer");
        /// Client, only in ours: report all that the member knows; also its answer.
        Report = four(b"Rprt");
        /// Client: set an attribute.
        AttrSet = four(b"ASet");
        /// Client: read an attribute; also its answer.
        AttrGet = four(b"AGet");
        /// Client: delete an attribute.
        AttrDelete = four(b"ADel");
        /// Client: list the attributes; also its answer.
        AttrList = four(b"ALst");
        /// Answer to a ticket command, to attribute set and delete, and to errors.
        Result = four(b"Rslt");
        /// Answer to list and peers: text.
        ResultList = four(b"RLst");
        /// Member: asks what the receiver knows of a ticket.
        Status = four(b"Stat");
        /// Member: answers STATUS.
        MyIndex = four(b"MIdx");
        /// Member: asks for a vote.
        ReqVote = four(b"RVot");
        /// Member: votes for the leader field; with nobody there, steps down.
        VoteFor = four(b"VtFr");
        /// Member: leads, and renews its lease.
        Heartbeat = four(b"HrtB");
        /// Member: acknowledges.
        Ack = four(b"Ack.");
        /// Member: the renewal has its majority; adopt it.
        Update = four(b"UpdE");
        /// Member: the ticket is free now.
        RevokeTicket = four(b"Revk");
        /// Member: rejects; the result says why.
        Rejected = four(b"RJC!");
        /// Only in ours: tells the sender's life to those that have to bind their packets to it.
        Hello = four(b"Hllo");
    }
}

codes! {
    /// The result of a request (header field `result`).
    ResultCode {
        /// 0: done; between members, no result.
        Success = 0;
        /// In progress; further answers follow. Ours never sends it.
        Async = four(b"Asyn");
        /// In progress; further answers follow.
        More = four(b"More");
        /// A synchronous success. Ours never sends it.
        SyncSuccess = four(b"Sccs");
        /// The request failed.
        SyncFail = four(b"Fail");
        /// There is no such ticket.
        InvalidArg = four(b"IArg");
        /// There is no such attribute.
        NoSuchAttr = four(b"NAtr");
        /// Granted, but the CIB commit is pending; or a revoke that continues.
        CibPending = four(b"Pend");
        /// The before-acquire handler failed.
        HandlerFailed = four(b"XPrg");
        /// An attribute prerequisite does not hold.
        AttrPrereq = four(b"APrq");
        /// The ticket is not granted.
        TicketIdle = four(b"Tidl");
        /// The ticket is already granted.
        Overgrant = four(b"Over");
        /// A probable success. Ours never sends it.
        ProbableSuccess = four(b"Suc?");
        /// The member has just started, or too many clients wait: try again.
        Busy = four(b"Busy");
        /// The request is not authenticated.
        AuthFailed = four(b"Auth");
        /// Between members: the receiver's term is outdated.
        TermOutdated = four(b"TOdt");
        /// Between members: the sender's promise is still valid.
        TermStillValid = four(b"TVld");
        /// Between members: the receiver does not know of a revoke.
        YouOutdated = four(b"Outd");
        /// Ask the leader named in the answer.
        Redirect = four(b"Redr");
    }
}

codes! {
    /// Why an election was started (header field `reason`).
    Reason {
        /// No reason is given.
        None = 0;
        /// It is a further attempt.
        Again = four(b"Aaaa");
        /// The ticket was lost.
        TicketLost = four(b"TLst");
        /// A site acquires again what it held.
        Reacquire = four(b"Racq");
        /// An administrator asked for it.
        Admin = four(b"Admn");
        /// Something failed at the site, for instance its handler.
        LocalFail = four(b"LocF");
        /// The leader stepped down.
        StepDown = four(b"Spdn");
        /// The votes were split.
        Split = four(b"Splt");
    }
}

impl Reason {
    /// Why a site stands for election, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Reason::None => "the ticket has no holder",
            Reason::Again => "the last election was not won",
            Reason::TicketLost => "the ticket has no holder any more",
            Reason::Reacquire => "this site has or had the ticket",
            Reason::Admin => "an administrator grants the ticket here",
            Reason::LocalFail => "the holder has failed",
            Reason::StepDown => "the holder has given the ticket up",
            Reason::Split => "the votes were split",
        }
    }
}

codes! {
    /// What a client's request waits for (P12). Only in ours: header field `reason` of a `Rslt`
    /// with `More` or `Pend`. `options` then has the seconds until the wait ends, rounded up; 0:
    /// unknown.
    WaitCause {
        /// The ticket's state has not been read from the CIB yet.
        Loading = four(b"Load");
        /// This member has just started and must not vote for itself yet (`RULES.md` L9).
        Grace = four(b"Grac");
        /// The members are voting.
        Election = four(b"Elec");
        /// The before-acquire handler is running.
        Handler = four(b"Hndl");
        /// The grant waits for sites that did not answer (`RULES.md` L8).
        CommitDelay = four(b"Cmmt");
        /// The write to the CIB has not finished.
        CibWrite = four(b"CibW");
        /// The write to the CIB failed and is being retried.
        CibFailing = four(b"CibF");
        /// The site in the leader field says that its CIB may still say *granted*.
        Objection = four(b"Objn");
    }
}
