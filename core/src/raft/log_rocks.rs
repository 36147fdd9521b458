//! The raft log in a RocksDB of its own: one synced write for each group of proposals.
//!
//! | key | value |
//! |---|---|
//! | `b` | index and term of the entry before the first one kept (8 + 8) |
//! | `e`, index (8) | term (8), kind (1), data |
//! | `v` | term, vote, commit (8 + 8 + 8) |

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, Options, WriteBatch,
    WriteOptions,
};

use super::log::{LogEntry, LogStart, LogStore, LogVote, LogWrite};
use crate::domain::Fault;
use crate::store::ballast::Ballast;
use crate::store::rocks::{fault, quiet};

const BASE: &[u8] = b"b";
const VOTE: &[u8] = b"v";
const ENTRY: u8 = b'e';
/// The highest number of raft's `EntryType`.
const KIND_MAX: u8 = 2;

/// The log of production.
#[derive(Debug)]
pub struct RocksLog {
    db: Arc<DB>,
    ballast: Arc<Ballast>,
    syncer: Syncer,
    /// The newest entry that was ever appended since the log was opened.
    last: u64,
    last_sync_us: u64,
}

impl RocksLog {
    /// Opens the log at `path`; makes it only if the directory is new. Every change of the member
    /// is written here first: where there is no room for it, the ballast makes some.
    pub fn open(path: &Path, is_new: bool, ballast: Arc<Ballast>) -> Result<Self, Fault> {
        let mut options = Options::default();
        options.create_if_missing(is_new);
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        options.set_write_buffer_size(16 << 20);
        options.set_max_write_buffer_number(3);
        options.set_max_background_jobs(1);
        options.set_max_open_files(64);
        options.set_compression_type(DBCompressionType::None);
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(1 << 20));
        options.set_block_based_table_factory(&table);
        quiet(&mut options);
        let db = DB::open(&options, path).map_err(|error| fault(path, &error))?;
        let db = Arc::new(db);
        let syncer = Syncer::start(Arc::clone(&db))?;
        Ok(Self { db, ballast, syncer, last: 0, last_sync_us: 0 })
    }

    /// Writes, durably, where a new log starts. It starts above 1, so that a joiner never replays
    /// a history in which nobody votes.
    pub fn initialise(&mut self, index: u64, term: u64) -> Result<(), Fault> {
        let mut writes = WriteBatch::default();
        writes.put(BASE, pair(index, term));
        writes.put(VOTE, vote_row(LogVote { term, vote: 0, commit: index }));
        self.write(writes)?;
        self.sync()
    }

    fn write(&self, writes: WriteBatch) -> Result<(), Fault> {
        self.db.write_opt(writes, &WriteOptions::default()).map_err(|error| self.fault(&error))
    }

    fn get(&self, key: &[u8]) -> Result<Vec<u8>, Fault> {
        let row = self.db.get(key).map_err(|error| self.fault(&error))?;
        row.ok_or_else(|| self.damaged("a fixed row is missing"))
    }

    fn fault(&self, error: &rocksdb::Error) -> Fault {
        fault(self.db.path(), error)
    }

    fn damaged(&self, why: &str) -> Fault {
        Fault::corrupt(format!("{}: {why}", self.db.path().display()))
    }

    /// Entries from `low` on that are below `high`; a gap is damage.
    fn entries(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault> {
        let mut entries = Vec::new();
        let mut iterator = self.db.raw_iterator();
        iterator.seek(entry_key(low));
        while let Some((key, row)) = iterator.item() {
            let Some((ENTRY, index)) = key.split_first().map(|(tag, rest)| (*tag, rest)) else {
                break;
            };
            let expected = low + entries.len() as u64;
            let entry = take_entry(index, row)
                .ok_or_else(|| self.damaged("an entry of the raft log does not decode"))?;
            if entry.index >= high {
                break;
            }
            if entry.index != expected {
                return Err(self.damaged(&format!("entry {expected} of the raft log is missing")));
            }
            entries.push(entry);
            iterator.next();
        }
        iterator.status().map_err(|error| self.fault(&error))?;
        Ok(entries)
    }
}

impl LogStore for RocksLog {
    fn load(&mut self) -> Result<LogStart, Fault> {
        let base = self.get(BASE)?;
        let vote = self.get(VOTE)?;
        let undecodable = || self.damaged("a fixed row does not decode");
        let [base_index, base_term] = take_numbers(&base).ok_or_else(undecodable)?;
        let [term, vote, commit] = take_numbers(&vote).ok_or_else(undecodable)?;
        let entries = self.entries(base_index.saturating_add(1), u64::MAX)?;
        self.last = entries.last().map_or(base_index, |entry| entry.index);
        Ok(LogStart { vote: LogVote { term, vote, commit }, base_index, base_term, entries })
    }

    fn append(&mut self, write: &LogWrite) -> Result<(), Fault> {
        self.ballast.before_write();
        let bytes: usize = write.entries.iter().map(|entry| entry.data.len() + 64).sum();
        let mut writes = WriteBatch::with_capacity_bytes(bytes + 64);
        if let Some(last) = write.entries.last() {
            if last.index < self.last {
                // What followed an entry that is replaced is not part of the log any more.
                writes.delete_range(entry_key(last.index + 1), entry_key(u64::MAX));
            }
            self.last = last.index;
        }
        let mut row = Vec::new();
        for entry in &write.entries {
            row.clear();
            put_entry(entry, &mut row);
            writes.put(entry_key(entry.index), &row);
        }
        if let Some(vote) = write.vote {
            writes.put(VOTE, vote_row(vote));
        }
        self.write(writes)
    }

    fn start_sync(&mut self) -> Result<(), Fault> {
        self.syncer.ask()
    }

    fn sync(&mut self) -> Result<(), Fault> {
        let (synced, took_us) = match self.syncer.answer() {
            Some(answer) => answer,
            None => timed_sync(&self.db),
        };
        self.last_sync_us = took_us;
        synced.map_err(|error| self.fault(&error))
    }

    fn place(&self) -> String {
        self.db.path().display().to_string()
    }

    fn last_sync_us(&self) -> u64 {
        self.last_sync_us
    }

    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault> {
        self.entries(low, high)
    }

    fn truncate(&mut self, index: u64, term: u64) -> Result<(), Fault> {
        let (from, to) = (entry_key(0), entry_key(index + 1));
        let mut writes = WriteBatch::default();
        writes.delete_range(from, to);
        writes.put(BASE, pair(index, term));
        self.write(writes)?;
        self.db.delete_file_in_range(from, to).map_err(|error| self.fault(&error))
    }
}

/// The outcome of a sync, and how long it took in microseconds.
type Synced = (Result<(), rocksdb::Error>, u64);

fn timed_sync(db: &DB) -> Synced {
    let since = crate::clock::monotonic_us();
    let synced = db.flush_wal(true);
    (synced, (crate::clock::monotonic_us() - since).max(0).cast_unsigned())
}

/// A thread that syncs while the caller does something else.
#[derive(Debug)]
struct Syncer {
    /// Gone when the thread is to end.
    ask: Option<SyncSender<()>>,
    answers: Receiver<Synced>,
    is_asked: bool,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Syncer {
    /// The thread holds the database open: nobody may open it again before it has ended.
    fn drop(&mut self) {
        self.ask = None;
        if let Some(Err(_panic)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that syncs the log did not end well");
        }
    }
}

impl Syncer {
    fn start(db: Arc<DB>) -> Result<Self, Fault> {
        let (ask, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            while asked.recv().is_ok() {
                if answer.send(timed_sync(&db)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("log-sync".to_owned())
            .spawn(work)
            .map_err(|error| Fault::disk(format!("cannot start a thread: {error}")))?;
        Ok(Self { ask: Some(ask), answers, is_asked: false, thread: Some(thread) })
    }

    fn ask(&mut self) -> Result<(), Fault> {
        self.is_asked = true;
        let asked = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        if asked { Ok(()) } else { Err(Fault::disk("the thread that syncs the log is gone")) }
    }

    /// Waits for the sync that was asked for; `None` when none was, or nobody answers.
    fn answer(&mut self) -> Option<Synced> {
        std::mem::take(&mut self.is_asked).then(|| self.answers.recv().ok()).flatten()
    }
}

fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [ENTRY; 9];
    let (_tag, number) = key.split_at_mut(1);
    number.copy_from_slice(&index.to_be_bytes());
    key
}

/// Appends the value of the entry's row `e`.
pub fn put_entry(entry: &LogEntry, row: &mut Vec<u8>) {
    row.extend_from_slice(&entry.term.to_be_bytes());
    row.push(entry.kind);
    row.extend_from_slice(&entry.data);
}

/// The entry of a row `e`, from the index in its key and its value.
pub fn take_entry(index: &[u8], row: &[u8]) -> Option<LogEntry> {
    let (term, rest) = row.split_at_checked(8)?;
    let (&kind, data) = rest.split_first().filter(|(kind, _)| **kind <= KIND_MAX)?;
    Some(LogEntry {
        index: u64::from_be_bytes(index.try_into().ok()?),
        term: u64::from_be_bytes(term.try_into().ok()?),
        kind,
        data: Bytes::copy_from_slice(data),
    })
}

fn pair(a: u64, b: u64) -> Vec<u8> {
    [a.to_be_bytes(), b.to_be_bytes()].concat()
}

fn vote_row(vote: LogVote) -> Vec<u8> {
    [vote.term, vote.vote, vote.commit].map(u64::to_be_bytes).concat()
}

/// The numbers of a row `b` or `v`.
pub fn take_numbers<const N: usize>(row: &[u8]) -> Option<[u64; N]> {
    let (numbers, []) = row.as_chunks::<8>() else {
        return None;
    };
    <[[u8; 8]; N]>::try_from(numbers).ok().map(|numbers| numbers.map(u64::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> LogEntry {
        LogEntry { index, term, kind: 0, data: Bytes::from(format!("{index}@{term}")) }
    }

    fn open(path: &Path, is_new: bool) -> Result<RocksLog, Fault> {
        RocksLog::open(path, is_new, Arc::new(Ballast::new(path, 0)))
    }

    fn append(log: &mut RocksLog, entries: Vec<LogEntry>) {
        log.append(&LogWrite { entries, vote: None }).unwrap();
    }

    #[test]
    fn a_log_comes_back_as_it_was_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        let mut log = open(&path, true).unwrap();
        log.initialise(1, 1).unwrap();
        append(&mut log, vec![entry(2, 1), entry(3, 1), entry(4, 1)]);
        append(&mut log, vec![entry(3, 2)]);
        log.sync().unwrap();
        drop(log);

        let mut log = open(&path, false).unwrap();
        assert_eq!(log.load().unwrap().entries, vec![entry(2, 1), entry(3, 2)]);
        log.truncate(2, 1).unwrap();
        let start = log.load().unwrap();
        assert_eq!((start.base_index, start.base_term), (2, 1));
        assert_eq!(start.entries, vec![entry(3, 2)]);
    }

    #[test]
    fn a_missing_entry_is_damage() {
        let place = tempfile::tempdir().unwrap();
        let mut log = open(&place.path().join("log"), true).unwrap();
        log.initialise(1, 1).unwrap();
        append(&mut log, vec![entry(2, 1), entry(3, 1), entry(4, 1)]);
        log.db.delete(entry_key(3)).unwrap();
        assert!(log.load().unwrap_err().detail.contains("entry 3"));
    }

    #[test]
    fn a_log_that_is_not_there_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        assert!(open(&place.path().join("log"), false).is_err());
    }
}
