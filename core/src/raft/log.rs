//! The port to the raft log, which is the write-ahead log of the whole store.

use bytes::Bytes;

use crate::domain::Fault;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    /// raft's `EntryType`: 0 a proposal, 1 and 2 a change of members.
    pub kind: u8,
    pub data: Bytes,
}

/// Whom this member voted for, and what it knows to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogVote {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}

/// What one turn of consensus wants on disk.
#[derive(Debug, Clone, Default)]
pub struct LogWrite {
    /// In order and without gaps. They replace everything from the first one's index on.
    pub entries: Vec<LogEntry>,
    pub vote: Option<LogVote>,
}

/// What a log holds when it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStart {
    pub vote: LogVote,
    /// The entry before the first one that is kept.
    pub base_index: u64,
    pub base_term: u64,
    /// Everything that is kept, without gaps.
    pub entries: Vec<LogEntry>,
}

/// Keeps the log. An error is a [`Fault`]: the member stops.
///
/// After a crash the log holds at least what was there when [`Self::sync`] last returned, and a
/// prefix of what was appended since.
pub trait LogStore: Send {
    /// Reads everything; called once, before any write.
    fn load(&mut self) -> Result<LogStart, Fault>;

    /// Appends in one write.
    fn append(&mut self, write: &LogWrite) -> Result<(), Fault>;

    /// Begins to make what is appended durable, so that the caller can do something else before
    /// it asks for [`Self::sync`].
    fn start_sync(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// On return everything appended is durable.
    fn sync(&mut self) -> Result<(), Fault>;

    /// Where the log is, for messages to people.
    fn place(&self) -> String {
        "the raft log".to_owned()
    }

    /// How long the newest sync took, in microseconds.
    fn last_sync_us(&self) -> u64 {
        0
    }

    /// Entries `[low, high)`, all of which are kept.
    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault>;

    /// Forgets the entries up to `index`, whose term is `term`. Their effects are durable.
    fn truncate(&mut self, index: u64, term: u64) -> Result<(), Fault>;
}
