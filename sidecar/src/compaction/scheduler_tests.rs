use std::sync::Arc;
use std::time::UNIX_EPOCH;

use metastore_proto::admin::ObserveResponse;
use tokio::task::JoinHandle;
use tonic::Code;

use super::*;
use crate::fake_core::{FakeCore, serving};

const INTERVAL: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// A scheduler over a fake core that keeps 1000 revisions, at work.
struct Bench {
    core: Arc<FakeCore>,
    observation: watch::Sender<Observation>,
    metrics: CompactionMetrics,
    task: JoinHandle<()>,
    started: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::keeping(Duration::ZERO)
    }

    fn keeping(keep_duration: Duration) -> Self {
        let (observation, observed) = watch::channel(Observation::default());
        let core = Arc::new(FakeCore::default());
        let metrics = CompactionMetrics::default();
        let scheduler = Scheduler {
            core: Arc::clone(&core),
            observed,
            thresholds: Thresholds { observation_max_age: INTERVAL * 9, liveness_window: INTERVAL },
            policy: Policy { keep_revisions: 1000, keep_duration },
            check_interval: INTERVAL,
            clock: || UNIX_EPOCH + 61 * SECOND,
            metrics: metrics.clone(),
        };
        let task = tokio::spawn(scheduler.run());
        Self { core, observation, metrics, task, started: Instant::now() }
    }

    fn observe(&self, said: ObserveResponse) {
        self.observation.send_modify(|observation| observation.heard(said, Instant::now()));
    }

    fn runs(&self, result: &str) -> u64 {
        self.metrics.runs(result)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn refused() -> CoreError {
    CoreError::Refused { code: Code::Unavailable, message: "no leader".to_owned() }
}

/// The clock is paused: this passes at once, and everything due runs before it ends.
async fn wait(duration: Duration) {
    sleep(duration).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_run_comes_after_one_interval_and_then_each_interval() {
    let bench = Bench::new();
    bench.observe(serving());
    let mut asked = bench.core.will_compact([Ok(4000), Ok(4000)]);

    assert_eq!(asked.recv().await, Some(4000));
    assert_eq!(bench.started.elapsed(), INTERVAL);
    assert_eq!(asked.recv().await, Some(4000));
    assert_eq!(bench.started.elapsed(), 2 * INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_counted_with_what_it_removed() {
    let bench = Bench::new();
    bench.observe(serving());
    let _asked = bench.core.will_compact([Ok(4000)]);
    wait(INTERVAL + SECOND).await;
    assert_eq!(bench.runs("compacted"), 1);
    assert_eq!(bench.metrics.removed(), 4000);
}

#[tokio::test(start_paused = true)]
async fn the_time_window_holds_as_well() {
    let bench = Bench::keeping(60 * SECOND);
    bench.observe(serving());
    let mut asked = bench.core.will_compact([Ok(3000)]);
    assert_eq!(asked.recv().await, Some(3000), "the mark is 60 s old");
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_asks_nothing_of_core() {
    let bench = Bench::keeping(61 * SECOND);
    bench.observe(serving());
    wait(INTERVAL + SECOND).await;
    assert_eq!(bench.runs("nothing"), 1, "the only mark is 60 s old");
}

#[tokio::test(start_paused = true)]
async fn a_follower_skips() {
    let bench = Bench::new();
    let mut said = serving();
    said.consensus.as_mut().unwrap().set_role(Role::Follower);
    bench.observe(said);
    wait(INTERVAL + SECOND).await;
    assert_eq!(bench.runs("skipped"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_core_that_is_not_ready_is_left_alone_until_it_is() {
    let bench = Bench::new();
    let mut asked = bench.core.will_compact([Ok(4000)]);
    wait(INTERVAL + SECOND).await;
    assert_eq!(bench.runs("skipped"), 1, "core has not answered yet");
    bench.observe(serving());
    assert_eq!(asked.recv().await, Some(4000));
    assert_eq!(bench.started.elapsed(), 2 * INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_later_and_later() {
    let bench = Bench::new();
    bench.observe(serving());
    let mut asked =
        bench.core.will_compact([Err(refused()), Err(refused()), Err(refused()), Ok(4000), Ok(1)]);
    let mut expected = INTERVAL;
    for pause in [10 * SECOND, 20 * SECOND, 40 * SECOND, INTERVAL, INTERVAL] {
        assert!(asked.recv().await.is_some());
        assert_eq!(bench.started.elapsed(), expected);
        expected += pause;
    }
    assert_eq!(bench.runs("failed"), 3);
}

#[tokio::test(start_paused = true)]
async fn runs_never_overlap() {
    let bench = Bench::new();
    bench.observe(serving());
    // The first call is never answered.
    let mut asked = bench.core.will_compact([]);
    assert!(asked.recv().await.is_some());
    wait(3 * INTERVAL).await;
    assert!(asked.try_recv().is_err());
}

#[test]
fn a_retry_never_waits_longer_than_the_interval() {
    assert_eq!(pause(INTERVAL, 0), INTERVAL);
    assert_eq!(pause(INTERVAL, 1), RETRY);
    assert_eq!(pause(INTERVAL, 9), 2560 * SECOND);
    assert_eq!(pause(INTERVAL, u32::MAX), INTERVAL);
    assert_eq!(pause(SECOND, 1), SECOND);
}
