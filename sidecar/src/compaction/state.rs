//! What is known of compaction, for pages, reports and metrics.

use std::time::{Duration, SystemTime};

use super::Outcome;

/// Published by the scheduler whenever something of it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactionState {
    /// Whether the scheduler compacts; it may be paused and resumed while it runs.
    pub enabled: bool,
    /// The newest run.
    pub last: Option<Run>,
    /// When a run last compacted, or found nothing to do.
    pub last_success: Option<SystemTime>,
    /// When the next run is due. In the past: it waits for what the newest run was skipped for.
    /// `None` while paused.
    pub next_due: Option<SystemTime>,
    /// Revisions that the policy would let go now; `None` while core has not said.
    pub lag: Option<u64>,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub outcome: Outcome,
    pub ended: SystemTime,
    /// What core took.
    pub took: Duration,
}
