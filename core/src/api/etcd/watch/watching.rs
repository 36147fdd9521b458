//! The watchers of one serving thread and the streams that they belong to.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use metastore_proto::etcdserverpb as pb;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::encode::{self, Chunk};
use super::outbox::Outbox;
use crate::api::context::Context;
use crate::api::etcd::{header, status};
use crate::api::rpc::Reply;
use crate::domain::watch::{Spec, WatcherId};
use crate::replica::EventBatch;
use crate::replica::watch_hub::{Delivery, WatchHub};

/// All watchers of a serving thread.
#[derive(Debug)]
pub struct Watching {
    inner: Mutex<Inner>,
    /// Somebody lags and may have room.
    pub lagging: Notify,
}

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    hub: WatchHub,
    owners: HashMap<WatcherId, Owner>,
    /// Every stream that is open, to be ended when the member stops.
    streams: Vec<Weak<Outbox>>,
    /// Streams that asked for progress, with the revision that must have passed.
    asked: Vec<(Arc<Outbox>, i64)>,
}

/// What a stream knows of one of its watchers.
#[derive(Debug)]
struct Owner {
    outbox: Arc<Outbox>,
    watch_id: i64,
    fragments: bool,
    /// Wants to hear now and then that nothing happened.
    is_reminded: bool,
    /// Something was sent since the last reminder.
    is_fresh: bool,
}

/// What a stream asks of a new watcher.
#[derive(Debug)]
pub(super) struct Request {
    pub spec: Spec,
    pub start: i64,
    pub watch_id: i64,
    pub fragments: bool,
    pub is_reminded: bool,
}

impl Watching {
    pub fn new(context: &Arc<Context>) -> Self {
        let inner = Inner {
            context: Arc::clone(context),
            hub: WatchHub::new(Arc::clone(&context.board)),
            owners: HashMap::new(),
            streams: Vec::new(),
            asked: Vec::new(),
        };
        Self { inner: Mutex::new(inner), lagging: Notify::new() }
    }

    pub(super) fn opened(&self, outbox: &Arc<Outbox>) {
        let streams = &mut self.inner.lock().streams;
        if streams.len() == streams.capacity() {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(Arc::downgrade(outbox));
    }

    /// Ends every stream: the member stops, and clients are to go on elsewhere.
    pub fn end(&self) {
        let streams = std::mem::take(&mut self.inner.lock().streams);
        for stream in streams.iter().filter_map(Weak::upgrade) {
            stream.end(Some(status::STOPPED.into()));
        }
    }

    /// Starts a watcher. The answer to its creation must be in the outbox already.
    pub(super) fn start(&self, outbox: &Arc<Outbox>, request: Request) -> WatcherId {
        let mut inner = self.inner.lock();
        let id = inner.hub.watch(request.spec, request.start);
        let owner = Owner {
            outbox: Arc::clone(outbox),
            watch_id: request.watch_id,
            fragments: request.fragments,
            is_reminded: request.is_reminded,
            is_fresh: true,
        };
        inner.owners.insert(id, owner);
        if inner.hub.has_lagging() {
            self.lagging.notify_one();
        }
        id
    }

    pub fn cancel(&self, ids: impl IntoIterator<Item = WatcherId>) {
        let mut inner = self.inner.lock();
        for id in ids {
            inner.hub.cancel(id);
            inner.owners.remove(&id);
        }
    }

    /// Whether the watcher was ended by the server.
    pub fn is_gone(&self, id: WatcherId) -> bool {
        !self.inner.lock().owners.contains_key(&id)
    }

    pub fn publish(&self, batch: &EventBatch) {
        let mut inner = self.inner.lock();
        let deliveries = inner.hub.publish(batch);
        inner.deliver(deliveries);
        inner.answer_progress();
        if inner.hub.has_lagging() {
            self.lagging.notify_one();
        }
    }

    pub fn gap(&self, revision: i64) {
        self.inner.lock().hub.gap(revision);
        self.lagging.notify_one();
    }

    /// Answers, when all watchers of the stream have everything that anybody can have seen by
    /// now, with the revision up to which that is so. If they lag then, there is no answer.
    pub(super) fn ask_progress(&self, outbox: &Arc<Outbox>) {
        let mut inner = self.inner.lock();
        let target = inner.context.board.staged();
        inner.asked.push((Arc::clone(outbox), target));
        inner.answer_progress();
    }

    /// Tells those who want it that nothing has happened for a while.
    pub fn remind(&self) {
        let mut inner = self.inner.lock();
        let Inner { context, hub, owners, .. } = &mut *inner;
        for (id, owner) in owners.iter_mut().filter(|(_, owner)| owner.is_reminded) {
            let is_due = !std::mem::take(&mut owner.is_fresh) && hub.is_live(*id);
            if !(is_due && owner.outbox.has_room()) {
                continue;
            }
            let header = header::at(context, hub.revision());
            owner.outbox.push(progress(header, owner.watch_id));
        }
    }

    /// One pass for those who lag; answers whether another may do more at once.
    pub fn catch_up(&self) -> bool {
        let mut inner = self.inner.lock();
        let Inner { context, hub, owners, .. } = &mut *inner;
        let ready = |id: WatcherId| owners.get(&id).is_some_and(|it| it.outbox.has_room());
        let caught = match hub.catch_up(&context.reader, &ready) {
            Ok(caught) => caught,
            Err(fault) => {
                let status = status::fault(&fault);
                for owner in owners.values() {
                    owner.outbox.end(Some(status.clone()));
                }
                return false;
            }
        };
        for (id, compacted) in &caught.compacted {
            if let Some(owner) = owners.remove(id) {
                owner.outbox.push(compacted_notice(context, owner.watch_id, *compacted));
            }
        }
        let deliveries = caught.deliveries().collect();
        inner.deliver(deliveries);
        inner.answer_progress();
        caught.again
    }
}

impl Inner {
    fn deliver(&mut self, deliveries: Vec<Delivery<'_>>) {
        for delivery in deliveries {
            let chunks = encode::chunks(&delivery.events, delivery.spec.prev_kv);
            let header = header::at(&self.context, delivery.revision);
            for id in delivery.watchers {
                let Some(owner) = self.owners.get_mut(&id) else {
                    continue;
                };
                owner.is_fresh = true;
                let left = chunks.iter().find(|chunk| {
                    let takes = owner.outbox.has_room();
                    if takes {
                        self.context.metrics.events.inc_by(chunk.ends.len() as u64);
                        send(owner, header, chunk, self.context.limits.message_bytes());
                    }
                    !takes
                });
                if let Some(chunk) = left {
                    self.hub.lag(id, chunk.first);
                }
            }
        }
    }

    fn answer_progress(&mut self) {
        let revision = self.hub.revision();
        let (due, later) = self.asked.drain(..).partition(|(_, target)| *target <= revision);
        self.asked = later;
        let due: Vec<(Arc<Outbox>, i64)> = due;
        for (outbox, _) in due {
            let mut own = self.owners.iter().filter(|(_, it)| Arc::ptr_eq(&it.outbox, &outbox));
            let has_any = own.clone().next().is_some();
            if has_any && outbox.has_room() && own.all(|(id, _)| self.hub.is_live(*id)) {
                outbox.push(progress(header::at(&self.context, revision), -1));
            }
        }
    }
}

fn send(owner: &Owner, header: pb::ResponseHeader, chunk: &Chunk, bytes_max: usize) {
    if !owner.fragments || chunk.events.len() < bytes_max {
        let reply = encode::response(header, owner.watch_id, false, chunk.events.clone());
        owner.outbox.push(reply);
        return;
    }
    let pieces = pieces(chunk, bytes_max);
    let count = pieces.len();
    for (number, events) in pieces.into_iter().enumerate() {
        let is_part = number + 1 < count;
        owner.outbox.push(encode::response(header, owner.watch_id, is_part, events));
    }
}

/// Cuts between events, each piece below `bytes_max` where an event allows it.
fn pieces(chunk: &Chunk, bytes_max: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let (mut from, mut until) = (0, 0);
    for &end in &chunk.ends {
        if end - from > bytes_max && until > from {
            pieces.push(chunk.events.slice(from..until));
            from = until;
        }
        until = end;
    }
    pieces.push(chunk.events.slice(from..until));
    pieces
}

fn progress(header: pb::ResponseHeader, watch_id: i64) -> Reply {
    Reply::of(&pb::WatchResponse { header: Some(header), watch_id, ..pb::WatchResponse::default() })
}

/// The end of a watcher whose next event is compacted; its header has no revision.
fn compacted_notice(context: &Context, watch_id: i64, compacted: i64) -> Reply {
    Reply::of(&pb::WatchResponse {
        header: Some(header::at(context, 0)),
        watch_id,
        canceled: true,
        compact_revision: compacted,
        ..pb::WatchResponse::default()
    })
}
