//! All that one command causes, as data.

use bytes::Bytes;

use super::alarm::{Alarm, Alarms};
use super::member::Member;
use super::{KeyValue, Rejection, Revision, Version};

/// The caller writes the mutations, and only then publishes the events and gives the answer.
#[derive(Debug)]
pub struct Effects {
    pub outcome: Result<Response, Rejection>,
    /// The newest revision after the command.
    pub revision: i64,
    pub mutations: Vec<Mutation>,
    pub events: Vec<Event>,
}

impl Effects {
    /// Bytes of the versions that become history, about.
    pub fn superseded_bytes(&self) -> usize {
        let bytes = self.mutations.iter().map(|mutation| match mutation {
            Mutation::Supersede { key, version, .. } => key.len() + version.fields.len(),
            _ => 0,
        });
        bytes.sum()
    }
}

/// What the asker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    Put { previous: Option<KeyValue> },
    DeleteRange { deleted: i64, previous: Vec<KeyValue> },
    Txn(TxnResponse),
    Compact,
    LeaseGrant { id: i64, ttl: i64 },
    LeaseRevoke,
    Alarms(Vec<Alarm>),
    PublishMember,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnResponse {
    pub succeeded: bool,
    pub results: Vec<OperationAnswer>,
}

/// What one operation of a transaction came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationAnswer {
    /// The store's revision right after it: it moves with the transaction's first write.
    pub revision: i64,
    pub response: OperationResponse,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationResponse {
    Range(RangeResponse),
    Put { previous: Option<KeyValue> },
    DeleteRange { deleted: i64, previous: Vec<KeyValue> },
    Txn(TxnResponse),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeResponse {
    pub kvs: Vec<KeyValue>,
    pub more: bool,
    /// All keys of the range, whatever the limit.
    pub count: i64,
}

/// A change to one key, for watchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at: Revision,
    pub key: Bytes,
    /// The new version, or `None` for a delete.
    pub version: Option<Version>,
    /// What a watcher with `prev_kv` sees: the version before this revision.
    pub previous: Option<Version>,
}

impl Event {
    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let fields =
            |version: &Option<Version>| version.as_ref().map_or(0, |version| version.fields.len());
        self.key.len() + fields(&self.version) + fields(&self.previous) + 128
    }
}

/// A row to write. `store/columns.rs` has the bytes of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// The key's live version is now this.
    SetLive {
        key: Bytes,
        version: Version,
    },
    /// The key is not live any more.
    RemoveLive {
        key: Bytes,
    },
    /// `version` was live until `at`.
    Supersede {
        key: Bytes,
        at: Revision,
        version: Version,
    },
    LogEvent(LoggedEvent),
    /// A key began (`born`) or ceased to exist.
    LogBirth {
        at: Revision,
        key: Bytes,
        born: bool,
    },
    Attach {
        lease: i64,
        key: Bytes,
    },
    Detach {
        lease: i64,
        key: Bytes,
    },
    SetLease {
        id: i64,
        ttl: i64,
    },
    RemoveLease {
        id: i64,
    },
    /// Reads below `revision` fail from now on.
    Compacted {
        revision: i64,
    },
    SetAlarms(Alarms),
    SetMember(Member),
    /// `revision` was the newest at `unix_ms`.
    Mark {
        unix_ms: i64,
        revision: i64,
    },
    /// The mark at `unix_ms` is not needed any more.
    Unmark {
        unix_ms: i64,
    },
}

/// What the event log keeps of a change; the versions themselves are in the other rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    pub at: Revision,
    pub key: Bytes,
    pub is_delete: bool,
    /// The key did not exist before.
    pub created: bool,
    /// All rows superseded so far, this one included, and their bytes.
    pub dead_rows: i64,
    pub dead_bytes: i64,
}
