use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use metastore_proto::admin::LongOperation;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::fake_core::{FakeCore, serving};

const INTERVAL: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// The longest that a first run, or one with this interval, may take to come.
const FIRST_MOST: Duration = Duration::from_secs(33);
const INTERVAL_MOST: Duration = Duration::from_secs(3960);

/// Far from the fake core's clock: a scheduler that compares marks with it compacts everything.
fn wall_clock() -> SystemTime {
    UNIX_EPOCH + 1_000_000 * SECOND
}

fn settings() -> CompactionSettings {
    CompactionSettings {
        enabled: true,
        keep_revisions: 1000,
        keep_duration: Duration::ZERO,
        check_interval: INTERVAL,
    }
}

/// A scheduler over a fake core that keeps 1000 revisions, at work.
struct Bench {
    core: Arc<FakeCore>,
    observation: watch::Sender<Observation>,
    tune: watch::Sender<Tunable>,
    state: watch::Receiver<CompactionState>,
    metrics: CompactionMetrics,
    task: JoinHandle<()>,
}

impl Bench {
    fn new() -> Self {
        Self::keeping(Duration::ZERO)
    }

    fn keeping(keep_duration: Duration) -> Self {
        Self::with(CompactionSettings { keep_duration, ..settings() })
    }

    fn with(compaction: CompactionSettings) -> Self {
        let mut tunable = Tunable { compaction, ..Tunable::default() };
        tunable.health.observation_max_age = INTERVAL * 9;
        let (observation, observed) = watch::channel(Observation::default());
        let (tune, tunable) = watch::channel(tunable);
        let (publish, state) = watch::channel(CompactionState::default());
        let core = Arc::new(FakeCore::default());
        let metrics = CompactionMetrics::default();
        let scheduler = Scheduler {
            core: Arc::clone(&core),
            observed,
            tunable,
            clock: wall_clock,
            jitter: Jitter::seeded(1),
            metrics: metrics.clone(),
            publish,
        };
        let task = tokio::spawn(scheduler.run());
        Self { core, observation, tune, state, metrics, task }
    }

    fn observe(&self, said: ObserveResponse) {
        self.observation.send_modify(|observation| observation.heard(said, Instant::now()));
    }

    fn set(&self, change: impl FnOnce(&mut CompactionSettings)) {
        self.tune.send_modify(|tunable| change(&mut tunable.compaction));
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

fn refused(code: Code) -> CoreError {
    CoreError::Refused { code, message: "no".to_owned() }
}

fn serving_as(role: Role) -> ObserveResponse {
    let mut said = serving();
    said.consensus.as_mut().unwrap().set_role(role);
    said
}

/// The clock is paused: this passes at once, and everything due runs before it ends.
async fn wait(duration: Duration) {
    sleep(duration).await;
}

/// How long it takes until core is asked to compact to this revision.
async fn asked(asked: &mut UnboundedReceiver<i64>, revision: i64) -> Duration {
    let waited = Instant::now();
    assert_eq!(asked.recv().await, Some(revision));
    waited.elapsed()
}

#[track_caller]
fn assert_within(what: Duration, least: Duration, most: Duration) {
    assert!(what >= least && what <= most, "{what:?} is not between {least:?} and {most:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_run_comes_soon_and_then_one_each_interval() {
    let bench = Bench::new();
    bench.observe(serving());
    let mut asking = bench.core.will_compact([Ok(4000), Ok(4000), Ok(4000)]);
    assert_within(asked(&mut asking, 4000).await, SOON, FIRST_MOST);
    let pauses = [asked(&mut asking, 4000).await, asked(&mut asking, 4000).await];
    for pause in pauses {
        assert_within(pause, INTERVAL, INTERVAL_MOST);
    }
    assert_ne!(pauses[0], pauses[1], "each interval has a jitter of its own");
}

#[tokio::test(start_paused = true)]
async fn a_short_interval_holds_for_the_first_run_too() {
    let settings = CompactionSettings { check_interval: 5 * SECOND, ..settings() };
    let bench = Bench::with(settings);
    bench.observe(serving());
    let mut asking = bench.core.will_compact([Ok(4000)]);
    assert_eq!(asked(&mut asking, 4000).await, 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_counted_with_what_it_removed() {
    let bench = Bench::new();
    bench.observe(serving());
    let _asking = bench.core.will_compact([Ok(4000)]);
    wait(FIRST_MOST).await;
    assert_eq!((bench.runs("compacted"), bench.metrics.removed()), (1, 3999));
}

#[tokio::test(start_paused = true)]
async fn the_window_is_judged_by_cores_clock_and_not_by_the_wall_clock() {
    for (window, expected) in [(60 * SECOND, 1), (61 * SECOND, 0)] {
        let bench = Bench::keeping(window);
        bench.observe(serving());
        let mut asking = bench.core.will_compact([Ok(3000)]);
        wait(FIRST_MOST).await;
        assert_eq!(asking.try_recv().is_ok(), expected == 1, "the mark is 60 s old");
        assert_eq!((bench.runs("compacted"), bench.runs("nothing")), (expected, 1 - expected));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_is_counted_by_its_reason() {
    let mut behind = serving();
    behind.consensus.as_mut().unwrap().commit_index = BEHIND_MAX + 1;
    let mut snapshot = serving();
    snapshot.operations = ["reclaim", "snapshot"]
        .map(|name| LongOperation { name: name.to_owned(), age_ms: 1 })
        .into();
    let rows = [
        ("not_leader", Some(serving_as(Role::Follower))),
        ("not_leader", Some(serving_as(Role::Candidate))),
        ("not_ready", None),
        ("not_ready", Some(ObserveResponse::default())),
        ("snapshot", Some(snapshot)),
    ];
    for (reason, said) in rows {
        let bench = Bench::new();
        if let Some(said) = said {
            bench.observe(said);
        }
        let mut asking = bench.core.will_compact([]);
        wait(FIRST_MOST).await;
        assert_eq!((bench.metrics.skips(reason), bench.runs("skipped")), (1, 1), "{reason}");
        assert!(asking.try_recv().is_err(), "{reason}");
    }
    // Long before it compacts, such a member is not ready any more or not yet: asked alone.
    assert_eq!(busy(&behind), Some(Skip::Behind(BEHIND_MAX + 1)));
    behind.consensus.as_mut().unwrap().applied_index = 1;
    assert_eq!(busy(&behind), None);
}

#[tokio::test(start_paused = true)]
async fn reclaiming_space_is_not_in_the_way() {
    let bench = Bench::new();
    let mut said = serving();
    said.operations = vec![LongOperation { name: "reclaim".to_owned(), age_ms: 9 }];
    bench.observe(said);
    let mut asking = bench.core.will_compact([Ok(4000)]);
    assert_within(asked(&mut asking, 4000).await, SOON, FIRST_MOST);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_run_comes_as_soon_as_nothing_is_in_the_way() {
    let bench = Bench::new();
    bench.observe(serving_as(Role::Follower));
    let mut asking = bench.core.will_compact([Ok(4000), Ok(4000)]);
    wait(10 * 60 * SECOND).await;
    assert_eq!(bench.runs("skipped"), 1);
    bench.observe(serving());
    assert_eq!(asked(&mut asking, 4000).await, Duration::ZERO, "it leads now");
    assert_within(asked(&mut asking, 4000).await, INTERVAL, INTERVAL_MOST);
}

#[tokio::test(start_paused = true)]
async fn what_stays_in_the_way_is_counted_once_an_interval() {
    let bench = Bench::new();
    for _ in 0..3 * INTERVAL.as_secs() {
        bench.observe(serving_as(Role::Follower));
        wait(SECOND).await;
    }
    assert_eq!((bench.metrics.skips("not_leader"), bench.runs("skipped")), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_later_and_later() {
    let bench = Bench::new();
    bench.observe(serving());
    let no = || Err(refused(Code::Unavailable));
    let mut asking = bench.core.will_compact([no(), no(), no(), Ok(4000), Ok(4000)]);
    asked(&mut asking, 4000).await;
    for pause in [10 * SECOND, 20 * SECOND, 40 * SECOND, INTERVAL] {
        assert_within(asked(&mut asking, 4000).await, pause, pause + pause / 10);
    }
    assert_eq!(bench.runs("failed"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_compacted_first_is_no_failure() {
    let bench = Bench::new();
    bench.observe(serving());
    let _asking = bench.core.will_compact([Err(refused(Code::OutOfRange))]);
    wait(FIRST_MOST).await;
    assert_eq!((bench.runs("nothing"), bench.runs("failed")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn runs_never_overlap() {
    let bench = Bench::new();
    bench.observe(serving());
    // The first call is never answered.
    let mut asking = bench.core.will_compact([]);
    asked(&mut asking, 4000).await;
    for _ in 0..3 {
        bench.observe(serving());
        bench.set(|settings| settings.keep_revisions += 1);
        wait(INTERVAL).await;
    }
    assert!(asking.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn it_may_be_paused_and_resumed() {
    let bench = Bench::new();
    bench.observe(serving());
    let mut asking = bench.core.will_compact([Ok(4000), Ok(4000)]);
    asked(&mut asking, 4000).await;
    bench.set(|settings| settings.enabled = false);
    wait(2 * INTERVAL).await;
    assert!(asking.try_recv().is_err());
    assert_eq!((bench.state.borrow().enabled, bench.state.borrow().next_due), (false, None));
    assert_eq!(bench.metrics.shown()[3], 1.0);

    bench.set(|settings| settings.enabled = true);
    assert_within(asked(&mut asking, 4000).await, SOON, FIRST_MOST);
    assert!(bench.state.borrow().enabled);
}

#[tokio::test(start_paused = true)]
async fn new_settings_hold_soon_and_others_change_nothing() {
    let bench = Bench::new();
    bench.observe(serving());
    let mut asking = bench.core.will_compact([Ok(4000), Ok(4500), Ok(4500)]);
    asked(&mut asking, 4000).await;
    bench.tune.send_modify(|tunable| tunable.health.liveness_window += SECOND);
    wait(10 * 60 * SECOND).await;
    assert!(asking.try_recv().is_err(), "nothing of compaction has changed");
    bench.set(|settings| (settings.keep_revisions, settings.check_interval) = (500, 10 * SECOND));
    assert_eq!(asked(&mut asking, 4500).await, 10 * SECOND);
    assert_within(asked(&mut asking, 4500).await, 10 * SECOND, 11 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_published() {
    let bench = Bench::new();
    let mut asking = bench.core.will_compact([Ok(4000)]);
    wait(SECOND).await;
    let state = bench.state.borrow().clone();
    let soon = state.next_due.unwrap().duration_since(wall_clock()).unwrap();
    assert_within(soon, SOON, FIRST_MOST);
    assert_eq!((state.enabled, state.lag, state.last), (true, None, None));
    assert!(bench.metrics.shown()[2].is_nan());

    bench.observe(serving());
    wait(SECOND).await;
    assert_eq!(bench.state.borrow().lag, Some(3999));

    asked(&mut asking, 4000).await;
    let mut said = serving();
    said.history.as_mut().unwrap().compacted_revision = 4000;
    bench.observe(said);
    wait(SECOND).await;
    let state = bench.state.borrow().clone();
    let run = state.last.unwrap();
    assert_eq!(run.outcome, Outcome::Compacted { revision: 4000, removed: 3999 });
    assert_eq!((run.ended, run.took), (wall_clock(), Duration::ZERO));
    assert_eq!((state.last_success, state.lag), (Some(wall_clock()), Some(0)));
    let [last_success, next_due, lag, paused] = bench.metrics.shown();
    assert_eq!((last_success, lag, paused), (1_000_000.0, 0.0, 0.0));
    assert!(next_due > 1_003_500.0, "{next_due}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_is_overdue() {
    let bench = Bench::new();
    bench.observe(serving_as(Role::Follower));
    wait(INTERVAL / 2).await;
    bench.observe(serving_as(Role::Follower));
    wait(SECOND).await;
    let state = bench.state.borrow().clone();
    assert!(state.next_due.unwrap() < wall_clock(), "{state:?}");
    assert_eq!(state.last.unwrap().outcome, Outcome::Skipped(Skip::NotLeader));
    assert_eq!((state.last_success, state.lag), (None, Some(3999)));
}

#[test]
fn a_retry_never_waits_longer_than_the_interval() {
    assert_eq!(pause(INTERVAL, 0), INTERVAL);
    assert_eq!(pause(INTERVAL, 1), RETRY);
    assert_eq!(pause(INTERVAL, 9), 2560 * SECOND);
    assert_eq!(pause(INTERVAL, u32::MAX), INTERVAL);
    assert_eq!(pause(SECOND, 1), SECOND);
}
