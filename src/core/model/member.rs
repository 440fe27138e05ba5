// SPDX-License-Identifier: GPL-2.0-or-later
//! Members of the geo-cluster: their ids, roles, and sets of them.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

/// The most members that a cluster can have (P4).
pub const MEMBERS_MAX: usize = 16;

/// A member's id on the wire: CRC-32 of its binary address with the top bit cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(u32);

impl MemberId {
    /// The value that stands for *nobody* on the wire.
    pub const NOBODY: u32 = 0xFFFF_FFFF;

    /// The id of the member with this address (P4).
    ///
    /// Reference: zlib's CRC-32 over 4 or 16 address bytes (see the members in `vectors`).
    pub fn of_address(address: IpAddr) -> MemberId {
        let crc = match address {
            IpAddr::V4(v4) => crc32fast::hash(&v4.octets()),
            IpAddr::V6(v6) => crc32fast::hash(&v6.octets()),
        };
        MemberId(crc & 0x7FFF_FFFF)
    }

    /// An id from the wire or the CIB. The roster knows whether it is a member's.
    pub const fn from_raw(raw: u32) -> MemberId {
        MemberId(raw)
    }

    /// The number on the wire.
    pub const fn raw(self) -> u32 {
        self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// A member's position in the configuration, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberIndex(u8);

impl MemberIndex {
    /// The index with this number; `None` if it is not below [`MEMBERS_MAX`].
    pub fn new(index: usize) -> Option<MemberIndex> {
        u8::try_from(index).ok().filter(|i| usize::from(*i) < MEMBERS_MAX).map(MemberIndex)
    }

    /// The number, below [`MEMBERS_MAX`].
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberRole {
    /// May hold tickets.
    Site,
    /// Only votes.
    Arbitrator,
}

impl MemberRole {
    /// The word in configuration files and in the output of `booth peers` and `booth status`.
    pub const fn word(self) -> &'static str {
        match self {
            MemberRole::Site => "site",
            MemberRole::Arbitrator => "arbitrator",
        }
    }
}

/// A set of members, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemberSet(u16);

impl MemberSet {
    /// The set without members.
    pub const EMPTY: MemberSet = MemberSet(0);

    /// The set of the first `count` members.
    pub fn first(count: usize) -> MemberSet {
        (0..count).filter_map(MemberIndex::new).collect()
    }

    /// Adds a member; returns whether it was new.
    pub fn insert(&mut self, member: MemberIndex) -> bool {
        let bit = 1u16 << member.get();
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Takes a member out; returns whether it was there.
    pub fn remove(&mut self, member: MemberIndex) -> bool {
        let bit = 1u16 << member.get();
        let there = self.0 & bit != 0;
        self.0 &= !bit;
        there
    }

    /// Whether the member is in the set.
    pub const fn contains(self, member: MemberIndex) -> bool {
        self.0 & (1u16 << member.get()) != 0
    }

    /// How many members are in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members of both sets together.
    pub const fn union(self, other: MemberSet) -> MemberSet {
        MemberSet(self.0 | other.0)
    }

    /// The members of this set that are not in the other.
    pub const fn without(self, other: MemberSet) -> MemberSet {
        MemberSet(self.0 & !other.0)
    }

    /// Whether every member of this set is in the other.
    pub const fn is_subset_of(self, other: MemberSet) -> bool {
        self.0 & !other.0 == 0
    }

    /// The members in configuration order.
    pub fn iter(self) -> impl Iterator<Item = MemberIndex> {
        (0..MEMBERS_MAX).filter_map(MemberIndex::new).filter(move |m| self.contains(*m))
    }
}

impl FromIterator<MemberIndex> for MemberSet {
    fn from_iter<I: IntoIterator<Item = MemberIndex>>(members: I) -> MemberSet {
        let mut set = MemberSet::EMPTY;
        for member in members {
            set.insert(member);
        }
        set
    }
}

/// Who has a ticket. *Not known* and *nobody* are different.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// Not known; 0 on the wire and in the CIB, `NONE` in `booth list`.
    #[default]
    Unknown,
    /// Known to be free; `0xFFFFFFFF` on the wire, `none` in `booth list`.
    Nobody,
    /// This member.
    Member(MemberId),
}

impl Holder {
    /// The number on the wire.
    pub const fn raw(self) -> u32 {
        match self {
            Holder::Unknown => 0,
            Holder::Nobody => MemberId::NOBODY,
            Holder::Member(id) => id.raw(),
        }
    }

    /// The meaning of a number on the wire or in the CIB.
    pub const fn from_raw(raw: u32) -> Holder {
        match raw {
            0 => Holder::Unknown,
            MemberId::NOBODY => Holder::Nobody,
            id => Holder::Member(MemberId::from_raw(id)),
        }
    }

    /// The holder's id; `None` if the ticket is free or its holder is not known.
    pub const fn member(self) -> Option<MemberId> {
        match self {
            Holder::Member(id) => Some(id),
            Holder::Unknown | Holder::Nobody => None,
        }
    }
}

/// A member as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id on the wire, computed from the address.
    pub id: MemberId,
    /// Whether it is a site or an arbitrator.
    pub role: MemberRole,
    /// The address, without the interface of a link-local one.
    pub address: IpAddr,
}

/// All members in configuration order, and the one that this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    members: Vec<Member>,
    me: MemberIndex,
}

/// Why a list of members is not a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RosterError {
    /// There are more than [`MEMBERS_MAX`] members.
    TooMany(usize),
    /// Two members have the same id.
    SameId(IpAddr, IpAddr),
    /// A member's id is one of the two reserved numbers.
    ReservedId(IpAddr),
    /// The index of this member is outside the list.
    NoSuchMember(usize),
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RosterError::TooMany(count) => {
                write!(f, "{count} members are configured, at most {MEMBERS_MAX} are possible")
            }
            RosterError::SameId(a, b) => {
                write!(f, "members {a} and {b} have the same id; change one of the addresses")
            }
            RosterError::ReservedId(a) => {
                write!(f, "the id of member {a} is reserved; change its address")
            }
            RosterError::NoSuchMember(index) => write!(f, "there is no member number {index}"),
        }
    }
}

impl core::error::Error for RosterError {}

impl Roster {
    /// A roster of these members, from the view of member number `me`.
    ///
    /// # Errors
    /// Too many members, two equal ids, a reserved id, or `me` outside the list.
    pub fn new(members: Vec<Member>, me: usize) -> Result<Roster, RosterError> {
        if members.len() > MEMBERS_MAX {
            return Err(RosterError::TooMany(members.len()));
        }
        for (index, member) in members.iter().enumerate() {
            if matches!(member.id.raw(), 0 | MemberId::NOBODY) {
                return Err(RosterError::ReservedId(member.address));
            }
            if let Some(twin) = members[..index].iter().find(|other| other.id == member.id) {
                return Err(RosterError::SameId(twin.address, member.address));
            }
        }
        match MemberIndex::new(me) {
            Some(index) if me < members.len() => Ok(Roster { members, me: index }),
            _ => Err(RosterError::NoSuchMember(me)),
        }
    }

    /// This member's index.
    pub const fn me(&self) -> MemberIndex {
        self.me
    }

    /// This member's id.
    pub fn my_id(&self) -> MemberId {
        self.member(self.me).id
    }

    /// Whether this member is a site.
    pub fn am_site(&self) -> bool {
        self.member(self.me).role == MemberRole::Site
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members; never true for a roster that [`Roster::new`] made.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members are more than half of all.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// The member with this index, which must have come from this roster.
    pub fn member(&self, index: MemberIndex) -> &Member {
        assert!(index.get() < self.members.len(), "a member index stays inside its roster");
        &self.members[index.get()]
    }

    /// The index of the member with this id.
    pub fn index_of(&self, id: MemberId) -> Option<MemberIndex> {
        self.members.iter().position(|member| member.id == id).and_then(MemberIndex::new)
    }

    /// All members.
    pub fn everyone(&self) -> MemberSet {
        MemberSet::first(self.members.len())
    }

    /// All members but this one.
    pub fn peers(&self) -> MemberSet {
        let mut set = self.everyone();
        set.remove(self.me);
        set
    }

    /// All sites, this member included if it is one.
    pub fn sites(&self) -> MemberSet {
        self.everyone().iter().filter(|m| self.member(*m).role == MemberRole::Site).collect()
    }
}
