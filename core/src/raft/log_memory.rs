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
    /// Written since the last sync, in order; each is there whole or not at all.
    unsynced: Vec<Write>,
    /// A lying disk says that it synced, and did not.
    lies: bool,
}

#[derive(Debug, Clone)]
enum Write {
    Append(LogWrite),
    Truncate { index: u64, term: u64 },
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
        let disk = Disk { newest: start.clone(), synced: start, ..Disk::default() };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// From now on [`LogStore::sync`] does nothing: the planted bug that a simulation must find.
    pub fn skip_syncs(&self) {
        self.disk.lock().lies = true;
    }

    /// Power is lost: of the writes that were not synced, the first `kept` survive.
    pub fn crash(&self, kept: usize) {
        let mut disk = self.disk.lock();
        let unsynced = std::mem::take(&mut disk.unsynced);
        let mut survived = disk.synced.clone();
        for write in unsynced.iter().take(kept) {
            survived.take(write);
        }
        disk.newest = survived.clone();
        disk.synced = survived;
    }

    /// Writes that a crash may take.
    pub fn unsynced(&self) -> usize {
        self.disk.lock().unsynced.len()
    }
}

impl Disk {
    fn write(&mut self, write: Write) {
        self.newest.take(&write);
        self.unsynced.push(write);
    }
}

impl LogStart {
    fn take(&mut self, write: &Write) {
        match write {
            Write::Append(LogWrite { entries, vote }) => {
                if let Some(first) = entries.first() {
                    self.entries.retain(|entry| entry.index < first.index);
                    self.entries.extend(entries.iter().cloned());
                }
                self.vote = vote.unwrap_or(self.vote);
            }
            Write::Truncate { index, term } => {
                self.entries.retain(|entry| entry.index > *index);
                (self.base_index, self.base_term) = (*index, *term);
            }
        }
    }
}

impl LogStore for MemoryLog {
    fn load(&mut self) -> Result<LogStart, Fault> {
        Ok(self.disk.lock().newest.clone())
    }

    fn append(&mut self, write: &LogWrite) -> Result<(), Fault> {
        self.disk.lock().write(Write::Append(write.clone()));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        let mut disk = self.disk.lock();
        if !disk.lies {
            disk.synced = disk.newest.clone();
            disk.unsynced.clear();
        }
        Ok(())
    }

    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault> {
        let disk = self.disk.lock();
        let wanted = disk.newest.entries.iter().filter(|it| (low..high).contains(&it.index));
        Ok(wanted.cloned().collect())
    }

    fn truncate(&mut self, index: u64, term: u64) -> Result<(), Fault> {
        self.disk.lock().write(Write::Truncate { index, term });
        Ok(())
    }
}
