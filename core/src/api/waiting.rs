//! Requests of one serving thread that wait for the replica.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::replica::propose::counter;

/// Who waits, by the counter that the answer will carry.
#[derive(Debug)]
pub struct Waiting<T> {
    thread: usize,
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    issued: u64,
    senders: HashMap<u64, oneshot::Sender<T>>,
}

/// A place in the queue; given up when dropped.
#[derive(Debug)]
pub struct Ticket<T> {
    pub counter: u64,
    receiver: oneshot::Receiver<T>,
    waiting: Arc<Waiting<T>>,
}

impl<T> Waiting<T> {
    pub fn new(thread: usize) -> Arc<Self> {
        let inner = Inner { issued: 0, senders: HashMap::new() };
        Arc::new(Self { thread, inner: Mutex::new(inner) })
    }

    pub fn issue(self: &Arc<Self>) -> Ticket<T> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner.lock();
        inner.issued += 1;
        let counter = counter(self.thread, inner.issued);
        inner.senders.insert(counter, sender);
        drop(inner);
        Ticket { counter, receiver, waiting: Arc::clone(self) }
    }

    pub fn answer(&self, counter: u64, answer: T) {
        let sender = self.inner.lock().senders.remove(&counter);
        if let Some(sender) = sender {
            // Whoever asked may have gone.
            drop(sender.send(answer));
        }
    }
}

impl<T> Ticket<T> {
    /// `None` when the answer will never come.
    pub async fn answer(&mut self) -> Option<T> {
        (&mut self.receiver).await.ok()
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.waiting.inner.lock().senders.remove(&self.counter);
    }
}
