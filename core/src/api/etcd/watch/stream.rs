//! One watch stream: its requests, and its watchers by the ids that the client knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use metastore_proto::etcdserverpb as pb;
use parking_lot::Mutex;
use pb::watch_create_request::FilterType;
use pb::watch_request::RequestUnion;
use tonic::{Status, Streaming};

use super::outbox::{Drain, Outbox};
use super::watching::Request;
use crate::api::edge::Edge;
use crate::api::etcd::{convert, header, status};
use crate::api::rpc::{Replies, Reply};
use crate::domain::watch::{Spec, WatcherId};

const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// Serves a stream until the client leaves. A client that has said its last may still listen.
pub async fn watch(
    edge: Arc<Edge>,
    requests: Streaming<pb::WatchRequest>,
) -> Result<Replies, Status> {
    let outbox = Arc::new(Outbox::default());
    edge.context.board.watch_streams.fetch_add(1, Ordering::Relaxed);
    edge.watching.opened(&outbox);
    let ids = Arc::new(Mutex::new(Ids::default()));
    let reading =
        Reading { edge: Arc::clone(&edge), outbox: Arc::clone(&outbox), ids: Arc::clone(&ids) };
    let reader = tokio::spawn(reading.run(requests)).abort_handle();
    let lagging = Arc::clone(&edge);
    let roomy = move || lagging.watching.lagging.notify_one();
    let gone = move || {
        reader.abort();
        edge.context.board.watch_streams.fetch_sub(1, Ordering::Relaxed);
        edge.watching.cancel(ids.lock().known.drain().map(|(_, watcher)| watcher));
    };
    Ok(Box::pin(Drain::new(outbox, Box::new(roomy), Box::new(gone))))
}

/// Watchers by the client's ids.
#[derive(Debug, Default)]
struct Ids {
    known: HashMap<i64, WatcherId>,
    next: i64,
    /// Known ids at which the next look for ended ones is due.
    tidy_at: usize,
}

struct Reading {
    edge: Arc<Edge>,
    outbox: Arc<Outbox>,
    ids: Arc<Mutex<Ids>>,
}

impl Reading {
    async fn run(self, mut requests: Streaming<pb::WatchRequest>) {
        loop {
            self.outbox.room().await;
            match requests.message().await {
                Ok(Some(request)) => self.take(request),
                Ok(None) => return,
                Err(status) => {
                    self.outbox.end(Some(status));
                    return;
                }
            }
        }
    }

    fn take(&self, request: pb::WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(create),
            Some(RequestUnion::CancelRequest(cancel)) => self.cancel(cancel.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => self.edge.watching.ask_progress(&self.outbox),
            None => {}
        }
    }

    fn create(&self, request: pb::WatchCreateRequest) {
        let context = &self.edge.context;
        // The newest revision that anybody may know of: a watch "from now on" begins behind it.
        let revision = context.board.revision();
        let range = convert::watch_range(&request);
        if range.is_empty() {
            return self.refuse(revision, EMPTY_RANGE);
        }
        if request.start_revision < 0 {
            return self.refuse(revision, status::COMPACTED.text);
        }
        let mut ids = self.ids.lock();
        let Some(watch_id) = ids.assign(request.watch_id, &self.edge) else {
            drop(ids);
            return self.refuse(revision, DUPLICATE_ID);
        };
        self.outbox.push(Reply::of(&pb::WatchResponse {
            header: Some(header::at(context, revision)),
            watch_id,
            created: true,
            ..pb::WatchResponse::default()
        }));
        let filters = |kind: FilterType| request.filters.contains(&(kind as i32));
        let start = if request.start_revision == 0 { revision + 1 } else { request.start_revision };
        let started = self.edge.watching.start(
            &self.outbox,
            Request {
                spec: Spec {
                    range,
                    skip_puts: filters(FilterType::Noput),
                    skip_deletes: filters(FilterType::Nodelete),
                    prev_kv: request.prev_kv,
                },
                start,
                watch_id,
                fragments: request.fragment,
                is_reminded: request.progress_notify,
            },
        );
        ids.known.insert(watch_id, started);
        ids.tidy(&self.edge);
    }

    fn refuse(&self, revision: i64, reason: &str) {
        self.outbox.push(Reply::of(&pb::WatchResponse {
            header: Some(header::at(&self.edge.context, revision)),
            watch_id: -1,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..pb::WatchResponse::default()
        }));
    }

    /// An id that nobody knows is passed over in silence.
    fn cancel(&self, watch_id: i64) {
        let watcher = self.ids.lock().known.remove(&watch_id);
        let Some(watcher) = watcher.filter(|it| !self.edge.watching.is_gone(*it)) else {
            return;
        };
        self.edge.watching.cancel([watcher]);
        self.outbox.push(Reply::of(&pb::WatchResponse {
            header: Some(header::now(&self.edge.context)),
            watch_id,
            canceled: true,
            ..pb::WatchResponse::default()
        }));
    }
}

/// Ids after which those that the server ended are looked for.
const TIDY_MIN: usize = 256;

impl Ids {
    /// Forgets watchers that the server ended, now and then.
    fn tidy(&mut self, edge: &Edge) {
        if self.known.len() > self.tidy_at.max(TIDY_MIN) {
            self.known.retain(|_, watcher| !edge.watching.is_gone(*watcher));
            self.tidy_at = 2 * self.known.len();
        }
    }

    /// The id that the client chose, if it is free; or the next free one. 0 is no choice.
    fn assign(&mut self, chosen: i64, edge: &Edge) -> Option<i64> {
        if chosen != 0 {
            let taken = self.known.get(&chosen).is_some_and(|it| !edge.watching.is_gone(*it));
            return (!taken).then_some(chosen);
        }
        while self.known.contains_key(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}
