//! What other threads see of the replica: numbers that never wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::domain::Machine;
use crate::domain::alarm::{Alarm, AlarmKind};
use crate::domain::member::Member;
pub use crate::raft::Role;
use crate::raft::Standing;
use crate::store::Applied;

/// What the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Phase {
    #[default]
    Starting = 1,
    Opening = 2,
    Replaying = 3,
    Serving = 4,
    Draining = 5,
    Faulted = 6,
}

/// What the consensus thread is inside of: time there is the disk's, not a hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    None = 0,
    LogSync = 1,
    StoreWrite = 2,
    LogAppend = 3,
    LogTruncate = 4,
    StoreRead = 5,
    LogRead = 6,
}

impl Operation {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::LogSync => "log sync",
            Self::StoreWrite => "store write",
            Self::LogAppend => "log append",
            Self::LogTruncate => "log truncation",
            Self::StoreRead => "store read",
            Self::LogRead => "log read",
        }
    }
}

/// Many readers, and for most numbers one writer. Each number is right by itself; only revisions
/// have an order: `staged` is never behind what a reader of rows can see, `published` never ahead
/// of it.
#[derive(Debug, Default)]
pub struct Board {
    published: AtomicI64,
    staged: AtomicI64,
    compacted: AtomicI64,
    reads_are_linear: AtomicBool,

    applied_index: AtomicU64,
    commit_index: AtomicU64,
    term: AtomicU64,
    leader: AtomicU64,
    role: AtomicU8,
    leader_changes: AtomicU64,

    keys: AtomicI64,
    logical_bytes: AtomicI64,
    kept_bytes: AtomicI64,
    forgotten_bytes: AtomicI64,
    quota_bytes: AtomicI64,

    phase: AtomicU8,
    replay_done: AtomicU64,
    replay_total: AtomicU64,
    ticked_at: AtomicI64,
    applied_at: AtomicI64,
    operation: AtomicU8,
    operation_since: AtomicI64,
    last_sync_us: AtomicU64,
    probed_sync_us: AtomicU64,
    last_write_us: AtomicU64,
    local_read_ok: AtomicBool,
    local_read_at: AtomicI64,
    is_writable: AtomicBool,
    ballast_bytes: AtomicU64,
    keep_free_bytes: AtomicU64,
    admin_called_at: AtomicI64,
    steady_ms: AtomicI64,
    settled_at: AtomicI64,
    settled: AtomicI64,
    reclaiming_since: AtomicI64,

    pub watch_streams: AtomicUsize,
    pub watchers: AtomicUsize,
    pub lagging_watchers: AtomicUsize,
    pub connections: AtomicUsize,
    pub pending_proposals: AtomicUsize,

    slow: Mutex<Slow>,
}

/// What is looked at rarely.
#[derive(Debug, Default, Clone)]
struct Slow {
    alarms: Vec<Alarm>,
    members: Arc<Vec<Member>>,
    marks: Arc<Vec<(i64, i64)>>,
    fault: String,
    warnings: Vec<String>,
}

impl Board {
    pub fn new() -> Self {
        let board = Self::default();
        board.published.store(1, Ordering::Relaxed);
        board.staged.store(1, Ordering::Relaxed);
        board.compacted.store(-1, Ordering::Relaxed);
        board.reclaiming_since.store(-1, Ordering::Relaxed);
        board
    }

    /// The newest revision that everybody may know of.
    pub fn revision(&self) -> i64 {
        self.published.load(Ordering::Acquire)
    }

    /// A revision that no reader has seen past yet.
    pub fn staged(&self) -> i64 {
        self.staged.load(Ordering::Acquire)
    }

    pub fn compacted(&self) -> i64 {
        self.compacted.load(Ordering::Acquire)
    }

    /// Whether the newest rows are all that was ever acknowledged, so that a read need not ask.
    pub fn reads_are_linear(&self) -> bool {
        self.reads_are_linear.load(Ordering::Acquire)
    }

    pub fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Relaxed)
    }

    pub fn commit_index(&self) -> u64 {
        self.commit_index.load(Ordering::Relaxed)
    }

    pub fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    /// 0: unknown.
    pub fn leader(&self) -> u64 {
        self.leader.load(Ordering::Relaxed)
    }

    pub fn leader_changes(&self) -> u64 {
        self.leader_changes.load(Ordering::Relaxed)
    }

    pub fn role(&self) -> Role {
        match self.role.load(Ordering::Relaxed) {
            1 => Role::Candidate,
            2 => Role::Leader,
            3 => Role::Learner,
            _ => Role::Follower,
        }
    }

    pub fn keys(&self) -> i64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Bytes of live rows and kept history.
    pub fn logical_bytes(&self) -> i64 {
        self.logical_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of history that can be read, and of all that ever was compacted away.
    pub fn history_bytes(&self) -> (i64, i64) {
        (self.kept_bytes.load(Ordering::Relaxed), self.forgotten_bytes.load(Ordering::Relaxed))
    }

    /// The quota in force in bytes; negative: none.
    pub fn quota_bytes(&self) -> i64 {
        self.quota_bytes.load(Ordering::Relaxed)
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        self.slow.lock().alarms.clone()
    }

    pub fn has_alarm(&self, kind: AlarmKind) -> bool {
        self.slow.lock().alarms.iter().any(|alarm| alarm.kind == kind)
    }

    pub fn members(&self) -> Arc<Vec<Member>> {
        Arc::clone(&self.slow.lock().members)
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            2 => Phase::Opening,
            3 => Phase::Replaying,
            4 => Phase::Serving,
            5 => Phase::Draining,
            6 => Phase::Faulted,
            _ => Phase::Starting,
        }
    }

    /// Entries applied and entries to apply, while replaying.
    pub fn replay(&self) -> (u64, u64) {
        (self.replay_done.load(Ordering::Relaxed), self.replay_total.load(Ordering::Relaxed))
    }

    /// When the consensus loop last ticked and last applied, on the monotonic clock.
    pub fn moved_at(&self) -> (i64, i64) {
        (self.ticked_at.load(Ordering::Relaxed), self.applied_at.load(Ordering::Relaxed))
    }

    /// What the consensus thread is inside of, and since when.
    pub fn operation(&self) -> (Operation, i64) {
        let operation = match self.operation.load(Ordering::Acquire) {
            1 => Operation::LogSync,
            2 => Operation::StoreWrite,
            3 => Operation::LogAppend,
            4 => Operation::LogTruncate,
            5 => Operation::StoreRead,
            6 => Operation::LogRead,
            _ => Operation::None,
        };
        (operation, self.operation_since.load(Ordering::Relaxed))
    }

    pub fn last_sync_us(&self) -> u64 {
        self.last_sync_us.load(Ordering::Relaxed)
    }

    pub fn last_write_us(&self) -> u64 {
        self.last_write_us.load(Ordering::Relaxed)
    }

    /// Whether the newest read that the member tried by itself went well, and when that was.
    pub fn local_read(&self) -> (bool, i64) {
        (self.local_read_ok.load(Ordering::Relaxed), self.local_read_at.load(Ordering::Relaxed))
    }

    pub fn is_writable(&self) -> bool {
        self.is_writable.load(Ordering::Relaxed)
    }

    /// Bytes that are put aside for a full disk, and free bytes of the volume below which nothing
    /// may grow.
    pub fn reserve(&self) -> (u64, u64) {
        let keep_free = self.keep_free_bytes.load(Ordering::Relaxed);
        (self.ballast_bytes.load(Ordering::Relaxed), keep_free)
    }

    /// What time it is for the store: what proposals are stamped with. Goes on while the consensus
    /// loop runs, whatever somebody does to the time of day; milliseconds since the epoch.
    pub fn steady_ms(&self) -> i64 {
        self.steady_ms.load(Ordering::Acquire)
    }

    /// A steady time, and a revision that could be read then: the newest one, unless it is newer
    /// than the loop's last round.
    pub fn settled(&self) -> (i64, i64) {
        let revision = self.settled.load(Ordering::Acquire);
        (self.settled_at.load(Ordering::Acquire), revision)
    }

    /// Since when the space of compacted history is being given back, on the monotonic clock.
    pub fn reclaiming_since(&self) -> Option<i64> {
        Some(self.reclaiming_since.load(Ordering::Relaxed)).filter(|since| *since >= 0)
    }

    /// Time marks, oldest first: steady time, and the revision then.
    pub fn marks(&self) -> Arc<Vec<(i64, i64)>> {
        Arc::clone(&self.slow.lock().marks)
    }

    pub fn fault(&self) -> String {
        self.slow.lock().fault.clone()
    }

    /// What the synced writes took that were tried before opening; 0: not tried.
    pub fn probed_sync_us(&self) -> u64 {
        self.probed_sync_us.load(Ordering::Relaxed)
    }

    pub fn show_probed_sync(&self, took_us: u64) {
        self.probed_sync_us.store(took_us, Ordering::Relaxed);
    }

    /// What an operator should know of settings and machine, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        self.slow.lock().warnings.clone()
    }

    pub fn warn(&self, warning: String) {
        self.slow.lock().warnings.push(warning);
    }

    pub fn show_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub fn show_replay(&self, done: u64, total: u64) {
        self.replay_done.store(done, Ordering::Relaxed);
        self.replay_total.store(total, Ordering::Relaxed);
    }

    pub fn show_fault(&self, fault: &str) {
        self.slow.lock().fault = fault.to_owned();
        self.show_phase(Phase::Faulted);
    }

    pub fn show_local_read(&self, is_ok: bool, now_ms: i64) {
        self.local_read_ok.store(is_ok, Ordering::Relaxed);
        self.local_read_at.store(now_ms, Ordering::Relaxed);
    }

    /// When somebody last asked over the admin socket, on the monotonic clock.
    pub fn admin_called_at(&self) -> i64 {
        self.admin_called_at.load(Ordering::Relaxed)
    }

    pub fn show_admin_call(&self, now_ms: i64) {
        self.admin_called_at.store(now_ms, Ordering::Relaxed);
    }

    pub fn show_reclaiming(&self, since: Option<i64>) {
        self.reclaiming_since.store(since.unwrap_or(-1), Ordering::Relaxed);
    }

    pub fn show_writable(&self, is_writable: bool) {
        self.is_writable.store(is_writable, Ordering::Relaxed);
    }

    pub fn show_reserve(&self, ballast_bytes: u64, keep_free_bytes: u64) {
        self.ballast_bytes.store(ballast_bytes, Ordering::Relaxed);
        self.keep_free_bytes.store(keep_free_bytes, Ordering::Relaxed);
    }

    pub fn show_quota(&self, bytes: i64) {
        self.quota_bytes.store(bytes, Ordering::Relaxed);
    }

    /// It is so late now, and this revision can be read.
    pub(super) fn show_time(&self, steady_ms: i64, revision: i64) {
        self.steady_ms.store(steady_ms, Ordering::Release);
        if self.settled.load(Ordering::Relaxed) != revision {
            // In this order a reader that comes between pairs an older revision with a later time.
            self.settled_at.store(steady_ms, Ordering::Release);
            self.settled.store(revision, Ordering::Release);
        }
    }

    pub(super) fn ticked(&self, now_ms: i64) {
        self.ticked_at.store(now_ms, Ordering::Relaxed);
    }

    /// Rows of up to `revision` are about to become visible.
    pub(super) fn stage(&self, revision: i64) {
        self.staged.store(revision, Ordering::Release);
    }

    /// Rows of up to `revision` are visible.
    pub(super) fn publish(&self, revision: i64, compacted: i64, now_ms: i64) {
        self.compacted.store(compacted, Ordering::Release);
        self.published.store(revision, Ordering::Release);
        self.applied_at.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn show_sync(&self, took_us: u64) {
        self.last_sync_us.store(took_us, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, operation: Operation) {
        self.operation_since.store(crate::clock::monotonic_us(), Ordering::Relaxed);
        self.operation.store(operation as u8, Ordering::Release);
    }

    pub(super) fn leave(&self) {
        let was = self.operation.swap(Operation::None as u8, Ordering::AcqRel);
        if was == Operation::None as u8 {
            return;
        }
        let since = self.operation_since.load(Ordering::Relaxed);
        let took = (crate::clock::monotonic_us() - since).max(0).cast_unsigned();
        if was == Operation::StoreWrite as u8 {
            self.last_write_us.store(took, Ordering::Relaxed);
        }
    }

    pub(super) fn show_standing(&self, standing: &Standing, applied: Applied, is_caught_up: bool) {
        let role = match standing.role {
            Role::Follower => 0,
            Role::Candidate => 1,
            Role::Leader => 2,
            Role::Learner => 3,
        };
        self.role.store(role, Ordering::Relaxed);
        self.term.store(standing.term, Ordering::Relaxed);
        let before = self.leader.swap(standing.leader, Ordering::Relaxed);
        if standing.leader != 0 && before != standing.leader {
            self.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        self.commit_index.store(standing.commit, Ordering::Relaxed);
        self.applied_index.store(applied.index, Ordering::Relaxed);
        // Nothing is acknowledged before it is applied: once it has applied what earlier lives
        // acknowledged, a sole voter's rows are never behind what anybody knows.
        let is_linear = standing.is_sole_voter && standing.leads_with_commit && is_caught_up;
        self.reads_are_linear.store(is_linear, Ordering::Release);
    }

    pub(super) fn show_machine(&self, machine: &Machine) {
        self.keys.store(machine.totals.live_rows, Ordering::Relaxed);
        let totals = &machine.totals;
        self.logical_bytes.store(totals.logical_bytes(), Ordering::Relaxed);
        let kept = totals.dead.bytes - totals.forgotten.bytes;
        self.kept_bytes.store(kept, Ordering::Relaxed);
        self.forgotten_bytes.store(totals.forgotten.bytes, Ordering::Relaxed);
        let mut slow = self.slow.lock();
        if slow.alarms != machine.alarms.all() {
            slow.alarms = machine.alarms.all().to_vec();
        }
        if !slow.members.iter().eq(machine.members.values()) {
            slow.members = Arc::new(machine.members.values().cloned().collect());
        }
        if slow.marks.as_slice() != machine.marks.points() {
            slow.marks = Arc::new(machine.marks.points().to_vec());
        }
        drop(slow);
        if self.published.load(Ordering::Relaxed) != machine.revision {
            self.staged.store(machine.revision, Ordering::Release);
            self.published.store(machine.revision, Ordering::Release);
        }
        self.compacted.store(machine.compacted, Ordering::Release);
    }
}
