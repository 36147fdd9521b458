//! Everything that can be replicated. One variant a request.

use bytes::Bytes;

use super::KeyRange;
use super::alarm::{AlarmCause, AlarmKind};

/// A change that a client or a member asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Put(Put),
    DeleteRange(DeleteRange),
    Txn(Txn),
    Compact { revision: i64 },
    LeaseGrant { id: i64, ttl: i64 },
    LeaseRevoke { id: i64 },
    RaiseAlarm { member: u64, kind: AlarmKind, cause: AlarmCause },
    ClearAlarm { member: u64, kind: AlarmKind, cause: AlarmCause },
    PublishMember { id: u64, name: String, client_urls: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    pub key: Bytes,
    pub value: Bytes,
    pub lease: i64,
    pub prev_kv: bool,
    pub ignore_value: bool,
    pub ignore_lease: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRange {
    pub range: KeyRange,
    pub prev_kv: bool,
}

/// A transaction: the compares choose one of two branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    pub compare: Vec<Compare>,
    pub success: Vec<Operation>,
    pub failure: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Range(Range),
    Put(Put),
    DeleteRange(DeleteRange),
    Txn(Txn),
}

/// A read of a range, with every option of etcd's `RangeRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub range: KeyRange,
    /// 0 or less: no limit.
    pub limit: i64,
    /// 0: the newest.
    pub revision: i64,
    pub sort: Option<Sort>,
    pub keys_only: bool,
    pub count_only: bool,
    /// 0: not filtered. Inclusive bounds.
    pub min_modified: i64,
    pub max_modified: i64,
    pub min_create: i64,
    pub max_create: i64,
}

/// An order other than the natural one, ascending by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub target: SortTarget,
    pub descending: bool,
}

/// The numbers are etcd's `SortTarget`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortTarget {
    Key = 0,
    Version = 1,
    Create = 2,
    Modified = 3,
    Value = 4,
}

/// One condition on a key, or on every key of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    pub range: KeyRange,
    pub relation: Relation,
    pub operand: Operand,
}

/// The numbers are etcd's `CompareResult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equal = 0,
    Greater = 1,
    Less = 2,
    NotEqual = 3,
    /// A number that etcd does not know: it lets everything pass.
    Any = 4,
}

/// What of the key is compared, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    Version(i64),
    Create(i64),
    Modified(i64),
    Value(Bytes),
    Lease(i64),
    /// A target that etcd does not know: it finds everything equal.
    Unknown,
}

impl Range {
    /// All of `range` at the newest revision.
    pub fn of(range: KeyRange) -> Self {
        Self {
            range,
            limit: 0,
            revision: 0,
            sort: None,
            keys_only: false,
            count_only: false,
            min_modified: 0,
            max_modified: 0,
            min_create: 0,
            max_create: 0,
        }
    }

    pub fn is_filtered(&self) -> bool {
        [self.min_modified, self.max_modified, self.min_create, self.max_create]
            .iter()
            .any(|bound| *bound != 0)
    }
}

impl Command {
    /// Whether it makes the store grow: refused while NOSPACE is raised.
    pub fn grows(&self) -> bool {
        match self {
            Self::Put(_) | Self::LeaseGrant { .. } => true,
            Self::Txn(txn) => txn.has_put(),
            Self::DeleteRange(_)
            | Self::Compact { .. }
            | Self::LeaseRevoke { .. }
            | Self::RaiseAlarm { .. }
            | Self::ClearAlarm { .. }
            | Self::PublishMember { .. } => false,
        }
    }

    /// Whether it reads what only committed rows can show: older revisions, or the event log.
    pub fn reads_history(&self) -> bool {
        match self {
            Self::Compact { .. } => true,
            Self::Txn(txn) => txn.any(
                &|operation| matches!(operation, Operation::Range(range) if range.revision != 0),
            ),
            _ => false,
        }
    }

    /// Bytes that the write may add to the store, by the estimate with which etcd keeps its quota:
    /// 256 beside key and value of a put, 64 for a lease, and a transaction's dearer branch.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Put(put) => put.cost(),
            Self::Txn(txn) => txn.cost(),
            Self::LeaseGrant { .. } => 64,
            _ => 0,
        }
    }
}

/// Transactions nest at most this deep. The bound keeps every accepted transaction well inside what
/// a protobuf decoder takes back from the log.
pub const TXN_DEPTH_MAX: usize = 40;

impl Put {
    fn cost(&self) -> u64 {
        256 + self.key.len() as u64 + self.value.len() as u64
    }
}

impl Txn {
    pub fn has_put(&self) -> bool {
        self.any(&|operation| matches!(operation, Operation::Put(_)))
    }

    /// Whether `is` holds for an operation of either branch, nested ones included.
    pub fn any(&self, is: &dyn Fn(&Operation) -> bool) -> bool {
        self.success.iter().chain(&self.failure).any(|operation| {
            is(operation) || matches!(operation, Operation::Txn(nested) if nested.any(is))
        })
    }

    /// The dearer branch.
    fn cost(&self) -> u64 {
        let branch = |operations: &[Operation]| {
            operations
                .iter()
                .map(|operation| match operation {
                    Operation::Put(put) => put.cost(),
                    Operation::Txn(nested) => nested.cost(),
                    Operation::Range(_) | Operation::DeleteRange(_) => 0,
                })
                .sum::<u64>()
        };
        branch(&self.success).max(branch(&self.failure))
    }
}
