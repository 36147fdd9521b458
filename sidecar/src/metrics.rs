//! The sidecar's own metrics. All are `metastore_sidecar_…`, except `metastore_core_up`.
//!
//! Values that follow from memory are set when the text is made; nothing here does I/O.

use std::time::{Duration, SystemTime};

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::compaction::Outcome;
use crate::disk::Space;
use crate::health::{Probe, Verdict};
use crate::wall_clock::unix_ms;

/// What the names of our families begin with; core's never do.
pub const OWN_PREFIXES: [&str; 2] = ["metastore_sidecar_", "metastore_core_up"];

/// From a compaction that finds little to one that waits for its deadline.
const SECONDS: [f64; 7] = [0.001, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

const PROBES: [(Probe, &str); 4] = [
    (Probe::Startup, "startup"),
    (Probe::Live, "liveness"),
    (Probe::Ready, "readiness"),
    (Probe::Health, "health"),
];

/// All families of the sidecar.
pub struct Metrics {
    registry: Registry,
    core_up: IntGauge,
    observation_age: Gauge,
    probes: GaugeVec,
    disk_total: Gauge,
    disk_free: Gauge,
}

impl Metrics {
    /// To be called once for each `CompactionMetrics`.
    pub fn new(compaction: &CompactionMetrics) -> Self {
        let registry = Registry::new();
        let info = gauge_vec("build_info", "The version, as a label.", "version");
        register(&registry, &info).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        for family in compaction.families() {
            registry.register(family).expect(UNIQUE);
        }
        let up = Opts::new("metastore_core_up", "Whether core answered the sidecar recently.");
        let probes = gauge_vec("probe_success", "Whether the probe would succeed now.", "probe");
        let age = gauge("observation_age_seconds", "Age of core's last answer; -1 before any.");
        let total = gauge("disk_total_bytes", "Size of the data's file system.");
        let free = gauge("disk_free_bytes", "Bytes that are free there.");
        Self {
            core_up: register(&registry, &IntGauge::with_opts(up).expect(VALID)),
            observation_age: register(&registry, &age),
            probes: register(&registry, &probes),
            disk_total: register(&registry, &total),
            disk_free: register(&registry, &free),
            registry,
        }
    }

    /// The text of all families, with these facts in them.
    pub fn text(&self, verdict: &Verdict, disk: Option<Space>) -> String {
        self.core_up.set(verdict.is_observed().into());
        self.observation_age.set(verdict.age.map_or(-1.0, |age| age.as_secs_f64()));
        for (probe, name) in PROBES {
            let value = f64::from(u8::from(verdict.passes(probe)));
            self.probes.with_label_values(&[name]).set(value);
        }
        self.disk_total.set(disk.map_or(f64::NAN, |space| bytes(space.total)));
        self.disk_free.set(disk.map_or(f64::NAN, |space| bytes(space.free)));
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect(VALID)
    }
}

/// What the scheduler counts. A clone counts the same.
#[derive(Clone)]
pub struct CompactionMetrics {
    runs: IntCounterVec,
    removed: IntCounter,
    duration: Histogram,
    last_success: Gauge,
}

impl Default for CompactionMetrics {
    fn default() -> Self {
        let runs = opts("compaction_runs_total", "Runs of the compaction scheduler.");
        let runs = IntCounterVec::new(runs, &["result"]).expect(VALID);
        for result in ["compacted", "nothing", "skipped", "failed"] {
            runs.with_label_values(&[result]);
        }
        let removed = opts("compaction_removed_revisions_total", "Revisions compacted away.");
        let duration = HistogramOpts::from(opts(
            "compaction_duration_seconds",
            "Time that core took for compactions, failed ones too.",
        ));
        Self {
            runs,
            removed: IntCounter::with_opts(removed).expect(VALID),
            duration: Histogram::with_opts(duration.buckets(SECONDS.into())).expect(VALID),
            last_success: gauge(
                "compaction_last_success_timestamp_seconds",
                "When a run last compacted or found nothing to do, in seconds since 1970.",
            ),
        }
    }
}

impl CompactionMetrics {
    /// Counts a run that ended at this time of day.
    pub fn record(&self, outcome: &Outcome, took: Duration, ended: SystemTime) {
        let result = match outcome {
            Outcome::Compacted { .. } => "compacted",
            Outcome::Nothing => "nothing",
            Outcome::Skipped(_) => "skipped",
            Outcome::Failed(_) => "failed",
        };
        self.runs.with_label_values(&[result]).inc();
        if let Outcome::Compacted { removed, .. } = outcome {
            self.removed.inc_by(*removed);
        }
        if matches!(outcome, Outcome::Compacted { .. } | Outcome::Failed(_)) {
            self.duration.observe(took.as_secs_f64());
        }
        if matches!(outcome, Outcome::Compacted { .. } | Outcome::Nothing) {
            self.last_success
                .set(Duration::from_millis(unix_ms(ended).unsigned_abs()).as_secs_f64());
        }
    }

    fn families(&self) -> [Box<dyn Collector>; 4] {
        [
            Box::new(self.runs.clone()),
            Box::new(self.removed.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.last_success.clone()),
        ]
    }

    #[cfg(test)]
    pub(crate) fn runs(&self, result: &str) -> u64 {
        self.runs.with_label_values(&[result]).get()
    }

    #[cfg(test)]
    pub(crate) fn removed(&self) -> u64 {
        self.removed.get()
    }
}

const VALID: &str = "names, labels and helps are constants, and valid";
const UNIQUE: &str = "names are constants, and no two are the same";

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("metastore_sidecar_{name}"), help)
}

fn gauge(name: &str, help: &str) -> Gauge {
    Gauge::with_opts(opts(name, help)).expect(VALID)
}

fn gauge_vec(name: &str, help: &str, label: &str) -> GaugeVec {
    GaugeVec::new(opts(name, help), &[label]).expect(VALID)
}

fn register<F: Collector + Clone + 'static>(registry: &Registry, family: &F) -> F {
    registry.register(Box::new(family.clone())).expect(UNIQUE);
    family.clone()
}

/// Exact up to 8 PiB.
#[expect(clippy::cast_precision_loss, reason = "a gauge has no other number")]
fn bytes(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use tokio::time::Instant;

    use super::*;
    use crate::fake_core::serving;
    use crate::health::{Observation, Thresholds, evaluate};

    const SECOND: Duration = Duration::from_secs(1);
    const THRESHOLDS: Thresholds =
        Thresholds { observation_max_age: SECOND, liveness_window: SECOND };

    fn verdict(age: Duration) -> Verdict {
        let mut observation = Observation::default();
        let now = Instant::now();
        observation.heard(serving(), now);
        evaluate(&observation, THRESHOLDS, now + age)
    }

    #[test]
    fn all_families_have_values() {
        let compaction = CompactionMetrics::default();
        let outcome = Outcome::Compacted { revision: 9, removed: 5 };
        compaction.record(&outcome, SECOND, UNIX_EPOCH + 7 * SECOND);
        let disk = Some(Space { total: 100, free: 25 });
        let text = Metrics::new(&compaction).text(&verdict(Duration::from_millis(500)), disk);
        for line in [
            "metastore_core_up 1",
            "metastore_sidecar_observation_age_seconds 0.5",
            "metastore_sidecar_probe_success{probe=\"readiness\"} 1",
            "metastore_sidecar_disk_total_bytes 100",
            "metastore_sidecar_disk_free_bytes 25",
            "metastore_sidecar_compaction_runs_total{result=\"compacted\"} 1",
            "metastore_sidecar_compaction_runs_total{result=\"failed\"} 0",
            "metastore_sidecar_compaction_removed_revisions_total 5",
            "metastore_sidecar_compaction_duration_seconds_count 1",
            "metastore_sidecar_compaction_last_success_timestamp_seconds 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.contains("metastore_sidecar_build_info{version="));
    }

    #[test]
    fn a_stale_observation_means_down() {
        let metrics = Metrics::new(&CompactionMetrics::default());
        let text = metrics.text(&verdict(2 * SECOND), None);
        assert!(text.contains("\nmetastore_core_up 0\n"), "{text}");
        assert!(text.contains("{probe=\"readiness\"} 0"));
        assert!(text.contains("metastore_sidecar_disk_free_bytes NaN"));
    }

    #[test]
    fn every_family_has_a_prefix_of_ours() {
        let text = Metrics::new(&CompactionMetrics::default()).text(&verdict(SECOND), None);
        let is_ours = |line: &str| OWN_PREFIXES.iter().any(|prefix| line.starts_with(prefix));
        assert!(text.lines().all(|line| line.starts_with('#') || is_ours(line)), "{text}");
    }
}
