//! A log in memory that forgets, in a crash, what was not synced.

use std::sync::Arc;

use parking_lot::Mutex;

use super::log::{LogEntry, LogStart, LogStore, LogVote, LogWrite};
use crate::domain::Fault;

/// The simulator keeps one handle and gives the driver another.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    newest: LogStart,
    synced: LogStart,
    /// A lying disk says that it synced, and did not.
    lies: bool,
}

impl MemoryLog {
    /// A log whose first entry will follow `index`.
    pub fn starting_at(index: u64, term: u64) -> Self {
        let start = LogStart {
            vote: LogVote { term, vote: 0, commit: index },
            base_index: index,
            base_term: term,
            entries: Vec::new(),
        };
        let disk = Disk { newest: start.clone(), synced: start, lies: false };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// From now on [`LogStore::sync`] does nothing: the planted bug that a simulation must find.
    pub fn skip_syncs(&self) {
        self.disk.lock().lies = true;
    }

    /// Power is lost: of the entries that were not synced, the first `kept` survive.
    pub fn crash(&self, kept: usize) {
        let mut disk = self.disk.lock();
        let mut survived = disk.synced.clone();
        let durable = survived.entries.last().map_or(survived.base_index, |entry| entry.index);
        let unsynced = disk.newest.entries.iter().filter(|entry| entry.index > durable);
        survived.entries.extend(unsynced.take(kept).cloned());
        disk.newest = survived.clone();
        disk.synced = survived;
    }

    /// Entries that a crash may take.
    pub fn unsynced(&self) -> usize {
        let disk = self.disk.lock();
        disk.newest.entries.len().saturating_sub(disk.synced.entries.len())
    }
}

impl LogStore for MemoryLog {
    fn load(&self) -> Result<LogStart, Fault> {
        Ok(self.disk.lock().newest.clone())
    }

    fn append(&mut self, write: &LogWrite) -> Result<(), Fault> {
        let newest = &mut self.disk.lock().newest;
        if let Some(first) = write.entries.first() {
            newest.entries.retain(|entry| entry.index < first.index);
            newest.entries.extend(write.entries.iter().cloned());
        }
        if let Some(vote) = write.vote {
            newest.vote = vote;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        let mut disk = self.disk.lock();
        if !disk.lies {
            disk.synced = disk.newest.clone();
        }
        Ok(())
    }

    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault> {
        let disk = self.disk.lock();
        let wanted = disk.newest.entries.iter().filter(|it| (low..high).contains(&it.index));
        Ok(wanted.cloned().collect())
    }

    fn truncate(&mut self, index: u64, term: u64) -> Result<(), Fault> {
        let mut disk = self.disk.lock();
        let Disk { newest, synced, .. } = &mut *disk;
        for start in [newest, synced] {
            start.entries.retain(|entry| entry.index > index);
            (start.base_index, start.base_term) = (index, term);
        }
        Ok(())
    }
}
