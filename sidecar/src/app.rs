//! The tasks of the sidecar, and the order in which it stops.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metastore_proto::environment::Settings;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::info;

use crate::compaction::{Policy, Scheduler};
use crate::core_client::SocketCore;
use crate::core_metrics::CoreMetrics;
use crate::disk::DiskWatch;
use crate::health::observer::Observer;
use crate::health::{Observation, Thresholds};
use crate::metrics::{CompactionMetrics, Metrics};
use crate::probes::{self, Known};

/// How long after a signal probes are still answered while core is there: longer than core's own
/// grace, shorter than Kubernetes' 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// Why the sidecar ended by itself.
#[derive(Debug, Error)]
pub enum Ended {
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    #[error("a task ended: {0}")]
    Task(#[source] JoinError),
    #[error("a task ended")]
    TaskReturned,
}

/// Runs until SIGTERM or SIGINT. Then goes on answering until core has gone, a grace has passed, or
/// a second signal comes.
pub async fn run(settings: &Settings, listener: TcpListener) -> Result<(), Ended> {
    let mut stop = Stop::new().map_err(Ended::Signals)?;
    let (publish, observed) = watch::channel(Observation::default());
    let mut tasks = spawn(settings, listener, publish, &observed);
    tokio::select! {
        ended = tasks.join_next() => Err(Ended::of(ended)),
        () = stop.signalled() => {
            linger(observed, &mut stop).await;
            Ok(())
        }
    }
}

impl Ended {
    fn of(task: Option<Result<(), JoinError>>) -> Self {
        match task {
            Some(Err(error)) => Self::Task(error),
            Some(Ok(())) | None => Self::TaskReturned,
        }
    }
}

/// Every task runs until it is dropped with the set.
fn spawn(
    settings: &Settings,
    listener: TcpListener,
    publish: watch::Sender<Observation>,
    observed: &watch::Receiver<Observation>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let core = || SocketCore::new(settings.admin.socket.clone());
    let interval = settings.sidecar.observe_interval;
    tasks.spawn(Observer { core: core(), interval, publish }.run());

    let (publish, disk) = watch::channel(None);
    tasks.spawn(DiskWatch { directory: settings.member.data_dir.clone(), publish }.run());

    let (publish, core_metrics) = watch::channel(String::new());
    tasks.spawn(CoreMetrics { core: core(), publish }.run());

    let compaction = CompactionMetrics::default();
    let metrics = Arc::new(Metrics::new(&compaction));
    if settings.sidecar.auto_compact {
        tasks.spawn(scheduler(settings, core(), observed.clone(), compaction).run());
    } else {
        info!("compaction is off: METASTORE_AUTO_COMPACT=false");
    }

    let thresholds = thresholds(settings);
    let clock = SystemTime::now;
    let observed = observed.clone();
    let known = Known { observed, thresholds, disk, core_metrics, metrics, clock };
    tasks.spawn(serve(listener, known));
    tasks
}

fn scheduler(
    settings: &Settings,
    core: SocketCore,
    observed: watch::Receiver<Observation>,
    metrics: CompactionMetrics,
) -> Scheduler<SocketCore> {
    Scheduler {
        core,
        observed,
        thresholds: thresholds(settings),
        policy: Policy {
            keep_revisions: settings.sidecar.keep_revisions,
            keep_duration: settings.sidecar.keep_duration,
        },
        check_interval: settings.sidecar.check_interval,
        clock: SystemTime::now,
        metrics,
    }
}

fn thresholds(settings: &Settings) -> Thresholds {
    Thresholds {
        observation_max_age: settings.sidecar.observation_max_age,
        liveness_window: settings.sidecar.liveness_window,
    }
}

async fn serve(listener: TcpListener, known: Known) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "probes and metrics are served");
    }
    // It waits out errors of accept by itself, and never returns.
    drop(axum::serve(listener, probes::router(known)).await);
}

/// Probes are answered as long as core may need them.
async fn linger(mut observed: watch::Receiver<Observation>, stop: &mut Stop) {
    info!("stopping once core has gone");
    let gone = timeout(GRACE, observed.wait_for(Observation::is_gone));
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
