//! The tasks of the sidecar, and the order in which it stops.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use metastore_proto::environment::Settings;
use prometheus::core::Collector;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info};

use crate::compaction::{CompactionMetrics, CompactionState, Jitter, Scheduler};
use crate::core_client::SocketCore;
use crate::core_metrics::CoreMetrics;
use crate::disk::{DiskMetrics, DiskState, DiskWatch};
use crate::health::Observation;
use crate::health::observer::Observer;
use crate::metrics::Metrics;
use crate::probes::{self, Known};
use crate::reload::{ReadEnvironment, ReloadMetrics, Reloader};
use crate::report::{Historian, LastHour};
use crate::serve::serve;
use crate::telemetry::Verbosity;
use crate::tunable::Tunable;
use crate::wall_clock::WallClock;

/// How long a task that panicked stays away.
const RESTART: Duration = Duration::from_secs(1);

/// What the process has when it is up.
pub struct Start {
    pub settings: Settings,
    /// What was found that does not keep it from starting.
    pub warnings: Vec<String>,
    pub listener: TcpListener,
    pub verbosity: Verbosity,
    /// SIGHUP, received from before the machine was looked at: it must never end the process.
    pub hangup: Signal,
    pub read: ReadEnvironment,
}

/// Why the sidecar could not start.
#[derive(Debug, Error)]
#[error("signals cannot be received: {0}")]
pub struct NoSignals(#[from] io::Error);

/// Runs until SIGTERM or SIGINT. Then goes on answering until core has gone, a grace has passed, or
/// a second signal comes.
pub async fn run(start: Start) -> Result<(), NoSignals> {
    let mut stop = Stop::new()?;
    let grace = start.settings.sidecar.shutdown_grace;
    let (publish, observed) = watch::channel(Observation::default());
    let _tasks = spawn(start, publish, &observed);
    stop.signalled().await;
    linger(observed, grace, &mut stop).await;
    Ok(())
}

/// Every task runs until it is dropped with the set.
fn spawn(
    start: Start,
    publish: watch::Sender<Observation>,
    observed: &watch::Receiver<Observation>,
) -> JoinSet<()> {
    let Start { settings, warnings: known, listener, verbosity, hangup, read } = start;
    let (tune, tunable) = watch::channel(Tunable::from(&settings));
    let (warn, warnings) = watch::channel(Arc::from(known.clone()));
    let mut parts = Parts {
        tasks: JoinSet::new(),
        families: Vec::new(),
        socket: settings.admin.socket.clone(),
        tunable,
        observed: observed.clone(),
    };
    parts.observe(settings.sidecar.observe_interval, publish);
    let disk = parts.watch_disk(&settings.member.data_dir);
    let hour = parts.remember(&disk);
    let core_metrics = parts.fetch_metrics();
    let compaction = parts.compact();

    let reloads = ReloadMetrics::default();
    parts.families.extend(reloads.families());
    let log_level = Box::new(move |level| verbosity.set(level));
    let reloader = Reloader {
        in_force: settings,
        read,
        hangup,
        tune,
        log_level,
        known,
        warn,
        metrics: reloads,
    };
    // It consumes the signal, so it cannot be made again; it has no way to fail either.
    parts.tasks.spawn(reloader.run());

    let Parts { mut tasks, families, tunable, observed, .. } = parts;
    let metrics = Arc::new(Metrics::new(families));
    let clock = CLOCK;
    let known =
        Known { observed, tunable, disk, compaction, warnings, core_metrics, hour, metrics, clock };
    if let Ok(address) = listener.local_addr() {
        info!(%address, "probes and metrics are served");
    }
    let (listener, router) = (Arc::new(listener), probes::router(known));
    keep(&mut tasks, "http", move || serve(Arc::clone(&listener), router.clone()));
    tasks
}

/// The time of day, where a person reads it.
const CLOCK: WallClock = SystemTime::now;

/// What the tasks have in common while they are made.
struct Parts {
    tasks: JoinSet<()>,
    /// Metrics of the parts.
    families: Vec<Box<dyn Collector>>,
    socket: PathBuf,
    tunable: watch::Receiver<Tunable>,
    observed: watch::Receiver<Observation>,
}

impl Parts {
    fn observe(&mut self, interval: Duration, publish: watch::Sender<Observation>) {
        let (socket, tunable) = (self.socket.clone(), self.tunable.clone());
        keep(&mut self.tasks, "observer", move || {
            let (core, tunable) = (SocketCore::new(socket.clone()), tunable.clone());
            Observer { core, interval, tunable, publish: publish.clone() }.run()
        });
    }

    fn watch_disk(&mut self, directory: &Path) -> watch::Receiver<DiskState> {
        let (publish, disk) = watch::channel(DiskState::default());
        let (directory, socket) = (directory.to_owned(), self.socket.clone());
        let (observed, tunable) = (self.observed.clone(), self.tunable.clone());
        let metrics = DiskMetrics::default();
        self.families.extend(metrics.families());
        keep(&mut self.tasks, "disk", move || {
            DiskWatch {
                directory: directory.clone(),
                core: SocketCore::new(socket.clone()),
                observed: observed.clone(),
                tunable: tunable.clone(),
                clock: CLOCK,
                metrics: metrics.clone(),
                publish: publish.clone(),
            }
            .run()
        });
        disk
    }

    fn remember(&mut self, disk: &watch::Receiver<DiskState>) -> watch::Receiver<LastHour> {
        let (publish, hour) = watch::channel(LastHour::starting(Instant::now()));
        let (observed, disk) = (self.observed.clone(), disk.clone());
        keep(&mut self.tasks, "history", move || {
            let (observed, disk) = (observed.clone(), disk.clone());
            Historian { observed, disk, publish: publish.clone() }.run()
        });
        hour
    }

    fn fetch_metrics(&mut self) -> watch::Receiver<Bytes> {
        let (publish, core_metrics) = watch::channel(Bytes::new());
        let socket = self.socket.clone();
        keep(&mut self.tasks, "core metrics", move || {
            let core = SocketCore::new(socket.clone());
            CoreMetrics { core, publish: publish.clone() }.run()
        });
        core_metrics
    }

    fn compact(&mut self) -> watch::Receiver<CompactionState> {
        let (publish, compaction) = watch::channel(CompactionState::default());
        let socket = self.socket.clone();
        let (observed, tunable) = (self.observed.clone(), self.tunable.clone());
        let metrics = CompactionMetrics::default();
        self.families.extend(metrics.families());
        keep(&mut self.tasks, "compaction", move || {
            Scheduler {
                core: SocketCore::new(socket.clone()),
                observed: observed.clone(),
                tunable: tunable.clone(),
                clock: CLOCK,
                jitter: Jitter::random(),
                metrics: metrics.clone(),
                publish: publish.clone(),
            }
            .run()
        });
        compaction
    }
}

/// Keeps a task running. One that panics has a bug, and one bug must not take the probes away.
fn keep<F>(tasks: &mut JoinSet<()>, name: &'static str, make: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tasks.spawn(async move {
        loop {
            let mut alone = JoinSet::new();
            alone.spawn(make());
            let ended = alone.join_next().await;
            error!(task = name, ?ended, "a task ended by itself: it is started again");
            sleep(RESTART).await;
        }
    });
}

/// Probes are answered as long as core may need them.
async fn linger(mut observed: watch::Receiver<Observation>, grace: Duration, stop: &mut Stop) {
    info!("stopping once core has gone");
    let gone = timeout(grace, observed.wait_for(Observation::is_gone));
    tokio::select! {
        gone = gone => info!(core_has_gone = gone.is_ok(), "stopping"),
        () = stop.signalled() => info!("stopping at the second signal"),
    }
}

/// The signals that end the process.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again() {
        static STARTS: AtomicU32 = AtomicU32::new(0);
        let mut tasks = JoinSet::new();
        let (up, mut is_up) = watch::channel(false);
        keep(&mut tasks, "test", move || {
            let up = up.clone();
            async move {
                assert!(STARTS.fetch_add(1, Ordering::Relaxed) > 1, "twice it panics");
                up.send_replace(true);
                std::future::pending::<()>().await;
            }
        });
        is_up.wait_for(|up| *up).await.unwrap();
        assert_eq!(STARTS.load(Ordering::Relaxed), 3);
    }
}
