//! The composition root: opens what is stored, starts the threads, and stops them in reverse.
//!
//! Threads: `consensus` (one; `member.rs`) with `log-sync` (`raft/log_rocks.rs`), `serve-N` (`serving.rs`), `admin` (`admin.rs`),
//! `upkeep` and `reclaim` (`upkeep.rs`). The main thread accepts connections and waits for signals.

mod admin;
mod limits;
mod listener;
mod member;
mod open;
mod serving;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use metastore_proto::environment::{Finding, MetricsDetail, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::api::admin::observe::Process;
use crate::api::metrics::Metrics;
use crate::api::{Context, Edge, EdgePort, Limits, Reclaim};
use crate::domain::{Command, Fault, FaultKind};
use crate::replica::{Board, Inbox, Phase, Reader};
use crate::store::Store;
use crate::store::ballast::Ballast;
use crate::store::directory::Directory;
use crate::store::write_probe;

/// How long a port or a directory that another process holds is asked for, and how often.
const TAKEN_PATIENCE: Duration = Duration::from_secs(2);
const TAKEN_RETRY: Duration = Duration::from_millis(50);

/// Runs the member until it is told to stop, or cannot go on. `warnings` are what there is to say of
/// the settings.
pub fn run(settings: &Settings, warnings: &[Finding]) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::disk(format!("cannot start: {error}")))?;
    runtime.block_on(serve(settings, warnings))
}

async fn serve(settings: &Settings, warnings: &[Finding]) -> Result<(), Fault> {
    let mut stop = Signals::new()?;
    let board = Arc::new(Board::new());
    warnings
        .iter()
        .chain(&limits::Limits::take().warnings(settings))
        .for_each(|it| warn(&board, it));
    let listeners = patiently(|| listener::bind(&settings.listen.client_urls)).await?;
    let directory = patiently(|| open::take_directory(&settings.member.data_dir)).await?;
    let (faults, mut faulted) = mpsc::channel(4);
    let admin = admin::start(&settings.admin.socket, Arc::clone(&board))?;

    board.show_phase(Phase::Opening);
    probe_disk(settings, &directory, &board)?;
    let ballast = Arc::new(Ballast::new(directory.path(), settings.store.ballast_bytes));
    let opened = open::open(settings, &directory, &board, &ballast)
        .inspect_err(|fault| make_room(&ballast, fault))?;
    admin.service.introduce(Process {
        boot: opened.stamp.boot,
        name: settings.member.name.clone(),
        cluster_id: opened.identity.cluster_id,
        member_id: opened.identity.member_id,
    });
    board.show_phase(Phase::Replaying);
    let member = Member::start(settings, opened, &board, faults)?;
    let admin_edge = member.edges.admin.clone();
    admin.connect(admin_edge.clone());

    tokio::select! {
        fault = faulted.recv() => return Err(stopped(&board, &ballast, fault)),
        () = stop.recv() => {
            member.stop(settings.listen.shutdown_grace).await;
            return Ok(());
        }
        result = recovered(&member, settings, &admin_edge, &board) => result?,
    }
    let acceptor = listener::listen(listeners, &member.edges.serving, &board)?;
    board.show_phase(Phase::Serving);
    announce(settings);
    let outcome = tokio::select! {
        fault = faulted.recv() => Err(stopped(&board, &ballast, fault)),
        () = stop.recv() => Ok(()),
    };
    if outcome.is_ok() {
        board.show_phase(Phase::Draining);
        tracing::info!("stopping");
        acceptor.stop();
        member.stop(settings.listen.shutdown_grace).await;
        tracing::info!("stopped");
    }
    outcome
}

/// For the log, and for whoever looks later.
fn warn(board: &Board, warning: &Finding) {
    tracing::warn!(%warning, "configuration");
    board.warn(warning.to_string());
}

/// Whether the disk takes what is written, and how fast.
fn probe_disk(settings: &Settings, directory: &Directory, board: &Board) -> Result<(), Fault> {
    let Some(median) = write_probe::probe(directory.path())? else {
        tracing::warn!("the disk is too full to be tried");
        return Ok(());
    };
    board.show_probed_sync(u64::try_from(median.as_micros()).unwrap_or(u64::MAX));
    if let Some(warning) = limits::slow_disk(settings, median) {
        warn(board, &warning);
    }
    Ok(())
}

/// Tries again for a while: a process that was killed a moment ago still has its port and its lock.
async fn patiently<T>(take: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
    let given_up = tokio::time::Instant::now() + TAKEN_PATIENCE;
    loop {
        match take() {
            Err(fault) if fault.kind == FaultKind::Taken => {
                if tokio::time::Instant::now() >= given_up {
                    return Err(fault);
                }
                tokio::time::sleep(TAKEN_RETRY).await;
            }
            taken => return taken,
        }
    }
}

/// Waits until everything in the log is applied, and says who this member is.
async fn recovered(
    member: &Member,
    settings: &Settings,
    edge: &Edge,
    board: &Board,
) -> Result<(), Fault> {
    let mut is_recovered = member.is_recovered.clone();
    // The sender lives as long as the consensus thread; its fault is reported elsewhere.
    drop(is_recovered.wait_for(|it| *it).await);
    let id = edge.context.identity.member_id;
    let (name, client_urls) =
        (settings.member.name.clone(), settings.member.advertise_client_urls.clone());
    let known = board.members();
    let is_said = known
        .iter()
        .any(|member| member.id == id && member.name == name && member.client_urls == client_urls);
    if !is_said {
        let command = Command::PublishMember { id, name, client_urls };
        edge.propose(command).await.map_err(|status| {
            Fault::disk(format!("cannot say who this member is: {}", status.message()))
        })?;
    }
    Ok(())
}

fn stopped(board: &Board, ballast: &Ballast, fault: Option<Fault>) -> Fault {
    let fault = fault.unwrap_or_else(|| Fault::disk("a thread ended without a word"));
    board.show_fault(&fault.to_string());
    make_room(ballast, &fault);
    fault
}

/// After a write for which there was no room, the next start needs some: to open, and for the
/// deletes that are to follow.
fn make_room(ballast: &Ballast, fault: &Fault) {
    if !fault.is_disk_full() {
        return;
    }
    match ballast.release() {
        Ok(true) => tracing::warn!(%fault, "the disk is full: the ballast was freed"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the ballast cannot be freed"),
    }
}

fn announce(settings: &Settings) {
    for url in &settings.listen.client_urls {
        tracing::info!(url = %url.text, "ready to serve client requests");
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Fault> {
        let listen = |kind| {
            signal(kind).map_err(|error| Fault::disk(format!("cannot wait for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The threads of a member at work.
struct Member {
    edges: serving::Edges,
    inbox: Arc<Inbox>,
    upkeep: Arc<upkeep::Upkeep>,
    consensus: std::thread::JoinHandle<()>,
    store: Store,
    is_recovered: watch::Receiver<bool>,
}

impl Member {
    fn start(
        settings: &Settings,
        opened: open::Opened,
        board: &Arc<Board>,
        faults: mpsc::Sender<Fault>,
    ) -> Result<Self, Fault> {
        let store = opened.store.clone();
        let inbox = Arc::new(Inbox::default());
        let compacted = opened.replica.machine().compacted;
        let (reclaimed_sender, reclaimed) = watch::channel(compacted);
        let is_extensive = settings.metrics == MetricsDetail::Extensive;
        let metrics = Metrics::new(is_extensive, opened.identity.member_id)
            .map_err(|error| Fault::disk(format!("cannot register metrics: {error}")))?;
        let context = Arc::new(Context {
            identity: opened.identity,
            limits: limits(settings),
            stamp: opened.stamp,
            board: Arc::clone(board),
            inbox: Arc::clone(&inbox),
            leases: opened.leases,
            quota: opened.quota,
            reader: reader(&store, board, &faults),
            metrics: Arc::clone(&metrics),
            reclaim: Reclaim { wanted: AtomicI64::new(-1), done: reclaimed },
        });
        let edges = serving::start(settings.listen.serving_threads, &context)?;
        let upkeep = upkeep::start(&context, store.clone(), reclaimed_sender, faults.clone())?;
        let (recovered, is_recovered) = watch::channel(false);
        let consensus = member::start(member::Consensus {
            replica: opened.replica,
            inbox: Arc::clone(&inbox),
            ports: edges.ports.clone(),
            upkeep: Arc::clone(&upkeep),
            board: Arc::clone(board),
            metrics,
            tick: settings.raft.heartbeat_interval,
            recovered,
            faults,
        })?;
        Ok(Self { edges, inbox, upkeep, consensus, store, is_recovered })
    }

    /// Lets requests under way finish, at most for `grace`; then nothing is taken any more, and
    /// what is written is made durable.
    async fn stop(self, grace: Duration) {
        self.edges.stop(grace).await;
        self.inbox.close();
        self.upkeep.stop();
        let ended = tokio::task::spawn_blocking(move || {
            let joined = self.consensus.join();
            (joined.is_ok(), self.store.engine().sync())
        });
        match ended.await {
            Ok((true, Ok(()))) => {}
            Ok((false, _)) | Err(_) => tracing::error!("the consensus thread did not end well"),
            Ok((true, Err(fault))) => tracing::error!(%fault, "the last sync failed"),
        }
    }
}

/// Reads that fail stop the member, whichever thread they are on.
fn reader(store: &Store, board: &Arc<Board>, faults: &mpsc::Sender<Fault>) -> Reader {
    let faults = faults.clone();
    Reader::new(store.clone(), Arc::clone(board)).with_fault_hook(move |fault| {
        // One is enough: a full channel has it already.
        let _told = faults.try_send(fault.clone());
    })
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        request_bytes: settings.limits.max_request_bytes,
        txn_operations: settings.limits.max_txn_ops,
        concurrent_streams: settings.listen.max_concurrent_streams,
        election_timeout: settings.raft.election_timeout,
        progress_notify_interval: settings.watch.progress_notify_interval,
    }
}

/// Ports of all serving threads, by their number; the last is the admin service's.
type Ports = Vec<Arc<EdgePort>>;

/// Names a thread, or says that there can be no more.
fn spawn(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, Fault> {
    std::thread::Builder::new()
        .name(name)
        .spawn(work)
        .map_err(|error| Fault::disk(format!("cannot start a thread: {error}")))
}
