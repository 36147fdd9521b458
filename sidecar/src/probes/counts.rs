//! How probes were answered, under the names that etcd gives them. Counted when an answer is made,
//! as etcd does.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts};

use crate::health::{Check, Probe};
use crate::metrics::VALID;

/// What the names of these families begin with. Core counts the answers of its own port under the
/// same names; a scrape has each family once, and here they are the sidecar's.
pub const PREFIX: &str = "etcd_server_health";

/// A clone counts the same.
#[derive(Clone)]
pub struct AnswerCounts {
    success: IntCounter,
    failures: IntCounter,
    newest: IntGaugeVec,
    total: IntCounterVec,
}

impl Default for AnswerCounts {
    fn default() -> Self {
        let opts = |name: &str, help: &str| Opts::new(format!("{PREFIX}{name}"), help);
        let counter = |name, help| IntCounter::with_opts(opts(name, help)).expect(VALID);
        let newest = opts("check", "Whether a check held when it was last asked for.");
        let total = opts("checks_total", "Checks that were asked for.");
        Self {
            success: counter("_success", "Answers of /health that said healthy."),
            failures: counter("_failures", "Answers of /health that said unhealthy."),
            newest: IntGaugeVec::new(newest, &["type", "name"]).expect(VALID),
            total: IntCounterVec::new(total, &["type", "name", "status"]).expect(VALID),
        }
    }
}

impl AnswerCounts {
    pub(super) fn health(&self, is_healthy: bool) {
        let counter = if is_healthy { &self.success } else { &self.failures };
        counter.inc();
    }

    /// These checks made up an answer. One of which nobody knows fails no probe: a success.
    pub(super) fn probe(&self, probe: Probe, checks: &[&Check]) {
        let kind = match probe {
            Probe::Startup => "startup",
            Probe::Live => "livez",
            Probe::Ready => "readyz",
            // etcd counts it as a whole only.
            Probe::Health => return,
        };
        for check in checks {
            let holds = check.failure().is_none();
            let status = if holds { "success" } else { "error" };
            self.newest.with_label_values(&[kind, check.name]).set(holds.into());
            self.total.with_label_values(&[kind, check.name, status]).inc();
        }
    }

    /// To be registered once.
    pub fn families(&self) -> [Box<dyn Collector>; 4] {
        [
            Box::new(self.success.clone()),
            Box::new(self.failures.clone()),
            Box::new(self.newest.clone()),
            Box::new(self.total.clone()),
        ]
    }
}
