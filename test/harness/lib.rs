// SPDX-License-Identifier: GPL-2.0-or-later
//! What the tests with real processes share, and the captured packets as data ([`capture`]).
//!
//! A test is a closure that gets a [`Lab`]: a directory of its own, addresses of its own and,
//! as root, namespaces of its own (processes, network, mounts), which end with everything in
//! them. In it a [`Cluster`] runs members, ours or the reference's ([`Kind`]), each site with a
//! fake `crm_ticket` ([`Crm`]). What goes over the wire is read and written here by code of its
//! own ([`Packet`]), not by `booth_core::wire`, so that one misreading of the format cannot hide.
//!
//! Nothing here waits without a limit, and nothing sleeps in place of waiting for a condition.

pub mod capture;
mod client;
mod cluster;
mod crm;
mod exporter;
mod intervals;
mod json;
mod lab;
mod machine;
mod member;
mod needs;
mod net;
mod not_run;
mod packet;
mod peer;
mod process;
mod program;
mod recorder;
mod setup;
mod sniff;
pub mod stranger;
mod switch;
mod wait;

pub use client::{ask, ask_with, Answers, End};
pub use cluster::Cluster;
pub use crm::{now, Call, Change, Crm};
pub use exporter::{http, Exporter, Page};
pub use intervals::{all_held, held, overlaps, Held};
pub use lab::{make_open, make_shared, report, run, run_for, shell, Lab};
pub use machine::{SmallDisk, Syslog, WallClock};
pub use needs::Need;
pub use net::Links;
pub use not_run::not_run;
pub use packet::{four, member_id, Packet, ANYONE, NOBODY};
pub use peer::FakeMember;
pub use process::{finish, signal, Finished};
pub use program::{enter, our_file, under_test, Kind};
pub use recorder::{Outcome, Recorder};
pub use setup::{ticket as setup_ticket, Setup, PORT};
pub use sniff::{Seen, Sniffer};
pub use switch::{Counts, Link, Switch, Weather};
pub use wait::{pass, until, value_within};

/// The full name of the test function in which it stands, as libtest knows it.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        std::any::type_name_of_val(&here).trim_end_matches("::here")
    }};
}
