//! Serving threads: each a runtime of its own, on which a connection stays all its life.

use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Fault, Ports, spawn};
use crate::api::{Context, Edge, EdgePort, router};
use crate::replica::Board;
use crate::replica::propose::THREADS_MAX;

/// Accepted connections that a thread has not taken up yet.
const QUEUE: usize = 256;
/// Streams that a client may reset before they are accepted: above a mass cancel of watches.
const PENDING_RESETS_MAX: usize = 20_000;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Threads of each runtime for long reads.
const POOL_THREADS: usize = 2;
/// While stopping: how often calls under way are looked for, and how often there must be none.
const ROUND: Duration = Duration::from_millis(10);
const QUIET_ROUNDS: usize = 20;
/// After the last call, for what its connection has still to send.
const SENDING_ROUNDS: usize = 200;
/// For how long a connection that had answers to send stays open after the last of them.
const LINGER: Duration = Duration::from_secs(1);

/// All serving threads.
pub(super) struct Edges {
    pub serving: Vec<Serving>,
    pub ports: Ports,
    /// For the admin service: no connection comes here.
    pub admin: Arc<Edge>,
    ended: Vec<oneshot::Receiver<()>>,
    stop: watch::Sender<bool>,
}

/// One thread, as the acceptor knows it.
#[derive(Clone)]
pub(super) struct Serving {
    pub connections: Arc<AtomicUsize>,
    sender: mpsc::Sender<StdStream>,
}

impl Serving {
    pub(super) async fn take(&self, stream: StdStream, board: &Board) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        board.connections.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(stream).await.is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            board.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn start(threads: usize, context: &Arc<Context>) -> Result<Edges, Fault> {
    let count = if threads == 0 { default_threads() } else { threads }.min(THREADS_MAX - 1);
    let (stop, stopping) = watch::channel(false);
    let (mut serving, mut ports, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let port = Arc::new(EdgePort::default());
        let edge = Edge::new(number, Arc::clone(context), Arc::clone(&port));
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (end, ending) = oneshot::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let thread =
            Thread { edge, connections: Arc::clone(&connections), stopping: stopping.clone() };
        spawn(format!("serve-{number}"), move || thread.run(receiver, end))?;
        serving.push(Serving { connections, sender });
        ports.push(port);
        ended.push(ending);
    }
    let port = Arc::new(EdgePort::default());
    let admin = Edge::new(count, Arc::clone(context), Arc::clone(&port));
    ports.push(port);
    Ok(Edges { serving, ports, admin, ended, stop })
}

/// Half of the cores: consensus and the disk want the others. But two where there are two or three:
/// a long answer then leaves room for short ones.
fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).max(cores.min(2))
}

impl Edges {
    /// Tells clients to go elsewhere, and gives requests under way at most `grace`.
    pub(super) async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        self.serving.clear();
        let all = async {
            for ended in self.ended {
                // A thread that is gone has ended too.
                drop(ended.await);
            }
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
    }
}

struct Thread {
    edge: Arc<Edge>,
    connections: Arc<AtomicUsize>,
    stopping: watch::Receiver<bool>,
}

impl Thread {
    fn run(self, receiver: mpsc::Receiver<StdStream>, end: oneshot::Sender<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(POOL_THREADS)
            .build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(self.serve(receiver));
                runtime.shutdown_timeout(Duration::from_millis(100));
            }
            Err(error) => tracing::error!(%error, "a serving thread cannot start"),
        }
        // Nobody may wait for the end any more.
        let _unheard = end.send(());
    }

    async fn serve(self, mut receiver: mpsc::Receiver<StdStream>) {
        let interval = self.edge.context.limits.progress_notify_interval;
        tokio::spawn(Arc::clone(&self.edge).hand_out());
        tokio::spawn(catch_up(Arc::clone(&self.edge)));
        tokio::spawn(remind(Arc::clone(&self.edge), interval));
        while let Some(stream) = receiver.recv().await {
            tokio::spawn(connection(
                Arc::clone(&self.edge),
                stream,
                Arc::clone(&self.connections),
                self.stopping.clone(),
            ));
        }
        self.drain().await;
    }
}

impl Thread {
    /// Ends the watches, and lets every call finish that ends by itself. What stays open then (lease
    /// streams, idle connections) is closed under the client, who will go elsewhere.
    async fn drain(&self) {
        self.edge.watching.end();
        let mut left = QUIET_ROUNDS;
        while self.connections.load(Ordering::Relaxed) > 0 && left > 0 {
            tokio::time::sleep(ROUND).await;
            let is_busy = self.edge.finite_calls.load(Ordering::Relaxed) > 0;
            left = if is_busy { SENDING_ROUNDS } else { left - 1 };
        }
    }
}

/// Brings those who lag up to date, a pass at a time: requests go in between.
async fn catch_up(edge: Arc<Edge>) {
    loop {
        edge.watching.lagging.notified().await;
        while edge.watching.catch_up() {
            tokio::task::yield_now().await;
        }
    }
}

async fn remind(edge: Arc<Edge>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        edge.watching.remind();
    }
}

async fn connection(
    edge: Arc<Edge>,
    stream: StdStream,
    connections: Arc<AtomicUsize>,
    mut stopping: watch::Receiver<bool>,
) {
    let board = Arc::clone(&edge.context.board);
    if let Ok(stream) = TcpStream::from_std(stream) {
        let builder = protocol(edge.context.limits.concurrent_streams);
        let service = service_fn(|request| router::serve(Arc::clone(&edge), request));
        let serving = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        tokio::select! {
            // A connection that breaks is the client's affair.
            _ended = serving.as_mut() => {}
            () = async { drop(stopping.wait_for(|it| *it).await) } => {
                let since = tokio::time::Instant::now();
                serving.as_mut().graceful_shutdown();
                drop(serving.as_mut().await);
                // A client that still reads still sends. Closed under it, the connection would be
                // reset, and what it has not read yet be lost.
                if since.elapsed() > ROUND {
                    tokio::time::sleep(LINGER).await;
                }
            }
        }
    }
    connections.fetch_sub(1, Ordering::Relaxed);
    board.connections.fetch_sub(1, Ordering::Relaxed);
}

/// HTTP/2 for gRPC and HTTP/1.1 for people and probes, on one port.
fn protocol(streams_max: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams_max)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX);
    builder.http1().timer(TokioTimer::new());
    builder
}

/// Where the answers and events for the serving threads go.
pub(super) fn deliver(ports: &[Arc<EdgePort>], outputs: &mut crate::replica::Outputs) {
    use crate::replica::propose::thread_of;
    let mut answers: Vec<Vec<_>> = ports.iter().map(|_| Vec::new()).collect();
    let mut reads: Vec<Vec<_>> = ports.iter().map(|_| Vec::new()).collect();
    for answer in outputs.answers.drain(..) {
        if let Some(of_thread) = answers.get_mut(thread_of(answer.counter)) {
            of_thread.push(answer);
        }
    }
    for context in outputs.reads.drain(..) {
        if let Some(of_thread) = reads.get_mut(thread_of(context)) {
            of_thread.push(context);
        }
    }
    for ((port, answers), reads) in ports.iter().zip(answers).zip(reads) {
        if !(answers.is_empty() && reads.is_empty() && outputs.events.is_empty()) {
            port.deliver(answers, reads, &outputs.events);
        }
    }
    outputs.events.clear();
}
