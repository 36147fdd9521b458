//! What Prometheus sees of the disk.

use std::time::{Duration, SystemTime};

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounterVec};

use super::{Action, DiskState, Level, Space};
use crate::metrics::{VALID, gauge, gauge_vec, opts};
use crate::wall_clock::unix_ms;

/// A clone shows the same. A value that is unknown is NaN.
#[derive(Clone)]
pub struct DiskMetrics {
    total: Gauge,
    free: Gauge,
    inodes_total: Gauge,
    inodes_free: Gauge,
    level: GaugeVec,
    full_in: Gauge,
    measured: Gauge,
    actions: IntCounterVec,
}

impl Default for DiskMetrics {
    fn default() -> Self {
        let actions = opts("disk_alarm_actions_total", "What the disk guard asked of core.");
        let actions = IntCounterVec::new(actions, &["action", "result"]).expect(VALID);
        for (action, result) in Action::ALL
            .iter()
            .flat_map(|action| ["done", "failed"].map(|result| (action.as_str(), result)))
        {
            actions.with_label_values(&[action, result]);
        }
        let metrics = Self {
            total: gauge("disk_total_bytes", "Size of the member's share of the data's volume."),
            free: gauge("disk_free_bytes", "Bytes that are free of it."),
            inodes_total: gauge("disk_inodes", "Inodes of the volume; NaN: not counted."),
            inodes_free: gauge("disk_inodes_free", "Inodes that are free; NaN: not counted."),
            level: gauge_vec("disk_level", "1 for the level that the disk is at.", "level"),
            full_in: gauge(
                "disk_full_in_seconds",
                "When the disk is full if it goes on like in the last minutes; NaN: it does not fill.",
            ),
            measured: gauge(
                "disk_measured_timestamp_seconds",
                "When the disk was measured, in seconds since 1970; 0 before.",
            ),
            actions,
        };
        metrics.show_figures(&DiskState::default());
        metrics
    }
}

impl DiskMetrics {
    /// Shows the state as of this time of day.
    pub(super) fn show(&self, state: &DiskState, now: SystemTime) {
        self.show_figures(state);
        if state.space.is_some() {
            let since_1970 = Duration::from_millis(unix_ms(now).unsigned_abs());
            self.measured.set(since_1970.as_secs_f64());
        }
    }

    fn show_figures(&self, state: &DiskState) {
        let units = |space: Option<Space>, of: fn(Space) -> u64| {
            space.map_or(f64::NAN, |space| number(of(space)))
        };
        self.total.set(units(state.space, |space| space.total));
        self.free.set(units(state.space, |space| space.free));
        self.inodes_total.set(units(state.inodes, |inodes| inodes.total));
        self.inodes_free.set(units(state.inodes, |inodes| inodes.free));
        for level in Level::ALL {
            let is_it = u8::from(level == state.level);
            self.level.with_label_values(&[level.as_str()]).set(is_it.into());
        }
        self.full_in.set(state.full_in.map_or(f64::NAN, |left| left.as_secs_f64()));
    }

    pub(super) fn acted(&self, action: Action, is_done: bool) {
        let result = if is_done { "done" } else { "failed" };
        self.actions.with_label_values(&[action.as_str(), result]).inc();
    }

    #[cfg(test)]
    pub(super) fn actions(&self, action: &str, result: &str) -> u64 {
        self.actions.with_label_values(&[action, result]).get()
    }

    /// To be registered once.
    pub fn families(&self) -> [Box<dyn Collector>; 8] {
        [
            Box::new(self.total.clone()),
            Box::new(self.free.clone()),
            Box::new(self.inodes_total.clone()),
            Box::new(self.inodes_free.clone()),
            Box::new(self.level.clone()),
            Box::new(self.full_in.clone()),
            Box::new(self.measured.clone()),
            Box::new(self.actions.clone()),
        ]
    }
}

/// Exact up to 8 PiB.
#[expect(clippy::cast_precision_loss, reason = "a gauge has no other number")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use prometheus::{Registry, TextEncoder};

    use super::*;

    fn text(metrics: &DiskMetrics) -> String {
        let registry = Registry::new();
        for family in metrics.families() {
            registry.register(family).unwrap();
        }
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    fn assert_lines(metrics: &DiskMetrics, lines: &[&str]) {
        let text = text(metrics);
        for line in lines {
            let line = format!("metastore_sidecar_disk_{line}");
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn all_figures_are_shown() {
        let state = DiskState {
            space: Some(Space { total: 100, free: 25 }),
            inodes: Some(Space { total: 10, free: 3 }),
            level: Level::Low,
            full_in: Some(Duration::from_millis(1500)),
            ..DiskState::default()
        };
        let metrics = DiskMetrics::default();
        metrics.show(&state, UNIX_EPOCH + Duration::from_secs(7));
        metrics.acted(Action::Raise, true);
        let lines = [
            "total_bytes 100",
            "free_bytes 25",
            "inodes 10",
            "inodes_free 3",
            "level{level=\"low\"} 1",
            "level{level=\"ok\"} 0",
            "full_in_seconds 1.5",
            "measured_timestamp_seconds 7",
            "alarm_actions_total{action=\"raise\",result=\"done\"} 1",
            "alarm_actions_total{action=\"clear\",result=\"failed\"} 0",
        ];
        assert_lines(&metrics, &lines);
    }

    #[test]
    fn what_is_unknown_is_not_a_number() {
        let metrics = DiskMetrics::default();
        let unknown = ["total_bytes NaN", "free_bytes NaN", "inodes_free NaN"];
        assert_lines(&metrics, &unknown);
        assert_lines(&metrics, &["full_in_seconds NaN", "measured_timestamp_seconds 0"]);
    }
}
