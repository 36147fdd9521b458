//! When history is compacted: soon after the start and then each interval, by the leader's sidecar
//! only.
//!
//! A run that is due and must not be yet is counted as skipped, and stays due: it comes as soon as
//! the obstacle is gone. So a member that begins to lead, or a sidecar that is restarted again and
//! again, does not wait for a whole interval. The window is not kept here (`policy.rs`).

use std::future::pending;
use std::time::Duration;

use metastore_proto::admin::{History, ObserveResponse, Role};
use metastore_proto::environment::CompactionSettings;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Code;
use tracing::{debug, info, warn};

use super::{CompactionMetrics, CompactionState, Jitter, Outcome, Run, Skip, policy};
use crate::core_client::{CoreClient, CoreError};
use crate::health::{Observation, Probe, evaluate};
use crate::tunable::Tunable;
use crate::wall_clock::{WallClock, unix_ms};

/// How soon the first run comes after a start or a change of the settings, unless the interval is
/// shorter: core has a moment to get ready, and a sidecar that dies each minute still compacts.
const SOON: Duration = Duration::from_secs(30);
/// How soon the first retry comes after a failure. Each one waits twice as long as the one before,
/// and never longer than the interval.
const RETRY: Duration = Duration::from_secs(10);
/// Entries that core may have to apply. With more it has better things to do.
const BEHIND_MAX: u64 = 5_000;
/// What core calls making a snapshot.
const SNAPSHOT: &str = "snapshot";

/// The one task that compacts. One run at a time.
pub struct Scheduler<C> {
    pub core: C,
    pub observed: watch::Receiver<Observation>,
    pub tunable: watch::Receiver<Tunable>,
    pub clock: WallClock,
    pub jitter: Jitter,
    pub metrics: CompactionMetrics,
    pub publish: watch::Sender<CompactionState>,
}

/// What comes next.
struct Agenda {
    settings: CompactionSettings,
    /// When the next run is due.
    due: Instant,
    /// Failures in a row.
    failures: u32,
    /// What the run that is due waits for.
    obstacle: Option<Obstacle>,
}

struct Obstacle {
    /// [`Skip::reason`].
    reason: &'static str,
    /// When it is counted again, if it is still there then.
    counted_until: Instant,
}

/// What a run is about to do.
struct Plan {
    revision: i64,
    removed: u64,
}

impl<C: CoreClient> Scheduler<C> {
    /// Runs until dropped.
    pub async fn run(mut self) {
        let settings = self.tunable.borrow_and_update().compaction.clone();
        let mut agenda = self.begin(settings);
        loop {
            self.show(&agenda);
            tokio::select! {
                () = agenda.wait() => {}
                () = changed(&mut self.observed) => {}
                () = changed(&mut self.tunable) => self.tune(&mut agenda),
            }
            if agenda.settings.enabled && agenda.due <= Instant::now() {
                self.turn(&mut agenda).await;
            }
        }
    }

    fn begin(&mut self, settings: CompactionSettings) -> Agenda {
        let soon = self.jitter.lengthen(SOON).min(settings.check_interval);
        Agenda { settings, due: Instant::now() + soon, failures: 0, obstacle: None }
    }

    /// Settings may have changed: what was due is due soon, by the new ones.
    fn tune(&mut self, agenda: &mut Agenda) {
        let settings = self.tunable.borrow_and_update().compaction.clone();
        if settings == agenda.settings {
            return;
        }
        match (agenda.settings.enabled, settings.enabled) {
            (true, false) => info!("compaction paused"),
            (false, true) => info!("compaction resumed"),
            (true, true) | (false, false) => {}
        }
        *agenda = self.begin(settings);
    }

    /// A run that is due: done, or skipped and still due.
    async fn turn(&mut self, agenda: &mut Agenda) {
        let started = Instant::now();
        let outcome = match self.plan(&agenda.settings) {
            Ok(Some(plan)) => self.compact(plan).await,
            Ok(None) => Outcome::Nothing,
            Err(skip) => {
                self.skip(agenda, skip);
                return;
            }
        };
        agenda.failures =
            if matches!(outcome, Outcome::Failed(_)) { agenda.failures + 1 } else { 0 };
        agenda.obstacle = None;
        let pause = pause(agenda.settings.check_interval, agenda.failures);
        agenda.due = Instant::now() + self.jitter.lengthen(pause);
        self.ended(outcome, started.elapsed());
    }

    /// Counts what is in the way: once when it comes, then once an interval.
    fn skip(&mut self, agenda: &mut Agenda, skip: Skip) {
        let (now, reason) = (Instant::now(), skip.reason());
        let known = agenda.obstacle.as_ref().filter(|obstacle| obstacle.reason == reason);
        if known.is_some_and(|obstacle| now < obstacle.counted_until) {
            return;
        }
        if known.is_none() {
            info!(reason = %skip, "compaction skipped");
        } else {
            debug!(reason = %skip, "compaction skipped again");
        }
        let interval = self.jitter.lengthen(agenda.settings.check_interval);
        agenda.obstacle = Some(Obstacle { reason, counted_until: now + interval });
        self.ended(Outcome::Skipped(skip), Duration::ZERO);
    }

    fn plan(&self, settings: &CompactionSettings) -> Result<Option<Plan>, Skip> {
        let observation = self.observed.borrow();
        let verdict = evaluate(&observation, &self.tunable.borrow().health, Instant::now());
        if let Some(reason) = verdict.reason(Probe::Ready) {
            return Err(Skip::NotReady(reason.to_owned()));
        }
        if verdict.role != Role::Leader {
            return Err(Skip::NotLeader);
        }
        let said = observation.answer.as_ref().map(|answer| &answer.said);
        if let Some(skip) = said.and_then(busy) {
            return Err(skip);
        }
        let history = said.and_then(|said| said.history.as_ref());
        Ok(history.and_then(|history| {
            let revision = self.target(history, settings)?;
            Some(Plan { revision, removed: policy::removed(history, revision) })
        }))
    }

    fn target(&self, history: &History, settings: &CompactionSettings) -> Option<i64> {
        let now_ms = policy::now_ms(history, unix_ms((self.clock)()));
        policy::target(history, settings, now_ms)
    }

    async fn compact(&self, plan: Plan) -> Outcome {
        match self.core.compact(plan.revision).await {
            Ok(revision) => Outcome::Compacted { revision, removed: plan.removed },
            // A client has compacted as far, since core was last asked.
            Err(CoreError::Refused { code: Code::OutOfRange, .. }) => Outcome::Nothing,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Says how a run ended, everywhere.
    fn ended(&self, outcome: Outcome, took: Duration) {
        log(&outcome, took);
        let ended = (self.clock)();
        self.metrics.record(&outcome, took, ended);
        self.publish.send_modify(|state| {
            if outcome.is_success() {
                state.last_success = Some(ended);
            }
            state.last = Some(Run { outcome, ended, took });
        });
    }

    /// Publishes what is to come.
    fn show(&self, agenda: &Agenda) {
        let lag = self.lag(&agenda.settings);
        let due = agenda.settings.enabled.then(|| wall_time(agenda.due, (self.clock)()));
        self.publish.send_modify(|state| {
            state.enabled = agenda.settings.enabled;
            state.next_due = due;
            state.lag = lag;
            self.metrics.show(state);
        });
    }

    fn lag(&self, settings: &CompactionSettings) -> Option<u64> {
        let observation = self.observed.borrow();
        let history = observation.answer.as_ref()?.said.history.as_ref()?;
        let target = self.target(history, settings);
        Some(target.map_or(0, |target| policy::removed(history, target)))
    }
}

impl Agenda {
    /// Until something is to be done, if nothing changes.
    async fn wait(&self) {
        match &self.obstacle {
            _ if !self.settings.enabled => pending().await,
            Some(obstacle) => sleep_until(obstacle.counted_until).await,
            None => sleep_until(self.due).await,
        }
    }
}

/// Work of core that a compaction would disturb.
fn busy(said: &ObserveResponse) -> Option<Skip> {
    if said.operations.iter().any(|operation| operation.name == SNAPSHOT) {
        return Some(Skip::Snapshot);
    }
    let consensus = said.consensus.as_ref()?;
    let behind = consensus.commit_index.saturating_sub(consensus.applied_index);
    (behind > BEHIND_MAX).then_some(Skip::Behind(behind))
}

/// A sender that is gone changes nothing any more.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        pending::<()>().await;
    }
}

/// How long to wait for the next run after so many failures in a row.
fn pause(interval: Duration, failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => interval,
        Some(before) => interval.min(RETRY.saturating_mul(2_u32.saturating_pow(before))),
    }
}

/// The time of day at a moment of the monotonic clock.
fn wall_time(at: Instant, now: std::time::SystemTime) -> std::time::SystemTime {
    let mono = Instant::now();
    now + at.saturating_duration_since(mono) - mono.saturating_duration_since(at)
}

fn log(outcome: &Outcome, took: Duration) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Compacted { revision, removed } => {
            info!(revision, removed, took_ms, "compaction finished");
        }
        Outcome::Nothing => debug!("compaction had nothing to do"),
        Outcome::Failed(error) => warn!(%error, took_ms, "compaction failed"),
        // Told when it came into the way.
        Outcome::Skipped(_) => {}
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
