// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes a member's report: what the engine knows, with what the configuration says, what the
//! threads have counted, and what has happened.

use super::health::Health;
use super::history::{Entry, History};
use crate::config::{Config, TicketConfig};
use crate::engine::{
    AttrRow, CommitView, Figures, LeaseView, MemberView, PeerView, RequestView, Stage, StoreView,
    TicketView, Times, TIME_BOUNDS,
};
use crate::model::{Holder, MemberIndex, MemberSet, Roster};
use crate::report::{self, Future, Past};
use crate::sys::clock::LocalTime;
use crate::time::{MonoTime, Now, Span, WallTime};
use crate::wire::WaitCause;
use std::collections::BTreeMap;

/// So many of a ticket's last events are in each report.
const RECENT: usize = 5;

/// What does not change while the daemon runs, and what the threads count.
pub(crate) struct Reporter {
    roster: Roster,
    port: u16,
    configuration: report::Configuration,
    settings: Vec<report::Settings>,
    handlers: Vec<Option<String>>,
    started: MonoTime,
    health: Health,
    history: History,
}

/// The instant of a report, by which it states times.
#[derive(Clone, Copy)]
struct At(Now);

impl At {
    fn past(self, at: WallTime) -> Past {
        let seconds_ago = self.0.wall.since(at).as_duration().as_secs_f64();
        Past { at: LocalTime::rfc3339(at), seconds_ago }
    }

    /// The same by the clock that nobody sets.
    fn past_mono(self, at: MonoTime) -> Past {
        self.past(self.0.wall_at(at))
    }

    fn future(self, at: WallTime) -> Future {
        let seconds_left = at.since(self.0.wall).as_duration().as_secs_f64();
        Future { at: LocalTime::rfc3339(at), seconds_left }
    }
}

fn seconds(span: Span) -> f64 {
    span.as_duration().as_secs_f64()
}

impl Reporter {
    /// A reporter for member number `me`, whose daemon has started at `started`.
    pub(crate) fn new(
        config: &Config,
        me: usize,
        started: MonoTime,
        health: Health,
        history: History,
    ) -> Reporter {
        let handler = |ticket: &TicketConfig| {
            ticket.handler.as_ref().map(|handler| handler.path.display().to_string())
        };
        Reporter {
            roster: config.roster(me),
            port: config.members[me].port,
            configuration: report::Configuration {
                name: config.name.clone(),
                path: config.path.display().to_string(),
                digest: format!("{:08x}", config.digest()),
                shared: config.shared(),
                authenticated: config.key.is_some(),
            },
            settings: config.tickets.iter().map(|ticket| settings(config, ticket)).collect(),
            handlers: config.tickets.iter().map(handler).collect(),
            started,
            health,
            history,
        }
    }

    /// What is counted, and what has happened, for who adds to it.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// What has happened, for who adds to it.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// The report in JSON.
    pub(crate) fn json(&self, view: &MemberView) -> String {
        // Maps have texts as keys and no number is infinite: there is nothing that JSON lacks.
        serde_json::to_string(&self.report(view)).expect("a report is JSON")
    }

    /// The report.
    fn report(&self, view: &MemberView) -> report::Report {
        let at = At(view.now);
        let me = self.roster.member(self.roster.me());
        let remembered = view.history.then(|| self.history.all());
        let (history, forgotten) =
            remembered.map_or((Vec::new(), 0), |all| (all.entries, all.forgotten));
        let mut last = self.history.last_of_each(RECENT);
        let mut ticket = |(index, ticket): (usize, &TicketView)| {
            let recent = last.remove(&ticket.row.name).unwrap_or_default();
            self.ticket(at, index, ticket, recent)
        };
        report::Report {
            report: report::VERSION,
            time: LocalTime::rfc3339(view.now.wall),
            unix_time: Span::from_micros(view.now.wall.as_micros()).as_duration().as_secs_f64(),
            member: report::Member {
                address: me.address.to_string(),
                port: self.port,
                role: me.role.word().to_owned(),
                id: me.id.raw(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started: at.past_mono(self.started),
                pid: std::process::id(),
            },
            configuration: self.configuration.clone(),
            health: self.health.report(),
            tickets: view.tickets.iter().enumerate().map(&mut ticket).collect(),
            peers: view.peers.iter().map(|peer| self.peer(at, peer)).collect(),
            figures: figures(&view.figures, held(&self.roster, view)),
            history: history.into_iter().map(|entry| self.event(at, entry)).collect(),
            history_forgotten: forgotten,
        }
    }

    fn ticket(
        &self,
        at: At,
        index: usize,
        view: &TicketView,
        recent: Vec<Entry>,
    ) -> report::Ticket {
        let row = &view.row;
        let name = |member| self.name(member);
        let held = row.leader.member().is_some();
        report::Ticket {
            name: row.name.to_string(),
            mode: if row.manual { report::Mode::Manual } else { report::Mode::Automatic },
            state: state(view.stage),
            holder: self.holder(at, view),
            term: view.term.map(|term| term.get()),
            expires: row.expires.filter(|_| held).map(|expires| at.future(expires)),
            lease: view.lease.map(|lease| self.lease(at, lease)),
            promise: view.promise.map(|promise| report::Promise {
                to: name(promise.to),
                term: promise.term.get(),
                until: at.future(promise.until),
            }),
            grace: view.grace_until.map(|until| at.future(until)),
            waits: view.waits_for.map(|(cause, until)| report::Waits {
                cause: cause_word(cause).to_owned(),
                until: until.map(|until| at.future(until)),
            }),
            commit: view.commit.map(|commit| self.commit(at, commit)),
            requests: view.requests.iter().map(request).collect(),
            handler: self.handlers.get(index).cloned().flatten().map(|path| report::Handler {
                path,
                running_since: view.handler_since.map(|since| at.past(since)),
            }),
            store: view.store.map(|store| store_of(at, store, view.stage)),
            stands: view.stands.map(|(when, reason)| report::Stand {
                at: at.future(when),
                reason: reason.words().to_owned(),
            }),
            attributes: view.attributes.iter().map(|row| attribute(at, row)).collect(),
            prerequisites_hold: view.prerequisites,
            objectors: self.names(view.objectors),
            also_granted: row.also_granted.iter().map(|member| name(*member)).collect(),
            expire_differs: view
                .expire_differs
                .iter()
                .map(|(member, stated)| report::Differs {
                    member: name(*member),
                    expire_seconds: seconds(*stated),
                })
                .collect(),
            next: view.next.map(|(deadline, when)| report::Next {
                deadline: deadline.word().to_owned(),
                at: at.future(when),
            }),
            settings: self.settings[index].clone(),
            recent: recent.into_iter().map(|entry| self.event(at, entry)).collect(),
        }
    }

    fn holder(&self, at: At, view: &TicketView) -> report::Holder {
        let index = view.row.leader.member().and_then(|id| self.roster.index_of(id));
        let state = match view.row.leader {
            Holder::Member(_) => report::HolderState::Held,
            Holder::Nobody => report::HolderState::Free,
            Holder::Unknown => report::HolderState::Unknown,
        };
        report::Holder {
            state,
            member: index.map(|index| self.name(index)),
            here: index == Some(self.roster.me()),
            // Nothing was known before the start.
            since: at.past(view.holder_since.max(at.0.wall_at(self.started))),
        }
    }

    fn lease(&self, at: At, lease: LeaseView) -> report::Lease {
        report::Lease {
            until: at.future(lease.until),
            length_seconds: seconds(lease.length),
            renewed: lease.renewed.map(|renewed| at.past(renewed)),
            next_renewal: at.future(lease.next_renewal),
            majority: lease.majority,
            unacknowledged: self.names(lease.silent),
        }
    }

    fn commit(&self, at: At, commit: CommitView) -> report::Commit {
        report::Commit { until: at.future(commit.until), missing: self.names(commit.missing) }
    }

    fn peer(&self, at: At, view: &PeerView) -> report::Peer {
        let member = self.roster.member(view.row.member);
        let counters = &view.row.counters;
        let offset = self.health.offset(view.row.member);
        report::Peer {
            address: member.address.to_string(),
            role: member.role.word().to_owned(),
            state: match view.reachable {
                Some(true) => report::PeerState::Reachable,
                Some(false) => report::PeerState::Unreachable,
                None => report::PeerState::Unheard,
            },
            since: view.since.map(|since| at.past(since)),
            last_heard: view.row.last_recv.map(|heard| at.past(heard)),
            round_trip_seconds: view.round_trip.map(seconds),
            clock_offset_seconds: offset.map(micros_to_seconds),
            configuration_differs: view.differs,
            kind: match view.ours {
                Some(true) => report::Kind::Ours,
                Some(false) => report::Kind::C,
                None => report::Kind::Unknown,
            },
            counters: report::Counters {
                sent: counters.sent,
                send_errors: counters.sent_errors,
                resends: counters.resends,
                received: counters.received,
                receive_errors: counters.recv_errors,
                authentication_failures: counters.auth_failures,
                invalid: counters.invalid,
                loss: share(counters.resends, counters.sent),
            },
        }
    }

    fn event(&self, at: At, entry: Entry) -> report::Event {
        report::Event {
            number: entry.number,
            time: at.past_mono(entry.at.mono),
            event: entry.kind.word().to_owned(),
            ticket: entry.ticket.map(|name| name.to_string()),
            member: entry.member.map(|member| self.name(member)),
            client: entry.client.map(|client| client.to_string()),
            term: entry.term.map(|term| term.get()),
            text: entry.text,
        }
    }

    fn name(&self, member: MemberIndex) -> String {
        self.roster.member(member).address.to_string()
    }

    fn names(&self, members: MemberSet) -> Vec<String> {
        members.iter().map(|member| self.name(member)).collect()
    }
}

/// Which part of a whole that is; `None` if the whole is nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    // Both are scaled to 32 bits, which a float holds exactly.
    let shift = 32_u32.saturating_sub(whole.leading_zeros());
    let scaled = |count: u64| u32::try_from(count >> shift).map_or(f64::from(u32::MAX), f64::from);
    (whole > 0).then(|| (scaled(part) / scaled(whole)).min(1.0))
}

/// A signed number of microseconds in seconds.
fn micros_to_seconds(micros: i64) -> f64 {
    let size = Span::from_micros(micros.unsigned_abs()).as_duration().as_secs_f64();
    if micros < 0 {
        -size
    } else {
        size
    }
}

fn settings(config: &Config, ticket: &TicketConfig) -> report::Settings {
    let spec = &ticket.spec;
    let weight = |(number, address): (usize, std::net::IpAddr)| {
        (address.to_string(), spec.weights.get(number).copied().unwrap_or(0))
    };
    let weights: BTreeMap<String, i32> =
        config.addresses().into_iter().enumerate().map(weight).collect();
    report::Settings {
        expire_seconds: seconds(spec.expire),
        acquire_after_seconds: seconds(spec.acquire_after),
        timeout_seconds: seconds(spec.timeout),
        renewal_seconds: seconds(spec.renewal),
        retries: spec.retries,
        weights,
    }
}

fn attribute(at: At, row: &AttrRow) -> report::Attribute {
    report::Attribute {
        name: row.name.to_string(),
        value: row.value.to_string(),
        set: row.set_at.map(|set| at.past(set)),
    }
}

fn state(stage: Stage) -> report::TicketState {
    match stage {
        Stage::Starting => report::TicketState::Starting,
        Stage::Follower => report::TicketState::Follower,
        Stage::Candidate => report::TicketState::Candidate,
        Stage::Leader => report::TicketState::Leader,
        Stage::Leaving => report::TicketState::Leaving,
    }
}

fn store_of(at: At, store: StoreView, stage: Stage) -> report::Store {
    let says = if store.granted {
        report::StoreSays::Granted
    } else if store.maybe_granted {
        report::StoreSays::PerhapsGranted
    } else if stage == Stage::Starting {
        report::StoreSays::Unread
    } else {
        report::StoreSays::Revoked
    };
    report::Store {
        says,
        failing_since: store.failing_since.map(|since| at.past(since)),
        failures: store.failures,
        writing_since: store.writing_since.map(|since| at.past(since)),
    }
}

fn request(view: &RequestView) -> report::Request {
    report::Request {
        command: if view.grant { "grant" } else { "revoke" }.to_owned(),
        from: view.from.map(|from| from.to_string()),
        options: view.options.flags().map(str::to_owned).collect(),
    }
}

const fn cause_word(cause: WaitCause) -> &'static str {
    match cause {
        WaitCause::Loading => "loading",
        WaitCause::Grace => "grace",
        WaitCause::Election => "election",
        WaitCause::Handler => "handler",
        WaitCause::CommitDelay => "commit-delay",
        WaitCause::CibWrite => "store-write",
        WaitCause::CibFailing => "store-failing",
        WaitCause::Objection => "objection",
    }
}

fn held(roster: &Roster, view: &MemberView) -> Option<u64> {
    let held = |ticket: &&TicketView| {
        ticket.store.is_some_and(|store| store.granted) && ticket.stage != Stage::Leaving
    };
    let count = view.tickets.iter().filter(held).count();
    roster.am_site().then(|| u64::try_from(count).unwrap_or(u64::MAX))
}

fn histogram(times: &Times) -> report::Histogram {
    let mut count = 0;
    let bucket = |(micros, more): (&u64, u64)| {
        count += more;
        report::Bucket { seconds: seconds(Span::from_micros(*micros)), count }
    };
    report::Histogram {
        buckets: TIME_BOUNDS.iter().zip(times.buckets).map(bucket).collect(),
        count: times.buckets.iter().sum(),
        sum_seconds: seconds(times.sum),
    }
}

fn figures(figures: &Figures, held: Option<u64>) -> report::Figures {
    report::Figures {
        held,
        elections: figures.elections,
        wins: figures.wins,
        losses: figures.losses,
        renewals: histogram(&figures.renewals),
        store_changes: histogram(&figures.store_changes),
        store_failures: figures.store_failures,
        handler_failures: figures.handler_failures,
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_right_however_much_was_counted() {
        assert_eq!(share(0, 0), None);
        assert_eq!((share(0, 7), share(7, 7), share(1, 4)), (Some(0.0), Some(1.0), Some(0.25)));
        assert_eq!(share(u64::MAX / 4, u64::MAX).map(|share| (share * 100.0).round()), Some(25.0));
        assert_eq!(share(9, 7), Some(1.0), "the counters are read one after the other");
    }
}
