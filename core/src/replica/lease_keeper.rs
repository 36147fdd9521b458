//! The deadlines of leases, on the leader. Keep-alives touch only this, never the log.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::domain::lease::expiry::Deadlines;

/// Shared by the replica, which grants and revokes, and the serving threads, which renew.
#[derive(Debug, Default)]
pub struct LeaseKeeper {
    deadlines: Mutex<Deadlines>,
    is_kept_here: AtomicBool,
}

impl LeaseKeeper {
    /// Whether this member's clock decides.
    pub fn is_kept_here(&self) -> bool {
        self.is_kept_here.load(Ordering::Acquire)
    }

    /// Renews a lease; answers its time to live in seconds, or `None` when it has ended.
    pub fn renew(&self, id: i64, now_ms: i64) -> Option<i64> {
        self.deadlines.lock().renew(id, now_ms)
    }

    /// Granted and remaining seconds.
    pub fn time_to_live(&self, id: i64, now_ms: i64) -> Option<(i64, i64)> {
        self.deadlines.lock().time_to_live(id, now_ms)
    }

    pub fn by_deadline(&self) -> Vec<i64> {
        self.deadlines.lock().by_deadline()
    }

    pub(super) fn granted(&self, id: i64, ttl: i64, now_ms: i64) {
        self.deadlines.lock().start(id, ttl, now_ms);
    }

    pub(super) fn revoked(&self, id: i64) {
        self.deadlines.lock().stop(id);
    }

    pub(super) fn expired(&self, now_ms: i64, limit: usize) -> Vec<i64> {
        self.deadlines.lock().expired(now_ms, limit)
    }

    pub(super) fn take_over(&self, now_ms: i64, grace_ms: i64) {
        self.deadlines.lock().restart_all(now_ms, grace_ms);
        self.is_kept_here.store(true, Ordering::Release);
    }

    pub(super) fn hand_over(&self) {
        self.is_kept_here.store(false, Ordering::Release);
    }
}
