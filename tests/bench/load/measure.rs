//! What is reported: latencies, and what the kernel says of the server and of this process.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Linux counts a process's CPU in these; the figure is part of its interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Every latency of a run, as tenths of microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        let tenths = latency.as_nanos() / 100;
        self.0.push(u32::try_from(tenths).unwrap_or(u32::MAX));
    }

    pub(crate) fn report(mut self, report: &mut Map<String, Value>) {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        for (name, per_mille) in [("p50_us", 500), ("p99_us", 990), ("max_us", 1000)] {
            let latency = self.0.get(last * per_mille / 1000);
            let micros = latency.map(|tenths| f64::from(*tenths) / 10.0);
            report.insert(name.into(), json!(micros));
        }
    }
}

/// A stretch of time, with the CPU that the server and this process used in it.
#[derive(Debug)]
pub(crate) struct Stretch {
    pid: Option<u32>,
    begin: Instant,
    server_cpu: f64,
    own_cpu: f64,
}

impl Stretch {
    pub(crate) fn begin(pid: Option<u32>) -> Self {
        Self {
            pid,
            begin: Instant::now(),
            server_cpu: pid.map_or(0.0, cpu_seconds),
            own_cpu: cpu_seconds(std::process::id()),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// `done` operations fell into the stretch, which ends now.
    pub(crate) fn report(&self, done: u64) -> Map<String, Value> {
        let seconds = self.begin.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of operations")]
        let done_or_one = done.max(1) as f64;
        let mut report = Map::new();
        report.insert("ops".into(), json!(done));
        report.insert("seconds".into(), json!(seconds));
        report.insert("ops_per_s".into(), json!(done_or_one / seconds));
        let own = cpu_seconds(std::process::id()) - self.own_cpu;
        report.insert("load_cpu_s".into(), json!(own));
        if let Some(pid) = self.pid {
            let used = cpu_seconds(pid) - self.server_cpu;
            report.insert("server_cpu_s".into(), json!(used));
            report.insert("cpu_us_per_op".into(), json!(used * 1e6 / done_or_one));
            report.insert("rss_mb".into(), json!(rss_mib(pid)));
        }
        report
    }
}

/// User and system time of all threads; 0 for a process that is gone.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th after it.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

fn rss_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib = line.split_whitespace().next()?.parse::<f64>().ok()?;
    Some(kib / 1024.0)
}
