//! Measures again and again, and publishes what is known.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use metastore_proto::environment::{DiskSettings, Share};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::forecast::Forecast;
use super::guard::Guard;
use super::levels::{Level, Standing, judge};
use super::metrics::DiskMetrics;
use super::space::{CoreUse, Room, Space, Volume};
use super::{DiskState, measure};
use crate::core_client::CoreClient;
use crate::health::Observation;
use crate::tunable::Tunable;
use crate::wall_clock::WallClock;

/// The longest and the shortest time between two measurements.
const CALM: Duration = Duration::from_secs(5);
const CLOSE: Duration = Duration::from_millis(250);
/// Below the mark it is time to wait for space, not to catch its last moment.
const LOW: Duration = Duration::from_secs(1);
/// What somebody may begin to write each second at any moment, before any slope shows it.
const SUDDEN_BYTES: u64 = 64 << 20;
const SUDDEN_INODES: u64 = 20_000;
/// After this long a measurement is said to hang. It is not given up: a second one would hang too.
const HANGS: Duration = Duration::from_secs(10);

/// The task of the disk: measures it, and has the guard act on what is measured.
pub struct DiskWatch<C> {
    pub directory: PathBuf,
    pub core: C,
    pub observed: watch::Receiver<Observation>,
    pub tunable: watch::Receiver<Tunable>,
    pub clock: WallClock,
    pub metrics: DiskMetrics,
    pub publish: watch::Sender<DiskState>,
}

impl<C: CoreClient> DiskWatch<C> {
    /// Runs until dropped.
    pub async fn run(self) {
        let directory = self.directory.clone();
        self.run_with(move || measure(&directory)).await;
    }

    async fn run_with(self, measure: impl Measure) {
        let guard = Guard {
            core: self.core,
            observed: self.observed.clone(),
            tunable: self.tunable.clone(),
            metrics: self.metrics.clone(),
            publish: self.publish.clone(),
        };
        let meter = Meter {
            directory: self.directory,
            measure,
            observed: self.observed,
            tunable: self.tunable,
            clock: self.clock,
            metrics: self.metrics,
            publish: self.publish,
        };
        // A measurement that hangs does not hold up the guard.
        tokio::join!(meter.run(), guard.run());
    }
}

/// How the volume is measured; may take for ever.
trait Measure: Fn() -> io::Result<Volume> + Clone + Send + 'static {}

impl<F: Fn() -> io::Result<Volume> + Clone + Send + 'static> Measure for F {}

struct Meter<M> {
    directory: PathBuf,
    measure: M,
    observed: watch::Receiver<Observation>,
    tunable: watch::Receiver<Tunable>,
    clock: WallClock,
    metrics: DiskMetrics,
    publish: watch::Sender<DiskState>,
}

/// What is remembered from one measurement to the next.
#[derive(Default)]
struct Memory {
    standing: Standing,
    bytes: Forecast,
    inodes: Forecast,
    before: Option<(Instant, Room)>,
    has_failed: bool,
}

impl<M: Measure> Meter<M> {
    async fn run(self) {
        let mut memory = Memory::default();
        loop {
            let wait = match self.measured().await {
                Ok(volume) => self.known(&volume, &mut memory),
                Err(error) => self.unknown(&error, &mut memory),
            };
            sleep(wait).await;
        }
    }

    /// One measurement at a time, however long it takes.
    async fn measured(&self) -> io::Result<Volume> {
        let mut measuring = pin!(spawn_blocking(self.measure.clone()));
        let measured = match timeout(HANGS, &mut measuring).await {
            Ok(measured) => measured,
            Err(_) => {
                warn!(directory = %self.directory.display(), "the file system does not answer");
                let measured = measuring.await;
                info!(directory = %self.directory.display(), "the file system answers again");
                measured
            }
        };
        measured.map_err(io::Error::from).flatten()
    }

    /// Publishes, and returns when to measure again.
    fn known(&self, volume: &Volume, memory: &mut Memory) -> Duration {
        let now = Instant::now();
        let settings = self.tunable.borrow().disk.clone();
        let room = Room::of(volume, self.core_use(), settings.capacity_bytes);
        let standing = judge(&memory.standing, &room, &settings, now);
        memory.bytes.sample(room.bytes.free, now);
        if let Some(inodes) = room.inodes {
            memory.inodes.sample(inodes.free, now);
        }
        let full_in = [memory.bytes.full_in(), memory.inodes.full_in()].into_iter().flatten().min();
        log_change(memory.standing.level, standing.level, &room, full_in);
        self.publish.send_modify(|state| {
            state.space = Some(room.bytes);
            state.inodes = room.inodes;
            state.measured_at = Some(now);
            state.level = standing.level;
            state.since = standing.since;
            state.roomy_since = standing.roomy_since();
            state.full_in = full_in;
        });
        self.metrics.show(&self.publish.borrow(), (self.clock)());
        let taken = Taken::between(memory.before.as_ref(), &room, now);
        memory.standing = standing;
        memory.before = Some((now, room));
        memory.has_failed = false;
        pause(standing.level, &room, &settings, taken)
    }

    /// The level stays; the guard neither raises nor clears on it.
    fn unknown(&self, error: &io::Error, memory: &mut Memory) -> Duration {
        if !memory.has_failed {
            warn!(directory = %self.directory.display(), %error, "disk cannot be measured");
        }
        memory.has_failed = true;
        memory.standing = memory.standing.unmeasured();
        memory.before = None;
        self.publish.send_modify(|state| {
            state.space = None;
            state.inodes = None;
            state.roomy_since = None;
            state.full_in = None;
        });
        self.metrics.show(&self.publish.borrow(), (self.clock)());
        CALM
    }

    fn core_use(&self) -> CoreUse {
        let observation = self.observed.borrow();
        let answer = observation.answer.as_ref();
        answer.map_or_else(CoreUse::default, |answer| CoreUse::of(&answer.said))
    }
}

/// The event of a disk that gets fuller or emptier.
fn log_change(before: Level, level: Level, room: &Room, full_in: Option<Duration>) {
    let (free_bytes, total_bytes) = (room.bytes.free, room.bytes.total);
    let free_inodes = room.inodes.map(|inodes| inodes.free);
    let full_in_s = full_in.map(|left| left.as_secs());
    let (was, level_is) = (before.as_str(), level.as_str());
    if level > before {
        warn!(was, level = level_is, free_bytes, total_bytes, free_inodes, full_in_s, "disk level");
    } else if level < before {
        info!(was, level = level_is, free_bytes, total_bytes, free_inodes, full_in_s, "disk level");
    }
}

/// What was taken a second between the two newest measurements.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    bytes: u64,
    inodes: u64,
}

impl Taken {
    fn between(before: Option<&(Instant, Room)>, room: &Room, now: Instant) -> Self {
        let Some((then, before)) = before else { return Self::default() };
        let millis = u64::try_from((now - *then).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |before: Space, after: Space| {
            before.free.saturating_sub(after.free).saturating_mul(1000) / millis
        };
        let inodes = before.inodes.zip(room.inodes);
        Self {
            bytes: rate(before.bytes, room.bytes),
            inodes: inodes.map_or(0, |(before, after)| rate(before, after)),
        }
    }
}

/// When to measure again: when half of what is left above the low mark may be taken at the
/// earliest.
fn pause(level: Level, room: &Room, settings: &DiskSettings, taken: Taken) -> Duration {
    if level >= Level::Low {
        return LOW;
    }
    let half_gone = |space: Space, mark: u64, rate: u64| {
        let left = space.free.saturating_sub(mark);
        Duration::from_millis(left.saturating_mul(500) / rate.max(1))
    };
    let mark: Share = settings.low;
    let bytes_mark = mark.bytes_of(room.bytes.total);
    let bytes = half_gone(room.bytes, bytes_mark, taken.bytes.max(SUDDEN_BYTES));
    let inodes = room.inodes.map(|inodes| {
        let mark = mark.of(inodes.total).unwrap_or(0);
        half_gone(inodes, mark, taken.inodes.max(SUDDEN_INODES))
    });
    inodes.map_or(bytes, |inodes| inodes.min(bytes)).clamp(CLOSE, CALM)
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
