//! Against a served admin API on a real Unix socket.

use std::future::pending;
use std::path::Path;

use metastore_proto::admin::admin_server::{Admin, AdminServer};
use metastore_proto::admin::{
    AlarmCause, AlarmResponse, CompactResponse, DrainRequest, DrainResponse, MetricsResponse,
    TimeMark,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Request;
use tonic::transport::Server;

use super::*;
use crate::fake_core::serving;

/// Compacts to what it is asked, knows one metric, and may never answer an observation, or with more
/// than it has to say.
#[derive(Clone, Copy)]
enum Core {
    Healthy,
    Hanging,
    /// With as many time marks as there can be.
    Old,
    Babbling,
}

#[tonic::async_trait]
impl Admin for Core {
    async fn observe(
        &self,
        _: Request<ObserveRequest>,
    ) -> Result<Response<ObserveResponse>, Status> {
        match self {
            Self::Healthy => Ok(Response::new(serving())),
            Self::Hanging => pending().await,
            Self::Old => Ok(Response::new(old())),
            Self::Babbling => {
                let warnings = vec!["w".repeat(OBSERVATION_MAX)];
                Ok(Response::new(ObserveResponse { warnings, ..serving() }))
            }
        }
    }

    async fn compact(
        &self,
        request: Request<CompactRequest>,
    ) -> Result<Response<CompactResponse>, Status> {
        let compacted_revision = request.into_inner().revision;
        if compacted_revision > 5000 {
            return Err(Status::out_of_range("a future revision"));
        }
        Ok(Response::new(CompactResponse { compacted_revision }))
    }

    async fn metrics(
        &self,
        _: Request<MetricsRequest>,
    ) -> Result<Response<MetricsResponse>, Status> {
        if let Self::Babbling = self {
            return Err(Status::internal("\u{1b}[2J\nmore".repeat(SENTENCE_MAX)));
        }
        Ok(Response::new(MetricsResponse { text: "a 1\n".to_owned() }))
    }

    async fn alarm(
        &self,
        request: Request<AlarmRequest>,
    ) -> Result<Response<AlarmResponse>, Status> {
        if request.into_inner().raise {
            return Ok(Response::new(AlarmResponse::default()));
        }
        Err(Status::unavailable("no leader"))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}

fn old() -> ObserveResponse {
    let mut said = serving();
    let mark = TimeMark { unix_ms: i64::MAX, revision: i64::MAX };
    said.history.as_mut().unwrap().marks = vec![mark; 4097];
    said
}

/// Listens from when it returns; stops, with all its connections, when the task is aborted.
fn serve(core: Core, socket: &Path) -> JoinHandle<()> {
    let connections = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
    let served = Server::builder()
        .add_service(AdminServer::new(core))
        .serve_with_incoming_shutdown(connections, pending());
    tokio::spawn(async { served.await.unwrap() })
}

/// A directory with a socket path in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    (directory, socket)
}

#[tokio::test]
async fn every_call_arrives() {
    let (_directory, socket) = place();
    let task = serve(Core::Healthy, &socket);
    let client = SocketCore::new(socket);
    assert_eq!(client.observe().await, Ok(serving()));
    assert_eq!(client.compact(4000).await, Ok(4000));
    assert_eq!(client.metrics().await, Ok("a 1\n".to_owned()));
    let message = "a future revision".to_owned();
    let refused = CoreError::Refused { code: Code::OutOfRange, message };
    assert_eq!(client.compact(9000).await, Err(refused));
    task.abort();
}

#[tokio::test]
async fn a_socket_may_be_missing_at_start() {
    let (_directory, socket) = place();
    let client = SocketCore::new(socket.clone());
    let gone = Err(CoreError::Gone(io::ErrorKind::NotFound));
    assert_eq!(client.observe().await, gone);
    assert_eq!(client.observe().await, gone);
    let task = serve(Core::Healthy, &socket);
    assert_eq!(client.observe().await, Ok(serving()));
    task.abort();
}

#[tokio::test]
async fn the_end_of_a_connection_is_told_without_a_question() {
    let (_directory, socket) = place();
    let task = serve(Core::Healthy, &socket);
    let client = SocketCore::new(socket);
    assert_eq!(client.observe().await, Ok(serving()));
    assert!(timeout(Duration::from_millis(50), client.hung_up()).await.is_err());
    task.abort();
    timeout(Duration::from_secs(10), client.hung_up()).await.unwrap();
    assert_eq!(client.observe().await, Err(CoreError::Gone(io::ErrorKind::ConnectionRefused)));
}

#[tokio::test]
async fn an_alarm_is_done_or_refused() {
    let (_directory, socket) = place();
    let task = serve(Core::Healthy, &socket);
    let client = SocketCore::new(socket);
    let request = |raise| AlarmRequest { raise, cause: AlarmCause::Disk.into() };
    assert_eq!(client.alarm(request(true)).await, Ok(()));
    let refused = CoreError::Refused { code: Code::Unavailable, message: "no leader".to_owned() };
    assert_eq!(client.alarm(request(false)).await, Err(refused));
    task.abort();
}

#[tokio::test]
async fn what_core_says_has_a_bound_and_forges_no_line() {
    let (_directory, socket) = place();
    let task = serve(Core::Babbling, &socket);
    let client = SocketCore::new(socket);
    let refused = client.observe().await.unwrap_err();
    assert!(matches!(refused, CoreError::Refused { code: Code::OutOfRange, .. }), "{refused}");
    let Err(CoreError::Refused { message, .. }) = client.metrics().await else { panic!() };
    assert!(message.starts_with("\\u{1b}[2J\\nmore\\u{1b}"), "{message}");
    assert_eq!(message.chars().count(), SENTENCE_MAX);
    task.abort();
}

#[tokio::test]
async fn all_that_core_may_have_to_say_is_heard() {
    let (_directory, socket) = place();
    let task = serve(Core::Old, &socket);
    assert_eq!(SocketCore::new(socket).observe().await, Ok(old()));
    task.abort();
}

#[tokio::test]
async fn a_socket_left_behind_means_gone() {
    let (_directory, socket) = place();
    drop(UnixListener::bind(&socket).unwrap());
    let client = SocketCore::new(socket);
    assert_eq!(client.observe().await, Err(CoreError::Gone(io::ErrorKind::ConnectionRefused)));
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_no_panic() {
    let (_directory, socket) = place();
    std::fs::write(&socket, "").unwrap();
    let client = SocketCore::new(socket);
    assert!(client.observe().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_core_that_hangs_is_silent_at_the_deadline() {
    let (_directory, socket) = place();
    let task = serve(Core::Hanging, &socket);
    let client = SocketCore::new(socket);
    assert_eq!(client.observe().await, Err(CoreError::Silent(OBSERVE_DEADLINE)));
    task.abort();
}

/// The state of a stopped process: connections are taken by the kernel, and nobody answers them.
#[tokio::test(start_paused = true)]
async fn a_core_that_is_stopped_is_silent_at_the_deadline() {
    let (_directory, socket) = place();
    let _listener = UnixListener::bind(&socket).unwrap();
    let client = SocketCore::new(socket);
    assert_eq!(client.observe().await, Err(CoreError::Silent(OBSERVE_DEADLINE)));
    assert_eq!(client.metrics().await, Err(CoreError::Silent(METRICS_DEADLINE)));
}

#[tokio::test]
async fn a_restarted_core_is_found_again() {
    let (_directory, socket) = place();
    let client = SocketCore::new(socket.clone());
    let stop = serve_apart(socket.clone());
    assert_eq!(client.observe().await, Ok(serving()));
    stop();
    assert!(client.observe().await.is_err());
    assert_eq!(client.observe().await, Err(CoreError::Gone(io::ErrorKind::ConnectionRefused)));

    std::fs::remove_file(&socket).unwrap();
    let stop = serve_apart(socket);
    assert_eq!(client.observe().await, Ok(serving()));
    stop();
}

/// Serves on a runtime of its own, so that the connections end with it when it is stopped.
fn serve_apart(socket: PathBuf) -> impl FnOnce() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (listening, listens) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let _task = serve(Core::Healthy, &socket);
            listening.send(()).unwrap();
            stopped.await.unwrap_err();
        });
    });
    listens.recv().unwrap();
    move || {
        drop(stop);
        thread.join().unwrap();
    }
}
