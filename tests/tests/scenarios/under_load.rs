//! Probes while core has as much to do as it can: none may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metastore_tests::member::{Core, Sidecar};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Probes a second, and for how many seconds: `METASTORE_TESTS_PROBE_SECONDS` makes it longer.
const RATE: u32 = 1_000;
const SECONDS: u64 = 8;
const WRITERS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_probe_is_wrong_under_full_load() {
    let core = Core::start().await;
    let sidecar = Arc::new(Sidecar::start(&core, &[]).await);
    super::table::reached("serving", &sidecar).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, stop) = (core.client(), Arc::clone(&stop));
        writers.spawn(async move {
            let mut written = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                client.set(&format!("key-{writer}"), "some value").await;
                written += 1;
            }
            written
        });
    }
    let given = std::env::var("METASTORE_TESTS_PROBE_SECONDS").ok();
    let seconds = given.map_or(SECONDS, |given| given.parse().unwrap());
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut probes = JoinSet::new();
    let mut took = Vec::new();
    let begun = Instant::now();
    for number in 0..u64::from(RATE) * seconds {
        ticks.tick().await;
        let sidecar = Arc::clone(&sidecar);
        let path = ["/readiness", "/liveness", "/startup", "/health"][number as usize % 4];
        probes.spawn(async move {
            let asked = Instant::now();
            let answer = sidecar.probe(path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            asked.elapsed()
        });
        while let Some(done) = probes.try_join_next() {
            took.push(done.unwrap());
        }
    }
    took.extend(probes.join_all().await);
    let elapsed = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let written: u64 = writers.join_all().await.into_iter().sum();
    took.sort_unstable();
    // A figure for people; how fast it is, is a benchmark's business (make bench).
    eprintln!(
        "{} probes in {elapsed:?} beside {written} writes: median {:?}, p99 {:?}, longest {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        took[took.len() - 1]
    );
}
