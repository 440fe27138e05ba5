// SPDX-License-Identifier: GPL-2.0-or-later
//! The four-letter codes of the header: commands, results, reasons (P5).

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use core::fmt;

/// Packs four ASCII letters big-endian.
const fn four(code: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*code)
}

/// A code as people read it: its four letters, or its number if they are none.
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
            /// Every code there is.
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
    /// What a packet is (header field `cmd`), or answers (`request`).
    Command {
        /// Client: list the tickets.
        List = four(b"CLst");
        /// Client: grant a ticket.
        Grant = four(b"CGnt");
        /// Client: revoke a ticket.
        Revoke = four(b"CRvk");
        /// Client: show the other members.
        Peers = four(b"Peer");
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
        /// Member: what do you know of this ticket?
        Status = four(b"Stat");
        /// Member: answer to STATUS.
        MyIndex = four(b"MIdx");
        /// Member: vote for me.
        ReqVote = four(b"RVot");
        /// Member: my vote goes to; or, with nobody, step-down.
        VoteFor = four(b"VtFr");
        /// Member: I lead; renew the lease.
        Heartbeat = four(b"HrtB");
        /// Member: acknowledgement.
        Ack = four(b"Ack.");
        /// Member: the renewal has its majority; adopt it.
        Update = four(b"UpdE");
        /// Member: the ticket is free now.
        RevokeTicket = four(b"Revk");
        /// Member: rejected, the result says why.
        Rejected = four(b"RJC!");
        /// Ours alone: the sender's life, said to whoever has to bind its packets to it.
        Hello = four(b"Hllo");
    }
}

codes! {
    /// How something went (header field `result`).
    ResultCode {
        /// 0: done.
        Success = 0;
        /// Under way, further answers follow.
        Async = four(b"Asyn");
        /// Under way, further answers follow.
        More = four(b"More");
        /// Synchronous success.
        SyncSuccess = four(b"Sccs");
        /// Failed.
        SyncFail = four(b"Fail");
        /// No such ticket.
        InvalidArg = four(b"IArg");
        /// No such attribute.
        NoSuchAttr = four(b"NAtr");
        /// Granted, the CIB commit is pending.
        CibPending = four(b"Pend");
        /// The before-acquire handler failed.
        HandlerFailed = four(b"XPrg");
        /// An attribute prerequisite does not hold.
        AttrPrereq = four(b"APrq");
        /// The ticket is not granted.
        TicketIdle = four(b"Tidl");
        /// The ticket is already granted.
        Overgrant = four(b"Over");
        /// Probable success.
        ProbableSuccess = four(b"Suc?");
        /// Busy, try again.
        Busy = four(b"Busy");
        /// Authentication failed.
        AuthFailed = four(b"Auth");
        /// Your term is outdated.
        TermOutdated = four(b"TOdt");
        /// The term is still valid.
        TermStillValid = four(b"TVld");
        /// Your ticket is outdated.
        YouOutdated = four(b"Outd");
        /// Ask the leader named in the answer.
        Redirect = four(b"Redr");
    }
}

codes! {
    /// Why an election was started (header field `reason`).
    Reason {
        /// 0: none given.
        None = 0;
        /// A further attempt.
        Again = four(b"Aaaa");
        /// The ticket was lost.
        TicketLost = four(b"TLst");
        /// A site takes up again what it held.
        Reacquire = four(b"Racq");
        /// An administrator's command.
        Admin = four(b"Admn");
        /// A failure at the site, of its handler for instance.
        LocalFail = four(b"LocF");
        /// The leader stepped down.
        StepDown = four(b"Spdn");
        /// Votes were split.
        Split = four(b"Splt");
    }
}

codes! {
    /// Why a client's request takes time (P12). Ours alone: header field `reason` of a `Rslt` with
    /// `More` or `Pend`; `options` then holds the seconds until it ends, rounded up; 0 = unknown.
    WaitCause {
        /// The ticket's state has not been read from the CIB yet.
        Loading = four(b"Load");
        /// This member started a while ago and must not vote for itself yet (`RULES.md` L9).
        Grace = four(b"Grac");
        /// An election is under way.
        Election = four(b"Elec");
        /// The before-acquire handler runs.
        Handler = four(b"Hndl");
        /// The grant waits for sites that did not answer (`RULES.md` L8).
        CommitDelay = four(b"Cmmt");
        /// The write to the CIB takes its time.
        CibWrite = four(b"CibW");
        /// The write to the CIB failed and is tried again.
        CibFailing = four(b"CibF");
        /// The site in the leader field says that its CIB may still say *granted*.
        Objection = four(b"Objn");
    }
}
