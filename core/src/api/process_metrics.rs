//! The metrics that every process has: memory, files, threads, start, processor time.

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Opts};
use rustix::time::{ClockId, clock_gettime};

const CPU: &str = "process_cpu_seconds_total";

/// The client library's, but for the processor time, which it counts in whole seconds: the rate of
/// a process that is not busy would be nothing for a minute and then a peak.
pub(super) struct ProcessMetrics {
    others: ProcessCollector,
    cpu: Counter,
}

impl ProcessMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let help = "Total user and system CPU time spent in seconds.";
        let cpu = Counter::with_opts(Opts::new(CPU, help))?;
        Ok(Self { others: ProcessCollector::for_self(), cpu })
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.others.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.others.collect();
        families.retain(|family| family.name() != CPU);
        let used = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "seconds, for people")]
        let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
        self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        families.extend(self.cpu.collect());
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(metrics: &ProcessMetrics) -> f64 {
        let families = metrics.collect();
        let of_cpu: Vec<_> = families.iter().filter(|family| family.name() == CPU).collect();
        let [family] = of_cpu[..] else { panic!("{} families", of_cpu.len()) };
        family.get_metric()[0].get_counter().get_value()
    }

    #[test]
    fn processor_time_is_counted_in_fractions() {
        let metrics = ProcessMetrics::new().unwrap();
        let before = cpu(&metrics);
        let mut sum = 0u64;
        while cpu(&metrics) < before + 0.01 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = cpu(&metrics);
        assert!(after < before + 1.0, "{before} then {after}");
    }
}
