//! The measuring, and with the guard the whole story, on a disk of made-up figures.

use std::sync::{Arc, Mutex, mpsc};

use metastore_proto::admin::{AlarmCause, AlarmKind, AlarmRequest, RaisedAlarm};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use super::*;
use crate::core_client::CoreError;
use crate::fake_core::{FakeCore, serving};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn volume(free: u64) -> Volume {
    Volume { bytes: Space { total: 10 * GIB, free }, inodes: None }
}

fn room(free: u64) -> Room {
    Room::of(&volume(free), CoreUse::default(), 0)
}

#[test]
fn it_is_measured_before_half_of_the_rest_can_be_gone() {
    let settings = Tunable::default().disk;
    let none = Taken::default();
    let fast = Taken { bytes: GIB, inodes: 0 };
    for (why, level, free, taken, millis) in [
        ("far away", Level::Ok, 9 * GIB, none, 5_000),
        (
            "640 MiB above low, which 64 MiB/s eat in 10 s",
            Level::Warn,
            GIB + 640 * MIB,
            none,
            5_000,
        ),
        ("near", Level::Warn, GIB + 128 * MIB, none, 1_000),
        ("very near", Level::Warn, GIB + MIB, none, 250),
        ("far, and filling fast", Level::Ok, 9 * GIB, fast, 4_000),
        ("low", Level::Low, 900 * MIB, none, 1_000),
        ("low until there is room for a while", Level::Low, 9 * GIB, none, 1_000),
    ] {
        let wait = pause(level, &room(free), &settings, taken);
        assert_eq!(wait, Duration::from_millis(millis), "{why}");
    }
    let scarce = Room { inodes: Some(Space { total: 100_000, free: 30_000 }), ..room(9 * GIB) };
    assert_eq!(pause(Level::Ok, &scarce, &settings, none), Duration::from_millis(500));
}

/// 50 MB/s, and 1 GB/s, into volumes of many sizes: the alarm is due while there is room left.
#[test]
fn no_fall_is_too_fast() {
    let settings = Tunable::default().disk;
    for (total, rate, from) in [
        (GIB, 50_000_000_u64, GIB),
        (GIB, 50_000_000, 300 * MIB),
        (512 * MIB, 50_000_000, 512 * MIB),
        (10 * GIB, 1_000_000_000, 9 * GIB),
        (100 * GIB, 1_000_000_000, 15 * GIB),
    ] {
        let of = |free| {
            let volume = Volume { bytes: Space { total, free }, inodes: None };
            Room::of(&volume, CoreUse::default(), 0)
        };
        let start = Instant::now();
        let (mut standing, mut before) = (Standing::default(), None);
        let mut passed = Duration::ZERO;
        let mut free = from;
        while standing.level < Level::Low {
            assert!(free > 0, "{total} at {rate} was full before anybody looked");
            let now = start + passed;
            standing = judge(&standing, &of(free), &settings, now);
            let taken = Taken::between(before.as_ref(), &of(free), now);
            before = Some((now, of(free)));
            let wait = pause(standing.level, &of(free), &settings, taken);
            let eaten = u128::from(rate) * wait.as_millis() / 1000;
            (passed, free) = (passed + wait, free.saturating_sub(u64::try_from(eaten).unwrap()));
        }
    }
}

#[test]
fn what_was_taken_is_counted_by_the_second() {
    let start = Instant::now();
    let before = (start, room(1_000));
    let later = start + Duration::from_millis(250);
    assert_eq!(Taken::between(Some(&before), &room(900), later).bytes, 400);
    assert_eq!(Taken::between(Some(&before), &room(2_000), later).bytes, 0);
    assert_eq!(Taken::between(None, &room(900), later).bytes, 0);
}

type Figures = Arc<Mutex<Option<Volume>>>;

/// A watch over figures that the test sets.
struct Scene {
    figures: Figures,
    core: Arc<FakeCore>,
    observe: watch::Sender<Observation>,
    disk: watch::Receiver<DiskState>,
    task: JoinHandle<()>,
}

impl Scene {
    fn new(free: u64) -> Self {
        let figures: Figures = Arc::new(Mutex::new(Some(volume(free))));
        let shown = Arc::clone(&figures);
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        Self::measured_by(figures, move || shown.lock().unwrap().ok_or_else(missing))
    }

    fn measured_by(figures: Figures, measure: impl Measure + Sync) -> Self {
        let core = Arc::new(FakeCore::default());
        let (observe, observed) = watch::channel(Observation::default());
        let (publish, disk) = watch::channel(DiskState::default());
        let watch = DiskWatch {
            directory: PathBuf::from("/made/up"),
            core: Arc::clone(&core),
            observed,
            tunable: watch::channel(Tunable::default()).1,
            clock: std::time::SystemTime::now,
            metrics: DiskMetrics::default(),
            publish,
        };
        let task = tokio::spawn(watch.run_with(measure));
        Self { figures, core, observe, disk, task }
    }

    fn disk_has(&self, free: u64) {
        *self.figures.lock().unwrap() = Some(volume(free));
    }

    /// The state once it is as wanted.
    async fn until(&mut self, wanted: impl FnMut(&DiskState) -> bool) -> DiskState {
        self.disk.wait_for(wanted).await.unwrap().clone()
    }

    /// What the guard asks next, while core goes on saying this; waits for two minutes.
    async fn asked(
        &self,
        requests: &mut UnboundedReceiver<AlarmRequest>,
        is_raised: bool,
    ) -> AlarmRequest {
        for _ in 0..1_200 {
            self.core_says(is_raised);
            if let Ok(request) = timeout(Duration::from_millis(100), requests.recv()).await {
                return request.unwrap();
            }
        }
        panic!("nothing was asked");
    }

    fn core_says(&self, is_raised: bool) {
        let mut said = serving();
        said.alarms.extend(is_raised.then(|| RaisedAlarm {
            member_id: 7,
            kind: AlarmKind::Nospace.into(),
            cause: AlarmCause::Disk.into(),
        }));
        self.observe.send_modify(|observation| observation.heard(said, Instant::now()));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_fills_and_empties() {
    let mut scene = Scene::new(5 * GIB);
    let mut requests = scene.core.will_alarm([Ok(()), Ok(())]);
    let state = scene.until(|state| state.space.is_some()).await;
    assert_eq!((state.level, state.full_in), (Level::Ok, None));

    scene.disk_has(GIB - 1);
    let low = scene.until(|state| state.level == Level::Low).await;
    assert_eq!(low.since, low.measured_at);
    assert!(scene.asked(&mut requests, false).await.raise);

    scene.disk_has(5 * GIB);
    let roomy = scene.until(|state| state.roomy_since.is_some()).await;
    assert_eq!(roomy.level, Level::Low);
    let since = Instant::now();
    assert!(!scene.asked(&mut requests, true).await.raise);
    let waited = since.elapsed().as_secs();
    assert!((59..65).contains(&waited), "{waited} s");
    assert_eq!(scene.until(|state| state.level == Level::Ok).await.full_in, None);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_measured_is_unknown_and_keeps_its_level() {
    let mut scene = Scene::new(GIB - 1);
    let low = scene.until(|state| state.level == Level::Low).await;
    *scene.figures.lock().unwrap() = None;
    let unknown = scene.until(|state| state.space.is_none()).await;
    assert_eq!((unknown.level, unknown.roomy_since), (Level::Low, None));
    assert!(unknown.measured_at >= low.measured_at);
    scene.disk_has(5 * GIB);
    scene.until(|state| state.level == Level::Ok).await;
}

/// Runs in real time: nothing else would show that only one measurement is under way.
#[tokio::test]
async fn a_file_system_that_hangs_holds_up_nothing() {
    let (let_go, hangs) = mpsc::channel::<()>();
    let hangs = Arc::new(Mutex::new(hangs));
    let started = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&started);
    let measure = move || {
        *counted.lock().unwrap() += 1;
        if *counted.lock().unwrap() > 1 {
            // Ends when the test lets it go.
            hangs.lock().unwrap().recv().ok();
        }
        Ok(volume(GIB - 1))
    };
    let mut scene = Scene::measured_by(Figures::default(), measure);
    let mut requests = scene.core.will_alarm([Err(CoreError::Silent(HANGS)), Ok(())]);
    scene.until(|state| state.level == Level::Low).await;
    timeout(Duration::from_secs(10), async {
        while *started.lock().unwrap() < 2 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    // The second measurement hangs; the guard acts on the first, again and again.
    for _ in 0..2 {
        assert!(scene.asked(&mut requests, false).await.raise);
    }
    assert_eq!(*started.lock().unwrap(), 2, "none beside the one that hangs");
    drop(let_go);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_starts_on_a_low_disk_raises_at_once() {
    let mut scene = Scene::new(GIB - 1);
    let mut requests = scene.core.will_alarm([Ok(())]);
    scene.until(|state| state.level == Level::Low).await;
    assert!(scene.asked(&mut requests, false).await.raise);
}
