// SPDX-License-Identifier: GPL-2.0-or-later
//! The keeper of each machine: the very machine that ships (`src/core/keeper`) decides what changes
//! the ticket store and when; the processes that it starts run in the model. It goes on when boothd
//! ends or is stopped, and dies with its machine.

use super::choice::Kind;
use super::clock::{True, MILLI, SECOND};
use super::store::{By, Entry, Report, Task};
use super::world::{Happening, World};
use booth_core::engine::{CibLoad, CibState, Event, HoldWindow, NoteLevel, StoreWish};
use booth_core::keeper::{
    Answer, Change, Grant, Input, JobEnd, JobId, Keeper, Kept, Output, Place, StoreKind, Values,
    Word, Work,
};
use booth_core::model::{Holder, TicketIndex, TicketSpec};
use booth_core::time::{MonoTime, WallTime};

/// What a job's end says of each place, once that is known.
pub type Ends = Vec<(Place, JobEnd)>;

/// The keeper of one machine.
#[derive(Debug)]
pub struct Warden {
    /// What decides.
    pub machine: Keeper,
    /// Its number; never used twice at a site.
    pub number: u32,
    /// The life of boothd that it listens to; `None`: to nobody.
    life: Option<u32>,
    /// When the last boothd left it.
    left_at: True,
    /// When the world will look at its deadlines next.
    wake_at: True,
    /// Per ticket, what that life wished last.
    wishes: Vec<Option<CibState>>,
    /// Revokes that it has killed: of which ticket, when, and when it hears that they have ended.
    pub lingering: Vec<(usize, True, True)>,
    /// It is stopped; this waits for it.
    pub stopped: Option<Vec<Input>>,
}

impl Warden {
    /// A keeper that listens to nobody, with nothing on its way.
    fn new(site: Holder, number: u32, quiet_at: MonoTime, tickets: usize) -> Warden {
        Warden {
            machine: Keeper::new(site, StoreKind::Cib, quiet_at),
            number,
            life: None,
            left_at: 0,
            wake_at: u64::MAX,
            wishes: vec![None; tickets],
            lingering: Vec::new(),
            stopped: None,
        }
    }

    /// The life of boothd for which a change is made; `None`: the keeper's own.
    fn wished_by(&self, ticket: usize, granted: bool, values: &Values) -> Option<u32> {
        let same = |wish: &CibState| {
            (wish.granted, wish.owner, wish.term) == (granted, values.owner, values.term)
        };
        self.life.filter(|_| self.wishes[ticket].as_ref().is_some_and(same))
    }
}

impl World {
    /// Unless all machines have just been started, boothd of each site has run.
    pub fn keepers_of_before(&mut self) {
        let fresh = self.plan.worlds.fresh;
        for site in self.plan.sites().filter(|_| !fresh).collect::<Vec<_>>() {
            self.keeper_of_before(site);
        }
    }

    /// The keeper of a machine on which boothd of this site has run, and has left nothing on its
    /// way.
    fn keeper_of_before(&mut self, site: usize) {
        if self.sites[site].keepers[0].is_none() {
            self.keeper_starts(site, 0, MonoTime::ZERO);
        }
    }

    /// A keeper starts that knows nothing of what may be under way until then.
    pub fn keeper_starts(&mut self, site: usize, machine: usize, quiet_at: MonoTime) {
        self.sites[site].last_keeper += 1;
        let (number, tickets) = (self.sites[site].last_keeper, self.plan.tickets.len());
        let me = Holder::Member(self.ids[site]);
        self.sites[site].keepers[machine] = Some(Warden::new(me, number, quiet_at, tickets));
    }

    /// The last boothd before the beginning has told its keeper this.
    pub fn keeper_told_before(&mut self, site: usize, words: Vec<Word>) {
        self.keeper_of_before(site);
        let kept = |ticket: usize| Kept {
            name: self.plan.tickets[ticket].name.clone(),
            guard: self.spec(site, ticket).guard(),
        };
        let all = (0..self.plan.tickets.len()).map(kept).collect();
        self.keeper_step(site, 0, Input::TakeOver(all));
        for word in words {
            self.keeper_step(site, 0, Input::Said(word));
        }
    }

    /// A boothd has started: it takes over the keeper of its machine, or starts one. That one
    /// knows nothing of what may be under way.
    pub fn keeper_takes_over(&mut self, n: usize) {
        if self.faithful(n) || !self.nodes[n].site {
            return;
        }
        let machine = self.nodes[n].machine;
        if self.sites[n].keepers[machine].is_none() {
            self.coverage.note("process: starts on a machine that knows nothing of it");
            self.keeper_starts(n, machine, self.keeper_quiet_at(n));
        } else {
            self.coverage.note("keeper: is taken over");
            for ticket in 0..self.plan.tickets.len() {
                let until = self.keeper_watches(n, machine, ticket);
                let until = until.map(|window| self.nodes[n].clock().when(window.lease_until));
                self.nodes[n].heirs[ticket] = until;
            }
        }
        self.keeper_has_boothd(n);
    }

    /// When nothing that may be under way at a site can take effect any more.
    pub fn keeper_quiet_at(&self, n: usize) -> MonoTime {
        let longest = self.specs(n).iter().map(|spec| spec.guard()).max().unwrap_or_default();
        self.nodes[n].clock().mono(self.now).plus(longest).plus(longest.divided(100))
    }

    /// A boothd names its tickets to the keeper of its machine.
    pub fn keeper_has_boothd(&mut self, n: usize) {
        let (machine, life) = (self.nodes[n].machine, self.nodes[n].life);
        let kept = |spec: &TicketSpec| Kept { name: spec.name.clone(), guard: spec.guard() };
        let kept: Vec<Kept> = self.specs(n).iter().map(kept).collect();
        if let Some(warden) = &mut self.sites[n].keepers[machine] {
            warden.life = Some(life);
            warden.wishes.fill(None);
        }
        self.keeper_step(n, machine, Input::TakeOver(kept));
    }

    /// A boothd has ended: its keeper goes on by itself.
    pub fn keeper_is_left(&mut self, n: usize) {
        let (machine, now) = (self.nodes[n].machine, self.now);
        let Some(warden) = &mut self.sites[n].keepers[machine] else { return };
        let listened = warden.life.is_some();
        (warden.life, warden.left_at) = (None, now);
        warden.wishes.fill(None);
        if listened {
            self.keeper_step(n, machine, Input::Left);
        }
        self.keeper_plan(n, machine);
    }

    /// A boothd says something to its keeper, and remembers what another one would have to know.
    pub fn keeper_hears(&mut self, n: usize, word: Word) {
        let now = self.nodes[n].clock().now(self.now);
        self.nodes[n].told[word.ticket().get()].say(&word, now);
        self.keeper_said(n, word);
    }

    /// What a boothd says reaches its keeper, if that lives.
    pub fn keeper_said(&mut self, n: usize, word: Word) {
        let (machine, life) = (self.nodes[n].machine, self.nodes[n].life);
        let Some(warden) = &mut self.sites[n].keepers[machine] else { return };
        if warden.life != Some(life) {
            return;
        }
        if let Word::Write { ticket, state, .. } = &word {
            warden.wishes[ticket.get()] = Some(*state);
        }
        let told = match &word {
            Word::Hold { ticket, window: Some(window), .. } => Some((ticket.get(), *window)),
            _ => None,
        };
        let hears = warden.stopped.is_none() && !self.no_guard;
        self.keeper_step(n, machine, Input::Said(word));
        if let (Some((ticket, window)), true) = (told, hears) {
            let at = self.nodes[n].clock().when(window.hold_until).max(self.now);
            self.told_again(n, ticket, at, 0);
        }
    }

    /// A deadline of a keeper has come.
    pub fn keeper_tick(&mut self, site: usize, machine: usize, number: u32) {
        let Some(warden) = &mut self.sites[site].keepers[machine] else { return };
        if warden.number != number {
            return;
        }
        if warden.wake_at <= self.now {
            warden.wake_at = u64::MAX;
        }
        self.keeper_step(site, machine, Input::Tick);
    }

    /// A job of a keeper has ended, and it knows.
    pub fn keeper_job_over(&mut self, site: usize, (machine, number): (usize, u32), end: Over) {
        let warden = self.sites[site].keepers[machine].as_ref();
        if warden.is_some_and(|warden| warden.number == number) {
            self.keeper_step(site, machine, Input::Ended(end.job, end.ends));
        }
    }

    /// A process of a keeper has ended by itself.
    pub fn keeper_done(
        &mut self,
        site: usize,
        (machine, ticket): (usize, usize),
        by: By,
        r: Report,
    ) {
        let By::Keeper { number, job, .. } = by else { return };
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        let Some(place) = self.place_of(warden, ticket) else { return };
        let end = match r {
            Report::Load(load) => JobEnd::Looked(load),
            Report::Done => JobEnd::Done,
            Report::Failed => JobEnd::Failed("model: exit code 1".into()),
        };
        self.keeper_job_over(site, (machine, number), Over { job, ends: vec![(place, end)] });
        if self.nodes[site].machine == machine {
            self.aim_at_store(site, ticket);
        }
    }

    fn place_of(&self, warden: &Warden, ticket: usize) -> Option<Place> {
        warden.machine.place(&self.plan.tickets[ticket].name)
    }

    /// The window whose end the keeper of a machine will see to.
    pub fn keeper_watches(&self, site: usize, machine: usize, ticket: usize) -> Option<HoldWindow> {
        let warden = self.sites[site].keepers[machine].as_ref()?;
        warden.machine.watched(self.place_of(warden, ticket)?)
    }

    /// Whether the keeper of a member's machine knows of the grant in its store, so that the next
    /// boothd there need not believe a wall clock.
    pub fn keeper_knows(&self, n: usize, ticket: usize) -> bool {
        let machine = self.nodes[n].machine;
        let Some(site) = self.sites.get(n) else { return false };
        let Some(warden) = &site.keepers[machine] else { return false };
        let before = warden.machine.before(TicketIndex::new(ticket));
        let known = (before.grant, before.window, site.entries[ticket]);
        let (Some(grant), Some(_), Some(entry)) = known else { return false };
        let stored = Grant { term: entry.term, expires: entry.expires.as_secs() };
        warden.stopped.is_none() && site.written_on[ticket] == machine && stored <= grant
    }

    /// How long it takes until what the keeper of a site's machine has begun is over, if nothing
    /// else happens.
    pub fn keeper_quiet_in(&self, site: usize) -> True {
        let machine = self.nodes[site].machine;
        let warden = self.sites[site].keepers[machine].as_ref();
        let at = warden.and_then(|warden| warden.machine.settles_at());
        at.map_or(0, |at| self.nodes[site].clocks[machine].when(at).saturating_sub(self.now))
    }

    /// Something happens to a keeper; all that follows from it is done.
    pub fn keeper_step(&mut self, site: usize, machine: usize, input: Input) {
        if self.no_guard && !self.nodes[site].runs() {
            return;
        }
        let now = self.nodes[site].clocks[machine].now(self.now);
        let mut out = Vec::new();
        let Some(warden) = &mut self.sites[site].keepers[machine] else { return };
        if let Some(waiting) = &mut warden.stopped {
            return waiting.push(input);
        }
        let done =
            matches!(&input, Input::Ended(_, ends) if ends.iter().any(|e| e.1 == JobEnd::Done));
        warden.machine.step(now, input, &mut out);
        // It has found something newer, which the attempts that run must not take back.
        let retires = |output: &Output| matches!(output, Output::Note(NoteLevel::Info, ..));
        let done = done || out.iter().any(retires);
        let number = warden.number;
        for output in out {
            let warden = self.sites[site].keepers[machine].as_ref();
            if warden.is_none_or(|warden| warden.number != number) {
                return;
            }
            match output {
                Output::Start(job, work) => self.keeper_starts_job(site, machine, job, work),
                Output::Kill(job) => self.keeper_kills(site, machine, job, done),
                Output::Say(answer) => self.keeper_says(site, machine, answer),
                Output::Tell(word) => self.keeper_tells(site, machine, word),
                Output::Note(level, place, text) => {
                    if level == NoteLevel::Info {
                        self.coverage.note("guard: retires");
                    }
                    self.trace(|w| format!("{} keeper {number}: {place:?} {text}", w.name(site)));
                }
            }
        }
        self.keeper_plan(site, machine);
    }

    /// Plans the next look at a keeper; one that nobody needs goes.
    fn keeper_plan(&mut self, site: usize, machine: usize) {
        let clock = self.nodes[site].clocks[machine];
        let guards = self.specs(site).iter().map(|spec| spec.guard().as_micros());
        let longest = guards.max().unwrap_or(SECOND) * 101 / 100;
        let now = self.now;
        let Some(warden) = &mut self.sites[site].keepers[machine] else { return };
        if warden.stopped.is_some() {
            return;
        }
        let stays_until = warden.left_at + longest;
        let mut next = warden.machine.next_deadline().map(|at| clock.when(at));
        if warden.life.is_none() {
            let needed = warden.machine.is_needed(clock.mono(now));
            if !needed && now >= stays_until {
                let number = warden.number;
                self.sites[site].keepers[machine] = None;
                self.coverage.note("keeper: goes when it is not needed");
                self.trace(|w| format!("{} keeper {number} goes", w.name(site)));
                return;
            }
            let settles = warden.machine.settles_at().map(|at| clock.when(at));
            let later = [Some(stays_until), settles].into_iter().flatten();
            next = next.into_iter().chain(later.filter(|at| *at > now)).min();
        }
        let Some(next) = next else { return };
        let at = next.max(now);
        if at < warden.wake_at {
            warden.wake_at = at;
            let number = warden.number;
            self.future.plan(at, Happening::KeeperTick { site, machine, number });
        }
    }

    fn keeper_starts_job(&mut self, site: usize, machine: usize, job: JobId, work: Work) {
        let mut parts: Vec<(Place, Option<Change>)> = match work {
            Work::Change(changes) => changes.into_iter().map(|(p, c)| (p, Some(c))).collect(),
            Work::Look(places) => places.into_iter().map(|place| (place, None)).collect(),
        };
        assert_eq!(parts.len(), 1, "so few tickets need no job for many");
        let Some((place, change)) = parts.pop() else { return };
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        let number = warden.number;
        let name = warden.machine.name(place);
        let Some(ticket) = self.plan.tickets.iter().position(|spec| spec.name == *name) else {
            return;
        };
        let entry = |granted, values: &Values| {
            let (owner, term) = (values.owner, values.term);
            Entry { granted, owner, term, expires: WallTime::from_secs(values.expires) }
        };
        let window = warden.machine.watched(place);
        let mut life = warden.life;
        let mono = self.nodes[site].clocks[machine].mono(self.now);
        self.check_keeper_starts(site, (machine, ticket), (change.as_ref(), window), mono);
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        let task = match change {
            None => Task::Load,
            Some(Change::Attr(change)) => Task::Attr(change),
            Some(Change::Grant { values, start_before }) => {
                if start_before.is_some_and(|before| mono >= before) {
                    let over = Over { job, ends: vec![(place, JobEnd::TooLate)] };
                    self.keeper_job_ends(self.now, site, (machine, number), over);
                    return;
                }
                life = warden.wished_by(ticket, true, &values);
                Task::Write(entry(true, &values))
            }
            Some(Change::Revoke(values)) => {
                life = warden.wished_by(ticket, false, &values);
                if life.is_none() {
                    self.coverage.note("guard: revokes");
                }
                Task::Write(entry(false, &values))
            }
        };
        let writes = matches!(task, Task::Write(_)) && life.is_some();
        self.spawn(site, machine, ticket, By::Keeper { number, job, life }, task);
        if writes {
            self.aim_at_store(site, ticket);
        }
    }

    fn keeper_job_ends(&mut self, at: True, site: usize, keeper: (usize, u32), over: Over) {
        let over = Box::new(over);
        self.future.plan(at, Happening::KeeperJob { site, keeper, over });
    }

    /// A job is killed; the keeper hears of the end a little later, rarely (a process that the
    /// kernel cannot end for a while) later than it waits for.
    fn keeper_kills(&mut self, site: usize, machine: usize, job: JobId, done: bool) {
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        let number = warden.number;
        let of_it =
            |by: By| matches!(by, By::Keeper { number: n, job: j, .. } if (n, j) == (number, job));
        let here = self.sites[site].children.iter().filter(|child| child.machine == machine);
        let child = here.rev().find(|child| of_it(child.by) && !child.killed);
        let Some((child, ticket)) = child.map(|child| (child.id, child.ticket)) else { return };
        let place = self.place_of(warden, ticket);
        let revokes = self.check_keeper_kills(site, number, child, done);
        self.child_kill(site, child);
        let mut late = self.choices.jitter(site, 3, 0, 5 * MILLI);
        let ppm = if self.faulty(site) { self.plan.store.fault_ppm / 8 } else { 0 };
        if let Some(mut dice) = self.choices.fault(Kind::Store, site, 31, ppm) {
            self.coverage.note("keeper: a killed process is there for long");
            late = dice.between(SECOND, 3 * SECOND);
        }
        let now = self.now;
        if let Some(warden) = self.sites[site].keepers[machine].as_mut().filter(|_| revokes) {
            warden.lingering.retain(|(_, _, until)| *until > now);
            warden.lingering.push((ticket, now, now + late));
        }
        let ends = place.map(|place| (place, JobEnd::Killed)).into_iter().collect();
        self.keeper_job_ends(self.now + late, site, (machine, number), Over { job, ends });
    }

    fn keeper_says(&mut self, site: usize, machine: usize, answer: Answer) {
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        let node = &self.nodes[site];
        if warden.life == Some(node.life) && node.machine == machine && node.engine.is_some() {
            self.keeper_answer(site, answer);
        }
    }

    /// A keeper that is taken over says what it was told: before its boothd begins.
    fn keeper_tells(&mut self, site: usize, machine: usize, word: Word) {
        let Some(warden) = &self.sites[site].keepers[machine] else { return };
        let node = &mut self.nodes[site];
        if warden.life == Some(node.life) && node.machine == machine {
            node.told[word.ticket().get()].inherit(word);
        }
    }

    /// What the keeper has said reaches the shell of its boothd.
    pub fn exec_answered(&mut self, n: usize, answer: Answer) {
        let now = self.nodes[n].clock().now(self.now);
        let node = &mut self.nodes[n];
        let told = &mut node.told[answer.ticket().get()];
        if !told.hear(&answer, now) {
            return;
        }
        let (read, ready) = (&mut node.reads[answer.ticket().get()], told.before().is_some());
        let waiting = if ready { read.waiting.take() } else { None };
        match answer {
            Answer::Written { ticket, serial, outcome } => {
                self.report(n, Event::CibWritten { ticket, serial, outcome });
            }
            Answer::AttrWritten { ticket, serial, outcome } => {
                self.report(n, Event::AttrWritten { ticket, serial, outcome });
            }
            Answer::Quiet { .. } => {}
        }
        if let Some(wish) = waiting {
            self.exec_slots(n, wish);
        }
    }

    /// A wish of the engine that is for the keeper.
    pub fn exec_to_keeper(&mut self, n: usize, wish: StoreWish) {
        let word = match wish {
            StoreWish::Hold { ticket, window, term } => Word::Hold { ticket, window, term },
            StoreWish::WriteCib { ticket, serial, state } => {
                self.exec_end_read(n, ticket);
                Word::Write { ticket, serial, state }
            }
            StoreWish::WriteAttr { ticket, serial, change, limit } => {
                Word::Attr { ticket, serial, change, limit }
            }
        };
        self.keeper_hears(n, word);
    }

    /// A read that is wanted while a change is wished is not worth anything.
    fn exec_end_read(&mut self, n: usize, ticket: TicketIndex) {
        let read = &mut self.nodes[n].reads[ticket.get()];
        if read.waiting.take().is_some() {
            let outcome = CibLoad::Failed("ended".into());
            self.report(n, Event::CibLoaded { ticket, outcome });
        } else if let Some(id) = read.running {
            let by = By::Daemon(self.nodes[n].life, id);
            let child = self.sites[n].children.iter().find(|c| c.by == by && !c.killed);
            if let Some(child) = child.map(|child| child.id) {
                self.child_kill(n, child);
            }
            let load = CibLoad::Failed("ended".into());
            self.exec_finished(n, id, booth_core::slots::JobEnd::Loaded(load));
        }
    }
}

/// The end of a keeper's job.
#[derive(Debug)]
pub struct Over {
    /// Which.
    pub job: JobId,
    /// How, for each ticket.
    pub ends: Ends,
}
