//! What every serving thread knows of the member.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::metrics::Metrics;
use crate::replica::{Board, Inbox, LeaseKeeper, Quota, Reader, Stamp};

/// Shared by all serving threads.
#[derive(Debug)]
pub struct Context {
    pub identity: Identity,
    pub limits: Limits,
    pub stamp: Stamp,
    pub board: Arc<Board>,
    pub inbox: Arc<Inbox>,
    pub leases: Arc<LeaseKeeper>,
    pub quota: Arc<Quota>,
    pub reader: Reader,
    pub metrics: Arc<Metrics>,
    pub reclaim: Reclaim,
}

/// The space of compacted history, for those who wait until it is back.
#[derive(Debug)]
pub struct Reclaim {
    /// Up to which revision it is wanted back at once, and not only when it is worth the work.
    pub wanted: AtomicI64,
    /// Up to which revision it is back.
    pub done: watch::Receiver<i64>,
}

impl Reclaim {
    /// Returns when the space of `revision` is back; `false` when the member stops before.
    pub async fn wait(&self, revision: i64) -> bool {
        self.wanted.fetch_max(revision, Ordering::AcqRel);
        self.done.clone().wait_for(|done| *done >= revision).await.is_ok()
    }
}

#[derive(Debug, Clone)]
pub struct Identity {
    pub cluster_id: u64,
    pub member_id: u64,
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub request_bytes: usize,
    pub txn_operations: usize,
    pub concurrent_streams: u32,
    pub election_timeout: Duration,
    pub progress_notify_interval: Duration,
}

impl Limits {
    /// How long a request may wait for consensus: etcd's 5 s and two elections.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election_timeout
    }

    /// Bytes of one message from a client.
    pub fn message_bytes(&self) -> usize {
        self.request_bytes + (512 << 10)
    }

    /// The shortest time to live of a lease, in seconds: one and a half elections, rounded up.
    pub fn lease_ttl_min(&self) -> i64 {
        let millis = self.election_timeout.as_millis() * 3 / 2;
        i64::try_from(millis.div_ceil(1000)).unwrap_or(i64::MAX)
    }
}
