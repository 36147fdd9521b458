//! A stand-in for core: says on the admin socket whatever a test wants a sidecar to hear, also what
//! a real member cannot be brought to say (no leader, a learner, another version).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metastore_proto::admin::admin_server::{Admin, AdminServer};
use metastore_proto::admin::{self as pb};
use parking_lot::Mutex;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};

use crate::eventually::eventually;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Answers,
    /// It takes every question and never answers.
    Hangs,
    /// As a core of another version might.
    Refuses(Code),
}

/// What was asked of it besides how it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Compact(pb::CompactRequest),
    Alarm(pb::AlarmRequest),
    Drain,
}

/// A process that is none: serves the admin socket of a directory from within the test.
#[derive(Debug)]
pub struct StandIn {
    state: Arc<Mutex<State>>,
    socket: PathBuf,
    /// Its own, so that connections end with it as with a process.
    serving: Option<Runtime>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    says: pb::ObserveResponse,
    metrics: String,
    asked: Vec<Asked>,
    /// Questions how it is.
    observed: u64,
}

impl StandIn {
    /// Serves `admin.sock` in a directory, as a healthy core.
    pub fn start(directory: &Path) -> Self {
        let state = State {
            manner: Manner::Answers,
            says: healthy(),
            metrics: String::new(),
            asked: Vec::new(),
            observed: 0,
        };
        let socket = directory.join("admin.sock");
        let mut stand_in = Self { state: Arc::new(Mutex::new(state)), socket, serving: None };
        stand_in.appear();
        stand_in
    }

    /// From now on it says this.
    pub fn says(&self, said: pb::ObserveResponse) {
        self.state.lock().says = said;
    }

    /// From now on what it says differs by this.
    pub fn changes(&self, change: impl FnOnce(&mut pb::ObserveResponse)) {
        change(&mut self.state.lock().says);
    }

    pub fn behaves(&self, manner: Manner) {
        self.state.lock().manner = manner;
    }

    pub fn metrics(&self, text: &str) {
        text.clone_into(&mut self.state.lock().metrics);
    }

    /// All that it was asked to do since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().asked)
    }

    /// How often it said how it is.
    pub fn observed(&self) -> u64 {
        self.state.lock().observed
    }

    /// As when the process dies: nobody listens any more, and the socket's file remains. What it
    /// says when it appears again has another boot id.
    pub async fn vanish(&mut self) {
        self.end();
        eventually("nobody listens", Duration::from_secs(10), async || {
            std::os::unix::net::UnixStream::connect(&self.socket).err()
        })
        .await;
        if let Some(process) = &mut self.state.lock().says.process {
            process.boot_id += 1;
        }
    }

    fn end(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }

    /// As when the process starts again.
    pub fn appear(&mut self) {
        // The file of one that vanished.
        drop(std::fs::remove_file(&self.socket));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let inside = runtime.enter();
        let listener = UnixListener::bind(&self.socket).expect("a socket of the test's own");
        let service = AdminServer::new(Service(Arc::clone(&self.state)));
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(async move {
            let served = server.serve_with_incoming(UnixListenerStream::new(listener)).await;
            served.expect("a stand-in serves until it is dropped");
        });
        drop(inside);
        self.serving = Some(runtime);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a leader says with whom all is well.
pub fn healthy() -> pb::ObserveResponse {
    pb::ObserveResponse {
        process: Some(pb::Process {
            boot_id: 1,
            version: "0.0.0-stand-in".to_owned(),
            phase: pb::Phase::Serving.into(),
            pid: std::process::id(),
            ..pb::Process::default()
        }),
        consensus: Some(pb::Consensus {
            cluster_id: 1,
            member_id: 7,
            name: "stand-in".to_owned(),
            role: pb::Role::Leader.into(),
            term: 2,
            leader_id: 7,
            commit_index: 100,
            applied_index: 100,
        }),
        history: Some(pb::History { revision: 90, keys: 10, ..pb::History::default() }),
        disk: Some(pb::Disk { writable: true, ..pb::Disk::default() }),
        liveness: Some(pb::Liveness { local_read_ok: true, ..pb::Liveness::default() }),
        queues: Some(pb::Queues::default()),
        ..pb::ObserveResponse::default()
    }
}

struct Service(Arc<Mutex<State>>);

impl Service {
    /// The answer, in the manner of the moment.
    async fn answer<T>(&self, make: impl FnOnce(&mut State) -> T) -> Result<Response<T>, Status> {
        let manner = self.0.lock().manner;
        match manner {
            Manner::Answers => Ok(Response::new(make(&mut self.0.lock()))),
            Manner::Hangs => {
                // Longer than any test; the caller gives up before.
                tokio::time::sleep(Duration::from_secs(600)).await;
                Err(Status::unavailable("the stand-in hung"))
            }
            Manner::Refuses(code) => Err(Status::new(code, "the stand-in refuses")),
        }
    }
}

#[tonic::async_trait]
impl Admin for Service {
    async fn observe(
        &self,
        _request: Request<pb::ObserveRequest>,
    ) -> Result<Response<pb::ObserveResponse>, Status> {
        self.answer(|state| {
            state.observed += 1;
            state.says.clone()
        })
        .await
    }

    async fn compact(
        &self,
        request: Request<pb::CompactRequest>,
    ) -> Result<Response<pb::CompactResponse>, Status> {
        let request = request.into_inner();
        self.answer(|state| {
            state.asked.push(Asked::Compact(request));
            let history = state.says.history.get_or_insert_default();
            history.compacted_revision = history.compacted_revision.max(request.revision);
            pb::CompactResponse { compacted_revision: history.compacted_revision }
        })
        .await
    }

    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        let request = request.into_inner();
        self.answer(|state| {
            state.asked.push(Asked::Alarm(request));
            let kind = i32::from(pb::AlarmKind::Nospace);
            let alarms = &mut state.says.alarms;
            alarms.retain(|alarm| alarm.kind != kind || alarm.cause != request.cause);
            if request.raise {
                alarms.push(pb::RaisedAlarm { member_id: 7, kind, cause: request.cause });
            }
            pb::AlarmResponse { alarms: alarms.clone() }
        })
        .await
    }

    async fn metrics(
        &self,
        _request: Request<pb::MetricsRequest>,
    ) -> Result<Response<pb::MetricsResponse>, Status> {
        self.answer(|state| pb::MetricsResponse { text: state.metrics.clone() }).await
    }

    async fn drain(
        &self,
        _request: Request<pb::DrainRequest>,
    ) -> Result<Response<pb::DrainResponse>, Status> {
        self.answer(|state| {
            state.asked.push(Asked::Drain);
            if let Some(process) = &mut state.says.process {
                process.set_phase(pb::Phase::Draining);
            }
            pb::DrainResponse {}
        })
        .await
    }
}
