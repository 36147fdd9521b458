//! The sidecar's own metrics. All are `metastore_sidecar_…`, except `metastore_core_up` and those of
//! etcd's that count its answers to probes.
//!
//! Values that follow from memory are set when the text is made; nothing here does I/O.

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntGauge, Opts, Registry, TextEncoder};

use crate::health::{Probe, Status, Verdict};
use crate::probes::counts::{self, AnswerCounts};

/// What the names of our families begin with. Of core's, those are left out.
pub const OWN_PREFIXES: [&str; 3] = ["metastore_sidecar_", "metastore_core_up", counts::PREFIX];

const PROBES: [(Probe, &str); 4] = [
    (Probe::Startup, "startup"),
    (Probe::Live, "liveness"),
    (Probe::Ready, "readiness"),
    (Probe::Health, "health"),
];

/// All families of the sidecar.
pub struct Metrics {
    /// How probes were answered.
    pub answers: AnswerCounts,
    registry: Registry,
    core_up: IntGauge,
    observation_age: Gauge,
    probes: GaugeVec,
    checks: GaugeVec,
    warnings: Gauge,
}

impl Metrics {
    /// With the families of other parts.
    pub fn new(others: impl IntoIterator<Item = Box<dyn Collector>>) -> Self {
        let registry = Registry::new();
        let info = gauge_vec("build_info", "The version, as a label.", "version");
        register(&registry, &info).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let answers = AnswerCounts::default();
        for family in others.into_iter().chain(answers.families()) {
            registry.register(family).expect(UNIQUE);
        }
        let up = Opts::new("metastore_core_up", "Whether core answered the sidecar recently.");
        let probes = gauge_vec("probe_success", "Whether the probe would succeed now.", "probe");
        let age = gauge("observation_age_seconds", "Age of core's last answer; -1 before any.");
        let checks = opts("check_success", "Whether a check holds now; absent where unknown.");
        let checks = GaugeVec::new(checks, &["probe", "check"]).expect(VALID);
        let warnings = gauge("config_warnings", "Warnings about the configuration.");
        Self {
            answers,
            core_up: register(&registry, &IntGauge::with_opts(up).expect(VALID)),
            observation_age: register(&registry, &age),
            probes: register(&registry, &probes),
            checks: register(&registry, &checks),
            warnings: register(&registry, &warnings),
            registry,
        }
    }

    /// The text of all families, with these facts in them.
    pub fn text(&self, verdict: &Verdict, warnings: usize) -> String {
        self.warnings.set(warnings as f64);
        self.core_up.set(verdict.is_observed().into());
        self.observation_age.set(verdict.age.map_or(-1.0, |age| age.as_secs_f64()));
        // What became unknown must not keep its last value.
        self.checks.reset();
        for (probe, name) in PROBES {
            let value = f64::from(u8::from(verdict.passes(probe)));
            self.probes.with_label_values(&[name]).set(value);
            for check in verdict.checks_of(probe) {
                let value = match check.status {
                    Status::Ok => 1.0,
                    Status::Failed(_) => 0.0,
                    Status::Unknown => continue,
                };
                self.checks.with_label_values(&[name, check.name]).set(value);
            }
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect(VALID)
    }
}

pub(crate) const VALID: &str = "names, labels and helps are constants, and valid";
const UNIQUE: &str = "names are constants, and no two are the same";

pub(crate) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("metastore_sidecar_{name}"), help)
}

pub(crate) fn gauge(name: &str, help: &str) -> Gauge {
    Gauge::with_opts(opts(name, help)).expect(VALID)
}

pub(crate) fn gauge_vec(name: &str, help: &str, label: &str) -> GaugeVec {
    GaugeVec::new(opts(name, help), &[label]).expect(VALID)
}

fn register<F: Collector + Clone + 'static>(registry: &Registry, family: &F) -> F {
    registry.register(Box::new(family.clone())).expect(UNIQUE);
    family.clone()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use tokio::time::Instant;

    use super::*;
    use crate::compaction::{CompactionMetrics, Outcome};
    use crate::fake_core::serving;
    use crate::health::{Observation, evaluate};
    use crate::tunable::Tunable;

    const SECOND: Duration = Duration::from_secs(1);

    fn verdict(age: Duration) -> Verdict {
        let mut observation = Observation::default();
        let now = Instant::now();
        observation.heard(serving(), now);
        evaluate(&observation, &Tunable::default().health, now + age)
    }

    #[test]
    fn all_families_have_values() {
        let compaction = CompactionMetrics::default();
        let outcome = Outcome::Compacted { revision: 9, removed: 5 };
        compaction.record(&outcome, SECOND, UNIX_EPOCH + 7 * SECOND);
        let text =
            Metrics::new(compaction.families()).text(&verdict(Duration::from_millis(500)), 2);
        for line in [
            "metastore_core_up 1",
            "metastore_sidecar_observation_age_seconds 0.5",
            "metastore_sidecar_probe_success{probe=\"readiness\"} 1",
            "metastore_sidecar_check_success{check=\"data_corruption\",probe=\"readiness\"} 1",
            "metastore_sidecar_config_warnings 2",
            "etcd_server_health_success 0",
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
        let metrics = Metrics::new([]);
        let text = metrics.text(&verdict(3 * SECOND), 0);
        assert!(text.contains("\nmetastore_core_up 0\n"), "{text}");
        assert!(text.contains("{probe=\"readiness\"} 0"));
        assert!(text.contains("{check=\"observed\",probe=\"readiness\"} 0\n"), "{text}");
        assert!(!text.contains("{check=\"data_corruption\",probe=\"readiness\"}"), "{text}");
    }

    #[test]
    fn every_family_has_a_prefix_of_ours() {
        let text = Metrics::new([]).text(&verdict(SECOND), 0);
        let is_ours = |line: &str| OWN_PREFIXES.iter().any(|prefix| line.starts_with(prefix));
        assert!(text.lines().all(|line| line.starts_with('#') || is_ours(line)), "{text}");
    }
}
