//! What the scheduler counts and shows.

use std::time::{Duration, SystemTime};

use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec};

use super::{CompactionState, Outcome, Skip};
use crate::metrics::{VALID, gauge, opts};
use crate::wall_clock::unix_ms;

/// From a compaction that finds little to one that waits for its deadline.
const SECONDS: [f64; 7] = [0.001, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

/// A clone counts the same.
#[derive(Clone)]
pub struct CompactionMetrics {
    runs: IntCounterVec,
    skips: IntCounterVec,
    removed: IntCounter,
    duration: Histogram,
    last_success: Gauge,
    next_due: Gauge,
    lag: Gauge,
    paused: Gauge,
}

impl Default for CompactionMetrics {
    fn default() -> Self {
        let removed = opts("compaction_removed_revisions_total", "Revisions compacted away.");
        let duration = HistogramOpts::from(opts(
            "compaction_duration_seconds",
            "Time that core took for compactions, failed ones too.",
        ));
        let metrics = Self {
            runs: by_word(
                ("compaction_runs_total", "Runs of the compaction scheduler, by how they ended."),
                ("result", Outcome::RESULTS),
            ),
            skips: by_word(
                ("compaction_skips_total", "Runs of the compaction scheduler that did not look."),
                ("reason", Skip::REASONS),
            ),
            removed: IntCounter::with_opts(removed).expect(VALID),
            duration: Histogram::with_opts(duration.buckets(SECONDS.into())).expect(VALID),
            last_success: gauge(
                "compaction_last_success_timestamp_seconds",
                "When a run last compacted or found nothing to do, in seconds since 1970.",
            ),
            next_due: gauge(
                "compaction_next_due_timestamp_seconds",
                "When the next run is due, in seconds since 1970; 0 while paused. In the past: it \
                 waits for what the newest run was skipped for.",
            ),
            lag: gauge(
                "compaction_lag_revisions",
                "Revisions that the policy would let go now; NaN while core has not said.",
            ),
            paused: gauge("compaction_paused", "Whether the scheduler was told not to compact."),
        };
        metrics.lag.set(f64::NAN);
        metrics
    }
}

/// A counter that shows every word from the start.
fn by_word(
    (name, help): (&str, &str),
    (label, words): (&str, impl IntoIterator<Item = &'static str>),
) -> IntCounterVec {
    let counter = IntCounterVec::new(opts(name, help), &[label]).expect(VALID);
    for word in words {
        counter.with_label_values(&[word]);
    }
    counter
}

impl CompactionMetrics {
    /// Counts a run that ended at this time of day.
    pub fn record(&self, outcome: &Outcome, took: Duration, ended: SystemTime) {
        self.runs.with_label_values(&[outcome.result()]).inc();
        match outcome {
            Outcome::Compacted { removed, .. } => {
                self.removed.inc_by(*removed);
                self.duration.observe(took.as_secs_f64());
            }
            Outcome::Failed(_) => self.duration.observe(took.as_secs_f64()),
            Outcome::Skipped(skip) => self.skips.with_label_values(&[skip.reason()]).inc(),
            Outcome::Nothing => {}
        }
        if outcome.is_success() {
            self.last_success.set(seconds(ended));
        }
    }

    /// Shows what is published.
    pub fn show(&self, state: &CompactionState) {
        self.next_due.set(state.next_due.map_or(0.0, seconds));
        self.lag.set(state.lag.map_or(f64::NAN, |revisions| revisions as f64));
        self.paused.set(f64::from(u8::from(!state.enabled)));
    }

    /// To be registered once.
    pub fn families(&self) -> [Box<dyn Collector>; 8] {
        [
            Box::new(self.runs.clone()),
            Box::new(self.skips.clone()),
            Box::new(self.removed.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.last_success.clone()),
            Box::new(self.next_due.clone()),
            Box::new(self.lag.clone()),
            Box::new(self.paused.clone()),
        ]
    }

    #[cfg(test)]
    pub(crate) fn runs(&self, result: &str) -> u64 {
        self.runs.with_label_values(&[result]).get()
    }

    #[cfg(test)]
    pub(crate) fn skips(&self, reason: &str) -> u64 {
        self.skips.with_label_values(&[reason]).get()
    }

    #[cfg(test)]
    pub(crate) fn removed(&self) -> u64 {
        self.removed.get()
    }

    #[cfg(test)]
    pub(crate) fn shown(&self) -> [f64; 4] {
        [self.last_success.get(), self.next_due.get(), self.lag.get(), self.paused.get()]
    }
}

/// Since 1970.
fn seconds(time: SystemTime) -> f64 {
    Duration::from_millis(unix_ms(time).unsigned_abs()).as_secs_f64()
}
