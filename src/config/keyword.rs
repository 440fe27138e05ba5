// SPDX-License-Identifier: GPL-2.0-or-later
//! The keys of the configuration file, in two tables. The parser, its messages and the test of the
//! manual page use them.

/// An enum of keys, with the spelling of each.
macro_rules! keys {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $key,)*
        }

        impl $name {
            /// All of them, in the order of the manual page.
            pub const ALL: &'static [$name] = &[$($name::$key,)*];

            /// The key as written in the file.
            pub const fn word(self) -> &'static str {
                match self {
                    $($name::$key => $word,)*
                }
            }

            /// The key with this spelling. Capitals matter, as in the reference.
            pub(super) fn from_word(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|key| key.word() == word)
            }
        }
    };
}

keys! {
    /// A key that concerns the whole file. It may appear anywhere, also between a ticket's keys.
    GlobalKey {
        /// How members talk to each other: always `udp`.
        Transport = "transport",
        /// UDP and TCP port of the members that follow.
        Port = "port",
        /// The name of the cluster's configuration.
        Name = "name",
        /// A member that may hold tickets.
        Site = "site",
        /// A member that only votes.
        Arbitrator = "arbitrator",
        /// The file with the shared key.
        Authfile = "authfile",
        /// Accepted for files written on Enterprise Linux.
        EnableAuthfile = "enable-authfile",
        /// How far the time stamp of a packet may be off.
        MaxTimeSkew = "maxtimeskew",
        /// User of the daemon on a site.
        SiteUser = "site-user",
        /// Group of the daemon on a site.
        SiteGroup = "site-group",
        /// User of the daemon on an arbitrator.
        ArbitratorUser = "arbitrator-user",
        /// Group of the daemon on an arbitrator.
        ArbitratorGroup = "arbitrator-group",
        /// The level of log messages.
        Debug = "debug",
        /// Where sites keep their tickets. The C version does not know this key.
        TicketStore = "ticket-store",
        /// Begins a ticket, or the defaults of those that follow.
        Ticket = "ticket",
    }
}

keys! {
    /// A key of a ticket, below its `ticket` line.
    TicketKey {
        /// How long a lease lasts.
        Expire = "expire",
        /// The time between two renewals of a lease.
        RenewalFreq = "renewal-freq",
        /// How long an answer is awaited before a message is sent again.
        Timeout = "timeout",
        /// How often an unanswered message is sent again.
        Retries = "retries",
        /// Time that a lost site's resources need to stop.
        AcquireAfter = "acquire-after",
        /// The order in which sites stand for election.
        Weights = "weights",
        /// The program that must succeed before a ticket is acquired or renewed.
        Handler = "before-acquire-handler",
        /// A condition on an attribute, for an acquisition or a grant.
        AttrPrereq = "attr-prereq",
        /// Whether the members or only administrators move the ticket.
        Mode = "mode",
    }
}

/// All keys as written in the file.
pub fn words() -> impl Iterator<Item = &'static str> {
    let global = GlobalKey::ALL.iter().map(|key| key.word());
    global.chain(TicketKey::ALL.iter().map(|key| key.word()))
}

/// The key that a person may have meant by an unknown word. The word may differ in case, have `_`
/// for `-`, or have one letter too many, too few or wrong.
pub(super) fn similar_to(word: &str) -> Option<&'static str> {
    let plain = word.to_ascii_lowercase().replace('_', "-");
    words().find(|key| one_step_apart(key, &plain))
}

/// Whether the texts are equal or one inserted, deleted or changed byte apart.
pub(crate) fn one_step_apart(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let (short, long) = (short.as_bytes(), long.as_bytes());
    let head = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    if head == long.len() {
        return true;
    }
    let skip = usize::from(short.len() == long.len());
    short.get(head + skip..).unwrap_or_default() == &long[head + 1..]
}
