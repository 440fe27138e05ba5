// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper's jobs: a process for each, started without a copy of ourselves in between, ended
//! with the keeper by the kernel.

use super::journal::log;
use super::leftovers::Label;
use super::setup::Setup;
use crate::config::TicketStore;
use crate::engine::{CibLoad, NoteLevel};
use crate::keeper::{Change, JobEnd, JobId, Place, Values, Work};
use crate::model::TicketName;
use crate::pacemaker::{self, TicketValues};
use crate::slots::Ending;
use crate::store::child::{Child, Finished, ANSWERS_MAX, ANSWER_MAX, CHATTER_MAX};
use crate::store::helper::{builtin, tool, Call};
use crate::store::reading::read_one;
use crate::sys::clock;
use crate::sys::os::{self, BeforeExec};
use crate::time::{MonoTime, Span};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::process::Command;

/// How long looking at the result of a revoke may take; then it is believed.
const READ_BACK: Span = Span::from_secs(2);

/// How a job ended, for each of its tickets.
type PlaceEnds = Vec<(Place, JobEnd)>;
/// The same of jobs.
pub(super) type Ends = Vec<(JobId, PlaceEnds)>;
/// Tickets with their names.
type Named = Vec<(Place, TicketName)>;

/// The processes that read and change the store.
pub(super) struct Tools {
    setup: Setup,
    program: PathBuf,
    jobs: BTreeMap<JobId, Tool>,
    /// Processes whose answer is not wanted any more.
    leaving: Vec<Child>,
    /// Whether a revoke of one ticket was looked at and had worked: this user may change the CIB.
    trusts_one: bool,
    /// The same of a revoke of many.
    trusts_many: bool,
    label: Label,
}

struct Tool {
    child: Child,
    task: Task,
}

/// What a process is for.
enum Task {
    /// It changes a ticket in the CIB.
    Change { place: Place, name: TicketName, revokes: bool },
    /// It revokes many in the CIB.
    Revokes(Named),
    /// It reads tickets in the CIB; `Some`: to see until then whether a revoke has worked.
    Look(Named, Option<MonoTime>),
    /// It reads or changes each in the built-in store.
    Lines { places: Vec<Place>, looks: bool },
}

impl Tools {
    pub(super) fn new(setup: Setup, program: PathBuf, label: Label) -> Tools {
        let (jobs, leaving) = (BTreeMap::new(), Vec::new());
        Tools { setup, program, jobs, leaving, trusts_one: false, trusts_many: false, label }
    }

    /// Starts a job, or says at once how it ended.
    pub(super) fn start(
        &mut self,
        job: JobId,
        work: Work,
        name: impl Fn(Place) -> TicketName,
        ends: &mut Ends,
    ) {
        let places = places_of(&work);
        let started = match &self.setup.store {
            TicketStore::Pacemaker => self.start_cib(job, work, name),
            TicketStore::Directory(dir) => {
                let config_name = self.setup.config_name.clone();
                let call = Call::Store { dir: dir.clone(), config_name };
                self.start_lines(&call, work, name)
            }
        };
        match started {
            Ok(running) => {
                self.jobs.insert(job, running);
            }
            Err(error) => {
                let end = if os::is_late(&error) {
                    JobEnd::TooLate
                } else {
                    JobEnd::Failed(error.to_string())
                };
                ends.push((job, places.into_iter().map(|place| (place, end.clone())).collect()));
            }
        }
    }

    fn start_cib(
        &self,
        job: JobId,
        work: Work,
        name: impl Fn(Place) -> TicketName,
    ) -> io::Result<Tool> {
        match work {
            Work::Look(places) => {
                let named = places.into_iter().map(|place| (place, name(place))).collect();
                self.look(job, named, None)
            }
            Work::Change(changes) if changes.len() == 1 => {
                let (place, change) = &changes[0];
                let name = name(*place);
                let (args, start_before) = self.one(&name, change);
                let mut command = tool(pacemaker::PROGRAM, args)?;
                self.label.put_on(&mut command, job);
                let child = spawn(&mut command, start_before, CHATTER_MAX)?;
                let revokes = matches!(change, Change::Revoke(_));
                Ok(Tool { child, task: Task::Change { place: *place, name, revokes } })
            }
            Work::Change(changes) => {
                let named: Named =
                    changes.iter().map(|(place, _)| (*place, name(*place))).collect();
                let values =
                    changes.iter().zip(&named).filter_map(
                        |((_, change), (_, name))| match change {
                            Change::Revoke(values) => Some(self.values(name, values, false)),
                            Change::Grant { .. } | Change::Attr(_) => None,
                        },
                    );
                let xml = pacemaker::many(&values.collect::<Vec<_>>());
                let mut command = tool(pacemaker::MANY_PROGRAM, pacemaker::write_many())?;
                self.label.put_on(&mut command, job);
                command.stdin(os::memory_file(xml.as_bytes())?);
                let child = spawn(&mut command, None, CHATTER_MAX)?;
                Ok(Tool { child, task: Task::Revokes(named) })
            }
        }
    }

    /// The arguments of a `crm_ticket` that makes a change.
    fn one(&self, name: &TicketName, change: &Change) -> (Vec<String>, Option<MonoTime>) {
        match change {
            Change::Grant { values, start_before } => {
                (pacemaker::write(&self.values(name, values, true)), *start_before)
            }
            Change::Revoke(values) => (pacemaker::write(&self.values(name, values, false)), None),
            Change::Attr(change) => (pacemaker::change_attr(name, change), None),
        }
    }

    fn values<'a>(
        &'a self,
        ticket: &'a TicketName,
        values: &Values,
        granted: bool,
    ) -> TicketValues<'a> {
        let Values { owner, term, expires } = *values;
        let config_name = &self.setup.config_name;
        TicketValues { ticket, granted, owner, expires, term, config_name }
    }

    fn look(&self, job: JobId, named: Named, until: Option<MonoTime>) -> io::Result<Tool> {
        let (mut command, output) = match &named[..] {
            [(_, name)] => (tool(pacemaker::PROGRAM, pacemaker::load(name))?, ANSWER_MAX),
            _ => (tool(pacemaker::MANY_PROGRAM, pacemaker::load_many())?, ANSWERS_MAX),
        };
        self.label.put_on(&mut command, job);
        let child = spawn(&mut command, None, output)?;
        Ok(Tool { child, task: Task::Look(named, until) })
    }

    fn start_lines(
        &self,
        call: &Call,
        work: Work,
        name: impl Fn(Place) -> TicketName,
    ) -> io::Result<Tool> {
        let (places, looks) = (places_of(&work), matches!(work, Work::Look(_)));
        let text: String = match &work {
            Work::Change(changes) => changes
                .iter()
                .map(|(place, change)| builtin::request(&name(*place), Some(change)))
                .collect(),
            Work::Look(places) => {
                places.iter().map(|place| builtin::request(&name(*place), None)).collect()
            }
        };
        let mut command = call.command(&self.program);
        command.stdin(os::memory_file(text.as_bytes())?);
        let child = spawn(&mut command, None, ANSWERS_MAX)?;
        Ok(Tool { child, task: Task::Lines { places, looks } })
    }

    /// Kills jobs, and whatever they have started.
    pub(super) fn kill(&mut self, jobs: &[JobId]) {
        let mut changes = Vec::new();
        for job in jobs {
            let Some(running) = self.jobs.get_mut(job) else { continue };
            running.child.end(Ending::Kill);
            if matches!(running.task, Task::Change { .. } | Task::Revokes(_)) {
                changes.push(*job);
            }
        }
        if !changes.is_empty() {
            self.label.end_jobs(&changes);
        }
    }

    /// Finds the jobs that have ended, without waiting.
    pub(super) fn collect(&mut self, ends: &mut Ends) {
        let now = clock::mono();
        self.leaving.retain_mut(|child| child.look().is_none());
        let mut over = Vec::new();
        for (job, running) in &mut self.jobs {
            let late = matches!(running.task, Task::Look(_, Some(until)) if now >= until);
            let finished = running.child.look();
            if finished.is_some() || late {
                over.push((*job, finished));
            }
        }
        for (job, finished) in over {
            let Some(mut running) = self.jobs.remove(&job) else { continue };
            let Some(finished) = finished else {
                // What cannot be read in time is no evidence against the success of the revoke.
                running.child.end(Ending::Kill);
                if let Task::Look(named, _) = running.task {
                    ends.push((job, each(named, |_| JobEnd::Done)));
                }
                self.leaving.push(running.child);
                continue;
            };
            if finished.was_killed() && !running.child.ended {
                // By somebody else, who has left alone what it had started.
                self.label.end_jobs(&[job]);
            }
            match self.meaning(running.task, &finished) {
                Ok(end) => ends.push((job, end)),
                Err(named) => match self.look(job, named.clone(), Some(now.plus(READ_BACK))) {
                    Ok(running) => {
                        self.jobs.insert(job, running);
                    }
                    // Nor is what cannot be asked.
                    Err(_) => ends.push((job, each(named, |_| JobEnd::Done))),
                },
            }
        }
    }

    /// What the end of a process means, or which tickets are to be looked at first.
    ///
    /// A `crm_ticket` that has no right to change the CIB may report success all the same. That is
    /// looked for until it is known once that a revoke has worked: others rely on revokes, while a
    /// grant that has no effect harms nobody else.
    fn meaning(&mut self, task: Task, finished: &Finished) -> Result<PlaceEnds, Named> {
        let success = finished.status.success();
        match task {
            Task::Change { place, name, revokes: true } if success && !self.trusts_one => {
                Err(vec![(place, name)])
            }
            Task::Change { place, .. } if success => Ok(vec![(place, JobEnd::Done)]),
            Task::Change { .. } if finished.was_killed() => Ok(Vec::new()),
            Task::Change { place, .. } => {
                let text = format!("{}: {}", pacemaker::PROGRAM, finished.failure());
                Ok(vec![(place, JobEnd::Failed(text))])
            }
            Task::Revokes(named) if success && !self.trusts_many => Err(named),
            Task::Revokes(named) if success => {
                note_together(named.len());
                Ok(each(named, |_| JobEnd::Done))
            }
            Task::Revokes(_) if finished.was_killed() => Ok(Vec::new()),
            Task::Revokes(named) => {
                let text = format!("{}: {}", pacemaker::MANY_PROGRAM, finished.failure());
                let count = named.len();
                let note = format!("cannot revoke {count} tickets in one call: {text}");
                log(NoteLevel::Warning, &format!("{note}; revoking them one by one"));
                Ok(each(named, |_| JobEnd::Apart(text.clone())))
            }
            Task::Look(named, None) => Ok(looked(named, finished)),
            Task::Look(named, Some(_)) => {
                let ends = self.check(named, finished);
                note_together(ends.iter().filter(|(_, end)| *end == JobEnd::Done).count());
                Ok(ends)
            }
            Task::Lines { places, looks } => Ok(lines(&places, looks, finished)),
        }
    }

    /// Whether revokes that reported success have worked.
    fn check(&mut self, named: Named, finished: &Finished) -> PlaceEnds {
        let mut known = true;
        let ends: PlaceEnds = looked(named, finished)
            .into_iter()
            .map(|(place, end)| match end {
                JobEnd::Looked(CibLoad::Loaded(ticket)) if ticket.granted => {
                    known = false;
                    let text = "it was reported as revoked, but is still granted; may this user \
                                change the CIB?";
                    (place, JobEnd::Failed(text.to_owned()))
                }
                JobEnd::Looked(CibLoad::Loaded(_)) => (place, JobEnd::Done),
                _ => {
                    known = false;
                    (place, JobEnd::Done)
                }
            })
            .collect();
        *if ends.len() > 1 { &mut self.trusts_many } else { &mut self.trusts_one } = known;
        ends
    }

    /// When [`Tools::collect`] or [`Tools::descriptors`] has something to do without being woken.
    pub(super) fn next_deadline(&self, now: MonoTime) -> Option<MonoTime> {
        let until = |running: &Tool| match running.task {
            Task::Look(_, until) => until,
            _ => None,
        };
        let silent = self.children().map(|child| child.listened_to_at).filter(|at| *at > now);
        self.jobs.values().filter_map(until).chain(silent).min()
    }

    /// Whether there are jobs that run.
    pub(super) fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether an end can only be seen by looking now and then.
    pub(super) fn needs_looks(&self) -> bool {
        self.children().any(Child::needs_looks)
    }

    /// Which descriptors tell at `now` that something has happened.
    pub(super) fn descriptors(&self, now: MonoTime) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.children().flat_map(move |child| child.descriptors(now))
    }

    fn children(&self) -> impl Iterator<Item = &Child> {
        self.jobs.values().map(|running| &running.child).chain(&self.leaving)
    }
}

/// The tickets that a job is about.
fn places_of(work: &Work) -> Vec<Place> {
    match work {
        Work::Change(changes) => changes.iter().map(|(place, _)| *place).collect(),
        Work::Look(places) => places.clone(),
    }
}

fn spawn(
    command: &mut Command,
    start_before: Option<MonoTime>,
    output: usize,
) -> io::Result<Child> {
    let dies_with = Some(std::process::id());
    let before = BeforeExec { dies_with, start_before };
    let child = Child::spawn(command, before, output)?.ends_alone();
    Ok(if output == CHATTER_MAX { child.says_little(clock::mono()) } else { child })
}

fn each(named: Named, end: impl Fn(&TicketName) -> JobEnd) -> PlaceEnds {
    named.into_iter().map(|(place, name)| (place, end(&name))).collect()
}

fn note_together(count: usize) {
    if count > 1 {
        log(NoteLevel::Info, &format!("{count} tickets were written as not granted with one call"));
    }
}

/// What the CIB says of each ticket.
fn looked(named: Named, finished: &Finished) -> PlaceEnds {
    if let [(place, name)] = &named[..] {
        return vec![(*place, JobEnd::Looked(read_one(finished, name)))];
    }
    let all = if finished.status.code().is_some_and(pacemaker::is_absent) {
        Ok(BTreeMap::new())
    } else {
        let answer = finished.answer(ANSWERS_MAX);
        answer.and_then(|answer| pacemaker::read_all(&answer).map_err(|error| error.to_string()))
    };
    each(named, |name| {
        JobEnd::Looked(match &all {
            Ok(all) => match all.get(name.as_str()) {
                None => CibLoad::Absent,
                Some(Ok(ticket)) => CibLoad::Loaded(ticket.clone()),
                Some(Err(error)) => CibLoad::Failed(error.to_string()),
            },
            Err(text) => CibLoad::Failed(text.clone()),
        })
    })
}

/// What the helper of the built-in store says of each ticket.
fn lines(places: &[Place], looks: bool, finished: &Finished) -> PlaceEnds {
    let mut answers = builtin::answers(&finished.output).into_iter();
    let killed = finished.was_killed();
    let why = finished.why();
    let mut ends = Vec::new();
    for place in places {
        let end = match answers.next().flatten() {
            Some(end) => end,
            None if killed => JobEnd::Killed,
            None if looks => JobEnd::Looked(CibLoad::Failed(why.clone())),
            None => JobEnd::Failed(why.clone()),
        };
        ends.push((*place, end));
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MemberId;

    #[test]
    fn a_look_that_is_not_waited_for_leaves_nothing_behind() {
        let setup = Setup {
            store: TicketStore::Pacemaker,
            config_name: "booth".to_owned(),
            site: MemberId::from_raw(1),
            guard: Span::from_secs(1),
            replaces: false,
        };
        let dir = std::fs::File::open("/").expect("opened");
        let mut tools = Tools::new(setup, PathBuf::from("/nonexistent"), Label::new(&dir));
        let named = vec![(Place(0), TicketName::new("t").expect("good"))];
        let mut command = Command::new("sleep");
        command.arg("60");
        let child = spawn(&mut command, None, ANSWER_MAX).expect("started");
        let pid = child.id();
        let task = Task::Look(named, Some(clock::mono()));
        tools.jobs.insert(JobId(0), Tool { child, task });
        let mut ends = Ends::new();
        for _ in 0..100 {
            tools.collect(&mut ends);
            let descriptors: Vec<_> = tools.descriptors(clock::mono()).collect();
            if descriptors.is_empty() && !ends.is_empty() {
                break;
            }
            let limit = Some(Span::from_millis(100).as_duration());
            os::wait_readable(&descriptors, limit);
        }
        assert_eq!(ends, [(JobId(0), vec![(Place(0), JobEnd::Done)])]);
        assert!(!PathBuf::from(format!("/proc/{pid}")).exists(), "it is not collected");
    }

    /// Of many tickets, too, one that cannot be understood is none that is not there.
    #[test]
    fn a_ticket_that_cannot_be_understood_is_not_absent() {
        let xml = "<tickets><ticket_state id=\"t0\" granted=\"maybe\"/></tickets>";
        let (status, output) = (std::process::ExitStatus::default(), xml.as_bytes().to_vec());
        let finished = Finished { status, output, cut: false, errors: Vec::new() };
        let name = |n| (Place(n), TicketName::new(&format!("t{n}")).expect("a good name"));
        let ends = looked(vec![name(0), name(1)], &finished);
        let JobEnd::Looked(CibLoad::Failed(text)) = &ends[0].1 else { panic!("{ends:?}") };
        assert!(text.contains("maybe"), "{text}");
        assert_eq!(ends[1].1, JobEnd::Looked(CibLoad::Absent));
    }
}
