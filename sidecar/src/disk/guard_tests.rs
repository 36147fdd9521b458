//! The decision as a table, and the task beside a core of scripted answers, in paused time.

use std::sync::Arc;

use metastore_proto::admin::RaisedAlarm;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::{advance, timeout};

use super::*;
use crate::fake_core::{FakeCore, serving};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const SILENT: CoreError = CoreError::Silent(SECOND);

fn at_level(level: Level, now: Instant) -> DiskState {
    DiskState {
        space: Some(Space { total: 1000, free: 50 }),
        measured_at: Some(now),
        level,
        since: Some(now),
        ..DiskState::default()
    }
}

#[test]
fn what_there_is_to_do() {
    let start = Instant::now();
    let now = start + 2 * MINUTE;
    let ago = |seconds| Some(now - Duration::from_secs(seconds));
    let low = || at_level(Level::Low, now);
    let ok = |since| DiskState { roomy_since: since, ..at_level(Level::Ok, now) };
    let old = |state| DiskState { measured_at: ago(16), ..state };
    let unmeasured = DiskState { space: None, ..low() };
    use Action::{Clear, Raise};
    for (why, disk, raised_since, action) in [
        ("nothing measured", DiskState::default(), None, None),
        ("room, no alarm", ok(ago(100)), None, None),
        ("a warning is no alarm", at_level(Level::Warn, now), None, None),
        ("low", low(), None, Some(Raise)),
        ("at the floor", at_level(Level::Floor, now), None, Some(Raise)),
        ("low once, and now nobody knows", unmeasured, None, None),
        ("low, and raised", low(), ago(1), None),
        ("low, and raised long ago", low(), ago(100), None),
        ("room, and raised", ok(ago(60)), ago(60), Some(Clear)),
        ("room for too short", ok(ago(59)), ago(100), None),
        ("raised for too short, by core in a dip", ok(ago(100)), ago(59), None),
        ("no room to clear", ok(None), ago(100), None),
        (
            "a warning, and room to clear",
            { DiskState { level: Level::Warn, ..ok(ago(60)) } },
            ago(60),
            Some(Clear),
        ),
        ("room, as of old figures", old(ok(ago(100))), ago(100), None),
        ("low, as of old figures", old(low()), None, Some(Raise)),
    ] {
        assert_eq!(decide(&disk, raised_since, MINUTE, now), action, "{why}");
    }
}

#[test]
fn only_an_alarm_of_the_disk_of_this_member_counts() {
    use AlarmCause::{Disk, Operator, Quota};
    use AlarmKind::{Corrupt, Nospace};
    for (member_id, kind, cause, counts) in [
        (7, Nospace, Disk, true),
        (8, Nospace, Disk, false),
        (7, Nospace, Quota, false),
        (7, Nospace, Operator, false),
        (7, Corrupt, Disk, false),
    ] {
        let said = said([(member_id, kind, cause)]);
        assert_eq!(is_raised(&said), counts, "{member_id} {kind:?} {cause:?}");
    }
}

type Raised = (u64, AlarmKind, AlarmCause);

const OURS: Raised = (7, AlarmKind::Nospace, AlarmCause::Disk);
const OPERATORS: Raised = (7, AlarmKind::Nospace, AlarmCause::Operator);

fn said(raised: impl IntoIterator<Item = Raised>) -> ObserveResponse {
    let alarm = |(member_id, kind, cause): Raised| RaisedAlarm {
        member_id,
        kind: kind.into(),
        cause: cause.into(),
    };
    ObserveResponse { alarms: raised.into_iter().map(alarm).collect(), ..serving() }
}

/// A guard at work, and all that it looks at.
struct Scene {
    observe: watch::Sender<Observation>,
    tune: watch::Sender<Tunable>,
    disk: watch::Sender<DiskState>,
    metrics: DiskMetrics,
    requests: UnboundedReceiver<AlarmRequest>,
    task: JoinHandle<()>,
}

impl Scene {
    fn new(answers: impl IntoIterator<Item = Result<(), CoreError>>) -> Self {
        let core = Arc::new(FakeCore::default());
        let requests = core.will_alarm(answers);
        let (observe, observed) = watch::channel(Observation::default());
        let (tune, tunable) = watch::channel(Tunable::default());
        let disk = watch::Sender::new(DiskState::default());
        let metrics = DiskMetrics::default();
        let (publish, counted) = (disk.clone(), metrics.clone());
        let guard = Guard { core, observed, tunable, metrics: counted, publish };
        let task = tokio::spawn(guard.run());
        Self { observe, tune, disk, metrics, requests, task }
    }

    /// Core says so, a moment later.
    async fn core_says(&self, said: ObserveResponse) {
        advance(Duration::from_millis(1)).await;
        self.observe.send_modify(|observation| observation.heard(said, Instant::now()));
    }

    fn disk_is(&self, level: Level) {
        self.disk.send_modify(|state| {
            let last_action = state.last_action.take();
            *state = DiskState { last_action, ..at_level(level, Instant::now()) };
        });
    }

    /// There has been room for so long.
    fn disk_has_room_for(&self, span: Duration) {
        let now = Instant::now();
        self.disk.send_modify(|state| {
            let last_action = state.last_action.take();
            let roomy_since = Some(now - span);
            *state = DiskState { last_action, roomy_since, ..at_level(Level::Ok, now) };
        });
    }

    /// What the guard asks of core within a moment: to raise, or to clear.
    async fn asks(&mut self) -> Option<bool> {
        let request = timeout(Duration::from_millis(10), self.requests.recv()).await.ok()??;
        assert_eq!(request.cause(), AlarmCause::Disk);
        Some(request.raise)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_low_disk_raises_and_room_clears() {
    let mut scene = Scene::new([Ok(()), Ok(())]);
    scene.core_says(said([])).await;
    scene.disk_is(Level::Warn);
    assert_eq!(scene.asks().await, None);
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, Some(true));
    let done = scene.disk.borrow().last_action.clone().unwrap();
    assert_eq!((done.action, done.result), (Action::Raise, Ok(())));

    scene.core_says(said([OURS])).await;
    assert_eq!(scene.asks().await, None, "raised once");
    advance(MINUTE).await;
    scene.core_says(said([OURS])).await;
    scene.disk_has_room_for(MINUTE);
    assert_eq!(scene.asks().await, Some(false));
    scene.core_says(said([])).await;
    assert_eq!(scene.asks().await, None);
    assert_eq!(scene.metrics.actions("clear", "done"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_core_said_before_an_action_does_not_repeat_it() {
    let mut scene = Scene::new([Ok(()), Ok(())]);
    scene.core_says(said([])).await;
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, Some(true));
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, None, "the newest word of core is older than the alarm");
    scene.core_says(said([])).await;
    assert_eq!(scene.asks().await, Some(true), "somebody disarmed it, and the disk is low");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_was_raised_before_the_start_is_taken_over() {
    let mut scene = Scene::new([Ok(())]);
    scene.core_says(said([OURS])).await;
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, None, "it need not be raised again");
    advance(MINUTE).await;
    scene.core_says(said([OURS])).await;
    scene.disk_has_room_for(MINUTE);
    assert_eq!(scene.asks().await, Some(false));
}

#[tokio::test(start_paused = true)]
async fn the_alarm_of_an_operator_is_left_alone() {
    let mut scene = Scene::new([Ok(()), Ok(())]);
    for _ in 0..5 {
        scene.core_says(said([OPERATORS])).await;
        scene.disk_has_room_for(10 * MINUTE);
        assert_eq!(scene.asks().await, None);
        advance(MINUTE).await;
    }
    scene.core_says(said([OPERATORS])).await;
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, Some(true), "its own comes beside it");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_tried_again_ever_more_slowly() {
    let refused = || Err(SILENT);
    let mut scene = Scene::new([refused(), refused(), refused(), Ok(())]);
    let mut asked = Vec::new();
    let start = Instant::now();
    for _ in 0..12 {
        scene.core_says(said([])).await;
        scene.disk_is(Level::Low);
        if scene.asks().await.is_some() {
            asked.push(start.elapsed().as_secs());
        }
        advance(SECOND).await;
    }
    assert_eq!(asked.get(..4), Some(&[0, 1, 3, 7][..]), "then it worked");
    assert_eq!(scene.metrics.actions("raise", "failed"), 3);
}

#[test]
fn patience_is_bounded() {
    let seconds: Vec<_> = [0, 1, 2, 5, 6, 60, u32::MAX].map(|n| patience(n).as_secs()).into();
    assert_eq!(seconds, [0, 1, 2, 16, 30, 30, 30]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_core_that_cannot_act() {
    let mut scene = Scene::new([Ok(())]);
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, None, "never observed");
    let mut opening = said([]);
    opening.process.as_mut().unwrap().set_phase(Phase::Opening);
    scene.core_says(opening).await;
    assert_eq!(scene.asks().await, None, "not open yet");
    scene.core_says(said([OURS])).await;
    advance(MINUTE).await;
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, None, "its word is old");
    scene.core_says(said([])).await;
    assert_eq!(scene.asks().await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_long_is_not_made_twice() {
    // No answer in the script: the call hangs.
    let mut scene = Scene::new([]);
    scene.core_says(said([])).await;
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, Some(true));
    for _ in 0..5 {
        scene.core_says(said([])).await;
        scene.disk_is(Level::Low);
        assert_eq!(scene.asks().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_off_does_nothing() {
    let mut scene = Scene::new([Ok(()), Ok(())]);
    scene.tune.send_modify(|tunable| tunable.disk.guard = false);
    scene.core_says(said([])).await;
    scene.disk_is(Level::Low);
    assert_eq!(scene.asks().await, None);
    scene.core_says(said([OURS])).await;
    assert_eq!(scene.asks().await, None);
    advance(MINUTE).await;
    scene.core_says(said([OURS])).await;
    scene.disk_has_room_for(MINUTE);
    assert_eq!(scene.asks().await, None);
    scene.tune.send_modify(|tunable| tunable.disk.guard = true);
    scene.core_says(said([OURS])).await;
    assert_eq!(scene.asks().await, Some(false), "turned on again, it takes over");
}
