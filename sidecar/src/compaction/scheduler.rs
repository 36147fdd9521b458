//! When history is compacted: each interval, by the leader's sidecar only.

use std::time::Duration;

use metastore_proto::admin::Role;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{Policy, policy};
use crate::core_client::{CoreClient, CoreError};
use crate::health::{Observation, Probe, Thresholds, evaluate};
use crate::metrics::CompactionMetrics;
use crate::wall_clock::{WallClock, unix_ms};

/// How soon the first retry comes after a failure. Each one waits twice as long as the one before,
/// and never longer than the interval.
const RETRY: Duration = Duration::from_secs(10);

/// The one task that compacts. One run at a time.
pub struct Scheduler<C> {
    pub core: C,
    pub observed: watch::Receiver<Observation>,
    pub thresholds: Thresholds,
    pub policy: Policy,
    pub check_interval: Duration,
    pub clock: WallClock,
    pub metrics: CompactionMetrics,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Compacted {
        revision: i64,
        /// Revisions that are no longer readable.
        removed: u64,
    },
    /// The policy keeps all there is.
    Nothing,
    Skipped(Skip),
    Failed(CoreError),
}

/// Why a run did nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Skip {
    #[error("core is not ready: {0}")]
    NotReady(String),
    #[error("another member leads")]
    NotLeader,
}

/// What a run is about to do.
struct Plan {
    revision: i64,
    compacted: i64,
}

impl<C: CoreClient> Scheduler<C> {
    /// Runs until dropped. The first run comes after one interval.
    pub async fn run(self) {
        let mut failures = 0;
        loop {
            sleep(pause(self.check_interval, failures)).await;
            let started = Instant::now();
            let outcome = self.compact().await;
            failures = if matches!(outcome, Outcome::Failed(_)) { failures + 1 } else { 0 };
            log(&outcome, started.elapsed());
            self.metrics.record(&outcome, started.elapsed(), (self.clock)());
        }
    }

    async fn compact(&self) -> Outcome {
        let plan = match self.plan() {
            Ok(Some(plan)) => plan,
            Ok(None) => return Outcome::Nothing,
            Err(skip) => return Outcome::Skipped(skip),
        };
        match self.core.compact(plan.revision).await {
            Ok(revision) => {
                let removed = u64::try_from(revision - plan.compacted).unwrap_or(0);
                Outcome::Compacted { revision, removed }
            }
            Err(error) => Outcome::Failed(error),
        }
    }

    fn plan(&self) -> Result<Option<Plan>, Skip> {
        let observation = self.observed.borrow();
        let verdict = evaluate(&observation, self.thresholds, Instant::now());
        if let Some(reason) = verdict.reason(Probe::Ready) {
            return Err(Skip::NotReady(reason.to_owned()));
        }
        if verdict.role != Role::Leader {
            return Err(Skip::NotLeader);
        }
        let history = observation.answer.as_ref().and_then(|answer| answer.said.history.as_ref());
        Ok(history.and_then(|history| {
            let revision = policy::target(history, self.policy, unix_ms((self.clock)()))?;
            Some(Plan { revision, compacted: history.compacted_revision })
        }))
    }
}

/// How long to wait for the next run after so many failures in a row.
fn pause(interval: Duration, failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => interval,
        Some(before) => interval.min(RETRY.saturating_mul(2_u32.saturating_pow(before))),
    }
}

fn log(outcome: &Outcome, took: Duration) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Compacted { revision, removed } => {
            info!(revision, removed, took_ms, "compaction finished");
        }
        Outcome::Nothing => info!("compaction had nothing to do"),
        Outcome::Skipped(reason) => info!(%reason, "compaction skipped"),
        Outcome::Failed(error) => warn!(%error, took_ms, "compaction failed"),
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
