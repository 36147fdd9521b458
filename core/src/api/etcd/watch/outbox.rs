//! What waits to be sent on one stream: bounded in bytes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tonic::Status;

use crate::api::rpc::Reply;

/// Beyond this a stream takes no more events; one message is always taken.
const BYTES_MAX: usize = 1 << 20;

/// The sending half; the receiving half is [`Drain`].
#[derive(Debug, Default)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    roomy: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Reply>,
    bytes: usize,
    waker: Option<Waker>,
    end: Option<Option<Status>>,
}

impl Outbox {
    /// Whether events may be put in.
    pub(super) fn has_room(&self) -> bool {
        self.inner.lock().bytes < BYTES_MAX
    }

    /// Returns when there is room: who asks for more must first take what there is.
    pub(super) async fn room(&self) {
        while !self.has_room() {
            self.roomy.notified().await;
        }
    }

    pub(super) fn push(&self, reply: Reply) {
        let mut inner = self.inner.lock();
        inner.bytes += reply.len();
        inner.queue.push_back(reply);
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// The stream ends when everything is sent, well or with an error.
    pub(super) fn end(&self, error: Option<Status>) {
        let mut inner = self.inner.lock();
        inner.end.get_or_insert(error);
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }
}

/// What is sent. Calls `roomy` when a full outbox has room again, and `gone` when the client
/// has left.
pub(super) struct Drain {
    outbox: Arc<Outbox>,
    roomy: Box<dyn Fn() + Send>,
    gone: Box<dyn Fn() + Send>,
}

impl Drain {
    pub(super) fn new(
        outbox: Arc<Outbox>,
        roomy: Box<dyn Fn() + Send>,
        gone: Box<dyn Fn() + Send>,
    ) -> Self {
        Self { outbox, roomy, gone }
    }
}

impl Stream for Drain {
    type Item = Result<Reply, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.outbox.inner.lock();
        if let Some(reply) = inner.queue.pop_front() {
            let was_full = inner.bytes >= BYTES_MAX;
            inner.bytes -= reply.len();
            let has_room = was_full && inner.bytes < BYTES_MAX;
            drop(inner);
            if has_room {
                self.outbox.roomy.notify_one();
                (self.roomy)();
            }
            return Poll::Ready(Some(Ok(reply)));
        }
        match &mut inner.end {
            Some(error) => Poll::Ready(error.take().map(Err)),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        (self.gone)();
    }
}
