//! Refusals that every member agrees on.

/// A refusal: the answer to a command, the same on every member. Never a fault.
///
/// The texts that clients see are in `api/etcd/status.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("revision {asked} is compacted: the oldest readable one is {compacted}")]
    Compacted { asked: i64, compacted: i64 },
    #[error("revision {asked} is in the future: the newest is {current}")]
    FutureRevision { asked: i64, current: i64 },
    #[error("key not found")]
    KeyNotFound,
    #[error("lease {0} not found")]
    LeaseNotFound(i64),
    #[error("lease {0} exists already")]
    LeaseExists(i64),
    #[error("the alarm NOSPACE is raised")]
    NoSpace,
    #[error("the alarm CORRUPT is raised")]
    Corrupt,
}
