//! Disks that can lose power at every point where something is made to last.
//!
//! [`Power`] counts the points; when the countdown ends the member gets a fault there, and at every
//! later point, and the world crashes it. The log's wrapper also keeps the ledger: what was ever
//! appended, which is the truth that the judges replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use metastore_core::domain::Fault;
use metastore_core::raft::log_memory::MemoryLog;
use metastore_core::raft::{LogEntry, LogStart, LogStore, LogWrite};
use metastore_core::store::memory::MemoryEngine;
use metastore_core::store::{Batch, Engine, Reads};
use parking_lot::Mutex;

use crate::probe::Probe;

/// A moment between two steps of making something last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    BeforeLogAppend,
    LogAppended,
    /// What an earlier group committed is applied meanwhile.
    LogSyncStarted,
    LogSynced,
    BeforeLogTruncate,
    LogTruncated,
    BeforeStoreWrite,
    StoreWritten,
    BeforeStoreSync,
    StoreSynced,
    HistoryReleased,
}

impl Point {
    pub(crate) const ALL: [Self; 11] = [
        Self::BeforeLogAppend,
        Self::LogAppended,
        Self::LogSyncStarted,
        Self::LogSynced,
        Self::BeforeLogTruncate,
        Self::LogTruncated,
        Self::BeforeStoreWrite,
        Self::StoreWritten,
        Self::BeforeStoreSync,
        Self::StoreSynced,
        Self::HistoryReleased,
    ];
}

/// The supply of one member's disks.
#[derive(Debug, Default)]
pub(crate) struct Power {
    supply: Mutex<Supply>,
}

#[derive(Debug, Default)]
struct Supply {
    /// Points until it fails.
    countdown: Option<usize>,
    failed_at: Option<Point>,
}

impl Power {
    pub(crate) fn fail_in(&self, points: usize) {
        self.supply.lock().countdown = Some(points);
    }

    /// Back again. Says where it failed.
    pub(crate) fn restore(&self) -> Option<Point> {
        std::mem::take(&mut *self.supply.lock()).failed_at
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.supply.lock().failed_at.is_some()
    }

    fn pass(&self, point: Point) -> Result<(), Fault> {
        let mut supply = self.supply.lock();
        match supply.countdown.as_mut() {
            Some(0) => _ = supply.failed_at.get_or_insert(point),
            Some(points) => *points -= 1,
            None => {}
        }
        if supply.failed_at.is_some() { Err(Fault::disk("no power")) } else { Ok(()) }
    }
}

/// Every entry that was appended and not lost, by index.
pub(crate) type Ledger = Arc<Mutex<BTreeMap<u64, LogEntry>>>;

pub(crate) struct FragileLog {
    pub(crate) log: MemoryLog,
    pub(crate) power: Arc<Power>,
    pub(crate) ledger: Ledger,
}

impl LogStore for FragileLog {
    fn load(&mut self) -> Result<LogStart, Fault> {
        self.log.load()
    }

    fn append(&mut self, write: &LogWrite) -> Result<(), Fault> {
        self.power.pass(Point::BeforeLogAppend)?;
        if let Some(first) = write.entries.first() {
            let mut ledger = self.ledger.lock();
            ledger.split_off(&first.index);
            ledger.extend(write.entries.iter().map(|entry| (entry.index, entry.clone())));
        }
        self.log.append(write)?;
        self.power.pass(Point::LogAppended)
    }

    fn start_sync(&mut self) -> Result<(), Fault> {
        self.log.start_sync()?;
        self.power.pass(Point::LogSyncStarted)
    }

    fn sync(&mut self) -> Result<(), Fault> {
        self.log.sync()?;
        self.power.pass(Point::LogSynced)
    }

    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault> {
        self.log.read(low, high)
    }

    fn truncate(&mut self, index: u64, term: u64) -> Result<(), Fault> {
        self.power.pass(Point::BeforeLogTruncate)?;
        self.log.truncate(index, term)?;
        self.power.pass(Point::LogTruncated)
    }
}

pub(crate) struct FragileEngine {
    pub(crate) engine: Arc<MemoryEngine>,
    pub(crate) power: Arc<Power>,
    pub(crate) probe: Arc<Probe>,
}

impl Engine for FragileEngine {
    fn write(&self, batch: &Batch) -> Result<(), Fault> {
        self.power.pass(Point::BeforeStoreWrite)?;
        self.probe.look();
        self.engine.write(batch)?;
        self.probe.look();
        self.power.pass(Point::StoreWritten)
    }

    fn sync(&self) -> Result<(), Fault> {
        self.power.pass(Point::BeforeStoreSync)?;
        self.engine.sync()?;
        self.power.pass(Point::StoreSynced)
    }

    fn newest(&self) -> &dyn Reads {
        self.engine.newest()
    }

    fn snapshot(&self) -> Box<dyn Reads + '_> {
        self.engine.snapshot()
    }

    fn release_history(&self, revision: i64) {
        self.engine.release_history(revision);
        // The caller finds out at its next step.
        drop(self.power.pass(Point::HistoryReleased));
    }

    fn reclaim(&self) -> Result<(), Fault> {
        self.engine.reclaim()
    }

    fn physical_bytes(&self) -> u64 {
        self.engine.physical_bytes()
    }
}
