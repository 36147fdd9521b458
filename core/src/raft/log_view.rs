//! The log as raft-rs reads it: the newest entries from memory, older ones from the port.

use std::cell::RefCell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

use super::log::{LogEntry, LogStart, LogStore, LogVote, LogWrite};
use crate::domain::Fault;

/// Entries kept in memory, in bytes of their data.
const CACHE_BYTES_MAX: usize = 8 << 20;

/// Terms and indexes beyond are damage: there is always a next one.
const NUMBER_MAX: u64 = u64::MAX / 2;

/// A [`LogStore`] with its bookkeeping. The first fault is kept: raft-rs is told only that
/// something failed.
pub(super) struct LogView {
    store: Box<dyn LogStore>,
    vote: LogVote,
    conf_state: ConfState,
    base_index: u64,
    base_term: u64,
    last_index: u64,
    /// The newest entries, without gaps, the last one last.
    cache: VecDeque<Entry>,
    cache_bytes: usize,
    fault: RefCell<Option<Fault>>,
}

impl LogView {
    /// `applied` is what the state machine has: commit is at least that, whatever the last vote
    /// on disk says.
    pub(super) fn open(
        mut store: Box<dyn LogStore>,
        conf_state: ConfState,
        applied: u64,
    ) -> Result<Self, Fault> {
        let start = store.load()?;
        let last_index = start.entries.last().map_or(start.base_index, |entry| entry.index);
        if applied > last_index {
            return Err(Fault::corrupt(format!(
                "{}: the raft log ends at {last_index}, but {applied} is applied: the end of the log is lost",
                store.place()
            )));
        }
        if applied < start.base_index {
            return Err(Fault::corrupt(format!(
                "{}: the raft log starts after {}, but only {applied} is applied: entries between are lost",
                store.place(),
                start.base_index
            )));
        }
        check_terms(&start).map_err(|why| {
            Fault::corrupt(format!("{}: the raft log cannot be: {why}", store.place()))
        })?;
        let commit = start.vote.commit.max(applied).min(last_index);
        let mut view = Self {
            store,
            vote: LogVote { commit, ..start.vote },
            conf_state,
            base_index: start.base_index,
            base_term: start.base_term,
            last_index,
            cache: VecDeque::new(),
            cache_bytes: 0,
            fault: RefCell::new(None),
        };
        view.remember(start.entries.into_iter().map(to_raft));
        Ok(view)
    }

    pub(super) fn commit(&self) -> u64 {
        self.vote.commit
    }

    /// Appends what a turn wants written. Durable after [`Self::sync`].
    pub(super) fn append(
        &mut self,
        entries: Vec<Entry>,
        vote: Option<&HardState>,
    ) -> Result<(), Fault> {
        if let Some(vote) = vote {
            self.vote = LogVote { term: vote.term, vote: vote.vote, commit: vote.commit };
        }
        let write = LogWrite {
            entries: entries.iter().map(from_raft).collect(),
            vote: vote.is_some().then_some(self.vote),
        };
        self.store.append(&write)?;
        if let Some(first) = entries.first() {
            while self.cache.back().is_some_and(|last| last.index >= first.index) {
                if let Some(dropped) = self.cache.pop_back() {
                    self.cache_bytes -= dropped.data.len();
                }
            }
            self.remember(entries.into_iter());
        }
        Ok(())
    }

    pub(super) fn start_sync(&mut self) -> Result<(), Fault> {
        self.store.start_sync()
    }

    pub(super) fn last_sync_us(&self) -> u64 {
        self.store.last_sync_us()
    }

    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        self.store.sync()
    }

    /// Written with the next append: a commit can always be learnt again.
    pub(super) fn set_commit(&mut self, commit: u64) {
        self.vote.commit = commit;
    }

    pub(super) fn configuration(&self) -> &ConfState {
        &self.conf_state
    }

    /// Forgets entries up to `index`, but for the newest `keep`, as far as memory has them too.
    pub(super) fn truncate(&mut self, index: u64, keep: u64) -> Result<(), Fault> {
        let oldest_cached = self.cache.front().map_or(index, |first| first.index.saturating_sub(1));
        let index = index.saturating_sub(keep).max(oldest_cached.min(index));
        if index <= self.base_index || index > self.last_index {
            return Ok(());
        }
        let term = self.term(index).map_err(|_error| self.take_fault())?;
        self.store.truncate(index, term)?;
        (self.base_index, self.base_term) = (index, term);
        while self.cache.front().is_some_and(|first| first.index <= index) {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Why reading the log failed.
    pub(super) fn take_fault(&self) -> Fault {
        let unexplained = || Fault::corrupt("the raft log cannot be read");
        self.fault.borrow_mut().take().unwrap_or_else(unexplained)
    }

    fn remember(&mut self, entries: impl Iterator<Item = Entry>) {
        for entry in entries {
            self.last_index = entry.index;
            self.cache_bytes += entry.data.len();
            self.cache.push_back(entry);
        }
        while self.cache_bytes > CACHE_BYTES_MAX && self.cache.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(dropped) = self.cache.pop_front() {
            self.cache_bytes -= dropped.data.len();
        }
    }

    fn cached(&self, index: u64) -> Option<&Entry> {
        let first = self.cache.front()?.index;
        self.cache.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    fn read(&self, low: u64, high: u64) -> raft::Result<Vec<Entry>> {
        let read = self.store.read(low, high).map_err(|fault| {
            *self.fault.borrow_mut() = Some(fault);
            raft::Error::Store(StorageError::Unavailable)
        })?;
        Ok(read.into_iter().map(to_raft).collect())
    }
}

/// What the raft library takes for granted: it would end the process, or count past the end.
fn check_terms(start: &LogStart) -> Result<(), String> {
    let mut term = start.base_term;
    for entry in &start.entries {
        if entry.term < term {
            return Err(format!("entry {} of term {} follows {term}", entry.index, entry.term));
        }
        term = entry.term;
    }
    if start.vote.term < term {
        return Err(format!(
            "an entry of term {term}, and the newest known is {}",
            start.vote.term
        ));
    }
    if start.vote.term > NUMBER_MAX || start.base_index > NUMBER_MAX {
        return Err("a number that no member can have counted to".to_owned());
    }
    Ok(())
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let mut hard_state = HardState::default();
        hard_state.set_term(self.vote.term);
        hard_state.set_vote(self.vote.vote);
        hard_state.set_commit(self.vote.commit);
        Ok(RaftState::new(hard_state, self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base_index {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        let max_size = max_size.into().unwrap_or(u64::MAX);
        let older = match self.cache.front() {
            Some(first) if first.index <= low => Vec::new(),
            Some(first) => self.read(low, high.min(first.index))?,
            None => self.read(low, high)?,
        };
        let from = low + older.len() as u64;
        let newer = (from..high).map_while(|index| self.cached(index).cloned());
        let mut entries = Vec::new();
        let mut size = 0;
        for entry in older.into_iter().chain(newer) {
            size += entry.data.len() as u64 + 24;
            if size > max_size && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base_index {
            return Ok(self.base_term);
        }
        if index < self.base_index {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        if index > self.last_index {
            return Err(raft::Error::Store(StorageError::Unavailable));
        }
        match self.cached(index) {
            Some(entry) => Ok(entry.term),
            None => {
                let read = self.read(index, index + 1)?;
                let missing = raft::Error::Store(StorageError::Unavailable);
                read.first().map(|entry| entry.term).ok_or(missing)
            }
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base_index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last_index)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

fn to_raft(entry: LogEntry) -> Entry {
    let mut raft = Entry::default();
    raft.set_index(entry.index);
    raft.set_term(entry.term);
    raft.set_entry_type(match entry.kind {
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    });
    raft.set_data(entry.data);
    raft
}

fn from_raft(entry: &Entry) -> LogEntry {
    LogEntry {
        index: entry.index,
        term: entry.term,
        kind: entry.get_entry_type() as u8,
        data: entry.data.clone(),
    }
}
