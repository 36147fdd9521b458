//! One watch stream of a client, read with a deadline.

use metastore_proto::etcdserverpb as pb;
use metastore_proto::mvccpb::Event;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use crate::client::{Answer, Client, PATIENCE};
use crate::requests::{watch_cancel, watch_create, watch_progress};

/// Requests that may wait in a stream.
const QUEUE: usize = 16_384;

/// A stream with its watches.
#[derive(Debug)]
pub struct Watching {
    requests: mpsc::Sender<pb::WatchRequest>,
    responses: Streaming<pb::WatchResponse>,
}

impl Watching {
    /// Opens a stream with its first requests: a server may not answer before it has one.
    pub async fn open(
        client: &Client,
        first: impl IntoIterator<Item = pb::WatchRequest>,
    ) -> Answer<Self> {
        let (requests, queue) = mpsc::channel(QUEUE);
        for request in first {
            requests.try_send(request).expect("the queue has room");
        }
        let request = Request::new(ReceiverStream::new(queue));
        let responses = client.watcher().watch(request).await?.into_inner();
        Ok(Self { requests, responses })
    }

    /// A stream with one watch, which the server has created.
    pub async fn one(client: &Client, create: pb::WatchCreateRequest) -> Self {
        let mut stream = Self::open(client, [watch_create(create)]).await.expect("a stream");
        let created = stream.next().await;
        assert!(created.created && !created.canceled, "{created:?}");
        stream
    }

    pub async fn create(&self, create: pb::WatchCreateRequest) {
        self.send(watch_create(create)).await;
    }

    pub async fn cancel(&self, watch_id: i64) {
        self.send(watch_cancel(watch_id)).await;
    }

    pub async fn ask_progress(&self) {
        self.send(watch_progress()).await;
    }

    pub async fn send(&self, request: pb::WatchRequest) {
        self.requests.send(request).await.expect("the stream is open");
    }

    /// The next response; the stream must not end or be silent for long.
    pub async fn next(&mut self) -> pb::WatchResponse {
        self.try_next().await.expect("the watch stream broke")
    }

    /// The next response, or how the stream ended; silence is a failure of the test.
    pub async fn try_next(&mut self) -> Result<pb::WatchResponse, Status> {
        let response = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        let response = response.expect("silence on the watch stream")?;
        response.ok_or_else(|| Status::cancelled("the watch stream ended"))
    }

    /// The next response, without a deadline.
    pub async fn wait(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        self.responses.message().await
    }

    /// Exactly `count` events, over as many responses as they take.
    pub async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            let response = self.next().await;
            assert!(!response.canceled, "{response:?}");
            events.extend(response.events);
        }
        assert_eq!(events.len(), count, "more events than expected");
        events
    }

    /// Ends the client's half; the server may go on.
    pub fn close_requests(self) -> Streaming<pb::WatchResponse> {
        self.responses
    }
}

/// `PUT key=value` or `DELETE key`, for comparisons.
pub fn brief(event: &Event) -> String {
    let kv = event.kv.clone().unwrap_or_default();
    let key = String::from_utf8_lossy(&kv.key).into_owned();
    match event.r#type() {
        metastore_proto::mvccpb::event::EventType::Put => {
            format!("PUT {key}={}", String::from_utf8_lossy(&kv.value))
        }
        metastore_proto::mvccpb::event::EventType::Delete => format!("DELETE {key}"),
    }
}

/// [`brief`] of each.
pub fn briefs(events: &[Event]) -> Vec<String> {
    events.iter().map(brief).collect()
}
