//! This member's share of the disk: too little left refuses an answer and proposes the alarm;
//! it never decides what is applied.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::Board;
use crate::domain::Command;
use crate::domain::alarm::{AlarmCause, AlarmKind};
use crate::store::directory::{free_bytes, is_writable, volume_bytes};

/// Part of the volume that the store may fill when no quota is set, in percent.
const DEFAULT_PERCENT: u64 = 80;
/// Free bytes of the volume below which nothing may grow; of a small volume its part. Deletes
/// and RocksDB's own rewriting live on what is left.
const FREE_MIN: u64 = 128 << 20;
const FREE_MIN_PERCENT: u64 = 40;
/// What a written byte may take on the disk until the volume is looked at again: the raft log and
/// the store, each with a write-ahead log and a table.
const AMPLIFICATION: u64 = 4;
/// Bytes that a delete may always write: the floor below which nothing grows leaves room for them.
const DELETE_ALWAYS: u64 = 32 << 20;

/// The quota in force, and what is left of the disk.
#[derive(Debug)]
pub struct Quota {
    member: u64,
    board: Arc<Board>,
    /// Bytes; negative: off.
    limit: i64,
    directory: Option<PathBuf>,
    /// Bytes that must stay free.
    free_min: u64,
    /// Bytes that the volume has left, when it was last looked at.
    free: AtomicU64,
    /// Bytes of commands that were let in since then.
    admitted: AtomicU64,
    physical: AtomicI64,
    alarm_proposed: AtomicBool,
}

/// While this lives, nobody else proposes the alarm.
#[derive(Debug)]
pub struct Proposing<'q>(&'q AtomicBool);

impl Drop for Proposing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Quota {
    /// `configured` as in `METASTORE_QUOTA_BACKEND_BYTES`; 0 takes its share of the volume of
    /// `directory`, of which the store itself uses `used` bytes already.
    pub fn new(
        member: u64,
        board: Arc<Board>,
        configured: i64,
        directory: Option<PathBuf>,
        used: u64,
    ) -> Self {
        let limit = match (configured, &directory) {
            (0, Some(path)) => {
                let share = (free_bytes(path).saturating_add(used)) / 100 * DEFAULT_PERCENT;
                i64::try_from(share).unwrap_or(i64::MAX)
            }
            (0, None) => i64::MAX,
            (bytes, _) => bytes,
        };
        board.show_quota(limit);
        let volume = directory.as_deref().map_or(0, volume_bytes);
        let free_min = FREE_MIN.min(volume / 100 * FREE_MIN_PERCENT);
        Self {
            member,
            board,
            limit,
            directory,
            free_min,
            free: AtomicU64::new(u64::MAX),
            admitted: AtomicU64::new(0),
            physical: AtomicI64::new(0),
            alarm_proposed: AtomicBool::new(false),
        }
    }

    /// Whether the command still fits: into the quota, and on the disk.
    pub fn admits(&self, command: &Command) -> bool {
        if !command.grows() {
            return true;
        }
        let cost = command.cost();
        let admitted = self.admitted.fetch_add(cost, Ordering::Relaxed) + cost;
        let free = self.free.load(Ordering::Relaxed);
        if free.saturating_sub(admitted.saturating_mul(AMPLIFICATION)) < self.free_min {
            return false;
        }
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.limit < 0 || self.board.logical_bytes().saturating_add(cost) <= self.limit
    }

    /// Whether `keys` keys may be deleted at once. What is deleted becomes history, which is
    /// written before any space comes back: into the write-ahead log, and from there to a table.
    pub fn admits_delete(&self, keys: i64) -> bool {
        let mean = self.board.logical_bytes() / self.board.keys().max(1);
        let needed = keys.saturating_mul(mean).saturating_mul(2).max(0).cast_unsigned();
        needed < DELETE_ALWAYS || needed < self.free.load(Ordering::Relaxed)
    }

    /// The alarm to propose after a refusal; `None` when it is raised, or somebody is about to.
    /// The proposer keeps the second part until it knows how that went, or gives up.
    pub fn alarm(&self) -> Option<(Command, Proposing<'_>)> {
        if self.board.has_alarm(AlarmKind::NoSpace) {
            return None;
        }
        if self.alarm_proposed.swap(true, Ordering::Relaxed) {
            return None;
        }
        let alarm = Command::RaiseAlarm {
            member: self.member,
            kind: AlarmKind::NoSpace,
            cause: AlarmCause::Quota,
        };
        Some((alarm, Proposing(&self.alarm_proposed)))
    }

    /// Looks at the volume; now and then, never on a request.
    pub fn look(&self, physical: u64) {
        self.physical.store(i64::try_from(physical).unwrap_or(i64::MAX), Ordering::Relaxed);
        if let Some(path) = &self.directory {
            let free = free_bytes(path);
            self.free.store(free, Ordering::Relaxed);
            self.admitted.store(0, Ordering::Relaxed);
            self.board.show_writable(is_writable(path));
        }
    }

    pub fn physical_bytes(&self) -> i64 {
        self.physical.load(Ordering::Relaxed)
    }
}
