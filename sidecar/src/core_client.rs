//! How the sidecar talks to core: a port of a few calls, and the Unix socket behind it.
//!
//! Every call has a deadline. The socket may be missing at start, and core may restart: the next
//! call connects again. A process that ends closes its sockets at once, however it ends: that is
//! told without a call.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use metastore_proto::admin::admin_client::AdminClient;
use metastore_proto::admin::{
    AlarmRequest, CompactRequest, MetricsRequest, ObserveRequest, ObserveResponse,
};
use metastore_proto::cause::{nobody_listens, root};
use metastore_proto::environment::harmless;
use thiserror::Error as ThisError;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Response, Status};
use tower::service_fn;

use crate::wire::{Listener, Wire};

/// Core answers this one from memory.
const OBSERVE_DEADLINE: Duration = Duration::from_secs(1);
const METRICS_DEADLINE: Duration = Duration::from_secs(2);
/// A compaction goes through consensus and waits to be applied.
const COMPACT_DEADLINE: Duration = Duration::from_secs(30);
/// So does an alarm, but it is small.
const ALARM_DEADLINE: Duration = Duration::from_secs(10);
/// A connection at whose other end nobody speaks is given up and made anew: whoever listens on the
/// socket by then may be another process. Both together are far shorter than a liveness window.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer that is read, in bytes; metrics are the largest.
const ANSWER_MAX: usize = 16 << 20;
/// The same for how core is: three times what its time marks can take. Whatever it says is shown, and
/// some of it in every probe.
const OBSERVATION_MAX: usize = 256 << 10;
/// Letters of why there is no answer.
const SENTENCE_MAX: usize = 1000;

/// What the sidecar asks of core.
pub trait CoreClient: Send + Sync + 'static {
    /// What core is doing now.
    fn observe(&self) -> impl Future<Output = Result<ObserveResponse, CoreError>> + Send;
    /// Makes history before this revision unreadable. Returns the compacted revision after it.
    fn compact(&self, revision: i64) -> impl Future<Output = Result<i64, CoreError>> + Send;
    /// Raises or clears the alarm NOSPACE of this member; returns when that is applied.
    fn alarm(&self, request: AlarmRequest) -> impl Future<Output = Result<(), CoreError>> + Send;
    /// Core's metrics in the Prometheus text format.
    fn metrics(&self) -> impl Future<Output = Result<String, CoreError>> + Send;
    /// Returns when a connection has ended since the last time that this returned.
    fn hung_up(&self) -> impl Future<Output = ()> + Send;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum CoreError {
    /// Nobody is at the other end of the socket.
    #[error("nobody listens on the admin socket ({0})")]
    Gone(io::ErrorKind),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The connection failed or broke.
    #[error("admin socket: {0}")]
    Broken(String),
    /// Core answered, with an error.
    #[error("core refused: {message} ({code:?})")]
    Refused { code: Code, message: String },
}

/// Core at the other end of its admin socket.
pub struct SocketCore {
    client: AdminClient<Channel>,
    ended: Arc<Notify>,
}

impl SocketCore {
    /// Connects when it is first needed. Must be called inside a tokio runtime.
    pub fn new(socket: PathBuf) -> Self {
        let socket = Arc::new(socket);
        let ended = Arc::new(Notify::new());
        let tell = Arc::clone(&ended);
        let connect = service_fn(move |_: Uri| {
            let (socket, tell) = (Arc::clone(&socket), Arc::clone(&tell));
            async move {
                let stream = UnixStream::connect(&*socket).await?;
                Ok::<_, io::Error>(TokioIo::new(Wire { stream, listener: TellsTheEnd(tell) }))
            }
        });
        // The name is never resolved; HTTP/2 needs some authority.
        let endpoint = Endpoint::from_static("http://core.invalid")
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_with_connector_lazy(connect);
        Self { client: AdminClient::new(channel).max_decoding_message_size(ANSWER_MAX), ended }
    }
}

impl CoreClient for SocketCore {
    async fn observe(&self) -> Result<ObserveResponse, CoreError> {
        let mut client = self.client.clone().max_decoding_message_size(OBSERVATION_MAX);
        within(OBSERVE_DEADLINE, client.observe(ObserveRequest {})).await
    }

    async fn compact(&self, revision: i64) -> Result<i64, CoreError> {
        let mut client = self.client.clone();
        let request = CompactRequest { revision, physical: false };
        let answer = within(COMPACT_DEADLINE, client.compact(request)).await?;
        Ok(answer.compacted_revision)
    }

    async fn alarm(&self, request: AlarmRequest) -> Result<(), CoreError> {
        let mut client = self.client.clone();
        within(ALARM_DEADLINE, client.alarm(request)).await?;
        Ok(())
    }

    async fn metrics(&self) -> Result<String, CoreError> {
        let mut client = self.client.clone();
        Ok(within(METRICS_DEADLINE, client.metrics(MetricsRequest {})).await?.text)
    }

    async fn hung_up(&self) {
        self.ended.notified().await;
    }
}

/// Tells the end of a connection: hyper drops it when the other side has closed it.
struct TellsTheEnd(Arc<Notify>);

impl Listener for TellsTheEnd {}

impl Drop for TellsTheEnd {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CoreError> {
    match timeout(deadline, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(CoreError::Silent(deadline)),
    }
}

impl From<Status> for CoreError {
    /// A status without a source is core's own; one with a source is the transport's.
    fn from(status: Status) -> Self {
        let Some(source) = status.source() else {
            return Self::Refused { code: status.code(), message: sentence(status.message()) };
        };
        match nobody_listens(source) {
            Some(kind) => Self::Gone(kind),
            None => Self::Broken(sentence(&root(source).to_string())),
        }
    }
}

/// As it may stand in a log, a page and the reason of a probe.
fn sentence(text: &str) -> String {
    harmless(text).chars().take(SENTENCE_MAX).collect()
}

#[cfg(test)]
#[path = "core_client_tests.rs"]
mod tests;
