//! One member at work, synchronous: proposals in, answers and events out.
//!
//! [`Replica`] is stepped by one thread (`server/member.rs`) or by the simulator. What other
//! threads may see of it is on the [`Board`]; they read rows through [`Reader`].

pub mod apply;
pub mod board;
pub mod inbox;
pub mod lease_keeper;
pub mod propose;
pub mod quota;
pub mod read;
mod steady_time;
pub mod watch_hub;

pub use apply::{Answer, EventBatch, Outcome, Outputs, Unavailable};
pub use board::{Board, Operation, Phase, Role};
pub use inbox::{Inbox, Input};
pub use lease_keeper::LeaseKeeper;
pub use propose::Stamp;
pub use quota::{DiskShare, Quota};
pub use read::{Answered, Reader, Unreadable};

use std::collections::HashMap;
use std::sync::Arc;

use steady_time::SteadyTime;

use crate::domain::{Command, Fault, Machine};
use crate::raft::driver::sole_voter;
use crate::raft::{Committed, Driver, DriverConfig, LogStore};
use crate::store::{Applied, Batch, Store};

/// The index of the entry before the first one: a log never starts at 1.
pub const FIRST_BASE: Applied = Applied { index: 1, term: 1 };

/// Expired leases that one tick proposes to revoke: at two ticks of expiry a second, etcd's
/// thousand a second.
const REVOKES_MAX: usize = 500;
const EXPIRY_INTERVAL_MS: i64 = 500;
/// Reads that wait for an index; without a leader they may wait long.
const READS_MAX: usize = 10_000;

/// What a replica is told once.
#[derive(Debug, Clone, Copy)]
pub struct ReplicaConfig {
    pub member: u64,
    pub boot: u64,
    pub election_ticks: usize,
    pub election_timeout_ms: i64,
    /// The time of day: with it the time of a new store begins.
    pub unix_ms: i64,
    /// Log entries kept behind what is durable.
    pub keep_entries: u64,
    /// History of one change that is more than this is written ahead of it, in pieces of this size.
    pub history_piece_bytes: usize,
}

/// One member's state machine and its consensus.
#[derive(Debug)]
pub struct Replica {
    config: ReplicaConfig,
    driver: Driver,
    store: Store,
    machine: Machine,
    applied: Applied,
    /// Committed and not applied yet: the next turn does that while its own sync is under way.
    committed: Vec<Committed>,
    batch: Batch,
    board: Arc<Board>,
    leases: Arc<LeaseKeeper>,
    /// Leases whose revocation is proposed and not applied yet, with the proposal's counter.
    revoking: HashMap<i64, u64>,
    expired_at: i64,
    /// Proposals of the replica itself; their answers interest nobody.
    own_proposals: u64,
    /// Reads that wait for an index: (context, index once it is known).
    reads: Vec<(u64, Option<u64>)>,
    /// The newest index that was committed when the log was opened.
    recovered: u64,
    /// Since it leads it has once applied everything that was committed.
    is_caught_up: bool,
    /// On the monotonic clock.
    now_ms: i64,
    time: SteadyTime,
}

/// Writes the first rows of a cluster whose one member is `first`.
pub fn bootstrap(store: &Store, first: crate::domain::member::Member) -> Result<(), Fault> {
    let mut machine = Machine::default();
    let mut batch = Batch::default();
    batch.set_configuration(&sole_voter(first.id));
    batch.stage(&crate::domain::Mutation::SetMember(first.clone()));
    machine.members.insert(first.id, first);
    batch.set_state(&machine, FIRST_BASE);
    store.initialise(&mut batch)
}

impl Replica {
    /// Opens the state machine and the log behind it. Nothing is replayed yet.
    pub fn open(
        config: ReplicaConfig,
        store: Store,
        log: Box<dyn LogStore>,
        board: Arc<Board>,
        leases: Arc<LeaseKeeper>,
    ) -> Result<Self, Fault> {
        let recovered = store.recover()?;
        let driver_config =
            DriverConfig { member: config.member, election_ticks: config.election_ticks };
        let applied = recovered.applied;
        let mut driver = Driver::open(driver_config, log, &recovered.configuration, applied.index)?;
        driver.campaign_if_alone();
        let newest_mark = recovered.machine.marks.points().last().map(|(at, _)| *at);
        // The loop ticks several times in an election timeout.
        let time = SteadyTime::open(newest_mark, config.unix_ms, config.election_timeout_ms);
        let replica = Self {
            config,
            recovered: driver.committed_at_open(),
            driver,
            store,
            machine: recovered.machine,
            applied,
            committed: Vec::new(),
            batch: Batch::default(),
            board,
            leases,
            revoking: HashMap::new(),
            expired_at: 0,
            own_proposals: 0,
            reads: Vec::new(),
            is_caught_up: false,
            now_ms: 0,
            time,
        };
        for (id, ttl) in replica.machine.leases.iter() {
            replica.leases.granted(id, ttl, 0);
        }
        replica.show();
        replica.show_time();
        Ok(replica)
    }

    /// Takes one input. A turn is: begin, apply what was committed before, finish. A proposal of a
    /// sole voter is committed by the next turn and applied by the one after it.
    pub fn step(&mut self, input: Input, outputs: &mut Outputs) -> Result<(), Fault> {
        match input {
            Input::Propose(proposal) => self.propose(&proposal, outputs),
            Input::Read { context } => {
                // Whoever finds no place gives up after the request timeout.
                if self.reads.len() < READS_MAX {
                    self.reads.push((context, None));
                }
            }
            Input::Durable { index } => {
                self.board.enter(Operation::LogTruncate);
                self.driver.truncate(index, self.config.keep_entries)?;
                self.board.leave();
            }
        }
        Ok(())
    }

    /// Tells the replica what time it is on the monotonic clock; before every run of steps.
    pub fn set_now(&mut self, monotonic_ms: i64) {
        self.now_ms = monotonic_ms;
        self.time.advance(monotonic_ms);
        self.show_time();
    }

    /// One tick of the consensus clock.
    pub fn tick(&mut self, outputs: &mut Outputs) {
        self.driver.tick();
        self.board.ticked(self.now_ms);
        // raft-rs drops a read that comes before the first commit of the term, in silence.
        self.ask_reads();
        if self.now_ms >= self.expired_at + EXPIRY_INTERVAL_MS {
            self.expired_at = self.now_ms;
            self.expire_leases(outputs);
        }
    }

    /// The first part of a turn: appends to the log all that waits, and begins to sync it if there is
    /// something to apply meanwhile.
    pub fn begin(&mut self) -> Result<bool, Fault> {
        if self.reads.iter().any(|(_, index)| index.is_none()) {
            self.ask_reads();
        }
        self.board.enter(Operation::LogAppend);
        let has_begun = self.driver.begin(!self.committed.is_empty())?;
        self.board.leave();
        Ok(has_begun)
    }

    /// The second part: applies and publishes what earlier turns committed.
    pub fn apply_committed(&mut self, outputs: &mut Outputs) -> Result<bool, Fault> {
        if self.committed.is_empty() {
            return Ok(false);
        }
        let entries = std::mem::take(&mut self.committed);
        self.apply(entries, outputs)?;
        Ok(true)
    }

    /// The third part: waits for the sync; what it committed is for the next turn.
    pub fn finish(&mut self, outputs: &mut Outputs) -> Result<(), Fault> {
        let board = Arc::clone(&self.board);
        // What is committed may have to be read back.
        board.enter(Operation::LogRead);
        let operation = |syncing| if syncing { Operation::LogSync } else { Operation::LogRead };
        let turn = self.driver.finish(&mut |syncing| board.enter(operation(syncing)))?;
        self.board.leave();
        if let Some(took_us) = turn.synced_us {
            self.board.show_sync(took_us);
            outputs.synced = true;
        }
        for (context, index) in turn.reads {
            self.reads_answered(context, index);
        }
        self.committed = turn.committed;
        self.driver.applied_to(self.applied.index);
        self.follow_role();
        self.show();
        self.release_reads(outputs);
        Ok(())
    }

    /// Entries applied, and entries that must be before anything is served.
    pub fn replay_progress(&self) -> (u64, u64) {
        (self.applied.index, self.recovered.max(self.driver.standing().commit))
    }

    /// Whether everything that was ever acknowledged is applied.
    pub fn is_recovered(&self) -> bool {
        let standing = self.driver.standing();
        let knows_commit = standing.leads_with_commit || !standing.is_sole_voter;
        knows_commit && self.applied.index >= self.recovered.max(standing.commit)
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    pub fn applied(&self) -> Applied {
        self.applied
    }

    fn propose(&mut self, proposal: &crate::raft::Proposal, outputs: &mut Outputs) {
        let payload = crate::raft::payload::encode(proposal);
        if let Err(refused) = self.driver.propose(payload) {
            self.not_revoked(proposal.id.counter);
            let outcome = Outcome::Unavailable(refused.into());
            outputs.answers.push(Answer { counter: proposal.id.counter, outcome });
        }
    }

    fn expire_leases(&mut self, outputs: &mut Outputs) {
        // Under the alarm CORRUPT a revocation is refused: it would be proposed again and again.
        let is_refused = self.machine.alarms.refuse_everything().is_err();
        if is_refused || !self.driver.standing().leads_with_commit {
            return;
        }
        for id in self.leases.expired(self.now_ms, REVOKES_MAX) {
            if !self.revoking.contains_key(&id) {
                self.own_proposals += 1;
                let stamp = Stamp { member: self.config.member, boot: self.config.boot };
                let counter = propose::own_counter(self.own_proposals);
                self.revoking.insert(id, counter);
                let command = Command::LeaseRevoke { id };
                self.propose(&stamp.proposal(counter, self.time.now_ms(), command), outputs);
            }
        }
    }

    /// If that proposal was to revoke a lease, it must be tried again.
    fn not_revoked(&mut self, counter: u64) {
        if propose::is_own(counter) {
            self.revoking.retain(|_, proposed| *proposed != counter);
        }
    }

    /// One question serves all who wait: the newest asks, and the answer is good for those before.
    fn ask_reads(&mut self) {
        let newest = self.reads.iter().rev().find(|(_, index)| index.is_none());
        if let (Some((context, _)), true) = (newest, self.driver.standing().leads_with_commit) {
            self.driver.read_index(*context);
        }
    }

    fn reads_answered(&mut self, context: u64, index: u64) {
        let Some(place) = self.reads.iter().position(|read| read.0 == context) else { return };
        for read in self.reads.iter_mut().take(place + 1) {
            read.1.get_or_insert(index);
        }
    }

    fn release_reads(&mut self, outputs: &mut Outputs) {
        let applied = self.applied.index;
        self.reads.retain(|(context, index)| match index {
            Some(index) if *index <= applied => {
                outputs.reads.push(*context);
                false
            }
            _ => true,
        });
    }

    /// A new leader does not know how long each lease still has: all run anew.
    fn follow_role(&mut self) {
        let standing = self.driver.standing();
        let leads = standing.leads_with_commit;
        let has_all = self.applied.index >= self.recovered.max(standing.commit);
        self.is_caught_up = leads && (self.is_caught_up || has_all);
        if leads && !self.leases.is_kept_here() {
            self.leases.take_over(self.now_ms, self.config.election_timeout_ms);
        } else if !leads {
            self.leases.hand_over();
        }
    }

    fn show(&self) {
        self.board.show_standing(&self.driver.standing(), self.applied, self.is_caught_up);
        self.board.show_machine(&self.machine);
    }

    fn show_time(&self) {
        self.board.show_time(self.time.now_ms(), self.machine.revision);
    }
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod declared_tests;
