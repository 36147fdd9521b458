//! This member's share of the disk: too little left refuses an answer and proposes the alarm;
//! it never decides what is applied.
//!
//! Two reasons to refuse, and each raises the alarm NOSPACE with a cause of its own. The quota is
//! a promise to the operator: `QUOTA`, which stays until it is disarmed, as in etcd. A volume with
//! little space left, whoever took it, is `DISK`: that alarm the sidecar clears when there is room
//! again.
//!
//! Against a full disk this is the second line. The first is the sidecar, which looks at the volume
//! several times a second when it fills and raises the alarm at a part of it
//! (`METASTORE_DISK_LOW_FREE`, by default 10 %). That comes first wherever the volume has more than
//! 1.3 GB; below that, and without a sidecar, [`FREE_MIN`] does. Behind both lies the ballast, so that what
//! must be written in spite of the alarm (a delete, the alarm itself) finds room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::Board;
use crate::domain::Command;
use crate::domain::alarm::{AlarmCause, AlarmKind};
use crate::store::ballast::{self, Ballast};
use crate::store::directory::{free_bytes, inodes, is_writable, volume_bytes};

/// Part of the volume that the store may fill when no quota is set, in percent.
const DEFAULT_PERCENT: u64 = 80;
/// Free bytes of the volume below which nothing may grow; of a small volume its part. Deletes
/// and RocksDB's own rewriting live on what is left.
const FREE_MIN: u64 = 128 << 20;
const FREE_MIN_PERCENT: u64 = 40;
/// Inodes of the volume below which nothing may grow; of a small volume its part.
const INODES_MIN: u64 = 256;
const INODES_MIN_PERCENT: u64 = 10;
/// What a written byte may take on the disk until the volume is looked at again: the raft log and
/// the store, each with a write-ahead log and a table.
const AMPLIFICATION: u64 = 4;
/// Bytes that a delete may always write: the floor below which nothing grows leaves room for them.
const DELETE_ALWAYS: u64 = 32 << 20;

/// The disk as it is at start, and what is configured of it.
#[derive(Debug)]
pub struct DiskShare {
    pub directory: PathBuf,
    /// As in `METASTORE_QUOTA_BACKEND_BYTES`: 0 takes its part of the volume; negative: none.
    pub quota_bytes: i64,
    /// Bytes of the volume that are this member's; 0: all of it.
    pub capacity_bytes: u64,
    /// Bytes that the store takes of it already.
    pub used_bytes: u64,
    /// Free bytes below which the sidecar raises the alarm.
    pub low_bytes: u64,
}

impl DiskShare {
    /// The quota in force.
    fn limit(&self) -> i64 {
        if self.quota_bytes != 0 {
            return self.quota_bytes;
        }
        let volume = free_bytes(&self.directory).saturating_add(self.used_bytes);
        let share = if self.capacity_bytes == 0 { volume } else { volume.min(self.capacity_bytes) };
        i64::try_from(share / 100 * DEFAULT_PERCENT).unwrap_or(i64::MAX)
    }

    /// What is left for this member of what is free, when it takes `used` bytes.
    fn left(&self, free: u64, used: u64) -> u64 {
        if self.capacity_bytes == 0 {
            return free;
        }
        free.min(self.capacity_bytes.saturating_sub(used))
    }
}

/// The quota in force, and what is left of the disk.
#[derive(Debug)]
pub struct Quota {
    member: u64,
    board: Arc<Board>,
    ballast: Arc<Ballast>,
    disk: DiskShare,
    /// Bytes; negative: off.
    limit: i64,
    /// Bytes that must stay free.
    free_min: u64,
    /// Bytes that the volume has left, when it was last looked at.
    free: AtomicU64,
    /// Whether it had inodes left for more than deletes.
    has_inodes: AtomicBool,
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
    pub fn new(member: u64, board: Arc<Board>, ballast: Arc<Ballast>, disk: DiskShare) -> Self {
        let limit = disk.limit();
        board.show_quota(limit);
        let free_min = FREE_MIN.min(volume_bytes(&disk.directory) / 100 * FREE_MIN_PERCENT);
        Self {
            member,
            board,
            ballast,
            disk,
            limit,
            free_min,
            free: AtomicU64::new(u64::MAX),
            has_inodes: AtomicBool::new(true),
            admitted: AtomicU64::new(0),
            physical: AtomicI64::new(0),
            alarm_proposed: AtomicBool::new(false),
        }
    }

    /// Whether the command still fits on the disk, and into the quota; otherwise the cause of the
    /// alarm that is due.
    pub fn admits(&self, command: &Command) -> Result<(), AlarmCause> {
        if !command.grows() {
            return Ok(());
        }
        let cost = command.cost();
        let admitted = self.admitted.fetch_add(cost, Ordering::Relaxed) + cost;
        let free = self.free.load(Ordering::Relaxed);
        let left = free.saturating_sub(admitted.saturating_mul(AMPLIFICATION));
        if left < self.free_min || !self.has_inodes.load(Ordering::Relaxed) {
            return Err(AlarmCause::Disk);
        }
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        let fits = self.limit < 0 || self.board.logical_bytes().saturating_add(cost) <= self.limit;
        if fits { Ok(()) } else { Err(AlarmCause::Quota) }
    }

    /// Whether `keys` keys may be deleted at once. What is deleted becomes history, which is
    /// written before any space comes back: into the write-ahead log, and from there to a table.
    pub fn admits_delete(&self, keys: i64) -> bool {
        let live = self.board.logical_bytes() - self.board.history_bytes().0;
        let mean = live / self.board.keys().max(1);
        let needed = keys.saturating_mul(mean).saturating_mul(2).max(0).cast_unsigned();
        let free = self.free.load(Ordering::Relaxed).saturating_add(self.ballast.bytes());
        needed < DELETE_ALWAYS || needed < free
    }

    /// The alarm to propose after a refusal; `None` when it is raised, or somebody is about to.
    /// The proposer keeps the second part until it knows how that went, or gives up.
    pub fn alarm(&self, cause: AlarmCause) -> Option<(Command, Proposing<'_>)> {
        if self.board.has_alarm(AlarmKind::NoSpace) {
            return None;
        }
        if self.alarm_proposed.swap(true, Ordering::Relaxed) {
            return None;
        }
        let (member, kind) = (self.member, AlarmKind::NoSpace);
        let alarm = Command::RaiseAlarm { member, kind, cause };
        Some((alarm, Proposing(&self.alarm_proposed)))
    }

    /// Looks at the volume; now and then, never on a request.
    pub fn look(&self, physical: u64) {
        self.physical.store(i64::try_from(physical).unwrap_or(i64::MAX), Ordering::Relaxed);
        let free = free_bytes(&self.disk.directory);
        self.free.store(free, Ordering::Relaxed);
        self.admitted.store(0, Ordering::Relaxed);
        self.board.show_writable(is_writable(&self.disk.directory));
        let scarce = Inodes::of(inodes(&self.disk.directory));
        self.has_inodes.store(scarce == Inodes::Enough, Ordering::Relaxed);
        self.ballast.set_due(free < self.free_min / 2 || scarce == Inodes::Gone);
        if scarce == Inodes::Enough && self.has_room_for_ballast(free, physical) {
            self.ballast.fill();
        }
        self.board.show_reserve(self.ballast.bytes(), self.free_min);
    }

    /// Gives up the ballast for work that takes room to give more of it back.
    pub fn make_room(&self) {
        let free = self.free.load(Ordering::Relaxed);
        if free < self.free_min.saturating_mul(2) {
            self.ballast.set_due(true);
        }
        self.ballast.before_write();
    }

    /// The ballast must not take the room that it is there for, nor make the disk low.
    fn has_room_for_ballast(&self, free: u64, physical: u64) -> bool {
        let missing = self.ballast.missing();
        if missing == 0 || self.board.has_alarm(AlarmKind::NoSpace) {
            return false;
        }
        let used = physical.saturating_add(self.ballast.bytes());
        free.saturating_sub(missing) >= missing.max(self.free_min.saturating_mul(2))
            && self.disk.left(free, used).saturating_sub(missing) >= self.disk.low_bytes
    }

    pub fn physical_bytes(&self) -> i64 {
        self.physical.load(Ordering::Relaxed)
    }
}

/// How many inodes are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inodes {
    /// Or they are not counted.
    Enough,
    /// For deletes, and what the store rewrites.
    Few,
    /// Fewer than the ballast has.
    Gone,
}

impl Inodes {
    /// All of the volume, and the free ones.
    fn of(counted: Option<(u64, u64)>) -> Self {
        match counted {
            Some((_, free)) if free < ballast::FILES => Self::Gone,
            Some((all, free)) if free < INODES_MIN.min(all / 100 * INODES_MIN_PERCENT) => Self::Few,
            Some(_) | None => Self::Enough,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::command::{DeleteRange, Put};
    use crate::domain::mvcc::{DeadTotals, Totals};
    use crate::domain::{KeyRange, Machine};

    const MIB: u64 = 1 << 20;

    struct Place {
        quota: Quota,
        ballast: Arc<Ballast>,
        _directory: tempfile::TempDir,
    }

    /// A quota over a directory of this machine, with a ballast of 1 MiB.
    fn place(change: impl FnOnce(&mut DiskShare)) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = DiskShare {
            directory: directory.path().to_owned(),
            quota_bytes: -1,
            capacity_bytes: 0,
            used_bytes: 0,
            low_bytes: 0,
        };
        change(&mut disk);
        let ballast = Arc::new(Ballast::new(directory.path(), MIB));
        let quota = Quota::new(7, Arc::new(Board::new()), Arc::clone(&ballast), disk);
        Place { quota, ballast, _directory: directory }
    }

    fn put(bytes: usize) -> Command {
        Command::Put(Put {
            key: Bytes::from_static(b"k"),
            value: vec![0; bytes].into(),
            lease: 0,
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        })
    }

    #[test]
    fn what_is_refused_has_the_cause_of_its_alarm() {
        for (free, limit, command, expected) in [
            (u64::MAX, -1, put(1000), Ok(())),
            (u64::MAX, 2000, put(1000), Ok(())),
            (u64::MAX, 1000, put(1000), Err(AlarmCause::Quota)),
            (127 * MIB, -1, put(1000), Err(AlarmCause::Disk)),
            (127 * MIB, 1000, put(1000), Err(AlarmCause::Disk)),
            (129 * MIB, -1, put(1000), Ok(())),
            (129 * MIB, -1, put(1_000_000), Err(AlarmCause::Disk)),
        ] {
            let Place { mut quota, .. } = place(|disk| disk.quota_bytes = limit);
            quota.free_min = FREE_MIN;
            quota.free.store(free, Ordering::Relaxed);
            assert_eq!(quota.admits(&command), expected, "{free} free, quota {limit}");
            let delete = DeleteRange { range: KeyRange::all(), prev_kv: false };
            assert_eq!(quota.admits(&Command::DeleteRange(delete)), Ok(()), "deletes always");
        }
    }

    #[test]
    fn without_inodes_nothing_grows() {
        for (counted, expected) in [
            (None, Inodes::Enough),
            (Some((30_000, 256)), Inodes::Enough),
            (Some((30_000, 255)), Inodes::Few),
            (Some((30_000, 63)), Inodes::Gone),
            (Some((1_000, 100)), Inodes::Enough),
            (Some((1_000, 99)), Inodes::Few),
            (Some((1_000, 0)), Inodes::Gone),
        ] {
            assert_eq!(Inodes::of(counted), expected, "{counted:?}");
        }
        let Place { quota, .. } = place(|_| ());
        quota.has_inodes.store(false, Ordering::Relaxed);
        assert_eq!(quota.admits(&put(1)), Err(AlarmCause::Disk));
    }

    #[test]
    fn an_alarm_is_proposed_by_one_with_its_cause() {
        let Place { quota, .. } = place(|_| ());
        let (command, proposing) = quota.alarm(AlarmCause::Disk).unwrap();
        let (member, kind, cause) = (7, AlarmKind::NoSpace, AlarmCause::Disk);
        assert_eq!(command, Command::RaiseAlarm { member, kind, cause });
        assert!(quota.alarm(AlarmCause::Quota).is_none(), "one is under way");
        drop(proposing);
        assert!(quota.alarm(AlarmCause::Quota).is_some());
    }

    #[test]
    fn without_a_quota_it_is_a_part_of_what_the_member_has() {
        let limit = |capacity: u64, quota: i64| {
            let Place { quota, .. } = place(|disk| {
                (disk.capacity_bytes, disk.quota_bytes) = (capacity, quota);
            });
            quota.limit
        };
        assert_eq!(limit(100 * MIB, 0), (80 * MIB).cast_signed());
        assert!(limit(0, 0) > limit(100 * MIB, 0));
        // Others write to this disk meanwhile.
        let apart = limit(u64::MAX, 0).abs_diff(limit(0, 0));
        assert!(apart < limit(0, 0).unsigned_abs() / 10, "no more than there is");
        assert_eq!((limit(100 * MIB, 7), limit(100 * MIB, -1)), (7, -1));
    }

    #[test]
    fn ballast_is_taken_only_where_it_makes_nothing_low() {
        for (why, low, capacity, used, is_taken) in [
            ("there is room", 0, 0, 0, true),
            ("it would make the disk low", u64::MAX, 0, 0, false),
            ("the member has room", 0, 10 * MIB, 9 * MIB, true),
            ("the member's share is used up", MIB, 10 * MIB, 9 * MIB, false),
            ("just enough is left of it", MIB, 10 * MIB, 8 * MIB, true),
        ] {
            let change = |disk: &mut DiskShare| {
                (disk.low_bytes, disk.capacity_bytes) = (low, capacity);
            };
            let Place { mut quota, ballast, _directory } = place(change);
            quota.free_min = 0;
            quota.look(used);
            assert_eq!(ballast.bytes() > 0, is_taken, "{why}");
        }
    }

    #[test]
    fn what_a_delete_needs_is_told_by_what_is_live() {
        let Place { quota, _directory, .. } = place(|_| ());
        quota.look(0);
        let admits = |live_bytes: i64, dead_bytes: i64| {
            let dead = DeadTotals { rows: 1 << 40, bytes: dead_bytes };
            let totals = Totals { live_rows: 1000, live_bytes, dead, ..Totals::default() };
            quota.board.show_machine(&Machine { totals, ..Machine::default() });
            quota.admits_delete(1000)
        };
        assert!(admits(100_000, 1 << 60), "small keys with a long history");
        assert!(!admits(1 << 60, 0));
    }

    #[test]
    fn near_the_end_a_write_frees_the_ballast() {
        let Place { mut quota, ballast, _directory } = place(|_| ());
        quota.look(0);
        ballast.before_write();
        assert_eq!(ballast.bytes(), MIB);
        quota.free_min = u64::MAX;
        quota.look(0);
        ballast.before_write();
        assert_eq!(ballast.bytes(), 0);
        quota.look(0);
        assert_eq!(ballast.bytes(), 0, "not while little is free");
    }
}
