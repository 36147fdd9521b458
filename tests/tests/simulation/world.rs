//! A member, its disks, its clients and its clock, moved by one thread from one seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metastore_core::domain::Fault;
use metastore_core::domain::member::Member as ClusterMember;
use metastore_core::raft::LogStore;
use metastore_core::raft::log_memory::MemoryLog;
use metastore_core::replica::{FIRST_BASE, Input, Outputs, bootstrap};
use metastore_core::store::Store;
use metastore_core::store::memory::MemoryEngine;

use crate::dice::Dice;
use crate::disk::{Ledger, Point, Power};
use crate::finding::{Finding, Verdict, require, same};
use crate::judges::answers::Answers;
use crate::judges::history::History;
use crate::judges::leases::LeaseTimes;
use crate::judges::reads::{self, LinearReads};
use crate::judges::stamps::Stamps;
use crate::judges::state;
use crate::judges::watches::Stream;
use crate::member::{MEMBER, Machine, Member};
use crate::run::Plan;
use crate::trace::Trace;
use crate::workload::Known;

/// A turn that brings nothing new must come before this many.
const TURNS_MAX: usize = 100;

/// When a crash came: where the power failed, and whether the member was still replaying.
pub(crate) type Crashes = BTreeMap<(Option<Point>, bool), usize>;

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) trace: Trace,
    /// On the monotonic clock.
    pub(crate) now_ms: i64,
    pub(crate) machine: Machine,
    /// `None` while it is down.
    pub(crate) member: Option<Member>,
    pub(crate) history: History,
    pub(crate) answers: Answers,
    pub(crate) linear: LinearReads,
    pub(crate) leases: LeaseTimes,
    pub(crate) stamps: Stamps,
    /// Watches by the number that the hub gave them.
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) crashes: Crashes,
    proposals: u64,
    crowd: usize,
    /// Whether the power may still fail, and streams lose events.
    pub(crate) is_stormy: bool,
    pub(crate) plan: Plan,
    is_serving: bool,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let engine = Arc::new(MemoryEngine::default());
        let first = ClusterMember { id: MEMBER, ..ClusterMember::default() };
        bootstrap(&Store::new(Arc::clone(&engine) as _), first).unwrap();
        let ledger = Ledger::default();
        let log = MemoryLog::starting_at(FIRST_BASE.index, FIRST_BASE.term);
        if plan == Plan::SkipLogSyncs {
            log.skip_syncs();
        }
        Self {
            dice: Dice::new(seed),
            trace: Trace::new(),
            now_ms: 1000,
            machine: Machine {
                log,
                engine,
                ledger: Arc::clone(&ledger),
                power: Arc::new(Power::default()),
            },
            member: None,
            history: History::new(ledger),
            answers: Answers::default(),
            linear: LinearReads::default(),
            leases: LeaseTimes::default(),
            stamps: Stamps::default(),
            streams: BTreeMap::new(),
            crashes: Crashes::new(),
            proposals: 0,
            // Large states are slow to compare: some seeds have one.
            crowd: if seed.is_multiple_of(20) { 800 } else { 0 },
            is_stormy: true,
            plan,
            is_serving: false,
        }
    }

    /// What clients know, as the model has it.
    pub(crate) fn known(&self) -> Known {
        let model = &self.history.model;
        Known {
            revision: model.revision(),
            compacted: model.compacted,
            is_alarmed: !model.alarms.is_empty(),
            number: self.proposals,
            crowd: self.crowd,
        }
    }

    pub(crate) fn next_proposal(&mut self) -> u64 {
        self.proposals += 1;
        self.proposals
    }

    /// Starts the member and replays; if the power fails meanwhile, it is down again.
    pub(crate) fn start(&mut self) -> Verdict {
        if self.is_stormy && self.dice.percent(20) {
            self.machine.power.fail_in(self.dice.below(8));
        }
        let boot = self.dice.roll();
        let keep_entries = self.dice.roll() % 20;
        // Often so little that the history of most changes is written ahead of them.
        let piece_bytes = self.dice.below(100);
        // It was down for a while, and somebody has set the time of day.
        let shift = self.dice.between(-30_000, 30_000);
        self.now_ms += shift.abs();
        let unix_ms = 1_700_000_000_000 + 120 * shift;
        let config = Member::config(boot, keep_entries, piece_bytes, unix_ms);
        let mut member = Member::open(&self.machine, config).map_err(unexpected)?;
        self.check_opened(&member)?;
        self.answers.restarted(MEMBER, boot);
        self.linear = LinearReads::default();
        self.stamps.run(&mut member, self.now_ms);
        let applied = member.replica.applied().index;
        self.trace.line(format!("start boot {boot:x} applied {applied}"));
        self.is_serving = false;
        self.member = Some(member);
        self.turns(TURNS_MAX)?;
        if let Some(member) = &self.member {
            require(member.replica.is_recovered(), || "the member does not recover".into())?;
            self.leases.restarted(boot, self.now_ms);
            self.is_serving = true;
            self.check_recovered()?;
            self.resume_streams();
        }
        Ok(())
    }

    /// Gives the member everything that waits for it, and all the turns that it wants.
    pub(crate) fn pump(&mut self) -> Verdict {
        self.pump_for(TURNS_MAX)
    }

    /// The same with some turns only: what comes next overlaps with what is not done yet.
    pub(crate) fn pump_for(&mut self, turns: usize) -> Verdict {
        let Some(member) = &mut self.member else { return Ok(()) };
        let mut inputs = Vec::new();
        member.inbox.take(&mut inputs, Duration::ZERO);
        self.stamps.run(member, self.now_ms);
        let mut outputs = Outputs::default();
        for input in inputs {
            if let Err(fault) = member.replica.step(input, &mut outputs) {
                return self.fail(fault);
            }
        }
        self.take(outputs)?;
        self.turns(turns)
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, by_ms: i64) -> Verdict {
        self.now_ms += by_ms;
        let Some(member) = &mut self.member else { return Ok(()) };
        self.stamps.run(member, self.now_ms);
        let mut outputs = Outputs::default();
        member.replica.tick(&mut outputs);
        self.trace.line(format!("tick {}", self.now_ms));
        self.take(outputs)
    }

    /// Makes what is applied durable, and lets go of what that makes superfluous.
    pub(crate) fn settle(&mut self) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        let synced = match self.plan {
            Plan::SkipStoreSyncs => Ok(member.applied()),
            Plan::Honest | Plan::SkipLogSyncs => member.sync(),
        };
        match synced {
            Ok((index, compacted)) => {
                if compacted > 0 {
                    member.release_history(compacted);
                }
                self.trace.line(format!("durable {index}, released {compacted}"));
                member.inbox.put(Input::Durable { index }).map_err(|it| Finding(it.to_string()))
            }
            Err(fault) => self.fail(fault),
        }
    }

    /// The power fails now, wherever the member is.
    pub(crate) fn crash(&mut self) -> Verdict {
        let point = self.machine.power.restore();
        *self.crashes.entry((point, !self.is_serving)).or_default() += 1;
        self.member = None;
        let kept_log = self.dice.below(self.machine.log.unsynced() + 1);
        let kept_rows = self.dice.below(self.machine.engine.unsynced() + 1);
        self.machine.log.crash(kept_log);
        self.machine.engine.crash(kept_rows);
        self.trace.line(format!("crash at {point:?}, kept {kept_log} {kept_rows}"));
        let left = self.machine.log.load().map_err(unexpected)?;
        self.history.crashed(&left)
    }

    fn turns(&mut self, most: usize) -> Verdict {
        for _ in 0..most {
            match self.turn() {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Ok(()),
                Ok(Err(fault)) => return self.fail(fault),
                Err(finding) => return Err(finding),
            }
        }
        require(most < TURNS_MAX, || "the member turns for ever".into())
    }

    /// What one group came to is told while the next one's sync is under way, as the server does.
    fn turn(&mut self) -> Verdict<Result<bool, Fault>> {
        let Some(member) = &mut self.member else { return Ok(Ok(false)) };
        let mut outputs = Outputs::default();
        let began = match member.replica.begin() {
            Ok(began) => began,
            Err(fault) => return Ok(Err(fault)),
        };
        let applied = member.replica.apply_committed(&mut outputs);
        let announced = outputs.compacted.take();
        // What came out before a fault may have left the member already.
        if applied.is_ok() || self.dice.percent(50) {
            self.take(outputs)?;
        }
        if applied.is_ok() {
            self.check_announced(announced)?;
        }
        let Some(member) = &mut self.member else { return Ok(Ok(false)) };
        let mut outputs = Outputs::default();
        let finished = applied.and_then(|applied| {
            member.replica.finish(&mut outputs)?;
            Ok(began || applied)
        });
        self.take(outputs)?;
        self.check_linear()?;
        self.check_ages()?;
        Ok(finished)
    }

    /// A fault is a crash if the power failed, and a finding if not.
    fn fail(&mut self, fault: Fault) -> Verdict {
        if self.machine.power.has_failed() { self.crash() } else { Err(unexpected(fault)) }
    }

    /// Judges what a step said.
    fn take(&mut self, outputs: Outputs) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        let index = member.replica.applied().index;
        self.advance(index)?;
        let Some(member) = &mut self.member else { return Ok(()) };
        for seen in member.probe.take() {
            reads::check_seen(&seen, &self.history.model)?;
            self.trace.line(format!("seen {} by {:?}", seen.revision, seen.query.range));
        }
        let ours = |counter| metastore_core::replica::propose::thread_of(counter) == 0;
        for answer in outputs.answers.iter().filter(|answer| ours(answer.counter)) {
            self.answers.answered(answer, &self.history)?;
            self.trace.line(format!("{answer:?}"));
        }
        for context in outputs.reads {
            self.linear.released(context, member.board.revision())?;
            self.trace.line(format!("read {context}"));
        }
        member.published.extend(outputs.events);
        Ok(())
    }

    /// When the member says that its rows are what a linearizable read may show, they are: also
    /// while it replays.
    fn check_linear(&self) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        if member.board.reads_are_linear() {
            reads::check_fresh(member.board.revision(), self.answers.newest())?;
        }
        Ok(())
    }

    /// While it replays it does not know all marks yet, and is not asked.
    fn check_ages(&self) -> Verdict {
        let Some(member) = self.member.as_ref().filter(|_| self.is_serving) else { return Ok(()) };
        self.stamps.check_ages(&self.history.marks, member.board.steady_ms(), self.now_ms)
    }

    fn check_announced(&self, compacted: Option<i64>) -> Verdict {
        let known = self.history.model.compacted;
        same("the compaction announced", &compacted.unwrap_or(known), &known)
    }

    /// The entries up to `index` are applied.
    fn advance(&mut self, index: u64) -> Verdict {
        let boot = self.member.as_ref().map_or(0, |member| member.boot);
        for decided in self.history.advance(index)? {
            self.leases.decided(&decided, boot, (self.now_ms, self.stamps.newest()))?;
            self.stamps.decided(&decided, &self.history.marks);
            self.trace.line(format!("{decided:?}"));
        }
        Ok(())
    }

    /// Rows that a crash has left are those of some moment.
    fn check_opened(&mut self, member: &Member) -> Verdict {
        let index = member.replica.applied().index;
        // The member may have died before it could tell what it applied.
        self.advance(index)?;
        let revision = member.replica.machine().revision;
        let wanted = self.history.revision_at(index);
        same(&format!("the revision at index {index}"), &Some(revision), &wanted)
    }

    fn check_recovered(&mut self) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        let applied = member.replica.applied().index;
        same("the applied index after recovery", &applied, &self.history.applied)?;
        self.answers.check_kept(&self.history)?;
        let known = self.history.model.revision();
        let sample = [self.dice.between(0, known), self.dice.between(0, known), known];
        state::check_machine(member.replica.machine(), &self.history)?;
        state::check_rows(&member.reader, &self.history, sample.into_iter())
    }

    /// Every watch asks for what it has not got.
    fn resume_streams(&mut self) {
        let Some(member) = &mut self.member else { return };
        let streams = std::mem::take(&mut self.streams).into_values();
        let again = |stream: Stream| (member.hub.watch(stream.spec.clone(), stream.next).0, stream);
        self.streams = streams.map(again).collect();
    }
}

fn unexpected(fault: Fault) -> Finding {
    Finding(format!("the member stops: {fault}"))
}
