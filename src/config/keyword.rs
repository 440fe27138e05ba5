// SPDX-License-Identifier: GPL-2.0-or-later
//! The keys of the configuration file, in two tables. The parser, its messages and the test of the
//! manual page use them.

/// A key that concerns the whole file. It may appear anywhere, also between the keys of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalKey {
    /// How members talk to each other: always `udp`.
    Transport,
    /// UDP and TCP port of the members that follow.
    Port,
    /// The name of the cluster's configuration.
    Name,
    /// A member that may hold tickets.
    Site,
    /// A member that only votes.
    Arbitrator,
    /// The file with the shared key.
    Authfile,
    /// Accepted for files written on Enterprise Linux.
    EnableAuthfile,
    /// How far the time stamp of a packet may be off.
    MaxTimeSkew,
    /// User of the daemon on a site.
    SiteUser,
    /// Group of the daemon on a site.
    SiteGroup,
    /// User of the daemon on an arbitrator.
    ArbitratorUser,
    /// Group of the daemon on an arbitrator.
    ArbitratorGroup,
    /// The level of log messages.
    Debug,
    /// Where sites keep their tickets. The C version does not know this key.
    TicketStore,
    /// Begins a ticket, or the defaults of those that follow.
    Ticket,
}

/// A key of a ticket, below its `ticket` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKey {
    /// How long a lease lasts.
    Expire,
    /// The time between two renewals of a lease.
    RenewalFreq,
    /// How long an answer is awaited before a message is sent again.
    Timeout,
    /// How often an unanswered message is sent again.
    Retries,
    /// Time that a lost site's resources need to stop.
    AcquireAfter,
    /// The order in which sites stand for election.
    Weights,
    /// The program that must succeed before a ticket is acquired or renewed.
    Handler,
    /// A condition on an attribute, for an acquisition or a grant.
    AttrPrereq,
    /// Whether the members or only administrators move the ticket.
    Mode,
}

impl GlobalKey {
    /// All of them, in the order of the manual page.
    pub const ALL: [GlobalKey; 15] = [
        GlobalKey::Transport,
        GlobalKey::Port,
        GlobalKey::Name,
        GlobalKey::Site,
        GlobalKey::Arbitrator,
        GlobalKey::Authfile,
        GlobalKey::EnableAuthfile,
        GlobalKey::MaxTimeSkew,
        GlobalKey::SiteUser,
        GlobalKey::SiteGroup,
        GlobalKey::ArbitratorUser,
        GlobalKey::ArbitratorGroup,
        GlobalKey::Debug,
        GlobalKey::TicketStore,
        GlobalKey::Ticket,
    ];

    /// The key as written in the file.
    pub const fn word(self) -> &'static str {
        match self {
            GlobalKey::Transport => "transport",
            GlobalKey::Port => "port",
            GlobalKey::Name => "name",
            GlobalKey::Site => "site",
            GlobalKey::Arbitrator => "arbitrator",
            GlobalKey::Authfile => "authfile",
            GlobalKey::EnableAuthfile => "enable-authfile",
            GlobalKey::MaxTimeSkew => "maxtimeskew",
            GlobalKey::SiteUser => "site-user",
            GlobalKey::SiteGroup => "site-group",
            GlobalKey::ArbitratorUser => "arbitrator-user",
            GlobalKey::ArbitratorGroup => "arbitrator-group",
            GlobalKey::Debug => "debug",
            GlobalKey::TicketStore => "ticket-store",
            GlobalKey::Ticket => "ticket",
        }
    }

    /// The key with this spelling. Capitals matter, as in the reference.
    pub(super) fn from_word(word: &str) -> Option<GlobalKey> {
        GlobalKey::ALL.into_iter().find(|key| key.word() == word)
    }
}

impl TicketKey {
    /// All of them, in the order of the manual page.
    pub const ALL: [TicketKey; 9] = [
        TicketKey::Expire,
        TicketKey::RenewalFreq,
        TicketKey::Timeout,
        TicketKey::Retries,
        TicketKey::AcquireAfter,
        TicketKey::Weights,
        TicketKey::Handler,
        TicketKey::AttrPrereq,
        TicketKey::Mode,
    ];

    /// The key as written in the file.
    pub const fn word(self) -> &'static str {
        match self {
            TicketKey::Expire => "expire",
            TicketKey::RenewalFreq => "renewal-freq",
            TicketKey::Timeout => "timeout",
            TicketKey::Retries => "retries",
            TicketKey::AcquireAfter => "acquire-after",
            TicketKey::Weights => "weights",
            TicketKey::Handler => "before-acquire-handler",
            TicketKey::AttrPrereq => "attr-prereq",
            TicketKey::Mode => "mode",
        }
    }

    /// The key with this spelling. Capitals matter, as in the reference.
    pub(super) fn from_word(word: &str) -> Option<TicketKey> {
        TicketKey::ALL.into_iter().find(|key| key.word() == word)
    }
}

/// All keys as written in the file.
pub fn words() -> impl Iterator<Item = &'static str> {
    let global = GlobalKey::ALL.into_iter().map(GlobalKey::word);
    global.chain(TicketKey::ALL.into_iter().map(TicketKey::word))
}

/// The key that a person may have meant by an unknown word. The word may differ in case, have `_`
/// for `-`, or have one letter too many, too few or wrong.
pub(super) fn similar_to(word: &str) -> Option<&'static str> {
    let plain = word.to_ascii_lowercase().replace('_', "-");
    words().find(|key| one_step_apart(key, &plain))
}

/// Whether the texts are equal or one inserted, deleted or changed byte apart.
fn one_step_apart(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let (short, long) = (short.as_bytes(), long.as_bytes());
    let head = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    if head == long.len() {
        return true;
    }
    let skip = usize::from(short.len() == long.len());
    short.get(head + skip..).unwrap_or_default() == &long[head + 1..]
}
